/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk backends: who carries out a request, and when. Live: a few threads,
 * which announce what they finished; in a replay: finish() itself. A request
 * belongs to the threads from start() until it is done, and to the vCPU thread
 * before and after; the device keeps overlapping ones apart, so any two
 * running requests touch different blocks.
 */
#include "disk_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4u

enum tag_state { TAG_IDLE, TAG_BUSY /* queued or running */, TAG_DONE, TAG_ANNOUNCED };

struct tag {
	struct disk_io *io;
	enum tag_state state; /* under the lock, with threads */
	int rc;
	uint64_t ticket;      /* of a shared image's request */
	bool uncommitted;     /* done, but for the image: the primary writes it, or we do when we are live */
};

struct disk_file {
	struct disk disk; /* first: the port is the file */
	struct disk_file_cfg cfg;
	struct disk_files files;
	uint8_t *edge; /* DISK_EDGES blocks a tag */
	struct disk_shared shared; /* zeros: not */
	bool following;       /* a backup with a shared image; under the lock */
	bool threaded;
	unsigned nthreads;
	pthread_t thread[DISK_TAGS];

	pthread_mutex_t lock;
	pthread_cond_t work, done; /* done: somebody waits for a tag */
	uint8_t queue[DISK_TAGS], finished[DISK_TAGS]; /* rings of tags */
	unsigned queue_head, queue_len, finished_head, finished_len;
	bool closing;
	uint64_t chaos;
	atomic_bool any; /* finished_len != 0, read without the lock */
	uint8_t payload[2];
	struct tag tag[DISK_TAGS];
};

/* ---- threads ---- */

/* --chaos: how long a request that is done keeps it for itself. Under the lock. */
static long chaos_ns(struct disk_file *d)
{
	if (!d->cfg.chaos_us)
		return 0;
	d->chaos ^= d->chaos << 13;
	d->chaos ^= d->chaos >> 7;
	d->chaos ^= d->chaos << 17;
	return (long)(d->chaos % d->cfg.chaos_us) * 1000;
}

/* The image, behind the block log. Under the lock, which it may let go. A backup leaves a shared one alone. */
static int work_commit(struct disk_file *d, unsigned t)
{
	struct tag *tag = &d->tag[t];
	int rc = RV_OK;
	if (!d->files.commit || tag->io->op == DISK_READ)
		return RV_OK;
	if (d->following) {
		tag->uncommitted = true;
		return RV_OK;
	}
	/* The before-images are one file: one at a time, then. */
	if (d->files.before >= 0)
		return disk_files_commit(&d->files, tag->io);
	pthread_mutex_unlock(&d->lock);
	if (d->shared.commit)
		rc = d->shared.commit(d->shared.ctx, tag->ticket);
	if (rc == RV_OK)
		rc = disk_files_commit(&d->files, tag->io);
	pthread_mutex_lock(&d->lock);
	return rc;
}

static void work_one(struct disk_file *d, unsigned t)
{
	struct timespec nap = { .tv_nsec = chaos_ns(d) };
	int rc;
	pthread_mutex_unlock(&d->lock);
	rc = disk_files_do(&d->files, d->tag[t].io, d->edge + (size_t)t * DISK_EDGES * DISK_BLOCK);
	if (nap.tv_nsec)
		nanosleep(&nap, NULL);
	pthread_mutex_lock(&d->lock);
	if (rc == RV_OK)
		rc = work_commit(d, t);
	d->tag[t].rc = rc;
	d->tag[t].state = TAG_DONE;
	if (!d->cfg.by_clock) {
		d->finished[(d->finished_head + d->finished_len++) % DISK_TAGS] = (uint8_t)t;
		atomic_store_explicit(&d->any, true, memory_order_release);
		live_wake(d->cfg.live);
	}
	pthread_cond_broadcast(&d->done);
}

