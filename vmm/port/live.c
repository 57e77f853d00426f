/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live inbound port. Everything here may look at the host: what it finds
 * becomes an nd_event or stays invisible.
 *
 * Host clock. `host` below is CLOCK_MONOTONIC since the start, less the time
 * that counts as stopped, divided by the dilation: where vns should be. While
 * the guest is busy a TIME event every LIVE_TIME_PERIOD sets a rate that would
 * bring vns and host together after one more period at the speed just seen;
 * vns itself never jumps except over a halt.
 */
#include "port/live.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

#define LIVE_INBOX 65536u
#define LIVE_POLL_STEPS 50000u          /* about 0.5 ms of work between two looks at the inbox */
#define LIVE_TIME_PERIOD 16000000ull    /* ns between TIME events of a busy guest */
#define LIVE_GAP 100000000ull           /* a longer silence of the host counts as stopped */
#define LIVE_CONSOLE_BURST 256u         /* bytes of one ND_CONSOLE event */
#define LIVE_SOURCES 16u
#define LIVE_HALT_POLL 20000000ull      /* ns between two questions to a debugger in a halt */
#define LIVE_RATE_MIN (1ull << 24)      /* 1/256 ns an instruction */
#define LIVE_RATE_MAX (1000ull << 32)

struct live {
	struct nondet nd;
	struct live_cfg cfg;
	int wake_fd; /* eventfd: input or a stop request came */
	unsigned nsources, next_source;
	struct live_source source[LIVE_SOURCES];
	atomic_bool stop;
	bool stop_told;
	atomic_bool interrupt;
	atomic_uint announce; /* networks from this number down are still to be told */

	pthread_mutex_t lock;
	struct live_inbox {
		uint8_t byte[LIVE_INBOX];
		size_t head, len; /* under lock */
		atomic_bool any;  /* len != 0, read without the lock */
	} inbox[CONSOLES];

	/* vCPU thread only. */
	bool started;
	uint64_t mono_base;   /* CLOCK_MONOTONIC at vns 0 */
	uint64_t skipped;     /* ns of it that count as stopped */
	uint64_t mono_last;   /* at the last look */
	uint64_t idle;        /* ns spent waiting since the last TIME event */
	uint64_t time_mono;   /* of the last TIME event */
	icount_t time_icount;
	uint64_t rate_seen;   /* 32.32 ns an instruction, smoothed */
	uint8_t payload[LIVE_CONSOLE_BURST];
	uint64_t paused_at;   /* CLOCK_MONOTONIC of live_pause(); 0: not paused */
	bool (*halt_poll)(void *ctx);
	void *halt_poll_ctx;
	uint8_t *write;       /* a debugger's write that waits; ND_PAYLOAD_MAX bytes, made at the first */
	uint32_t write_len;   /* 0: none */
	unsigned write_vcpu;
};

