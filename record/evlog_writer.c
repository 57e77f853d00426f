/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing side of the event log. The vCPU thread fills a batch in memory;
 * the writer thread turns full or old batches into chunks and writes them.
 *
 *   append -> open batch --full or 200 ms old--> queue -> encode, write, sync
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "record/evlog_chunk.h"
#include "trace_publish.h"

#define SEGMENT_BYTES (64ull << 20)
#define QUEUE_BYTES (64ull << 20)
#define CHUNK_AGE_NS 200000000ll
#define SYNC_EVERY_NS 1000000000ll
#define NS_PER_S 1000000000ll

struct queued {
	struct evlog_batch batch;
	bool cut;          /* a new segment begins before this batch, which is empty */
	struct exec_point cut_at;
	uint64_t cost;     /* bytes of memory, while in the queue */
	int64_t opened_ns; /* host time of its first record */
	struct queued *next;
};

enum stop { STOP_NO, STOP_FINISH, STOP_ABANDON };

struct evlog_writer {
	struct evlog_sink sink; /* first: the sink is the writer */
	pthread_mutex_t lock;
	pthread_cond_t work;  /* to the writer thread */
	pthread_cond_t space; /* from it: the queue became shorter, or an error */
	pthread_t thread;
	bool started;
	/* Under the lock. */
	struct queued *open; /* never NULL while running */
	struct queued *head, **tail;
	struct queued *spare; /* written batches, kept for their memory */
	uint64_t waiting;     /* cost of the queue and of the batch being written */
	uint64_t cuts, cuts_done; /* asked for, carried out */
	uint32_t cut_segment;     /* the segment that the last one began */
	enum stop stop;
	/* vCPU thread only. */
	struct exec_point last;
	/* Any thread. */
	atomic_int error;
	_Atomic uint64_t written;
	/* Writer thread only, after create. */
	struct trace_published pub;
	struct evlog_writer_cfg cfg;
	uint8_t id[16];
	uint32_t segment_number;
	uint64_t chunk_number; /* of the next chunk */
	struct exec_point position;
	struct bytes out;
	bool unsynced;
	int64_t synced_ns;
	/* The thread that calls evlog_writer_drop(). */
	uint32_t dropped_to; /* the lowest segment there is */
};

static int64_t host_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void queued_free(struct queued *q)
{
	while (q) {
		struct queued *next = q->next;
		evlog_batch_fini(&q->batch);
		free(q);
		q = next;
	}
}

static uint64_t batch_cost(const struct evlog_batch *b)
{
	return b->n * sizeof(*b->entry) + b->payload.len;
}

/* ---- the writer thread ---- */

static int writer_sync(struct evlog_writer *w)
{
	if (w->unsynced && fdatasync(w->pub.segment) < 0)
		return rv_status_from_errno(errno);
	w->unsynced = false;
	w->synced_ns = host_now();
	return RV_OK;
}

static int writer_next_segment(struct evlog_writer *w)
{
	char name[SEGMENT_NAME_MAX];
	int fd, rc = RV_OK;

	if (w->segment_number + 1 >= EVLOG_SEGMENTS)
		return RV_ENOSPC;
	/* The old segment reaches the disk before the new one exists: a gap can only be damage. */
	if (w->cfg.sync != EVLOG_SYNC_NONE)
		rc = writer_sync(w);
	if (rc != RV_OK)
		return rc;
	segment_name(w->segment_number + 1, name);
	fd = openat(w->pub.log_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    TRACE_FILE_MODE);
	if (fd < 0)
		return rv_status_from_errno(errno);
	if (w->cfg.sync != EVLOG_SYNC_NONE && fsync(w->pub.log_dir) < 0) {
		rc = rv_status_from_errno(errno);
		close(fd);
		return rc;
	}
	close(w->pub.segment);
	w->pub.segment = fd;
	w->pub.segment_bytes = 0;
	w->segment_number++;
	return RV_OK;
}

