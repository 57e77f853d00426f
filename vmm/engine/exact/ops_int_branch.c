/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Near branches. In 64-bit mode the operand size is 64 bits whatever prefixes
 * say (66h is ignored, as Intel CPUs do) and a target must be canonical;
 * elsewhere it is truncated to the operand size and checked against the limit
 * of CS. Both checks come before any effect: #GP(0) with RSP and RIP unmoved.
 */
#include "ops_int.h"

static inline uint64_t target64(struct xcpu *c, uint64_t t)
{
	if (unlikely((uint64_t)((int64_t)(t << 16) >> 16) != t))
		xraise_gp(c, 0);
	return t;
}

static inline uint64_t target_legacy(struct xcpu *c, const struct dinsn *d, uint64_t t)
{
	t = d->size == 2 ? (uint16_t)t : (uint32_t)t;
	if (unlikely(t > c->s.seg[CPU_CS].limit))
		xraise_gp(c, 0);
	return t;
}

static inline uint64_t target_any(struct xcpu *c, const struct dinsn *d, uint64_t t)
{
	return c->code64 ? target64(c, t) : target_legacy(c, d, t);
}

/* Near branches in 64-bit mode: 8 bytes, whatever the prefixes said. */
static void branch_size(const struct xinsn *z, struct dinsn *d)
{
	if (z->mode & XMODE_64)
		d->size = 8;
}

/* ---- Jcc: one body a condition ---- */

#define JCC_BODIES(cc)                                                                             \
	static void op_jcc64_##cc(struct xcpu *c, const struct dinsn *d)                           \
	{                                                                                          \
		if (xcond(c->fl, cc))                                                              \
			c->r[XR_NEXT] = target64(c, c->r[XR_NEXT] + d->imm);                       \
	}
#define CC_ALL(m)                                                                                  \
	m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13) m(14) m(15)
CC_ALL(JCC_BODIES)

static void op_jcc_legacy(struct xcpu *c, const struct dinsn *d)
{
	if (xcond(c->fl, d->cc))
		c->r[XR_NEXT] = target_legacy(c, d, c->r[XR_NEXT] + d->imm);
}

#define JCC_ENTRY(cc) op_jcc64_##cc,

static xop_fn bind_jcc(const struct xinsn *z, struct dinsn *d)
{
	static const xop_fn body[16] = {CC_ALL(JCC_ENTRY)};

	branch_size(z, d);
	return z->mode & XMODE_64 ? body[d->cc] : op_jcc_legacy;
}

/* ---- JrCXZ, LOOPcc: the counter has the address size ---- */

static inline uint64_t counter(const struct xcpu *c, const struct dinsn *d)
{
	uint64_t n = c->r[CPU_RCX];

	if (d->asize == 8)
		return n;
	return d->asize == 4 ? (uint32_t)n : (uint16_t)n;
}

static void op_jcxz(struct xcpu *c, const struct dinsn *d)
{
	if (!counter(c, d))
		c->r[XR_NEXT] = target_any(c, d, c->r[XR_NEXT] + d->imm);
}

static inline void loop_if(struct xcpu *c, const struct dinsn *d, bool cond)
{
	bool last = counter(c, d) == 1;
	uint64_t next = c->r[XR_NEXT];

	if (!last && cond)
		next = target_any(c, d, next + d->imm);
	if (d->asize == 8)
		c->r[CPU_RCX]--;
	else if (d->asize == 4)
		c->r[CPU_RCX] = (uint32_t)(c->r[CPU_RCX] - 1);
	else
		XREG16(c, CPU_RCX)--;
	c->r[XR_NEXT] = next;
}

static void op_loop(struct xcpu *c, const struct dinsn *d)
{
	loop_if(c, d, true);
}

static void op_loope(struct xcpu *c, const struct dinsn *d)
{
	loop_if(c, d, c->fl & XF_ZF);
}

static void op_loopne(struct xcpu *c, const struct dinsn *d)
{
	loop_if(c, d, !(c->fl & XF_ZF));
}

#define BIND_SIZED(mnemonic, fn)                                                                   \
	static xop_fn bind_##mnemonic(const struct xinsn *z, struct dinsn *d)                      \
	{                                                                                          \
		branch_size(z, d);                                                                 \
		return fn;                                                                         \
	}
BIND_SIZED(jcxz, op_jcxz)
BIND_SIZED(LOOP, op_loop)
BIND_SIZED(LOOPE, op_loope)
BIND_SIZED(LOOPNE, op_loopne)

/* ---- JMP, CALL, RET in 64-bit mode ---- */

static void op_jmp64_i(struct xcpu *c, const struct dinsn *d)
{
	c->r[XR_NEXT] = target64(c, c->r[XR_NEXT] + d->imm);
}

static void op_jmp64_r(struct xcpu *c, const struct dinsn *d)
{
	c->r[XR_NEXT] = target64(c, c->r[d->rm]);
}

static void op_jmp64_m(struct xcpu *c, const struct dinsn *d)
{
	c->r[XR_NEXT] = target64(c, LOAD(64));
}

static inline void call64(struct xcpu *c, uint64_t t)
{
	uint64_t sp = c->r[CPU_RSP] - 8;

	t = target64(c, t);
	xmem_write64(c, CPU_SS, sp, c->r[XR_NEXT]);
	c->r[CPU_RSP] = sp;
	c->r[XR_NEXT] = t;
}

static void op_call64_i(struct xcpu *c, const struct dinsn *d)
{
	call64(c, c->r[XR_NEXT] + d->imm);
}

