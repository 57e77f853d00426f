/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APICs of all vCPUs: priorities, acceptance and delivery (SDM vol. 3,
 * 10.6 to 10.11), and the bus's interrupt controller operations.
 *
 * A message is delivered the moment it is sent. Where hardware has a choice
 * (lowest priority arbitration) the lowest APIC ID that accepts wins.
 */
#include "lapic_int.h"

#include <stdlib.h>
#include <string.h>

static int vec_highest(const uint32_t set[8])
{
	for (int i = 7; i >= 0; i--)
		if (set[i])
			return i * 32 + 31 - __builtin_clz(set[i]);
	return -1;
}
static bool vec_test(const uint32_t set[8], unsigned v)
{
	return (set[v / 32] >> v % 32 & 1u) != 0;
}
static void vec_set(uint32_t set[8], unsigned v)
{
	set[v / 32] |= 1u << v % 32;
}
static void vec_clear(uint32_t set[8], unsigned v)
{
	set[v / 32] &= ~(1u << v % 32);
}

uint32_t lapic_cpu_ppr(const struct lapic_cpu *c)
{
	int isrv = vec_highest(c->isr);
	uint32_t in_service = isrv < 0 ? 0 : (uint32_t)isrv & 0xf0u;
	return (c->tpr & 0xf0u) >= in_service ? c->tpr : in_service;
}

uint32_t lapic_cpu_x2_ldr(const struct lapic_cpu *c)
{
	return c->id >> 4 << 16 | 1u << (c->id & 15u);
}

/* The vector that the APIC itself would deliver, or -1. */
static int lapic_cpu_pending(const struct lapic_cpu *c)
{
	int v;
	if (!lapic_cpu_on(c) || !(c->svr & SVR_ENABLE))
		return -1;
	v = vec_highest(c->irr);
	return v >= 0 && ((uint32_t)v & 0xf0u) > (lapic_cpu_ppr(c) & 0xf0u) ? v : -1;
}

/* The 8259 reaches the CPU's INTR through LINT0 in ExtINT mode, or past a disabled APIC. */
static bool lapic_cpu_extint(const struct lapic_cpu *c)
{
	uint32_t lvt = c->lvt[LVT_LINT0];
	if (c->id != 0 || !c->lapic->extint)
		return false;
	return !lapic_cpu_on(c) ||
	       (!(lvt & LVT_MASKED) && (lvt >> LVT_MODE_SHIFT & 7u) == MODE_EXTINT);
}

void lapic_cpu_update(struct lapic_cpu *c)
{
	c->pins->intr = lapic_cpu_extint(c) || lapic_cpu_pending(c) >= 0;
}

void lapic_cpu_error(struct lapic_cpu *c, uint32_t esr_bit)
{
	if (c->esr_pending & esr_bit)
		return;
	c->esr_pending |= esr_bit;
	lapic_cpu_lvt(c, LVT_ERROR); /* may come back here with another bit, no deeper */
}

void lapic_cpu_accept(struct lapic_cpu *c, enum lapic_mode mode, unsigned vector, bool level)
{
	switch (mode) {
	case MODE_FIXED:
	case MODE_LOWEST:
		if (!(c->svr & SVR_ENABLE))
			return;
		if (vector < 16) {
			lapic_cpu_error(c, ESR_RECV_VECTOR);
			return;
		}
		vec_set(c->irr, vector);
		if (level)
			vec_set(c->tmr, vector);
		else
			vec_clear(c->tmr, vector);
		lapic_cpu_update(c);
		return;
	case MODE_NMI:
		c->pins->nmi = true;
		return;
	case MODE_INIT:
		c->pins->init = true;
		c->pins->sipi = false; /* an INIT later than a SIPI undoes it */
		return;
	case MODE_SIPI:
		c->pins->sipi = true;
		c->pins->sipi_vector = (uint8_t)vector;
		return;
	case MODE_SMI:      /* there is no SMM */
	case MODE_EXTINT:   /* only from LINT0, as a level: lapic_cpu_extint() */
	case MODE_RESERVED:
		return;
	}
}

/* A local source asks for its interrupt. */
void lapic_cpu_lvt(struct lapic_cpu *c, enum lapic_lvt which)
{
	uint32_t lvt = c->lvt[which];
	enum lapic_mode mode = MODE_FIXED;
	bool level = false;
	if (!lapic_cpu_on(c) || (lvt & LVT_MASKED))
		return;
	if (which != LVT_TIMER && which != LVT_ERROR)
		mode = (enum lapic_mode)(lvt >> LVT_MODE_SHIFT & 7u);
	/* LINT1 is always edge-sensitive; level counts only with fixed delivery (10.5.1). */
	if (which == LVT_LINT0 && mode == MODE_FIXED && (lvt & LVT_LEVEL)) {
		if ((lvt & LVT_REMOTE_IRR) || !(c->svr & SVR_ENABLE))
			return;
		c->lvt[which] |= LVT_REMOTE_IRR;
		level = true;
	}
	if (mode == MODE_FIXED || mode == MODE_NMI || mode == MODE_INIT)
		lapic_cpu_accept(c, mode, lvt & 0xffu, level);
}

