/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `debug`: gdb and the replay it looks at, started together. Three processes:
 * this one, which reads nothing hostile, stays outside the sandbox, and tidies
 * up; the server, sandboxed, which replays; gdb, started when the server's
 * socket listens. The socket and the scripts lie in a directory of their own,
 * mode 0700. When gdb ends, a pipe tells the server.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/types.h"
#include "cli.h"
#include "gdb_replay.h"
#include "gdb_script.h"
#include "parse.h"

enum { OPT_SYMBOLS, OPT_GDB, OPT_CHECKPOINT_MEMORY, OPT_SCRIPT, OPT_BATCH, OPT_AT, OPT_SANDBOX };

#define SCRIPTS_MAX 16u
#define GDB_ARGS_MAX (2 * SCRIPTS_MAX + 16)

static const struct opt_spec debug_options[] = {
	{ "symbols", 0, "VMLINUX", OPT_SYMBOLS, "the guest kernel's symbols; moved to where it runs (KASLR)" },
	{ "at", 0, "WHERE", OPT_AT, "begin (default), end, an icount or vns:NS" },
	{ "command", 'x', "FILE", OPT_SCRIPT, "gdb commands to run; may be given more than once" },
	{ "batch", 0, NULL, OPT_BATCH, "leave when the commands are done" },
	{ "gdb", 0, "PATH", OPT_GDB, "gdb to use (default: gdb)" },
	{ "checkpoint-memory", 0, "SIZE", OPT_CHECKPOINT_MEMORY,
	  "memory for checkpoints made here (default: 512M)" },
	{ "sandbox", 0, "on|off", OPT_SANDBOX, "seccomp and Landlock (default: on)" },
};

struct debug_opts {
	const char *symbols, *gdb, *at;
	const char *script[SCRIPTS_MAX];
	unsigned nscripts;
	uint64_t checkpoint_memory;
	bool batch, sandbox;
	struct jit_opts jit;
	struct base_opts bases;
};

static int debug_set(void *ctx, int id, const char *value, struct rv_err *err)
{
	struct debug_opts *o = ctx;

	switch (id) {
	case OPT_SYMBOLS:
		if (access(value, R_OK) < 0)
			return rv_err_set(err, RV_EUSAGE, "--symbols=%.200s: %s", value, strerror(errno));
		/* gdb has one way to quote a file's name, and none to quote these in it. */
		if (strpbrk(value, "\"\\\n"))
			return rv_err_set(err, RV_EUSAGE, "--symbols=%.200s: gdb cannot take this name",
					  value);
		o->symbols = value;
		return 0;
	case OPT_AT:
		o->at = value;
		return 0;
	case OPT_SCRIPT:
		if (o->nscripts == SCRIPTS_MAX)
			return rv_err_set(err, RV_EUSAGE, "-x: more than %u files", SCRIPTS_MAX);
		if (access(value, R_OK) < 0)
			return rv_err_set(err, RV_EUSAGE, "-x %.200s: %s", value, strerror(errno));
		o->script[o->nscripts++] = value;
		return 0;
	case OPT_BATCH:
		o->batch = true;
		return 0;
	case OPT_GDB:
		o->gdb = value;
		return 0;
	case OPT_CHECKPOINT_MEMORY:
		if (!parse_size(value, &o->checkpoint_memory) || !o->checkpoint_memory)
			return rv_err_set(err, RV_EUSAGE, "--checkpoint-memory=%.80s: not a size", value);
		return 0;
	default:
		if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
			return rv_err_set(err, RV_EUSAGE, "--sandbox=%.80s: use on or off", value);
		o->sandbox = !strcmp(value, "on");
		return 0;
	}
}

struct debug {
	char dir[64], script[96], start[96], addr[96];
	int ready; /* the server's end: a byte is written when the socket listens */
	int alive; /* the server's end: closed on the other side when gdb has gone */
};

static int write_file(const char *path, const char *text, struct rv_err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return rv_err_set(err, rv_status_from_errno(errno), "%s: %s", path, strerror(errno));
	n = write(fd, text, len);
	close(fd);
	return n == (ssize_t)len ? 0 : rv_err_set(err, RV_EIO, "%s: cannot write", path);
}

static int make_dir(struct debug *d, const struct debug_opts *o, struct rv_err *err)
{
	char start[4600];
	int rc;

	snprintf(d->dir, sizeof(d->dir), "/tmp/retrovisor-XXXXXX");
	if (!mkdtemp(d->dir)) {
		rc = rv_err_set(err, rv_status_from_errno(errno), "%s: %s", d->dir, strerror(errno));
		d->dir[0] = 0;
		return rc;
	}
	snprintf(d->script, sizeof(d->script), "%s/retrovisor.gdb", d->dir);
	snprintf(d->start, sizeof(d->start), "%s/start.gdb", d->dir);
	snprintf(d->addr, sizeof(d->addr), "unix:%s/gdb", d->dir);
	if (snprintf(start, sizeof(start),
		     "set architecture i386:x86-64\nsource %s\ntarget remote %s\n%s%s%s", d->script,
		     d->addr + strlen("unix:"), o->symbols ? "rv-symbols \"" : "",
		     o->symbols ? o->symbols : "", o->symbols ? "\"\n" : "") >= (int)sizeof(start))
		return rv_err_set(err, RV_EUSAGE, "--symbols: the name is too long");
	rc = write_file(d->script, gdb_script, err);
	return rc ? rc : write_file(d->start, start, err);
}

