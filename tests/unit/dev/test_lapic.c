/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dev/harness.h"

#include "cpu/model.h"

#define NCPUS 3u

struct apic_rig {
	struct rig rig;
	struct lapic *lapic;
	struct device dev;
	unsigned eois;
	uint8_t eoi_vector;
	int inta;
};

static uint32_t rd(struct apic_rig *a, unsigned cpu, unsigned reg)
{
	return (uint32_t)bus_mmio_read(a->rig.bus, cpu, LAPIC_BASE + reg, 4);
}
static void wr(struct apic_rig *a, unsigned cpu, unsigned reg, uint32_t v)
{
	bus_mmio_write(a->rig.bus, cpu, LAPIC_BASE + reg, 4, v);
}
static bool intr(struct apic_rig *a, unsigned cpu)
{
	return bus_pins(a->rig.bus, cpu)->intr;
}
static void note_eoi(void *ctx, uint8_t vector)
{
	struct apic_rig *a = ctx;
	a->eois++;
	a->eoi_vector = vector;
}
static int inta(void *ctx)
{
	struct apic_rig *a = ctx;
	lapic_set_extint(a->lapic, false);
	return a->inta;
}

static void apic_init(struct apic_rig *a)
{
	memset(a, 0, sizeof(*a));
	rig_init(&a->rig);
	assert_int_equal(lapic_create(&a->lapic, &a->dev, a->rig.bus, a->rig.clock, NCPUS), 0);
	lapic_connect_ioapic(a->lapic, note_eoi, a);
	lapic_connect_pic(a->lapic, inta, a);
	for (unsigned i = 0; i < NCPUS; i++) {
		wr(a, i, 0xf0, 0x1ff);
		wr(a, i, 0xd0, 1u << (24 + i));
	}
}
static void apic_fini(struct apic_rig *a)
{
	a->dev.ops->destroy(a->dev.self);
	rig_fini(&a->rig);
}

/* Vectors above the running priority only, highest first; EOI opens the way for the next. */
static void test_priority(void **state)
{
	struct apic_rig a;
	(void)state;
	apic_init(&a);
	assert_int_equal(rd(&a, 1, 0x20), 1u << 24);
	assert_int_equal(rd(&a, 0, 0x30), 0x00050014);
	lapic_message(a.lapic, LAPIC_BASE, 0x31);
	lapic_message(a.lapic, LAPIC_BASE, 0x52);
	assert_true(intr(&a, 0));
	assert_false(intr(&a, 1));
	assert_int_equal(rd(&a, 0, 0x210), 1u << 17);
	assert_int_equal(bus_irq_ack(a.rig.bus, 0), 0x52);
	assert_false(intr(&a, 0));
	assert_int_equal(bus_irq_ack(a.rig.bus, 0), -1);
	assert_int_equal(rd(&a, 0, 0xa0), 0x50);
	assert_int_equal(rd(&a, 0, 0x120), 1u << 18);
	lapic_message(a.lapic, LAPIC_BASE, 0x5f); /* the same class waits */
	assert_false(intr(&a, 0));
	lapic_message(a.lapic, LAPIC_BASE, 0x61);
	assert_int_equal(bus_irq_ack(a.rig.bus, 0), 0x61);
	wr(&a, 0, 0xb0, 0);
	assert_false(intr(&a, 0));
	wr(&a, 0, 0xb0, 0);
	assert_int_equal(bus_irq_ack(a.rig.bus, 0), 0x5f);
	wr(&a, 0, 0xb0, 0);
	assert_true(intr(&a, 0));
	bus_cr8_write(a.rig.bus, 0, 3);
	assert_false(intr(&a, 0));
	assert_int_equal(rd(&a, 0, 0x80), 0x30);
	assert_int_equal(rd(&a, 0, 0xa0), 0x30);
	wr(&a, 0, 0x80, 0x2f);
	assert_int_equal(bus_cr8_read(a.rig.bus, 0), 2);
	assert_int_equal(bus_irq_ack(a.rig.bus, 0), 0x31);
	wr(&a, 0, 0xb0, 0);
	wr(&a, 0, 0xb0, 0); /* without anything in service */
	assert_int_equal(a.eois, 0);
	/* Level: the EOI is broadcast. */
	wr(&a, 0, 0x80, 0);
	lapic_message(a.lapic, LAPIC_BASE, 0xc041);
	assert_int_equal(rd(&a, 0, 0x1a0), 1u << 1);
	assert_int_equal(bus_irq_ack(a.rig.bus, 0), 0x41);
	wr(&a, 0, 0xb0, 0);
	assert_int_equal(a.eois, 1);
	assert_int_equal(a.eoi_vector, 0x41);
	/* Software-disabled: accepts and delivers nothing, LVTs are masked. */
	wr(&a, 0, 0xf0, 0xff);
	lapic_message(a.lapic, LAPIC_BASE, 0x31);
	assert_false(intr(&a, 0));
	wr(&a, 0, 0x320, 0x30);
	assert_int_equal(rd(&a, 0, 0x320), 0x10030);
	apic_fini(&a);
}

