/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/bus.h"

#include <stdlib.h>

#include "base/log.h"

#define BUS_MAX_REGIONS 64u

struct bus_region {
	uint64_t base, size;
	const struct bus_region_ops *ops;
	void *ctx;
};

struct bus_msr_range {
	uint32_t first, last;
	const struct bus_msr_ops *ops;
	void *ctx;
};

struct bus {
	unsigned npio, nmmio, nmsr;
	struct bus_region pio[BUS_MAX_REGIONS];
	struct bus_region mmio[BUS_MAX_REGIONS];
	struct bus_msr_range msr[BUS_MAX_REGIONS];
	struct vcpu_pins pins[CPU_MAX];
	const struct irqchip_ops *irqchip;
	void *irqchip_ctx;
	enum bus_request request;
	uint32_t request_code;
	bool attention;
};

int bus_create(struct bus **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? RV_OK : RV_ENOMEM;
}

void bus_destroy(struct bus *b)
{
	free(b);
}

static int bus_region_add(struct bus_region *list, unsigned *n, uint64_t base, uint64_t size,
			  const struct bus_region_ops *ops, void *ctx)
{
	RV_ASSERT(size > 0 && ops->max_size >= 1);
	if (*n == BUS_MAX_REGIONS)
		return RV_ENOMEM;
	for (unsigned i = 0; i < *n; i++)
		RV_ASSERT(base + size <= list[i].base || list[i].base + list[i].size <= base);
	list[(*n)++] = (struct bus_region){ base, size, ops, ctx };
	return RV_OK;
}

int bus_add_pio(struct bus *b, uint16_t first, unsigned count, const struct bus_region_ops *ops,
		void *ctx)
{
	RV_ASSERT((uint64_t)first + count <= 0x10000);
	return bus_region_add(b->pio, &b->npio, first, count, ops, ctx);
}

int bus_add_mmio(struct bus *b, gpa_t base, uint64_t size, const struct bus_region_ops *ops,
		 void *ctx)
{
	return bus_region_add(b->mmio, &b->nmmio, base, size, ops, ctx);
}

int bus_add_msr(struct bus *b, uint32_t first, uint32_t last, const struct bus_msr_ops *ops,
		void *ctx)
{
	if (b->nmsr == BUS_MAX_REGIONS)
		return RV_ENOMEM;
	for (unsigned i = 0; i < b->nmsr; i++)
		RV_ASSERT(last < b->msr[i].first || b->msr[i].last < first);
	b->msr[b->nmsr++] = (struct bus_msr_range){ first, last, ops, ctx };
	return RV_OK;
}

static const struct bus_region *bus_find(const struct bus_region *list, unsigned n, uint64_t addr)
{
	for (unsigned i = 0; i < n; i++)
		if (addr - list[i].base < list[i].size)
			return &list[i];
	return NULL;
}

/* The largest piece at addr that one region takes whole: a power of two, within the region. An
 * unclaimed byte is a piece of its own. */
static unsigned bus_piece(const struct bus_region *r, uint64_t addr, unsigned size)
{
	unsigned n = 8;
	if (!r)
		return 1;
	while (n > size || n > r->ops->max_size || addr - r->base + n > r->size)
		n /= 2;
	return n;
}

static uint64_t bus_read(const struct bus_region *list, unsigned n, unsigned vcpu, uint64_t addr,
			 unsigned size)
{
	uint64_t value = 0;
	for (unsigned done = 0; done < size;) {
		const struct bus_region *r = bus_find(list, n, addr + done);
		unsigned piece = bus_piece(r, addr + done, size - done);
		uint64_t v = 0xff;
		if (r)
			v = r->ops->read(r->ctx, vcpu, addr + done - r->base, piece);
		if (piece < 8)
			v &= (1ull << piece * 8) - 1;
		value |= v << done * 8;
		done += piece;
	}
	return value;
}

