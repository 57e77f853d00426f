/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads and stores off the fast path: TLB misses, page crossings, devices,
 * pages that must not be in a write table, alignment checks, data breakpoints.
 *
 * All bytes of an access are translated, in address order, before one is
 * moved. Bytes that lie in a device are moved in pieces of 8, 4, 2, 1.
 * Implicit supervisor accesses (descriptor tables, TSS) take no part in
 * alignment checks and data breakpoints.
 */
#include <string.h>

#include "breaks.h"
#include "cpu/model.h"
#include "mmu.h"

#define PAGE_OF(lin) ((lin) & ~(uint64_t)(RV_PAGE_SIZE - 1))

/* Where the bytes of one page are. */
struct xspot {
	uint8_t *host; /* of the page in RAM; NULL: a device */
	gpa_t gpa;     /* of the page, when host is NULL */
};

static inline bool watched(const struct xcpu *c, uint64_t lin, enum xaccess acc)
{
	return unlikely(c->breaks->nwatch) && xbreaks_page_watched(c->breaks, lin, acc);
}

static void spot_find(struct xcpu *c, uint64_t lin, enum xaccess acc, bool user, struct xspot *s)
{
	struct xmmu *u = c->mmu;
	struct guest_mem *m = xcpu_mem(c);
	const uint64_t tag = PAGE_OF(lin);
	const struct xtlb_entry *e = &u->tab[user][acc][xtlb_index(lin)];
	struct xpage_entry *slow = NULL;

	s->gpa = 0;
	if (likely(e->tag == tag)) {
		s->host = (uint8_t *)(uintptr_t)e->host;
		return;
	}
	if (acc == XACC_WRITE) {
		slow = &u->slow[user][lin >> RV_PAGE_SHIFT & (XMMU_SLOW - 1)];
		if (slow->tag == tag) {
			s->host = mem_page_host(m, slow->page);
			if (!mem_page_flags(m, slow->page) && !watched(c, lin, acc)) {
				/* an ordinary page again */
				slow->tag = XMMU_NO_TAG;
				xpage_touch(c, slow->page);
				xmmu_tlb_fill(u, user, XACC_WRITE, lin, s->host);
			}
			return;
		}
	}
	u->misses++;
	s->gpa = xmmu_translate(c, lin, acc, user);
	uint64_t page = mem_page_of(m, s->gpa);
	if (page == MEM_NO_PAGE) {
		s->host = NULL;
		return;
	}
	s->host = mem_page_host(m, page);
	if (acc == XACC_READ) {
		if (!watched(c, lin, acc))
			xmmu_tlb_fill(u, user, XACC_READ, lin, s->host);
	} else if (!mem_page_flags(m, page) && !watched(c, lin, acc)) {
		xpage_touch(c, page);
		xmmu_tlb_fill(u, user, XACC_WRITE, lin, s->host);
	} else {
		slow->tag = tag;
		slow->page = page;
		u->small_used = true;
	}
}

static void device_read(struct xcpu *c, gpa_t gpa, uint8_t *out, unsigned size)
{
	xdevice_sync(c);
	while (size) {
		unsigned n = size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
		uint64_t v = bus_mmio_read(xcpu_bus(c), c->index, gpa, n);
		memcpy(out, &v, n);
		out += n;
		gpa += n;
		size -= n;
	}
}

static void device_write(struct xcpu *c, gpa_t gpa, const uint8_t *data, unsigned size)
{
	xdevice_sync(c);
	while (size) {
		unsigned n = size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
		uint64_t v = 0;
		memcpy(&v, data, n);
		bus_mmio_write(xcpu_bus(c), c->index, gpa, n, v);
		data += n;
		gpa += n;
		size -= n;
	}
}

static void spot_read(struct xcpu *c, const struct xspot *s, unsigned off, uint8_t *out,
		      unsigned size)
{
	if (likely(s->host != NULL))
		memcpy(out, s->host + off, size);
	else
		device_read(c, s->gpa + off, out, size);
}

