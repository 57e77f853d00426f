/* SPDX-License-Identifier: Apache-2.0 */
#include "blk_index.h"

#include "base/bytes.h"
#include "base/log.h"

#define ENTRY 16u
#define ENTRIES_PER_PAGE (RV_PAGE_SIZE / ENTRY)
/* The first word of an entry: 0 base, 1 zeros, else the log's block and this. */
#define WORD_ZERO 1u
#define WORD_LOG 2u

uint64_t blk_index_pages(uint64_t blocks)
{
	return (blocks + ENTRIES_PER_PAGE - 1) / ENTRIES_PER_PAGE;
}

struct blk_entry blk_index_get(const struct blk_index *x, uint64_t block)
{
	const uint8_t *p = mem_page_host(x->mem, x->page + block / ENTRIES_PER_PAGE) +
			   block % ENTRIES_PER_PAGE * ENTRY;
	uint64_t word = le64_get(p);
	if (word < WORD_LOG)
		return (struct blk_entry){ .place = word == WORD_ZERO ? DISK_ZERO : DISK_BASE };
	return (struct blk_entry){ .place = DISK_LOG, .log = word - WORD_LOG, .hash = le64_get(p + 8) };
}

void blk_index_set(const struct blk_index *x, uint64_t block, const struct blk_entry *e)
{
	uint8_t raw[ENTRY] = { 0 };
	if (e->place == DISK_LOG) {
		le64_put(raw, e->log + WORD_LOG);
		le64_put(raw + 8, e->hash);
	} else {
		le64_put(raw, e->place == DISK_ZERO ? WORD_ZERO : 0);
	}
	mem_page_write(x->mem, x->page + block / ENTRIES_PER_PAGE,
		       (uint32_t)(block % ENTRIES_PER_PAGE * ENTRY), raw, ENTRY);
}

void blk_index_extents(const struct blk_index *x, uint64_t block, uint32_t n, uint32_t at,
		       struct disk_io *io)
{
	struct disk_extent *last = NULL;
	for (uint32_t i = 0; i < n; i++) {
		const struct blk_entry e = blk_index_get(x, block + i);
		uint64_t where = e.place == DISK_LOG ? e.log : block + i;
		if (last && last->place == e.place && last->block + last->nblocks == where) {
			last->nblocks++;
			continue;
		}
		RV_ASSERT(io->nsrc < DISK_EXTENTS);
		last = &io->src[io->nsrc++];
		*last = (struct disk_extent){ .place = e.place, .block = where, .at = at + i, .nblocks = 1 };
	}
}

void blk_index_used(const struct blk_index *x, uint8_t *bits, uint64_t n)
{
	uint64_t pages = blk_index_pages(x->blocks);
	for (uint64_t p = 0; p < pages; p++) {
		if (!mem_page_epoch(x->mem, x->page + p))
			continue; /* never written */
		for (uint64_t i = 0; i < ENTRIES_PER_PAGE; i++) {
			uint64_t word = le64_get(mem_page_host(x->mem, x->page + p) + i * ENTRY);
			if (word >= WORD_LOG && word - WORD_LOG < n)
				bits[(word - WORD_LOG) / 8] |= (uint8_t)(1u << (word - WORD_LOG) % 8);
		}
	}
}
