/* SPDX-License-Identifier: Apache-2.0 */
#include "clock/clock.h"

#include <stdlib.h>

#include "base/log.h"

__extension__ typedef unsigned __int128 clock_u128;

struct vtimer {
	struct vclock *clock;
	const char *name;
	void (*fire)(void *ctx, vns_t deadline);
	void *ctx;
	vns_t deadline; /* VNS_NEVER: not armed */
};

struct vclock {
	icount_t icount;
	icount_t anchor_icount;
	vns_t anchor_vns;
	uint64_t rate;
	int64_t date;
	unsigned ntimers;
	vns_t next; /* the earliest deadline */
	bool moved;
	struct vtimer timer[VCLOCK_MAX_TIMERS];
};

int vclock_create(struct vclock **out, uint64_t rate, int64_t date)
{
	struct vclock *c = calloc(1, sizeof(*c));
	if (!c)
		return RV_ENOMEM;
	c->rate = rate;
	c->date = date;
	c->next = VNS_NEVER;
	*out = c;
	return RV_OK;
}

void vclock_destroy(struct vclock *c)
{
	free(c);
}

icount_t vclock_icount(const struct vclock *c)
{
	return c->icount;
}

void vclock_set_icount(struct vclock *c, icount_t icount)
{
	c->icount = icount;
}

vns_t vclock_at(const struct vclock *c, icount_t icount)
{
	clock_u128 d = (clock_u128)(icount - c->anchor_icount) * c->rate >> 32;
	clock_u128 v = d + c->anchor_vns;
	return v >= VNS_NEVER ? VNS_NEVER - 1 : (vns_t)v;
}

vns_t vclock_now(const struct vclock *c)
{
	return vclock_at(c, c->icount);
}

icount_t vclock_icount_of(const struct vclock *c, vns_t when)
{
	clock_u128 n;
	if (when <= c->anchor_vns)
		return c->anchor_icount;
	if (when == VNS_NEVER || c->rate == 0)
		return ICOUNT_MAX;
	/* floor(n * rate / 2^32) >= d  <=>  n >= ceil(d * 2^32 / rate) */
	n = (((clock_u128)(when - c->anchor_vns) << 32) + c->rate - 1) / c->rate;
	n += c->anchor_icount;
	return n >= ICOUNT_MAX ? ICOUNT_MAX : (icount_t)n;
}

uint64_t vclock_rate(const struct vclock *c)
{
	return c->rate;
}

int64_t vclock_date(const struct vclock *c)
{
	return c->date;
}

int vclock_anchor(struct vclock *c, vns_t vns, uint64_t rate)
{
	if (vns < vclock_now(c) || vns == VNS_NEVER)
		return RV_EINVAL;
	c->anchor_icount = c->icount;
	c->anchor_vns = vns;
	c->rate = rate;
	return RV_OK;
}

struct vtimer *vclock_timer_add(struct vclock *c, const char *name,
				void (*fire)(void *ctx, vns_t deadline), void *ctx)
{
	struct vtimer *t;
	RV_ASSERT(c->ntimers < VCLOCK_MAX_TIMERS);
	t = &c->timer[c->ntimers++];
	t->clock = c;
	t->name = name;
	t->fire = fire;
	t->ctx = ctx;
	t->deadline = VNS_NEVER;
	return t;
}

static void vclock_update_next(struct vclock *c)
{
	vns_t next = VNS_NEVER;
	for (unsigned i = 0; i < c->ntimers; i++)
		if (c->timer[i].deadline < next)
			next = c->timer[i].deadline;
	if (next != c->next) {
		c->next = next;
		c->moved = true;
	}
}

void vclock_timer_arm(struct vtimer *t, vns_t deadline)
{
	if (t->deadline == deadline)
		return;
	t->deadline = deadline;
	vclock_update_next(t->clock);
}

void vclock_timer_disarm(struct vtimer *t)
{
	vclock_timer_arm(t, VNS_NEVER);
}

bool vclock_timer_armed(const struct vtimer *t)
{
	return t->deadline != VNS_NEVER;
}

vns_t vclock_timer_deadline(const struct vtimer *t)
{
	return t->deadline;
}

vns_t vclock_next_deadline(const struct vclock *c)
{
	return c->next;
}

void vclock_run_timers(struct vclock *c)
{
	vns_t now = vclock_now(c);
	while (c->next <= now) {
		struct vtimer *due = NULL;
		vns_t deadline;
		/* next is the minimum, so the first timer that has it is first in the order. */
		for (unsigned i = 0; i < c->ntimers && !due; i++)
			if (c->timer[i].deadline == c->next)
				due = &c->timer[i];
		deadline = due->deadline;
		due->deadline = VNS_NEVER;
		vclock_update_next(c);
		due->fire(due->ctx, deadline);
	}
}

bool vclock_take_moved(struct vclock *c)
{
	bool moved = c->moved;
	c->moved = false;
	return moved;
}

const bool *vclock_moved_flag(const struct vclock *c)
{
	return &c->moved;
}

void vclock_save(const struct vclock *c, struct bytes *out)
{
	bytes_put_u64(out, c->icount);
	bytes_put_u64(out, c->anchor_icount);
	bytes_put_u64(out, c->anchor_vns);
	bytes_put_u64(out, c->rate);
	bytes_put_u64(out, (uint64_t)c->date);
	bytes_put_u32(out, c->ntimers);
	for (unsigned i = 0; i < c->ntimers; i++)
		bytes_put_u64(out, c->timer[i].deadline);
}

int vclock_load(struct vclock *c, struct bytes_in *in)
{
	c->icount = bytes_get_u64(in);
	c->anchor_icount = bytes_get_u64(in);
	c->anchor_vns = bytes_get_u64(in);
	c->rate = bytes_get_u64(in);
	c->date = (int64_t)bytes_get_u64(in);
	if (bytes_get_u32(in) != c->ntimers || c->anchor_icount > c->icount)
		return RV_EINVAL;
	/* No machine gets here by running; sums of an icount and a distance must not wrap. */
	if (c->icount > ICOUNT_MAX / 2)
		return RV_EINVAL;
	for (unsigned i = 0; i < c->ntimers; i++)
		c->timer[i].deadline = bytes_get_u64(in);
	if (in->failed)
		return RV_EINVAL;
	c->next = VNS_NEVER;
	vclock_update_next(c);
	c->moved = true;
	return RV_OK;
}
