/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk port: how a block device reads and writes what the host keeps for
 * it, without a handle of its own and without seeing whether it runs live or
 * in a replay.
 *
 * The device owns everything that is state: which requests are in flight,
 * where each block's newest contents lie (the index), and how far the block
 * log reaches. The port moves bytes. There are three places, all counted in
 * blocks of DISK_BLOCK bytes: the *base* (the image, a short last block reads
 * as zeros behind its end), the *block log* (append-only: a place in it is
 * written once, and the device says where), and nothing (zeros).
 *
 * A live implementation does the work on threads of its own and announces a
 * finished request to the live inbound port (ND_DISK); one for replay does
 * it within finish(), where the log says it happened. All calls: vCPU thread.
 */
#ifndef RV_PORT_DISK_H
#define RV_PORT_DISK_H

#include "base/status.h"
#include "base/types.h"

#define DISK_BLOCK 4096u
#define DISK_TAGS 128u               /* requests in flight: tag < DISK_TAGS */
#define DISK_IO_BLOCKS 258u          /* blocks of one request: 1 MiB and two edges */
#define DISK_EXTENTS DISK_IO_BLOCKS

enum disk_place { DISK_ZERO, DISK_BASE, DISK_LOG };

struct disk_extent {
	enum disk_place place;
	uint64_t block;    /* first, in the base or in the log */
	uint32_t at;       /* block within the request's data where its contents go */
	uint32_t nblocks;
};

enum disk_op {
	DISK_READ,  /* src[] to data */
	DISK_WRITE, /* src[] (edges that the guest's write does not cover) to data, then data to the log */
	DISK_ZEROES, /* the base's blocks become zeros: with commit only, else the index says it all */
	DISK_FLUSH, /* what was finished becomes durable, as far as this port makes anything durable */
};

/* One request, valid until finish() or drop() of its tag; so is data. */
struct disk_io {
	enum disk_op op;
	uint8_t *data;     /* nblocks * DISK_BLOCK bytes; of a write, the edges in src[] are filled by the port */
	uint32_t nblocks;
	uint64_t block;    /* first block on the guest's disk: where commit=on writes it in the base */
	uint64_t log;      /* DISK_WRITE: first block of the log to write to */
	/* DISK_WRITE: which bytes of data the guest wrote; edges are copied around them. */
	uint32_t guest_at, guest_len;
	unsigned nsrc;
	struct disk_extent src[DISK_EXTENTS];
};

struct disk {
	const struct disk_ops *ops;
};

struct disk_ops {
	/* Begins a request; io stays valid and unmoved until the tag is finished or dropped. */
	void (*start)(struct disk *d, unsigned tag, struct disk_io *io);
	/* Completes it, waiting for the host if need be. RV_OK; RV_EIO or RV_ENOSPC: the host could not;
	 * RV_ECHANGED: the base is not what it was when recorded; RV_EDAMAGED: the trace's block log. */
	int (*finish)(struct disk *d, unsigned tag);
	/* The request ended in an error that the log holds: it has no effect, the host is not asked. */
	void (*drop)(struct disk *d, unsigned tag);
};

static inline void disk_start(struct disk *d, unsigned tag, struct disk_io *io)
{
	d->ops->start(d, tag, io);
}
static inline int disk_finish(struct disk *d, unsigned tag)
{
	return d->ops->finish(d, tag);
}
static inline void disk_drop(struct disk *d, unsigned tag)
{
	d->ops->drop(d, tag);
}

#endif