/* Writes one chunk whole, or leaves the file as it was. */
static int writer_chunk(struct evlog_writer *w, const struct evlog_batch *b, uint32_t flags)
{
	struct evlog_header h = {
		.flags = flags,
		.number = w->chunk_number,
		.prev_crc = w->pub.last_crc,
		.first = w->position,
	};
	int rc;

	memcpy(h.id, w->id, sizeof(h.id));
	bytes_clear(&w->out);
	rc = evlog_chunk_encode(b, &h, &w->out);
	if (rc != RV_OK)
		return rc;
	if (w->pub.segment_bytes && w->pub.segment_bytes + w->out.len > w->cfg.segment_bytes) {
		rc = writer_next_segment(w);
		if (rc != RV_OK)
			return rc;
	}
	rc = fd_write_all(w->pub.segment, w->out.data, w->out.len);
	if (rc != RV_OK) {
		/* If even this fails the half chunk is a torn tail, which the reader cuts off. */
		if (ftruncate(w->pub.segment, (off_t)w->pub.segment_bytes) < 0)
			w->unsynced = true;
		return rc;
	}
	w->pub.segment_bytes += w->out.len;
	w->pub.last_crc = h.crc;
	w->chunk_number++;
	w->unsynced = true;
	if (b->n)
		w->position = (struct exec_point){ b->entry[b->n - 1].icount,
						   b->entry[b->n - 1].seq };
	atomic_fetch_add(&w->written, w->out.len);
	return w->cfg.sync == EVLOG_SYNC_CHUNK ? writer_sync(w) : RV_OK;
}

static void queue_push_locked(struct evlog_writer *w, struct queued *q)
{
	q->next = NULL;
	q->cost = batch_cost(&q->batch);
	w->waiting += q->cost;
	*w->tail = q;
	w->tail = &q->next;
}

static struct queued *spare_take_locked(struct evlog_writer *w)
{
	struct queued *q = w->spare;
	if (q)
		w->spare = q->next;
	else
		q = calloc(1, sizeof(*q));
	if (q)
		q->next = NULL;
	return q;
}

/* Moves the open batch to the queue. false: no memory for its successor (it stays open). */
static bool close_open_locked(struct evlog_writer *w)
{
	struct queued *q = spare_take_locked(w);
	if (!q)
		return false;
	queue_push_locked(w, w->open);
	w->open = q;
	return true;
}

static void spare_put_locked(struct evlog_writer *w, struct queued *q)
{
	w->waiting -= q->cost;
	q->cut = false;
	evlog_batch_clear(&q->batch);
	/* Two batches in turn are what a steady run needs; a burst's memory goes back. */
	if (w->spare && w->spare->next) {
		q->next = NULL;
		queued_free(q);
		return;
	}
	q->next = w->spare;
	w->spare = q;
}

static void wait_until_locked(struct evlog_writer *w, int64_t when)
{
	struct timespec ts = { .tv_sec = when / NS_PER_S, .tv_nsec = when % NS_PER_S };
	if (when == INT64_MAX)
		pthread_cond_wait(&w->work, &w->lock);
	else
		pthread_cond_timedwait(&w->work, &w->lock, &ts);
}

/* Takes the next batch to write, waiting for one; NULL: woken to sync, or stopped and drained. */
static struct queued *writer_wait_locked(struct evlog_writer *w)
{
	for (;;) {
		struct queued *q = w->head;
		int64_t now, when = INT64_MAX;
		if (q) {
			w->head = q->next;
			if (!w->head)
				w->tail = &w->head;
			return q;
		}
		now = host_now();
		if (w->open->batch.n) {
			when = w->open->opened_ns + CHUNK_AGE_NS;
			if (w->stop != STOP_NO || now >= when) {
				if (close_open_locked(w))
					continue;
				atomic_store(&w->error, RV_ENOMEM);
				evlog_batch_clear(&w->open->batch);
				return NULL;
			}
		}
		if (w->stop != STOP_NO)
			return NULL;
		if (w->cfg.sync == EVLOG_SYNC_1S && w->unsynced) {
			int64_t due = w->synced_ns + SYNC_EVERY_NS;
			if (now >= due)
				return NULL;
			when = due < when ? due : when;
		}
		wait_until_locked(w, when);
	}
}

