/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE conversions (between formats, general registers and MMX) and the
 * ordered and unordered compares that set RFLAGS. MXCSR handling: sse.h.
 */
#include "sse.h"

static inline xv load_m64(struct xcpu *c, const struct dinsn *d)
{
	return sse_low64(sse_load_64(c, d));
}

static inline xv load_m32(struct xcpu *c, const struct dinsn *d)
{
	return sse_low64(sse_load_32(c, d));
}

/* ---- XMM to XMM ---- */
#define CVT_ONCE(name, tiny, lanes)                                                                \
	static inline xv cvt_##name(struct xcpu *c, xv a, xv b)                                    \
	{                                                                                          \
		xv r = a;                                                                          \
		__asm__ volatile(#name " %1,%0" : "+x"(r) : "x"(b));                               \
		if (unlikely(!sse_fp_clean(c))) {                                                  \
			r = a;                                                                     \
			sse_fp_begin(c);                                                           \
			__asm__ volatile(#name " %1,%0" : "+x"(r) : "x"(b));                       \
			sse_fp_end(c, &r, tiny, lanes, 0);                                         \
		}                                                                                  \
		return r;                                                                          \
	}
#define CVT_XMM(U, name, load, tiny, lanes)                                                        \
	CVT_ONCE(name, tiny, lanes)                                                                \
	static void xr_##name(struct xcpu *c, const struct dinsn *d)                               \
	{                                                                                          \
		sse_check(c);                                                                      \
		sse_set(c, d->reg, cvt_##name(c, sse_get(c, d->reg), sse_get(c, d->rm)));          \
	}                                                                                          \
	static void xm_##name(struct xcpu *c, const struct dinsn *d)                               \
	{                                                                                          \
		sse_check(c);                                                                      \
		xv b = load(c, d);                                                                 \
		sse_set(c, d->reg, cvt_##name(c, sse_get(c, d->reg), b));                          \
	}                                                                                          \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		return sse_bind_rm(z, d, xr_##name, xm_##name);                                    \
	}
#define CVT_OPS(X)                                                                                 \
	X(CVTPS2PD, cvtps2pd, load_m64, 0, 0) X(CVTPD2PS, cvtpd2ps, sse_load_a, 4, 2)              \
	X(CVTSS2SD, cvtss2sd, load_m32, 0, 0) X(CVTSD2SS, cvtsd2ss, load_m64, 4, 1)                \
	X(CVTDQ2PS, cvtdq2ps, sse_load_a, 0, 0) X(CVTDQ2PD, cvtdq2pd, load_m64, 0, 0)              \
	X(CVTPS2DQ, cvtps2dq, sse_load_a, 0, 0) X(CVTTPS2DQ, cvttps2dq, sse_load_a, 0, 0)          \
	X(CVTPD2DQ, cvtpd2dq, sse_load_a, 0, 0) X(CVTTPD2DQ, cvttpd2dq, sse_load_a, 0, 0)
CVT_OPS(CVT_XMM)

/* ---- general register or memory integer to scalar ---- */
#define CVT_FROM_INT(name, insn, type, read_reg, read_mem)                                         \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		xv a, r;                                                                           \
		type v;                                                                            \
		sse_check(c);                                                                      \
		v = (type)(d->flags & XD_MEM ? read_mem(c, d) : read_reg);                         \
		r = a = sse_get(c, d->reg);                                                        \
		__asm__ volatile(insn " %1,%0" : "+x"(r) : "r"(v));                                \
		if (unlikely(!sse_fp_clean(c))) {                                                  \
			r = a;                                                                     \
			sse_fp_begin(c);                                                           \
			__asm__ volatile(insn " %1,%0" : "+x"(r) : "r"(v));                        \
			sse_fp_end(c, &r, 0, 0, 0);                                                \
		}                                                                                  \
		sse_set(c, d->reg, r);                                                             \
	}
CVT_FROM_INT(cvtsi2ss32, "cvtsi2ssl", uint32_t, c->r[d->rm], sse_load_32)
CVT_FROM_INT(cvtsi2ss64, "cvtsi2ssq", uint64_t, c->r[d->rm], sse_load_64)
CVT_FROM_INT(cvtsi2sd32, "cvtsi2sdl", uint32_t, c->r[d->rm], sse_load_32)
CVT_FROM_INT(cvtsi2sd64, "cvtsi2sdq", uint64_t, c->r[d->rm], sse_load_64)

static xop_fn bind_cvtsi2ss(const struct xinsn *z, struct dinsn *d)
{
	xop_fn f = z->op[1].size == 64 ? x_cvtsi2ss64 : x_cvtsi2ss32;

	return sse_bind_rm(z, d, f, f);
}

static xop_fn bind_cvtsi2sd(const struct xinsn *z, struct dinsn *d)
{
	xop_fn f = z->op[1].size == 64 ? x_cvtsi2sd64 : x_cvtsi2sd32;

	return sse_bind_rm(z, d, f, f);
}

/* ---- scalar to general register ---- */
#define CVT_TO_INT_ONE(name, insn, type, load)                                                     \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		type v;                                                                            \
		xv b;                                                                              \
		sse_check(c);                                                                      \
		b = d->flags & XD_MEM ? load(c, d) : sse_get(c, d->rm);                            \
		__asm__ volatile(insn " %1,%0" : "=r"(v) : "x"(b));                                \
		if (unlikely(!sse_fp_clean(c))) {                                                  \
			sse_fp_begin(c);                                                           \
			__asm__ volatile(insn " %1,%0" : "=r"(v) : "x"(b));                        \
			sse_fp_end(c, NULL, 0, 0, 0);                                              \
		}                                                                                  \
		c->r[d->reg] = v;                                                                  \
	}
#define CVT_TO_INT(U, name, load)                                                                  \
	CVT_TO_INT_ONE(name##32, #name, uint32_t, load)                                            \
	CVT_TO_INT_ONE(name##64, #name, uint64_t, load)                                            \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		xop_fn f = z->op[0].size == 64 ? x_##name##64 : x_##name##32;                      \
		return sse_bind_rm(z, d, f, f);                                                    \
	}
#define CVT_INT_OPS(X)                                                                             \
	X(CVTSS2SI, cvtss2si, load_m32) X(CVTTSS2SI, cvttss2si, load_m32)                          \
	X(CVTSD2SI, cvtsd2si, load_m64) X(CVTTSD2SI, cvttsd2si, load_m64)
CVT_INT_OPS(CVT_TO_INT)

/*
 * ---- with MMX registers ----
 * The packed XMM conversion on the low lanes, the upper ones zero so that
 * they raise nothing. CVTPI2PD from memory does not touch the x87 state
 * (SDM vol. 2), all others enter MMX state.
 */
static void x_cvtpi2ps(struct xcpu *c, const struct dinsn *d)
{
	xv b, r;

	sse_check(c);
	mmx_check(c);
	b = sse_low64(d->flags & XD_MEM ? sse_load_64(c, d) : mmx_get(c, d->rm));
	r = cvt_cvtdq2ps(c, b, b);
	mmx_enter(c);
	c->s.xmm[d->reg].lo = (uint64_t)r[0];
}

static void x_cvtpi2pd(struct xcpu *c, const struct dinsn *d)
{
	uint64_t b;

	sse_check(c);
	if (d->flags & XD_MEM) {
		b = sse_load_64(c, d);
	} else {
		mmx_check(c);
		b = mmx_get(c, d->rm);
		mmx_enter(c);
	}
	sse_set(c, d->reg, cvt_cvtdq2pd(c, sse_low64(b), sse_low64(b)));
}

#define CVT_TO_MMX(name, through, load, mask)                                                      \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		xv b, r;                                                                           \
		sse_check(c);                                                                      \
		mmx_check(c);                                                                      \
		b = d->flags & XD_MEM ? load(c, d) : sse_get(c, d->rm);                            \
		b &= (xv){ -1, mask };                                                             \
		r = through(c, b, b);                                                              \
		mmx_set(c, d->reg, (uint64_t)r[0]);                                                \
	}                                                                                          \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		sse_bind_regs(z, d);                                                               \
		d->reg &= 7;                                                                       \
		return x_##name;                                                                   \
	}
CVT_TO_MMX(cvtps2pi, cvt_cvtps2dq, load_m64, 0)
CVT_TO_MMX(cvttps2pi, cvt_cvttps2dq, load_m64, 0)
CVT_TO_MMX(cvtpd2pi, cvt_cvtpd2dq, sse_load_a, -1)
CVT_TO_MMX(cvttpd2pi, cvt_cvttpd2dq, sse_load_a, -1)

static xop_fn bind_cvtpi2ps(const struct xinsn *z, struct dinsn *d)
{
	sse_bind_regs(z, d);
	if (!sse_is_mem(z))
		d->rm &= 7;
	return x_cvtpi2ps;
}

static xop_fn bind_cvtpi2pd(const struct xinsn *z, struct dinsn *d)
{
	sse_bind_regs(z, d);
	if (!sse_is_mem(z))
		d->rm &= 7;
	return x_cvtpi2pd;
}

/* ---- COMISx, UCOMISx: ZF PF CF as the host sets them; OF SF AF cleared (SDM vol. 2) ---- */
#define CVT_COMPARE(U, name, load)                                                                 \
	static inline uint32_t once_##name(xv a, xv b)                                             \
	{                                                                                          \
		uint32_t f;                                                                        \
		__asm__ volatile("xorl %%eax,%%eax\n\t" #name " %2,%1\n\tlahf"                     \
				 : "=&a"(f) : "x"(a), "x"(b) : "cc");                              \
		return f & XF_ALL;                                                                 \
	}                                                                                          \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		uint32_t f;                                                                        \
		xv a, b;                                                                           \
		sse_check(c);                                                                      \
		b = d->flags & XD_MEM ? load(c, d) : sse_get(c, d->rm);                            \
		a = sse_get(c, d->reg);                                                            \
		f = once_##name(a, b);                                                             \
		if (unlikely(!sse_fp_clean(c))) {                                                  \
			sse_fp_begin(c);                                                           \
			f = once_##name(a, b);                                                     \
			sse_fp_end(c, NULL, 0, 0, 0);                                              \
		}                                                                                  \
		c->fl = f;                                                                         \
	}                                                                                          \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		return sse_bind_rm(z, d, x_##name, x_##name);                                      \
	}
