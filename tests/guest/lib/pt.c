/* SPDX-License-Identifier: Apache-2.0 */
#include "pt.h"

#define POOL 64
static uint64_t pool[POOL][512] __attribute__((aligned(4096)));
static unsigned pool_used;

volatile uint64_t *pt_entry(uint64_t va, unsigned level)
{
	uint64_t *table = boot_pml4;
	for (unsigned l = 4; l > level; l--) {
		uint64_t *e = &table[va >> (12 + 9 * (l - 1)) & 511];
		if (!(*e & PTE_P)) {
			CHECK(pool_used < POOL);
			*e = (uint64_t)(word)pool[pool_used++] | PTE_P | PTE_RW | PTE_US;
		}
		table = (uint64_t *)(word)(*e & 0xffffffffff000ull);
	}
	return &table[va >> (12 + 9 * (level - 1)) & 511];
}

void pt_map(uint64_t va, uint64_t entry, unsigned level)
{
	*pt_entry(va, level) = entry;
	invlpg((const void *)va);
}
