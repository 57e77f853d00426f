/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for the tests of the virtio device models: finds the device in its
 * PCI slot, negotiates, lays its rings into guest memory and talks to it
 * through the bus alone; and one that does all of that wrong.
 */
#ifndef RV_TESTS_DEV_VIRTIO_DRIVER_H
#define RV_TESTS_DEV_VIRTIO_DRIVER_H

#include "tests/unit/dev/harness.h"

#include "dev/virtio.h"

#define VD_SLOT 3u
#ifndef VD_RAM
#define VD_RAM (4u << 20)
#endif
#ifndef VD_AUX /* auxiliary pages */
#define VD_AUX 0
#endif
#define VD_RINGS 0x10000u   /* 64 KiB for each queue: descriptors, available ring, used ring */
#define VD_BUFFERS 0x100000u
#define VD_QUEUES 3u

#define VD_NEEDS_RESET 64u
#define VD_F_INDIRECT (1ull << 28)
#define VD_F_EVENT_IDX (1ull << 29)
#define VD_F_VERSION_1 (1ull << 32)

struct vd_queue {
	gpa_t desc, avail, used;
	uint16_t size, next_desc, avail_idx, used_idx;
};

struct vd {
	struct bus *bus;
	struct vclock *clock;
	struct guest_mem *mem;
	struct lapic *lapic;
	struct pci_host *pci;
	struct device lapic_dev, pci_dev, dev;
	struct virtio_wiring wiring;
	struct vd_queue q[VD_QUEUES];
	gpa_t bar;
	uint64_t features;
	/* What came out. */
	struct output output;
	enum out_kind kind;
	unsigned emits;
	size_t out_len; /* all bytes together */
	size_t last_len;
	icount_t icount;
	uint8_t out[1u << 17];
};

static inline void vd_emit(struct output *out, icount_t icount, enum out_kind kind,
			   unsigned instance, const void *data, size_t len)
{
	struct vd *d = (struct vd *)(void *)((char *)out - offsetof(struct vd, output));
	assert_int_equal(kind, d->kind);
	assert_int_equal(instance, 1);
	assert_true(len > 0 && len <= 65535);
	if (d->out_len + len > sizeof(d->out))
		d->out_len = 0;
	memcpy(d->out + d->out_len, data, len);
	d->out_len += len;
	d->last_len = len;
	d->icount = icount;
	d->emits++;
}

static inline void vd_init(struct vd *d, enum out_kind kind)
{
	static const struct output_ops ops = { .emit = vd_emit };
	memset(d, 0, sizeof(*d));
	d->output.ops = &ops;
	d->kind = kind;
	assert_int_equal(bus_create(&d->bus), 0);
	assert_int_equal(vclock_create(&d->clock, VCLOCK_RATE_ONE, DATE_2024), 0);
	assert_int_equal(mem_create(&d->mem, VD_RAM, VD_AUX, NULL), 0);
	assert_int_equal(lapic_create(&d->lapic, &d->lapic_dev, d->bus, d->clock, 1), 0);
	assert_int_equal(pci_host_create(&d->pci, &d->pci_dev, d->bus, d->lapic), 0);
	d->wiring = (struct virtio_wiring){ .bus = d->bus, .mem = d->mem, .clock = d->clock,
					    .host = d->pci, .slot = VD_SLOT };
	vclock_set_icount(d->clock, 1000);
}

static inline void vd_fini(struct vd *d)
{
	d->dev.ops->destroy(d->dev.self);
	d->pci_dev.ops->destroy(d->pci_dev.self);
	d->lapic_dev.ops->destroy(d->lapic_dev.self);
	mem_destroy(d->mem);
	vclock_destroy(d->clock);
	bus_destroy(d->bus);
}

static inline void vd_out(struct vd *d, unsigned off, unsigned size, uint64_t value)
{
	bus_mmio_write(d->bus, 0, d->bar + off, size, value);
}
static inline uint64_t vd_in(struct vd *d, unsigned off, unsigned size)
{
	return bus_mmio_read(d->bus, 0, d->bar + off, size);
}
static inline uint32_t vd_cfg(struct vd *d, unsigned reg)
{
	bus_pio_write(d->bus, 0, PCI_CONFIG_ADDRESS, 4, 0x80000000u | VD_SLOT << 11 | reg);
	return (uint32_t)bus_pio_read(d->bus, 0, PCI_CONFIG_DATA, 4);
}
static inline void vd_cfg_write(struct vd *d, unsigned reg, uint32_t value)
{
	bus_pio_write(d->bus, 0, PCI_CONFIG_ADDRESS, 4, 0x80000000u | VD_SLOT << 11 | reg);
	bus_pio_write(d->bus, 0, PCI_CONFIG_DATA, 4, value);
}

