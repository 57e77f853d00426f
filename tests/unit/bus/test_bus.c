/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bus/bus.h"

struct seen {
	uint64_t off[16], value[16];
	unsigned size[16], n;
};

static uint64_t seen_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	struct seen *s = ctx;
	(void)vcpu;
	s->off[s->n] = off;
	s->size[s->n++] = size;
	return 0x1122334455667788ull >> (off % 8 * 8);
}

static void seen_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct seen *s = ctx;
	(void)vcpu;
	s->off[s->n] = off;
	s->size[s->n] = size;
	s->value[s->n++] = value;
}

static const struct bus_region_ops byte_ops = { seen_read, seen_write, 1 };
static const struct bus_region_ops dword_ops = { seen_read, seen_write, 4 };

static void test_split(void **state)
{
	struct bus *b;
	struct seen p = { .n = 0 }, m = { .n = 0 };
	(void)state;
	assert_int_equal(bus_create(&b), 0);
	assert_int_equal(bus_add_pio(b, 0x70, 2, &byte_ops, &p), 0);
	assert_int_equal(bus_add_mmio(b, 0xfec00000, 0x1000, &dword_ops, &m), 0);
	/* A dword at the last claimed ports: two bytes of the device, two of nobody. */
	assert_int_equal(bus_pio_read(b, 0, 0x70, 4), 0xffff7788);
	assert_int_equal(p.n, 2);
	bus_pio_write(b, 0, 0x6f, 2, 0xabcd);
	assert_int_equal(p.n, 3);
	assert_int_equal(p.value[2], 0xab);
	/* 8 bytes into a 4-byte device, straddling its end. */
	assert_true(bus_mmio_read(b, 0, 0xfec00ffc, 8) == 0xffffffff11223344ull);
	assert_int_equal(m.n, 1);
	assert_int_equal(bus_mmio_read(b, 0, 0xd0000000, 4), 0xffffffff);
	bus_destroy(b);
}

static void test_requests(void **state)
{
	struct bus *b;
	uint32_t code;
	(void)state;
	assert_int_equal(bus_create(&b), 0);
	assert_false(*bus_attention(b));
	bus_request(b, BUS_REQ_DEBUG_EXIT, 7);
	bus_request(b, BUS_REQ_RESET, 0); /* the first one stands */
	assert_true(*bus_attention(b));
	assert_int_equal(bus_take_request(b, &code), BUS_REQ_DEBUG_EXIT);
	assert_int_equal(code, 7);
	assert_false(*bus_attention(b));
	assert_int_equal(bus_take_request(b, &code), BUS_REQ_NONE);
	bus_destroy(b);
}

static void test_msr(void **state)
{
	struct bus *b;
	uint64_t v;
	(void)state;
	assert_int_equal(bus_create(&b), 0);
	assert_int_equal(bus_msr_read(b, 0, 0x1b, &v), RV_ENOENT);
	assert_int_equal(bus_irq_ack(b, 0), -1);
	bus_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_msr),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
