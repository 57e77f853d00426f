/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the newest contents of each block of a disk lie: an array of 16-byte
 * entries in auxiliary pages of guest memory, so that it is checkpointed,
 * digested and restored with RAM. Nothing is cached beside it.
 */
#ifndef RV_DEV_BLK_INDEX_H
#define RV_DEV_BLK_INDEX_H

#include "mem/mem.h"
#include "port/disk.h"

struct blk_index {
	struct guest_mem *mem;
	uint64_t page;   /* first */
	uint64_t blocks; /* of the disk */
};

struct blk_entry {
	enum disk_place place;
	uint64_t log;  /* DISK_LOG: block of the log */
	uint64_t hash; /* DISK_LOG: low half of the XXH3-128 of the contents */
};

uint64_t blk_index_pages(uint64_t blocks);
struct blk_entry blk_index_get(const struct blk_index *x, uint64_t block);
void blk_index_set(const struct blk_index *x, uint64_t block, const struct blk_entry *e);
/* Appends the places of blocks [block, block + n) to io->src, the first to be at data block `at`. At most
 * DISK_EXTENTS in all, which n keeps. */
void blk_index_extents(const struct blk_index *x, uint64_t block, uint32_t n, uint32_t at,
		       struct disk_io *io);
/* Sets the bits of the log's blocks below n that an entry refers to. */
void blk_index_used(const struct blk_index *x, uint8_t *bits, uint64_t n);

#endif
