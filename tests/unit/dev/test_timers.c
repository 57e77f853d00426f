/* SPDX-License-Identifier: Apache-2.0 */
/* PIT, HPET, RTC, ACPI PM timer and its neighbours. */
#include "tests/unit/dev/harness.h"

#define MS  1000000ull
#define SEC 1000000000ull

struct chip_rig {
	struct rig rig;
	struct device dev;
};

static void fini(struct chip_rig *t)
{
	t->dev.ops->destroy(t->dev.self);
	rig_fini(&t->rig);
}
static void out(struct chip_rig *t, uint16_t port, uint8_t v)
{
	rig_out(&t->rig, port, v);
}
static uint8_t in(struct chip_rig *t, uint16_t port)
{
	return rig_in(&t->rig, port);
}

/* ---- PIT ---- */

static void pit_init(struct chip_rig *t)
{
	rig_init(&t->rig);
	assert_int_equal(pit_create(&t->dev, t->rig.bus, t->rig.clock, rig_irq(&t->rig, GSI_PIT)),
			 0);
}

static unsigned pit_count(struct chip_rig *t, unsigned ch)
{
	unsigned v = in(t, (uint16_t)(0x40 + ch));
	return v | (unsigned)in(t, (uint16_t)(0x40 + ch)) << 8;
}

static void test_pit_periodic(void **state)
{
	struct chip_rig t;
	struct rig *r = &t.rig;
	(void)state;
	pit_init(&t);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	rig_to(r, 12345);
	out(&t, 0x43, 0x34);
	out(&t, 0x40, 11932 & 0xff);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	out(&t, 0x40, 11932 >> 8);
	/* One hundred seconds of 100 Hz and a bit: the n-th is at ceil(n * 11932 / 1193182 s). */
	rig_to(r, 12345 + 100 * SEC);
	assert_int_equal(r->edges[GSI_PIT], 9999);
	assert_int_equal(vclock_next_deadline(r->clock),
			 12345 + (10000ull * 11932 * SEC + 1193181) / 1193182);
	rig_jump(r, 5 * SEC); /* missed ones are one */
	assert_int_equal(r->edges[GSI_PIT], 10000);
	rig_run(r, 11 * MS);
	assert_int_equal(r->edges[GSI_PIT], 10001);
	/* Reading: latch, and directly. */
	out(&t, 0x43, 0x34);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	out(&t, 0x40, 0);
	out(&t, 0x40, 0);
	rig_run(r, MS); /* 1193 ticks */
	out(&t, 0x43, 0x00);
	rig_run(r, MS);
	assert_int_equal(pit_count(&t, 0), 65536 - 1193);
	assert_int_equal(pit_count(&t, 0), 65536 - 2386);
	/* Read-back of status and count. */
	out(&t, 0x43, 0xc2);
	assert_int_equal(in(&t, 0x40), 0xb4);
	assert_int_equal(pit_count(&t, 0), 65536 - 2386);
	rig_round_trip(&t.dev);
	fini(&t);
}

