/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GDB remote stub in three layers: bytes (rsp_link.c: framing, checksums,
 * acknowledgement, 0x03), requests (parsing and answers), motion (resume and
 * stop replies). It knows a debug_target and a descriptor, nothing else.
 */
#ifndef RV_GDBSTUB_GDBSTUB_H
#define RV_GDBSTUB_GDBSTUB_H

#include "gdbstub/debug_target.h"

struct gdbstub;

/* addr: unix:PATH (made with mode 0600, a stale socket of ours is replaced), PORT (loopback), HOST:PORT. */
int gdbstub_listen(struct gdbstub **out, const char *addr, struct debug_target *target,
		   struct rv_err *err);
/* Stub over a connected descriptor (tests, fuzzers); takes it. */
int gdbstub_attach(struct gdbstub **out, int fd, struct debug_target *target);
void gdbstub_destroy(struct gdbstub *s);

enum gdbstub_end {
	GDBSTUB_DETACHED, /* D, or the client went away */
	GDBSTUB_KILLED,   /* k, vKill */
	GDBSTUB_EXITED,   /* the live machine ended */
};
/* Waits for a client (poll: asked while waiting, true gives up with RV_EINTR) and serves it to its end. */
int gdbstub_serve(struct gdbstub *s, bool (*poll)(void *ctx), void *ctx, enum gdbstub_end *end);
/* A client is waiting to be accepted: for live machines that run until somebody attaches. */
bool gdbstub_pending(struct gdbstub *s);
/* Debug: feeds one packet's payload to the request layer and gives the reply; for fuzzing. */
int gdbstub_request(struct gdbstub *s, const char *payload, size_t len, char *reply, size_t reply_cap);

#endif
