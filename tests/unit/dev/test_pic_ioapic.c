/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dev/harness.h"

struct irq_rig {
	struct rig rig;
	struct lapic *lapic;
	struct ioapic *ioapic;
	struct pic *pic;
	struct device dev[3]; /* lapic, ioapic, pic */
};

static void extint(void *ctx, bool level)
{
	struct irq_rig *t = ctx;
	lapic_set_extint(t->lapic, level);
}

static void wr(struct irq_rig *t, unsigned reg, uint32_t v)
{
	bus_mmio_write(t->rig.bus, 0, LAPIC_BASE + reg, 4, v);
}

static void irq_init(struct irq_rig *t)
{
	rig_init(&t->rig);
	assert_int_equal(lapic_create(&t->lapic, &t->dev[0], t->rig.bus, t->rig.clock, 2), 0);
	assert_int_equal(ioapic_create(&t->ioapic, &t->dev[1], t->rig.bus, t->lapic), 0);
	assert_int_equal(pic_create(&t->pic, &t->dev[2], t->rig.bus, extint, t), 0);
	lapic_connect_pic(t->lapic, pic_inta, t->pic);
	wr(t, 0xf0, 0x1ff);
}
static void irq_fini(struct irq_rig *t)
{
	for (unsigned i = 3; i-- > 0;)
		t->dev[i].ops->destroy(t->dev[i].self);
	rig_fini(&t->rig);
}

static int ack(struct irq_rig *t)
{
	return bus_pins(t->rig.bus, 0)->intr ? bus_irq_ack(t->rig.bus, 0) : -1;
}
static void out(struct irq_rig *t, uint16_t port, uint8_t v)
{
	rig_out(&t->rig, port, v);
}

/* Master at 20h, slave at 28h, as a PC's firmware does. */
static void pic_program(struct irq_rig *t, uint8_t icw4)
{
	out(t, 0x20, 0x11);
	out(t, 0x21, 0x20);
	out(t, 0x21, 0x04);
	out(t, 0x21, icw4);
	out(t, 0xa0, 0x11);
	out(t, 0xa1, 0x28);
	out(t, 0xa1, 0x02);
	out(t, 0xa1, icw4);
	out(t, 0x21, 0);
	out(t, 0xa1, 0);
}

static void pulse(struct irq_rig *t, unsigned irq)
{
	pic_set(t->pic, irq, true);
	pic_set(t->pic, irq, false);
}

