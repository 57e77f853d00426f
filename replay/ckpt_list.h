/* SPDX-License-Identifier: Apache-2.0 */
/* The checkpoints of a timeline, by position, within a memory budget. */
#ifndef RV_REPLAY_CKPT_LIST_H
#define RV_REPLAY_CKPT_LIST_H

#include "record/ckpt.h"

struct ckpt_list {
	struct ckpt_store *store;
	struct ckpt **at; /* sorted by icount, one a position */
	size_t n, cap;
	uint64_t budget; /* bytes the store may hold; recorded checkpoints are never dropped */
};

void ckpt_list_fini(struct ckpt_list *l);
/* Takes the reference. If there is one at this position already, it is kept and c released. */
int ckpt_list_add(struct ckpt_list *l, struct ckpt *c);
/* The last one at or before icount; NULL if none. */
struct ckpt *ckpt_list_before(const struct ckpt_list *l, icount_t icount);
bool ckpt_list_has(const struct ckpt_list *l, icount_t icount);
/* Drops made checkpoints until the budget holds: first those whose neighbours are close, measured against
 * their distance from `now`, so that what stays is dense near it and exponentially sparser away. One
 * whose absence leaves a gap of more than 2^24 steps goes only when no other is left. */
void ckpt_list_thin(struct ckpt_list *l, icount_t now);
/* Takes out the one at this position: it turned out damaged. */
void ckpt_list_drop(struct ckpt_list *l, icount_t icount);
void ckpt_list_drop_made(struct ckpt_list *l);

#endif
