/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for the machine behind the functions that recorder and replayer
 * call: a tiny deterministic program (a counter that mixes its events into one
 * number), so that both can be tested without an engine. It follows the run
 * loop's contract: mark, limit, own end, events, in this order at each icount.
 */
#ifndef RV_TESTS_FAKE_MACHINE_H
#define RV_TESTS_FAKE_MACHINE_H

#include "record/recorder.h"
#include "tests/unit/record/trace_util.h"

struct machine {
	icount_t icount, marked, asked;
	uint64_t seq, mix;
	vns_t vns;
	struct nondet *nondet;
	struct output *output;
	icount_t poweroff_at; /* 0: never */
	icount_t hang_at;     /* halts for ever here; 0: never */
	icount_t flip_at;     /* a wrong bit in the state from here on; 0: never */
	bool flipped;
	bool stop;
};

icount_t machine_icount(const struct machine *m)
{
	return m->icount;
}
uint64_t machine_seq(const struct machine *m)
{
	return m->seq;
}
vns_t machine_vns(const struct machine *m)
{
	return m->vns;
}
struct digest128 machine_digest(struct machine *m)
{
	return (struct digest128){ m->mix, m->icount };
}
void machine_cpu_state(const struct machine *m, unsigned vcpu, struct cpu_state *out)
{
	(void)vcpu;
	memset(out, 0, sizeof(*out));
	out->rip = m->icount * 4;
	out->rflags = 2;
	out->gpr[3] = m->mix;
}
const char *machine_end_text(enum machine_end end)
{
	return end == MACHINE_END_POWEROFF ? "guest powered off" : "another end";
}

static void fake_apply(struct machine *m, const struct nd_event *ev)
{
	m->seq++;
	if (ev->in_halt)
		m->vns = ev->vns;
	if (ev->kind == ND_STOP)
		m->stop = true;
	m->mix = digest_bytes(ev->data, ev->len, m->mix + ev->kind + m->vns).lo;
}

static int fake_ask(struct machine *m, bool halted, vns_t deadline, bool *some)
{
	struct nd_query q = { .icount = m->icount, .seq = m->seq, .vns = m->vns, .halted = halted,
			      .deadline = deadline, .room = { 4096 } };
	struct nd_event ev;
	int rc = nondet_next(m->nondet, &q, &ev);
	*some = rc > 0;
	if (rc > 0)
		fake_apply(m, &ev);
	return rc < 0 ? rc : RV_OK;
}

/* Every 50th icount it halts, with a deadline 1000 ns away. */
static int fake_run(struct machine *m, const struct machine_limits *lim,
		    struct machine_result *result)
{
	memset(result, 0, sizeof(*result));
	for (;;) {
		bool some = true;
		int rc;
		icount_t to;
		if (lim->mark_every && m->icount % lim->mark_every == 0 && m->marked != m->icount) {
			m->marked = m->icount;
			rc = lim->mark(lim->ctx, m);
			if (rc)
				return rc;
		}
		if (m->icount >= lim->icount) {
			result->end = MACHINE_END_LIMIT;
			return RV_OK;
		}
		if (m->poweroff_at && m->icount >= m->poweroff_at) {
			result->end = MACHINE_END_POWEROFF;
			return RV_OK;
		}
		while (some && !m->stop && m->asked != m->icount) {
			rc = fake_ask(m, false, 0, &some);
			if (rc)
				return rc;
		}
		m->asked = m->icount;
		if (m->hang_at && m->icount == m->hang_at)
			return fake_ask(m, true, VNS_NEVER, &some);
		if (!m->stop && m->icount % 50 == 0) {
			vns_t deadline = m->vns + 1000;
			some = true;
			while (some && !m->stop) {
				rc = fake_ask(m, true, deadline, &some);
				if (rc)
					return rc;
			}
			if (!m->stop)
				m->vns = deadline;
		}
		if (m->stop) {
			m->stop = false;
			result->end = MACHINE_END_STOPPED;
			return RV_OK;
		}
		if (m->icount % 13 == 0)
			output_emit(m->output, m->icount, OUT_CONSOLE, 0, &m->mix, 3);
		to = nondet_horizon(m->nondet, m->icount);
		assert_true(to > m->icount);
		/* The "engine": stops at the horizon, at each 50th step, at marks. */
		do {
			m->icount++;
			m->vns += 2;
			m->mix = m->mix * 6364136223846793005ull + m->icount;
			if (m->flip_at && m->icount >= m->flip_at && !m->flipped) {
				m->mix ^= 0x100;
				m->flipped = true;
			}
		} while (m->icount < to && m->icount % 50 && m->icount % 13 && m->icount < lim->icount &&
			 (!m->poweroff_at || m->icount < m->poweroff_at) &&
			 (!lim->mark_every || m->icount % lim->mark_every));
	}
}

