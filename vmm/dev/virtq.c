/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues (VIRTIO 1.1, 2.6): the walk through what the driver put
 * into its memory. All of it is hostile; nothing of it is looked at twice
 * where the two looks could differ.
 *
 * No barriers: the machine's vCPUs run on one host thread, and this code runs
 * within one guest instruction or between two.
 */
#include "virtio_int.h"

#include <string.h>

#define DESC_SIZE 16u
#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_INDIRECT 4u
#define AVAIL_NO_INTERRUPT 1u

struct virtq_desc {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags, next;
};

/* Does the range lie in RAM as a whole? It may not reach into the hole. */
static bool ram_range(const struct guest_mem *mem, gpa_t gpa, uint64_t len)
{
	uint64_t low = mem_low_size(mem), high = mem_high_size(mem);
	if (gpa < low)
		return len <= low - gpa;
	return gpa >= MEM_HOLE_END && gpa - MEM_HOLE_END < high && len <= high - (gpa - MEM_HOLE_END);
}

static uint16_t guest16(const struct virtio *v, gpa_t gpa)
{
	uint8_t b[2];
	mem_read(v->mem, gpa, b, sizeof(b));
	return le16_get(b);
}

static void guest16_put(struct virtio *v, gpa_t gpa, uint16_t value)
{
	uint8_t b[2];
	le16_put(b, value);
	mem_write(v->mem, gpa, b, sizeof(b));
}

static bool event_idx(const struct virtio *v)
{
	return v->features & VIRTIO_F_EVENT_IDX;
}

/* The three parts in RAM: found out at each use, since nothing keeps the driver from enabling nonsense. */
static bool queue_sound(const struct virtio *v, const struct virtq *q)
{
	return ram_range(v->mem, q->desc, (uint64_t)q->size * DESC_SIZE) &&
	       ram_range(v->mem, q->avail, 6 + 2ull * q->size) &&
	       ram_range(v->mem, q->used, 6 + 8ull * q->size);
}

static struct virtq_desc desc_get(const struct virtio *v, gpa_t table, uint16_t i)
{
	uint8_t b[DESC_SIZE];
	mem_read(v->mem, table + (uint64_t)i * DESC_SIZE, b, sizeof(b));
	return (struct virtq_desc){ le64_get(b), le32_get(b + 8), le16_get(b + 12), le16_get(b + 14) };
}

/* One descriptor into the chain. False: nonsense. */
static bool chain_add(const struct virtio *v, struct virtq_chain *c, const struct virtq_desc *d)
{
	const bool write = d->flags & DESC_WRITE;
	unsigned n = c->nout + c->nin;
	/* What the device reads comes before what it writes (2.6.4.2). */
	if (n == VIRTQ_SEGS || (!write && c->nin) || !ram_range(v->mem, d->gpa, d->len))
		return false;
	c->seg[n] = (struct virtq_seg){ d->gpa, d->len };
	if (write) {
		c->nin++;
		c->in_len += d->len;
	} else {
		c->nout++;
		c->out_len += d->len;
	}
	return true;
}

/* 2.6.5: a chain ends with a descriptor without NEXT, or with one that points to a table of its own. */
static bool chain_walk(const struct virtio *v, const struct virtq *q, uint16_t head, struct virtq_chain *c)
{
	gpa_t table = q->desc;
	uint32_t entries = q->size, steps = 0;
	uint16_t i = head;
	bool indirect = false;
	for (;;) {
		struct virtq_desc d;
		if (i >= entries || ++steps > entries)
			return false;
		d = desc_get(v, table, i);
		if (d.flags & DESC_INDIRECT) {
			if (indirect || (d.flags & DESC_NEXT) || !(v->features & VIRTIO_F_INDIRECT_DESC) ||
			    d.len == 0 || d.len % DESC_SIZE || !ram_range(v->mem, d.gpa, d.len))
				return false;
			indirect = true;
			table = d.gpa;
			entries = d.len / DESC_SIZE;
			steps = 0;
			i = 0;
			continue;
		}
		if (!chain_add(v, c, &d))
			return false;
		if (!(d.flags & DESC_NEXT))
			return true;
		i = d.next;
	}
}

static bool queue_usable(struct virtio *v, unsigned qi)
{
	struct virtq *q = &v->q[qi];
	if (!virtio_live(v) || !q->enabled)
		return false;
	if (!queue_sound(v, q)) {
		virtio_broken(v);
		return false;
	}
	return true;
}

