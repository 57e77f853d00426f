/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paging (SDM vol. 3, chapter 4) and the life of cached translations.
 *
 * Fixed here, where the SDM leaves a choice:
 *  - a walk reads 0 where there is no RAM, and calls no device;
 *  - A and D bits change only when the whole walk, permissions included,
 *    succeeded; an access that faults on its second page has set those of its
 *    first page, because pages are translated in address order;
 *  - an entry that is not present or lacks A is never cached, so a store to
 *    such an entry invalidates nothing.
 *
 * A store that changes one level-1 entry drops that one page. A store to any
 * other listed entry flushes the vCPU. Both are invisible to the guest; the
 * cost is proportional to what was filled.
 */
#include "mmu.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/model.h"

/* ---- the list of page-table pages ---- */

static unsigned table_hash(uint64_t page)
{
	return (unsigned)(page * 0x9e3779b97f4a7c15ull >> 40) & (XMMU_HASH - 1);
}

static struct xtable_page *table_find(struct xmmu *u, uint64_t page)
{
	unsigned h = table_hash(page);
	for (; u->hash[h]; h = (h + 1) & (XMMU_HASH - 1)) {
		struct xtable_page *t = &u->table[u->hash[h] - 1];
		if (t->page == page)
			return t;
	}
	return NULL;
}

static void table_hash_insert(struct xmmu *u, unsigned index)
{
	struct xtable_page *t = &u->table[index];
	unsigned h = table_hash(t->page);
	while (u->hash[h])
		h = (h + 1) & (XMMU_HASH - 1);
	u->hash[h] = (uint16_t)(index + 1);
	t->hash = (uint16_t)h;
}

/* The flag goes when no other vCPU has the page in its list. */
static void table_unflag(struct xcpu *c, uint64_t page)
{
	unsigned n = xcpu_count(c);
	for (unsigned i = 0; i < n; i++) {
		struct xcpu *o = xcpu_at(c, i);
		if (o != c && table_find(o->mmu, page))
			return;
	}
	mem_page_flags_clear(xcpu_mem(c), page, MEM_PAGE_TABLE);
}

static void table_note(struct xcpu *c, uint64_t page, uint64_t lin, unsigned level)
{
	struct xmmu *u = c->mmu;
	struct xtable_page *t = table_find(u, page);
	if (t) {
		if (unlikely(t->lin != lin || t->level != level))
			t->multi = true;
		return;
	}
	struct guest_mem *m = xcpu_mem(c);
	uint8_t flags = mem_page_flags(m, page);
	RV_ASSERT(u->ntables < XMMU_TABLES);
	t = &u->table[u->ntables];
	memset(t, 0, sizeof(*t));
	t->page = page;
	t->lin = lin;
	t->level = (uint8_t)level;
	table_hash_insert(u, u->ntables++);
	if (!(flags & MEM_PAGE_TABLE))
		mem_page_flags_set(m, page, MEM_PAGE_TABLE);
	if (!flags) /* a page with a flag is in no write table already */
		xmmu_page_flagged(c, page);
}

/* ---- filling and dropping ---- */

void xmmu_tlb_fill(struct xmmu *u, bool user, enum xaccess acc, uint64_t lin, uint8_t *host)
{
	unsigned slot = xtlb_index(lin);
	struct xtlb_entry *e = &u->tab[user][acc][slot];
	if (e->tag == xtlb_invalid(slot))
		u->filled[user][acc][u->nfilled[user][acc]++] = (uint16_t)slot;
	e->tag = lin & ~(uint64_t)(RV_PAGE_SIZE - 1);
	e->host = (uint64_t)(uintptr_t)host;
}

static void tlb_drop(struct xtlb_entry *e, unsigned slot)
{
	e->tag = xtlb_invalid(slot) | XMMU_DROPPED;
}

