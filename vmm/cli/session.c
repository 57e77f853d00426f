/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "files.h"
#include "gdb_replay.h"
#include "gdbstub/gdbstub.h"
#include "host_devices.h"
#include "live_target.h"
#include "manifest.h"
#include "progress.h"
#include "record/ckpt.h"
#include "record/recorder.h"
#include "replay/replay.h"
#include "signals.h"
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
	struct gate gate;
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
	/* replay */
	struct trace *trace;
	struct evlog_reader *reader;
	struct replayer *replayer;
	struct base_digests *bases;
	icount_t until;
};

static int gate_next(struct nondet *nd, const struct nd_query *query, struct nd_event *ev)
{
	return nondet_next(((struct gate *)nd)->to_nondet, query, ev);
}

static icount_t gate_horizon(struct nondet *nd, icount_t icount)
{
	return nondet_horizon(((struct gate *)nd)->to_nondet, icount);
}

static void gate_emit(struct output *out, icount_t icount, enum out_kind kind, unsigned instance,
		      const void *data, size_t len)
{
	output_emit(((struct gate_out *)out)->to_output, icount, kind, instance, data, len);
}

static const struct nondet_ops gate_nondet_ops = { .next = gate_next, .horizon = gate_horizon };
static const struct output_ops gate_output_ops = { .emit = gate_emit };

static struct session *session_new(void)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->gate.nondet.ops = &gate_nondet_ops;
	s->gate_out.output.ops = &gate_output_ops;
	host_devices_init(&s->host);
	s->limits.icount = ICOUNT_MAX;
	s->until = ICOUNT_MAX;
	return s;
}

/* ---- stopping ---- */

/* Signal handler and console thread: end a live run through its inbound port, so that the end is logged. */
static void stop_live(void *ctx)
{
	live_stop(((struct session *)ctx)->live);
}

static void stop_replay(void *ctx)
{
	machine_interrupt(((struct session *)ctx)->machine);
}

/* ---- live ---- */

/* A disk's base was read: whoever replays must read the same. */
static int live_base_read(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks,
			  const uint8_t *data)
{
	struct session *s = ctx;
	const struct exec_point at = { machine_icount(s->machine), machine_seq(s->machine) };

	return s->recorder ? recorder_base_read(s->recorder, at, disk, block, nblocks, data) : RV_OK;
}

#define LIVE_PATHS_MAX 12u

/* What a console (--serial, --hvc) will still open by name. */
static unsigned console_paths(const char *spec, struct sandbox_path *paths)
{
	char tty[128];
	unsigned n = 0;

	if (!strncmp(spec, "file:", 5))
		paths[n++] = (struct sandbox_path){ files_open_parent(spec + 5), SANDBOX_ACCESS_CREATE };
	if (!strcmp(spec, "pty")) {
		paths[n++] = (struct sandbox_path){ open("/dev/pts", O_PATH | O_CLOEXEC),
						    SANDBOX_ACCESS_DEVICE };
		paths[n++] = (struct sandbox_path){ open("/dev/ptmx", O_PATH | O_CLOEXEC),
						    SANDBOX_ACCESS_DEVICE };
	}
	if (!strcmp(spec, "stdio")) {
		for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++) {
			if (isatty(fd) && ttyname_r(fd, tty, sizeof(tty)) == 0)
				paths[n++] = (struct sandbox_path){ open(tty, O_PATH | O_CLOEXEC),
								    SANDBOX_ACCESS_DEVICE };
		}
	}
	return n;
}

static bool has_user_net(const struct machine_opts *o)
{
	for (unsigned i = 0; i < o->devices.nnets; i++)
		if (!strncmp(o->devices.net[i].spec, "user", 4))
			return true;
	return false;
}

/* What the run will still open by name, for Landlock. Descriptors are closed by the caller. */
static unsigned live_paths(const struct machine_opts *o, const char *trace_path,
			   struct sandbox_path paths[LIVE_PATHS_MAX])
{
	unsigned n = 0;

	if (trace_path)
		paths[n++] = (struct sandbox_path){ files_open_parent(trace_path), SANDBOX_ACCESS_CREATE };
	if (o->engine == &engine_kvm_ops)
		paths[n++] = (struct sandbox_path){ open("/dev/kvm", O_PATH | O_CLOEXEC),
						    SANDBOX_ACCESS_DEVICE };
	if (has_user_net(o)) /* the host's resolver settings, which the guest's name server follows */
		paths[n++] = (struct sandbox_path){ open("/etc/resolv.conf", O_PATH | O_CLOEXEC),
						    SANDBOX_ACCESS_FILE };
	n += console_paths(o->serial, paths + n);
	if (o->devices.hvc)
		n += console_paths(o->devices.hvc, paths + n);
	return n;
}

