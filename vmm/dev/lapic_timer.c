/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC timer (SDM vol. 3, 10.5.4). The bus clock is 1 GHz, so a
 * tick is the divisor in nanoseconds. Nothing counts: the state is the vns of
 * the next expiry, and a read of the current count is computed from it. The
 * clock is armed only while an expiry would deliver an interrupt, because an
 * idle machine jumps to the next armed deadline.
 */
#include "lapic_int.h"

#include "base/rng.h"

#define TIMER_SLACK 50000u /* ns: how late --chaos makes a timer at most */

/* Divide configuration, 10.5.4 figure 10-10: bits 0, 1 and 3; 111b is 1, else 2 << value. */
static unsigned lapic_timer_shift(uint32_t dcr)
{
	return (((dcr & 3u) | (dcr & 8u) >> 1) + 1u) & 7u;
}

static vns_t lapic_timer_add(vns_t base, uint64_t delta)
{
	return base > VNS_NEVER - delta ? VNS_NEVER : base + delta;
}

void lapic_timer_sync(struct lapic_cpu *c)
{
	vns_t now = vclock_now(c->lapic->clock);
	if (lapic_timer_mode(c) == TIMER_TSC_DEADLINE) {
		if (c->tsc_deadline == 0 || now + c->tsc_adjust < c->tsc_deadline)
			return;
		c->tsc_deadline = 0;
		lapic_cpu_lvt(c, LVT_TIMER);
		return;
	}
	if (c->timer_due > now)
		return;
	if (lapic_timer_mode(c) == TIMER_PERIODIC && c->timer_initial != 0) {
		/* Expiries missed in a jump of the clock are one request, as IRR has one bit. */
		uint64_t period = (uint64_t)c->timer_initial << lapic_timer_shift(c->timer_dcr);
		uint64_t late = now - c->timer_due;
		c->timer_due = lapic_timer_add(now, period - late % period);
	} else {
		c->timer_due = VNS_NEVER;
	}
	lapic_cpu_lvt(c, LVT_TIMER);
}

void lapic_timer_arm(struct lapic_cpu *c)
{
	vns_t when = VNS_NEVER;
	if (!lapic_cpu_on(c) || (c->lvt[LVT_TIMER] & LVT_MASKED)) {
		/* Nobody would notice. */
	} else if (lapic_timer_mode(c) != TIMER_TSC_DEADLINE) {
		when = c->timer_due;
	} else if (c->tsc_deadline != 0) {
		vns_t now = vclock_now(c->lapic->clock);
		uint64_t tsc = now + c->tsc_adjust;
		when = now;
		if (tsc < c->tsc_deadline)
			when = lapic_timer_add(now, c->tsc_deadline - tsc);
	}
	if (c->lapic->chaos && when < VNS_NEVER - TIMER_SLACK)
		when += rng_next(&c->lapic->chaos) % TIMER_SLACK;
	vclock_timer_arm(c->timer, when);
}

void lapic_timer_fire(void *ctx, vns_t deadline)
{
	struct lapic_cpu *c = ctx;
	(void)deadline;
	lapic_timer_sync(c);
	lapic_timer_arm(c);
}

void lapic_timer_start(struct lapic_cpu *c, uint32_t initial)
{
	unsigned shift = lapic_timer_shift(c->timer_dcr);
	lapic_timer_sync(c);
	/* In TSC-deadline mode writes to the initial count are ignored (10.5.4.1). */
	if (lapic_timer_mode(c) == TIMER_TSC_DEADLINE)
		return;
	c->timer_initial = initial;
	c->timer_due = VNS_NEVER;
	if (initial != 0)
		c->timer_due = lapic_timer_add(vclock_now(c->lapic->clock),
					       (uint64_t)initial << shift);
	lapic_timer_arm(c);
}

void lapic_timer_set_divide(struct lapic_cpu *c, uint32_t dcr)
{
	uint32_t left = lapic_timer_current(c);
	c->timer_dcr = dcr & 0xbu;
	/* The count goes on from where it is, at the new speed. */
	if (left != 0)
		c->timer_due = lapic_timer_add(vclock_now(c->lapic->clock),
					       (uint64_t)left << lapic_timer_shift(c->timer_dcr));
	lapic_timer_arm(c);
}

void lapic_timer_set_lvt(struct lapic_cpu *c, uint32_t lvt)
{
	enum lapic_timer_mode old;
	lapic_timer_sync(c);
	old = lapic_timer_mode(c);
	c->lvt[LVT_TIMER] = lvt;
	/* Into or out of TSC-deadline mode disarms the timer (10.5.4.1). */
	if (old != lapic_timer_mode(c) &&
	    (old == TIMER_TSC_DEADLINE || lapic_timer_mode(c) == TIMER_TSC_DEADLINE)) {
		c->timer_due = VNS_NEVER;
		c->timer_initial = 0;
		c->tsc_deadline = 0;
	}
	lapic_timer_arm(c);
}

void lapic_timer_set_deadline(struct lapic_cpu *c, uint64_t deadline)
{
	if (lapic_timer_mode(c) != TIMER_TSC_DEADLINE)
		return;
	lapic_timer_sync(c);
	c->tsc_deadline = deadline;
	lapic_timer_sync(c); /* one in the past expires at once */
	lapic_timer_arm(c);
}

void lapic_timer_set_adjust(struct lapic_cpu *c, uint64_t adjust)
{
	lapic_timer_sync(c);
	c->tsc_adjust = adjust;
	lapic_timer_sync(c);
	lapic_timer_arm(c);
}

uint32_t lapic_timer_current(struct lapic_cpu *c)
{
	uint64_t left;
	unsigned shift = lapic_timer_shift(c->timer_dcr);
	lapic_timer_sync(c);
	if (lapic_timer_mode(c) == TIMER_TSC_DEADLINE || c->timer_due == VNS_NEVER)
		return 0;
	left = c->timer_due - vclock_now(c->lapic->clock);
	left = (left >> shift) + ((left & ((1ull << shift) - 1)) != 0);
	/* timer_due is never further away than the register can say, unless it was loaded so. */
	return left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}
