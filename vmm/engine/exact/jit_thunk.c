/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways in and out of translated code, made once in front of the code cache.
 *
 * Whenever a body runs, struct xcpu holds the whole state, exact, as the
 * interpreter would have left it: so a body may raise a fault, which leaves
 * translated code by longjmp().
 */
#include "jit_int.h"
#include "sse.h"

static void gprs_store(struct xasm *a)
{
	for (unsigned i = 0; i < 16; i++)
		if (xjit_host[i] >= 0)
			a_rm(a, A_MOV_STORE, (unsigned)xjit_host[i], a_cpu(OFF_R(i)));
}

static void gprs_load(struct xasm *a)
{
	for (unsigned i = 0; i < 16; i++)
		if (xjit_host[i] >= 0)
			a_rm(a, A_MOV_LOAD, (unsigned)xjit_host[i], a_cpu(OFF_R(i)));
}

/* RAX -> xcpu.fl. */
static void flags_store(struct xasm *a)
{
	a_alu_ri(a, 0, A_AND, H_RAX, XF_ALL);
	a_rm(a, 0x89u, H_RAX, a_cpu(OFF(fl)));
}

static void flags_fetch(struct xasm *a)
{
	a_rm(a, 0x8bu, H_RAX, a_cpu(OFF(fl)));
}

static void mxcsr(struct xasm *a, unsigned digit, int64_t off) /* 2: LDMXCSR, 3: STMXCSR */
{
	a_rm(a, 0xaeu | A_MAP(1), digit, a_cpu(off));
}

static void xmm_move(struct xasm *a, unsigned opcode)
{
	for (unsigned i = 0; i < 16; i++)
		a_rm(a, opcode | A_MAP(1), i, a_cpu(OFF(s.xmm) + 16 * (int64_t)i)); /* MOVUPS */
}

/* If the XMM registers are the guest's: to xcpu. */
static void xmm_store(struct xasm *a)
{
	uint8_t *skip;
	a_rm(a, 0x80u, 7, a_cpu(OFF(jit.xmm_live)));
	a8(a, 0);
	skip = a_jcc(a, CC_Z);
	xmm_move(a, 0x11);
	mxcsr(a, 3, OFF(s.mxcsr));
	mxcsr(a, 2, OFF(jit.mxcsr));
	a_patch(skip, a->p);
}

static void xmm_reload(struct xasm *a)
{
	uint8_t *skip;
	a_rm(a, 0x80u, 7, a_cpu(OFF(jit.xmm_live)));
	a8(a, 0);
	skip = a_jcc(a, CC_Z);
	xmm_move(a, 0x10);
	mxcsr(a, 2, OFF(s.mxcsr));
	a_patch(skip, a->p);
}

static void byte_set(struct xasm *a, int64_t off, unsigned v)
{
	a_rm(a, 0xc6u, 0, a_cpu(off));
	a8(a, v);
}

static void jump_back(struct xasm *a, const uint8_t *target)
{
	a_patch(a_jmp(a), target);
}

static const unsigned callee_saved[] = { H_RBP, H_RBX, H_R12, H_R13, H_R14, H_R15 };

static void push_reg(struct xasm *a, unsigned r)
{
	if (r >> 3)
		a8(a, 0x41);
	a8(a, 0x50 | (r & 7));
}

static void pop_reg(struct xasm *a, unsigned r)
{
	if (r >> 3)
		a8(a, 0x41);
	a8(a, 0x58 | (r & 7));
}

/* enter(RDI = xcpu, RSI = code). RSP is a multiple of 16 in translated code. */
static void enter_emit(struct xasm *a)
{
	for (unsigned i = 0; i < RV_ARRAY_LEN(callee_saved); i++)
		push_reg(a, callee_saved[i]);
	a_alu_ri(a, A_W, A_SUB, H_RSP, 8);
	a_mov_rr(a, S_CPU, H_RDI);
	a_mov_rr(a, S_2, H_RSI);
	gprs_load(a);
	flags_fetch(a);
	a_rr(a, 0xffu, 4, S_2);
}