static void test_destinations(void **state)
{
	struct apic_rig a;
	(void)state;
	apic_init(&a);
	lapic_message(a.lapic, LAPIC_BASE | 2u << 12, 0x40);
	assert_int_equal(bus_irq_ack(a.rig.bus, 2), 0x40);
	lapic_message(a.lapic, LAPIC_BASE | 6u << 12 | 4u, 0x41); /* flat: 1 and 2 */
	assert_false(intr(&a, 0));
	assert_int_equal(bus_irq_ack(a.rig.bus, 1), 0x41);
	assert_int_equal(rd(&a, 2, 0x220), 2);
	lapic_message(a.lapic, LAPIC_BASE | 6u << 12 | 4u, 0x162); /* lowest priority: 1 */
	assert_int_equal(bus_irq_ack(a.rig.bus, 1), 0x62);
	assert_false(bus_irq_ack(a.rig.bus, 2) == 0x62);
	lapic_message(a.lapic, LAPIC_BASE | 0xffu << 12, 0x93);
	for (unsigned i = 0; i < NCPUS; i++)
		assert_int_equal(bus_irq_ack(a.rig.bus, i), 0x93);
	lapic_message(a.lapic, LAPIC_BASE | 9u << 12, 0xa0); /* nobody */
	lapic_message(a.lapic, 0xfed00000u, 0xa0);
	for (unsigned i = 0; i < NCPUS; i++)
		assert_false(intr(&a, i));
	/* Cluster model: CPU 1 is member 2 of cluster 1. */
	wr(&a, 1, 0xe0, 0);
	assert_int_equal(rd(&a, 1, 0xe0), 0x0fffffff);
	wr(&a, 1, 0xd0, 0x12u << 24);
	lapic_message(a.lapic, LAPIC_BASE | 0x13u << 12 | 4u, 0xa1);
	assert_int_equal(bus_irq_ack(a.rig.bus, 1), 0xa1);
	/* IPIs: INIT, SIPI, NMI, shorthands. */
	wr(&a, 0, 0x310, 1u << 24);
	wr(&a, 0, 0x300, 0xc500);
	assert_true(bus_pins(a.rig.bus, 1)->init);
	wr(&a, 0, 0x300, 0x8500); /* de-assert */
	wr(&a, 0, 0x300, 0x0608);
	assert_true(bus_pins(a.rig.bus, 1)->sipi);
	assert_int_equal(bus_pins(a.rig.bus, 1)->sipi_vector, 8);
	wr(&a, 0, 0x300, 0xc0400);
	assert_false(bus_pins(a.rig.bus, 0)->nmi);
	assert_true(bus_pins(a.rig.bus, 2)->nmi);
	wr(&a, 0, 0x300, 0x400d0);
	assert_int_equal(bus_irq_ack(a.rig.bus, 0), 0xd0);
	wr(&a, 0, 0x300, 0x800e0);
	for (unsigned i = 0; i < NCPUS; i++)
		assert_int_equal(bus_irq_ack(a.rig.bus, i), 0xe0);
	/* The INIT is taken: registers are reset, the timer stops. */
	wr(&a, 1, 0x320, 0x50);
	wr(&a, 1, 0x380, 1000);
	bus_vcpu_init(a.rig.bus, 1);
	assert_int_equal(rd(&a, 1, 0xf0), 0xff);
	assert_int_equal(vclock_next_deadline(a.rig.clock), VNS_NEVER);
	apic_fini(&a);
}

