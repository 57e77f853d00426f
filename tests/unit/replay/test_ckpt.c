/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: the page trees under them, in memory, on disk, damaged, and hostile. */
#include "ckpt_guest.h"

#include "record/ckpt.h"
#include "record/ckpt_file.h"
#include "record/page_tree.h"
#include "replay/history.h"

static unsigned test_rounds(unsigned normal)
{
	const char *s = getenv("RV_TEST_ROUNDS");
	return s ? (unsigned)strtoul(s, NULL, 0) : normal;
}

static void same_digest(struct digest128 a, struct digest128 b)
{
	assert_true(digest_equal(a, b));
}

/* ---- page trees against flat arrays ---- */

#define MODEL_PAGES 5000u /* three levels, the last one not full */
#define MODEL_TREES 8u
#define MODEL_KINDS 40u

/* Contents number k: 0 zeros, odd ones do not compress. */
static void model_contents(unsigned k, uint8_t out[RV_PAGE_SIZE])
{
	uint64_t rng = k * 77u;
	memset(out, 0, RV_PAGE_SIZE);
	if (k == 0)
		return;
	memset(out + k, (int)k, 64);
	for (unsigned i = 0; k % 2 && i < RV_PAGE_SIZE; i++)
		out[i] = (uint8_t)rng_next(&rng);
}

struct model {
	struct page_pool *pool;
	struct page_node *tree[MODEL_TREES];
	uint8_t flat[MODEL_TREES][MODEL_PAGES];
	uint64_t rng;
};

struct model_diff {
	struct page_pool *pool;
	const uint8_t *a, *b;
	uint8_t seen[MODEL_PAGES];
};

static void model_diff_page(void *ctx, uint64_t page, const struct page_blob *in_b)
{
	struct model_diff *d = ctx;
	uint8_t got[RV_PAGE_SIZE], want[RV_PAGE_SIZE];
	assert_true(page < MODEL_PAGES);
	assert_false(d->seen[page]);
	d->seen[page] = 1;
	assert_int_equal(page_blob_read(d->pool, in_b, got), 0);
	model_contents(d->b[page], want);
	assert_memory_equal(got, want, RV_PAGE_SIZE);
}

static void model_set(struct model *m, unsigned t, unsigned page, unsigned k)
{
	uint8_t contents[RV_PAGE_SIZE];
	bool zero;
	struct page_blob *b;
	model_contents(k, contents);
	b = page_blob_make(m->pool, contents, &zero);
	assert_int_equal(zero, k == 0);
	assert_int_equal(b == NULL, zero);
	assert_true(page_tree_set(m->pool, &m->tree[t], page, b));
	m->flat[t][page] = (uint8_t)k;
}

static void model_compare(struct model *m, unsigned a, unsigned b)
{
	struct model_diff d = { .pool = m->pool, .a = m->flat[a], .b = m->flat[b] };
	page_tree_diff(m->pool, m->tree[a], m->tree[b], model_diff_page, &d);
	for (unsigned i = 0; i < MODEL_PAGES; i++)
		assert_int_equal(d.seen[i], d.a[i] != d.b[i]);
}

static void test_page_tree(void **state)
{
	static struct model m;
	const unsigned rounds = test_rounds(4000);
	(void)state;
	memset(&m, 0, sizeof(m));
	m.rng = test_seed();
	assert_int_equal(page_pool_create(&m.pool, MODEL_PAGES), 0);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t x = rng_next(&m.rng);
		unsigned t = x % MODEL_TREES, u = x / MODEL_TREES % MODEL_TREES;
		unsigned page = (unsigned)(x >> 20) % MODEL_PAGES;
		uint8_t got[RV_PAGE_SIZE], want[RV_PAGE_SIZE];
		switch (x >> 40 & 15) {
		case 0: /* a checkpoint: u becomes t */
			if (t == u)
				break;
			page_tree_release(m.pool, m.tree[u]);
			m.tree[u] = page_tree_ref(m.tree[t]);
			memcpy(m.flat[u], m.flat[t], MODEL_PAGES);
			break;
		case 1:
			if (x >> 44 & 3)
				break;
			page_tree_release(m.pool, m.tree[t]);
			m.tree[t] = NULL;
			memset(m.flat[t], 0, MODEL_PAGES);
			break;
		case 2:
			model_compare(&m, t, u);
			break;
		case 3:
		case 4:
			assert_int_equal(page_blob_read(m.pool, page_tree_get(m.pool, m.tree[t], page), got), 0);
			model_contents(m.flat[t][page], want);
			assert_memory_equal(got, want, RV_PAGE_SIZE);
			break;
		default: /* near each other, so that paths are shared and nodes fill */
			page = x & 1u << 19 ? page : page % 200;
			model_set(&m, t, page, (unsigned)(x >> 50) % MODEL_KINDS);
			break;
		}
	}
	for (unsigned t = 0; t < MODEL_TREES; t++) {
		model_compare(&m, 0, t);
		if (t)
			page_tree_release(m.pool, m.tree[t]);
	}
	page_tree_release(m.pool, m.tree[0]);
	assert_int_equal(page_pool_bytes(m.pool), 0);
	page_pool_destroy(m.pool);
}

