/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x87 transcendentals against the host's own instructions on random
 * operands: at most 2 ulp apart wherever the host is specified to be that
 * good. The seed is printed; RV_SEED=N repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "vmm/engine/exact/x87_trans.h"

__extension__ typedef unsigned __int128 u128;

#define ROUNDS 20000
#define FCW 0x037fu
#define IE 0x01u
#define DE 0x02u
#define ZE 0x04u
#define UE 0x10u
#define PE 0x20u
#define C2 0x400u

static uint64_t next(uint64_t *s) /* splitmix64 */
{
	uint64_t z = (*s += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t seed(void)
{
	const char *env = getenv("RV_SEED");
	uint64_t s = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);

	printf("RV_SEED=%llu\n", (unsigned long long)s);
	return s;
}

static struct cpu_f80 f80(uint16_t sexp, uint64_t mant)
{
	struct cpu_f80 v;

	memset(&v, 0, sizeof(v));
	v.sexp = sexp;
	v.mant = mant;
	return v;
}

static long double to_ld(struct cpu_f80 v)
{
	long double r = 0;

	memcpy(&r, &v.mant, 8);
	memcpy((char *)&r + 8, &v.sexp, 2);
	return r;
}

static struct cpu_f80 from_ld(long double r)
{
	struct cpu_f80 v = f80(0, 0);

	memcpy(&v.mant, &r, 8);
	memcpy(&v.sexp, (char *)&r + 8, 2);
	return v;
}

/* Normal value with an exponent of [lo, hi]; sign: random if asked for. */
static struct cpu_f80 pick(uint64_t *s, int lo, int hi, int sign)
{
	uint64_t a = next(s), b = next(s);
	int e = lo + (int)(a >> 8) % (hi - lo + 1);

	if (e < lo)
		e += hi - lo + 1;
	return f80((uint16_t)((unsigned)(16383 + e) | (sign && (a & 1) ? 0x8000u : 0)),
		   b | 1ull << 63);
}

/* Distance in units of the last place, over the linear order of encodings. */
static uint64_t ulps(struct cpu_f80 a, struct cpu_f80 b)
{
	u128 x, y;

	if ((a.sexp ^ b.sexp) & 0x8000)
		return UINT64_MAX;
	/* Consecutive exponents meet: the integer bit is explicit, so drop it. */
	x = ((u128)(a.sexp & 0x7fffu) << 63) + (a.mant & ~(1ull << 63));
	y = ((u128)(b.sexp & 0x7fffu) << 63) + (b.mant & ~(1ull << 63));
	x = x > y ? x - y : y - x;
	return x > UINT64_MAX ? UINT64_MAX : (uint64_t)x;
}

static uint64_t check(const char *name, struct cpu_f80 y, struct cpu_f80 x, struct cpu_f80 got,
		      long double want, uint64_t limit)
{
	uint64_t d = ulps(got, from_ld(want));

	if (d > limit) {
		printf("%s(%.21Lg, %.21Lg): %.21Lg here, %.21Lg on the host, %llu ulp\n", name, to_ld(y),
		       to_ld(x), to_ld(got), want, (unsigned long long)d);
		fail();
	}
	return d;
}

static long double host_one(const char *op, long double x)
{
	long double r;

	switch (op[0] << 8 | op[1]) {
	case 's' << 8 | 'i': __asm__ volatile("fsin" : "=t"(r) : "0"(x)); break;
	case 'c' << 8 | 'o': __asm__ volatile("fcos" : "=t"(r) : "0"(x)); break;
	case 't' << 8 | 'a': {
		long double one;

		__asm__ volatile("fptan" : "=t"(one), "=u"(r) : "0"(x));
		(void)one;
		break;
	}
	default: __asm__ volatile("f2xm1" : "=t"(r) : "0"(x)); break;
	}
	return r;
}

static long double host_two(const char *op, long double y, long double x)
{
	long double r;

	if (op[0] == 'a')
		__asm__ volatile("fpatan" : "=t"(r) : "0"(x), "u"(y) : "st(1)");
	else if (op[5] == 0)
		__asm__ volatile("fyl2x" : "=t"(r) : "0"(x), "u"(y) : "st(1)");
	else
		__asm__ volatile("fyl2xp1" : "=t"(r) : "0"(x), "u"(y) : "st(1)");
	return r;
}

typedef unsigned (*one_fn)(unsigned fcw, struct cpu_f80 x, struct cpu_f80 *r);

static void sweep_one(const char *name, one_fn fn, int lo, int hi, uint64_t *s)
{
	uint64_t worst = 0, exact = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct cpu_f80 x = pick(s, lo, hi, 1), r = f80(0, 0);
		uint64_t d;

		assert_int_equal(fn(FCW, x, &r) & (PE | IE | C2), PE);
		d = check(name, x, x, r, host_one(name, to_ld(x)), 2);
		worst = d > worst ? d : worst;
		exact += d == 0;
	}
	printf("%-8s exponents %5d..%d: worst %llu ulp, %llu of %d equal\n", name, lo, hi,
	       (unsigned long long)worst, (unsigned long long)exact, ROUNDS);
}

