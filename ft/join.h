/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending a machine to a backup while it runs. The vCPU thread copies pages,
 * a slice at a time between two stretches of the guest: all of them first, then
 * what was written meanwhile, again and again; when little is left (or it does
 * not get less) it copies the rest and everything else at once, and that is
 * the position from which the log follows. The link's thread sends.
 */
#ifndef RV_FT_JOIN_H
#define RV_FT_JOIN_H

#include "ft_int.h"
#include "machine/machine.h"

struct ft_join;
struct ft_disks;
int ft_join_create(struct ft_join **out, struct machine *m, unsigned ndisks);
void ft_join_destroy(struct ft_join *j); /* both threads are through with it */

/* vCPU thread: copies one slice. True: this was the last, the position is the machine's now. */
bool ft_join_slice(struct ft_join *j, const struct output_digest *sent);
uint64_t ft_join_pause_ns(const struct ft_join *j); /* how long the last slice took */

/* Link's thread: puts the next frames into the channel, up to about `room` bytes. 1: all was put, 0: not yet, or an
 * error. */
int ft_join_pump(struct ft_join *j, struct channel *c, const struct ft_disks *disks, void *disks_ctx, size_t room);
bool ft_join_wants_slice(struct ft_join *j);
bool ft_join_at_sent(const struct ft_join *j); /* the position is in the channel: the log may follow */

#endif