static void test_pit_modes(void **state)
{
	struct chip_rig t;
	struct rig *r = &t.rig;
	(void)state;
	pit_init(&t);
	/* Mode 0: once. */
	out(&t, 0x43, 0x30);
	out(&t, 0x40, 0xe8);
	out(&t, 0x40, 0x03);
	out(&t, 0x43, 0xe2);
	assert_int_equal(in(&t, 0x40), 0x30); /* OUT low */
	rig_run(r, 2 * MS);
	assert_int_equal(r->edges[GSI_PIT], 1);
	out(&t, 0x43, 0xe2);
	assert_int_equal(in(&t, 0x40), 0xb0);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	assert_int_equal(pit_count(&t, 0), (1000 - 2386) & 0xffff);
	/* Mode 4: a strobe, once. */
	out(&t, 0x43, 0x18);
	out(&t, 0x40, 100);
	rig_run(r, MS);
	assert_int_equal(r->edges[GSI_PIT], 2);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	/* Mode 3 runs by twos, BCD. */
	out(&t, 0x43, 0x37);
	out(&t, 0x40, 0x00);
	out(&t, 0x40, 0x10); /* 1000 */
	rig_run(r, 83810);   /* 100 ticks */
	assert_int_equal(pit_count(&t, 0), 0x0800);
	rig_run(r, 419050); /* 600: second half */
	assert_int_equal(pit_count(&t, 0), 0x0800);
	/* Channel 2 behind its gate: how Linux measures the TSC. */
	out(&t, 0x43, 0xb0);
	out(&t, 0x42, 0xff);
	out(&t, 0x42, 0xff);
	rig_run(r, MS);
	assert_int_equal(pit_count(&t, 2), 0xffff);
	out(&t, 0x61, 0x01);
	assert_int_equal(in(&t, 0x61) & 0x2f, 0x01);
	rig_run(r, MS);
	assert_int_equal(pit_count(&t, 2), 0xffff - 1193);
	out(&t, 0x61, 0x00);
	rig_run(r, MS);
	assert_int_equal(pit_count(&t, 2), 0xffff - 1193);
	out(&t, 0x61, 0x01);
	rig_run(r, 54 * MS);
	assert_int_equal(in(&t, 0x61) & 0x20, 0x20);
	/* Mode 1 waits for its trigger. */
	out(&t, 0x61, 0x00);
	out(&t, 0x43, 0x92);
	out(&t, 0x42, 100);
	assert_int_equal(in(&t, 0x61) & 0x20, 0x20);
	out(&t, 0x61, 0x01);
	assert_int_equal(in(&t, 0x61) & 0x20, 0);
	rig_run(r, MS);
	assert_int_equal(in(&t, 0x61) & 0x20, 0x20);
	fini(&t);
}

/* ---- HPET ---- */

static void hpet_init(struct chip_rig *t)
{
	rig_init(&t->rig);
	assert_int_equal(hpet_create(&t->dev, t->rig.bus, t->rig.clock, rig_line, &t->rig), 0);
}
static uint64_t hrd(struct chip_rig *t, unsigned reg, unsigned size)
{
	return bus_mmio_read(t->rig.bus, 0, HPET_BASE + reg, size);
}
static void hwr(struct chip_rig *t, unsigned reg, unsigned size, uint64_t v)
{
	bus_mmio_write(t->rig.bus, 0, HPET_BASE + reg, size, v);
}

