/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two cascaded 8259A interrupt controllers (Intel 8259A data sheet) with the
 * edge/level control registers of the PC chipsets.
 *
 * One departure: a rising edge stays latched in IRR until it is acknowledged,
 * though the line falls again. Devices may therefore pulse their line, and a
 * spurious IRQ 7 comes only from a withdrawn level.
 */
#include "dev/chips.h"

#include <stdlib.h>

#define PIC_MASTER 0u
#define PIC_SLAVE 1u
#define PIC_CASCADE 2u /* the slave's input on the master */

#define ICW1_INIT 0x10u
#define ICW1_LEVEL 0x08u
#define ICW1_SINGLE 0x02u
#define ICW1_ICW4 0x01u
#define ICW4_AUTO_EOI 0x02u
#define ICW4_SFNM 0x10u
#define OCW3_SELECT 0x08u

struct pic_chip {
	uint8_t irr;  /* latched edges */
	uint8_t line; /* levels of the inputs */
	uint8_t imr;
	uint8_t isr;
	uint8_t elcr;
	uint8_t base;    /* ICW2: bits 7-3 of the vector */
	uint8_t lowest;  /* input with the lowest priority; 7 after initialisation */
	uint8_t icw1;
	uint8_t icw4;
	uint8_t expect;  /* the next ICW to be written to the odd port, 2 to 4; 0: OCW1 */
	bool read_isr;   /* OCW3: the even port reads ISR, else IRR */
	bool poll;       /* OCW3: the next read is an acknowledge */
	bool special_mask;
	bool rotate_auto; /* rotate in automatic EOI mode */
};

struct pic {
	struct pic_chip chip[2];
	bool out; /* the master's INT pin */

	/* Wiring. */
	void (*out_line)(void *ctx, bool level);
	void *out_ctx;
};

static bool pic_chip_level(const struct pic_chip *c, unsigned irq)
{
	return (c->icw1 & ICW1_LEVEL) || (c->elcr >> irq & 1u);
}

/* Requests that could be served: latched edges and present levels. */
static uint8_t pic_requests(const struct pic *p, unsigned which);

/* The input to serve next, or -1: highest priority request above everything in service. */
static int pic_chip_next(const struct pic *p, unsigned which)
{
	const struct pic_chip *c = &p->chip[which];
	unsigned want = pic_requests(p, which) & (uint8_t)~c->imr;
	for (unsigned i = 1; i <= 8; i++) {
		unsigned irq = (c->lowest + i) & 7u;
		unsigned bit = 1u << irq;
		bool in_service = (c->isr & bit) != 0;
		/* Special fully nested: the slave may interrupt its own service routine. */
		if (which == PIC_MASTER && irq == PIC_CASCADE && (c->icw4 & ICW4_SFNM))
			in_service = false;
		/* Special mask mode: a masked input's service routine blocks nobody. */
		if (c->special_mask && (c->imr & bit))
			in_service = false;
		if (in_service)
			return -1;
		if (want & bit)
			return (int)irq;
	}
	return -1;
}

static uint8_t pic_requests(const struct pic *p, unsigned which)
{
	const struct pic_chip *c = &p->chip[which];
	unsigned level = c->icw1 & ICW1_LEVEL ? 0xffu : c->elcr;
	unsigned want = c->irr | (c->line & level);
	if (which == PIC_MASTER) {
		want &= ~(1u << PIC_CASCADE);
		if (pic_chip_next(p, PIC_SLAVE) >= 0)
			want |= 1u << PIC_CASCADE;
	}
	return (uint8_t)want;
}

static void pic_update(struct pic *p)
{
	bool out = pic_chip_next(p, PIC_MASTER) >= 0;
	if (out == p->out)
		return;
	p->out = out;
	if (p->out_line)
		p->out_line(p->out_ctx, out);
}

void pic_set(void *pic, unsigned irq, bool level)
{
	struct pic *p = pic;
	struct pic_chip *c;
	unsigned bit;
	if (irq >= 16 || irq == PIC_CASCADE)
		return;
	c = &p->chip[irq >> 3];
	irq &= 7u;
	bit = 1u << irq;
	if (((c->line & bit) != 0) == level)
		return;
	c->line ^= (uint8_t)bit;
	if (level && !pic_chip_level(c, irq))
		c->irr |= (uint8_t)bit;
	pic_update(p);
}

static void pic_chip_ack(struct pic_chip *c, unsigned irq)
{
	unsigned bit = 1u << irq;
	c->irr &= (uint8_t)~bit;
	if (!(c->icw4 & ICW4_AUTO_EOI))
		c->isr |= (uint8_t)bit;
	else if (c->rotate_auto)
		c->lowest = (uint8_t)irq;
}

