/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Motion on a recording.
 *
 * Forward is running; backward is restoring a checkpoint and running. While
 * running towards a target T, checkpoints are left at T - 2^22, T - 2^19, ...
 * T - 2^10, so that the next steps back from T are short, and at multiples of
 * TIMELINE_SPACING for far ones.
 *
 * A hit belongs to the start position s of the instruction that makes it: an
 * EXEC breakpoint is met at s, a watchpoint is reported by the engine at
 * s + 1. Going forward a stop is where the engine reports it. Going backward
 * it is at s for both: the access is undone, which is what GDB expects of a
 * watchpoint in reverse. Reverse-continue from N finds the largest s < N by
 * scanning the intervals between checkpoints, last one first.
 */
#include "replay/timeline.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ckpt_list.h"
#include "history.h"
#include "replay/break_list.h"
#include "replay/replay.h"

#define TIMELINE_SPACING (1ull << 25)
#define TIMELINE_SLICE (1ull << 22) /* steps between two polls: about 20 ms */
#define TIMELINE_MEMORY (512ull << 20)
#define TIMELINE_NEAR_FIRST 22u /* log2 of the distances before a target */
#define TIMELINE_NEAR_LAST 10u
#define TIMELINE_NEAR_STEP 3u

struct timeline_output {
	struct output output;
	struct output *show;
	icount_t shown; /* what is behind this was on the screen before */
	bool any;
	bool quiet;
};

struct timeline {
	struct timeline_cfg cfg;
	struct timeline_output out;
	struct history *history;
	struct machine *machine;
	struct ckpt_list ckpts;
	struct break_list breaks;
	bool arrived; /* the machine stands at the first position of its icount */
	struct ckpt *home; /* while diverted: where the copy was made */
	uint64_t home_rip;
	bool home_arrived;
	icount_t from, to; /* of the motion, for progress */
};

static void timeline_emit(struct output *out, icount_t icount, enum out_kind kind, unsigned instance,
			  const void *data, size_t len)
{
	struct timeline_output *o = (struct timeline_output *)out;
	if (o->quiet || !o->show || (o->any && icount <= o->shown))
		return;
	o->shown = icount;
	o->any = true;
	output_emit(o->show, icount, kind, instance, data, len);
}

static const struct output_ops timeline_output_ops = { .emit = timeline_emit };

icount_t timeline_begin(const struct timeline *t)
{
	(void)t;
	return 0;
}

icount_t timeline_end(const struct timeline *t)
{
	return history_end(t->history);
}

struct exec_point timeline_now(const struct timeline *t)
{
	return (struct exec_point){ machine_icount(t->machine), machine_seq(t->machine) };
}

vns_t timeline_vns(const struct timeline *t)
{
	return machine_vns(t->machine);
}

struct machine *timeline_machine(struct timeline *t)
{
	return t->machine;
}

/* ---- checkpoints ---- */

static int timeline_take(struct timeline *t)
{
	const struct output_digest none = { .bytes = 0 };
	struct ckpt *c;
	int rc = ckpt_take(t->ckpts.store, &none, &c);
	if (rc != RV_OK)
		return rc;
	rc = ckpt_list_add(&t->ckpts, c);
	ckpt_list_thin(&t->ckpts, machine_icount(t->machine));
	return rc;
}

static int timeline_restore(struct timeline *t, const struct ckpt *c)
{
	struct output_digest none;
	t->arrived = true;
	return ckpt_restore(t->ckpts.store, c, &none);
}

void timeline_checkpoints(const struct timeline *t,
			  void (*fn)(void *ctx, const struct ckpt_info *info), void *ctx)
{
	for (size_t i = 0; i < t->ckpts.n; i++)
		fn(ctx, ckpt_info(t->ckpts.at[i]));
}

void timeline_checkpoints_drop(struct timeline *t)
{
	ckpt_list_drop_made(&t->ckpts);
}

/* Where the next checkpoint should be made on the way from `now` to `target`. */
static icount_t timeline_next_ckpt(icount_t now, icount_t target)
{
	icount_t next = (now / TIMELINE_SPACING + 1) * TIMELINE_SPACING;
	if (target == ICOUNT_MAX)
		return next;
	for (unsigned k = TIMELINE_NEAR_FIRST; k >= TIMELINE_NEAR_LAST; k -= TIMELINE_NEAR_STEP)
		if (target > 1ull << k && target - (1ull << k) > now &&
		    target - (1ull << k) < next)
			next = target - (1ull << k);
	return next;
}

