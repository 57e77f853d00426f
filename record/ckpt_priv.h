/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints, inside: shared by ckpt.c (memory) and ckpt_file.c (disk). */
#ifndef RV_RECORD_CKPT_PRIV_H
#define RV_RECORD_CKPT_PRIV_H

#include "page_tree.h"
#include "record/ckpt.h"

struct ckpt {
	unsigned refs;
	struct ckpt_info info;
	struct output_digest extra;
	struct bytes state; /* machine_save() */
	struct page_node *ram;
};

struct ckpt_store {
	struct machine *machine;
	struct page_pool *pool;
	struct page_node *now; /* RAM as of the start of epoch `cursor` */
	uint32_t cursor;       /* pages of this epoch or later may differ from `now` */
	uint64_t state_bytes;
	bool lost;             /* a restore failed: RAM is not `now` */
};

#endif
