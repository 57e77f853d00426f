/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests in flight, saved and loaded. The data of a write is state until
 * it is finished: the guest's copy may have changed since the kick. That of a
 * read is not there yet. Loaded bytes are hostile.
 */
#include "blk_int.h"

#include <string.h>

static void req_save(const struct blk_req *r, unsigned tag, struct bytes *out)
{
	const struct virtq_chain *c = &r->chain;
	bytes_put_u8(out, (uint8_t)tag);
	bytes_put_u8(out, r->state);
	bytes_put_u8(out, r->op);
	bytes_put_u64(out, r->sector);
	bytes_put_u32(out, r->nsectors);
	bytes_put_u64(out, r->order);
	bytes_put_u64(out, r->log);
	bytes_put_u64(out, r->due);
	bytes_put_u16(out, c->head);
	bytes_put_u16(out, c->nout);
	bytes_put_u16(out, c->nin);
	for (unsigned i = 0; i < (unsigned)c->nout + c->nin; i++) {
		bytes_put_u64(out, c->seg[i].gpa);
		bytes_put_u32(out, c->seg[i].len);
	}
	if (r->op == DISK_WRITE)
		bytes_put(out, r->data + r->sector % BLK_SECTORS_PER_BLOCK * BLK_SECTOR,
			  (size_t)r->nsectors * BLK_SECTOR);
}

void blk_save(const void *self, struct bytes *out)
{
	const struct virtio_blk *b = self;
	virtio_save(b->virtio, out);
	bytes_put_u32(out, b->used);
	for (unsigned i = 0; i < DISK_TAGS; i++)
		if (b->req[i].state != BLK_FREE)
			req_save(&b->req[i], i, out);
}

static bool chain_load(struct virtio_blk *b, struct virtq_chain *c, struct bytes_in *in)
{
	unsigned n;
	c->head = bytes_get_u16(in);
	c->nout = bytes_get_u16(in);
	c->nin = bytes_get_u16(in);
	c->out_len = c->in_len = 0;
	n = (unsigned)c->nout + c->nin;
	if (in->failed || n > VIRTQ_SEGS || c->head >= BLK_QUEUE)
		return false;
	for (unsigned i = 0; i < n; i++) {
		struct virtq_seg *s = &c->seg[i];
		s->gpa = bytes_get_u64(in);
		s->len = bytes_get_u32(in);
		if (in->failed || !virtq_seg_sound(b->virtio, s))
			return false;
		if (i < c->nout)
			c->out_len += s->len;
		else
			c->in_len += s->len;
	}
	return c->in_len >= 1 && c->in_len <= UINT32_MAX;
}

/* As take_one() would have let it in. */
static bool req_sound(const struct virtio_blk *b, const struct blk_req *r)
{
	uint32_t most = BLK_DATA_MAX / BLK_SECTOR;
	uint64_t first;
	if ((r->state != BLK_WAITING && r->state != BLK_STARTED) || r->order >= b->order_next)
		return false;
	if (r->op == DISK_FLUSH)
		return r->sector == 0 && r->nsectors == 0;
	if (r->op == DISK_ZEROES)
		most = BLK_DISCARD_MAX;
	if (r->op > DISK_FLUSH || !r->nsectors || r->nsectors > most || r->sector >= b->cfg.sectors ||
	    r->nsectors > b->cfg.sectors - r->sector || (r->op != DISK_READ && b->cfg.readonly))
		return false;
	if (r->op == DISK_ZEROES &&
	    (r->sector % BLK_SECTORS_PER_BLOCK || r->nsectors % BLK_SECTORS_PER_BLOCK))
		return false;
	if (r->op == DISK_READ && r->chain.in_len - 1 != (uint64_t)r->nsectors * BLK_SECTOR)
		return false;
	if (r->op != DISK_WRITE || r->state != BLK_STARTED)
		return r->log == 0;
	return r->log < b->log_next && blk_blocks(r, &first) <= b->log_next - r->log;
}

static int req_load(struct virtio_blk *b, struct bytes_in *in)
{
	unsigned tag = bytes_get_u8(in);
	struct blk_req *r;
	if (in->failed || tag >= DISK_TAGS || b->req[tag].state != BLK_FREE)
		return RV_EINVAL;
	r = &b->req[tag];
	uint8_t state = bytes_get_u8(in);
	r->op = bytes_get_u8(in);
	r->sector = bytes_get_u64(in);
	r->nsectors = bytes_get_u32(in);
	r->order = bytes_get_u64(in);
	r->log = bytes_get_u64(in);
	r->due = bytes_get_u64(in);
	r->told = false;
	if (!chain_load(b, &r->chain, in))
		return RV_EINVAL;
	r->state = state;
	if (!req_sound(b, r)) {
		r->state = BLK_FREE;
		return RV_EINVAL;
	}
	if (r->op == DISK_WRITE)
		bytes_get(in, r->data + r->sector % BLK_SECTORS_PER_BLOCK * BLK_SECTOR,
			  (size_t)r->nsectors * BLK_SECTOR);
	if (in->failed) {
		r->state = BLK_FREE;
		return RV_EINVAL;
	}
	b->used++;
	b->waiting += r->state == BLK_WAITING;
	return RV_OK;
}

int blk_load(void *self, struct bytes_in *in)
{
	struct virtio_blk *b = self;
	uint32_t n;
	int rc;
	/* What was in flight here is no part of the state that comes; a port that was told of it hears the
	 * end of it. */
	for (unsigned i = 0; i < DISK_TAGS; i++) {
		if (b->req[i].state == BLK_STARTED && b->req[i].told)
			disk_drop(b->cfg.port, i);
		b->req[i].state = BLK_FREE;
		b->req[i].told = false;
	}
	b->used = b->waiting = 0;
	rc = virtio_load(b->virtio, in);
	n = bytes_get_u32(in);
	if (rc == RV_OK && (in->failed || n > DISK_TAGS))
		rc = RV_EINVAL;
	for (uint32_t i = 0; rc == RV_OK && i < n; i++)
		rc = req_load(b, in);
	return rc;
}
