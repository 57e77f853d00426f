/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 transcendentals in integer arithmetic. A working value, struct big, is
 * a 128-bit significand and an exponent; polynomials are Horner schemes on
 * Q127 fixed point. Dropped bits are or-ed into the last one (sticky), so
 * that the final rounding sees exactness.
 */
#include "x87_trans.h"

#include "x87.h"

__extension__ typedef unsigned __int128 u128;

#define ONE_Q127 ((u128)1 << 127)

/* (neg ? -1 : 1) * m * 2^(e - 127), the top bit of m set; m = 0 is zero. */
struct big {
	u128 m;
	int e;
	bool neg;
};

#define U128(hi, lo) ((u128)(hi) << 64 | (lo))

static const struct big big_one = { ONE_Q127, 0, false };

static struct big big_pi(int e) /* pi * 2^e */
{
	return (struct big){ U128(0xc90fdaa22168c234ull, 0xc4c6628b80dc1cd1ull), 1 + e, false };
}

static struct big big_ln2(void)
{
	return (struct big){ U128(0xb17217f7d1cf79abull, 0xc9e3b39803f2f6afull), -1, false };
}

static struct big big_log2e(int e) /* 2^e / ln 2 */
{
	return (struct big){ U128(0xb8aa3b295c17f0bbull, 0xbe87fed0691d3e88ull), e, false };
}

/* ---- arithmetic ---- */
static unsigned clz128(u128 v)
{
	uint64_t hi = (uint64_t)(v >> 64);

	return hi ? (unsigned)__builtin_clzll(hi) : 64 + (unsigned)__builtin_clzll((uint64_t)v);
}

static struct big big_make(u128 m, int e, bool neg) /* m * 2^(e - 127) */
{
	struct big r = { m, e, neg };

	if (m) {
		unsigned z = clz128(m);

		r.m <<= z;
		r.e -= (int)z;
	}
	return r;
}

static u128 shift_right_sticky(u128 v, unsigned n)
{
	if (n == 0)
		return v;
	if (n >= 128)
		return v != 0;
	return v >> n | ((v << (128 - n)) != 0);
}

/* Upper half of the 256-bit product; *low: the lower half. */
static u128 mul_high(u128 a, u128 b, u128 *low)
{
	uint64_t a1 = (uint64_t)(a >> 64), a0 = (uint64_t)a, b1 = (uint64_t)(b >> 64), b0 = (uint64_t)b;
	u128 p00 = (u128)a0 * b0, p01 = (u128)a0 * b1, p10 = (u128)a1 * b0, p11 = (u128)a1 * b1;
	u128 mid = (p00 >> 64) + (uint64_t)p01 + (uint64_t)p10;

	*low = mid << 64 | (uint64_t)p00;
	return p11 + (p01 >> 64) + (p10 >> 64) + (mid >> 64);
}

static struct big big_mul(struct big a, struct big b)
{
	struct big r = { 0, a.e + b.e + 1, a.neg != b.neg };
	u128 low;

	if (!a.m || !b.m)
		return r;
	r.m = mul_high(a.m, b.m, &low);
	if (!(r.m >> 127)) {
		r.m = r.m << 1 | low >> 127;
		low <<= 1;
		r.e--;
	}
	r.m |= low != 0;
	return r;
}

static struct big big_div(struct big a, struct big b) /* b not zero */
{
	struct big r = { 0, a.e - b.e, a.neg != b.neg };
	u128 rem = a.m;

	if (!a.m)
		return r;
	/* The first quotient bit is 1 by choice of the exponent; 127 more follow. */
	if (a.m < b.m) {
		r.e--;
		rem -= b.m - rem; /* 2 * rem - b, without overflow */
	} else {
		rem -= b.m;
	}
	r.m = 1;
	for (unsigned i = 0; i < 127; i++) {
		bool carry = rem >> 127;

		rem <<= 1;
		r.m <<= 1;
		if (carry || rem >= b.m) {
			rem -= b.m;
			r.m |= 1;
		}
	}
	r.m |= rem != 0;
	return r;
}

static struct big big_add(struct big a, struct big b)
{
	struct big t;
	u128 m;

