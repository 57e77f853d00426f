/* SPDX-License-Identifier: Apache-2.0 */
/* A recording served to a debugger: what `debug` and `replay --gdb` share. */
#ifndef RV_CLI_GDB_REPLAY_H
#define RV_CLI_GDB_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base_opts.h"
#include "jit_opts.h"
#include "sandbox.h"

struct gdb_replay;

struct gdb_replay_cfg {
	const char *trace_path;
	const char *addr;           /* as gdbstub_listen() takes it */
	bool show;                  /* console on stdout */
	bool progress;              /* a progress line for long motions, if stderr is a terminal */
	uint64_t checkpoint_memory; /* 0: the default */
	const char *at;             /* where the debugger begins: an argument of `seek` */
	bool sandbox;
	struct jit_opts jit;
	struct base_opts bases;
	/* May be NULL: called when the socket listens, before the last fence. */
	void (*listening)(void *ctx);
	void *ctx;
};

int gdb_replay_open(struct gdb_replay **out, const struct gdb_replay_cfg *cfg, struct rv_err *err);
/* Serves one client after the other until give_up() says so, or a client kills the machine; once: after
 * the first client it is over. */
int gdb_replay_serve(struct gdb_replay *g, bool once, bool (*give_up)(void *ctx), void *ctx,
		     struct rv_err *err);
void gdb_replay_close(struct gdb_replay *g);

/* Sandbox for a process that will listen on addr and reads these paths (room for one more at the end). */
int gdb_sandbox_prepare(const char *addr, struct sandbox_path *paths, unsigned n, enum sandbox_tcp tcp,
			struct rv_err *err);

#endif
