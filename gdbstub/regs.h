/* SPDX-License-Identifier: Apache-2.0 */
/* The registers GDB sees: one table gives their order, the bytes of g/G/p/P, and target.xml. */
#ifndef RV_GDBSTUB_REGS_H
#define RV_GDBSTUB_REGS_H

#include "cpu/state.h"

#define REGS_SIZE_MAX 16u
#define REGS_RIP 16u /* GDB's number of it */

enum regs_feature { REGS_CORE, REGS_SSE, REGS_SEGMENTS, REGS_SYSTEM, REGS_NFEATURE };

struct regs_desc {
	const char *name, *type;
	uint8_t feature; /* enum regs_feature; the table is in their order */
	uint8_t kind;    /* regs.c's own */
	uint8_t index;
	uint8_t size;    /* bytes */
};

/* NULL: there is no such register. The table has no gaps. */
const struct regs_desc *regs_desc_get(unsigned regnum);
/* Little-endian, as on the wire. Returns the size, 0: no such register. */
size_t regs_read(const struct cpu_state *s, unsigned regnum, uint8_t out[REGS_SIZE_MAX]);
/*
 * RV_EINVAL: no such register, or a value the canonical state cannot hold.
 * Mode bits (CR0, CR4, EFER, DRn) and, in protected mode, selectors (their
 * hidden part is not GDB's to give) take no other value than their own.
 * Reserved bits are dropped.
 */
int regs_write(struct cpu_state *s, unsigned regnum, const uint8_t *in);

#endif
