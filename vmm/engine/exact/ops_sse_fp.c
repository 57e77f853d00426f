/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE floating point: arithmetic, minimum and maximum, square root, compare
 * to mask, round, dot product, and the reciprocal estimates. MXCSR handling
 * is described in sse.h.
 */
#include "sse.h"

static void mxcsr_load(uint32_t v)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(v));
}

void sse_fp_begin_rc(const struct xcpu *c, uint32_t rc_from)
{
	uint32_t v = (c->s.mxcsr & (MXCSR_FTZ | MXCSR_DAZ)) | (rc_from & MXCSR_RC) | MXCSR_MASKS;

	/* Flush to zero acts only while underflow is masked (SDM vol. 1, 10.2.3.3). */
	if (!(c->s.mxcsr & MXCSR_UM))
		v &= ~MXCSR_FTZ;
	mxcsr_load(v);
}

/* Masked, an exact tiny result raises nothing; unmasked, tiny alone is underflow (SDM vol. 1, 4.9.1.5). */
static bool has_denormal(const void *result, unsigned tiny, unsigned lanes)
{
	union xlanes r;

	memcpy(&r, result, sizeof(r));
	for (unsigned i = 0; i < lanes; i++) {
		if (tiny == 4 && !(r.d[i] & 0x7f800000u) && (r.d[i] & 0x007fffffu))
			return true;
		if (tiny == 8 && !(r.q[i] >> 52 & 0x7ffu) && r.q[i] << 12)
			return true;
	}
	return false;
}

void sse_fp_end(struct xcpu *c, const void *result, unsigned tiny, unsigned lanes, uint32_t ignore)
{
	uint32_t m, flags, unmasked;

	__asm__ volatile("stmxcsr %0" : "=m"(m));
	mxcsr_load(MXCSR_MASKS);
	flags = m & MXCSR_FLAGS & ~ignore;
	if (tiny && !(c->s.mxcsr & MXCSR_UM) && has_denormal(result, tiny, lanes))
		flags |= 0x10u;
	unmasked = flags & ~(c->s.mxcsr >> 7) & MXCSR_FLAGS;
	/* Unmasked IE, DE or ZE: the operation is not carried out, so nothing of it is inexact. */
	if (unmasked & 7u)
		flags &= 7u;
	c->s.mxcsr |= flags;
	if (unlikely(unmasked)) {
		if (!(c->s.cr4 & CR4_OSXMMEXCPT))
			xraise_ud(c);
		xraise(c, VEC_XM);
	}
}

/* ---- operand shapes ---- */
static inline xv load_m64(struct xcpu *c, const struct dinsn *d)
{
	return sse_low64(sse_load_64(c, d));
}

static inline xv load_m32(struct xcpu *c, const struct dinsn *d)
{
	return sse_low64(sse_load_32(c, d));
}

#define FP_RUN(name, text, tiny, lanes)                                                            \
	static inline void run_##name(struct xcpu *c, const struct dinsn *d, xv b)                 \
	{                                                                                          \
		xv a = sse_get(c, d->reg), r = a;                                                  \
		__asm__ volatile(text : "+x"(r) : "x"(b));                                         \
		if (unlikely(!sse_fp_clean(c))) {                                                  \
			r = a;                                                                     \
			sse_fp_begin(c);                                                           \
			__asm__ volatile(text : "+x"(r) : "x"(b));                                 \
			sse_fp_end(c, &r, tiny, lanes, 0);                                         \
		}                                                                                  \
		sse_set(c, d->reg, r);                                                             \
	}

