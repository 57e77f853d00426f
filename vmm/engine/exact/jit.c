/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code cache: what is translated when, links between blocks, and the end
 * of both. Hot and cold code have a part of the cache each; when either, or
 * the tables, are full, all of it goes.
 */
#include <stdlib.h>

#include "base/log.h"
#include "jit_int.h"
#include "run.h"

#define XJIT_THRESHOLD 16u /* runs in the interpreter before a block is translated */
#define XJIT_CACHE (128ull << 20)
#define XJIT_CACHE_MIN (256ull << 10)
/* Most that one block takes of either part. */
#define XJIT_BLOCK_ROOM (32u << 10)

static uint8_t *cold_start(const struct xjit *j)
{
	return j->mem.rw + j->mem.size / 2;
}

int xjit_create(struct xjit **out, uint64_t cache, struct rv_err *err)
{
	struct xjit *j = calloc(1, sizeof(*j));
	struct xasm a;
	int rc;
	if (!j)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	if (!cache)
		cache = XJIT_CACHE;
	if (cache < XJIT_CACHE_MIN)
		cache = XJIT_CACHE_MIN;
	if ((rc = execmem_create(&j->mem, cache, err)) != RV_OK) {
		free(j);
		return rc;
	}
	/* An ordinary block takes 200 bytes or more of each part. */
	j->blocks_max = (unsigned)(cache / 400) + 64;
	j->links_max = (XJIT_PARTS + 1) * j->blocks_max;
	j->parts_max = XJIT_PARTS * j->blocks_max;
	j->decoder = xdecoder_create();
	j->block = calloc(j->blocks_max, sizeof(*j->block));
	j->link = calloc(j->links_max, sizeof(*j->link));
	j->part = calloc(j->parts_max, sizeof(*j->part));
	if (!j->decoder || !j->block || !j->link || !j->part) {
		xjit_destroy(j);
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	}
	xjit_host_probe(&j->rules);
	a.p = j->mem.rw;
	xjit_thunks_emit(j, &a, &j->th);
	j->first = j->hot = a.p;
	j->cold = cold_start(j);
	*out = j;
	return RV_OK;
}

void xjit_destroy(struct xjit *j)
{
	if (!j)
		return;
	execmem_destroy(&j->mem);
	xdecoder_destroy(j->decoder);
	free(j->block);
	free(j->link);
	free(j->part);
	free(j);
}

struct xjit_link *xjit_link_new(struct xjit *j)
{
	RV_ASSERT(j->nlinks < j->links_max);
	return &j->link[j->nlinks++];
}

void xjit_flush(struct xjit *j)
{
	j->bytes += (uint64_t)(j->hot - j->first) + (uint64_t)(j->cold - cold_start(j));
	j->hot = j->first;
	j->cold = cold_start(j);
	j->nblocks = j->nlinks = j->nparts = 0;
	j->flushes++;
}

/* ---- linear RIP -> code ---- */

static void targets_clear(struct xcpu *c, unsigned user)
{
	struct xjit_target *t = c->jit.target[user];
	const unsigned n = c->jit.nfilled[user];
	if (n <= XJIT_FILLED)
		for (unsigned i = 0; i < n; i++)
			t[c->jit.filled[user][i]].lin = xjit_target_none(c->jit.filled[user][i]);
	else
		for (unsigned i = 0; i < XJIT_TARGETS; i++)
			t[i].lin = xjit_target_none(i);
	c->jit.nfilled[user] = 0;
	if (!user)
		c->jit.low = false;
}

static void target_set(struct xcpu *c, uint64_t lin, const uint8_t *code)
{
	const unsigned slot = xjit_target_slot(lin);
	struct xjit_target *t = &c->jit.target[c->user][slot];
	if (t->lin == xjit_target_none(slot) && c->jit.nfilled[c->user] <= XJIT_FILLED) {
		if (c->jit.nfilled[c->user] < XJIT_FILLED)
			c->jit.filled[c->user][c->jit.nfilled[c->user]] = (uint16_t)slot;
		c->jit.nfilled[c->user]++;
	}
	t->lin = lin;
	t->code = code;
	c->jit.low |= !c->user && !(lin >> 63);
}

void xjit_cpu_reset(struct xcpu *c)
{
	c->jit.nfilled[0] = c->jit.nfilled[1] = XJIT_FILLED + 1;
	targets_clear(c, 0);
	targets_clear(c, 1);
	c->jit.mxcsr = 0x1f80;
}

/* A kernel keeps its half of the addresses over a switch, and its own code is there alone. */
static void targets_refresh(const struct xjit *j, struct xcpu *c)
{
	if (unlikely(c->jit.cache != j->flushes)) {
		c->jit.cache = j->flushes;
		c->jit.link = NULL;
		targets_clear(c, 0);
		targets_clear(c, 1);
	}
	if (likely(c->jit.gen == c->tlb_gen))
		return;
	targets_clear(c, 1);
	if (c->jit.gen_high != c->tlb_gen_high || c->jit.low)
		targets_clear(c, 0);
	c->jit.gen = c->tlb_gen;
	c->jit.gen_high = c->tlb_gen_high;
}

/* ---- blocks ---- */

