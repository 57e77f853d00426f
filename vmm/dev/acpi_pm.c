/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware (ACPI specification 6.4, 4.8): PM1a event and control
 * blocks, the PM timer, soft-off; and the two ways to reset a PC: the reset
 * control register at CF9h, and the keyboard controller's pulse command. Of
 * that controller nothing else exists, and its status reads FFh, by which an
 * operating system sees that none is there.
 *
 * SCI_EN is always set: there is no firmware that would want the events, and
 * the FADT names no SMI command.
 */
#include "dev/chips.h"

#include <stdlib.h>

#include "ticks.h"

#define PM_HZ 3579545u
#define PM_REGION 12u
#define PM_TMR_BITS 24u
#define PM_TMR_MSB (PM_TMR_BITS - 1)

#define PM1_TMR 0x0001u
#define PM1_GBL 0x0020u
#define PM1_PWRBTN 0x0100u
#define PM1_SLPBTN 0x0200u
#define PM1_RTC 0x0400u
#define PM1_EN_WRITABLE (PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC)

#define PM1_CNT_SCI_EN 0x0001u
#define PM1_CNT_BM_RLD 0x0002u
#define PM1_CNT_SLP_TYP_SHIFT 10u
#define PM1_CNT_SLP_EN 0x2000u
#define PM1_CNT_WRITABLE 0x1c02u /* GBL_RLS and SLP_EN read as zero */

#define KBC_PULSE_RESET 0xfeu

struct acpi_pm {
	uint16_t en, cnt;
	bool tmr_sts;
	uint64_t tmr_half; /* changes of the timer's top bit that tmr_sts accounts for */

	/* Wiring. */
	struct bus *bus;
	struct vclock *clock;
	struct vtimer *timer;
	struct irq_line sci;
};

static uint64_t acpi_pm_ticks(const struct acpi_pm *p)
{
	return ticks_of_ns(vclock_now(p->clock), PM_HZ);
}

/* TMR_STS is set whenever the timer's top bit changes (4.8.3.3): worked out when somebody looks. */
static void acpi_pm_sync(struct acpi_pm *p)
{
	uint64_t half = acpi_pm_ticks(p) >> PM_TMR_MSB;
	if (half != p->tmr_half)
		p->tmr_sts = true;
	p->tmr_half = half;
}

static void acpi_pm_update(struct acpi_pm *p)
{
	bool wanted = (p->en & PM1_TMR) && !p->tmr_sts;
	vns_t when = VNS_NEVER;
	if (wanted)
		when = ticks_deadline(0, (p->tmr_half + 1) << PM_TMR_MSB, PM_HZ);
	vclock_timer_arm(p->timer, when);
	irq_line_set(&p->sci, (p->en & PM1_TMR) && p->tmr_sts);
}

static void acpi_pm_fire(void *ctx, vns_t deadline)
{
	struct acpi_pm *p = ctx;
	(void)deadline;
	acpi_pm_sync(p);
	acpi_pm_update(p);
}

static uint8_t acpi_pm_byte(struct acpi_pm *p, unsigned off)
{
	uint32_t tmr;
	switch (off) {
	case 0:
		acpi_pm_sync(p);
		acpi_pm_update(p);
		return p->tmr_sts ? PM1_TMR : 0;
	case 2:
	case 3:
		return (uint8_t)(p->en >> (off - 2) * 8);
	case 4:
	case 5:
		return (uint8_t)(p->cnt >> (off - 4) * 8);
	case 8:
	case 9:
	case 10:
		tmr = (uint32_t)acpi_pm_ticks(p) & ((1u << PM_TMR_BITS) - 1);
		return (uint8_t)(tmr >> (off - 8) * 8);
	default:
		return 0;
	}
}

static uint64_t acpi_pm_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	uint64_t value = 0;
	(void)vcpu;
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)acpi_pm_byte(ctx, (unsigned)off + i) << i * 8;
	return value;
}