	if (!a.m)
		return b;
	if (!b.m)
		return a;
	if (a.e < b.e || (a.e == b.e && a.m < b.m)) {
		t = a;
		a = b;
		b = t;
	}
	m = shift_right_sticky(b.m, (unsigned)(a.e - b.e));
	if (a.neg != b.neg) {
		/* Only neighbours can cancel many bits; their difference is then formed one bit finer. */
		if (a.e - b.e == 1 && (b.m & 1)) {
			m = a.m - (b.m >> 1) - 1;
			return m >> 127 ? big_make(m | 1, a.e, a.neg) : big_make(m << 1 | 1, a.e - 1, a.neg);
		}
		return big_make(a.m - m, a.e, a.neg);
	}
	t = a;
	t.m = a.m + m;
	if (t.m < a.m) { /* carry */
		t.m = t.m >> 1 | (t.m & 1) | (u128)1 << 127;
		t.e++;
	}
	return t;
}

static struct big big_neg(struct big a, bool neg)
{
	a.neg = a.neg != neg;
	return a;
}

static struct big big_from_int(int64_t v)
{
	uint64_t mag = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	return big_make(mag, 127, v < 0);
}

/* |a| as Q127; a < 2. */
static u128 big_to_q127(struct big a)
{
	if (a.e <= -128)
		return 0;
	return a.m >> -a.e;
}

static u128 mul_q127(u128 a, u128 b)
{
	u128 low, high = mul_high(a, b, &low);

	return high << 1 | low >> 127;
}

/* ---- operands ---- */
enum class { CLASS_ZERO, CLASS_FINITE, CLASS_INF, CLASS_QNAN, CLASS_SNAN, CLASS_BAD };

static enum class classify(struct cpu_f80 v)
{
	unsigned e = v.sexp & 0x7fffu;

	if (e == 0)
		return v.mant ? CLASS_FINITE : CLASS_ZERO;
	if (!(v.mant >> 63))
		return CLASS_BAD;
	if (e != 0x7fff)
		return CLASS_FINITE;
	if (!(v.mant << 1))
		return CLASS_INF;
	return v.mant >> 62 & 1 ? CLASS_QNAN : CLASS_SNAN;
}

static bool negative(struct cpu_f80 v)
{
	return v.sexp >> 15;
}

static unsigned denormal_flag(struct cpu_f80 v)
{
	return !(v.sexp & 0x7fff) && v.mant ? FSW_DE : 0;
}

static struct big big_from_f80(struct cpu_f80 v)
{
	int e = v.sexp & 0x7fff;

	return big_make((u128)v.mant << 64, (e ? e : 1) - 16383, negative(v));
}

static struct cpu_f80 f80_inf(bool neg)
{
	return (struct cpu_f80){ 0x8000000000000000ull, neg ? 0xffff : 0x7fff };
}

static struct cpu_f80 f80_zero(bool neg)
{
	return (struct cpu_f80){ 0, neg ? 0x8000 : 0 };
}

static unsigned invalid(struct cpu_f80 *r)
{
	*r = x87_indefinite();
	return FSW_IE;
}

/* NaN and unsupported operands (SDM vol. 1, table 4-7). True: *r and *flags are the answer. */
static bool nan_one(struct cpu_f80 x, struct cpu_f80 *r, unsigned *flags)
{
	enum class k = classify(x);

	if (k < CLASS_QNAN)
		return false;
	if (k == CLASS_BAD) {
		*flags = invalid(r);
		return true;
	}
	*r = x;
	r->mant |= 1ull << 62;
	*flags = k == CLASS_SNAN ? FSW_IE : 0;
	return true;
}

static bool nan_two(struct cpu_f80 a, struct cpu_f80 b, struct cpu_f80 *r, unsigned *flags)
{
	enum class ka = classify(a), kb = classify(b);

	if (ka == CLASS_BAD || kb == CLASS_BAD) {
		*flags = invalid(r);
		return true;
	}
	if (ka < CLASS_QNAN && kb < CLASS_QNAN)
		return false;
	if (kb < CLASS_QNAN)
		return nan_one(a, r, flags);
	if (ka < CLASS_QNAN)
		return nan_one(b, r, flags);
	*flags = ka == CLASS_SNAN || kb == CLASS_SNAN ? FSW_IE : 0;
	if (ka != kb) { /* the quiet one of the two */
		*r = ka == CLASS_QNAN ? a : b;
		return true;
	}
	*r = a.mant > b.mant || (a.mant == b.mant && !negative(a)) ? a : b;
	r->mant |= 1ull << 62;
	return true;
}

