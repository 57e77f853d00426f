/* SPDX-License-Identifier: Apache-2.0 */
/* The replayer: both ports served from a log; every digest compared. */
#ifndef RV_REPLAY_REPLAY_H
#define RV_REPLAY_REPLAY_H

#include "machine/machine.h"
#include "record/evlog.h"

struct replayer;
/* show: where output goes as it is replayed; NULL: nowhere. Borrows log and show. */
int replayer_create(struct replayer **out, struct evlog_source *log, struct output *show);
void replayer_destroy(struct replayer *r);
/* The replay begins at a checkpoint: what had been sent there. */
struct output_digest;
void replayer_resume(struct replayer *r, const struct output_digest *sent, icount_t icount);
struct nondet *replayer_nondet(struct replayer *r);
struct output *replayer_output(struct replayer *r);
/* machine_limits.mark: compares with the log's next digest record. */
int replayer_mark(void *replayer, struct machine *m);
/* After machine_run(): checks the end record (kind of end, final digest). rc and result are what
 * machine_run() gave. Returns 0 for a faithful replay (also of an incomplete trace, to its last
 * record), RV_EDIVERGED, or another error. */
int replayer_finish(struct replayer *r, struct machine *m, int rc, const struct machine_result *result,
		    struct rv_err *err);
/* On RV_EDIVERGED: several lines for a person: where, both sides' digests and registers, nearest events. */
const char *replayer_report(const struct replayer *r);
/* How far the log is known: where a finished one ends. */
icount_t replayer_last_icount(const struct replayer *r);
const struct output_digest *replayer_sent(const struct replayer *r);
uint64_t replayer_digests_checked(const struct replayer *r);

/* A machine_cfg from a manifest and the guest's files (nondet and output not filled); all is borrowed. disks: a port for
 * each of the manifest's disks (may be NULL if it has none). */
void replay_machine_cfg(const struct trace_manifest *m, const void *kernel, const void *initrd,
			struct disk *const disks[], struct machine_cfg *cfg);

/*
 * What the recording read from the bases of its disks, block by block: a base that was changed since is
 * found out at the first block that differs.
 */
struct base_digests;
/* Reads the whole log (and rewinds it). RV_ENOMEM, RV_EDAMAGED. */
int base_digests_create(struct base_digests **out, struct evlog_reader *reader, struct rv_err *err);
void base_digests_destroy(struct base_digests *b);
/* disk_file_cfg.base_read: RV_OK, or RV_ECHANGED. ctx is the base_digests. */
int base_digests_check(void *base_digests, unsigned disk, uint64_t block, uint32_t nblocks,
		       const uint8_t *data);

#endif
