/* SPDX-License-Identifier: Apache-2.0 */
#include "block.h"
#include "jit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"

#define XBLOCKS_ARENA (160ull << 20) /* a Debian server at its boot runs through 450,000 blocks */
#define XBLOCKS_HASH_BITS 18u
#define XBLOCKS_GRANULE_SHIFT 6u /* 64 bytes: 64 granules a page, one bit each */

/* What is known of a RAM page with decoded code. */
struct xcodepage {
	uint64_t granules;
	struct xblock_link *blocks;
};

struct xblocks {
	struct guest_mem *mem;
	struct xjit *jit;
	struct xdecoder *decoder;
	uint8_t *arena;
	size_t used;
	uint32_t gen;
	uint64_t built;
	struct xcodepage *page; /* by RAM page; demand-zero */
	struct xblock *hash[1u << XBLOCKS_HASH_BITS];
};

int xblocks_create(struct xblocks **out, struct guest_mem *mem, struct xjit *jit)
{
	const int prot = PROT_READ | PROT_WRITE;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	struct xblocks *x = calloc(1, sizeof(*x));
	if (!x)
		return RV_ENOMEM;
	x->mem = mem;
	x->jit = jit;
	x->decoder = xdecoder_create();
	x->arena = mmap(NULL, XBLOCKS_ARENA, prot, flags, -1, 0);
	x->page = mmap(NULL, mem_pages(mem) * sizeof(*x->page), prot, flags, -1, 0);
	if (!x->decoder || x->arena == MAP_FAILED || x->page == MAP_FAILED) {
		xblocks_destroy(x);
		return RV_ENOMEM;
	}
	*out = x;
	return RV_OK;
}

void xblocks_destroy(struct xblocks *x)
{
	if (!x)
		return;
	if (x->arena && x->arena != MAP_FAILED)
		munmap(x->arena, XBLOCKS_ARENA);
	if (x->page && x->page != MAP_FAILED)
		munmap(x->page, mem_pages(x->mem) * sizeof(*x->page));
	xdecoder_destroy(x->decoder);
	free(x);
}

uint32_t xblocks_gen(const struct xblocks *x)
{
	return x->gen;
}

uint64_t xblocks_built(const struct xblocks *x)
{
	return x->built;
}

void xblocks_flush(struct xblocks *x)
{
	for (size_t i = 0; i < RV_ARRAY_LEN(x->hash); i++) {
		for (struct xblock *b = x->hash[i]; b; b = b->hash_next) {
			uint64_t pages[2] = { b->page, b->page2 };
			for (unsigned k = 0; k < 2; k++) {
				if (pages[k] == MEM_NO_PAGE)
					continue;
				x->page[pages[k]] = (struct xcodepage){ 0 };
				mem_page_flags_clear(x->mem, pages[k], MEM_PAGE_CODE);
			}
		}
		x->hash[i] = NULL;
	}
	x->used = 0;
	x->gen++;
	if (x->jit)
		xjit_flush(x->jit);
}

void xblocks_code_forget(struct xblocks *x)
{
	for (size_t i = 0; i < RV_ARRAY_LEN(x->hash); i++)
		for (struct xblock *b = x->hash[i]; b; b = b->hash_next) {
			b->jit[0] = b->jit[1] = NULL;
			b->parts = NULL;
		}
}

static struct xblock **xblocks_slot(struct xblocks *x, uint64_t page, unsigned off, uint32_t mode)
{
	uint64_t key = (page << RV_PAGE_SHIFT | off) * 0x9e3779b97f4a7c15ull;
	key ^= (uint64_t)mode * 0xff51afd7ed558ccdull;
	return &x->hash[key >> (64 - XBLOCKS_HASH_BITS)];
}

static uint64_t xblocks_granules(unsigned off, size_t len)
{
	unsigned first = off >> XBLOCKS_GRANULE_SHIFT;
	unsigned last = (unsigned)(off + len - 1) >> XBLOCKS_GRANULE_SHIFT;
	uint64_t upto = last >= 63 ? UINT64_MAX : (1ull << (last + 1)) - 1;
	return upto & ~((1ull << first) - 1);
}

/* Bytes of block b on its first (k = 0) or second page. */
static void xblock_span(const struct xblock *b, unsigned k, unsigned *off, unsigned *len)
{
	unsigned on_first = b->nbytes;
	if (b->page2 != MEM_NO_PAGE)
		on_first = RV_PAGE_SIZE - b->off;
	*off = k ? 0 : b->off;
	*len = k ? b->nbytes - on_first : on_first;
}

static void xblock_unhash(struct xblocks *x, struct xblock *b)
{
	struct xblock **p = xblocks_slot(x, b->page, b->off, b->mode);
	while (*p != b)
		p = &(*p)->hash_next;
	*p = b->hash_next;
}

static void xblock_unlink(struct xblocks *x, struct xblock *b, unsigned k, uint64_t page)
{
	struct xblock_link **p = &x->page[page].blocks;
	while (*p != &b->link[k])
		p = &(*p)->next;
	*p = b->link[k].next;
}

static void xcodepage_update(struct xblocks *x, uint64_t page)
{
	struct xcodepage *cp = &x->page[page];
	cp->granules = 0;
	for (struct xblock_link *l = cp->blocks; l; l = l->next) {
		unsigned off, len;
		xblock_span(l->block, l == &l->block->link[1], &off, &len);
		cp->granules |= xblocks_granules(off, len);
	}
	if (!cp->blocks)
		mem_page_flags_clear(x->mem, page, MEM_PAGE_CODE);
}

