/* SPDX-License-Identifier: Apache-2.0 */
/* Inside a node: node.c has its life and what the vCPU thread does, link.c the link's thread, load.c a backup's start. */
#ifndef RV_FT_NODE_INT_H
#define RV_FT_NODE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "follow.h"
#include "join.h"
#include "pairing.h"
#include "stream.h"

#define MS 1000000ull

/* A backup's machine as it comes in; the link's thread fills it, then the vCPU thread takes it over. */
struct ft_load {
	struct bytes state;
	struct ft_at at;
	bool at_known, complete;
};

struct ft_node {
	struct ft_node_cfg cfg;
	struct ft_stream *stream;
	struct ft_follow *follow; /* NULL: began as a primary */
	pthread_t thread;
	bool threaded;
	int wake_fd;
	/* Asked by any thread or signal handler; the link's thread looks. */
	atomic_bool leave_asked, stop_asked, switch_asked, quit;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* to the vCPU thread */
	/* Under the lock. */
	struct ft_state state;
	enum ft_end end;
	bool paused;            /* the vCPU thread is to stand still */
	bool standing;          /* it does */
	bool want_slice;
	bool slicing;           /* it copies a slice: the join must stay */
	bool want_live;         /* it waits in ft_node_go_live() */
	bool want_finish;       /* it waits in ft_node_finish() for the backup to hold all below finish_at */
	icount_t finish_at;
	bool interrupted;
	struct ft_load load;
	bool loaded;            /* the vCPU thread has taken the state in */
	struct ft_join *join;   /* NULL: nobody is joining */
	char say[FT_TEXT_MAX + 1];
	struct ft_stats stats;

	/* Link's thread. */
	struct channel *chan;
	bool chan_dead;
	bool claim_pending;     /* the arbiter is asked, or to be asked */
	uint64_t retry_at, connect_at, look_at, announce_at;
	unsigned announced;
	char connect_error[512];
	uint8_t session[16];
	bool join_all;          /* all of the state was put into the channel */
	uint64_t join_began;
	struct evlog_batch batch;
	struct bytes chunk;
	uint64_t number;
	uint32_t crc;
	icount_t sent_known, acked;
	uint64_t moved;         /* bytes that the socket took */
	uint64_t log_at, lease_stamp; /* when the last LOG was sent; stamp of the last that was acknowledged */
	uint64_t heard_at, acked_at;  /* the last message in, the last ACK out */
	bool ack_due, ready_sent, protect_due, switch_due;
	struct ft_ack ack;
	uint64_t lost_from;     /* a backup: when the primary was last heard of before the loss */
};

void ft_node_wake(void *node); /* any thread: the link's thread looks around */
void *ft_link_main(void *node);

/* load.c, link's thread: one message of the state. RV_EDAMAGED: not what may come now. */
int ft_load_message(struct ft_node *n, const struct channel_frame *f);

#endif
