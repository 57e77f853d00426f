/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two-operand ALU instructions, NEG NOT INC DEC, XADD and the compare-and-
 * exchange family. One body for each operation, size and operand form.
 */
#include "ops_int.h"

#include <string.h>

/* The result is in a, the flags in c->fl: LAHF takes SF ZF AF PF CF, SETO the rest; EAX is 0 before. */
#define ALU_FN(name, bits, text, mask)                                                             \
	static inline uint##bits##_t name##bits(struct xcpu *c, uint##bits##_t a,                  \
						uint##bits##_t b)                                  \
	{                                                                                          \
		uint32_t f;                                                                        \
		__asm__(text " %[b], %[a]\n\tlahf\n\tseto %%al"                                    \
			: "=a"(f), [a] "+r"(a)                                                     \
			: [b] "r"(b), "0"(0u)                                                      \
			: "cc");                                                                   \
		c->fl = f & (mask);                                                                \
		return a;                                                                          \
	}
/* With carry in, from the bit of c->fl that XF_CF is. */
#define ALU_CARRY_FN(name, bits, text)                                                             \
	static inline uint##bits##_t name##bits(struct xcpu *c, uint##bits##_t a,                  \
						uint##bits##_t b)                                  \
	{                                                                                          \
		uint32_t f;                                                                        \
		__asm__("btl $8, %[in]\n\t" text " %[b], %[a]\n\tlahf\n\tseto %%al"                \
			: "=a"(f), [a] "+r"(a)                                                     \
			: [b] "r"(b), [in] "r"(c->fl), "0"(0u)                                     \
			: "cc");                                                                   \
		c->fl = f & XF_ALL;                                                                \
		return a;                                                                          \
	}
