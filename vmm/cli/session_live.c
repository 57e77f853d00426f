/* SPDX-License-Identifier: Apache-2.0 */
/* Run and record: the live end of a session. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gdb_replay.h"
#include "manifest.h"
#include "session_int.h"
#include "signals.h"

/* ---- live ---- */

/* A disk's base was read: whoever replays must read the same. */
static int live_base_read(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks,
			  const uint8_t *data)
{
	struct session *s = ctx;
	const struct exec_point at = { machine_icount(s->machine), machine_seq(s->machine) };

	return s->recorder ? recorder_base_read(s->recorder, at, disk, block, nblocks, data) : RV_OK;
}

#define LIVE_PATHS_MAX 16u

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

/* A user-mode network makes connections; so does half of a pair. */
static bool has_sockets(const struct machine_opts *o)
{
	if (o->pair)
		return true;
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
	if (has_sockets(o) && !o->pair) /* the host's resolver settings, which the guest's name server follows */
		paths[n++] = (struct sandbox_path){ open("/etc/resolv.conf", O_PATH | O_CLOEXEC),
						    SANDBOX_ACCESS_FILE };
	if (o->ctl) { /* to remove the socket, and for what is saved */
		paths[n++] = (struct sandbox_path){ files_open_parent(o->ctl), SANDBOX_ACCESS_SOCKET };
		paths[n++] = (struct sandbox_path){ files_open_parent(o->ctl), SANDBOX_ACCESS_CREATE };
	}
	if (o->pair && o->pair->metrics && !strncmp(o->pair->metrics, "unix:", 5)) /* to remove the socket */
		paths[n++] = (struct sandbox_path){ files_open_parent(o->pair->metrics + 5), SANDBOX_ACCESS_SOCKET };
	if (o->resume)
		paths[n++] = (struct sandbox_path){ open(o->resume, O_PATH | O_DIRECTORY | O_CLOEXEC),
						    SANDBOX_ACCESS_READ };
	n += console_paths(o->serial, paths + n);
	if (o->devices.hvc)
		n += console_paths(o->devices.hvc, paths + n);
	return n;
}

static int live_sandbox(const struct machine_opts *o, const char *trace_path, struct rv_err *err)
{
	struct sandbox_path paths[LIVE_PATHS_MAX];
	unsigned n = live_paths(o, trace_path, paths);
	const enum sandbox_tcp tcp = has_sockets(o) ? SANDBOX_TCP_ALL : SANDBOX_TCP_NONE;
	int rc = o->gdb ? gdb_sandbox_prepare(o->gdb, paths, n, tcp, err) :
			  sandbox_prepare(paths, n, tcp, err);

	for (unsigned i = 0; i < n; i++) {
		if (paths[i].fd >= 0)
			close(paths[i].fd);
	}
	return rc;
}

/* The live ports, and what must be opened while the process still may. */
int session_live_ports(struct session *s, const struct machine_opts *o, struct rv_err *err)
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
	const struct base_reader reader = { o->pair ? session_pair_base_read : live_base_read, s };
	const struct disk_shared shared = { session_pair_ticket, session_pair_commit, s };
	int rc = live_create(&s->live, &live);

	if (rc)
		return rv_err_set(err, rc, "cannot make the live ports: %s", rv_status_text(rc));
	s->gate.to_nondet = live_nondet(s->live);
	s->gate_out.to_output = &s->host.output;
	return host_devices_open(&s->host, o, s->live, &reader, &shared, err);
}

static int live_consoles(struct session *s, const struct machine_opts *o, struct rv_err *err)
{
	const char *const spec[CONSOLES] = { o->serial, o->devices.hvc };
	int rc = 0;

	for (unsigned i = 0; !rc && i < CONSOLES; i++) {
		const struct console_cfg cfg = { .spec = spec[i], .input = true, .live = s->live,
						 .instance = i, .stopped = session_stop_live, .ctx = s };
		if (spec[i])
			rc = console_create(&s->host.console[i], &cfg, err);
	}
	return rc;
}

/* ---- checkpoints of a recording ---- */

/* They make time travel fast; a recording is as good without them. */
static void ckpts_give_up(struct session *s, const char *why)
{
	fprintf(stderr, "retrovisor: no more checkpoints: %s; the recording goes on%s\n", why,
		s->keep ? ", and nothing of it is dropped any more" : "");
	ckpt_writer_destroy(s->ckpts);
	s->ckpts = NULL;
}

static int ckpts_sync(void *ctx)
{
	return host_devices_sync(&((struct session *)ctx)->host);
}

