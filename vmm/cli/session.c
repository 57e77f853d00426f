/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "session_int.h"
#include "signals.h"

static int gate_next(struct nondet *nd, const struct nd_query *query, struct nd_event *ev)
{
	struct session *s = (struct session *)nd; /* the gate is the first member */
	int rc;

	if (s->tap.ctx)
		s->tap.question(s->tap.ctx, query);
	rc = nondet_next(s->gate.to_nondet, query, ev);
	if (rc > 0 && s->tap.ctx)
		s->tap.event(s->tap.ctx, query, ev);
	return rc;
}

static icount_t gate_horizon(struct nondet *nd, icount_t icount)
{
	return nondet_horizon(((struct gate *)nd)->to_nondet, icount);
}

static void gate_emit(struct output *out, icount_t icount, enum out_kind kind, unsigned instance,
		      const void *data, size_t len)
{
	struct session *s = (struct session *)((char *)out - offsetof(struct session, gate_out));

	output_emit(s->gate_out.to_output, icount, kind, instance, data, len);
	if (s->tap.ctx)
		s->tap.output(s->tap.ctx, machine_vns(s->machine), kind, instance, data, len);
}

static const struct nondet_ops gate_nondet_ops = { .next = gate_next, .horizon = gate_horizon };
static const struct output_ops gate_output_ops = { .emit = gate_emit };

struct session *session_new(void)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->gate.nondet.ops = &gate_nondet_ops;
	s->gate_out.output.ops = &gate_output_ops;
	host_devices_init(&s->host);
	s->limits.icount = ICOUNT_MAX;
	s->until = s->max_icount = ICOUNT_MAX;
	return s;
}

/* ---- replay ---- */

static void stop_replay(void *ctx)
{
	machine_interrupt(((struct session *)ctx)->machine);
}

static int replay_mark(void *ctx, struct machine *m)
{
	struct session *s = ctx;

	progress_update(&s->progress, machine_icount(m));
	if (s->tap.ctx)
		s->tap.mark(s->tap.ctx, m);
	return replayer_mark(s->replayer, m);
}

static int replay_base_read(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks,
			    const uint8_t *data)
{
	return base_digests_check(((struct session *)ctx)->bases, disk, block, nblocks, data);
}

static int replay_backends(struct session *s, const struct session_replay_cfg *cfg, struct rv_err *err)
{
	const struct console_cfg console = { .spec = "stdio" };
	int rc;

	if ((cfg->show && (rc = console_create(&s->host.console[CONSOLE_SERIAL], &console, err))) ||
	    (rc = host_devices_start(&s->host, cfg->trace_path, err)) ||
	    (rc = base_digests_create(&s->bases, s->reader, err)))
		return rc;
	rc = replayer_create(&s->replayer, evlog_reader_source(s->reader), &s->host.output);
	if (rc)
		return rv_err_set(err, rc, "%s: cannot make the replayer: %s", cfg->trace_path,
				  rv_status_text(rc));
	s->gate.to_nondet = replayer_nondet(s->replayer);
	s->gate_out.to_output = replayer_output(s->replayer);
	return 0;
}

static int replay_sandbox(const char *trace_path, struct rv_err *err)
{
	struct sandbox_path path = { open(trace_path, O_PATH | O_DIRECTORY | O_CLOEXEC),
				     SANDBOX_ACCESS_READ };
	int rc = sandbox_prepare(&path, 1, SANDBOX_TCP_NONE, err);

	if (path.fd >= 0)
		close(path.fd);
	return rc;
}