/* ---- rounding ---- */
/* Keeps the top `keep` bits (0 to 64) of m; true if anything was dropped. *up: rounded away from zero. */
static bool round_bits(u128 m, unsigned keep, unsigned rc, bool neg, u128 *out, bool *up)
{
	unsigned drop = 128 - keep;
	u128 kept = drop >= 128 ? 0 : m >> drop;
	u128 rest = drop >= 128 ? m : m << keep;
	u128 half = ONE_Q127;

	*up = false;
	if (rest) {
		switch (rc) {
		case X87_RC_NEAREST: *up = rest > half || (rest == half && (kept & 1)); break;
		case X87_RC_DOWN: *up = neg; break;
		case X87_RC_UP: *up = !neg; break;
		default: break;
		}
	}
	*out = kept + *up;
	return rest != 0;
}

/* inexact: v is an approximation, its true value is never representable. */
static unsigned deliver(unsigned fcw, struct big v, bool inexact, struct cpu_f80 *r)
{
	unsigned rc = fcw >> FCW_RC_SHIFT & 3u, flags = 0;
	u128 kept;
	bool up, lost;
	int e;

	if (!v.m) {
		*r = f80_zero(v.neg);
		return 0;
	}
	if (inexact)
		v.m |= 1;
	lost = round_bits(v.m, 64, rc, v.neg, &kept, &up);
	e = v.e + 16383;
	if (kept >> 64) {
		kept >>= 1;
		e++;
	}
	if (e <= 0) { /* tiny after rounding (SDM vol. 1, 4.9.1.5) */
		if (!(fcw & FSW_UE)) {
			flags |= FSW_UE;
			e += 24576;
		} else {
			unsigned shift = (unsigned)(1 - (v.e + 16383));
			unsigned keep = shift >= 64 ? 0 : 64 - shift;
			u128 m = shift > 64 ? 1 : v.m; /* below half of the least denormal */

			lost = round_bits(m, keep, rc, v.neg, &kept, &up);
			if (lost)
				flags |= FSW_UE;
			e = (int)(kept >> 63 & 1); /* rounded up to the least normal number */
		}
	}
	if (lost)
		flags |= FSW_PE | (up ? FSW_C1 : 0);
	if (e >= 0x7fff) {
		flags |= FSW_OE;
		if (!(fcw & FSW_OE)) {
			e -= 24576;
		} else {
			bool to_inf = rc == X87_RC_NEAREST || rc == (v.neg ? X87_RC_DOWN : X87_RC_UP);

			*r = to_inf ? f80_inf(v.neg)
				    : (struct cpu_f80){ UINT64_MAX, v.neg ? 0xfffe : 0x7ffe };
			return FSW_OE | FSW_PE | (to_inf ? FSW_C1 : 0);
		}
	}
	r->mant = (uint64_t)kept;
	r->sexp = (uint16_t)((unsigned)e | (v.neg ? 0x8000u : 0));
	return flags;
}

/* ---- sine, cosine, tangent ---- */
/*
 * pi to 66 bits is PI66 * 2^-64 (SDM vol. 1, 8.3.8). |x| = n * pi/2 + r with
 * |r| <= pi/4, exactly; n modulo 4 in *quadrant.
 */
static struct big trig_reduce(struct big x, unsigned *quadrant)
{
	const u128 half_pi = U128(0x3u, 0x243f6a8885a308d3ull); /* pi/2 = this * 2^-65 */
	u128 rem = x.m >> 64;
	bool neg = false;

	*quadrant = 0;
	x.neg = false;
	if (x.e < -1) /* below 1/2 */
		return x;
	for (int i = 0; i < x.e + 2; i++) { /* x = mant * 2^(e - 63) = (mant << (e + 2)) * 2^-65 */
		rem <<= 1;
		*quadrant = *quadrant << 1 & 3;
		if (rem >= half_pi) {
			rem -= half_pi;
			*quadrant |= 1;
		}
	}
	if (rem > half_pi >> 1) {
		rem = half_pi - rem;
		neg = true;
		*quadrant = (*quadrant + 1) & 3;
	}
	return big_make(rem, 127 - 65, neg);
}

/* 1 - z/(2*3) (1 - z/(4*5) (...)): sin(r) / r, z = r^2 <= 0.62. first: 1 for sine, 0 for cosine. */
static struct big trig_series(struct big r, unsigned first)
{
	u128 z = big_to_q127(big_mul(r, r)), s = ONE_Q127;

	for (unsigned k = 17; k >= 1; k--) {
		unsigned n = 2 * k + first;

		s = ONE_Q127 - mul_q127(z, s) / (n * (n - 1));
	}
	return big_make(s, 0, false);
}

