/* SPDX-License-Identifier: Apache-2.0 */
/* One guest instruction, branches apart, as host instructions. */
#include "jit_int.h"

static void op_imm(struct xasm *a, const struct xjit_insn *f)
{
	if (f->immlen == 1) {
		a8(a, (uint8_t)f->imm);
	} else if (f->immlen == 2) {
		a8(a, (uint8_t)f->imm);
		a8(a, (uint8_t)(f->imm >> 8));
	} else if (f->immlen >= 4) {
		a32(a, (uint32_t)f->imm);
	}
}

/* The ModRM.reg field for the host, its guest register loaded if need be. */
static unsigned op_reg(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	if (f->digit || f->xmm_reg)
		return f->reg;
	if (xjit_host[f->reg] >= 0)
		return (unsigned)xjit_host[f->reg];
	if (f->reg_rd)
		xtr_get(t, S_2, f->reg);
	return S_2;
}

static unsigned op_rm(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	if (f->xmm_rm)
		return f->rm;
	if (xjit_host[f->rm] >= 0)
		return (unsigned)xjit_host[f->rm];
	if (f->rm_rd)
		xtr_get(t, S_1, f->rm);
	return S_1;
}

/* Written registers that live in memory go back there: the ModRM.rm one last, as XADD wants it. */
static void op_writeback(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	if (f->reg_wr && !f->digit && !f->xmm_reg && xjit_host[f->reg] < 0)
		xtr_put(t, S_2, f->reg);
	if (f->rm_wr && !f->xmm_rm && xjit_host[f->rm] < 0)
		xtr_put(t, S_1, f->rm);
}

/* Same instruction, other registers. */
static void op_plain(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	struct xasm *a = &t->hot;
	unsigned reg, rm = 0;
	if (f->mem)
		xtr_access(t, f->store, f->msize, f->align);
	reg = op_reg(t);
	if (!f->mem)
		rm = op_rm(t);
	if (f->fl_read || f->fl_write == FL_PART)
		xtr_flags_load(t);
	if (f->enc == (0xc8u | A_MAP(1)) || f->enc == (0xc8u | A_MAP(1) | A_W)) { /* BSWAP */
		a8(a, 0x40 | (f->enc & A_W ? 8u : 0) | rm >> 3);
		a8(a, 0x0f);
		a8(a, 0xc8 | (rm & 7));
	} else if (f->mem) {
		a_rm(a, f->enc, reg, a_at(S_1, 0));
	} else {
		a_rr(a, f->enc, reg, rm);
	}
	op_imm(a, f);
	op_writeback(t);
	xtr_flags_written(t, f);
}

static void op_sse(struct xtr *t)
{
	struct xasm *a = &t->hot;
	if (!t->xmm_known) {
		xtr_flags_save(t);
		a_rm(a, 0x80u, 7, a_cpu(OFF(jit.xmm_live))); /* cmp byte [], 0 */
		a8(a, 0);
		xtr_site(t, a_jcc(a, CC_Z), XS_XMM);
		t->site[t->nsites - 1].resume = a->p;
		t->site[t->nsites - 1].flags = (uint8_t)t->fs;
		t->xmm_known = true;
	}
	op_plain(t);
}

static void op_lea(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	const unsigned dst = xjit_host[f->reg] >= 0 ? (unsigned)xjit_host[f->reg] : S_1;
	/* The address is made in a scratch register: dst may be its index. */
	xtr_address(t, S_1, true);
	if (f->size == 4)
		a_rr(&t->hot, 0x8bu, dst, S_1);
	else if (dst != S_1)
		a_mov_rr(&t->hot, dst, S_1);
	if (dst == S_1)
		xtr_put(t, S_1, f->reg);
}

