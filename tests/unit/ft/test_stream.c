/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of the log: what a primary holds back and lets go, and what a backup's replay is given, when. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ft/follow.h"
#include "ft/stream.h"

static const uint8_t session[16] = "a unit test";

/* ---- the primary's end ---- */

struct host {
	struct output output;
	char sent[1024];
	size_t len;
};

static void host_emit(struct output *out, icount_t icount, enum out_kind kind, unsigned instance, const void *data,
		      size_t len)
{
	struct host *h = (struct host *)out;
	(void)icount;
	(void)kind;
	(void)instance;
	memcpy(h->sent + h->len, data, len);
	h->len += len;
}
static const struct output_ops host_ops = { .emit = host_emit };

static void count_wake(void *ctx)
{
	++*(unsigned *)ctx;
}

static void emit(struct ft_stream *s, icount_t at, const char *text)
{
	output_emit(ft_stream_output(s), at, OUT_CONSOLE, 0, text, strlen(text));
}

static void append(struct ft_stream *s, icount_t at, uint64_t seq)
{
	const struct evlog_record r = { .at = { at, seq }, .kind = ND_CONSOLE, .data = (const uint8_t *)"x", .len = 1 };
	assert_int_equal(evlog_append(ft_stream_sink(s), &r), RV_OK);
}

static void test_output_commit(void **state)
{
	struct host host = { .output.ops = &host_ops };
	struct evlog_batch batch = { 0 };
	struct ft_stream_stats st;
	struct ft_stream *s = NULL;
	unsigned wakes = 0;
	icount_t known;
	(void)state;
	assert_int_equal(ft_stream_create(&s, &host.output, count_wake, &wakes), RV_OK);
	/* Alone: straight through, and no record is kept. */
	emit(s, 5, "a");
	append(s, 6, 0);
	assert_int_equal(host.len, 1);
	ft_stream_start(s, 10);
	ft_stream_take(s, &batch, &known);
	assert_int_equal(batch.n, 0);
	assert_int_equal(known, 10);
	/* A backup joins: records are kept, outputs still leave. */
	append(s, 12, 0);
	emit(s, 13, "b");
	assert_int_equal(host.len, 2);
	/* What left unheld must be in the log before a backup may rely on it. */
	ft_stream_stats(s, &st);
	assert_int_equal(st.loose, 14);
	ft_stream_ticket(s, 17);
	ft_stream_hold(s);
	ft_stream_ticket(s, 19);
	ft_stream_stats(s, &st);
	assert_int_equal(st.loose, 17);
	append(s, 20, 1);
	wakes = 0;
	emit(s, 20, "c");
	assert_int_equal(wakes, 1);
	assert_true(ft_stream_urgent(s));
	emit(s, 30, "d");
	assert_int_equal(host.len, 2);
	ft_stream_stats(s, &st);
	assert_int_equal(st.held, 2);
	/* What must be acknowledged reaches behind the instruction that sent, and its records are in the batch. */
	ft_stream_take(s, &batch, &known);
	assert_int_equal(batch.n, 2);
	assert_int_equal(known, 31);
	assert_false(ft_stream_urgent(s));
	ft_stream_acked(s, 20);
	assert_int_equal(host.len, 2);
	ft_stream_acked(s, 21);
	assert_memory_equal(host.sent, "abc", 3);
	assert_int_equal(host.len, 3);
	ft_stream_acked(s, 15); /* older than what is known already */
	emit(s, 31, "e");
	/* The backup is gone, and the term is ours: all leaves, in order. */
	ft_stream_release(s);
	assert_memory_equal(host.sent, "abcde", 5);
	ft_stream_stop(s);
	emit(s, 40, "f");
	assert_int_equal(host.len, 6);
	/* It is not ours: nothing leaves any more. */
	ft_stream_hold(s);
	emit(s, 50, "g");
	ft_stream_discard(s);
	emit(s, 51, "h");
	ft_stream_acked(s, 100);
	assert_int_equal(host.len, 6);
	evlog_batch_fini(&batch);
	ft_stream_destroy(s);
}

/* ---- the backup's end ---- */