static int live_sandbox(const struct machine_opts *o, const char *trace_path, struct rv_err *err)
{
	struct sandbox_path paths[LIVE_PATHS_MAX];
	unsigned n = live_paths(o, trace_path, paths);
	const enum sandbox_tcp tcp = has_user_net(o) ? SANDBOX_TCP_ALL : SANDBOX_TCP_NONE;
	int rc = o->gdb ? gdb_sandbox_prepare(o->gdb, paths, n, tcp, err) :
			  sandbox_prepare(paths, n, tcp, err);

	for (unsigned i = 0; i < n; i++) {
		if (paths[i].fd >= 0)
			close(paths[i].fd);
	}
	return rc;
}

/* The live ports, and what must be opened while the process still may. */
static int live_open(struct session *s, const struct machine_opts *o, struct rv_err *err)
{
	/* A person at a terminal needs a halt to take its time, also under the virtual clock. */
	const bool person = !strcmp(o->serial, "stdio") && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	const struct live_cfg live = {
		.clock = o->clock,
		.dilation = o->dilation,
		.catch_up = o->catch_up,
		.uncounted = !(o->engine->caps & ENGINE_CAP_EXACT),
		.virtual_waits = o->clock == LIVE_CLOCK_VIRTUAL && (person || !strcmp(o->serial, "pty")),
	};
	const struct base_reader reader = { live_base_read, s };
	int rc = live_create(&s->live, &live);

	if (rc)
		return rv_err_set(err, rc, "cannot make the live ports: %s", rv_status_text(rc));
	s->gate.to_nondet = live_nondet(s->live);
	s->gate_out.to_output = &s->host.output;
	return host_devices_open(&s->host, o, s->live, &reader, err);
}

static int live_consoles(struct session *s, const struct machine_opts *o, struct rv_err *err)
{
	const char *const spec[CONSOLES] = { o->serial, o->devices.hvc };
	int rc = 0;

	for (unsigned i = 0; !rc && i < CONSOLES; i++) {
		const struct console_cfg cfg = { .spec = spec[i], .input = true, .live = s->live,
						 .instance = i, .stopped = stop_live, .ctx = s };
		if (spec[i])
			rc = console_create(&s->host.console[i], &cfg, err);
	}
	return rc;
}

/* Checkpoints make time travel fast; a recording is as good without them. */
static void ckpts_give_up(struct session *s, const char *why)
{
	fprintf(stderr, "retrovisor: no more checkpoints: %s; the recording goes on\n", why);
	ckpt_writer_destroy(s->ckpts);
	s->ckpts = NULL;
}

static void ckpts_open(struct session *s, const struct machine_opts *o, const char *path,
		       const struct trace_manifest *manifest)
{
	struct rv_err err;

	if (!o->checkpoint_every)
		return;
	s->ckpt_every = o->checkpoint_every;
	s->ckpt_next = progress_now_ns() + s->ckpt_every;
	if (ckpt_writer_create(&s->ckpts, path, manifest, s->machine, &err))
		ckpts_give_up(s, err.text);
}

static void ckpts_take(struct session *s)
{
	uint64_t now;
	int rc;

	if (!s->ckpts || (now = progress_now_ns()) < s->ckpt_next)
		return;
	rc = ckpt_writer_take(s->ckpts, recorder_sent(s->recorder));
	if (rc)
		ckpts_give_up(s, rv_status_text(rc));
	s->ckpt_next = now + s->ckpt_every;
}

static void ckpts_finish(struct session *s)
{
	struct rv_err err;

	if (!s->ckpts)
		return;
	if (ckpt_writer_finish(s->ckpts, &err))
		fprintf(stderr, "retrovisor: the last checkpoint was not written: %s\n", err.text);
	ckpt_writer_destroy(s->ckpts);
	s->ckpts = NULL;
}

static int record_mark(void *ctx, struct machine *m)
{
	struct session *s = ctx;
	int rc = recorder_mark(s->recorder, m);

	if (!rc)
		ckpts_take(s);
	return rc;
}

static int record_open(struct session *s, const struct machine_opts *o, const char *path,
		       const struct file_data *kernel, const struct file_data *initrd,
		       struct rv_err *err)
{
	const struct evlog_writer_cfg cfg = { .sync = o->sync };
	struct trace_manifest manifest;
	struct machine_devices devices;
	int rc;

