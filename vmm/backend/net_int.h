/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the network backends: net.c has the queues, the thread and the live
 * source; a kind of network (net_tap.c, net_slirp.c) has an fd or a library.
 */
#ifndef RV_BACKEND_NET_INT_H
#define RV_BACKEND_NET_INT_H

#include <poll.h>

#include "backend/net.h"

#define NET_FRAME_MIN 14u
#define NET_FRAME_MAX 65535u
#define NET_POLLS_MAX 1024u

/* What the thread waits for in one round. */
struct net_polls {
	struct pollfd fd[NET_POLLS_MAX];
	unsigned n;
	int timeout_ms; /* -1: none */
};

/* All but open and close run on the backend's thread. */
struct net_kind {
	const char *name; /* what a spec begins with */
	/* rest: of the spec, behind the name. */
	int (*open)(void **self, const char *rest, const struct net_cfg *cfg, struct net *n,
		    struct rv_err *err);
	void (*close)(void *self);
	void (*prepare)(void *self, struct net_polls *p); /* appends its descriptors */
	void (*ready)(void *self, const struct net_polls *p); /* looks at revents */
	void (*input)(void *self, const uint8_t *frame, size_t len); /* a frame from the guest */
};
extern const struct net_kind net_kind_tap, net_kind_slirp;

/* Backend's thread: a frame for the guest. False: the queue is full, it was dropped. */
bool net_deliver(struct net *n, const void *frame, size_t len);
bool net_has_room(struct net *n); /* for a frame of any length */

#endif
