/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk (VIRTIO 1.1, 5.2): what the guest sees of a disk. A request is
 * taken in whole at the kick, its data copied; blk_req.c carries it out.
 */
#include "blk_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define VIRTIO_BLK_F_SIZE_MAX (1ull << 1)
#define VIRTIO_BLK_F_SEG_MAX (1ull << 2)
#define VIRTIO_BLK_F_RO (1ull << 5)
#define VIRTIO_BLK_F_BLK_SIZE (1ull << 6)
#define VIRTIO_BLK_F_FLUSH (1ull << 9)
#define VIRTIO_BLK_F_TOPOLOGY (1ull << 10)
#define VIRTIO_BLK_F_DISCARD (1ull << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (1ull << 14)

#define T_IN 0u
#define T_OUT 1u
#define T_FLUSH 4u
#define T_GET_ID 8u
#define T_DISCARD 11u
#define T_WRITE_ZEROES 13u
#define HEADER 16u /* type u32, reserved u32, sector u64 */
#define RANGE 16u  /* struct virtio_blk_discard_write_zeroes */
#define RANGE_UNMAP 1u

/* struct virtio_blk_config */
enum {
	CONFIG_CAPACITY = 0,
	CONFIG_SIZE_MAX = 8,
	CONFIG_SEG_MAX = 12,
	CONFIG_BLK_SIZE = 20,
	CONFIG_PHYSICAL_EXP = 24,
	CONFIG_DISCARD_MAX = 36,
	CONFIG_DISCARD_SEG = 40,
	CONFIG_DISCARD_ALIGN = 44,
	CONFIG_ZEROES_MAX = 48,
	CONFIG_ZEROES_SEG = 52,
	CONFIG_ZEROES_UNMAP = 56,
	CONFIG_SIZE = 60
};

static uint32_t blk_config_read(void *self, unsigned off, unsigned size)
{
	const struct virtio_blk *b = self;
	uint8_t raw[CONFIG_SIZE + 4] = { 0 };
	le64_put(raw + CONFIG_CAPACITY, b->cfg.sectors);
	le32_put(raw + CONFIG_SIZE_MAX, BLK_SIZE_MAX);
	le32_put(raw + CONFIG_SEG_MAX, BLK_SEG_MAX);
	le32_put(raw + CONFIG_BLK_SIZE, BLK_SECTOR);
	raw[CONFIG_PHYSICAL_EXP] = 3; /* 8 logical blocks a physical one */
	le32_put(raw + CONFIG_DISCARD_MAX, BLK_DISCARD_MAX);
	le32_put(raw + CONFIG_DISCARD_SEG, 1);
	le32_put(raw + CONFIG_DISCARD_ALIGN, BLK_SECTORS_PER_BLOCK);
	le32_put(raw + CONFIG_ZEROES_MAX, BLK_ZEROES_MAX);
	le32_put(raw + CONFIG_ZEROES_SEG, 1);
	raw[CONFIG_ZEROES_UNMAP] = 1;
	return le32_get(raw + off) & (size == 4 ? ~0u : (1u << size * 8) - 1);
}

void blk_answer(struct virtio_blk *b, const struct virtq_chain *c, uint8_t status, uint32_t written)
{
	/* The status is the chain's last byte, wherever the data ends (5.2.6). */
	virtq_write(b->virtio, c, c->in_len - 1, &status, 1);
	virtio_push(b->virtio, 0, c->head, written + 1);
}

/* ---- taking a request in ---- */

static bool in_capacity(const struct virtio_blk *b, uint64_t sector, uint64_t n)
{
	return n && sector < b->cfg.sectors && n <= b->cfg.sectors - sector;
}

/* Each returns a status for an answer at once, or -1: r is to be submitted. */

static int take_read(struct virtio_blk *b, struct blk_req *r, uint64_t sector)
{
	uint64_t len = r->chain.in_len - 1;
	if (len % BLK_SECTOR || len > BLK_DATA_MAX || !in_capacity(b, sector, len / BLK_SECTOR))
		return BLK_S_IOERR;
	r->op = DISK_READ;
	r->sector = sector;
	r->nsectors = (uint32_t)(len / BLK_SECTOR);
	return -1;
}

