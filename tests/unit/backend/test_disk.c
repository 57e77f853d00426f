/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk from the guest's ring to the host's files and back: the block device
 * on its real transport and the disk backend on real files, live with its
 * threads and again in a replay of the same events, against a plain array.
 */
#define VD_RAM (8u << 20)
#define VD_AUX 1
#include "tests/unit/dev/virtio_driver.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/disk.h"

#define SECTORS 811u /* the last block is not whole */
#define BYTES (SECTORS * 512u)
#define SLOTS 48u      /* requests of the driver's at once */
#define SLOT_BYTES 0x11000u
#define SECTORS_MOST 100u
#define STEPS 1500u
#define FEATURES (1u << 9 | 1u << 13 | 1u << 14 | VD_F_INDIRECT | VD_F_EVENT_IDX) /* flush, discard, zeroes */

struct request {
	bool used;
	uint32_t type;
	uint16_t head;
	uint32_t len;
	uint8_t want[SECTORS_MOST * 512]; /* of a read: what submission order says */
};

struct event {
	unsigned step;
	uint8_t tag, status;
};

struct side {
	struct vd vd;
	struct live *live; /* NULL: replay */
	struct disk_file *file;
	struct virtio_blk *blk;
	struct request req[SLOTS];
	uint64_t seed;
	unsigned answered, errors;
	uint64_t base_blocks; /* that base_read told of */
	int base_rc;
};

struct world {
	char dir[64], base[96], log[96], before[96];
	uint8_t model[BYTES + 4096];
	struct event event[STEPS * 8];
	size_t nevents;
};

