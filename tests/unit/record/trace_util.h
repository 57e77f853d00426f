/* SPDX-License-Identifier: Apache-2.0 */
/* Making, changing and reading small traces; shared by the tests of record/ and replay/. */
#ifndef RV_TESTS_TRACE_UTIL_H
#define RV_TESTS_TRACE_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/model.h"
#include "record/evlog.h"
#include "record/evlog_chunk.h"

#define UNUSED __attribute__((unused))

/* splitmix64: the tests' random numbers come from a printed seed. */
static inline uint64_t rng_next(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

UNUSED static uint64_t test_seed(void)
{
	const char *s = getenv("RV_TEST_SEED");
	uint64_t seed = s ? strtoull(s, NULL, 0) : 0x5eed;
	print_message("seed %#llx (RV_TEST_SEED)\n", (unsigned long long)seed);
	return seed;
}

struct file {
	uint8_t *data;
	size_t len;
};

UNUSED static struct file file_read(const char *path)
{
	struct file f = { 0 };
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	f.len = (size_t)st.st_size;
	f.data = malloc(f.len + 1);
	assert_non_null(f.data);
	assert_int_equal(read(fd, f.data, f.len), (ssize_t)f.len);
	close(fd);
	return f;
}

UNUSED static void file_write(const char *path, const void *data, size_t len)
{
	/* No O_TRUNC: some file systems flush a file that was cut to nothing when it is closed. */
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	close(fd);
}

/* A new directory for one test, removed by scratch_remove(). */
UNUSED static char *scratch_make(void)
{
	char *dir = strdup("/tmp/rv-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return dir;
}

UNUSED static void scratch_clear(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char sub[1024];
	if (!d) {
		unlink(path);
		return;
	}
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		scratch_clear(sub);
	}
	closedir(d);
	rmdir(path);
}

UNUSED static void scratch_remove(char *dir)
{
	scratch_clear(dir);
	free(dir);
}

static const char trace_kernel_bytes[] = "not a kernel, but 46 bytes that stand for one";
static const char trace_initrd_bytes[] = "and an initrd";

UNUSED static void trace_manifest_sample(struct trace_manifest *m)
{
	memset(m, 0, sizeof(*m));
	strcpy(m->cpu_model, "rv-v2");
	strcpy(m->result_profile, "rv");
	strcpy(m->engine, "exact");
	strcpy(m->host_cpu, "some host");
	strcpy(m->version, "0.1.0");
	m->semantics_version = CPU_SEMANTICS_VERSION;
	m->memory = 64u << 20;
	m->ncpus = 1;
	m->clock_rate = 1ull << 32;
	m->date = -5;
	m->seed = 77;
	m->digest_every = 1000;
	m->cmdline = strdup("console=ttyS0 quiet");
	m->kernel_len = sizeof(trace_kernel_bytes);
	m->initrd_len = sizeof(trace_initrd_bytes);
}

UNUSED static struct evlog_writer *trace_start(const char *path, uint64_t segment_bytes)
{
	struct trace_manifest m;
	struct evlog_writer_cfg cfg = { .sync = EVLOG_SYNC_NONE, .segment_bytes = segment_bytes };
	struct evlog_writer *w = NULL;
	struct rv_err err = { 0 };
	trace_manifest_sample(&m);
	if (evlog_writer_create(&w, path, &m, trace_kernel_bytes, trace_initrd_bytes, &cfg, &err))
		fail_msg("%s", err.text);
	trace_manifest_fini(&m);
	return w;
}

/* A plausible record that follows *at; data is kept in buf. */
UNUSED static void record_random(uint64_t *rng, struct exec_point *at, uint8_t *buf, uint32_t max,
				 struct evlog_record *r)
{
	uint64_t x = rng_next(rng);
	memset(r, 0, sizeof(*r));
	at->icount += x % 5 ? rng_next(rng) >> (40 + x % 20) : 0;
	r->at = *at;
	r->data = buf;
	x = rng_next(rng);
	r->in_halt = x % 3 == 0;
	r->vns = r->in_halt ? rng_next(rng) >> x % 60 : 0;
	switch (rng_next(rng) % 4) {
	case 0:
	case 1:
		r->kind = ND_TIME;
		le64_put(buf, rng_next(rng) >> rng_next(rng) % 64);
		le64_put(buf + 8, rng_next(rng) >> rng_next(rng) % 64);
		r->len = 16;
		break;
	case 2:
		r->kind = ND_CONSOLE;
		r->instance = (uint32_t)(x >> 40) % 3;
		r->len = (uint32_t)(rng_next(rng) % (max + 1));
		for (uint32_t i = 0; i < r->len; i++)
			buf[i] = (uint8_t)rng_next(rng);
		break;
	default:
		r->kind = EVLOG_DIGEST;
		r->len = 192;
		for (uint32_t i = 0; i < r->len; i++)
			buf[i] = (uint8_t)rng_next(rng);
		break;
	}
	at->seq += r->kind < 64;
}

UNUSED static void record_same(const struct evlog_record *a, const struct evlog_record *b)
{
	assert_int_equal(a->at.icount, b->at.icount);
	assert_int_equal(a->at.seq, b->at.seq);
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->instance, b->instance);
	assert_int_equal(a->in_halt, b->in_halt);
	assert_int_equal(a->in_halt ? a->vns : 0, b->vns);
	assert_int_equal(a->len, b->len);
	if (a->len)
		assert_memory_equal(a->data, b->data, a->len);
}