void lapic_cpu_eoi(struct lapic_cpu *c)
{
	int v = vec_highest(c->isr);
	uint32_t *lint0 = &c->lvt[LVT_LINT0];
	if (v < 0)
		return;
	vec_clear(c->isr, (unsigned)v);
	if (vec_test(c->tmr, (unsigned)v)) {
		if ((*lint0 & LVT_REMOTE_IRR) && (*lint0 & 0xffu) == (uint32_t)v) {
			*lint0 &= ~LVT_REMOTE_IRR;
			if (c->id == 0 && c->lapic->extint)
				lapic_cpu_lvt(c, LVT_LINT0);
		}
		if (c->lapic->eoi)
			c->lapic->eoi(c->lapic->eoi_ctx, (uint8_t)v);
	}
	lapic_cpu_update(c);
}

/* 10.6.2: is c among the destinations? broadcast: the sender's all-ones. */
static bool lapic_cpu_match(const struct lapic_cpu *c, bool logical, uint32_t dest,
			    uint32_t broadcast)
{
	uint32_t ldr;
	if (!lapic_cpu_on(c))
		return false;
	if (dest == broadcast)
		return true;
	if (!logical)
		return dest == c->id;
	if (lapic_cpu_x2(c)) {
		ldr = lapic_cpu_x2_ldr(c);
		return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffffu) != 0;
	}
	if (dest > 0xff)
		return false;
	ldr = c->ldr >> 24;
	switch (c->dfr >> 28) {
	case 0xf: /* flat */
		return (dest & ldr) != 0;
	case 0x0: /* cluster; 15 is all clusters */
		return (dest >> 4 == 0xf || dest >> 4 == ldr >> 4) && (dest & ldr & 0xfu) != 0;
	default:
		return false;
	}
}

static void lapic_deliver(struct lapic *l, bool logical, uint32_t dest, uint32_t broadcast,
			  enum lapic_mode mode, unsigned vector, bool level)
{
	for (unsigned i = 0; i < l->ncpus; i++) {
		struct lapic_cpu *c = &l->cpu[i];
		if (!lapic_cpu_match(c, logical, dest, broadcast))
			continue;
		if (mode == MODE_LOWEST && !(c->svr & SVR_ENABLE))
			continue;
		lapic_cpu_accept(c, mode, vector, level);
		if (mode == MODE_LOWEST)
			return;
	}
}

void lapic_cpu_send(struct lapic_cpu *c)
{
	struct lapic *l = c->lapic;
	uint32_t lo = c->icr_lo;
	enum lapic_mode mode = (enum lapic_mode)(lo >> 8 & 7u);
	unsigned vector = lo & 0xffu;
	bool x2 = lapic_cpu_x2(c);

	/* INIT level de-assert only synchronises arbitration IDs, which nothing here has. */
	if (mode == MODE_INIT && (lo & 1u << 15) && !(lo & 1u << 14))
		return;
	if (mode == MODE_RESERVED || mode == MODE_EXTINT)
		return;
	if ((mode == MODE_FIXED || mode == MODE_LOWEST) && vector < 16) {
		lapic_cpu_error(c, ESR_SEND_VECTOR);
		return;
	}
	/* IPIs are edge-triggered whatever bit 15 says (table 10-3). */
	switch (lo >> 18 & 3u) {
	case 0:
		lapic_deliver(l, (lo >> 11 & 1u) != 0, x2 ? c->icr_hi : c->icr_hi >> 24,
			      x2 ? 0xffffffffu : 0xffu, mode, vector, false);
		return;
	case 1: /* self: fixed only */
		if (mode == MODE_FIXED)
			lapic_cpu_accept(c, mode, vector, false);
		return;
	case 2:
		lapic_deliver(l, false, 0xff, 0xff, mode, vector, false);
		return;
	default:
		for (unsigned i = 0; i < l->ncpus; i++) {
			struct lapic_cpu *t = &l->cpu[i];
			if (t == c || !lapic_cpu_on(t))
				continue;
			if (mode == MODE_LOWEST && !(t->svr & SVR_ENABLE))
				continue;
			lapic_cpu_accept(t, mode, vector, false);
			if (mode == MODE_LOWEST)
				return;
		}
		return;
	}
}

