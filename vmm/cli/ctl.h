/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --ctl=PATH: a unix socket on which a running machine takes commands. One
 * line in, one JSON line out, one command a connection. A thread reads the
 * socket; the command itself is carried out by the vCPU thread between two
 * instructions, when it calls ctl_serve(). A client that is slow, silent or
 * of another user holds up nobody.
 */
#ifndef RV_CLI_CTL_H
#define RV_CLI_CTL_H

#include "base/bytes.h"
#include "base/status.h"

struct ctl;

struct ctl_cfg {
	const char *path;
	/* Socket's thread: there is a command; ctl_serve() is to be called soon. */
	void (*wanted)(void *ctx);
	/* Within ctl_serve(): carries out `command` with the rest of the line in `arg` ("" if none), and appends the
	 * fields of the reply's JSON object ("\"icount\": 5"). Not 0: the reply says that it failed, err why. */
	int (*run)(void *ctx, const char *command, const char *arg, struct bytes *reply, struct rv_err *err);
	void *ctx;
};

#define CTL_LINE_MAX 4096u

/* Binds the socket (0600; a stale one is replaced, one in use or another file is RV_EEXIST). No thread yet. */
int ctl_create(struct ctl **out, const struct ctl_cfg *cfg, struct rv_err *err);
int ctl_start(struct ctl *c, struct rv_err *err);
void ctl_serve(struct ctl *c); /* vCPU thread: the command that waits, if one does */
void ctl_destroy(struct ctl *c); /* removes the socket */

#endif