static void acpi_pm_byte_write(struct acpi_pm *p, unsigned off, uint8_t v)
{
	unsigned shift = (off & 1u) * 8;
	uint16_t mask = (uint16_t)(0xffu << shift);
	uint16_t bits = (uint16_t)((unsigned)v << shift);
	switch (off) {
	case 0: /* write one to clear; no other event can happen here */
		acpi_pm_sync(p);
		if (v & PM1_TMR)
			p->tmr_sts = false;
		acpi_pm_update(p);
		return;
	case 2:
	case 3:
		acpi_pm_sync(p);
		p->en = (uint16_t)((p->en & ~mask) | (bits & PM1_EN_WRITABLE));
		acpi_pm_update(p);
		return;
	case 4:
	case 5:
		p->cnt = (uint16_t)((p->cnt & ~mask) | (bits & PM1_CNT_WRITABLE) | PM1_CNT_SCI_EN);
		/* Type and enable are in one byte, so the order of the bytes does not matter. Sleep
		 * states but soft-off are not declared in the DSDT, and do nothing. */
		if ((bits & PM1_CNT_SLP_EN) &&
		    (bits >> PM1_CNT_SLP_TYP_SHIFT & 7u) == ACPI_SLP_TYP_S5)
			bus_request(p->bus, BUS_REQ_POWEROFF, 0);
		return;
	default:
		return;
	}
}

static void acpi_pm_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	(void)vcpu;
	for (unsigned i = 0; i < size; i++)
		acpi_pm_byte_write(ctx, (unsigned)off + i, (uint8_t)(value >> i * 8));
}

static uint64_t acpi_pm_kbc_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	(void)ctx;
	(void)vcpu;
	(void)off;
	(void)size;
	return 0xff;
}

static void acpi_pm_kbc_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct acpi_pm *p = ctx;
	(void)vcpu;
	(void)off;
	(void)size;
	if (value == KBC_PULSE_RESET)
		bus_request(p->bus, BUS_REQ_RESET, 0);
}

static const struct bus_region_ops acpi_pm_ops = {
	.read = acpi_pm_read,
	.write = acpi_pm_write,
	.max_size = 4,
};
static const struct bus_region_ops acpi_pm_kbc_ops = {
	.read = acpi_pm_kbc_read,
	.write = acpi_pm_kbc_write,
	.max_size = 1,
};

static void acpi_pm_reset(void *self)
{
	struct acpi_pm *p = self;
	p->en = 0;
	p->cnt = PM1_CNT_SCI_EN;
	p->tmr_sts = false;
	p->tmr_half = acpi_pm_ticks(p) >> PM_TMR_MSB;
	acpi_pm_update(p);
}

static int acpi_pm_post_load(void *obj)
{
	const struct acpi_pm *p = obj;
	if ((p->en & ~PM1_EN_WRITABLE) || (p->cnt & ~(PM1_CNT_WRITABLE | PM1_CNT_SCI_EN)) ||
	    !(p->cnt & PM1_CNT_SCI_EN))
		return RV_EINVAL;
	return p->tmr_half >> (64 - PM_TMR_MSB - 1) ? RV_EINVAL : RV_OK;
}

static const struct state_field acpi_pm_fields[] = {
	STATE_FIELD(struct acpi_pm, en),
	STATE_FIELD(struct acpi_pm, cnt),
	STATE_BOOL(struct acpi_pm, tmr_sts),
	STATE_FIELD(struct acpi_pm, tmr_half),
};

static const struct state_desc acpi_pm_desc = {
	.name = "acpi_pm",
	.version = 1,
	.fields = acpi_pm_fields,
	.nfields = RV_ARRAY_LEN(acpi_pm_fields),
	.post_load = acpi_pm_post_load,
};

static const struct device_ops acpi_pm_device_ops = {
	.name = "acpi_pm",
	.desc = &acpi_pm_desc,
	.reset = acpi_pm_reset,
	.destroy = free,
};

int acpi_pm_create(struct device *dev, struct bus *bus, struct vclock *clock, struct irq_line sci)
{
	struct acpi_pm *p = calloc(1, sizeof(*p));
	if (!p)
		return RV_ENOMEM;
	p->bus = bus;
	p->clock = clock;
	p->sci = sci;
	if (bus_add_pio(bus, ACPI_PM_BASE, PM_REGION, &acpi_pm_ops, p) != RV_OK ||
	    bus_add_pio(bus, 0x64, 1, &acpi_pm_kbc_ops, p) != RV_OK) {
		free(p);
		return RV_ENOMEM;
	}
	p->timer = vclock_timer_add(clock, "acpi_pm", acpi_pm_fire, p);
	acpi_pm_reset(p);
	dev->ops = &acpi_pm_device_ops;
	dev->self = p;
	return RV_OK;
}
