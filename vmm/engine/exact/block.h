/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoded blocks: runs of instructions within one page (or one instruction
 * across two), keyed by physical address and mode, shared by all vCPUs.
 * A store to any 64-byte granule a block was decoded from drops the block.
 * Those that run often get host code (jit.h).
 */
#ifndef RV_EXACT_BLOCK_H
#define RV_EXACT_BLOCK_H

#include "exact.h"

#define XBLOCK_MAX_INSNS 48u

struct xblock_link {
	struct xblock_link *next;
	struct xblock *block;
};

struct xblock {
	uint64_t page;  /* RAM page of the first byte */
	uint64_t page2; /* of the last byte, when one instruction crosses; else MEM_NO_PAGE */
	uint32_t mode;
	uint16_t off;   /* of the first byte in its page */
	uint16_t nbytes;
	uint16_t n;
	bool valid;     /* false: dropped, waits for the arena to be emptied */
	uint8_t heat;   /* times it was asked for by the translator, up to its threshold */
	struct xjit_block *jit[2]; /* [user] host code that starts here, or NULL */
	struct xjit_part *parts;   /* all host code that it is in */
	struct xblock *hash_next;
	struct xblock_link link[2]; /* on the lists of page and page2 */
	struct dinsn insn[];
};

struct xblocks;
struct xjit;
/* jit: told of every block that goes; may be NULL. */
int xblocks_create(struct xblocks **out, struct guest_mem *mem, struct xjit *jit);
void xblocks_destroy(struct xblocks *x);
/* The block at c's current RIP (lin: its linear address): found, or decoded now. Raises the fault of a
 * fetch. Never NULL. May empty the arena: no block may be running. */
struct xblock *xblocks_get(struct xblocks *x, struct xcpu *c, uint64_t lin);
/* The block at an offset of a RAM page, or NULL. */
struct xblock *xblocks_find(struct xblocks *x, uint64_t page, unsigned off, uint32_t mode);
/* Drops what was decoded from bytes [off, off + len) of a page; true if that was anything. */
bool xblocks_drop(struct xblocks *x, uint64_t page, unsigned off, size_t len);
void xblocks_flush(struct xblocks *x);
/* No block has translated code any more. */
void xblocks_code_forget(struct xblocks *x);
/* Bumped when blocks are freed (not merely dropped): pointers kept outside are dead. */
uint32_t xblocks_gen(const struct xblocks *x);
uint64_t xblocks_built(const struct xblocks *x);

#endif
