/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's registers as the guest reaches them: the xAPIC page
 * (SDM vol. 3, 10.4.1) and the MSRs of x2APIC mode (10.12.1.2). One write
 * function serves both; it checks reserved bits first, which is #GP in x2APIC
 * mode, and ignored in xAPIC mode.
 */
#include "lapic_int.h"

#include "cpu/model.h"

/* Version 14h, six LVT entries, no EOI-broadcast suppression. */
#define LAPIC_VERSION (0x14u | (uint32_t)(LVT_COUNT - 1) << 16)
#define LVT_READ_ONLY 0x1000u
#define ICR_LO_WRITABLE 0x000ccfffu
#define ICR_LO_BUSY 0x1000u

struct lapic_lvt_bits {
	uint32_t writable;
	uint32_t read_only;
};
static const struct lapic_lvt_bits lapic_lvt_bits[LVT_COUNT] = {
	[LVT_TIMER] = { 0x700ffu, LVT_READ_ONLY },
	[LVT_THERMAL] = { 0x107ffu, LVT_READ_ONLY },
	[LVT_PERF] = { 0x107ffu, LVT_READ_ONLY },
	[LVT_LINT0] = { 0x1a7ffu, LVT_READ_ONLY | LVT_REMOTE_IRR },
	[LVT_LINT1] = { 0x1a7ffu, LVT_READ_ONLY | LVT_REMOTE_IRR },
	[LVT_ERROR] = { 0x100ffu, LVT_READ_ONLY },
};

/* RV_EINVAL: there is no such readable register. */
static int lapic_reg_read(struct lapic_cpu *c, unsigned reg, bool x2, uint64_t *value)
{
	*value = 0;
	if (reg >= REG_ISR && reg < REG_ESR) {
		const uint32_t *set = reg < REG_TMR ? c->isr : reg < REG_IRR ? c->tmr : c->irr;
		*value = set[reg & 7u];
		return RV_OK;
	}
	if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT) {
		*value = c->lvt[reg - REG_LVT];
		return RV_OK;
	}
	switch (reg) {
	case REG_ID:
		*value = x2 ? c->id : c->id << 24;
		return RV_OK;
	case REG_VERSION:
		*value = LAPIC_VERSION;
		return RV_OK;
	case REG_TPR:
		*value = c->tpr;
		return RV_OK;
	case REG_PPR:
		*value = lapic_cpu_ppr(c);
		return RV_OK;
	case REG_LDR:
		*value = x2 ? lapic_cpu_x2_ldr(c) : c->ldr;
		return RV_OK;
	case REG_SVR:
		*value = c->svr;
		return RV_OK;
	case REG_ESR:
		*value = c->esr;
		return RV_OK;
	case REG_ICR_LO:
		*value = x2 ? (uint64_t)c->icr_hi << 32 | c->icr_lo : c->icr_lo;
		return RV_OK;
	case REG_TIMER_ICR:
		*value = c->timer_initial;
		return RV_OK;
	case REG_TIMER_CCR:
		*value = lapic_timer_current(c);
		return RV_OK;
	case REG_TIMER_DCR:
		*value = c->timer_dcr;
		return RV_OK;
	/* What x2APIC mode does not have; EOI is write-only there and reads 0 here. */
	case REG_APR:
	case REG_RRD:
	case REG_EOI:
		return x2 ? RV_EINVAL : RV_OK;
	case REG_DFR:
		*value = c->dfr;
		return x2 ? RV_EINVAL : RV_OK;
	case REG_ICR_HI:
		*value = c->icr_hi;
		return x2 ? RV_EINVAL : RV_OK;
	default:
		return RV_EINVAL;
	}
}

static void lapic_svr_write(struct lapic_cpu *c, uint32_t value)
{
	lapic_timer_sync(c);
	c->svr = value & SVR_WRITABLE;
	/* While software-disabled every LVT mask bit is set and stays so (10.4.7.2). */
	if (!(c->svr & SVR_ENABLE))
		for (unsigned i = 0; i < LVT_COUNT; i++)
			c->lvt[i] |= LVT_MASKED;
	lapic_timer_arm(c);
	lapic_cpu_update(c);
}

static void lapic_lvt_write(struct lapic_cpu *c, enum lapic_lvt which, uint32_t value)
{
	uint32_t keep = c->lvt[which] & LVT_REMOTE_IRR;
	value &= lapic_lvt_bits[which].writable;
	if (!(c->svr & SVR_ENABLE))
		value |= LVT_MASKED;
	if (which == LVT_TIMER) {
		lapic_timer_set_lvt(c, value);
		return;
	}
	/* A pin that is no longer level-triggered forgets that it waits for an EOI. */
	c->lvt[which] = value | (value & LVT_LEVEL ? keep : 0);
	if (which == LVT_LINT0) {
		if (c->id == 0 && c->lapic->extint && (value & LVT_LEVEL))
			lapic_cpu_lvt(c, LVT_LINT0);
		lapic_cpu_update(c);
	}
}