/* LEA of plain registers into a register: one instruction. */
static bool op_lea_direct(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	const struct dinsn *d = t->d;
	struct xmem m = a_at(0, d->disp);
	if (xjit_host[f->reg] < 0 || (d->ea & XEA_ADDR32) || d->base >= XR_ZERO ||
	    xjit_host[d->base] < 0 || (d->index != XR_ZERO && xjit_host[d->index] < 0))
		return false;
	m.base = xjit_host[d->base];
	if (d->index != XR_ZERO) {
		m.index = xjit_host[d->index];
		m.scale = d->scale;
	}
	a_rm(&t->hot, f->size == 8 ? A_LEA : 0x8du, (unsigned)xjit_host[f->reg], m);
	return true;
}

static void op_mov_ri(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	if (xjit_host[f->rm] >= 0) {
		a_mov_ri(&t->hot, (unsigned)xjit_host[f->rm], f->imm);
	} else {
		a_mov_ri(&t->hot, S_1, f->imm);
		xtr_put(t, S_1, f->rm);
	}
}

/* RSP moves when nothing can fault any more. */
static void op_push(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	struct xasm *a = &t->hot;
	const unsigned sp = (unsigned)xjit_host[CPU_RSP];
	xtr_flags_save(t);
	a_rm(a, A_LEA, S_1, a_at((int)sp, -8));
	xtr_access_rcx(t, true, 8, false);
	if (f->kind == J_PUSH_I) {
		a_rm(a, 0xc7u | A_W, 0, a_at(S_1, 0));
		a32(a, (uint32_t)f->imm);
	} else {
		a_rm(a, A_MOV_STORE, xtr_use(t, S_2, f->reg), a_at(S_1, 0));
	}
	a_rm(a, A_LEA, sp, a_at((int)sp, -8));
}

static void op_pop(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	struct xasm *a = &t->hot;
	const unsigned sp = (unsigned)xjit_host[CPU_RSP];
	const unsigned dst = xjit_host[f->reg] >= 0 ? (unsigned)xjit_host[f->reg] : S_1;
	xtr_flags_save(t);
	a_mov_rr(a, S_1, sp);
	xtr_access_rcx(t, false, 8, false);
	a_rm(a, A_MOV_LOAD, dst, a_at(S_1, 0));
	if (f->reg != CPU_RSP)
		a_rm(a, A_LEA, sp, a_at((int)sp, 8));
	if (dst == S_1)
		xtr_put(t, S_1, f->reg);
}

static void op_leave(struct xtr *t)
{
	struct xasm *a = &t->hot;
	const unsigned sp = (unsigned)xjit_host[CPU_RSP], bp = (unsigned)xjit_host[CPU_RBP];
	xtr_flags_save(t);
	a_mov_rr(a, S_1, bp);
	xtr_access_rcx(t, false, 8, false);
	a_rm(a, A_LEA, sp, a_at((int)bp, 8));
	a_rm(a, A_MOV_LOAD, bp, a_at(S_1, 0));
}

/* A count of 0 changes no flag but zero-extends: so the flags are saved before, and again if it was not. */
static void op_shift_cl(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	struct xasm *a = &t->hot;
	unsigned rm;
	uint8_t *skip;
	xtr_flags_save(t);
	a_rr(a, 0x8bu, S_1, (unsigned)xjit_host[CPU_RCX]);
	rm = xtr_use(t, S_2, f->rm);
	if (f->size == 4)
		a_rr(a, 0x8bu, rm, rm);
	a_alu_ri(a, 0, A_AND, S_1, f->size == 8 ? 63 : 31);
	a8(a, 0x74); /* jz over */
	a8(a, 0);
	skip = a->p;
	a_rr(a, f->enc, f->reg, rm);
	if (f->fl_live)
		xtr_flags_capture(a, f->fl_keep);
	skip[-1] = (uint8_t)(a->p - skip);
	if (rm == S_2)
		xtr_put(t, S_2, f->rm);
	t->fs = f->fl_live ? F_SAVED : t->fs;
}