static void test_hpet(void **state)
{
	struct chip_rig t;
	struct rig *r = &t.rig;
	(void)state;
	hpet_init(&t);
	assert_int_equal(hrd(&t, 0, 8), 10000000ull << 32 | 0x8086a201);
	assert_int_equal(hrd(&t, 4, 4), 10000000);
	rig_run(r, 1000);
	assert_int_equal(hrd(&t, 0xf0, 8), 0);
	hwr(&t, 0x10, 4, 1);
	rig_run(r, 12345);
	assert_int_equal(hrd(&t, 0xf0, 8), 1234);
	hwr(&t, 0x10, 4, 0);
	rig_run(r, 1000);
	assert_int_equal(hrd(&t, 0xf0, 4), 1234);
	hwr(&t, 0xf0, 8, 0xfffffff0);
	assert_int_equal(hrd(&t, 0xf4, 4), 0);
	/* Legacy, timer 0 periodic in Linux's order: 10 ms. */
	hwr(&t, 0xf0, 4, 0);
	hwr(&t, 0x10, 4, 2);
	hwr(&t, 0x100, 4, 0x14c);
	hwr(&t, 0x108, 4, 1000000);
	hwr(&t, 0x108, 4, 1000000);
	assert_int_equal(hrd(&t, 0x100, 4) & 0x3f4e, 0x10c);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	hwr(&t, 0x10, 4, 3);
	rig_run(r, 1005 * MS);
	assert_int_equal(r->edges[GSI_PIT], 100);
	assert_int_equal(hrd(&t, 0x108, 8), 101000000);
	rig_jump(r, 50 * MS);
	assert_int_equal(r->edges[GSI_PIT], 101);
	assert_int_equal(hrd(&t, 0x108, 8), 106000000);
	/* Disabled it goes on, unseen. */
	hwr(&t, 0x100, 4, 0x108);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	rig_run(r, 100 * MS);
	assert_int_equal(hrd(&t, 0x108, 4), 116000000);
	/* One shot on the RTC's line; a comparator in the past waits for the counter to come round.
	 */
	hwr(&t, 0x120, 4, 0x104);
	hwr(&t, 0x128, 4, hrd(&t, 0xf0, 4) + 500);
	rig_run(r, 4999);
	assert_int_equal(r->edges[GSI_RTC], 0);
	rig_run(r, 1);
	assert_int_equal(r->edges[GSI_RTC], 1);
	assert_int_equal(vclock_next_deadline(r->clock), vclock_now(r->clock) + (10ull << 32));
	rig_run(r, 100);
	hwr(&t, 0x128, 4, hrd(&t, 0xf0, 4) - 1);
	rig_run(r, SEC);
	assert_int_equal(r->edges[GSI_RTC], 1);
	/* Equal to the counter: now. */
	hwr(&t, 0x128, 4, hrd(&t, 0xf0, 4));
	rig_run(r, 0);
	assert_int_equal(r->edges[GSI_RTC], 2);
	hwr(&t, 0x120, 4, 0);
	/* Level on a routed input. */
	hwr(&t, 0x140, 8, 21u << 9 | 6);
	assert_int_equal(hrd(&t, 0x140, 8), 0x00f00000ull << 32 | 21u << 9 | 0x36);
	hwr(&t, 0x148, 8, hrd(&t, 0xf0, 8) + 100);
	rig_run(r, 1000);
	assert_true(r->level[21]);
	assert_int_equal(hrd(&t, 0x20, 4), 4);
	hwr(&t, 0x20, 4, 4);
	assert_false(r->level[21]);
	hwr(&t, 0x140, 4, 5u << 9 | 6); /* no such route */
	assert_int_equal(hrd(&t, 0x140, 4) >> 9 & 31, 21);
	/* Odd accesses. */
	hwr(&t, 0x101, 4, 0xffffffff);
	hwr(&t, 0x10, 1, 0);
	assert_int_equal(hrd(&t, 0x10, 1), 3);
	assert_int_equal(hrd(&t, 0x3f8, 8), 0);
	rig_round_trip(&t.dev);
	fini(&t);
}

/* ---- RTC ---- */

static void rtc_init(struct chip_rig *t)
{
	rig_init(&t->rig);
	assert_int_equal(rtc_create(&t->dev, t->rig.bus, t->rig.clock, rig_irq(&t->rig, GSI_RTC),
				    512ull << 20, 1ull << 32),
			 0);
}
static uint8_t cmos(struct chip_rig *t, uint8_t reg)
{
	out(t, 0x70, reg);
	return in(t, 0x71);
}
static void cmos_set(struct chip_rig *t, uint8_t reg, uint8_t v)
{
	out(t, 0x70, reg);
	out(t, 0x71, v);
}
static void expect_time(struct chip_rig *t, const uint8_t want[8])
{
	static const uint8_t regs[8] = {0x32, 9, 8, 7, 4, 2, 0, 6};
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(cmos(t, regs[i]), want[i]);
}