int pic_inta(void *pic)
{
	struct pic *p = pic;
	int irq = pic_chip_next(p, PIC_MASTER);
	int vector;
	if (irq < 0) {
		vector = p->chip[PIC_MASTER].base + 7; /* spurious: no ISR bit */
	} else if (irq == (int)PIC_CASCADE) {
		int sub = pic_chip_next(p, PIC_SLAVE);
		pic_chip_ack(&p->chip[PIC_MASTER], PIC_CASCADE);
		if (sub < 0) {
			vector = p->chip[PIC_SLAVE].base + 7;
		} else {
			pic_chip_ack(&p->chip[PIC_SLAVE], (unsigned)sub);
			vector = p->chip[PIC_SLAVE].base + sub;
		}
	} else {
		pic_chip_ack(&p->chip[PIC_MASTER], (unsigned)irq);
		vector = p->chip[PIC_MASTER].base + irq;
	}
	pic_update(p);
	return vector;
}

static void pic_chip_init(struct pic_chip *c, uint8_t icw1)
{
	c->icw1 = icw1;
	c->icw4 = 0;
	c->irr = 0; /* the edge sense is reset: an input must go low and high again */
	c->imr = 0;
	c->isr = 0;
	c->lowest = 7;
	c->read_isr = c->poll = c->special_mask = c->rotate_auto = false;
	c->expect = 2;
}

/* OCW2: bits 7-5 are rotate, specific, EOI. */
static void pic_chip_ocw2(struct pic_chip *c, uint8_t v)
{
	unsigned command = v >> 5, irq = v & 7u;
	unsigned isr = c->isr;
	switch (command) {
	case 0: /* clear, set rotation in automatic EOI mode */
	case 4:
		c->rotate_auto = command == 4;
		return;
	case 1: /* non-specific EOI, and with rotation */
	case 5:
		for (unsigned i = 1; i <= 8; i++) {
			irq = (c->lowest + i) & 7u;
			if (!(isr >> irq & 1u))
				continue;
			/* In special mask mode a masked input's bit is not the one meant. */
			if (c->special_mask && (c->imr & 1u << irq))
				continue;
			c->isr &= (uint8_t)~(1u << irq);
			if (command == 5)
				c->lowest = (uint8_t)irq;
			return;
		}
		return;
	case 3: /* specific EOI, and with rotation */
	case 7:
		c->isr &= (uint8_t)~(1u << irq);
		if (command == 7)
			c->lowest = (uint8_t)irq;
		return;
	case 6: /* set priority */
		c->lowest = (uint8_t)irq;
		return;
	default: /* no operation */
		return;
	}
}

static void pic_chip_write(struct pic_chip *c, unsigned port, uint8_t v)
{
	if (port == 0) {
		if (v & ICW1_INIT) {
			pic_chip_init(c, v);
		} else if (v & OCW3_SELECT) {
			if (v & 0x02u)
				c->read_isr = (v & 0x01u) != 0;
			c->poll = (v & 0x04u) != 0;
			if (v & 0x40u)
				c->special_mask = (v & 0x20u) != 0;
		} else {
			pic_chip_ocw2(c, v);
		}
		return;
	}
	switch (c->expect) {
	case 2:
		c->base = v & 0xf8u;
		c->expect = c->icw1 & ICW1_SINGLE ? (c->icw1 & ICW1_ICW4 ? 4 : 0) : 3;
		return;
	case 3: /* the cascade is wired: its value is not needed */
		c->expect = c->icw1 & ICW1_ICW4 ? 4 : 0;
		return;
	case 4:
		c->icw4 = v & 0x1fu;
		c->expect = 0;
		return;
	default:
		c->imr = v;
		return;
	}
}

static uint8_t pic_read(struct pic *p, unsigned which, unsigned port)
{
	struct pic_chip *c = &p->chip[which];
	if (c->poll) { /* the read is the acknowledge: bit 7, and the input */
		int irq = pic_chip_next(p, which);
		c->poll = false;
		if (irq < 0)
			return 0;
		pic_chip_ack(c, (unsigned)irq);
		pic_update(p);
		return (uint8_t)(0x80 | irq);
	}
	if (port == 1)
		return c->imr;
	return c->read_isr ? c->isr : pic_requests(p, which);
}

