/* SPDX-License-Identifier: Apache-2.0 */
/* Inside a session: session.c has what all share and the replay, session_live.c run and record. */
#ifndef RV_CLI_SESSION_INT_H
#define RV_CLI_SESSION_INT_H

#include <stdatomic.h>

#include "ctl.h"
#include "files.h"
#include "gdbstub/gdbstub.h"
#include "host_devices.h"
#include "live_target.h"
#include "progress.h"
#include "record/ckpt.h"
#include "record/recorder.h"
#include "record_keep.h"
#include "replay/replay.h"
#include "save.h"
#include "session.h"
#include "stats.h"

/*
 * The ports the machine is built with. They only pass on, to ports that are
 * chosen later: the machine must exist (its kernel checked) before the trace
 * that the recorder writes to may.
 */
struct gate {
	struct nondet nondet;
	struct nondet *to_nondet;
};
struct gate_out {
	struct output output;
	struct output *to_output;
};

struct session {
	struct gate gate; /* first: gate_next() knows */
	struct session_tap tap; /* ctx NULL: nobody looks on */
	struct gate_out gate_out;
	struct live *live;
	struct host_devices host;
	struct machine *machine;
	struct machine_limits limits;
	struct stats stats;
	struct progress progress;
	struct jit_opts jit;
	/* run and record under a debugger */
	struct live_target *target;
	struct gdbstub *stub;
	bool gdb_wait;
	struct file_data kernel, initrd; /* live: a guest that resets boots from them again */
	/* record */
	char *trace_path;
	struct evlog_writer *log;
	struct recorder *recorder;
	uint64_t log_bytes;
	struct ckpt_writer *ckpts; /* NULL: none are made, or making them failed */
	uint64_t ckpt_every, ckpt_next; /* ns of host time */
	struct record_keep *keep;  /* NULL: not a flight recording */
	bool ckpt_wanted;          /* at the next first position of an icount, whatever the time */
	bool on_panic_stop;
	icount_t max_icount;       /* the run's own limit; limits.icount may be nearer for a checkpoint */
	/* run and record: what other threads and signals ask of the vCPU thread, enum session_ask bits */
	atomic_uint asked;
	struct ctl *ctl;
	const struct machine_opts *opts; /* borrowed for the session's life */
	/* replay */
	struct trace *trace;
	struct evlog_reader *reader;
	struct replayer *replayer;
	struct base_digests *bases;
	icount_t until;
	struct pair *pair; /* half of a hot-standby pair; NULL: not */
};


struct session *session_new(void); /* NULL: out of memory */

/* ---- session_live.c ---- */

/* What may be asked of the vCPU thread; it looks between two stretches of machine_run(). */
enum session_ask { ASK_MARK = 1, ASK_CKPT = 2, ASK_CTL = 4, ASK_PAIR = 8 };
void session_ask(struct session *s, enum session_ask what); /* any thread, signal handlers */
void session_stop_live(void *ctx);                          /* the same; ctx is the session */
int session_run_live(struct session *s, struct machine_result *result);
/* Closes the books of a recording. rc: what the run gave. */
int session_finish_record(struct session *s, int rc, const struct machine_result *result, struct rv_err *err);
int session_live_failed(const struct session *s, int rc, struct rv_err *err);
void session_answer_asked(struct session *s); /* vCPU thread, between two stretches */
/* Parts of session_open_live() and its end that a backup needs as well. */
int session_live_ports(struct session *s, const struct machine_opts *o, struct rv_err *err);
int session_live_fence(struct session *s, const struct machine_opts *o, const char *trace_path, struct rv_err *err);
int session_live_lock(struct session *s, const struct machine_opts *o, const char *trace_path, struct rv_err *err);

/* ---- session_pair.c ---- */
/* Keys, addresses, the arbiter's process: before there are threads. */
int session_pair_prepare(struct session *s, const struct machine_opts *o, struct rv_err *err);
int session_pair_primary(struct session *s, const struct machine_opts *o, struct rv_err *err);
int session_pair_follow(struct session *s, const struct machine_opts *o, struct rv_err *err);
/* Waits for a primary, and builds the machine it describes. o gets what that is. */
int session_pair_backup(struct session *s, struct machine_opts *o, struct rv_err *err);
/* Of a shared disk (backend/disk.h); ctx is the session. */
int session_pair_base_read(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data);
uint64_t session_pair_ticket(void *ctx);
int session_pair_commit(void *ctx, uint64_t ticket);
int session_pair_run(struct session *s, struct machine_result *result);
int session_pair_end(const struct session *s, int rc, struct rv_err *err);
void session_pair_stop(void *ctx); /* signal handlers; ctx is the session */
void session_pair_interrupt(struct session *s);
int session_pair_switch(struct session *s, struct rv_err *err);
void session_pair_stats(struct session *s, struct bytes *out);
void session_pair_close(struct session *s);

#endif
