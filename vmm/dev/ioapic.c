/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O APIC (82093AA data sheet, with the EOI register of version 20h).
 *
 * Inputs are logical: high means asserted, whatever polarity a guest programs,
 * since the board and its ACPI tables agree on it. An edge on a masked input
 * is lost (82093AA, 3.2.4, bit 16); a level waits until it is unmasked.
 */
#include "dev/chips.h"

#include <stdlib.h>

#define IOAPIC_SIZE 0x1000u
#define IOAPIC_VERSION 0x20u

#define RTE_WRITABLE 0xff0000000001afffull
#define RTE_STATUS 0x5000ull /* delivery status, remote IRR: not the guest's to write */
#define RTE_REMOTE_IRR (1ull << 14)
#define RTE_LEVEL (1ull << 15)
#define RTE_MASKED (1ull << 16)

struct ioapic {
	uint64_t rte[IOAPIC_PINS];
	uint32_t lines; /* asserted inputs */
	uint8_t id;
	uint8_t index;
	struct lapic *lapic;
};

static void ioapic_deliver(struct ioapic *io, unsigned pin)
{
	uint64_t *rte = &io->rte[pin];
	uint32_t data = (uint32_t)*rte & 0x7ffu;
	uint64_t addr = LAPIC_BASE | (*rte >> 56) << 12 | (*rte >> 11 & 1u) << 2;
	if (*rte & RTE_LEVEL) {
		data |= 3u << 14; /* level, asserted */
		*rte |= RTE_REMOTE_IRR;
	}
	lapic_message(io->lapic, addr, data);
}

/* A level-triggered input asks until its last request was acknowledged with an EOI. */
static void ioapic_service_level(struct ioapic *io, unsigned pin)
{
	uint64_t rte = io->rte[pin];
	if ((rte & RTE_LEVEL) && !(rte & (RTE_MASKED | RTE_REMOTE_IRR)) && (io->lines >> pin & 1u))
		ioapic_deliver(io, pin);
}

void ioapic_set(void *ioapic, unsigned pin, bool level)
{
	struct ioapic *io = ioapic;
	bool old;
	if (pin >= IOAPIC_PINS)
		return;
	old = (io->lines >> pin & 1u) != 0;
	if (old == level)
		return;
	io->lines ^= 1u << pin;
	if (!level)
		return;
	if (io->rte[pin] & RTE_LEVEL)
		ioapic_service_level(io, pin);
	else if (!(io->rte[pin] & RTE_MASKED))
		ioapic_deliver(io, pin);
}

void ioapic_eoi(void *ioapic, uint8_t vector)
{
	struct ioapic *io = ioapic;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t rte = io->rte[pin];
		if (!(rte & RTE_LEVEL) || !(rte & RTE_REMOTE_IRR) || (rte & 0xffu) != vector)
			continue;
		io->rte[pin] &= ~RTE_REMOTE_IRR;
		ioapic_service_level(io, pin);
	}
}

static uint32_t ioapic_reg_read(const struct ioapic *io)
{
	unsigned i = io->index;
	switch (i) {
	case 0: /* ID */
	case 2: /* arbitration ID: loaded from the ID */
		return (uint32_t)io->id << 24;
	case 1:
		return IOAPIC_VERSION | (IOAPIC_PINS - 1) << 16;
	default:
		if (i < 0x10 || i >= 0x10 + 2 * IOAPIC_PINS)
			return 0xffffffffu;
		return (uint32_t)(io->rte[(i - 0x10) / 2] >> (i & 1u) * 32);
	}
}

static void ioapic_reg_write(struct ioapic *io, uint32_t value)
{
	unsigned i = io->index, pin;
	uint64_t v;
	if (i == 0)
		io->id = value >> 24 & 0xfu;
	if (i < 0x10 || i >= 0x10 + 2 * IOAPIC_PINS)
		return;
	pin = (i - 0x10) / 2;
	v = io->rte[pin];
	if (i & 1u)
		v = (v & 0xffffffffu) | (uint64_t)value << 32;
	else
		v = (v & ~0xffffffffull) | value;
	v = (v & RTE_WRITABLE) | (io->rte[pin] & RTE_STATUS);
	/* Switching to edge clears remote IRR: the way out for a guest without EOI register. */
	if (!(v & RTE_LEVEL))
		v &= ~RTE_REMOTE_IRR;
	io->rte[pin] = v;
	ioapic_service_level(io, pin);
}

static uint64_t ioapic_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	struct ioapic *io = ctx;
	uint32_t value = 0;
	(void)vcpu;
	(void)size;
	switch (off & ~3ull) {
	case 0x00:
		value = io->index;
		break;
	case 0x10:
		value = ioapic_reg_read(io);
		break;
	}
	return value >> (off & 3u) * 8;
}

static void ioapic_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct ioapic *io = ctx;
	(void)vcpu;
	switch (off) {
	case 0x00:
		io->index = (uint8_t)value;
		return;
	case 0x10:
		if (size == 4)
			ioapic_reg_write(io, (uint32_t)value);
		return;
	case 0x40:
		ioapic_eoi(io, (uint8_t)value);
		return;
	}
}

static const struct bus_region_ops ioapic_ops = {
	.read = ioapic_read,
	.write = ioapic_write,
	.max_size = 4,
};

static void ioapic_reset(void *self)
{
	struct ioapic *io = self;
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		io->rte[i] = RTE_MASKED;
	io->lines = 0;
	io->id = IOAPIC_ID;
	io->index = 0;
}

static int ioapic_post_load(void *obj)
{
	struct ioapic *io = obj;
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		if (io->rte[i] & ~(RTE_WRITABLE | RTE_REMOTE_IRR))
			return RV_EINVAL;
	return io->id > 0xf || io->lines >> IOAPIC_PINS ? RV_EINVAL : RV_OK;
}

static const struct state_field ioapic_fields[] = {
	STATE_ARRAY(struct ioapic, rte),
	STATE_FIELD(struct ioapic, lines),
	STATE_FIELD(struct ioapic, id),
	STATE_FIELD(struct ioapic, index),
};

static const struct state_desc ioapic_desc = {
	.name = "ioapic",
	.version = 1,
	.fields = ioapic_fields,
	.nfields = RV_ARRAY_LEN(ioapic_fields),
	.post_load = ioapic_post_load,
};

static const struct device_ops ioapic_device_ops = {
	.name = "ioapic",
	.desc = &ioapic_desc,
	.reset = ioapic_reset,
	.destroy = free,
};

int ioapic_create(struct ioapic **out, struct device *dev, struct bus *bus, struct lapic *lapic)
{
	struct ioapic *io = calloc(1, sizeof(*io));
	if (!io)
		return RV_ENOMEM;
	io->lapic = lapic;
	if (bus_add_mmio(bus, IOAPIC_BASE, IOAPIC_SIZE, &ioapic_ops, io) != RV_OK) {
		free(io);
		return RV_ENOMEM;
	}
	ioapic_reset(io);
	lapic_connect_ioapic(lapic, ioapic_eoi, io);
	*out = io;
	dev->ops = &ioapic_device_ops;
	dev->self = io;
	return RV_OK;
}
