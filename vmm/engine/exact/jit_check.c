/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --jit=check: a block runs as host code, everything it did is undone, the
 * interpreter does the same steps, and the two results must be equal.
 *
 * RAM is undone by pages: the write tables are emptied before, so that the
 * first store to a page comes by a slow path, which keeps the page's contents
 * (xcheck_page(), at every place where the engine marks a page dirty). What
 * touches a device cannot be undone: then the one run counts.
 *
 * A block is checked at its first runs and at every 64th after them.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "jit_int.h"
#include "run.h"

#define XCHECK_ALWAYS 24u
#define XCHECK_EVERY 64u
#define XCHECK_PAGES 256u

struct xcheck {
	bool on;       /* a checked block is running */
	bool undoable; /* so far */
	unsigned npages;
	struct {
		uint64_t page;
		uint8_t before[RV_PAGE_SIZE], after[RV_PAGE_SIZE];
	} log[XCHECK_PAGES];
	struct bytes a, b; /* states, serialised */
	uint64_t checked, skipped;
};

/* How a run ended: a fault to deliver, or not. */
struct outcome {
	struct cpu_state s;
	icount_t icount;
	bool fault;
	uint8_t vector;
	bool has_err;
	uint32_t err;
	uint64_t dr6;
};

int xcheck_create(struct xcheck **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? RV_OK : RV_ENOMEM;
}

void xcheck_destroy(struct xcheck *k)
{
	if (!k)
		return;
	bytes_fini(&k->a);
	bytes_fini(&k->b);
	free(k);
}

void xcheck_device(struct xcheck *k)
{
	k->undoable = false;
}

void xcheck_page(struct xcheck *k, struct xcpu *c, uint64_t page)
{
	if (!k->on)
		return;
	for (unsigned i = 0; i < k->npages; i++)
		if (k->log[i].page == page)
			return;
	if (k->npages == XCHECK_PAGES) {
		k->undoable = false;
		return;
	}
	k->log[k->npages].page = page;
	memcpy(k->log[k->npages].before, mem_page_host(xcpu_mem(c), page), RV_PAGE_SIZE);
	k->npages++;
}

static void outcome_take(struct xcpu *c, bool fault, struct outcome *o)
{
	memset(o, 0, sizeof(*o));
	xcpu_export(c, &o->s);
	o->icount = c->icount;
	o->fault = fault;
	if (fault) {
		o->vector = c->fault_vector;
		o->has_err = c->fault_has_err;
		o->err = c->fault_has_err ? c->fault_err : 0;
		o->dr6 = c->fault_dr6;
	}
}

static void run_translated(struct exact *e, struct xcpu *c, struct xjit_block *t, icount_t limit,
			   struct outcome *o)
{
	bool fault = true;
	if (!setjmp(c->fault)) {
		xjit_run(e->jit, c, t, c->rip, limit);
		if (c->jit.tail)
			exact_insns(c, c->jit.tail, c->jit.tail + 1);
		fault = false;
	}
	outcome_take(c, fault, o);
}

static void run_interpreted(struct exact *e, struct xcpu *c, icount_t until, bool one_more,
			    struct outcome *o)
{
	bool fault = true;
	if (!setjmp(c->fault)) {
		exact_interpret(e, c, until);
		if (one_more) /* the one that faulted */
			exact_interpret(e, c, until + 1);
		fault = false;
	}
	outcome_take(c, fault, o);
}

static void pages_undo(struct xcheck *k, struct xcpu *c)
{
	struct guest_mem *m = xcpu_mem(c);
	for (unsigned i = 0; i < k->npages; i++) {
		memcpy(k->log[i].after, mem_page_host(m, k->log[i].page), RV_PAGE_SIZE);
		mem_page_write(m, k->log[i].page, 0, k->log[i].before, RV_PAGE_SIZE);
	}
}

/* The page of a difference, or -1. first: pages that the translated code touched; the others it left as
 * they were. */
static int pages_differ(const struct xcheck *k, struct xcpu *c, unsigned first)
{
	for (unsigned i = 0; i < k->npages; i++) {
		const uint8_t *want = i < first ? k->log[i].after : k->log[i].before;
		if (memcmp(want, mem_page_host(xcpu_mem(c), k->log[i].page), RV_PAGE_SIZE))
			return (int)i;
	}
	return -1;
}

