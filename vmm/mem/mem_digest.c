/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "mem/mem.h"

struct mem_digest {
	struct guest_mem *mem;
	uint32_t cursor; /* pages of this epoch or later may have changed since the last update */
	struct digest128 sum;
	struct digest128 *page; /* each page's share of the sum */
};

int mem_digest_create(struct mem_digest **out, struct guest_mem *m)
{
	struct mem_digest *d = calloc(1, sizeof(*d));
	if (!d)
		return RV_ENOMEM;
	d->mem = m;
	d->cursor = 1; /* epoch 0 pages were never written: zeros, which have no share */
	d->page = mmap(NULL, mem_pages(m) * sizeof(*d->page), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->page == MAP_FAILED) {
		free(d);
		return RV_ENOMEM;
	}
	*out = d;
	return RV_OK;
}

void mem_digest_destroy(struct mem_digest *d)
{
	if (!d)
		return;
	munmap(d->page, mem_pages(d->mem) * sizeof(*d->page));
	free(d);
}

static bool mem_page_is_zero(const uint8_t *p)
{
	/* The first word decides for nearly every page in use. */
	return le64_get(p) == 0 && memcmp(p, p + 8, RV_PAGE_SIZE - 8) == 0;
}

struct digest128 mem_digest_update(struct mem_digest *d)
{
	uint64_t pages = mem_pages(d->mem);
	for (uint64_t i = 0; i < pages; i++) {
		const uint8_t *host;
		struct digest128 now = { 0, 0 };
		if (mem_page_epoch(d->mem, i) < d->cursor)
			continue;
		host = mem_page_host(d->mem, i);
		if (!mem_page_is_zero(host))
			now = digest_bytes(host, RV_PAGE_SIZE, i);
		d->sum = digest_add(digest_sub(d->sum, d->page[i]), now);
		d->page[i] = now;
	}
	d->cursor = mem_epoch_advance(d->mem);
	return d->sum;
}
