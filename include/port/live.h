/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live implementations of the two ports: console bytes and stop requests
 * from host threads through an inbox, time from CLOCK_MONOTONIC (clock=host)
 * or from the instruction count alone (clock=virtual).
 */
#ifndef RV_PORT_LIVE_H
#define RV_PORT_LIVE_H

#include "port/nondet.h"
#include "port/output.h"

enum live_clock { LIVE_CLOCK_HOST, LIVE_CLOCK_VIRTUAL };

struct live_cfg {
	enum live_clock clock;
	uint32_t dilation;    /* N: virtual time runs N times slower than the host's; >= 1 */
	bool catch_up;        /* --clock-catch-up: a host gap over 100 ms is made up, not skipped */
	bool uncounted;       /* the engine does not count instructions (KVM): rate 0, TIME events carry vns */
	bool virtual_waits;   /* clock=virtual on a terminal: a halt waits for host time */
};

struct live;
int live_create(struct live **out, const struct live_cfg *cfg);
void live_destroy(struct live *l);
struct nondet *live_nondet(struct live *l);

/* From any thread: input for console `instance` (copied; returns the bytes taken, a full inbox takes
 * fewer), and a request to end the run at the next boundary. live_stop is async-signal-safe. */
size_t live_console_input(struct live *l, unsigned instance, const void *data, size_t len);
void live_stop(struct live *l);

/*
 * A backend with inputs of its own: a disk's finished requests, a network's
 * packets. take() runs on the vCPU thread at every look: 1 and *ev filled (in
 * full, but for in_halt and vns; data stays valid until the next take) if
 * there is an input that the machine can take now (query->net_ready), else 0.
 * It must be cheap when there is nothing. Sources are asked in turn.
 */
struct live_source {
	int (*take)(void *ctx, const struct nd_query *query, struct nd_event *ev);
	void *ctx;
};
int live_add_source(struct live *l, const struct live_source *src); /* before the first run */
void live_wake(struct live *l); /* any thread, signal handlers: a source has something: ends a halt's wait */

/* Any thread: the machine came to another host: its networks are told so (ND_ANNOUNCE), `nets` of them. */
void live_announce(struct live *l, unsigned nets);

/* Any thread, signal handlers: a wait in a halt ends with RV_EINTR, which is no part of history. For a machine that
 * runs, machine_interrupt() does the same. */
void live_interrupt(struct live *l);

/* ---- under a debugger; vCPU thread only ---- */
/* The time between the two counts as stopped: virtual time neither moves nor jumps. */
void live_pause(struct live *l);
void live_resume(struct live *l);
/* While all vCPUs are halted, poll is asked at least every 20 ms; true: the wait ends with RV_EINTR, which
 * is no part of history: the machine may be run on as if nothing had been. NULL: no more. */
void live_poll_halt(struct live *l, bool (*poll)(void *ctx), void *ctx);
/* The payload of an ND_DEBUG_WRITE, copied; the machine takes it at machine_take_writes(). RV_EINVAL: longer
 * than ND_PAYLOAD_MAX, or the one before has not been taken. */
int live_debug_write(struct live *l, unsigned vcpu, const void *payload, size_t len);
void live_debug_write_drop(struct live *l); /* the machine could not take it here */

#endif