static void key_file_name(char out[16], uint32_t number)
{
	snprintf(out, 16, "%u", number);
}

/* A file may lie about the key of its data, and may be changed while it is in use. */
static void test_page_key(void **state)
{
	static uint8_t raw[2 * RV_PAGE_SIZE], lone[RV_PAGE_SIZE];
	const struct digest128 wrong = { 1, 2 };
	char *dir = scratch_make(), name[512];
	struct digest128 key, lone_key;
	uint8_t out[RV_PAGE_SIZE];
	struct page_pool *pool;
	struct page_blob *b, *c;
	bool zero;
	(void)state;
	memset(raw, 1, sizeof(raw));
	memset(lone, 2, sizeof(lone));
	snprintf(name, sizeof(name), "%s/7", dir);
	file_write(name, raw, sizeof(raw));
	key = digest_bytes(raw, RV_PAGE_SIZE, 0);
	lone_key = digest_bytes(lone, RV_PAGE_SIZE, 0);
	assert_int_equal(page_pool_create(&pool, 1), 0);
	page_pool_set_dir(pool, open(dir, O_RDONLY | O_DIRECTORY), key_file_name);
	assert_null(page_blob_known(pool, key));
	b = page_blob_filed(pool, 7, 11, RV_PAGE_SIZE, key);
	assert_int_equal(page_blob_read(pool, b, out), 0);
	assert_memory_equal(out, raw, RV_PAGE_SIZE);
	c = page_blob_known(pool, key);
	assert_ptr_equal(b, c);
	page_blob_release(pool, c);
	page_blob_release(pool, b);
	assert_null(page_blob_known(pool, key));
	/* Contents made here are no file's, until one says so. */
	b = page_blob_make(pool, lone, &zero);
	assert_null(page_blob_known(pool, lone_key));
	page_blob_release(pool, b);
	b = page_blob_filed(pool, 7, 0, RV_PAGE_SIZE, wrong);
	assert_int_equal(page_blob_read(pool, b, out), RV_EDAMAGED);
	page_blob_release(pool, b);
	b = page_blob_filed(pool, 7, 0, 5, wrong);
	assert_int_equal(page_blob_read(pool, b, out), RV_EDAMAGED);
	page_blob_release(pool, b);
	b = page_blob_filed(pool, 8, 0, 5, wrong);
	assert_int_equal(page_blob_read(pool, b, out), RV_ENOENT);
	page_blob_release(pool, b);
	b = page_blob_filed(pool, 7, RV_PAGE_SIZE, RV_PAGE_SIZE, key);
	assert_int_equal(truncate(name, 2 * RV_PAGE_SIZE - 1), 0);
	assert_int_equal(page_blob_read(pool, b, out), RV_EDAMAGED);
	page_blob_release(pool, b);
	assert_int_equal(page_pool_bytes(pool), 0);
	page_pool_destroy(pool);
	scratch_remove(dir);
}

/* ---- in memory ---- */

#define TAKES 12u
#define TAKE_STEPS 7001u