static void remove_dir(struct debug *d)
{
	if (!d->dir[0])
		return;
	unlink(d->script);
	unlink(d->start);
	rmdir(d->dir); /* the socket is gone already */
}

_Noreturn static void gdb_exec(const struct debug *d, const struct debug_opts *o)
{
	const char *argv[GDB_ARGS_MAX];
	unsigned n = 0;

	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	argv[n++] = o->gdb;
	argv[n++] = "-q";
	if (o->batch)
		argv[n++] = "-batch";
	argv[n++] = "-x";
	argv[n++] = d->start;
	for (unsigned i = 0; i < o->nscripts; i++) {
		argv[n++] = "-x";
		argv[n++] = o->script[i];
	}
	argv[n] = NULL;
	execvp(o->gdb, (char *const *)argv);
	fprintf(stderr, "retrovisor: %s: %s; install gdb, or name it with --gdb=PATH\n", o->gdb,
		strerror(errno));
	_exit(127);
}

/* ---- the server process ---- */

static void server_ready(void *ctx)
{
	const struct debug *d = ctx;

	/* If nobody is there to read it, the other pipe says so too. */
	(void)!write(d->ready, "r", 1);
}

static bool server_give_up(void *ctx)
{
	struct pollfd p = { .fd = ((const struct debug *)ctx)->alive };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP);
}

static int server_main(struct debug *d, const struct debug_opts *o, const char *trace)
{
	const struct gdb_replay_cfg cfg = {
		.trace_path = trace,
		.addr = d->addr,
		.progress = true,
		.checkpoint_memory = o->checkpoint_memory,
		.at = o->at,
		.sandbox = o->sandbox,
		.jit = o->jit,
		.bases = o->bases,
		.listening = server_ready,
		.ctx = d,
	};
	struct gdb_replay *g = NULL;
	struct rv_err err = { 0 };
	int rc = gdb_replay_open(&g, &cfg, &err);

	if (!rc)
		rc = gdb_replay_serve(g, false, server_give_up, d, &err);
	gdb_replay_close(g);
	return rc ? cli_fail(&err) : 0;
}

/* ---- this process ---- */

static int wait_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Returns the exit status of it all. */
static int debug_run(struct debug *d, const struct debug_opts *o, const char *trace, struct rv_err *err)
{
	int ready[2], alive[2], status, gdb_status = 0;
	pid_t server, gdb;
	char c;

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(alive, O_CLOEXEC) < 0) {
		rv_err_set(err, RV_EIO, "pipe: %s", strerror(errno));
		return cli_fail(err);
	}
	/* Ctrl-C is for gdb, which asks the server to stop by its own means. */
	signal(SIGINT, SIG_IGN);
	server = fork();
	if (server == 0) {
		close(ready[0]);
		close(alive[1]);
		d->ready = ready[1];
		d->alive = alive[0];
		exit(server_main(d, o, trace));
	}
	close(ready[1]);
	close(alive[0]);
	gdb = -1;
	if (server > 0 && read(ready[0], &c, 1) == 1) {
		gdb = fork();
		if (gdb == 0)
			gdb_exec(d, o);
		if (gdb > 0)
			gdb_status = wait_status(gdb);
	}
	if (server < 0 || gdb < 0)
		rv_err_set(err, RV_EIO, "fork: %s", strerror(errno));
	close(ready[0]);
	close(alive[1]);
	status = server > 0 ? wait_status(server) : cli_fail(err);
	if (server > 0 && gdb < 0 && !status)
		status = cli_fail(err);
	/* With --batch gdb's status is for a script to look at; 127: there is no gdb. */
	return !status && (o->batch || gdb_status == 127) ? gdb_status : status;
}

static int debug_main(const struct cli_command *self, int argc, char **argv)
{
	struct debug_opts o = { .gdb = "gdb", .at = "begin", .sandbox = true };
	struct opt_group groups[] = {
		{ debug_options, RV_ARRAY_LEN(debug_options), debug_set, &o },
		{ jit_opt_specs, jit_opt_nspecs, jit_opts_set, &o.jit },
		{ base_opt_specs, base_opt_nspecs, base_opts_set, &o.bases },
	};
	struct opts_positional trace = { .what = "TRACE" };
	struct debug d = { .ready = -1, .alive = -1 };
	struct rv_err err = { 0 };
	int rc;

	rc = opts_parse(self->name, groups, RV_ARRAY_LEN(groups), &trace, 1, argc, argv, &err);
	if (rc == 1)
		return cli_help(self);
	if (rc)
		return cli_fail(&err);
	rc = make_dir(&d, &o, &err);
	rc = rc ? cli_fail(&err) : debug_run(&d, &o, trace.value, &err);
	remove_dir(&d);
	return rc;
}

const struct cli_command cmd_debug = {
	.name = "debug",
	.usage = "TRACE [OPTIONS]",
	.summary = "go through a recording with gdb, in both directions",
	.text = "Starts gdb on a recording. Everything gdb can do forwards it can do backwards:\n"
		"reverse-stepi, reverse-continue, watchpoints that find who wrote a byte last.\n"
		"`monitor help` lists what else there is; the script that comes along adds when, seek,\n"
		"ckpt, next-event, prev-event, who-wrote, rv-symbols, rv-linux, rv-ps, rv-process.",
	.options = debug_options,
	.noptions = RV_ARRAY_LEN(debug_options),
	.jit_options = true,
	.base_options = true,
	.main = debug_main,
};