/* VIRTIO 1.1, 4.1.4: the register blocks of BAR 0 lie 4 KiB apart. */
static inline uint8_t vd_status(struct vd *d)
{
	return (uint8_t)vd_in(d, 20, 1);
}
static inline uint8_t vd_isr(struct vd *d)
{
	return (uint8_t)vd_in(d, 0x1000, 1);
}
static inline uint32_t vd_config(struct vd *d, unsigned off, unsigned size)
{
	return (uint32_t)vd_in(d, 0x2000 + off, size);
}
static inline void vd_kick(struct vd *d, unsigned q)
{
	vd_out(d, 0x3000 + 4 * q, 2, q);
}

static inline uint64_t vd_offered(struct vd *d)
{
	uint64_t low;
	vd_out(d, 0, 4, 0);
	low = vd_in(d, 4, 4);
	vd_out(d, 0, 4, 1);
	return low | vd_in(d, 4, 4) << 32;
}

/* Up to the queues, but not DRIVER_OK. */
static inline void vd_negotiate(struct vd *d, uint64_t features)
{
	unsigned n;
	vd_cfg_write(d, 4, 6); /* memory space, bus master */
	d->bar = vd_cfg(d, 0x10) & ~15u;
	vd_out(d, 20, 1, 0);
	vd_out(d, 20, 1, 1);
	vd_out(d, 20, 1, 3);
	d->features = features | VD_F_VERSION_1;
	assert_int_equal(d->features & ~vd_offered(d), 0);
	for (unsigned i = 0; i < 2; i++) {
		vd_out(d, 8, 4, i);
		vd_out(d, 12, 4, (uint32_t)(d->features >> 32 * i));
	}
	vd_out(d, 20, 1, 11);
	assert_int_equal(vd_status(d), 11);
	n = (unsigned)vd_in(d, 18, 2);
	assert_true(n <= VD_QUEUES);
	for (unsigned i = 0; i < n; i++) {
		struct vd_queue *q = &d->q[i];
		static const uint8_t zeros[0x10000];
		gpa_t base = VD_RINGS + i * 0x10000u;
		mem_write(d->mem, base, zeros, sizeof(zeros));
		vd_out(d, 22, 2, i);
		*q = (struct vd_queue){ base, base + 0x4000, base + 0x8000,
					(uint16_t)vd_in(d, 24, 2), 0, 0, 0 };
		vd_out(d, 32, 8, q->desc);
		vd_out(d, 40, 8, q->avail);
		vd_out(d, 48, 8, q->used);
		vd_out(d, 28, 2, 1);
	}
}

static inline void vd_start(struct vd *d, uint64_t features)
{
	vd_negotiate(d, features);
	vd_out(d, 20, 1, 15);
	assert_int_equal(vd_status(d), 15);
	(void)vd_isr(d);
}

struct vd_seg {
	gpa_t gpa;
	uint32_t len;
};

static inline void vd_put16(struct vd *d, gpa_t gpa, uint16_t v)
{
	uint8_t raw[2];
	le16_put(raw, v);
	mem_write(d->mem, gpa, raw, 2);
}
static inline uint16_t vd_get16(struct vd *d, gpa_t gpa)
{
	uint8_t raw[2];
	mem_read(d->mem, gpa, raw, 2);
	return le16_get(raw);
}

static inline void vd_desc(struct vd *d, gpa_t table, unsigned i, struct vd_seg seg, uint16_t flags,
			   uint16_t next)
{
	uint8_t raw[16];
	le64_put(raw, seg.gpa);
	le32_put(raw + 8, seg.len);
	le16_put(raw + 12, flags);
	le16_put(raw + 14, next);
	mem_write(d->mem, table + 16ull * i, raw, 16);
}

