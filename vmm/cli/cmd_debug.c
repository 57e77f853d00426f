/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `debug`: gdb and the replay it looks at, started together. gdb is a child
 * made before the sandbox; it waits on a pipe until the socket listens. The
 * socket and the scripts lie in a directory of their own, mode 0700.
 */
#include <errno.h>
#include <fcntl.h>
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
	pid_t pid;     /* gdb */
	int go;        /* write end of its pipe; -1: it was told */
	bool ended;
	int status;
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

_Noreturn static void gdb_exec(const struct debug *d, const struct debug_opts *o, int wait_fd)
{
	const char *argv[GDB_ARGS_MAX];
	unsigned n = 0;
	char c;

	/* The other end is closed without a byte: the replay could not be opened. */
	if (read(wait_fd, &c, 1) != 1)
		_exit(0);
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

static int gdb_start(struct debug *d, const struct debug_opts *o, struct rv_err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return rv_err_set(err, RV_EIO, "pipe: %s", strerror(errno));
	d->pid = fork();
	if (d->pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return rv_err_set(err, RV_EIO, "fork: %s", strerror(errno));
	}
	if (d->pid == 0) {
		close(fds[1]);
		gdb_exec(d, o, fds[0]);
	}
	close(fds[0]);
	d->go = fds[1];
	/* Ctrl-C is for gdb, which asks us to stop by its own means. */
	signal(SIGINT, SIG_IGN);
	return 0;
}

static void gdb_go(void *ctx)
{
	struct debug *d = ctx;

	if (write(d->go, "g", 1) != 1)
		d->ended = true; /* it died; gdb_ended() finds out the rest */
	close(d->go);
	d->go = -1;
}

static bool gdb_ended(void *ctx)
{
	struct debug *d = ctx;

	if (!d->ended && waitpid(d->pid, &d->status, WNOHANG) == d->pid)
		d->ended = true;
	return d->ended;
}

static int debug_run(struct debug *d, const struct debug_opts *o, const char *trace, struct rv_err *err)
{
	const struct gdb_replay_cfg cfg = {
		.trace_path = trace,
		.addr = d->addr,
		.progress = true,
		.checkpoint_memory = o->checkpoint_memory,
		.at = o->at,
		.sandbox = o->sandbox,
		.listening = gdb_go,
		.ctx = d,
	};
	struct gdb_replay *g = NULL;
	int rc = gdb_replay_open(&g, &cfg, err);

	if (!rc)
		rc = gdb_replay_serve(g, false, gdb_ended, d, err);
	gdb_replay_close(g);
	if (d->go >= 0)
		close(d->go);
	if (!gdb_ended(d))
		(void)waitpid(d->pid, &d->status, 0);
	return rc;
}

static int debug_main(const struct cli_command *self, int argc, char **argv)
{
	struct debug_opts o = { .gdb = "gdb", .at = "begin", .sandbox = true };
	struct opt_group group = { debug_options, RV_ARRAY_LEN(debug_options), debug_set, &o };
	struct opts_positional trace = { .what = "TRACE" };
	struct debug d = { .go = -1 };
	struct rv_err err = { 0 };
	int rc;

	rc = opts_parse(self->name, &group, 1, &trace, 1, argc, argv, &err);
	if (rc == 1)
		return cli_help(self);
	if (rc)
		return cli_fail(&err);
	if (!(rc = make_dir(&d, &o, &err)) && !(rc = gdb_start(&d, &o, &err)))
		rc = debug_run(&d, &o, trace.value, &err);
	remove_dir(&d);
	if (rc)
		return cli_fail(&err);
	/* With --batch the status is for a script to look at. */
	return o.batch && WIFEXITED(d.status) ? WEXITSTATUS(d.status) : 0;
}

const struct cli_command cmd_debug = {
	.name = "debug",
	.usage = "TRACE [OPTIONS]",
	.summary = "go through a recording with gdb, in both directions",
	.text = "Starts gdb on a recording. Everything gdb can do forwards it can do backwards:\n"
		"reverse-stepi, reverse-continue, watchpoints that find who wrote a byte last.\n"
		"`monitor help` lists what else there is; the script that comes along adds when, seek,\n"
		"ckpt, next-event, prev-event, who-wrote, rv-symbols, rv-ps, rv-process.",
	.options = debug_options,
	.noptions = RV_ARRAY_LEN(debug_options),
	.main = debug_main,
};
