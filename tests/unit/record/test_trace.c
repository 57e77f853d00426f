/* SPDX-License-Identifier: Apache-2.0 */
/* The writer, the trace directory and the reader together. */
#include "tests/unit/record/trace_util.h"

static void write_random(struct evlog_writer *w, struct evlog_batch *all, size_t n, uint64_t *rng,
			 struct exec_point *at, uint32_t max)
{
	uint8_t *buf = malloc(ND_PAYLOAD_MAX);
	for (size_t i = 0; i < n; i++) {
		struct evlog_record r;
		record_random(rng, at, buf, max, &r);
		assert_int_equal(evlog_writer_append(w, &r), 0);
		assert_int_equal(evlog_batch_add(all, &r), 0);
	}
	free(buf);
}

static void test_write_read(void **state)
{
	char *dir = scratch_make(), trace[256];
	uint64_t rng = test_seed();
	struct evlog_batch all = { 0 };
	struct exec_point at = { 0, 0 };
	struct evlog_writer *w;
	struct rv_err err = { 0 };
	size_t records;
	bool complete;
	struct stat st;
	(void)state;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	w = trace_start(trace, 1 << 20);
	write_random(w, &all, 20000, &rng, &at, 2000);
	usleep(300000);
	write_random(w, &all, 10, &rng, &at, 10);
	assert_int_equal(evlog_writer_finish(w, &err), 0);
	assert_true(evlog_writer_bytes(w) > 1 << 20);
	evlog_writer_destroy(w);
	assert_int_equal(trace_read_all(trace, &all, &records, &complete, &err), 0);
	assert_int_equal(records, all.n);
	assert_true(complete);
	assert_int_equal(stat(trace, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	strcat(trace, "/log/000001.rvl");
	assert_int_equal(stat(trace, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	evlog_batch_fini(&all);
	scratch_remove(dir);
}

static void test_info_and_rewind(void **state)
{
	char *dir = scratch_make(), trace[256];
	struct evlog_writer *w;
	struct trace *t;
	struct evlog_reader *r;
	struct evlog_record rec;
	struct rv_err err = { 0 };
	uint8_t time[16] = { 0 };
	(void)state;
	snprintf(trace, sizeof(trace), "%s/t/", dir); /* a trailing slash is no other name */
	w = trace_start(trace, 0);
	for (unsigned i = 0; i < 5; i++) {
		rec = (struct evlog_record){ .at = { 10 * i, i }, .kind = ND_TIME, .data = time,
					     .len = 16 };
		assert_int_equal(evlog_writer_append(w, &rec), 0);
	}
	/* Backwards is refused and does not harm. */
	rec.at.icount = 3;
	assert_int_equal(evlog_writer_append(w, &rec), RV_EINVAL);
	rec = (struct evlog_record){ .at = { 99, 5 }, .kind = ND_STOP };
	assert_int_equal(evlog_writer_append(w, &rec), 0);
	assert_int_equal(evlog_writer_status(w), 0);
	evlog_writer_destroy(w);

	assert_int_equal(trace_open(&t, trace, &err), 0);
	assert_string_equal(trace_manifest(t)->cmdline, "console=ttyS0 quiet");
	assert_string_equal(trace_manifest(t)->host_cpu, "some host");
	assert_int_equal(trace_manifest(t)->date, -5);
	assert_int_equal(trace_manifest(t)->digest_every, 1000);
	assert_memory_equal(trace_kernel(t), trace_kernel_bytes, sizeof(trace_kernel_bytes));
	assert_memory_equal(trace_initrd(t), trace_initrd_bytes, sizeof(trace_initrd_bytes));
	assert_int_equal(trace_check_supported(t, &err), 0);
	assert_int_equal(evlog_reader_open(&r, t, &err), 0);
	assert_false(evlog_reader_info(r)->complete);
	assert_int_equal(evlog_reader_info(r)->records, 6);
	assert_int_equal(evlog_reader_info(r)->count[ND_TIME], 5);
	assert_int_equal(evlog_reader_info(r)->count[ND_STOP], 1);
	assert_int_equal(evlog_reader_info(r)->last.icount, 99);
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < 6; i++) {
			assert_int_equal(evlog_reader_next(r, &rec, &err), 1);
			assert_int_equal(rec.at.icount, i < 5 ? 10 * i : 99);
		}
		assert_int_equal(evlog_reader_next(r, &rec, &err), 0);
		assert_int_equal(evlog_reader_next(r, &rec, &err), 0);
		evlog_reader_rewind(r);
	}
	evlog_reader_close(r);
	trace_close(t);
	scratch_remove(dir);
}

/* A chunk leaves memory 200 ms after its first record, without another append. */
static void test_age(void **state)
{
	char *dir = scratch_make(), trace[256];
	struct evlog_writer *w;
	struct evlog_record rec = { .at = { 1, 0 }, .kind = ND_STOP };
	uint64_t before;
	(void)state;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	w = trace_start(trace, 0);
	before = evlog_writer_bytes(w);
	assert_int_equal(evlog_writer_append(w, &rec), 0);
	for (unsigned i = 0; i < 100 && evlog_writer_bytes(w) == before; i++)
		usleep(20000);
	assert_true(evlog_writer_bytes(w) > before);
	before = evlog_writer_bytes(w);
	usleep(500000);
	assert_int_equal(evlog_writer_bytes(w), before); /* nothing to say, nothing written */
	evlog_writer_destroy(w);
	scratch_remove(dir);
}

static unsigned entries(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static int create(const char *path, struct rv_err *err)
{
	struct trace_manifest m;
	struct evlog_writer_cfg cfg = { .sync = EVLOG_SYNC_CHUNK };
	struct evlog_writer *w = NULL;
	int rc;
	trace_manifest_sample(&m);
	rc = evlog_writer_create(&w, path, &m, trace_kernel_bytes, trace_initrd_bytes, &cfg, err);
	trace_manifest_fini(&m);
	evlog_writer_destroy(w);
	return rc;
}

static void test_create_errors(void **state)
{
	char *dir = scratch_make(), path[256];
	struct rv_err err = { 0 };
	(void)state;
	snprintf(path, sizeof(path), "%s/t", dir);
	assert_int_equal(create(path, &err), 0);
	assert_int_equal(create(path, &err), RV_EEXIST);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(entries(dir), 1); /* no temporary directory stays */
	snprintf(path, sizeof(path), "%s/no/t", dir);
	assert_int_equal(create(path, &err), RV_ENOENT);
	assert_int_equal(create("", &err), RV_EINVAL);
	scratch_remove(dir);
}

static void test_open_errors(void **state)
{
	char *dir = scratch_make(), path[256], name[300];
	struct rv_err err = { 0 };
	struct trace *t = NULL;
	struct file f;
	uint32_t crc;
	(void)state;
	snprintf(path, sizeof(path), "%s/none", dir);
	assert_int_equal(trace_open(&t, path, &err), RV_ENOENT);
	assert_int_equal(trace_open(&t, dir, &err), RV_EINVAL);
	assert_non_null(strstr(err.text, "not a trace"));
	snprintf(path, sizeof(path), "%s/file", dir);
	file_write(path, "x", 1);
	assert_int_equal(trace_open(&t, path, &err), RV_EINVAL);
	snprintf(path, sizeof(path), "%s/t", dir);
	assert_int_equal(create(path, &err), 0);
	/* A later version, properly made. */
	snprintf(name, sizeof(name), "%s/manifest", path);
	f = file_read(name);
	le32_put(f.data + 4, TRACE_FORMAT_VERSION + 1);
	crc = crc32c(crc32c(0, f.data, 12), f.data + 16, f.len - 16);
	le32_put(f.data + 12, crc);
	file_write(name, f.data, f.len);
	assert_int_equal(trace_open(&t, path, &err), RV_EVERSION);
	assert_non_null(strstr(err.text, "later version"));
	free(f.data);
	scratch_remove(dir);
}

static void test_not_supported(void **state)
{
	char *dir = scratch_make(), path[256];
	struct evlog_writer_cfg cfg = { .sync = EVLOG_SYNC_NONE };
	struct rv_err err = { 0 };
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct trace_manifest m;
		struct evlog_writer *w = NULL;
		struct trace *t = NULL;
		trace_manifest_sample(&m);
		if (i == 0)
			strcpy(m.cpu_model, "rv-v9");
		else if (i == 1)
			m.semantics_version = 1000;
		else if (i == 2)
			strcpy(m.result_profile, "zen");
		else
			strcpy(m.engine, "kvm");
		m.initrd_len = 0;
		snprintf(path, sizeof(path), "%s/t%u", dir, i);
		assert_int_equal(evlog_writer_create(&w, path, &m, trace_kernel_bytes, NULL, &cfg,
						     &err),
				 0);
		assert_int_equal(evlog_writer_finish(w, &err), 0);
		evlog_writer_destroy(w);
		trace_manifest_fini(&m);
		assert_int_equal(trace_open(&t, path, &err), 0);
		assert_null(trace_initrd(t));
		assert_int_equal(trace_check_supported(t, &err), RV_ENOTSUP);
		trace_close(t);
	}
	scratch_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_read),    cmocka_unit_test(test_info_and_rewind),
		cmocka_unit_test(test_age),           cmocka_unit_test(test_create_errors),
		cmocka_unit_test(test_open_errors),   cmocka_unit_test(test_not_supported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