/* ---- breakpoints ---- */

int timeline_break_set(struct timeline *t, enum debug_break_kind kind, uint64_t addr, uint64_t len,
		       const struct debug_cond *cond)
{
	return break_list_set(&t->breaks, kind, addr, len, cond);
}

int timeline_break_clear(struct timeline *t, enum debug_break_kind kind, uint64_t addr, uint64_t len)
{
	return break_list_clear(&t->breaks, kind, addr, len);
}

void timeline_space(struct timeline *t, bool only, uint64_t cr3)
{
	t->breaks.space_only = only;
	t->breaks.space = cr3 & BREAK_SPACE_MASK;
}

/* ---- running forward ---- */

enum run_end { RUN_TARGET, RUN_BREAK, RUN_POLL };

struct run {
	icount_t target;   /* at most the end of history, unless diverted */
	icount_t near;     /* leave checkpoints on the way to here; ICOUNT_MAX: only the regular ones */
	icount_t skip;     /* no EXEC breakpoint at this position */
	struct timeline_poll poll;
	bool make_ckpts;
};

/* Stops at the target, at the first wanted hit while breakpoints are armed, or when polled out. */
static int timeline_run(struct timeline *t, struct run *r, enum run_end *end, struct debug_stop *stop)
{
	for (;;) {
		icount_t now = machine_icount(t->machine);
		struct machine_limits limits = { .icount = now + TIMELINE_SLICE,
						 .break_skip = r->skip };
		struct machine_result res;
		icount_t ckpt = r->make_ckpts ? timeline_next_ckpt(now, r->near) : ICOUNT_MAX;
		int rc;

		if (now >= r->target) {
			*end = RUN_TARGET;
			return RV_OK;
		}
		if (limits.icount > r->target)
			limits.icount = r->target;
		if (limits.icount > ckpt)
			limits.icount = ckpt;
		rc = machine_run(t->machine, &limits, &res);
		if (t->home && (rc == RV_EEND || rc == RV_EDIVERGED)) {
			*end = RUN_TARGET; /* a copy that halted for ever */
			return RV_OK;
		}
		if (rc != RV_OK)
			return rc;
		now = machine_icount(t->machine);
		/* At a limit nothing of the position has happened; an EXEC breakpoint is met behind its
		 * events and timers. */
		t->arrived = res.end == MACHINE_END_LIMIT || res.stop.break_kind != ENGINE_BREAK_EXEC;
		if (res.end == MACHINE_END_BREAK) {
			if (t->breaks.armed && break_list_wanted(&t->breaks, &res.stop, stop)) {
				*end = RUN_BREAK;
				return RV_OK;
			}
			r->skip = now;
			continue;
		}
		if (res.end != MACHINE_END_LIMIT) {
			/* Only a diverted copy can end before history does. */
			*end = RUN_TARGET;
			return t->home ? RV_OK : RV_EDIVERGED;
		}
		if (now == ckpt && (rc = timeline_take(t)) != RV_OK)
			return rc;
		if (t->cfg.progress)
			t->cfg.progress(t->cfg.ctx, now, t->from, t->to);
		if (r->poll.fn && r->poll.fn(r->poll.ctx)) {
			*end = RUN_POLL;
			return RV_OK;
		}
	}
}

/* Ends a diversion: the machine is again where it was made. */
static int timeline_go_home(struct timeline *t)
{
	int rc;
	if (!t->home)
		return RV_OK;
	rc = timeline_restore(t, t->home);
	t->arrived = t->home_arrived;
	ckpt_release(t->ckpts.store, t->home);
	t->home = NULL;
	history_silence(t->history, false);
	t->out.quiet = false;
	return rc;
}

/* Moves to icount without looking at breakpoints. */
static int timeline_move(struct timeline *t, icount_t icount, struct timeline_poll poll,
			 enum run_end *end)
{
	struct run r = { .target = icount, .near = icount, .skip = ICOUNT_MAX, .poll = poll,
			 .make_ckpts = true };
	icount_t now = machine_icount(t->machine);
	struct ckpt *c = ckpt_list_before(&t->ckpts, icount);
	struct debug_stop unused;
	int rc;

