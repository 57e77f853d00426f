/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network's host end: two bounded queues of frames and one thread. The vCPU
 * thread only copies in and out of the queues, so that the host's network
 * never holds up the guest; a full queue drops, as a wire would.
 */
#include "net_int.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"

#define QUEUE_BYTES (4u << 20) /* a power of two */
#define QUEUE_HEADER 4u        /* length of the frame that follows */

/* Frames in a ring of bytes. */
struct queue {
	pthread_mutex_t lock;
	uint8_t *ring;
	uint32_t head, tail; /* bytes ever put and taken, modulo 2^32 */
	atomic_bool any;     /* head != tail, read without the lock */
};

struct net {
	struct net_cfg cfg;
	const struct net_kind *kind;
	void *self;
	struct queue to_guest, from_guest;
	int wake; /* eventfd: from_guest has something, or stop */
	pthread_t thread;
	bool threaded;
	atomic_bool closing, down;
	struct net_polls polls;
	uint8_t in[NET_FRAME_MAX];  /* backend's thread */
	uint8_t out[NET_FRAME_MAX]; /* vCPU thread: the frame an event points to */
	atomic_ullong rx_frames, rx_bytes, rx_dropped, tx_frames, tx_bytes, tx_dropped;
};

/* ---- queues ---- */

static void ring_put(struct queue *q, const void *data, uint32_t len)
{
	uint32_t at = q->head % QUEUE_BYTES;
	uint32_t first = len < QUEUE_BYTES - at ? len : QUEUE_BYTES - at;
	memcpy(q->ring + at, data, first);
	memcpy(q->ring, (const uint8_t *)data + first, len - first);
	q->head += len;
}

static void ring_get(struct queue *q, void *data, uint32_t len)
{
	uint32_t at = q->tail % QUEUE_BYTES;
	uint32_t first = len < QUEUE_BYTES - at ? len : QUEUE_BYTES - at;
	memcpy(data, q->ring + at, first);
	memcpy((uint8_t *)data + first, q->ring, len - first);
	q->tail += len;
}

/* *was_empty: the other side may sleep. */
static bool queue_put(struct queue *q, const void *frame, uint32_t len, bool *was_empty)
{
	uint8_t header[QUEUE_HEADER];
	bool fits;
	le32_put(header, len);
	pthread_mutex_lock(&q->lock);
	*was_empty = q->head == q->tail;
	fits = QUEUE_BYTES - (q->head - q->tail) >= QUEUE_HEADER + len;
	if (fits) {
		ring_put(q, header, QUEUE_HEADER);
		ring_put(q, frame, len);
		atomic_store_explicit(&q->any, true, memory_order_release);
	}
	pthread_mutex_unlock(&q->lock);
	return fits;
}

