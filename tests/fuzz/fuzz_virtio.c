/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices against a guest that means harm: the input is a script
 * of accesses to configuration space, BARs and rings, and of things that come
 * from outside. Its first byte chooses the device.
 *
 * With TWICE set in it the script runs on a second machine too, where at each
 * step the device is asked whether it is ready and, where the script says so,
 * is saved, reset and loaded. Both must end alike, with the same outputs:
 * saved state is whole, and asking changes nothing (docs/determinism.md).
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

#include "dev/virtio.h"

#define TWICE 0x80u
#define STEPS_MAX 400u
#define STEP_NS 20000u /* of virtual time: some steps and a disk's request is due */
#define RAM MEM_SIZE_MIN
#define SLOT 3u
#define QUEUES 3u
#define RING_SPACE 0x10000u /* of a queue; the available ring 4000h in, the used ring 8000h */
#define BUFFERS 0x80000u
#define SECTORS 120u /* of the disk: the last block is not whole */
#define FRAME_MIN 14u
#define FRAME_MAX 65535u

enum step {
	STEP_NOTHING, /* time passes, and the device is asked; the commonest byte is the cheapest step */
	STEP_WRITE,   /* offset u16, size u8, value u32: BAR 0 */
	STEP_READ,    /* offset u16, size u8 */
	STEP_CONFIG,  /* register u8, size u8, value u32: PCI configuration space */
	STEP_MSIX,    /* offset u16, value u32: BAR 1 */
	STEP_RAM,     /* address u16 (units of 16), length u8, bytes */
	STEP_DESC,    /* queue u8, index u8, address u32, length u16, flags u8, next u8 */
	STEP_OFFER,   /* queue u8, head u8, by u8 */
	STEP_KICK,    /* queue u8 */
	STEP_HOST,    /* kind u8, length u16, bytes u8 */
	STEPS_OFTEN,
	/* The costly ones: one step in 64 each, as random bytes go. */
	STEP_START = 61, /* features u32: reset, negotiate, enable queues, DRIVER_OK */
	STEP_RESTORE,    /* saved, reset, loaded; only in the second run */
	STEP_LOAD,       /* place u16, value u8: loads a damaged state */
};

struct rig {
	struct bus *bus;
	struct vclock *clock;
	struct guest_mem *mem;
	struct lapic *lapic;
	struct pci_host *pci;
	struct device lapic_dev, pci_dev, dev;
	struct virtio_net *net;
	struct virtio_console *console;
	struct virtio_blk *blk;
	struct disk disk; /* the port */
	struct disk_io *io[DISK_TAGS];
	struct bytes log;
	bool damaged; /* a damaged state was taken: the index may be wrong */
	enum out_kind kind; /* what may come out */
	struct output output;
	struct digest128 out;
	struct bytes made, clock_made; /* the first state, to begin the next input with */
	uint32_t epoch;
	struct mem_digest *ram;
};

static void need(bool ok)
{
	if (!ok)
		abort();
}

static void rig_emit(struct output *output, icount_t icount, enum out_kind kind, unsigned instance,
		     const void *data, size_t len)
{
	struct rig *r = (struct rig *)(void *)((char *)output - offsetof(struct rig, output));
	need(icount == vclock_icount(r->clock) && kind == r->kind && instance == 1);
	need(len > 0 && (kind != OUT_NET || (len >= FRAME_MIN && len <= FRAME_MAX)));
	r->out = digest_bytes(data, len, r->out.lo);
}

/* ---- the devices ---- */

static int net_make(struct rig *r, const struct virtio_wiring *w)
{
	const struct virtio_net_cfg cfg = { .mac = { 0x52, 0x54 }, .mtu = 1500,
					    .output = &r->output, .instance = 1 };
	r->kind = OUT_NET;
	return virtio_net_create(&r->net, &r->dev, w, &cfg);
}

static void net_host(struct rig *r, uint8_t kind, const uint8_t *data, uint32_t len)
{
	if (kind % 16 == 0)
		virtio_net_announce(r->net);
	need(virtio_net_input(r->net, data, len) == (len < FRAME_MIN ? RV_EINVAL : RV_OK));
}

