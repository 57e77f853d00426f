/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A property: whatever way a timeline went, and wherever its checkpoints are,
 * the state at an icount is one. Random motions on a recording; the first
 * digest seen at a position is the truth for all later visits. Once in a while
 * a second timeline, which has only run straight forward, is asked too.
 *
 *   test_timeline TRACE [MOTIONS [SEED]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "record/trace.h"
#include "replay/timeline.h"

#define PLACES 48u
#define FAR 50u /* one in so many breakpoints is looked for through all of history */
#define SEEN (1u << 16)

struct seen {
	icount_t at;
	bool used;
	struct digest128 digest;
};

struct property {
	struct trace *trace;
	struct evlog_reader *reader;
	struct timeline *line;
	uint64_t rng, seed;
	icount_t place[PLACES];
	struct seen *seen;
	unsigned motion, revisited;
	const char *what;
};

static uint64_t next(struct property *p)
{
	/* SplitMix64 */
	uint64_t z = p->rng += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

_Noreturn static void fail(const struct property *p, const char *why)
{
	struct exec_point at = timeline_now(p->line);
	printf("FAIL: seed %" PRIu64 ", motion %u (%s), icount %" PRIu64 ": %s\n", p->seed, p->motion,
	       p->what, at.icount, why);
	exit(1);
}

static void need(const struct property *p, int rc)
{
	if (rc != RV_OK)
		fail(p, rv_status_text(rc));
}

static void check(struct property *p)
{
	icount_t at = timeline_now(p->line).icount;
	struct digest128 d = machine_digest(timeline_machine(p->line));
	unsigned i = (unsigned)((at * 0x9e3779b97f4a7c15ull) >> 48) % SEEN;
	while (p->seen[i].used && p->seen[i].at != at)
		i = (i + 1) % SEEN;
	if (!p->seen[i].used) {
		p->seen[i] = (struct seen){ at, true, d };
		return;
	}
	p->revisited++;
	if (!digest_equal(p->seen[i].digest, d))
		fail(p, "another digest than before");
}

static icount_t some_place(struct property *p)
{
	icount_t at = p->place[next(p) % PLACES] + next(p) % 4;
	return at < timeline_end(p->line) ? at : timeline_end(p->line);
}

/* A breakpoint where a place's code is, both ways; then to the first position of where it stopped. Mostly
 * from a little beyond or before the place, where it is met again soon; else from anywhere. */
static void with_break(struct property *p, bool back)
{
	const struct timeline_poll none = { NULL, NULL };
	icount_t at = some_place(p), start = some_place(p), away = next(p) >> (44 + next(p) % 16);
	struct debug_stop stop;
	struct cpu_state s;

	need(p, timeline_seek(p->line, at, none, &stop));
	machine_cpu_state(timeline_machine(p->line), 0, &s);
	need(p, timeline_break_set(p->line, DEBUG_BREAK_HW, s.rip, 1, NULL));
	if (next(p) % FAR)
		start = back ? at + away : at > away ? at - away : 0;
	need(p, timeline_seek(p->line, start, none, &stop));
	need(p, back ? timeline_reverse_continue(p->line, none, &stop) :
		       timeline_continue(p->line, none, &stop));
	need(p, timeline_break_clear(p->line, DEBUG_BREAK_HW, s.rip, 1));
	at = timeline_now(p->line).icount;
	if (stop.reason == DEBUG_STOP_BREAK) {
		machine_cpu_state(timeline_machine(p->line), 0, &s);
		if (s.rip != stop.addr)
			fail(p, "stopped at another address than the breakpoint's");
	}
	need(p, timeline_seek(p->line, at, none, &stop));
}

static void divert(struct property *p)
{
	static const uint8_t junk[64] = { 0xcc };
	struct cpu_state s;
	struct machine *m = timeline_machine(p->line);
	need(p, timeline_divert(p->line));
	machine_cpu_state(m, 0, &s);
	s.gpr[CPU_RAX] ^= next(p);
	need(p, machine_set_cpu_state(m, 0, &s));
	mem_write(machine_mem(m), (next(p) % mem_low_size(machine_mem(m))) & ~63ull, junk, sizeof(junk));
}

static void motion(struct property *p)
{
	const struct timeline_poll none = { NULL, NULL };
	struct debug_stop stop;
	uint64_t kind = next(p) % 100;
	uint64_t n = next(p) % 6;

	if (next(p) % 64 == 0)
		timeline_checkpoints_drop(p->line);
	if (next(p) % 8 == 0 && !timeline_diverted(p->line))
		need(p, timeline_checkpoint(p->line));
	if (next(p) % 8 == 0)
		divert(p);
	if (kind < 40) {
		p->what = "seek";
		need(p, timeline_seek(p->line, some_place(p), none, &stop));
	} else if (kind < 60) {
		p->what = "step";
		while (n--)
			need(p, timeline_step(p->line, none, &stop));
	} else if (kind < 80) {
		p->what = "reverse-step";
		while (n--)
			need(p, timeline_reverse_step(p->line, none, &stop));
	} else if (kind < 85) {
		p->what = "next-event";
		need(p, timeline_next_event(p->line, none, &stop));
	} else if (kind < 90) {
		p->what = "prev-event";
		need(p, timeline_prev_event(p->line, none, &stop));
	} else if (kind < 91) {
		p->what = "seek vns";
		need(p, timeline_seek_vns(p->line, timeline_vns(p->line) + next(p) % 1000000, none, &stop));
	} else if (kind < 96) {
		p->what = "reverse-continue";
		with_break(p, true);
	} else {
		p->what = "continue";
		with_break(p, false);
	}
	if (!timeline_diverted(p->line))
		check(p);
}

/* The truth of a few places by running straight to them, without checkpoints of any kind. */
static void straight(struct property *p)
{
	const struct timeline_cfg cfg = { .checkpoint_memory = 1 };
	const struct timeline_poll none = { NULL, NULL };
	struct timeline *walked = p->line;
	struct debug_stop stop;

	p->what = "straight run";
	need(p, timeline_open(&p->line, p->trace, p->reader, NULL, &cfg, NULL));
	for (unsigned i = 0; i < PLACES; i++) {
		icount_t least = ICOUNT_MAX, now = timeline_now(p->line).icount;
		for (unsigned k = 0; k < PLACES; k++)
			if (p->place[k] > now && p->place[k] < least)
				least = p->place[k];
		if (least == ICOUNT_MAX)
			break;
		need(p, timeline_seek(p->line, least, none, &stop));
		check(p);
	}
	timeline_close(p->line);
	p->line = walked;
}

int main(int argc, char **argv)
{
	const struct timeline_cfg cfg = { .checkpoint_memory = 64ull << 20 };
	unsigned motions = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 300;
	struct property p = { .what = "opening" };
	struct rv_err err = { 0 };

	p.seed = argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)time(NULL);
	p.rng = p.seed;
	p.seen = calloc(SEEN, sizeof(*p.seen));
	printf("seed %" PRIu64 ", %u motions\n", p.seed, motions);
	fflush(stdout);
	if (argc < 2 || !p.seen || trace_open(&p.trace, argv[1], &err) ||
	    evlog_reader_open(&p.reader, p.trace, &err) ||
	    timeline_open(&p.line, p.trace, p.reader, NULL, &cfg, &err)) {
		printf("FAIL: %s\n", err.text);
		return 1;
	}
	for (unsigned i = 0; i < PLACES; i++) {
		uint64_t events = timeline_event_count(p.line);
		p.place[i] = next(&p) % timeline_end(p.line);
		if (i % 4 == 0 && events) /* where something happens */
			p.place[i] = timeline_event(p.line, next(&p) % events)->at.icount;
	}
	for (p.motion = 0; p.motion < motions && p.motion < SEEN / 2; p.motion++)
		motion(&p);
	straight(&p);
	printf("ok: %u visits to places seen before, all equal\n", p.revisited);
	timeline_close(p.line);
	evlog_reader_close(p.reader);
	trace_close(p.trace);
	free(p.seen);
	return 0;
}