static uint64_t ckpts_other_bytes(void *ctx)
{
	const struct session *s = ctx;
	uint64_t sum = s->kernel.len + s->initrd.len;

	for (unsigned i = 0; i < s->host.ndisks; i++)
		sum += disk_file_log_bytes(s->host.disk[i]);
	return sum;
}

static void ckpts_full_taken(void *ctx, uint32_t number)
{
	struct session *s = ctx;

	record_keep_full_taken(s->keep, s->machine, number);
	/* What the dropped past said about the bases is said again. */
	recorder_base_forget(s->recorder);
}

static void ckpts_dropped(void *ctx, uint32_t oldest)
{
	record_keep_dropped(((struct session *)ctx)->keep, oldest);
}

/* The ticker of a flight recording: a guest that sleeps reaches no digest for a long time. */
static void ckpts_tick(void *ctx)
{
	session_ask(ctx, ASK_CKPT);
}

static int ckpts_open(struct session *s, const struct machine_opts *o, const char *path,
		      const struct trace_manifest *manifest, struct rv_err *err)
{
	const struct ckpt_writer_cfg cfg = {
		.sync = s->host.ndisks ? ckpts_sync : NULL,
		.keep_ns = o->keep_ns,
		.keep_bytes = o->keep_bytes,
		.begin_here = o->resume != NULL,
		.log = s->log,
		.other_bytes = ckpts_other_bytes,
		.full_taken = ckpts_full_taken,
		.dropped = ckpts_dropped,
		.ctx = s,
	};
	int rc;

	if (!o->checkpoint_every && !o->resume)
		return 0;
	s->ckpt_every = o->checkpoint_every;
	s->ckpt_next = progress_now_ns() + s->ckpt_every;
	rc = ckpt_writer_create(&s->ckpts, path, manifest, s->machine, &cfg, err);
	if (!manifest->keep) {
		if (rc)
			ckpts_give_up(s, err->text);
		return 0;
	}
	if (!rc && record_keep_create(&s->keep, &s->host, s->ckpt_every, ckpts_tick, s))
		rc = rv_err_set(err, RV_ENOMEM, "--keep: out of memory");
	return rc;
}

/* At the first position of an icount, as a checkpoint must be. */
static void ckpts_take(struct session *s)
{
	uint64_t now = progress_now_ns();
	int rc;

	if (!s->ckpts || (now < s->ckpt_next && !s->ckpt_wanted))
		return;
	rc = ckpt_writer_take(s->ckpts, recorder_sent(s->recorder));
	if (rc)
		ckpts_give_up(s, rv_status_text(rc));
	s->ckpt_next = now + s->ckpt_every;
	s->ckpt_wanted = false;
}

static void ckpts_finish(struct session *s)
{
	struct rv_err err;

	if (s->ckpts && ckpt_writer_finish(s->ckpts, &err))
		fprintf(stderr, "retrovisor: the last checkpoint was not written: %s\n", err.text);
	ckpt_writer_destroy(s->ckpts);
	s->ckpts = NULL;
	record_keep_destroy(s->keep);
	s->keep = NULL;
}

static int record_mark(void *ctx, struct machine *m)
{
	struct session *s = ctx;
	int rc = recorder_mark(s->recorder, m);

	if (!rc)
		ckpts_take(s);
	return rc;
}

/* ---- asked from outside ---- */

void session_ask(struct session *s, enum session_ask what)
{
	atomic_fetch_or(&s->asked, what);
	if (s->machine)
		machine_interrupt(s->machine);
	live_interrupt(s->live);
	if (s->pair)
		session_pair_interrupt(s);
}

/* Signal handler and console thread: end a live run through its inbound port, so that the end is logged. */
void session_stop_live(void *ctx)
{
	live_stop(((struct session *)ctx)->live);
}

/* A point worth coming back to: in the log, and with a checkpoint. */
static int note_here(struct session *s, const char *text)
{
	int rc = recorder_note(s->recorder, s->machine, text);

	s->ckpt_wanted = s->ckpts != NULL;
	return rc;
}

/* machine_limits.panic */
static void guest_panicked(void *ctx, struct machine *m)
{
	struct session *s = ctx;

	fprintf(stderr, "retrovisor: the guest's kernel panicked at icount %" PRIu64 "%s\n", machine_icount(m),
		s->on_panic_stop ? "; the run ends here" : "");
	if (s->log && note_here(s, "guest panic") == RV_OK)
		session_ask(s, ASK_CKPT);
	if (s->on_panic_stop)
		live_stop(s->live);
}

