/* SPDX-License-Identifier: Apache-2.0 */
/* Page tables of 64-bit guests. Level 1 is a PTE, 2 a PDE, 3 a PDPTE, 4 a PML4E. */
#ifndef GUEST_PT_H
#define GUEST_PT_H

#include "guest.h"

/* A range of linear addresses (PML4 entry 1) that start-up leaves unmapped. */
#define PT_FREE 0x8000000000ull

/* The entry that maps va at `level`; tables above it are made, present, writable and user. */
volatile uint64_t *pt_entry(uint64_t va, unsigned level);
void pt_map(uint64_t va, uint64_t entry, unsigned level);

#endif