	host_devices_describe(&s->host, o, &devices);
	rc = manifest_fill(&manifest, o, &devices, kernel->len, initrd->len, SESSION_DIGEST_EVERY, err);
	if (rc)
		return rc;
	s->trace_path = strdup(path);
	if (!s->trace_path)
		rc = rv_err_set(err, RV_ENOMEM, "out of memory");
	else
		rc = evlog_writer_create(&s->log, path, &manifest, kernel->data, initrd->data, &cfg, err);
	if (!rc)
		ckpts_open(s, o, path, &manifest);
	trace_manifest_fini(&manifest);
	if (rc)
		return rc;
	rc = recorder_create(&s->recorder, live_nondet(s->live), &s->host.output, s->log);
	if (rc)
		return rv_err_set(err, rc, "cannot make the recorder: %s", rv_status_text(rc));
	s->gate.to_nondet = recorder_nondet(s->recorder);
	s->gate_out.to_output = recorder_output(s->recorder);
	s->limits.mark_every = SESSION_DIGEST_EVERY;
	s->limits.mark = record_mark;
	s->limits.ctx = s;
	return 0;
}

static enum sandbox_profile live_profile(const struct machine_opts *o, bool record)
{
	if (o->gdb)
		return record ? SANDBOX_RECORD_GDB : SANDBOX_RUN_GDB;
	if (record)
		return SANDBOX_RECORD;
	return o->engine == &engine_kvm_ops ? SANDBOX_RUN_KVM : SANDBOX_RUN;
}

static int live_gdb(struct session *s, const char *addr, struct rv_err *err)
{
	int rc = live_target_create(&s->target, s->machine, s->live, &s->limits);

	if (rc)
		return rv_err_set(err, rc, "--gdb=%s: %s", addr, rv_status_text(rc));
	return gdbstub_listen(&s->stub, addr, live_target_base(s->target), err);
}

int session_open_live(struct session **out, const struct machine_opts *o, const char *trace_path,
		      struct rv_err *err)
{
	struct machine_cfg cfg = {
		.memory = o->memory,
		.ncpus = o->cpus,
		.engine = o->engine,
		.jit = o->jit.jit,
		.code_cache = o->jit.code_cache,
		.clock_rate = machine_opts_clock_rate(o),
		.date = o->date,
		.reboot = !o->no_reboot,
		.cmdline = o->append,
		.kernel_name = o->kernel,
		.initrd_name = o->initrd,
	};
	struct session *s = session_new();
	int rc;

	if (!s)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	s->jit = o->jit;
	if (trace_path && !(o->engine->caps & ENGINE_CAP_EXACT)) {
		rc = rv_err_set(err, RV_ENOTSUP, "--engine=%s: cannot record; use --engine=exact",
				o->engine->name);
		goto fail;
	}
	if ((rc = files_read(&s->kernel, "--kernel", o->kernel, err)) ||
	    (o->initrd && (rc = files_read(&s->initrd, "--initrd", o->initrd, err))))
		goto fail;
	if ((rc = live_open(s, o, err)))
		goto fail;
	if (o->sandbox && (rc = live_sandbox(o, trace_path, err)))
		goto fail;
	if ((rc = live_consoles(s, o, err)))
		goto fail;
	host_devices_describe(&s->host, o, &cfg.devices);
	cfg.kernel = s->kernel.data;
	cfg.kernel_len = s->kernel.len;
	cfg.initrd = s->initrd.data;
	cfg.initrd_len = s->initrd.len;
	cfg.nondet = &s->gate.nondet;
	cfg.output = &s->gate_out.output;
	if ((rc = machine_create(&s->machine, &cfg, err)))
		goto fail;
	s->limits.icount = o->max_icount;
	if (trace_path && (rc = record_open(s, o, trace_path, &s->kernel, &s->initrd, err)))
		goto fail;
	if ((rc = host_devices_start(&s->host, trace_path, err)))
		goto fail;
	s->gdb_wait = o->gdb_wait;
	if (o->gdb && (rc = live_gdb(s, o->gdb, err)))
		goto fail;
	if (o->sandbox && (rc = sandbox_enter(live_profile(o, trace_path),
					  has_user_net(o) ? SANDBOX_NET : 0, err)))
		goto fail;
	*out = s;
	return 0;
fail:
	session_close(s);
	return rc;
}

/* ---- replay ---- */

