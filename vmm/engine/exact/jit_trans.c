/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoded block as host code: where its flags are, what it costs, how it is
 * left.
 *
 * Flags are exact wherever state can be seen. They stay in EFLAGS from the
 * instruction that made them to their readers, and are saved to RAX where
 * something of ours comes between.
 *
 * A block pays for all its instructions at once: SUB [budget], n; JS. That
 * costs the flags too, so it stands in front of the first instruction that
 * overwrites all of them, if nothing before that can be seen from outside;
 * the flags are then garbage when the budget is gone, and the interpreter does
 * that instruction before anyone looks (jit.tail). Other blocks pay at entry,
 * with the flags saved.
 */
#include "jit_int.h"
#include "run.h"

/* ---- flags ---- */

void xtr_flags_capture(struct xasm *a, uint32_t keep)
{
	a8(a, 0x9f);					/* lahf */
	a_rr(a, 0x90u | A_MAP(1) | A_BYTE, 0, H_RAX); /* seto al */
	if (keep != XF_ALL) {
		a8(a, 0x25); /* and eax, imm32 */
		a32(a, keep);
	}
}

void xtr_flags_save(struct xtr *t)
{
	if (t->fs == F_HOST)
		xtr_flags_capture(&t->hot, t->keep);
	if (t->fs != F_NONE)
		t->fs = F_SAVED;
}

static void flags_load_code(struct xasm *a)
{
	/* OF from AL = 0 or 1: 1 - (-127) overflows, 0 - (-127) does not. SAHF leaves OF alone. */
	a8(a, 0x3c); /* cmp al, 0x81 */
	a8(a, 0x81);
	a8(a, 0x9e); /* sahf */
}

void xtr_flags_load(struct xtr *t)
{
	/* No condition looks at AF. */
	if (t->fs == F_HOST && (t->keep | XF_AF) != XF_ALL)
		xtr_flags_save(t);
	if (t->fs == F_SAVED) {
		flags_load_code(&t->hot);
		t->fs = F_BOTH;
		t->keep = XF_ALL;
	}
}

void xtr_flags_written(struct xtr *t, const struct xjit_insn *f)
{
	if (f->fl_write == FL_NONE)
		return;
	/* A part of them: the others are in EFLAGS since before. */
	t->keep = f->fl_write == FL_ALL ? f->fl_keep : t->keep | f->fl_keep;
	t->fs = F_HOST;
}

/* ---- places and ways out ---- */

void xtr_place(struct xtr *t, struct xasm *a, unsigned i)
{
	/* Offset in the page below, and above it what to add to limit - budget. */
	const int adj = t->paid ? (int)i - (int)t->n : (int)i;
	a_mov_ri(a, S_1, (uint32_t)adj << 16 | t->insn[i].off);
	a_mov_ri(a, S_2, (uint64_t)(uintptr_t)t->dinsn[i]);
}

void xtr_site(struct xtr *t, uint8_t *jump, unsigned what)
{
	RV_ASSERT(t->nsites < XJIT_SITES);
	t->site[t->nsites++] = (struct xjit_site){ .jump = jump, .insn = (uint8_t)t->i, .what = (uint8_t)what };
}

void xtr_cold_body_end(struct xtr *t, struct xasm *a)
{
	xtr_place(t, a, t->i);
	a_patch(a_call(a), t->j->th.body_end);
}

/* Out of line: the body does it. Flags are in RAX when it is called, and after it. */
static void sites_emit(struct xtr *t, bool paid_always, unsigned paid_from)
{
	struct xasm *a = &t->cold;
	for (unsigned k = 0; k < t->nsites; k++) {
		const struct xjit_site *s = &t->site[k];
		t->paid = paid_always || s->insn >= paid_from;
		a_patch(s->jump, a->p);
		if (s->what == XS_XMM) {
			a_patch(a_call(a), t->j->th.xmm_load);
			a_patch(a_jmp(a), s->resume);
			xtr_place(t, a, s->insn);
			a_patch(a_call(a), t->j->th.body_end);
			continue;
		}
		xtr_place(t, a, s->insn);
		a_patch(a_call(a), s->resume ? t->j->th.body : t->j->th.body_end);
		if (!s->resume)
			continue;
		if (s->flags == F_HOST || s->flags == F_BOTH)
			flags_load_code(a);
		a_patch(a_jmp(a), s->resume);
	}
}

