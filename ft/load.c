/* SPDX-License-Identifier: Apache-2.0 */
/* What a primary sends of its machine, taken in by a backup's link's thread while its vCPU thread waits. */
#include <stdlib.h>
#include <string.h>

#include "node_int.h"

#define STATE_MAX (640u << 20) /* as of a checkpoint: disk requests in flight with their data */

static int load_ram(struct ft_node *n, const struct channel_frame *f)
{
	struct guest_mem *mem = machine_mem(n->cfg.machine);
	struct ft_pages *p = malloc(sizeof(*p));
	int rc = RV_OK;
	if (!p)
		return RV_ENOMEM;
	if (!ft_pages_decode(p, mem_pages(mem), f->data, f->len))
		rc = RV_EDAMAGED;
	for (unsigned i = 0; rc == RV_OK && i < p->n; i++)
		mem_page_write(mem, p->page[i], 0, p->contents[i], RV_PAGE_SIZE);
	free(p);
	return rc;
}

static int load_disk(struct ft_node *n, const struct channel_frame *f)
{
	const struct ft_disks *d = &n->cfg.disks;
	uint64_t block, blocks;
	if (f->len < 9 || f->data[0] >= d->n || (f->len - 9) % DISK_BLOCK || f->len == 9)
		return RV_EDAMAGED;
	block = le64_get(f->data + 1);
	blocks = (f->len - 9) / DISK_BLOCK;
	if (block > (1ull << 40))
		return RV_EDAMAGED;
	return d->write(n->cfg.ctx, f->data[0], block, (uint32_t)blocks, f->data + 9);
}

static int load_state(struct ft_node *n, const struct channel_frame *f)
{
	struct bytes *s = &n->load.state;
	if (f->len > STATE_MAX - s->len)
		return RV_EDAMAGED;
	bytes_put(s, f->data, f->len);
	return s->failed ? RV_ENOMEM : RV_OK;
}

static int load_all(struct ft_node *n)
{
	pthread_mutex_lock(&n->lock);
	n->load.complete = true;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
	return RV_OK;
}

int ft_load_message(struct ft_node *n, const struct channel_frame *f)
{
	struct ft_load *l = &n->load;
	if (n->state.role != FT_LOADING || l->complete)
		return RV_EDAMAGED;
	switch (f->type) {
	case FT_MSG_RAM:
		return l->at_known ? RV_EDAMAGED : load_ram(n, f);
	case FT_MSG_AT:
		if (l->at_known || !ft_at_decode(&l->at, f->data, f->len))
			return RV_EDAMAGED;
		l->at_known = true;
		ft_follow_begin(n->follow, l->at.at, n->session);
		return RV_OK;
	case FT_MSG_STATE:
		return l->at_known ? load_state(n, f) : RV_EDAMAGED;
	case FT_MSG_DISK:
		return l->at_known ? load_disk(n, f) : RV_EDAMAGED;
	case FT_MSG_ALL:
		return l->at_known ? load_all(n) : RV_EDAMAGED;
	default:
		return RV_EDAMAGED;
	}
}