static void test_restore(void **state)
{
	struct ckpt_ports ports;
	struct machine *m = ckpt_machine(&ports);
	struct ckpt_store *store;
	struct ckpt *ckpt[TAKES];
	struct digest128 digest[TAKES + 1];
	uint64_t rng = test_seed(), before;
	(void)state;
	assert_int_equal(ckpt_store_create(&store, m), 0);
	for (unsigned i = 0; i < TAKES; i++) {
		struct output_digest extra = { .bytes = i };
		assert_int_equal(ckpt_take(store, &extra, &ckpt[i]), 0);
		assert_int_equal(ckpt_info(ckpt[i])->at.icount, i * TAKE_STEPS);
		assert_true(ckpt_info(ckpt[i])->bytes < 1u << 20);
		digest[i] = machine_digest(m);
		ckpt_run(m, &ports, TAKE_STEPS);
		assert_false(digest_equal(digest[i], machine_digest(m)));
	}
	digest[TAKES] = machine_digest(m);
	for (unsigned i = 0; i < 60; i++) {
		unsigned k = (unsigned)(rng_next(&rng) % TAKES);
		struct output_digest extra;
		assert_int_equal(ckpt_restore(store, ckpt[k], &extra), 0);
		assert_int_equal(extra.bytes, k);
		same_digest(machine_digest(m), digest[k]);
		/* And on from there, in two pieces, or stopped between two checkpoints. */
		ckpt_run(m, &ports, TAKE_STEPS / 3);
		if (i % 3 == 0)
			continue;
		ckpt_run(m, &ports, TAKE_STEPS - TAKE_STEPS / 3);
		same_digest(machine_digest(m), digest[k + 1]);
	}
	/* What no other checkpoint shares may be freed by the one that replaces it. */
	before = ckpt_store_bytes(store);
	for (unsigned i = 0; i < TAKES; i++)
		ckpt_release(store, ckpt[i]);
	assert_true(ckpt_store_bytes(store) <= before);
	for (unsigned i = 0; i < 3; i++) {
		const struct output_digest none = { .bytes = 0 };
		struct ckpt *c;
		ckpt_run(m, &ports, TAKE_STEPS);
		assert_int_equal(ckpt_take(store, &none, &c), 0);
		assert_true(ckpt_info(c)->bytes < 1u << 20);
		ckpt_release(store, c);
	}
	ckpt_store_destroy(store);
	machine_destroy(m);
}

/* ---- on disk ---- */

#define FILES 4u

static void ckpt_path(char out[512], const char *trace, unsigned n)
{
	snprintf(out, 512, "%s/" CKPT_DIR "/%06u.rvc", trace, n);
}

static const uint8_t twin[RV_PAGE_SIZE] = { 1, 2, 3 };

/* A trace with `files` checkpoints and their digests. */
static struct trace *disk_make(const char *path, unsigned files, struct digest128 *digest)
{
	struct ckpt_ports ports;
	struct machine *m = ckpt_machine(&ports);
	struct ckpt_writer *w;
	struct trace *t;
	struct rv_err err = { 0 };
	/* Two pages alike, where the guest has nothing. */
	for (unsigned i = 0; i < 2; i++)
		mem_write(machine_mem(m), 0x300000 + i * 0x2000, twin, sizeof(twin));
	evlog_writer_destroy(trace_start(path, 0));
	if (trace_open(&t, path, &err) ||
	    ckpt_writer_create(&w, path, trace_manifest(t), m, &(struct ckpt_writer_cfg){ .sync = NULL }, &err))
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < files; i++) {
		struct output_digest extra = { .bytes = i };
		char name[512];
		ckpt_run(m, &ports, 5003);
		digest[i] = machine_digest(m);
		assert_int_equal(ckpt_writer_take(w, &extra), 0);
		/* A take while the thread is busy is no take; the file's name comes a little earlier. */
		ckpt_path(name, path, i);
		for (unsigned k = 0; access(name, F_OK) && k < 20000; k++)
			usleep(1000);
		usleep(50000);
	}
	assert_int_equal(ckpt_writer_finish(w, &err), 0);
	ckpt_writer_destroy(w);
	machine_destroy(m);
	return t;
}

/* A machine, and what was loaded for it into a store of its own. */
struct on_disk {
	struct ckpt_ports ports;
	struct machine *m;
	struct ckpt_store *store;
	struct ckpt **list;
	size_t n;
	struct rv_err err;
};