static void spot_write(struct xcpu *c, const struct xspot *s, unsigned off, const uint8_t *data,
		       unsigned size)
{
	struct guest_mem *m = xcpu_mem(c);
	if (!s->host) {
		device_write(c, s->gpa + off, data, size);
		return;
	}
	/* RAM is one mapping. Flags are asked for here, not when the page was translated: the walk
	 * for the second page may have flagged the first. */
	uint64_t page = (uint64_t)(s->host - mem_page_host(m, 0)) >> RV_PAGE_SHIFT;
	uint8_t flags = mem_page_flags(m, page);
	if (flags & MEM_PAGE_CODE)
		xblock_write(c, page, off, size);
	if (flags & MEM_PAGE_TABLE)
		xmmu_table_store(c, page, off, data, size);
	xpage_touch(c, page);
	memcpy(s->host + off, data, size);
}

/* First byte of the next page, where linear addresses of this mode wrap at 4 GiB. */
static uint64_t next_page(const struct xcpu *c, uint64_t lin)
{
	uint64_t next = PAGE_OF(lin) + RV_PAGE_SIZE;
	return !c->code64 && next == 1ull << 32 ? 0 : next;
}

/* Translates all pages of [lin, lin + size). Returns the bytes in the first. */
static unsigned spots_find(struct xcpu *c, unsigned seg, uint64_t lin, unsigned size,
			   enum xaccess acc, bool user, struct xspot s[2])
{
	unsigned first = RV_PAGE_SIZE - (unsigned)(lin & (RV_PAGE_SIZE - 1));
	if ((c->s.efer & EFER_LMA) &&
	    unlikely(!cpu_canonical(lin) || !cpu_canonical(lin + size - 1)))
		xraise_err(c, seg == CPU_SS ? VEC_SS : VEC_GP, 0);
	spot_find(c, lin, acc, user, &s[0]);
	if (likely(size <= first))
		return size;
	spot_find(c, next_page(c, lin), acc, user, &s[1]);
	return first;
}

/* Watchpoints: n bytes at lin, the rest on the next page. */
static inline void watch_check(struct xcpu *c, uint64_t lin, unsigned size, unsigned n,
			       enum xaccess acc)
{
	if (likely(!c->breaks->nwatch))
		return;
	xbreaks_access(c, lin, n, acc);
	if (n < size)
		xbreaks_access(c, next_page(c, lin), size - n, acc);
}

static void read_as(struct xcpu *c, bool user, unsigned seg, uint64_t lin, void *out, unsigned size)
{
	struct xspot s[2];
	unsigned n = spots_find(c, seg, lin, size, XACC_READ, user, s);
	spot_read(c, &s[0], (unsigned)(lin & (RV_PAGE_SIZE - 1)), out, n);
	if (unlikely(n < size))
		spot_read(c, &s[1], 0, (uint8_t *)out + n, size - n);
	watch_check(c, lin, size, n, XACC_READ);
}

static void write_as(struct xcpu *c, bool user, unsigned seg, uint64_t lin, const void *data,
		     unsigned size)
{
	struct xspot s[2];
	unsigned n = spots_find(c, seg, lin, size, XACC_WRITE, user, s);
	spot_write(c, &s[0], (unsigned)(lin & (RV_PAGE_SIZE - 1)), data, n);
	if (unlikely(n < size))
		spot_write(c, &s[1], 0, (const uint8_t *)data + n, size - n);
	watch_check(c, lin, size, n, XACC_WRITE);
}

/* ---- alignment checks and data breakpoints: the tables are off, all accesses come here ---- */

static void check_before(struct xcpu *c, uint64_t lin, unsigned size)
{
	/* SDM vol. 3, table 6-7; 16-byte operands have their own rule (#GP). */
	if (c->user && (c->s.cr0 & CR0_AM) && (c->s.rflags & RFLAGS_AC) && size <= 8 &&
	    (size & (size - 1)) == 0 && (lin & (size - 1)))
		xraise_err(c, VEC_AC, 0);
}

uint64_t xdebug_match(const struct xcpu *c, uint64_t lin, unsigned size, unsigned rw)
{
	static const uint8_t lengths[4] = { 1, 2, 8, 4 }; /* SDM vol. 3, 17.2.4 */
	uint64_t hit = 0;
	for (unsigned i = 0; i < 4; i++) {
		unsigned type = (unsigned)(c->s.dr7 >> (16 + 4 * i)) & 3;
		uint64_t len = lengths[c->s.dr7 >> (18 + 4 * i) & 3];
		uint64_t start = c->s.dr[i] & ~(len - 1);
		if (!(c->s.dr7 >> (2 * i) & 3))
			continue;
		if (type != rw && !(type == 3 && rw == 1)) /* read-or-write sees writes too */
			continue;
		if (lin < start + len && start < lin + size)
			hit |= 1ull << i;
	}
	return hit;
}