static int take_write(struct virtio_blk *b, struct blk_req *r, uint64_t sector)
{
	uint64_t len = r->chain.out_len - HEADER;
	if (b->cfg.readonly || len % BLK_SECTOR || len > BLK_DATA_MAX ||
	    !in_capacity(b, sector, len / BLK_SECTOR))
		return BLK_S_IOERR;
	r->op = DISK_WRITE;
	r->sector = sector;
	r->nsectors = (uint32_t)(len / BLK_SECTOR);
	virtq_read(b->virtio, &r->chain, HEADER,
		   r->data + sector % BLK_SECTORS_PER_BLOCK * BLK_SECTOR, (size_t)len);
	return -1;
}

static int take_range(struct virtio_blk *b, struct blk_req *r, bool zeroes)
{
	uint8_t raw[RANGE];
	uint64_t sector, end;
	uint32_t n, flags;
	if (b->cfg.readonly || r->chain.out_len != HEADER + RANGE)
		return BLK_S_IOERR;
	virtq_read(b->virtio, &r->chain, HEADER, raw, sizeof(raw));
	sector = le64_get(raw);
	n = le32_get(raw + 8);
	flags = le32_get(raw + 12);
	/* 5.2.6.2: unknown flags, and unmap for a discard, are unsupported. */
	if (flags & ~(zeroes ? RANGE_UNMAP : 0u))
		return BLK_S_UNSUPP;
	if (n > (zeroes ? BLK_ZEROES_MAX : BLK_DISCARD_MAX) || !in_capacity(b, sector, n))
		return BLK_S_IOERR;
	r->sector = sector;
	r->nsectors = n;
	r->op = DISK_ZEROES;
	if (sector % BLK_SECTORS_PER_BLOCK == 0 && n % BLK_SECTORS_PER_BLOCK == 0)
		return -1;
	if (zeroes) { /* the edges are somebody else's: an ordinary write */
		r->op = DISK_WRITE;
		memset(r->data + sector % BLK_SECTORS_PER_BLOCK * BLK_SECTOR, 0, (size_t)n * BLK_SECTOR);
		return -1;
	}
	/* A discard is a hint: its whole blocks. */
	end = (sector + n) / BLK_SECTORS_PER_BLOCK * BLK_SECTORS_PER_BLOCK;
	sector = (sector + BLK_SECTORS_PER_BLOCK - 1) / BLK_SECTORS_PER_BLOCK * BLK_SECTORS_PER_BLOCK;
	if (sector >= end)
		return BLK_S_OK;
	r->sector = sector;
	r->nsectors = (uint32_t)(end - sector);
	return -1;
}

static int take_flush(struct blk_req *r)
{
	r->op = DISK_FLUSH;
	r->sector = 0;
	r->nsectors = 0;
	return -1;
}

/* The request that r->chain holds: submitted, or answered at once. */
static void take_one(struct virtio_blk *b, struct blk_req *r)
{
	uint8_t header[HEADER];
	uint32_t written = 0;
	int status;
	/* Without a header or a byte for the status there is no way to answer. */
	if (virtq_read(b->virtio, &r->chain, 0, header, HEADER) != HEADER || r->chain.in_len < 1 ||
	    r->chain.in_len > UINT32_MAX) {
		virtio_broken(b->virtio);
		return;
	}
	switch (le32_get(header)) {
	case T_IN:
		status = take_read(b, r, le64_get(header + 8));
		break;
	case T_OUT:
		status = take_write(b, r, le64_get(header + 8));
		break;
	case T_FLUSH:
		status = take_flush(r);
		break;
	case T_DISCARD:
	case T_WRITE_ZEROES:
		status = take_range(b, r, le32_get(header) == T_WRITE_ZEROES);
		break;
	case T_GET_ID:
		written = sizeof(b->cfg.serial);
		if (written > r->chain.in_len - 1)
			written = (uint32_t)(r->chain.in_len - 1);
		virtq_write(b->virtio, &r->chain, 0, b->cfg.serial, written);
		status = BLK_S_OK;
		break;
	default:
		status = BLK_S_UNSUPP;
		break;
	}
	if (status < 0)
		blk_submit(b, r);
	else
		blk_answer(b, &r->chain, (uint8_t)status, written);
}

void blk_take(struct virtio_blk *b)
{
	struct blk_req *r;
	while ((r = blk_slot(b)) && virtio_pop(b->virtio, 0, &r->chain) > 0)
		take_one(b, r);
	virtio_notify(b->virtio, 0);
}

static void blk_kick(void *self, unsigned q)
{
	(void)q;
	blk_take(self);
}

static void blk_device_reset(void *self)
{
	struct virtio_blk *b = self;
	blk_abandon(b);
}