static void ctl_wanted(void *ctx)
{
	session_ask(ctx, ASK_CTL);
}

static int ctl_stats(struct session *s, struct bytes *reply)
{
	struct stats now = s->stats;

	if (!s->machine) {
		bytes_put_text(reply, "\"ft\": {\"role\": \"waiting\", \"term\": 0}");
		return 0;
	}
	stats_end(&now);
	bytes_put_text(reply, "\"icount\": %" PRIu64 ", \"vns\": %" PRIu64 ", \"seconds\": %.3f, "
		       "\"vcpu_cpu_seconds\": %.3f, \"mips\": %.1f, \"events\": %" PRIu64,
		       machine_icount(s->machine), machine_vns(s->machine), (double)now.host_ns / 1e9,
		       (double)now.cpu_ns / 1e9,
		       now.cpu_ns ? (double)machine_icount(s->machine) * 1e3 / (double)now.cpu_ns : 0.0,
		       machine_seq(s->machine));
	bytes_put_text(reply, ", \"recording\": %s", s->log ? "true" : "false");
	if (s->log)
		bytes_put_text(reply, ", \"log_bytes\": %" PRIu64, evlog_writer_bytes(s->log));
	for (unsigned i = 0; i < s->host.ndisks; i++)
		bytes_put_text(reply, "%s{\"log_bytes\": %" PRIu64 "}%s", i ? ", " : ", \"disks\": [",
			       disk_file_log_bytes(s->host.disk[i]), i + 1 == s->host.ndisks ? "]" : "");
	for (unsigned i = 0; i < s->host.nnets; i++) {
		struct net_stats n;

		net_stats(s->host.net[i], &n);
		bytes_put_text(reply, "%s{\"rx_bytes\": %" PRIu64 ", \"rx_dropped\": %" PRIu64
			       ", \"tx_bytes\": %" PRIu64 ", \"tx_dropped\": %" PRIu64 "}%s",
			       i ? ", " : ", \"nets\": [", n.rx_bytes, n.rx_dropped, n.tx_bytes, n.tx_dropped,
			       i + 1 == s->host.nnets ? "]" : "");
	}
	if (s->pair)
		session_pair_stats(s, reply);
	return 0;
}

static int ctl_save(struct session *s, const char *name, struct bytes *reply, struct rv_err *err)
{
	const struct output_digest none = { .bytes = 0 };
	const struct save_from from = { .machine = s->machine,
					.host = &s->host,
					.sent = s->recorder ? recorder_sent(s->recorder) : &none,
					.kernel = s->kernel.data,
					.initrd = s->initrd.data };
	const char *slash = strrchr(s->opts->ctl, '/');
	struct trace_manifest manifest;
	struct machine_devices devices;
	uint64_t begin = progress_now_ns();
	char path[TRACE_PATH_MAX];
	int rc;

	/* The sandbox lets this process make things in the socket's folder, and nowhere else. */
	if (!*name || strchr(name, '/') || name[0] == '.')
		return rv_err_set(err, RV_EUSAGE, "save: needs a plain name; it is made beside the socket");
	if (!(s->opts->engine->caps & ENGINE_CAP_EXACT))
		return rv_err_set(err, RV_ENOTSUP, "save: needs --engine=exact");
	snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash - s->opts->ctl + 1) : 0, s->opts->ctl, name);
	host_devices_describe(&s->host, s->opts, &devices);
	rc = manifest_fill(&manifest, s->opts, &devices, s->kernel.len, s->initrd.len, SESSION_DIGEST_EVERY, err);
	if (!rc)
		rc = save_machine(path, &manifest, &from, err);
	trace_manifest_fini(&manifest);
	bytes_put_text(reply, "\"icount\": %" PRIu64 ", \"paused_ms\": %" PRIu64, machine_icount(s->machine),
		       (progress_now_ns() - begin) / 1000000);
	return rc;
}