/* To the caller of enter(); all guest state is in xcpu. */
static void leave_emit(struct xasm *a)
{
	a_alu_ri(a, A_W, A_ADD, H_RSP, 8);
	for (unsigned i = RV_ARRAY_LEN(callee_saved); i-- > 0;)
		pop_reg(a, callee_saved[i]);
	a8(a, 0xc3);
}

/* Between two instructions. RCX: offset of the next one from the page, sign-extended 32 bits; R14 goes to
 * `slot`. */
static const uint8_t *exit_emit(struct xasm *a, int64_t slot, const uint8_t *leave)
{
	const uint8_t *at = a->p;
	gprs_store(a);
	flags_store(a);
	a_rm(a, A_MOV_STORE, S_2, a_cpu(slot));
	a_rr(a, 0x63u | A_W, S_1, S_1);
	a_rm(a, 0x03u | A_W, S_1, a_cpu(OFF(jit.page)));
	a_rm(a, A_MOV_STORE, S_1, a_cpu(OFF(rip)));
	a_rm(a, A_MOV_LOAD, H_RAX, a_cpu(OFF(jit.limit)));
	a_rm(a, 0x2bu | A_W, H_RAX, a_cpu(OFF(jit.budget)));
	a_rm(a, A_MOV_STORE, H_RAX, a_cpu(OFF(icount)));
	xmm_store(a);
	jump_back(a, leave);
	return at;
}

enum { BODY_MID, BODY_XMM_LOST, BODY_REP, BODY_END };

static const uint8_t *body_emit(struct xasm *a, unsigned kind, const uint8_t *leave)
{
	const uint8_t *at = a->p;
	uint8_t *out, *again = NULL;
	gprs_store(a);
	flags_store(a);
	/* icount = limit - budget + adj */
	a_rr(a, 0x8bu, H_RAX, S_1);
	a_rr(a, 0xc1u, 7, H_RAX);
	a8(a, 16);
	a_rr(a, 0x63u | A_W, H_RAX, H_RAX);
	a_rm(a, 0x03u | A_W, H_RAX, a_cpu(OFF(jit.limit)));
	a_rm(a, 0x2bu | A_W, H_RAX, a_cpu(OFF(jit.budget)));
	a_rm(a, A_MOV_STORE, H_RAX, a_cpu(OFF(icount)));
	a_rr(a, 0xb7u | A_MAP(1), S_1, S_1);
	a_rm(a, 0x03u | A_W, S_1, a_cpu(OFF(jit.page)));
	a_rm(a, A_MOV_STORE, S_1, a_cpu(OFF(rip)));
	a_rm(a, 0xb6u | A_MAP(1), H_RAX, a_at(S_2, offsetof(struct dinsn, len)));
	a_rr(a, 0x03u | A_W, H_RAX, S_1);
	a_rm(a, A_MOV_STORE, H_RAX, a_cpu(OFF_R(XR_NEXT)));
	if (kind == BODY_REP) {
		a_rm(a, A_MOV_STORE, H_RAX, a_cpu(OFF(jit.tmp[0])));
		a_rm(a, A_MOV_LOAD, H_RAX, a_cpu(OFF(icount)));
		a_rm(a, A_MOV_STORE, H_RAX, a_cpu(OFF(jit.tmp[1])));
	}
	byte_set(a, OFF(leave), 0);
	xmm_store(a);
	a_alu_ri(a, A_W, A_SUB, H_RSP, 8);
	a_mov_rr(a, H_RDI, S_CPU);
	a_mov_rr(a, H_RSI, S_2);
	a_rm(a, 0xffu, 2, a_at(S_2, offsetof(struct dinsn, fn)));
	a_alu_ri(a, A_W, A_ADD, H_RSP, 8);
	if (kind != BODY_END) {
		a_rm(a, 0x80u, 7, a_cpu(OFF(leave)));
		a8(a, 0);
		out = a_jcc(a, CC_NZ);
		if (kind == BODY_REP) {
			/* Iterations are left; else all but one are still to be paid for. */
			a_rm(a, A_MOV_LOAD, H_RAX, a_cpu(OFF_R(XR_NEXT)));
			a_rm(a, 0x3bu | A_W, H_RAX, a_cpu(OFF(jit.tmp[0])));
			again = a_jcc(a, CC_NZ);
			a_rm(a, A_MOV_LOAD, H_RAX, a_cpu(OFF(jit.tmp[1])));
			a_rm(a, 0x2bu | A_W, H_RAX, a_cpu(OFF(icount)));
			a_rm(a, 0x01u | A_W, H_RAX, a_cpu(OFF(jit.budget)));
		}
		if (kind == BODY_MID)
			xmm_reload(a);
		else
			byte_set(a, OFF(jit.xmm_live), 0);
		gprs_load(a);
		flags_fetch(a);
		a8(a, 0xc3);
		a_patch(out, a->p);
		if (again)
			a_patch(again, a->p);
	}
	/* The instruction is done, and the block with it. */
	a_rm(a, A_MOV_LOAD, H_RAX, a_cpu(OFF_R(XR_NEXT)));
	a_rm(a, A_MOV_STORE, H_RAX, a_cpu(OFF(rip)));
	a_alu_mi(a, A_W, A_ADD, a_cpu(OFF(icount)), 1);
	a_alu_ri(a, A_W, A_ADD, H_RSP, 8); /* the return address */
	jump_back(a, leave);
	return at;
}