static uint64_t live_mono(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Where vns should be at a moment of the host. */
static vns_t live_target(const struct live *l, uint64_t mono)
{
	return (mono - l->mono_base - l->skipped) / l->cfg.dilation;
}

/* Looks at the host's clock; a gap since `expected` is taken out of virtual time. */
static uint64_t live_look(struct live *l, uint64_t expected)
{
	uint64_t mono = live_mono();
	if (!l->cfg.catch_up && mono > expected + LIVE_GAP)
		l->skipped += mono - expected;
	l->mono_last = mono;
	return mono;
}

static void live_start(struct live *l, const struct nd_query *q)
{
	l->started = true;
	l->mono_last = l->time_mono = live_mono();
	l->mono_base = l->mono_last - q->vns * l->cfg.dilation;
	l->time_icount = q->icount;
	l->rate_seen = q->rate;
}

static bool live_take_stop(struct live *l, struct nd_event *ev)
{
	if (!atomic_load_explicit(&l->stop, memory_order_acquire) || l->stop_told)
		return false;
	l->stop_told = true;
	ev->kind = ND_STOP;
	return true;
}

static bool live_take_announce(struct live *l, struct nd_event *ev)
{
	unsigned left = atomic_load_explicit(&l->announce, memory_order_relaxed);
	if (!left)
		return false;
	atomic_store(&l->announce, left - 1);
	ev->kind = ND_ANNOUNCE;
	ev->instance = left - 1;
	return true;
}

static bool live_take_console(struct live *l, const struct nd_query *q, unsigned instance,
			      struct nd_event *ev)
{
	struct live_inbox *in = &l->inbox[instance];
	uint32_t n = 0;
	if (!atomic_load_explicit(&in->any, memory_order_acquire) || q->room[instance] == 0)
		return false;
	pthread_mutex_lock(&l->lock);
	while (n < LIVE_CONSOLE_BURST && n < q->room[instance] && in->len) {
		l->payload[n++] = in->byte[in->head];
		in->head = (in->head + 1) % LIVE_INBOX;
		in->len--;
	}
	atomic_store_explicit(&in->any, in->len != 0, memory_order_release);
	pthread_mutex_unlock(&l->lock);
	if (n == 0)
		return false;
	ev->kind = ND_CONSOLE;
	ev->instance = instance;
	ev->data = l->payload;
	ev->len = n;
	return true;
}

/* Each look begins behind the source that spoke last, so that a busy one does not starve the others. */
static bool live_take_source(struct live *l, const struct nd_query *q, struct nd_event *ev)
{
	for (unsigned i = 0; i < l->nsources; i++) {
		const struct live_source *s = &l->source[(l->next_source + i) % l->nsources];
		if (s->take(s->ctx, q, ev) > 0) {
			l->next_source = (l->next_source + i + 1) % l->nsources;
			return true;
		}
	}
	return false;
}

/* Whatever came from outside, in the order in which it is let in. */
static bool live_take_input(struct live *l, const struct nd_query *q, struct nd_event *ev)
{
	if (live_take_stop(l, ev) || live_take_announce(l, ev))
		return true;
	for (unsigned i = 0; i < CONSOLES; i++)
		if (live_take_console(l, q, i, ev))
			return true;
	return live_take_source(l, q, ev);
}

static bool live_take_write(struct live *l, const struct nd_query *q, struct nd_event *ev)
{
	if (!l->write_len)
		return false;
	ev->kind = ND_DEBUG_WRITE;
	ev->instance = l->write_vcpu;
	ev->in_halt = q->halted;
	ev->vns = q->vns;
	ev->data = l->write;
	ev->len = l->write_len;
	l->write_len = 0;
	return true;
}

static uint64_t live_scale(uint64_t a, uint64_t num, uint64_t den)
{
	__extension__ typedef unsigned __int128 u128;
	u128 v = (u128)a * num / den;
	return v > UINT64_MAX ? UINT64_MAX : (uint64_t)v;
}

#define LIVE_UNCOUNTED_PERIOD 50000ull /* ns of virtual time between TIME events without a count */

/* Without a count vns moves only by TIME events: straight to where the host is. */
static bool live_take_time_uncounted(struct live *l, const struct nd_query *q, struct nd_event *ev)
{
	vns_t target = live_target(l, live_look(l, l->mono_last));
	if (target < q->vns + LIVE_UNCOUNTED_PERIOD)
		return false;
	le64_put(l->payload, target);
	le64_put(l->payload + 8, 0);
	ev->kind = ND_TIME;
	ev->data = l->payload;
	ev->len = 16;
	return true;
}

static bool live_take_time(struct live *l, const struct nd_query *q, struct nd_event *ev)
{
	const uint64_t period = LIVE_TIME_PERIOD / l->cfg.dilation ? LIVE_TIME_PERIOD / l->cfg.dilation : 1;
	uint64_t mono = live_look(l, l->mono_last), busy, steps, rate;
	vns_t target;
	if (mono - l->time_mono < LIVE_TIME_PERIOD)
		return false;
	busy = (mono - l->time_mono - (l->idle < mono - l->time_mono ? l->idle : 0)) / l->cfg.dilation;
	steps = q->icount - l->time_icount;
	if (steps >= LIVE_POLL_STEPS / 2 && busy) {
		uint64_t seen = live_scale(busy, 1ull << 32, steps);
		l->rate_seen = l->rate_seen / 2 + seen / 2;
	}
	target = live_target(l, mono);
	/* One period of virtual time, more by what we are behind or less by what we are ahead. */
	if (target >= q->vns)
		rate = live_scale(l->rate_seen, period + (target - q->vns), period);
	else
		rate = live_scale(l->rate_seen, period,
				  period + 2 * (q->vns - target));
	if (rate > 4 * l->rate_seen)
		rate = 4 * l->rate_seen;
	if (rate < LIVE_RATE_MIN)
		rate = LIVE_RATE_MIN;
	if (rate > LIVE_RATE_MAX)
		rate = LIVE_RATE_MAX;
	l->time_mono = mono;
	l->time_icount = q->icount;
	l->idle = 0;
	le64_put(l->payload, q->vns);
	le64_put(l->payload + 8, rate);
	ev->kind = ND_TIME;
	ev->data = l->payload;
	ev->len = 16;
	return true;
}

/* Sleeps until a moment of CLOCK_MONOTONIC (UINT64_MAX: for ever) or a wake-up. */
static void live_sleep(struct live *l, uint64_t until)
{
	struct pollfd pfd = { .fd = l->wake_fd, .events = POLLIN };
	struct timespec ts, *pts = NULL;
	uint64_t count;
	if (until != UINT64_MAX) {
		uint64_t now = live_mono();
		uint64_t left = until > now ? until - now : 0;
		ts.tv_sec = (time_t)(left / 1000000000u);
		ts.tv_nsec = (long)(left % 1000000000u);
		pts = &ts;
	}
	if (ppoll(&pfd, 1, pts, NULL) > 0)
		(void)!read(l->wake_fd, &count, sizeof(count));
}

/* All vCPUs are halted. vns follows the host from where it was (start_vns at start_mono) when the clock
 * is virtual but waits for a person; else it follows live_target(). */
static int live_next_halted(struct live *l, const struct nd_query *q, struct nd_event *ev)
{
	const bool waits = l->cfg.clock == LIVE_CLOCK_HOST || l->cfg.virtual_waits;
	const uint64_t entered = live_look(l, l->mono_last);
	uint64_t base, due = UINT64_MAX;
	int found = 0;

	if (l->cfg.clock == LIVE_CLOCK_HOST)
		base = l->mono_base + l->skipped;
	else
		base = entered - q->vns * l->cfg.dilation;
	if (q->deadline != VNS_NEVER &&
	    q->deadline < (UINT64_MAX - base) / l->cfg.dilation)
		due = base + q->deadline * l->cfg.dilation;
	for (;;) {
		uint64_t now = l->mono_last;
		if (live_take_input(l, q, ev)) {
			found = 1;
			break;
		}
		if (q->deadline != VNS_NEVER && (!waits || now >= due))
			break;
		if (atomic_exchange(&l->interrupt, false) ||
		    (l->halt_poll && l->halt_poll(l->halt_poll_ctx))) {
			l->idle += l->mono_last - entered;
			return RV_EINTR;
		}
		live_sleep(l, l->halt_poll && due > now + LIVE_HALT_POLL ? now + LIVE_HALT_POLL : due);
		/* A late return means the host stopped us, not that the guest slept longer. */
		now = live_mono();
		if (due != UINT64_MAX && l->cfg.clock == LIVE_CLOCK_HOST && now > due)
			live_look(l, due);
		else
			l->mono_last = now;
	}
	l->idle += l->mono_last - entered;
	if (found) {
		vns_t vns = waits ? (l->mono_last - base) / l->cfg.dilation : q->vns;
		if (vns >= q->deadline)
			vns = q->deadline - 1;
		if (vns < q->vns)
			vns = q->vns;
		ev->in_halt = true;
		ev->vns = vns;
	}
	return found;
}

static int live_next(struct nondet *nd, const struct nd_query *q, struct nd_event *ev)
{
	struct live *l = (struct live *)nd;
	memset(ev, 0, sizeof(*ev));
	if (q->writes_only)
		return live_take_write(l, q, ev);
	if (!l->started)
		live_start(l, q);
	if (q->halted && q->deadline > q->vns)
		return live_next_halted(l, q, ev);
	if (q->halted)
		return 0;
	if (live_take_input(l, q, ev))
		return 1;
	if (l->cfg.uncounted)
		return live_take_time_uncounted(l, q, ev);
	return l->cfg.clock == LIVE_CLOCK_HOST && live_take_time(l, q, ev);
}

static icount_t live_horizon(struct nondet *nd, icount_t icount)
{
	(void)nd;
	return icount + LIVE_POLL_STEPS;
}

static const struct nondet_ops live_nondet_ops = {
	.next = live_next,
	.horizon = live_horizon,
};

int live_create(struct live **out, const struct live_cfg *cfg)
{
	struct live *l = calloc(1, sizeof(*l));
	if (!l)
		return RV_ENOMEM;
	l->nd.ops = &live_nondet_ops;
	l->cfg = *cfg;
	if (l->cfg.dilation == 0)
		l->cfg.dilation = 1;
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0) {
		free(l);
		return RV_EIO;
	}
	pthread_mutex_init(&l->lock, NULL);
	*out = l;
	return RV_OK;
}