/* The bits that may be set in x2APIC mode (10.12.1.2); *found false: not a writable register. */
static uint64_t lapic_reg_writable(unsigned reg, bool *found)
{
	*found = true;
	if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT) {
		const struct lapic_lvt_bits *b = &lapic_lvt_bits[reg - REG_LVT];
		return b->writable | b->read_only;
	}
	switch (reg) {
	case REG_TPR:
	case REG_SELF_IPI:
		return 0xff;
	case REG_EOI:
	case REG_ESR:
		return 0;
	case REG_SVR:
		return SVR_WRITABLE;
	case REG_ICR_LO:
		return 0xffffffff00000000ull | ICR_LO_WRITABLE | ICR_LO_BUSY;
	case REG_TIMER_ICR:
		return 0xffffffffu;
	case REG_TIMER_DCR:
		return 0xb;
	default:
		*found = false;
		return 0;
	}
}

static int lapic_reg_write(struct lapic_cpu *c, unsigned reg, uint64_t value, bool x2)
{
	uint32_t v = (uint32_t)value;
	if (x2) {
		bool found;
		uint64_t writable = lapic_reg_writable(reg, &found);
		if (!found || (value & ~writable))
			return RV_EINVAL;
	}
	if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT) {
		lapic_lvt_write(c, (enum lapic_lvt)(reg - REG_LVT), v);
		return RV_OK;
	}
	switch (reg) {
	case REG_TPR:
		c->tpr = v & 0xffu;
		lapic_cpu_update(c);
		return RV_OK;
	case REG_EOI:
		lapic_cpu_eoi(c);
		return RV_OK;
	case REG_LDR:
		c->ldr = v & 0xff000000u;
		return RV_OK;
	case REG_DFR:
		c->dfr = v | 0x0fffffffu;
		return RV_OK;
	case REG_SVR:
		lapic_svr_write(c, v);
		return RV_OK;
	case REG_ESR: /* any write publishes what was found since the last one (10.5.3) */
		c->esr = c->esr_pending;
		c->esr_pending = 0;
		return RV_OK;
	case REG_ICR_LO:
		c->icr_lo = v & ICR_LO_WRITABLE;
		if (x2)
			c->icr_hi = (uint32_t)(value >> 32);
		lapic_cpu_send(c);
		return RV_OK;
	case REG_ICR_HI:
		c->icr_hi = v & 0xff000000u;
		return RV_OK;
	case REG_TIMER_ICR:
		lapic_timer_start(c, v);
		return RV_OK;
	case REG_TIMER_DCR:
		lapic_timer_set_divide(c, v);
		return RV_OK;
	case REG_SELF_IPI:
		if (!x2)
			return RV_EINVAL;
		if (v < 16)
			lapic_cpu_error(c, ESR_SEND_VECTOR);
		else
			lapic_cpu_accept(c, MODE_FIXED, v, false);
		return RV_OK;
	/* Read-only in xAPIC mode: the ID too, as on current processors (10.4.6). */
	case REG_ID:
	case REG_VERSION:
	case REG_APR:
	case REG_PPR:
	case REG_RRD:
	case REG_TIMER_CCR:
		return RV_OK;
	default:
		return reg >= REG_ISR && reg < REG_ESR ? RV_OK : RV_EINVAL;
	}
}

static uint64_t lapic_mmio_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	struct lapic *l = ctx;
	struct lapic_cpu *c = &l->cpu[vcpu < l->ncpus ? vcpu : 0];
	uint64_t value;
	(void)size; /* the bus cuts the value */
	if (!lapic_cpu_on(c) || lapic_cpu_x2(c))
		return UINT64_MAX;
	/* Registers are four bytes on 16-byte boundaries; the rest of each is reserved. */
	if (off & 0xcu)
		return 0;
	if (off >= 0x400 || lapic_reg_read(c, (unsigned)(off >> 4), false, &value) != RV_OK) {
		lapic_cpu_error(c, ESR_ILLEGAL_REG);
		return 0;
	}
	return value >> (off & 3u) * 8;
}

static void lapic_mmio_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct lapic *l = ctx;
	struct lapic_cpu *c = &l->cpu[vcpu < l->ncpus ? vcpu : 0];
	if (!lapic_cpu_on(c) || lapic_cpu_x2(c))
		return;
	if (size != 4 || (off & 0xfu)) /* 10.4.1: undefined; dropped here */
		return;
	if (off >= 0x400 || lapic_reg_write(c, (unsigned)(off >> 4), value, false) != RV_OK)
		lapic_cpu_error(c, ESR_ILLEGAL_REG);
}

