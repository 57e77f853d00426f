/* SPDX-License-Identifier: Apache-2.0 */
/*
 * High precision event timer (IA-PC HPET specification 1.0a): three
 * comparators on a 64-bit counter of 100 MHz. The counter is computed from
 * vns; a comparator keeps the vns of its next match, and arms the clock only
 * while a match would raise an interrupt.
 */
#include "dev/chips.h"

#include <stdlib.h>

#include "ticks.h"

#define HPET_SIZE 0x400u
#define HPET_TIMERS 3u
#define HPET_NS 10u              /* a tick */
#define HPET_PERIOD_FS 10000000ull
/* Vendor 8086h, legacy routing, 64-bit counter, three timers, revision 1. */
#define HPET_ID (HPET_PERIOD_FS << 32 | 0x8086ull << 16 | 1u << 15 | 1u << 13 |                    \
		 (HPET_TIMERS - 1) << 8 | 1u)

#define HPET_REG_ID 0x000u
#define HPET_REG_CONF 0x010u
#define HPET_REG_STS 0x020u
#define HPET_REG_COUNTER 0x0f0u
#define HPET_REG_TIMER 0x100u /* 20h each: configuration, comparator, FSB route */

#define CONF_ENABLE 0x1u
#define CONF_LEGACY 0x2u

#define TN_LEVEL 0x0002u
#define TN_ENABLE 0x0004u
#define TN_PERIODIC 0x0008u
#define TN_CAP_PERIODIC 0x0010u
#define TN_CAP_64 0x0020u
#define TN_SET_VALUE 0x0040u
#define TN_32 0x0100u
#define TN_ROUTE_SHIFT 9u
#define TN_WRITABLE 0x3f4eu
#define TN_ROUTE_CAP 0x00f00000ull /* I/O APIC inputs 20 to 23 */
#define HPET_NO_GSI 32u

struct hpet_timer {
	uint32_t config;  /* writable bits */
	uint64_t cmp;     /* comparator as it reads */
	uint64_t period;
	vns_t due;        /* next match; VNS_NEVER: none */
	bool fired;       /* the match at the present value of cmp has happened */
};

struct hpet {
	uint32_t config;
	uint32_t status;
	uint64_t base;  /* counter at vns `start`, or while halted */
	vns_t start;
	uint32_t lines; /* GSIs held high */
	struct hpet_timer tm[HPET_TIMERS];

	/* Wiring. */
	struct vclock *clock;
	struct vtimer *timer[HPET_TIMERS];
	void (*set)(void *ctx, unsigned gsi, bool level);
	void *ctx;
};

static uint64_t hpet_elapsed(const struct hpet *h)
{
	vns_t now = vclock_now(h->clock);
	return (h->config & CONF_ENABLE) && now > h->start ? (now - h->start) / HPET_NS : 0;
}

static uint64_t hpet_counter(const struct hpet *h)
{
	return h->base + hpet_elapsed(h);
}

static uint64_t hpet_mask(const struct hpet_timer *t)
{
	return t->config & TN_32 ? 0xffffffffull : UINT64_MAX;
}

/* The line of a timer, or HPET_NO_GSI while the guest has not routed it. */
static unsigned hpet_gsi(const struct hpet *h, unsigned i)
{
	unsigned route = h->tm[i].config >> TN_ROUTE_SHIFT & 0x1fu;
	if ((h->config & CONF_LEGACY) && i == 0)
		return GSI_PIT;
	if ((h->config & CONF_LEGACY) && i == 1)
		return GSI_RTC;
	return TN_ROUTE_CAP >> route & 1u ? route : HPET_NO_GSI;
}

static vns_t hpet_saturate(ticks_u128 when)
{
	return when >= VNS_NEVER ? VNS_NEVER : (vns_t)when;
}

/* The next match after (or, if it has not happened yet, at) the present counter. */
static void hpet_schedule(struct hpet *h, unsigned i)
{
	struct hpet_timer *t = &h->tm[i];
	uint64_t elapsed = hpet_elapsed(h);
	ticks_u128 ticks = (t->cmp - (h->base + elapsed)) & hpet_mask(t);
	t->due = VNS_NEVER;
	if (!(h->config & CONF_ENABLE))
		return;
	if (ticks == 0 && t->fired)
		ticks = (ticks_u128)hpet_mask(t) + 1; /* round once */
	t->due = hpet_saturate((ticks + elapsed) * HPET_NS + h->start);
}

/* Levels: held while the status bit is set. A line shared by two timers is their OR. */
static void hpet_update(struct hpet *h)
{
	uint32_t want = 0, changed;
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		uint32_t both = TN_LEVEL | TN_ENABLE;
		unsigned gsi = hpet_gsi(h, i);
		if ((h->config & CONF_ENABLE) && (h->status >> i & 1u) &&
		    (h->tm[i].config & both) == both && gsi != HPET_NO_GSI)
			want |= 1u << gsi;
		vclock_timer_arm(h->timer[i],
				 h->tm[i].config & TN_ENABLE ? h->tm[i].due : VNS_NEVER);
	}
	changed = want ^ h->lines;
	h->lines = want;
	for (unsigned gsi = 0; changed; gsi++, changed >>= 1)
		if ((changed & 1u) && h->set)
			h->set(h->ctx, gsi, (want >> gsi & 1u) != 0);
}