static void net_ask(struct rig *r)
{
	(void)virtio_net_ready(r->net);
}

static int rng_make(struct rig *r, const struct virtio_wiring *w)
{
	return virtio_rng_create(&r->dev, w, 1);
}

static int console_make(struct rig *r, const struct virtio_wiring *w)
{
	r->kind = OUT_CONSOLE;
	return virtio_console_create(&r->console, &r->dev, w, &r->output, 1);
}

static void console_host(struct rig *r, uint8_t kind, const uint8_t *data, uint32_t len)
{
	uint32_t room = virtio_console_room(r->console);
	(void)kind;
	need(room <= 4096);
	virtio_console_input(r->console, data, len);
	need(virtio_console_room(r->console) + (len < room ? len : room) >= room);
}

static void console_ask(struct rig *r)
{
	(void)virtio_console_room(r->console);
}

/* A disk whose base is a pattern and whose block log is memory; all is done within finish(), as in a replay. */

static void fake_start(struct disk *d, unsigned tag, struct disk_io *io)
{
	struct rig *r = (struct rig *)(void *)((char *)d - offsetof(struct rig, disk));
	need(tag < DISK_TAGS && io->nsrc <= DISK_EXTENTS && (io->op == DISK_ZEROES || io->nblocks <= DISK_IO_BLOCKS));
	r->io[tag] = io;
}

static int fake_read(struct rig *r, const struct disk_extent *s, uint8_t *data)
{
	for (uint32_t i = 0; i < s->nblocks; i++, data += DISK_BLOCK) {
		if (s->place == DISK_LOG && (s->block + i) * DISK_BLOCK >= r->log.len)
			return RV_EDAMAGED; /* only an index that was damaged says so */
		if (s->place == DISK_LOG)
			memcpy(data, r->log.data + (s->block + i) * DISK_BLOCK, DISK_BLOCK);
		else
			memset(data, s->place == DISK_BASE ? (int)(s->block + i) : 0, DISK_BLOCK);
	}
	return RV_OK;
}

static void fake_write(struct rig *r, struct disk_io *io)
{
	static const uint8_t zeros[DISK_BLOCK];
	uint8_t edge[DISK_BLOCK];
	for (unsigned i = 0; i < io->nsrc; i++) {
		uint8_t *block = io->data + (size_t)io->src[i].at * DISK_BLOCK;
		need(io->src[i].at < io->nblocks);
		if (fake_read(r, &io->src[i], edge) != RV_OK)
			continue;
		for (uint32_t k = 0, at = io->src[i].at * DISK_BLOCK; k < DISK_BLOCK; k++, at++)
			if (at < io->guest_at || at >= io->guest_at + io->guest_len)
				block[k] = edge[k];
	}
	/* A damaged state may say any place: what no memory holds is not kept. */
	if (io->log > 1u << 16)
		return;
	while (r->log.len < (io->log + io->nblocks) * DISK_BLOCK)
		bytes_put(&r->log, zeros, sizeof(zeros));
	need(!r->log.failed);
	memcpy(r->log.data + io->log * DISK_BLOCK, io->data, (size_t)io->nblocks * DISK_BLOCK);
}

static int fake_finish(struct disk *d, unsigned tag)
{
	struct rig *r = (struct rig *)(void *)((char *)d - offsetof(struct rig, disk));
	struct disk_io *io = r->io[tag];
	int rc = RV_OK;
	need(io != NULL);
	r->io[tag] = NULL;
	if (io->op == DISK_READ)
		for (unsigned i = 0; rc == RV_OK && i < io->nsrc; i++)
			rc = fake_read(r, &io->src[i], io->data + (size_t)io->src[i].at * DISK_BLOCK);
	else if (io->op == DISK_WRITE)
		fake_write(r, io);
	need(rc == RV_OK || r->damaged);
	return rc;
}

static void fake_drop(struct disk *d, unsigned tag)
{
	struct rig *r = (struct rig *)(void *)((char *)d - offsetof(struct rig, disk));
	need(r->io[tag] != NULL);
	r->io[tag] = NULL;
}

