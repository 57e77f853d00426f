/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session is one machine with everything around it, wired in one visible
 * place (session.c):
 *
 *   run      live ports ------------------> machine
 *   record   live ports -> recorder ------> machine
 *   replay   log --------> replayer ------> machine
 *
 * One thread calls; signals reach it through signals.h.
 */
#ifndef RV_CLI_SESSION_H
#define RV_CLI_SESSION_H

#include "base_opts.h"
#include "machine/machine.h"
#include "machine_opts.h"
#include "record/trace.h"
#include "sandbox.h"

#define SESSION_DIGEST_EVERY (1ull << 28) /* steps between the digests of a recording: four or so a second */

struct session;

/* trace_path NULL: run. Reads the guest's files, builds the machine, then creates the trace, so that a
 * file that is no kernel leaves no trace behind. */
int session_open_live(struct session **out, const struct machine_opts *o, const char *trace_path,
		      struct rv_err *err);

/* A backup of a hot-standby pair; waits for its primary. o: where devices lead to; gets what machine it is. */
int session_open_backup(struct session **out, struct machine_opts *o, struct rv_err *err);

/* Looks on at a replay: questions to the inbound port, the events that answer them, outputs, digests. */
struct session_tap {
	void (*question)(void *ctx, const struct nd_query *q);
	void (*event)(void *ctx, const struct nd_query *q, const struct nd_event *ev);
	void (*output)(void *ctx, vns_t vns, enum out_kind kind, unsigned instance, const void *data, size_t len);
	void (*mark)(void *ctx, struct machine *m);
	void *ctx;
};

struct session_replay_cfg {
	const char *trace_path;
	enum sandbox_profile profile;
	bool show;       /* console on stdout */
	icount_t until;  /* ICOUNT_MAX: to the end */
	const struct session_tap *tap; /* who looks on; copied; NULL: nobody */
	struct jit_opts jit;
	struct base_opts bases;
	bool progress;   /* a progress line may be shown */
	bool sandbox;
};
int session_open_replay(struct session **out, const struct session_replay_cfg *cfg,
			struct rv_err *err);

/* Runs to the end and closes the books: record writes the end record and finishes the log, replay
 * compares the end. Returns 0 with *result, or a code with a message. */
int session_run(struct session *s, struct machine_result *result, struct rv_err *err);
/* Writes out what the console holds and restores the terminal, so that messages may follow. */
void session_release_console(struct session *s);
void session_close(struct session *s); /* restores the terminal; NULL is fine */

struct machine *session_machine(struct session *s);
void session_print_stats(const struct session *s, const char *command);
/* Replay. */
const struct trace *session_trace(const struct session *s);
const struct evlog_info *session_log_info(const struct session *s);
uint64_t session_digests_checked(const struct session *s);
/* Reads all recorded checkpoints: RV_EDAMAGED names a bad one. */
int session_check_checkpoints(struct session *s, uint64_t *n, struct rv_err *err);
/* The same, and fn is told of each. */
struct ckpt_info;
int session_each_checkpoint(struct session *s, void (*fn)(void *ctx, const struct ckpt_info *info), void *ctx,
			    struct rv_err *err);
/* After RV_EDIVERGED: several lines for a person; "" if there is nothing to say. */
const char *session_divergence(const struct session *s);

#endif