static void test_errors(void **state)
{
	struct apic_rig a;
	(void)state;
	apic_init(&a);
	wr(&a, 0, 0x370, 0xfe);
	wr(&a, 0, 0x300, 0x40005); /* vector 5 */
	assert_int_equal(bus_irq_ack(a.rig.bus, 0), 0xfe);
	wr(&a, 0, 0xb0, 0);
	assert_int_equal(rd(&a, 0, 0x280), 0);
	wr(&a, 0, 0x280, 0);
	assert_int_equal(rd(&a, 0, 0x280), 0x20);
	lapic_message(a.lapic, LAPIC_BASE, 5);
	(void)rd(&a, 0, 0x3f0);
	wr(&a, 0, 0x40, 1);
	(void)rd(&a, 0, 0x2f0);
	wr(&a, 0, 0x280, 1);
	assert_int_equal(rd(&a, 0, 0x280), 0xc0);
	wr(&a, 0, 0x280, 1);
	assert_int_equal(rd(&a, 0, 0x280), 0);
	/* An error vector that is itself illegal ends. */
	wr(&a, 0, 0x370, 0x3);
	wr(&a, 0, 0x300, 0x40005);
	wr(&a, 0, 0x280, 0);
	assert_int_equal(rd(&a, 0, 0x280), 0x60);
	/* Odd sizes and places. */
	assert_int_equal(bus_mmio_read(a.rig.bus, 0, LAPIC_BASE + 0x32, 1), 5);
	assert_int_equal(rd(&a, 0, 0x34), 0);
	bus_mmio_write(a.rig.bus, 0, LAPIC_BASE + 0x80, 1, 0x50);
	assert_int_equal(rd(&a, 0, 0x80), 0);
	apic_fini(&a);
}

static void test_timer(void **state)
{
	struct apic_rig a;
	struct rig *r = &a.rig;
	(void)state;
	apic_init(&a);
	/* Masked: counts, by 16, and arms nothing. */
	rig_to(r, 1000);
	wr(&a, 0, 0x3e0, 3);
	wr(&a, 0, 0x380, 100);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	rig_run(r, 16 * 30 + 1);
	assert_int_equal(rd(&a, 0, 0x390), 70);
	rig_run(r, 16 * 100);
	assert_int_equal(rd(&a, 0, 0x390), 0);
	/* One shot. */
	wr(&a, 0, 0x3e0, 0xb);
	wr(&a, 0, 0x320, 0x40);
	assert_false(intr(&a, 0));
	wr(&a, 0, 0x380, 500);
	assert_int_equal(vclock_next_deadline(r->clock), vclock_now(r->clock) + 500);
	rig_run(r, 499);
	assert_false(intr(&a, 0));
	assert_int_equal(rd(&a, 0, 0x390), 1);
	rig_run(r, 1);
	assert_int_equal(bus_irq_ack(r->bus, 0), 0x40);
	wr(&a, 0, 0xb0, 0);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	/* Periodic: no drift over a late look, missed ones are one. */
	rig_to(r, 100000);
	wr(&a, 0, 0x320, 0x20041);
	wr(&a, 0, 0x380, 1000);
	rig_to(r, 101000);
	assert_int_equal(bus_irq_ack(r->bus, 0), 0x41);
	wr(&a, 0, 0xb0, 0);
	rig_jump(r, 5300);
	assert_int_equal(bus_irq_ack(r->bus, 0), 0x41);
	assert_false(intr(&a, 0));
	wr(&a, 0, 0xb0, 0);
	assert_int_equal(vclock_next_deadline(r->clock), 107000);
	assert_int_equal(rd(&a, 0, 0x390), 700);
	/* Masked meanwhile, it goes on, and comes back in step. */
	wr(&a, 0, 0x320, 0x30041);
	rig_to(r, 200300);
	assert_int_equal(rd(&a, 0, 0x390), 700);
	wr(&a, 0, 0x320, 0x20041);
	assert_int_equal(vclock_next_deadline(r->clock), 201000);
	assert_false(intr(&a, 0));
	/* The divisor changes under way. */
	wr(&a, 0, 0x3e0, 0);
	assert_int_equal(vclock_next_deadline(r->clock), 200300 + 1400);
	wr(&a, 0, 0x380, 0);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	/* One nanosecond periods and a jump of a year. */
	wr(&a, 0, 0x3e0, 0xb);
	wr(&a, 0, 0x380, 1);
	rig_jump(r, 31536000000000000ull);
	assert_true(intr(&a, 0));
	apic_fini(&a);
}