typedef unsigned (*two_fn)(unsigned fcw, struct cpu_f80 y, struct cpu_f80 x, struct cpu_f80 *r);

static void sweep_two(const char *name, two_fn fn, int lo, int hi, int sign, uint64_t *s)
{
	uint64_t worst = 0, exact = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct cpu_f80 x = pick(s, lo, hi, sign), y = pick(s, -40, 40, 1), r = f80(0, 0);
		uint64_t d;

		if (name[0] == 'a')
			y = pick(s, lo, hi, 1);
		fn(FCW, y, x, &r);
		d = check(name, y, x, r, host_two(name, to_ld(y), to_ld(x)), 2);
		worst = d > worst ? d : worst;
		exact += d == 0;
	}
	printf("%-8s exponents %5d..%d: worst %llu ulp, %llu of %d equal\n", name, lo, hi,
	       (unsigned long long)worst, (unsigned long long)exact, ROUNDS);
}

static void test_against_host(void **state)
{
	uint64_t s = seed();

	(void)state;
	/* Below 1/2 there is no argument reduction, so hosts agree whatever their pi is. */
	sweep_one("sin", x87_trans_sin, -60, -2, &s);
	sweep_one("cos", x87_trans_cos, -60, -2, &s);
	sweep_one("tan", x87_trans_tan, -60, -2, &s);
	sweep_one("2xm1", x87_trans_2xm1, -70, -1, &s);
	sweep_two("atan2", x87_trans_atan2, -3, 3, 1, &s);
	sweep_two("atan2", x87_trans_atan2, -60, 60, 1, &s);
	sweep_two("yl2x ", x87_trans_yl2x, -1, 0, 0, &s);
	sweep_two("yl2x ", x87_trans_yl2x, -16000, 16000, 0, &s);
	sweep_two("yl2xp1", x87_trans_yl2xp1, -60, -3, 1, &s);
}

/* With reduction: a host whose pi has other bits than the SDM's 66 moves the zeros, so that results near
 * them may differ at will; all others must agree. */
static void test_reduced(void **state)
{
	static const char *const names[3] = { "sin", "cos", "tan" };
	static const one_fn fns[3] = { x87_trans_sin, x87_trans_cos, x87_trans_tan };
	uint64_t s = seed();

	(void)state;
	for (int k = 0; k < 3; k++) {
		uint64_t equal = 0, near = 0;

		for (int i = 0; i < ROUNDS; i++) {
			struct cpu_f80 x = pick(&s, -1, 62, 1), r = f80(0, 0);
			uint64_t d;

			assert_int_equal(fns[k](FCW, x, &r) & (PE | IE | C2), PE);
			d = ulps(r, from_ld(host_one(names[k], to_ld(x))));
			equal += d == 0;
			near += d <= 2;
		}
		printf("%-4s reduced: %llu equal, %llu within 2 ulp of %d\n", names[k],
		       (unsigned long long)equal, (unsigned long long)near, ROUNDS);
		assert_true(near >= ROUNDS / 10 * 9);
	}
}

static void expect(unsigned flags, struct cpu_f80 r, unsigned want_flags, uint16_t sexp, uint64_t mant)
{
	assert_int_equal(flags, want_flags);
	assert_int_equal(r.sexp, sexp);
	assert_true(r.mant == mant);
}

#define TOP (1ull << 63)