/* The guest may use SSE, with all exceptions masked: its registers go to the host's. Else the return is
 * behind the jump that follows the call. */
static const uint8_t *xmm_load_emit(struct xasm *a)
{
	const uint8_t *at = a->p;
	uint8_t *no[3];
	a_rm(a, 0xf6u, 0, a_cpu(OFF(s.cr0)));
	a8(a, CR0_EM | CR0_TS);
	no[0] = a_jcc(a, CC_NZ);
	a_rm(a, 0xf7u, 0, a_cpu(OFF(s.cr4)));
	a32(a, CR4_OSFXSR);
	no[1] = a_jcc(a, CC_Z);
	a_rm(a, 0x8bu, S_1, a_cpu(OFF(s.mxcsr)));
	a_rr(a, 0xf7u, 2, S_1); /* not */
	a_rr(a, 0xf7u, 0, S_1);
	a32(a, MXCSR_MASKS);
	no[2] = a_jcc(a, CC_NZ);
	xmm_move(a, 0x10);
	mxcsr(a, 2, OFF(s.mxcsr));
	byte_set(a, OFF(jit.xmm_live), 1);
	a8(a, 0xc3);
	for (unsigned i = 0; i < 3; i++)
		a_patch(no[i], a->p);
	a_alu_mi(a, A_W, A_ADD, a_at(H_RSP, 0), 5);
	a8(a, 0xc3);
	return at;
}

void xjit_thunks_emit(struct xjit *j, struct xasm *a, struct xjit_thunks *th)
{
	const uint8_t *enter = a->p, *leave;
	enter_emit(a);
	leave = a->p;
	leave_emit(a);
	th->exit = exit_emit(a, OFF(jit.link), leave);
	th->tail = exit_emit(a, OFF(jit.tail), leave);
	th->body = body_emit(a, BODY_MID, leave);
	th->body_xmm_lost = body_emit(a, BODY_XMM_LOST, leave);
	th->body_rep = body_emit(a, BODY_REP, leave);
	th->body_end = body_emit(a, BODY_END, leave);
	th->xmm_load = xmm_load_emit(a);
	enter = execmem_rx(&j->mem, enter);
	memcpy(&th->enter, &enter, sizeof(th->enter));
}
