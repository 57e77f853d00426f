/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: restorable states of a machine.
 *
 * In memory a checkpoint is the serialised state (machine_save) and an
 * immutable tree of RAM pages; trees share what did not change, so taking one
 * costs O(pages dirtied since the last), restoring O(pages that differ).
 * Page contents are LZ4-compressed and shared by content.
 * On disk (ckpt/NNNNNN.rvc, record/FORMAT.md) each file holds the pages that
 * changed since the one before.
 */
#ifndef RV_RECORD_CKPT_H
#define RV_RECORD_CKPT_H

#include "machine/machine.h"
#include "record/evlog.h"
#include "record/recorder.h"

struct ckpt_store;
struct ckpt; /* reference-counted, immutable */

struct ckpt_info {
	struct exec_point at;
	vns_t vns;
	uint64_t bytes; /* memory this one alone holds (pages no other checkpoint shares, plus state) */
	bool on_disk;
};

/* For one machine, which must outlive it. */
int ckpt_store_create(struct ckpt_store **out, struct machine *m);
void ckpt_store_destroy(struct ckpt_store *s);
/* The machine now. Advances the dirty epoch. extra: the output digest at this position. */
int ckpt_take(struct ckpt_store *s, const struct output_digest *extra, struct ckpt **out);
/* Makes the machine equal to c; *extra gets what was given to ckpt_take(). RV_EDAMAGED: its file is bad; the
 * machine is no state of anything then, and refuses to run until a restore succeeds. */
int ckpt_restore(struct ckpt_store *s, const struct ckpt *c, struct output_digest *extra);
const struct ckpt_info *ckpt_info(const struct ckpt *c);
void ckpt_release(struct ckpt_store *s, struct ckpt *c);
uint64_t ckpt_store_bytes(const struct ckpt_store *s); /* memory held by all */

/* ---- on disk: recording ---- */
struct ckpt_writer;
struct ckpt_writer_cfg {
	/* The writer's thread, before a checkpoint is published: what it refers to beside itself (block logs of
	 * disks) becomes durable. May be NULL. */
	int (*sync)(void *ctx);
	/*
	 * A flight recording (either bound not 0): every so often a checkpoint is *full*: it needs no earlier one,
	 * and the log gets a new segment there; what is older than the oldest that is still needed is removed.
	 * keep_ns: host time kept, at least, and at most a quarter (and one checkpoint) more. keep_bytes: of the
	 * whole trace, exceeded only if two full checkpoints and what lies between them do not fit.
	 */
	uint64_t keep_ns, keep_bytes;
	bool begin_here; /* the history begins with the first checkpoint: what was before is dropped at once */
	struct evlog_writer *log;
	uint64_t (*other_bytes)(void *ctx);              /* writer's thread: of the trace, beside log and checkpoints */
	void (*full_taken)(void *ctx, uint32_t number);  /* vCPU thread: this one is full */
	void (*dropped)(void *ctx, uint32_t oldest);     /* writer's thread: the history begins with this one now */
	void *ctx;
};
/* Writes into the trace's ckpt folder on a thread of its own; call before the sandbox closes. trace_path: of the
 * trace. */
int ckpt_writer_create(struct ckpt_writer **out, const char *trace_path,
		       const struct trace_manifest *manifest, struct machine *m,
		       const struct ckpt_writer_cfg *cfg, struct rv_err *err);
/* vCPU thread: copies the pages dirtied since the last call and hands them over; waits for the thread when
 * they are many. Does nothing (returns 0) while the thread is busy with the one before. Errors of the
 * thread stick; they do not concern the log. */
int ckpt_writer_take(struct ckpt_writer *w, const struct output_digest *extra);
/* Waits for the thread; later files than the log's end are the reader's business. */
int ckpt_writer_finish(struct ckpt_writer *w, struct rv_err *err);
void ckpt_writer_destroy(struct ckpt_writer *w);

/* ---- on disk: reading ---- */
/* All checkpoints of the trace from its start on (trace_find_start()), in order, into the store (contents stay in the files, which are read when needed).
 * Checkpoints behind the log's last record are left out, and with a warning those behind a missing file;
 * *out is malloc'ed. A bad file: RV_EDAMAGED, named. */
int ckpt_load_all(struct ckpt_store *s, const struct trace *t, struct exec_point last,
		  struct ckpt ***out, size_t *n, struct rv_err *err);

#endif
