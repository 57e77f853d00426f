/* SPDX-License-Identifier: Apache-2.0 */
#include "mem/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"

struct guest_mem {
	uint8_t *ram;
	uint64_t size;      /* of RAM */
	uint64_t ram_pages;
	uint64_t pages;     /* with the auxiliary ones behind */
	uint64_t low_size;
	uint32_t epoch;
	uint32_t *page_epoch;
	uint8_t *page_flags;
	void (*watch)(void *ctx, uint64_t page, uint32_t off, size_t len);
	void *watch_ctx;
};

/* Demand-zero memory: pages cost nothing until written. */
static void *mem_map(uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

#define HUGE_PAGE (2ull << 20)

/* RAM as huge pages where the host has them: a guest's boot touches most of it, a page fault each. */
static uint8_t *mem_map_ram(uint64_t size)
{
	const uint64_t room = size + HUGE_PAGE;
	uint8_t *p = mem_map(room), *ram;
	if (!p)
		return NULL;
	ram = p + (-(uintptr_t)p & (HUGE_PAGE - 1));
	if (ram != p)
		munmap(p, (size_t)(ram - p));
	munmap(ram + size, room - size - (uint64_t)(ram - p));
	(void)madvise(ram, size, MADV_HUGEPAGE);
	return ram;
}

int mem_create(struct guest_mem **out, uint64_t size, uint64_t aux_pages, struct rv_err *err)
{
	struct guest_mem *m;
	if (size < MEM_SIZE_MIN || size > MEM_SIZE_MAX || size % RV_PAGE_SIZE)
		return rv_err_set(err, RV_EUSAGE,
				  "--memory must be a multiple of 4 KiB from 1M to 64G");
	m = calloc(1, sizeof(*m));
	if (!m)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	m->size = size;
	m->ram_pages = size >> RV_PAGE_SHIFT;
	m->pages = m->ram_pages + aux_pages;
	m->low_size = size < MEM_HOLE_START ? size : MEM_HOLE_START;
	m->epoch = 1;
	m->ram = mem_map_ram(m->pages << RV_PAGE_SHIFT);
	m->page_epoch = mem_map(m->pages * sizeof(*m->page_epoch));
	m->page_flags = mem_map(m->pages);
	if (!m->ram || !m->page_epoch || !m->page_flags) {
		mem_destroy(m);
		return rv_err_set(err, RV_ENOMEM,
				  "cannot reserve %llu MiB of guest memory: use a smaller --memory",
				  (unsigned long long)(size >> 20));
	}
	*out = m;
	return RV_OK;
}

void mem_destroy(struct guest_mem *m)
{
	if (!m)
		return;
	if (m->ram)
		munmap(m->ram, m->pages << RV_PAGE_SHIFT);
	if (m->page_epoch)
		munmap(m->page_epoch, m->pages * sizeof(*m->page_epoch));
	if (m->page_flags)
		munmap(m->page_flags, m->pages);
	free(m);
}

uint64_t mem_size(const struct guest_mem *m)
{
	return m->size;
}

uint64_t mem_ram_pages(const struct guest_mem *m)
{
	return m->ram_pages;
}

uint64_t mem_pages(const struct guest_mem *m)
{
	return m->pages;
}

uint64_t mem_low_size(const struct guest_mem *m)
{
	return m->low_size;
}

uint64_t mem_high_size(const struct guest_mem *m)
{
	return m->size - m->low_size;
}

uint64_t mem_page_of(const struct guest_mem *m, gpa_t gpa)
{
	if (gpa < m->low_size)
		return gpa >> RV_PAGE_SHIFT;
	if (gpa >= MEM_HOLE_END && gpa - MEM_HOLE_END < m->size - m->low_size)
		return (gpa - MEM_HOLE_END + m->low_size) >> RV_PAGE_SHIFT;
	return MEM_NO_PAGE;
}

gpa_t mem_page_gpa(const struct guest_mem *m, uint64_t page)
{
	uint64_t off = page << RV_PAGE_SHIFT;
	RV_ASSERT(page < m->ram_pages);
	return off < m->low_size ? off : off - m->low_size + MEM_HOLE_END;
}

uint8_t *mem_page_host(const struct guest_mem *m, uint64_t page)
{
	RV_ASSERT(page < m->pages);
	return m->ram + (page << RV_PAGE_SHIFT);
}

void mem_read(const struct guest_mem *m, gpa_t gpa, void *out, size_t len)
{
	uint8_t *o = out;
	while (len) {
		uint64_t page = mem_page_of(m, gpa);
		size_t off = gpa & (RV_PAGE_SIZE - 1);
		size_t n = RV_PAGE_SIZE - off < len ? RV_PAGE_SIZE - off : len;
		if (page == MEM_NO_PAGE)
			memset(o, 0, n);
		else
			memcpy(o, m->ram + (page << RV_PAGE_SHIFT) + off, n);
		o += n;
		gpa += n;
		len -= n;
	}
}

void mem_page_write(struct guest_mem *m, uint64_t page, uint32_t off, const void *data, size_t len)
{
	RV_ASSERT(page < m->pages && off <= RV_PAGE_SIZE && len <= RV_PAGE_SIZE - off);
	if (m->page_flags[page] && m->watch)
		m->watch(m->watch_ctx, page, off, len);
	mem_page_touch(m, page);
	memcpy(m->ram + (page << RV_PAGE_SHIFT) + off, data, len);
}

void mem_write(struct guest_mem *m, gpa_t gpa, const void *data, size_t len)
{
	const uint8_t *d = data;
	while (len) {
		uint64_t page = mem_page_of(m, gpa);
		size_t off = gpa & (RV_PAGE_SIZE - 1);
		size_t n = RV_PAGE_SIZE - off < len ? RV_PAGE_SIZE - off : len;
		if (page != MEM_NO_PAGE)
			mem_page_write(m, page, (uint32_t)off, d, n);
		d += n;
		gpa += n;
		len -= n;
	}
}

uint32_t mem_epoch(const struct guest_mem *m)
{
	return m->epoch;
}

uint32_t mem_epoch_advance(struct guest_mem *m)
{
	RV_ASSERT(m->epoch != UINT32_MAX);
	return ++m->epoch;
}

void mem_page_touch(struct guest_mem *m, uint64_t page)
{
	m->page_epoch[page] = m->epoch;
}

uint32_t mem_page_epoch(const struct guest_mem *m, uint64_t page)
{
	return m->page_epoch[page];
}

uint8_t mem_page_flags(const struct guest_mem *m, uint64_t page)
{
	return m->page_flags[page];
}

void mem_page_flags_set(struct guest_mem *m, uint64_t page, uint8_t flags)
{
	m->page_flags[page] |= flags;
}

void mem_page_flags_clear(struct guest_mem *m, uint64_t page, uint8_t flags)
{
	m->page_flags[page] &= (uint8_t)~flags;
}

void mem_watch(struct guest_mem *m, void (*fn)(void *ctx, uint64_t page, uint32_t off, size_t len),
	       void *ctx)
{
	m->watch = fn;
	m->watch_ctx = ctx;
}
