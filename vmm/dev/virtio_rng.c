/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entropy device (VIRTIO 1.1, 5.4). What it gives is a function of the
 * machine's seed and of how much was asked for before: a ChaCha20 stream. The
 * seed is the host's, read once and kept in the trace, so the guest's keys are
 * as good as the seed and as secret as the trace.
 */
#include "chacha20.h"
#include "virtio_dev.h"

#include <stdlib.h>

#include "base/digest.h"

#define QUEUE_SIZE 64u
#define REQUEST_MAX 65536u /* a driver gets what was written, and asks again */
#define PIECE 4096u        /* a multiple of CHACHA20_BLOCK */

struct virtio_rng {
	uint64_t pos; /* bytes of the stream given out */

	/* Wiring. */
	struct virtio *virtio;
	uint8_t key[CHACHA20_KEY];

	/* Used within one call only. */
	struct virtq_chain chain;
	uint8_t piece[PIECE];
};

/* The next bytes of the stream into n->piece, up to the end of a piece of it; returns how many. */
static size_t rng_next(struct virtio_rng *n, size_t len)
{
	size_t skip = n->pos % CHACHA20_BLOCK, made = 0;
	uint64_t block = n->pos / CHACHA20_BLOCK;
	if (len > PIECE - skip)
		len = PIECE - skip;
	for (; made < skip + len; made += CHACHA20_BLOCK)
		chacha20_block(n->key, block++, n->piece + made);
	n->pos += len;
	return len;
}

static uint32_t rng_fill(struct virtio_rng *n, const struct virtq_chain *c)
{
	uint32_t len = c->in_len < REQUEST_MAX ? (uint32_t)c->in_len : REQUEST_MAX;
	uint32_t done = 0;
	while (done < len) {
		size_t skip = n->pos % CHACHA20_BLOCK;
		size_t part = rng_next(n, len - done);
		virtq_write(n->virtio, c, done, n->piece + skip, part);
		done += (uint32_t)part;
	}
	return len;
}

static void rng_kick(void *self, unsigned q)
{
	struct virtio_rng *n = self;
	/* A driver has at most QUEUE_SIZE chains out; the look after the last one re-arms its kick. */
	for (unsigned i = 0; i <= QUEUE_SIZE && virtio_pop(n->virtio, q, &n->chain); i++)
		virtio_push(n->virtio, q, n->chain.head, rng_fill(n, &n->chain));
	virtio_notify(n->virtio, q);
}

/* Neither the driver nor a machine that boots again may get the same bytes twice: the stream goes on. */
static void rng_driver_reset(void *self)
{
	(void)self;
}

static void rng_reset(void *self)
{
	struct virtio_rng *n = self;
	virtio_reset(n->virtio);
}

static void rng_destroy(void *self)
{
	struct virtio_rng *n = self;
	virtio_destroy(n->virtio);
	free(n);
}

static void rng_save(const void *self, struct bytes *out)
{
	const struct virtio_rng *n = self;
	virtio_save(n->virtio, out);
}

static int rng_load(void *self, struct bytes_in *in)
{
	struct virtio_rng *n = self;
	return virtio_load(n->virtio, in);
}

static const struct state_field rng_fields[] = {
	STATE_FIELD(struct virtio_rng, pos),
};

static const struct state_desc rng_desc = {
	.name = "virtio-rng",
	.version = 1,
	.fields = rng_fields,
	.nfields = RV_ARRAY_LEN(rng_fields),
};

static const struct device_ops rng_device_ops = {
	.name = "virtio-rng",
	.desc = &rng_desc,
	.reset = rng_reset,
	.destroy = rng_destroy,
	.save = rng_save,
	.load = rng_load,
};

static const struct virtio_model rng_model = {
	.name = "virtio-rng",
	.type = 4,
	.class_code = 0x00ff00,
	.nqueues = 1,
	.queue_size = { QUEUE_SIZE },
	.kick = rng_kick,
	.reset = rng_driver_reset,
};

/* The seed is short and may be small numbers; the key is not. */
static void rng_key_init(struct virtio_rng *n, uint64_t seed)
{
	uint8_t raw[8];
	le64_put(raw, seed);
	for (unsigned i = 0; i < 2; i++) {
		struct digest128 d = digest_bytes(raw, sizeof(raw), i);
		le64_put(n->key + 16 * i, d.lo);
		le64_put(n->key + 16 * i + 8, d.hi);
	}
}

int virtio_rng_create(struct device *dev, const struct virtio_wiring *w, uint64_t seed)
{
	struct virtio_rng *n = calloc(1, sizeof(*n));
	int rc;
	if (!n)
		return RV_ENOMEM;
	rng_key_init(n, seed);
	rc = virtio_create(&n->virtio, w, &rng_model, n);
	if (rc != RV_OK) {
		free(n);
		return rc;
	}
	dev->ops = &rng_device_ops;
	dev->self = n;
	return RV_OK;
}
