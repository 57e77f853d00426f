/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network device (VIRTIO 1.1, 5.1): one receive, one transmit, one control
 * queue. A frame leaves at the kick and its buffers return at once; a received
 * frame enters guest memory when its event is applied, as a whole or not at
 * all. No frame waits in here, so the device has next to no state.
 *
 * Frames on the wire are complete. What the driver leaves to be done (a
 * checksum, VIRTIO_NET_F_CSUM) is done here; segmentation is not offered. To
 * spare the guest the sum over what it receives, the device does it, and says
 * DATA_VALID only of what it found right (5.1.6.4.1).
 */
#include "net_csum.h"
#include "virtio_dev.h"

#include <stdlib.h>
#include <string.h>

#define F_CSUM (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MTU (1ull << 3)
#define F_MAC (1ull << 5)
#define F_MRG_RXBUF (1ull << 15)
#define F_STATUS (1ull << 16)
#define F_CTRL_VQ (1ull << 17)
#define F_GUEST_ANNOUNCE (1ull << 21)

#define QUEUE_RX 0u
#define QUEUE_TX 1u
#define QUEUE_CTRL 2u
#define QUEUE_SIZE 256u
#define CTRL_SIZE 64u

/* struct virtio_net_config, 5.1.4 */
#define CONFIG_STATUS 6u
#define CONFIG_PAIRS 8u
#define CONFIG_MTU 10u
#define CONFIG_SIZE 12u
#define STATUS_LINK_UP 1u
#define STATUS_ANNOUNCE 2u

/* struct virtio_net_hdr, 5.1.6 */
#define HDR_FLAGS 0u
#define HDR_GSO_TYPE 1u
#define HDR_CSUM_START 6u
#define HDR_CSUM_OFFSET 8u
#define HDR_NUM_BUFFERS 10u
#define HDR_SIZE 12u
#define HDR_F_NEEDS_CSUM 1u
#define HDR_F_DATA_VALID 2u

/* The control queue, 5.1.6.5. */
#define CTRL_ANNOUNCE 3u
#define CTRL_ANNOUNCE_ACK 0u
#define CTRL_OK 0u
#define CTRL_ERR 1u

#define FRAME_MIN 14u
#define FRAME_MAX 65535u
#define VLAN_TAG 4u
#define MTU_MIN 68u /* 5.1.4.1; less in the configuration means nobody said */
#define MTU_USUAL 1500u

struct virtio_net {
	bool announce; /* the driver is asked to announce itself, and has not said that it did */

	/* Wiring. */
	struct virtio *virtio;
	struct vclock *clock;
	struct output *output;
	unsigned instance;
	uint8_t mac[6];
	uint16_t mtu;

	/* Used within one call only. */
	struct virtq_chain chain, first;
	uint8_t frame[FRAME_MAX];
	uint16_t head[QUEUE_SIZE];
	uint32_t used[QUEUE_SIZE];
};

static uint32_t net_config_read(void *self, unsigned off, unsigned size)
{
	const struct virtio_net *n = self;
	uint8_t raw[CONFIG_SIZE + 4] = { 0 };
	memcpy(raw, n->mac, sizeof(n->mac));
	le16_put(raw + CONFIG_STATUS,
		 (uint16_t)(STATUS_LINK_UP | (n->announce ? STATUS_ANNOUNCE : 0)));
	le16_put(raw + CONFIG_PAIRS, 1);
	le16_put(raw + CONFIG_MTU, n->mtu);
	return le32_get(raw + off) & (size == 4 ? UINT32_MAX : (1u << size * 8) - 1);
}

/* ---- transmit ---- */

/* Is it a frame, and has it gone out? */
static bool net_transmit(struct virtio_net *n, const struct virtq_chain *c)
{
	uint8_t hdr[HDR_SIZE];
	uint32_t len;
	if (c->out_len < HDR_SIZE + FRAME_MIN || c->out_len > HDR_SIZE + FRAME_MAX)
		return false;
	len = (uint32_t)c->out_len - HDR_SIZE;
	virtq_read(n->virtio, c, 0, hdr, HDR_SIZE);
	virtq_read(n->virtio, c, HDR_SIZE, n->frame, len);
	if (hdr[HDR_GSO_TYPE] != 0) /* to be cut into segments, which was never offered */
		return false;
	if ((hdr[HDR_FLAGS] & HDR_F_NEEDS_CSUM) && (virtio_features(n->virtio) & F_CSUM) &&
	    !net_csum_complete(n->frame, len, le16_get(hdr + HDR_CSUM_START),
			       le16_get(hdr + HDR_CSUM_OFFSET)))
		return false;
	output_emit(n->output, vclock_icount(n->clock), OUT_NET, n->instance, n->frame, len);
	return true;
}