static bool cache_full(const struct xjit *j)
{
	return (size_t)(cold_start(j) - j->hot) < XJIT_BLOCK_ROOM ||
	       (size_t)(j->mem.rw + j->mem.size - j->cold) < XJIT_BLOCK_ROOM ||
	       j->nblocks == j->blocks_max || j->nlinks + XJIT_PARTS + 1 > j->links_max ||
	       j->nparts + XJIT_PARTS > j->parts_max;
}

struct xjit_block *xjit_code(struct xjit *j, struct xcpu *c, struct xblock *b)
{
	struct xjit_block *t = b->jit[c->user];
	if (likely(t != NULL))
		return t;
	if (b->page2 != MEM_NO_PAGE) /* one instruction, and its second page may change */
		return NULL;
	if (b->heat < XJIT_THRESHOLD) {
		b->heat++;
		return NULL;
	}
	if (cache_full(j)) {
		xblocks_code_forget(c->e->blocks);
		xjit_flush(j);
	}
	t = &j->block[j->nblocks];
	memset(t, 0, sizeof(*t));
	if (!xjit_translate(j, c, b, t))
		return NULL; /* a breakpoint at its start */
	j->nblocks++;
	j->translated++;
	for (unsigned i = 0; i < t->nparts; i++) {
		t->part[i].next = t->part[i].x->parts;
		t->part[i].x->parts = &t->part[i];
	}
	b->jit[c->user] = t;
	return t;
}

static void link_set(struct xjit_link *l, struct xjit_block *t)
{
	a_patch(l->site, l->flags_saved ? t->entry : t->entry_flags);
	l->to = t;
	l->next = t->in;
	t->in = l;
}

/* The exit just taken leads to t from now on. */
static void link_try(struct xjit_link *l, struct xjit_block *t)
{
	if (l && !l->to && l->from->valid && l->user == t->user && l->from->page == t->x->page &&
	    l->from->mode == t->x->mode && l->off == t->x->off)
		link_set(l, t);
}

static void code_drop(struct xjit_block *t)
{
	uint8_t *entry = (uint8_t *)(uintptr_t)t->entry;
	for (struct xjit_link *l = t->in; l; l = l->next) {
		a_patch(l->site, l->exit);
		l->to = NULL;
	}
	t->in = NULL;
	entry[0] = 0xe9;
	a_patch(entry + 1, t->dead);
}

void xjit_drop(struct xjit *j, struct xblock *b)
{
	(void)j;
	for (struct xjit_part *p = b->parts; p; p = p->next) {
		if (p->t->x->jit[p->t->user] != p->t)
			continue; /* gone already, with another part of it */
		p->t->x->jit[p->t->user] = NULL;
		code_drop(p->t);
	}
	b->parts = NULL;
}

void xjit_break_changed(struct xjit *j, uint64_t lin)
{
	const unsigned off = lin & (RV_PAGE_SIZE - 1);
	for (unsigned i = 0; i < j->nparts; i++) {
		struct xblock *b = j->part[i].x;
		if (b->parts && off >= b->off && off < (unsigned)b->off + b->nbytes)
			xjit_drop(j, b);
	}
}

void xjit_run(struct xjit *j, struct xcpu *c, struct xjit_block *t, uint64_t lin, icount_t limit)
{
	const uint8_t *code = execmem_rx(&j->mem, t->entry);
	const icount_t from = c->icount;
	targets_refresh(j, c);
	link_try(c->jit.link, t);
	c->jit.link = NULL;
	target_set(c, lin, code);
	c->jit.page = lin & ~(uint64_t)(RV_PAGE_SIZE - 1);
	c->jit.limit = limit;
	c->jit.budget = (int64_t)(limit - c->icount);
	c->jit.xmm_live = false;
	c->jit.tail = NULL;
	c->until = limit;
	j->th.enter(c, code);
	c->jit.xmm_live = false;
	j->steps += c->icount - from;
}

void xjit_stats(const struct xjit *j, struct engine_stats *out)
{
	out->jit_steps = j->steps;
	out->jit_blocks = j->translated;
	out->jit_bytes = j->bytes + (uint64_t)(j->hot - j->first) + (uint64_t)(j->cold - cold_start(j));
	out->jit_flushes = j->flushes;
}

static void dump_code(uint64_t addr, const uint8_t *p, size_t n, struct bytes *out)
{
	ZydisDisassembledInstruction d;
	for (size_t at = 0; at < n; at += d.info.length) {
		if (!ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, addr + at, p + at, n - at,
							&d)))
			break;
		bytes_put_text(out, "  %16llx  %s\n", (unsigned long long)(addr + at), d.text);
	}
}

void xjit_dump(const struct xjit_block *t, uint64_t lin, const uint8_t *guest, struct bytes *out)
{
	const struct xblock *b = t->x;
	bytes_put_text(out, "guest code, %u instructions, %s:\n", t->ninsns, t->user ? "user" : "supervisor");
	for (unsigned i = 0; i < t->nparts; i++) {
		const struct xblock *x = t->part[i].x;
		dump_code(lin - b->off + x->off, guest + x->off, x->nbytes, out);
	}
	bytes_put_text(out, "host code:\n");
	dump_code((uintptr_t)t->hot, t->hot, t->hot_size, out);
	bytes_put_text(out, "out of line:\n");
	dump_code((uintptr_t)t->cold, t->cold, t->cold_size, out);
}