/* ctl_cfg.run: on the vCPU thread, between two stretches. */
static int ctl_run(void *ctx, const char *command, const char *arg, struct bytes *reply, struct rv_err *err)
{
	struct session *s = ctx;
	int rc = 0;

	if (!strcmp(command, "stats"))
		return ctl_stats(s, reply);
	if (!s->machine)
		return rv_err_set(err, RV_ENOTSUP, "%.40s: there is no machine yet", command);
	if (!strcmp(command, "save") && s->pair)
		return rv_err_set(err, RV_ENOTSUP, "save: not while it is half of a pair");
	if (!strcmp(command, "save"))
		return ctl_save(s, arg, reply, err);
	if (!strcmp(command, "stop")) {
		if (s->pair)
			session_pair_stop(s);
		else
			live_stop(s->live);
	} else if (!strcmp(command, "switch")) {
		if (!s->pair)
			return rv_err_set(err, RV_ENOTSUP, "switch: this machine has no backup");
		rc = session_pair_switch(s, err);
		if (rc)
			return rc;
	} else if (!strcmp(command, "mark") || !strcmp(command, "checkpoint")) {
		if (!s->log)
			return rv_err_set(err, RV_ENOTSUP, "%s: nothing is recorded", command);
		if (*command == 'm')
			rc = note_here(s, *arg ? arg : "mark");
		else
			s->ckpt_wanted = s->ckpts != NULL;
		if (*command == 'c' && !s->ckpts)
			return rv_err_set(err, RV_ENOTSUP, "checkpoint: none are taken (--checkpoint-every=0)");
	} else {
		return rv_err_set(err, RV_EUSAGE, "unknown command '%.80s'; use stats, mark, checkpoint, save, switch or stop",
				  command);
	}
	bytes_put_text(reply, "\"icount\": %" PRIu64, machine_icount(s->machine));
	return rc;
}

void session_answer_asked(struct session *s)
{
	unsigned asked = atomic_exchange(&s->asked, 0);

	if ((asked & ASK_MARK) && s->log)
		(void)note_here(s, "SIGUSR1"); /* an error of the log ends the run by itself */
	if ((asked & ASK_CKPT) && s->ckpts && progress_now_ns() >= s->ckpt_next)
		s->ckpt_wanted = true;
	if (asked & ASK_CTL)
		ctl_serve(s->ctl);
}

/* ---- opening ---- */

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
	manifest.keep = o->keep_ns || o->keep_bytes || o->resume;
	s->trace_path = strdup(path);
	if (!s->trace_path)
		rc = rv_err_set(err, RV_ENOMEM, "out of memory");
	else
		rc = evlog_writer_create(&s->log, path, &manifest, kernel->data, initrd->data, &cfg, err);
	if (!rc)
		rc = ckpts_open(s, o, path, &manifest, err);
	trace_manifest_fini(&manifest);
	if (rc)
		return rc;
	rc = recorder_create(&s->recorder, live_nondet(s->live), &s->host.output, evlog_writer_sink(s->log));
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

/* What the guest wrote to its disks before it was saved, and what it had asked of them. */
static int resume_io(struct session *s, const struct output_digest *sent, struct rv_err *err)
{
	char log[TRACE_PATH_MAX];
	int rc = 0;

	for (unsigned i = 0; !rc && i < s->host.ndisks; i++) {
		rc = trace_disk_log_path(s->opts->resume, i, log);
		rc = rc ? rv_err_set(err, rc, "%.300s: the name is too long", s->opts->resume) :
			  disk_file_copy_in(s->host.disk[i], log, err);
	}
	if (rc)
		return rc;
	if (s->recorder) {
		/* The recording begins here: with a checkpoint, at once. */
		recorder_resume(s->recorder, sent);
		rc = ckpt_writer_take(s->ckpts, recorder_sent(s->recorder));
		if (rc)
			return rv_err_set(err, rc, "the first checkpoint: %s", rv_status_text(rc));
	}
	machine_restart_io(s->machine);
	return 0;
}

static int live_ctl(struct session *s, const char *path, struct rv_err *err)
{
	const struct ctl_cfg cfg = { .path = path, .wanted = ctl_wanted, .run = ctl_run, .ctx = s };

	return ctl_create(&s->ctl, &cfg, err);
}

/* Control socket, sandbox, consoles: in this order. */
int session_live_fence(struct session *s, const struct machine_opts *o, const char *trace_path, struct rv_err *err)
{
	int rc = 0;

	if (o->ctl)
		rc = live_ctl(s, o->ctl, err);
	if (!rc && o->sandbox)
		rc = live_sandbox(o, trace_path, err);
	return rc ? rc : live_consoles(s, o, err);
}

int session_live_lock(struct session *s, const struct machine_opts *o, const char *trace_path, struct rv_err *err)
{
	const unsigned flags = (has_sockets(o) ? SANDBOX_NET : 0u) |
			       (o->ctl || (o->pair && o->pair->metrics) ? SANDBOX_CTL : 0u);

	(void)s;
	return o->sandbox ? sandbox_enter(live_profile(o, trace_path), flags, err) : 0;
}