static void test_rtc_time(void **state)
{
	struct chip_rig t;
	struct rig *r = &t.rig;
	(void)state;
	rtc_init(&t);
	expect_time(&t, (const uint8_t[8]){0x20, 0x24, 1, 1, 0, 0, 0, 2});
	rig_to(r, SEC - 244001);
	assert_int_equal(cmos(&t, 0x8a), 0x26); /* bit 7 of the index is not its own */
	rig_run(r, 1);
	assert_int_equal(cmos(&t, 0x0a), 0xa6);
	rig_to(r, SEC);
	assert_int_equal(cmos(&t, 0x0a), 0x26);
	assert_int_equal(cmos(&t, 0), 1);
	/* 2024-02-29 23:59:59, a Thursday. */
	rig_to(r, (59 * 86400ull + 86399) * SEC);
	expect_time(&t, (const uint8_t[8]){0x20, 0x24, 2, 0x29, 0x23, 0x59, 0x59, 5});
	rig_run(r, SEC);
	expect_time(&t, (const uint8_t[8]){0x20, 0x24, 3, 1, 0, 0, 0, 6});
	/* Binary, 12 hours. */
	cmos_set(&t, 0x0b, 4);
	rig_run(r, 13 * 3600 * SEC);
	assert_int_equal(cmos(&t, 4), 0x81);
	assert_int_equal(cmos(&t, 9), 24);
	cmos_set(&t, 0x0b, 0);
	rig_run(r, 11 * 3600 * SEC);
	assert_int_equal(cmos(&t, 4), 0x12);
	/* Set to 1999-12-31 23:59:50 under SET: it stands, then goes on with the old fraction. */
	rig_run(r, SEC / 4);
	cmos_set(&t, 0x0b, 0x82);
	cmos_set(&t, 0x32, 0x19);
	cmos_set(&t, 9, 0x99);
	cmos_set(&t, 8, 0x12);
	cmos_set(&t, 7, 0x31);
	cmos_set(&t, 4, 0x23);
	cmos_set(&t, 2, 0x59);
	cmos_set(&t, 0, 0x50);
	rig_run(r, 7 * SEC);
	assert_int_equal(cmos(&t, 0), 0x50);
	cmos_set(&t, 0x0b, 0x02);
	rig_run(r, SEC / 4 * 3 - 1);
	assert_int_equal(cmos(&t, 0), 0x50);
	rig_run(r, 1);
	assert_int_equal(cmos(&t, 0), 0x51);
	rig_run(r, 9 * SEC);
	expect_time(&t, (const uint8_t[8]){0x20, 0x00, 1, 1, 0, 0, 0, 7});
	/* After a divider reset the first second is half of one. */
	cmos_set(&t, 0x0a, 0x76);
	cmos_set(&t, 0, 0x30);
	rig_run(r, SEC / 3);
	cmos_set(&t, 0x0a, 0x26);
	rig_run(r, SEC / 2 - 1);
	assert_int_equal(cmos(&t, 0), 0x30);
	rig_run(r, 1);
	assert_int_equal(cmos(&t, 0), 0x31);
	/* Without SET, one register at a time. */
	cmos_set(&t, 2, 0x42);
	assert_int_equal(cmos(&t, 2), 0x42);
	assert_int_equal(cmos(&t, 0), 0x31);
	/* Nonsense is carried, not believed. */
	cmos_set(&t, 8, 0xff);
	cmos_set(&t, 7, 0);
	(void)cmos(&t, 7);
	/* Memory. */
	assert_int_equal(cmos(&t, 0x34) | cmos(&t, 0x35) << 8, (512 - 16) * 16);
	assert_int_equal(cmos(&t, 0x5d), 1);
	assert_int_equal(cmos(&t, 0x15) | cmos(&t, 0x16) << 8, 640);
	cmos_set(&t, 0x7f, 0x99);
	assert_int_equal(cmos(&t, 0x7f), 0x99);
	assert_int_equal(cmos(&t, 0x0d), 0x80);
	rig_round_trip(&t.dev);
	fini(&t);
}