static int replay_mark(void *ctx, struct machine *m)
{
	struct session *s = ctx;

	progress_update(&s->progress, machine_icount(m));
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
	rc = replayer_create(&s->replayer, s->reader, cfg->also ? cfg->also : &s->host.output);
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
	replay_machine_cfg(s->trace, s->host.port, &mcfg);
	mcfg.engine = &engine_exact_ops;
	mcfg.jit = cfg->jit.jit;
	mcfg.code_cache = cfg->jit.code_cache;
	mcfg.nondet = &s->gate.nondet;
	mcfg.output = &s->gate_out.output;
	if ((rc = machine_create(&s->machine, &mcfg, err)))
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

/* How far the log on disk reaches, asked of the log itself: what was appended may not have got there. */
static icount_t trace_valid_to(const char *path)
{
	struct trace *t = NULL;
	struct evlog_reader *r = NULL;
	icount_t last = 0;
	struct rv_err ignored;

	if (trace_open(&t, path, &ignored) == 0) {
		if (evlog_reader_open(&r, t, &ignored) == 0)
			last = evlog_reader_info(r)->last.icount;
		evlog_reader_close(r);
	}
	trace_close(t);
	return last;
}

/* A live machine has no recording to differ from: RV_EDIVERGED is the engine's own check. */
static int live_failed(const struct session *s, int rc, struct rv_err *err)
{
	if (rc == RV_EDIVERGED)
		return rv_err_set(err, rc,
				  "--jit=check: translated code differs from the interpreter at icount %" PRIu64,
				  machine_icount(s->machine));
	return rv_err_set(err, rc, "the machine failed at icount %" PRIu64 ": %s",
			  machine_icount(s->machine), rv_status_text(rc));
}

static int record_finish(struct session *s, int rc, const struct machine_result *result,
			 struct rv_err *err)
{
	int log_rc, end_rc;

	/* Something other than the log went wrong: the history ends here, and the trace says so. */
	const struct machine_result host_error = { .end = (enum machine_end)255 };

	ckpts_finish(s);
	end_rc = recorder_end(s->recorder, s->machine, rc ? &host_error : result);
	log_rc = evlog_writer_finish(s->log, err);
	if (!log_rc)
		log_rc = end_rc;
	s->log_bytes = evlog_writer_bytes(s->log);
	recorder_destroy(s->recorder);
	s->recorder = NULL;
	evlog_writer_destroy(s->log);
	s->log = NULL;
	if (log_rc)
		return rv_err_set(err, log_rc, "%s: %s; the trace is valid up to icount %" PRIu64,
				  s->trace_path, rv_status_text(log_rc), trace_valid_to(s->trace_path));
	if (rc)
		return live_failed(s, rc, err);
	return 0;
}

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

static bool debugger_waits(void *ctx)
{
	return gdbstub_pending(((struct session *)ctx)->stub);
}

/* A stop request must end a machine that stands in the debugger too. */
static bool debugger_give_up(void *ctx)
{
	(void)ctx;
	return signals_stop_seen() != 0;
}

/* Runs until a debugger comes, serves it, and runs on when it leaves. One that kills ends the run, as a
 * stop request does: through the inbound port, so that a recording has it. */
static int run_debugged(struct session *s, struct machine_result *result)
{
	while (s->gdb_wait || !live_target_run(s->target, debugger_waits, s)) {
		enum gdbstub_end end = GDBSTUB_DETACHED;

		s->gdb_wait = false;
		if (gdbstub_serve(s->stub, debugger_give_up, s, &end) == RV_OK && end == GDBSTUB_KILLED)
			live_stop(s->live);
	}
	return live_target_result(s->target, result);
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

int session_run(struct session *s, struct machine_result *result, struct rv_err *err)
{
	int rc;

	signals_set_stop(s->live ? stop_live : stop_replay, s);
	stats_begin(&s->stats);
	rc = s->stub ? run_debugged(s, result) : machine_run(s->machine, &s->limits, result);
	stats_end(&s->stats);
	progress_end(&s->progress);
	if (s->jit.dump_set)
		show_block(s);
	if (s->recorder)
		rc = record_finish(s, rc, result, err);
	else if (s->replayer)
		rc = replay_finish(s, rc, result, err);
	else if (rc)
		live_failed(s, rc, err);
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
	progress_end(&s->progress);
	gdbstub_destroy(s->stub);
	live_target_destroy(s->target);
	ckpt_writer_destroy(s->ckpts);
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

int session_check_checkpoints(struct session *s, uint64_t *n, struct rv_err *err)
{
	struct ckpt_store *store;
	struct ckpt **list = NULL;
	size_t count = 0;
	int rc = ckpt_store_create(&store, s->machine);

	if (rc)
		return rv_err_set(err, rc, "out of memory for checkpoints");
	rc = ckpt_load_all(store, s->trace, evlog_reader_info(s->reader)->last, &list, &count, err);
	for (size_t i = 0; i < count; i++)
		ckpt_release(store, list[i]);
	free(list);
	ckpt_store_destroy(store);
	*n = count;
	return rc;
}

const char *session_divergence(const struct session *s)
{
	const char *text = s->replayer ? replayer_report(s->replayer) : NULL;

	return text ? text : "";
}