#define FP_OP(name, load, tiny, lanes)                                                             \
	FP_RUN(name, #name " %1,%0", tiny, lanes)                                                  \
	static void xr_##name(struct xcpu *c, const struct dinsn *d)                               \
	{                                                                                          \
		sse_check(c);                                                                      \
		run_##name(c, d, sse_get(c, d->rm));                                               \
	}                                                                                          \
	static void xm_##name(struct xcpu *c, const struct dinsn *d)                               \
	{                                                                                          \
		sse_check(c);                                                                      \
		run_##name(c, d, load(c, d));                                                      \
	}                                                                                          \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		return sse_bind_rm(z, d, xr_##name, xm_##name);                                    \
	}

/* X(upper, lower, memory operand, bytes of a lane that may underflow, lanes) */
#define FP_OPS(X)                                                                                  \
	X(ADDPS, addps, sse_load_a, 4, 4) X(ADDPD, addpd, sse_load_a, 8, 2)                        \
	X(ADDSS, addss, load_m32, 4, 1) X(ADDSD, addsd, load_m64, 8, 1)                            \
	X(SUBPS, subps, sse_load_a, 4, 4) X(SUBPD, subpd, sse_load_a, 8, 2)                        \
	X(SUBSS, subss, load_m32, 4, 1) X(SUBSD, subsd, load_m64, 8, 1)                            \
	X(MULPS, mulps, sse_load_a, 4, 4) X(MULPD, mulpd, sse_load_a, 8, 2)                        \
	X(MULSS, mulss, load_m32, 4, 1) X(MULSD, mulsd, load_m64, 8, 1)                            \
	X(DIVPS, divps, sse_load_a, 4, 4) X(DIVPD, divpd, sse_load_a, 8, 2)                        \
	X(DIVSS, divss, load_m32, 4, 1) X(DIVSD, divsd, load_m64, 8, 1)                            \
	X(MINPS, minps, sse_load_a, 0, 0) X(MINPD, minpd, sse_load_a, 0, 0)                        \
	X(MINSS, minss, load_m32, 0, 0) X(MINSD, minsd, load_m64, 0, 0)                            \
	X(MAXPS, maxps, sse_load_a, 0, 0) X(MAXPD, maxpd, sse_load_a, 0, 0)                        \
	X(MAXSS, maxss, load_m32, 0, 0) X(MAXSD, maxsd, load_m64, 0, 0)                            \
	X(SQRTPS, sqrtps, sse_load_a, 0, 0) X(SQRTPD, sqrtpd, sse_load_a, 0, 0)                    \
	X(SQRTSS, sqrtss, load_m32, 0, 0) X(SQRTSD, sqrtsd, load_m64, 0, 0)                        \
	X(ADDSUBPS, addsubps, sse_load_a, 4, 4) X(ADDSUBPD, addsubpd, sse_load_a, 8, 2)            \
	X(HADDPS, haddps, sse_load_a, 4, 4) X(HADDPD, haddpd, sse_load_a, 8, 2)                    \
	X(HSUBPS, hsubps, sse_load_a, 4, 4) X(HSUBPD, hsubpd, sse_load_a, 8, 2)
#define DEF_OP(U, l, load, tiny, lanes) FP_OP(l, load, tiny, lanes)
FP_OPS(DEF_OP)

/* ---- CMPPS and relatives: predicate in the low three bits of the immediate ---- */
#define CMP_CASE(n, insn)                                                                          \
	case n:                                                                                    \
		__asm__ volatile(insn " $" #n ",%1,%0" : "+x"(r) : "x"(b));                        \
		break;
#define FP_CMP(name, load)                                                                         \
	static inline xv once_##name(xv r, xv b, unsigned predicate)                               \
	{                                                                                          \
		switch (predicate) {                                                               \
		CMP_CASE(0, #name)                                                                 \
		CMP_CASE(1, #name)                                                                 \
		CMP_CASE(2, #name)                                                                 \
		CMP_CASE(3, #name)                                                                 \
		CMP_CASE(4, #name)                                                                 \
		CMP_CASE(5, #name)                                                                 \
		CMP_CASE(6, #name)                                                                 \
		default:                                                                           \
			__asm__ volatile(#name " $7,%1,%0" : "+x"(r) : "x"(b));                    \
			break;                                                                     \
		}                                                                                  \
		return r;                                                                          \
	}                                                                                          \
	static inline void run_##name(struct xcpu *c, const struct dinsn *d, xv b)                 \
	{                                                                                          \
		xv a = sse_get(c, d->reg), r = once_##name(a, b, d->imm & 7);                      \
		if (unlikely(!sse_fp_clean(c))) {                                                  \
			sse_fp_begin(c);                                                           \
			r = once_##name(a, b, d->imm & 7);                                         \
			sse_fp_end(c, &r, 0, 0, 0);                                                \
		}                                                                                  \
		sse_set(c, d->reg, r);                                                             \
	}                                                                                          \
	static void xr_##name(struct xcpu *c, const struct dinsn *d)                               \
	{                                                                                          \
		sse_check(c);                                                                      \
		run_##name(c, d, sse_get(c, d->rm));                                               \
	}                                                                                          \
	static void xm_##name(struct xcpu *c, const struct dinsn *d)                               \
	{                                                                                          \
		sse_check(c);                                                                      \
		run_##name(c, d, load(c, d));                                                      \
	}                                                                                          \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		if (z->insn.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)                                \
			return NULL; /* CMPSD, the string instruction */                           \
		return sse_bind_rm(z, d, xr_##name, xm_##name);                                    \
	}
FP_CMP(cmpps, sse_load_a)
FP_CMP(cmppd, sse_load_a)
FP_CMP(cmpss, load_m32)
FP_CMP(cmpsd, load_m64)

/* ---- ROUNDPS and relatives: rounding mode by the immediate or MXCSR; bit 3 keeps PE down ---- */
#define FP_ROUND(name, load)                                                                       \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		uint32_t rc = d->imm & 4 ? c->s.mxcsr : (uint32_t)(d->imm & 3) << 13;              \
		xv b, r;                                                                           \
		sse_check(c);                                                                      \
		b = d->flags & XD_MEM ? load(c, d) : sse_get(c, d->rm);                            \
		r = sse_get(c, d->reg);                                                            \
		sse_fp_begin_rc(c, rc);                                                            \
		__asm__ volatile(#name " $4,%1,%0" : "+x"(r) : "x"(b));                            \
		sse_fp_end(c, &r, 0, 0, d->imm & 8 ? 0x20u : 0);                                   \
		sse_set(c, d->reg, r);                                                             \
	}                                                                                          \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		return sse_bind_rm(z, d, x_##name, x_##name);                                      \
	}
FP_ROUND(roundps, sse_load_a)
FP_ROUND(roundpd, sse_load_a)
FP_ROUND(roundss, load_m32)
FP_ROUND(roundsd, load_m64)

/*
 * DPPS, DPPD: lanes left out by bits 4-7 of the immediate count as zero, the
 * sum is formed pairwise (SDM vol. 2, DPPS), and bits 0-3 select where it goes.
 */
static xv dp_mask32(unsigned bits)
{
	union xlanes m;

	for (unsigned i = 0; i < 4; i++)
		m.d[i] = bits >> i & 1 ? UINT32_MAX : 0;
	return m.v;
}

static void x_dpps(struct xcpu *c, const struct dinsn *d)
{
	xv a, b, in, r;

	sse_check(c);
	b = sse_src_a(c, d);
	in = dp_mask32((unsigned)d->imm >> 4);
	a = sse_get(c, d->reg) & in;
	b &= in;
	/* Each multiplication and addition may raise an unmasked exception of its own. */
	r = a;
	sse_fp_begin(c);
	__asm__ volatile("mulps %1,%0" : "+x"(r) : "x"(b));
	sse_fp_end(c, &r, 4, 4, 0);
	for (unsigned i = 0; i < 2; i++) {
		sse_fp_begin(c);
		__asm__ volatile("haddps %0,%0" : "+x"(r));
		sse_fp_end(c, &r, 4, 4, 0);
	}
	sse_set(c, d->reg, r & dp_mask32((unsigned)d->imm & 15));
}

static void x_dppd(struct xcpu *c, const struct dinsn *d)
{
	unsigned i = (unsigned)d->imm;
	xv b, in, out, r;

	sse_check(c);
	b = sse_src_a(c, d);
	in = (xv){ i & 0x10 ? -1 : 0, i & 0x20 ? -1 : 0 };
	out = (xv){ i & 1 ? -1 : 0, i & 2 ? -1 : 0 };
	r = sse_get(c, d->reg) & in;
	b &= in;
	sse_fp_begin(c);
	__asm__ volatile("mulpd %1,%0" : "+x"(r) : "x"(b));
	sse_fp_end(c, &r, 8, 2, 0);
	sse_fp_begin(c);
	__asm__ volatile("haddpd %0,%0" : "+x"(r));
	sse_fp_end(c, &r, 8, 2, 0);
	sse_set(c, d->reg, r & out);
}

static xop_fn bind_dpps(const struct xinsn *z, struct dinsn *d)
{
	return sse_bind_rm(z, d, x_dpps, x_dpps);
}

static xop_fn bind_dppd(const struct xinsn *z, struct dinsn *d)
{
	return sse_bind_rm(z, d, x_dppd, x_dppd);
}

/*
 * RCP and RSQRT, result profile `rv`: the true value rounded to nearest at 13
 * significant bits (error below 2^-13, the SDM allows 1.5 * 2^-12), denormal
 * inputs are zeros, tiny results are zeros, no flags. Integer arithmetic, so
 * that no host shows through.
 */
static uint32_t special_nan(uint32_t x)
{
	return x | 0x00400000u;
}

static uint32_t rcp_one(uint32_t x)
{
	uint32_t sign = x & 0x80000000u, frac = x & 0x007fffffu;
	int exp = (int)(x >> 23 & 0xff);
	uint64_t mant = 0x800000u | frac, q;
	int out;

	if (exp == 0xff)
		return frac ? special_nan(x) : sign;
	if (exp == 0)
		return sign | 0x7f800000u;
	q = ((1ull << 36) + mant / 2) / mant; /* 2^13 / m, m in [1, 2): 2^12 .. 2^13 */
	out = 253 - exp;
	if (q == 1u << 13) {
		q >>= 1;
		out++;
	}
	if (out <= 0)
		return sign;
	return sign | (uint32_t)out << 23 | (uint32_t)(q & 0xfff) << 11;
}

static uint32_t rsqrt_one(uint32_t x)
{
	uint32_t sign = x & 0x80000000u, frac = x & 0x007fffffu;
	int exp = (int)(x >> 23 & 0xff);
	uint64_t mant = 0x800000u | frac, q = 0;
	int e;

	if (exp == 0xff && frac)
		return special_nan(x);
	if (exp == 0)
		return sign | 0x7f800000u;
	if (sign)
		return 0xffc00000u;
	if (exp == 0xff)
		return 0;
	/* x = m * 2^e with e even and m in [1, 4); q = floor(2^14 / sqrt(m)). */
	e = exp - 127;
	if (e & 1) {
		mant <<= 1;
		e--;
	}
	for (uint64_t bit = 1u << 14; bit; bit >>= 1)
		if ((q | bit) * (q | bit) * mant <= 1ull << 51)
			q |= bit;
	q = (q + 1) >> 1; /* 2^12 .. 2^13 */
	e = 127 - e / 2 - 1;
	if (q == 1u << 13) {
		q >>= 1;
		e++;
	}
	return (uint32_t)e << 23 | (uint32_t)(q & 0xfff) << 11;
}

#define FP_ESTIMATE(name, load, one, lanes)                                                        \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		union xlanes b, r;                                                                 \
		sse_check(c);                                                                      \
		b.v = d->flags & XD_MEM ? load(c, d) : sse_get(c, d->rm);                          \
		r.v = sse_get(c, d->reg);                                                          \
		for (unsigned i = 0; i < (lanes); i++)                                             \
			r.d[i] = one(b.d[i]);                                                      \
		sse_set(c, d->reg, r.v);                                                           \
	}                                                                                          \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		return sse_bind_rm(z, d, x_##name, x_##name);                                      \
	}
FP_ESTIMATE(rcpps, sse_load_a, rcp_one, 4)
FP_ESTIMATE(rcpss, load_m32, rcp_one, 1)
FP_ESTIMATE(rsqrtps, sse_load_a, rsqrt_one, 4)
FP_ESTIMATE(rsqrtss, load_m32, rsqrt_one, 1)

#define ROW(U, l, load, tiny, lanes) { ZYDIS_MNEMONIC_##U, 0, bind_##l },
static const struct xop ops[] = {
	FP_OPS(ROW)
	{ ZYDIS_MNEMONIC_CMPPS, 0, bind_cmpps },
	{ ZYDIS_MNEMONIC_CMPPD, 0, bind_cmppd },
	{ ZYDIS_MNEMONIC_CMPSS, 0, bind_cmpss },
	{ ZYDIS_MNEMONIC_CMPSD, 0, bind_cmpsd },
	{ ZYDIS_MNEMONIC_ROUNDPS, 0, bind_roundps },
	{ ZYDIS_MNEMONIC_ROUNDPD, 0, bind_roundpd },
	{ ZYDIS_MNEMONIC_ROUNDSS, 0, bind_roundss },
	{ ZYDIS_MNEMONIC_ROUNDSD, 0, bind_roundsd },
	{ ZYDIS_MNEMONIC_DPPS, 0, bind_dpps },
	{ ZYDIS_MNEMONIC_DPPD, 0, bind_dppd },
	{ ZYDIS_MNEMONIC_RCPPS, 0, bind_rcpps },
	{ ZYDIS_MNEMONIC_RCPSS, 0, bind_rcpss },
	{ ZYDIS_MNEMONIC_RSQRTPS, 0, bind_rsqrtps },
	{ ZYDIS_MNEMONIC_RSQRTSS, 0, bind_rsqrtss },
};
const struct xop_table xops_sse_fp = { ops, RV_ARRAY_LEN(ops) };