static void test_pic(void **state)
{
	struct irq_rig t;
	(void)state;
	irq_init(&t);
	pulse(&t, 0);
	assert_int_equal(ack(&t), -1); /* not initialised */
	pic_program(&t, 0x01);
	out(&t, 0x21, 0xfa); /* Linux probes like this */
	assert_int_equal(rig_in(&t.rig, 0x21), 0xfa);
	out(&t, 0x21, 0);
	/* Priority: 0, then the slave's through 2, then 3. */
	pulse(&t, 3);
	pulse(&t, 9);
	pulse(&t, 0);
	assert_int_equal(ack(&t), 0x20);
	assert_int_equal(ack(&t), -1); /* in service */
	out(&t, 0x20, 0x20);
	assert_int_equal(ack(&t), 0x29);
	out(&t, 0x20, 0x0b);
	assert_int_equal(rig_in(&t.rig, 0x20), 0x04);
	out(&t, 0xa0, 0x0b);
	assert_int_equal(rig_in(&t.rig, 0xa0), 0x02);
	pulse(&t, 1); /* above 2 in service: nests */
	assert_int_equal(ack(&t), 0x21);
	out(&t, 0x20, 0x20);
	out(&t, 0xa0, 0x20);
	out(&t, 0x20, 0x62);
	assert_int_equal(ack(&t), 0x23);
	out(&t, 0x20, 0x63);
	/* Masked edges wait. */
	out(&t, 0x21, 0x10);
	pulse(&t, 4);
	assert_int_equal(ack(&t), -1);
	out(&t, 0x20, 0x0a);
	assert_int_equal(rig_in(&t.rig, 0x20), 0x10);
	out(&t, 0x21, 0);
	assert_int_equal(ack(&t), 0x24);
	out(&t, 0x20, 0x20);
	/* Level through ELCR: comes again, and withdrawn it is spurious. */
	out(&t, 0x4d0, 0xff);
	assert_int_equal(rig_in(&t.rig, 0x4d0), 0xf8);
	pic_set(t.pic, 5, true);
	assert_int_equal(ack(&t), 0x25);
	out(&t, 0x20, 0x20);
	assert_int_equal(ack(&t), 0x25);
	pic_set(t.pic, 5, false);
	out(&t, 0x20, 0x20);
	assert_int_equal(ack(&t), -1);
	assert_int_equal(pic_inta(t.pic), 0x27);
	out(&t, 0x20, 0x0b);
	assert_int_equal(rig_in(&t.rig, 0x20), 0);
	out(&t, 0x4d0, 0);
	/* Poll. */
	pulse(&t, 6);
	out(&t, 0x20, 0x0c);
	assert_int_equal(rig_in(&t.rig, 0x20), 0x86);
	assert_int_equal(ack(&t), -1);
	out(&t, 0x20, 0x20);
	/* Special mask mode: masking the one in service lets lower ones in. */
	pulse(&t, 1);
	assert_int_equal(ack(&t), 0x21);
	pulse(&t, 6);
	assert_int_equal(ack(&t), -1);
	out(&t, 0x21, 0x02);
	out(&t, 0x20, 0x68);
	assert_int_equal(ack(&t), 0x26);
	out(&t, 0x20, 0x20); /* non-specific: not the masked one */
	out(&t, 0x20, 0x0b);
	assert_int_equal(rig_in(&t.rig, 0x20), 0x02);
	out(&t, 0x20, 0x48);
	out(&t, 0x20, 0x61);
	out(&t, 0x21, 0);
	/* Rotation: 3 becomes the lowest, 4 the highest. */
	out(&t, 0x20, 0xc3);
	pulse(&t, 3);
	pulse(&t, 7);
	assert_int_equal(ack(&t), 0x27);
	out(&t, 0x20, 0xa0);
	pulse(&t, 7);
	assert_int_equal(ack(&t), 0x23);
	out(&t, 0x20, 0x20);
	assert_int_equal(ack(&t), 0x27);
	/* Automatic EOI. */
	pic_program(&t, 0x03);
	pulse(&t, 12);
	pulse(&t, 4);
	assert_int_equal(ack(&t), 0x2c);
	assert_int_equal(ack(&t), 0x24);
	assert_int_equal(ack(&t), -1);
	rig_round_trip(&t.dev[2]);
	irq_fini(&t);
}

static uint32_t io_rd(struct irq_rig *t, uint8_t reg)
{
	bus_mmio_write(t->rig.bus, 0, IOAPIC_BASE, 4, reg);
	return (uint32_t)bus_mmio_read(t->rig.bus, 0, IOAPIC_BASE + 0x10, 4);
}
static void io_wr(struct irq_rig *t, uint8_t reg, uint32_t v)
{
	bus_mmio_write(t->rig.bus, 0, IOAPIC_BASE, 4, reg);
	bus_mmio_write(t->rig.bus, 0, IOAPIC_BASE + 0x10, 4, v);
}