void lapic_message(struct lapic *l, uint64_t address, uint32_t data)
{
	bool level = (data >> 15 & 1u) != 0;
	if (address >> 20 != LAPIC_BASE >> 20)
		return;
	if (level && !(data >> 14 & 1u)) /* de-assert */
		return;
	/* The redirection hint adds nothing: the destination mode bit is obeyed without it too. */
	lapic_deliver(l, (address >> 2 & 1u) != 0, (uint32_t)(address >> 12) & 0xffu, 0xff,
		      (enum lapic_mode)(data >> 8 & 7u), data & 0xffu, level);
}

void lapic_set_extint(struct lapic *l, bool level)
{
	bool rising = level && !l->extint;
	l->extint = level;
	if (rising)
		lapic_cpu_lvt(&l->cpu[0], LVT_LINT0);
	lapic_cpu_update(&l->cpu[0]);
}

void lapic_connect_pic(struct lapic *l, int (*inta)(void *ctx), void *ctx)
{
	l->inta = inta;
	l->inta_ctx = ctx;
}

void lapic_connect_ioapic(struct lapic *l, void (*eoi)(void *ctx, uint8_t vector), void *ctx)
{
	l->eoi = eoi;
	l->eoi_ctx = ctx;
}

static int lapic_ack(void *ctx, unsigned vcpu)
{
	struct lapic *l = ctx;
	struct lapic_cpu *c = &l->cpu[vcpu];
	int v;
	if (vcpu >= l->ncpus)
		return -1;
	if (lapic_cpu_extint(c) && l->inta) {
		v = l->inta(l->inta_ctx);
	} else {
		v = lapic_cpu_pending(c);
		if (v >= 0) {
			vec_clear(c->irr, (unsigned)v);
			vec_set(c->isr, (unsigned)v);
		}
	}
	lapic_cpu_update(c);
	return v;
}

static uint8_t lapic_cr8_read(void *ctx, unsigned vcpu)
{
	struct lapic *l = ctx;
	return vcpu < l->ncpus ? (uint8_t)(l->cpu[vcpu].tpr >> 4) : 0;
}

static void lapic_cr8_write(void *ctx, unsigned vcpu, uint8_t value)
{
	struct lapic *l = ctx;
	if (vcpu >= l->ncpus)
		return;
	l->cpu[vcpu].tpr = (uint32_t)(value & 0xfu) << 4;
	lapic_cpu_update(&l->cpu[vcpu]);
}

static bool lapic_apic_enabled(void *ctx, unsigned vcpu)
{
	struct lapic *l = ctx;
	return vcpu < l->ncpus && lapic_cpu_on(&l->cpu[vcpu]);
}

static void lapic_init(void *ctx, unsigned vcpu)
{
	struct lapic *l = ctx;
	/* INIT leaves alone the APIC base, so x2APIC mode, and the ID (10.4.7.3, 10.12.5.1). */
	if (vcpu < l->ncpus)
		lapic_cpu_reset(&l->cpu[vcpu]);
}

static void lapic_tsc_adjust(void *ctx, unsigned vcpu, uint64_t adjust)
{
	struct lapic *l = ctx;
	if (vcpu < l->ncpus)
		lapic_timer_set_adjust(&l->cpu[vcpu], adjust);
}

static const struct irqchip_ops lapic_irqchip_ops = {
	.ack = lapic_ack,
	.cr8_read = lapic_cr8_read,
	.cr8_write = lapic_cr8_write,
	.apic_enabled = lapic_apic_enabled,
	.init = lapic_init,
	.tsc_adjust = lapic_tsc_adjust,
};

void lapic_cpu_reset(struct lapic_cpu *c)
{
	c->tpr = c->ldr = c->esr = c->esr_pending = c->icr_lo = c->icr_hi = 0;
	c->dfr = 0xffffffffu;
	c->svr = 0xff;
	for (unsigned i = 0; i < LVT_COUNT; i++)
		c->lvt[i] = LVT_MASKED;
	memset(c->irr, 0, sizeof(c->irr));
	memset(c->isr, 0, sizeof(c->isr));
	memset(c->tmr, 0, sizeof(c->tmr));
	c->timer_initial = c->timer_dcr = 0;
	c->timer_due = VNS_NEVER;
	c->tsc_deadline = 0;
	vclock_timer_disarm(c->timer);
	lapic_cpu_update(c);
}

