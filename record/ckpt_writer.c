/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing checkpoints while recording. The vCPU thread copies dirty pages into
 * one of two batches; a thread compresses and writes. So the memory needed is
 * bounded, and a large first checkpoint waits for the disk, not for RAM.
 *
 * Contents that a file holds already are not stored again. The thread keeps
 * the key of each page's last entry, and a table of keys, one a slot: one that
 * was pushed out only costs space.
 *
 * A full checkpoint costs the vCPU thread no more than any other: the thread
 * copies the pages that were not written lately from the files it wrote them
 * to (ckpt_keep.c has what is kept and dropped).
 */
#include <errno.h>
#include <fcntl.h>
#include <lz4.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckpt_file.h"
#include "ckpt_keep.h"

#define BATCH_PAGES 1024u
#define BATCHES 2u
#define STORED_BITS 17u /* the table of keys: 2 MiB */

struct batch {
	bool first, last;
	uint8_t header[CKPT_HEADER]; /* with first: all but lengths and CRC */
	uint64_t cut;                /* with first, full: of the log, to be waited for */
	struct bytes state;          /* with first: machine_save() */
	uint32_t n;
	uint64_t page[BATCH_PAGES];
	uint8_t (*contents)[RV_PAGE_SIZE];
};

/* Where a page's contents are stored. */
struct place {
	uint32_t file, len;
	uint64_t off; /* of the stored bytes */
};

struct key_slot {
	struct digest128 key;
	struct place at;
};

struct ckpt_writer {
	struct machine *machine;
	struct ckpt_writer_cfg cfg;
	struct ckpt_keep *keep; /* NULL: not a flight recording */
	uint32_t cursor;
	uint32_t number;
	uint8_t id[16];
	int dir_fd;
	pthread_t thread;
	bool thread_runs;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch batch[BATCHES];
	uint64_t filled, written; /* batches handed over, batches done; under lock */
	bool quit;
	int error;                /* sticky; under lock */
	/* The thread's own. */
	int fd;
	uint32_t crc, prev_crc;
	uint64_t pages, length;
	uint8_t header[CKPT_HEADER];
	uint32_t file_number;
	struct bytes out;
	uint64_t cut;
	uint64_t npages;
	struct digest128 *page_key; /* by page: of the contents the files give it; zeros: { 0, 0 } */
	struct place *page_at;      /* with keep: and where they are */
	struct key_slot *stored;    /* keys whose contents are in a file, of the last full one or later */
	int old_fd;                 /* file `old_file`, open for copying */
	uint32_t old_file;
};

/* ---- the thread ---- */

