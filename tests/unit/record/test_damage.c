/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promise of FORMAT.md, "Validity": after any change of one byte and at any
 * length, what is read is a prefix of what was written, or damage is reported.
 */
#include "tests/unit/record/trace_util.h"

static const struct laid_chunk *chunk_at(const struct laid *l, uint32_t segment, size_t off)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->chunk[i].segment == segment && off >= l->chunk[i].off &&
		    off < l->chunk[i].off + l->chunk[i].len)
			return &l->chunk[i];
	return NULL;
}

static void expect_damaged(const char *trace, const struct laid *l, const char *file)
{
	size_t records;
	bool complete;
	struct rv_err err = { 0 };
	int rc = trace_read_all(trace, &l->all, &records, &complete, &err);
	if (rc != RV_EDAMAGED)
		fail_msg("%s: expected damage, got %d %s", file, rc, err.text);
	assert_non_null(strstr(err.text, file));
}

static void expect_prefix(const char *trace, const struct laid *l, size_t want, bool want_complete)
{
	size_t records = 0;
	bool complete = true;
	struct rv_err err = { 0 };
	int rc = trace_read_all(trace, &l->all, &records, &complete, &err);
	if (rc != RV_OK)
		fail_msg("expected a prefix, got %d %s", rc, err.text);
	assert_int_equal(records, want);
	assert_int_equal(complete, want_complete);
}

static void flip_at(const char *trace, const struct laid *l, uint32_t segment, struct file *f,
		    const char *name, size_t off, uint8_t mask)
{
	const struct laid_chunk *c = chunk_at(l, segment, off);
	char base[32];
	assert_non_null(c);
	f->data[off] ^= mask;
	file_write(name, f->data, f->len);
	if (c == &l->chunk[l->n - 1]) {
		expect_prefix(trace, l, c->records_before, false);
	} else {
		snprintf(base, sizeof(base), "%06u.rvl", segment);
		expect_damaged(trace, l, base);
	}
	f->data[off] ^= mask;
}

static void test_every_flip(void **state)
{
	char *dir = scratch_make(), trace[256], name[512];
	uint64_t rng = test_seed();
	struct laid l;
	(void)state;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	trace_lay(trace, &l, &rng, 8, 4, 3, 40);
	expect_prefix(trace, &l, l.all.n, true);
	for (uint32_t s = 0; s < l.segments; s++) {
		struct file f;
		segment_path(trace, s, name);
		f = file_read(name);
		for (size_t off = 0; off < f.len; off++) {
			flip_at(trace, &l, s, &f, name, off, 0x01);
			flip_at(trace, &l, s, &f, name, off, 0x80);
			flip_at(trace, &l, s, &f, name, off, 0xff);
		}
		file_write(name, f.data, f.len);
		free(f.data);
	}
	for (unsigned k = 0; k < 3; k++) {
		static const char *const files[] = { "manifest", "kernel", "initrd" };
		struct file f;
		snprintf(name, sizeof(name), "%s/%s", trace, files[k]);
		f = file_read(name);
		for (size_t off = 0; off < f.len; off++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				f.data[off] ^= (uint8_t)(1u << bit);
				file_write(name, f.data, f.len);
				expect_damaged(trace, &l, files[k]);
				f.data[off] ^= (uint8_t)(1u << bit);
			}
		}
		for (size_t len = 0; len < f.len; len++) {
			file_write(name, f.data, len);
			expect_damaged(trace, &l, files[k]);
		}
		unlink(name);
		expect_damaged(trace, &l, files[k]);
		file_write(name, f.data, f.len);
		free(f.data);
	}
	expect_prefix(trace, &l, l.all.n, true);
	evlog_batch_fini(&l.all);
	scratch_remove(dir);
}

static void test_every_length(void **state)
{
	char *dir = scratch_make(), trace[256], name[512], base[32];
	uint64_t rng = test_seed();
	struct laid l;
	(void)state;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	trace_lay(trace, &l, &rng, 8, 4, 3, 40);
	for (uint32_t s = 0; s < l.segments; s++) {
		struct file f;
		segment_path(trace, s, name);
		f = file_read(name);
		for (size_t len = 0; len < f.len; len++) {
			file_write(name, f.data, len);
			if (s + 1 == l.segments) {
				expect_prefix(trace, &l, chunk_at(&l, s, len)->records_before,
					      false);
			} else {
				/* Cut at a chunk's end, the next segment is what does not fit. */
				snprintf(base, sizeof(base), "%s", ".rvl");
				expect_damaged(trace, &l, base);
			}
		}
		/* And longer: nothing may follow the end chunk, or stand between two. */
		f.data = realloc(f.data, f.len + 1);
		for (unsigned v = 0; v < 256; v += 51) {
			f.data[f.len] = (uint8_t)v;
			file_write(name, f.data, f.len + 1);
			expect_damaged(trace, &l, ".rvl");
		}
		file_write(name, f.data, f.len);
		free(f.data);
	}
	expect_prefix(trace, &l, l.all.n, true);
	evlog_batch_fini(&l.all);
	scratch_remove(dir);
}

