/* SPDX-License-Identifier: Apache-2.0 */
#include "live_target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/break_list.h"
#include "replay/monitor_linux.h"
#include "replay/replay_target.h"

#define SLICE (1u << 20) /* steps between two polls: 5 to 50 ms */

struct live_target {
	struct debug_target base;
	struct machine *machine;
	struct live *live;
	struct machine_limits limits;
	struct break_list breaks;
	bool ended;
	int rc;
	struct machine_result result;
	struct bytes payload;
	struct linux_layout linux_layout;
};

static struct live_target *target_of(struct debug_target *base)
{
	return (struct live_target *)base;
}

static unsigned live_ncpus(struct debug_target *base)
{
	return machine_ncpus(target_of(base)->machine);
}

static bool live_can_reverse(struct debug_target *base)
{
	(void)base;
	return false;
}

static void live_regs_get(struct debug_target *base, unsigned cpu, struct cpu_state *out)
{
	machine_cpu_state(target_of(base)->machine, cpu, out);
}

static int live_mem_read(struct debug_target *base, unsigned cpu, bool phys, uint64_t addr, void *out,
			 size_t len)
{
	return debug_mem_read(target_of(base)->machine, cpu, phys, addr, out, len);
}

/* ---- writes ---- */

static int write_event(struct live_target *t, unsigned cpu)
{
	int rc;

	if (t->ended)
		return RV_EEND;
	if (t->payload.failed)
		return RV_ENOMEM;
	rc = live_debug_write(t->live, cpu, t->payload.data, t->payload.len);
	if (rc == RV_OK)
		rc = machine_take_writes(t->machine, &t->limits);
	if (rc != RV_OK)
		live_debug_write_drop(t->live);
	return rc;
}

static int live_regs_set(struct debug_target *base, unsigned cpu, const struct cpu_state *s)
{
	struct live_target *t = target_of(base);
	struct cpu_state was;
	int rc;

	/* An impossible state must not become an event: the engine is asked first. */
	machine_cpu_state(t->machine, cpu, &was);
	rc = machine_set_cpu_state(t->machine, cpu, s);
	(void)machine_set_cpu_state(t->machine, cpu, &was);
	if (rc != RV_OK)
		return rc;
	bytes_clear(&t->payload);
	bytes_put_u8(&t->payload, ND_WRITE_CPU);
	state_save(&cpu_state_desc, s, &t->payload);
	return write_event(t, cpu);
}

struct writing {
	struct live_target *target;
	unsigned cpu;
	const uint8_t *data;
};

static int look_piece(void *ctx, gpa_t gpa, size_t offset, size_t len)
{
	(void)ctx;
	(void)gpa;
	(void)offset;
	(void)len;
	return RV_OK;
}

static int write_piece(void *ctx, gpa_t gpa, size_t offset, size_t len)
{
	struct writing *w = ctx;
	struct bytes *b = &w->target->payload;

	bytes_clear(b);
	bytes_put_u8(b, ND_WRITE_RAM);
	bytes_put_u64(b, gpa);
	bytes_put(b, w->data + offset, len);
	return write_event(w->target, w->cpu);
}

static int live_mem_write(struct debug_target *base, unsigned cpu, bool phys, uint64_t addr,
			  const void *data, size_t len)
{
	struct writing w = { target_of(base), cpu, data };
	int rc = debug_mem_each(w.target->machine, cpu, phys, addr, len, look_piece, NULL);

	return rc ? rc : debug_mem_each(w.target->machine, cpu, phys, addr, len, write_piece, &w);
}

/* ---- breakpoints and motion ---- */

static int live_break_set(struct debug_target *base, enum debug_break_kind kind, uint64_t addr,
			  uint64_t len, const struct debug_cond *cond)
{
	return break_list_set(&target_of(base)->breaks, kind, addr, len, cond);
}

static int live_break_clear(struct debug_target *base, enum debug_break_kind kind, uint64_t addr,
			    uint64_t len)
{
	return break_list_clear(&target_of(base)->breaks, kind, addr, len);
}

static bool ended(struct live_target *t, int rc, const struct machine_result *result)
{
	t->ended = true;
	t->rc = rc;
	t->result = *result;
	return true;
}

/* Runs up to `target`, a wanted hit, poll() or the end: true. poll is asked first, so that the machine
 * makes no step for a debugger that has gone. */
static bool live_motion(struct live_target *t, icount_t target, bool (*poll)(void *ctx), void *ctx,
			struct debug_stop *stop)
{
	struct machine_limits limits = t->limits;
	struct break_hit hit = { &t->breaks, stop };
	bool done = false;