static int disk_load(struct on_disk *d, const struct trace *t, icount_t last)
{
	d->list = NULL;
	d->n = 0;
	assert_int_equal(ckpt_store_create(&d->store, d->m), 0);
	return ckpt_load_all(d->store, t, (struct exec_point){ last, 0 }, &d->list, &d->n, &d->err);
}

static void disk_unload(struct on_disk *d)
{
	for (size_t i = 0; i < d->n; i++)
		ckpt_release(d->store, d->list[i]);
	free(d->list);
	assert_int_equal(ckpt_store_bytes(d->store), 0);
	ckpt_store_destroy(d->store);
}

static void test_disk(void **state)
{
	char *dir = scratch_make(), path[256];
	struct digest128 digest[FILES];
	uint64_t rng = test_seed();
	struct on_disk d = { .n = 0 };
	struct trace *t;
	(void)state;
	snprintf(path, sizeof(path), "%s/t", dir);
	t = disk_make(path, FILES, digest);
	d.m = ckpt_machine(&d.ports);
	if (disk_load(&d, t, ICOUNT_MAX))
		fail_msg("%s", d.err.text);
	assert_int_equal(d.n, FILES);
	for (unsigned i = 0; i < 20; i++) {
		unsigned k = (unsigned)(rng_next(&rng) % FILES);
		struct output_digest extra;
		assert_int_equal(ckpt_info(d.list[k])->at.icount, (k + 1) * 5003);
		assert_int_equal(ckpt_restore(d.store, d.list[k], &extra), 0);
		assert_int_equal(extra.bytes, k);
		same_digest(machine_digest(d.m), digest[k]);
		ckpt_run(d.m, &d.ports, 5003);
		if (k + 1 < FILES)
			same_digest(machine_digest(d.m), digest[k + 1]);
	}
	/* Released while the last one restored is still what the machine's RAM is compared with. */
	for (size_t i = 0; i < d.n; i++)
		ckpt_release(d.store, d.list[i]);
	free(d.list);
	ckpt_store_destroy(d.store);
	machine_destroy(d.m);

	/* Those behind the log's end are left out. */
	d.m = ckpt_machine(&d.ports);
	assert_int_equal(disk_load(&d, t, 5003 * 2), 0);
	assert_int_equal(d.n, 2);
	disk_unload(&d);
	machine_destroy(d.m);
	trace_close(t);
	scratch_remove(dir);
}

/* A file cut while the trace is in use: an error, a machine that does not run, and all well again with the
 * next checkpoint that can be read. */
static void test_disk_cut_in_use(void **state)
{
	char *dir = scratch_make(), path[256], name[512];
	struct digest128 digest[FILES];
	struct machine_limits lim = { .icount = ICOUNT_MAX, .break_skip = ICOUNT_MAX };
	struct machine_result res;
	struct output_digest extra;
	struct on_disk d = { .n = 0 };
	struct trace *t;
	struct file f;
	(void)state;
	snprintf(path, sizeof(path), "%s/t", dir);
	t = disk_make(path, FILES, digest);
	d.m = ckpt_machine(&d.ports);
	assert_int_equal(disk_load(&d, t, ICOUNT_MAX), 0);
	assert_int_equal(d.n, FILES);
	assert_int_equal(ckpt_restore(d.store, d.list[0], &extra), 0);
	ckpt_path(name, path, 2);
	f = file_read(name);
	assert_int_equal(truncate(name, CKPT_HEADER), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(ckpt_restore(d.store, d.list[2], &extra), RV_EDAMAGED);
		assert_int_equal(machine_run(d.m, &lim, &res), RV_EINVAL);
	}
	assert_int_equal(ckpt_restore(d.store, d.list[1], &extra), 0);
	same_digest(machine_digest(d.m), digest[1]);
	ckpt_run(d.m, &d.ports, 5003);
	same_digest(machine_digest(d.m), digest[2]);
	assert_int_equal(ckpt_restore(d.store, d.list[2], &extra), RV_EDAMAGED);
	file_write(name, f.data, f.len);
	assert_int_equal(ckpt_restore(d.store, d.list[2], &extra), 0);
	same_digest(machine_digest(d.m), digest[2]);
	for (size_t i = 0; i < d.n; i++)
		ckpt_release(d.store, d.list[i]);
	free(d.list);
	ckpt_store_destroy(d.store);
	machine_destroy(d.m);

	/* One that is missing ends the list. */
	unlink(name);
	d.m = ckpt_machine(&d.ports);
	assert_int_equal(disk_load(&d, t, ICOUNT_MAX), 0);
	assert_int_equal(d.n, 2);
	disk_unload(&d);
	machine_destroy(d.m);
	free(f.data);
	trace_close(t);
	scratch_remove(dir);
}