static void lapic_reset(void *self)
{
	struct lapic *l = self;
	l->extint = false;
	for (unsigned i = 0; i < CPU_MAX; i++) {
		struct lapic_cpu *c = &l->cpu[i];
		c->apic_base = LAPIC_BASE | APIC_BASE_EN | (i == 0 ? APIC_BASE_BSP : 0);
		c->tsc_adjust = 0;
		if (i >= l->ncpus) { /* not there: constants in the saved state */
			c->timer_due = VNS_NEVER;
			continue;
		}
		c->pins->nmi = c->pins->init = c->pins->sipi = false;
		c->pins->sipi_vector = 0;
		lapic_cpu_reset(c);
	}
	/* Virtual wire mode, which firmware sets up before it starts an operating system (MP
	 * specification 3.6.2.2): kernels are started directly here. */
	l->cpu[0].lvt[LVT_LINT0] = (uint32_t)MODE_EXTINT << LVT_MODE_SHIFT;
	lapic_cpu_update(&l->cpu[0]);
}

static int lapic_post_load(void *obj)
{
	struct lapic *l = obj;
	for (unsigned i = 0; i < l->ncpus; i++)
		if (!lapic_regs_valid(&l->cpu[i]))
			return RV_EINVAL;
	for (unsigned i = 0; i < l->ncpus; i++)
		lapic_cpu_update(&l->cpu[i]);
	return RV_OK;
}

#define LAPIC_EACH8(m)                                                                             \
	STATE_EACH(struct lapic, cpu, m[0]), STATE_EACH(struct lapic, cpu, m[1]),                  \
		STATE_EACH(struct lapic, cpu, m[2]), STATE_EACH(struct lapic, cpu, m[3]),          \
		STATE_EACH(struct lapic, cpu, m[4]), STATE_EACH(struct lapic, cpu, m[5]),          \
		STATE_EACH(struct lapic, cpu, m[6]), STATE_EACH(struct lapic, cpu, m[7])

static const struct state_field lapic_fields[] = {
	STATE_EACH(struct lapic, cpu, apic_base),
	STATE_EACH(struct lapic, cpu, tpr),
	STATE_EACH(struct lapic, cpu, ldr),
	STATE_EACH(struct lapic, cpu, dfr),
	STATE_EACH(struct lapic, cpu, svr),
	STATE_EACH(struct lapic, cpu, esr),
	STATE_EACH(struct lapic, cpu, esr_pending),
	STATE_EACH(struct lapic, cpu, icr_lo),
	STATE_EACH(struct lapic, cpu, icr_hi),
	STATE_EACH(struct lapic, cpu, lvt[LVT_TIMER]),
	STATE_EACH(struct lapic, cpu, lvt[LVT_THERMAL]),
	STATE_EACH(struct lapic, cpu, lvt[LVT_PERF]),
	STATE_EACH(struct lapic, cpu, lvt[LVT_LINT0]),
	STATE_EACH(struct lapic, cpu, lvt[LVT_LINT1]),
	STATE_EACH(struct lapic, cpu, lvt[LVT_ERROR]),
	LAPIC_EACH8(irr),
	LAPIC_EACH8(isr),
	LAPIC_EACH8(tmr),
	STATE_EACH(struct lapic, cpu, timer_initial),
	STATE_EACH(struct lapic, cpu, timer_dcr),
	STATE_EACH(struct lapic, cpu, timer_due),
	STATE_EACH(struct lapic, cpu, tsc_deadline),
	STATE_EACH(struct lapic, cpu, tsc_adjust),
	STATE_BOOL(struct lapic, extint),
	STATE_FIELD(struct lapic, chaos),
};

static const struct state_desc lapic_desc = {
	.name = "lapic",
	.version = 1,
	.fields = lapic_fields,
	.nfields = RV_ARRAY_LEN(lapic_fields),
	.post_load = lapic_post_load,
};

static const struct device_ops lapic_device_ops = {
	.name = "lapic",
	.desc = &lapic_desc,
	.reset = lapic_reset,
	.destroy = free,
};

void lapic_chaos(struct lapic *l, uint64_t seed)
{
	l->chaos = seed;
}

int lapic_create(struct lapic **out, struct device *dev, struct bus *bus, struct vclock *clock,
		 unsigned ncpus)
{
	struct lapic *l;
	if (ncpus == 0 || ncpus > CPU_MAX)
		return RV_EINVAL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return RV_ENOMEM;
	l->bus = bus;
	l->clock = clock;
	l->ncpus = ncpus;
	for (unsigned i = 0; i < ncpus; i++) {
		struct lapic_cpu *c = &l->cpu[i];
		c->lapic = l;
		c->id = i;
		c->pins = bus_pins(bus, i);
		c->timer = vclock_timer_add(clock, "lapic", lapic_timer_fire, c);
	}
	if (lapic_regs_create(l) != RV_OK) {
		free(l);
		return RV_ENOMEM;
	}
	lapic_reset(l);
	bus_set_irqchip(bus, &lapic_irqchip_ops, l);
	*out = l;
	dev->ops = &lapic_device_ops;
	dev->self = l;
	return RV_OK;
}