/* ---- the device ---- */

static void virtio_blk_reset(void *self)
{
	virtio_reset(((struct virtio_blk *)self)->virtio);
}

static void virtio_blk_destroy(void *self)
{
	struct virtio_blk *b = self;
	virtio_destroy(b->virtio);
	free(b->data);
	free(b);
}

static const struct state_field virtio_blk_fields[] = {
	STATE_FIELD(struct virtio_blk, log_next),
	STATE_FIELD(struct virtio_blk, order_next),
	STATE_FIELD(struct virtio_blk, chaos),
};

static const struct state_desc virtio_blk_desc = {
	.name = "virtio_blk",
	.version = 1,
	.fields = virtio_blk_fields,
	.nfields = RV_ARRAY_LEN(virtio_blk_fields),
};

static const struct device_ops virtio_blk_device_ops = {
	.name = "virtio_blk",
	.desc = &virtio_blk_desc,
	.reset = virtio_blk_reset,
	.destroy = virtio_blk_destroy,
	.save = blk_save,
	.load = blk_load,
};

#define BLK_MODEL(feature_bits)                                                                    \
	{                                                                                          \
		.name = "virtio_blk", .type = 2, .class_code = 0x010000, .nqueues = 1,             \
		.queue_size = { BLK_QUEUE }, .features = (feature_bits),                           \
		.config_len = CONFIG_SIZE, .config_read = blk_config_read, .kick = blk_kick,       \
		.reset = blk_device_reset,                                                         \
	}
#define BLK_FEATURES                                                                               \
	(VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE |                    \
	 VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY)
static const struct virtio_model blk_model =
	BLK_MODEL(BLK_FEATURES | VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES);
static const struct virtio_model blk_model_ro = BLK_MODEL(BLK_FEATURES | VIRTIO_BLK_F_RO);

static uint64_t blocks_of(uint64_t sectors)
{
	return (sectors + BLK_SECTORS_PER_BLOCK - 1) / BLK_SECTORS_PER_BLOCK;
}

uint64_t virtio_blk_index_pages(uint64_t sectors)
{
	return blk_index_pages(blocks_of(sectors));
}

uint64_t virtio_blk_log_blocks(const struct virtio_blk *b)
{
	return b->log_next;
}

void virtio_blk_log_used(const struct virtio_blk *b, uint8_t *bits, uint64_t *n)
{
	blk_index_used(&b->index, bits, *n);
	for (unsigned i = 0; i < DISK_TAGS; i++)
		if (b->req[i].state == BLK_STARTED && b->req[i].op == DISK_WRITE && b->req[i].log < *n)
			*n = b->req[i].log;
}

int virtio_blk_each(const struct virtio_blk *b, int (*fn)(void *ctx, uint64_t block, bool zero, uint64_t log), void *ctx)
{
	int rc = RV_OK;
	for (uint64_t block = 0; rc == RV_OK && block < b->index.blocks; block++) {
		const struct blk_entry e = blk_index_get(&b->index, block);
		if (e.place != DISK_BASE)
			rc = fn(ctx, block, e.place == DISK_ZERO, e.log);
	}
	return rc;
}

int virtio_blk_create(struct virtio_blk **out, struct device *dev, const struct virtio_wiring *w,
		      const struct virtio_blk_cfg *cfg)
{
	struct virtio_blk *b = calloc(1, sizeof(*b));
	int rc = RV_ENOMEM;
	if (!b)
		return RV_ENOMEM;
	b->bus = w->bus;
	b->clock = w->clock;
	b->cfg = *cfg;
	b->chaos = cfg->chaos;
	b->index = (struct blk_index){ w->mem, cfg->index, blocks_of(cfg->sectors) };
	b->data = calloc(DISK_TAGS, BLK_SLOT_BYTES); /* costs nothing until it is used */
	if (!b->data)
		goto fail;
	for (unsigned i = 0; i < DISK_TAGS; i++)
		b->req[i].data = b->data + (size_t)i * BLK_SLOT_BYTES;
	b->timer = vclock_timer_add(w->clock, "virtio_blk", blk_timer_fire, b);
	rc = virtio_create(&b->virtio, w, cfg->readonly ? &blk_model_ro : &blk_model, b);
	if (rc != RV_OK)
		goto fail;
	dev->ops = &virtio_blk_device_ops;
	dev->self = b;
	*out = b;
	return RV_OK;
fail:
	free(b->data);
	free(b);
	return rc;
}