/* Contents are stored once; a file of another version is refused. */
static void test_disk_same(void **state)
{
	char *dir = scratch_make(), path[256], name[512];
	struct digest128 digest[1];
	struct on_disk d = { .n = 0 };
	unsigned same = 0;
	struct trace *t;
	struct file f;
	uint64_t pos;
	(void)state;
	snprintf(path, sizeof(path), "%s/t", dir);
	t = disk_make(path, 1, digest);
	d.m = ckpt_machine(&d.ports);
	ckpt_path(name, path, 0);
	f = file_read(name);
	assert_int_equal(le32_get(f.data + CKPT_AT_VERSION), CKPT_VERSION);
	pos = CKPT_HEADER + le32_get(f.data + CKPT_AT_STATE_STORED);
	for (uint64_t k = le64_get(f.data + CKPT_AT_PAGES); k; k--) {
		uint32_t len = le32_get(f.data + pos + 8);
		same += len == CKPT_SAME;
		pos += CKPT_ENTRY + (len == CKPT_SAME ? 0 : len);
	}
	assert_int_equal(pos, f.len);
	le32_put(f.data + CKPT_AT_VERSION, 1);
	le32_put(f.data + CKPT_AT_CRC,
		 ckpt_crc(crc32c(0, f.data + CKPT_HEADER, f.len - CKPT_HEADER), f.data));
	file_write(name, f.data, f.len);
	assert_int_equal(disk_load(&d, t, ICOUNT_MAX), RV_EVERSION);
	disk_unload(&d);
	free(f.data);
	assert_true(same > 0);
	machine_destroy(d.m);
	trace_close(t);
	scratch_remove(dir);
}

static void disk_expect(struct on_disk *d, const struct trace *t, const char *what, size_t at)
{
	int rc = disk_load(d, t, ICOUNT_MAX);
	/* The version stands before the checksum: another one is for a later program to judge. */
	const bool version = at >= CKPT_AT_VERSION && at < CKPT_AT_VERSION + 4 && *what == 'f';
	if (rc != RV_EDAMAGED && !(version && rc == RV_EVERSION))
		fail_msg("%s at %zu: %d", what, at, rc);
	assert_non_null(strstr(d->err.text, ".rvc"));
	disk_unload(d);
}

static void test_disk_damage(void **state)
{
	char *dir = scratch_make(), path[256], name[512], other[512];
	struct digest128 digest[2];
	uint64_t rng = test_seed();
	unsigned rounds = test_rounds(300);
	struct on_disk d = { .n = 0 };
	struct trace *t;
	struct file f, g;
	(void)state;
	snprintf(path, sizeof(path), "%s/t", dir);
	t = disk_make(path, 2, digest);
	d.m = ckpt_machine(&d.ports);
	ckpt_path(name, path, 1);
	ckpt_path(other, path, 0);
	f = file_read(name);
	g = file_read(other);
	for (unsigned i = 0; i < CKPT_HEADER + rounds; i++) {
		size_t at = i < CKPT_HEADER ? i : rng_next(&rng) % f.len;
		uint8_t bit = (uint8_t)(1u << rng_next(&rng) % 8);
		f.data[at] ^= bit;
		file_write(name, f.data, f.len);
		disk_expect(&d, t, "flip", at);
		f.data[at] ^= bit;
	}
	for (unsigned i = 0; i < 60; i++) {
		size_t len = i < 20 ? i * 8 : rng_next(&rng) % f.len;
		file_write(name, f.data, len);
		disk_expect(&d, t, "cut", len);
	}
	file_write(name, g.data, g.len); /* one for another */
	disk_expect(&d, t, "swap", 0);
	/* What is no regular file is not waited for. */
	unlink(name);
	assert_int_equal(mkfifo(name, 0600), 0);
	assert_int_equal(disk_load(&d, t, ICOUNT_MAX), RV_EDAMAGED);
	disk_unload(&d);
	unlink(name);
	assert_int_equal(symlink(other, name), 0);
	assert_int_equal(disk_load(&d, t, ICOUNT_MAX), RV_EDAMAGED);
	disk_unload(&d);
	unlink(name);
	file_write(name, f.data, f.len);
	assert_int_equal(disk_load(&d, t, ICOUNT_MAX), 0);
	disk_unload(&d);
	free(f.data);
	free(g.data);
	machine_destroy(d.m);
	trace_close(t);
	scratch_remove(dir);
}

