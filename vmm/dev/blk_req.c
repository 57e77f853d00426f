/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a request: submitted at the kick, started when nothing it
 * overlaps is unfinished, completed by an event or by the clock. The index and
 * the log's counter change at these moments only, all of which are positions
 * of the machine's history: so where a block lies is a function of history.
 */
#include "blk_int.h"

#include "base/digest.h"
#include "base/rng.h"

/* By clock: a plain disk's answer, about that of a fast one. */
#define DELAY_BASE 60000u /* ns */
#define DELAY_PER_2_BYTES 1u
#define CHAOS_DELAY 2000000u /* ns: the most that --chaos adds */

/* ---- slots and order ---- */

static unsigned blk_tag(const struct virtio_blk *b, const struct blk_req *r)
{
	return (unsigned)(r - b->req);
}

struct blk_req *blk_slot(struct virtio_blk *b)
{
	if (b->used == DISK_TAGS)
		return NULL;
	for (unsigned i = 0; i < DISK_TAGS; i++)
		if (b->req[i].state == BLK_FREE)
			return &b->req[i];
	return NULL;
}

static void blk_free(struct virtio_blk *b, struct blk_req *r)
{
	r->state = BLK_FREE;
	r->told = false;
	b->used--;
}

/* The unfinished request with the lowest order of all with this state; NULL: none. */
static struct blk_req *blk_first(struct virtio_blk *b, enum blk_req_state state, uint64_t from)
{
	struct blk_req *first = NULL;
	for (unsigned i = 0; i < DISK_TAGS; i++) {
		struct blk_req *r = &b->req[i];
		if (r->state == state && r->order >= from && (!first || r->order < first->order))
			first = r;
	}
	return first;
}

uint32_t blk_blocks(const struct blk_req *r, uint64_t *first)
{
	*first = r->sector / BLK_SECTORS_PER_BLOCK;
	if (r->op == DISK_FLUSH)
		return 0;
	return (uint32_t)((r->sector + r->nsectors - 1) / BLK_SECTORS_PER_BLOCK - *first + 1);
}

static bool blk_modifies(const struct blk_req *r)
{
	return r->op == DISK_WRITE || r->op == DISK_ZEROES;
}

/* Must b wait for the earlier a? A flush is for what came before it, and holds nothing up. */
static bool blk_conflict(const struct blk_req *a, const struct blk_req *b)
{
	uint64_t fa, fb;
	uint32_t na, nb;
	if (a->op == DISK_FLUSH)
		return false;
	if (b->op == DISK_FLUSH)
		return blk_modifies(a);
	if (!blk_modifies(a) && !blk_modifies(b))
		return false;
	na = blk_blocks(a, &fa);
	nb = blk_blocks(b, &fb);
	return fa < fb + nb && fb < fa + na;
}

static bool blk_held(const struct virtio_blk *b, const struct blk_req *r)
{
	for (unsigned i = 0; i < DISK_TAGS; i++) {
		const struct blk_req *a = &b->req[i];
		if (a->state != BLK_FREE && a->order < r->order && blk_conflict(a, r))
			return true;
	}
	return false;
}

/* ---- starting ---- */

void blk_io_fill(struct virtio_blk *b, struct blk_req *r)
{
	struct disk_io *io = &r->io;
	uint64_t first;
	uint32_t n = blk_blocks(r, &first);
	io->op = (enum disk_op)r->op;
	io->data = r->data;
	io->nblocks = n;
	io->block = first;
	io->log = r->log;
	io->nsrc = 0;
	io->guest_at = (uint32_t)(r->sector % BLK_SECTORS_PER_BLOCK) * BLK_SECTOR;
	io->guest_len = r->nsectors * BLK_SECTOR;
	if (r->op == DISK_READ) {
		blk_index_extents(&b->index, first, n, 0, io);
	} else if (r->op == DISK_WRITE) {
		const bool tail = (io->guest_at + io->guest_len) % DISK_BLOCK != 0;
		if (io->guest_at || (tail && n == 1))
			blk_index_extents(&b->index, first, 1, 0, io);
		if (tail && n > 1)
			blk_index_extents(&b->index, first + n - 1, 1, n - 1, io);
	}
}

static vns_t blk_delay(struct virtio_blk *b, const struct blk_req *r)
{
	vns_t ns = DELAY_BASE;
	if (r->op != DISK_FLUSH)
		ns += (vns_t)r->nsectors * BLK_SECTOR / 2 * DELAY_PER_2_BYTES;
	if (b->cfg.chaos)
		ns += rng_next(&b->chaos) % CHAOS_DELAY;
	return ns;
}

void blk_timer_arm(struct virtio_blk *b)
{
	vns_t due = VNS_NEVER;
	if (!b->cfg.by_clock)
		return;
	for (unsigned i = 0; i < DISK_TAGS; i++)
		if (b->req[i].state == BLK_STARTED && b->req[i].due < due)
			due = b->req[i].due;
	if (due == VNS_NEVER)
		vclock_timer_disarm(b->timer);
	else
		vclock_timer_arm(b->timer, due);
}

static void blk_start(struct virtio_blk *b, struct blk_req *r)
{
	uint64_t first;
	r->state = BLK_STARTED;
	if (r->op == DISK_WRITE) {
		r->log = b->log_next;
		b->log_next += blk_blocks(r, &first);
	}
	blk_io_fill(b, r);
	r->told = true;
	disk_start(b->cfg.port, blk_tag(b, r), &r->io);
	if (b->cfg.by_clock) {
		r->due = vclock_now(b->clock) + blk_delay(b, r);
		blk_timer_arm(b);
	}
}

