/* SPDX-License-Identifier: Apache-2.0 */
/* Multiplication, division, sign extension of the accumulator, decimal adjustment. */
#include "ops_int.h"

#define MUL_FLAGS(over) ((over) ? XF_CF | XF_OF : 0u)

/* ---- one operand: rDX:rAX = rAX * v (AX = AL * v) ---- */

static inline void mul8(struct xcpu *c, uint8_t v)
{
	uint16_t p = (uint16_t)(RD8(ACC) * v);

	WR16(ACC, p);
	c->fl = MUL_FLAGS(p >> 8);
}

static inline void imul8(struct xcpu *c, uint8_t v)
{
	int p = (int8_t)RD8(ACC) * (int8_t)v;

	WR16(ACC, (uint16_t)p);
	c->fl = MUL_FLAGS(p != (int8_t)p);
}

#define MUL_WIDE(bits, utype, stype)                                                               \
	static inline void mul##bits(struct xcpu *c, uint##bits##_t v)                             \
	{                                                                                          \
		utype p = (utype)RD##bits(ACC) * v;                                                \
		uint##bits##_t hi = (uint##bits##_t)(p >> bits);                                   \
		WR##bits(ACC, (uint##bits##_t)p);                                                  \
		WR##bits(CPU_RDX, hi);                                                             \
		c->fl = MUL_FLAGS(hi);                                                             \
	}                                                                                          \
	static inline void imul##bits(struct xcpu *c, uint##bits##_t v)                            \
	{                                                                                          \
		stype p = (stype)(int##bits##_t)RD##bits(ACC) * (int##bits##_t)v;                  \
		WR##bits(ACC, (uint##bits##_t)p);                                                  \
		WR##bits(CPU_RDX, (uint##bits##_t)(p >> bits));                                    \
		c->fl = MUL_FLAGS(p != (int##bits##_t)p);                                          \
	}
MUL_WIDE(16, uint32_t, int32_t)
MUL_WIDE(32, uint64_t, int64_t)
MUL_WIDE(64, unsigned __int128, __int128)

/* ---- division: #DE before any effect; flags unchanged ---- */

static inline void div8(struct xcpu *c, uint8_t v)
{
	unsigned a = RD16(ACC);

	if (!v || a / v > 0xff)
		xraise(c, VEC_DE);
	WR16(ACC, (uint16_t)(a % v << 8 | a / v));
}

static inline void idiv8(struct xcpu *c, uint8_t v)
{
	int a = (int16_t)RD16(ACC), b = (int8_t)v;

	if (!b || a / b != (int8_t)(a / b))
		xraise(c, VEC_DE);
	WR16(ACC, (uint16_t)((uint8_t)(a % b) << 8 | (uint8_t)(a / b)));
}

#define DIV_WIDE(bits, utype, stype)                                                               \
	static inline void div##bits(struct xcpu *c, uint##bits##_t v)                             \
	{                                                                                          \
		utype a = (utype)((utype)RD##bits(CPU_RDX) << bits | RD##bits(ACC));               \
		utype q;                                                                           \
		if (!v || RD##bits(CPU_RDX) >= v)                                                  \
			xraise(c, VEC_DE);                                                         \
		q = a / v;                                                                         \
		WR##bits(ACC, (uint##bits##_t)q);                                                  \
		WR##bits(CPU_RDX, (uint##bits##_t)(a - q * v));                                    \
	}                                                                                          \
	static inline void idiv##bits(struct xcpu *c, uint##bits##_t v)                            \
	{                                                                                          \
		stype a = (stype)(((utype)RD##bits(CPU_RDX) << bits) | RD##bits(ACC));             \
		stype b = (int##bits##_t)v, q;                                                     \
		/* The most negative dividend over -1 must not reach the host's divider. */        \
		if (!b || (b == -1 && a == (stype)((utype)1 << (2 * bits - 1))))                   \
			xraise(c, VEC_DE);                                                         \
		q = a / b;                                                                         \
		if (q != (int##bits##_t)q)                                                         \
			xraise(c, VEC_DE);                                                         \
		WR##bits(ACC, (uint##bits##_t)q);                                                  \
		WR##bits(CPU_RDX, (uint##bits##_t)(a - q * b));                                    \
	}
DIV_WIDE(16, uint32_t, int32_t)
DIV_WIDE(32, uint64_t, int64_t)

/* 128 by 64 bits: the host's own instruction, entered only where it cannot trap. */
static inline void udiv128(uint64_t hi, uint64_t lo, uint64_t v, uint64_t *q, uint64_t *r)
{
	__asm__("divq %[v]" : "=a"(*q), "=d"(*r) : [v] "r"(v), "a"(lo), "d"(hi) : "cc");
}

static inline void div64(struct xcpu *c, uint64_t v)
{
	if (c->r[CPU_RDX] >= v) /* v == 0 too */
		xraise(c, VEC_DE);
	udiv128(c->r[CPU_RDX], c->r[ACC], v, &c->r[ACC], &c->r[CPU_RDX]);
}

static inline void idiv64(struct xcpu *c, uint64_t v)
{
	unsigned __int128 a = (unsigned __int128)c->r[CPU_RDX] << 64 | c->r[ACC];
	bool neg_a = (int64_t)c->r[CPU_RDX] < 0, neg_v = (int64_t)v < 0;
	uint64_t b = neg_v ? 0 - v : v, q, r;

	if (neg_a)
		a = -a;
	if ((uint64_t)(a >> 64) >= b)
		xraise(c, VEC_DE);
	udiv128((uint64_t)(a >> 64), (uint64_t)a, b, &q, &r);
	if (q > (uint64_t)INT64_MAX + (neg_a != neg_v))
		xraise(c, VEC_DE);
	c->r[ACC] = neg_a != neg_v ? 0 - q : q;
	c->r[CPU_RDX] = neg_a ? 0 - r : r; /* the remainder has the dividend's sign */
}

#define MUL_BODIES(name, bits)                                                                     \
	static void op_##name##bits##_r(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		name##bits(c, RD##bits(d->rm));                                                    \
	}                                                                                          \
	static void op_##name##bits##_m(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		name##bits(c, LOAD(bits));                                                         \
	}
#define MUL_OP(name, fn)                                                                           \
	MUL_BODIES(name, 8)                                                                        \
	MUL_BODIES(name, 16)                                                                       \
	MUL_BODIES(name, 32)                                                                       \
	MUL_BODIES(name, 64)                                                                       \
	static xop_fn fn(const struct xinsn *z, struct dinsn *d)                                   \
	{                                                                                          \
		static const xop_fn body[4][2] = {{op_##name##8_r, op_##name##8_m},                \
						  {op_##name##16_r, op_##name##16_m},              \
						  {op_##name##32_r, op_##name##32_m},              \
						  {op_##name##64_r, op_##name##64_m}};             \
		(void)z;                                                                           \
		return body[int_row(d->size)][d->flags & XD_MEM ? 1 : 0];                          \
	}
MUL_OP(mul, bind_MUL)
MUL_OP(imul, bind_imul1)
MUL_OP(div, bind_DIV)
MUL_OP(idiv, bind_IDIV)

/* ---- IMUL with two and three operands: the low half ---- */

#define IMUL_BODIES(bits, stype)                                                                   \
	static inline uint##bits##_t imul_low##bits(struct xcpu *c, uint##bits##_t a,              \
						    uint##bits##_t b)                              \
	{                                                                                          \
		stype p = (stype)(int##bits##_t)a * (int##bits##_t)b;                              \
		c->fl = MUL_FLAGS(p != (int##bits##_t)p);                                          \
		return (uint##bits##_t)p;                                                          \
	}                                                                                          \
	static void op_imul2_##bits##_r(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		WR##bits(d->reg, imul_low##bits(c, RD##bits(d->reg), RD##bits(d->rm)));            \
	}                                                                                          \
	static void op_imul2_##bits##_m(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		uint##bits##_t b = LOAD(bits);                                                     \
		WR##bits(d->reg, imul_low##bits(c, RD##bits(d->reg), b));                          \
	}                                                                                          \
	static void op_imul3_##bits##_r(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		WR##bits(d->reg, imul_low##bits(c, RD##bits(d->rm), (uint##bits##_t)d->imm));      \
	}                                                                                          \
	static void op_imul3_##bits##_m(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		uint##bits##_t a = LOAD(bits);                                                     \
		WR##bits(d->reg, imul_low##bits(c, a, (uint##bits##_t)d->imm));                    \
	}
IMUL_BODIES(16, int32_t)
IMUL_BODIES(32, int64_t)
IMUL_BODIES(64, __int128)

static xop_fn bind_IMUL(const struct xinsn *z, struct dinsn *d)
{
#define IMUL_ROW(bits)                                                                             \
	{                                                                                          \
		{op_imul2_##bits##_r, op_imul2_##bits##_m},                                        \
		{                                                                                  \
			op_imul3_##bits##_r, op_imul3_##bits##_m                                   \
		}                                                                                  \
	}
	static const xop_fn body[3][2][2] = {IMUL_ROW(16), IMUL_ROW(32), IMUL_ROW(64)};
	bool three = xinsn_op_is(z, 2, ZYDIS_OPERAND_TYPE_IMMEDIATE);

	if ((z->insn.opcode & 0xfe) == 0xf6)
		return bind_imul1(z, d);
	return body[int_row(d->size) - 1][three][d->flags & XD_MEM ? 1 : 0];
}

/* ---- sign extension ---- */

static void op_cbw(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	WR16(ACC, (uint16_t)(int8_t)RD8(ACC));
}

static void op_cwde(struct xcpu *c, const struct dinsn *d)
{
	uint32_t v = (uint32_t)(int16_t)RD16(ACC);

	(void)d;
	WR32(ACC, v);
}

static void op_cdqe(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	c->r[ACC] = (uint64_t)(int32_t)RD32(ACC);
}

static void op_cwd(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	WR16(CPU_RDX, (uint16_t)((int16_t)RD16(ACC) >> 15));
}

static void op_cdq(struct xcpu *c, const struct dinsn *d)
{
	uint32_t v = (uint32_t)((int32_t)RD32(ACC) >> 31);

	(void)d;
	WR32(CPU_RDX, v);
}

static void op_cqo(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	c->r[CPU_RDX] = (uint64_t)((int64_t)c->r[ACC] >> 63);
}

#define BIND_PLAIN(mnemonic, fn)                                                                   \
	static xop_fn bind_##mnemonic(const struct xinsn *z, struct dinsn *d)                      \
	{                                                                                          \
		(void)z;                                                                           \
		(void)d;                                                                           \
		return fn;                                                                         \
	}
BIND_PLAIN(CBW, op_cbw)
BIND_PLAIN(CWDE, op_cwde)
BIND_PLAIN(CDQE, op_cdqe)
BIND_PLAIN(CWD, op_cwd)
BIND_PLAIN(CDQ, op_cdq)
BIND_PLAIN(CQO, op_cqo)

/* ---- decimal (SDM vol. 2, the pseudo-code of each); not in 64-bit mode ---- */

static void decimal_adjust(struct xcpu *c, bool sub)
{
	uint8_t old = RD8(ACC), al = old;
	bool cf = false, af = false, old_cf = c->fl & XF_CF;

	if ((old & 15) > 9 || (c->fl & XF_AF)) {
		cf = old_cf || (sub ? old < 6 : old > 0xff - 6);
		al = (uint8_t)(sub ? al - 6 : al + 6);
		af = true;
	}
	if (old > 0x99 || old_cf) {
		al = (uint8_t)(sub ? al - 0x60 : al + 0x60);
		cf = true;
	}
	WR8(ACC, al);
	c->fl = int_szp8(al) | (cf ? XF_CF : 0) | (af ? XF_AF : 0);
}

static void op_daa(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	decimal_adjust(c, false);
}

static void op_das(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	decimal_adjust(c, true);
}

static void ascii_adjust(struct xcpu *c, bool sub)
{
	uint16_t ax = RD16(ACC);
	bool adjust = (ax & 15) > 9 || (c->fl & XF_AF);

	if (adjust)
		ax = (uint16_t)(sub ? ax - 0x106 : ax + 0x106);
	WR16(ACC, ax & 0xff0f);
	c->fl = adjust ? XF_AF | XF_CF : 0;
}

static void op_aaa(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	ascii_adjust(c, false);
}

static void op_aas(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	ascii_adjust(c, true);
}

static void op_aam(struct xcpu *c, const struct dinsn *d)
{
	uint8_t base = (uint8_t)d->imm, al = RD8(ACC);

	if (!base)
		xraise(c, VEC_DE);
	WR16(ACC, (uint16_t)((al / base) << 8 | al % base));
	c->fl = int_szp8((uint8_t)(al % base));
}

static void op_aad(struct xcpu *c, const struct dinsn *d)
{
	uint16_t ax = RD16(ACC);
	uint8_t al = (uint8_t)((ax & 0xff) + (ax >> 8) * (uint8_t)d->imm);

	WR16(ACC, al);
	c->fl = int_szp8(al);
}

BIND_PLAIN(DAA, op_daa)
BIND_PLAIN(DAS, op_das)
BIND_PLAIN(AAA, op_aaa)
BIND_PLAIN(AAS, op_aas)
BIND_PLAIN(AAM, op_aam)
BIND_PLAIN(AAD, op_aad)

static const struct xop mul_ops[] = {
	INT_OP(MUL, 0), INT_OP(IMUL, 0), INT_OP(DIV, 0), INT_OP(IDIV, 0), INT_OP(CBW, 0),
	INT_OP(CWDE, 0), INT_OP(CDQE, 0), INT_OP(CWD, 0), INT_OP(CDQ, 0), INT_OP(CQO, 0),
	INT_OP(DAA, 0), INT_OP(DAS, 0), INT_OP(AAA, 0), INT_OP(AAS, 0), INT_OP(AAM, 0),
	INT_OP(AAD, 0),
};
const struct xop_table xops_int_mul = {mul_ops, RV_ARRAY_LEN(mul_ops)};
