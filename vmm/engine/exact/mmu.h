/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation caches of one vCPU, shared by mmu.c (walks, invalidation) and
 * access.c (loads and stores). Nothing outside these two includes this.
 *
 * "As if there were no TLB": a cached translation lives only as long as every
 * byte of RAM it was made from keeps its value. So each page-table page that a
 * walk read is listed here and carries MEM_PAGE_TABLE, which keeps it out of
 * all write tables; a store to it comes to xmmu_table_write().
 */
#ifndef RV_EXACT_MMU_H
#define RV_EXACT_MMU_H

#include "exact.h"

#define PTE_P 0x001ull
#define PTE_RW 0x002ull
#define PTE_US 0x004ull
#define PTE_A 0x020ull
#define PTE_D 0x040ull
#define PTE_PS 0x080ull
#define PTE_SOFT 0xe00ull /* ignored by the processor */
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

#define PF_P 0x01u
#define PF_W 0x02u
#define PF_U 0x04u
#define PF_RSVD 0x08u
#define PF_I 0x10u

#define XMMU_TABLES 2048u /* page-table pages listed at most; more: flush and start again */
#define XMMU_HASH 8192u   /* power of two, several times XMMU_TABLES */
#define XMMU_FETCH 256u
#define XMMU_SLOW 64u
#define XMMU_PDE 64u
#define XMMU_DROPPED (1ull << 62) /* in the tag of an empty slot that the filled list still has */
#define XMMU_NO_TAG UINT64_MAX    /* in tables looked up by exact tag only */

/* A page-table page that translations came through. */
struct xtable_page {
	uint64_t page; /* RAM page */
	uint64_t lin;  /* first linear address it maps */
	uint16_t hash; /* its slot */
	uint8_t level; /* 1 holds PTEs */
	bool multi;    /* was met at two places: lin and level say nothing */
	uint64_t fetched[16]; /* level 1: entries that instructions were fetched through */
};

struct xpage_entry {
	uint64_t tag;  /* linear page address */
	uint64_t page; /* RAM page */
};

/* Upper levels of a walk, remembered: what leads to one level-1 table. */
struct xpde_entry {
	uint64_t tag;  /* linear address of the region */
	uint64_t page; /* RAM page of the level-1 table */
	uint64_t perm; /* PTE_RW and PTE_US of all upper levels ANDed, PTE_NX ORed */
};

struct xmmu {
	struct xtlb_entry tab[2][2][XTLB_SIZE]; /* [user][enum xaccess] */
	struct xtlb_entry miss[XTLB_SIZE];      /* all empty, for ever */
	uint16_t filled[2][2][XTLB_SIZE];       /* slots to empty at a flush */
	unsigned nfilled[2][2];
	struct xpage_entry fetch[2][XMMU_FETCH];
	/* Writable translations of pages that must not be in a write table (code, page tables). */
	struct xpage_entry slow[2][XMMU_SLOW];
	struct xpde_entry pde[XMMU_PDE];
	bool small_used; /* fetch, slow or pde hold something */
	struct xtable_page table[XMMU_TABLES];
	unsigned ntables;
	uint16_t hash[XMMU_HASH]; /* index into table + 1; 0: empty */
	uint64_t misses, flushes;
};

/* Walks for an access, sets A/D bits, lists the tables. Returns the physical address of the page.
 * Raises #PF. lin must be canonical. */
gpa_t xmmu_translate(struct xcpu *c, uint64_t lin, enum xaccess acc, bool user);
void xmmu_tlb_fill(struct xmmu *u, bool user, enum xaccess acc, uint64_t lin, uint8_t *host);
/* Like xmmu_table_write(), knowing the bytes to come. */
void xmmu_table_store(struct xcpu *c, uint64_t page, unsigned off, const void *data, unsigned len);

#endif
