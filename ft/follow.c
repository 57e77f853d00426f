/* SPDX-License-Identifier: Apache-2.0 */
#include "follow.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define STAMPS 256u

/* One message's records. */
struct part {
	struct part *next;
	struct evlog_batch batch;
};

struct ft_follow {
	struct evlog_source source; /* first: the source is the follower */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock. */
	struct part *first, **last;
	icount_t known, at; /* at: the replay stands here, or beyond */
	uint64_t bytes;
	bool ended, interrupted;
	/* When the primary knew how far its log reached: a ring, for the lag. */
	struct stamp {
		icount_t known;
		uint64_t ns;
	} stamp[STAMPS];
	unsigned stamp_first, stamps;
	uint64_t newest;
	/* Link's thread. */
	uint8_t session[16];
	uint64_t number;
	uint32_t crc;
	struct exec_point position;
	int (*supply)(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data);
	void *ctx;
	/* vCPU thread: the part that is being read. */
	struct part *open;
	size_t entry, payload;
};

static void part_free(struct part *p)
{
	if (!p)
		return;
	evlog_batch_fini(&p->batch);
	free(p);
}

static uint64_t part_bytes(const struct part *p)
{
	return p->batch.n * sizeof(*p->batch.entry) + p->batch.payload.len;
}

/* ---- the replayer's side ---- */

static bool open_next_locked(struct ft_follow *f)
{
	part_free(f->open);
	f->open = f->first;
	f->entry = f->payload = 0;
	if (!f->open)
		return false;
	f->first = f->open->next;
	if (!f->first)
		f->last = &f->first;
	f->bytes -= part_bytes(f->open);
	return true;
}

static void read_entry(struct ft_follow *f, struct evlog_record *rec)
{
	const struct evlog_entry *e = &f->open->batch.entry[f->entry++];
	*rec = (struct evlog_record){ .at = { e->icount, e->seq },
				      .kind = e->kind,
				      .instance = e->instance,
				      .in_halt = e->in_halt,
				      .vns = e->vns,
				      .data = e->len ? f->open->batch.payload.data + f->payload : NULL,
				      .len = e->len };
	f->payload += e->len;
}

static int follow_next(struct evlog_source *source, bool wait, icount_t at, struct evlog_record *rec,
		       struct rv_err *err)
{
	struct ft_follow *f = (struct ft_follow *)source;
	int rc = 1;
	(void)err;
	if (f->open && f->entry < f->open->batch.n) {
		read_entry(f, rec);
		return 1;
	}
	pthread_mutex_lock(&f->lock);
	if (wait && at > f->at)
		f->at = at;
	while (!open_next_locked(f)) {
		rc = f->known > at || !wait ? EVLOG_LATER : f->interrupted ? RV_EINTR : f->ended ? 0 : 1;
		if (rc != 1)
			break;
		pthread_cond_wait(&f->changed, &f->lock);
	}
	if (rc == RV_EINTR)
		f->interrupted = false;
	pthread_mutex_unlock(&f->lock);
	if (rc == 1)
		read_entry(f, rec);
	return rc;
}

static icount_t follow_known(struct evlog_source *source)
{
	struct ft_follow *f = (struct ft_follow *)source;
	icount_t known;
	pthread_mutex_lock(&f->lock);
	known = f->known;
	pthread_mutex_unlock(&f->lock);
	return known;
}

static const struct evlog_source_ops follow_source_ops = { .next = follow_next, .known = follow_known };

/* ---- the link's side ---- */

void ft_follow_begin(struct ft_follow *f, struct exec_point at, const uint8_t session[16])
{
	pthread_mutex_lock(&f->lock);
	f->source.start = (struct trace_start){ .from_ckpt = true, .at = at };
	memcpy(f->session, session, sizeof(f->session));
	f->position = at;
	f->known = f->at = at.icount;
	pthread_mutex_unlock(&f->lock);
}

