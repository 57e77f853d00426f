/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/record/fake_machine.h"

static void test_logs_what_passes(void **state)
{
	char *dir = scratch_make(), path[256];
	struct fake_live live;
	struct trace *t;
	struct evlog_reader *r;
	struct evlog_record rec;
	struct rv_err err = { 0 };
	uint64_t seq = 0, digests = 0;
	struct exec_point last = { 0, 0 };
	struct evlog_end end;
	(void)state;
	snprintf(path, sizeof(path), "%s/t", dir);
	fake_live_init(&live, 5);
	fake_record(path, &live, 3000, 0, true);
	assert_true(live.bytes > 0);
	assert_int_equal(trace_open(&t, path, &err), 0);
	assert_int_equal(evlog_reader_open(&r, t, &err), 0);
	assert_true(evlog_reader_info(r)->complete);
	while (evlog_reader_next(r, &rec, &err) > 0) {
		assert_true(exec_point_not_before(rec.at, last));
		assert_int_equal(rec.at.seq, seq);
		last = rec.at;
		seq += rec.kind < 64;
		if (rec.kind == EVLOG_DIGEST) {
			struct evlog_digest d;
			assert_int_equal(evlog_digest_decode(rec.data, rec.len, &d), 0);
			assert_int_equal(rec.at.icount, FAKE_MARK * digests++);
			assert_int_equal(d.rip, rec.at.icount * 4);
		} else if (rec.kind == EVLOG_END) {
			assert_int_equal(evlog_end_decode(rec.data, rec.len, &end), 0);
			assert_int_equal(end.end, MACHINE_END_LIMIT);
		}
	}
	assert_int_equal(digests, 31);
	assert_int_equal(last.icount, 3000);
	assert_true(seq > 50);
	evlog_reader_close(r);
	trace_close(t);
	scratch_remove(dir);
}

static int nothing_next(struct nondet *nd, const struct nd_query *q, struct nd_event *ev)
{
	(void)nd, (void)q, (void)ev;
	return 0;
}

/* When the log cannot be written the machine is told at its next question, event or not. */
static void test_log_error_stops(void **state)
{
	static const struct nondet_ops ops = { .next = nothing_next, .horizon = fake_live_horizon };
	char *dir = scratch_make(), path[256], name[512];
	struct fake_live live;
	struct evlog_writer *w;
	struct recorder *rec = NULL;
	struct machine m;
	struct machine_result result;
	struct machine_limits lim = { .icount = ICOUNT_MAX };
	struct evlog_record big = { .kind = ND_CONSOLE };
	(void)state;
	snprintf(path, sizeof(path), "%s/t", dir);
	fake_live_init(&live, 5);
	live.nondet.ops = &ops;
	w = trace_start(path, 100);
	/* The name of the next segment is taken. */
	segment_path(path, 1, name);
	file_write(name, "", 0);
	big.data = calloc(1, 1000);
	big.len = 1000;
	assert_int_equal(evlog_writer_append(w, &big), 0);
	assert_int_equal(recorder_create(&rec, &live.nondet, &live.output, evlog_writer_sink(w)), 0);
	fake_init(&m, recorder_nondet(rec), recorder_output(rec));
	assert_int_equal(fake_run(&m, &lim, &result), RV_EEXIST);
	recorder_destroy(rec);
	evlog_writer_destroy(w);
	free((void *)(uintptr_t)big.data);
	scratch_remove(dir);
}

static void test_output_digest(void **state)
{
	struct output_digest a = { 0 }, b = { 0 };
	(void)state;
	output_digest_add(&a, 5, OUT_CONSOLE, 0, "ab", 2);
	output_digest_add(&b, 5, OUT_CONSOLE, 0, "ab", 2);
	assert_true(digest_equal(a.sum, b.sum));
	output_digest_add(&a, 6, OUT_CONSOLE, 0, "c", 1);
	output_digest_add(&b, 7, OUT_CONSOLE, 0, "c", 1);
	assert_false(digest_equal(a.sum, b.sum)); /* the moment counts */
	assert_int_equal(a.bytes, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logs_what_passes),
		cmocka_unit_test(test_log_error_stops),
		cmocka_unit_test(test_output_digest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