static void small_clear(struct xmmu *u)
{
	if (!u->small_used)
		return;
	u->small_used = false;
	for (unsigned user = 0; user < 2; user++) {
		for (unsigned i = 0; i < XMMU_FETCH; i++)
			u->fetch[user][i].tag = XMMU_NO_TAG;
		for (unsigned i = 0; i < XMMU_SLOW; i++)
			u->slow[user][i].tag = XMMU_NO_TAG;
	}
	for (unsigned i = 0; i < XMMU_PDE; i++)
		u->pde[i].tag = XMMU_NO_TAG;
}

size_t xmmu_size(void)
{
	return (sizeof(struct xmmu) + 63) & ~(size_t)63;
}

size_t xmmu_table_offset(bool user, enum xaccess acc)
{
	return offsetof(struct xmmu, tab) +
	       ((size_t)user * 2 + acc) * sizeof(((struct xmmu *)NULL)->tab[0][0]);
}

void xmmu_init(struct xmmu *u)
{
	for (unsigned i = 0; i < XTLB_SIZE; i++) {
		for (unsigned k = 0; k < 4; k++)
			u->tab[k >> 1][k & 1][i].tag = xtlb_invalid(i);
		u->miss[i].tag = xtlb_invalid(i);
	}
	u->small_used = true;
	small_clear(u);
}

static void tlb_clear(struct xmmu *u, bool user, enum xaccess acc)
{
	unsigned n = u->nfilled[user][acc];
	for (unsigned i = 0; i < n; i++) {
		unsigned slot = u->filled[user][acc][i];
		u->tab[user][acc][slot].tag = xtlb_invalid(slot);
	}
	u->nfilled[user][acc] = 0;
}

void xmmu_flush(struct xcpu *c)
{
	struct xmmu *u = c->mmu;
	for (unsigned k = 0; k < 4; k++)
		tlb_clear(u, k >> 1, (enum xaccess)(k & 1));
	small_clear(u);
	for (unsigned i = 0; i < u->ntables; i++)
		u->hash[u->table[i].hash] = 0;
	unsigned n = u->ntables;
	u->ntables = 0;
	for (unsigned i = 0; i < n; i++)
		table_unflag(c, u->table[i].page);
	u->flushes++;
	c->tlb_gen++;
	c->tlb_gen_high++;
	c->leave = true;
}

/* Keeps what is in the upper half of the linear addresses: its top-level entries did not change. */
static void flush_lower_half(struct xcpu *c, uint64_t keep_page)
{
	struct xmmu *u = c->mmu;
	for (unsigned k = 0; k < 4; k++) {
		struct xtlb_entry *tab = u->tab[k >> 1][k & 1];
		uint16_t *list = u->filled[k >> 1][k & 1];
		unsigned n = u->nfilled[k >> 1][k & 1], kept = 0;
		for (unsigned i = 0; i < n; i++) {
			unsigned slot = list[i];
			if (tab[slot].tag >> 63)
				list[kept++] = (uint16_t)slot;
			else
				tab[slot].tag = xtlb_invalid(slot);
		}
		u->nfilled[k >> 1][k & 1] = kept;
	}
	small_clear(u);
	unsigned n = u->ntables, kept = 0;
	for (unsigned i = 0; i < n; i++)
		u->hash[u->table[i].hash] = 0;
	u->ntables = 0; /* not in anyone's way while flags are looked at */
	for (unsigned i = 0; i < n; i++) {
		struct xtable_page *t = &u->table[i];
		if (t->page == keep_page || t->multi || (t->level < 4 && t->lin >> 63)) {
			if (kept != i)
				u->table[kept] = *t;
			kept++;
		} else {
			table_unflag(c, t->page);
		}
	}
	for (unsigned i = 0; i < kept; i++)
		table_hash_insert(u, i);
	u->ntables = kept;
	u->flushes++;
	c->tlb_gen++;
	c->leave = true;
}