static void test_rtc_irq(void **state)
{
	struct chip_rig t;
	struct rig *r = &t.rig;
	(void)state;
	rtc_init(&t);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	/* Flags are there without interrupts. */
	rig_to(r, 2 * SEC + 1);
	assert_int_equal(cmos(&t, 0x0c), 0x50);
	assert_int_equal(cmos(&t, 0x0c), 0);
	/* Update. */
	cmos_set(&t, 0x0b, 0x12);
	assert_int_equal(vclock_next_deadline(r->clock), 3 * SEC);
	rig_to(r, 3 * SEC);
	assert_true(r->level[GSI_RTC]);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	assert_int_equal(cmos(&t, 0x0c), 0xd0);
	assert_false(r->level[GSI_RTC]);
	assert_int_equal(vclock_next_deadline(r->clock), 4 * SEC);
	cmos_set(&t, 0x0b, 0x92); /* SET ends UIE */
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	cmos_set(&t, 0x0b, 0x02);
	/* Alarm at 00:01:07, then each minute. */
	cmos_set(&t, 1, 0x07);
	cmos_set(&t, 3, 0x01);
	cmos_set(&t, 5, 0x00);
	(void)cmos(&t, 0x0c);
	cmos_set(&t, 0x0b, 0x22);
	assert_int_equal(vclock_next_deadline(r->clock), 67 * SEC);
	rig_to(r, 67 * SEC);
	assert_true(r->level[GSI_RTC]);
	assert_int_equal(cmos(&t, 0x0c) & 0xa0, 0xa0);
	assert_int_equal(vclock_next_deadline(r->clock), (86400 + 67) * SEC);
	cmos_set(&t, 3, 0xff);
	cmos_set(&t, 5, 0xc0);
	assert_int_equal(vclock_next_deadline(r->clock), 127 * SEC);
	cmos_set(&t, 1, 0x75); /* never */
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	/* Periodic at 1024 Hz for ten seconds, acknowledged each time: no drift. */
	rig_to(r, 200 * SEC);
	(void)cmos(&t, 0x0c);
	cmos_set(&t, 0x0b, 0x42);
	r->edges[GSI_RTC] = 0;
	while (vclock_next_deadline(r->clock) <= 210 * SEC) {
		rig_to(r, vclock_next_deadline(r->clock));
		assert_true(cmos(&t, 0x0c) & 0x40);
	}
	assert_int_equal(r->edges[GSI_RTC], 10240);
	cmos_set(&t, 0x0a, 0x20); /* rate 0: off */
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	cmos_set(&t, 0x0a, 0x2f); /* 2 Hz */
	assert_int_equal(vclock_next_deadline(r->clock), 210 * SEC + SEC / 2);
	rig_round_trip(&t.dev);
	fini(&t);
}

/* ---- ACPI ---- */

static void pm_init(struct chip_rig *t)
{
	rig_init(&t->rig);
	assert_int_equal(
	    acpi_pm_create(&t->dev, t->rig.bus, t->rig.clock, rig_irq(&t->rig, GSI_SCI)), 0);
}

