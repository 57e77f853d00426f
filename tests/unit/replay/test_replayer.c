/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/record/fake_machine.h"

#include "replay/replay.h"

struct replay_run {
	icount_t limit; /* 0: none */
	icount_t poweroff_at, hang_at, flip_at;
	bool no_marks;
	/* Results. */
	int rc;
	uint64_t checked, bytes;
	icount_t icount, last;
	struct rv_err err;
	char report[8192];
};

static void replay(const char *path, struct replay_run *run)
{
	struct trace *t = NULL;
	struct evlog_reader *reader = NULL;
	struct replayer *r = NULL;
	struct fake_live show;
	struct machine m;
	struct machine_result result;
	struct machine_limits lim = { .icount = run->limit ? run->limit : ICOUNT_MAX,
				      .mark_every = run->no_marks ? 0 : FAKE_MARK,
				      .mark = replayer_mark };
	int rc;

	fake_live_init(&show, 1);
	if (trace_open(&t, path, &run->err) || evlog_reader_open(&reader, t, &run->err))
		fail_msg("%s", run->err.text);
	assert_int_equal(replayer_create(&r, evlog_reader_source(reader), &show.output), 0);
	lim.ctx = r;
	fake_init(&m, replayer_nondet(r), replayer_output(r));
	m.poweroff_at = run->poweroff_at;
	m.hang_at = run->hang_at;
	m.flip_at = run->flip_at;
	rc = fake_run(&m, &lim, &result);
	run->rc = replayer_finish(r, &m, rc, &result, &run->err);
	run->checked = replayer_digests_checked(r);
	run->bytes = show.bytes;
	run->icount = m.icount;
	run->last = replayer_last_icount(r);
	snprintf(run->report, sizeof(run->report), "%s", replayer_report(r));
	replayer_destroy(r);
	evlog_reader_close(reader);
	trace_close(t);
}

static void record(char path[256], const char *dir, uint64_t seed, icount_t limit,
		   icount_t poweroff_at, icount_t stop_at, bool stop_halted, bool finish,
		   uint64_t *bytes)
{
	struct fake_live live;
	snprintf(path, 256, "%s/t%llu-%d-%d", dir, (unsigned long long)seed, finish, stop_halted);
	fake_live_init(&live, seed);
	live.stop_at = stop_at;
	live.stop_halted = stop_halted;
	fake_record(path, &live, limit, poweroff_at, finish);
	if (bytes)
		*bytes = live.bytes;
}

static void test_faithful(void **state)
{
	char *dir = scratch_make(), path[256];
	uint64_t seed = test_seed() & 0xffff;
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct replay_run run = { .poweroff_at = 3333 + i };
		uint64_t bytes;
		record(path, dir, seed + i, ICOUNT_MAX, 3333 + i, 0, false, true, &bytes);
		replay(path, &run);
		if (run.rc)
			fail_msg("%s\n%s", run.err.text, run.report);
		assert_int_equal(run.checked, 34 + 1);
		assert_int_equal(run.bytes, bytes);
		assert_int_equal(run.last, 3333 + i);
		assert_string_equal(run.report, "");
		/* With the log's end as the limit, which comes before the guest's own end. */
		run = (struct replay_run){ .poweroff_at = 3333 + i, .limit = 3333 + i };
		replay(path, &run);
		assert_int_equal(run.rc, 0);
		assert_int_equal(run.checked, 34 + 1);
		/* Only part of the way, and without marks. */
		run = (struct replay_run){ .poweroff_at = 3333 + i, .limit = 1000 };
		replay(path, &run);
		assert_int_equal(run.rc, 0);
		assert_int_equal(run.icount, 1000);
		assert_int_equal(run.checked, 11);
		run = (struct replay_run){ .poweroff_at = 3333 + i, .no_marks = true };
		replay(path, &run);
		assert_int_equal(run.rc, 0);
		assert_int_equal(run.checked, 1);
	}
	scratch_remove(dir);
}