static void bus_write(const struct bus_region *list, unsigned n, unsigned vcpu, uint64_t addr,
		      unsigned size, uint64_t value)
{
	for (unsigned done = 0; done < size;) {
		const struct bus_region *r = bus_find(list, n, addr + done);
		unsigned piece = bus_piece(r, addr + done, size - done);
		uint64_t v = value >> done * 8;
		if (piece < 8)
			v &= (1ull << piece * 8) - 1;
		if (r)
			r->ops->write(r->ctx, vcpu, addr + done - r->base, piece, v);
		done += piece;
	}
}

uint64_t bus_pio_read(struct bus *b, unsigned vcpu, uint16_t port, unsigned size)
{
	return bus_read(b->pio, b->npio, vcpu, port, size);
}

void bus_pio_write(struct bus *b, unsigned vcpu, uint16_t port, unsigned size, uint64_t value)
{
	bus_write(b->pio, b->npio, vcpu, port, size, value);
}

uint64_t bus_mmio_read(struct bus *b, unsigned vcpu, gpa_t gpa, unsigned size)
{
	return bus_read(b->mmio, b->nmmio, vcpu, gpa, size);
}

void bus_mmio_write(struct bus *b, unsigned vcpu, gpa_t gpa, unsigned size, uint64_t value)
{
	bus_write(b->mmio, b->nmmio, vcpu, gpa, size, value);
}

static const struct bus_msr_range *bus_msr_find(const struct bus *b, uint32_t msr)
{
	for (unsigned i = 0; i < b->nmsr; i++)
		if (msr >= b->msr[i].first && msr <= b->msr[i].last)
			return &b->msr[i];
	return NULL;
}

int bus_msr_read(struct bus *b, unsigned vcpu, uint32_t msr, uint64_t *value)
{
	const struct bus_msr_range *r = bus_msr_find(b, msr);
	return r ? r->ops->read(r->ctx, vcpu, msr, value) : RV_ENOENT;
}

int bus_msr_write(struct bus *b, unsigned vcpu, uint32_t msr, uint64_t value)
{
	const struct bus_msr_range *r = bus_msr_find(b, msr);
	return r ? r->ops->write(r->ctx, vcpu, msr, value) : RV_ENOENT;
}

struct vcpu_pins *bus_pins(struct bus *b, unsigned vcpu)
{
	RV_ASSERT(vcpu < CPU_MAX);
	return &b->pins[vcpu];
}

void bus_set_irqchip(struct bus *b, const struct irqchip_ops *ops, void *ctx)
{
	b->irqchip = ops;
	b->irqchip_ctx = ctx;
}

int bus_irq_ack(struct bus *b, unsigned vcpu)
{
	return b->irqchip ? b->irqchip->ack(b->irqchip_ctx, vcpu) : -1;
}

uint8_t bus_cr8_read(struct bus *b, unsigned vcpu)
{
	return b->irqchip ? b->irqchip->cr8_read(b->irqchip_ctx, vcpu) : 0;
}

void bus_cr8_write(struct bus *b, unsigned vcpu, uint8_t value)
{
	if (b->irqchip)
		b->irqchip->cr8_write(b->irqchip_ctx, vcpu, value);
}

bool bus_apic_enabled(struct bus *b, unsigned vcpu)
{
	return b->irqchip && b->irqchip->apic_enabled(b->irqchip_ctx, vcpu);
}

void bus_vcpu_init(struct bus *b, unsigned vcpu)
{
	if (b->irqchip)
		b->irqchip->init(b->irqchip_ctx, vcpu);
}

void bus_tsc_adjust(struct bus *b, unsigned vcpu, uint64_t adjust)
{
	if (b->irqchip)
		b->irqchip->tsc_adjust(b->irqchip_ctx, vcpu, adjust);
}

void bus_request(struct bus *b, enum bus_request req, uint32_t code)
{
	/* The first request of an instruction wins: the machine acts on it before the next one. */
	if (b->request != BUS_REQ_NONE)
		return;
	b->request = req;
	b->request_code = code;
	b->attention = true;
}

enum bus_request bus_take_request(struct bus *b, uint32_t *code)
{
	enum bus_request req = b->request;
	*code = b->request_code;
	b->request = BUS_REQ_NONE;
	b->attention = false;
	return req;
}

const bool *bus_attention(const struct bus *b)
{
	return &b->attention;
}