static const struct disk_ops fake_disk_ops = { .start = fake_start, .finish = fake_finish, .drop = fake_drop };

static int blk_make_kind(struct rig *r, const struct virtio_wiring *w, bool by_clock, bool commit)
{
	const struct virtio_blk_cfg cfg = { .port = &r->disk,
					    .sectors = SECTORS,
					    .commit = commit,
					    .serial = "fuzz",
					    .index = mem_ram_pages(r->mem),
					    .by_clock = by_clock,
					    .chaos = by_clock ? 7 : 0 };
	r->disk.ops = &fake_disk_ops;
	return virtio_blk_create(&r->blk, &r->dev, w, &cfg);
}

static int blk_make(struct rig *r, const struct virtio_wiring *w)
{
	return blk_make_kind(r, w, false, true);
}

static int blk_clock_make(struct rig *r, const struct virtio_wiring *w)
{
	return blk_make_kind(r, w, true, false);
}

/* A completion from the log, of a request there is or not. */
static void blk_host(struct rig *r, uint8_t kind, const uint8_t *data, uint32_t len)
{
	int rc = virtio_blk_complete(r->blk, kind % 8 ? kind % 8 : data[0], len % 8 == 0);
	need(rc == RV_OK || rc == RV_EINVAL || (rc == RV_EDAMAGED && r->damaged));
}

static const struct fuzz_device {
	int (*make)(struct rig *r, const struct virtio_wiring *w);
	void (*host)(struct rig *r, uint8_t kind, const uint8_t *data, uint32_t len); /* may be NULL */
	void (*ask)(struct rig *r); /* what the run loop asks at any time; may be NULL */
} devices[] = {
	{ net_make, net_host, net_ask },
	{ rng_make, NULL, NULL },
	{ console_make, console_host, console_ask },
	{ blk_make, blk_host, NULL },
	{ blk_clock_make, blk_host, NULL },
};

/* ---- state ---- */

static void device_save(const struct device *d, struct bytes *out)
{
	state_save(d->ops->desc, d->self, out);
	if (d->ops->save)
		d->ops->save(d->self, out);
	need(!out->failed);
}

static int device_load(const struct device *d, const struct bytes *from)
{
	struct bytes_in in;
	int rc;
	bytes_in_init(&in, from->data, from->len);
	rc = state_load(d->ops->desc, d->self, &in);
	if (rc == RV_OK && d->ops->load)
		rc = d->ops->load(d->self, &in);
	return rc;
}

static int clock_load(struct vclock *clock, const struct bytes *from)
{
	struct bytes_in in;
	bytes_in_init(&in, from->data, from->len);
	return vclock_load(clock, &in);
}

#define RIG_DEVICES 3u
static const struct device *rig_device(const struct rig *r, unsigned i)
{
	const struct device *d[] = { &r->lapic_dev, &r->pci_dev, &r->dev };
	return d[i];
}

static struct rig *rig_create(const struct fuzz_device *type)
{
	static const struct output_ops ops = { .emit = rig_emit };
	struct rig *r = calloc(1, sizeof(*r));
	need(r != NULL);
	r->output.ops = &ops;
	need(bus_create(&r->bus) == 0 && vclock_create(&r->clock, VCLOCK_RATE_ONE, 0) == 0);
	need(mem_create(&r->mem, RAM, virtio_blk_index_pages(SECTORS), NULL) == 0 && mem_digest_create(&r->ram, r->mem) == 0);
	need(lapic_create(&r->lapic, &r->lapic_dev, r->bus, r->clock, 1) == 0);
	need(pci_host_create(&r->pci, &r->pci_dev, r->bus, r->lapic) == 0);
	const struct virtio_wiring w = { .bus = r->bus, .mem = r->mem, .clock = r->clock,
					 .host = r->pci, .slot = SLOT };
	need(type->make(r, &w) == 0);
	device_save(&r->dev, &r->made);
	vclock_save(r->clock, &r->clock_made);
	r->epoch = mem_epoch(r->mem);
	return r;
}

