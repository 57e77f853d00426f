/* SPDX-License-Identifier: Apache-2.0 */
#include "gdb_replay.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "gdbstub/gdbstub.h"
#include "host_devices.h"
#include "progress.h"
#include "record/trace.h"
#include "replay/replay.h"
#include "replay/replay_target.h"

struct gdb_replay {
	struct host_devices host;
	struct base_digests *bases;
	struct trace *trace;
	struct evlog_reader *reader;
	struct timeline *timeline;
	struct replay_target *target;
	struct gdbstub *stub;
	bool progress;
	bool shown;       /* a progress line is on the screen */
	uint64_t next_ns; /* when it may be renewed; 0: no motion yet */
};

#define PROGRESS_FIRST 500000000ull
#define PROGRESS_PERIOD 100000000ull

/* Distance from where the motion began, in percent of the way. */
static void motion_progress(void *ctx, icount_t at, icount_t from, icount_t to)
{
	struct gdb_replay *g = ctx;
	uint64_t now;

	if (!g->progress)
		return;
	now = progress_now_ns();
	if (g->next_ns == 0)
		g->next_ns = now + PROGRESS_FIRST;
	if (now < g->next_ns)
		return;
	g->next_ns = now + PROGRESS_PERIOD;
	fprintf(stderr, "\rretrovisor: at icount %" PRIu64 ", from %" PRIu64 " to %" PRIu64
		" (Ctrl-C stops)\033[K", at, from, to);
	g->shown = true;
}

static void motion_done(void *ctx)
{
	struct gdb_replay *g = ctx;

	if (g->shown)
		fputs("\r\033[K", stderr);
	g->shown = false;
	g->next_ns = 0;
}

int gdb_sandbox_prepare(const char *addr, struct sandbox_path *paths, unsigned n, enum sandbox_tcp tcp,
			struct rv_err *err)
{
	const bool is_unix = !strncmp(addr, "unix:", 5);
	int rc;

	if (!is_unix)
		return sandbox_prepare(paths, n, tcp > SANDBOX_TCP_LISTEN ? tcp : SANDBOX_TCP_LISTEN, err);
	paths[n] = (struct sandbox_path){ files_open_parent(addr + 5), SANDBOX_ACCESS_SOCKET };
	rc = sandbox_prepare(paths, n + 1, tcp, err);
	if (paths[n].fd >= 0)
		close(paths[n].fd);
	return rc;
}

static int fence(const struct gdb_replay_cfg *cfg, struct rv_err *err)
{
	struct sandbox_path paths[2] = {
		{ open(cfg->trace_path, O_PATH | O_DIRECTORY | O_CLOEXEC), SANDBOX_ACCESS_READ },
	};
	int rc = gdb_sandbox_prepare(cfg->addr, paths, 1, SANDBOX_TCP_NONE, err);

	if (paths[0].fd >= 0)
		close(paths[0].fd);
	return rc;
}

static void put_nowhere(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

/* Goes to where the debugger is to begin. */
static int begin_at(struct gdb_replay *g, const char *at, struct rv_err *err)
{
	struct debug_target *base = replay_target_base(g->target);
	char line[128];
	bool moved;
	int rc;

	snprintf(line, sizeof(line), "seek %.100s", at);
	rc = base->ops->monitor(base, line, put_nowhere, NULL, NULL, &moved);
	if (rc == RV_EUSAGE)
		return rv_err_set(err, rc, "--at=%.80s: use begin, end, ICOUNT or vns:NS", at);
	return rc;
}

static int check_base(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data)
{
	return base_digests_check(((struct gdb_replay *)ctx)->bases, disk, block, nblocks, data);
}

/* What the timeline's machine is connected to. */
static int host_ends(struct gdb_replay *g, const struct gdb_replay_cfg *cfg, struct rv_err *err)
{
	const struct console_cfg console = { .spec = "stdio" };
	int rc = base_digests_create(&g->bases, g->reader, err);

	if (!rc && cfg->show)
		rc = console_create(&g->host.console[CONSOLE_SERIAL], &console, err);
	return rc ? rc : host_devices_start(&g->host, cfg->trace_path, err);
}

int gdb_replay_open(struct gdb_replay **out, const struct gdb_replay_cfg *cfg, struct rv_err *err)
{
	struct gdb_replay *g = calloc(1, sizeof(*g));
	const struct base_reader reader = { check_base, g };
	struct timeline_cfg tcfg = { .checkpoint_memory = cfg->checkpoint_memory,
				     .jit = cfg->jit.jit,
				     .code_cache = cfg->jit.code_cache,
				     .disks = g ? g->host.port : NULL,
				     .progress = motion_progress,
				     .ctx = g };
	struct replay_target_cfg rcfg = { .motion_done = motion_done, .ctx = g };
	int rc;

	if (!g)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	g->progress = cfg->progress && isatty(STDERR_FILENO);
	host_devices_init(&g->host);
	/* As in a replay: only the manifest is read outside the fence. */
	if ((rc = trace_open(&g->trace, cfg->trace_path, err)) ||
	    (rc = trace_check_supported(g->trace, err)) ||
	    (rc = host_devices_open_replay(&g->host, g->trace, &cfg->bases, &reader, err)) ||
	    (cfg->sandbox && (rc = fence(cfg, err))) ||
	    (rc = evlog_reader_open(&g->reader, g->trace, err)) ||
	    (rc = host_ends(g, cfg, err)) ||
	    (rc = timeline_open(&g->timeline, g->trace, g->reader, &g->host.output, &tcfg, err)))
		goto fail;
	rcfg.timeline = g->timeline;
	rcfg.trace = g->trace;
	rcfg.info = evlog_reader_info(g->reader);
	rc = replay_target_create(&g->target, &rcfg);
	if (rc) {
		rv_err_set(err, rc, "out of memory");
		goto fail;
	}
	if ((rc = begin_at(g, cfg->at, err)) ||
	    (rc = gdbstub_listen(&g->stub, cfg->addr, replay_target_base(g->target), err)))
		goto fail;
	if (cfg->listening)
		cfg->listening(cfg->ctx);
	if (cfg->sandbox && (rc = sandbox_enter(SANDBOX_REPLAY_GDB, 0, err)))
		goto fail;
	*out = g;
	return 0;
fail:
	gdb_replay_close(g);
	return rc;
}

int gdb_replay_serve(struct gdb_replay *g, bool once, bool (*give_up)(void *ctx), void *ctx,
		     struct rv_err *err)
{
	enum gdbstub_end end = GDBSTUB_DETACHED;
	int rc;

	do
		rc = gdbstub_serve(g->stub, give_up, ctx, &end);
	while (!rc && !once && end == GDBSTUB_DETACHED);
	if (rc == RV_EINTR)
		rc = 0;
	return rc ? rv_err_set(err, rc, "debugger connection: %s", rv_status_text(rc)) : 0;
}

void gdb_replay_close(struct gdb_replay *g)
{
	if (!g)
		return;
	motion_done(g);
	gdbstub_destroy(g->stub);
	replay_target_destroy(g->target);
	timeline_close(g->timeline);
	base_digests_destroy(g->bases);
	host_devices_close(&g->host);
	evlog_reader_close(g->reader);
	trace_close(g->trace);
	free(g);
}
