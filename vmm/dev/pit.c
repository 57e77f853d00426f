/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8254 programmable interval timer (Intel 82C54 data sheet) at 40h-43h, and
 * the PC's port 61h. Counters are not counted: a channel keeps the vns at which
 * its count was loaded, and everything else follows from that.
 *
 * Channel 0 pulses its interrupt line at each rising edge of OUT; nothing sees
 * how long OUT is high but the status read-back and port 61h, which compute it.
 */
#include "dev/chips.h"

#include <stdlib.h>

#include "ticks.h"

#define PIT_HZ 1193182u
#define PIT_CHANNELS 3u
#define PIT_REFRESH_NS 15085u /* half a period of the refresh toggle in port 61h */

#define PORT61_GATE2 0x01u
#define PORT61_SPEAKER 0x02u
#define PORT61_CHECK_OFF 0x0cu
#define PORT61_REFRESH 0x10u
#define PORT61_OUT2 0x20u

enum pit_access { PIT_LATCH, PIT_LSB, PIT_MSB, PIT_WORD };

struct pit_channel {
	vns_t start;      /* when the count was loaded, or restarted */
	uint64_t held;    /* ticks counted before `start`, until the gate closed in between */
	uint32_t count;   /* 1 to 65536 ticks; 0: none loaded since the control word */
	uint8_t mode;     /* 0 to 5 */
	uint8_t access;   /* enum pit_access, not PIT_LATCH */
	bool bcd;
	bool gate;
	bool running;     /* counts: loaded, and triggered or gated as its mode needs */
	bool write_high;  /* the next byte written, or read, is the high one */
	bool read_high;
	uint8_t write_low;
	bool status_latched;
	uint8_t status;
	uint8_t latched;  /* latched bytes still to be read */
	uint16_t latch;
};

struct pit {
	struct pit_channel ch[PIT_CHANNELS];
	uint8_t port61; /* bits 0 to 3 */

	/* Wiring. */
	struct vclock *clock;
	struct vtimer *timer;
	struct irq_line irq;
};

static uint64_t pit_elapsed(const struct pit *p, const struct pit_channel *c)
{
	vns_t now = vclock_now(p->clock);
	if (!c->running || now < c->start)
		return c->held;
	return c->held + ticks_of_ns(now - c->start, PIT_HZ);
}

static uint32_t pit_modulus(const struct pit_channel *c)
{
	return c->bcd ? 10000 : 65536;
}

static bool pit_out(const struct pit *p, const struct pit_channel *c)
{
	uint64_t n = pit_elapsed(p, c);
	if (c->count == 0 || (!c->running && n == 0))
		return c->mode != 0;
	switch (c->mode) {
	case 0:
	case 1:
		return n >= c->count;
	case 2:
		return !c->gate || n % c->count != c->count - 1;
	case 3:
		return !c->gate || n % c->count < (c->count + 1) / 2;
	default:
		return n != c->count;
	}
}

/* The counting element as a read shows it. */
static uint16_t pit_value(const struct pit *p, const struct pit_channel *c)
{
	uint64_t n = pit_elapsed(p, c);
	uint32_t mod = pit_modulus(c), v;
	if (c->count == 0)
		return 0;
	switch (c->mode) {
	case 2:
		v = (uint32_t)(c->count - n % c->count);
		break;
	case 3: { /* by twos, and through its count twice a period */
		uint32_t k = (uint32_t)(n % c->count), half = (c->count + 1) / 2;
		if (k >= half)
			k -= half;
		v = (c->count & ~1u) - 2 * k;
		break;
	}
	default: /* goes on below zero */
		v = (uint32_t)(c->count + mod - n % mod);
		break;
	}
	v %= mod;
	if (c->bcd)
		v = v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
	return (uint16_t)v;
}

/* Deadline of the next rising edge of channel 0's OUT after now. */
static void pit_arm(struct pit *p)
{
	const struct pit_channel *c = &p->ch[0];
	vns_t when = VNS_NEVER;
	if (c->count != 0 && c->running) {
		uint64_t n = pit_elapsed(p, c);
		uint64_t edge = c->count; /* tick number of the edge */
		if (c->mode == 2 || c->mode == 3)
			edge = (n / c->count + 1) * c->count;
		else if (c->mode >= 4) /* low for the one tick at zero */
			edge = (uint64_t)c->count + 1;
		if (edge > n && edge >= c->held)
			when = ticks_deadline(c->start, edge - c->held, PIT_HZ);
	}
	vclock_timer_arm(p->timer, when);
}

