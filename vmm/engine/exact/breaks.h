/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints and watchpoints of a debugger, by linear address, one set for
 * all vCPUs. None of it is seen by the guest or by icount.
 *
 * EXEC: a hit is a boundary whose next instruction is at the address, found
 * before that instruction is fetched, so that no accessed bit is set early.
 * Whether a boundary is a hit depends on the state alone: an instruction that
 * faults is met again when it is tried again, and a repeated string
 * instruction before each iteration. Where nothing is mapped there is no hit.
 * Blocks with a breakpoint are run up to it, the breakpoint's own address is
 * never in the jump cache (run.c); all others run as if there were none.
 *
 * Watchpoints: every load and store of an instruction or of a delivery, also
 * the implicit ones (stacks, descriptors, IDT, TSS). Not instruction fetches,
 * page walks and DMA. Watched pages stay out of the TLB's tables (access.c), so
 * each access to them comes to xbreaks_access(); all others run at full speed.
 */
#ifndef RV_EXACT_BREAKS_H
#define RV_EXACT_BREAKS_H

#include "block.h"

#define XBREAKS_EXEC 1024u /* addresses */
#define XBREAKS_WATCH 64u  /* ranges */

struct xbreak_exec {
	uint64_t addr;
	uint32_t count;
};

struct xbreak_watch {
	uint64_t first, last; /* bytes */
	enum engine_break_kind kind;
	uint32_t count;
};

struct xbreaks {
	unsigned nexec, nwatch;
	icount_t skip; /* EXEC breakpoints are not met at this icount */
	bool hit;      /* what follows was met since run() began */
	enum engine_break_kind hit_kind;
	uint64_t hit_addr;
	uint64_t hit_watch;              /* bit i: watch[i] was touched by this instruction */
	uint64_t hit_at[XBREAKS_WATCH];  /* its first byte that was */
	bool (*filter)(void *ctx, const struct engine_stop *stop); /* engine_ops.break_filter */
	void *filter_ctx;
	struct xbreak_watch watch[XBREAKS_WATCH];
	struct xbreak_exec exec[XBREAKS_EXEC]; /* ascending */
};

void xbreaks_init(struct xbreaks *k);
/* RV_OK, RV_EINVAL for an impossible kind or range, RV_ENOSPC: no room. After setting one the
 * caller drops what was cached without knowing of it. */
int xbreaks_set(struct xbreaks *k, enum engine_break_kind kind, uint64_t addr, uint64_t len);
/* RV_OK, or RV_ENOENT if it is not set. */
int xbreaks_clear(struct xbreaks *k, enum engine_break_kind kind, uint64_t addr, uint64_t len);

/* Is there an EXEC breakpoint at this address? */
bool xbreaks_exec_at(const struct xbreaks *k, uint64_t lin);
/* How many of the block's instructions come before the first one that has a breakpoint. */
unsigned xbreaks_exec_before(const struct xbreaks *k, uint64_t lin, const struct xblock *b);
/* Does any EXEC breakpoint have a page offset in [off, off + len)? */
bool xbreaks_offset_in(const struct xbreaks *k, unsigned off, unsigned len);
/* At a boundary, next instruction at lin: if run() is to stop, true and the hit recorded. */
bool xbreaks_exec_stop(struct xcpu *c, uint64_t lin);
/* Behind an instruction that touched watchpoints, its icount counted: true if the filter wants none of
 * them; then there was no hit. */
bool xbreaks_watch_pass(struct xcpu *c);

/* Must the page of lin stay out of the table of this kind of access? A watched read keeps it out of
 * the write table too: a read-modify-write reads through that one. */
bool xbreaks_page_watched(const struct xbreaks *k, uint64_t lin, enum xaccess acc);
/* [lin, lin + size), within one page, was just read or written: records the watchpoints that match
 * and makes run() stop after this instruction. */
void xbreaks_access(struct xcpu *c, uint64_t lin, unsigned size, enum xaccess acc);

#endif