static void test_outside_ends(void **state)
{
	char *dir = scratch_make(), path[256];
	(void)state;
	for (uint64_t i = 0; i < 8; i++) {
		struct replay_run run = { 0 };
		/* A limit; then a stop running, a stop in a halt. */
		if (i < 4)
			record(path, dir, i, 2000 + i, 0, 0, false, true, NULL);
		else
			record(path, dir, i, ICOUNT_MAX, 0, 1500 + i, i >= 6, true, NULL);
		replay(path, &run);
		if (run.rc)
			fail_msg("%s\n%s", run.err.text, run.report);
		assert_int_equal(run.icount, run.last);
		assert_true(run.checked > 14);
		run = (struct replay_run){ .limit = run.last };
		replay(path, &run);
		assert_int_equal(run.rc, 0);
	}
	scratch_remove(dir);
}

static void test_incomplete(void **state)
{
	char *dir = scratch_make(), path[256];
	(void)state;
	for (uint64_t i = 0; i < 10; i++) {
		struct replay_run run = { 0 };
		record(path, dir, 100 + i, 2000 + 17 * i, 0, 0, false, false, NULL);
		replay(path, &run);
		if (run.rc)
			fail_msg("%s\n%s", run.err.text, run.report);
		assert_true(run.icount >= run.last && run.icount <= run.last + 1);
	}
	/* Published and killed before its first record. */
	{
		struct replay_run run = { 0 };
		snprintf(path, sizeof(path), "%s/empty", dir);
		evlog_writer_destroy(trace_start(path, 0));
		replay(path, &run);
		assert_int_equal(run.rc, 0);
		assert_int_equal(run.icount, 0);
	}
	scratch_remove(dir);
}

/* One wrong bit anywhere is found within one interval, and the report says where. */
static void test_divergence(void **state)
{
	char *dir = scratch_make(), path[256];
	(void)state;
	record(path, dir, 9, ICOUNT_MAX, 3000, 0, false, true, NULL);
	for (icount_t at = 1; at < 3000; at += 37) {
		struct replay_run run = { .poweroff_at = 3000, .flip_at = at };
		char good[64];
		replay(path, &run);
		assert_int_equal(run.rc, RV_EDIVERGED);
		assert_true(run.icount >= at && run.icount <= at + FAKE_MARK);
		snprintf(good, sizeof(good), "between icount %llu ",
			 (unsigned long long)((at - 1) / FAKE_MARK * FAKE_MARK));
		assert_non_null(strstr(run.report, good));
		assert_non_null(strstr(run.report, "* rbx"));
		assert_non_null(strstr(run.report, "* state"));
		assert_non_null(strstr(run.report, "  rip"));
		assert_non_null(strstr(run.report, "records before:\n  icount"));
	}
	scratch_remove(dir);
}

static void test_other_end(void **state)
{
	char *dir = scratch_make(), path[256];
	struct replay_run run = { .poweroff_at = 2000 };
	(void)state;
	record(path, dir, 9, ICOUNT_MAX, 3000, 0, false, true, NULL);
	replay(path, &run);
	assert_int_equal(run.rc, RV_EDIVERGED);
	assert_non_null(strstr(run.report, "guest powered off"));
	run = (struct replay_run){ .poweroff_at = 3001 };
	replay(path, &run);
	assert_int_equal(run.rc, RV_EDIVERGED);
	assert_int_equal(run.icount, 3001);
	run = (struct replay_run){ .poweroff_at = 3000, .hang_at = 1250 };
	replay(path, &run);
	assert_int_equal(run.rc, RV_EDIVERGED);
	assert_non_null(strstr(run.report, "halted for ever"));
	assert_non_null(strstr(run.report, "the machine at icount 1250"));
	scratch_remove(dir);
}

/* ---- the port alone, from records made by hand ---- */

struct by_hand {
	char *dir, path[256];
	struct trace *t;
	struct evlog_reader *reader;
	struct replayer *r;
};

