/* SPDX-License-Identifier: Apache-2.0 */
/* SIGKILL at any moment leaves no trace at all, or one that holds a prefix of what was appended. */
#include "tests/unit/record/trace_util.h"

#include <signal.h>
#include <sys/wait.h>

#define RUNS 60u
#define RECORDS 200000u

/* The i-th record of the test's history: made again by the reader. */
static void record_nth(uint64_t i, uint8_t *buf, struct evlog_record *r)
{
	uint64_t rng = i;
	memset(r, 0, sizeof(*r));
	r->at = (struct exec_point){ i * 7, i };
	r->kind = i % 2 ? ND_CONSOLE : ND_TIME;
	r->in_halt = i % 5 == 0;
	r->vns = r->in_halt ? i * 100 : 0;
	r->data = buf;
	r->len = i % 2 ? (uint32_t)(i % 900) : 16;
	for (uint32_t k = 0; k < r->len; k++)
		buf[k] = (uint8_t)rng_next(&rng);
}

static void child(const char *trace)
{
	struct evlog_writer *w = trace_start(trace, 1 << 20);
	uint8_t buf[1024];
	for (uint64_t i = 0; i < RECORDS; i++) {
		struct evlog_record r;
		record_nth(i, buf, &r);
		if (evlog_writer_append(w, &r) != RV_OK)
			_exit(1);
		if (i % 1024 == 0)
			usleep(100);
	}
	/* Alive, and not finished, until it is killed. */
	for (;;)
		pause();
}

static uint64_t check(const char *trace)
{
	struct trace *t = NULL;
	struct evlog_reader *r = NULL;
	struct evlog_record rec, want;
	struct rv_err err = { 0 };
	uint8_t buf[1024];
	uint64_t n = 0;
	int rc = trace_open(&t, trace, &err);
	if (rc == RV_ENOENT)
		return 0;
	if (rc != RV_OK || evlog_reader_open(&r, t, &err) != RV_OK)
		fail_msg("%s", err.text);
	while ((rc = evlog_reader_next(r, &rec, &err)) > 0) {
		record_nth(n++, buf, &want);
		record_same(&want, &rec);
	}
	assert_int_equal(rc, 0);
	assert_false(evlog_reader_info(r)->complete);
	evlog_reader_close(r);
	trace_close(t);
	return n;
}

static void test_killed(void **state)
{
	uint64_t rng = test_seed(), most = 0;
	char *dir = scratch_make(), trace[256];
	(void)state;
	for (unsigned i = 0; i < RUNS; i++) {
		pid_t pid;
		int status;
		uint64_t n;
		snprintf(trace, sizeof(trace), "%s/t%u", dir, i);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			child(trace);
		/* From before the rename to well into the second segment. */
		usleep((useconds_t)(rng_next(&rng) % (i % 3 ? 350000 : 3000)));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		n = check(trace);
		most = n > most ? n : most;
		scratch_clear(trace);
	}
	print_message("most records kept: %llu\n", (unsigned long long)most);
	assert_true(most > 0);
	scratch_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_killed) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