/* Offers a chain of nout segments to be read and nin to be written; returns its head. */
static inline uint16_t vd_add(struct vd *d, unsigned qi, const struct vd_seg *seg, unsigned nout,
			      unsigned nin)
{
	struct vd_queue *q = &d->q[qi];
	uint16_t head = q->next_desc;
	for (unsigned i = 0; i < nout + nin; i++) {
		uint16_t at = q->next_desc;
		q->next_desc = (uint16_t)((at + 1u) % q->size);
		vd_desc(d, q->desc, at, seg[i],
			(uint16_t)((i + 1 < nout + nin ? 1 : 0) | (i >= nout ? 2 : 0)), q->next_desc);
	}
	vd_put16(d, q->avail + 4 + 2ull * (q->avail_idx % q->size), head);
	vd_put16(d, q->avail + 2, ++q->avail_idx);
	return head;
}

/* One buffer of each direction. */
static inline uint16_t vd_add_out(struct vd *d, unsigned qi, gpa_t gpa, uint32_t len)
{
	return vd_add(d, qi, &(struct vd_seg){ gpa, len }, 1, 0);
}
static inline uint16_t vd_add_in(struct vd *d, unsigned qi, gpa_t gpa, uint32_t len)
{
	return vd_add(d, qi, &(struct vd_seg){ gpa, len }, 0, 1);
}

/* The next chain that came back, or zeros. */
static inline bool vd_used(struct vd *d, unsigned qi, uint32_t *head, uint32_t *len)
{
	struct vd_queue *q = &d->q[qi];
	uint8_t raw[8];
	*head = *len = 0;
	if (vd_get16(d, q->used + 2) == q->used_idx)
		return false;
	mem_read(d->mem, q->used + 4 + 8ull * (q->used_idx++ % q->size), raw, 8);
	*head = le32_get(raw);
	*len = le32_get(raw + 4);
	return true;
}

static inline void vd_expect(struct vd *d, unsigned qi, uint32_t head, uint32_t len)
{
	uint32_t h, l;
	assert_true(vd_used(d, qi, &h, &l));
	assert_int_equal(h, head);
	assert_int_equal(l, len);
}
static inline void vd_expect_none(struct vd *d, unsigned qi)
{
	uint32_t h, l;
	assert_false(vd_used(d, qi, &h, &l));
}

/* ---- state ---- */

/* As the machine saves a device. */
static inline void vd_save(const struct vd *d, struct bytes *out)
{
	state_save(d->dev.ops->desc, d->dev.self, out);
	d->dev.ops->save(d->dev.self, out);
	assert_false(out->failed);
}

static inline int vd_load(struct vd *d, const uint8_t *data, size_t len)
{
	struct bytes_in in;
	int rc;
	bytes_in_init(&in, data, len);
	rc = state_load(d->dev.ops->desc, d->dev.self, &in);
	if (rc == RV_OK)
		rc = d->dev.ops->load(d->dev.self, &in);
	if (rc == RV_OK)
		assert_int_equal(in.pos, len);
	return rc;
}

