/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The debugger's verbs on a timeline.
 *
 * Steps in one address space (`monitor process`). A step that leaves it was a
 * MOV to CR3 (a task switch does the same for a guest that has those). The
 * space comes back by the same instruction of the kernel, so the step goes on
 * to where that instruction has run again with the space current: an EXEC
 * breakpoint at the one behind it, and hits in other spaces do not count.
 * Backwards likewise: to where the instruction was about to leave the space.
 */
#include "replay/replay_target.h"

#include <stdlib.h>

#include "replay/break_list.h"
#include "target_priv.h"

static struct replay_target *target_of(struct debug_target *base)
{
	return (struct replay_target *)base;
}

static struct machine *target_machine(struct debug_target *base)
{
	return timeline_machine(target_of(base)->timeline);
}

static unsigned target_ncpus(struct debug_target *base)
{
	return machine_ncpus(target_machine(base));
}

static bool target_can_reverse(struct debug_target *base)
{
	(void)base;
	return true;
}

static void target_regs_get(struct debug_target *base, unsigned cpu, struct cpu_state *out)
{
	machine_cpu_state(target_machine(base), cpu, out);
}

static int target_regs_set(struct debug_target *base, unsigned cpu, const struct cpu_state *s)
{
	int rc = timeline_divert(target_of(base)->timeline);
	return rc == RV_OK ? machine_set_cpu_state(target_machine(base), cpu, s) : rc;
}

static int target_mem_read(struct debug_target *base, unsigned cpu, bool phys, uint64_t addr, void *out,
			   size_t len)
{
	return debug_mem_read(target_machine(base), cpu, phys, addr, out, len);
}

struct writing {
	struct replay_target *target;
	const uint8_t *data; /* NULL: only looking whether it can be done */
};

static int write_piece(void *ctx, gpa_t gpa, size_t offset, size_t len)
{
	struct writing *w = ctx;
	if (w->data)
		mem_write(machine_mem(timeline_machine(w->target->timeline)), gpa, w->data + offset, len);
	return RV_OK;
}

static int target_mem_write(struct debug_target *base, unsigned cpu, bool phys, uint64_t addr,
			    const void *data, size_t len)
{
	struct writing w = { .target = target_of(base) };
	int rc = debug_mem_each(target_machine(base), cpu, phys, addr, len, write_piece, &w);
	/* No copy is made for a write that fails. */
	if (rc == RV_OK && len)
		rc = timeline_divert(w.target->timeline);
	w.data = data;
	return rc == RV_OK && len ?
		       debug_mem_each(target_machine(base), cpu, phys, addr, len, write_piece, &w) :
		       rc;
}

static int target_break_set(struct debug_target *base, enum debug_break_kind kind, uint64_t addr,
			    uint64_t len, const struct debug_cond *cond)
{
	return timeline_break_set(target_of(base)->timeline, kind, addr, len, cond);
}

static int target_break_clear(struct debug_target *base, enum debug_break_kind kind, uint64_t addr,
			      uint64_t len)
{
	return timeline_break_clear(target_of(base)->timeline, kind, addr, len);
}

/* ---- motion ---- */

static bool target_in_space(const struct replay_target *t)
{
	struct cpu_state s;
	if (!t->space_only)
		return true;
	machine_cpu_state(timeline_machine(t->timeline),
			  machine_current(timeline_machine(t->timeline)), &s);
	return (s.cr3 & BREAK_SPACE_MASK) == t->space;
}

/* From where the machine is to where the code at rip runs next (or ran last) in the space. */
static int target_return_to_space(struct replay_target *t, bool back, uint64_t rip,
				  struct timeline_poll poll, struct debug_stop *stop)
{
	int rc = timeline_break_set(t->timeline, DEBUG_BREAK_HW, rip, 1, NULL);
	if (rc != RV_OK)
		return rc;
	rc = back ? timeline_reverse_continue(t->timeline, poll, stop) :
		    timeline_continue(t->timeline, poll, stop);
	(void)timeline_break_clear(t->timeline, DEBUG_BREAK_HW, rip, 1);
	if (rc == RV_OK && stop->reason == DEBUG_STOP_BREAK && stop->kind == DEBUG_BREAK_HW &&
	    stop->addr == rip)
		*stop = (struct debug_stop){ .reason = DEBUG_STOP_STEP };
	return rc;
}

static int target_step(struct replay_target *t, bool back, struct timeline_poll poll,
		       struct debug_stop *stop)
{
	bool inside = target_in_space(t);
	struct cpu_state s;
	int rc = back ? timeline_reverse_step(t->timeline, poll, stop) :
			timeline_step(t->timeline, poll, stop);
	if (rc != RV_OK || !inside || target_in_space(t) || stop->reason != DEBUG_STOP_STEP ||
	    timeline_diverted(t->timeline))
		return rc;
	machine_cpu_state(timeline_machine(t->timeline),
			  machine_current(timeline_machine(t->timeline)), &s);
	return target_return_to_space(t, back, s.rip, poll, stop);
}

static int target_resume(struct debug_target *base, enum debug_motion motion, unsigned cpu,
			 bool (*poll)(void *ctx), void *ctx, struct debug_stop *stop)
{
	struct replay_target *t = target_of(base);
	struct timeline_poll p = { poll, ctx };
	int rc;

	(void)cpu; /* one vCPU moves all: history is one line */
	switch (motion) {
	case DEBUG_STEP:
		rc = target_step(t, false, p, stop);
		break;
	case DEBUG_REVERSE_STEP:
		rc = target_step(t, true, p, stop);
		break;
	case DEBUG_REVERSE_CONTINUE:
		rc = timeline_reverse_continue(t->timeline, p, stop);
		break;
	default:
		rc = timeline_continue(t->timeline, p, stop);
		break;
	}
	/* A breakpoint was met by one of them; anything else is about the one that ran last. */
	if (rc == RV_OK && stop->reason != DEBUG_STOP_BREAK)
		stop->cpu = machine_current(timeline_machine(t->timeline));
	if (t->cfg.motion_done)
		t->cfg.motion_done(t->cfg.ctx);
	return rc;
}

static void target_thread_info(struct debug_target *base, unsigned cpu, char *out, size_t len)
{
	debug_thread_info(target_machine(base), cpu, out, len);
}

static const struct debug_target_ops replay_target_ops = {
	.ncpus = target_ncpus,
	.can_reverse = target_can_reverse,
	.regs_get = target_regs_get,
	.regs_set = target_regs_set,
	.mem_read = target_mem_read,
	.mem_write = target_mem_write,
	.break_set = target_break_set,
	.break_clear = target_break_clear,
	.resume = target_resume,
	.monitor = replay_target_monitor,
	.thread_info = target_thread_info,
};

int replay_target_create(struct replay_target **out, const struct replay_target_cfg *cfg)
{
	struct replay_target *t = calloc(1, sizeof(*t));
	if (!t)
		return RV_ENOMEM;
	t->base.ops = &replay_target_ops;
	t->cfg = *cfg;
	t->timeline = cfg->timeline;
	*out = t;
	return RV_OK;
}

void replay_target_destroy(struct replay_target *t)
{
	free(t);
}

struct debug_target *replay_target_base(struct replay_target *t)
{
	return &t->base;
}
