/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a virtio device model sees of its transport. A model is state plus
 * reactions: to a kick of a queue, to its configuration space, to a reset.
 * The transport owns the PCI function, the feature negotiation, the queues'
 * registers and the interrupts, and saves all of these; virtq.c owns the walk
 * through descriptors, which are the guest's and hostile.
 *
 * A malformed queue or chain puts the device into DEVICE_NEEDS_RESET (VIRTIO
 * 1.1, 2.1.2): virtio_pop() then returns 0 until the driver resets it.
 */
#ifndef RV_DEV_VIRTIO_DEV_H
#define RV_DEV_VIRTIO_DEV_H

#include "dev/virtio.h"

#define VIRTIO_QUEUES_MAX 4u
#define VIRTQ_SIZE_MAX 256u
#define VIRTQ_SEGS 260u /* segments of one chain; longer ones are malformed */

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)

struct virtio;

/* One segment: RAM, checked to lie within RAM in whole. */
struct virtq_seg {
	gpa_t gpa;
	uint32_t len;
};

/* A chain as the driver offered it: nout segments the device reads, then nin it writes. */
struct virtq_chain {
	uint16_t head;
	uint16_t nout, nin;
	uint64_t out_len, in_len; /* bytes */
	struct virtq_seg seg[VIRTQ_SEGS];
};

struct virtio_model {
	const char *name;
	uint16_t type;            /* VIRTIO 1.1, 5: 1 network, 2 block, 3 console, 4 entropy */
	uint32_t class_code;
	unsigned nqueues;
	uint16_t queue_size[VIRTIO_QUEUES_MAX]; /* largest, powers of two */
	uint64_t features;        /* offered, besides VERSION_1, INDIRECT_DESC and EVENT_IDX */
	unsigned config_len;      /* bytes of device configuration space */
	/* off + size <= config_len; size 1, 2, 4. NULL write: read-only. */
	uint32_t (*config_read)(void *self, unsigned off, unsigned size);
	void (*config_write)(void *self, unsigned off, unsigned size, uint32_t value);
	/* The driver notified queue q (only when DRIVER_OK and the queue is enabled). */
	void (*kick)(void *self, unsigned q);
	/* Status became 0, or the machine is reset: drop what is in flight. */
	void (*reset)(void *self);
	/* Optional: DRIVER_OK was set. */
	void (*ready)(void *self);
};

/* Claims the PCI slot. The transport's own state is saved by virtio_save() / virtio_load(), which a
 * model's device_ops call from their save / load. */
int virtio_create(struct virtio **out, const struct virtio_wiring *w, const struct virtio_model *model,
		  void *self);
void virtio_destroy(struct virtio *v);
void virtio_reset(struct virtio *v); /* power-on; calls model->reset */
void virtio_save(const struct virtio *v, struct bytes *out);
int virtio_load(struct virtio *v, struct bytes_in *in);

uint64_t virtio_features(const struct virtio *v); /* negotiated */
bool virtio_live(const struct virtio *v); /* DRIVER_OK, not needing a reset, may master the bus */
/* The next chain of queue q: 1, or 0 for none (or a malformed one: the device is broken from then on). */
int virtio_pop(struct virtio *v, unsigned q, struct virtq_chain *c);
bool virtio_has(struct virtio *v, unsigned q); /* would virtio_pop() find one? Changes nothing */
/* Undoes the last virtio_pop() of q that was not undone yet: the chain stays with the driver. */
void virtio_unpop(struct virtio *v, unsigned q);
/* Returns chain `head` with `len` bytes written into it, and says so if the driver wants to know. With
 * several at once: push each, then notify once. */
void virtio_push(struct virtio *v, unsigned q, uint16_t head, uint32_t len);
void virtio_notify(struct virtio *v, unsigned q);
/* The model found nonsense in a chain's contents that it cannot answer otherwise: needs reset. */
void virtio_broken(struct virtio *v);
void virtio_config_changed(struct virtio *v); /* configuration-change interrupt */

/* Bytes of the device-readable / device-writable part of a chain, counted from its start; clipped to
 * it. Returns how many were moved. */
size_t virtq_read(struct virtio *v, const struct virtq_chain *c, uint64_t off, void *data, size_t len);
size_t virtq_write(struct virtio *v, const struct virtq_chain *c, uint64_t off, const void *data,
		   size_t len);

/* Does a segment lie within RAM as a whole? What virtio_pop() returns does; what was loaded may not. */
bool virtq_seg_sound(const struct virtio *v, const struct virtq_seg *s);

#endif