static void *writer_main(void *arg)
{
	struct evlog_writer *w = arg;
	struct evlog_batch none = { 0 };
	bool drained = false;

	pthread_mutex_lock(&w->lock);
	while (!drained) {
		struct queued *q = writer_wait_locked(w);
		int rc = RV_OK, error = atomic_load(&w->error);
		enum stop stop = w->stop;
		pthread_mutex_unlock(&w->lock);
		/* After an error nothing more is written, so that what is there stays valid. */
		if (q && q->cut && error == RV_OK) {
			rc = writer_next_segment(w);
			w->position = q->cut_at;
		}
		if (q && q->batch.n && error == RV_OK && rc == RV_OK)
			rc = writer_chunk(w, &q->batch, 0);
		drained = !q && stop != STOP_NO;
		if (drained && stop == STOP_FINISH && error == RV_OK)
			rc = writer_chunk(w, &none, EVLOG_FLAG_END);
		if (rc == RV_OK && w->cfg.sync != EVLOG_SYNC_NONE && w->unsynced &&
		    (drained || host_now() >= w->synced_ns + SYNC_EVERY_NS))
			rc = writer_sync(w);
		pthread_mutex_lock(&w->lock);
		if (rc != RV_OK) {
			if (error == RV_OK)
				atomic_store(&w->error, rc);
			w->unsynced = false; /* it will not get better by trying again */
		}
		if (q && q->cut) {
			w->cuts_done++;
			w->cut_segment = w->segment_number;
		}
		if (q)
			spare_put_locked(w, q);
		pthread_cond_broadcast(&w->space);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- the vCPU thread's side ---- */

/* Signals belong to the program's own threads; SIGXFSZ in particular must become EFBIG here. */
static int writer_start(struct evlog_writer *w)
{
	sigset_t all, old;
	int e;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	e = pthread_create(&w->thread, NULL, writer_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->started = e == 0;
	return rv_status_from_errno(e);
}

int evlog_writer_create(struct evlog_writer **out, const char *path, struct trace_manifest *manifest,
			const void *kernel, const void *initrd, const struct evlog_writer_cfg *cfg,
			struct rv_err *err)
{
	struct evlog_writer *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;
	int rc;

	if (!w)
		return rv_err_set(err, RV_ENOMEM, "%s", rv_status_text(RV_ENOMEM));
	w->cfg = *cfg;
	if (w->cfg.segment_bytes == 0)
		w->cfg.segment_bytes = SEGMENT_BYTES;
	if (w->cfg.segment_bytes > EVLOG_SEGMENT_MAX)
		w->cfg.segment_bytes = EVLOG_SEGMENT_MAX;
	w->tail = &w->head;
	w->pub.segment = w->pub.log_dir = -1;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &attr);
	pthread_cond_init(&w->space, NULL);
	pthread_condattr_destroy(&attr);
	w->open = calloc(1, sizeof(*w->open));
	if (!w->open) {
		rc = rv_err_set(err, RV_ENOMEM, "%s", rv_status_text(RV_ENOMEM));
		goto fail;
	}
	rc = trace_publish(path, manifest, kernel, initrd, cfg->sync != EVLOG_SYNC_NONE, &w->pub,
			   err);
	if (rc != RV_OK)
		goto fail;
	memcpy(w->id, manifest->id, sizeof(w->id));
	w->chunk_number = 1;
	w->synced_ns = host_now();
	atomic_store(&w->written, w->pub.segment_bytes);
	rc = writer_start(w);
	if (rc != RV_OK) {
		rv_err_set(err, rc, "%s: cannot start the log's writer thread", path);
		goto fail;
	}
	*out = w;
	return RV_OK;
fail:
	evlog_writer_destroy(w);
	return rc;
}

int evlog_writer_append(struct evlog_writer *w, const struct evlog_record *r)
{
	int rc = atomic_load(&w->error);
	if (rc != RV_OK)
		return rc;
	rc = evlog_record_check(r);
	if (rc != RV_OK || !exec_point_not_before(r->at, w->last))
		return RV_EINVAL;
	pthread_mutex_lock(&w->lock);
	if (!evlog_batch_fits(&w->open->batch, r->len)) {
		if (!close_open_locked(w))
			rc = RV_ENOMEM;
		pthread_cond_signal(&w->work);
	}
	while (rc == RV_OK && w->waiting > QUEUE_BYTES) {
		pthread_cond_wait(&w->space, &w->lock);
		rc = atomic_load(&w->error);
	}
	if (rc == RV_OK) {
		bool first = w->open->batch.n == 0;
		rc = evlog_batch_add(&w->open->batch, r);
		if (rc == RV_OK && first) {
			w->open->opened_ns = host_now();
			pthread_cond_signal(&w->work);
		}
	}
	/* A record that was not taken leaves a hole: nothing may follow it. */
	if (rc != RV_OK && atomic_load(&w->error) == RV_OK)
		atomic_store(&w->error, rc);
	pthread_mutex_unlock(&w->lock);
	if (rc == RV_OK)
		w->last = r->at;
	return rc;
}

int evlog_writer_cut(struct evlog_writer *w, struct exec_point at, uint64_t *cut)
{
	int rc = atomic_load(&w->error);
	if (rc == RV_OK && !exec_point_not_before(at, w->last))
		return RV_EINVAL;
	pthread_mutex_lock(&w->lock);
	/* What is open belongs before the cut; the batch with the cut goes its way at once, empty. */
	if (rc == RV_OK && w->open->batch.n && !close_open_locked(w))
		rc = RV_ENOMEM;
	if (rc == RV_OK) {
		w->open->cut = true;
		w->open->cut_at = w->last = at;
		if (close_open_locked(w)) {
			*cut = ++w->cuts;
		} else {
			w->open->cut = false;
			rc = RV_ENOMEM;
		}
	}
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	return rc;
}

int evlog_writer_cut_wait(struct evlog_writer *w, uint64_t cut, uint32_t *segment)
{
	int rc;
	pthread_mutex_lock(&w->lock);
	while (w->cuts_done < cut && w->started && atomic_load(&w->error) == RV_OK)
		pthread_cond_wait(&w->space, &w->lock);
	/* Only the last one is remembered: each is waited for before the next is made. */
	rc = w->cuts_done == cut ? RV_OK : RV_EIO;
	*segment = w->cut_segment;
	pthread_mutex_unlock(&w->lock);
	return atomic_load(&w->error) != RV_OK ? atomic_load(&w->error) : rc;
}

void evlog_writer_drop(struct evlog_writer *w, uint32_t segment)
{
	for (; w->dropped_to < segment; w->dropped_to++) {
		char name[SEGMENT_NAME_MAX];
		struct stat st;
		segment_name(w->dropped_to, name);
		if (fstatat(w->pub.log_dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    unlinkat(w->pub.log_dir, name, 0) == 0)
			atomic_fetch_sub(&w->written, (uint64_t)st.st_size);
	}
}

int evlog_writer_status(struct evlog_writer *w)
{
	return atomic_load(&w->error);
}

static int sink_append(struct evlog_sink *s, const struct evlog_record *r)
{
	return evlog_writer_append((struct evlog_writer *)s, r);
}

static int sink_reached(struct evlog_sink *s, icount_t icount)
{
	(void)icount;
	return evlog_writer_status((struct evlog_writer *)s);
}

static const struct evlog_sink_ops writer_sink_ops = { .append = sink_append, .reached = sink_reached };

struct evlog_sink *evlog_writer_sink(struct evlog_writer *w)
{
	w->sink.ops = &writer_sink_ops;
	return &w->sink;
}

uint64_t evlog_writer_bytes(const struct evlog_writer *w)
{
	return atomic_load(&w->written);
}

static void writer_join(struct evlog_writer *w, enum stop stop)
{
	if (!w->started)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = stop;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->started = false;
}

int evlog_writer_finish(struct evlog_writer *w, struct rv_err *err)
{
	int rc;
	writer_join(w, STOP_FINISH);
	rc = atomic_load(&w->error);
	if (rc != RV_OK)
		return rv_err_set(err, rc,
				  "the event log could not be written: %s (the trace is valid up to "
				  "there)",
				  rv_status_text(rc));
	return RV_OK;
}

void evlog_writer_destroy(struct evlog_writer *w)
{
	if (!w)
		return;
	writer_join(w, STOP_ABANDON);
	queued_free(w->open);
	queued_free(w->head);
	queued_free(w->spare);
	bytes_fini(&w->out);
	if (w->pub.segment >= 0)
		close(w->pub.segment);
	if (w->pub.log_dir >= 0)
		close(w->pub.log_dir);
	pthread_cond_destroy(&w->space);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