	break_list_arm(&t->breaks, false);
	*end = RUN_TARGET;
	t->from = now;
	t->to = icount;
	if (now == icount && t->arrived)
		return RV_OK;
	/* Standing behind the first position of the icount counts as being past it. */
	if (now >= icount || ckpt_info(c)->at.icount > now) {
		rc = timeline_restore(t, c);
		if (rc != RV_OK)
			return rc;
	}
	return timeline_run(t, &r, end, &unused);
}

static icount_t timeline_clamp(const struct timeline *t, icount_t icount)
{
	return icount < timeline_end(t) ? icount : timeline_end(t);
}

int timeline_seek(struct timeline *t, icount_t icount, struct timeline_poll poll,
		  struct debug_stop *stop)
{
	enum run_end end = RUN_TARGET;
	int rc = timeline_go_home(t);
	*stop = (struct debug_stop){ .reason = DEBUG_STOP_STEP };
	if (rc == RV_OK)
		rc = timeline_move(t, timeline_clamp(t, icount), poll, &end);
	if (end == RUN_POLL)
		stop->reason = DEBUG_STOP_INTERRUPT;
	else if (icount > timeline_end(t))
		stop->reason = DEBUG_STOP_END;
	return rc;
}

int timeline_seek_vns(struct timeline *t, vns_t vns, struct timeline_poll poll,
		      struct debug_stop *stop)
{
	icount_t lo = 0, hi = timeline_end(t);
	int rc;
	/* vns never decreases with icount: the first position with at least this vns. */
	while (lo < hi) {
		icount_t mid = lo + (hi - lo) / 2;
		rc = timeline_seek(t, mid, poll, stop);
		if (rc != RV_OK || stop->reason == DEBUG_STOP_INTERRUPT)
			return rc;
		if (timeline_vns(t) >= vns)
			hi = mid;
		else
			lo = mid + 1;
	}
	return timeline_seek(t, lo, poll, stop);
}

int timeline_next_event(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop)
{
	int rc = timeline_go_home(t);
	uint64_t i = machine_seq(t->machine);
	icount_t now = machine_icount(t->machine);
	if (rc != RV_OK)
		return rc;
	while (i < history_count(t->history) && history_event(t->history, i)->at.icount <= now)
		i++;
	if (i < history_count(t->history))
		return timeline_seek(t, history_event(t->history, i)->at.icount, poll, stop);
	rc = timeline_seek(t, timeline_end(t), poll, stop);
	if (stop->reason == DEBUG_STOP_STEP)
		stop->reason = DEBUG_STOP_END;
	return rc;
}

int timeline_prev_event(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop)
{
	int rc = timeline_go_home(t);
	uint64_t i = machine_seq(t->machine);
	icount_t now = machine_icount(t->machine);
	if (rc != RV_OK)
		return rc;
	while (i && history_event(t->history, i - 1)->at.icount >= now)
		i--;
	if (i)
		return timeline_seek(t, history_event(t->history, i - 1)->at.icount, poll, stop);
	rc = timeline_seek(t, 0, poll, stop);
	if (stop->reason == DEBUG_STOP_STEP)
		stop->reason = DEBUG_STOP_BEGIN;
	return rc;
}

uint64_t timeline_event_count(const struct timeline *t)
{
	return history_count(t->history);
}

const struct evlog_record *timeline_event(const struct timeline *t, uint64_t i)
{
	return history_event(t->history, i);
}

/* ---- forward ---- */

/* A copy whose RIP the debugger set runs on its own; any other is dropped before a motion. */
static int timeline_forward_begin(struct timeline *t)
{
	struct cpu_state s;
	if (!t->home)
		return RV_OK;
	machine_cpu_state(t->machine, 0, &s);
	if (s.rip != t->home_rip)
		return RV_OK;
	return timeline_go_home(t);
}

static int timeline_forward(struct timeline *t, icount_t target, struct timeline_poll poll,
			    struct debug_stop *stop)
{
	struct run r = { .near = ICOUNT_MAX, .poll = poll };
	enum run_end end;
	int rc = timeline_forward_begin(t);
	if (rc != RV_OK)
		return rc;
	r.skip = t->from = machine_icount(t->machine);
	r.make_ckpts = !t->home;
	r.target = t->home ? target : timeline_clamp(t, target);
	t->to = r.target;
	break_list_arm(&t->breaks, true);
	*stop = (struct debug_stop){ .reason = DEBUG_STOP_STEP };
	rc = timeline_run(t, &r, &end, stop);
	if (rc != RV_OK)
		return rc;
	if (end == RUN_POLL)
		stop->reason = DEBUG_STOP_INTERRUPT;
	else if (end == RUN_TARGET && !t->home && target > timeline_end(t))
		stop->reason = DEBUG_STOP_END;
	return RV_OK;
}

