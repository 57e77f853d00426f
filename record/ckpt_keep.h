/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a flight recorder keeps. History is divided into generations: each
 * begins with a full checkpoint and the log segment cut for it, and goes to
 * the next one. Whole generations are dropped, the oldest first.
 */
#ifndef RV_RECORD_CKPT_KEEP_H
#define RV_RECORD_CKPT_KEEP_H

#include "record/ckpt.h"

struct ckpt_keep;
/* dir_fd: of the checkpoints, borrowed. */
int ckpt_keep_create(struct ckpt_keep **out, const struct ckpt_writer_cfg *cfg, int dir_fd);
void ckpt_keep_destroy(struct ckpt_keep *k);
/* vCPU thread: is the next checkpoint to be a full one? Then it will be: asked again it says no for a while. */
bool ckpt_keep_full_due(struct ckpt_keep *k);
/* Writer's thread: a checkpoint has its name. Drops what is not needed any more. */
void ckpt_keep_published(struct ckpt_keep *k, uint32_t number, uint64_t bytes, bool full, uint32_t segment);

#endif