/* The accumulator goes through RAX; the old flags are dead once nothing can fault. */
static void op_cmpxchg(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	struct xasm *a = &t->hot;
	const unsigned acc = (unsigned)xjit_host[CPU_RAX];
	unsigned reg, rm = 0;
	if (f->mem)
		xtr_access(t, true, f->msize, false);
	reg = op_reg(t);
	if (!f->mem)
		rm = op_rm(t);
	a_mov_rr(a, H_RAX, acc);
	if (f->mem)
		a_rm(a, f->enc, reg, a_at(S_1, 0));
	else
		a_rr(a, f->enc, reg, rm);
	/* The accumulator only when the values differed. */
	a_rr(a, 0x45u | A_MAP(1) | A_W, acc, H_RAX); /* cmovnz */
	if (!f->mem && xjit_host[f->rm] < 0)
		xtr_put(t, S_1, f->rm);
	t->fs = F_HOST;
	xtr_flags_written(t, f);
}

/* RDX:RAX = RAX * r/m. */
static void op_mul(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	struct xasm *a = &t->hot;
	unsigned rm = 0;
	if (f->mem)
		xtr_access(t, false, f->msize, false);
	else
		rm = xtr_use(t, S_1, f->rm);
	a_mov_rr(a, H_RAX, (unsigned)xjit_host[CPU_RAX]);
	if (f->mem)
		a_rm(a, f->enc, f->reg, a_at(S_1, 0));
	else
		a_rr(a, f->enc, f->reg, rm);
	a_mov_rr(a, (unsigned)xjit_host[CPU_RAX], H_RAX);
	t->fs = F_HOST;
	xtr_flags_written(t, f);
}

/* Where the quotient surely fits, the host divides; else the body, which raises #DE. Flags stay. */
static void op_div(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	struct xasm *a = &t->hot;
	const uint32_t w = f->size == 8 ? A_W : 0;
	const unsigned acc = (unsigned)xjit_host[CPU_RAX];
	unsigned rm;
	xtr_flags_save(t);
	if (f->mem) {
		xtr_access(t, false, f->msize, false);
		a_rm(a, 0x8bu | w, S_1, a_at(S_1, 0));
		rm = S_1;
	} else {
		rm = xtr_use(t, S_1, f->rm);
	}
	if (f->reg == 6) { /* DIV: high half below the divisor */
		a_rr(a, 0x3bu | w, H_RDX, rm);
		xtr_site(t, a_jcc(a, CC_NB), XS_BODY);
	} else { /* IDIV: a sign-extended dividend, and neither 0 nor -1 */
		a_rr(a, 0x8bu | w, S_2, acc);
		a_rr(a, 0xc1u | w, 7, S_2); /* sar */
		a8(a, f->size == 8 ? 63 : 31);
		a_rr(a, 0x3bu | w, S_2, H_RDX);
		xtr_site(t, a_jcc(a, CC_NZ), XS_BODY);
		a_rm(a, 0x8du | w, S_2, a_at((int)rm, 1));
		a_alu_ri(a, w, A_CMP, S_2, 1);
		xtr_site(t, a_jcc(a, CC_BE), XS_BODY);
	}
	a_rm(a, 0x89u, S_FLAGS, a_cpu(OFF(jit.tmp)));
	a_mov_rr(a, H_RAX, acc);
	a_rr(a, 0xf7u | w, f->reg, rm);
	a_mov_rr(a, acc, H_RAX);
	a_rm(a, 0x8bu, S_FLAGS, a_cpu(OFF(jit.tmp)));
}

/* CWDE CDQE (in RAX), CDQ CQO (into RDX): no flags. */
static void op_extend(struct xtr *t)
{
	struct xasm *a = &t->hot;
	const unsigned acc = (unsigned)xjit_host[CPU_RAX];
	const uint32_t w = t->f->size == 8 ? A_W : 0;
	if (t->f->imm) {
		a_rr(a, 0x87u | A_W, H_RAX, acc);
		if (w)
			a8(a, 0x48);
		a8(a, 0x99);
		a_rr(a, 0x87u | A_W, H_RAX, acc);
	} else if (w) {
		a_rr(a, 0x63u | A_W, acc, acc);
	} else {
		a_rr(a, 0xbfu | A_MAP(1), acc, acc);
	}
}