/* ---- a log laid out by hand: known chunks at known places ---- */
#define LAID_MAX 64u
struct laid_chunk {
	uint32_t segment;
	size_t off, len;
	size_t records_before; /* in the log before this chunk */
};
struct laid {
	struct laid_chunk chunk[LAID_MAX];
	size_t n;
	uint32_t segments;
	struct evlog_batch all; /* every record */
};

UNUSED static void segment_path(const char *trace, uint32_t n, char out[512])
{
	snprintf(out, 512, "%s/log/%06u.rvl", trace, n);
}

/* Makes `path` with `chunks` further chunks of up to `records` records each, `per_segment` chunks a
 * segment, the last one an end chunk. */
UNUSED static void trace_lay(const char *path, struct laid *l, uint64_t *rng, size_t chunks,
			     size_t records, size_t per_segment, uint32_t max_payload)
{
	struct evlog_writer *w = trace_start(path, 0);
	struct evlog_header h = { 0 };
	struct exec_point at = { 0, 0 };
	struct bytes seg = { 0 };
	struct file first;
	char name[512];
	uint8_t *buf = malloc(ND_PAYLOAD_MAX);

	memset(l, 0, sizeof(*l));
	evlog_writer_destroy(w);
	segment_path(path, 0, name);
	first = file_read(name);
	assert_true(evlog_header_decode(first.data, &h));
	l->chunk[l->n++] = (struct laid_chunk){ 0, 0, first.len, 0 };
	bytes_put(&seg, first.data, first.len);
	for (size_t i = 1; i <= chunks; i++) {
		struct evlog_batch b = { 0 };
		size_t n = 1 + rng_next(rng) % records;
		size_t before = l->all.n, off;
		if (i % per_segment == 0) {
			segment_path(path, l->segments, name);
			file_write(name, seg.data, seg.len);
			l->segments++;
			bytes_clear(&seg);
		}
		for (size_t k = 0; k < n; k++) {
			struct evlog_record r;
			record_random(rng, &at, buf, max_payload, &r);
			if (!evlog_batch_fits(&b, r.len))
				break;
			assert_int_equal(evlog_batch_add(&b, &r), 0);
			assert_int_equal(evlog_batch_add(&l->all, &r), 0);
		}
		h.prev_crc = h.crc;
		h.number = i;
		h.flags = i == chunks ? EVLOG_FLAG_END : 0;
		off = seg.len;
		assert_int_equal(evlog_chunk_encode(&b, &h, &seg), 0);
		assert_true(l->n < LAID_MAX);
		l->chunk[l->n++] =
			(struct laid_chunk){ l->segments, off, seg.len - off, before };
		evlog_batch_fini(&b);
	}
	segment_path(path, l->segments, name);
	file_write(name, seg.data, seg.len);
	l->segments++;
	bytes_fini(&seg);
	free(first.data);
	free(buf);
}

/* Opens and reads everything. On success checks that it is the first info.records records of `all` and
 * returns their number in *records. */
UNUSED static int trace_read_all(const char *path, const struct evlog_batch *all, size_t *records,
				 bool *complete, struct rv_err *err)
{
	struct trace *t = NULL;
	struct evlog_reader *r = NULL;
	struct evlog_record rec;
	size_t n = 0, pos = 0;
	int rc = trace_open(&t, path, err);
	if (rc != RV_OK)
		return rc;
	rc = evlog_reader_open(&r, t, err);
	if (rc == RV_OK) {
		while ((rc = evlog_reader_next(r, &rec, err)) > 0) {
			const struct evlog_entry *e = &all->entry[n++];
			assert_true(n <= all->n);
			record_same(&(struct evlog_record){ .at = { e->icount, e->seq },
							    .kind = e->kind,
							    .instance = e->instance,
							    .in_halt = e->in_halt,
							    .vns = e->vns,
							    .data = all->payload.data + pos,
							    .len = e->len },
				    &rec);
			pos += e->len;
		}
		assert_int_equal(n, evlog_reader_info(r)->records);
		*complete = evlog_reader_info(r)->complete;
		*records = n;
		evlog_reader_close(r);
	}
	trace_close(t);
	return rc;
}

#endif