static void *worker(void *ctx)
{
	struct disk_file *d = ctx;
	pthread_mutex_lock(&d->lock);
	while (!d->closing) {
		unsigned t;
		if (!d->queue_len) {
			pthread_cond_wait(&d->work, &d->lock);
			continue;
		}
		t = d->queue[d->queue_head];
		d->queue_head = (d->queue_head + 1) % DISK_TAGS;
		d->queue_len--;
		work_one(d, t);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* live_source: the next finished request. */
static int take(void *ctx, const struct nd_query *query, struct nd_event *ev)
{
	struct disk_file *d = ctx;
	unsigned t;
	(void)query;
	if (!atomic_load_explicit(&d->any, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&d->lock);
	if (!d->finished_len) {
		pthread_mutex_unlock(&d->lock);
		return 0;
	}
	t = d->finished[d->finished_head];
	d->finished_head = (d->finished_head + 1) % DISK_TAGS;
	d->finished_len--;
	atomic_store_explicit(&d->any, d->finished_len != 0, memory_order_release);
	d->tag[t].state = TAG_ANNOUNCED;
	d->payload[0] = (uint8_t)t;
	d->payload[1] = d->tag[t].rc == RV_OK ? ND_DISK_OK : ND_DISK_ERROR;
	pthread_mutex_unlock(&d->lock);
	ev->kind = ND_DISK;
	ev->instance = d->cfg.instance;
	ev->data = d->payload;
	ev->len = sizeof(d->payload);
	return 1;
}

/* ---- the port ---- */

static void disk_file_begin(struct disk *disk, unsigned tag, struct disk_io *io)
{
	struct disk_file *d = (struct disk_file *)disk;
	d->tag[tag].io = io;
	if (d->shared.ticket)
		d->tag[tag].ticket = d->shared.ticket(d->shared.ctx);
	if (!d->threaded) {
		d->tag[tag].state = TAG_BUSY;
		return;
	}
	pthread_mutex_lock(&d->lock);
	d->tag[tag].state = TAG_BUSY;
	d->queue[(d->queue_head + d->queue_len++) % DISK_TAGS] = (uint8_t)tag;
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
}

/* Takes a tag that nobody will be told of any more out of the ring. Under the lock. */
static void unannounce(struct disk_file *d, unsigned tag)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < d->finished_len; i++) {
		uint8_t t = d->finished[(d->finished_head + i) % DISK_TAGS];
		if (t != tag)
			d->finished[(d->finished_head + kept++) % DISK_TAGS] = t;
	}
	d->finished_len = kept;
	atomic_store_explicit(&d->any, kept != 0, memory_order_release);
}

/* Waits until the threads are through with it: its result. */
static int tag_wait(struct disk_file *d, unsigned tag)
{
	struct tag *t = &d->tag[tag];
	if (!d->threaded) {
		t->state = TAG_IDLE;
		return RV_OK;
	}
	pthread_mutex_lock(&d->lock);
	while (t->state == TAG_BUSY)
		pthread_cond_wait(&d->done, &d->lock);
	if (t->state == TAG_DONE)
		unannounce(d, tag);
	t->state = TAG_IDLE;
	t->uncommitted = false; /* the primary has done it */
	pthread_mutex_unlock(&d->lock);
	return t->rc;
}

/* Tells who wants to know which blocks of the base a request read. */
static int tell_base_read(struct disk_file *d, unsigned tag)
{
	const struct disk_io *io = d->tag[tag].io;
	const uint8_t *edge = d->edge + (size_t)tag * DISK_EDGES * DISK_BLOCK;
	int rc = RV_OK;
	if (!d->cfg.base_read)
		return RV_OK;
	for (unsigned i = 0; rc == RV_OK && i < io->nsrc; i++) {
		const struct disk_extent *s = &io->src[i];
		if (s->place != DISK_BASE)
			continue;
		rc = d->cfg.base_read(d->cfg.ctx, d->cfg.instance, s->block, s->nblocks,
				      io->op == DISK_READ ? io->data + (size_t)s->at * DISK_BLOCK :
							    edge + i * DISK_BLOCK);
	}
	return rc;
}

static int disk_file_finish(struct disk *disk, unsigned tag)
{
	struct disk_file *d = (struct disk_file *)disk;
	int rc = tag_wait(d, tag);
	if (!d->threaded)
		rc = disk_files_do(&d->files, d->tag[tag].io,
				   d->edge + (size_t)tag * DISK_EDGES * DISK_BLOCK);
	return rc == RV_OK ? tell_base_read(d, tag) : rc;
}

static void disk_file_drop(struct disk *disk, unsigned tag)
{
	(void)tag_wait((struct disk_file *)disk, tag);
}

static const struct disk_ops disk_file_ops = {
	.start = disk_file_begin,
	.finish = disk_file_finish,
	.drop = disk_file_drop,
};

/* ---- life ---- */

static int base_open(struct disk_file *d, struct rv_err *err)
{
	struct disk_files *f = &d->files;
	struct stat st;
	uint64_t bytes = 0;
	/* O_NONBLOCK: a fifo under that name must not hold us up. */
	f->base = open(f->path, (d->cfg.commit && d->cfg.live ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (f->base < 0 || fstat(f->base, &st) < 0)
		return rv_err_set(err, rv_status_from_errno(errno), "--disk=%.300s: %s", f->path,
				  strerror(errno));
	if (S_ISREG(st.st_mode))
		bytes = (uint64_t)st.st_size;
	else if (!S_ISBLK(st.st_mode))
		return rv_err_set(err, RV_EINVAL, "--disk=%.300s: neither a file nor a block device", f->path);
	else if (ioctl(f->base, BLKGETSIZE64, &bytes) < 0)
		return rv_err_set(err, RV_EIO, "--disk=%.300s: its size is unknown: %s", f->path,
				  strerror(errno));
	if (!bytes || bytes % 512)
		return rv_err_set(err, RV_EINVAL,
				  "--disk=%.300s: not a raw disk image: its size is no multiple of 512 bytes",
				  f->path);
	f->size = bytes;
	if (flock(f->base, (d->cfg.commit && d->cfg.live && !d->cfg.shared ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
		return rv_err_set(err, RV_EPERM,
				  "--disk=%.300s: in use by another machine%s", f->path,
				  d->cfg.commit ? " (commit=on needs it alone)" :
						  " that writes to it (commit=on)");
	return RV_OK;
}

int disk_file_create(struct disk_file **out, const struct disk_file_cfg *cfg, struct rv_err *err)
{
	struct disk_file *d = calloc(1, sizeof(*d));
	int rc;
	if (!d)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	d->disk.ops = &disk_file_ops;
	d->cfg = *cfg;
	d->cfg.path = NULL; /* the caller's */
	if (cfg->shared)
		d->shared = *cfg->shared;
	d->chaos = cfg->chaos_seed | 1;
	d->files = (struct disk_files){ .path = strdup(cfg->path),
					.base = -1,
					.log = -1,
					.old_log = -1,
					.before = -1,
					.commit = cfg->commit && cfg->live };
	d->edge = malloc((size_t)DISK_TAGS * DISK_EDGES * DISK_BLOCK);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->work, NULL);
	pthread_cond_init(&d->done, NULL);
	if (!d->files.path || !d->edge) {
		rc = rv_err_set(err, RV_ENOMEM, "out of memory");
		goto fail;
	}
	if ((rc = base_open(d, err)) != RV_OK)
		goto fail;
	d->files.log = disk_files_temporary();
	if (d->files.log < 0) {
		rc = rv_err_set(err, RV_EIO, "--disk=%.300s: no temporary file for what the guest writes: %s; "
				"set TMPDIR", d->files.path, strerror(errno));
		goto fail;
	}
	*out = d;
	return RV_OK;
fail:
	disk_file_destroy(d);
	return rc;
}

static int start_live(struct disk_file *d, const char *log_path, const char *before_path,
		      struct rv_err *err)
{
	struct disk_files *f = &d->files;
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	if (log_path) {
		close(f->log);
		f->log = open(log_path, flags, 0600);
		if (f->log < 0)
			return rv_err_set(err, rv_status_from_errno(errno), "%.300s: %s", log_path,
					  strerror(errno));
	}
	if (f->commit && before_path) {
		f->before = open(before_path, flags, 0600);
		if (f->before < 0)
			return rv_err_set(err, rv_status_from_errno(errno), "%.300s: %s", before_path,
					  strerror(errno));
		f->saved = calloc((f->size / DISK_BLOCK + 1) / 8 + 1, 1);
		if (!f->saved)
			return rv_err_set(err, RV_ENOMEM, "out of memory");
	}
	if (!d->cfg.by_clock) {
		const struct live_source source = { take, d };
		int rc = live_add_source(d->cfg.live, &source);
		if (rc != RV_OK)
			return rv_err_set(err, rc, "too many devices");
	}
	d->threaded = true;
	/* Requests of a backup with a shared image wait for what is still to come: none may wait for another. */
	for (; d->nthreads < (d->files.supply ? DISK_TAGS : THREADS); d->nthreads++)
		if (pthread_create(&d->thread[d->nthreads], NULL, worker, d) != 0)
			break;
	return d->nthreads ? RV_OK : rv_err_set(err, RV_ENOMEM, "no thread for the disk");
}

/* Replay. What is missing is found out when it is needed. */
static int start_replay(struct disk_file *d, const char *log_path, const char *before_path,
			struct rv_err *err)
{
	struct disk_files *f = &d->files;
	const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct stat st;
	int rc = RV_OK;
	f->own = calloc(1, 4096);
	if (!f->own)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	f->own_blocks = 4096 * 8;
	if (log_path)
		f->old_log = open(log_path, flags);
	if (before_path)
		f->before = open(before_path, flags);
	if ((f->old_log >= 0 && (fstat(f->old_log, &st) < 0 || !S_ISREG(st.st_mode))) ||
	    (f->before >= 0 && (fstat(f->before, &st) < 0 || !S_ISREG(st.st_mode))))
		rc = RV_EDAMAGED;
	if (rc == RV_OK && f->before >= 0)
		rc = disk_files_before_load(f);
	return rc == RV_OK ? RV_OK : rv_err_set(err, rc, "%.300s: %s", log_path, rv_status_text(rc));
}

int disk_file_start(struct disk_file *d, const char *log_path, const char *before_path,
		    struct rv_err *err)
{
	return d->cfg.live ? start_live(d, log_path, before_path, err) :
			     start_replay(d, log_path, before_path, err);
}

void disk_file_destroy(struct disk_file *d)
{
	const int fds[] = { d ? d->files.base : -1, d ? d->files.log : -1, d ? d->files.old_log : -1,
			    d ? d->files.before : -1 };
	if (!d)
		return;
	disk_file_stay(d);
	pthread_mutex_lock(&d->lock);
	d->closing = true;
	pthread_cond_broadcast(&d->work);
	pthread_mutex_unlock(&d->lock);
	while (d->nthreads)
		pthread_join(d->thread[--d->nthreads], NULL);
	for (unsigned i = 0; i < RV_ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pthread_cond_destroy(&d->work);
	pthread_cond_destroy(&d->done);
	pthread_mutex_destroy(&d->lock);
	free(d->files.own);
	disk_supply_destroy(d->files.supply);
	free(d->files.saved);
	free(d->files.row);
	free(d->files.path);
	free(d->edge);
	free(d);
}

/* ---- a backup with a shared image ---- */

int disk_file_follow(struct disk_file *d, struct rv_err *err)
{
	int rc = disk_supply_create(&d->files.supply, d->files.size);
	d->following = true;
	return rc == RV_OK ? RV_OK : rv_err_set(err, rc, "--disk=%.300s: no room for a backup's cache", d->files.path);
}

int disk_file_supply(struct disk_file *d, uint64_t block, uint32_t nblocks, const uint8_t *data)
{
	return d->files.supply ? disk_supply_put(d->files.supply, block, nblocks, data) : RV_EINVAL;
}

void disk_file_stay(struct disk_file *d)
{
	if (d->files.supply)
		disk_supply_stay(d->files.supply);
}

/* Requests that are in flight touch different blocks, so their order does not show. */
int disk_file_live(struct disk_file *d)
{
	int rc = RV_OK;
	pthread_mutex_lock(&d->lock);
	d->following = false;
	for (unsigned t = 0; rc == RV_OK && t < DISK_TAGS; t++) {
		if (d->tag[t].uncommitted && d->tag[t].state != TAG_IDLE)
			rc = disk_files_commit(&d->files, d->tag[t].io);
		d->tag[t].uncommitted = false;
	}
	pthread_mutex_unlock(&d->lock);
	return rc;
}

struct disk_files *disk_file_files(struct disk_file *d)
{
	return &d->files;
}

struct disk *disk_file_port(struct disk_file *d)
{
	return &d->disk;
}

uint64_t disk_file_sectors(const struct disk_file *d)
{
	return d->files.size / 512;
}

int disk_file_sync(struct disk_file *d)
{
	if ((d->files.before >= 0 && fdatasync(d->files.before) < 0) || fdatasync(d->files.log) < 0)
		return RV_EIO;
	return RV_OK;
}

void disk_file_forget(struct disk_file *d, uint64_t from, uint64_t n)
{
	/* A file system that cannot keeps the space, and nothing else changes. */
	(void)!fallocate(d->files.log, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(from * DISK_BLOCK),
			 (off_t)(n * DISK_BLOCK));
}

int disk_file_copy_out(struct disk_file *d, const char *path, struct rv_err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = fd < 0 ? rv_status_from_errno(errno) : disk_files_copy(d->files.log, fd);
	if (rc == RV_OK && fdatasync(fd) < 0)
		rc = rv_status_from_errno(errno);
	if (fd >= 0)
		close(fd);
	return rc == RV_OK ? RV_OK : rv_err_set(err, rc, "%.300s: %s", path, rv_status_text(rc));
}

int disk_file_copy_in(struct disk_file *d, const char *path, struct rv_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	int rc = fd < 0 ? rv_status_from_errno(errno) : RV_OK;
	if (rc == RV_OK && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
		rc = RV_EDAMAGED;
	if (rc == RV_OK)
		rc = disk_files_copy(fd, d->files.log);
	if (fd >= 0)
		close(fd);
	return rc == RV_OK ? RV_OK : rv_err_set(err, rc, "%.300s: %s", path, rv_status_text(rc));
}

uint64_t disk_file_log_bytes(const struct disk_file *d)
{
	struct stat st;
	return fstat(d->files.log, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}