static void net_kick_tx(struct virtio_net *n)
{
	/* A driver has at most QUEUE_SIZE chains out; the look after the last one re-arms its kick. Where
	 * rings overlap, what the device writes may look like more. */
	for (unsigned i = 0; i <= QUEUE_SIZE && virtio_pop(n->virtio, QUEUE_TX, &n->chain); i++) {
		(void)net_transmit(n, &n->chain);
		virtio_push(n->virtio, QUEUE_TX, n->chain.head, 0);
	}
	virtio_notify(n->virtio, QUEUE_TX);
}

/* ---- control ---- */

static uint8_t net_command(struct virtio_net *n, const struct virtq_chain *c)
{
	uint8_t cmd[2];
	if (virtq_read(n->virtio, c, 0, cmd, sizeof(cmd)) != sizeof(cmd))
		return CTRL_ERR;
	if (cmd[0] != CTRL_ANNOUNCE || cmd[1] != CTRL_ANNOUNCE_ACK ||
	    !(virtio_features(n->virtio) & F_GUEST_ANNOUNCE))
		return CTRL_ERR;
	n->announce = false;
	return CTRL_OK;
}

static void net_kick_ctrl(struct virtio_net *n)
{
	for (unsigned i = 0; i <= CTRL_SIZE && virtio_pop(n->virtio, QUEUE_CTRL, &n->chain); i++) {
		uint8_t ack;
		if (n->chain.in_len == 0) { /* no room for an answer */
			virtio_broken(n->virtio);
			return;
		}
		ack = net_command(n, &n->chain);
		/* 5.1.6.5: the answer is the last byte of the chain. */
		virtq_write(n->virtio, &n->chain, n->chain.in_len - 1, &ack, 1);
		virtio_push(n->virtio, QUEUE_CTRL, n->chain.head,
			    n->chain.in_len > UINT32_MAX ? UINT32_MAX : (uint32_t)n->chain.in_len);
	}
	virtio_notify(n->virtio, QUEUE_CTRL);
}

void virtio_net_announce(struct virtio_net *n)
{
	if (!virtio_live(n->virtio) || !(virtio_features(n->virtio) & F_GUEST_ANNOUNCE))
		return;
	n->announce = true;
	virtio_config_changed(n->virtio);
}

static void net_kick(void *self, unsigned q)
{
	switch (q) {
	case QUEUE_TX:
		net_kick_tx(self);
		break;
	case QUEUE_CTRL:
		net_kick_ctrl(self);
		break;
	default: /* new receive buffers: they are looked at when there is something to receive */
		break;
	}
}

/* ---- receive ---- */

bool virtio_net_ready(const struct virtio_net *n)
{
	return virtio_live(n->virtio) && virtio_has(n->virtio, QUEUE_RX);
}

/* Longer than the driver was told that frames get (5.1.4.1)? */
static bool net_too_long(const struct virtio_net *n, const uint8_t *frame, uint32_t len)
{
	uint32_t most = FRAME_MIN + n->mtu;
	if (!(virtio_features(n->virtio) & F_MTU) || len <= most)
		return false;
	/* 802.1Q and 802.1ad tags do not count. */
	if ((frame[12] == 0x81 && frame[13] == 0x00) || (frame[12] == 0x88 && frame[13] == 0xa8))
		most += VLAN_TAG;
	return len > most;
}

/* Puts the frame behind the header's place into one buffer, or with MRG_RXBUF into as many as it takes
 * (5.1.6.4). Returns how many; 0: they do not suffice, and all stay with the driver, which may not look
 * into them before they are returned. */
static unsigned net_scatter(struct virtio_net *n, const uint8_t *frame, uint32_t len)
{
	const unsigned most = virtio_features(n->virtio) & F_MRG_RXBUF ? QUEUE_SIZE : 1;
	struct virtio *v = n->virtio;
	uint32_t done = 0;
	unsigned count = 0;
	while (done < len && count < most) {
		struct virtq_chain *c = count ? &n->chain : &n->first;
		uint64_t skip = count ? 0 : HDR_SIZE;
		uint32_t part = len - done;
		if (!virtio_pop(v, QUEUE_RX, c))
			break;
		if (c->in_len <= HDR_SIZE) { /* 5.1.6.3.1 wants more of each */
			virtio_broken(v);
			return 0;
		}
		if (part > c->in_len - skip)
			part = (uint32_t)(c->in_len - skip);
		virtq_write(v, c, skip, frame + done, part);
		n->head[count] = c->head;
		n->used[count] = part + (uint32_t)skip;
		count++;
		done += part;
	}
	if (done == len)
		return count;
	while (count--)
		virtio_unpop(v, QUEUE_RX);
	return 0;
}