static uint64_t rng(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void world_init(struct world *w, uint64_t seed)
{
	int fd;
	memset(w, 0, sizeof(*w));
	snprintf(w->dir, sizeof(w->dir), "/tmp/rv-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->base, sizeof(w->base), "%s/base", w->dir);
	snprintf(w->log, sizeof(w->log), "%s/log", w->dir);
	snprintf(w->before, sizeof(w->before), "%s/before", w->dir);
	for (size_t i = 0; i < BYTES; i++)
		w->model[i] = (uint8_t)rng(&seed);
	fd = open(w->base, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(write(fd, w->model, BYTES), BYTES);
	close(fd);
}

static void world_fini(struct world *w)
{
	unlink(w->base);
	unlink(w->log);
	unlink(w->before);
	assert_int_equal(rmdir(w->dir), 0);
}

static int told(void *ctx, unsigned instance, uint64_t block, uint32_t n, const uint8_t *data)
{
	struct side *s = ctx;
	assert_int_equal(instance, 2);
	assert_true(block + n <= (SECTORS + 7) / 8 && data);
	s->base_blocks += n;
	return s->base_rc;
}

static struct side *side_open(const struct world *w, bool live, bool commit, bool by_clock, uint64_t seed)
{
	struct side *s = calloc(1, sizeof(*s));
	struct live_cfg lcfg = { .clock = LIVE_CLOCK_VIRTUAL, .dilation = 1 };
	struct disk_file_cfg cfg = { .path = w->base, .instance = 2, .commit = commit, .by_clock = by_clock,
				     .base_read = told, .ctx = s };
	struct virtio_blk_cfg bcfg = { .sectors = SECTORS, .commit = commit, .serial = "test", .by_clock = by_clock };
	struct rv_err err;
	assert_non_null(s);
	s->seed = seed;
	if (live) {
		assert_int_equal(live_create(&s->live, &lcfg), 0);
		cfg.live = s->live;
		cfg.chaos_us = 200;
		cfg.chaos_seed = seed;
	}
	assert_int_equal(disk_file_create(&s->file, &cfg, &err), 0);
	assert_int_equal(disk_file_sectors(s->file), SECTORS);
	assert_int_equal(disk_file_start(s->file, w->log, w->before, &err), 0);
	vd_init(&s->vd, OUT_NET);
	bcfg.port = disk_file_port(s->file);
	bcfg.index = mem_ram_pages(s->vd.mem);
	assert_int_equal(virtio_blk_index_pages(SECTORS), VD_AUX);
	assert_int_equal(virtio_blk_create(&s->blk, &s->vd.dev, &s->vd.wiring, &bcfg), 0);
	vd_start(&s->vd, FEATURES);
	return s;
}

static void side_close(struct side *s)
{
	vd_fini(&s->vd);
	disk_file_destroy(s->file);
	live_destroy(s->live);
	free(s);
}

static gpa_t slot_gpa(unsigned i)
{
	return VD_BUFFERS + i * SLOT_BYTES;
}

/* As vd_add(), with descriptors of the slot's own: requests come back in any order. */
static uint16_t add_at(struct vd *d, unsigned slot, const struct vd_seg *seg, unsigned nout, unsigned nin)
{
	struct vd_queue *q = &d->q[0];
	uint16_t head = (uint16_t)(4 * slot);
	assert_true(head + 4 <= q->size && nout + nin <= 4);
	for (unsigned i = 0; i < nout + nin; i++)
		vd_desc(d, q->desc, head + i, seg[i], (uint16_t)((i + 1 < nout + nin ? 1 : 0) | (i >= nout ? 2 : 0)),
			(uint16_t)(head + i + 1));
	vd_put16(d, q->avail + 4 + 2ull * (q->avail_idx % q->size), head);
	vd_put16(d, q->avail + 2, ++q->avail_idx);
	return head;
}

/* One random request, and what it does to the model, if there is one. */
static void submit(struct side *s, uint8_t *model)
{
	static const uint32_t types[] = { 0, 0, 0, 1, 1, 1, 1, 4, 8, 11, 13 };
	uint32_t type = types[rng(&s->seed) % RV_ARRAY_LEN(types)];
	uint64_t n = 1 + rng(&s->seed) % (rng(&s->seed) % 3 ? 16 : SECTORS_MOST), sector = rng(&s->seed) % SECTORS;
	uint64_t fill = rng(&s->seed);
	uint8_t raw[SECTORS_MOST * 512], header[16] = { 0 };
	struct vd_seg seg[4];
	struct request *r;
	unsigned i = 0, nout = 1;
	while (i < SLOTS && s->req[i].used)
		i++;
	if (i == SLOTS)
		return;
	if (sector + n > SECTORS)
		n = SECTORS - sector;
	if (fill % 3 == 0) { /* whole blocks, as file systems do */
		sector -= sector % 8;
		n = n < 8 || sector + n > SECTORS ? n : n - n % 8;
	}
	r = &s->req[i];
	le32_put(header, type);
	le64_put(header + 8, sector);
	mem_write(s->vd.mem, slot_gpa(i), header, 16);
	r->used = true;
	r->type = type;
	r->len = type == 8 ? 20 : (uint32_t)n * 512;
	seg[0] = (struct vd_seg){ slot_gpa(i), 16 };
	switch (type) {
	case 0:
	case 8:
		/* In two pieces that no sector knows of. */
		seg[1] = (struct vd_seg){ slot_gpa(i) + 0x1000, 100 < r->len ? 100 : 7 };
		seg[2] = (struct vd_seg){ slot_gpa(i) + 0x1000 + seg[1].len, r->len - seg[1].len };
		if (model && type == 0)
			memcpy(r->want, model + sector * 512, r->len);
		break;
	case 1:
		for (size_t k = 0; k < r->len; k++)
			raw[k] = (uint8_t)(fill >> k % 8 * 8) ^ (uint8_t)k;
		mem_write(s->vd.mem, slot_gpa(i) + 0x1000, raw, r->len);
		seg[1] = (struct vd_seg){ slot_gpa(i) + 0x1000, r->len };
		nout = 2;
		if (model)
			memcpy(model + sector * 512, raw, r->len);
		break;
	case 11:
	case 13:
		le64_put(raw, sector);
		le32_put(raw + 8, (uint32_t)n);
		le32_put(raw + 12, 0);
		mem_write(s->vd.mem, slot_gpa(i) + 0x1000, raw, 16);
		seg[1] = (struct vd_seg){ slot_gpa(i) + 0x1000, 16 };
		nout = 2;
		r->len = 0;
		if (model && type == 13)
			memset(model + sector * 512, 0, n * 512);
		if (model && type == 11) {
			uint64_t from = (sector + 7) / 8 * 8, to = (sector + n) / 8 * 8;
			if (from < to)
				memset(model + from * 512, 0, (to - from) * 512);
		}
		break;
	default:
		r->len = 0;
		break;
	}
	unsigned at = type == 0 || type == 8 ? 3 : nout;
	seg[at] = (struct vd_seg){ slot_gpa(i) + 0x10f00, 1 };
	mem_write(s->vd.mem, seg[at].gpa, "\xff", 1);
	r->head = add_at(&s->vd, i, seg, nout, at + 1 - nout);
	/* The guest may do what it likes with its data after the kick. */
	vd_kick(&s->vd, 0);
	if (type == 1)
		mem_write(s->vd.mem, slot_gpa(i) + 0x1000, header, 16);
}

/* Takes the answers there are. */
static void answers(struct side *s, bool check)
{
	uint32_t head, len;
	uint8_t got[SECTORS_MOST * 512], status;
	while (vd_used(&s->vd, 0, &head, &len)) {
		unsigned i = 0;
		while (i < SLOTS && !(s->req[i].used && s->req[i].head == head))
			i++;
		assert_true(i < SLOTS);
		mem_read(s->vd.mem, slot_gpa(i) + 0x10f00, &status, 1);
		s->req[i].used = false;
		s->answered++;
		s->errors += status == 1;
		if (!check)
			continue;
		assert_int_equal(status, 0);
		if (s->req[i].type == 0) {
			assert_int_equal(len, s->req[i].len + 1);
			mem_read(s->vd.mem, slot_gpa(i) + 0x1000, got, s->req[i].len);
			assert_memory_equal(got, s->req[i].want, s->req[i].len);
		}
	}
}

/* Live: what the threads finished, applied and written down. True: there was something. */
static bool poll_live(struct side *s, struct world *w, unsigned step)
{
	struct nd_query q = { .icount = 1000, .net_ready = 0 };
	struct nd_event ev;
	bool any = false;
	while (nondet_next(live_nondet(s->live), &q, &ev) > 0) {
		assert_int_equal(ev.kind, ND_DISK);
		assert_int_equal(ev.instance, 2);
		assert_int_equal(ev.len, 2);
		if (w) {
			assert_true(w->nevents < RV_ARRAY_LEN(w->event));
			w->event[w->nevents++] = (struct event){ step, ev.data[0], ev.data[1] };
		}
		assert_int_equal(virtio_blk_complete(s->blk, ev.data[0], ev.data[1]), 0);
		any = true;
	}
	return any;
}

static bool idle(const struct side *s)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (s->req[i].used)
			return false;
	return true;
}

static void drain(struct side *s, struct world *w, unsigned step, bool check)
{
	for (unsigned i = 0; i < 20000 && !idle(s); i++) {
		if (!poll_live(s, w, step))
			usleep(200);
		answers(s, check);
	}
	assert_true(idle(s));
}

static struct digest128 side_digest(struct side *s)
{
	struct mem_digest *d;
	struct digest128 sum;
	struct bytes state = { 0 };
	assert_int_equal(mem_digest_create(&d, s->vd.mem), 0);
	sum = mem_digest_update(d);
	mem_digest_destroy(d);
	vd_save(&s->vd, &state);
	sum = digest_add(sum, digest_bytes(state.data, state.len, 0));
	bytes_fini(&state);
	return sum;
}

static void live_run(struct side *s, struct world *w, unsigned steps)
{
	for (unsigned step = 0; step < steps; step++) {
		for (unsigned n = (unsigned)(rng(&s->seed) % 3); n; n--)
			submit(s, w->model);
		if (rng(&s->seed) % 4 == 0)
			usleep(100);
		poll_live(s, w, step);
		answers(s, true);
	}
	drain(s, w, STEPS, true);
}

/* The same, events from the list, with a save and load in between now and then. */
static void replay_run(struct side *s, const struct world *w)
{
	size_t next = 0;
	for (unsigned step = 0; step <= STEPS; step++) {
		for (unsigned n = step < STEPS ? (unsigned)(rng(&s->seed) % 3) : 0; n; n--)
			submit(s, NULL);
		if (step < STEPS)
			(void)rng(&s->seed);
		if (step % 97 == 0) {
			struct bytes b = { 0 };
			vd_save(&s->vd, &b);
			assert_int_equal(vd_load(&s->vd, b.data, b.len), 0);
			bytes_fini(&b);
		}
		for (; next < w->nevents && w->event[next].step == step; next++)
			assert_int_equal(virtio_blk_complete(s->blk, w->event[next].tag, w->event[next].status), 0);
		answers(s, false);
	}
	assert_int_equal(next, w->nevents);
	assert_true(idle(s));
}

static void test_live_and_replay(void **state)
{
	struct world *w = malloc(sizeof(*w));
	uint64_t seed = vd_seed();
	struct side *live, *again;
	struct digest128 digest;
	struct stat a, b;
	(void)state;
	world_init(w, seed);
	live = side_open(w, true, false, false, seed);
	live_run(live, w, STEPS);
	assert_true(live->answered > STEPS / 2 && live->base_blocks > 0 && w->nevents > 100);
	digest = side_digest(live);
	assert_int_equal(stat(w->log, &a), 0);
	assert_int_equal(a.st_mode & 0777, 0600);
	assert_int_equal(stat(w->base, &b), 0);
	assert_int_equal(b.st_size, BYTES);

	/* From power-on a replay needs nothing of the recorded log. */
	again = side_open(w, false, false, false, seed);
	assert_int_equal(truncate(w->log, 0), 0);
	replay_run(again, w);
	assert_true(digest_equal(side_digest(again), digest));
	assert_int_equal(again->base_blocks, live->base_blocks);
	assert_int_equal(virtio_blk_log_blocks(again->blk), virtio_blk_log_blocks(live->blk));
	side_close(again);
	side_close(live);
	world_fini(w);
	free(w);
}

/* A state with its index, taken to a process that has only the recorded log. */
static void test_from_a_checkpoint(void **state)
{
	struct world *w = malloc(sizeof(*w));
	uint64_t seed = vd_seed() + 1;
	struct side *live, *again;
	struct bytes saved = { 0 };
	uint8_t header[16] = { 0 }, got[8 * 512];
	(void)state;
	world_init(w, seed);
	live = side_open(w, true, false, false, seed);
	live_run(live, w, 24); /* few: much of the base is still read */
	vd_save(&live->vd, &saved);
	again = side_open(w, false, false, false, seed);
	for (uint64_t p = 0; p < mem_pages(live->vd.mem); p++)
		mem_page_write(again->vd.mem, p, 0, mem_page_host(live->vd.mem, p), RV_PAGE_SIZE);
	assert_int_equal(vd_load(&again->vd, saved.data, saved.len), 0);
	memcpy(again->vd.q, live->vd.q, sizeof(again->vd.q));
	for (uint64_t sector = 0; sector + 8 <= SECTORS; sector += 8) {
		const struct vd_seg seg[] = { { slot_gpa(0), 16 }, { slot_gpa(1), sizeof(got) },
					      { slot_gpa(2), 1 } };
		uint32_t head, len;
		le64_put(header + 8, sector);
		mem_write(again->vd.mem, slot_gpa(0), header, 16);
		vd_add(&again->vd, 0, seg, 1, 2);
		vd_kick(&again->vd, 0);
		assert_int_equal(virtio_blk_complete(again->blk, 0, ND_DISK_OK), 0);
		assert_true(vd_used(&again->vd, 0, &head, &len));
		assert_int_equal(len, sizeof(got) + 1);
		mem_read(again->vd.mem, slot_gpa(1), got, sizeof(got));
		assert_memory_equal(got, w->model + sector * 512, sizeof(got));
	}
	/* A log that is not what the index says is damage, not data; a base that changed is said to have. */
	assert_int_equal(truncate(w->log, 0), 0);
	again->base_rc = RV_ECHANGED;
	unsigned damaged = 0, changed = 0;
	for (uint64_t sector = 0; sector + 8 <= SECTORS; sector += 8) {
		const struct vd_seg seg[] = { { slot_gpa(0), 16 }, { slot_gpa(1), sizeof(got) },
					      { slot_gpa(2), 1 } };
		int rc;
		assert_int_equal(vd_load(&again->vd, saved.data, saved.len), 0);
		memcpy(again->vd.q, live->vd.q, sizeof(again->vd.q));
		for (uint64_t p = VD_RINGS / RV_PAGE_SIZE; p < VD_RINGS / RV_PAGE_SIZE + 16; p++)
			mem_page_write(again->vd.mem, p, 0, mem_page_host(live->vd.mem, p), RV_PAGE_SIZE);
		le64_put(header + 8, sector);
		mem_write(again->vd.mem, slot_gpa(0), header, 16);
		vd_add(&again->vd, 0, seg, 1, 2);
		vd_kick(&again->vd, 0);
		rc = virtio_blk_complete(again->blk, 0, ND_DISK_OK);
		assert_true(rc == RV_OK || rc == RV_EDAMAGED || rc == RV_ECHANGED);
		damaged += rc == RV_EDAMAGED;
		changed += rc == RV_ECHANGED;
	}
	assert_true(damaged > 0 && changed > 0);
	bytes_fini(&saved);
	side_close(again);
	side_close(live);
	world_fini(w);
	free(w);
}

/* commit=on: the base is what the guest's disk is, and before-images lead back to what it was. */
static void test_commit(void **state)
{
	struct world *w = malloc(sizeof(*w));
	uint64_t seed = vd_seed() + 2;
	uint8_t *original = malloc(BYTES), *now = malloc(BYTES), entry[8 + 4096];
	struct side *live, *again;
	struct digest128 digest;
	int fd;
	(void)state;
	world_init(w, seed);
	memcpy(original, w->model, BYTES);
	live = side_open(w, true, true, false, seed);
	live_run(live, w, STEPS);
	digest = side_digest(live);
	side_close(live);
	fd = open(w->base, O_RDONLY);
	assert_int_equal(read(fd, now, BYTES), BYTES);
	close(fd);
	assert_memory_equal(now, w->model, BYTES);
	/* A replay reads the disk as it was. */
	again = side_open(w, false, true, false, seed);
	replay_run(again, w);
	assert_true(digest_equal(side_digest(again), digest));
	side_close(again);
	fd = open(w->before, O_RDONLY);
	while (read(fd, entry, sizeof(entry)) == (ssize_t)sizeof(entry)) {
		uint64_t at = le64_get(entry) * 4096;
		memcpy(now + at, entry + 8, BYTES - at < 4096 ? BYTES - at : 4096);
	}
	close(fd);
	assert_memory_equal(now, original, BYTES);
	free(original);
	free(now);
	world_fini(w);
	free(w);
}

/* The host's disk is full: the guest hears of an error, what it had stays, and it goes on when there is room. */
static void test_host_error(void **state)
{
	struct world *w = malloc(sizeof(*w));
	uint64_t seed = vd_seed() + 3;
	struct rlimit old, small;
	struct side *s;
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	world_init(w, seed);
	s = side_open(w, true, false, false, seed);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){ 64 * 4096, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned step = 0; step < 600; step++) {
		submit(s, NULL);
		if (step % 8 == 0)
			usleep(300);
		poll_live(s, NULL, 0);
		answers(s, false);
	}
	drain(s, NULL, 0, false);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(s->errors > 0);
	s->errors = 0;
	for (unsigned step = 0; step < 100; step++)
		submit(s, NULL);
	drain(s, NULL, 0, false);
	assert_int_equal(s->errors, 0);
	side_close(s);
	world_fini(w);
	free(w);
}

/* By clock: nothing is announced, requests end at times of their own, and the same each time. */
static void test_by_clock(void **state)
{
	struct world *w = malloc(sizeof(*w));
	uint64_t seed = vd_seed() + 4;
	struct digest128 digest[2];
	(void)state;
	world_init(w, seed);
	for (unsigned round = 0; round < 2; round++) {
		struct side *s = side_open(w, true, false, true, seed);
		icount_t now = 1000;
		for (unsigned step = 0; step < 400; step++) {
			submit(s, round ? NULL : w->model);
			now += rng(&s->seed) % 100000;
			vclock_set_icount(s->vd.clock, now);
			vclock_run_timers(s->vd.clock);
			assert_false(poll_live(s, NULL, 0));
			answers(s, round == 0);
		}
		/* Those that waited begin when others end. */
		for (unsigned i = 0; i < SLOTS; i++) {
			vclock_set_icount(s->vd.clock, now += 10000000);
			vclock_run_timers(s->vd.clock);
			answers(s, round == 0);
		}
		assert_true(idle(s));
		digest[round] = side_digest(s);
		side_close(s);
		unlink(w->log);
	}
	assert_true(digest_equal(digest[0], digest[1]));
	world_fini(w);
	free(w);
}

/* A reset with requests in flight: those that were begun happened, and none is answered. */
static void test_reset_in_flight(void **state)
{
	struct world *w = malloc(sizeof(*w));
	uint64_t seed = vd_seed() + 5;
	struct side *s;
	(void)state;
	world_init(w, seed);
	s = side_open(w, true, false, false, seed);
	for (unsigned round = 0; round < 60; round++) {
		for (unsigned n = 0; n < 20; n++)
			submit(s, NULL);
		if (round % 3)
			poll_live(s, NULL, 0);
		vd_start(&s->vd, FEATURES);
		assert_false(poll_live(s, NULL, 0)); /* nothing is left over from before */
		for (unsigned i = 0; i < SLOTS; i++)
			s->req[i].used = false;
		assert_false(*bus_attention(s->vd.bus));
	}
	side_close(s);
	world_fini(w);
	free(w);
}

static void test_refused(void **state)
{
	struct world *w = malloc(sizeof(*w));
	struct disk_file_cfg cfg = { .instance = 0 };
	struct disk_file *a = NULL, *b = NULL;
	struct live_cfg lcfg = { .clock = LIVE_CLOCK_VIRTUAL };
	struct live *live;
	struct rv_err err;
	(void)state;
	world_init(w, 1);
	assert_int_equal(live_create(&live, &lcfg), 0);
	cfg.path = "/nowhere/at/all";
	assert_int_equal(disk_file_create(&a, &cfg, &err), RV_ENOENT);
	cfg.path = w->dir;
	assert_int_equal(disk_file_create(&a, &cfg, &err), RV_EINVAL);
	cfg.path = "/dev/null";
	assert_int_equal(disk_file_create(&a, &cfg, &err), RV_EINVAL);
	cfg.path = w->base;
	assert_int_equal(truncate(w->base, BYTES - 1), 0);
	assert_int_equal(disk_file_create(&a, &cfg, &err), RV_EINVAL);
	assert_int_equal(truncate(w->base, BYTES), 0);
	/* Two may read; who writes must be alone. */
	assert_int_equal(disk_file_create(&a, &cfg, &err), 0);
	assert_int_equal(disk_file_create(&b, &cfg, &err), 0);
	disk_file_destroy(b);
	cfg.commit = true;
	cfg.live = live;
	assert_int_equal(disk_file_create(&b, &cfg, &err), RV_EPERM);
	assert_non_null(strstr(err.text, "in use"));
	disk_file_destroy(a);
	assert_int_equal(disk_file_create(&b, &cfg, &err), 0);
	cfg.commit = false;
	assert_int_equal(disk_file_create(&a, &cfg, &err), RV_EPERM);
	disk_file_destroy(b);
	live_destroy(live);
	world_fini(w);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live_and_replay),
		cmocka_unit_test(test_from_a_checkpoint),
		cmocka_unit_test(test_commit),
		cmocka_unit_test(test_host_error),
		cmocka_unit_test(test_by_clock),
		cmocka_unit_test(test_reset_in_flight),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
