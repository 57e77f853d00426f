/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ft_int.h"

#define HELD_BYTES (8u << 20)    /* more waiting: the vCPU thread waits too */
#define SLOW_SLICE 2000000ull    /* ns: longest sleep before looking again */

/* One output that waits until the backup holds all records below `need`. */
struct held {
	struct held *next;
	icount_t need, icount;
	enum out_kind kind;
	unsigned instance;
	size_t len;
	uint8_t data[];
};

struct ft_stream {
	struct evlog_sink sink; /* first: the sink is the stream */
	struct output output;
	struct output *host;
	void (*wake)(void *ctx);
	void *ctx;
	pthread_mutex_t lock;
	pthread_cond_t room; /* batch or held became shorter, or the pace changed */
	/* Under the lock. */
	struct evlog_batch batch;
	struct held *first, **last;
	uint64_t held, held_bytes;
	icount_t acked, loose;
	bool hold, discard;
	/* vCPU thread. */
	uint64_t slept_until;
	/* Any thread. */
	atomic_bool started, urgent;
	_Atomic icount_t known;
	atomic_uint permille;
};

static void wait_room_locked(struct ft_stream *s, uint64_t ns)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ns += (uint64_t)ts.tv_nsec;
	ts.tv_sec += (time_t)(ns / 1000000000u);
	ts.tv_nsec = (long)(ns % 1000000000u);
	pthread_cond_timedwait(&s->room, &s->lock, &ts);
}

static void kick(struct ft_stream *s)
{
	if (!atomic_exchange(&s->urgent, true))
		s->wake(s->ctx);
}

/* ---- records ---- */

static int stream_append(struct evlog_sink *sink, const struct evlog_record *r)
{
	struct ft_stream *s = (struct ft_stream *)sink;
	int rc = RV_OK;
	if (!atomic_load(&s->started))
		return RV_OK;
	pthread_mutex_lock(&s->lock);
	while (atomic_load(&s->started) && !evlog_batch_fits(&s->batch, r->len)) {
		kick(s);
		wait_room_locked(s, SLOW_SLICE);
	}
	if (atomic_load(&s->started))
		rc = evlog_batch_add(&s->batch, r);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* Lag control: of each stretch since the last time, a share is slept. */
static void stream_pace(struct ft_stream *s)
{
	unsigned permille = atomic_load_explicit(&s->permille, memory_order_relaxed);
	uint64_t now, nap;
	if (!permille) {
		s->slept_until = 0;
		return;
	}
	now = ft_now();
	nap = s->slept_until && permille < 1000 ? (now - s->slept_until) * permille / (1000 - permille) : SLOW_SLICE;
	if (nap > SLOW_SLICE)
		nap = SLOW_SLICE;
	pthread_mutex_lock(&s->lock);
	do
		wait_room_locked(s, nap);
	while (atomic_load(&s->permille) >= 1000 && atomic_load(&s->started));
	pthread_mutex_unlock(&s->lock);
	s->slept_until = ft_now();
}

static int stream_reached(struct evlog_sink *sink, icount_t icount)
{
	struct ft_stream *s = (struct ft_stream *)sink;
	if (!atomic_load_explicit(&s->started, memory_order_relaxed))
		return RV_OK;
	stream_pace(s);
	atomic_store_explicit(&s->known, icount, memory_order_release);
	return RV_OK;
}

static const struct evlog_sink_ops stream_sink_ops = { .append = stream_append, .reached = stream_reached };

/* ---- outputs ---- */

static bool held_push_locked(struct ft_stream *s, icount_t icount, enum out_kind kind, unsigned instance,
			     const void *data, size_t len)
{
	struct held *h = malloc(sizeof(*h) + len);
	if (!h)
		return false; /* lost, as a packet may be; a console says so by the gap */
	*h = (struct held){ .need = icount + 1, .icount = icount, .kind = kind, .instance = instance, .len = len };
	memcpy(h->data, data, len);
	*s->last = h;
	s->last = &h->next;
	s->held++;
	s->held_bytes += len;
	return true;
}

static struct held *held_pop_locked(struct ft_stream *s)
{
	struct held *h = s->first;
	s->first = h->next;
	if (!s->first)
		s->last = &s->first;
	s->held--;
	s->held_bytes -= h->len;
	return h;
}

static void held_send_locked(struct ft_stream *s, bool all)
{
	while (s->first && (all || s->first->need <= s->acked)) {
		struct held *h = held_pop_locked(s);
		output_emit(s->host, h->icount, h->kind, h->instance, h->data, h->len);
		free(h);
	}
	pthread_cond_broadcast(&s->room);
}

/*
 * The instruction at `icount` sends something: all records up to it are appended, and none at or below it can follow,
 * so the log is known below icount + 1. Devices send within an instruction only (port/output.h).
 */
static void stream_emit(struct output *out, icount_t icount, enum out_kind kind, unsigned instance,
			const void *data, size_t len)
{
	struct ft_stream *s = (struct ft_stream *)((char *)out - offsetof(struct ft_stream, output));
	pthread_mutex_lock(&s->lock);
	if (s->hold) {
		while (s->hold && s->held_bytes > HELD_BYTES)
			wait_room_locked(s, SLOW_SLICE);
	}
	if (s->hold) {
		atomic_store_explicit(&s->known, icount + 1, memory_order_release);
		held_push_locked(s, icount, kind, instance, data, len);
		kick(s);
	} else if (!s->discard) {
		if (icount + 1 > s->loose)
			s->loose = icount + 1;
		output_emit(s->host, icount, kind, instance, data, len);
	}
	pthread_mutex_unlock(&s->lock);
}

static const struct output_ops stream_output_ops = { .emit = stream_emit };

/* ---- life ---- */

int ft_stream_create(struct ft_stream **out, struct output *host, void (*wake)(void *ctx), void *ctx)
{
	struct ft_stream *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	if (!s)
		return RV_ENOMEM;
	s->sink.ops = &stream_sink_ops;
	s->output.ops = &stream_output_ops;
	s->host = host;
	s->wake = wake;
	s->ctx = ctx;
	s->last = &s->first;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->room, &attr);
	pthread_condattr_destroy(&attr);
	*out = s;
	return RV_OK;
}