static void hostile_run(struct machine *m, struct ckpt_ports *ports, icount_t n)
{
	struct machine_limits lim = { .icount = machine_icount(m) + n, .break_skip = ICOUNT_MAX };
	struct machine_result res;
	ports->waits = 0;
	(void)machine_run(m, &lim, &res);
	(void)machine_digest(m);
}

static void mutate(uint64_t *rng, uint8_t *data, size_t len)
{
	static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xfe, 0xff };
	uint64_t x = rng_next(rng);
	size_t at = (x >> 8) % len;
	if (x & 1)
		data[at] = odd[(x >> 4) % sizeof(odd)];
	else
		data[at] ^= (uint8_t)(1u << (x >> 1 & 7));
}

/* A checkpoint file with a good checksum and bad contents: refused, or what it says is survived. */
static void test_disk_hostile(void **state)
{
	char *dir = scratch_make(), path[256], name[512];
	struct digest128 digest;
	uint64_t rng = test_seed();
	unsigned rounds = test_rounds(150), accepted = 0;
	struct on_disk d = { .n = 0 };
	struct trace *t;
	struct file f;
	(void)state;
	snprintf(path, sizeof(path), "%s/t", dir);
	t = disk_make(path, 1, &digest);
	ckpt_path(name, path, 0);
	f = file_read(name);
	for (unsigned i = 0; i < rounds; i++) {
		uint8_t *bad = malloc(f.len);
		uint64_t seed = rng;
		uint32_t crc;
		int rc;
		assert_non_null(bad);
		memcpy(bad, f.data, f.len);
		for (uint64_t k = rng_next(&rng) % 3 + 1; k; k--) {
			if (rng_next(&rng) % 3) /* past the trace's id and the number */
				mutate(&rng, bad + CKPT_AT_ICOUNT, CKPT_HEADER - CKPT_AT_ICOUNT);
			else
				mutate(&rng, bad + CKPT_HEADER, f.len - CKPT_HEADER);
		}
		le64_put(bad + CKPT_AT_LENGTH, f.len);
		le32_put(bad + CKPT_AT_PREV_CRC, 0);
		crc = crc32c(0, bad + CKPT_HEADER, f.len - CKPT_HEADER);
		le32_put(bad + CKPT_AT_CRC, ckpt_crc(crc, bad));
		file_write(name, bad, f.len);
		free(bad);
		d.m = ckpt_machine(&d.ports);
		alarm(60);
		rc = disk_load(&d, t, ICOUNT_MAX);
		if (rc != RV_OK && rc != RV_EDAMAGED)
			fail_msg("round seed %#llx: %d", (unsigned long long)seed, rc);
		if (rc == RV_OK && d.n) {
			struct output_digest extra;
			rc = ckpt_restore(d.store, d.list[0], &extra);
			assert_true(rc == RV_OK || rc == RV_EDAMAGED);
			if (rc == RV_OK) {
				assert_int_equal(machine_icount(d.m),
						 ckpt_info(d.list[0])->at.icount);
				accepted++;
			}
			hostile_run(d.m, &d.ports, 2000);
		}
		for (size_t k = 0; k < d.n; k++)
			ckpt_release(d.store, d.list[k]);
		free(d.list);
		ckpt_store_destroy(d.store);
		machine_destroy(d.m);
	}
	alarm(0);
	print_message("%u of %u accepted\n", accepted, rounds);
	free(f.data);
	trace_close(t);
	scratch_remove(dir);
}

