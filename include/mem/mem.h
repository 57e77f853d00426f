/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: RAM below the PCI hole [3 GiB, 4 GiB) and above 4 GiB, as one
 * host mapping, with a dirty epoch and a flag byte for each page.
 *
 * A "page" here is an index (0 .. mem_pages()-1), not gpa >> 12: the two
 * differ above the hole. RAM comes first; behind it there may be *auxiliary*
 * pages, which no guest-physical address reaches: state of a device that is
 * large and changes little (a disk's block index) lives there, and is dirty-
 * tracked, digested, checkpointed and restored with RAM and in the same way.
 * Only the vCPU thread writes.
 *
 * Epochs: a page holds the epoch of its last write. Digests, checkpoints and
 * backups each keep a cursor (an epoch value); none clears for another.
 */
#ifndef RV_MEM_MEM_H
#define RV_MEM_MEM_H

#include "base/digest.h"
#include "base/status.h"
#include "base/types.h"

#define MEM_HOLE_START 0xC0000000ull
#define MEM_HOLE_END 0x100000000ull
#define MEM_SIZE_MIN (1ull << 20)
#define MEM_SIZE_MAX (64ull << 30)
#define MEM_NO_PAGE UINT64_MAX

/* Flag bits of a page: something was derived from its contents. A set bit makes mem_write() call
 * the watcher, and makes the engine route its own stores to its slow path. */
#define MEM_PAGE_CODE 0x01u /* decoded instructions */
#define MEM_PAGE_TABLE 0x02u /* a page-table page a cached translation was read from */

struct guest_mem;

/* size: bytes of RAM, a multiple of 4 KiB. Memory reads as zeros and costs nothing until written. */
int mem_create(struct guest_mem **out, uint64_t size, uint64_t aux_pages, struct rv_err *err);
void mem_destroy(struct guest_mem *m);

uint64_t mem_size(const struct guest_mem *m);
uint64_t mem_ram_pages(const struct guest_mem *m);
uint64_t mem_pages(const struct guest_mem *m); /* RAM and auxiliary */
/* RAM page of a guest-physical address, or MEM_NO_PAGE outside RAM. */
uint64_t mem_page_of(const struct guest_mem *m, gpa_t gpa);
gpa_t mem_page_gpa(const struct guest_mem *m, uint64_t page); /* of a RAM page */
/* Host address of a page's first byte. Writers through it must call mem_page_touch() first and
 * see to the page's flags themselves. */
uint8_t *mem_page_host(const struct guest_mem *m, uint64_t page);
/* End of RAM below the hole, and bytes above 4 GiB: what the memory map given to the guest says. */
uint64_t mem_low_size(const struct guest_mem *m);
uint64_t mem_high_size(const struct guest_mem *m);

/* Copies; any range, may cross pages; bytes outside RAM read as 0 / are dropped. mem_write() marks
 * dirty and calls the watcher for flagged pages *before* the bytes change. */
void mem_read(const struct guest_mem *m, gpa_t gpa, void *out, size_t len);
void mem_write(struct guest_mem *m, gpa_t gpa, const void *data, size_t len);

/* As mem_write(), by page: RAM or auxiliary. off + len <= RV_PAGE_SIZE. */
void mem_page_write(struct guest_mem *m, uint64_t page, uint32_t off, const void *data, size_t len);

uint32_t mem_epoch(const struct guest_mem *m);
/* Starts a new epoch and returns it. Between two engine runs only. */
uint32_t mem_epoch_advance(struct guest_mem *m);
void mem_page_touch(struct guest_mem *m, uint64_t page); /* marks dirty in the current epoch */
uint32_t mem_page_epoch(const struct guest_mem *m, uint64_t page); /* 0: never written */

uint8_t mem_page_flags(const struct guest_mem *m, uint64_t page);
void mem_page_flags_set(struct guest_mem *m, uint64_t page, uint8_t flags);
void mem_page_flags_clear(struct guest_mem *m, uint64_t page, uint8_t flags);
/* fn is called for a write by anyone but the engine itself to a page with flags, before the write. */
void mem_watch(struct guest_mem *m, void (*fn)(void *ctx, uint64_t page, uint32_t off, size_t len),
	       void *ctx);

/*
 * Digest: the sum modulo 2^128, over all pages (RAM and auxiliary) that are not all
 * zeros, of XXH3-128(contents, seed = page index). An incremental cursor:
 * update costs O(pages dirtied since the last update). Advances the epoch.
 */
struct mem_digest;
int mem_digest_create(struct mem_digest **out, struct guest_mem *m);
void mem_digest_destroy(struct mem_digest *d);
struct digest128 mem_digest_update(struct mem_digest *d);

#endif