static void test_deadline(void **state)
{
	struct apic_rig a;
	struct rig *r = &a.rig;
	uint64_t v;
	(void)state;
	apic_init(&a);
	assert_int_equal(bus_msr_write(r->bus, 0, MSR_TSC_DEADLINE, 500), 0);
	assert_int_equal(bus_msr_read(r->bus, 0, MSR_TSC_DEADLINE, &v), 0);
	assert_int_equal(v, 0); /* not in this mode */
	wr(&a, 0, 0x320, 0x40080);
	bus_msr_write(r->bus, 0, MSR_TSC_DEADLINE, 500);
	assert_int_equal(vclock_next_deadline(r->clock), 500);
	bus_tsc_adjust(r->bus, 0, 100);
	assert_int_equal(vclock_next_deadline(r->clock), 400);
	rig_to(r, 399);
	assert_false(intr(&a, 0));
	rig_to(r, 400);
	assert_int_equal(bus_irq_ack(r->bus, 0), 0x80);
	bus_msr_read(r->bus, 0, MSR_TSC_DEADLINE, &v);
	assert_int_equal(v, 0);
	wr(&a, 0, 0xb0, 0);
	/* In the past: at once. */
	bus_msr_write(r->bus, 0, MSR_TSC_DEADLINE, 10);
	assert_int_equal(bus_irq_ack(r->bus, 0), 0x80);
	wr(&a, 0, 0xb0, 0);
	/* Disarmed with 0; too far away is never. */
	bus_msr_write(r->bus, 0, MSR_TSC_DEADLINE, 1000);
	bus_msr_write(r->bus, 0, MSR_TSC_DEADLINE, 0);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	bus_tsc_adjust(r->bus, 0, 0);
	bus_msr_write(r->bus, 0, MSR_TSC_DEADLINE, UINT64_MAX);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	/* A masked one expires unseen. */
	wr(&a, 0, 0x320, 0x50080);
	bus_msr_write(r->bus, 0, MSR_TSC_DEADLINE, 2000);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	rig_to(r, 2000);
	bus_msr_read(r->bus, 0, MSR_TSC_DEADLINE, &v);
	assert_int_equal(v, 0);
	wr(&a, 0, 0x320, 0x40080);
	assert_false(intr(&a, 0));
	/* Writes to the initial count do nothing; leaving the mode disarms. */
	wr(&a, 0, 0x380, 77);
	assert_int_equal(rd(&a, 0, 0x380), 0);
	bus_msr_write(r->bus, 0, MSR_TSC_DEADLINE, 5000);
	wr(&a, 0, 0x320, 0x80);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	apic_fini(&a);
}