#define ALU_LOGIC_FN(name, bits, op)                                                               \
	static inline uint##bits##_t name##bits(struct xcpu *c, uint##bits##_t a,                  \
						uint##bits##_t b)                                  \
	{                                                                                          \
		a = (uint##bits##_t)(a op b);                                                      \
		c->fl = int_szp##bits(a);                                                          \
		return a;                                                                          \
	}
#define ALU_SIZES(name, text)                                                                      \
	ALU_FN(name, 8, text, XF_ALL)                                                              \
	ALU_FN(name, 16, text, XF_ALL)                                                             \
	ALU_FN(name, 32, text, XF_ALL)                                                             \
	ALU_FN(name, 64, text, XF_ALL)
#define ALU_CARRY_SIZES(name, text)                                                                \
	ALU_CARRY_FN(name, 8, text)                                                                \
	ALU_CARRY_FN(name, 16, text)                                                               \
	ALU_CARRY_FN(name, 32, text)                                                               \
	ALU_CARRY_FN(name, 64, text)
#define ALU_LOGIC_SIZES(name, op)                                                                  \
	ALU_LOGIC_FN(name, 8, op)                                                                  \
	ALU_LOGIC_FN(name, 16, op)                                                                 \
	ALU_LOGIC_FN(name, 32, op)                                                                 \
	ALU_LOGIC_FN(name, 64, op)

ALU_SIZES(alu_add, "add")
ALU_SIZES(alu_sub, "sub")
ALU_CARRY_SIZES(alu_adc, "adc")
ALU_CARRY_SIZES(alu_sbb, "sbb")
ALU_LOGIC_SIZES(alu_and, &)
ALU_LOGIC_SIZES(alu_or, |)
ALU_LOGIC_SIZES(alu_xor, ^)

enum alu_form { ALU_RR, ALU_RM, ALU_MR, ALU_RI, ALU_MI, ALU_FORMS };

/* Reg-reg: rm is the destination, whichever encoding it was (alu_bind). */
#define ALU_BODIES(name, fn, bits)                                                                 \
	static void name##bits##_rr(struct xcpu *c, const struct dinsn *d)                         \
	{                                                                                          \
		WR##bits(d->rm, fn##bits(c, RD##bits(d->rm), RD##bits(d->reg)));                   \
	}                                                                                          \
	static void name##bits##_rm(struct xcpu *c, const struct dinsn *d)                         \
	{                                                                                          \
		uint##bits##_t b = LOAD(bits);                                                     \
		WR##bits(d->reg, fn##bits(c, RD##bits(d->reg), b));                                \
	}                                                                                          \
	static void name##bits##_mr(struct xcpu *c, const struct dinsn *d)                         \
	{                                                                                          \
		uint##bits##_t *p = RMW(bits);                                                     \
		*p = fn##bits(c, *p, RD##bits(d->reg));                                            \
		xmem_rmw_done(c);                                                                  \
	}                                                                                          \
	static void name##bits##_ri(struct xcpu *c, const struct dinsn *d)                         \
	{                                                                                          \
		WR##bits(d->rm, fn##bits(c, RD##bits(d->rm), (uint##bits##_t)d->imm));             \
	}                                                                                          \
	static void name##bits##_mi(struct xcpu *c, const struct dinsn *d)                         \
	{                                                                                          \
		uint##bits##_t *p = RMW(bits);                                                     \
		*p = fn##bits(c, *p, (uint##bits##_t)d->imm);                                      \
		xmem_rmw_done(c);                                                                  \
	}
/* CMP and TEST: no destination. */
#define ALU_TEST_BODIES(name, fn, bits)                                                            \
	static void name##bits##_rr(struct xcpu *c, const struct dinsn *d)                         \
	{                                                                                          \
		(void)fn##bits(c, RD##bits(d->rm), RD##bits(d->reg));                              \
	}                                                                                          \
	static void name##bits##_rm(struct xcpu *c, const struct dinsn *d)                         \
	{                                                                                          \
		uint##bits##_t b = LOAD(bits);                                                     \
		(void)fn##bits(c, RD##bits(d->reg), b);                                            \
	}                                                                                          \
	static void name##bits##_mr(struct xcpu *c, const struct dinsn *d)                         \
	{                                                                                          \
		uint##bits##_t a = LOAD(bits);                                                     \
		(void)fn##bits(c, a, RD##bits(d->reg));                                            \
	}                                                                                          \
	static void name##bits##_ri(struct xcpu *c, const struct dinsn *d)                         \
	{                                                                                          \
		(void)fn##bits(c, RD##bits(d->rm), (uint##bits##_t)d->imm);                        \
	}                                                                                          \
	static void name##bits##_mi(struct xcpu *c, const struct dinsn *d)                         \
	{                                                                                          \
		uint##bits##_t a = LOAD(bits);                                                     \
		(void)fn##bits(c, a, (uint##bits##_t)d->imm);                                      \
	}
#define ALU_ROW(name, bits)                                                                        \
	{name##bits##_rr, name##bits##_rm, name##bits##_mr, name##bits##_ri, name##bits##_mi}
#define ALU_OP(bodies, name, fn, mnemonic)                                                         \
	bodies(name, fn, 8) bodies(name, fn, 16) bodies(name, fn, 32) bodies(name, fn, 64)         \
	static xop_fn bind_##mnemonic(const struct xinsn *z, struct dinsn *d)                      \
	{                                                                                          \
		static const xop_fn body[4][ALU_FORMS] = {ALU_ROW(name, 8), ALU_ROW(name, 16),     \
							  ALU_ROW(name, 32), ALU_ROW(name, 64)};   \
		return body[int_row(d->size)][alu_bind(z, d)];                                     \
	}

static enum alu_form alu_bind(const struct xinsn *z, struct dinsn *d)
{
	if (xinsn_op_is(z, 1, ZYDIS_OPERAND_TYPE_IMMEDIATE)) {
		if (d->flags & XD_MEM)
			return ALU_MI;
		if (z->op[0].encoding == ZYDIS_OPERAND_ENCODING_NONE) /* AL/eAX, imm */
			d->rm = d->reg;
		return ALU_RI;
	}
	if (d->flags & XD_MEM)
		return z->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER ? ALU_RM : ALU_MR;
	if (z->op[0].encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG) {
		uint8_t t = d->rm;
		d->rm = d->reg;
		d->reg = t;
	}
	return ALU_RR;
}

ALU_OP(ALU_BODIES, op_add, alu_add, ADD)
ALU_OP(ALU_BODIES, op_adc, alu_adc, ADC)
ALU_OP(ALU_BODIES, op_sub, alu_sub, SUB)
ALU_OP(ALU_BODIES, op_sbb, alu_sbb, SBB)
ALU_OP(ALU_BODIES, op_and, alu_and, AND)
ALU_OP(ALU_BODIES, op_or, alu_or, OR)
ALU_OP(ALU_TEST_BODIES, op_cmp, alu_sub, CMP)
ALU_OP(ALU_TEST_BODIES, op_test, alu_and, TEST)
ALU_OP(ALU_BODIES, op_xor, alu_xor, ALU_XOR)

/* XOR r, r, the idiom for zero; 32 and 64 bits alike. */
static void op_xor_same(struct xcpu *c, const struct dinsn *d)
{
	c->r[d->rm] = 0;
	c->fl = XF_ZF | XF_PF;
}

static xop_fn bind_XOR(const struct xinsn *z, struct dinsn *d)
{
	xop_fn fn = bind_ALU_XOR(z, d);

	return fn == op_xor32_rr || fn == op_xor64_rr ? (d->rm == d->reg ? op_xor_same : fn) : fn;
}

/* ---- one operand: INC DEC keep CF (SDM vol. 2), NEG is 0 - a, NOT has no flags ---- */

#define UNARY_FNS(bits)                                                                            \
	static inline uint##bits##_t alu_inc##bits(struct xcpu *c, uint##bits##_t a)               \
	{                                                                                          \
		uint32_t cf = c->fl & XF_CF;                                                       \
		a = alu_add##bits(c, a, 1);                                                        \
		c->fl = (c->fl & ~XF_CF) | cf;                                                     \
		return a;                                                                          \
	}                                                                                          \
	static inline uint##bits##_t alu_dec##bits(struct xcpu *c, uint##bits##_t a)               \
	{                                                                                          \
		uint32_t cf = c->fl & XF_CF;                                                       \
		a = alu_sub##bits(c, a, 1);                                                        \
		c->fl = (c->fl & ~XF_CF) | cf;                                                     \
		return a;                                                                          \
	}                                                                                          \
	static inline uint##bits##_t alu_neg##bits(struct xcpu *c, uint##bits##_t a)               \
	{                                                                                          \
		return alu_sub##bits(c, 0, a);                                                     \
	}                                                                                          \
	static inline uint##bits##_t alu_not##bits(struct xcpu *c, uint##bits##_t a)               \
	{                                                                                          \
		(void)c;                                                                           \
		return (uint##bits##_t)~a;                                                         \
	}
UNARY_FNS(8)
UNARY_FNS(16)
UNARY_FNS(32)
UNARY_FNS(64)

#define UNARY_BODIES(name, bits)                                                                   \
	static void op_##name##bits##_r(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		WR##bits(d->rm, alu_##name##bits(c, RD##bits(d->rm)));                             \
	}                                                                                          \
	static void op_##name##bits##_m(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		uint##bits##_t *p = RMW(bits);                                                     \
		*p = alu_##name##bits(c, *p);                                                      \
		xmem_rmw_done(c);                                                                  \
	}
#define UNARY_OP(name, mnemonic)                                                                   \
	UNARY_BODIES(name, 8)                                                                      \
	UNARY_BODIES(name, 16)                                                                     \
	UNARY_BODIES(name, 32)                                                                     \
	UNARY_BODIES(name, 64)                                                                     \
	static xop_fn bind_##mnemonic(const struct xinsn *z, struct dinsn *d)                      \
	{                                                                                          \
		static const xop_fn body[4][2] = {{op_##name##8_r, op_##name##8_m},                \
						  {op_##name##16_r, op_##name##16_m},              \
						  {op_##name##32_r, op_##name##32_m},              \
						  {op_##name##64_r, op_##name##64_m}};             \
		if (z->op[0].encoding == ZYDIS_OPERAND_ENCODING_OPCODE) /* 40-4F outside 64-bit */ \
			d->rm = d->reg;                                                            \
		return body[int_row(d->size)][d->flags & XD_MEM ? 1 : 0];                          \
	}
UNARY_OP(inc, INC)
UNARY_OP(dec, DEC)
UNARY_OP(neg, NEG)
UNARY_OP(not, NOT)

/* ---- XADD, CMPXCHG: memory is always written (SDM vol. 2: the bus cycle happens either way); the
 * register that CMPXCHG does not take is not touched, so not zero-extended either ---- */

#define EXCHANGE_BODIES(bits)                                                                      \
	static void op_xadd##bits##_r(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		uint##bits##_t old = RD##bits(d->rm), sum = alu_add##bits(c, old, RD##bits(d->reg));\
		WR##bits(d->reg, old);                                                             \
		WR##bits(d->rm, sum); /* last: XADD r, r leaves the sum */                         \
	}                                                                                          \
	static void op_xadd##bits##_m(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		uint##bits##_t *p = RMW(bits), old = *p;                                           \
		*p = alu_add##bits(c, old, RD##bits(d->reg));                                      \
		xmem_rmw_done(c);                                                                  \
		WR##bits(d->reg, old);                                                             \
	}                                                                                          \
	static void op_cmpxchg##bits##_r(struct xcpu *c, const struct dinsn *d)                    \
	{                                                                                          \
		uint##bits##_t old = RD##bits(d->rm);                                              \
		(void)alu_sub##bits(c, RD##bits(ACC), old);                                        \
		if (c->fl & XF_ZF)                                                                 \
			WR##bits(d->rm, RD##bits(d->reg));                                         \
		else                                                                               \
			WR##bits(ACC, old);                                                        \
	}                                                                                          \
	static void op_cmpxchg##bits##_m(struct xcpu *c, const struct dinsn *d)                    \
	{                                                                                          \
		uint##bits##_t *p = RMW(bits), old = *p;                                           \
		(void)alu_sub##bits(c, RD##bits(ACC), old);                                        \
		*p = c->fl & XF_ZF ? RD##bits(d->reg) : old;                                       \
		xmem_rmw_done(c);                                                                  \
		if (!(c->fl & XF_ZF))                                                              \
			WR##bits(ACC, old);                                                        \
	}
EXCHANGE_BODIES(8)
EXCHANGE_BODIES(16)
EXCHANGE_BODIES(32)
EXCHANGE_BODIES(64)

#define EXCHANGE_BIND(name, mnemonic)                                                              \
	static xop_fn bind_##mnemonic(const struct xinsn *z, struct dinsn *d)                      \
	{                                                                                          \
		static const xop_fn body[4][2] = {{op_##name##8_r, op_##name##8_m},                \
						  {op_##name##16_r, op_##name##16_m},              \
						  {op_##name##32_r, op_##name##32_m},              \
						  {op_##name##64_r, op_##name##64_m}};             \
		(void)z;                                                                           \
		return body[int_row(d->size)][d->flags & XD_MEM ? 1 : 0];                          \
	}
EXCHANGE_BIND(xadd, XADD)
EXCHANGE_BIND(cmpxchg, CMPXCHG)

static void op_cmpxchg8b(struct xcpu *c, const struct dinsn *d)
{
	uint64_t *p = RMW(64), old = *p;
	uint64_t want = c->r[CPU_RDX] << 32 | RD32(CPU_RAX);
	bool same = old == want;

	*p = same ? c->r[CPU_RCX] << 32 | RD32(CPU_RBX) : old;
	xmem_rmw_done(c);
	if (!same) {
		WR32(CPU_RAX, old);
		c->r[CPU_RDX] = old >> 32;
	}
	c->fl = (c->fl & ~XF_ZF) | (same ? XF_ZF : 0);
}

static void op_cmpxchg16b(struct xcpu *c, const struct dinsn *d)
{
	uint64_t lin = xea(c, d, 16, XACC_WRITE), old[2], put[2];
	const struct xtlb_entry *t = &c->wr[xtlb_index(lin)];
	void *p;
	bool same;

	if (lin & 15)
		xraise_gp(c, 0);
	if (likely((lin ^ t->tag) <= RV_PAGE_SIZE - 16)) {
		p = (void *)((lin ^ t->tag) + t->host);
	} else {
		xmem_rmw_slow(c, d->seg, lin, 16);
		p = c->rmw.buf;
	}
	memcpy(old, p, 16);
	same = old[0] == c->r[CPU_RAX] && old[1] == c->r[CPU_RDX];
	put[0] = same ? c->r[CPU_RBX] : old[0];
	put[1] = same ? c->r[CPU_RCX] : old[1];
	memcpy(p, put, 16);
	xmem_rmw_done(c);
	if (!same) {
		c->r[CPU_RAX] = old[0];
		c->r[CPU_RDX] = old[1];
	}
	c->fl = (c->fl & ~XF_ZF) | (same ? XF_ZF : 0);
}

static xop_fn bind_CMPXCHG8B(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	return d->flags & XD_MEM ? op_cmpxchg8b : NULL;
}

static xop_fn bind_CMPXCHG16B(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	return d->flags & XD_MEM ? op_cmpxchg16b : NULL;
}

static const struct xop arith_ops[] = {
	INT_OP(ADD, 0),	 INT_OP(ADC, 0),     INT_OP(SUB, 0),	   INT_OP(SBB, 0),
	INT_OP(AND, 0),	 INT_OP(OR, 0),	     INT_OP(XOR, 0),	   INT_OP(CMP, 0),
	INT_OP(TEST, 0), INT_OP(INC, 0),     INT_OP(DEC, 0),	   INT_OP(NEG, 0),
	INT_OP(NOT, 0),	 INT_OP(XADD, 0),    INT_OP(CMPXCHG, 0),   INT_OP(CMPXCHG8B, 0),
	INT_OP(CMPXCHG16B, 0),
};
const struct xop_table xops_int_arith = {arith_ops, RV_ARRAY_LEN(arith_ops)};