static void hand_start(struct by_hand *h, const struct evlog_record *recs, size_t n)
{
	struct rv_err err = { 0 };
	struct evlog_writer *w;
	h->dir = scratch_make();
	snprintf(h->path, sizeof(h->path), "%s/t", h->dir);
	w = trace_start(h->path, 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(evlog_writer_append(w, &recs[i]), 0);
	assert_int_equal(evlog_writer_finish(w, &err), 0);
	evlog_writer_destroy(w);
	assert_int_equal(trace_open(&h->t, h->path, &err), 0);
	assert_int_equal(evlog_reader_open(&h->reader, h->t, &err), 0);
	assert_int_equal(replayer_create(&h->r, evlog_reader_source(h->reader), NULL), 0);
}

static void hand_stop(struct by_hand *h)
{
	replayer_destroy(h->r);
	evlog_reader_close(h->reader);
	trace_close(h->t);
	scratch_remove(h->dir);
}

static int hand_next(struct by_hand *h, icount_t icount, uint64_t seq, struct nd_event *ev)
{
	struct nd_query q = { .icount = icount, .seq = seq, .room = { 100 } };
	return nondet_next(replayer_nondet(h->r), &q, ev);
}

static int hand_halted(struct by_hand *h, icount_t icount, uint64_t seq, vns_t vns, vns_t deadline,
		       struct nd_event *ev)
{
	struct nd_query q = { .icount = icount, .seq = seq, .vns = vns, .halted = true,
			      .deadline = deadline, .room = { 100 } };
	return nondet_next(replayer_nondet(h->r), &q, ev);
}

static const uint8_t hand_bytes[200];

static void test_port_order(void **state)
{
	static const struct evlog_record recs[] = {
		{ .at = { 10, 0 }, .kind = ND_CONSOLE, .data = hand_bytes, .len = 3 },
		{ .at = { 10, 1 }, .kind = ND_CONSOLE, .data = hand_bytes, .len = 4, .in_halt = true,
		  .vns = 500 },
		{ .at = { 20, 2 }, .kind = ND_STOP },
	};
	struct by_hand h;
	struct nd_event ev;
	(void)state;
	hand_start(&h, recs, 3);
	assert_int_equal(nondet_horizon(replayer_nondet(h.r), 0), 10);
	assert_int_equal(hand_next(&h, 0, 0, &ev), 0);
	assert_int_equal(hand_next(&h, 9, 0, &ev), 0);
	assert_int_equal(hand_next(&h, 10, 0, &ev), 1);
	assert_int_equal(ev.len, 3);
	assert_false(ev.in_halt);
	/* The next one is for the halt: not before, and after the deadlines before it. */
	assert_int_equal(hand_next(&h, 10, 1, &ev), 0);
	assert_int_equal(nondet_horizon(replayer_nondet(h.r), 10), 11);
	assert_int_equal(hand_halted(&h, 10, 1, 100, 400, &ev), 0);
	assert_int_equal(hand_halted(&h, 10, 1, 400, 500, &ev), 0);
	assert_int_equal(hand_halted(&h, 10, 1, 500, VNS_NEVER, &ev), 1);
	assert_true(ev.in_halt);
	assert_int_equal(ev.vns, 500);
	assert_int_equal(nondet_horizon(replayer_nondet(h.r), 10), 20);
	assert_int_equal(hand_next(&h, 20, 2, &ev), 1);
	assert_int_equal(ev.kind, ND_STOP);
	assert_int_equal(hand_next(&h, 20, 3, &ev), RV_EEND);
	hand_stop(&h);
}

static void test_port_divergence(void **state)
{
	static const struct evlog_record recs[] = {
		{ .at = { 10, 0 }, .kind = ND_CONSOLE, .data = hand_bytes, .len = 101 },
		{ .at = { 10, 1 }, .kind = ND_STOP, .in_halt = true, .vns = 500 },
	};
	struct by_hand h;
	struct nd_event ev;
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		int rc;
		hand_start(&h, i < 4 ? recs : recs + 1, i < 4 ? 2 : 1);
		if (i == 0)
			rc = hand_next(&h, 11, 0, &ev); /* passed */
		else if (i == 1)
			rc = hand_next(&h, 10, 1, &ev); /* other seq */
		else if (i == 2)
			rc = hand_halted(&h, 10, 0, 0, VNS_NEVER, &ev); /* not in a halt */
		else if (i == 3)
			rc = hand_next(&h, 10, 0, &ev); /* no room for it */
		else
			rc = hand_halted(&h, 10, 1, 501, VNS_NEVER, &ev); /* later than recorded */
		assert_int_equal(rc, RV_EDIVERGED);
		assert_int_equal(hand_next(&h, 10, 0, &ev), RV_EDIVERGED); /* sticks */
		assert_non_null(strstr(replayer_report(h.r), "replay diverged"));
		hand_stop(&h);
	}
}