static int part_decode(struct ft_follow *f, const struct ft_log *l, struct part **out)
{
	struct evlog_header h;
	struct part *p;
	int rc;
	if (l->chunk_len < EVLOG_HEADER_SIZE || !evlog_header_decode(l->chunk, &h) ||
	    l->chunk_len - EVLOG_HEADER_SIZE != h.stored_len ||
	    !evlog_chunk_crc_ok(l->chunk, l->chunk + EVLOG_HEADER_SIZE, &h) || h.number != f->number ||
	    h.prev_crc != f->crc || memcmp(h.id, f->session, sizeof(h.id)) != 0 || h.records == 0)
		return RV_EDAMAGED;
	p = calloc(1, sizeof(*p));
	if (!p)
		return RV_ENOMEM;
	rc = evlog_chunk_decode(&h, l->chunk + EVLOG_HEADER_SIZE, &p->batch);
	if (rc == RV_OK && (!p->batch.n || !exec_point_not_before((struct exec_point){ p->batch.entry[0].icount,
									   p->batch.entry[0].seq }, f->position)))
		rc = RV_EDAMAGED;
	if (rc != RV_OK) {
		part_free(p);
		return rc;
	}
	f->number++;
	f->crc = h.crc;
	f->position = (struct exec_point){ p->batch.entry[p->batch.n - 1].icount,
					   p->batch.entry[p->batch.n - 1].seq };
	*out = p;
	return RV_OK;
}

/* Contents of images go where they are waited for at once, however far the replay is. */
static int part_supply(struct ft_follow *f, const struct part *p)
{
	const struct evlog_batch *b = &p->batch;
	size_t at = 0;
	int rc = RV_OK;
	for (size_t i = 0; rc == RV_OK && i < b->n; at += b->entry[i++].len) {
		const struct evlog_entry *e = &b->entry[i];
		if (e->kind != EVLOG_DATA)
			continue;
		if (!f->supply || e->len < 8 + DISK_BLOCK || (e->len - 8) % DISK_BLOCK)
			return RV_EDAMAGED;
		rc = f->supply(f->ctx, e->instance, le64_get(b->payload.data + at), (e->len - 8) / DISK_BLOCK,
			       b->payload.data + at + 8);
	}
	return rc;
}

int ft_follow_put(struct ft_follow *f, const struct ft_log *l)
{
	struct part *p = NULL;
	int rc = l->chunk_len ? part_decode(f, l, &p) : RV_OK;
	if (rc == RV_OK && p)
		rc = part_supply(f, p);
	if (rc != RV_OK) {
		part_free(p);
		return rc;
	}
	pthread_mutex_lock(&f->lock);
	if (p) {
		*f->last = p;
		f->last = &p->next;
		f->bytes += part_bytes(p);
	}
	if (l->known > f->known)
		f->known = l->known;
	if (l->stamp > f->newest) {
		/* Forgotten is the oldest: the lag then reads as smaller than it is only if it is enormous. */
		if (f->stamps == STAMPS) {
			f->stamp_first = (f->stamp_first + 1) % STAMPS;
			f->stamps--;
		}
		f->stamp[(f->stamp_first + f->stamps++) % STAMPS] = (struct stamp){ f->known, l->stamp };
		f->newest = l->stamp;
	}
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	return RV_OK;
}

void ft_follow_end(struct ft_follow *f)
{
	pthread_mutex_lock(&f->lock);
	/* An event at the very end belongs to it. */
	if (f->position.icount > f->known)
		f->known = f->position.icount;
	f->ended = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void ft_follow_interrupt(struct ft_follow *f)
{
	pthread_mutex_lock(&f->lock);
	f->interrupted = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

/* What the replay has passed is forgotten; the oldest that is left says how far behind it is. */
static uint32_t lag_locked(struct ft_follow *f)
{
	uint64_t us;
	while (f->stamps && f->stamp[f->stamp_first].known <= f->at) {
		f->stamp_first = (f->stamp_first + 1) % STAMPS;
		f->stamps--;
	}
	if (!f->stamps)
		return 0;
	us = (f->newest - f->stamp[f->stamp_first].ns) / 1000;
	return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void ft_follow_stats(struct ft_follow *f, struct ft_follow_stats *out)
{
	pthread_mutex_lock(&f->lock);
	*out = (struct ft_follow_stats){ f->known, f->at, f->bytes, lag_locked(f), f->ended };
	pthread_mutex_unlock(&f->lock);
}

int ft_follow_create(struct ft_follow **out,
		     int (*supply)(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data), void *ctx)
{
	struct ft_follow *f = calloc(1, sizeof(*f));
	if (!f)
		return RV_ENOMEM;
	f->source.ops = &follow_source_ops;
	f->last = &f->first;
	f->supply = supply;
	f->ctx = ctx;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	*out = f;
	return RV_OK;
}

void ft_follow_destroy(struct ft_follow *f)
{
	if (!f)
		return;
	part_free(f->open);
	while (f->first) {
		struct part *p = f->first;
		f->first = p->next;
		part_free(p);
	}
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

struct evlog_source *ft_follow_source(struct ft_follow *f)
{
	return &f->source;
}
