/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the chips share: a bus and a clock of 1 ns a step, lines
 * and console bytes that are written down, and the checks every chip must
 * pass: save and load give the same state, and loaded bytes are hostile.
 */
#ifndef RV_TESTS_DEV_HARNESS_H
#define RV_TESTS_DEV_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dev/chips.h"

#define DATE_2024 1704067200000000000ll /* 2024-01-01 00:00:00 UTC */

struct rig {
	struct bus *bus;
	struct vclock *clock;
	struct output output;
	uint8_t text[4096];
	size_t text_len;
	unsigned edges[32]; /* rising edges seen on each line */
	bool level[32];
};

static inline struct rig *rig_of_output(struct output *out)
{
	return (struct rig *)(void *)((char *)out - offsetof(struct rig, output));
}

static inline void rig_emit(struct output *out, icount_t icount, enum out_kind kind,
			    unsigned instance, const void *data, size_t len)
{
	struct rig *r = rig_of_output(out);
	(void)icount;
	assert_int_equal(kind, OUT_CONSOLE);
	assert_int_equal(instance, 0);
	for (size_t i = 0; i < len; i++)
		r->text[r->text_len++ % sizeof(r->text)] = ((const uint8_t *)data)[i];
}

static inline void rig_line(void *ctx, unsigned n, bool level)
{
	struct rig *r = ctx;
	assert_true(n < 32);
	if (level && !r->level[n])
		r->edges[n]++;
	r->level[n] = level;
}

static inline struct irq_line rig_irq(struct rig *r, unsigned n)
{
	return (struct irq_line){ rig_line, r, n };
}

static inline void rig_init(struct rig *r)
{
	static const struct output_ops ops = { .emit = rig_emit };
	memset(r, 0, sizeof(*r));
	r->output.ops = &ops;
	assert_int_equal(bus_create(&r->bus), 0);
	assert_int_equal(vclock_create(&r->clock, VCLOCK_RATE_ONE, DATE_2024), 0);
}

static inline void rig_fini(struct rig *r)
{
	vclock_destroy(r->clock);
	bus_destroy(r->bus);
}

/* Time passes, timer by timer, as an engine would let it. */
static inline void rig_to(struct rig *r, vns_t vns)
{
	assert_true(vns >= vclock_now(r->clock));
	while (vclock_next_deadline(r->clock) <= vns) {
		vns_t next = vclock_next_deadline(r->clock);
		if (next > vclock_now(r->clock))
			vclock_set_icount(r->clock, next);
		vclock_run_timers(r->clock);
	}
	vclock_set_icount(r->clock, vns);
}

static inline void rig_run(struct rig *r, vns_t ns)
{
	rig_to(r, vclock_now(r->clock) + ns);
}

/* Time jumps, and the timers are looked at afterwards. */
static inline void rig_jump(struct rig *r, vns_t ns)
{
	vclock_set_icount(r->clock, vclock_now(r->clock) + ns);
	vclock_run_timers(r->clock);
}

static inline uint8_t rig_in(struct rig *r, uint16_t port)
{
	return (uint8_t)bus_pio_read(r->bus, 0, port, 1);
}
static inline void rig_out(struct rig *r, uint16_t port, uint8_t v)
{
	bus_pio_write(r->bus, 0, port, 1, v);
}

static inline uint64_t rig_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Save, disturb with reset, load: the state must save to the same bytes. */
static inline void rig_round_trip(const struct device *d)
{
	struct bytes a = { 0 }, b = { 0 };
	struct bytes_in in;
	state_save(d->ops->desc, d->self, &a);
	assert_false(a.failed);
	bytes_in_init(&in, a.data, a.len);
	assert_int_equal(state_load(d->ops->desc, d->self, &in), 0);
	assert_int_equal(in.pos, a.len);
	d->ops->reset(d->self);
	bytes_in_init(&in, a.data, a.len);
	assert_int_equal(state_load(d->ops->desc, d->self, &in), 0);
	state_save(d->ops->desc, d->self, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	bytes_fini(&a);
	bytes_fini(&b);
}

/* Random bytes in place of the payload, mostly few, at times all, then `use` the chip if they were
 * taken: nothing may crash, read out of bounds (ASan) or loop. Ends with a reset. */
static inline void rig_hostile(struct rig *r, const struct device *d,
			       void (*use)(struct rig *r, uint64_t *seed), unsigned rounds)
{
	struct bytes good = { 0 };
	uint64_t seed = 0x9e3779b97f4a7c15ull;
	size_t head;
	uint8_t *copy;
	d->ops->reset(d->self);
	state_save(d->ops->desc, d->self, &good);
	head = 1 + strlen(d->ops->desc->name) + 4 + 8;
	copy = malloc(good.len);
	assert_non_null(copy);
	for (unsigned i = 0; i < rounds; i++) {
		struct bytes_in in;
		size_t len = good.len;
		memcpy(copy, good.data, good.len);
		if (i % 16 == 0 || good.len == head) {
			for (size_t k = head; k < good.len; k++)
				copy[k] = (uint8_t)rig_random(&seed);
		} else if (i % 16 == 1) {
			len = rig_random(&seed) % good.len;
		} else {
			for (unsigned k = 0; k < 1 + i % 8; k++)
				copy[head + rig_random(&seed) % (good.len - head)] =
					(uint8_t)rig_random(&seed);
		}
		bytes_in_init(&in, copy, len);
		if (state_load(d->ops->desc, d->self, &in) == 0)
			use(r, &seed);
		vclock_run_timers(r->clock);
		d->ops->reset(d->self);
	}
	free(copy);
	bytes_fini(&good);
}

#endif
