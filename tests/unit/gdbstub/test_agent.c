/* SPDX-License-Identifier: Apache-2.0 */
/* Agent expressions: every opcode a condition can hold, and everything it must not hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/status.h"
#include "gdbstub/agent.h"

static bool env_reg(void *ctx, unsigned regnum, uint64_t *value)
{
	(void)ctx;
	*value = regnum == 16 ? 0xffffffff81000123ull : 100 + regnum;
	return regnum < 20;
}

/* The byte at address a is a & 0xff; 0x1000 and up is not mapped. */
static bool env_mem(void *ctx, uint64_t addr, void *out, size_t len)
{
	(void)ctx;
	if (addr > 0x1000 - len)
		return false;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)(addr + i);
	return true;
}

static const struct agent_env env = { env_reg, env_mem, NULL };

static uint64_t run(const uint8_t *code, size_t len)
{
	uint64_t value = 0xdead;
	assert_int_equal(agent_check(code, len), RV_OK);
	assert_int_equal(agent_run(code, len, &env, &value), RV_OK);
	return value;
}

static void fails(const uint8_t *code, size_t len)
{
	uint64_t value;
	assert_int_equal(agent_check(code, len), RV_OK);
	assert_int_equal(agent_run(code, len, &env, &value), RV_EINVAL);
}

#define RUN(...) run((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define FAILS(...) fails((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define CHECK(rc, ...)                                                                             \
	assert_int_equal(agent_check((const uint8_t[]){ __VA_ARGS__ },                             \
				     sizeof((const uint8_t[]){ __VA_ARGS__ })), rc)
#define C8(v) 0x22, v
#define M1 0x22, 1, 0x22, 2, 0x03 /* 1 - 2 */
#define END 0x27

static void test_constants(void **state)
{
	(void)state;
	assert_int_equal(RUN(C8(0xff), END), 0xff);
	assert_int_equal(RUN(0x23, 0x12, 0x34, END), 0x1234);
	assert_int_equal(RUN(0x24, 0x12, 0x34, 0x56, 0x78, END), 0x12345678);
	assert_int_equal(RUN(0x25, 1, 2, 3, 4, 5, 6, 7, 8, END), 0x0102030405060708ull);
	assert_int_equal(RUN(0x26, 0, 16, END), 0xffffffff81000123ull);
	FAILS(0x26, 0, 20, END);
}

static void test_arithmetic(void **state)
{
	(void)state;
	assert_int_equal(RUN(C8(7), C8(5), 0x02, END), 12);
	assert_int_equal(RUN(M1, END), UINT64_MAX);
	assert_int_equal(RUN(C8(7), C8(5), 0x04, END), 35);
	assert_int_equal(RUN(M1, C8(1), 0x05, END), UINT64_MAX);
	assert_int_equal(RUN(M1, C8(2), 0x06, END), UINT64_MAX / 2);
	assert_int_equal(RUN(M1, C8(2), 0x07, END), UINT64_MAX); /* -1 % 2 */
	assert_int_equal(RUN(M1, C8(10), 0x08, END), UINT64_MAX % 10);
	/* INT64_MIN / -1 wraps, as everything else does */
	assert_int_equal(RUN(C8(1), C8(63), 0x09, M1, 0x05, END), 1ull << 63);
	assert_int_equal(RUN(C8(1), C8(63), 0x09, M1, 0x07, END), 0);
	for (uint8_t op = 0x05; op <= 0x08; op++)
		FAILS(C8(1), C8(0), op, END);
	assert_int_equal(RUN(C8(1), C8(63), 0x09, END), 1ull << 63);
	assert_int_equal(RUN(C8(1), C8(64), 0x09, END), 0);
	assert_int_equal(RUN(M1, C8(200), 0x0a, END), UINT64_MAX);
	assert_int_equal(RUN(M1, C8(60), 0x0b, END), 15);
	assert_int_equal(RUN(M1, C8(64), 0x0b, END), 0);
}

static void test_logic(void **state)
{
	(void)state;
	assert_int_equal(RUN(C8(0), 0x0e, END), 1);
	assert_int_equal(RUN(C8(9), 0x0e, END), 0);
	assert_int_equal(RUN(C8(12), C8(10), 0x0f, END), 8);
	assert_int_equal(RUN(C8(12), C8(10), 0x10, END), 14);
	assert_int_equal(RUN(C8(12), C8(10), 0x11, END), 6);
	assert_int_equal(RUN(C8(0), 0x12, END), UINT64_MAX);
	assert_int_equal(RUN(C8(3), C8(3), 0x13, END), 1);
	assert_int_equal(RUN(C8(3), C8(4), 0x13, END), 0);
	assert_int_equal(RUN(M1, C8(4), 0x14, END), 1); /* -1 < 4 */
	assert_int_equal(RUN(M1, C8(4), 0x15, END), 0); /* unsigned: not */
	assert_int_equal(RUN(C8(3), C8(4), 0x15, END), 1);
	assert_int_equal(RUN(C8(0x80), 0x16, 8, END), 0xffffffffffffff80ull);
	assert_int_equal(RUN(C8(0x7f), 0x16, 8, END), 0x7f);
	assert_int_equal(RUN(M1, 0x16, 64, END), UINT64_MAX);
	assert_int_equal(RUN(M1, 0x2a, 12, END), 0xfff);
	assert_int_equal(RUN(M1, 0x2a, 64, END), UINT64_MAX);
	assert_int_equal(RUN(M1, 0x2a, 0, END), 0);
}