static void check_after(struct xcpu *c, uint64_t lin, unsigned size, enum xaccess acc)
{
	if (c->s.dr7 & 0xff) {
		uint64_t hit = xdebug_match(c, lin, size, acc == XACC_WRITE ? 1 : 3);
		if (hit) {
			c->pending_db |= hit;
			c->leave = true;
		}
	}
}

/* ---- the interface ---- */

void xmem_read_slow(struct xcpu *c, unsigned seg, uint64_t lin, void *out, unsigned size)
{
	const bool checks = c->checks;
	if (unlikely(checks))
		check_before(c, lin, size);
	read_as(c, c->user, seg, lin, out, size);
	if (unlikely(checks))
		check_after(c, lin, size, XACC_READ);
}

void xmem_write_slow(struct xcpu *c, unsigned seg, uint64_t lin, const void *data, unsigned size)
{
	const bool checks = c->checks;
	if (unlikely(checks))
		check_before(c, lin, size);
	write_as(c, c->user, seg, lin, data, size);
	if (unlikely(checks))
		check_after(c, lin, size, XACC_WRITE);
}

void xmem_rmw_slow(struct xcpu *c, unsigned seg, uint64_t lin, unsigned size)
{
	struct xspot s[2];
	uint8_t *out = (uint8_t *)c->rmw.buf;
	if (unlikely(c->checks))
		check_before(c, lin, size);
	unsigned n = spots_find(c, seg, lin, size, XACC_WRITE, c->user, s);
	spot_read(c, &s[0], (unsigned)(lin & (RV_PAGE_SIZE - 1)), out, n);
	if (n < size)
		spot_read(c, &s[1], 0, out + n, size - n);
	watch_check(c, lin, size, n, XACC_READ);
	c->rmw.pending = true;
	c->rmw.size = (uint8_t)size;
	c->rmw.seg = (uint8_t)seg;
	c->rmw.lin = lin;
}

void xmem_rmw_commit(struct xcpu *c)
{
	c->rmw.pending = false;
	write_as(c, c->user, c->rmw.seg, c->rmw.lin, c->rmw.buf, c->rmw.size);
	if (unlikely(c->checks)) {
		check_after(c, c->rmw.lin, c->rmw.size, XACC_READ);
		check_after(c, c->rmw.lin, c->rmw.size, XACC_WRITE);
	}
}

/* A probe sets A (and D, when for writing) as the access would. */
void xmem_probe(struct xcpu *c, unsigned seg, uint64_t lin, unsigned size, enum xaccess acc)
{
	struct xspot s[2];
	if (unlikely(c->checks))
		check_before(c, lin, size);
	(void)spots_find(c, seg, lin, size, acc == XACC_WRITE ? XACC_WRITE : XACC_READ, c->user, s);
}

uint64_t xmem_read_as(struct xcpu *c, bool user, unsigned seg, uint64_t lin, unsigned size)
{
	const struct xtlb_entry *t = &c->mmu->tab[user][XACC_READ][xtlb_index(lin)];
	uint64_t v = 0;
	if (likely((lin ^ t->tag) <= RV_PAGE_SIZE - size))
		memcpy(&v, (const void *)(uintptr_t)((lin ^ t->tag) + t->host), size);
	else
		read_as(c, user, seg, lin, &v, size);
	return v;
}

void xmem_write_as(struct xcpu *c, bool user, unsigned seg, uint64_t lin, unsigned size,
		   uint64_t value)
{
	const struct xtlb_entry *t = &c->mmu->tab[user][XACC_WRITE][xtlb_index(lin)];
	if (likely((lin ^ t->tag) <= RV_PAGE_SIZE - size))
		memcpy((void *)(uintptr_t)((lin ^ t->tag) + t->host), &value, size);
	else
		write_as(c, user, seg, lin, &value, size);
}

uint64_t xmem_sys_read(struct xcpu *c, uint64_t lin, unsigned size)
{
	return xmem_read_as(c, false, CPU_DS, lin, size);
}

void xmem_sys_write(struct xcpu *c, uint64_t lin, unsigned size, uint64_t value)
{
	xmem_write_as(c, false, CPU_DS, lin, size, value);
}