static void test_x2apic(void **state)
{
	struct apic_rig a;
	struct bus *b;
	uint64_t v;
	(void)state;
	apic_init(&a);
	b = a.rig.bus;
	assert_int_equal(bus_msr_read(b, 0, 0x802, &v), RV_EINVAL);
	assert_int_equal(bus_msr_read(b, 0, MSR_APIC_BASE, &v), 0);
	assert_int_equal(v, LAPIC_BASE | 0x900);
	assert_int_equal(bus_msr_write(b, 0, MSR_APIC_BASE, 0xfec00900), RV_EINVAL);
	assert_int_equal(bus_msr_write(b, 0, MSR_APIC_BASE, LAPIC_BASE | 0x500), RV_EINVAL);
	for (unsigned i = 0; i < NCPUS; i++)
		assert_int_equal(bus_msr_write(b, i, MSR_APIC_BASE, LAPIC_BASE | 0xc00), 0);
	assert_int_equal(bus_msr_write(b, 0, MSR_APIC_BASE, LAPIC_BASE | 0x800), RV_EINVAL);
	assert_int_equal(rd(&a, 0, 0x20), 0xffffffff);
	assert_int_equal(bus_msr_read(b, 2, 0x802, &v), 0);
	assert_int_equal(v, 2);
	bus_msr_read(b, 2, 0x80d, &v);
	assert_int_equal(v, 4);
	assert_int_equal(bus_msr_write(b, 0, 0x802, 0), RV_EINVAL);
	assert_int_equal(bus_msr_read(b, 0, 0x80b, &v), RV_EINVAL);
	assert_int_equal(bus_msr_write(b, 0, 0x80b, 1), RV_EINVAL);
	assert_int_equal(bus_msr_read(b, 0, 0x80e, &v), RV_EINVAL);
	assert_int_equal(bus_msr_read(b, 0, 0x831, &v), RV_EINVAL);
	assert_int_equal(bus_msr_read(b, 0, 0x82f, &v), RV_EINVAL);
	assert_int_equal(bus_msr_read(b, 0, 0x83f, &v), RV_EINVAL);
	assert_int_equal(bus_msr_write(b, 0, 0x808, 0x100), RV_EINVAL);
	assert_int_equal(bus_msr_write(b, 0, 0x80f, 0x11ff), RV_EINVAL);
	assert_int_equal(bus_msr_write(b, 0, 0x832, 0x100000000ull), RV_EINVAL);
	assert_int_equal(bus_msr_write(b, 0, 0x832, 0x10400), RV_EINVAL);
	assert_int_equal(bus_msr_write(b, 0, 0x828, 1), RV_EINVAL);
	assert_int_equal(bus_msr_write(b, 0, 0x839, 1), RV_EINVAL);
	assert_int_equal(bus_msr_write(b, 0, 0x83e, 4), RV_EINVAL);
	/* Self IPI, physical and logical IPIs, broadcast. */
	assert_int_equal(bus_msr_write(b, 1, 0x83f, 0x44), 0);
	assert_int_equal(bus_irq_ack(b, 1), 0x44);
	assert_int_equal(bus_msr_write(b, 1, 0x80b, 0), 0);
	assert_int_equal(bus_msr_write(b, 0, 0x830, 2ull << 32 | 0x45), 0);
	assert_int_equal(bus_irq_ack(b, 2), 0x45);
	bus_msr_read(b, 0, 0x830, &v);
	assert_int_equal(v, 2ull << 32 | 0x45);
	bus_msr_write(b, 0, 0x830, 3ull << 32 | 0x856);
	assert_int_equal(bus_irq_ack(b, 0), 0x56);
	assert_int_equal(bus_irq_ack(b, 1), 0x56);
	assert_false(intr(&a, 2));
	bus_msr_write(b, 0, 0x830, 0xffffffffull << 32 | 0x67);
	for (unsigned i = 0; i < NCPUS; i++)
		assert_int_equal(bus_irq_ack(b, i), 0x67);
	/* INIT keeps the mode. Off, on again in steps. */
	bus_vcpu_init(b, 1);
	assert_int_equal(bus_msr_read(b, 1, 0x802, &v), 0);
	assert_int_equal(bus_msr_write(b, 1, MSR_APIC_BASE, LAPIC_BASE), 0);
	assert_false(bus_apic_enabled(b, 1));
	assert_int_equal(bus_msr_write(b, 1, MSR_APIC_BASE, LAPIC_BASE | 0xc00), RV_EINVAL);
	assert_int_equal(bus_msr_write(b, 1, MSR_APIC_BASE, LAPIC_BASE | 0x800), 0);
	assert_int_equal(rd(&a, 1, 0xf0), 0xff);
	apic_fini(&a);
}