static void pit_fire(void *ctx, vns_t deadline)
{
	struct pit *p = ctx;
	(void)deadline;
	irq_line_set(&p->irq, true);
	irq_line_set(&p->irq, false);
	/* From the load time, so without drift; edges missed in a jump of the clock are one. */
	pit_arm(p);
}

static void pit_restart(struct pit *p, struct pit_channel *c)
{
	c->start = vclock_now(p->clock);
	c->held = 0;
	c->running = true;
}

static void pit_load(struct pit *p, struct pit_channel *c, uint16_t value)
{
	uint32_t count = value;
	if (c->bcd)
		count = (count >> 12 & 0xfu) * 1000 + (count >> 8 & 0xfu) * 100 +
			(count >> 4 & 0xfu) * 10 + (count & 0xfu);
	/* 0 is the largest; a hexadecimal digit in BCD counts as what it is worth. */
	if (count == 0)
		count = pit_modulus(c);
	c->count = count;
	switch (c->mode) {
	case 1: /* wait for the trigger */
	case 5:
		if (!c->running)
			c->held = 0;
		break;
	default:
		pit_restart(p, c);
		c->running = c->gate;
		break;
	}
}

static void pit_set_gate(struct pit *p, struct pit_channel *c, bool gate)
{
	bool rising = gate && !c->gate;
	if (gate == c->gate)
		return;
	if (c->mode == 0 || c->mode == 4) { /* the gate suspends counting */
		c->held = pit_elapsed(p, c);
		c->start = vclock_now(p->clock);
		c->running = gate && c->count != 0;
	} else if (rising && c->count != 0) { /* and triggers or reloads in the other modes */
		pit_restart(p, c);
	} else if (!gate && (c->mode == 2 || c->mode == 3)) {
		c->held = pit_elapsed(p, c);
		c->running = false;
	}
	c->gate = gate;
}

static void pit_latch_count(const struct pit *p, struct pit_channel *c)
{
	if (c->latched) /* until it was read, further commands are ignored */
		return;
	c->latch = pit_value(p, c);
	c->latched = c->access == PIT_WORD ? 2 : 1;
}

static void pit_latch_status(const struct pit *p, struct pit_channel *c)
{
	if (c->status_latched)
		return;
	c->status = (uint8_t)((pit_out(p, c) ? 0x80 : 0) | (c->count == 0 ? 0x40 : 0) |
			      c->access << 4 | c->mode << 1 | c->bcd);
	c->status_latched = true;
}

static void pit_control(struct pit *p, uint8_t v)
{
	unsigned which = v >> 6;
	unsigned access = v >> 4 & 3u, mode = v >> 1 & 7u;
	struct pit_channel *c;
	if (which == 3) { /* read-back */
		for (unsigned i = 0; i < PIT_CHANNELS; i++) {
			if (!(v & 2u << i))
				continue;
			if (!(v & 0x20u))
				pit_latch_count(p, &p->ch[i]);
			if (!(v & 0x10u))
				pit_latch_status(p, &p->ch[i]);
		}
		return;
	}
	c = &p->ch[which];
	if (access == PIT_LATCH) {
		pit_latch_count(p, c);
		return;
	}
	c->mode = (uint8_t)(mode > 5 ? mode - 4 : mode); /* 6 and 7 are 2 and 3 */
	c->access = (uint8_t)access;
	c->bcd = v & 1u;
	c->count = 0;
	c->held = 0;
	c->running = false;
	c->write_high = c->read_high = false;
	c->latched = 0;
	c->status_latched = false;
	if (which == 0)
		pit_arm(p);
}

static void pit_channel_write(struct pit *p, unsigned which, uint8_t v)
{
	struct pit_channel *c = &p->ch[which];
	switch (c->access) {
	case PIT_LSB:
		pit_load(p, c, v);
		break;
	case PIT_MSB:
		pit_load(p, c, (uint16_t)(v << 8));
		break;
	default:
		if (!c->write_high) {
			c->write_low = v;
			c->write_high = true;
			if (c->mode == 0) { /* the first byte stops it */
				c->count = 0;
				c->held = 0;
				c->running = false;
			}
			break;
		}
		c->write_high = false;
		pit_load(p, c, (uint16_t)(v << 8 | c->write_low));
		break;
	}
	if (which == 0)
		pit_arm(p);
}

static uint8_t pit_channel_read(struct pit *p, unsigned which)
{
	struct pit_channel *c = &p->ch[which];
	uint16_t value;
	bool high;
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	value = c->latched ? c->latch : pit_value(p, c);
	high = c->access == PIT_MSB || (c->access == PIT_WORD && c->read_high);
	if (c->access == PIT_WORD)
		c->read_high = !c->read_high;
	if (c->latched)
		c->latched--;
	return (uint8_t)(high ? value >> 8 : value);
}