/* How many chains wait; more than the queue holds is nonsense. */
static uint16_t queue_waiting(struct virtio *v, struct virtq *q)
{
	uint16_t n = (uint16_t)(guest16(v, q->avail + 2) - q->next_avail);
	if (n <= q->size)
		return n;
	virtio_broken(v);
	return 0;
}

/* The run loop asks at moments that are no part of history, so nothing may come of it: a queue that is
 * nonsense has no chain, and breaks the device when virtio_pop() looks. */
bool virtio_has(struct virtio *v, unsigned qi)
{
	const struct virtq *q = &v->q[qi];
	uint16_t n;
	if (!virtio_live(v) || !q->enabled || !queue_sound(v, q))
		return false;
	n = (uint16_t)(guest16(v, q->avail + 2) - q->next_avail);
	return n != 0 && n <= q->size;
}

int virtio_pop(struct virtio *v, unsigned qi, struct virtq_chain *c)
{
	struct virtq *q = &v->q[qi];
	if (!queue_usable(v, qi))
		return 0;
	if (queue_waiting(v, q) == 0) {
		/* 2.6.7.1: the driver's next chain is the one to be told of. */
		if (event_idx(v))
			guest16_put(v, q->used + 4 + 8ull * q->size, q->next_avail);
		return 0;
	}
	c->head = guest16(v, q->avail + 4 + 2ull * (q->next_avail & (q->size - 1u)));
	c->nout = c->nin = 0;
	c->out_len = c->in_len = 0;
	if (!chain_walk(v, q, c->head, c)) {
		virtio_broken(v);
		return 0;
	}
	q->next_avail++;
	return 1;
}

void virtio_unpop(struct virtio *v, unsigned qi)
{
	v->q[qi].next_avail--;
}

void virtio_push(struct virtio *v, unsigned qi, uint16_t head, uint32_t len)
{
	struct virtq *q = &v->q[qi];
	uint8_t entry[8];
	if (!queue_usable(v, qi))
		return;
	le32_put(entry, head);
	le32_put(entry + 4, len);
	mem_write(v->mem, q->used + 4 + 8ull * (q->next_used & (q->size - 1u)), entry, sizeof(entry));
	q->next_used++;
	guest16_put(v, q->used + 2, q->next_used);
}

void virtio_notify(struct virtio *v, unsigned qi)
{
	struct virtq *q = &v->q[qi];
	uint16_t was = q->told, event;
	if (!queue_usable(v, qi) || q->next_used == was)
		return;
	if (event_idx(v)) {
		/* 2.6.7.2: only if the index the driver asked for is among the new ones. */
		event = guest16(v, q->avail + 4 + 2ull * q->size);
		q->told = q->next_used;
		if ((uint16_t)(q->next_used - event - 1) >= (uint16_t)(q->next_used - was))
			return;
	} else {
		q->told = q->next_used;
		if (guest16(v, q->avail) & AVAIL_NO_INTERRUPT)
			return;
	}
	virtio_signal(v, q->vector, ISR_QUEUE);
}

bool virtq_seg_sound(const struct virtio *v, const struct virtq_seg *s)
{
	return ram_range(v->mem, s->gpa, s->len);
}

/* ---- contents ---- */

/* Moves bytes [off, off + len) of segments [first, first + n) to or from data. */
static size_t chain_copy(struct virtio *v, const struct virtq_seg *seg, unsigned n, uint64_t off,
			 uint8_t *to, const uint8_t *from, size_t len)
{
	size_t done = 0;
	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part;
		if (off >= seg[i].len) {
			off -= seg[i].len;
			continue;
		}
		part = seg[i].len - (size_t)off;
		if (part > len - done)
			part = len - done;
		if (to)
			mem_read(v->mem, seg[i].gpa + off, to + done, part);
		else
			mem_write(v->mem, seg[i].gpa + off, from + done, part);
		done += part;
		off = 0;
	}
	return done;
}

size_t virtq_read(struct virtio *v, const struct virtq_chain *c, uint64_t off, void *data, size_t len)
{
	return chain_copy(v, c->seg, c->nout, off, data, NULL, len);
}

size_t virtq_write(struct virtio *v, const struct virtq_chain *c, uint64_t off, const void *data,
		   size_t len)
{
	return chain_copy(v, c->seg + c->nout, c->nin, off, NULL, data, len);
}