static void xblock_drop(struct xblocks *x, struct xblock *b)
{
	b->valid = false;
	if (x->jit)
		xjit_drop(x->jit, b);
	xblock_unhash(x, b);
	xblock_unlink(x, b, 0, b->page);
	if (b->page2 != MEM_NO_PAGE) {
		xblock_unlink(x, b, 1, b->page2);
		xcodepage_update(x, b->page2);
	}
}

bool xblocks_drop(struct xblocks *x, uint64_t page, unsigned off, size_t len)
{
	struct xcodepage *cp = &x->page[page];
	uint64_t hit = xblocks_granules(off, len);
	bool dropped = false;
	if (!(cp->granules & hit))
		return false;
	for (struct xblock_link *l = cp->blocks, *next; l; l = next) {
		unsigned boff, blen;
		next = l->next;
		/* A block over two views of one page is on this list twice, and goes at the first. */
		if (!l->block->valid)
			continue;
		xblock_span(l->block, l == &l->block->link[1], &boff, &blen);
		if (xblocks_granules(boff, blen) & hit) {
			xblock_drop(x, l->block);
			dropped = true;
		}
	}
	xcodepage_update(x, page);
	return dropped;
}

/* The instruction at lin crosses into the next page: its second page, raising the fetch's fault. */
static uint64_t xblock_second_page(struct xcpu *c, uint64_t lin)
{
	uint64_t next = (lin | (RV_PAGE_SIZE - 1)) + 1;
	uint64_t page2;
	if (!(c->mode & XMODE_64))
		next = (uint32_t)next;
	page2 = xmmu_fetch_page(c, next);
	if (page2 == MEM_NO_PAGE)
		xraise_ud(c);
	return page2;
}

static void xblock_attach(struct xblocks *x, struct xcpu *c, struct xblock *b, unsigned k,
			  uint64_t page)
{
	unsigned off, len;
	b->link[k].block = b;
	b->link[k].next = x->page[page].blocks;
	x->page[page].blocks = &b->link[k];
	xblock_span(b, k, &off, &len);
	x->page[page].granules |= xblocks_granules(off, len);
	if (!(mem_page_flags(x->mem, page) & MEM_PAGE_CODE)) {
		mem_page_flags_set(x->mem, page, MEM_PAGE_CODE);
		xmmu_page_flagged(c, page);
	}
}

static struct xblock *xblock_build(struct xblocks *x, struct xcpu *c, uint64_t lin, uint64_t page)
{
	const size_t most = sizeof(struct xblock) + XBLOCK_MAX_INSNS * sizeof(struct dinsn);
	const uint8_t *code = mem_page_host(x->mem, page);
	unsigned off = lin & (RV_PAGE_SIZE - 1);
	struct xblock **slot;
	struct xblock *b;

	if (x->used + most > XBLOCKS_ARENA)
		xblocks_flush(x);
	b = (struct xblock *)(x->arena + x->used);
	b->page = page;
	b->page2 = MEM_NO_PAGE;
	b->mode = c->mode;
	b->off = (uint16_t)off;
	b->nbytes = 0;
	b->n = 0;
	b->heat = 0;
	b->jit[0] = b->jit[1] = NULL;
	b->parts = NULL;
	while (b->n < XBLOCK_MAX_INSNS && off < RV_PAGE_SIZE) {
		struct dinsn *d = &b->insn[b->n];
		unsigned len = xdecode(x->decoder, code + off, RV_PAGE_SIZE - off, c->mode, d);
		if (len == 0)
			break; /* crosses the page: a block of its own */
		b->n++;
		b->nbytes = (uint16_t)(b->nbytes + len);
		off += len;
		if (d->flags & XD_END)
			break;
	}
	if (b->n == 0) {
		uint8_t bytes[30];
		unsigned first = RV_PAGE_SIZE - off;
		b->page2 = xblock_second_page(c, lin);
		memcpy(bytes, code + off, first);
		memcpy(bytes + first, mem_page_host(x->mem, b->page2), 15);
		b->nbytes = (uint16_t)xdecode(x->decoder, bytes, first + 15, c->mode, &b->insn[0]);
		RV_ASSERT(b->nbytes > first);
		b->n = 1;
	}
	b->valid = true;
	x->used += (sizeof(struct xblock) + b->n * sizeof(struct dinsn) + 15) & ~(size_t)15;
	x->built++;
	slot = xblocks_slot(x, page, b->off, b->mode);
	b->hash_next = *slot;
	*slot = b;
	xblock_attach(x, c, b, 0, page);
	if (b->page2 != MEM_NO_PAGE)
		xblock_attach(x, c, b, 1, b->page2);
	return b;
}

struct xblock *xblocks_find(struct xblocks *x, uint64_t page, unsigned off, uint32_t mode)
{
	struct xblock *b;
	for (b = *xblocks_slot(x, page, off, mode); b; b = b->hash_next)
		if (b->page == page && b->off == off && b->mode == mode)
			break;
	return b;
}

struct xblock *xblocks_get(struct xblocks *x, struct xcpu *c, uint64_t lin)
{
	uint64_t page = xmmu_fetch_page(c, lin);
	unsigned off = lin & (RV_PAGE_SIZE - 1);
	struct xblock *b;
	if (page == MEM_NO_PAGE)
		xraise_ud(c); /* the bus reads as ones there: FF FF is undefined */
	b = xblocks_find(x, page, off, c->mode);
	if (b && b->page2 != MEM_NO_PAGE && xblock_second_page(c, lin) != b->page2) {
		xblock_drop(x, b); /* the second page is mapped elsewhere now */
		xcodepage_update(x, page);
		b = NULL;
	}
	return b ? b : xblock_build(x, c, lin, page);
}
