/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

struct history {
	struct nondet nondet;
	struct evlog_record *event;
	uint64_t n, cap;
	uint64_t first; /* seq of event 0: what a flight recording applied before its begin */
	struct bytes payload;
	icount_t end;
	bool silent;
	/* Behind the last event: how often a halt at one position was told to wait for its deadline. */
	icount_t idle_at;
	uint32_t idle;
};

/* A guest halted for good beside a running timer would never come back to its caller's limit. A
 * log's own halts end with an event; behind the last one there are only copies, and states that no
 * recording made. */
#define HISTORY_IDLE_MOST (1u << 20)

static int history_idle(struct history *h, const struct nd_query *q)
{
	if (!q->halted) {
		h->idle = 0;
		return 0;
	}
	if (q->deadline == VNS_NEVER)
		return RV_EEND;
	if (q->icount != h->idle_at)
		h->idle = 0;
	h->idle_at = q->icount;
	return ++h->idle > HISTORY_IDLE_MOST ? RV_EEND : 0;
}

static int history_next(struct nondet *nd, const struct nd_query *q, struct nd_event *ev)
{
	struct history *h = (struct history *)nd;
	const struct evlog_record *r;
	if (q->seq - h->first >= h->n || h->silent)
		return history_idle(h, q);
	r = &h->event[q->seq - h->first];
	if (r->at.icount > q->icount)
		return q->halted && q->deadline == VNS_NEVER ? RV_EDIVERGED : 0;
	if (r->at.icount < q->icount || (q->halted && !r->in_halt))
		return RV_EDIVERGED;
	if (!q->halted && r->in_halt)
		return 0; /* the halt at this icount is still to begin */
	if (q->halted && r->vns >= q->deadline)
		return 0; /* the deadline comes first */
	*ev = (struct nd_event){
		.kind = (enum nd_kind)r->kind,
		.instance = r->instance,
		.in_halt = r->in_halt,
		.vns = r->vns,
		.data = r->data,
		.len = r->len,
	};
	return 1;
}

/* How many events were applied is not told here, but every event at or behind icount has a position
 * that the binary search finds. */
static icount_t history_horizon(struct nondet *nd, icount_t icount)
{
	const struct history *h = (const struct history *)nd;
	uint64_t lo = 0, hi = h->n;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		if (h->event[mid].at.icount > icount)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo < h->n ? h->event[lo].at.icount : ICOUNT_MAX;
}

static const struct nondet_ops history_ops = {
	.next = history_next,
	.horizon = history_horizon,
};

static int history_add(struct history *h, const struct evlog_record *r)
{
	if (h->n == h->cap) {
		uint64_t cap = h->cap ? h->cap * 2 : 1024;
		struct evlog_record *p = realloc(h->event, cap * sizeof(*p));
		if (!p)
			return RV_ENOMEM;
		h->event = p;
		h->cap = cap;
	}
	h->event[h->n++] = *r;
	bytes_put(&h->payload, r->data, r->len);
	return h->payload.failed ? RV_ENOMEM : RV_OK;
}

int history_create(struct history **out, struct evlog_reader *reader, struct rv_err *err)
{
	struct history *h = calloc(1, sizeof(*h));
	struct evlog_record r;
	size_t pos = 0;
	int rc;
	if (!h)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	h->nondet.ops = &history_ops;
	h->end = evlog_reader_info(reader)->last.icount;
	h->first = evlog_reader_info(reader)->start.at.seq;
	evlog_reader_rewind(reader);
	while ((rc = evlog_reader_next(reader, &r, err)) > 0) {
		if (r.kind >= EVLOG_DIGEST)
			continue;
		if (r.at.seq != h->first + h->n) {
			rc = rv_err_set(err, RV_EDAMAGED, "the log's event numbers have a gap");
			break;
		}
		rc = history_add(h, &r);
		if (rc != RV_OK) {
			rv_err_set(err, rc, "out of memory for the event log");
			break;
		}
	}
	if (rc != RV_OK) {
		history_destroy(h);
		return rc;
	}
	/* The buffer has its final place now. */
	for (uint64_t i = 0; i < h->n; i++) {
		h->event[i].data = h->payload.data + pos;
		pos += h->event[i].len;
	}
	*out = h;
	return RV_OK;
}

void history_destroy(struct history *h)
{
	if (!h)
		return;
	free(h->event);
	bytes_fini(&h->payload);
	free(h);
}

struct nondet *history_nondet(struct history *h)
{
	return &h->nondet;
}

void history_silence(struct history *h, bool silent)
{
	h->silent = silent;
}

icount_t history_end(const struct history *h)
{
	return h->end;
}

uint64_t history_count(const struct history *h)
{
	return h->n;
}

const struct evlog_record *history_event(const struct history *h, uint64_t i)
{
	return &h->event[i];
}