/* A flight recording whose past was dropped: its first checkpoint is where the machine begins. */
static int replay_start(struct session *s, struct rv_err *err)
{
	struct ckpt_store *store;
	struct ckpt **list = NULL;
	struct output_digest sent;
	size_t n = 0;
	int rc = ckpt_store_create(&store, s->machine);

	if (rc)
		return rv_err_set(err, rc, "out of memory for checkpoints");
	rc = ckpt_load_all(store, s->trace, evlog_reader_info(s->reader)->last, &list, &n, err);
	if (!rc && (n == 0 || (rc = ckpt_restore(store, list[0], &sent)) != RV_OK))
		rc = rv_err_set(err, RV_EDAMAGED, "%.300s: the checkpoint it begins with cannot be restored",
				trace_path(s->trace));
	if (!rc)
		replayer_resume(s->replayer, &sent, machine_icount(s->machine));
	while (n)
		ckpt_release(store, list[--n]);
	free(list);
	ckpt_store_destroy(store);
	return rc;
}

int session_open_replay(struct session **out, const struct session_replay_cfg *cfg,
			struct rv_err *err)
{
	struct machine_cfg mcfg = { 0 };
	struct session *s = session_new();
	const struct base_reader reader = { replay_base_read, s };
	int rc;

	if (!s)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	s->jit = cfg->jit;
	if (cfg->tap)
		s->tap = *cfg->tap;
	/* Of a trace, which is hostile, only the manifest is read outside the fence: it names the disks'
	 * bases. The terminal for the console is not among what may be opened; its descriptor is used as
	 * it is. */
	if ((rc = trace_open(&s->trace, cfg->trace_path, err)) ||
	    (rc = trace_check_supported(s->trace, err)) ||
	    (rc = host_devices_open_replay(&s->host, s->trace, &cfg->bases, &reader, err)))
		goto fail;
	if (cfg->sandbox && (rc = replay_sandbox(cfg->trace_path, err)))
		goto fail;
	if ((rc = evlog_reader_open(&s->reader, s->trace, err)) ||
	    (rc = replay_backends(s, cfg, err)))
		goto fail;
	replay_machine_cfg(trace_manifest(s->trace), trace_kernel(s->trace), trace_initrd(s->trace), s->host.port, &mcfg);
	mcfg.engine = &engine_exact_ops;
	mcfg.jit = cfg->jit.jit;
	mcfg.code_cache = cfg->jit.code_cache;
	mcfg.nondet = &s->gate.nondet;
	mcfg.output = &s->gate_out.output;
	if ((rc = machine_create(&s->machine, &mcfg, err)))
		goto fail;
	if (evlog_reader_info(s->reader)->start.from_ckpt && (rc = replay_start(s, err)))
		goto fail;
	s->until = cfg->until;
	s->limits.icount = cfg->until;
	s->limits.mark_every = trace_manifest(s->trace)->digest_every;
	s->limits.mark = replay_mark;
	s->limits.ctx = s;
	if (cfg->sandbox && (rc = sandbox_enter(cfg->profile, 0, err)))
		goto fail;
	progress_begin(&s->progress, cfg->progress,
		       cfg->until < replayer_last_icount(s->replayer) ?
			       cfg->until : replayer_last_icount(s->replayer));
	*out = s;
	return 0;
fail:
	session_close(s);
	return rc;
}

/* ---- running ---- */

static int replay_finish(struct session *s, int rc, const struct machine_result *result,
			 struct rv_err *err)
{
	if (!rc && result->end == MACHINE_END_INTERRUPTED)
		return 0;
	/* Stopped on request, in the middle of the history: there is no end to compare. */
	if (!rc && result->end == MACHINE_END_LIMIT &&
	    s->until < replayer_last_icount(s->replayer))
		return 0;
	return replayer_finish(s->replayer, s->machine, rc, result, err);
}

static void show_block(struct session *s)
{
	struct bytes text = { 0 };
	int rc = machine_jit_dump(s->machine, s->jit.dump, &text);

	if (text.len)
		fwrite(text.data, 1, text.len, stderr);
	bytes_fini(&text);
	if (rc)
		rv_log(RV_LOG_WARN, "--jit-dump: %s",
		       rc == RV_ENOENT ? "no translated block begins there" : "nothing is translated");
}

