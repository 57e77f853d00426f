/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio transport over PCI (VIRTIO 1.1, 4.1), modern devices only. BAR 0
 * holds the four register blocks, BAR 1 the MSI-X table.
 */
#include "virtio_int.h"

#include <stdlib.h>
#include <string.h>

#define BAR_SIZE 0x4000u
#define BLOCK_SIZE 0x1000u
enum virtio_block { BLOCK_COMMON, BLOCK_ISR, BLOCK_DEVICE, BLOCK_NOTIFY };
#define NOTIFY_MULTIPLIER 4u

/* Capabilities, 4.1.4. */
#define CAP_COMMON 1u
#define CAP_NOTIFY 2u
#define CAP_ISR 3u
#define CAP_DEVICE 4u
#define CAP_PCI 5u

/* struct virtio_pci_common_cfg, 4.1.4.3 */
enum {
	COMMON_DEVICE_SELECT = 0,
	COMMON_DEVICE_FEATURE = 4,
	COMMON_DRIVER_SELECT = 8,
	COMMON_DRIVER_FEATURE = 12,
	COMMON_CONFIG_VECTOR = 16,
	COMMON_NUM_QUEUES = 18,
	COMMON_STATUS = 20,
	COMMON_GENERATION = 21,
	COMMON_QUEUE_SELECT = 22,
	COMMON_QUEUE_SIZE = 24,
	COMMON_QUEUE_VECTOR = 26,
	COMMON_QUEUE_ENABLE = 28,
	COMMON_QUEUE_NOTIFY_OFF = 30,
	COMMON_QUEUE_DESC = 32,
	COMMON_QUEUE_AVAIL = 40,
	COMMON_QUEUE_USED = 48,
	COMMON_SIZE = 56
};

/* ---- state ---- */

uint64_t virtio_features(const struct virtio *v)
{
	return v->features;
}

bool virtio_live(const struct virtio *v)
{
	return (v->status & STATUS_DRIVER_OK) && !(v->status & STATUS_NEEDS_RESET) &&
	       pci_function_master(v->pci);
}

void virtio_signal(struct virtio *v, uint16_t vector, uint8_t isr)
{
	v->isr |= isr;
	if (vector != NO_VECTOR)
		pci_function_msix(v->pci, vector);
}

void virtio_config_changed(struct virtio *v)
{
	v->generation++;
	if (v->status & STATUS_DRIVER_OK)
		virtio_signal(v, v->config_vector, ISR_CONFIG);
}

void virtio_broken(struct virtio *v)
{
	if (v->status & STATUS_NEEDS_RESET)
		return;
	v->status |= STATUS_NEEDS_RESET;
	/* 2.1.2: a driver that is up is told. */
	if (v->status & STATUS_DRIVER_OK)
		virtio_signal(v, v->config_vector, ISR_CONFIG);
}

static void virtio_clear(struct virtio *v)
{
	v->device_select = v->driver_select = 0;
	v->features = 0;
	v->config_vector = NO_VECTOR;
	v->queue_select = 0;
	v->status = 0;
	v->generation = 0;
	v->isr = 0;
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		v->q[i] = (struct virtq){ .size = i < v->model->nqueues ? v->model->queue_size[i] : 0,
					  .vector = NO_VECTOR };
}

void virtio_reset(struct virtio *v)
{
	v->model->reset(v->self);
	virtio_clear(v);
	v->window_bar = 0;
	v->window_off = v->window_len = 0;
}

/* ---- common configuration ---- */

static struct virtq *selected(struct virtio *v)
{
	return v->queue_select < v->model->nqueues ? &v->q[v->queue_select] : NULL;
}

static uint32_t half(uint64_t v, uint32_t select)
{
	return select > 1 ? 0 : (uint32_t)(v >> 32 * select);
}

