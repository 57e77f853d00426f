/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers, and operand values of the kind that finds mistakes. */
#include <string.h>

#include "tests/diff/diff.h"

static uint64_t mix64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

void diff_rng_seed(struct diff_rng *r, uint64_t seed, uint64_t stream)
{
	r->s[0] = mix64(seed + 0x9e3779b97f4a7c15ull);
	r->s[1] = mix64(r->s[0] ^ mix64(stream + 1)) | 1;
}

/* xorshift128+ */
uint64_t diff_rng_u64(struct diff_rng *r)
{
	uint64_t a = r->s[0], b = r->s[1];

	r->s[0] = b;
	a ^= a << 23;
	r->s[1] = a ^ b ^ a >> 18 ^ b >> 5;
	return r->s[1] + b;
}

/* Small numbers, powers of two and their neighbours at every width, sign boundaries, patterns. */
uint64_t diff_value_int(struct diff_rng *r)
{
	static const unsigned width[] = {8, 16, 32, 64};
	uint64_t v = diff_rng_u64(r);

	switch (diff_rng_below(r, 10)) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return v & 0xf;
	case 3:
		return 0 - (v & 0xf);
	case 4: { /* around the sign bit of some width, the rest random, zero or ones */
		unsigned w = width[v & 3];
		uint64_t edge = (1ull << (w - 1)) + (v >> 2 & 3) - 2;
		uint64_t high = w == 64 ? 0 : (v & 0x10 ? diff_rng_u64(r) : 0) << (w & 63);
		return v & 0x20 ? edge | high : 0 - edge;
	}
	case 5:
		return 1ull << (v & 63);
	case 6:
		return (1ull << (v & 63)) - 1;
	case 7:
		return v & 0x1fff;
	default:
		return v;
	}
}

/* A float of any layout with the integer bit hidden: sign, then exponent, then fraction. */
static uint64_t value_float(struct diff_rng *r, unsigned exp_bits, unsigned frac_bits)
{
	uint64_t v = diff_rng_u64(r);
	uint64_t sign = (v & 1) << (exp_bits + frac_bits);
	uint64_t exp_max = (1ull << exp_bits) - 1, bias = exp_max >> 1;
	uint64_t frac_mask = (1ull << frac_bits) - 1;
	uint64_t frac, e;

	switch (v >> 1 & 7) { /* fraction */
	case 0:
		frac = 0;
		break;
	case 1:
		frac = frac_mask;
		break;
	case 2:
		frac = 1ull << (v >> 8) % frac_bits;
		break;
	case 3:
		frac = frac_mask & ~0ull << (v >> 8) % frac_bits;
		break;
	default:
		frac = diff_rng_u64(r) & frac_mask;
		break;
	}
	switch (v >> 16 & 15) {
	case 0: /* zero */
		return sign;
	case 1: /* denormal */
		return sign | frac;
	case 2: /* infinity */
		return sign | exp_max << frac_bits;
	case 3: /* quiet or signalling NaN (infinity if the fraction is 0) */
		return sign | exp_max << frac_bits | frac;
	case 4: /* integer boundaries: 2^31, 2^32, 2^63, 2^64, 2^15 and just beside */
	case 5: {
		static const uint8_t power[] = {7, 15, 16, 30, 31, 32, 62, 63, 64, 0};
		e = bias + power[(v >> 24) % RV_ARRAY_LEN(power)] - (v >> 40 & 1);
		if (e >= exp_max)
			e = exp_max - 1;
		return sign | e << frac_bits | frac;
	}
	case 6: /* near overflow */
		return sign | (exp_max - 1 - (v >> 24 & 3)) << frac_bits | frac;
	case 7: /* near underflow */
		return sign | (1 + (v >> 24 & 3)) << frac_bits | frac;
	case 8:
	case 9:
	case 10: /* near one: halves, ties, cancellation */
		e = bias + (v >> 24) % 24 - 4;
		return sign | e << frac_bits | frac;
	case 11: /* around half the exponent range: products at the edges */
		e = (v >> 24 & 1) ? bias / 2 + (v >> 25 & 7) : bias + bias / 2 - (v >> 25 & 7);
		return sign | e << frac_bits | frac;
	default:
		return sign | (diff_rng_u64(r) % exp_max) << frac_bits | frac;
	}
}