static void op_call64_r(struct xcpu *c, const struct dinsn *d)
{
	call64(c, c->r[d->rm]);
}

static void op_call64_m(struct xcpu *c, const struct dinsn *d)
{
	call64(c, LOAD(64));
}

static void op_ret64(struct xcpu *c, const struct dinsn *d)
{
	uint64_t t = target64(c, xmem_read64(c, CPU_SS, c->r[CPU_RSP]));

	c->r[CPU_RSP] += 8 + d->imm;
	c->r[XR_NEXT] = t;
}

/* ---- and elsewhere ---- */

static uint64_t indirect_legacy(struct xcpu *c, const struct dinsn *d)
{
	if (!(d->flags & XD_MEM))
		return c->r[d->rm];
	return d->size == 2 ? LOAD(16) : LOAD(32);
}

static void op_jmp_i(struct xcpu *c, const struct dinsn *d)
{
	c->r[XR_NEXT] = target_legacy(c, d, c->r[XR_NEXT] + d->imm);
}

static void op_jmp_ind(struct xcpu *c, const struct dinsn *d)
{
	c->r[XR_NEXT] = target_legacy(c, d, indirect_legacy(c, d));
}

static void call_legacy(struct xcpu *c, const struct dinsn *d, uint64_t t)
{
	t = target_legacy(c, d, t);
	xpush(c, d->size, c->r[XR_NEXT]);
	c->r[XR_NEXT] = t;
}

static void op_call_i(struct xcpu *c, const struct dinsn *d)
{
	call_legacy(c, d, c->r[XR_NEXT] + d->imm);
}

static void op_call_ind(struct xcpu *c, const struct dinsn *d)
{
	call_legacy(c, d, indirect_legacy(c, d));
}

static void op_ret(struct xcpu *c, const struct dinsn *d)
{
	uint64_t t = target_legacy(c, d, xstack_peek(c, d->size, 0));

	xstack_adjust(c, (int64_t)(d->size + d->imm));
	c->r[XR_NEXT] = t;
}

static xop_fn bind_JMP(const struct xinsn *z, struct dinsn *d)
{
	bool is64 = z->mode & XMODE_64;

	if (z->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return NULL;
	branch_size(z, d);
	if (xinsn_op_is(z, 0, ZYDIS_OPERAND_TYPE_IMMEDIATE))
		return is64 ? op_jmp64_i : op_jmp_i;
	if (!is64)
		return op_jmp_ind;
	return d->flags & XD_MEM ? op_jmp64_m : op_jmp64_r;
}

static xop_fn bind_CALL(const struct xinsn *z, struct dinsn *d)
{
	bool is64 = z->mode & XMODE_64;

	if (z->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return NULL;
	branch_size(z, d);
	if (xinsn_op_is(z, 0, ZYDIS_OPERAND_TYPE_IMMEDIATE))
		return is64 ? op_call64_i : op_call_i;
	if (!is64)
		return op_call_ind;
	return d->flags & XD_MEM ? op_call64_m : op_call64_r;
}

static xop_fn bind_RET(const struct xinsn *z, struct dinsn *d)
{
	if (z->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return NULL;
	branch_size(z, d);
	d->imm = (uint16_t)d->imm;
	return z->mode & XMODE_64 ? op_ret64 : op_ret;
}

/* ---- BOUND: signed index against the pair in memory; not in 64-bit mode ---- */

static void op_bound16(struct xcpu *c, const struct dinsn *d)
{
	uint64_t a = xea(c, d, 4, XACC_READ);
	uint32_t pair = xmem_read32(c, d->seg, a);
	int16_t i = (int16_t)RD16(d->reg);

	if (i < (int16_t)pair || i > (int16_t)(pair >> 16))
		xraise(c, VEC_BR);
}

static void op_bound32(struct xcpu *c, const struct dinsn *d)
{
	uint64_t a = xea(c, d, 8, XACC_READ);
	uint64_t pair = xmem_read64(c, d->seg, a);
	int32_t i = (int32_t)RD32(d->reg);

	if (i < (int32_t)pair || i > (int32_t)(pair >> 32))
		xraise(c, VEC_BR);
}

static xop_fn bind_BOUND(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	if (!(d->flags & XD_MEM))
		return NULL;
	return d->size == 2 ? op_bound16 : op_bound32;
}

#define JCC_OP(cc) {ZYDIS_MNEMONIC_J##cc, XOP_END, bind_jcc}

static const struct xop branch_ops[] = {
	JCC_OP(O), JCC_OP(NO), JCC_OP(B), JCC_OP(NB), JCC_OP(Z), JCC_OP(NZ), JCC_OP(BE), JCC_OP(NBE),
	JCC_OP(S), JCC_OP(NS), JCC_OP(P), JCC_OP(NP), JCC_OP(L), JCC_OP(NL), JCC_OP(LE), JCC_OP(NLE),
	{ZYDIS_MNEMONIC_JCXZ, XOP_END, bind_jcxz},
	{ZYDIS_MNEMONIC_JECXZ, XOP_END, bind_jcxz},
	{ZYDIS_MNEMONIC_JRCXZ, XOP_END, bind_jcxz},
	INT_OP(LOOP, XOP_END), INT_OP(LOOPE, XOP_END), INT_OP(LOOPNE, XOP_END),
	INT_OP(JMP, XOP_END), INT_OP(CALL, XOP_END), INT_OP(RET, XOP_END), INT_OP(BOUND, 0),
};
const struct xop_table xops_int_branch = {branch_ops, RV_ARRAY_LEN(branch_ops)};