static uint64_t common_read(struct virtio *v, unsigned off, unsigned size)
{
	uint8_t raw[COMMON_SIZE + 8] = { 0 };
	const struct virtq *q = selected(v);
	if (off + size > COMMON_SIZE)
		return 0;
	le32_put(raw + COMMON_DEVICE_SELECT, v->device_select);
	le32_put(raw + COMMON_DEVICE_FEATURE, half(v->offered, v->device_select));
	le32_put(raw + COMMON_DRIVER_SELECT, v->driver_select);
	le32_put(raw + COMMON_DRIVER_FEATURE, half(v->features, v->driver_select));
	le16_put(raw + COMMON_CONFIG_VECTOR, v->config_vector);
	le16_put(raw + COMMON_NUM_QUEUES, (uint16_t)v->model->nqueues);
	raw[COMMON_STATUS] = v->status;
	raw[COMMON_GENERATION] = v->generation;
	le16_put(raw + COMMON_QUEUE_SELECT, v->queue_select);
	if (q) {
		le16_put(raw + COMMON_QUEUE_SIZE, q->size);
		le16_put(raw + COMMON_QUEUE_VECTOR, q->vector);
		le16_put(raw + COMMON_QUEUE_ENABLE, q->enabled);
		le16_put(raw + COMMON_QUEUE_NOTIFY_OFF, v->queue_select);
		le64_put(raw + COMMON_QUEUE_DESC, q->desc);
		le64_put(raw + COMMON_QUEUE_AVAIL, q->avail);
		le64_put(raw + COMMON_QUEUE_USED, q->used);
	} else {
		le16_put(raw + COMMON_QUEUE_VECTOR, NO_VECTOR);
	}
	return le64_get(raw + off);
}

/* 3.1.1 and 2.1.1: what the driver may set when; the rest is without effect. */
static void status_write(struct virtio *v, uint8_t value)
{
	if (value == 0) {
		v->model->reset(v->self);
		virtio_clear(v);
		return;
	}
	value &= STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK | STATUS_FEATURES_OK | STATUS_FAILED;
	/* FEATURES_OK stays clear if the selection is not one we can work with (2.2.2). */
	if (!(v->status & STATUS_FEATURES_OK) && (value & STATUS_FEATURES_OK) &&
	    ((v->features & ~v->offered) || !(v->features & VIRTIO_F_VERSION_1)))
		value &= (uint8_t)~STATUS_FEATURES_OK;
	if (!(value & STATUS_FEATURES_OK) && !(v->status & STATUS_FEATURES_OK))
		value &= (uint8_t)~STATUS_DRIVER_OK;
	bool ready = !(v->status & STATUS_DRIVER_OK) && (value & STATUS_DRIVER_OK);
	v->status |= value; /* bits are only ever added, but by a reset */
	if (ready && v->model->ready)
		v->model->ready(v->self);
}