static void test_extint(void **state)
{
	struct apic_rig a;
	struct bus *b;
	(void)state;
	apic_init(&a);
	b = a.rig.bus;
	a.inta = 0x20;
	/* Virtual wire from power-on. */
	lapic_set_extint(a.lapic, true);
	assert_true(intr(&a, 0));
	assert_false(intr(&a, 1));
	assert_int_equal(bus_irq_ack(b, 0), 0x20);
	assert_false(intr(&a, 0));
	wr(&a, 0, 0x350, 0x10700);
	lapic_set_extint(a.lapic, true);
	assert_false(intr(&a, 0));
	wr(&a, 0, 0x350, 0x700);
	assert_true(intr(&a, 0));
	lapic_set_extint(a.lapic, false);
	/* Fixed, edge. */
	wr(&a, 0, 0x350, 0x38);
	lapic_set_extint(a.lapic, true);
	assert_int_equal(bus_irq_ack(b, 0), 0x38);
	wr(&a, 0, 0xb0, 0);
	assert_false(intr(&a, 0));
	lapic_set_extint(a.lapic, false);
	/* Fixed, level: comes again after the EOI. */
	wr(&a, 0, 0x350, 0x8039);
	lapic_set_extint(a.lapic, true);
	assert_int_equal(bus_irq_ack(b, 0), 0x39);
	assert_int_equal(rd(&a, 0, 0x350), 0xc039);
	wr(&a, 0, 0xb0, 0);
	assert_int_equal(bus_irq_ack(b, 0), 0x39);
	lapic_set_extint(a.lapic, false);
	wr(&a, 0, 0xb0, 0);
	assert_int_equal(rd(&a, 0, 0x350), 0x8039);
	assert_false(intr(&a, 0));
	/* NMI, and past a disabled APIC. */
	wr(&a, 0, 0x350, 0x400);
	lapic_set_extint(a.lapic, true);
	assert_true(bus_pins(b, 0)->nmi);
	assert_false(intr(&a, 0));
	bus_msr_write(b, 0, MSR_APIC_BASE, LAPIC_BASE | 0x100);
	assert_true(intr(&a, 0));
	assert_int_equal(rd(&a, 0, 0x20), 0xffffffff);
	assert_int_equal(bus_irq_ack(b, 0), 0x20);
	apic_fini(&a);
}

static void apic_use(struct rig *r, uint64_t *seed)
{
	uint64_t v;
	for (unsigned i = 0; i < 60; i++) {
		unsigned cpu = (unsigned)(rig_random(seed) % 4);
		gpa_t gpa = LAPIC_BASE + rig_random(seed) % 0x1000;
		unsigned size = 1u << rig_random(seed) % 4;
		uint32_t msr = 0x800 + (uint32_t)(rig_random(seed) % 0x40);
		if (rig_random(seed) % 2)
			gpa &= ~15ull;
		bus_mmio_write(r->bus, cpu, gpa, size, rig_random(seed));
		(void)bus_mmio_read(r->bus, cpu, gpa, size);
		(void)bus_msr_write(r->bus, cpu, msr, rig_random(seed) >> rig_random(seed) % 64);
		(void)bus_msr_read(r->bus, cpu, msr, &v);
		(void)bus_msr_write(r->bus, cpu, MSR_TSC_DEADLINE,
				    rig_random(seed) >> rig_random(seed) % 64);
		(void)bus_msr_write(r->bus, cpu, MSR_APIC_BASE,
				    LAPIC_BASE | (rig_random(seed) & 0xd00));
		bus_tsc_adjust(r->bus, cpu, rig_random(seed));
		bus_cr8_write(r->bus, cpu, (uint8_t)rig_random(seed));
		assert_true(cpu >= NCPUS || !bus_pins(r->bus, cpu)->intr ||
			    bus_irq_ack(r->bus, cpu) >= 0);
		rig_jump(r, rig_random(seed) % 2000);
	}
}

static void test_state(void **state)
{
	struct apic_rig a;
	uint64_t seed = 99;
	(void)state;
	apic_init(&a);
	wr(&a, 0, 0x320, 0x20041);
	wr(&a, 0, 0x380, 1000);
	lapic_message(a.lapic, LAPIC_BASE, 0x52);
	rig_round_trip(&a.dev);
	assert_true(intr(&a, 0)); /* recomputed */
	apic_use(&a.rig, &seed);
	rig_round_trip(&a.dev);
	a.inta = 0x20;
	rig_hostile(&a.rig, &a.dev, apic_use, 3000);
	apic_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_priority), cmocka_unit_test(test_destinations),
		cmocka_unit_test(test_errors),	 cmocka_unit_test(test_timer),
		cmocka_unit_test(test_deadline), cmocka_unit_test(test_x2apic),
		cmocka_unit_test(test_extint),	 cmocka_unit_test(test_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
