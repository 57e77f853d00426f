/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: the stub's state, the reply under construction, the
 * handlers. */
#ifndef RV_GDBSTUB_STUB_H
#define RV_GDBSTUB_STUB_H

#include <sys/types.h>

#include "base/bytes.h"
#include "gdbstub/gdbstub.h"
#include "hex.h"
#include "rsp_link.h"

/* Error numbers of replies. GDB prints them and attaches no meaning; these are the ones QEMU uses.
 */
#define STUB_ERR_FORM 0x01u   /* malformed packet, or refused by the target */
#define STUB_ERR_MEMORY 0x14u /* not mapped */
#define STUB_ERR_VALUE 0x22u  /* well formed, but no such thread, register value... */

#define STUB_SIG_INT 2u
#define STUB_SIG_ABRT 6u
#define STUB_SIG_TRAP 5u

struct reply {
	bool none;     /* k: nothing is sent */
	bool overflow;
	size_t len;
	char data[RSP_PAYLOAD_MAX];
};

void reply_clear(struct reply *r);
void reply_put(struct reply *r, const void *data, size_t len);
void reply_text(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void reply_hex(struct reply *r, const void *data, size_t len);
/* Replaces what was put so far. */
void reply_error(struct reply *r, unsigned number);
/* The reply for a target's status: OK, E14 for RV_ENOENT, nothing (not supported) for RV_ENOTSUP,
 * E01. */
void reply_status(struct reply *r, int rc);

struct stub_break;

struct listener {
	int fd;     /* -1: none */
	char *path; /* of a unix socket */
	dev_t dev;
	ino_t ino;
};

/* listen.c */
int listener_open(struct listener *l, const char *addr, struct rv_err *err);
void listener_close(struct listener *l);
/* A connection that waits, or -1. */
int listener_accept(struct listener *l);
/* One client at a time: closes what waits. */
void listener_refuse(struct listener *l);

struct gdbstub {
	struct listener listener;
	struct debug_target *target;
	unsigned ncpus;
	struct bytes xml; /* target.xml */

	/* One client's session. */
	bool swbreak, hwbreak; /* the client knows these stop reasons */
	bool
		noack; /* from the next packet on: the reply to QStartNoAckMode is still acknowledged */
	bool extended;         /* `!`: stays connected after a kill, may vRun */
	bool killed;
	bool phys;             /* memory packets are physical */
	unsigned cpu_g, cpu_c; /* Hg, Hc */
	bool ended;
	enum gdbstub_end end;
	unsigned signal;       /* of the last stop */
	struct debug_stop stop;

	struct stub_break *breaks; /* list */
	size_t nbreaks, break_bytes;

	bool (*poll)(void *ctx); /* the caller's, while serving */
	void *poll_ctx;
	bool give_up;            /* poll said so */

	struct reply reply;
	uint8_t scratch[2u * RSP_PAYLOAD_MAX];
	struct rsp_link link;
};

/* serve.c */
void stub_session_begin(struct gdbstub *s);
void stub_session_end(struct gdbstub *s);
/* poll() for a debug_target; ctx is the stub. */
bool stub_poll(void *ctx);
/* Text for GDB's console, as O packets: only while a motion or a monitor command runs (E.3, `O`).
 */
void stub_console(void *ctx, const char *text);

/* request.c: one payload in, s->reply out. */
void stub_request(struct gdbstub *s, const char *payload, size_t len);
/* A thread id (vCPU + 1), or 0 and -1 for any. False: malformed, or no such (*known false). */
bool stub_thread_parse(const struct gdbstub *s, struct pkt *k, unsigned any, unsigned *cpu,
		       bool *known);

/* Handlers: k is what follows the name. */
typedef void stub_handler(struct gdbstub *s, struct pkt *k);
stub_handler regs_handle_g, regs_handle_G, regs_handle_p, regs_handle_P;
stub_handler memory_handle_m, memory_handle_M, memory_handle_x, memory_handle_X,
	memory_handle_search, memory_handle_phys_set, memory_handle_phys_get;
stub_handler breaks_handle_Z, breaks_handle_z;
stub_handler motion_handle_why, motion_handle_c, motion_handle_C, motion_handle_s, motion_handle_S,
	motion_handle_bc, motion_handle_bs, motion_handle_vcont, motion_handle_vcont_query,
	motion_handle_vrun, motion_handle_R;
stub_handler query_handle_supported, query_handle_noack, query_handle_threads_first,
	query_handle_threads_next, query_handle_thread_info, query_handle_current,
	query_handle_attached, query_handle_rcmd;
stub_handler xfer_handle_features;

/* breaks.c */
void breaks_clear(struct gdbstub *s);
bool breaks_at(const struct gdbstub *s, uint64_t rip);

/* xfer.c */
int xfer_xml_build(struct bytes *out);

#endif