/* ---- hostile machine states ---- */

/* Where each saved part begins: its name stands there, behind its length. */
static size_t part_find(const struct bytes *b, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 1; i + len < b->len; i++)
		if (b->data[i - 1] == len && memcmp(b->data + i, name, len) == 0)
			return i + len + 12;
	fail_msg("no part %s", name);
	return 0;
}

static void test_hostile_state(void **state)
{
	static const char *const part[] = { "cpu", "pins", "lapic", "ioapic", "pic", "pit",
					    "rtc", "acpi_pm", "hpet", "uart" };
	static const size_t most[] = { 1600, 5, 400, 200, 30, 120, 160, 16, 130, 40 };
	const struct output_digest none = { .bytes = 0 };
	struct output_digest extra;
	struct ckpt_ports ports;
	struct machine *m = ckpt_machine(&ports);
	struct ckpt_store *store;
	struct ckpt *base;
	struct bytes good = { 0 };
	struct digest128 later;
	uint64_t rng = test_seed();
	unsigned rounds = test_rounds(1500), accepted = 0;
	size_t clock;
	(void)state;
	ckpt_run(m, &ports, 30011);
	assert_int_equal(ckpt_store_create(&store, m), 0);
	assert_int_equal(ckpt_take(store, &none, &base), 0);
	machine_save(m, &good);
	ckpt_run(m, &ports, 7001);
	later = machine_digest(m);
	assert_int_equal(ckpt_restore(store, base, &extra), 0);
	clock = part_find(&good, "pins") - 5 - 12 - 100; /* about: the clock stands before the pins */
	for (unsigned i = 0; i < rounds; i++) {
		uint8_t *bad = malloc(good.len);
		uint64_t seed = rng;
		struct bytes_in in;
		int rc;
		assert_non_null(bad);
		memcpy(bad, good.data, good.len);
		for (uint64_t k = rng_next(&rng) % 4 + 1; k; k--) {
			size_t which = rng_next(&rng) % (RV_ARRAY_LEN(part) + 1);
			size_t at = which < RV_ARRAY_LEN(part) ? part_find(&good, part[which])
							       : clock;
			size_t len = which < RV_ARRAY_LEN(part) ? most[which] : 100;
			mutate(&rng, bad + at, len < good.len - at ? len : good.len - at);
		}
		alarm(60);
		bytes_in_init(&in, bad, good.len);
		rc = machine_load(m, &in);
		if (rc != RV_OK && rc != RV_EINVAL && rc != RV_EVERSION)
			fail_msg("round seed %#llx: %d", (unsigned long long)seed, rc);
		accepted += rc == RV_OK;
		if (rc != RV_OK) { /* what was half loaded is never run */
			struct machine_limits lim = { .icount = ICOUNT_MAX };
			struct machine_result res;
			assert_int_equal(machine_run(m, &lim, &res), RV_EINVAL);
			assert_int_equal(machine_take_writes(m, &lim), RV_EINVAL);
		} else {
			hostile_run(m, &ports, 20000);
		}
		free(bad);
		assert_int_equal(ckpt_restore(store, base, &extra), 0);
	}
	alarm(0);
	print_message("%u of %u accepted\n", accepted, rounds);
	/* Nothing of all that is left. */
	ckpt_run(m, &ports, 7001);
	same_digest(machine_digest(m), later);
	bytes_fini(&good);
	ckpt_release(store, base);
	ckpt_store_destroy(store);
	machine_destroy(m);
}

/* States that no vCPU can be in and that would wait for ever. */
static void test_halt_in_shadow(void **state)
{
	struct ckpt_ports ports;
	struct machine *m = ckpt_machine(&ports);
	struct cpu_state s;
	(void)state;
	ckpt_run(m, &ports, 10007);
	machine_cpu_state(m, 0, &s);
	s.activity = CPU_HALTED;
	s.rflags |= RFLAGS_IF;
	s.shadow_sti = s.shadow_ss = true;
	assert_int_equal(machine_set_cpu_state(m, 0, &s), 0);
	alarm(30);
	ckpt_run(m, &ports, 20000);
	machine_cpu_state(m, 0, &s);
	s.activity = CPU_HALTED;
	s.shadow_ss = true;
	s.pending_db = 1u << 14;
	assert_int_equal(machine_set_cpu_state(m, 0, &s), 0);
	ckpt_run(m, &ports, 1);
	alarm(0);
	machine_destroy(m);
}

