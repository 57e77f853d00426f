/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event log: ordered records in chunks (record/FORMAT.md). The writer
 * compresses and writes on a thread of its own; the vCPU thread only appends
 * to memory.
 */
#ifndef RV_RECORD_EVLOG_H
#define RV_RECORD_EVLOG_H

#include "port/disk.h"
#include "port/nondet.h"
#include "record/trace.h"

/* Kinds below 64 are enum nd_kind. X(name, number, text) */
#define EVLOG_KIND_LIST(X)                                                                         \
	X(EVLOG_DIGEST, 64, "digest") /* a state digest and the registers there: struct evlog_digest */ \
	X(EVLOG_END, 65, "end")       /* the recording ended here: struct evlog_end */              \
	X(EVLOG_MARK, 66, "mark")     /* a point somebody marked; payload: printable text */       \
	X(EVLOG_BASE, 67, "base")     /* first reads of base `instance`: block u64, XXH3-64 a block */ \
	X(EVLOG_DATA, 68, "data")     /* the same of an image that a backup cannot read: block u64, blocks */

enum evlog_kind {
#define EVLOG_KIND_ENUM(name, value, text) name = value,
	EVLOG_KIND_LIST(EVLOG_KIND_ENUM)
#undef EVLOG_KIND_ENUM
};
const char *evlog_kind_text(uint32_t kind);
/* A record beside the history: a replay passes over it. */
static inline bool evlog_kind_is_side(uint32_t kind)
{
	return kind == EVLOG_MARK || kind == EVLOG_BASE || kind == EVLOG_DATA;
}

struct evlog_record {
	struct exec_point at; /* where it was applied; seq = nd_events before it */
	uint32_t kind;
	uint32_t instance;
	bool in_halt;
	vns_t vns;            /* with in_halt */
	const uint8_t *data;  /* borrowed */
	uint32_t len;         /* at most ND_PAYLOAD_MAX */
};

/* ---- where a recorder's records go, and where a replayer's come from ---- */
struct evlog_sink {
	const struct evlog_sink_ops *ops;
};
/* vCPU thread. 0 or a code that ends the run. */
struct evlog_sink_ops {
	int (*append)(struct evlog_sink *s, const struct evlog_record *r); /* copies */
	/* Every record below this icount has been appended. */
	int (*reached)(struct evlog_sink *s, icount_t icount);
};
static inline int evlog_append(struct evlog_sink *s, const struct evlog_record *r)
{
	return s->ops->append(s, r);
}

struct evlog_source {
	const struct evlog_source_ops *ops;
	struct trace_start start; /* where its history begins */
};
#define EVLOG_LATER 2 /* what evlog_source_ops.next() says of a log that is still being written */
/* vCPU thread. */
struct evlog_source_ops {
	/*
	 * The next record, in order: 1; data is borrowed until the next call. 0: the log ends here. A log that
	 * is still being written says EVLOG_LATER when it has no record yet; with `wait` not before all at or
	 * below icount `at` were given. RV_EINTR: woken for something else; asked again, all is as it was.
	 * Other negative codes are final.
	 */
	int (*next)(struct evlog_source *s, bool wait, icount_t at, struct evlog_record *rec, struct rv_err *err);
	/* All records below this icount are there to be read: where a finished log ends. */
	icount_t (*known)(struct evlog_source *s);
};

/* Blocks of an EVLOG_DATA record at most. */
#define EVLOG_DATA_BLOCKS ((ND_PAYLOAD_MAX - 8u) / DISK_BLOCK)

/* ---- writing ---- */
enum evlog_sync { EVLOG_SYNC_NONE, EVLOG_SYNC_1S, EVLOG_SYNC_CHUNK };
struct evlog_writer;
struct evlog_writer_cfg {
	enum evlog_sync sync;
	uint64_t segment_bytes; /* 0: 64 MiB */
};
/* Creates the trace directory `path` (RV_EEXIST if it is there) holding manifest, guest files and a first
 * chunk, all under a temporary name published by one rename: killed earlier, there is no trace. The
 * manifest's id and file digests are filled in here. Starts the writer thread. */
int evlog_writer_create(struct evlog_writer **out, const char *path, struct trace_manifest *manifest,
			const void *kernel, const void *initrd, const struct evlog_writer_cfg *cfg,
			struct rv_err *err);
/* vCPU thread. Copies. Blocks only while 64 MiB wait for the disk. Returns 0 or the writer thread's
 * sticky error (RV_ENOSPC, RV_EIO): what was written before stays valid. */
int evlog_writer_append(struct evlog_writer *w, const struct evlog_record *r);
/*
 * vCPU thread: what is appended from here on, at `at` or later, goes to a new segment. *cut names the cut for
 * evlog_writer_cut_wait() (another thread may call it), which waits until it is made and gives the number of
 * that segment. One cut at a time.
 */
int evlog_writer_cut(struct evlog_writer *w, struct exec_point at, uint64_t *cut);
int evlog_writer_cut_wait(struct evlog_writer *w, uint64_t cut, uint32_t *segment);
/* One thread, any: the segments before this one are removed. */
void evlog_writer_drop(struct evlog_writer *w, uint32_t segment);
int evlog_writer_status(struct evlog_writer *w); /* 0 or the sticky error; cheap, any thread */
struct evlog_sink *evlog_writer_sink(struct evlog_writer *w);
/* Writes what is left and the end chunk (unless in error), syncs, joins the thread. */
int evlog_writer_finish(struct evlog_writer *w, struct rv_err *err);
uint64_t evlog_writer_bytes(const struct evlog_writer *w); /* of the log segments there are */
void evlog_writer_destroy(struct evlog_writer *w); /* without finish: the trace stays incomplete */

/* ---- reading ---- */
struct evlog_reader;
struct evlog_info {
	bool complete;        /* ends with an end chunk */
	uint64_t log_bytes;   /* size of the valid chunks */
	uint64_t records;
	uint64_t count[128];  /* records by kind */
	struct exec_point last; /* of the last record */
	struct trace_start start; /* where the kept history begins */
};
/* Scans all segments: RV_EDAMAGED (err names file and chunk) for damage, a torn tail is cut off. */
int evlog_reader_open(struct evlog_reader **out, const struct trace *t, struct rv_err *err);
void evlog_reader_close(struct evlog_reader *r);
const struct evlog_info *evlog_reader_info(const struct evlog_reader *r);
/* Next record in order; 1, 0 at the end, or a negative code. data is borrowed until the next call. */
int evlog_reader_next(struct evlog_reader *r, struct evlog_record *rec, struct rv_err *err);
void evlog_reader_rewind(struct evlog_reader *r);
struct evlog_source *evlog_reader_source(struct evlog_reader *r);

/* ---- payloads of the meta records ---- */
struct cpu_state;
struct evlog_digest {
	struct digest128 state;
	struct digest128 output; /* running digest of everything sent to the outbound port */
	vns_t vns;
	uint64_t rip, rflags, cr3, gpr[16]; /* vCPU 0, for divergence reports */
};
void evlog_digest_encode(const struct evlog_digest *d, uint8_t out[192], uint32_t *len);
int evlog_digest_decode(const uint8_t *data, uint32_t len, struct evlog_digest *out);

struct evlog_end {
	uint32_t end;  /* enum machine_end; or 255: stopped by a host error */
	uint32_t code;
	struct evlog_digest final;
};
void evlog_end_encode(const struct evlog_end *e, uint8_t out[224], uint32_t *len);
int evlog_end_decode(const uint8_t *data, uint32_t len, struct evlog_end *out);

#endif
