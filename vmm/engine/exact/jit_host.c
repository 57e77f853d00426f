/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does this host's CPU answer as result profile rv does where the SDM leaves
 * it open? Every CPU seen does. Should one not, its instructions of that kind
 * are left to the bodies, so that a recording never depends on the host.
 */
#include "jit_int.h"

/* RFLAGS after one instruction on v (and CL = n), from RFLAGS in. */
#define HOST_FN(name, type, text)                                                                  \
	static uint32_t name(type *v, type with, uint8_t n, uint32_t in)                           \
	{                                                                                          \
		uint64_t f = in;                                                                   \
		type x = *v;                                                                       \
		/* Below the red zone. */                                                          \
		__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushq %[f]\n\tpopfq\n\t" text           \
				 "\n\tpushfq\n\tpopq %[f]\n\tlea 128(%%rsp), %%rsp"                \
				 : [x] "+r"(x), [f] "+r"(f)                                        \
				 : "c"(n), [y] "r"(with)                                           \
				 : "cc", "memory");                                                \
		*v = x;                                                                            \
		return (uint32_t)f;                                                                \
	}
#define HOST_SIZES(name, text)                                                                     \
	HOST_FN(name##8, uint8_t, text)                                                            \
	HOST_FN(name##16, uint16_t, text)                                                          \
	HOST_FN(name##32, uint32_t, text)                                                          \
	HOST_FN(name##64, uint64_t, text)
HOST_SIZES(host_and, "and %[y], %[x]")
HOST_SIZES(host_or, "or %[y], %[x]")
HOST_SIZES(host_xor, "xor %[y], %[x]")
HOST_SIZES(host_test, "test %[y], %[x]")
HOST_SIZES(host_shl, "shl %%cl, %[x]")
HOST_SIZES(host_shr, "shr %%cl, %[x]")
HOST_SIZES(host_sar, "sar %%cl, %[x]")
HOST_SIZES(host_rol, "rol %%cl, %[x]")
HOST_SIZES(host_ror, "ror %%cl, %[x]")
HOST_FN(host_bt16, uint16_t, "bt %[y], %[x]")
HOST_FN(host_bt32, uint32_t, "bt %[y], %[x]")
HOST_FN(host_bt64, uint64_t, "bt %[y], %[x]")
HOST_FN(host_bts64, uint64_t, "bts %[y], %[x]")
HOST_FN(host_btr64, uint64_t, "btr %[y], %[x]")
HOST_FN(host_btc64, uint64_t, "btc %[y], %[x]")
HOST_FN(host_bsf64, uint64_t, "bsf %[y], %[x]")
HOST_FN(host_bsr64, uint64_t, "bsr %[y], %[x]")

static const uint64_t value[] = {
	0, 1, 2, 0x80, 0x8000, 0x80000000, 0x8000000000000000, 0x7f, 0x7fff, 0x7fffffff, 0x7fffffffffffffff,
	0xff, 0xffff, 0xffffffff, UINT64_MAX, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0x0123456789abcdef,
	0xfedcba9876543210, 0xc000c000c000c0c0, 0x4000400040004040,
};
static const uint32_t before[] = { RFLAGS_1, RFLAGS_1 | RFLAGS_ARITH };

/* AF is 0 after AND OR XOR TEST. */
#define LOGIC(fn, type)                                                                            \
	for (unsigned i = 0; i < RV_ARRAY_LEN(value); i++) {                                       \
		type v = (type)value[i];                                                           \
		ok &= !(fn(&v, (type)value[RV_ARRAY_LEN(value) - 1 - i], 0, in) & RFLAGS_AF);      \
	}
static bool logic(uint32_t in)
{
	bool ok = true;
	LOGIC(host_and8, uint8_t) LOGIC(host_and16, uint16_t) LOGIC(host_and32, uint32_t)
	LOGIC(host_and64, uint64_t) LOGIC(host_or8, uint8_t) LOGIC(host_or16, uint16_t)
	LOGIC(host_or32, uint32_t) LOGIC(host_or64, uint64_t) LOGIC(host_xor8, uint8_t)
	LOGIC(host_xor16, uint16_t) LOGIC(host_xor32, uint32_t) LOGIC(host_xor64, uint64_t)
	LOGIC(host_test8, uint8_t) LOGIC(host_test16, uint16_t) LOGIC(host_test32, uint32_t)
	LOGIC(host_test64, uint64_t)
	return ok;
}

/* OF of a shift by any count is that of its last step (ops_int_shift.c). Counts up to the size. */
#define TOP(v, bits, k) ((unsigned)((v) >> ((bits) - 1 - (k))) & 1u)
#define SHIFT(bits, dir, of)                                                                       \
	for (unsigned i = 0; i < RV_ARRAY_LEN(value); i++)                                         \
		for (unsigned n = 1; n < bits; n++) {                                              \
			uint##bits##_t v = (uint##bits##_t)value[i];                               \
			uint32_t f = host_##dir##bits(&v, 0, (uint8_t)n, in);                      \
			unsigned cf = f & 1;                                                       \
			(void)cf;                                                                  \
			ok &= (f >> 11 & 1) == (of);                                               \
			if (rotate)                                                                \
				ok &= !((f ^ in) & (RFLAGS_ARITH & ~(RFLAGS_CF | RFLAGS_OF)));     \
		}
#define SHIFTS(bits, rotate_)                                                                      \
	if (!rotate_) {                                                                            \
		SHIFT(bits, shl, TOP(v, bits, 0) ^ cf)                                             \
		SHIFT(bits, shr, TOP(v, bits, 0) ^ TOP(v, bits, 1))                                \
		SHIFT(bits, sar, TOP(v, bits, 0) ^ TOP(v, bits, 1))                                \
	} else {                                                                                   \
		SHIFT(bits, rol, TOP(v, bits, 0) ^ cf)                                             \
		SHIFT(bits, ror, TOP(v, bits, 0) ^ TOP(v, bits, 1))                                \
	}
static bool shifts(uint32_t in, bool rotate)
{
	bool ok = true;
	SHIFTS(8, rotate)
	SHIFTS(16, rotate)
	SHIFTS(32, rotate)
	SHIFTS(64, rotate)
	return ok;
}

/* BT and relatives change CF alone. */
#define BIT(fn, type)                                                                              \
	for (unsigned i = 0; i < RV_ARRAY_LEN(value); i++) {                                       \
		type v = (type)value[i];                                                           \
		ok &= !((fn(&v, (type)(i * 7), 0, in) ^ in) & (RFLAGS_ARITH & ~RFLAGS_CF));        \
	}
static bool bits(uint32_t in)
{
	bool ok = true;
	BIT(host_bt16, uint16_t) BIT(host_bt32, uint32_t) BIT(host_bt64, uint64_t)
	BIT(host_bts64, uint64_t) BIT(host_btr64, uint64_t) BIT(host_btc64, uint64_t)
	return ok;
}

/* BSF and BSR of 0 leave a 64-bit destination. */
static bool scans(uint32_t in)
{
	uint64_t f = 0x123456789abcdef0, r = f;
	bool ok = (host_bsf64(&f, 0, 0, in) & RFLAGS_ZF) && (host_bsr64(&r, 0, 0, in) & RFLAGS_ZF);
	return ok && f == 0x123456789abcdef0 && r == f;
}

void xjit_host_probe(struct xjit_host_rules *h)
{
	*h = (struct xjit_host_rules){ true, true, true, true, true };
	for (unsigned i = 0; i < RV_ARRAY_LEN(before); i++) {
		h->logic &= logic(before[i]);
		h->shifts &= shifts(before[i], false);
		h->rotates &= shifts(before[i], true);
		h->bits &= bits(before[i]);
		h->scans &= scans(before[i]);
	}
}
