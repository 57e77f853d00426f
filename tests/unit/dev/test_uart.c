/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dev/harness.h"

struct uart_rig {
	struct rig rig;
	struct uart *uart;
	struct device dev;
};

static void uart_init(struct uart_rig *t)
{
	rig_init(&t->rig);
	assert_int_equal(uart_create(&t->uart, &t->dev, t->rig.bus, t->rig.clock, UART0_PORT,
				     rig_irq(&t->rig, GSI_UART0), &t->rig.output, 0),
			 0);
}
static void uart_fini(struct uart_rig *t)
{
	t->dev.ops->destroy(t->dev.self);
	rig_fini(&t->rig);
}
static uint8_t in(struct uart_rig *t, unsigned reg)
{
	return rig_in(&t->rig, (uint16_t)(UART0_PORT + reg));
}
static void out(struct uart_rig *t, unsigned reg, uint8_t v)
{
	rig_out(&t->rig, (uint16_t)(UART0_PORT + reg), v);
}

static void test_transmit(void **state)
{
	struct uart_rig t;
	struct rig *r = &t.rig;
	unsigned edges;
	(void)state;
	uart_init(&t);
	assert_int_equal(in(&t, 5), 0x60);
	assert_int_equal(in(&t, 2), 0x01);
	out(&t, 0, 'h');
	out(&t, 0, 'i');
	assert_int_equal(r->text_len, 2);
	assert_memory_equal(r->text, "hi", 2);
	/* Enabling raises it, reading IIR acknowledges, writing THR raises it again. */
	out(&t, 1, 2);
	assert_true(r->level[GSI_UART0]);
	assert_int_equal(in(&t, 2), 0x02);
	assert_int_equal(in(&t, 2), 0x01);
	assert_false(r->level[GSI_UART0]);
	out(&t, 1, 0);
	out(&t, 1, 2);
	assert_int_equal(in(&t, 2), 0x02);
	out(&t, 0, '!');
	assert_true(r->level[GSI_UART0]);
	edges = r->edges[GSI_UART0];
	out(&t, 0, '?'); /* an edge-triggered controller sees each */
	assert_int_equal(r->edges[GSI_UART0], edges + 1);
	out(&t, 1, 0);
	assert_false(r->level[GSI_UART0]);
	/* Divisor latch and scratch. */
	out(&t, 3, 0x83);
	out(&t, 0, 1);
	out(&t, 1, 2);
	assert_int_equal(in(&t, 0), 1);
	assert_int_equal(in(&t, 1), 2);
	out(&t, 3, 0x03);
	assert_int_equal(in(&t, 1), 0);
	assert_int_equal(r->text_len, 4);
	out(&t, 7, 0x5a);
	assert_int_equal(in(&t, 7), 0x5a);
	out(&t, 1, 0xff);
	assert_int_equal(in(&t, 1), 0x0f);
	uart_fini(&t);
}

static void test_receive(void **state)
{
	struct uart_rig t;
	static uint8_t data[6000];
	(void)state;
	uart_init(&t);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	out(&t, 2, 0x81); /* FIFOs on, trigger at 8 */
	assert_int_equal(in(&t, 2), 0xc1);
	out(&t, 1, 1);
	uart_input(t.uart, data, 3);
	assert_true(t.rig.level[GSI_UART0]);
	assert_int_equal(in(&t, 2), 0xcc);
	assert_int_equal(in(&t, 5) & 1, 1);
	uart_input(t.uart, data + 3, 5);
	assert_int_equal(in(&t, 2), 0xc4);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(in(&t, 0), data[i]);
	assert_false(t.rig.level[GSI_UART0]);
	assert_int_equal(in(&t, 0), 0);
	/* The queue behind the FIFO, and its end. */
	assert_int_equal(uart_room(t.uart), 4096);
	uart_input(t.uart, data, 4096);
	assert_int_equal(uart_room(t.uart), 16);
	assert_int_equal(in(&t, 5) & 2, 0);
	out(&t, 1, 5);
	uart_input(t.uart, data + 4096, 17);
	assert_int_equal(in(&t, 2), 0xc6);
	assert_int_equal(in(&t, 5), 0x63);
	assert_int_equal(in(&t, 5), 0x61);
	for (unsigned i = 0; i < 4112; i++)
		assert_int_equal(in(&t, 0), data[i]);
	assert_int_equal(in(&t, 5), 0x60);
	/* Clearing the FIFO leaves what is still on the line. */
	uart_input(t.uart, data, 20);
	out(&t, 2, 0x03);
	for (unsigned i = 16; i < 20; i++)
		assert_int_equal(in(&t, 0), data[i]);
	assert_int_equal(in(&t, 5), 0x60);
	/* Without FIFOs one at a time. */
	out(&t, 2, 0);
	uart_input(t.uart, data, 3);
	assert_int_equal(in(&t, 2), 0x04);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(in(&t, 0), data[i]);
	assert_int_equal(in(&t, 2), 0x01);
	uart_fini(&t);
}