/* One region a chip: ctx says which by the ops. */
static uint64_t pic_master_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	(void)vcpu;
	(void)size;
	return pic_read(ctx, PIC_MASTER, off & 1u);
}
static uint64_t pic_slave_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	(void)vcpu;
	(void)size;
	return pic_read(ctx, PIC_SLAVE, off & 1u);
}
static void pic_master_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct pic *p = ctx;
	(void)vcpu;
	(void)size;
	pic_chip_write(&p->chip[PIC_MASTER], off & 1u, (uint8_t)value);
	pic_update(p);
}
static void pic_slave_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct pic *p = ctx;
	(void)vcpu;
	(void)size;
	pic_chip_write(&p->chip[PIC_SLAVE], off & 1u, (uint8_t)value);
	pic_update(p);
}

/* The system timer, keyboard, cascade, RTC and FPU inputs are always edge-triggered. */
static const uint8_t pic_elcr_writable[2] = { 0xf8, 0xde };

static uint64_t pic_elcr_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	struct pic *p = ctx;
	(void)vcpu;
	(void)size;
	return p->chip[off & 1u].elcr;
}
static void pic_elcr_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct pic *p = ctx;
	(void)vcpu;
	(void)size;
	p->chip[off & 1u].elcr = (uint8_t)(value & pic_elcr_writable[off & 1u]);
	pic_update(p);
}

static const struct bus_region_ops pic_master_ops = {
	.read = pic_master_read,
	.write = pic_master_write,
	.max_size = 1,
};
static const struct bus_region_ops pic_slave_ops = {
	.read = pic_slave_read,
	.write = pic_slave_write,
	.max_size = 1,
};
static const struct bus_region_ops pic_elcr_ops = {
	.read = pic_elcr_read,
	.write = pic_elcr_write,
	.max_size = 1,
};

static void pic_reset(void *self)
{
	struct pic *p = self;
	for (unsigned i = 0; i < 2; i++) {
		p->chip[i] = (struct pic_chip){ 0 };
		pic_chip_init(&p->chip[i], 0);
		/* Until a guest has initialised it, a chip asks for nothing. */
		p->chip[i].expect = 0;
		p->chip[i].imr = 0xff;
	}
	pic_update(p);
}

static int pic_post_load(void *obj)
{
	struct pic *p = obj;
	for (unsigned i = 0; i < 2; i++) {
		const struct pic_chip *c = &p->chip[i];
		if (c->lowest > 7 || c->expect == 1 || c->expect > 4 || (c->base & 7u) ||
		    (c->icw4 & ~0x1fu) || (c->elcr & ~pic_elcr_writable[i]))
			return RV_EINVAL;
	}
	/* Recomputed and not signalled: the local APIC has saved the line for itself. */
	p->out = pic_chip_next(p, PIC_MASTER) >= 0;
	return RV_OK;
}

static const struct state_field pic_fields[] = {
	STATE_EACH(struct pic, chip, irr),
	STATE_EACH(struct pic, chip, line),
	STATE_EACH(struct pic, chip, imr),
	STATE_EACH(struct pic, chip, isr),
	STATE_EACH(struct pic, chip, elcr),
	STATE_EACH(struct pic, chip, base),
	STATE_EACH(struct pic, chip, lowest),
	STATE_EACH(struct pic, chip, icw1),
	STATE_EACH(struct pic, chip, icw4),
	STATE_EACH(struct pic, chip, expect),
	STATE_EACH(struct pic, chip, read_isr),
	STATE_EACH(struct pic, chip, poll),
	STATE_EACH(struct pic, chip, special_mask),
	STATE_EACH(struct pic, chip, rotate_auto),
};

static const struct state_desc pic_desc = {
	.name = "pic",
	.version = 1,
	.fields = pic_fields,
	.nfields = RV_ARRAY_LEN(pic_fields),
	.post_load = pic_post_load,
};

static const struct device_ops pic_device_ops = {
	.name = "pic",
	.desc = &pic_desc,
	.reset = pic_reset,
	.destroy = free,
};

int pic_create(struct pic **out, struct device *dev, struct bus *bus,
	       void (*out_line)(void *ctx, bool level), void *ctx)
{
	struct pic *p = calloc(1, sizeof(*p));
	if (!p)
		return RV_ENOMEM;
	p->out_line = out_line;
	p->out_ctx = ctx;
	if (bus_add_pio(bus, 0x20, 2, &pic_master_ops, p) != RV_OK ||
	    bus_add_pio(bus, 0xa0, 2, &pic_slave_ops, p) != RV_OK ||
	    bus_add_pio(bus, 0x4d0, 2, &pic_elcr_ops, p) != RV_OK) {
		free(p);
		return RV_ENOMEM;
	}
	pic_reset(p);
	*out = p;
	dev->ops = &pic_device_ops;
	dev->self = p;
	return RV_OK;
}