void blk_submit(struct virtio_blk *b, struct blk_req *r)
{
	r->order = b->order_next++;
	r->told = false;
	r->log = 0; /* of the request that had this slot before: no part of the state */
	r->due = 0;
	b->used++;
	r->state = BLK_WAITING;
	if (blk_held(b, r))
		b->waiting++;
	else
		blk_start(b, r);
}

/* Those that waited and need not any more, in the order of submission. */
static void blk_start_waiting(struct virtio_blk *b)
{
	struct blk_req *r = b->waiting ? blk_first(b, BLK_WAITING, 0) : NULL;
	while (r) {
		uint64_t next = r->order + 1;
		if (!blk_held(b, r)) {
			b->waiting--;
			blk_start(b, r);
		}
		r = blk_first(b, BLK_WAITING, next);
	}
}

/* ---- completion ---- */

/* Are blocks that came from the log what the index says was put there? */
static int blk_verify(const struct virtio_blk *b, const struct blk_req *r)
{
	for (unsigned i = 0; i < r->io.nsrc; i++) {
		const struct disk_extent *s = &r->io.src[i];
		if (s->place != DISK_LOG)
			continue;
		for (uint32_t k = 0; k < s->nblocks; k++) {
			const uint32_t at = s->at + k;
			const struct blk_entry e = blk_index_get(&b->index, r->io.block + at);
			if (digest_bytes(r->data + (size_t)at * DISK_BLOCK, DISK_BLOCK, 0).lo != e.hash)
				return RV_EDAMAGED;
		}
	}
	return RV_OK;
}

/* What the request does to the index. */
static void blk_apply(struct virtio_blk *b, const struct blk_req *r)
{
	if (!blk_modifies(r))
		return;
	for (uint32_t i = 0; i < r->io.nblocks; i++) {
		struct blk_entry e = { .place = DISK_ZERO };
		if (r->op == DISK_WRITE) {
			e.place = DISK_LOG;
			e.log = r->log + i;
			e.hash = digest_bytes(r->data + (size_t)i * DISK_BLOCK, DISK_BLOCK, 0).lo;
		}
		blk_index_set(&b->index, r->io.block + i, &e);
	}
}

/* The port's part of it, done. A request that came with a checkpoint is new to the port. */
static int blk_finish(struct virtio_blk *b, struct blk_req *r)
{
	int rc;
	if (!r->told) {
		blk_io_fill(b, r);
		r->told = true;
		disk_start(b->cfg.port, blk_tag(b, r), &r->io);
	}
	rc = disk_finish(b->cfg.port, blk_tag(b, r));
	/* The edges of a write as well: the index had not changed since it was started. */
	if (rc == RV_OK && r->op == DISK_READ)
		rc = blk_verify(b, r);
	if (rc == RV_OK)
		blk_apply(b, r);
	return rc;
}

/* The request is over: the guest hears of it, and what waited for it goes on. */
static void blk_done(struct virtio_blk *b, struct blk_req *r, uint8_t status)
{
	uint32_t written = 0;
	if (status == BLK_S_OK && r->op == DISK_READ) {
		written = r->io.guest_len;
		virtq_write(b->virtio, &r->chain, 0, r->data + r->io.guest_at, written);
	}
	blk_answer(b, &r->chain, status, written);
	blk_free(b, r);
	virtio_notify(b->virtio, 0);
	blk_start_waiting(b);
	blk_take(b);
}

int virtio_blk_complete(struct virtio_blk *b, unsigned tag, unsigned status)
{
	struct blk_req *r;
	int rc;
	if (b->cfg.by_clock || tag >= DISK_TAGS || status > ND_DISK_ERROR ||
	    b->req[tag].state != BLK_STARTED)
		return RV_EINVAL;
	r = &b->req[tag];
	if (status == ND_DISK_ERROR) {
		if (r->told)
			disk_drop(b->cfg.port, tag);
		blk_done(b, r, BLK_S_IOERR);
		return RV_OK;
	}
	rc = blk_finish(b, r);
	if (rc == RV_OK)
		blk_done(b, r, BLK_S_OK);
	return rc;
}

void blk_timer_fire(void *ctx, vns_t deadline)
{
	struct virtio_blk *b = ctx;
	(void)deadline;
	for (;;) {
		struct blk_req *r = NULL;
		int rc;
		for (unsigned i = 0; i < DISK_TAGS; i++) {
			struct blk_req *c = &b->req[i];
			if (c->state == BLK_STARTED && c->due <= vclock_now(b->clock) &&
			    (!r || c->due < r->due || (c->due == r->due && c->order < r->order)))
				r = c;
		}
		if (!r)
			break;
		rc = blk_finish(b, r);
		if (rc != RV_OK) {
			bus_request(b->bus, BUS_REQ_FAILED, (uint32_t)-rc);
			return;
		}
		blk_done(b, r, BLK_S_OK);
	}
	blk_timer_arm(b);
}

void blk_abandon(struct virtio_blk *b)
{
	struct blk_req *r;
	while ((r = blk_first(b, BLK_STARTED, 0))) {
		int rc = blk_finish(b, r);
		if (rc != RV_OK)
			bus_request(b->bus, BUS_REQ_FAILED, (uint32_t)-rc);
		blk_free(b, r);
	}
	for (unsigned i = 0; i < DISK_TAGS; i++)
		if (b->req[i].state != BLK_FREE)
			blk_free(b, &b->req[i]);
	b->waiting = 0;
	blk_timer_arm(b);
}

void virtio_blk_restart(struct virtio_blk *b)
{
	struct blk_req *r;
	for (uint64_t from = 0; (r = blk_first(b, BLK_STARTED, from)); from = r->order + 1) {
		if (r->told)
			continue;
		blk_io_fill(b, r);
		r->told = true;
		disk_start(b->cfg.port, blk_tag(b, r), &r->io);
	}
}
