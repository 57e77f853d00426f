/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host ends of networks: libslirp (user-mode NAT with port forwards) and TAP.
 * Frames of the guest come through net_output() on the vCPU thread; frames
 * for the guest are read by a thread of the backend and wait in a bounded
 * queue (a full one drops, as a wire would) until the live port takes them.
 */
#ifndef RV_BACKEND_NET_H
#define RV_BACKEND_NET_H

#include "base/status.h"
#include "port/live.h"
#include "port/output.h"

struct net;
struct net_cfg {
	/* "user[,hostfwd=tcp|udp:[ADDR]:PORT-[GUEST]:PORT]..." or "tap:NAME"; an ADDR that is left out is
	 * 127.0.0.1, a GUEST the first DHCP address 10.0.2.15 */
	const char *spec;
	unsigned instance;
	uint16_t mtu;
	struct live *live; /* adds itself as a live_source */
};
/* Opens everything the backend will need (RV_EUSAGE: bad spec; else what the host says); no thread yet, so
 * it stands before the sandbox takes rights away. net_start() starts it, before the filter closes. */
int net_create(struct net **out, const struct net_cfg *cfg, struct rv_err *err);
int net_start(struct net *n, struct rv_err *err);
void net_destroy(struct net *n);
/* vCPU thread: one frame from the guest; copied; never blocks (a full queue drops). */
void net_send(struct net *n, const void *frame, size_t len);
/* Any thread. Down (a backup that is not live): frames go nowhere, either way. It begins up. */
void net_set_link(struct net *n, bool up);
struct net_stats {
	uint64_t rx_frames, rx_bytes, rx_dropped; /* to the guest */
	uint64_t tx_frames, tx_bytes, tx_dropped; /* from the guest */
};
void net_stats(const struct net *n, struct net_stats *out);

#endif