void xmmu_cr3_load(struct xcpu *c, uint64_t value)
{
	struct guest_mem *m = xcpu_mem(c);
	uint64_t old = c->s.cr3;
	c->s.cr3 = value;
	if (!(c->s.efer & EFER_LMA) || c->mmu->ntables + 1 >= XMMU_TABLES) {
		xmmu_flush(c);
		return;
	}
	uint64_t a = mem_page_of(m, old & PTE_ADDR), b = mem_page_of(m, value & PTE_ADDR);
	if (a == b && a != MEM_NO_PAGE)
		return; /* nothing is derived from anything else than before */
	/* Equal upper halves (A bits included) lead to equal translations: a kernel that shares its
	 * half among address spaces keeps them over a switch. */
	if (a == MEM_NO_PAGE || b == MEM_NO_PAGE ||
	    memcmp(mem_page_host(m, a) + 2048, mem_page_host(m, b) + 2048, 2048)) {
		xmmu_flush(c);
		return;
	}
	flush_lower_half(c, b);
	table_note(c, b, 0, 4);
}

void xmmu_write_flush(struct xcpu *c)
{
	tlb_clear(c->mmu, false, XACC_WRITE);
	tlb_clear(c->mmu, true, XACC_WRITE);
}

void xmmu_page_flagged(struct xcpu *c, uint64_t page)
{
	uint64_t host = (uint64_t)(uintptr_t)mem_page_host(xcpu_mem(c), page);
	unsigned ncpus = xcpu_count(c);
	for (unsigned i = 0; i < ncpus; i++) {
		struct xmmu *u = xcpu_at(c, i)->mmu;
		for (unsigned user = 0; user < 2; user++) {
			struct xtlb_entry *tab = u->tab[user][XACC_WRITE];
			unsigned n = u->nfilled[user][XACC_WRITE];
			for (unsigned k = 0; k < n; k++) {
				unsigned slot = u->filled[user][XACC_WRITE][k];
				if (tab[slot].host == host)
					tlb_drop(&tab[slot], slot);
			}
		}
	}
}

/* All that was cached for one linear page. */
static void page_drop(struct xmmu *u, uint64_t lin)
{
	unsigned slot = xtlb_index(lin);
	for (unsigned user = 0; user < 2; user++) {
		for (unsigned acc = 0; acc < 2; acc++) {
			struct xtlb_entry *e = &u->tab[user][acc][slot];
			if (e->tag == lin)
				tlb_drop(e, slot);
		}
		struct xpage_entry *f = &u->fetch[user][lin >> RV_PAGE_SHIFT & (XMMU_FETCH - 1)];
		struct xpage_entry *s = &u->slow[user][lin >> RV_PAGE_SHIFT & (XMMU_SLOW - 1)];
		if (f->tag == lin)
			f->tag = XMMU_NO_TAG;
		if (s->tag == lin)
			s->tag = XMMU_NO_TAG;
	}
}

static bool paging_wide(const struct xcpu *c) /* 8-byte entries */
{
	return c->s.cr4 & CR4_PAE;
}

/* One vCPU's view of a store to a listed page: o may be another vCPU than the one that stores. */
static void table_change(struct xcpu *o, struct xtable_page *t, const uint8_t *host, unsigned off,
			 const uint8_t *data, unsigned len)
{
	unsigned size = paging_wide(o) ? 8 : 4;
	for (unsigned at = off & ~(size - 1); at < off + len; at += size) {
		uint64_t old = 0, new = 0;
		memcpy(&old, host + at, size);
		if ((old & (PTE_P | PTE_A)) != (PTE_P | PTE_A))
			continue;
		if (data) {
			uint8_t bytes[8];
			memcpy(bytes, host + at, size);
			for (unsigned i = 0; i < size; i++)
				if (at + i >= off && at + i < off + len)
					bytes[i] = data[at + i - off];
			memcpy(&new, bytes, size);
			/* Setting D changes nothing cached: a write entry has it set already. */
			if (((old ^ new) & ~(PTE_SOFT | (new & PTE_D))) == 0)
				continue;
		}
		if (t->multi || t->level != 1) {
			xmmu_flush(o);
			return;
		}
		unsigned i = at / size;
		page_drop(o->mmu, t->lin + ((uint64_t)i << RV_PAGE_SHIFT));
		if (t->fetched[i / 64] >> (i % 64) & 1) {
			t->fetched[i / 64] &= ~(1ull << (i % 64));
			o->tlb_gen++;
			o->tlb_gen_high++;
			o->leave = true;
		}
	}
}