	limits.hit = break_list_hit;
	limits.hit_ctx = &hit;
	limits.break_skip = machine_icount(t->machine);
	*stop = (struct debug_stop){ .reason = DEBUG_STOP_STEP };
	break_list_arm(&t->breaks, true);
	live_poll_halt(t->live, poll, ctx);
	live_resume(t->live);
	while (!done) {
		icount_t now = machine_icount(t->machine);
		struct machine_result res;
		int rc;

		limits.icount = target - now < SLICE ? target : now + SLICE;
		if (limits.icount > t->limits.icount)
			limits.icount = t->limits.icount;
		rc = machine_run(t->machine, &limits, &res);
		now = machine_icount(t->machine);
		if (rc == RV_EINTR) {
			stop->reason = DEBUG_STOP_INTERRUPT;
			done = true;
		} else if (rc == RV_OK && res.end == MACHINE_END_BREAK) {
			done = break_list_wanted(&t->breaks, &res.stop, stop);
			limits.break_skip = now;
		} else if (rc != RV_OK || res.end != MACHINE_END_LIMIT || now >= t->limits.icount) {
			stop->reason = DEBUG_STOP_EXITED;
			done = ended(t, rc, &res);
		} else if (now >= target) {
			done = true;
		} else if (poll && poll(ctx)) {
			stop->reason = DEBUG_STOP_INTERRUPT;
			done = true;
		}
	}
	live_pause(t->live);
	live_poll_halt(t->live, NULL, NULL);
	break_list_arm(&t->breaks, false);
	return t->ended;
}

static int live_resume_motion(struct debug_target *base, enum debug_motion motion, unsigned cpu,
			      bool (*poll)(void *ctx), void *ctx, struct debug_stop *stop)
{
	struct live_target *t = target_of(base);

	(void)cpu;
	if (motion == DEBUG_REVERSE_CONTINUE || motion == DEBUG_REVERSE_STEP)
		return RV_ENOTSUP;
	if (t->ended) {
		*stop = (struct debug_stop){ .reason = DEBUG_STOP_EXITED };
		return RV_OK;
	}
	live_motion(t, motion == DEBUG_STEP ? machine_icount(t->machine) + 1 : ICOUNT_MAX, poll, ctx, stop);
	if (stop->reason != DEBUG_STOP_BREAK)
		stop->cpu = machine_current(t->machine);
	return RV_OK;
}

static int live_monitor(struct debug_target *base, const char *line,
			void (*put)(void *ctx, const char *text), bool (*poll)(void *ctx), void *ctx,
			bool *moved)
{
	struct live_target *t = target_of(base);
	char text[160], hex[33];

	*moved = false;
	while (*line == ' ')
		line++;
	if (!strcmp(line, "ps"))
		return monitor_linux_ps(&t->linux_layout, t->machine, put, poll, ctx);
	if (!strncmp(line, "linux", 5) && (!line[5] || line[5] == ' '))
		return monitor_linux_set(&t->linux_layout, line + 5 + (line[5] == ' '), put, ctx);
	if (!strcmp(line, "when")) {
		snprintf(text, sizeof(text), "icount %" PRIu64 " seq %" PRIu64 " vns %" PRIu64 "\n",
			 machine_icount(t->machine), machine_seq(t->machine), machine_vns(t->machine));
		put(ctx, text);
		return RV_OK;
	}
	if (!strcmp(line, "digest")) {
		digest_hex(machine_digest(t->machine), hex);
		snprintf(text, sizeof(text), "icount %" PRIu64 " digest %s\n", machine_icount(t->machine),
			 hex);
		put(ctx, text);
		return RV_OK;
	}
	if (*line && strcmp(line, "help") != 0)
		return RV_EUSAGE;
	put(ctx, "when      the position: icount, events applied, virtual time\n"
		 "digest    digest of the whole state\n"
		 "ps        the guest's processes (the script's rv-linux first)\n"
		 "This machine is live: record it, and `retrovisor debug` goes backwards too.\n");
	return RV_OK;
}

static void live_thread_info(struct debug_target *base, unsigned cpu, char *out, size_t len)
{
	debug_thread_info(target_of(base)->machine, cpu, out, len);
}

static const struct debug_target_ops live_target_ops = {
	.ncpus = live_ncpus,
	.can_reverse = live_can_reverse,
	.regs_get = live_regs_get,
	.regs_set = live_regs_set,
	.mem_read = live_mem_read,
	.mem_write = live_mem_write,
	.break_set = live_break_set,
	.break_clear = live_break_clear,
	.resume = live_resume_motion,
	.monitor = live_monitor,
	.thread_info = live_thread_info,
};

int live_target_create(struct live_target **out, struct machine *m, struct live *live,
		       const struct machine_limits *limits)
{
	struct live_target *t = calloc(1, sizeof(*t));

	if (!t)
		return RV_ENOMEM;
	t->base.ops = &live_target_ops;
	t->machine = m;
	t->live = live;
	t->limits = *limits;
	t->breaks.machine = m;
	*out = t;
	return RV_OK;
}

void live_target_destroy(struct live_target *t)
{
	if (!t)
		return;
	break_list_fini(&t->breaks);
	bytes_fini(&t->payload);
	free(t);
}

struct debug_target *live_target_base(struct live_target *t)
{
	return &t->base;
}

bool live_target_run(struct live_target *t, bool (*poll)(void *ctx), void *ctx)
{
	struct debug_stop stop;

	return t->ended || live_motion(t, ICOUNT_MAX, poll, ctx, &stop);
}

int live_target_result(const struct live_target *t, struct machine_result *result)
{
	*result = t->result;
	return t->rc;
}