static void test_modem(void **state)
{
	struct uart_rig t;
	(void)state;
	uart_init(&t);
	assert_int_equal(in(&t, 6), 0xb0);
	out(&t, 4, 0x1a); /* loopback, RTS, OUT2: how Linux looks for a UART */
	assert_int_equal(in(&t, 6) & 0xf0, 0x90);
	assert_int_equal(in(&t, 6) & 0x0f, 0);
	out(&t, 1, 8);
	out(&t, 4, 0x1e);
	out(&t, 4, 0x1a);
	assert_int_equal(in(&t, 2), 0x00);
	assert_int_equal(in(&t, 6), 0x94);
	assert_int_equal(in(&t, 2), 0x01);
	out(&t, 1, 0);
	/* Bytes go round, and input waits outside. */
	uart_input(t.uart, (const uint8_t *)"x", 1);
	out(&t, 0, 0xa5);
	assert_int_equal(in(&t, 0), 0xa5);
	assert_int_equal(in(&t, 5) & 1, 0);
	assert_int_equal(t.rig.text_len, 0);
	out(&t, 0, 1);
	out(&t, 0, 2); /* overrun: no FIFO */
	assert_int_equal(in(&t, 5) & 3, 3);
	assert_int_equal(in(&t, 0), 2);
	out(&t, 4, 0x0b);
	assert_int_equal(in(&t, 0), 'x');
	uart_fini(&t);
}

static struct uart_rig *uart_rig_of(struct rig *r)
{
	return (struct uart_rig *)(void *)((char *)r - offsetof(struct uart_rig, rig));
}

static void uart_use(struct rig *r, uint64_t *seed)
{
	struct uart_rig *t = uart_rig_of(r);
	uint8_t data[64];
	for (unsigned i = 0; i < 100; i++) {
		uint16_t port = (uint16_t)(UART0_PORT + rig_random(seed) % 8);
		bus_pio_write(r->bus, 0, port, 1u << rig_random(seed) % 3, rig_random(seed));
		(void)bus_pio_read(r->bus, 0, port, 1u << rig_random(seed) % 3);
		uart_input(t->uart, data, (uint32_t)(rig_random(seed) % sizeof(data)));
		assert_true(uart_room(t->uart) <= 4096);
	}
}

static void test_state(void **state)
{
	struct uart_rig t;
	uint64_t seed = 5;
	(void)state;
	uart_init(&t);
	uart_input(t.uart, (const uint8_t *)"some input that is longer than the FIFO", 39);
	out(&t, 1, 0xf);
	rig_round_trip(&t.dev);
	uart_use(&t.rig, &seed);
	rig_round_trip(&t.dev);
	rig_hostile(&t.rig, &t.dev, uart_use, 1500);
	uart_fini(&t);
}

/* The smallest chip of all. */
static void test_debug_exit(void **state)
{
	struct rig r;
	struct device dev;
	uint32_t code = 0;
	(void)state;
	rig_init(&r);
	assert_int_equal(debug_exit_create(&dev, r.bus), 0);
	assert_int_equal(rig_in(&r, DEBUG_EXIT_PORT), 0xff);
	bus_pio_write(r.bus, 0, DEBUG_EXIT_PORT, 1, 0x15);
	assert_true(*bus_attention(r.bus));
	assert_int_equal(bus_take_request(r.bus, &code), BUS_REQ_DEBUG_EXIT);
	assert_int_equal(code, 0x2b);
	bus_pio_write(r.bus, 0, DEBUG_EXIT_PORT, 4, 0x12345678);
	assert_int_equal(bus_take_request(r.bus, &code), BUS_REQ_DEBUG_EXIT);
	assert_int_equal(code, 0x2468acf1);
	rig_round_trip(&dev);
	dev.ops->destroy(dev.self);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transmit), cmocka_unit_test(test_receive),
		cmocka_unit_test(test_modem),	 cmocka_unit_test(test_state),
		cmocka_unit_test(test_debug_exit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