void live_destroy(struct live *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l->write);
	close(l->wake_fd);
	free(l);
}

struct nondet *live_nondet(struct live *l)
{
	return &l->nd;
}

int live_add_source(struct live *l, const struct live_source *src)
{
	if (l->nsources == LIVE_SOURCES)
		return RV_ENOMEM;
	l->source[l->nsources++] = *src;
	return RV_OK;
}

void live_wake(struct live *l)
{
	const uint64_t one = 1;
	int saved = errno; /* live_stop() runs in signal handlers */
	(void)!write(l->wake_fd, &one, sizeof(one));
	errno = saved;
}

size_t live_console_input(struct live *l, unsigned instance, const void *data, size_t len)
{
	struct live_inbox *in = &l->inbox[instance];
	const uint8_t *p = data;
	size_t n = 0;
	pthread_mutex_lock(&l->lock);
	while (n < len && in->len < LIVE_INBOX)
		in->byte[(in->head + in->len++) % LIVE_INBOX] = p[n++];
	atomic_store_explicit(&in->any, in->len != 0, memory_order_release);
	pthread_mutex_unlock(&l->lock);
	if (n)
		live_wake(l);
	return n;
}

void live_announce(struct live *l, unsigned nets)
{
	atomic_store(&l->announce, nets);
	live_wake(l);
}