void xmmu_table_store(struct xcpu *c, uint64_t page, unsigned off, const void *data, unsigned len)
{
	const uint8_t *host = mem_page_host(xcpu_mem(c), page);
	unsigned n = xcpu_count(c);
	if (off >= RV_PAGE_SIZE || len > RV_PAGE_SIZE - off)
		len = off < RV_PAGE_SIZE ? RV_PAGE_SIZE - off : 0;
	for (unsigned i = 0; i < n && len; i++) {
		struct xcpu *o = xcpu_at(c, i);
		struct xtable_page *t = table_find(o->mmu, page);
		if (t)
			table_change(o, t, host, off, data, len);
	}
}

void xmmu_table_write(struct xcpu *c, uint64_t page, unsigned off, unsigned len)
{
	xmmu_table_store(c, page, off, NULL, len);
}

/* ---- walking ---- */

struct xwalk {
	struct {
		uint8_t *host; /* of the entry */
		uint64_t page;
		uint64_t val;
		uint8_t level;
	} step[4];
	unsigned n;
	uint64_t perm; /* RW, US: ANDed; NX: ORed */
	gpa_t pa;      /* of the 4 KiB page */
};

#define WALK_RSVD 1
#define WALK_ABSENT 2

static uint64_t region_mask(bool wide, unsigned level) /* bits below what a level's table maps */
{
	return (1ull << (12 + (wide ? 9 : 10) * level)) - 1;
}

/* Bits that must be zero in an 8-byte entry (SDM vol. 3, tables 4-9 to 4-20). */
static uint64_t entry_reserved(const struct xcpu *c, uint64_t e, unsigned level)
{
	uint64_t rsvd = PTE_ADDR & ~((1ull << CPU_PHYS_BITS) - 1);
	if (!(c->s.efer & EFER_NXE))
		rsvd |= PTE_NX;
	if (!(c->s.efer & EFER_LMA))
		rsvd |= 0x7ff0000000000000ull;
	if (level == 4)
		rsvd |= PTE_PS;
	else if (level > 1 && (e & PTE_PS))
		rsvd |= level == 3 ? 0x3fffe000ull : 0x1fe000ull;
	return rsvd;
}

/* Reads entries from `level` at table `pa` down. No side effect. 0 or WALK_*. */
static int walk_wide(struct xcpu *c, uint64_t lin, uint64_t table, unsigned level, struct xwalk *w)
{
	struct guest_mem *m = xcpu_mem(c);
	for (;; level--) {
		uint64_t page = mem_page_of(m, table);
		if (page == MEM_NO_PAGE)
			return WALK_ABSENT;
		unsigned idx = (unsigned)(lin >> (3 + 9 * level)) & 0x1ff;
		uint8_t *host = mem_page_host(m, page) + idx * 8;
		uint64_t e;
		memcpy(&e, host, 8);
		if (!(e & PTE_P))
			return WALK_ABSENT;
		if (e & entry_reserved(c, e, level))
			return WALK_RSVD;
		w->step[w->n].host = host;
		w->step[w->n].page = page;
		w->step[w->n].val = e;
		w->step[w->n++].level = (uint8_t)level;
		w->perm = (w->perm & e & (PTE_RW | PTE_US)) | ((w->perm | e) & PTE_NX);
		if (level == 1 || (e & PTE_PS)) {
			uint64_t mask = region_mask(true, level - 1);
			w->pa = (e & PTE_ADDR & ~mask) | (lin & mask & ~0xfffull);
			return 0;
		}
		table = e & PTE_ADDR;
	}
}