/* A register offset reaches beyond the operand: whole operands go into the address. */
static void op_bit_mr(struct xtr *t)
{
	const struct xjit_insn *f = t->f;
	struct xasm *a = &t->hot;
	const unsigned shift = f->size == 8 ? 6 : 5;
	unsigned reg;
	xtr_flags_save(t);
	xtr_address(t, S_1, false);
	reg = xtr_use(t, S_2, f->reg);
	if (f->size == 8)
		a_rr(a, A_MOV_LOAD, S_2, reg);
	else
		a_rr(a, 0x63u | A_W, S_2, reg);
	a_rr(a, 0xc1u | A_W, 7, S_2);
	a8(a, shift);
	a_rm(a, A_LEA, S_1, (struct xmem){ .base = S_1, .index = S_2, .scale = f->size == 8 ? 3 : 2 });
	xtr_access_rcx(t, f->store, f->size, false);
	reg = xtr_use(t, S_2, f->reg);
	a_rr(a, 0x8bu, S_2, reg);
	a_alu_ri(a, 0, A_AND, S_2, (int32_t)(f->size * 8u - 1));
	xtr_flags_load(t);
	a_rm(a, f->enc, S_2, a_at(S_1, 0));
	xtr_flags_written(t, f);
}

static void op_body(struct xtr *t)
{
	xtr_flags_save(t);
	xtr_place(t, &t->hot, t->i);
	a_patch(a_call(&t->hot), t->f->kind == J_REP ? t->j->th.body_rep : t->j->th.body_xmm_lost);
	t->fs = F_SAVED;
	t->xmm_known = false;
}

/*
 * With nothing to take, the shadow of STI has no meaning beyond the next instruction, which is in this
 * block: after it, or its fault, there is no shadow, and in between nobody looks. What its own device
 * access may raise is taken after it. Else the body, and the loop in run.c.
 */
static void op_sti(struct xtr *t)
{
	struct xasm *a = &t->hot;
	xtr_flags_save(t);
	a_rm(a, A_MOV_LOAD, S_1, a_cpu(OFF(jit.pins)));
	a_alu_mi(a, 0, A_CMP, a_at(S_1, 0), 0); /* NMI, INTR, INIT, SIPI: see run.c */
	xtr_site(t, a_jcc(a, CC_NZ), XS_BODY);
	a_alu_mi(a, 0, A_OR, a_cpu(OFF(s.rflags)), RFLAGS_IF);
}

void xtr_op(struct xtr *t)
{
	const unsigned first = t->nsites;
	switch (t->f->kind) {
	case J_NOP:
		break;
	case J_INT:
		op_plain(t);
		break;
	case J_SSE:
		op_sse(t);
		break;
	case J_LEA:
		if (!op_lea_direct(t))
			op_lea(t);
		break;
	case J_MOV_RI:
		op_mov_ri(t);
		break;
	case J_PUSH_R:
	case J_PUSH_I:
		op_push(t);
		break;
	case J_POP_R:
		op_pop(t);
		break;
	case J_LEAVE:
		op_leave(t);
		break;
	case J_SHIFT_CL:
		op_shift_cl(t);
		break;
	case J_CMPXCHG:
		op_cmpxchg(t);
		break;
	case J_MUL:
		op_mul(t);
		break;
	case J_DIV:
		op_div(t);
		break;
	case J_EXTEND:
		op_extend(t);
		break;
	case J_STI:
		op_sti(t);
		break;
	case J_BIT_MR:
		op_bit_mr(t);
		break;
	default:
		op_body(t);
		break;
	}
	for (unsigned i = first; i < t->nsites; i++) {
		if (t->site[i].what == XS_BODY) {
			t->site[i].resume = t->hot.p;
			t->site[i].flags = (uint8_t)t->fs;
		}
	}
}