static struct big sin_small(struct big r)
{
	return big_mul(r, trig_series(r, 1));
}

static struct big cos_small(struct big r)
{
	return trig_series(r, 0);
}

struct trig {
	struct big sin, cos;
};

/* Common head of the four: false if *flags is the whole answer (for the sine in *r). */
static bool trig_start(struct cpu_f80 x, struct cpu_f80 *r, unsigned *flags)
{
	if (nan_one(x, r, flags))
		return false;
	if (classify(x) == CLASS_INF) {
		*flags = invalid(r);
		return false;
	}
	if ((x.sexp & 0x7fff) >= 16383 + 63) {
		*flags = FSW_C2;
		return false;
	}
	*flags = denormal_flag(x);
	return true;
}

static struct big trig_sin(struct cpu_f80 x)
{
	unsigned q;
	struct big r = trig_reduce(big_from_f80(x), &q);
	struct big v = q & 1 ? cos_small(r) : sin_small(r);

	return big_neg(v, (q >= 2) != negative(x));
}

static struct big trig_cos(struct cpu_f80 x)
{
	unsigned q;
	struct big r = trig_reduce(big_from_f80(x), &q);
	struct big v = q & 1 ? sin_small(r) : cos_small(r);

	return big_neg(v, q == 1 || q == 2);
}

unsigned x87_trans_sin(unsigned fcw, struct cpu_f80 x, struct cpu_f80 *r)
{
	unsigned flags;

	if (!trig_start(x, r, &flags))
		return flags;
	if (classify(x) == CLASS_ZERO) {
		*r = x;
		return 0;
	}
	return flags | deliver(fcw, trig_sin(x), true, r);
}

unsigned x87_trans_cos(unsigned fcw, struct cpu_f80 x, struct cpu_f80 *r)
{
	unsigned flags;

	if (!trig_start(x, r, &flags))
		return flags;
	return flags | deliver(fcw, trig_cos(x), classify(x) != CLASS_ZERO, r);
}

unsigned x87_trans_sincos(unsigned fcw, struct cpu_f80 x, struct cpu_f80 *s, struct cpu_f80 *c)
{
	unsigned flags = x87_trans_sin(fcw, x, s);

	return (flags & ~FSW_C1) | x87_trans_cos(fcw, x, c);
}

unsigned x87_trans_tan(unsigned fcw, struct cpu_f80 x, struct cpu_f80 *r)
{
	struct big a, t;
	unsigned flags, q;

	if (!trig_start(x, r, &flags))
		return flags;
	if (classify(x) == CLASS_ZERO) {
		*r = x;
		return 0;
	}
	a = trig_reduce(big_from_f80(x), &q);
	t = q & 1 ? big_neg(big_div(cos_small(a), sin_small(a)), true)
		  : big_div(sin_small(a), cos_small(a));
	return flags | deliver(fcw, big_neg(t, negative(x)), true, r);
}

/* ---- arctangent ---- */
/* atan(j/16), Q127. */
static const struct {
	uint64_t hi, lo;
} atan_16th[17] = {
	{ 0, 0 },
	{ 0x07fd56edcb3f7a71ull, 0xb6593c96e071706aull },
	{ 0x0feadd4d5617b6e3ull, 0x2c897989f3e888efull },
	{ 0x17b97b4bce5b0226ull, 0x8f6169f103938e90ull },
	{ 0x1f5b75f92c80dd62ull, 0xadb8f3debef442fcull },
	{ 0x26c4ee6e0fd7979aull, 0x716aed26349ebccaull },
	{ 0x2dec3283c9bde11cull, 0xe2a8c848b73f9120ull },
	{ 0x34c9dd879847f96dull, 0x909f257a40079c4dull },
	{ 0x3b58ce0ac3769ed1ull, 0x5bf9117b2f0ea340ull },
	{ 0x4195fa536cc33f15ull, 0x25b504e5b0d28ae0ull },
	{ 0x47802eaf7bfacfcdull, 0xae41af0b32e21ba3ull },
	{ 0x4d17c07338deed10ull, 0x21137c711027f9deull },
	{ 0x525e3e8c9a7b8492ull, 0x0cd43f9522bed64full },
	{ 0x5756261c5a6c6040ull, 0x0a392f179f290385ull },
	{ 0x5c029f15e118cf39ull, 0xe596d2a90852221eull },
	{ 0x606742dc56293320ull, 0x44eeb16237497d12ull },
	{ 0x6487ed5110b4611aull, 0x62633145c06e0e68ull },
};