/* The exit at `site` (a jump in hot code) to an offset in this page. */
static void exit_link(struct xtr *t, uint8_t *site, uint16_t off)
{
	struct xjit_link *l = xjit_link_new(t->j);
	struct xasm *a = &t->cold;
	l->site = site;
	l->exit = a->p;
	l->from = t->b;
	l->off = off;
	l->user = t->user;
	l->flags_saved = t->fs != F_HOST;
	a_patch(site, a->p);
	if (t->fs == F_HOST)
		xtr_flags_capture(a, XF_ALL);
	a_mov_ri(a, S_1, off);
	a_mov_ri(a, S_2, (uint64_t)(uintptr_t)l);
	a_patch(a_jmp(a), t->j->th.exit);
}

/* RCX: linear target; S_2 = what to add to reach its slot. Returns the jump taken if it is not there. */
static uint8_t *lookup(struct xtr *t, struct xasm *a)
{
	struct xmem slot = a_at(S_CPU, (int64_t)xcpu_target_offset(t->user));
	slot.index = S_2;
	a_rr(a, 0x8bu, S_2, S_1);
	a_rr(a, 0xc1u, 5, S_2); /* the low 32 bits are enough for the bits used */
	a8(a, RV_PAGE_SHIFT);
	a_rr(a, 0x33u, S_2, S_1);
	a_alu_ri(a, 0, A_AND, S_2, XJIT_TARGETS - 1);
	a_rr(a, 0xc1u, 4, S_2);
	a8(a, 4); /* sizeof(struct xjit_target) */
	a_rm(a, 0x3bu | A_W, S_1, slot);
	return a_jcc(a, CC_NZ);
}

static void lookup_go(struct xtr *t, struct xasm *a)
{
	struct xmem slot = a_at(S_CPU, (int64_t)xcpu_target_offset(t->user) + 8);
	slot.index = S_2;
	a_alu_ri(a, A_W, A_AND, S_1, -(int32_t)RV_PAGE_SIZE);
	a_rm(a, A_MOV_STORE, S_1, a_cpu(OFF(jit.page)));
	a_rm(a, 0xffu, 4, slot);
}

/* Linear address of an offset from this page, beyond it. */
static void target_rcx(struct xasm *a, int64_t off)
{
	a_rm(a, A_MOV_LOAD, S_1, a_cpu(OFF(jit.page)));
	/* At most a page beyond 31 bits. */
	if (off != (int32_t)off) {
		a_rm(a, A_LEA, S_1, a_at(S_1, RV_PAGE_SIZE));
		off -= RV_PAGE_SIZE;
	}
	a_rm(a, A_LEA, S_1, a_at(S_1, off));
}

static bool same_page(int64_t off)
{
	return off >= 0 && off < (int64_t)RV_PAGE_SIZE;
}

/* Falls through to `off`, which may be the page's end. */
static void exit_next(struct xtr *t, unsigned off)
{
	struct xasm *a = &t->hot;
	uint8_t *miss;
	if (t->fs == F_HOST && t->keep != XF_ALL)
		xtr_flags_save(t);
	if (off < RV_PAGE_SIZE) {
		exit_link(t, a_jmp(a), (uint16_t)off);
		return;
	}
	xtr_flags_save(t);
	target_rcx(a, off);
	miss = lookup(t, a);
	lookup_go(t, a);
	a_patch(miss, t->cold.p);
	a_mov_ri(&t->cold, S_1, off);
	a_mov_ri(&t->cold, S_2, 0);
	a_patch(a_jmp(&t->cold), t->j->th.exit);
}

static int64_t branch_off(const struct xtr *t)
{
	return (int64_t)t->f->off + t->d->len + (int64_t)t->f->imm;
}

/* Instructions that were paid for, and are not done. */
static void refund(struct xasm *a, unsigned unused)
{
	if (unused)
		a_alu_mi(a, A_W, A_ADD, a_cpu(OFF(jit.budget)), (int32_t)unused);
}

/* To a target outside the page; a miss (which may be a bad address) is the body's. */
static void exit_far(struct xtr *t, struct xasm *a, int64_t off, unsigned unused)
{
	uint8_t *miss;
	target_rcx(a, off);
	miss = lookup(t, a);
	refund(a, unused);
	lookup_go(t, a);
	a_patch(miss, a->p);
	xtr_cold_body_end(t, a);
}

/* Out of line, flags in RAX: to an offset from the page that is not the way hot code goes. */
static void exit_side(struct xtr *t, uint8_t *jump, int64_t off, unsigned unused)
{
	const enum xjit_flags fs = t->fs;
	struct xasm *a = &t->cold;
	a_patch(jump, a->p);
	if (fs == F_HOST)
		xtr_flags_capture(a, t->keep);
	t->fs = F_SAVED;
	if (same_page(off)) {
		refund(a, unused);
		exit_link(t, a_jmp(a), (uint16_t)off);
	} else {
		exit_far(t, a, off, unused);
	}
	t->fs = fs;
}