static void test_acpi(void **state)
{
	struct chip_rig t;
	struct rig *r = &t.rig;
	struct bus *b;
	uint32_t code;
	(void)state;
	pm_init(&t);
	b = r->bus;
	assert_int_equal(bus_pio_read(b, 0, ACPI_PM1A_CNT, 2), 1);
	rig_to(r, SEC);
	assert_int_equal(bus_pio_read(b, 0, ACPI_PM_TMR, 4), 3579545);
	rig_to(r, 10 * SEC);
	assert_int_equal(bus_pio_read(b, 0, ACPI_PM_TMR, 4), 35795450 & 0xffffff);
	/* The top bit has toggled four times. */
	assert_int_equal(bus_pio_read(b, 0, ACPI_PM1A_EVT, 2), 1);
	bus_pio_write(b, 0, ACPI_PM1A_EVT, 2, 1);
	assert_int_equal(bus_pio_read(b, 0, ACPI_PM1A_EVT, 2), 0);
	assert_int_equal(vclock_next_deadline(r->clock), VNS_NEVER);
	bus_pio_write(b, 0, ACPI_PM1A_EVT + 2, 2, 0xffff);
	assert_int_equal(bus_pio_read(b, 0, ACPI_PM1A_EVT, 4), 0x07210000);
	assert_int_equal(vclock_next_deadline(r->clock),
			 (5ull * (1u << 23) * SEC + 3579544) / 3579545);
	rig_run(r, 3 * SEC);
	assert_true(r->level[GSI_SCI]);
	bus_pio_write(b, 0, ACPI_PM1A_EVT, 2, 1);
	assert_false(r->level[GSI_SCI]);
	/* Sleep states: only S5 does anything. */
	bus_pio_write(b, 0, ACPI_PM1A_CNT, 2, 5u << 10);
	bus_pio_write(b, 0, ACPI_PM1A_CNT, 2, 1u << 13 | 3u << 10);
	assert_false(*bus_attention(b));
	assert_int_equal(bus_pio_read(b, 0, ACPI_PM1A_CNT, 2), 3u << 10 | 1);
	bus_pio_write(b, 0, ACPI_PM1A_CNT, 2, 1u << 13 | 5u << 10);
	assert_int_equal(bus_take_request(b, &code), BUS_REQ_POWEROFF);
	/* The keyboard controller. */
	assert_int_equal(in(&t, 0x64), 0xff);
	out(&t, 0x64, 0xaa);
	assert_false(*bus_attention(b));
	out(&t, 0x64, 0xfe);
	assert_int_equal(bus_take_request(b, &code), BUS_REQ_RESET);
	rig_round_trip(&t.dev);
	fini(&t);
}

/* ---- all of them, with random accesses over random state ---- */

static void timers_use(struct rig *r, uint64_t *seed)
{
	static const struct {
		uint16_t first, count;
	} ports[] = {{0x40, 4}, {0x61, 1}, {0x70, 2}, {0x64, 1}, {0x600, 12}, {0xcf8, 4}};
	uint32_t code;
	for (unsigned i = 0; i < 60; i++) {
		unsigned k = (unsigned)(rig_random(seed) % RV_ARRAY_LEN(ports));
		uint16_t port = (uint16_t)(ports[k].first + rig_random(seed) % ports[k].count);
		unsigned size = 1u << rig_random(seed) % 3;
		gpa_t gpa = HPET_BASE + rig_random(seed) % 0x160;
		if (rig_random(seed) % 4)
			gpa &= ~7ull;
		bus_pio_write(r->bus, 0, port, size, rig_random(seed));
		(void)bus_pio_read(r->bus, 0, port, size);
		bus_mmio_write(r->bus, 0, gpa, 1u << rig_random(seed) % 4,
			       rig_random(seed) >> rig_random(seed) % 64);
		(void)bus_mmio_read(r->bus, 0, gpa, 1u << rig_random(seed) % 4);
		if (*bus_attention(r->bus))
			(void)bus_take_request(r->bus, &code);
		rig_jump(r,
			 rig_random(seed) % 8 ? rig_random(seed) % 3000 : rig_random(seed) >> 33);
	}
}

static void test_hostile(void **state)
{
	void (*const init[])(struct chip_rig *) = {pit_init, hpet_init, rtc_init, pm_init};
	(void)state;
	for (unsigned i = 0; i < RV_ARRAY_LEN(init); i++) {
		struct chip_rig t;
		uint64_t seed = 1000 + i;
		init[i](&t);
		for (unsigned k = 0; k < 50; k++) {
			timers_use(&t.rig, &seed);
			rig_round_trip(&t.dev);
		}
		rig_hostile(&t.rig, &t.dev, timers_use, 2000);
		fini(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pit_periodic), cmocka_unit_test(test_pit_modes),
	    cmocka_unit_test(test_hpet),	 cmocka_unit_test(test_rtc_time),
	    cmocka_unit_test(test_rtc_irq),	 cmocka_unit_test(test_acpi),
	    cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
