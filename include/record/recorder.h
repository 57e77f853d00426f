/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder: both ports, wrapped around the live ones, logging what passes. */
#ifndef RV_RECORD_RECORDER_H
#define RV_RECORD_RECORDER_H

#include "machine/machine.h"
#include "record/evlog.h"

struct recorder;
struct output_digest;
/* Borrows all three for its life. */
int recorder_create(struct recorder **out, struct nondet *inner, struct output *inner_out,
		    struct evlog_sink *log);
void recorder_destroy(struct recorder *r);
struct nondet *recorder_nondet(struct recorder *r);
struct output *recorder_output(struct recorder *r);
/* machine_limits.mark: logs a digest record. ctx is the recorder. */
int recorder_mark(void *recorder, struct machine *m);
/* The running digest of all output: what a checkpoint taken here is given. */
const struct output_digest *recorder_sent(const struct recorder *r);
/* vCPU thread: blocks [block, block + nblocks) of a disk's base were read at this position: the digests of those not
 * read before are logged. 0 or an error of the log. */
int recorder_base_read(struct recorder *r, struct exec_point at, unsigned disk, uint64_t block,
		       uint32_t nblocks, const uint8_t *data);
/* The same, with the contents in place of digests: for a backup that cannot read the image itself. */
int recorder_base_data(struct recorder *r, struct exec_point at, unsigned disk, uint64_t block,
		       uint32_t nblocks, const uint8_t *data);
/* From here on every block counts as not read before: a flight recording that drops its past begins anew. */
void recorder_base_forget(struct recorder *r);
/* The recording begins in the middle of a history: what had been sent there. */
void recorder_resume(struct recorder *r, const struct output_digest *sent);
/* vCPU thread, between two runs: a point somebody marked here; text is made printable, and cut at 200 bytes. */
int recorder_note(struct recorder *r, struct machine *m, const char *text);
/* Appends the end record for this result. */
int recorder_end(struct recorder *r, struct machine *m, const struct machine_result *result);

/* Shared with the replayer: the running output digest and a digest record of the machine now. */
struct output_digest {
	struct digest128 sum;
	uint64_t bytes;
};
void output_digest_add(struct output_digest *d, icount_t icount, enum out_kind kind,
		       unsigned instance, const void *data, size_t len);
void recorder_digest_fill(struct machine *m, const struct output_digest *out, struct evlog_digest *d);

#endif