/* t in [0, 1]: atan(t) = atan(j/16) + atan(u), u = (t - j/16) / (1 + t j/16), |u| <= 1/32 or so. */
static struct big atan_unit(struct big t)
{
	unsigned j = (unsigned)((big_to_q127(t) + (ONE_Q127 >> 5)) >> 123);
	struct big u = t, base;
	u128 z, s;

	if (j) {
		struct big step = big_make((u128)j << 123, 0, false);

		u = big_div(big_add(t, big_neg(step, true)), big_add(big_one, big_mul(t, step)));
	}
	z = big_to_q127(big_mul(u, u));
	s = ONE_Q127 / 29;
	for (unsigned k = 14; k-- > 0;)
		s = ONE_Q127 / (2 * k + 1) - mul_q127(z, s);
	u = big_mul(u, big_make(s, 0, false));
	base = big_make(U128(atan_16th[j].hi, atan_16th[j].lo), 0, false);
	return big_add(base, u);
}

static struct big atan_quotient(struct big y, struct big x) /* both positive */
{
	bool steep = y.e > x.e || (y.e == x.e && y.m > x.m);
	struct big a = atan_unit(steep ? big_div(x, y) : big_div(y, x));

	return steep ? big_add(big_pi(-1), big_neg(a, true)) : a;
}

unsigned x87_trans_atan2(unsigned fcw, struct cpu_f80 y, struct cpu_f80 x, struct cpu_f80 *r)
{
	enum class ky, kx;
	unsigned flags;
	struct big a, by, bx;

	if (nan_two(y, x, r, &flags))
		return flags;
	ky = classify(y);
	kx = classify(x);
	flags = denormal_flag(y) | denormal_flag(x);
	/* SDM vol. 2, FPATAN, the table of results. */
	if (ky == CLASS_ZERO || (kx == CLASS_INF && ky != CLASS_INF)) {
		if (!negative(x)) {
			*r = f80_zero(negative(y));
			return flags;
		}
		a = big_pi(0);
	} else if (ky == CLASS_INF && kx == CLASS_INF) {
		a = negative(x) ? big_mul(big_from_int(3), big_pi(-2)) : big_pi(-2);
	} else if (ky == CLASS_INF || kx == CLASS_ZERO) {
		a = big_pi(-1);
	} else {
		by = big_from_f80(y);
		bx = big_from_f80(x);
		by.neg = false;
		bx.neg = false;
		a = atan_quotient(by, bx);
		if (negative(x))
			a = big_add(big_pi(0), big_neg(a, true));
	}
	return flags | deliver(fcw, big_neg(a, negative(y)), true, r);
}

/* ---- exponential ---- */
unsigned x87_trans_2xm1(unsigned fcw, struct cpu_f80 x, struct cpu_f80 *r)
{
	unsigned e = x.sexp & 0x7fffu, flags;
	struct big t;
	u128 q, f = ONE_Q127;

	if (nan_one(x, r, &flags))
		return flags;
	*r = x;
	if (classify(x) == CLASS_ZERO)
		return 0;
	if (e >= 16383) {
		/* -1 gives -1/2; 1 gives 1. Outside [-1, 1] the SDM leaves the result undefined: here the
		 * operand stays, and minus infinity gives its limit. */
		if (negative(x) && (e == 0x7fff || (e == 16383 && !(x.mant << 1))))
			*r = (struct cpu_f80){ 1ull << 63, e == 0x7fff ? 0xbfff : 0xbffe };
		return 0;
	}
	/* e^t - 1 = t (1 + t/2 (1 + t/3 (...))), t = x ln 2, |t| < 0.7. */
	t = big_mul(big_from_f80(x), big_ln2());
	q = big_to_q127(t);
	for (unsigned k = 34; k >= 2; k--) {
		u128 term = mul_q127(q, f) / k;

		f = t.neg ? ONE_Q127 - term : ONE_Q127 + term;
	}
	return denormal_flag(x) | deliver(fcw, big_mul(t, big_make(f, 0, false)), true, r);
}

/* ---- logarithms ---- */
/* 2/ln2 * atanh(s) = 2/ln2 * s (1 + s^2/3 + s^4/5 ...), |s| <= 0.1716. */
static struct big log2_of_ratio(struct big s)
{
	u128 z = big_to_q127(big_mul(s, s)), p = ONE_Q127 / 55;

