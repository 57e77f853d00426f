/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver gone mad: random bytes into the registers, rings and descriptors of
 * every virtio device there is. What it gives away to the devices lies in one
 * arena, or nowhere in RAM; the pages around the arena must stay as they are.
 * The rest is for whoever looks on: the monitor lives, the run replays, and no
 * file of the host has changed (fuzz.sh). "seed=N" and "rounds=N" on the
 * command line.
 */
#include "lib/guest.h"

const char guest_name[] = "fuzz64";

#define ARENA	   0x4000000ul
#define ARENA_SIZE 0x100000ul
#define GUARD	   0x40000ul /* before and behind */
#define DEVICES	   12
#define QUEUES	   4
#define RING	   64u
#define BUFFERS	   0xc0000ul /* in the arena, behind the rings: a device that writes into its own rings writes anywhere */

/* VIRTIO 1.1, 4.1.4.3 */
enum { C_DFSELECT = 0, C_DF = 4, C_GFSELECT = 8, C_GF = 12, C_MSIX = 16, C_STATUS = 20, C_QSELECT = 22, C_QSIZE = 24,
	C_QENABLE = 28, C_QDESC = 32, C_QDRIVER = 40, C_QDEVICE = 48 };

struct dev {
	unsigned slot;
	word bar[2];
	word common, notify, config;
	unsigned notify_step;
};
static struct dev dev[DEVICES];
static unsigned ndev;
static uint64_t rng = 1;

static uint64_t rnd(void)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return rng * 0x2545f4914f6cdd1dull;
}