/* An icount from which every sum wraps: the run loop would never get anywhere. */
static void test_icount_end(void **state)
{
	struct ckpt_ports ports;
	struct machine *m = ckpt_machine(&ports);
	struct bytes b = { 0 };
	struct bytes_in in;
	size_t at;
	(void)state;
	machine_save(m, &b);
	at = part_find(&b, "cpu") - 8;
	at += 8 + le64_get(b.data + at); /* the clock comes behind the one vCPU */
	assert_int_equal(le64_get(b.data + at), machine_icount(m));
	le64_put(b.data + at, UINT64_MAX - 5);
	bytes_in_init(&in, b.data, b.len);
	assert_int_equal(machine_load(m, &in), RV_EINVAL);
	bytes_fini(&b);
	machine_destroy(m);
}

/* Halted for good beside a running timer, with no event to come: the run ends, the caller is not lost. */
static void test_halt_for_good(void **state)
{
	char *dir = scratch_make(), path[256];
	struct ckpt_ports ports;
	struct machine *m = ckpt_machine(&ports);
	struct machine_limits lim = { .icount = ICOUNT_MAX, .break_skip = ICOUNT_MAX };
	struct machine_result res;
	struct evlog_reader *reader = NULL;
	struct history *history = NULL;
	struct rv_err err = { 0 };
	struct cpu_state s;
	struct trace *t;
	(void)state;
	snprintf(path, sizeof(path), "%s/t", dir);
	evlog_writer_destroy(trace_start(path, 0));
	if (trace_open(&t, path, &err) || evlog_reader_open(&reader, t, &err) ||
	    history_create(&history, reader, &err))
		fail_msg("%s", err.text);
	ckpt_run(m, &ports, 10007);
	ports.inner = history_nondet(history);
	machine_cpu_state(m, 0, &s);
	s.activity = CPU_HALTED;
	s.rflags &= ~(uint64_t)RFLAGS_IF;
	assert_int_equal(machine_set_cpu_state(m, 0, &s), 0);
	alarm(120);
	assert_int_equal(machine_run(m, &lim, &res), RV_EEND);
	alarm(0);
	machine_destroy(m);
	history_destroy(history);
	evlog_reader_close(reader);
	trace_close(t);
	scratch_remove(dir);
}

/* A tag word follows from the registers: whatever stands in a file, the engine's is the same. */
static void test_x87_tags(void **state)
{
	struct ckpt_ports ports;
	struct machine *m = ckpt_machine(&ports);
	struct cpu_state s, t;
	(void)state;
	machine_cpu_state(m, 0, &s);
	s.st[0] = (struct cpu_f80){ 1ull << 63, 0x3fff };
	s.st[1] = (struct cpu_f80){ 0, 0 };
	s.st[2] = (struct cpu_f80){ 0, 0x7fff };
	s.ftw = 0xffc0 | 0x01; /* "zero, valid, valid", five empty */
	assert_int_equal(machine_set_cpu_state(m, 0, &s), 0);
	machine_cpu_state(m, 0, &t);
	assert_int_equal(t.ftw, 0xffc0 | 2u << 4 | 1u << 2);
	machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_tree),     cmocka_unit_test(test_page_key),
		cmocka_unit_test(test_restore),	      cmocka_unit_test(test_disk),
		cmocka_unit_test(test_disk_cut_in_use),
		cmocka_unit_test(test_disk_same),
		cmocka_unit_test(test_disk_damage),   cmocka_unit_test(test_disk_hostile),
		cmocka_unit_test(test_halt_in_shadow), cmocka_unit_test(test_x87_tags),
		cmocka_unit_test(test_icount_end),    cmocka_unit_test(test_halt_for_good),
		cmocka_unit_test(test_hostile_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