#define CVT_COMPARES(X)                                                                            \
	X(COMISS, comiss, load_m32) X(UCOMISS, ucomiss, load_m32)                                  \
	X(COMISD, comisd, load_m64) X(UCOMISD, ucomisd, load_m64)
CVT_COMPARES(CVT_COMPARE)

#define ROW5(U, l, load, tiny, lanes) { ZYDIS_MNEMONIC_##U, 0, bind_##l },
#define ROW3(U, l, load) { ZYDIS_MNEMONIC_##U, 0, bind_##l },
static const struct xop ops[] = {
	CVT_OPS(ROW5)
	CVT_INT_OPS(ROW3)
	CVT_COMPARES(ROW3)
	{ ZYDIS_MNEMONIC_CVTSI2SS, 0, bind_cvtsi2ss },
	{ ZYDIS_MNEMONIC_CVTSI2SD, 0, bind_cvtsi2sd },
	{ ZYDIS_MNEMONIC_CVTPI2PS, 0, bind_cvtpi2ps },
	{ ZYDIS_MNEMONIC_CVTPI2PD, 0, bind_cvtpi2pd },
	{ ZYDIS_MNEMONIC_CVTPS2PI, 0, bind_cvtps2pi },
	{ ZYDIS_MNEMONIC_CVTTPS2PI, 0, bind_cvttps2pi },
	{ ZYDIS_MNEMONIC_CVTPD2PI, 0, bind_cvtpd2pi },
	{ ZYDIS_MNEMONIC_CVTTPD2PI, 0, bind_cvttpd2pi },
};
const struct xop_table xops_sse_cvt = { ops, RV_ARRAY_LEN(ops) };