static void hpet_match(struct hpet *h, unsigned i)
{
	unsigned gsi = hpet_gsi(h, i);
	if (h->tm[i].config & TN_LEVEL) {
		h->status |= 1u << i;
	} else if ((h->tm[i].config & TN_ENABLE) && h->set && gsi != HPET_NO_GSI) {
		h->set(h->ctx, gsi, true);
		h->set(h->ctx, gsi, false);
	}
}

/* Applies the matches up to now. After a jump of the clock those of one timer are one interrupt. */
static void hpet_sync(struct hpet *h)
{
	vns_t now = vclock_now(h->clock);
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		struct hpet_timer *t = &h->tm[i];
		uint64_t period = t->period & hpet_mask(t);
		if (t->due == VNS_NEVER || t->due > now)
			continue;
		if ((t->config & TN_PERIODIC) && period != 0) {
			ticks_u128 step = (ticks_u128)period * HPET_NS;
			uint64_t times = (uint64_t)((now - t->due) / step) + 1;
			t->cmp = (t->cmp + times * period) & hpet_mask(t);
			t->due = hpet_saturate(t->due + times * step);
			t->fired = false;
		} else {
			t->fired = true;
			hpet_schedule(h, i);
		}
		hpet_match(h, i);
	}
}

static void hpet_fire(void *ctx, vns_t deadline)
{
	struct hpet *h = ctx;
	(void)deadline;
	hpet_sync(h);
	hpet_update(h);
}

static uint64_t hpet_reg_read(struct hpet *h, unsigned reg)
{
	unsigned i;
	switch (reg) {
	case HPET_REG_ID:
		return HPET_ID;
	case HPET_REG_CONF:
		return h->config;
	case HPET_REG_STS:
		return h->status;
	case HPET_REG_COUNTER:
		return hpet_counter(h);
	}
	if (reg < HPET_REG_TIMER || reg >= HPET_REG_TIMER + HPET_TIMERS * 0x20u)
		return 0;
	i = (reg - HPET_REG_TIMER) / 0x20u;
	switch (reg & 0x1fu) {
	case 0x00:
		return TN_ROUTE_CAP << 32 | h->tm[i].config | TN_CAP_PERIODIC | TN_CAP_64;
	case 0x08:
		return h->tm[i].cmp;
	default:
		return 0;
	}
}

static void hpet_conf_write(struct hpet *h, uint64_t value)
{
	uint64_t counter = hpet_counter(h);
	bool was = (h->config & CONF_ENABLE) != 0, on = (value & CONF_ENABLE) != 0;
	h->config = (uint32_t)value & (CONF_ENABLE | CONF_LEGACY);
	if (was == on)
		return;
	h->base = counter;
	h->start = vclock_now(h->clock);
	for (unsigned i = 0; i < HPET_TIMERS; i++)
		hpet_schedule(h, i);
}

static void hpet_timer_config_write(struct hpet *h, unsigned i, uint64_t value)
{
	struct hpet_timer *t = &h->tm[i];
	uint32_t old = t->config;
	uint32_t route;
	t->config = (uint32_t)value & TN_WRITABLE;
	/* A route the timer cannot take is not written. */
	route = t->config >> TN_ROUTE_SHIFT & 0x1fu;
	if (route != 0 && !(TN_ROUTE_CAP >> route & 1u))
		t->config = (t->config & ~(0x1fu << TN_ROUTE_SHIFT)) |
			    (old & 0x1fu << TN_ROUTE_SHIFT);
	if (!(t->config & TN_LEVEL))
		h->status &= ~(1u << i);
	if (t->config & TN_32) {
		t->cmp &= 0xffffffffu;
		t->period &= 0xffffffffu;
	}
	if ((old ^ t->config) & (TN_32 | TN_PERIODIC))
		hpet_schedule(h, i);
}

static void hpet_comparator_write(struct hpet *h, unsigned i, uint64_t value)
{
	struct hpet_timer *t = &h->tm[i];
	value &= hpet_mask(t);
	/* Periodic: the value is the period, with VAL_SET_CNF the next match too (2.3.9.2.2). */
	if (t->config & TN_PERIODIC)
		t->period = value;
	if (!(t->config & TN_PERIODIC) || (t->config & TN_SET_VALUE)) {
		t->cmp = value;
		t->fired = false;
		hpet_schedule(h, i);
	}
	t->config &= ~TN_SET_VALUE;
}