static void put(struct ft_follow *f, struct evlog_header *h, icount_t known, uint64_t stamp, unsigned records,
		icount_t first, uint64_t seq, int want)
{
	struct evlog_batch b = { 0 };
	struct bytes chunk = { 0 };
	struct ft_log l = { .known = known, .stamp = stamp };
	for (unsigned i = 0; i < records; i++) {
		const struct evlog_record r = { .at = { first + i, seq + i }, .kind = ND_CONSOLE,
						.data = (const uint8_t *)"y", .len = 1 };
		assert_int_equal(evlog_batch_add(&b, &r), RV_OK);
	}
	if (records) {
		memcpy(h->id, session, sizeof(h->id));
		assert_int_equal(evlog_chunk_encode(&b, h, &chunk), RV_OK);
		l.chunk = chunk.data;
		l.chunk_len = chunk.len;
	}
	assert_int_equal(ft_follow_put(f, &l), want);
	if (records && want == RV_OK) {
		h->number++;
		h->prev_crc = h->crc;
	}
	evlog_batch_fini(&b);
	bytes_fini(&chunk);
}

static int next(struct ft_follow *f, bool wait, icount_t at, struct evlog_record *rec)
{
	struct evlog_source *s = ft_follow_source(f);
	return s->ops->next(s, wait, at, rec, NULL);
}

static void test_follow(void **state)
{
	struct ft_follow_stats st;
	struct evlog_header h = { 0 };
	struct evlog_record rec;
	struct ft_follow *f = NULL;
	(void)state;
	assert_int_equal(ft_follow_create(&f, NULL, NULL), RV_OK);
	ft_follow_begin(f, (struct exec_point){ 100, 7 }, session);
	assert_int_equal(next(f, false, 100, &rec), EVLOG_LATER);
	put(f, &h, 120, 1000000, 2, 110, 7, RV_OK);
	assert_int_equal(next(f, true, 100, &rec), 1);
	assert_int_equal(rec.at.icount, 110);
	assert_int_equal(rec.at.seq, 7);
	assert_int_equal(next(f, true, 110, &rec), 1);
	/* None is left, but all below 120 were given. */
	assert_int_equal(next(f, true, 119, &rec), EVLOG_LATER);
	/* How far it is behind: by what the primary's clock said when it had got further. */
	put(f, &h, 130, 5000000, 0, 0, 0, RV_OK);
	put(f, &h, 140, 9000000, 0, 0, 0, RV_OK);
	ft_follow_stats(f, &st);
	assert_int_equal(st.replayed, 119);
	assert_int_equal(st.lag_us, 8000);
	assert_int_equal(next(f, true, 135, &rec), EVLOG_LATER);
	ft_follow_stats(f, &st);
	assert_int_equal(st.lag_us, 0);
	ft_follow_interrupt(f);
	assert_int_equal(next(f, true, 140, &rec), RV_EINTR);
	/* What is not the next chunk: another number, another chain, another session, an earlier position. */
	h.number++;
	put(f, &h, 150, 1, 1, 145, 9, RV_EDAMAGED);
	h.number--;
	h.prev_crc ^= 1;
	put(f, &h, 150, 1, 1, 145, 9, RV_EDAMAGED);
	h.prev_crc ^= 1;
	put(f, &h, 150, 1, 1, 105, 9, RV_EDAMAGED);
	/* The end: behind the last record, wherever the primary had come to. */
	put(f, &h, 150, 10000000, 1, 155, 9, RV_OK);
	ft_follow_end(f);
	assert_int_equal(next(f, true, 150, &rec), 1);
	assert_int_equal(next(f, true, 151, &rec), EVLOG_LATER);
	assert_int_equal(next(f, true, 155, &rec), 0);
	ft_follow_destroy(f);
}

static void *late(void *ctx)
{
	struct evlog_header h = { 0 };
	usleep(50000);
	put(ctx, &h, 20, 1, 1, 15, 0, RV_OK);
	usleep(50000);
	ft_follow_end(ctx);
	return NULL;
}

static void test_follow_waits(void **state)
{
	struct evlog_record rec;
	struct ft_follow *f = NULL;
	pthread_t thread;
	(void)state;
	assert_int_equal(ft_follow_create(&f, NULL, NULL), RV_OK);
	ft_follow_begin(f, (struct exec_point){ 10, 0 }, session);
	assert_int_equal(pthread_create(&thread, NULL, late, f), 0);
	assert_int_equal(next(f, true, 10, &rec), 1);
	assert_int_equal(next(f, true, 20, &rec), 0);
	pthread_join(thread, NULL);
	ft_follow_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_commit),
		cmocka_unit_test(test_follow),
		cmocka_unit_test(test_follow_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