static void test_special_values(void **state)
{
	const struct cpu_f80 zero = f80(0, 0), one = f80(0x3fff, TOP), inf = f80(0x7fff, TOP),
			     minus_inf = f80(0xffff, TOP), minus_one = f80(0xbfff, TOP),
			     big = f80(16383 + 63, TOP), denormal = f80(0, 1),
			     snan = f80(0x7fff, TOP | 1), bad = f80(0x4000, 1),
			     half = f80(0x3ffe, TOP);
	struct cpu_f80 r = f80(0, 0), c = f80(0, 0);

	(void)state;
	expect(x87_trans_sin(FCW, zero, &r), r, 0, 0, 0);
	expect(x87_trans_cos(FCW, zero, &r), r, 0, 0x3fff, TOP);
	assert_int_equal(x87_trans_sincos(FCW, zero, &r, &c), 0);
	expect(x87_trans_sin(FCW, inf, &r), r, IE, 0xffff, 3ull << 62);
	expect(x87_trans_sin(FCW, snan, &r), r, IE, 0x7fff, (3ull << 62) | 1);
	expect(x87_trans_tan(FCW, bad, &r), r, IE, 0xffff, 3ull << 62);
	assert_int_equal(x87_trans_sin(FCW, big, &r), C2);
	expect(x87_trans_sin(FCW, denormal, &r), r, DE | UE | PE, 0, 1);
	expect(x87_trans_2xm1(FCW, one, &r), r, 0, 0x3fff, TOP);
	expect(x87_trans_2xm1(FCW, minus_one, &r), r, 0, 0xbffe, TOP);
	expect(x87_trans_2xm1(FCW, minus_inf, &r), r, 0, 0xbfff, TOP);
	expect(x87_trans_yl2x(FCW, one, zero, &r), r, ZE, 0xffff, TOP);
	expect(x87_trans_yl2x(FCW, one, minus_one, &r), r, IE, 0xffff, 3ull << 62);
	expect(x87_trans_yl2x(FCW, inf, one, &r), r, IE, 0xffff, 3ull << 62);
	expect(x87_trans_yl2x(FCW, minus_one, one, &r), r, 0, 0x8000, 0);
	expect(x87_trans_yl2x(FCW, one, half, &r), r, 0, 0xbfff, TOP); /* exact powers of two */
	expect(x87_trans_yl2x(FCW, one, f80(0, 1), &r), r, DE, 0xc00d, 0x807a000000000000ull);
	expect(x87_trans_yl2xp1(FCW, minus_one, zero, &r), r, 0, 0x8000, 0);
	expect(x87_trans_atan2(FCW, zero, one, &r), r, 0, 0, 0);
	expect(x87_trans_atan2(FCW, inf, inf, &r), r, PE | 0x200, 0x3ffe, 0xc90fdaa22168c235ull);
	expect(x87_trans_atan2(FCW, zero, minus_one, &r), r, PE | 0x200, 0x4000,
	       0xc90fdaa22168c235ull);
	/* Toward zero. */
	expect(x87_trans_atan2(FCW | 0xc00, zero, minus_one, &r), r, PE, 0x4000,
	       0xc90fdaa22168c234ull);
}

/* Specials on the host give the same bits and the same exceptions. */
static uint16_t host_flags(void)
{
	uint16_t sw;

	__asm__ volatile("fnstsw %0\n\tfnclex" : "=m"(sw));
	return sw & 0x3f;
}

static void test_specials_on_host(void **state)
{
	static const uint64_t mants[] = { 0, TOP, TOP | 1, 3ull << 62, TOP | 1ull << 61 };
	static const uint16_t exps[] = { 0, 0x7fff, 0x3fff, 0x3ffd, 0x4005 };
	static const char *const names[] = { "atan2", "yl2x " };
	static const two_fn fns[] = { x87_trans_atan2, x87_trans_yl2x };
	struct cpu_f80 v[2 * 25];
	unsigned n = 0, apart = 0;

	(void)state;
	for (unsigned e = 0; e < 5; e++)
		for (unsigned m = 0; m < 5; m++)
			for (unsigned sign = 0; sign < 2; sign++)
				if (exps[e] ? mants[m] >> 63 != 0 : mants[m] == 0)
					v[n++] = f80((uint16_t)(exps[e] | sign << 15), mants[m]);
	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; i < n; i++) {
			for (unsigned j = 0; j < n; j++) {
				struct cpu_f80 r = f80(0, 0), h;
				unsigned flags = fns[k](FCW, v[i], v[j], &r) & 0x3f, hf;

				__asm__ volatile("fnclex");
				h = from_ld(host_two(names[k], to_ld(v[i]), to_ld(v[j])));
				hf = host_flags();
				if (ulps(r, h) > 1 || (flags ^ hf) & (IE | ZE)) {
					printf("%s y %04x %016llx x %04x %016llx: %04x %016llx %02x, "
					       "host %04x %016llx %02x\n",
					       names[k], v[i].sexp, (unsigned long long)v[i].mant,
					       v[j].sexp, (unsigned long long)v[j].mant, r.sexp,
					       (unsigned long long)r.mant, flags, h.sexp,
					       (unsigned long long)h.mant, hf);
					apart++;
				}
			}
		}
	}
	assert_int_equal(apart, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_host),
		cmocka_unit_test(test_reduced),
		cmocka_unit_test(test_special_values),
		cmocka_unit_test(test_specials_on_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