int virtio_net_input(struct virtio_net *n, const uint8_t *frame, uint32_t len)
{
	uint8_t hdr[HDR_SIZE] = { 0 };
	unsigned count;
	if (len < FRAME_MIN || len > FRAME_MAX)
		return RV_EINVAL;
	if (!virtio_live(n->virtio) || net_too_long(n, frame, len))
		return RV_OK;
	count = net_scatter(n, frame, len);
	if (count == 0)
		return RV_OK;
	if ((virtio_features(n->virtio) & F_GUEST_CSUM) && net_csum_valid(frame, len))
		hdr[HDR_FLAGS] = HDR_F_DATA_VALID;
	le16_put(hdr + HDR_NUM_BUFFERS, (uint16_t)count);
	virtq_write(n->virtio, &n->first, 0, hdr, HDR_SIZE);
	for (unsigned i = 0; i < count; i++)
		virtio_push(n->virtio, QUEUE_RX, n->head[i], n->used[i]);
	virtio_notify(n->virtio, QUEUE_RX);
	return RV_OK;
}

/* ---- the device ---- */

static void net_driver_reset(void *self)
{
	struct virtio_net *n = self;
	n->announce = false;
}

static void net_reset(void *self)
{
	struct virtio_net *n = self;
	virtio_reset(n->virtio);
}

static void net_destroy(void *self)
{
	struct virtio_net *n = self;
	virtio_destroy(n->virtio);
	free(n);
}

static void net_save(const void *self, struct bytes *out)
{
	const struct virtio_net *n = self;
	virtio_save(n->virtio, out);
}

static int net_load(void *self, struct bytes_in *in)
{
	struct virtio_net *n = self;
	int rc = virtio_load(n->virtio, in);
	/* The bit is only ever set under the feature, and goes with it. */
	if (rc == RV_OK && n->announce && !(virtio_features(n->virtio) & F_GUEST_ANNOUNCE))
		rc = RV_EINVAL;
	return rc;
}

static const struct state_field net_fields[] = {
	STATE_BOOL(struct virtio_net, announce),
};

static const struct state_desc net_desc = {
	.name = "virtio-net",
	.version = 1,
	.fields = net_fields,
	.nfields = RV_ARRAY_LEN(net_fields),
};

static const struct device_ops net_device_ops = {
	.name = "virtio-net",
	.desc = &net_desc,
	.reset = net_reset,
	.destroy = net_destroy,
	.save = net_save,
	.load = net_load,
};

static const struct virtio_model net_model = {
	.name = "virtio-net",
	.type = 1,
	.class_code = 0x020000,
	.nqueues = 3,
	.queue_size = { QUEUE_SIZE, QUEUE_SIZE, CTRL_SIZE },
	.features = F_CSUM | F_GUEST_CSUM | F_MTU | F_MAC | F_MRG_RXBUF | F_STATUS | F_CTRL_VQ |
		    F_GUEST_ANNOUNCE,
	.config_len = CONFIG_SIZE,
	.config_read = net_config_read,
	.kick = net_kick,
	.reset = net_driver_reset,
};

int virtio_net_create(struct virtio_net **out, struct device *dev, const struct virtio_wiring *w,
		      const struct virtio_net_cfg *cfg)
{
	struct virtio_net *n = calloc(1, sizeof(*n));
	int rc;
	if (!n)
		return RV_ENOMEM;
	n->clock = w->clock;
	n->output = cfg->output;
	n->instance = cfg->instance;
	memcpy(n->mac, cfg->mac, sizeof(n->mac));
	n->mtu = cfg->mtu < MTU_MIN ? MTU_USUAL : cfg->mtu;
	rc = virtio_create(&n->virtio, w, &net_model, n);
	if (rc != RV_OK) {
		free(n);
		return rc;
	}
	*out = n;
	dev->ops = &net_device_ops;
	dev->self = n;
	return RV_OK;
}
