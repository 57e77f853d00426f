/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A debugger's breakpoints and watchpoints over a machine, with their
 * conditions: what the engine reports is a candidate, this decides. Shared by
 * the timeline and by a live machine's debug target. vCPU thread.
 */
#ifndef RV_REPLAY_BREAK_LIST_H
#define RV_REPLAY_BREAK_LIST_H

#include "gdbstub/debug_target.h"
#include "machine/machine.h"

struct break_item {
	enum debug_break_kind kind;
	uint64_t addr, len;
	struct debug_cond cond;
};

/* Zero-initialise, then set machine. */
struct break_list {
	struct machine *machine;
	struct break_item *item;
	size_t n, cap;
	size_t nwatch;   /* of them watchpoints */
	bool armed;      /* the engine has them */
	bool space_only; /* only hits with this address space count */
	uint64_t space;  /* CR3 masked by BREAK_SPACE_MASK */
};

#define BREAK_SPACE_MASK 0x000ffffffffff000ull

void break_list_fini(struct break_list *l);
/* RV_ENOTSUP, RV_EINVAL, RV_ENOSPC: the engine cannot. Both leave the list disarmed. */
int break_list_set(struct break_list *l, enum debug_break_kind kind, uint64_t addr, uint64_t len,
		   const struct debug_cond *cond);
int break_list_clear(struct break_list *l, enum debug_break_kind kind, uint64_t addr, uint64_t len);
/* Gives the engine the breakpoints, or takes them away while the machine moves on business of its owner. */
void break_list_arm(struct break_list *l, bool on);
/* Is what the engine reported one of ours, in the right address space, with its condition true? Of an
 * instruction that touches several watchpoints the engine reports one, so this is to be asked while it runs,
 * for each (machine_limits.hit). */
bool break_list_wanted(const struct break_list *l, const struct engine_stop *es,
		       struct debug_stop *stop);
/* As machine_limits.hit; ctx: a struct break_hit. */
struct break_hit {
	const struct break_list *list;
	struct debug_stop *stop;
};
bool break_list_hit(void *ctx, const struct engine_stop *es);
/* Is the machine in the address space that counts? */
bool break_list_in_space(const struct break_list *l);

#endif
