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

#define TIMELINE_SPACING (1ull << 23)
#define TIMELINE_SLICE (1ull << 22) /* steps between two polls: about 20 ms */
#define TIMELINE_IDLE (1u << 14)   /* timer ticks of a halted guest between two polls */
#define TIMELINE_HITS 64u          /* hits between two looks at the clock, */
#define TIMELINE_POLL_NS 20000000u /* and host time between two polls */
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
	bool lost;    /* a restore failed: the machine is nowhere, until one succeeds */
	struct ckpt *home; /* while diverted: where the copy was made */
	uint64_t home_rips; /* timeline_rips() there */
	bool home_arrived;
	icount_t begin;    /* the first position there is */
	icount_t from, to; /* of the motion, for progress */
	struct timeline_hits hits;
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
	return t->begin;
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

struct timeline_hits timeline_hits(const struct timeline *t)
{
	return t->hits;
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
	int rc = ckpt_restore(t->ckpts.store, c, &none);
	t->arrived = true;
	t->lost = rc != RV_OK;
	return rc;
}

/* The last checkpoint at or before icount that can be restored, *at where that is. Contents may lie in
 * files, and those may have changed since they were checked; the one of position 0 was made here. */
static int timeline_restore_before(struct timeline *t, icount_t icount, icount_t *at)
{
	for (;;) {
		struct ckpt *c = ckpt_list_before(&t->ckpts, icount);
		int rc = timeline_restore(t, c);
		*at = ckpt_info(c)->at.icount;
		if (rc != RV_EDAMAGED || *at == t->begin)
			return rc;
		ckpt_list_drop(&t->ckpts, *at);
	}
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

/* The last wanted hit of a scan; start: where the instruction that made it begins. */
struct last_hit {
	bool found;
	icount_t start;
	struct debug_stop stop;
};

struct run {
	icount_t target;   /* at most the end of history, unless diverted */
	icount_t near;     /* leave checkpoints on the way to here; ICOUNT_MAX: only the regular ones */
	icount_t skip;     /* no EXEC breakpoint at this position */
	struct timeline_poll poll;
	bool make_ckpts;
	struct last_hit *last; /* wanted hits go here and end nothing; NULL: the first one ends the run */
	/* timeline_run()'s own. */
	struct timeline *line;
	struct debug_stop *stop;
	bool wanted, polled;
	unsigned unpolled; /* hits since the last look at the clock */
	uint64_t polled_ns;
};

static uint64_t host_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool timeline_polled(struct run *r)
{
	r->polled = r->polled || (r->poll.fn && r->poll.fn(r->poll.ctx));
	return r->polled;
}

/* A slice with many hits takes longer than one without. */
static bool timeline_hit_polled(struct run *r)
{
	uint64_t now;
	if (!r->poll.fn || ++r->unpolled < TIMELINE_HITS)
		return false;
	r->unpolled = 0;
	now = host_ns();
	if (now - r->polled_ns < TIMELINE_POLL_NS)
		return false;
	r->polled_ns = now;
	return timeline_polled(r);
}

/* Asked by the engine at each hit; true: stop. */
static bool timeline_hit(void *ctx, const struct engine_stop *es)
{
	struct run *r = ctx;
	struct timeline *t = r->line;
	struct debug_stop stop;
	t->hits.met++;
	if (break_list_wanted(&t->breaks, es, &stop)) {
		icount_t now = machine_icount(t->machine);
		t->hits.wanted++;
		if (!r->last) {
			*r->stop = stop;
			r->wanted = true;
			return true;
		}
		r->last->found = true;
		r->last->stop = stop;
		/* A watchpoint is reported behind the access. */
		r->last->start = es->break_kind == ENGINE_BREAK_EXEC ? now : now - 1;
	}
	return timeline_hit_polled(r);
}

/* One slice. RUN_TARGET in *end and *done = false: to be continued. */
static int timeline_slice(struct timeline *t, struct run *r, enum run_end *end, bool *done)
{
	icount_t now = machine_icount(t->machine);
	struct machine_limits limits = { .icount = now + TIMELINE_SLICE,
					 .break_skip = r->skip,
					 .hit = timeline_hit,
					 .hit_ctx = r,
					 .idle_rounds = TIMELINE_IDLE };
	struct machine_result res;
	icount_t ckpt = r->make_ckpts ? timeline_next_ckpt(now, r->near) : ICOUNT_MAX;
	int rc;

	*end = RUN_TARGET;
	*done = true;
	if (now >= r->target)
		return RV_OK;
	if (limits.icount > r->target)
		limits.icount = r->target;
	if (limits.icount > ckpt)
		limits.icount = ckpt;
	rc = machine_run(t->machine, &limits, &res);
	if (t->home && (rc == RV_EEND || rc == RV_EDIVERGED))
		return RV_OK; /* a copy that halted for ever */
	if (rc != RV_OK)
		return rc;
	now = machine_icount(t->machine);
	/* At a limit nothing of the position has happened; an EXEC breakpoint is met behind its events
	 * and timers, and a halt is interrupted behind them. */
	t->arrived = res.end == MACHINE_END_LIMIT ||
		     (res.end == MACHINE_END_BREAK && res.stop.break_kind != ENGINE_BREAK_EXEC);
	if (res.end == MACHINE_END_BREAK) {
		r->skip = now;
		*end = r->wanted ? RUN_BREAK : r->polled ? RUN_POLL : RUN_TARGET;
		*done = *end != RUN_TARGET;
		return RV_OK;
	}
	if (res.end != MACHINE_END_LIMIT && res.end != MACHINE_END_INTERRUPTED)
		return t->home ? RV_OK : RV_EDIVERGED; /* only a copy can end before history does */
	if (now == ckpt && t->arrived && !ckpt_list_has(&t->ckpts, now) &&
	    (rc = timeline_take(t)) != RV_OK)
		return rc;
	if (t->cfg.progress)
		t->cfg.progress(t->cfg.ctx, now, t->from, t->to);
	r->polled_ns = host_ns();
	*done = timeline_polled(r);
	if (*done)
		*end = RUN_POLL;
	return RV_OK;
}

/* Stops at the target, at the first wanted hit while breakpoints are armed, or when polled out. */
static int timeline_run(struct timeline *t, struct run *r, enum run_end *end, struct debug_stop *stop)
{
	bool done = false;
	int rc = RV_OK;
	r->line = t;
	r->stop = stop;
	r->polled_ns = host_ns();
	if (t->lost)
		return RV_EDAMAGED;
	while (rc == RV_OK && !done)
		rc = timeline_slice(t, r, end, &done);
	return rc;
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

/* For motions that start from where the machine is. */
static int timeline_motion_begin(struct timeline *t)
{
	return t->lost ? RV_EDAMAGED : timeline_go_home(t);
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
	if (now == icount && t->arrived && !t->lost)
		return RV_OK;
	/* Standing behind the first position of the icount counts as being past it. */
	if (t->lost || now >= icount || ckpt_info(c)->at.icount > now) {
		rc = timeline_restore_before(t, icount, &now);
		if (rc != RV_OK)
			return rc;
	}
	return timeline_run(t, &r, end, &unused);
}

static icount_t timeline_clamp(const struct timeline *t, icount_t icount)
{
	if (icount < t->begin)
		return t->begin;
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
	int rc = timeline_motion_begin(t);
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
	int rc = timeline_motion_begin(t);
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

/* Where all vCPUs stand, in one number. */
static uint64_t timeline_rips(const struct timeline *t)
{
	struct cpu_state s;
	uint64_t sum = 0;
	for (unsigned i = 0; i < machine_ncpus(t->machine); i++) {
		machine_cpu_state(t->machine, i, &s);
		sum = sum * 0x9e3779b97f4a7c15ull + s.rip;
	}
	return sum;
}

/* A copy with a RIP that the debugger set runs on its own; any other is dropped before a motion. */
static int timeline_forward_begin(struct timeline *t)
{
	if (t->lost)
		return RV_EDAMAGED;
	if (!t->home)
		return RV_OK;
	if (timeline_rips(t) != t->home_rips)
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
	t->hits = (struct timeline_hits){ 0, 0 };
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

int timeline_run_to(struct timeline *t, icount_t icount, struct timeline_poll poll, struct debug_stop *stop)
{
	return timeline_forward(t, icount, poll, stop);
}

/* ---- backward ---- */

/* The instruction that starts here is about to be undone: does it touch something watched? */
static int timeline_undoes_watched(struct timeline *t, struct timeline_poll poll,
				   struct debug_stop *stop)
{
	icount_t now = machine_icount(t->machine);
	struct run r = { .target = now + 1, .near = ICOUNT_MAX, .skip = now, .poll = poll };
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
	else if (rc == RV_OK && end == RUN_POLL)
		stop->reason = DEBUG_STOP_INTERRUPT;
	return rc;
}

int timeline_reverse_step(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop)
{
	enum run_end end;
	icount_t now;
	int rc = timeline_motion_begin(t);
	*stop = (struct debug_stop){ .reason = DEBUG_STOP_STEP };
	if (rc != RV_OK)
		return rc;
	now = machine_icount(t->machine);
	if (now <= t->begin) {
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
	return timeline_undoes_watched(t, poll, stop);
}

/* Scans the intervals between checkpoints, the last one first, for the last wanted hit before `to`. */
static int timeline_scan_back(struct timeline *t, icount_t to, struct timeline_poll poll,
			      enum run_end *end, struct last_hit *last)
{
	struct debug_stop unused;
	*end = RUN_TARGET;
	break_list_arm(&t->breaks, true);
	while (to > t->begin) {
		struct run r = { .target = to, .near = ICOUNT_MAX, .skip = ICOUNT_MAX, .poll = poll,
				 .make_ckpts = true, .last = last };
		icount_t first;
		int rc = timeline_restore_before(t, to - 1, &first);
		if (rc == RV_OK)
			rc = timeline_run(t, &r, end, &unused);
		if (rc != RV_OK || *end == RUN_POLL || last->found)
			return rc;
		to = first;
	}
	return RV_OK;
}

int timeline_reverse_continue(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop)
{
	const struct timeline_poll none = { NULL, NULL };
	const struct output_digest no_output = { .bytes = 0 };
	struct last_hit last = { .found = false };
	bool arrived;
	enum run_end end;
	struct ckpt *back;
	int rc = timeline_motion_begin(t);

	if (rc != RV_OK)
		return rc;
	t->hits = (struct timeline_hits){ 0, 0 };
	/* To be back at once when interrupted. */
	rc = ckpt_take(t->ckpts.store, &no_output, &back);
	if (rc != RV_OK)
		return rc;
	arrived = t->arrived;
	t->from = machine_icount(t->machine);
	t->to = t->begin;
	rc = timeline_scan_back(t, t->from, poll, &end, &last);
	if (rc == RV_OK && end == RUN_POLL) {
		*stop = (struct debug_stop){ .reason = DEBUG_STOP_INTERRUPT };
		rc = timeline_restore(t, back);
		t->arrived = arrived;
	} else if (rc == RV_OK) {
		*stop = last.found ? last.stop : (struct debug_stop){ .reason = DEBUG_STOP_BEGIN };
		rc = timeline_move(t, last.start, none, &end);
	}
	ckpt_release(t->ckpts.store, back);
	return rc;
}

int timeline_checkpoint(struct timeline *t)
{
	const struct timeline_poll none = { NULL, NULL };
	enum run_end end;
	int rc;
	if (t->home || t->lost)
		return t->home ? RV_EINVAL : RV_EDAMAGED;
	/* A checkpoint in the list stands for the first position of its icount. */
	rc = timeline_move(t, machine_icount(t->machine), none, &end);
	return rc == RV_OK ? timeline_take(t) : rc;
}

/* ---- diversion ---- */

int timeline_divert(struct timeline *t)
{
	const struct output_digest none = { .bytes = 0 };
	int rc;
	if (t->home)
		return RV_OK;
	if (t->lost)
		return RV_EDAMAGED;
	rc = ckpt_take(t->ckpts.store, &none, &t->home);
	if (rc != RV_OK)
		return rc;
	t->home_rips = timeline_rips(t);
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
	replay_machine_cfg(trace_manifest(trace), trace_kernel(trace), trace_initrd(trace), cfg->disks, &mcfg);
	mcfg.engine = &engine_exact_ops;
	mcfg.jit = cfg->jit;
	mcfg.code_cache = cfg->code_cache;
	mcfg.nondet = history_nondet(t->history);
	mcfg.output = &t->out.output;
	if ((rc = machine_create(&t->machine, &mcfg, err)) != RV_OK)
		goto fail;
	t->breaks.machine = t->machine;
	t->arrived = true;
	t->begin = evlog_reader_info(reader)->start.at.icount;
	rc = ckpt_store_create(&t->ckpts.store, t->machine);
	if (rc == RV_OK && t->begin == 0)
		rc = timeline_take(t);
	if (rc != RV_OK) {
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
	if (t->begin && (t->ckpts.n == 0 || (rc = timeline_restore(t, t->ckpts.at[0])) != RV_OK)) {
		rc = rv_err_set(err, RV_EDAMAGED, "the checkpoint that the recording begins with cannot be restored");
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
