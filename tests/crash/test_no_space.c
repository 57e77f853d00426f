/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full disk: the writer's error sticks, and what was written is a valid,
 * incomplete trace. Tried with a file size limit (EFBIG), and where mounting is
 * allowed with a small tmpfs (ENOSPC).
 */
#include "tests/unit/record/trace_util.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Appends noise until the writer fails; the records in all are those it took. */
static void fill(struct evlog_writer *w, struct evlog_batch *all)
{
	uint64_t rng = 42;
	struct exec_point at = { 0, 0 };
	uint8_t *buf = malloc(ND_PAYLOAD_MAX);
	struct rv_err err = { 0 };
	int rc = RV_OK;
	for (unsigned i = 0; i < 200000 && rc == RV_OK; i++) {
		struct evlog_record r;
		record_random(&rng, &at, buf, 4000, &r);
		rc = evlog_writer_append(w, &r);
		if (rc == RV_OK)
			assert_int_equal(evlog_batch_add(all, &r), 0);
		if (i % 100 == 0)
			usleep(1000);
	}
	assert_int_equal(rc, RV_ENOSPC);
	assert_int_equal(evlog_writer_status(w), RV_ENOSPC);
	assert_int_equal(evlog_writer_finish(w, &err), RV_ENOSPC);
	assert_non_null(strstr(err.text, "no space"));
	free(buf);
}

static void check(const char *trace, const struct evlog_batch *all)
{
	struct rv_err err = { 0 };
	size_t records = 0;
	bool complete = true;
	if (trace_read_all(trace, all, &records, &complete, &err) != RV_OK)
		fail_msg("%s", err.text);
	assert_true(records > 0);
	assert_false(complete);
	print_message("%zu records kept\n", records);
}

/* No torn tail either: the half-written chunk was cut off. */
static void check_clean(const char *trace, uint64_t written)
{
	char name[512];
	struct stat st;
	uint64_t sum = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		segment_path(trace, i, name);
		if (stat(name, &st) < 0)
			break;
		sum += (uint64_t)st.st_size;
	}
	assert_int_equal(sum, written);
}

static void test_file_limit(void **state)
{
	char *dir = scratch_make(), trace[256];
	struct rlimit old, lim;
	struct evlog_batch all = { 0 };
	struct evlog_writer *w;
	(void)state;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	/* SIGXFSZ is not ignored here: the writer thread must not let it kill the program. */
	w = trace_start(trace, 0);
	lim = old;
	lim.rlim_cur = 3000001;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	fill(w, &all);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	check_clean(trace, evlog_writer_bytes(w));
	evlog_writer_destroy(w);
	check(trace, &all);
	evlog_batch_fini(&all);
	scratch_remove(dir);
}

/* In a child with a mount namespace of its own, so that nothing stays mounted. 2: not allowed. */
static int tmpfs_child(const char *dir)
{
	char trace[256];
	struct evlog_batch all = { 0 };
	struct evlog_writer *w;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=4m") < 0)
		return 2;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	w = trace_start(trace, 1 << 20);
	fill(w, &all);
	check_clean(trace, evlog_writer_bytes(w));
	evlog_writer_destroy(w);
	check(trace, &all);
	evlog_batch_fini(&all);
	return 0;
}

static void test_full_disk(void **state)
{
	char *dir = scratch_make();
	pid_t pid;
	int status;
	(void)state;
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(tmpfs_child(dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	scratch_remove(dir);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2) {
		print_message("mounting a tmpfs is not allowed here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_limit),
		cmocka_unit_test(test_full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
