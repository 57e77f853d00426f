/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUSH, POP, PUSHA, POPA, ENTER, LEAVE. 64-bit pushes and pops have bodies of
 * their own; every other width goes through xpush() and xpop(). RSP moves
 * last: a fault leaves it where it was.
 */
#include "ops_int.h"

/* ---- 64-bit mode, 8 bytes ---- */

static inline void push64(struct xcpu *c, uint64_t v)
{
	uint64_t sp = c->r[CPU_RSP] - 8;

	xmem_write64(c, CPU_SS, sp, v);
	c->r[CPU_RSP] = sp;
}

static void op_push64_r(struct xcpu *c, const struct dinsn *d)
{
	push64(c, c->r[d->reg]);
}

static void op_push64_i(struct xcpu *c, const struct dinsn *d)
{
	push64(c, d->imm);
}

static void op_push64_m(struct xcpu *c, const struct dinsn *d)
{
	push64(c, LOAD(64));
}

static void op_pop64_r(struct xcpu *c, const struct dinsn *d)
{
	uint64_t v = xmem_read64(c, CPU_SS, c->r[CPU_RSP]);

	c->r[CPU_RSP] += 8;
	c->r[d->reg] = v; /* last: POP RSP leaves the value */
}

static void op_leave64(struct xcpu *c, const struct dinsn *d)
{
	uint64_t bp = c->r[CPU_RBP];
	uint64_t v = xmem_read64(c, CPU_SS, bp);

	(void)d;
	c->r[CPU_RSP] = bp + 8;
	c->r[CPU_RBP] = v;
}

/* ---- any width ---- */

static unsigned stack_width(const struct xcpu *c)
{
	if (c->code64)
		return 8;
	return c->s.seg[CPU_SS].attr & SEG_DB ? 4 : 2;
}

/* The register's value after the low `width` bytes became those of v. */
static uint64_t merge(uint64_t old, uint64_t v, unsigned width)
{
	if (width == 8)
		return v;
	return width == 4 ? (uint32_t)v : (old & ~(uint64_t)0xffff) | (uint16_t)v;
}

static uint64_t load_sized(struct xcpu *c, unsigned seg, uint64_t lin, unsigned size)
{
	if (size == 8)
		return xmem_read64(c, seg, lin);
	return size == 4 ? xmem_read32(c, seg, lin) : xmem_read16(c, seg, lin);
}

static void store_sized(struct xcpu *c, unsigned seg, uint64_t lin, unsigned size, uint64_t v)
{
	if (size == 8)
		xmem_write64(c, seg, lin, v);
	else if (size == 4)
		xmem_write32(c, seg, lin, (uint32_t)v);
	else
		xmem_write16(c, seg, lin, (uint16_t)v);
}

static void op_push_r(struct xcpu *c, const struct dinsn *d)
{
	xpush(c, d->size, c->r[d->reg]);
}

static void op_push_i(struct xcpu *c, const struct dinsn *d)
{
	xpush(c, d->size, d->imm);
}

static void op_push_m(struct xcpu *c, const struct dinsn *d)
{
	xpush(c, d->size, load_sized(c, d->seg, xea(c, d, d->size, XACC_READ), d->size));
}

static void op_pop_r(struct xcpu *c, const struct dinsn *d)
{
	uint64_t v = xpop(c, d->size);

	c->r[d->reg] = merge(c->r[d->reg], v, d->size);
}

/* The address of POP [rSP+x] is made with rSP already incremented (SDM vol. 2, POP). */
static void op_pop_m(struct xcpu *c, const struct dinsn *d)
{
	uint64_t v = xstack_peek(c, d->size, 0);
	uint64_t a = xea_offset(c, d);

	if (d->base == CPU_RSP) {
		uint64_t sp = c->r[CPU_RSP];
		a += merge(sp, sp + d->size, stack_width(c)) - sp;
	}
	if (d->ea)
		a = xea_slow(c, d, a, d->size, XACC_WRITE);
	store_sized(c, d->seg, a, d->size, v);
	xstack_adjust(c, d->size);
}

static void op_leave(struct xcpu *c, const struct dinsn *d)
{
	unsigned w = stack_width(c);
	uint64_t bp = c->r[CPU_RBP];
	uint64_t lin = xseg_linear(c, CPU_SS, bp, w, d->size, XACC_READ);
	uint64_t v = load_sized(c, CPU_SS, lin, d->size);

	c->r[CPU_RSP] = merge(c->r[CPU_RSP], bp + d->size, w);
	c->r[CPU_RBP] = merge(bp, v, d->size);
}