int timeline_step(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop)
{
	int rc = timeline_forward_begin(t);
	return rc == RV_OK ? timeline_forward(t, machine_icount(t->machine) + 1, poll, stop) : rc;
}

int timeline_continue(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop)
{
	return timeline_forward(t, ICOUNT_MAX, poll, stop);
}

/* ---- backward ---- */

/* The instruction that starts here is about to be undone: does it touch something watched? */
static int timeline_undoes_watched(struct timeline *t, struct debug_stop *stop)
{
	icount_t now = machine_icount(t->machine);
	struct run r = { .target = now + 1, .near = ICOUNT_MAX, .skip = now };
	const struct output_digest none = { .bytes = 0 };
	struct debug_stop hit;
	enum run_end end;
	struct ckpt *here;
	int rc;

	if (!t->breaks.nwatch)
		return RV_OK;
	rc = ckpt_take(t->ckpts.store, &none, &here);
	if (rc != RV_OK)
		return rc;
	break_list_arm(&t->breaks, true);
	rc = timeline_run(t, &r, &end, &hit);
	if (rc == RV_OK)
		rc = timeline_restore(t, here);
	ckpt_release(t->ckpts.store, here);
	if (rc == RV_OK && end == RUN_BREAK)
		*stop = hit;
	return rc;
}

int timeline_reverse_step(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop)
{
	enum run_end end;
	icount_t now;
	int rc = timeline_go_home(t);
	*stop = (struct debug_stop){ .reason = DEBUG_STOP_STEP };
	if (rc != RV_OK)
		return rc;
	now = machine_icount(t->machine);
	if (now == 0) {
		stop->reason = DEBUG_STOP_BEGIN;
		return RV_OK;
	}
	rc = timeline_move(t, now - 1, poll, &end);
	if (rc != RV_OK)
		return rc;
	if (end == RUN_POLL) {
		stop->reason = DEBUG_STOP_INTERRUPT;
		return RV_OK;
	}
	return timeline_undoes_watched(t, stop);
}

/* The last wanted hit in [here, to), `here` being where the machine is. */
static int timeline_scan(struct timeline *t, icount_t to, struct timeline_poll poll,
			 enum run_end *end, bool *found, icount_t *start, struct debug_stop *hit)
{
	struct run r = { .target = to, .near = ICOUNT_MAX, .skip = ICOUNT_MAX, .poll = poll,
			 .make_ckpts = true };
	*found = false;
	break_list_arm(&t->breaks, true);
	for (;;) {
		struct debug_stop stop;
		icount_t now;
		int rc = timeline_run(t, &r, end, &stop);
		if (rc != RV_OK || *end != RUN_BREAK)
			return rc;
		now = machine_icount(t->machine);
		*found = true;
		*hit = stop;
		*start = now;
		if (stop.kind == DEBUG_BREAK_SW || stop.kind == DEBUG_BREAK_HW)
			r.skip = now;
		else
			*start = now - 1; /* reported behind the access */
	}
}

/* Scans the intervals between checkpoints, the last one first. */
static int timeline_scan_back(struct timeline *t, icount_t to, struct timeline_poll poll,
			      enum run_end *end, bool *found, icount_t *start, struct debug_stop *hit)
{
	*found = false;
	*end = RUN_TARGET;
	while (to > 0) {
		struct ckpt *c = ckpt_list_before(&t->ckpts, to - 1);
		icount_t first = ckpt_info(c)->at.icount;
		int rc = timeline_restore(t, c);
		if (rc == RV_OK)
			rc = timeline_scan(t, to, poll, end, found, start, hit);
		if (rc != RV_OK || *end == RUN_POLL || *found)
			return rc;
		to = first;
	}
	return RV_OK;
}