static unsigned next_off(const struct xtr *t)
{
	return (unsigned)t->f->off + t->d->len;
}

static void branch_jcc(struct xtr *t)
{
	const int64_t off = branch_off(t);
	uint8_t *taken;
	xtr_flags_load(t);
	taken = a_jcc(&t->hot, t->d->cc);
	if (same_page(off) && !(t->fs == F_HOST && t->keep != XF_ALL))
		exit_link(t, taken, (uint16_t)off);
	else
		exit_side(t, taken, off, 0);
	exit_next(t, next_off(t));
}

/* Goes on with the next instruction of the block; the other way is out. */
static void branch_jcc_on(struct xtr *t)
{
	const int64_t off = t->f->inverted ? (int64_t)next_off(t) : branch_off(t);
	xtr_flags_load(t);
	exit_side(t, a_jcc(&t->hot, t->d->cc ^ t->f->inverted), off, t->n - t->i - 1);
}

/* The return address goes to [RSP - 8]; RSP itself is the caller's business. Nothing else is changed. */
static void push_return(struct xtr *t)
{
	struct xasm *a = &t->hot;
	a_rm(a, A_LEA, S_1, a_at(xjit_host[CPU_RSP], -8));
	xtr_access_rcx(t, true, 8, false);
	a_rm(a, A_MOV_LOAD, S_2, a_cpu(OFF(jit.page)));
	a_rm(a, A_LEA, S_2, a_at(S_2, (int64_t)t->f->off + t->d->len));
	a_rm(a, A_MOV_STORE, S_2, a_at(S_1, 0));
}

static void move_sp(struct xasm *a, int32_t by)
{
	a_rm(a, A_LEA, (unsigned)xjit_host[CPU_RSP], a_at(xjit_host[CPU_RSP], by));
}

static void branch_call(struct xtr *t)
{
	const int64_t off = branch_off(t);
	struct xasm *a = &t->hot;
	xtr_flags_save(t);
	push_return(t);
	if (same_page(off)) {
		move_sp(a, -8);
		exit_link(t, a_jmp(a), (uint16_t)off);
		return;
	}
	target_rcx(a, off);
	xtr_site(t, lookup(t, a), XS_BODY); /* done again from the start, to the same effect */
	move_sp(a, -8);
	lookup_go(t, a);
}

/* The target is read once and looked up before anything is stored: the stack may overlap it. */
static void branch_call_ind(struct xtr *t)
{
	struct xasm *a = &t->hot;
	struct xmem slot = a_at(S_CPU, (int64_t)xcpu_target_offset(t->user) + 8);
	slot.index = S_2;
	xtr_flags_save(t);
	if (t->f->kind == J_CALL_M) {
		xtr_access(t, false, 8, false);
		a_rm(a, A_MOV_LOAD, S_1, a_at(S_1, 0));
	} else {
		xtr_get(t, S_1, t->f->rm);
	}
	xtr_site(t, lookup(t, a), XS_BODY);
	a_alu_ri(a, A_W, A_AND, S_1, -(int32_t)RV_PAGE_SIZE);
	a_rm(a, A_MOV_STORE, S_1, a_cpu(OFF(jit.tmp[0])));
	a_rm(a, A_MOV_LOAD, S_1, slot);
	a_rm(a, A_MOV_STORE, S_1, a_cpu(OFF(jit.tmp[1])));
	push_return(t);
	move_sp(a, -8);
	a_rm(a, A_MOV_LOAD, S_1, a_cpu(OFF(jit.tmp[0])));
	a_rm(a, A_MOV_STORE, S_1, a_cpu(OFF(jit.page)));
	a_rm(a, 0xffu, 4, a_cpu(OFF(jit.tmp[1])));
}

static void branch_jmp_ind(struct xtr *t)
{
	struct xasm *a = &t->hot;
	xtr_flags_save(t);
	if (t->f->kind == J_JMP_R) {
		xtr_get(t, S_1, t->f->rm);
	} else {
		if (t->f->kind == J_RET) {
			a_mov_rr(a, S_1, (unsigned)xjit_host[CPU_RSP]);
			xtr_access_rcx(t, false, 8, false);
		} else {
			xtr_access(t, false, 8, false);
		}
		a_rm(a, A_MOV_LOAD, S_1, a_at(S_1, 0));
	}
	xtr_site(t, lookup(t, a), XS_BODY);
	if (t->f->kind == J_RET)
		move_sp(a, (int32_t)(8 + (uint16_t)t->f->imm));
	lookup_go(t, a);
}