/* A trace whose meta records do not decode is damage, not a crash. */
static void test_port_hostile(void **state)
{
	static const struct evlog_record recs[] = {
		{ .at = { 0, 0 }, .kind = EVLOG_DIGEST, .data = hand_bytes, .len = 191 },
		{ .at = { 5, 0 }, .kind = EVLOG_END, .data = hand_bytes, .len = 7 },
	};
	struct by_hand h;
	struct nd_event ev;
	struct machine m;
	(void)state;
	hand_start(&h, recs, 2);
	fake_init(&m, replayer_nondet(h.r), replayer_output(h.r));
	assert_int_equal(replayer_mark(h.r, &m), RV_EDAMAGED);
	hand_stop(&h);
	hand_start(&h, recs + 1, 1);
	assert_int_equal(hand_next(&h, 0, 0, &ev), RV_EDAMAGED);
	assert_true(nondet_horizon(replayer_nondet(h.r), 0) > 0);
	hand_stop(&h);
}

/* A log that is still being written, by somebody who is quick: whenever one looks how far it reaches, there is more. */
struct growing {
	struct evlog_source source;
	icount_t known, asked;
	bool there;
};

static int growing_next(struct evlog_source *source, bool wait, icount_t at, struct evlog_record *rec, struct rv_err *err)
{
	struct growing *g = (struct growing *)source;
	(void)wait;
	(void)at;
	(void)err;
	if (!g->there)
		return EVLOG_LATER;
	*rec = (struct evlog_record){ .at = { 50, 0 }, .kind = ND_ANNOUNCE };
	return 1;
}

static icount_t growing_known(struct evlog_source *source)
{
	struct growing *g = (struct growing *)source;
	const icount_t known = g->known;
	/* Between this look and whatever is done next, a record at 50 comes in, and all below 100 is known. */
	g->there = true;
	g->known = 100;
	return g->asked ? g->known : known;
}

/* The replay of a backup must not run beyond a record that came in while it asked how far it may run. */
static void test_horizon_of_a_growing_log(void **state)
{
	static const struct evlog_source_ops ops = { .next = growing_next, .known = growing_known };
	struct replayer *r = NULL;
	(void)state;
	for (unsigned there_first = 0; there_first < 2; there_first++) {
		struct growing g = { .source = { .ops = &ops }, .known = 10, .asked = there_first };
		assert_int_equal(replayer_create(&r, &g.source, NULL), 0);
		assert_true(nondet_horizon(replayer_nondet(r), 5) <= 50);
		replayer_destroy(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faithful),       cmocka_unit_test(test_outside_ends),
		cmocka_unit_test(test_horizon_of_a_growing_log),
		cmocka_unit_test(test_incomplete),     cmocka_unit_test(test_divergence),
		cmocka_unit_test(test_other_end),      cmocka_unit_test(test_port_order),
		cmocka_unit_test(test_port_divergence), cmocka_unit_test(test_port_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
