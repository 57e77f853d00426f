/* SPDX-License-Identifier: Apache-2.0 */
/* A TAP device of the host (Documentation/networking/tuntap.rst): one read or write is one frame. */
#include "net_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TAP_BURST 64u /* frames of one round */

struct tap {
	struct net *net;
	int fd;
	unsigned slot; /* in the last round's polls; 0: not asked for */
	uint8_t frame[NET_FRAME_MAX];
};

static int tap_open(void **self, const char *rest, const struct net_cfg *cfg, struct net *n,
		    struct rv_err *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct tap *t;
	int saved;
	(void)cfg;
	if (rest[0] != ':' || !rest[1] || strchr(rest, ',') || strlen(rest + 1) >= IFNAMSIZ)
		return rv_err_set(err, RV_EUSAGE,
				  "--net=tap%.200s: use tap:NAME, a name of 1 to %d characters", rest,
				  IFNAMSIZ - 1);
	t = calloc(1, sizeof(*t));
	if (!t)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	t->net = n;
	memcpy(ifr.ifr_name, rest + 1, strlen(rest + 1));
	t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0 || ioctl(t->fd, TUNSETIFF, &ifr) < 0) {
		saved = errno;
		if (t->fd >= 0)
			close(t->fd);
		free(t);
		return rv_err_set(err, rv_status_from_errno(saved), "--net=tap%.100s: %s%s", rest,
				  strerror(saved),
				  saved == EPERM ? " (make it first: ip tuntap add NAME mode tap user $USER)" : "");
	}
	*self = t;
	return RV_OK;
}

static void tap_close(void *self)
{
	struct tap *t = self;
	close(t->fd);
	free(t);
}

/* Frames wait in the host's own queue while ours is full. */
static void tap_prepare(void *self, struct net_polls *p)
{
	struct tap *t = self;
	t->slot = 0;
	if (!net_has_room(t->net)) {
		p->timeout_ms = 1;
		return;
	}
	t->slot = p->n;
	p->fd[p->n++] = (struct pollfd){ .fd = t->fd, .events = POLLIN };
}

static void tap_ready(void *self, const struct net_polls *p)
{
	struct tap *t = self;
	if (!t->slot || !(p->fd[t->slot].revents & POLLIN))
		return;
	for (unsigned i = 0; i < TAP_BURST; i++) {
		ssize_t len = read(t->fd, t->frame, sizeof(t->frame));
		if (len <= 0) /* nothing more, or the interface is down */
			return;
		if (!net_deliver(t->net, t->frame, (size_t)len))
			return;
	}
}

static void tap_input(void *self, const uint8_t *frame, size_t len)
{
	struct tap *t = self;
	/* An interface that is down or full loses frames, as a wire would. */
	(void)!write(t->fd, frame, len);
}

const struct net_kind net_kind_tap = {
	.name = "tap",
	.open = tap_open,
	.close = tap_close,
	.prepare = tap_prepare,
	.ready = tap_ready,
	.input = tap_input,
};