uint32_t diff_value_f32(struct diff_rng *r)
{
	return (uint32_t)value_float(r, 8, 23);
}

uint64_t diff_value_f64(struct diff_rng *r)
{
	return value_float(r, 11, 52);
}

struct cpu_f80 diff_value_f80(struct diff_rng *r)
{
	struct cpu_f80 f;
	uint64_t v = diff_rng_u64(r);
	uint64_t frac = 0;

	switch (v & 7) {
	case 0:
		break;
	case 1:
		frac = ~0ull >> 1;
		break;
	case 2:
		frac = 1ull << (v >> 8) % 63;
		break;
	case 3:
		frac = ~0ull >> 1 & ~0ull << (v >> 8) % 63;
		break;
	case 4: /* exactly a double or a float: results that need no rounding, and ties */
		frac = diff_rng_u64(r) << (v >> 8 & 1 ? 11 : 40) & ~0ull >> 1;
		break;
	default:
		frac = diff_rng_u64(r) >> 1;
		break;
	}
	f.mant = frac | 1ull << 63;
	f.sexp = (uint16_t)(v >> 16 & 0x8000);
	switch (v >> 32 & 31) {
	case 0:
	case 1: /* zero */
		f.mant = 0;
		break;
	case 2: /* denormal */
		f.mant = frac;
		break;
	case 3: /* pseudo-denormal */
		break;
	case 4:
	case 5: /* infinity */
		f.mant = 1ull << 63;
		f.sexp |= 0x7fff;
		break;
	case 6:
	case 7: /* NaN */
		f.sexp |= 0x7fff;
		break;
	case 8: /* unsupported: unnormal, pseudo-infinity, pseudo-NaN */
		f.mant = frac;
		f.sexp |= (uint16_t)(v >> 40 & 1 ? 0x7fff : 1 + (v >> 41) % 0x7ffe);
		break;
	case 9:
	case 10: /* near the limits of single, double, extended */
	case 11: {
		static const uint16_t edge[] = {16383 - 126,  16383 + 127, 16383 - 1022,
						16383 + 1023, 4,	   0x7ffb};
		f.sexp |= (uint16_t)(edge[(v >> 40) % 6] + (v >> 48 & 7) - 3);
		break;
	}
	case 12:
	case 13: { /* integer boundaries */
		static const uint8_t power[] = {7, 15, 16, 30, 31, 32, 59, 62, 63, 64};
		f.sexp |= (uint16_t)(16383 + power[(v >> 40) % 10] - (v >> 48 & 1));
		break;
	}
	case 14: /* anywhere */
	case 15:
		f.sexp |= (uint16_t)((v >> 40) % 0x7fff);
		if ((f.sexp & 0x7fff) == 0)
			f.mant = frac;
		break;
	default:
		f.sexp |= (uint16_t)(16383 - 8 + (v >> 40) % 40);
		break;
	}
	return f;
}

static void fill_bcd(struct diff_rng *r, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(diff_rng_below(r, 10) << 4 | diff_rng_below(r, 10));
	if (len >= 10)
		out[9] = diff_rng_chance(r, 50) ? 0x80 : 0;
}

void diff_value_fill(struct diff_rng *r, ZydisElementType type, unsigned element_bytes,
		     uint8_t *out, size_t len)
{
	size_t i = 0;

	while (i < len) {
		uint8_t b[16];
		size_t n = element_bytes;

		if (type == ZYDIS_ELEMENT_TYPE_FLOAT32) {
			uint32_t v = diff_value_f32(r);
			memcpy(b, &v, n = 4);
		} else if (type == ZYDIS_ELEMENT_TYPE_FLOAT64) {
			uint64_t v = diff_value_f64(r);
			memcpy(b, &v, n = 8);
		} else if (type == ZYDIS_ELEMENT_TYPE_FLOAT80) {
			struct cpu_f80 v = diff_value_f80(r);
			memcpy(b, &v.mant, 8);
			memcpy(b + 8, &v.sexp, 2);
			n = 10;
		} else if (type == ZYDIS_ELEMENT_TYPE_LONGBCD) {
			fill_bcd(r, b, n = 10);
		} else {
			uint64_t v = diff_value_int(r);
			n = n == 0 || n > 8 ? 8 : n;
			memcpy(b, &v, n);
		}
		if (n > len - i)
			n = len - i;
		memcpy(out + i, b, n);
		i += n;
	}
}
