/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inbound port: the only door through which anything from outside enters
 * a machine. The machine's run loop asks it at boundaries between two
 * instructions; a live implementation answers from host backends and the host
 * clock, a recorder wraps it and logs each answer, a replayer answers from
 * the log. The machine and its devices cannot tell them apart.
 */
#ifndef RV_PORT_NONDET_H
#define RV_PORT_NONDET_H

#include "base/status.h"
#include "base/types.h"

/* X(name, number in the log, text). Numbers are for ever: they are the file format. */
#define ND_KIND_LIST(X)                                                                            \
	X(ND_TIME, 1, "time")       /* payload: vns u64, rate u64: a new clock anchor */           \
	X(ND_CONSOLE, 2, "console") /* payload: bytes typed, into console `instance` */            \
	X(ND_STOP, 3, "stop")       /* the run was ended from outside at this position (no payload) */  \
	X(ND_DEBUG_WRITE, 4, "debug-write") /* a debugger's write, by vCPU `instance` */           \
	X(ND_DISK, 5, "disk")       /* disk `instance` ended a request: tag u8, status u8 (enum nd_disk) */ \
	X(ND_NET, 6, "net")         /* payload: one Ethernet frame received by network `instance` */     \
	X(ND_ANNOUNCE, 7, "announce") /* network `instance` may have moved: its driver is asked to say where it is */

enum nd_kind {
	ND_NONE = 0,
#define ND_KIND_ENUM(name, value, text) name = value,
	ND_KIND_LIST(ND_KIND_ENUM)
#undef ND_KIND_ENUM
};
const char *nd_kind_text(enum nd_kind kind); /* "?" for an unknown number */

#define ND_PAYLOAD_MAX 65536u

/* Consoles by instance. */
#define CONSOLE_SERIAL 0u /* the 16550 */
#define CONSOLE_VIRTIO 1u
#define CONSOLES 2u
#define DISKS_MAX 4u
#define NETS_MAX 4u

/* What became of a disk request. */
enum nd_disk { ND_DISK_OK = 0, ND_DISK_ERROR = 1 };

/* First byte of an ND_DEBUG_WRITE payload, and what follows it. */
#define ND_WRITE_RAM 0u /* guest-physical address u64, then the bytes: RAM, within one page */
#define ND_WRITE_CPU 1u /* the whole vCPU state, as state_save() writes it */

/* One thing from outside. data is borrowed until the next call into the port. */
struct nd_event {
	enum nd_kind kind;
	unsigned instance;
	bool in_halt; /* arrived while all vCPUs were halted: the clock moves to vns first */
	vns_t vns;    /* with in_halt */
	const uint8_t *data;
	uint32_t len;
};

/* What the machine tells the port when it asks. */
struct nd_query {
	icount_t icount;
	uint64_t seq;       /* nd_events applied so far */
	vns_t vns;
	uint64_t rate;      /* current clock rate */
	bool halted;        /* all vCPUs halted */
	vns_t deadline;     /* halted: next timer deadline (VNS_NEVER: none) */
	uint32_t room[CONSOLES]; /* bytes each console's input queue can take */
	uint32_t net_ready; /* bit n: network n has receive buffers */
	bool writes_only;   /* live only: nothing but debugger's writes is asked for, and no waiting */
};

struct nondet {
	const struct nondet_ops *ops;
};

struct nondet_ops {
	/*
	 * Is there an event to apply at this boundary?
	 * Not halted: never blocks; returns 1 with *ev filled, 0 for none.
	 * Halted: may block until host time (live) or the log says what
	 * happens next: 1 with an event whose vns < query->deadline, or 0:
	 * the deadline comes first, the clock jumps to it (a live port under
	 * the host clock has waited for that moment). Halted without deadline
	 * it returns only with an event or an error.
	 * Errors are negative codes; RV_EEND: the log ends here.
	 */
	int (*next)(struct nondet *nd, const struct nd_query *query, struct nd_event *ev);
	/* The machine must ask again at this icount or before (> icount). A replayer returns the position
	 * of the next logged event, a live port now + its polling budget. */
	icount_t (*horizon)(struct nondet *nd, icount_t icount);
};

static inline int nondet_next(struct nondet *nd, const struct nd_query *q, struct nd_event *ev)
{
	return nd->ops->next(nd, q, ev);
}
static inline icount_t nondet_horizon(struct nondet *nd, icount_t icount)
{
	return nd->ops->horizon(nd, icount);
}

#endif
