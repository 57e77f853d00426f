/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed operations that raise no floating-point exception: one host
 * instruction each, on XMM registers. The MMX form of an operation runs the
 * same host instruction on the low halves, so that the host's x87 state is
 * never touched.
 */
#include "sse.h"

#define OP(lower)                                                                                  \
	static inline xv op_##lower(xv a, xv b)                                                    \
	{                                                                                          \
		__asm__(#lower " %1,%0" : "+x"(a) : "x"(b));                                       \
		return a;                                                                          \
	}

#define XMM_BODIES(lower, load)                                                                    \
	static void xr_##lower(struct xcpu *c, const struct dinsn *d)                              \
	{                                                                                          \
		sse_check(c);                                                                      \
		sse_set(c, d->reg, op_##lower(sse_get(c, d->reg), sse_get(c, d->rm)));             \
	}                                                                                          \
	static void xm_##lower(struct xcpu *c, const struct dinsn *d)                              \
	{                                                                                          \
		sse_check(c);                                                                      \
		xv b = load(c, d);                                                                 \
		sse_set(c, d->reg, op_##lower(sse_get(c, d->reg), b));                             \
	}

#define XMM_BIND(lower)                                                                            \
	static xop_fn bind_##lower(const struct xinsn *z, struct dinsn *d)                         \
	{                                                                                          \
		return sse_bind_rm(z, d, xr_##lower, xm_##lower);                                  \
	}

/* mop: (uint64_t a, uint64_t b) -> uint64_t; load: the memory operand, 64 bits or (PUNPCKL) 32. */
#define MMX_BODIES(lower, mop, load)                                                               \
	static void mr_##lower(struct xcpu *c, const struct dinsn *d)                              \
	{                                                                                          \
		mmx_check(c);                                                                      \
		mmx_set(c, d->reg, mop(op_##lower, mmx_get(c, d->reg), mmx_get(c, d->rm)));        \
	}                                                                                          \
	static void mm_##lower(struct xcpu *c, const struct dinsn *d)                              \
	{                                                                                          \
		mmx_check(c);                                                                      \
		uint64_t b = load(c, d);                                                           \
		mmx_set(c, d->reg, mop(op_##lower, mmx_get(c, d->reg), b));                        \
	}

#define BOTH_BIND(lower)                                                                           \
	static xop_fn bind_##lower(const struct xinsn *z, struct dinsn *d)                         \
	{                                                                                          \
		return sse_bind_both(z, d, xr_##lower, xm_##lower, mr_##lower, mm_##lower);        \
	}

static inline uint64_t lo64(xv v)
{
	return (uint64_t)v[0];
}

static inline uint64_t hi64(xv v)
{
	return (uint64_t)v[1];
}

/* How a 64-bit operation comes out of the 128-bit one. */
#define MMX_LANES(op, a, b) lo64(op(sse_low64(a), sse_low64(b)))
/* PACK and PHADD: the halves of one register are the two operands. */
#define MMX_JOIN(op, a, b)                                                                         \
	lo64(op((xv){ (long long)(a), (long long)(b) }, (xv){ (long long)(a), (long long)(b) }))
/* PSHUFB: three index bits in a 64-bit register. */
#define MMX_INDEX(op, a, b) lo64(op(sse_low64(a), sse_low64((b) & 0x8787878787878787ull)))

/* Lane by lane, in MMX and XMM. */
#define LANEWISE(X)                                                                                \
	X(PADDB, paddb) X(PADDW, paddw) X(PADDD, paddd) X(PADDQ, paddq)                            \
	X(PSUBB, psubb) X(PSUBW, psubw) X(PSUBD, psubd) X(PSUBQ, psubq)                            \
	X(PADDSB, paddsb) X(PADDSW, paddsw) X(PADDUSB, paddusb) X(PADDUSW, paddusw)                \
	X(PSUBSB, psubsb) X(PSUBSW, psubsw) X(PSUBUSB, psubusb) X(PSUBUSW, psubusw)                \
	X(PAND, pand) X(PANDN, pandn) X(POR, por) X(PXOR, pxor)                                    \
	X(PCMPEQB, pcmpeqb) X(PCMPEQW, pcmpeqw) X(PCMPEQD, pcmpeqd)                                \
	X(PCMPGTB, pcmpgtb) X(PCMPGTW, pcmpgtw) X(PCMPGTD, pcmpgtd)                                \
	X(PMULLW, pmullw) X(PMULHW, pmulhw) X(PMULHUW, pmulhuw) X(PMULUDQ, pmuludq)                \
	X(PMADDWD, pmaddwd) X(PAVGB, pavgb) X(PAVGW, pavgw) X(PSADBW, psadbw)                      \
	X(PMINUB, pminub) X(PMINSW, pminsw) X(PMAXUB, pmaxub) X(PMAXSW, pmaxsw)                    \
	X(PABSB, pabsb) X(PABSW, pabsw) X(PABSD, pabsd)                                            \
	X(PSIGNB, psignb) X(PSIGNW, psignw) X(PSIGND, psignd)                                      \
	X(PMULHRSW, pmulhrsw) X(PMADDUBSW, pmaddubsw)

#define JOINED(X)                                                                                  \
	X(PACKSSWB, packsswb) X(PACKSSDW, packssdw) X(PACKUSWB, packuswb)                          \
	X(PHADDW, phaddw) X(PHADDD, phaddd) X(PHADDSW, phaddsw)                                    \
	X(PHSUBW, phsubw) X(PHSUBD, phsubd) X(PHSUBSW, phsubsw)

/* Count in the low quadword of the second operand, or in the immediate. */
#define SHIFTS(X)                                                                                  \
	X(PSLLW, psllw) X(PSLLD, pslld) X(PSLLQ, psllq)                                            \
	X(PSRLW, psrlw) X(PSRLD, psrld) X(PSRLQ, psrlq)                                            \
	X(PSRAW, psraw) X(PSRAD, psrad)

/* XMM only, 16-byte aligned operand. */
#define XMM_ONLY(X)                                                                                \
	X(PUNPCKLQDQ, punpcklqdq) X(PUNPCKHQDQ, punpckhqdq)                                        \
	X(PACKUSDW, packusdw) X(PCMPEQQ, pcmpeqq) X(PCMPGTQ, pcmpgtq)                              \
	X(PMULDQ, pmuldq) X(PMULLD, pmulld) X(PHMINPOSUW, phminposuw)                              \
	X(PMINSB, pminsb) X(PMINSD, pminsd) X(PMINUW, pminuw) X(PMINUD, pminud)                    \
	X(PMAXSB, pmaxsb) X(PMAXSD, pmaxsd) X(PMAXUW, pmaxuw) X(PMAXUD, pmaxud)                    \
	X(ANDPS, andps) X(ANDPD, andpd) X(ANDNPS, andnps) X(ANDNPD, andnpd)                        \
	X(ORPS, orps) X(ORPD, orpd) X(XORPS, xorps) X(XORPD, xorpd)                                \
	X(UNPCKLPS, unpcklps) X(UNPCKHPS, unpckhps) X(UNPCKLPD, unpcklpd)                          \
	X(UNPCKHPD, unpckhpd) X(MOVSHDUP, movshdup) X(MOVSLDUP, movsldup)

/* Sign and zero extension: the memory operand is as wide as what is extended. */
#define EXTEND_64(X)                                                                               \
	X(PMOVSXBW, pmovsxbw) X(PMOVSXWD, pmovsxwd) X(PMOVSXDQ, pmovsxdq)                          \
	X(PMOVZXBW, pmovzxbw) X(PMOVZXWD, pmovzxwd) X(PMOVZXDQ, pmovzxdq) X(MOVDDUP, movddup)
#define EXTEND_32(X)                                                                               \
	X(PMOVSXBD, pmovsxbd) X(PMOVSXWQ, pmovsxwq) X(PMOVZXBD, pmovzxbd) X(PMOVZXWQ, pmovzxwq)
#define EXTEND_16(X) X(PMOVSXBQ, pmovsxbq) X(PMOVZXBQ, pmovzxbq)

static inline xv load_low64(struct xcpu *c, const struct dinsn *d)
{
	return sse_low64(sse_load_64(c, d));
}

static inline xv load_low32(struct xcpu *c, const struct dinsn *d)
{
	return sse_low64(sse_load_32(c, d));
}

static inline xv load_low16(struct xcpu *c, const struct dinsn *d)
{
	return sse_low64(sse_load_16(c, d));
}

#define DEF_LANEWISE(U, l)                                                                         \
	OP(l) XMM_BODIES(l, sse_load_a) MMX_BODIES(l, MMX_LANES, sse_load_64) BOTH_BIND(l)
#define DEF_JOINED(U, l)                                                                           \
	OP(l) XMM_BODIES(l, sse_load_a) MMX_BODIES(l, MMX_JOIN, sse_load_64) BOTH_BIND(l)
#define DEF_XMM(U, l) OP(l) XMM_BODIES(l, sse_load_a) XMM_BIND(l)
#define DEF_64(U, l) OP(l) XMM_BODIES(l, load_low64) XMM_BIND(l)
#define DEF_32(U, l) OP(l) XMM_BODIES(l, load_low32) XMM_BIND(l)
#define DEF_16(U, l) OP(l) XMM_BODIES(l, load_low16) XMM_BIND(l)

LANEWISE(DEF_LANEWISE)
JOINED(DEF_JOINED)
XMM_ONLY(DEF_XMM)
EXTEND_64(DEF_64)
EXTEND_32(DEF_32)
EXTEND_16(DEF_16)

OP(pshufb)
XMM_BODIES(pshufb, sse_load_a)
MMX_BODIES(pshufb, MMX_INDEX, sse_load_64)
BOTH_BIND(pshufb)

/*
 * PUNPCK on MMX: the 128-bit low unpack of the low halves is both results;
 * the low form reads only 32 bits of a memory operand (SDM vol. 2).
 */
#define UNPACK_LO(op, a, b) lo64(op(sse_low64(a), sse_low64(b)))
#define UNPACK(type, low, high)                                                                    \
	OP(low)                                                                                    \
	OP(high)                                                                                   \
	XMM_BODIES(low, sse_load_a)                                                                \
	XMM_BODIES(high, sse_load_a)                                                               \
	MMX_BODIES(low, UNPACK_LO, sse_load_32)                                                    \
	static void mr_##high(struct xcpu *c, const struct dinsn *d)                               \
	{                                                                                          \
		mmx_check(c);                                                                      \
		mmx_set(c, d->reg, hi64(op_##low(sse_low64(mmx_get(c, d->reg)),                    \
						 sse_low64(mmx_get(c, d->rm)))));                  \
	}                                                                                          \
	static void mm_##high(struct xcpu *c, const struct dinsn *d)                               \
	{                                                                                          \
		mmx_check(c);                                                                      \
		uint64_t b = sse_load_64(c, d);                                                    \
		mmx_set(c, d->reg,                                                                 \
			hi64(op_##low(sse_low64(mmx_get(c, d->reg)), sse_low64(b))));              \
	}                                                                                          \
	BOTH_BIND(low)                                                                             \
	BOTH_BIND(high)
UNPACK(8, punpcklbw, punpckhbw)
UNPACK(16, punpcklwd, punpckhwd)
UNPACK(32, punpckldq, punpckhdq)

#define DEF_SHIFT(U, l)                                                                            \
	OP(l)                                                                                      \
	XMM_BODIES(l, sse_load_a)                                                                  \
	MMX_BODIES(l, MMX_LANES, sse_load_64)                                                      \
	static void xi_##l(struct xcpu *c, const struct dinsn *d)                                  \
	{                                                                                          \
		sse_check(c);                                                                      \
		sse_set(c, d->rm, op_##l(sse_get(c, d->rm), sse_low64(d->imm)));                   \
	}                                                                                          \
	static void mi_##l(struct xcpu *c, const struct dinsn *d)                                  \
	{                                                                                          \
		mmx_check(c);                                                                      \
		mmx_set(c, d->rm, MMX_LANES(op_##l, mmx_get(c, d->rm), d->imm));                   \
	}                                                                                          \
	static xop_fn bind_##l(const struct xinsn *z, struct dinsn *d)                             \
	{                                                                                          \
		if (!z->insn.raw.imm[0].size)                                                      \
			return sse_bind_both(z, d, xr_##l, xm_##l, mr_##l, mm_##l);                \
		sse_bind_regs(z, d);                                                               \
		if (!sse_op_is_mmx(&z->op[0]))                                                     \
			return xi_##l;                                                             \
		d->rm &= 7;                                                                        \
		return mi_##l;                                                                     \
	}
SHIFTS(DEF_SHIFT)

/* PSLLDQ, PSRLDQ: whole bytes (SDM vol. 2: more than 15 clears the register). */
static void xi_pslldq(struct xcpu *c, const struct dinsn *d)
{
	unsigned n = d->imm > 16 ? 16 : (unsigned)d->imm;
	uint8_t buf[32] = { 0 };

	sse_check(c);
	memcpy(buf + 16, &c->s.xmm[d->rm], 16);
	memcpy(&c->s.xmm[d->rm], buf + 16 - n, 16);
	/* The bytes that came from below are zero, those above the register are dropped. */
}

static void xi_psrldq(struct xcpu *c, const struct dinsn *d)
{
	unsigned n = d->imm > 16 ? 16 : (unsigned)d->imm;
	uint8_t buf[32] = { 0 };

	sse_check(c);
	memcpy(buf, &c->s.xmm[d->rm], 16);
	memcpy(&c->s.xmm[d->rm], buf + n, 16);
}

static xop_fn bind_pslldq(const struct xinsn *z, struct dinsn *d)
{
	sse_bind_regs(z, d);
	return xi_pslldq;
}

static xop_fn bind_psrldq(const struct xinsn *z, struct dinsn *d)
{
	sse_bind_regs(z, d);
	return xi_psrldq;
}

/* PTEST: ZF = no common bit, CF = source within destination, the rest 0. */
static void x_ptest(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	union xlanes b = { .v = sse_src_a(c, d) }, a = { .v = sse_get(c, d->reg) };

	c->fl = (((a.q[0] & b.q[0]) | (a.q[1] & b.q[1])) == 0 ? XF_ZF : 0) |
		(((~a.q[0] & b.q[0]) | (~a.q[1] & b.q[1])) == 0 ? XF_CF : 0);
}

static xop_fn bind_ptest(const struct xinsn *z, struct dinsn *d)
{
	return sse_bind_rm(z, d, x_ptest, x_ptest);
}

#define ROW(U, l) { ZYDIS_MNEMONIC_##U, 0, bind_##l },
static const struct xop ops[] = {
	LANEWISE(ROW)
	JOINED(ROW)
	SHIFTS(ROW)
	XMM_ONLY(ROW)
	EXTEND_64(ROW)
	EXTEND_32(ROW)
	EXTEND_16(ROW)
	ROW(PSHUFB, pshufb)
	ROW(PUNPCKLBW, punpcklbw)
	ROW(PUNPCKLWD, punpcklwd)
	ROW(PUNPCKLDQ, punpckldq)
	ROW(PUNPCKHBW, punpckhbw)
	ROW(PUNPCKHWD, punpckhwd)
	ROW(PUNPCKHDQ, punpckhdq)
	ROW(PSLLDQ, pslldq)
	ROW(PSRLDQ, psrldq)
	ROW(PTEST, ptest)
};
const struct xop_table xops_sse_int = { ops, RV_ARRAY_LEN(ops) };
