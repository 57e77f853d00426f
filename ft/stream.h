/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The primary's end of the log: what its recorder appends waits here for the
 * link's thread, and what its guest sends waits here for the backup (output
 * commit). The vCPU thread is never held up by an output; it is slowed down when
 * the backup lags, and when too much waits.
 *
 *   recorder -> sink ----> batch --take()--> link
 *   recorder -> output --> held --acked()--> host
 *
 * A machine without a backup passes through: records are forgotten, outputs go
 * straight to the host.
 */
#ifndef RV_FT_STREAM_H
#define RV_FT_STREAM_H

#include "port/output.h"
#include "record/evlog_chunk.h"

struct ft_stream;
/* wake: any thread, the link's thread has something to send. */
int ft_stream_create(struct ft_stream **out, struct output *host, void (*wake)(void *ctx), void *ctx);
void ft_stream_destroy(struct ft_stream *s);
struct evlog_sink *ft_stream_sink(struct ft_stream *s);
struct output *ft_stream_output(struct ft_stream *s);

/* vCPU thread, between two runs: from here on records are kept. */
void ft_stream_start(struct ft_stream *s, icount_t at);
bool ft_stream_started(const struct ft_stream *s);

/* vCPU thread: something begins that ft_stream_commit() will be asked about. */
void ft_stream_ticket(struct ft_stream *s, icount_t need);
/* Other threads: waits until nothing is held, or the backup has the log below this icount. RV_EEND: discarded. */
int ft_stream_commit(struct ft_stream *s, icount_t need);

/* ---- link's thread ---- */
void ft_stream_stop(struct ft_stream *s); /* records are forgotten again */
void ft_stream_hold(struct ft_stream *s);
void ft_stream_release(struct ft_stream *s);  /* all that is held goes out, in order; nothing is held any more */
void ft_stream_discard(struct ft_stream *s);  /* nothing goes out any more, ever */
/* Swaps what was appended into *batch (cleared first), and says how far it reaches. */
void ft_stream_take(struct ft_stream *s, struct evlog_batch *batch, icount_t *known);
/* Something waits that should go at once. */
bool ft_stream_urgent(const struct ft_stream *s);
/* The backup holds the log below this icount: what waits for that goes out. */
void ft_stream_acked(struct ft_stream *s, icount_t known);
/* Thousandths of its time that the vCPU thread is to stand still; 1000: until further notice. */
void ft_stream_slow(struct ft_stream *s, unsigned permille);

struct ft_stream_stats {
	uint64_t held, held_bytes; /* outputs that wait */
	icount_t known, acked;
	/* What left, or began, without being held reaches to below this icount: who is to protect us must have the log to here. */
	icount_t loose;
};
void ft_stream_stats(struct ft_stream *s, struct ft_stream_stats *out); /* any thread */

#endif