static int ckpt_put(struct ckpt_writer *w, const void *data, size_t len)
{
	const uint8_t *p = data;
	w->crc = crc32c(w->crc, data, len);
	w->length += len;
	while (len) {
		ssize_t n = write(w->fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? rv_status_from_errno(errno) : RV_EIO;
		p += n;
		len -= (size_t)n;
	}
	return RV_OK;
}

static int ckpt_begin(struct ckpt_writer *w, const struct batch *b)
{
	int most = LZ4_compressBound((int)b->state.len), len;
	char *lz4 = malloc((size_t)most);
	int rc;
	if (!lz4)
		return RV_ENOMEM;
	len = LZ4_compress_default((const char *)b->state.data, lz4, (int)b->state.len, most);
	w->file_number = (uint32_t)le64_get(b->header + CKPT_AT_NUMBER);
	w->fd = openat(w->dir_fd, "tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (w->fd < 0 || len <= 0) {
		rc = w->fd < 0 ? rv_status_from_errno(errno) : RV_ENOMEM;
		free(lz4);
		return rc;
	}
	memcpy(w->header, b->header, CKPT_HEADER);
	le32_put(w->header + CKPT_AT_STATE_STORED, (uint32_t)len);
	le32_put(w->header + CKPT_AT_STATE_RAW, (uint32_t)b->state.len);
	le32_put(w->header + CKPT_AT_PREV_CRC, w->prev_crc);
	w->pages = w->length = 0;
	w->cut = b->cut;
	/* Nothing may refer to an earlier file from here on. */
	if (le32_get(b->header + CKPT_AT_FLAGS) & CKPT_FLAG_FULL)
		memset(w->stored, 0, sizeof(*w->stored) << STORED_BITS);
	/* Room for the header, which is known last: the CRC covers the body first, then the header. */
	rc = ckpt_put(w, w->header, CKPT_HEADER);
	w->crc = 0;
	if (rc == RV_OK)
		rc = ckpt_put(w, lz4, (size_t)len);
	free(lz4);
	return rc;
}

static bool page_is_zero(const uint8_t *p)
{
	return p[0] == 0 && memcmp(p, p + 1, RV_PAGE_SIZE - 1) == 0;
}

/* Stored bytes of contents that no file has yet: in lz4, or the contents themselves. */
static uint32_t ckpt_compress(const uint8_t *contents, uint8_t *lz4, const uint8_t **data)
{
	int len = LZ4_compress_default((const char *)contents, (char *)lz4, RV_PAGE_SIZE,
				       RV_PAGE_SIZE - 1);
	*data = len > 0 ? lz4 : contents;
	return len > 0 ? (uint32_t)len : RV_PAGE_SIZE;
}

/* One entry into w->out; data NULL: none is stored. */
static void ckpt_entry(struct ckpt_writer *w, uint64_t page, uint32_t len, struct digest128 key,
		       const uint8_t *data)
{
	uint8_t entry[CKPT_ENTRY];
	le64_put(entry, page);
	le32_put(entry + 8, len);
	le64_put(entry + 12, key.lo);
	le64_put(entry + 20, key.hi);
	bytes_put(&w->out, entry, sizeof(entry));
	if (data)
		bytes_put(&w->out, data, len);
	w->pages++;
}

static struct key_slot *key_slot(struct ckpt_writer *w, struct digest128 key)
{
	return &w->stored[key.lo & ((1u << STORED_BITS) - 1)];
}

/* The place of what the next ckpt_entry() stores. */
static struct place place_next(const struct ckpt_writer *w, uint32_t len)
{
	return (struct place){ w->file_number, len, w->length + w->out.len + CKPT_ENTRY };
}

static void ckpt_page(struct ckpt_writer *w, uint64_t page, const uint8_t *contents)
{
	const bool zero = page_is_zero(contents);
	uint8_t lz4[RV_PAGE_SIZE];
	struct digest128 key = { 0, 0 };
	struct key_slot *slot = NULL;
	const uint8_t *data = NULL;
	uint32_t len = 0;
	if (!zero) {
		key = digest_bytes(contents, RV_PAGE_SIZE, 0);
		slot = key_slot(w, key);
	}
	if (digest_equal(key, w->page_key[page]))
		return; /* written, but with what was there */
	if (slot && digest_equal(key, slot->key)) {
		len = CKPT_SAME;
	} else if (slot) {
		len = ckpt_compress(contents, lz4, &data);
		*slot = (struct key_slot){ key, place_next(w, len) };
	}
	w->page_key[page] = key;
	if (w->page_at && slot)
		w->page_at[page] = slot->at;
	ckpt_entry(w, page, len, key, data);
}

/* Stored bytes of an earlier file. */
static int place_read(struct ckpt_writer *w, const struct place *at, uint8_t data[RV_PAGE_SIZE])
{
	if (w->old_fd < 0 || w->old_file != at->file) {
		char name[16];
		if (w->old_fd >= 0)
			close(w->old_fd);
		ckpt_file_name(name, at->file);
		w->old_fd = openat(w->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		w->old_file = at->file;
		if (w->old_fd < 0)
			return rv_status_from_errno(errno);
	}
	return fd_read_at(w->old_fd, data, at->len, at->off);
}

/* The rest of a full checkpoint: every page that is not zeros and has no entry in this file yet. */
static int ckpt_rest(struct ckpt_writer *w)
{
	const struct digest128 zero = { 0, 0 };
	int rc = RV_OK;
	for (uint64_t page = 0; rc == RV_OK && page < w->npages;) {
		bytes_clear(&w->out);
		for (; rc == RV_OK && page < w->npages && w->out.len < (1u << 20); page++) {
			const struct digest128 key = w->page_key[page];
			struct place *at = &w->page_at[page];
			struct key_slot *slot = key_slot(w, key);
			uint8_t data[RV_PAGE_SIZE];
			if (digest_equal(key, zero) || at->file == w->file_number)
				continue;
			if (digest_equal(key, slot->key)) {
				*at = slot->at;
				ckpt_entry(w, page, CKPT_SAME, key, NULL);
				continue;
			}
			rc = place_read(w, at, data);
			*at = place_next(w, at->len);
			*slot = (struct key_slot){ key, *at };
			ckpt_entry(w, page, at->len, key, data);
		}
		if (rc == RV_OK)
			rc = w->out.failed ? RV_ENOMEM : ckpt_put(w, w->out.data, w->out.len);
	}
	return rc;
}

static int ckpt_pages(struct ckpt_writer *w, const struct batch *b)
{
	bytes_clear(&w->out);
	for (uint32_t i = 0; i < b->n; i++)
		ckpt_page(w, b->page[i], b->contents[i]);
	return w->out.failed ? RV_ENOMEM : ckpt_put(w, w->out.data, w->out.len);
}

/* Header in place, data on the disk, then the name: a file that is there is whole. */
static int ckpt_publish(struct ckpt_writer *w)
{
	char name[16];
	uint32_t segment = 0;
	int rc = RV_OK;
	if (w->cut)
		rc = evlog_writer_cut_wait(w->cfg.log, w->cut, &segment);
	if (rc == RV_OK && w->cfg.sync)
		rc = w->cfg.sync(w->cfg.ctx);
	if (rc != RV_OK)
		return rc;
	le32_put(w->header + CKPT_AT_SEGMENT, segment);
	le64_put(w->header + CKPT_AT_PAGES, w->pages);
	le64_put(w->header + CKPT_AT_LENGTH, w->length);
	w->crc = ckpt_crc(w->crc, w->header);
	le32_put(w->header + CKPT_AT_CRC, w->crc);
	errno = EIO; /* of a short write, which sets none */
	if (pwrite(w->fd, w->header, CKPT_HEADER, 0) != (ssize_t)CKPT_HEADER || fdatasync(w->fd))
		return rv_status_from_errno(errno);
	ckpt_file_name(name, w->file_number);
	if (renameat(w->dir_fd, "tmp", w->dir_fd, name))
		return rv_status_from_errno(errno);
	w->prev_crc = w->crc;
	if (fsync(w->dir_fd))
		return rv_status_from_errno(errno);
	if (w->keep)
		ckpt_keep_published(w->keep, w->file_number, w->length, w->cut != 0, segment);
	return RV_OK;
}

static int ckpt_write_batch(struct ckpt_writer *w, const struct batch *b)
{
	int rc = RV_OK;
	if (b->first)
		rc = ckpt_begin(w, b);
	if (rc == RV_OK)
		rc = ckpt_pages(w, b);
	if (rc == RV_OK && b->last && w->cut)
		rc = ckpt_rest(w);
	if (rc == RV_OK && b->last)
		rc = ckpt_publish(w);
	if ((rc != RV_OK || b->last) && w->fd >= 0) {
		close(w->fd);
		w->fd = -1;
		if (rc != RV_OK)
			unlinkat(w->dir_fd, "tmp", 0);
	}
	return rc;
}

static void *ckpt_thread(void *arg)
{
	struct ckpt_writer *w = arg;
	pthread_mutex_lock(&w->lock);
	for (;;) {
		int rc;
		while (w->written == w->filled && !w->quit)
			pthread_cond_wait(&w->changed, &w->lock);
		if (w->written == w->filled)
			break;
		rc = w->error;
		pthread_mutex_unlock(&w->lock);
		if (rc == RV_OK)
			rc = ckpt_write_batch(w, &w->batch[w->written % BATCHES]);
		pthread_mutex_lock(&w->lock);
		w->error = rc;
		w->written++;
		pthread_cond_broadcast(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- the vCPU thread ---- */

/* A batch to fill; waits while both are with the thread. */
static struct batch *batch_get(struct ckpt_writer *w)
{
	struct batch *b;
	pthread_mutex_lock(&w->lock);
	while (w->filled - w->written == BATCHES)
		pthread_cond_wait(&w->changed, &w->lock);
	b = &w->batch[w->filled % BATCHES];
	pthread_mutex_unlock(&w->lock);
	b->first = b->last = false;
	b->n = 0;
	return b;
}

static void batch_hand_over(struct ckpt_writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->filled++;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

int ckpt_writer_take(struct ckpt_writer *w, const struct output_digest *extra)
{
	struct guest_mem *mem = machine_mem(w->machine);
	uint64_t pages = mem_pages(mem);
	struct batch *b;
	int rc;

	pthread_mutex_lock(&w->lock);
	rc = w->error;
	if (rc == RV_OK && w->filled != w->written) {
		pthread_mutex_unlock(&w->lock);
		return RV_OK; /* still busy with the one before: the next will hold these pages too */
	}
	pthread_mutex_unlock(&w->lock);
	if (rc != RV_OK)
		return rc;
	b = batch_get(w);
	b->cut = 0;
	if (w->keep && ckpt_keep_full_due(w->keep)) {
		const struct exec_point at = { machine_icount(w->machine), machine_seq(w->machine) };
		rc = evlog_writer_cut(w->cfg.log, at, &b->cut);
		if (rc != RV_OK)
			return rc;
		w->cfg.full_taken(w->cfg.ctx, w->number);
	}
	bytes_clear(&b->state);
	machine_save(w->machine, &b->state);
	if (b->state.failed) { /* the batch stays ours, and no number is used up */
		bytes_fini(&b->state);
		return RV_ENOMEM;
	}
	b->first = true;
	memset(b->header, 0, sizeof(b->header));
	memcpy(b->header, CKPT_MAGIC, 8);
	le32_put(b->header + CKPT_AT_VERSION, CKPT_VERSION);
	le32_put(b->header + CKPT_AT_FLAGS, b->cut ? CKPT_FLAG_FULL : 0);
	memcpy(b->header + CKPT_AT_ID, w->id, sizeof(w->id));
	le64_put(b->header + CKPT_AT_NUMBER, w->number++);
	le64_put(b->header + CKPT_AT_ICOUNT, machine_icount(w->machine));
	le64_put(b->header + CKPT_AT_SEQ, machine_seq(w->machine));
	le64_put(b->header + CKPT_AT_VNS, machine_vns(w->machine));
	le64_put(b->header + CKPT_AT_OUT_LO, extra->sum.lo);
	le64_put(b->header + CKPT_AT_OUT_HI, extra->sum.hi);
	le64_put(b->header + CKPT_AT_OUT_BYTES, extra->bytes);
	for (uint64_t i = 0; i < pages; i++) {
		if (mem_page_epoch(mem, i) < w->cursor)
			continue;
		if (b->n == BATCH_PAGES) {
			batch_hand_over(w);
			b = batch_get(w);
		}
		b->page[b->n] = i;
		memcpy(b->contents[b->n++], mem_page_host(mem, i), RV_PAGE_SIZE);
	}
	b->last = true;
	batch_hand_over(w);
	w->cursor = mem_epoch_advance(mem);
	return RV_OK;
}

/* Signals belong to the program's own threads; SIGXFSZ in particular must become EFBIG here. */
static bool ckpt_writer_start(struct ckpt_writer *w)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	w->thread_runs = pthread_create(&w->thread, NULL, ckpt_thread, w) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return w->thread_runs;
}

int ckpt_writer_create(struct ckpt_writer **out, const char *trace_path,
		       const struct trace_manifest *manifest, struct machine *m,
		       const struct ckpt_writer_cfg *cfg, struct rv_err *err)
{
	struct ckpt_writer *w = calloc(1, sizeof(*w));
	char path[4096];
	if (!w)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	w->machine = m;
	w->cursor = 1;
	w->cfg = *cfg;
	w->fd = w->old_fd = -1;
	w->npages = mem_pages(machine_mem(m));
	memcpy(w->id, manifest->id, sizeof(w->id));
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	snprintf(path, sizeof(path), "%s/" CKPT_DIR, trace_path);
	w->dir_fd = -1;
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		w->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->dir_fd < 0) {
		int rc = rv_err_set(err, rv_status_from_errno(errno), "%s: %s", path,
				    strerror(errno));
		ckpt_writer_destroy(w);
		return rc;
	}
	w->page_key = calloc(w->npages, sizeof(*w->page_key));
	w->stored = calloc(1u << STORED_BITS, sizeof(*w->stored));
	if (!w->page_key || !w->stored)
		goto no_memory;
	if (cfg->keep_ns || cfg->keep_bytes || cfg->begin_here) {
		w->page_at = calloc(w->npages, sizeof(*w->page_at));
		if (!w->page_at || ckpt_keep_create(&w->keep, cfg, w->dir_fd) != RV_OK)
			goto no_memory;
	}
	for (unsigned i = 0; i < BATCHES; i++) {
		w->batch[i].contents = malloc((size_t)BATCH_PAGES * RV_PAGE_SIZE);
		if (!w->batch[i].contents)
			goto no_memory;
	}
	if (!ckpt_writer_start(w))
		goto no_memory;
	*out = w;
	return RV_OK;
no_memory:
	ckpt_writer_destroy(w);
	return rv_err_set(err, RV_ENOMEM, "out of memory for checkpoints");
}

static void ckpt_writer_join(struct ckpt_writer *w)
{
	if (!w->thread_runs)
		return;
	pthread_mutex_lock(&w->lock);
	w->quit = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->thread_runs = false;
}

int ckpt_writer_finish(struct ckpt_writer *w, struct rv_err *err)
{
	ckpt_writer_join(w);
	if (w->error != RV_OK)
		return rv_err_set(err, w->error, "writing a checkpoint: %s",
				  rv_status_text(w->error));
	return RV_OK;
}

void ckpt_writer_destroy(struct ckpt_writer *w)
{
	if (!w)
		return;
	ckpt_writer_join(w);
	for (unsigned i = 0; i < BATCHES; i++) {
		free(w->batch[i].contents);
		bytes_fini(&w->batch[i].state);
	}
	bytes_fini(&w->out);
	ckpt_keep_destroy(w->keep);
	free(w->page_key);
	free(w->page_at);
	free(w->stored);
	if (w->old_fd >= 0)
		close(w->old_fd);
	if (w->fd >= 0)
		close(w->fd);
	if (w->dir_fd >= 0)
		close(w->dir_fd);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