/* 32-bit paging (SDM vol. 3, 4.3). */
static int walk_narrow(struct xcpu *c, uint64_t lin, uint64_t table, unsigned level,
		       struct xwalk *w)
{
	struct guest_mem *m = xcpu_mem(c);
	for (;; level--) {
		uint64_t page = mem_page_of(m, table);
		if (page == MEM_NO_PAGE)
			return WALK_ABSENT;
		unsigned idx = (unsigned)(lin >> (2 + 10 * level)) & 0x3ff;
		uint8_t *host = mem_page_host(m, page) + idx * 4;
		uint32_t e;
		memcpy(&e, host, 4);
		if (!(e & PTE_P))
			return WALK_ABSENT;
		bool large = level == 2 && (e & PTE_PS) && (c->s.cr4 & CR4_PSE);
		if (large && (e & 0x200000u))
			return WALK_RSVD;
		w->step[w->n].host = host;
		w->step[w->n].page = page;
		w->step[w->n].val = e;
		w->step[w->n++].level = (uint8_t)level;
		w->perm &= e & (PTE_RW | PTE_US);
		if (large) { /* PSE-36: bits 13-20 are address bits 32-39 */
			w->pa = (e & 0xffc00000u) | (uint64_t)(e >> 13 & 0xff) << 32 |
				(lin & 0x3ff000);
			return 0;
		}
		if (level == 1) {
			w->pa = e & 0xfffff000u;
			return 0;
		}
		table = e & 0xfffff000u;
	}
}

static int walk_top(struct xcpu *c, uint64_t lin, struct xwalk *w)
{
	w->n = 0;
	w->perm = PTE_RW | PTE_US;
	if (c->s.efer & EFER_LMA)
		return walk_wide(c, lin, c->s.cr3 & PTE_ADDR, 4, w);
	if (!paging_wide(c))
		return walk_narrow(c, lin, c->s.cr3 & 0xfffff000u, 2, w);
	uint64_t pdpte = c->s.pdpte[lin >> 30 & 3];
	if (!(pdpte & PTE_P))
		return WALK_ABSENT;
	return walk_wide(c, lin, pdpte & PTE_ADDR, 2, w);
}

static _Noreturn void walk_fault(struct xcpu *c, uint64_t lin, enum xaccess acc, bool user,
				 uint32_t err)
{
	if (acc == XACC_WRITE)
		err |= PF_W;
	if (user)
		err |= PF_U;
	if (acc == XACC_FETCH && paging_wide(c) && (c->s.efer & EFER_NXE))
		err |= PF_I;
	xraise_pf(c, lin, err);
}

/* SDM vol. 3, 4.6.1, without SMEP and SMAP. */
static bool walk_allowed(const struct xcpu *c, uint64_t perm, enum xaccess acc, bool user)
{
	if (user && !(perm & PTE_US))
		return false;
	if (acc == XACC_WRITE && !(perm & PTE_RW) && (user || (c->s.cr0 & CR0_WP)))
		return false;
	return acc != XACC_FETCH || !(perm & PTE_NX);
}

/* The walker's own store: bits 5 and 6 are in the entry's first byte. Nothing cached depends on a
 * clear A or D bit, so no translation dies of it; decoded code might. */
static void entry_mark(struct xcpu *c, uint64_t page, uint8_t *host, uint64_t bits)
{
	struct guest_mem *m = xcpu_mem(c);
	if (mem_page_flags(m, page) & MEM_PAGE_CODE)
		xblock_write(c, page, (unsigned)((uintptr_t)host & (RV_PAGE_SIZE - 1)), 1);
	xpage_touch(c, page);
	*host = (uint8_t)(*host | bits);
}

