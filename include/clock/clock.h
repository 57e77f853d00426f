/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual clock: vns as a pure function of icount, and the timers of the
 * devices. Nothing in here knows the host's time.
 *
 *   vns = anchor_vns + floor((icount - anchor_icount) * rate / 2^32)
 *
 * rate is unsigned 32.32 fixed point, virtual nanoseconds an instruction.
 * Only a TIME event, the halt rule, or an input that arrives in a halt moves
 * the anchor, never backwards. All calls: vCPU thread only.
 */
#ifndef RV_CLOCK_CLOCK_H
#define RV_CLOCK_CLOCK_H

#include "base/bytes.h"
#include "base/status.h"
#include "base/types.h"

#define VCLOCK_RATE_ONE (1ull << 32) /* 1 ns an instruction */
#define VCLOCK_MAX_TIMERS 128u

struct vclock;
struct vtimer;

/* date: UTC nanoseconds since 1970 at vns 0, for the RTC. */
int vclock_create(struct vclock **out, uint64_t rate, int64_t date);
void vclock_destroy(struct vclock *c);

/* The machine's instruction count. The engine stores it before every device access and on return
 * from run(); a clock read inside an instruction sees the icount before that instruction. */
icount_t vclock_icount(const struct vclock *c);
void vclock_set_icount(struct vclock *c, icount_t icount);

vns_t vclock_now(const struct vclock *c);
vns_t vclock_at(const struct vclock *c, icount_t icount); /* vns at an icount >= anchor */
/* First icount at which vns >= when; ICOUNT_MAX if never (rate 0, overflow, VNS_NEVER). */
icount_t vclock_icount_of(const struct vclock *c, vns_t when);
uint64_t vclock_rate(const struct vclock *c);
int64_t vclock_date(const struct vclock *c); /* the date given at creation */

/* New anchor at the current icount. Returns RV_EINVAL if vns would go backwards. */
int vclock_anchor(struct vclock *c, vns_t vns, uint64_t rate);

/* Timers. Registered once at wiring (the order is part of the saved state), then armed with an
 * absolute deadline; one shot. fire() runs at the first boundary where vns >= deadline, with
 * `deadline` the time asked for (so periodic users re-arm without drift). */
struct vtimer *vclock_timer_add(struct vclock *c, const char *name,
				void (*fire)(void *ctx, vns_t deadline), void *ctx);
void vclock_timer_arm(struct vtimer *t, vns_t deadline);
void vclock_timer_disarm(struct vtimer *t);
bool vclock_timer_armed(const struct vtimer *t);
vns_t vclock_timer_deadline(const struct vtimer *t); /* VNS_NEVER when not armed */

vns_t vclock_next_deadline(const struct vclock *c); /* VNS_NEVER if no timer is armed */
/* Fires every timer due at vclock_now(), by deadline, then by registration order. */
void vclock_run_timers(struct vclock *c);
/* True once after the earliest deadline moved (armed, disarmed): the engine must return so that
 * the machine can compute a new target. Reading clears. */
bool vclock_take_moved(struct vclock *c);
const bool *vclock_moved_flag(const struct vclock *c); /* the same flag, to poll cheaply */

void vclock_save(const struct vclock *c, struct bytes *out);
int vclock_load(struct vclock *c, struct bytes_in *in);

#endif