/* The next frame's length, 0: none. */
static uint32_t queue_get(struct queue *q, uint8_t frame[NET_FRAME_MAX])
{
	uint8_t header[QUEUE_HEADER];
	uint32_t len = 0;
	if (!atomic_load_explicit(&q->any, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&q->lock);
	if (q->head != q->tail) {
		ring_get(q, header, QUEUE_HEADER);
		len = le32_get(header);
		ring_get(q, frame, len);
	}
	atomic_store_explicit(&q->any, q->head != q->tail, memory_order_release);
	pthread_mutex_unlock(&q->lock);
	return len;
}

/* ---- the two directions ---- */

bool net_has_room(struct net *n)
{
	struct queue *q = &n->to_guest;
	bool room;
	pthread_mutex_lock(&q->lock);
	room = QUEUE_BYTES - (q->head - q->tail) >= QUEUE_HEADER + NET_FRAME_MAX;
	pthread_mutex_unlock(&q->lock);
	return room;
}

bool net_deliver(struct net *n, const void *frame, size_t len)
{
	bool was_empty;
	if (atomic_load(&n->down))
		return true;
	if (len < NET_FRAME_MIN || len > NET_FRAME_MAX)
		return false;
	if (!queue_put(&n->to_guest, frame, (uint32_t)len, &was_empty)) {
		n->rx_dropped++;
		return false;
	}
	n->rx_frames++;
	n->rx_bytes += len;
	if (was_empty)
		live_wake(n->cfg.live);
	return true;
}

static int net_take(void *ctx, const struct nd_query *query, struct nd_event *ev)
{
	struct net *n = ctx;
	uint32_t len;
	if (!(query->net_ready >> n->cfg.instance & 1) || !(len = queue_get(&n->to_guest, n->out)))
		return 0;
	ev->kind = ND_NET;
	ev->instance = n->cfg.instance;
	ev->data = n->out;
	ev->len = len;
	return 1;
}

void net_set_link(struct net *n, bool up)
{
	atomic_store(&n->down, !up);
}

static void net_wake(struct net *n)
{
	const uint64_t one = 1;
	(void)!write(n->wake, &one, sizeof(one));
}

void net_send(struct net *n, const void *frame, size_t len)
{
	bool was_empty;
	if (atomic_load(&n->down) || len < NET_FRAME_MIN || len > NET_FRAME_MAX ||
	    !queue_put(&n->from_guest, frame, (uint32_t)len, &was_empty)) {
		n->tx_dropped++;
		return;
	}
	n->tx_frames++;
	n->tx_bytes += len;
	if (was_empty)
		net_wake(n);
}

/* ---- thread ---- */

static void *net_main(void *ctx)
{
	struct net *n = ctx;
	struct net_polls *p = &n->polls;
	while (!atomic_load(&n->closing)) {
		uint64_t count;
		uint32_t len;
		p->fd[0] = (struct pollfd){ .fd = n->wake, .events = POLLIN };
		p->n = 1;
		p->timeout_ms = -1;
		n->kind->prepare(n->self, p);
		if (poll(p->fd, p->n, p->timeout_ms) < 0 && errno != EINTR)
			break;
		if (p->fd[0].revents)
			(void)!read(n->wake, &count, sizeof(count));
		/* First what came from outside: the frames below may close what was just found ready. */
		n->kind->ready(n->self, p);
		while ((len = queue_get(&n->from_guest, n->in)))
			n->kind->input(n->self, n->in, len);
	}
	return NULL;
}

/* ---- life ---- */

static const struct net_kind *const net_kinds[] = { &net_kind_tap, &net_kind_slirp };

static int net_open(struct net *n, const char *spec, struct rv_err *err)
{
	for (size_t i = 0; i < RV_ARRAY_LEN(net_kinds); i++) {
		const char *name = net_kinds[i]->name;
		size_t len = strlen(name);
		if (strncmp(spec, name, len) != 0 || (spec[len] && !strchr(",:", spec[len])))
			continue;
		n->kind = net_kinds[i];
		return n->kind->open(&n->self, spec + len, &n->cfg, n, err);
	}
	return rv_err_set(err, RV_EUSAGE, "--net=%.200s: unknown; use user, tap:NAME or none", spec);
}

int net_create(struct net **out, const struct net_cfg *cfg, struct rv_err *err)
{
	struct net *n = calloc(1, sizeof(*n));
	int rc;
	if (!n)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	n->cfg = *cfg;
	n->cfg.spec = NULL; /* the caller's */
	pthread_mutex_init(&n->to_guest.lock, NULL);
	pthread_mutex_init(&n->from_guest.lock, NULL);
	n->to_guest.ring = malloc(QUEUE_BYTES);
	n->from_guest.ring = malloc(QUEUE_BYTES);
	n->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!n->to_guest.ring || !n->from_guest.ring || n->wake < 0)
		rc = rv_err_set(err, RV_ENOMEM, "--net=%.200s: out of memory", cfg->spec);
	else
		rc = net_open(n, cfg->spec, err);
	if (rc != RV_OK) {
		net_destroy(n);
		return rc;
	}
	*out = n;
	return RV_OK;
}

int net_start(struct net *n, struct rv_err *err)
{
	const struct live_source source = { net_take, n };
	int rc = live_add_source(n->cfg.live, &source);
	if (rc != RV_OK)
		return rv_err_set(err, rc, "too many devices");
	n->threaded = pthread_create(&n->thread, NULL, net_main, n) == 0;
	return n->threaded ? RV_OK : rv_err_set(err, RV_ENOMEM, "no thread for the network");
}

void net_destroy(struct net *n)
{
	if (!n)
		return;
	atomic_store(&n->closing, true);
	if (n->threaded) {
		net_wake(n);
		pthread_join(n->thread, NULL);
	}
	if (n->self)
		n->kind->close(n->self);
	if (n->wake >= 0)
		close(n->wake);
	pthread_mutex_destroy(&n->to_guest.lock);
	pthread_mutex_destroy(&n->from_guest.lock);
	free(n->to_guest.ring);
	free(n->from_guest.ring);
	free(n);
}

void net_stats(const struct net *n, struct net_stats *out)
{
	*out = (struct net_stats){ n->rx_frames, n->rx_bytes, n->rx_dropped,
				   n->tx_frames, n->tx_bytes, n->tx_dropped };
}
