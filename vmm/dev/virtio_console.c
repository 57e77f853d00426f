/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Console device (VIRTIO 1.1, 5.3): one port, no control queues. Output leaves
 * at the kick; input waits in a ring in here until the driver has buffers, as
 * it would on the wire of a UART, also while there is no driver yet.
 */
#include "virtio_dev.h"

#include <stdlib.h>
#include <string.h>

#define QUEUE_RX 0u
#define QUEUE_TX 1u
#define QUEUE_SIZE 64u
#define RING 4096u
#define PIECE 4096u
#define WRITE_MAX 0x100000u /* bytes in one chain; no driver comes near */

/* struct virtio_console_config, 5.3.4: terminal size and emergency write are not offered. */
#define CONFIG_PORTS 4u
#define CONFIG_SIZE 12u

struct virtio_console {
	uint8_t ring[RING];
	uint32_t ring_head, ring_len;

	/* Wiring. */
	struct virtio *virtio;
	struct vclock *clock;
	struct output *output;
	unsigned instance;

	/* Used within one call only. */
	struct virtq_chain chain;
	uint8_t piece[PIECE];
};

static uint32_t console_config_read(void *self, unsigned off, unsigned size)
{
	uint8_t raw[CONFIG_SIZE + 4] = { 0 };
	(void)self;
	le32_put(raw + CONFIG_PORTS, 1);
	return le32_get(raw + off) & (size == 4 ? UINT32_MAX : (1u << size * 8) - 1);
}

/* ---- output ---- */

static void console_transmit(struct virtio_console *c)
{
	const struct virtq_chain *chain = &c->chain;
	for (uint64_t done = 0; done < chain->out_len;) {
		size_t part = virtq_read(c->virtio, chain, done, c->piece, PIECE);
		output_emit(c->output, vclock_icount(c->clock), OUT_CONSOLE, c->instance, c->piece,
			    part);
		done += part;
	}
}

static void console_kick_tx(struct virtio_console *c)
{
	/* A driver has at most QUEUE_SIZE chains out; the look after the last one re-arms its kick. */
	for (unsigned i = 0; i <= QUEUE_SIZE && virtio_pop(c->virtio, QUEUE_TX, &c->chain); i++) {
		/* Segments may overlap: so much need not even be in the guest's memory. */
		if (c->chain.out_len > WRITE_MAX) {
			virtio_broken(c->virtio);
			return;
		}
		console_transmit(c);
		virtio_push(c->virtio, QUEUE_TX, c->chain.head, 0);
	}
	virtio_notify(c->virtio, QUEUE_TX);
}

/* ---- input ---- */

/* Moves bytes from the ring's head into the chain; returns how many. */
static uint32_t console_fill(struct virtio_console *c)
{
	uint32_t len = c->chain.in_len < c->ring_len ? (uint32_t)c->chain.in_len : c->ring_len;
	uint32_t done = 0;
	while (done < len) {
		uint32_t part = RING - c->ring_head;
		if (part > len - done)
			part = len - done;
		virtq_write(c->virtio, &c->chain, done, c->ring + c->ring_head, part);
		c->ring_head = (c->ring_head + part) % RING;
		c->ring_len -= part;
		done += part;
	}
	return len;
}

/* Gives what waits to the driver, as far as it has buffers. */
static void console_drain(struct virtio_console *c)
{
	for (unsigned i = 0; i <= QUEUE_SIZE && c->ring_len; i++) {
		if (!virtio_pop(c->virtio, QUEUE_RX, &c->chain))
			break;
		virtio_push(c->virtio, QUEUE_RX, c->chain.head, console_fill(c));
	}
	virtio_notify(c->virtio, QUEUE_RX);
}

uint32_t virtio_console_room(const struct virtio_console *c)
{
	return RING - c->ring_len;
}

void virtio_console_input(struct virtio_console *c, const uint8_t *data, uint32_t len)
{
	uint32_t room = virtio_console_room(c);
	if (len > room)
		len = room;
	for (uint32_t i = 0; i < len; i++)
		c->ring[(c->ring_head + c->ring_len++) % RING] = data[i];
	console_drain(c);
}

static void console_kick(void *self, unsigned q)
{
	if (q == QUEUE_TX)
		console_kick_tx(self);
	else
		console_drain(self);
}

static void console_ready(void *self)
{
	console_drain(self); /* buffers may have been there before DRIVER_OK */
}

/* ---- the device ---- */

/* What was typed is the line's, not the driver's, which resets the device before it uses it. */
static void console_driver_reset(void *self)
{
	(void)self;
}

static void console_reset(void *self)
{
	struct virtio_console *c = self;
	memset(c->ring, 0, sizeof(c->ring));
	c->ring_head = c->ring_len = 0;
	virtio_reset(c->virtio);
}

static void console_destroy(void *self)
{
	struct virtio_console *c = self;
	virtio_destroy(c->virtio);
	free(c);
}

static void console_save(const void *self, struct bytes *out)
{
	const struct virtio_console *c = self;
	virtio_save(c->virtio, out);
}

static int console_load(void *self, struct bytes_in *in)
{
	struct virtio_console *c = self;
	return virtio_load(c->virtio, in);
}

static int console_post_load(void *obj)
{
	const struct virtio_console *c = obj;
	return c->ring_head >= RING || c->ring_len > RING ? RV_EINVAL : RV_OK;
}

static const struct state_field console_fields[] = {
	STATE_ARRAY(struct virtio_console, ring),
	STATE_FIELD(struct virtio_console, ring_head),
	STATE_FIELD(struct virtio_console, ring_len),
};

static const struct state_desc console_desc = {
	.name = "virtio-console",
	.version = 1,
	.fields = console_fields,
	.nfields = RV_ARRAY_LEN(console_fields),
	.post_load = console_post_load,
};

static const struct device_ops console_device_ops = {
	.name = "virtio-console",
	.desc = &console_desc,
	.reset = console_reset,
	.destroy = console_destroy,
	.save = console_save,
	.load = console_load,
};

static const struct virtio_model console_model = {
	.name = "virtio-console",
	.type = 3,
	.class_code = 0x078000,
	.nqueues = 2,
	.queue_size = { QUEUE_SIZE, QUEUE_SIZE },
	.config_len = CONFIG_SIZE,
	.config_read = console_config_read,
	.kick = console_kick,
	.reset = console_driver_reset,
	.ready = console_ready,
};

int virtio_console_create(struct virtio_console **out, struct device *dev,
			  const struct virtio_wiring *w, struct output *output, unsigned instance)
{
	struct virtio_console *c = calloc(1, sizeof(*c));
	int rc;
	if (!c)
		return RV_ENOMEM;
	c->clock = w->clock;
	c->output = output;
	c->instance = instance;
	rc = virtio_create(&c->virtio, w, &console_model, c);
	if (rc != RV_OK) {
		free(c);
		return rc;
	}
	*out = c;
	dev->ops = &console_device_ops;
	dev->self = c;
	return RV_OK;
}