static void test_memory_and_stack(void **state)
{
	(void)state;
	assert_int_equal(RUN(C8(0x42), 0x17, END), 0x42);
	assert_int_equal(RUN(C8(0x42), 0x18, END), 0x4342);
	assert_int_equal(RUN(C8(0x42), 0x19, END), 0x45444342);
	assert_int_equal(RUN(C8(0x42), 0x1a, END), 0x4948474645444342ull);
	FAILS(0x23, 0x10, 0x00, 0x17, END);
	FAILS(M1, 0x1a, END);
	assert_int_equal(RUN(C8(5), 0x28, 0x02, END), 10);             /* dup add */
	assert_int_equal(RUN(C8(5), C8(6), 0x29, END), 5);             /* pop */
	assert_int_equal(RUN(C8(5), C8(3), 0x2b, 0x03, END), (uint64_t)-2); /* swap sub */
	assert_int_equal(RUN(C8(5), C8(6), 0x32, 1, END), 5);          /* pick 1 */
	FAILS(C8(5), 0x32, 1, END);
	assert_int_equal(RUN(C8(1), C8(2), C8(3), 0x33, END), 2);      /* rot: 3 1 2 */
	assert_int_equal(RUN(C8(1), C8(2), C8(3), 0x33, 0x29, END), 1);
}

static void test_jumps(void **state)
{
	(void)state;
	assert_int_equal(RUN(C8(1), 0x20, 0, 8, C8(5), END, C8(6), END), 6);
	assert_int_equal(RUN(C8(0), 0x20, 0, 8, C8(5), END, C8(6), END), 5);
	assert_int_equal(RUN(0x21, 0, 5, C8(1), C8(2), END), 2);
	/* 10 down to 0 */
	assert_int_equal(RUN(C8(10), C8(1), 0x03, 0x28, 0x20, 0, 2, END), 0);
	FAILS(0x21, 0, 0);    /* for ever */
	FAILS(C8(1));         /* no end */
	FAILS(C8(1), 0x21, 0, 0); /* the stack fills */
}

static void test_hostile(void **state)
{
	uint8_t big[300];
	(void)state;
	CHECK(RV_EINVAL, 0x00);
	CHECK(RV_EINVAL, 0x31, END);
	CHECK(RV_EINVAL, 0x35, END);
	CHECK(RV_EINVAL, 0xff, END);
	CHECK(RV_EINVAL, 0x22);
	CHECK(RV_EINVAL, 0x25, 1, 2, 3, 4, 5, 6, 7);
	CHECK(RV_EINVAL, 0x26, 0);
	CHECK(RV_EINVAL, 0x21, 0, 4, END);       /* past the end */
	CHECK(RV_EINVAL, 0x21, 0, 4, 0x22, END); /* into an operand */
	CHECK(RV_EINVAL, 0x20, 0xff, 0xff, END);
	CHECK(RV_EINVAL, C8(1), 0x16, 65, END);
	CHECK(RV_EINVAL, C8(1), 0x2a, 255, END);
	for (unsigned op = 0; op < 256; op++) {
		static const uint8_t other[] = { 0x01, 0x0c, 0x0d, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
						 0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x34 };
		if (memchr(other, (int)op, sizeof(other)))
			CHECK(RV_ENOTSUP, (uint8_t)op, 0, 0, 0, END);
	}
	assert_int_equal(agent_check(big, 0), RV_EINVAL);
	FAILS(0x02);
	FAILS(END);
	FAILS(C8(1), 0x02, END);
	FAILS(C8(1), 0x2b, END);
	FAILS(C8(1), C8(1), 0x33, END);
	FAILS(0x28, END);
	FAILS(0x29, END);
	FAILS(0x17, END);
	memset(big, 0x28, sizeof(big)); /* dup without end */
	big[0] = 0x22;
	fails(big, sizeof(big));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_constants), cmocka_unit_test(test_arithmetic),
		cmocka_unit_test(test_logic),	  cmocka_unit_test(test_memory_and_stack),
		cmocka_unit_test(test_jumps),	  cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