static bool states_equal(struct xcheck *k, const struct outcome *a, const struct outcome *b)
{
	if (a->icount != b->icount || a->fault != b->fault || a->vector != b->vector ||
	    a->has_err != b->has_err || a->err != b->err || a->dr6 != b->dr6)
		return false;
	k->a.len = k->b.len = 0;
	state_save(&cpu_state_desc, &a->s, &k->a);
	state_save(&cpu_state_desc, &b->s, &k->b);
	return k->a.len == k->b.len && !memcmp(k->a.data, k->b.data, k->a.len);
}

static void outcome_text(struct bytes *out, const char *name, const struct outcome *o)
{
	static const char *const reg[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					     "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
	bytes_put_text(out, "%s: icount %llu rip %#llx rflags %#llx cr2 %#llx mxcsr %#x", name,
		(unsigned long long)o->icount, (unsigned long long)o->s.rip,
		(unsigned long long)o->s.rflags, (unsigned long long)o->s.cr2, o->s.mxcsr);
	if (o->fault)
		bytes_put_text(out, " fault %u error %#x", o->vector, o->err);
	for (unsigned i = 0; i < 16; i++)
		bytes_put_text(out, "%s%s %#llx", i % 4 ? " " : "\n  ", reg[i],
			(unsigned long long)o->s.gpr[i]);
	for (unsigned i = 0; i < 16; i++)
		bytes_put_text(out, "%sxmm%u %016llx%016llx", i % 2 ? " " : "\n  ", i,
			(unsigned long long)o->s.xmm[i].hi, (unsigned long long)o->s.xmm[i].lo);
	bytes_put_text(out, "\n");
}

static void difference_log(struct exact *e, struct xcpu *c, const struct xjit_block *t, uint64_t lin,
			     const struct outcome *a, const struct outcome *b, int page)
{
	struct xcheck *k = e->check;
	struct bytes *out = &k->a;
	out->len = 0;
	bytes_put_text(out, "--jit=check: translated code differs from the interpreter at %#llx\n",
		       (unsigned long long)lin);
	outcome_text(out, "translated", a);
	outcome_text(out, "interpreted", b);
	if (page >= 0) {
		const uint8_t *got = mem_page_host(xcpu_mem(c), k->log[page].page);
		for (unsigned i = 0; i < RV_PAGE_SIZE; i++)
			if (k->log[page].after[i] != got[i])
				bytes_put_text(out, "RAM %#llx: translated %02x, interpreted %02x\n",
					(unsigned long long)(mem_page_gpa(xcpu_mem(c),
									  k->log[page].page) + i),
					k->log[page].after[i], got[i]);
	}
	xjit_dump(t, lin, mem_page_host(xcpu_mem(c), t->x->page), out);
	for (const char *p = (const char *)out->data, *end = p + out->len, *nl; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			break;
		rv_log(RV_LOG_ERROR, "%.*s", (int)(nl - p), p);
	}
}

/* Only the first block may be paid for: it ends at the next one's toll. */
static icount_t one_block(const struct xcpu *c, const struct xjit_block *t)
{
	return c->icount + t->ninsns;
}

int xcheck_run(struct exact *e, struct xcpu *c, struct xjit_block *t)
{
	struct xcheck *k = e->check;
	const icount_t limit = one_block(c, t), from = c->icount;
	const uint64_t lin = c->rip;
	struct outcome a, b;
	struct cpu_state before;
	jmp_buf outer;
	unsigned touched;
	int page;

	if ((t->runs >= XCHECK_ALWAYS && t->runs % XCHECK_EVERY) || c->breaks->nwatch) {
		t->runs++;
		k->skipped++;
		xjit_run(e->jit, c, t, lin, limit);
		if (c->jit.tail)
			exact_insns(c, c->jit.tail, c->jit.tail + 1);
		return RV_OK;
	}
	t->runs++;
	xcpu_export(c, &before);
	memcpy(&outer, &c->fault, sizeof(outer));
	xmmu_write_flush(c);
	k->npages = 0;
	k->on = k->undoable = true;
	run_translated(e, c, t, limit, &a);
	touched = k->npages;
	if (k->undoable) {
		k->checked++;
		pages_undo(k, c);
		xcpu_import(c, &before);
		c->icount = from;
		c->fault_dr6 = 0;
		run_interpreted(e, c, a.icount, a.fault, &b);
		page = pages_differ(k, c, touched);
		if (page >= 0 || !states_equal(k, &a, &b)) {
			k->on = false;
			difference_log(e, c, t, lin, &a, &b, page);
			memcpy(&c->fault, &outer, sizeof(outer));
			return RV_EDIVERGED;
		}
	}
	k->on = false;
	memcpy(&c->fault, &outer, sizeof(outer));
	if (a.fault)
		longjmp(c->fault, 1);
	return RV_OK;
}