static void fake_init(struct machine *m, struct nondet *nd, struct output *out)
{
	memset(m, 0, sizeof(*m));
	m->marked = m->asked = ICOUNT_MAX;
	m->nondet = nd;
	m->output = out;
}

/* A live port of random events, and an output that counts. */
struct fake_live {
	struct nondet nondet;
	struct output output;
	uint64_t rng, bytes;
	icount_t stop_at; /* 0: never */
	bool stop_halted; /* ... in a halt */
	uint8_t buf[64];
};

static int fake_live_next(struct nondet *nd, const struct nd_query *q, struct nd_event *ev)
{
	struct fake_live *l = (struct fake_live *)nd;
	uint64_t x = rng_next(&l->rng);
	memset(ev, 0, sizeof(*ev));
	ev->data = l->buf;
	if (q->halted) {
		ev->in_halt = true;
		ev->vns = q->vns + (q->deadline - q->vns) / 2;
	}
	if (l->stop_at && q->icount >= l->stop_at && q->halted == l->stop_halted) {
		ev->kind = ND_STOP;
		return 1;
	}
	if (x % 4)
		return 0;
	if (x % 8 == 0) {
		ev->kind = ND_CONSOLE;
		ev->len = 1 + (uint32_t)(x >> 32) % 60;
		for (uint32_t i = 0; i < ev->len; i++)
			l->buf[i] = (uint8_t)rng_next(&l->rng);
	} else {
		ev->kind = ND_TIME;
		ev->len = 16;
		le64_put(l->buf, q->vns);
		le64_put(l->buf + 8, rng_next(&l->rng));
	}
	return 1;
}

static icount_t fake_live_horizon(struct nondet *nd, icount_t icount)
{
	struct fake_live *l = (struct fake_live *)nd;
	return icount + 1 + rng_next(&l->rng) % 30;
}

static void fake_live_emit(struct output *out, icount_t icount, enum out_kind kind,
			   unsigned instance, const void *data, size_t len)
{
	struct fake_live *l =
		(struct fake_live *)((char *)out - offsetof(struct fake_live, output));
	(void)icount, (void)kind, (void)instance, (void)data;
	l->bytes += len;
}

static const struct nondet_ops fake_live_nondet_ops = {
	.next = fake_live_next,
	.horizon = fake_live_horizon,
};
static const struct output_ops fake_live_output_ops = { .emit = fake_live_emit };

static void fake_live_init(struct fake_live *l, uint64_t seed)
{
	memset(l, 0, sizeof(*l));
	l->nondet.ops = &fake_live_nondet_ops;
	l->output.ops = &fake_live_output_ops;
	l->rng = seed;
}

#define FAKE_MARK 100u

/* Records the fake machine into `path`. finish: as the program does at an orderly end. */
static void fake_record(const char *path, struct fake_live *live, icount_t limit,
			icount_t poweroff_at, bool finish)
{
	struct evlog_writer *w = trace_start(path, 0);
	struct recorder *rec = NULL;
	struct machine m;
	struct machine_limits lim = { .icount = limit, .mark_every = FAKE_MARK,
				      .mark = recorder_mark };
	struct machine_result result;
	struct rv_err err = { 0 };

	assert_int_equal(recorder_create(&rec, &live->nondet, &live->output, evlog_writer_sink(w)), 0);
	lim.ctx = rec;
	fake_init(&m, recorder_nondet(rec), recorder_output(rec));
	m.poweroff_at = poweroff_at;
	assert_int_equal(fake_run(&m, &lim, &result), 0);
	if (finish) {
		assert_int_equal(recorder_end(rec, &m, &result), 0);
		if (evlog_writer_finish(w, &err))
			fail_msg("%s", err.text);
	}
	recorder_destroy(rec);
	evlog_writer_destroy(w);
}

#endif