static void test_ioapic(void **state)
{
	struct irq_rig t;
	(void)state;
	irq_init(&t);
	assert_int_equal(io_rd(&t, 1), 0x00170020);
	assert_int_equal(io_rd(&t, 0x10), 0x10000);
	io_wr(&t, 0, 0x0f000000);
	assert_int_equal(io_rd(&t, 0), 0x0f000000);
	assert_int_equal(io_rd(&t, 0x40), 0xffffffff);
	/* Edge. */
	ioapic_set(t.ioapic, 4, true); /* masked: lost */
	io_wr(&t, 0x10 + 8, 0x34);
	assert_int_equal(ack(&t), -1);
	ioapic_set(t.ioapic, 4, false);
	ioapic_set(t.ioapic, 4, true);
	assert_int_equal(ack(&t), 0x34);
	wr(&t, 0xb0, 0);
	assert_int_equal(ack(&t), -1);
	/* To the other processor. */
	io_wr(&t, 0x11 + 8, 1u << 24);
	assert_int_equal(io_rd(&t, 0x11 + 8), 1u << 24);
	bus_mmio_write(t.rig.bus, 1, LAPIC_BASE + 0xf0, 4, 0x1ff);
	ioapic_set(t.ioapic, 4, false);
	ioapic_set(t.ioapic, 4, true);
	assert_int_equal(ack(&t), -1);
	assert_int_equal(bus_irq_ack(t.rig.bus, 1), 0x34);
	/* Level: waits for the unmask, once until the EOI, again after it. */
	ioapic_set(t.ioapic, 9, true);
	io_wr(&t, 0x10 + 18, 0x1a059);
	assert_int_equal(ack(&t), -1);
	io_wr(&t, 0x10 + 18, 0x0a059);
	assert_int_equal(io_rd(&t, 0x10 + 18), 0x0e059);
	assert_int_equal(ack(&t), 0x59);
	ioapic_set(t.ioapic, 9, false);
	ioapic_set(t.ioapic, 9, true);
	wr(&t, 0xb0, 0);
	assert_int_equal(ack(&t), 0x59);
	ioapic_set(t.ioapic, 9, false);
	assert_int_equal(io_rd(&t, 0x10 + 18), 0x0e059);
	wr(&t, 0xb0, 0);
	assert_int_equal(io_rd(&t, 0x10 + 18), 0x0a059);
	assert_int_equal(ack(&t), -1);
	/* The EOI register, and the edge trick of guests that lack it. */
	ioapic_set(t.ioapic, 9, true);
	bus_mmio_write(t.rig.bus, 0, IOAPIC_BASE + 0x40, 4, 0x58);
	assert_int_equal(io_rd(&t, 0x10 + 18), 0x0e059);
	ioapic_set(t.ioapic, 9, false);
	bus_mmio_write(t.rig.bus, 0, IOAPIC_BASE + 0x40, 4, 0x59);
	assert_int_equal(io_rd(&t, 0x10 + 18), 0x0a059);
	ioapic_set(t.ioapic, 9, true);
	io_wr(&t, 0x10 + 18, 0x12059);
	assert_int_equal(io_rd(&t, 0x10 + 18), 0x12059);
	/* Out of range. */
	ioapic_set(t.ioapic, 24, true);
	ioapic_set(t.ioapic, 4000, true);
	rig_round_trip(&t.dev[1]);
	irq_fini(&t);
}

static void irq_use(struct rig *r, uint64_t *seed)
{
	struct irq_rig *t = (struct irq_rig *)(void *)((char *)r - offsetof(struct irq_rig, rig));
	static const uint16_t ports[6] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1};
	for (unsigned i = 0; i < 80; i++) {
		uint16_t port = ports[rig_random(seed) % 6];
		gpa_t gpa = IOAPIC_BASE + (rig_random(seed) % 8) * 0x10 + rig_random(seed) % 4 / 3;
		rig_out(r, port, (uint8_t)rig_random(seed));
		(void)rig_in(r, port);
		(void)bus_pio_read(r->bus, 0, port, 2);
		bus_mmio_write(r->bus, 0, gpa, 1u << rig_random(seed) % 4, rig_random(seed));
		(void)bus_mmio_read(r->bus, 0, gpa, 1u << rig_random(seed) % 4);
		pic_set(t->pic, (unsigned)rig_random(seed) % 20, rig_random(seed) & 1);
		ioapic_set(t->ioapic, (unsigned)rig_random(seed) % 30, rig_random(seed) & 1);
		if (bus_pins(r->bus, 0)->intr)
			assert_true(bus_irq_ack(r->bus, 0) >= 0);
		wr(t, 0xb0, 0);
	}
}

static void test_hostile(void **state)
{
	struct irq_rig t;
	uint64_t seed = 7;
	(void)state;
	irq_init(&t);
	irq_use(&t.rig, &seed);
	for (unsigned i = 0; i < 3; i++)
		rig_round_trip(&t.dev[i]);
	rig_hostile(&t.rig, &t.dev[1], irq_use, 2000);
	rig_hostile(&t.rig, &t.dev[2], irq_use, 2000);
	irq_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pic),
	    cmocka_unit_test(test_ioapic),
	    cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
