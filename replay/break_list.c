/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/break_list.h"

#include <stdlib.h>

static bool kind_is_exec(enum debug_break_kind kind)
{
	return kind == DEBUG_BREAK_SW || kind == DEBUG_BREAK_HW;
}

static enum engine_break_kind engine_kind(enum debug_break_kind kind)
{
	switch (kind) {
	case DEBUG_WATCH_WRITE:
		return ENGINE_BREAK_WRITE;
	case DEBUG_WATCH_READ:
		return ENGINE_BREAK_READ;
	case DEBUG_WATCH_ACCESS:
		return ENGINE_BREAK_ACCESS;
	default:
		return ENGINE_BREAK_EXEC;
	}
}

void break_list_fini(struct break_list *l)
{
	free(l->item);
	l->item = NULL;
	l->n = l->cap = l->nwatch = 0;
}

void break_list_arm(struct break_list *l, bool on)
{
	if (l->armed == on)
		return;
	l->armed = on;
	for (size_t i = 0; i < l->n; i++) {
		const struct break_item *b = &l->item[i];
		if (on)
			(void)machine_break_set(l->machine, engine_kind(b->kind), b->addr, b->len);
		else
			(void)machine_break_clear(l->machine, engine_kind(b->kind), b->addr, b->len);
	}
}

int break_list_set(struct break_list *l, enum debug_break_kind kind, uint64_t addr, uint64_t len,
		   const struct debug_cond *cond)
{
	int rc;
	/* GDB gives the length of the trap instruction for code. */
	if (len == 0 || kind_is_exec(kind))
		len = 1;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		struct break_item *p = realloc(l->item, cap * sizeof(*p));
		if (!p)
			return RV_ENOMEM;
		l->item = p;
		l->cap = cap;
	}
	/* The engine says whether it can, with all the others set. */
	break_list_arm(l, true);
	rc = machine_break_set(l->machine, engine_kind(kind), addr, len);
	if (rc == RV_OK) {
		l->item[l->n++] = (struct break_item){
			.kind = kind,
			.addr = addr,
			.len = len,
			.cond = cond ? *cond : (struct debug_cond){ NULL, NULL },
		};
		l->nwatch += !kind_is_exec(kind);
	}
	break_list_arm(l, false);
	return rc;
}

int break_list_clear(struct break_list *l, enum debug_break_kind kind, uint64_t addr, uint64_t len)
{
	if (len == 0 || kind_is_exec(kind))
		len = 1;
	for (size_t i = 0; i < l->n; i++) {
		struct break_item *b = &l->item[i];
		if (b->kind != kind || b->addr != addr || b->len != len)
			continue;
		break_list_arm(l, false);
		l->nwatch -= !kind_is_exec(kind);
		*b = l->item[--l->n];
		return RV_OK;
	}
	return RV_ENOENT;
}

bool break_list_in_space(const struct break_list *l)
{
	struct cpu_state s;
	if (!l->space_only)
		return true;
	machine_cpu_state(l->machine, machine_current(l->machine), &s);
	return (s.cr3 & BREAK_SPACE_MASK) == l->space;
}

bool break_list_wanted(const struct break_list *l, const struct engine_stop *es,
		       struct debug_stop *stop)
{
	const unsigned cpu = machine_current(l->machine); /* it met what it met in its turn */
	gpa_t gpa;
	if (!break_list_in_space(l))
		return false;
	for (size_t i = 0; i < l->n; i++) {
		const struct break_item *b = &l->item[i];
		bool exec = kind_is_exec(b->kind);
		if (engine_kind(b->kind) != es->break_kind)
			continue;
		if (exec ? b->addr != es->break_addr : es->break_addr - b->addr >= b->len)
			continue;
		if (b->cond.test && !b->cond.test(b->cond.ctx, cpu))
			continue;
		/* Where nothing is mapped nothing is executed (engine_ops.break_filter). */
		if (exec && machine_translate(l->machine, cpu, b->addr, &gpa) != RV_OK)
			continue;
		*stop = (struct debug_stop){ .reason = DEBUG_STOP_BREAK,
					     .cpu = cpu,
					     .kind = b->kind,
					     .addr = exec ? b->addr : es->break_addr };
		return true;
	}
	return false;
}

bool break_list_hit(void *ctx, const struct engine_stop *es)
{
	const struct break_hit *h = ctx;
	return break_list_wanted(h->list, es, h->stop);
}