/* Making machines costs more than most inputs: the two of each device are made once, and taken back to
 * their beginning. */
static struct rig *rig_get(unsigned type, unsigned which)
{
	static struct rig *rigs[RV_ARRAY_LEN(devices)][2];
	static const uint8_t zeros[RV_PAGE_SIZE];
	struct rig *r = rigs[type][which];
	if (!r)
		r = rigs[type][which] = rig_create(&devices[type]);
	for (uint64_t p = 0; p < mem_pages(r->mem); p++)
		if (mem_page_epoch(r->mem, p) >= r->epoch)
			mem_page_write(r->mem, p, 0, zeros, sizeof(zeros));
	r->epoch = mem_epoch_advance(r->mem);
	r->lapic_dev.ops->reset(r->lapic_dev.self);
	r->pci_dev.ops->reset(r->pci_dev.self);
	need(device_load(&r->dev, &r->made) == 0);
	need(clock_load(r->clock, &r->clock_made) == 0);
	bytes_clear(&r->log);
	memset(r->io, 0, sizeof(r->io));
	r->damaged = false;
	r->out = (struct digest128){ 0, 0 };
	return r;
}

/* What a reset does to the clock's timers and to a disk's index is undone as a restored checkpoint would. */
static void rig_restore(struct rig *r)
{
	const uint64_t aux = mem_ram_pages(r->mem);
	uint8_t index[RV_PAGE_SIZE];
	struct bytes clock = { 0 };
	vclock_save(r->clock, &clock);
	need(mem_pages(r->mem) == aux + 1);
	memcpy(index, mem_page_host(r->mem, aux), sizeof(index));
	for (unsigned i = 0; i < RIG_DEVICES; i++) {
		const struct device *d = rig_device(r, i);
		struct bytes b = { 0 };
		device_save(d, &b);
		d->ops->reset(d->self);
		mem_page_write(r->mem, aux, 0, index, sizeof(index));
		need(device_load(d, &b) == 0);
		bytes_fini(&b);
	}
	need(clock_load(r->clock, &clock) == 0);
	bytes_fini(&clock);
}

/* A device that refuses a state is half loaded: it is reset, as the machine would be given up. */
static void rig_load_damaged(struct rig *r, unsigned place, uint8_t value)
{
	const struct device *d = place & 1 ? &r->pci_dev : &r->dev;
	struct bytes b = { 0 };
	device_save(d, &b);
	b.data[(place >> 1) % b.len] = value;
	r->damaged = true;
	if (device_load(d, &b) != 0)
		d->ops->reset(d->self);
	bytes_fini(&b);
}

/* ---- the script ---- */

static uint32_t config_read(struct rig *r, unsigned reg)
{
	bus_pio_write(r->bus, 0, PCI_CONFIG_ADDRESS, 4, 0x80000000u | SLOT << 11 | (reg & 0xfc));
	return (uint32_t)bus_pio_read(r->bus, 0, PCI_CONFIG_DATA, 4);
}

static void config_write(struct rig *r, unsigned reg, unsigned size, uint32_t value)
{
	unsigned port = PCI_CONFIG_DATA + (reg & 3 & ~(size - 1));
	bus_pio_write(r->bus, 0, PCI_CONFIG_ADDRESS, 4, 0x80000000u | SLOT << 11 | (reg & 0xfc));
	bus_pio_write(r->bus, 0, (uint16_t)port, size, value);
}

static gpa_t bar(struct rig *r, unsigned n)
{
	return config_read(r, 0x10 + 4 * n) & ~15u;
}

static gpa_t ring(unsigned q)
{
	return RING_SPACE * (1 + q % QUEUES);
}

static void put16(struct rig *r, gpa_t gpa, unsigned v)
{
	uint8_t raw[2];
	le16_put(raw, (uint16_t)v);
	mem_write(r->mem, gpa, raw, 2);
}

