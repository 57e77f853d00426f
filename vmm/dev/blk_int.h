/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the block device: its requests (blk_req.c), its face to the guest (virtio_blk.c), its state
 * (blk_state.c). */
#ifndef RV_DEV_BLK_INT_H
#define RV_DEV_BLK_INT_H

#include "blk_index.h"
#include "virtio_dev.h"

#define BLK_SECTOR 512u
#define BLK_SECTORS_PER_BLOCK (DISK_BLOCK / BLK_SECTOR)
#define BLK_QUEUE 256u
#define BLK_SEG_MAX 128u
#define BLK_SIZE_MAX 8192u
#define BLK_DATA_MAX (BLK_SEG_MAX * BLK_SIZE_MAX) /* bytes of one request: 1 MiB */
#define BLK_ZEROES_MAX (BLK_DATA_MAX / BLK_SECTOR) /* sectors: what an unaligned one is written with */
#define BLK_DISCARD_MAX 262144u                    /* sectors */
#define BLK_SLOT_BYTES (DISK_IO_BLOCKS * DISK_BLOCK)

enum blk_req_state { BLK_FREE, BLK_WAITING, BLK_STARTED };

struct blk_req {
	uint8_t state;   /* enum blk_req_state */
	uint8_t op;      /* enum disk_op */
	bool told;       /* the port knows of it; not saved */
	uint64_t sector; /* of READ, WRITE and ZEROES, the guest's range */
	uint32_t nsectors;
	uint64_t order;  /* of submission */
	uint64_t log;    /* STARTED WRITE: first block of the log */
	vns_t due;       /* STARTED, by clock */
	struct virtq_chain chain;
	struct disk_io io;
	uint8_t *data;
};

struct virtio_blk {
	struct virtio *virtio;
	struct bus *bus;
	struct vclock *clock;
	struct vtimer *timer; /* by clock: the earliest due time of all */
	struct virtio_blk_cfg cfg;
	struct blk_index index;
	uint8_t *data; /* of all slots */

	uint64_t log_next;   /* blocks of the log given out */
	uint64_t order_next;
	uint64_t chaos;      /* generator of delays */
	uint32_t used, waiting; /* slots, counted */
	struct blk_req req[DISK_TAGS];
};

/* ---- blk_req.c ---- */
/* A free slot, or NULL. */
struct blk_req *blk_slot(struct virtio_blk *b);
/* The slot holds a request now: it starts, or waits for those it overlaps. */
void blk_submit(struct virtio_blk *b, struct blk_req *r);
/* Blocks [*first, *first + n) that a request touches; returns n, 0 for FLUSH. */
uint32_t blk_blocks(const struct blk_req *r, uint64_t *first);
/* Fills io of a STARTED request from its other fields and the index. */
void blk_io_fill(struct virtio_blk *b, struct blk_req *r);
/* What was started takes effect on the disk, what waits does not; nothing reaches the guest. */
void blk_abandon(struct virtio_blk *b);
void blk_timer_fire(void *ctx, vns_t deadline);
void blk_timer_arm(struct virtio_blk *b);

/* ---- virtio_blk.c ---- */
/* Answers the guest and frees nothing. written: data bytes before the status byte. */
void blk_answer(struct virtio_blk *b, const struct virtq_chain *c, uint8_t status, uint32_t written);
void blk_take(struct virtio_blk *b); /* what the driver offers, as long as there are slots */
#define BLK_S_OK 0u
#define BLK_S_IOERR 1u
#define BLK_S_UNSUPP 2u

/* ---- blk_state.c ---- */
void blk_save(const void *self, struct bytes *out);
int blk_load(void *self, struct bytes_in *in);

#endif