gpa_t xmmu_translate(struct xcpu *c, uint64_t lin, enum xaccess acc, bool user)
{
	struct xmmu *u = c->mmu;
	if (!(c->s.cr0 & CR0_PG))
		return lin & 0xfffff000u;
	bool wide = paging_wide(c);
	uint64_t region = lin & ~region_mask(wide, 1);
	struct xpde_entry *pde = &u->pde[(region >> (wide ? 21 : 22)) & (XMMU_PDE - 1)];
	struct xwalk w;
	int r;
	bool cached = pde->tag == region;
	if (cached) {
		gpa_t table = mem_page_gpa(xcpu_mem(c), pde->page);
		w.n = 0;
		w.perm = pde->perm;
		r = wide ? walk_wide(c, lin, table, 1, &w) : walk_narrow(c, lin, table, 1, &w);
	} else {
		r = walk_top(c, lin, &w);
	}
	if (unlikely(r))
		walk_fault(c, lin, acc, user, r == WALK_RSVD ? PF_P | PF_RSVD : 0);
	if (unlikely(!walk_allowed(c, w.perm, acc, user)))
		walk_fault(c, lin, acc, user, PF_P);

	if (unlikely(u->ntables + 4 > XMMU_TABLES)) {
		xmmu_flush(c);
		if (cached) /* what led here is no longer listed: once more from the top */
			return xmmu_translate(c, lin, acc, user);
	}
	for (unsigned i = 0; i < w.n; i++) {
		bool leaf = i + 1 == w.n;
		uint64_t want = PTE_A | (leaf && acc == XACC_WRITE ? PTE_D : 0);
		unsigned level = w.step[i].level;
		if (!cached)
			table_note(c, w.step[i].page,
				   level == 4 ? 0 : lin & ~region_mask(wide, level), level);
		if ((w.step[i].val & want) != want)
			entry_mark(c, w.step[i].page, w.step[i].host, want);
	}
	const unsigned last = w.n - 1;
	if (w.step[last].level == 1) {
		if (!cached && w.n > 1) {
			uint64_t perm = PTE_RW | PTE_US;
			for (unsigned i = 0; i < last; i++)
				perm = (perm & w.step[i].val & (PTE_RW | PTE_US)) |
				       ((perm | w.step[i].val) & PTE_NX);
			pde->tag = region;
			pde->page = w.step[last].page;
			pde->perm = wide ? perm : perm & (PTE_RW | PTE_US);
			u->small_used = true;
		}
		if (acc == XACC_FETCH) {
			struct xtable_page *t = table_find(u, w.step[last].page);
			unsigned idx = (unsigned)(lin >> RV_PAGE_SHIFT) & (wide ? 0x1ff : 0x3ff);
			if (t)
				t->fetched[idx / 64] |= 1ull << (idx % 64);
		}
	}
	return w.pa;
}

uint64_t xmmu_fetch_page(struct xcpu *c, uint64_t lin)
{
	struct xmmu *u = c->mmu;
	uint64_t tag = lin & ~(uint64_t)(RV_PAGE_SIZE - 1);
	struct xpage_entry *f = &u->fetch[c->user][lin >> RV_PAGE_SHIFT & (XMMU_FETCH - 1)];
	if (likely(f->tag == tag))
		return f->page;
	if ((c->s.efer & EFER_LMA) && !cpu_canonical(lin))
		xraise_gp(c, 0);
	u->misses++;
	uint64_t page = mem_page_of(xcpu_mem(c), xmmu_translate(c, lin, XACC_FETCH, c->user));
	if (page != MEM_NO_PAGE) {
		f->tag = tag;
		f->page = page;
		u->small_used = true;
	}
	return page;
}

int xmmu_translate_debug(struct xcpu *c, uint64_t va, gpa_t *gpa)
{
	struct xwalk w;
	if (!(c->s.cr0 & CR0_PG)) {
		*gpa = va & 0xffffffffu;
		return 0;
	}
	if (c->s.efer & EFER_LMA) {
		if (!cpu_canonical(va))
			return RV_ENOENT;
	} else {
		va &= 0xffffffffu;
	}
	if (walk_top(c, va, &w))
		return RV_ENOENT;
	*gpa = w.pa | (va & (RV_PAGE_SIZE - 1));
	return 0;
}

int xmmu_pdptes_read(struct xcpu *c, uint64_t cr3, uint64_t pdpte[4])
{
	uint64_t rsvd = (~((1ull << CPU_PHYS_BITS) - 1)) | 0x1e6; /* SDM vol. 3, table 4-8 */
	mem_read(xcpu_mem(c), cr3 & 0xffffffe0u, pdpte, 32);
	for (unsigned i = 0; i < 4; i++)
		if ((pdpte[i] & PTE_P) && (pdpte[i] & rsvd))
			return RV_EINVAL;
	return 0;
}

void xmmu_stats(const struct xcpu *c, uint64_t *misses, uint64_t *flushes)
{
	*misses = c->mmu->misses;
	*flushes = c->mmu->flushes;
}