void live_interrupt(struct live *l)
{
	atomic_store(&l->interrupt, true);
	live_wake(l);
}

void live_stop(struct live *l)
{
	atomic_store_explicit(&l->stop, true, memory_order_release);
	live_wake(l);
}

/* ---- under a debugger ---- */

void live_pause(struct live *l)
{
	if (l->started && !l->paused_at)
		l->paused_at = live_mono();
}

void live_resume(struct live *l)
{
	uint64_t mono, gap;
	if (!l->paused_at)
		return;
	mono = live_mono();
	gap = mono - l->paused_at;
	l->paused_at = 0;
	l->skipped += gap;
	l->mono_last += gap;
	l->time_mono += gap;
}

void live_poll_halt(struct live *l, bool (*poll)(void *ctx), void *ctx)
{
	l->halt_poll = poll;
	l->halt_poll_ctx = ctx;
}

int live_debug_write(struct live *l, unsigned vcpu, const void *payload, size_t len)
{
	if (l->write_len || len == 0 || len > ND_PAYLOAD_MAX)
		return RV_EINVAL;
	if (!l->write && !(l->write = malloc(ND_PAYLOAD_MAX)))
		return RV_ENOMEM;
	memcpy(l->write, payload, len);
	l->write_len = (uint32_t)len;
	l->write_vcpu = vcpu;
	return RV_OK;
}

void live_debug_write_drop(struct live *l)
{
	l->write_len = 0;
}