void xtr_branch(struct xtr *t)
{
	switch (t->f->kind) {
	case J_JMP:
		if (same_page(branch_off(t))) {
			if (t->fs == F_HOST && t->keep != XF_ALL)
				xtr_flags_save(t);
			exit_link(t, a_jmp(&t->hot), (uint16_t)branch_off(t));
		} else {
			xtr_flags_save(t);
			exit_far(t, &t->hot, branch_off(t), 0);
		}
		break;
	case J_JCC_ON:
		branch_jcc_on(t);
		break;
	case J_JCC:
		branch_jcc(t);
		break;
	case J_CALL:
		branch_call(t);
		break;
	case J_CALL_R:
	case J_CALL_M:
		branch_call_ind(t);
		break;
	default:
		branch_jmp_ind(t);
		break;
	}
}

/* ---- the block ---- */

/* Backwards: is anyone to see the flags after instruction i before all are overwritten? */
static void flags_liveness(struct xtr *t)
{
	bool live = true;
	for (unsigned i = t->n; i-- > 0;) {
		struct xjit_insn *f = &t->insn[i];
		f->fl_live = live;
		if (f->fl_write == FL_ALL)
			live = false;
		if (f->fl_read || f->fl_write == FL_PART || xjit_exposes(f))
			live = true;
	}
}

/* Index of the instruction to pay in front of, or -1: pay at entry. */
static int pay_at(const struct xtr *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct xjit_insn *f = &t->insn[i];
		if (f->fl_read || f->fl_write == FL_PART || xjit_exposes(f))
			return -1;
		if (f->fl_write == FL_ALL)
			return (int)i;
	}
	return -1;
}

/* ahead: instructions of the block that are done when this point is reached. */
static void pay(struct xtr *t, unsigned ahead, bool tail)
{
	const int32_t n = (int32_t)t->n;
	struct xasm *a = &t->cold;
	a_alu_mi(&t->hot, A_W, A_SUB, a_cpu(OFF(jit.budget)), n);
	a_patch(a_jcc(&t->hot, CC_S), a->p);
	a_alu_mi(a, A_W, A_ADD, a_cpu(OFF(jit.budget)), n - (int32_t)ahead);
	a_mov_ri(a, S_1, t->insn[ahead].off);
	a_mov_ri(a, S_2, tail ? (uint64_t)(uintptr_t)t->dinsn[ahead] : 0);
	a_patch(a_jmp(a), tail ? t->j->th.tail : t->j->th.exit);
	t->paid = true;
}

static bool is_branch(unsigned kind)
{
	return kind >= J_JCC_ON;
}

/* Appends the instructions of one decoded block, up to one that might have a breakpoint. */
static void part_add(struct xtr *t, const struct xcpu *c, struct xblock *b)
{
	const uint8_t *bytes = mem_page_host(c->e->cfg.mem, b->page);
	const struct xbreaks *k = c->breaks;
	unsigned off = b->off;
	struct xinsn z;
	for (unsigned i = 0; i < b->n; i++) {
		const struct dinsn *d = &b->insn[i];
		struct xjit_insn *f = &t->insn[t->n];
		if (unlikely(k->nexec) && xbreaks_offset_in(k, off, 1)) {
			t->cut = true;
			t->stop_off = off;
			break;
		}
		if (xdecode_view(t->j->decoder, bytes + off, RV_PAGE_SIZE - off, c->mode, &z)) {
			xjit_classify(&t->j->rules, &z, d, f);
		} else {
			memset(f, 0, sizeof(*f));
			f->kind = J_BODY;
		}
		f->off = (uint16_t)off;
		t->dinsn[t->n++] = d;
		off += d->len;
	}
	t->part[t->nparts++] = b;
}

/* The decoded block at an offset of this page, if it may follow in the same host code. */
static struct xblock *part_at(const struct xtr *t, const struct xcpu *c, int64_t off)
{
	struct xblock *b;
	if (!same_page(off))
		return NULL;
	b = xblocks_find(c->e->blocks, t->b->page, (unsigned)off, t->b->mode);
	if (!b || b->page2 != MEM_NO_PAGE || t->n + b->n > XJIT_INSNS || t->nparts == XJIT_PARTS)
		return NULL;
	for (unsigned i = 0; i < t->nparts; i++)
		if (t->part[i] == b)
			return NULL; /* a loop: jump */
	return b;
}

/* What is likely to follow the last part; NULL: the host code ends here. Turns the branch into one that
 * goes on. */