static const struct bus_region_ops lapic_mmio_ops = {
	.read = lapic_mmio_read,
	.write = lapic_mmio_write,
	.max_size = 4,
};

/* Modes and the ways between them: 10.12.5, figure 10-27. The base cannot be moved. */
static int lapic_base_write(struct lapic_cpu *c, uint64_t value)
{
	const uint64_t mode_bits = APIC_BASE_EN | APIC_BASE_EXTD;
	uint64_t mode = value & mode_bits;
	uint64_t old = c->apic_base & mode_bits;
	if ((value & ~(mode_bits | APIC_BASE_BSP)) != LAPIC_BASE)
		return RV_EINVAL;
	if (mode == APIC_BASE_EXTD)
		return RV_EINVAL;
	if (old == mode_bits && mode == APIC_BASE_EN)
		return RV_EINVAL;
	if (old == 0 && mode == mode_bits)
		return RV_EINVAL;
	c->apic_base = value;
	if (old != 0 && mode == 0) /* disabled: the state is lost (10.4.3) */
		lapic_cpu_reset(c);
	lapic_timer_arm(c);
	lapic_cpu_update(c);
	return RV_OK;
}

static int lapic_msr_read(void *ctx, unsigned vcpu, uint32_t msr, uint64_t *value)
{
	struct lapic *l = ctx;
	struct lapic_cpu *c = &l->cpu[vcpu];
	if (vcpu >= l->ncpus)
		return RV_EINVAL;
	switch (msr) {
	case MSR_APIC_BASE:
		*value = c->apic_base;
		return RV_OK;
	case MSR_TSC_DEADLINE:
		lapic_timer_sync(c); /* a masked one has expired unseen */
		*value = c->tsc_deadline;
		return RV_OK;
	default:
		if (msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST || !lapic_cpu_x2(c))
			return RV_EINVAL;
		return lapic_reg_read(c, msr - MSR_X2APIC_FIRST, true, value);
	}
}

static int lapic_msr_write(void *ctx, unsigned vcpu, uint32_t msr, uint64_t value)
{
	struct lapic *l = ctx;
	struct lapic_cpu *c = &l->cpu[vcpu];
	if (vcpu >= l->ncpus)
		return RV_EINVAL;
	switch (msr) {
	case MSR_APIC_BASE:
		return lapic_base_write(c, value);
	case MSR_TSC_DEADLINE:
		lapic_timer_set_deadline(c, value);
		return RV_OK;
	default:
		if (msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST || !lapic_cpu_x2(c))
			return RV_EINVAL;
		return lapic_reg_write(c, msr - MSR_X2APIC_FIRST, value, true);
	}
}

static const struct bus_msr_ops lapic_msr_ops = {
	.read = lapic_msr_read,
	.write = lapic_msr_write,
};

int lapic_regs_create(struct lapic *l)
{
	int rc = bus_add_mmio(l->bus, LAPIC_BASE, RV_PAGE_SIZE, &lapic_mmio_ops, l);
	if (rc == RV_OK)
		rc = bus_add_msr(l->bus, MSR_APIC_BASE, MSR_APIC_BASE, &lapic_msr_ops, l);
	if (rc == RV_OK)
		rc = bus_add_msr(l->bus, MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, &lapic_msr_ops, l);
	if (rc == RV_OK)
		rc = bus_add_msr(l->bus, MSR_X2APIC_FIRST, MSR_X2APIC_LAST, &lapic_msr_ops, l);
	return rc;
}

bool lapic_regs_valid(const struct lapic_cpu *c)
{
	const uint64_t mode_bits = APIC_BASE_EN | APIC_BASE_EXTD;
	if ((c->apic_base & ~(mode_bits | APIC_BASE_BSP)) != LAPIC_BASE ||
	    (c->apic_base & mode_bits) == APIC_BASE_EXTD)
		return false;
	if (c->tpr > 0xff || (c->ldr & 0xffffffu) || ~c->dfr & 0x0fffffffu)
		return false;
	if ((c->svr & ~SVR_WRITABLE) || (c->esr & ~ESR_ALL) || (c->esr_pending & ~ESR_ALL))
		return false;
	if ((c->icr_lo & ~ICR_LO_WRITABLE) || (c->timer_dcr & ~0xbu))
		return false;
	for (unsigned i = 0; i < LVT_COUNT; i++)
		if (c->lvt[i] & ~(lapic_lvt_bits[i].writable | LVT_REMOTE_IRR))
			return false;
	/* Vectors 0-15 are never accepted. */
	return !((c->irr[0] | c->isr[0]) & 0xffffu);
}