static void features_write(struct virtio *v, uint32_t value)
{
	unsigned shift = 32 * v->driver_select;
	if (v->driver_select > 1 || (v->status & STATUS_FEATURES_OK))
		return;
	v->features = (v->features & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
}

static uint16_t vector_checked(const struct virtio *v, uint64_t value)
{
	return value <= v->model->nqueues ? (uint16_t)value : NO_VECTOR;
}

static void queue_size_write(const struct virtio *v, struct virtq *q, uint64_t size)
{
	if (size && size <= v->model->queue_size[v->queue_select] && !(size & (size - 1)))
		q->size = (uint16_t)size;
}

/* One of the queue's addresses, whole or a half of it. */
static void address_write(uint64_t *address, unsigned off, unsigned size, uint64_t value)
{
	if (size == 8 && off == 0)
		*address = value;
	else if (size == 4 && off == 0)
		*address = (*address & ~0xffffffffull) | value;
	else if (size == 4 && off == 4)
		*address = (*address & 0xffffffffull) | value << 32;
}

static void queue_write(struct virtio *v, unsigned off, unsigned size, uint64_t value)
{
	struct virtq *q = selected(v);
	if (!q)
		return;
	if (off == COMMON_QUEUE_VECTOR && size == 2) {
		q->vector = vector_checked(v, value);
		return;
	}
	/* 4.1.4.3.2: the rest is set before the queue is enabled, which only a reset undoes. */
	if (q->enabled)
		return;
	if (off == COMMON_QUEUE_SIZE && size == 2)
		queue_size_write(v, q, value);
	else if (off == COMMON_QUEUE_ENABLE && size == 2)
		q->enabled = value == 1;
	else if (off >= COMMON_QUEUE_USED)
		address_write(&q->used, off - COMMON_QUEUE_USED, size, value);
	else if (off >= COMMON_QUEUE_AVAIL)
		address_write(&q->avail, off - COMMON_QUEUE_AVAIL, size, value);
	else if (off >= COMMON_QUEUE_DESC)
		address_write(&q->desc, off - COMMON_QUEUE_DESC, size, value);
}

static void common_write(struct virtio *v, unsigned off, unsigned size, uint64_t value)
{
	if (off == COMMON_DEVICE_SELECT && size == 4)
		v->device_select = (uint32_t)value;
	else if (off == COMMON_DRIVER_SELECT && size == 4)
		v->driver_select = (uint32_t)value;
	else if (off == COMMON_DRIVER_FEATURE && size == 4)
		features_write(v, (uint32_t)value);
	else if (off == COMMON_CONFIG_VECTOR && size == 2)
		v->config_vector = vector_checked(v, value);
	else if (off == COMMON_STATUS && size == 1)
		status_write(v, (uint8_t)value);
	else if (off == COMMON_QUEUE_SELECT && size == 2)
		v->queue_select = (uint16_t)value;
	else if (off >= COMMON_QUEUE_SIZE && off + size <= COMMON_SIZE)
		queue_write(v, off, size, value);
}

/* ---- BAR 0 ---- */

static uint64_t bar_read(void *ctx, unsigned vcpu, unsigned bar, uint64_t off, unsigned size)
{
	struct virtio *v = ctx;
	unsigned at = off % BLOCK_SIZE;
	uint8_t isr;
	(void)vcpu;
	(void)bar;
	switch ((enum virtio_block)(off / BLOCK_SIZE)) {
	case BLOCK_COMMON:
		return common_read(v, at, size);
	case BLOCK_ISR: /* 4.1.4.5: reading takes it */
		isr = v->isr;
		if (at != 0)
			return 0;
		v->isr = 0;
		return isr;
	case BLOCK_DEVICE:
		if (size > 4 || at + size > v->model->config_len)
			return 0;
		return v->model->config_read(v->self, at, size);
	default:
		return 0;
	}
}

static void bar_write(void *ctx, unsigned vcpu, unsigned bar, uint64_t off, unsigned size, uint64_t value)
{
	struct virtio *v = ctx;
	unsigned at = off % BLOCK_SIZE, q = at / NOTIFY_MULTIPLIER;
	(void)vcpu;
	(void)bar;
	switch ((enum virtio_block)(off / BLOCK_SIZE)) {
	case BLOCK_COMMON:
		common_write(v, at, size, value);
		break;
	case BLOCK_DEVICE:
		if (size <= 4 && at + size <= v->model->config_len && v->model->config_write)
			v->model->config_write(v->self, at, size, (uint32_t)value);
		break;
	case BLOCK_NOTIFY:
		if (q < v->model->nqueues && v->q[q].enabled && virtio_live(v))
			v->model->kick(v->self, q);
		break;
	default:
		break;
	}
}

/* ---- the PCI configuration access capability (4.1.4.7): BAR 0 through configuration space ---- */

#define WINDOW_BAR 4u /* offsets within the capability */
#define WINDOW_OFF 8u
#define WINDOW_LEN 12u
#define WINDOW_DATA 16u
#define WINDOW_CAP_LEN 20u

static bool window_valid(const struct virtio *v)
{
	uint32_t len = v->window_len;
	return v->window_bar == 0 && (len == 1 || len == 2 || len == 4) && v->window_off % len == 0 &&
	       v->window_off <= BAR_SIZE - len;
}

static uint32_t window_read(void *ctx, unsigned off, unsigned size)
{
	struct virtio *v = ctx;
	uint8_t raw[WINDOW_CAP_LEN + 4] = { 0 };
	unsigned at = off - v->pci_cfg;
	raw[WINDOW_BAR] = v->window_bar;
	le32_put(raw + WINDOW_OFF, v->window_off);
	le32_put(raw + WINDOW_LEN, v->window_len);
	if (at >= WINDOW_DATA && at < WINDOW_DATA + size && window_valid(v))
		le32_put(raw + WINDOW_DATA,
			 (uint32_t)bar_read(v, 0, 0, v->window_off, v->window_len));
	return le32_get(raw + at) & (size == 4 ? ~0u : (1u << size * 8) - 1);
}

static void window_write(void *ctx, unsigned off, unsigned size, uint32_t value)
{
	struct virtio *v = ctx;
	switch (off - v->pci_cfg) {
	case WINDOW_BAR:
		v->window_bar = (uint8_t)value;
		break;
	case WINDOW_OFF:
		if (size == 4)
			v->window_off = value;
		break;
	case WINDOW_LEN:
		if (size == 4)
			v->window_len = value;
		break;
	case WINDOW_DATA:
		if (window_valid(v))
			bar_write(v, 0, 0, v->window_off, v->window_len, value);
		break;
	default:
		break;
	}
}

static const struct pci_function_ops virtio_pci_ops = {
	.read = bar_read,
	.write = bar_write,
	.config_read = window_read,
	.config_write = window_write,
};

/* ---- wiring ---- */

/* struct virtio_pci_cap behind its two link bytes; extra: the notify multiplier, or room for data. */
static unsigned capability(struct pci_function *f, uint8_t type, enum virtio_block block, uint32_t len,
			   bool extra, uint32_t word)
{
	uint8_t body[18] = { 0 };
	body[0] = extra ? 20 : 16;
	body[1] = type;
	le32_put(body + 6, block * BLOCK_SIZE);
	le32_put(body + 10, len);
	le32_put(body + 14, word);
	return pci_function_capability(f, body, body[0]);
}

int virtio_create(struct virtio **out, const struct virtio_wiring *w, const struct virtio_model *model,
		  void *self)
{
	const struct pci_id id = {
		.vendor = 0x1af4,
		.device = (uint16_t)(0x1040 + model->type),
		.subsystem_vendor = 0x1af4,
		.subsystem = (uint16_t)(0x1040 + model->type),
		.revision = 1,
		.class_code = model->class_code,
	};
	struct virtio *v = calloc(1, sizeof(*v));
	int rc;
	if (!v)
		return RV_ENOMEM;
	v->model = model;
	v->self = self;
	v->mem = w->mem;
	v->offered = model->features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;
	rc = pci_function_add(&v->pci, w->host, w->slot, &id, BAR_SIZE, model->nqueues + 1,
			      &virtio_pci_ops, v);
	if (rc != RV_OK) {
		free(v);
		return rc;
	}
	capability(v->pci, CAP_COMMON, BLOCK_COMMON, COMMON_SIZE, false, 0);
	capability(v->pci, CAP_ISR, BLOCK_ISR, 1, false, 0);
	if (model->config_len)
		capability(v->pci, CAP_DEVICE, BLOCK_DEVICE, model->config_len, false, 0);
	capability(v->pci, CAP_NOTIFY, BLOCK_NOTIFY, model->nqueues * NOTIFY_MULTIPLIER, true,
		   NOTIFY_MULTIPLIER);
	v->pci_cfg = capability(v->pci, CAP_PCI, BLOCK_COMMON, 0, true, 0);
	pci_function_config(v->pci, v->pci_cfg + WINDOW_BAR, WINDOW_CAP_LEN - WINDOW_BAR);
	virtio_clear(v);
	*out = v;
	return RV_OK;
}

void virtio_destroy(struct virtio *v)
{
	free(v);
}

static const struct state_field virtio_fields[] = {
	STATE_FIELD(struct virtio, device_select),
	STATE_FIELD(struct virtio, driver_select),
	STATE_FIELD(struct virtio, features),
	STATE_FIELD(struct virtio, config_vector),
	STATE_FIELD(struct virtio, queue_select),
	STATE_FIELD(struct virtio, status),
	STATE_FIELD(struct virtio, generation),
	STATE_FIELD(struct virtio, isr),
	STATE_FIELD(struct virtio, window_bar),
	STATE_FIELD(struct virtio, window_off),
	STATE_FIELD(struct virtio, window_len),
	STATE_EACH(struct virtio, q, size),
	STATE_EACH(struct virtio, q, vector),
	STATE_EACH(struct virtio, q, enabled),
	STATE_EACH(struct virtio, q, desc),
	STATE_EACH(struct virtio, q, avail),
	STATE_EACH(struct virtio, q, used),
	STATE_EACH(struct virtio, q, next_avail),
	STATE_EACH(struct virtio, q, next_used),
	STATE_EACH(struct virtio, q, told),
};

static bool vector_sound(const struct virtio *v, uint16_t vector)
{
	return vector == NO_VECTOR || vector <= v->model->nqueues;
}

static int virtio_post_load(void *obj)
{
	const struct virtio *v = obj;
	/* Features that were never agreed on may be anything; what DRIVER_OK stands on may not. */
	if ((v->status & STATUS_FEATURES_OK) &&
	    ((v->features & ~v->offered) || !(v->features & VIRTIO_F_VERSION_1)))
		return RV_EINVAL;
	if ((v->status & STATUS_DRIVER_OK) && !(v->status & STATUS_FEATURES_OK))
		return RV_EINVAL;
	if (!vector_sound(v, v->config_vector))
		return RV_EINVAL;
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		const struct virtq *q = &v->q[i];
		unsigned most = i < v->model->nqueues ? v->model->queue_size[i] : 0;
		if (q->size > most || (most && !q->size) || (q->size & (q->size - 1)) ||
		    !vector_sound(v, q->vector) || (q->enabled && !most))
			return RV_EINVAL;
	}
	return RV_OK;
}

static const struct state_desc virtio_desc = {
	.name = "virtio",
	.version = 1,
	.fields = virtio_fields,
	.nfields = RV_ARRAY_LEN(virtio_fields),
	.post_load = virtio_post_load,
};

void virtio_save(const struct virtio *v, struct bytes *out)
{
	state_save(&virtio_desc, v, out);
}

int virtio_load(struct virtio *v, struct bytes_in *in)
{
	return state_load(&virtio_desc, v, in);
}