static void hpet_reg_write(struct hpet *h, unsigned reg, uint64_t value)
{
	unsigned i;
	switch (reg) {
	case HPET_REG_CONF:
		hpet_conf_write(h, value);
		return;
	case HPET_REG_STS:
		h->status &= ~(uint32_t)value;
		return;
	case HPET_REG_COUNTER:
		h->base = value;
		h->start = vclock_now(h->clock);
		for (i = 0; i < HPET_TIMERS; i++) {
			h->tm[i].fired = false;
			hpet_schedule(h, i);
		}
		return;
	}
	if (reg < HPET_REG_TIMER || reg >= HPET_REG_TIMER + HPET_TIMERS * 0x20u)
		return;
	i = (reg - HPET_REG_TIMER) / 0x20u;
	if ((reg & 0x1fu) == 0x00)
		hpet_timer_config_write(h, i, value);
	else if ((reg & 0x1fu) == 0x08)
		hpet_comparator_write(h, i, value);
}

static uint64_t hpet_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	struct hpet *h = ctx;
	(void)vcpu;
	(void)size;
	hpet_sync(h);
	hpet_update(h);
	return hpet_reg_read(h, (unsigned)off & ~7u) >> (off & 7u) * 8;
}

static void hpet_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct hpet *h = ctx;
	unsigned reg = (unsigned)off & ~7u;
	(void)vcpu;
	/* 2.3.1: aligned 32 or 64-bit accesses; others are dropped. */
	if (size < 4 || off % size != 0)
		return;
	hpet_sync(h);
	if (size == 4) {
		uint64_t old = reg == HPET_REG_STS ? 0 : hpet_reg_read(h, reg);
		/* The upper half of a 32-bit comparator does not exist. */
		if ((off & 4u) && (reg & 0x1fu) == 0x08 && reg > HPET_REG_TIMER &&
		    reg < HPET_REG_TIMER + HPET_TIMERS * 0x20u &&
		    (h->tm[(reg - HPET_REG_TIMER) / 0x20u].config & TN_32))
			return;
		value = off & 4u ? (old & 0xffffffffu) | value << 32
				 : (old & ~0xffffffffull) | value;
	}
	hpet_reg_write(h, reg, value);
	hpet_update(h);
}

static const struct bus_region_ops hpet_ops = {
	.read = hpet_read,
	.write = hpet_write,
	.max_size = 8,
};

static void hpet_reset(void *self)
{
	struct hpet *h = self;
	h->config = h->status = 0;
	h->base = h->start = 0;
	for (unsigned i = 0; i < HPET_TIMERS; i++)
		h->tm[i] = (struct hpet_timer){ .cmp = UINT64_MAX, .due = VNS_NEVER };
	hpet_update(h);
}

static int hpet_post_load(void *obj)
{
	const struct hpet *h = obj;
	if ((h->config & ~(CONF_ENABLE | CONF_LEGACY)) || h->status >> HPET_TIMERS ||
	    h->lines >> IOAPIC_PINS)
		return RV_EINVAL;
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		const struct hpet_timer *t = &h->tm[i];
		unsigned route = t->config >> TN_ROUTE_SHIFT & 0x1fu;
		if ((t->config & ~TN_WRITABLE) || (route != 0 && !(TN_ROUTE_CAP >> route & 1u)))
			return RV_EINVAL;
		if ((t->cmp & ~hpet_mask(t)) || (t->period & ~hpet_mask(t)))
			return RV_EINVAL;
		if (t->due != VNS_NEVER && !(h->config & CONF_ENABLE))
			return RV_EINVAL;
	}
	return RV_OK;
}

static const struct state_field hpet_fields[] = {
	STATE_FIELD(struct hpet, config),
	STATE_FIELD(struct hpet, status),
	STATE_FIELD(struct hpet, base),
	STATE_FIELD(struct hpet, start),
	STATE_FIELD(struct hpet, lines),
	STATE_EACH(struct hpet, tm, config),
	STATE_EACH(struct hpet, tm, cmp),
	STATE_EACH(struct hpet, tm, period),
	STATE_EACH(struct hpet, tm, due),
	STATE_EACH(struct hpet, tm, fired),
};

static const struct state_desc hpet_desc = {
	.name = "hpet",
	.version = 1,
	.fields = hpet_fields,
	.nfields = RV_ARRAY_LEN(hpet_fields),
	.post_load = hpet_post_load,
};

static const struct device_ops hpet_device_ops = {
	.name = "hpet",
	.desc = &hpet_desc,
	.reset = hpet_reset,
	.destroy = free,
};

int hpet_create(struct device *dev, struct bus *bus, struct vclock *clock,
		void (*set)(void *ctx, unsigned gsi, bool level), void *ctx)
{
	struct hpet *h = calloc(1, sizeof(*h));
	if (!h)
		return RV_ENOMEM;
	h->clock = clock;
	h->set = set;
	h->ctx = ctx;
	if (bus_add_mmio(bus, HPET_BASE, HPET_SIZE, &hpet_ops, h) != RV_OK) {
		free(h);
		return RV_ENOMEM;
	}
	for (unsigned i = 0; i < HPET_TIMERS; i++)
		h->timer[i] = vclock_timer_add(clock, "hpet", hpet_fire, h);
	hpet_reset(h);
	dev->ops = &hpet_device_ops;
	dev->self = h;
	return RV_OK;
}