/* A single segment cut anywhere, down to nothing, is a shorter log. */
static void test_one_segment(void **state)
{
	char *dir = scratch_make(), trace[256], name[512];
	uint64_t rng = test_seed();
	struct laid l;
	struct file f;
	(void)state;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	trace_lay(trace, &l, &rng, 4, 6, 100, 30);
	assert_int_equal(l.segments, 1);
	segment_path(trace, 0, name);
	f = file_read(name);
	for (size_t len = 0; len < f.len; len++) {
		file_write(name, f.data, len);
		expect_prefix(trace, &l, chunk_at(&l, 0, len)->records_before, false);
	}
	unlink(name);
	expect_damaged(trace, &l, "000000.rvl");
	free(f.data);
	evlog_batch_fini(&l.all);
	scratch_remove(dir);
}

static void test_segments(void **state)
{
	char *dir = scratch_make(), trace[256], name[512], other[512];
	uint64_t rng = test_seed();
	struct laid l;
	(void)state;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	trace_lay(trace, &l, &rng, 11, 4, 3, 40);
	assert_int_equal(l.segments, 4);
	snprintf(other, sizeof(other), "%s/aside", dir);
	for (uint32_t s = 0; s < l.segments; s++) {
		char base[32];
		segment_path(trace, s, name);
		assert_int_equal(rename(name, other), 0);
		if (s + 1 == l.segments) {
			expect_prefix(trace, &l, l.chunk[9].records_before, false);
		} else {
			snprintf(base, sizeof(base), "%06u.rvl: missing", s);
			expect_damaged(trace, &l, base);
		}
		/* Something else under its name. */
		assert_int_equal(mkdir(name, 0700), 0);
		expect_damaged(trace, &l, ".rvl");
		assert_int_equal(rmdir(name), 0);
		assert_int_equal(mkfifo(name, 0600), 0);
		expect_damaged(trace, &l, ".rvl");
		assert_int_equal(unlink(name), 0);
		assert_int_equal(symlink(other, name), 0);
		expect_damaged(trace, &l, ".rvl");
		assert_int_equal(unlink(name), 0);
		assert_int_equal(rename(other, name), 0);
	}
	/* A segment too many, even an empty one, comes after the end chunk. */
	segment_path(trace, 4, name);
	file_write(name, "", 0);
	expect_damaged(trace, &l, "000004.rvl");
	unlink(name);
	/* Other files in the folder are nobody's business. */
	snprintf(name, sizeof(name), "%s/log/notes.txt", trace);
	file_write(name, "x", 1);
	expect_prefix(trace, &l, l.all.n, true);
	evlog_batch_fini(&l.all);
	scratch_remove(dir);
}

/* Whole chunks removed, doubled, exchanged: each is sound by itself. */
static void test_chunks_moved(void **state)
{
	char *dir = scratch_make(), trace[256], name[512];
	uint64_t rng = test_seed();
	struct laid l;
	struct file f;
	(void)state;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	trace_lay(trace, &l, &rng, 5, 4, 100, 40);
	segment_path(trace, 0, name);
	f = file_read(name);
	for (size_t i = 0; i + 1 < l.n; i++) {
		const struct laid_chunk *c = &l.chunk[i];
		struct bytes b = { 0 };
		bytes_put(&b, f.data, c->off);
		bytes_put(&b, f.data + c->off + c->len, f.len - c->off - c->len);
		file_write(name, b.data, b.len);
		expect_damaged(trace, &l, "000000.rvl");
		bytes_clear(&b);
		bytes_put(&b, f.data, c->off + c->len);
		bytes_put(&b, f.data + c->off, f.len - c->off);
		file_write(name, b.data, b.len);
		expect_damaged(trace, &l, "000000.rvl");
		bytes_fini(&b);
	}
	free(f.data);
	evlog_batch_fini(&l.all);
	scratch_remove(dir);
}

static void test_random_large(void **state)
{
	char *dir = scratch_make(), trace[256], name[512];
	uint64_t rng = test_seed();
	struct laid l;
	struct file f[8];
	(void)state;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	trace_lay(trace, &l, &rng, 40, 400, 8, 3000);
	assert_true(l.segments <= 8);
	for (uint32_t s = 0; s < l.segments; s++) {
		segment_path(trace, s, name);
		f[s] = file_read(name);
	}
	for (unsigned i = 0; i < 60; i++) {
		uint32_t s = (uint32_t)(rng_next(&rng) % l.segments);
		size_t off = rng_next(&rng) % f[s].len;
		segment_path(trace, s, name);
		flip_at(trace, &l, s, &f[s], name, off, (uint8_t)(1u << rng_next(&rng) % 8));
		if (s + 1 == l.segments) {
			file_write(name, f[s].data, off);
			expect_prefix(trace, &l, chunk_at(&l, s, off)->records_before, false);
		}
		file_write(name, f[s].data, f[s].len);
	}
	for (uint32_t s = 0; s < l.segments; s++)
		free(f[s].data);
	evlog_batch_fini(&l.all);
	scratch_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_flip),   cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_one_segment),  cmocka_unit_test(test_segments),
		cmocka_unit_test(test_chunks_moved), cmocka_unit_test(test_random_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