/* VIRTIO 1.1, 3.1.1 and 4.1.4.3, with any selection of what is offered. */
static void step_start(struct rig *r, uint32_t features)
{
	gpa_t b;
	config_write(r, 4, 2, 6);
	b = bar(r, 0);
	bus_mmio_write(r->bus, 0, b + 20, 1, 0);
	bus_mmio_write(r->bus, 0, b + 20, 1, 3);
	for (unsigned i = 0; i < 2; i++) {
		bus_mmio_write(r->bus, 0, b, 4, i);
		bus_mmio_write(r->bus, 0, b + 8, 4, i);
		bus_mmio_write(r->bus, 0, b + 12, 4,
			       bus_mmio_read(r->bus, 0, b + 4, 4) & (i ? UINT32_MAX : features));
	}
	bus_mmio_write(r->bus, 0, b + 20, 1, 11);
	for (unsigned i = 0; i < QUEUES; i++) {
		put16(r, ring(i) + 0x4002, 0);
		bus_mmio_write(r->bus, 0, b + 22, 2, i);
		bus_mmio_write(r->bus, 0, b + 32, 8, ring(i));
		bus_mmio_write(r->bus, 0, b + 40, 8, ring(i) + 0x4000);
		bus_mmio_write(r->bus, 0, b + 48, 8, ring(i) + 0x8000);
		bus_mmio_write(r->bus, 0, b + 26, 2, i);
		bus_mmio_write(r->bus, 0, b + 28, 2, 1);
	}
	bus_mmio_write(r->bus, 0, b + 20, 1, 15);
}

/* Where RAM and the address space end; else an address in RAM. */
static gpa_t script_gpa(uint32_t v)
{
	static const gpa_t edge[] = { RAM - 16, RAM, MEM_HOLE_START - 16, MEM_HOLE_END, UINT64_MAX - 3 };
	return v >> 28 == 15 ? edge[v % RV_ARRAY_LEN(edge)] + (v >> 8 & 15) : v % RAM;
}

static void step_desc(struct rig *r, struct bytes_in *in)
{
	uint8_t raw[16];
	gpa_t at = ring(bytes_get_u8(in)) + 16u * (bytes_get_u8(in) % 32);
	uint32_t len;
	le64_put(raw, script_gpa(bytes_get_u32(in)));
	len = bytes_get_u16(in);
	le32_put(raw + 8, len < 0xfff0 ? len : len << 16);
	le16_put(raw + 12, bytes_get_u8(in) & 7);
	le16_put(raw + 14, bytes_get_u8(in));
	mem_write(r->mem, at, raw, sizeof(raw));
}

static void step_offer(struct rig *r, struct bytes_in *in)
{
	gpa_t at = ring(bytes_get_u8(in)) + 0x4000;
	uint8_t raw[2], head = bytes_get_u8(in), by = bytes_get_u8(in);
	unsigned idx;
	mem_read(r->mem, at + 2, raw, 2);
	idx = le16_get(raw);
	put16(r, at + 4 + 2 * (idx % 64), head);
	put16(r, at + 4 + 2 * (idx % 256), head);
	put16(r, at + 2, idx + (by < 250 ? 1u + by / 64u : (unsigned)by << 8));
}

static void step_ram(struct rig *r, struct bytes_in *in)
{
	uint8_t raw[64];
	gpa_t at = 16ull * bytes_get_u16(in);
	size_t len = bytes_get_u8(in) % (sizeof(raw) + 1);
	bytes_get(in, raw, len);
	mem_write(r->mem, at % RAM, raw, len);
}

static void step_host(struct rig *r, const struct fuzz_device *type, struct bytes_in *in)
{
	static const uint8_t zeros[FRAME_MAX];
	uint8_t head[64] = { 0 };
	uint8_t kind = bytes_get_u8(in);
	uint32_t len = bytes_get_u16(in);
	bytes_get(in, head, kind % 64);
	if (!type->host)
		return;
	/* Short ones have contents. */
	type->host(r, kind, len <= sizeof(head) ? head : zeros, len);
}