	for (unsigned k = 27; k-- > 0;)
		p = ONE_Q127 / (2 * k + 1) + mul_q127(z, p);
	return big_mul(big_mul(s, big_log2e(1)), big_make(p, 0, false));
}

/* log2 of a positive value; *exact for powers of two. */
static struct big log2_big(struct big x, bool *exact)
{
	int64_t e = x.e;
	struct big m = { x.m, 0, false }, s;

	if (x.m > U128(0xb504f333f9de6484ull, 0)) { /* sqrt(2): keep the fraction near 1 */
		m.e = -1;
		e++;
	}
	s = big_div(big_add(m, big_neg(big_one, true)), big_add(m, big_one));
	*exact = !s.m;
	return big_add(big_from_int(e), log2_of_ratio(s));
}

/* y times a logarithm that is zero, infinite or of known sign; SDM vol. 2, FYL2X, the table. */
static unsigned times_infinite_log(struct cpu_f80 y, bool neg, struct cpu_f80 *r)
{
	if (classify(y) == CLASS_ZERO)
		return invalid(r);
	*r = f80_inf(neg != negative(y));
	return denormal_flag(y);
}

static unsigned times_zero_log(struct cpu_f80 y, bool neg, struct cpu_f80 *r)
{
	if (classify(y) == CLASS_INF)
		return invalid(r);
	*r = f80_zero(neg != negative(y));
	return denormal_flag(y);
}

/* y zero or infinite, the logarithm finite and not zero. True: done. */
static bool special_factor(struct cpu_f80 y, bool neg, struct cpu_f80 *r)
{
	switch (classify(y)) {
	case CLASS_ZERO: *r = f80_zero(neg != negative(y)); return true;
	case CLASS_INF: *r = f80_inf(neg != negative(y)); return true;
	default: return false;
	}
}

unsigned x87_trans_yl2x(unsigned fcw, struct cpu_f80 y, struct cpu_f80 x, struct cpu_f80 *r)
{
	enum class k;
	unsigned flags;
	struct big l;
	bool exact;

	if (nan_two(y, x, r, &flags))
		return flags;
	k = classify(x);
	if (k == CLASS_ZERO) {
		flags = times_infinite_log(y, true, r);
		return classify(y) == CLASS_FINITE ? flags | FSW_ZE : flags;
	}
	if (negative(x))
		return invalid(r);
	if (k == CLASS_INF)
		return times_infinite_log(y, false, r);
	if (x.sexp == 16383 && !(x.mant << 1))
		return times_zero_log(y, false, r);
	flags = denormal_flag(x) | denormal_flag(y);
	if (special_factor(y, x.sexp < 16383, r))
		return flags;
	l = log2_big(big_from_f80(x), &exact);
	return flags | deliver(fcw, big_mul(big_from_f80(y), l), !exact, r);
}

/*
 * Defined for |x| < 1 - sqrt(1/2) (SDM vol. 2). Beyond, the SDM leaves the
 * result open: here it is y log2(1 + x) as FYL2X would have it.
 */
unsigned x87_trans_yl2xp1(unsigned fcw, struct cpu_f80 y, struct cpu_f80 x, struct cpu_f80 *r)
{
	struct big bx, l;
	unsigned flags;
	bool exact = false;

	if (nan_two(y, x, r, &flags))
		return flags;
	switch (classify(x)) {
	case CLASS_ZERO: return times_zero_log(y, negative(x), r);
	case CLASS_INF: return negative(x) ? invalid(r) : times_infinite_log(y, false, r);
	default: break;
	}
	flags = denormal_flag(x) | denormal_flag(y);
	bx = big_from_f80(x);
	if (bx.neg && bx.e >= 0) { /* x <= -1 */
		if (bx.e > 0 || bx.m != ONE_Q127)
			return invalid(r);
		flags |= times_infinite_log(y, true, r);
		return classify(y) == CLASS_FINITE ? flags | FSW_ZE : flags;
	}
	if (special_factor(y, bx.neg, r))
		return flags;
	if (bx.e < -2) /* |x| < 1/4: no digit of x is lost */
		l = log2_of_ratio(big_div(bx, big_add(big_from_int(2), bx)));
	else
		l = log2_big(big_add(big_one, bx), &exact);
	return flags | deliver(fcw, big_mul(big_from_f80(y), l), !exact, r);
}
