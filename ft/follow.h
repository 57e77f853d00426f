/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backup's end of the log: what the link's thread received, as a source
 * for the replayer, which waits here for what is still to come.
 */
#ifndef RV_FT_FOLLOW_H
#define RV_FT_FOLLOW_H

#include "ft_int.h"
#include "record/evlog_chunk.h"

struct ft_follow;
/* supply, may be NULL: link's thread, blocks of a shared disk's image that the primary read. Not RV_OK: the link is given up. */
int ft_follow_create(struct ft_follow **out,
		     int (*supply)(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data), void *ctx);
void ft_follow_destroy(struct ft_follow *f);
struct evlog_source *ft_follow_source(struct ft_follow *f);

/* Link's thread: the history begins here, with chunks of this session. */
void ft_follow_begin(struct ft_follow *f, struct exec_point at, const uint8_t session[16]);
/* Link's thread: one LOG message. RV_EDAMAGED: not what this session's primary would send next. RV_ENOMEM. */
int ft_follow_put(struct ft_follow *f, const struct ft_log *l);
/* Any thread: no more comes. What is there is replayed to its end. */
void ft_follow_end(struct ft_follow *f);
void ft_follow_interrupt(struct ft_follow *f); /* any thread: a wait ends with RV_EINTR */

struct ft_follow_stats {
	icount_t known, replayed;
	uint64_t bytes;   /* received and not replayed */
	uint32_t lag_us;  /* by the primary's stamps */
	bool ended;
};
void ft_follow_stats(struct ft_follow *f, struct ft_follow_stats *out); /* any thread */

#endif