static void script_run(struct rig *r, const struct fuzz_device *type, struct bytes_in *in, bool second)
{
	for (unsigned i = 0; i < STEPS_MAX && in->pos < in->len; i++) {
		unsigned step = bytes_get_u8(in) % 64, off, size;
		if (step < STEP_START)
			step %= STEPS_OFTEN;
		vclock_set_icount(r->clock, i * STEP_NS);
		if (second && type->ask)
			type->ask(r);
		switch ((enum step)step) {
		case STEP_START:
			step_start(r, bytes_get_u32(in));
			break;
		case STEP_WRITE:
			off = bytes_get_u16(in) % 0x4000;
			size = 1u << bytes_get_u8(in) % 4;
			bus_mmio_write(r->bus, 0, bar(r, 0) + off, size, bytes_get_u32(in));
			break;
		case STEP_READ:
			off = bytes_get_u16(in) % 0x4000;
			size = 1u << bytes_get_u8(in) % 4;
			(void)bus_mmio_read(r->bus, 0, bar(r, 0) + off, size);
			break;
		case STEP_CONFIG:
			off = bytes_get_u8(in);
			size = 1u << bytes_get_u8(in) % 3;
			config_write(r, off, size, bytes_get_u32(in));
			break;
		case STEP_MSIX:
			off = bytes_get_u16(in) % 0x1000;
			bus_mmio_write(r->bus, 0, bar(r, 1) + off, 4, bytes_get_u32(in));
			break;
		case STEP_RAM:
			step_ram(r, in);
			break;
		case STEP_DESC:
			step_desc(r, in);
			break;
		case STEP_OFFER:
			step_offer(r, in);
			break;
		case STEP_KICK:
			size = bytes_get_u8(in) % QUEUES;
			bus_mmio_write(r->bus, 0, bar(r, 0) + 0x3000 + 4 * size, 2, size);
			break;
		case STEP_HOST:
			step_host(r, type, in);
			break;
		case STEP_RESTORE:
			if (second)
				rig_restore(r);
			break;
		case STEP_LOAD:
			off = bytes_get_u16(in);
			rig_load_damaged(r, off, bytes_get_u8(in));
			break;
		case STEP_NOTHING:
			vclock_run_timers(r->clock);
			break;
		case STEPS_OFTEN:
			break;
		}
	}
}

static struct digest128 rig_digest(struct rig *r)
{
	struct bytes b = { 0 };
	struct digest128 d = mem_digest_update(r->ram);
	for (unsigned i = 0; i < RIG_DEVICES; i++)
		device_save(rig_device(r, i), &b);
	d = digest_add(d, digest_add(r->out, digest_bytes(b.data, b.len, 0)));
	bytes_fini(&b);
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest128 d[2];
	unsigned type;
	if (size == 0)
		return 0;
	type = (data[0] & ~TWICE) % RV_ARRAY_LEN(devices);
	for (unsigned i = 0; i < (data[0] & TWICE ? 2 : 1); i++) {
		struct rig *r = rig_get(type, i);
		struct bytes_in in;
		bytes_in_init(&in, data + 1, size - 1);
		script_run(r, &devices[type], &in, i == 1);
		if (data[0] & TWICE)
			d[i] = rig_digest(r);
	}
	need(!(data[0] & TWICE) || digest_equal(d[0], d[1]));
	return 0;
}

/* ---- samples ---- */

static void put_desc(struct bytes *b, unsigned q, unsigned i, uint32_t gpa, unsigned len, unsigned flags,
		     unsigned next)
{
	bytes_put_u8(b, STEP_DESC);
	bytes_put_u8(b, (uint8_t)q);
	bytes_put_u8(b, (uint8_t)i);
	bytes_put_u32(b, gpa);
	bytes_put_u16(b, (uint16_t)len);
	bytes_put_u8(b, (uint8_t)flags);
	bytes_put_u8(b, (uint8_t)next);
}

static void put_step(struct bytes *b, enum step step, unsigned nargs, uint8_t x, uint8_t y, uint8_t z)
{
	const uint8_t raw[3] = { x, y, z };
	bytes_put_u8(b, (uint8_t)step);
	bytes_put(b, raw, nargs);
}

