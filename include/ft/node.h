/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One half of a hot-standby pair at work: the link to the other half, the role
 * machine (ft/role.h) and what it asks for. A thread of its own, the link's
 * thread, does all of it but what only the vCPU thread may do with its machine;
 * for that it asks the vCPU thread to call ft_node_serve().
 */
#ifndef RV_FT_NODE_H
#define RV_FT_NODE_H

#include "ft/arbiter.h"
#include "ft/channel.h"
#include "ft/role.h"
#include "port/live.h"
#include "record/recorder.h"

struct ft_node;
struct ft_pairing;

#define FT_REGION (1u << 20) /* bytes of a disk under one digest */

/* What the layers below cannot reach: the files of disks. Link's thread. */
struct ft_disks {
	unsigned n;
	/* Blocks of a disk's block log: RV_OK or a code. */
	int (*read)(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, uint8_t *data);
	int (*write)(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data);
	/* XXH3-64 of each FT_REGION bytes of the base, little-endian, appended to out. */
	int (*digests)(void *ctx, unsigned disk, struct bytes *out);
	bool shared[DISKS_MAX]; /* one image for both halves */
	/* Shared: a backup is given what its primary read; the image does not change any more. */
	int (*supply)(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data);
	void (*stay)(void *ctx);
	/* Bytes of the base. */
	int (*base)(void *ctx, unsigned disk, uint64_t at, uint32_t len, uint8_t *data);
};

struct ft_node_cfg {
	const char *pair;             /* its name */
	bool fence;                   /* the arbiter's client has a fence to be run before we take over */
	struct channel_auth *auth;
	const struct channel_addr *peer; /* where a backup listens, when we are the primary; NULL: nowhere */
	struct arbiter *arbiter;
	unsigned timeout_ms, max_lag_ms;
	struct machine *machine;
	struct live *live;
	struct output *host;
	const struct trace_manifest *manifest;
	const void *kernel, *initrd;
	struct ft_disks disks;
	struct ft_pairing *pairing;   /* backup: what ft_accept() gave; NULL: primary */
	/* vCPU thread of a backup: the machine's state is here, its disks' requests are not begun yet. */
	int (*loaded)(void *ctx);
	/* vCPU thread of a primary: from here on a backup gets the log. */
	void (*joined)(void *ctx);
	void (*wanted)(void *ctx);    /* any thread: ft_node_serve() is to be called soon */
	void (*announce)(void *ctx, bool first); /* link's thread, a few times: the machine is live here now */
	void *ctx;                    /* of these and of disks */
};

/* Borrows all of it for its life. No thread yet. */
int ft_node_create(struct ft_node **out, const struct ft_node_cfg *cfg, struct rv_err *err);
/* Starts the link's thread; a primary asks for its first term, and its machine stands still until then. */
int ft_node_start(struct ft_node *n, struct rv_err *err);
void ft_node_destroy(struct ft_node *n); /* NULL is fine */

/* A recorder's two ends (record/recorder.h), and a follower's log. */
struct evlog_sink *ft_node_sink(struct ft_node *n);
struct output *ft_node_output(struct ft_node *n);
struct evlog_source *ft_node_source(struct ft_node *n);

/* ---- vCPU thread, between two runs ---- */

/* sent: the digest of what was sent so far. Stands still while the role asks for it. RV_OK: run on; RV_EINTR: look at
 * what else was asked, and call again; RV_EEND: this half is halted, or has stopped following. */
int ft_node_serve(struct ft_node *n, const struct output_digest *sent);
/* A backup: waits until the state is here, and loads it. RV_EINTR: as above. RV_EEND: it will not come. */
int ft_node_load(struct ft_node *n, struct output_digest *sent);
/* A backup's replay is at the end of its log. RV_OK: it is live, with the recorder's ends; RV_EEND: it is not to be. */
int ft_node_go_live(struct ft_node *n);
/* The machine ended by itself, and its end is in the log: waits until the backup has it. */
void ft_node_finish(struct ft_node *n);
/* Output commit for what is no output (writes to a shared image): a ticket, vCPU thread; and waiting until the backup holds
 * the log up to it, other threads. RV_EEND: that will not be. */
uint64_t ft_node_ticket(struct ft_node *n);
int ft_node_commit(struct ft_node *n, uint64_t ticket);
bool ft_node_recording(const struct ft_node *n); /* somebody wants digests */

/* ---- any thread ---- */
/* Also signal handlers. stop: somebody wants us to end; a machine that is live is ended through its inbound port, so
 * that its backup ends with it. leave: there is no machine to be ended, or it has. */
void ft_node_stop(struct ft_node *n);
void ft_node_leave(struct ft_node *n);
/* Why, for the other half; at most once, before ft_node_leave(). */
void ft_node_say(struct ft_node *n, const char *text);
int ft_node_switch(struct ft_node *n); /* RV_ENOTSUP: not protected now */
void ft_node_interrupt(struct ft_node *n); /* a wait of the vCPU thread in here ends; not from signal handlers */

/* What became of this half. */
enum ft_end {
	FT_END_NONE,
	FT_END_LEFT,       /* at our own wish, or the machine ended */
	FT_END_PEER_LEFT,  /* a backup: the primary ended */
	FT_END_SWITCHED,   /* the other half took over, as asked */
	FT_END_LOST,       /* the other half has the next term */
	FT_END_NO_PRIMARY, /* a backup lost its primary before it could take over */
};
struct ft_stats {
	enum ft_role role;
	uint64_t term;
	enum ft_end end;
	double lag_ms;
	uint64_t log_bytes;      /* sent or received as LOG messages */
	uint64_t held, held_bytes;
	uint64_t failovers;      /* times this process went live in another's place */
	double join_pause_ms, join_ms;
	/* of the last one: from the primary's last sign of life to the loss, the term, the first instruction */
	double lost_ms, won_ms, live_ms;
	unsigned slowed_permille;
	char peer[80];
};
void ft_node_stats(struct ft_node *n, struct ft_stats *out);

/* ---- before there is a machine: a backup takes a primary's call ---- */
struct ft_offer {
	const char *pair;
	bool console;
	unsigned ndisks, nnets;
	uint64_t sectors[DISKS_MAX];
	bool shared[DISKS_MAX];          /* one image for both */
	bool commit[DISKS_MAX];          /* the guest's writes reach the image: a primary may make it like its own */
	int (*seed)(void *ctx, unsigned disk, uint64_t at, uint32_t len, const uint8_t *data);
	void *ctx;
	struct bytes digests[DISKS_MAX]; /* as ft_disks.digests() makes them */
};
/* Takes one call on a listening socket (readable) and receives what machine it is. Any fault of the caller: a code and
 * a message, and the next may come. */
int ft_accept(struct ft_pairing **out, struct channel_auth *auth, int listen_fd, const struct ft_offer *offer,
	      struct rv_err *err);
void ft_pairing_destroy(struct ft_pairing *p);
const struct trace_manifest *ft_pairing_manifest(const struct ft_pairing *p);
const void *ft_pairing_kernel(const struct ft_pairing *p);
const void *ft_pairing_initrd(const struct ft_pairing *p);

#endif
