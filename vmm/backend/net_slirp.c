/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User-mode networking through libslirp: the guest is 10.0.2.15, the host
 * 10.0.2.2, names are resolved by 10.0.2.3; connections from outside come by
 * hostfwd=. Only the backend's thread calls the library, but for set-up.
 */
#include "net_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

#define TIMERS_MAX 8u

struct slirp_timer {
	bool used;
	SlirpTimerCb fire;
	void *opaque;
	int64_t due_ms; /* INT64_MAX: not set */
};

struct slirp_net {
	struct net *net;
	Slirp *slirp;
	struct slirp_timer timer[TIMERS_MAX];
	struct net_polls *polls; /* during prepare and ready */
};

/* ---- callbacks ---- */

static int64_t clock_get_ns(void *opaque)
{
	struct timespec ts;
	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static ssize_t send_packet(const void *frame, size_t len, void *opaque)
{
	struct slirp_net *s = opaque;
	net_deliver(s->net, frame, len);
	return (ssize_t)len;
}

static void guest_error(const char *text, void *opaque)
{
	(void)text;
	(void)opaque; /* a guest's nonsense is the guest's affair */
}

static void *timer_new(SlirpTimerCb fire, void *cb_opaque, void *opaque)
{
	struct slirp_net *s = opaque;
	for (unsigned i = 0; i < TIMERS_MAX; i++) {
		if (s->timer[i].used)
			continue;
		s->timer[i] = (struct slirp_timer){ true, fire, cb_opaque, INT64_MAX };
		return &s->timer[i];
	}
	RV_ASSERT(false); /* libslirp has one for each of SLIRP_TIMER_NUM */
	return NULL;
}

static void timer_free(void *timer, void *opaque)
{
	(void)opaque;
	((struct slirp_timer *)timer)->used = false;
}

static void timer_mod(void *timer, int64_t due_ms, void *opaque)
{
	(void)opaque;
	((struct slirp_timer *)timer)->due_ms = due_ms;
}

static void fd_ignore(int fd, void *opaque)
{
	(void)fd;
	(void)opaque; /* every round asks for all descriptors */
}

static void notify(void *opaque)
{
	(void)opaque; /* called by our own thread, which looks again anyway */
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_get_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = fd_ignore,
	.unregister_poll_fd = fd_ignore,
	.notify = notify,
};

/* ---- hostfwd ---- */

/* "[ADDR]:PORT"; empty ADDR: the default. */
static bool endpoint(const char *text, const char *fallback, struct in_addr *addr, int *port)
{
	const char *colon = strrchr(text, ':');
	char host[64], *end;
	unsigned long n;
	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = 0;
	if (inet_pton(AF_INET, *host ? host : fallback, addr) != 1)
		return false;
	if (colon[1] < '0' || colon[1] > '9')
		return false;
	n = strtoul(colon + 1, &end, 10);
	*port = (int)n;
	return !*end && n >= 1 && n <= 65535;
}

/* tcp|udp:[ADDR]:PORT-[GUEST]:PORT */
static int forward(struct slirp_net *s, const char *spec, struct rv_err *err)
{
	struct in_addr host, guest;
	int host_port, guest_port;
	char from[80];
	const char *dash = strchr(spec, '-');
	const bool udp = !strncmp(spec, "udp:", 4);
	if ((!udp && strncmp(spec, "tcp:", 4) != 0) || !dash || (size_t)(dash - spec - 4) >= sizeof(from))
		goto bad;
	memcpy(from, spec + 4, (size_t)(dash - spec - 4));
	from[dash - spec - 4] = 0;
	/* Not to every address of the host unless that is asked for by name. */
	if (!endpoint(from, "127.0.0.1", &host, &host_port) ||
	    !endpoint(dash + 1, "10.0.2.15", &guest, &guest_port))
		goto bad;
	if (slirp_add_hostfwd(s->slirp, udp, host, host_port, guest, guest_port) < 0)
		return rv_err_set(err, rv_status_from_errno(errno), "--net: hostfwd=%.100s: port %d: %s", spec,
				  host_port, strerror(errno));
	return RV_OK;
bad:
	return rv_err_set(err, RV_EUSAGE,
			  "--net: hostfwd=%.100s: use hostfwd=tcp|udp:[ADDR]:PORT-[GUEST]:PORT", spec);
}

static int options(struct slirp_net *s, const char *rest, struct rv_err *err)
{
	int rc = RV_OK;
	while (rc == RV_OK && *rest == ',') {
		char part[160];
		size_t len = strcspn(rest + 1, ",");
		if (len >= sizeof(part))
			return rv_err_set(err, RV_EUSAGE, "--net=user%.100s: too long", rest);
		memcpy(part, rest + 1, len);
		part[len] = 0;
		if (strncmp(part, "hostfwd=", 8) != 0)
			return rv_err_set(err, RV_EUSAGE, "--net=user: '%.80s' is unknown; use hostfwd=...",
					  part);
		rc = forward(s, part + 8, err);
		rest += 1 + len;
	}
	if (rc == RV_OK && *rest)
		rc = rv_err_set(err, RV_EUSAGE, "--net=user%.100s: use user,hostfwd=...", rest);
	return rc;
}

/* ---- the kind ---- */

static void slirp_net_close(void *self)
{
	struct slirp_net *s = self;
	slirp_cleanup(s->slirp);
	free(s);
}

static int slirp_net_open(void **self, const char *rest, const struct net_cfg *cfg, struct net *n,
			  struct rv_err *err)
{
	struct slirp_net *s = calloc(1, sizeof(*s));
	SlirpConfig c = { .version = 4, .in_enabled = true, .if_mtu = cfg->mtu, .if_mru = cfg->mtu };
	int rc;
	if (!s)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	s->net = n;
	inet_pton(AF_INET, "10.0.2.0", &c.vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &c.vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &c.vhost);
	inet_pton(AF_INET, "10.0.2.15", &c.vdhcp_start);
	inet_pton(AF_INET, "10.0.2.3", &c.vnameserver);
	s->slirp = slirp_new(&c, &callbacks, s);
	if (!s->slirp) {
		free(s);
		return rv_err_set(err, RV_EIO, "--net=user: libslirp does not start");
	}
	rc = options(s, rest, err);
	if (rc != RV_OK) {
		slirp_net_close(s);
		return rc;
	}
	*self = s;
	return RV_OK;
}

static int add_poll(int fd, int events, void *opaque)
{
	struct net_polls *p = ((struct slirp_net *)opaque)->polls;
	short ev = 0;
	if (p->n == NET_POLLS_MAX)
		return -1; /* this one waits for a later round */
	if (events & SLIRP_POLL_IN)
		ev |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		ev |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		ev |= POLLPRI;
	p->fd[p->n] = (struct pollfd){ .fd = fd, .events = ev };
	return (int)p->n++;
}

static int get_revents(int idx, void *opaque)
{
	const struct net_polls *p = ((struct slirp_net *)opaque)->polls;
	short ev;
	int out = 0;
	if (idx < 0 || (unsigned)idx >= p->n)
		return 0;
	ev = p->fd[idx].revents;
	if (ev & POLLIN)
		out |= SLIRP_POLL_IN;
	if (ev & POLLOUT)
		out |= SLIRP_POLL_OUT;
	if (ev & POLLPRI)
		out |= SLIRP_POLL_PRI;
	if (ev & POLLERR)
		out |= SLIRP_POLL_ERR;
	if (ev & POLLHUP)
		out |= SLIRP_POLL_HUP;
	return out;
}

static void slirp_net_prepare(void *self, struct net_polls *p)
{
	struct slirp_net *s = self;
	uint32_t timeout = UINT32_MAX;
	int64_t now = clock_get_ns(s) / 1000000;
	s->polls = p;
	slirp_pollfds_fill(s->slirp, &timeout, add_poll, s);
	for (unsigned i = 0; i < TIMERS_MAX; i++) {
		const struct slirp_timer *t = &s->timer[i];
		if (t->used && t->due_ms != INT64_MAX && t->due_ms - now < (int64_t)timeout)
			timeout = t->due_ms > now ? (uint32_t)(t->due_ms - now) : 0;
	}
	p->timeout_ms = timeout > INT32_MAX ? -1 : (int)timeout;
}

static void slirp_net_ready(void *self, const struct net_polls *p)
{
	struct slirp_net *s = self;
	int64_t now = clock_get_ns(s) / 1000000;
	(void)p; /* the same as s->polls */
	slirp_pollfds_poll(s->slirp, 0, get_revents, s);
	for (unsigned i = 0; i < TIMERS_MAX; i++) {
		struct slirp_timer *t = &s->timer[i];
		if (!t->used || t->due_ms > now)
			continue;
		t->due_ms = INT64_MAX;
		t->fire(t->opaque);
	}
}

static void slirp_net_input(void *self, const uint8_t *frame, size_t len)
{
	slirp_input(((struct slirp_net *)self)->slirp, frame, (int)len);
}

const struct net_kind net_kind_slirp = {
	.name = "user",
	.open = slirp_net_open,
	.close = slirp_net_close,
	.prepare = slirp_net_prepare,
	.ready = slirp_net_ready,
	.input = slirp_net_input,
};