static void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}
static uint32_t inl(uint16_t port)
{
	uint32_t v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static uint32_t pci_read(unsigned slot, unsigned reg)
{
	outl(0xcf8, 0x80000000u | slot << 11 | (reg & 0xfc));
	return inl(0xcfc);
}
static void pci_write(unsigned slot, unsigned reg, uint32_t v)
{
	outl(0xcf8, 0x80000000u | slot << 11 | (reg & 0xfc));
	outl(0xcfc, v);
}

static void find(void)
{
	for (unsigned slot = 1; slot < 32 && ndev < DEVICES; slot++) {
		struct dev *d = &dev[ndev];
		unsigned cap;
		if ((pci_read(slot, 0) & 0xffff) != 0x1af4)
			continue;
		*d = (struct dev){ .slot = slot };
		for (unsigned i = 0; i < 2; i++)
			d->bar[i] = pci_read(slot, 0x10 + 4 * i) & ~15u;
		pci_write(slot, 4, 6); /* memory, bus master */
		for (cap = pci_read(slot, 0x34) & 0xff; cap; cap = pci_read(slot, cap) >> 8 & 0xff) {
			uint32_t head = pci_read(slot, cap), where = pci_read(slot, cap + 8);
			if ((head & 0xff) != 9)
				continue;
			switch (head >> 24) {
			case 1:
				d->common = d->bar[0] + where;
				break;
			case 2:
				d->notify = d->bar[0] + where;
				d->notify_step = pci_read(slot, cap + 16);
				break;
			case 4:
				d->config = d->bar[0] + where;
				break;
			}
		}
		if (d->common && d->notify)
			ndev++;
	}
}

/* Something to be wrong with every so often: what is bad puts a device out of work until it is reset. */
static bool rarely(void)
{
	return rnd() % 64 == 0;
}

#define MMIO(type, at) (*(volatile type *)(at))

static void poke(word at, unsigned size, uint64_t v)
{
	switch (size & 3) {
	case 0:
		MMIO(uint8_t, at) = (uint8_t)v;
		break;
	case 1:
		MMIO(uint16_t, at) = (uint16_t)v;
		break;
	case 2:
		MMIO(uint32_t, at) = (uint32_t)v;
		break;
	default:
		MMIO(uint64_t, at) = v;
		break;
	}
}

static uint64_t peek(word at, unsigned size)
{
	switch (size & 3) {
	case 0:
		return MMIO(uint8_t, at);
	case 1:
		return MMIO(uint16_t, at);
	case 2:
		return MMIO(uint32_t, at);
	default:
		return MMIO(uint64_t, at);
	}
}

/* An address a device may be given: in the arena, with at most *len behind it there; or no RAM at all, with any length. */
static uint64_t address(uint32_t *len)
{
	uint64_t r = rnd(), at;
	if (r % 16 == 0) {
		static const uint64_t nowhere[] = { 0x20000000, 0xe0000000, 0xfee00000, 0x100000000000, ~0ull, ~0ull << 12 };
		*len = (uint32_t)(r >> 32);
		return nowhere[(r >> 8) % (sizeof(nowhere) / sizeof(nowhere[0]))] + (r >> 40) % 64;
	}
	at = BUFFERS + (r >> 8) % (ARENA_SIZE - BUFFERS - 16);
	*len = r % 8 < 6 ? (uint32_t)(rnd() % 2048) : (uint32_t)(rnd() % 65536);
	if (*len > ARENA_SIZE - at)
		*len = (uint32_t)(ARENA_SIZE - at);
	return ARENA + at;
}

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static word ring_of(unsigned d, unsigned q)
{
	return ARENA + ((word)(d % DEVICES) * QUEUES + q) * 0x4000;
}

/* A queue as a driver would set it up, or nearly so. */
static void set_up(unsigned n, unsigned q)
{
	struct dev *d = &dev[n];
	word ring = ring_of(n, q);
	*(volatile uint32_t *)(ring + 0x1000) = 0; /* its avail ring begins anew */
	poke(d->common + C_QSELECT, 1, q);
	poke(d->common + C_QSIZE, 1, rarely() ? rnd() : RING);
	poke(d->common + C_QDESC, 3, ring + (rarely() ? rnd() % 64 : 0));
	poke(d->common + C_QDRIVER, 3, ring + 0x1000 + (rarely() ? rnd() % 64 : 0));
	poke(d->common + C_QDEVICE, 3, ring + 0x2000 + (rarely() ? rnd() % 64 : 0));
	poke(d->common + C_QENABLE, 1, 1);
}

static void reset(unsigned n)
{
	struct dev *d = &dev[n];
	poke(d->common + C_STATUS, 0, 0);
	poke(d->common + C_STATUS, 0, 3);
	for (unsigned i = 0; i < 2; i++) {
		poke(d->common + C_DFSELECT, 2, i);
		poke(d->common + C_GFSELECT, 2, i);
		poke(d->common + C_GF, 2, rarely() ? rnd() : peek(d->common + C_DF, 2));
	}
	poke(d->common + C_STATUS, 0, 11);
	for (unsigned q = 0; q < QUEUES; q++)
		set_up(n, q);
	poke(d->common + C_STATUS, 0, 15);
}

static void put_desc(volatile struct desc *t, uint64_t addr, uint32_t len, unsigned flags, unsigned next)
{
	t->addr = addr;
	t->len = rarely() ? (uint32_t)rnd() % 4096 : len;
	t->flags = (uint16_t)(rarely() ? rnd() : flags);
	t->next = (uint16_t)(rarely() ? rnd() : next);
	if (t->addr >= ARENA && t->addr < ARENA + ARENA_SIZE && t->len > ARENA + ARENA_SIZE - t->addr)
		t->len = (uint32_t)(ARENA + ARENA_SIZE - t->addr);
}

/* A chain as a driver makes them: a header and data to be read, data and a status byte to be written. Returns its head. */
static unsigned good_chain(volatile struct desc *table)
{
	const unsigned at = (unsigned)(rnd() % (RING - 4));
	const uint64_t header = ARENA + BUFFERS + rnd() % 1024 * 64;
	const bool write = rnd() % 2;
	*(volatile uint32_t *)header = rarely() ? (uint32_t)rnd() : write;
	*(volatile uint64_t *)(header + 8) = rarely() ? rnd() : rnd() % 4000;
	put_desc(&table[at], header, 16, 1, at + 1);
	put_desc(&table[at + 1], ARENA + BUFFERS + 0x10000 + rnd() % 64 * 512, 512u * (unsigned)(1 + rnd() % 8), write ? 1 : 3,
		 at + 2);
	put_desc(&table[at + 2], ARENA + BUFFERS + 0x20000 + rnd() % 4096, 1, 2, 0);
	return at;
}

static unsigned one_buffer(volatile struct desc *table, unsigned flags)
{
	const unsigned at = (unsigned)(rnd() % RING);
	put_desc(&table[at], ARENA + BUFFERS + rnd() % 0x20000, (uint32_t)(rnd() % 1600), flags, 0);
	return at;
}

static void fill_ring(unsigned n, unsigned q)
{
	volatile struct desc *table = (void *)ring_of(n, q);
	volatile uint16_t *avail = (void *)(ring_of(n, q) + 0x1000);
	for (unsigned i = 1 + rnd() % 4; i; i--) {
		unsigned head = (unsigned)(rnd() % RING);
		uint32_t len;
		switch (rnd() % 8) {
		case 0:
			table[head].addr = address(&len);
			table[head].len = len;
			table[head].flags = (uint16_t)(rnd() % 4);
			table[head].next = (uint16_t)(rnd() % RING);
			break;
		case 1:
			head = one_buffer(table, 0);
			break;
		case 2:
			head = one_buffer(table, 2);
			break;
		default:
			head = good_chain(table);
		}
		avail[2 + avail[1] % RING] = (uint16_t)(rarely() ? rnd() : head);
		avail[1]++;
	}
	if (rarely() && rarely())
		avail[1] = (uint16_t)rnd();
	avail[0] = (uint16_t)(rnd() % 2);
}

static void one_step(void)
{
	unsigned n = (unsigned)(rnd() % ndev), q = (unsigned)(rnd() % QUEUES);
	struct dev *d = &dev[n];
	uint64_t r = rnd();
	switch (r % 32) {
	case 0:
	case 9:
	case 10:
	case 11:
		reset(n);
		break;
	case 1: /* anything, anywhere in the registers; but the rings stay where they are known to be */
		poke(d->common + (r >> 8) % (C_QDESC - 8), (unsigned)(r >> 40), rnd());
		break;
	case 2:
		if (d->config)
			poke(d->config + (r >> 8) % 64, (unsigned)(r >> 40), rnd());
		break;
	case 3:
		(void)peek(d->bar[0] + (r >> 8) % 0x3ff8, (unsigned)(r >> 40));
		break;
	case 4: /* the MSI-X table; no message gets to the APIC, or it could be an INIT */
		poke(d->bar[1] + (r >> 8) % 0x400 / 4 * 4, 2, rnd() & 0x7fffffff);
		break;
	case 5: /* its capability in configuration space, and what is read-only there */
		pci_write(d->slot, 0x40 + (unsigned)(r >> 8) % 0xc0, (uint32_t)rnd());
		break;
	case 6:
		pci_write(d->slot, 4, rnd() % 4 ? 6 : (uint32_t)rnd() & 0xffff);
		pci_write(d->slot, 4, 6);
		break;
	case 8: /* a bell that no queue has */
		poke(d->notify + (r >> 8) % 0x1000, 1, rnd());
		break;
	default:
		fill_ring(n, q);
		poke(d->notify + (word)q * d->notify_step, 1, q);
	}
}

static uint64_t rounds = 20000;

static void devices(void)
{
	volatile uint64_t *before = (void *)(ARENA - GUARD), *behind = (void *)(ARENA + ARENA_SIZE);
	find();
	guest_print("devices: ");
	guest_print_hex(ndev);
	guest_print("\n");
	CHECK(ndev >= 1);
	for (word i = 0; i < GUARD / 8; i++)
		before[i] = behind[i] = 0x5a5a000000000000ull + i;
	for (unsigned n = 0; n < ndev; n++)
		reset(n);
	for (uint64_t i = 0; i < rounds; i++)
		one_step();
	/* What is still on its way ends here: a reset device owns nothing. */
	for (unsigned n = 0; n < ndev; n++) {
		poke(dev[n].common + C_STATUS, 0, 0);
		CHECK_EQ(peek(dev[n].common + C_STATUS, 0), 0);
	}
	for (word i = 0; i < GUARD / 8; i++) {
		CHECK_EQ(before[i], 0x5a5a000000000000ull + i);
		CHECK_EQ(behind[i], 0x5a5a000000000000ull + i);
	}
}

static uint64_t option(const char *name, uint64_t otherwise)
{
	for (const char *p = guest_command_line; p && *p; p++) {
		const char *a = p, *b = name;
		uint64_t v = 0;
		while (*b && *a == *b)
			a++, b++;
		if (*b)
			continue;
		while (*a >= '0' && *a <= '9')
			v = v * 10 + (uint64_t)(*a++ - '0');
		return v;
	}
	return otherwise;
}

void guest_main(void)
{
	rng = option("seed=", 1) * 2 + 1;
	rounds = option("rounds=", rounds);
	RUN(devices);
}