/* One disk request in three descriptors from `first` on, its header where the first points to. */
static void put_request(struct bytes *b, unsigned first, unsigned type, unsigned sector, unsigned len)
{
	const uint32_t at = BUFFERS + 0x8000u + 0x100u * first;
	bytes_put_u8(b, STEP_RAM);
	bytes_put_u16(b, (uint16_t)(at / 16));
	bytes_put_u8(b, 16);
	bytes_put_u64(b, type);
	bytes_put_u64(b, sector);
	put_desc(b, 0, first, at, 16, 1, first + 1);
	put_desc(b, 0, first + 1, BUFFERS + 0x1000 * first, len, type == 0 ? 3 : 1, first + 2);
	put_desc(b, 0, first + 2, at + 0x20, 1, 2, 0);
	put_step(b, STEP_OFFER, 3, 0, (uint8_t)first, 0);
}

/* Overlapping writes and reads, in whole blocks and not, completed out of order. */
static void put_disk(struct bytes *b)
{
	put_request(b, 4, 1, 3, 2048);
	put_request(b, 8, 0, 0, 8192);
	put_request(b, 12, 1, 0, 4096);
	put_request(b, 16, 4, 0, 16);
	put_request(b, 20, 8, 0, 20);
	put_step(b, STEP_KICK, 1, 0, 0, 0);
	put_step(b, STEP_RESTORE, 0, 0, 0, 0);
	for (unsigned i = 0; i < 12; i++) {
		put_step(b, STEP_HOST, 3, (uint8_t)(1 + i % 6), 60, 0);
		put_step(b, STEP_NOTHING, 0, 0, 0, 0);
	}
}

/* Chains both ways on each queue, of one and of two segments and indirect, with input between them. */
bool fuzz_sample(unsigned which, struct bytes *out)
{
	/* Everything; neither mergeable buffers nor EVENT_IDX. */
	static const uint32_t features[] = { UINT32_MAX, ~(1u << 15 | 1u << 29) };
	if (which >= RV_ARRAY_LEN(devices) * RV_ARRAY_LEN(features))
		return false;
	bytes_put_u8(out, (uint8_t)(TWICE | which % RV_ARRAY_LEN(devices)));
	bytes_put_u8(out, STEP_START);
	bytes_put_u32(out, features[which / RV_ARRAY_LEN(devices)]);
	for (unsigned q = 0; q < QUEUES; q++) {
		unsigned write = q == 0 ? 2 : 0;
		put_desc(out, q, 0, BUFFERS, 2000, write, 0);
		put_desc(out, q, 1, BUFFERS + 0x1000, q == 2 ? 2 : 12, write | 1, 2);
		put_desc(out, q, 2, BUFFERS + 0x2000, 60, write | (q == 2 ? 2 : 0), 0);
		put_desc(out, q, 3, RING_SPACE * (1 + q) + 16, 32, 4, 0);
		for (unsigned i = 0; i < 3; i++)
			put_step(out, STEP_OFFER, 3, (uint8_t)q, (uint8_t)i, 0);
		put_step(out, STEP_KICK, 1, (uint8_t)q, 0, 0);
		put_step(out, STEP_RESTORE, 0, 0, 0, 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		put_step(out, STEP_HOST, 3, (uint8_t)(16 * i), 60, 0);
		put_step(out, STEP_OFFER, 3, 0, (uint8_t)i, 0);
		put_step(out, STEP_KICK, 1, 0, 0, 0);
		put_step(out, STEP_READ, 3, 0, 0x10, 0);
	}
	put_disk(out);
	put_step(out, STEP_LOAD, 3, 9, 0, 1);
	return true;
}

size_t fuzz_mutate(uint8_t *p, size_t len, uint64_t *rng)
{
	uint64_t x = fuzz_random(rng);
	for (unsigned i = 0; i < 1 + x % 6; i++)
		p[fuzz_random(rng) % len] = (uint8_t)fuzz_random(rng);
	/* A part twice instead of what stood there. */
	if (x >> 8 & 1 && len > 32) {
		size_t n = 1 + fuzz_random(rng) % 24;
		memmove(p + 1 + fuzz_random(rng) % (len - n), p + 1 + fuzz_random(rng) % (len - n), n);
	}
	return x >> 16 & 7 ? len : 1 + fuzz_random(rng) % len;
}