static void enter_store(struct xcpu *c, const struct dinsn *d, uint64_t sp, uint64_t v)
{
	uint64_t lin = xseg_linear(c, CPU_SS, sp, stack_width(c), d->size, XACC_WRITE);

	store_sized(c, CPU_SS, lin, d->size, v);
}

static void op_enter(struct xcpu *c, const struct dinsn *d)
{
	unsigned w = stack_width(c), level = d->aux & 31;
	uint64_t sp = c->r[CPU_RSP] - d->size, bp = c->r[CPU_RBP], frame, lin;

	enter_store(c, d, sp, bp);
	frame = sp;
	for (unsigned i = 1; i < level; i++) {
		bp -= d->size;
		lin = xseg_linear(c, CPU_SS, bp, w, d->size, XACC_READ);
		sp -= d->size;
		enter_store(c, d, sp, load_sized(c, CPU_SS, lin, d->size));
	}
	if (level) {
		sp -= d->size;
		enter_store(c, d, sp, frame);
	}
	sp -= (uint16_t)d->imm;
	/* A store at the final stack pointer must be possible (SDM vol. 2, ENTER, #PF). */
	lin = xseg_linear(c, CPU_SS, sp, w, d->size, XACC_WRITE);
	xmem_probe(c, CPU_SS, lin, d->size, XACC_WRITE);
	c->r[CPU_RSP] = merge(c->r[CPU_RSP], sp, w);
	c->r[CPU_RBP] = merge(c->r[CPU_RBP], frame, d->size);
}

/* AX CX DX BX SP BP SI DI, in that order, SP as it was before. */
static void op_pusha(struct xcpu *c, const struct dinsn *d)
{
	unsigned w = stack_width(c);
	uint64_t lin[8];

	for (unsigned n = 0; n < 8; n++) {
		lin[n] = xseg_linear(c, CPU_SS, c->r[CPU_RSP] - (uint64_t)(n + 1) * d->size, w,
				     d->size, XACC_WRITE);
		xmem_probe(c, CPU_SS, lin[n], d->size, XACC_WRITE);
	}
	for (unsigned n = 0; n < 8; n++)
		store_sized(c, CPU_SS, lin[n], d->size, c->r[n]);
	xstack_adjust(c, -8 * (int64_t)d->size);
}

static void op_popa(struct xcpu *c, const struct dinsn *d)
{
	uint64_t v[8];

	for (unsigned n = 0; n < 8; n++)
		v[n] = xstack_peek(c, d->size, n);
	for (unsigned n = 0; n < 8; n++)
		if (7 - n != CPU_RSP)
			c->r[7 - n] = merge(c->r[7 - n], v[n], d->size);
	xstack_adjust(c, 8 * (int64_t)d->size);
}

static xop_fn bind_PUSH(const struct xinsn *z, struct dinsn *d)
{
	bool wide = d->size == 8;

	if (xinsn_op_is(z, 0, ZYDIS_OPERAND_TYPE_IMMEDIATE))
		return wide ? op_push64_i : op_push_i;
	if (d->flags & XD_MEM)
		return wide ? op_push64_m : op_push_m;
	if (!xinsn_op_gpr(z, 0))
		return NULL; /* segment registers */
	if (z->op[0].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM)
		d->reg = d->rm;
	return wide ? op_push64_r : op_push_r;
}

static xop_fn bind_POP(const struct xinsn *z, struct dinsn *d)
{
	if (d->flags & XD_MEM)
		return op_pop_m;
	if (!xinsn_op_gpr(z, 0))
		return NULL;
	if (z->op[0].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM)
		d->reg = d->rm;
	return d->size == 8 ? op_pop64_r : op_pop_r;
}

static xop_fn bind_LEAVE(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	return d->size == 8 ? op_leave64 : op_leave;
}

static xop_fn bind_ENTER(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	(void)d;
	return op_enter;
}

static xop_fn bind_pusha(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	(void)d;
	return op_pusha;
}

static xop_fn bind_popa(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	(void)d;
	return op_popa;
}

static const struct xop stack_ops[] = {
	INT_OP(PUSH, 0),
	INT_OP(POP, 0),
	INT_OP(LEAVE, 0),
	INT_OP(ENTER, 0),
	{ZYDIS_MNEMONIC_PUSHA, 0, bind_pusha},
	{ZYDIS_MNEMONIC_PUSHAD, 0, bind_pusha},
	{ZYDIS_MNEMONIC_POPA, 0, bind_popa},
	{ZYDIS_MNEMONIC_POPAD, 0, bind_popa},
};
const struct xop_table xops_int_stack = {stack_ops, RV_ARRAY_LEN(stack_ops)};