/* SIGUSR1 */
static void mark_here(void *ctx)
{
	session_ask(ctx, ASK_MARK);
}

int session_run(struct session *s, struct machine_result *result, struct rv_err *err)
{
	int rc;

	signals_set_stop(s->pair ? session_pair_stop : s->live ? session_stop_live : stop_replay, s);
	signals_set_mark(s->log ? mark_here : NULL, s);
	stats_begin(&s->stats);
	rc = s->pair ? session_pair_run(s, result) :
	     s->live ? session_run_live(s, result) : machine_run(s->machine, &s->limits, result);
	stats_end(&s->stats);
	progress_end(&s->progress);
	if (s->jit.dump_set)
		show_block(s);
	if (s->pair)
		rc = session_pair_end(s, rc, err);
	else if (s->recorder)
		rc = session_finish_record(s, rc, result, err);
	else if (s->replayer)
		rc = replay_finish(s, rc, result, err);
	else if (rc)
		session_live_failed(s, rc, err);
	return rc;
}

void session_release_console(struct session *s)
{
	host_devices_close_consoles(&s->host);
}

void session_close(struct session *s)
{
	if (!s)
		return;
	/* From here a signal ends the process: there is nothing left to stop. */
	signals_set_stop(NULL, NULL);
	signals_set_mark(NULL, NULL);
	ctl_destroy(s->ctl);
	progress_end(&s->progress);
	gdbstub_destroy(s->stub);
	live_target_destroy(s->target);
	session_pair_close(s);
	ckpt_writer_destroy(s->ckpts); /* its thread may still drop what the next has noted */
	record_keep_destroy(s->keep);
	recorder_destroy(s->recorder);
	evlog_writer_destroy(s->log);
	machine_destroy(s->machine);
	replayer_destroy(s->replayer);
	base_digests_destroy(s->bases);
	host_devices_close(&s->host);
	live_destroy(s->live);
	evlog_reader_close(s->reader);
	trace_close(s->trace);
	files_fini(&s->kernel);
	files_fini(&s->initrd);
	free(s->trace_path);
	free(s);
}

struct machine *session_machine(struct session *s)
{
	return s->machine;
}

void session_print_stats(const struct session *s, const char *command)
{
	stats_print(&s->stats, command, s->machine,
		    s->reader ? evlog_reader_info(s->reader)->log_bytes : s->log_bytes);
}

const struct trace *session_trace(const struct session *s)
{
	return s->trace;
}

const struct evlog_info *session_log_info(const struct session *s)
{
	return evlog_reader_info(s->reader);
}

uint64_t session_digests_checked(const struct session *s)
{
	return replayer_digests_checked(s->replayer);
}

static void count_one(void *ctx, const struct ckpt_info *info)
{
	(void)info;
	++*(uint64_t *)ctx;
}

int session_check_checkpoints(struct session *s, uint64_t *n, struct rv_err *err)
{
	*n = 0;
	return session_each_checkpoint(s, count_one, n, err);
}

int session_each_checkpoint(struct session *s, void (*fn)(void *ctx, const struct ckpt_info *info), void *ctx,
			    struct rv_err *err)
{
	struct ckpt_store *store;
	struct ckpt **list = NULL;
	size_t count = 0;
	int rc = ckpt_store_create(&store, s->machine);

	if (rc)
		return rv_err_set(err, rc, "out of memory for checkpoints");
	rc = ckpt_load_all(store, s->trace, evlog_reader_info(s->reader)->last, &list, &count, err);
	for (size_t i = 0; i < count; i++) {
		fn(ctx, ckpt_info(list[i]));
		ckpt_release(store, list[i]);
	}
	free(list);
	ckpt_store_destroy(store);
	return rc;
}

const char *session_divergence(const struct session *s)
{
	const char *text = s->replayer ? replayer_report(s->replayer) : NULL;

	return text ? text : "";
}