/* Everything but the machine is there before a primary calls. */
int session_open_backup(struct session **out, struct machine_opts *o, struct rv_err *err)
{
	struct session *s = session_new();
	int rc;

	if (!s)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	s->jit = o->jit;
	s->opts = o;
	if ((rc = session_pair_prepare(s, o, err)) || (rc = session_live_ports(s, o, err)) ||
	    (rc = session_pair_follow(s, o, err)) || (rc = session_live_fence(s, o, NULL, err)) || (s->ctl && (rc = ctl_start(s->ctl, err))) ||
	    (rc = session_pair_backup(s, o, err)) || (rc = session_live_lock(s, o, NULL, err))) {
		session_close(s);
		return rc;
	}
	s->limits.icount = s->max_icount = ICOUNT_MAX;
	s->limits.panic = guest_panicked;
	s->on_panic_stop = o->on_panic_stop;
	*out = s;
	return 0;
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
	struct output_digest sent = { .bytes = 0 };
	int rc;

	if (!s)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	s->jit = o->jit;
	s->opts = o;
	if (trace_path && !(o->engine->caps & ENGINE_CAP_EXACT)) {
		rc = rv_err_set(err, RV_ENOTSUP, "--engine=%s: cannot record; use --engine=exact",
				o->engine->name);
		goto fail;
	}
	if ((rc = files_read(&s->kernel, "--kernel", o->kernel, err)) ||
	    (o->initrd && (rc = files_read(&s->initrd, "--initrd", o->initrd, err))))
		goto fail;
	if ((o->pair && (rc = session_pair_prepare(s, o, err))) || (rc = session_live_ports(s, o, err)) ||
	    (rc = session_live_fence(s, o, trace_path, err)))
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
	s->limits.icount = s->max_icount = o->max_icount;
	s->limits.panic = guest_panicked;
	s->limits.ctx = s;
	s->on_panic_stop = o->on_panic_stop;
	if (o->resume && (rc = save_restore(o->resume, s->machine, &sent, err)))
		goto fail;
	if (trace_path && (rc = record_open(s, o, trace_path, &s->kernel, &s->initrd, err)))
		goto fail;
	if ((rc = host_devices_start(&s->host, trace_path, err)))
		goto fail;
	if (o->resume && (rc = resume_io(s, &sent, err)))
		goto fail;
	if (o->pair && (rc = session_pair_primary(s, o, err)))
		goto fail;
	if (s->ctl && (rc = ctl_start(s->ctl, err)))
		goto fail;
	s->gdb_wait = o->gdb_wait;
	if (o->gdb && (rc = live_gdb(s, o->gdb, err)))
		goto fail;
	if ((rc = session_live_lock(s, o, trace_path, err)))
		goto fail;
	*out = s;
	return 0;
fail:
	session_close(s);
	return rc;
}

/* ---- running ---- */

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

/* One stretch after the other: in between the machine stands still, for checkpoints and for what was asked. */
static int run_plain(struct session *s, struct machine_result *result)
{
	for (;;) {
		int rc;

		/* The first position of an icount is where a limit stops: the next one there will be. */
		s->limits.icount = s->max_icount;
		if (s->ckpt_wanted && machine_icount(s->machine) + 1 < s->max_icount)
			s->limits.icount = machine_icount(s->machine) + 1;
		rc = machine_run(s->machine, &s->limits, result);
		if (rc == RV_EINTR || (rc == RV_OK && result->end == MACHINE_END_INTERRUPTED)) {
			session_answer_asked(s);
		} else if (rc == RV_OK && result->end == MACHINE_END_LIMIT &&
			   machine_icount(s->machine) < s->max_icount) {
			ckpts_take(s);
			s->ckpt_wanted = false;
		} else {
			return rc;
		}
	}
}

int session_run_live(struct session *s, struct machine_result *result)
{
	return s->stub ? run_debugged(s, result) : run_plain(s, result);
}

/* ---- the end ---- */

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
int session_live_failed(const struct session *s, int rc, struct rv_err *err)
{
	if (rc == RV_EDIVERGED)
		return rv_err_set(err, rc,
				  "--jit=check: translated code differs from the interpreter at icount %" PRIu64,
				  machine_icount(s->machine));
	return rv_err_set(err, rc, "the machine failed at icount %" PRIu64 ": %s",
			  machine_icount(s->machine), rv_status_text(rc));
}

int session_finish_record(struct session *s, int rc, const struct machine_result *result, struct rv_err *err)
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
		return session_live_failed(s, rc, err);
	return 0;
}