int timeline_reverse_continue(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop)
{
	const struct timeline_poll none = { NULL, NULL };
	const struct output_digest no_output = { .bytes = 0 };
	bool arrived, found;
	icount_t start = 0;
	struct debug_stop hit;
	enum run_end end;
	struct ckpt *back;
	int rc = timeline_go_home(t);

	if (rc != RV_OK)
		return rc;
	/* To be back at once when interrupted. */
	rc = ckpt_take(t->ckpts.store, &no_output, &back);
	if (rc != RV_OK)
		return rc;
	arrived = t->arrived;
	t->from = machine_icount(t->machine);
	t->to = 0;
	rc = timeline_scan_back(t, t->from, poll, &end, &found, &start, &hit);
	if (rc == RV_OK && end == RUN_POLL) {
		*stop = (struct debug_stop){ .reason = DEBUG_STOP_INTERRUPT };
		rc = timeline_restore(t, back);
		t->arrived = arrived;
	} else if (rc == RV_OK) {
		*stop = found ? hit : (struct debug_stop){ .reason = DEBUG_STOP_BEGIN };
		rc = timeline_move(t, start, none, &end);
	}
	ckpt_release(t->ckpts.store, back);
	return rc;
}

int timeline_checkpoint(struct timeline *t)
{
	const struct timeline_poll none = { NULL, NULL };
	enum run_end end;
	int rc;
	if (t->home)
		return RV_EINVAL;
	/* A checkpoint in the list stands for the first position of its icount. */
	rc = timeline_move(t, machine_icount(t->machine), none, &end);
	return rc == RV_OK ? timeline_take(t) : rc;
}

/* ---- diversion ---- */

int timeline_divert(struct timeline *t)
{
	const struct output_digest none = { .bytes = 0 };
	struct cpu_state s;
	int rc;
	if (t->home)
		return RV_OK;
	rc = ckpt_take(t->ckpts.store, &none, &t->home);
	if (rc != RV_OK)
		return rc;
	machine_cpu_state(t->machine, 0, &s);
	t->home_rip = s.rip;
	t->home_arrived = t->arrived;
	history_silence(t->history, true);
	t->out.quiet = true;
	return RV_OK;
}

bool timeline_diverted(const struct timeline *t)
{
	return t->home != NULL;
}

/* ---- life ---- */

int timeline_open(struct timeline **out, const struct trace *trace, struct evlog_reader *reader,
		  struct output *show, const struct timeline_cfg *cfg, struct rv_err *err)
{
	struct timeline *t = calloc(1, sizeof(*t));
	struct machine_cfg mcfg = { 0 };
	struct ckpt **recorded = NULL;
	size_t n = 0;
	int rc;

	if (!t)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	t->cfg = *cfg;
	t->out.output.ops = &timeline_output_ops;
	t->out.show = show;
	if ((rc = history_create(&t->history, reader, err)) != RV_OK)
		goto fail;
	replay_machine_cfg(trace, &mcfg);
	mcfg.engine = &engine_exact_ops;
	mcfg.nondet = history_nondet(t->history);
	mcfg.output = &t->out.output;
	if ((rc = machine_create(&t->machine, &mcfg, err)) != RV_OK)
		goto fail;
	t->breaks.machine = t->machine;
	t->arrived = true;
	if ((rc = ckpt_store_create(&t->ckpts.store, t->machine)) != RV_OK ||
	    (rc = timeline_take(t)) != RV_OK) {
		rv_err_set(err, rc, "out of memory for checkpoints");
		goto fail;
	}
	rc = ckpt_load_all(t->ckpts.store, trace, evlog_reader_info(reader)->last, &recorded, &n, err);
	if (rc != RV_OK)
		goto fail;
	for (size_t i = 0; i < n; i++)
		if (ckpt_list_add(&t->ckpts, recorded[i]) != RV_OK)
			rc = RV_ENOMEM;
	free(recorded);
	if (rc != RV_OK) {
		rv_err_set(err, rc, "out of memory for checkpoints");
		goto fail;
	}
	t->ckpts.budget = ckpt_store_bytes(t->ckpts.store) +
			  (cfg->checkpoint_memory ? cfg->checkpoint_memory : TIMELINE_MEMORY);
	*out = t;
	return RV_OK;
fail:
	timeline_close(t);
	return rc;
}

void timeline_close(struct timeline *t)
{
	if (!t)
		return;
	if (t->ckpts.store) {
		struct ckpt_store *store = t->ckpts.store;
		ckpt_release(store, t->home);
		ckpt_list_fini(&t->ckpts);
		ckpt_store_destroy(store);
	}
	machine_destroy(t->machine);
	history_destroy(t->history);
	break_list_fini(&t->breaks);
	free(t);
}