static struct xblock *part_next(struct xtr *t, const struct xcpu *c)
{
	const struct dinsn *d = t->dinsn[t->n - 1];
	struct xjit_insn *f = &t->insn[t->n - 1];
	const int64_t next = (int64_t)f->off + d->len;
	const int64_t target = next + (int64_t)f->imm;
	struct xblock *b, *other;
	switch (f->kind) {
	case J_JMP:
		b = part_at(t, c, target);
		if (b)
			f->kind = J_NOP;
		return b;
	case J_JCC:
		if (target <= f->off)
			return NULL; /* back: mostly taken, and both ways are cheap where the code ends */
		b = part_at(t, c, next);
		other = part_at(t, c, target);
		if (other && (!b || other->heat > b->heat)) {
			b = other;
			f->inverted = true;
		}
		if (b)
			f->kind = J_JCC_ON;
		return b;
	case J_BODY:
		return NULL;
	default:
		return f->kind >= J_JCC_ON ? NULL : part_at(t, c, next);
	}
}

static bool parts_collect(struct xtr *t, const struct xcpu *c)
{
	struct xblock *b = t->b;
	t->nparts = t->n = 0;
	t->cut = false;
	while (b) {
		part_add(t, c, b);
		b = t->cut ? NULL : part_next(t, c);
	}
	/* Its shadow needs the next one, and a user's privilege the body. */
	if (t->n && t->insn[t->n - 1].kind == J_STI)
		t->insn[t->n - 1].kind = J_BODY;
	for (unsigned i = 0; t->user && i < t->n; i++)
		if (t->insn[i].kind == J_STI)
			t->insn[i].kind = J_BODY;
	return t->n != 0;
}

static unsigned next_last(const struct xtr *t)
{
	return (unsigned)t->insn[t->n - 1].off + t->dinsn[t->n - 1]->len;
}

/* Back to the loop, which knows whether there is a breakpoint. */
static void exit_stop(struct xtr *t)
{
	struct xasm *a = &t->hot;
	xtr_flags_save(t);
	a_mov_ri(a, S_1, t->stop_off);
	a_mov_ri(a, S_2, 0);
	a_patch(a_jmp(a), t->j->th.exit);
}

bool xjit_translate(struct xjit *j, const struct xcpu *c, struct xblock *b, struct xjit_block *out)
{
	struct xtr *t = &j->tr;
	int first;
	bool left = false;

	t->j = j;
	t->b = b;
	t->hot.p = j->hot;
	t->user = c->user;
	t->nsites = 0;
	t->paid = t->xmm_known = false;
	t->keep = XF_ALL;
	if (!parts_collect(t, c))
		return false;
	t->cold.p = j->cold;
	flags_liveness(t);
	first = pay_at(t);

	/* Where the target table's stale entries lead. */
	out->dead = t->cold.p;
	a_mov_ri(&t->cold, S_1, b->off);
	a_mov_ri(&t->cold, S_2, 0);
	a_patch(a_jmp(&t->cold), j->th.exit);

	out->entry_flags = t->hot.p;
	if (first < 0) {
		xtr_flags_capture(&t->hot, XF_ALL);
		out->entry = t->hot.p;
		t->fs = F_SAVED;
		pay(t, 0, false);
	} else {
		out->entry = t->hot.p;
		t->fs = F_NONE;
	}
	for (t->i = 0; t->i < t->n; t->i++) {
		t->d = t->dinsn[t->i];
		t->f = &t->insn[t->i];
		if ((int)t->i == first)
			pay(t, t->i, true);
		if (is_branch(t->f->kind)) {
			xtr_branch(t);
			left = t->f->kind != J_JCC_ON; /* then it is the last */
			continue;
		}
		if (t->f->kind == J_BODY && t->i + 1 == t->n && !t->cut) {
			xtr_flags_save(t);
			xtr_cold_body_end(t, &t->hot);
			left = true;
			break;
		}
		xtr_op(t);
	}
	if (!left && t->cut)
		exit_stop(t);
	else if (!left)
		exit_next(t, next_last(t));
	sites_emit(t, first < 0, first < 0 ? 0 : (unsigned)first);
	out->x = b;
	out->user = t->user;
	out->ninsns = t->n;
	out->nparts = t->nparts;
	out->part = &j->part[j->nparts];
	j->nparts += t->nparts;
	for (unsigned i = 0; i < t->nparts; i++)
		out->part[i] = (struct xjit_part){ .t = out, .x = t->part[i] };
	out->hot = j->hot;
	out->hot_size = (uint32_t)(t->hot.p - j->hot);
	out->cold = j->cold;
	out->cold_size = (uint32_t)(t->cold.p - j->cold);
	j->hot = t->hot.p;
	j->cold = t->cold.p;
	return true;
}