/* Save, reset, load: the same bytes, and the driver's rings are still in use. */
static inline void vd_round_trip(struct vd *d)
{
	struct bytes a = { 0 }, b = { 0 };
	vd_save(d, &a);
	d->dev.ops->reset(d->dev.self);
	assert_int_equal(vd_status(d), 0);
	assert_int_equal(vd_load(d, a.data, a.len), 0);
	vd_save(d, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	bytes_fini(&a);
	bytes_fini(&b);
}

/* ---- a driver that does it wrong ---- */

typedef void vd_host(struct vd *d, uint64_t *seed); /* something from outside */

/* A descriptor that has a chance to be taken. */
static inline void vd_scribble_desc(struct vd *d, const struct vd_queue *q, uint64_t *seed)
{
	static const uint32_t lens[] = { 0, 1, 2, 11, 12, 13, 16, 26, 64, 1514, 4096, 65536, 0x200000,
					 0xffffffff };
	static const gpa_t gpas[] = { 0, VD_BUFFERS, VD_BUFFERS + 0x10000, VD_RAM - 16, VD_RAM,
				      0xbffffff0, 0x100000000, UINT64_MAX - 3 };
	uint64_t x = rig_random(seed);
	gpa_t gpa = gpas[x % 4 ? 1 + x % 3 : x >> 8 & 7];
	uint16_t flags = (uint16_t)(x >> 16 & 3);
	if ((x >> 20 & 7) == 0) /* onto the rings */
		gpa = q->desc + (x >> 24 & 0xffff);
	if ((x >> 40 & 7) == 0)
		flags = (uint16_t)(x >> 44 & 7);
	vd_desc(d, (x >> 50 & 3) ? q->desc : VD_BUFFERS, (unsigned)(rig_random(seed) % 16),
		(struct vd_seg){ gpa, lens[rig_random(seed) % RV_ARRAY_LEN(lens)] }, flags,
		(uint16_t)(rig_random(seed) % 17));
}

static inline void vd_mistake(struct vd *d, uint64_t *seed, vd_host *host)
{
	const struct vd_queue *q = &d->q[rig_random(seed) % VD_QUEUES];
	uint64_t x = rig_random(seed);
	uint8_t raw[64];
	switch (x % 12) {
	case 0: /* registers, any */
		vd_out(d, (unsigned)(x >> 8 & 0x3fff), 1u << (x >> 24 & 3), rig_random(seed));
		break;
	case 1: /* a queue's registers */
		vd_out(d, 22, 2, x >> 8 & 3);
		vd_out(d, (unsigned)(24 + (x >> 12) % 32), 1u << (x >> 24 & 3), x >> 32 & 0x1ffff);
		break;
	case 2:
		(void)vd_in(d, (unsigned)(x >> 8 & 0x3fff), 1u << (x >> 24 & 3));
		break;
	case 3: /* bytes of a ring */
		for (unsigned i = 0; i < sizeof(raw); i++)
			raw[i] = (uint8_t)rig_random(seed);
		mem_write(d->mem, q->desc + (x >> 8 & 0xffff), raw, 1 + (x >> 40) % sizeof(raw));
		break;
	case 4:
	case 5:
	case 6:
		vd_scribble_desc(d, q, seed);
		break;
	case 7: /* one, some, too many more */
		vd_put16(d, q->avail + 4 + (x >> 8 & 0x1fe), (uint16_t)(x >> 24 & 15));
		vd_put16(d, q->avail + 2, (uint16_t)(vd_get16(d, q->avail + 2) +
						     ((x >> 32 & 63) ? x >> 40 & 3 : x >> 48)));
		break;
	case 8:
	case 9:
		vd_kick(d, (unsigned)(x >> 8 & 3));
		break;
	default:
		host(d, seed);
		break;
	}
}

/* Starts over now and then, for few devices live long. */
static inline void vd_abuse(struct vd *d, uint64_t *seed, unsigned rounds, vd_host *host)
{
	uint64_t offered;
	vd_negotiate(d, 0);
	offered = vd_offered(d);
	for (unsigned i = 0; i < rounds; i++) {
		if (i % 64 == 0 || (vd_status(d) & VD_NEEDS_RESET && rig_random(seed) % 4 == 0))
			vd_start(d, offered & rig_random(seed));
		vd_mistake(d, seed, host);
	}
}

/* Loads damaged states, and goes on with those that are taken. */
static inline void vd_hostile_loads(struct vd *d, uint64_t *seed, unsigned rounds, vd_host *host)
{
	struct bytes good = { 0 };
	unsigned taken = 0;
	uint8_t *copy;
	vd_start(d, VD_F_INDIRECT);
	vd_save(d, &good);
	copy = malloc(good.len);
	assert_non_null(copy);
	for (unsigned i = 0; i < rounds; i++) {
		size_t len = good.len;
		memcpy(copy, good.data, good.len);
		if (i % 16 == 0)
			len = rig_random(seed) % good.len;
		else
			for (unsigned k = 0; k < 1 + i % 4; k++)
				copy[rig_random(seed) % good.len] = (uint8_t)rig_random(seed);
		if (vd_load(d, copy, len) == RV_OK) {
			taken++;
			for (unsigned k = 0; k < 20; k++)
				vd_mistake(d, seed, host);
		}
		d->dev.ops->reset(d->dev.self);
	}
	assert_true(taken > rounds / 100);
	free(copy);
	bytes_fini(&good);
}

/* The seed of this run, told so that it can be had again: RV_TEST_SEED=N. */
static inline uint64_t vd_seed(void)
{
	const char *text = getenv("RV_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 0x9e3779b97f4a7c15ull;
	print_message("seed 0x%llx\n", (unsigned long long)seed);
	return seed ? seed : 1;
}

#endif