static uint64_t pit_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	struct pit *p = ctx;
	(void)vcpu;
	(void)size;
	/* The control word cannot be read. */
	return off < PIT_CHANNELS ? pit_channel_read(p, (unsigned)off) : 0xff;
}

static void pit_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct pit *p = ctx;
	(void)vcpu;
	(void)size;
	if (off < PIT_CHANNELS)
		pit_channel_write(p, (unsigned)off, (uint8_t)value);
	else
		pit_control(p, (uint8_t)value);
}

static uint64_t pit_port61_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	struct pit *p = ctx;
	unsigned v = p->port61;
	(void)vcpu;
	(void)off;
	(void)size;
	if (vclock_now(p->clock) / PIT_REFRESH_NS & 1u)
		v |= PORT61_REFRESH;
	if (pit_out(p, &p->ch[2]))
		v |= PORT61_OUT2;
	return v;
}

static void pit_port61_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct pit *p = ctx;
	(void)vcpu;
	(void)off;
	(void)size;
	p->port61 = (uint8_t)(value & (PORT61_GATE2 | PORT61_SPEAKER | PORT61_CHECK_OFF));
	pit_set_gate(p, &p->ch[2], (value & PORT61_GATE2) != 0);
}

static const struct bus_region_ops pit_ops = {
	.read = pit_read,
	.write = pit_write,
	.max_size = 1,
};
static const struct bus_region_ops pit_port61_ops = {
	.read = pit_port61_read,
	.write = pit_port61_write,
	.max_size = 1,
};

static void pit_reset(void *self)
{
	struct pit *p = self;
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		p->ch[i] = (struct pit_channel){ .mode = 3, .access = PIT_WORD };
		p->ch[i].gate = i != 2;
	}
	p->port61 = 0;
	vclock_timer_disarm(p->timer);
}

static int pit_post_load(void *obj)
{
	struct pit *p = obj;
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		const struct pit_channel *c = &p->ch[i];
		if (c->mode > 5 || c->access == PIT_LATCH || c->access > PIT_WORD || c->latched > 2)
			return RV_EINVAL;
		/* BCD digits above 9 reach 16665. */
		if (c->count > 65536 || (c->running && c->count == 0))
			return RV_EINVAL;
		if (c->gate != (i != 2 || (p->port61 & PORT61_GATE2)))
			return RV_EINVAL;
	}
	return p->port61 & ~0xfu ? RV_EINVAL : RV_OK;
}

static const struct state_field pit_fields[] = {
	STATE_EACH(struct pit, ch, start),
	STATE_EACH(struct pit, ch, held),
	STATE_EACH(struct pit, ch, count),
	STATE_EACH(struct pit, ch, mode),
	STATE_EACH(struct pit, ch, access),
	STATE_EACH(struct pit, ch, bcd),
	STATE_EACH(struct pit, ch, gate),
	STATE_EACH(struct pit, ch, running),
	STATE_EACH(struct pit, ch, write_high),
	STATE_EACH(struct pit, ch, read_high),
	STATE_EACH(struct pit, ch, write_low),
	STATE_EACH(struct pit, ch, status_latched),
	STATE_EACH(struct pit, ch, status),
	STATE_EACH(struct pit, ch, latched),
	STATE_EACH(struct pit, ch, latch),
	STATE_FIELD(struct pit, port61),
};

static const struct state_desc pit_desc = {
	.name = "pit",
	.version = 1,
	.fields = pit_fields,
	.nfields = RV_ARRAY_LEN(pit_fields),
	.post_load = pit_post_load,
};

static const struct device_ops pit_device_ops = {
	.name = "pit",
	.desc = &pit_desc,
	.reset = pit_reset,
	.destroy = free,
};

int pit_create(struct device *dev, struct bus *bus, struct vclock *clock, struct irq_line irq)
{
	struct pit *p = calloc(1, sizeof(*p));
	if (!p)
		return RV_ENOMEM;
	p->clock = clock;
	p->irq = irq;
	if (bus_add_pio(bus, 0x40, 4, &pit_ops, p) != RV_OK ||
	    bus_add_pio(bus, 0x61, 1, &pit_port61_ops, p) != RV_OK) {
		free(p);
		return RV_ENOMEM;
	}
	p->timer = vclock_timer_add(clock, "pit", pit_fire, p);
	pit_reset(p);
	dev->ops = &pit_device_ops;
	dev->self = p;
	return RV_OK;
}
