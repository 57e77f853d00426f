/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "clock/clock.h"

struct fired {
	unsigned order[16];
	vns_t deadline[16];
	unsigned n;
};
struct fire_arg {
	struct fired *log;
	unsigned id;
};

static void fire(void *ctx, vns_t deadline)
{
	struct fire_arg *a = ctx;
	a->log->order[a->log->n] = a->id;
	a->log->deadline[a->log->n++] = deadline;
}

/* icount_of(v) is the first icount with vns >= v, for any rate and anchor. */
static void test_inverse(void **state)
{
	unsigned seed = 12345;
	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < 20000; i++) {
		struct vclock *c;
		uint64_t rate = ((uint64_t)random() << 5 ^ (uint64_t)random()) >> (random() % 30);
		vns_t base = (uint64_t)random() << (random() % 30), want;
		icount_t n;
		rate = rate ? rate : 1;
		assert_int_equal(vclock_create(&c, rate, 0), 0);
		vclock_set_icount(c, (icount_t)random());
		assert_int_equal(vclock_anchor(c, vclock_now(c) + base, rate), 0);
		want = vclock_now(c) + (uint64_t)random() % 1000000000u;
		n = vclock_icount_of(c, want);
		assert_true(vclock_at(c, n) >= want);
		if (n > vclock_icount(c))
			assert_true(vclock_at(c, n - 1) < want);
		vclock_destroy(c);
	}
}

static void test_never_backwards(void **state)
{
	struct vclock *c;
	(void)state;
	assert_int_equal(vclock_create(&c, VCLOCK_RATE_ONE, 0), 0);
	vclock_set_icount(c, 1000);
	assert_int_equal(vclock_now(c), 1000);
	assert_int_equal(vclock_anchor(c, 999, VCLOCK_RATE_ONE), RV_EINVAL);
	assert_int_equal(vclock_anchor(c, VNS_NEVER, VCLOCK_RATE_ONE), RV_EINVAL);
	assert_int_equal(vclock_anchor(c, 5000, 0), 0);
	vclock_set_icount(c, 2000);
	assert_int_equal(vclock_now(c), 5000);
	assert_true(vclock_icount_of(c, 5001) == ICOUNT_MAX);
	vclock_destroy(c);
}

static void test_timers(void **state)
{
	struct vclock *c;
	struct fired log = { .n = 0 };
	struct fire_arg arg[3] = { { &log, 0 }, { &log, 1 }, { &log, 2 } };
	struct vtimer *t[3];
	(void)state;
	assert_int_equal(vclock_create(&c, VCLOCK_RATE_ONE, 0), 0);
	for (unsigned i = 0; i < 3; i++)
		t[i] = vclock_timer_add(c, "t", fire, &arg[i]);
	assert_true(vclock_next_deadline(c) == VNS_NEVER);
	vclock_timer_arm(t[2], 50);
	vclock_timer_arm(t[1], 50);
	vclock_timer_arm(t[0], 70);
	assert_true(vclock_take_moved(c));
	assert_false(vclock_take_moved(c));
	assert_int_equal(vclock_next_deadline(c), 50);
	vclock_set_icount(c, 49);
	vclock_run_timers(c);
	assert_int_equal(log.n, 0);
	vclock_set_icount(c, 100);
	vclock_run_timers(c);
	assert_int_equal(log.n, 3);
	assert_int_equal(log.order[0], 1);
	assert_int_equal(log.order[1], 2);
	assert_int_equal(log.order[2], 0);
	assert_int_equal(log.deadline[2], 70);
	assert_false(vclock_timer_armed(t[0]));
	vclock_destroy(c);
}

static void test_save_load(void **state)
{
	struct vclock *a, *b;
	struct bytes out = { 0 };
	struct bytes_in in;
	(void)state;
	assert_int_equal(vclock_create(&a, 3 * VCLOCK_RATE_ONE, 77), 0);
	assert_int_equal(vclock_create(&b, VCLOCK_RATE_ONE, 0), 0);
	vclock_timer_arm(vclock_timer_add(a, "t", fire, NULL), 900);
	vclock_timer_add(b, "t", fire, NULL);
	vclock_set_icount(a, 123);
	vclock_save(a, &out);
	for (size_t n = 0; n < out.len; n++) {
		bytes_in_init(&in, out.data, n);
		assert_int_equal(vclock_load(b, &in), RV_EINVAL);
	}
	bytes_in_init(&in, out.data, out.len);
	assert_int_equal(vclock_load(b, &in), 0);
	assert_int_equal(vclock_now(b), 369);
	assert_int_equal(vclock_next_deadline(b), 900);
	assert_int_equal(vclock_date(b), 77);
	bytes_fini(&out);
	vclock_destroy(a);
	vclock_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inverse),
		cmocka_unit_test(test_never_backwards),
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_save_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