void ft_stream_destroy(struct ft_stream *s)
{
	if (!s)
		return;
	while (s->first)
		free(held_pop_locked(s));
	evlog_batch_fini(&s->batch);
	pthread_cond_destroy(&s->room);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct evlog_sink *ft_stream_sink(struct ft_stream *s)
{
	return &s->sink;
}

struct output *ft_stream_output(struct ft_stream *s)
{
	return &s->output;
}

void ft_stream_start(struct ft_stream *s, icount_t at)
{
	pthread_mutex_lock(&s->lock);
	evlog_batch_clear(&s->batch);
	atomic_store(&s->known, at);
	s->acked = at;
	atomic_store(&s->started, true);
	pthread_mutex_unlock(&s->lock);
}

bool ft_stream_started(const struct ft_stream *s)
{
	return atomic_load(&s->started);
}

void ft_stream_stop(struct ft_stream *s)
{
	pthread_mutex_lock(&s->lock);
	atomic_store(&s->started, false);
	atomic_store(&s->permille, 0);
	evlog_batch_clear(&s->batch);
	pthread_cond_broadcast(&s->room);
	pthread_mutex_unlock(&s->lock);
}

void ft_stream_hold(struct ft_stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->hold = true;
	pthread_mutex_unlock(&s->lock);
}

void ft_stream_release(struct ft_stream *s)
{
	pthread_mutex_lock(&s->lock);
	held_send_locked(s, true);
	s->hold = false;
	pthread_mutex_unlock(&s->lock);
}

void ft_stream_discard(struct ft_stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->discard = true;
	s->hold = false;
	while (s->first)
		free(held_pop_locked(s));
	pthread_cond_broadcast(&s->room);
	pthread_mutex_unlock(&s->lock);
}

void ft_stream_ticket(struct ft_stream *s, icount_t need)
{
	pthread_mutex_lock(&s->lock);
	if (!s->hold && need > s->loose)
		s->loose = need;
	pthread_mutex_unlock(&s->lock);
}

int ft_stream_commit(struct ft_stream *s, icount_t need)
{
	int rc;
	pthread_mutex_lock(&s->lock);
	/* Known or not: the link's thread looks, and sees by and by. */
	while (s->hold && !s->discard && s->acked < need) {
		kick(s);
		wait_room_locked(s, SLOW_SLICE);
	}
	rc = s->discard ? RV_EEND : RV_OK;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void ft_stream_take(struct ft_stream *s, struct evlog_batch *batch, icount_t *known)
{
	struct evlog_batch full;
	atomic_store(&s->urgent, false);
	evlog_batch_clear(batch);
	/* First how far, then what: whatever is below is in the batch, or in an earlier one. */
	*known = atomic_load_explicit(&s->known, memory_order_acquire);
	pthread_mutex_lock(&s->lock);
	full = s->batch;
	s->batch = *batch;
	*batch = full;
	pthread_cond_broadcast(&s->room);
	pthread_mutex_unlock(&s->lock);
}

bool ft_stream_urgent(const struct ft_stream *s)
{
	return atomic_load(&s->urgent);
}

void ft_stream_acked(struct ft_stream *s, icount_t known)
{
	pthread_mutex_lock(&s->lock);
	if (known > s->acked)
		s->acked = known;
	if (s->hold)
		held_send_locked(s, false);
	pthread_mutex_unlock(&s->lock);
}

void ft_stream_slow(struct ft_stream *s, unsigned permille)
{
	atomic_store(&s->permille, permille);
	if (!permille)
		pthread_cond_broadcast(&s->room);
}

void ft_stream_stats(struct ft_stream *s, struct ft_stream_stats *out)
{
	pthread_mutex_lock(&s->lock);
	*out = (struct ft_stream_stats){ s->held, s->held_bytes, atomic_load(&s->known), s->acked, s->loose };
	pthread_mutex_unlock(&s->lock);
}
