/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine and its run loop.
 *
 * A boundary at icount N is handled in one fixed order, the same live and in
 * replay: the mark (digest) at first arrival; the limit; the request of the
 * last instruction (power-off); nd_events stamped N; timers due at vns(N);
 * then the engine, which takes interrupts and runs on. Whether the port is
 * asked as "halted" depends on the state alone, and a position is asked
 * un-halted at most once, so a log cannot be read in two ways.
 */
#include "machine/machine.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "board.h"
#include "boot/boot.h"

/* Longest stretch between two looks at machine_interrupt(): about 10 ms. */
#define MACHINE_SLICE (1u << 20)

struct machine {
	struct board board;
	const struct engine_ops *ops;
	struct engine *engine;
	unsigned ncpus;
	struct nondet *nondet;
	struct mem_digest *ram_digest; /* made at the first machine_digest() */
	struct bytes scratch;
	uint64_t seq;
	icount_t asked;   /* the port was asked un-halted at this icount (ICOUNT_MAX: nowhere yet) */
	icount_t marked;  /* the mark hook ran at this icount */
	bool halted;      /* the engine found all vCPUs halted here */
	atomic_bool interrupt;
};

const char *machine_end_text(enum machine_end end)
{
	static const char *const text[] = {
		[MACHINE_END_LIMIT] = "instruction limit reached",
		[MACHINE_END_POWEROFF] = "guest powered off",
		[MACHINE_END_RESET] = "guest reset",
		[MACHINE_END_DEBUG_EXIT] = "guest left through isa-debug-exit",
		[MACHINE_END_STOPPED] = "stopped",
		[MACHINE_END_TRIPLE_FAULT] = "triple fault",
		[MACHINE_END_INTERRUPTED] = "interrupted",
		[MACHINE_END_BREAK] = "breakpoint",
		[MACHINE_END_HUNG] = "guest halted for ever",
	};
	return (unsigned)end < RV_ARRAY_LEN(text) && text[end] ? text[end] : "?";
}

int machine_create(struct machine **out, const struct machine_cfg *cfg, struct rv_err *err)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct boot_image img = {
		.kernel = cfg->kernel,
		.kernel_len = cfg->kernel_len,
		.kernel_name = cfg->kernel_name,
		.initrd = cfg->initrd,
		.initrd_len = cfg->initrd_len,
		.initrd_name = cfg->initrd_name,
		.cmdline = cfg->cmdline,
	};
	struct engine_cfg ecfg;
	struct cpu_state bsp;
	int rc;

	if (!m)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	m->ops = cfg->engine;
	m->ncpus = cfg->ncpus;
	m->nondet = cfg->nondet;
	m->asked = m->marked = ICOUNT_MAX;
	if (cfg->ncpus < 1 || cfg->ncpus > CPU_MAX) {
		rc = rv_err_set(err, RV_EUSAGE, "--cpus must be 1 to %u", CPU_MAX);
		goto fail;
	}
	if ((rc = mem_create(&m->board.mem, cfg->memory, err)) != RV_OK)
		goto fail;
	if ((rc = vclock_create(&m->board.clock, cfg->clock_rate, cfg->date)) != RV_OK ||
	    (rc = bus_create(&m->board.bus)) != RV_OK ||
	    (rc = board_init(&m->board, cfg->ncpus, cfg->output)) != RV_OK) {
		rv_err_set(err, rc, "cannot make the board: %s", rv_status_text(rc));
		goto fail;
	}
	ecfg = (struct engine_cfg){ .ncpus = cfg->ncpus,
				    .mem = m->board.mem,
				    .bus = m->board.bus,
				    .clock = m->board.clock };
	if ((rc = m->ops->create(&m->engine, &ecfg, err)) != RV_OK)
		goto fail;
	if ((rc = boot_acpi_build(m->board.mem, cfg->ncpus)) != RV_OK) {
		rv_err_set(err, rc, "cannot build the ACPI tables: %s", rv_status_text(rc));
		goto fail;
	}
	if ((rc = boot_load(m->board.mem, &img, &bsp, err)) != RV_OK)
		goto fail;
	if ((rc = m->ops->set_state(m->engine, 0, &bsp)) != RV_OK) {
		rv_err_set(err, rc, "%s: the engine refuses its entry state", cfg->kernel_name);
		goto fail;
	}
	*out = m;
	return RV_OK;
fail:
	machine_destroy(m);
	return rc;
}

void machine_destroy(struct machine *m)
{
	if (!m)
		return;
	if (m->engine)
		m->ops->destroy(m->engine);
	board_fini(&m->board);
	mem_digest_destroy(m->ram_digest);
	bus_destroy(m->board.bus);
	vclock_destroy(m->board.clock);
	mem_destroy(m->board.mem);
	bytes_fini(&m->scratch);
	free(m);
}

/* ---- the run loop ---- */

static int machine_apply(struct machine *m, const struct nd_event *ev, bool *stop)
{
	struct vclock *clock = m->board.clock;
	int rc = RV_OK;
	if (ev->in_halt && vclock_anchor(clock, ev->vns, vclock_rate(clock)) != RV_OK)
		return RV_EDIVERGED;
	m->seq++;
	switch (ev->kind) {
	case ND_TIME:
		if (ev->len != 16)
			return RV_EDIVERGED;
		rc = vclock_anchor(clock, le64_get(ev->data), le64_get(ev->data + 8));
		break;
	case ND_CONSOLE:
		if (ev->instance != 0)
			return RV_EDIVERGED;
		uart_input(m->board.uart, ev->data, ev->len);
		break;
	case ND_STOP:
		*stop = true;
		break;
	default:
		return RV_EDIVERGED;
	}
	/* Only a log can hold an event that does not fit the machine. */
	return rc == RV_OK ? RV_OK : RV_EDIVERGED;
}

static struct nd_query machine_query(const struct machine *m, bool halted)
{
	const struct vclock *clock = m->board.clock;
	return (struct nd_query){ .icount = vclock_icount(clock),
				  .seq = m->seq,
				  .vns = vclock_now(clock),
				  .rate = vclock_rate(clock),
				  .halted = halted,
				  .deadline = vclock_next_deadline(clock),
				  .room = uart_room(m->board.uart) };
}

/* Applies all events of this un-halted position. */
static int machine_events(struct machine *m, bool *stop)
{
	struct nd_event ev;
	int rc = RV_OK;
	m->asked = vclock_icount(m->board.clock);
	while (!*stop) {
		struct nd_query q = machine_query(m, false);
		rc = nondet_next(m->nondet, &q, &ev);
		if (rc <= 0)
			return rc;
		rc = machine_apply(m, &ev, stop);
		if (rc != RV_OK)
			return rc;
	}
	return RV_OK;
}

/* All vCPUs are halted and no timer is due: an input arrives, or the clock jumps to the deadline. */
static int machine_idle(struct machine *m, bool *stop)
{
	struct vclock *clock = m->board.clock;
	struct nd_query q = machine_query(m, true);
	struct nd_event ev;
	int rc = nondet_next(m->nondet, &q, &ev);
	if (rc < 0)
		return rc;
	if (rc > 0)
		return machine_apply(m, &ev, stop);
	if (q.deadline == VNS_NEVER)
		return RV_EDIVERGED;
	return vclock_anchor(clock, q.deadline, vclock_rate(clock));
}

static bool machine_request(struct machine *m, struct machine_result *result)
{
	switch (bus_take_request(m->board.bus, &result->code)) {
	case BUS_REQ_POWEROFF:
		result->end = MACHINE_END_POWEROFF;
		return true;
	case BUS_REQ_RESET:
		result->end = MACHINE_END_RESET;
		return true;
	case BUS_REQ_DEBUG_EXIT:
		result->end = MACHINE_END_DEBUG_EXIT;
		return true;
	default:
		return false;
	}
}

/* Where the engine must stop next. */
static icount_t machine_target(struct machine *m, const struct machine_limits *limits)
{
	struct vclock *clock = m->board.clock;
	icount_t now = vclock_icount(clock);
	icount_t target = now + MACHINE_SLICE;
	icount_t other = nondet_horizon(m->nondet, now);
	if (other < target)
		target = other;
	other = vclock_icount_of(clock, vclock_next_deadline(clock));
	if (other < target)
		target = other;
	if (limits->icount < target)
		target = limits->icount;
	if (limits->mark_every) {
		other = now - now % limits->mark_every + limits->mark_every;
		if (other < target)
			target = other;
	}
	return target;
}

static bool machine_hung(const struct machine *m)
{
	struct cpu_state s;
	if (vclock_next_deadline(m->board.clock) != VNS_NEVER)
		return false;
	m->ops->get_state(m->engine, 0, &s);
	return !(s.rflags & RFLAGS_IF);
}

int machine_run(struct machine *m, const struct machine_limits *limits,
		struct machine_result *result)
{
	struct vclock *clock = m->board.clock;
	struct engine_stop es;
	bool stop = false;
	int rc;

	memset(result, 0, sizeof(*result));
	m->ops->break_skip(m->engine, limits->break_skip);
	for (;;) {
		icount_t now = vclock_icount(clock);
		if (limits->mark_every && now % limits->mark_every == 0 && now != m->marked) {
			m->marked = now;
			rc = limits->mark(limits->ctx, m);
			if (rc < 0)
				return rc;
			stop |= rc > 0;
		}
		if (now >= limits->icount) {
			result->end = MACHINE_END_LIMIT;
			return RV_OK;
		}
		if (*bus_attention(m->board.bus) && machine_request(m, result))
			return RV_OK;
		if (!stop && !m->halted && m->asked != now) {
			rc = machine_events(m, &stop);
			if (rc != RV_OK)
				return rc;
		}
		if (stop) {
			result->end = MACHINE_END_STOPPED;
			return RV_OK;
		}
		if (atomic_load_explicit(&m->interrupt, memory_order_relaxed)) {
			atomic_store(&m->interrupt, false);
			result->end = MACHINE_END_INTERRUPTED;
			return RV_OK;
		}
		vclock_run_timers(clock);
		(void)vclock_take_moved(clock);
		rc = m->ops->run(m->engine, 0, machine_target(m, limits), &es);
		if (rc != RV_OK)
			return rc;
		m->halted = es.reason == ENGINE_EXIT_HALT;
		if (es.reason == ENGINE_EXIT_SHUTDOWN) {
			result->end = MACHINE_END_TRIPLE_FAULT;
			return RV_OK;
		}
		if (es.reason == ENGINE_EXIT_DEBUG) {
			result->end = MACHINE_END_BREAK;
			result->stop = es;
			return RV_OK;
		}
		if (!m->halted || vclock_icount(clock) != now)
			continue;
		/* Still halted after this position's timers. */
		if (machine_hung(m)) {
			result->end = MACHINE_END_HUNG;
			return RV_OK;
		}
		m->asked = now;
		rc = machine_idle(m, &stop);
		if (rc != RV_OK)
			return rc;
	}
}

/* ---- looking at it ---- */

int machine_break_set(struct machine *m, enum engine_break_kind kind, uint64_t addr, uint64_t len)
{
	return m->ops->break_set(m->engine, kind, addr, len);
}

int machine_break_clear(struct machine *m, enum engine_break_kind kind, uint64_t addr, uint64_t len)
{
	return m->ops->break_clear(m->engine, kind, addr, len);
}

int machine_translate(struct machine *m, unsigned vcpu, uint64_t va, gpa_t *gpa)
{
	return m->ops->translate(m->engine, vcpu, va, gpa);
}

int machine_set_cpu_state(struct machine *m, unsigned vcpu, const struct cpu_state *s)
{
	return m->ops->set_state(m->engine, vcpu, s);
}

icount_t machine_icount(const struct machine *m)
{
	return vclock_icount(m->board.clock);
}

uint64_t machine_seq(const struct machine *m)
{
	return m->seq;
}

vns_t machine_vns(const struct machine *m)
{
	return vclock_now(m->board.clock);
}

void machine_cpu_state(const struct machine *m, unsigned vcpu, struct cpu_state *out)
{
	m->ops->get_state(m->engine, vcpu, out);
}

unsigned machine_ncpus(const struct machine *m)
{
	return m->ncpus;
}

struct guest_mem *machine_mem(struct machine *m)
{
	return m->board.mem;
}

void machine_stats(const struct machine *m, struct engine_stats *out)
{
	m->ops->stats(m->engine, out);
}

void machine_save(const struct machine *m, struct bytes *out)
{
	struct cpu_state s;
	for (unsigned i = 0; i < m->ncpus; i++) {
		m->ops->get_state(m->engine, i, &s);
		state_save(&cpu_state_desc, &s, out);
	}
	board_save(&m->board, m->ncpus, out);
	bytes_put_u64(out, m->seq);
}

int machine_load(struct machine *m, struct bytes_in *in)
{
	struct engine_stop es;
	int rc = RV_OK;
	for (unsigned i = 0; rc == RV_OK && i < m->ncpus; i++) {
		struct cpu_state s;
		rc = state_load(&cpu_state_desc, &s, in);
		if (rc == RV_OK)
			rc = m->ops->set_state(m->engine, i, &s);
	}
	if (rc == RV_OK)
		rc = board_load(&m->board, m->ncpus, in);
	if (rc != RV_OK)
		return rc;
	m->seq = bytes_get_u64(in);
	if (in->failed)
		return RV_EINVAL;
	m->asked = m->marked = ICOUNT_MAX;
	/* Whether this position is a halted one is for the engine to say: a run of no length. */
	rc = m->ops->run(m->engine, 0, machine_icount(m), &es);
	m->halted = rc == RV_OK && es.reason == ENGINE_EXIT_HALT;
	return rc;
}

struct digest128 machine_digest(struct machine *m)
{
	struct digest128 ram, rest;
	if (!m->ram_digest)
		RV_ASSERT(mem_digest_create(&m->ram_digest, m->board.mem) == RV_OK);
	ram = mem_digest_update(m->ram_digest);
	bytes_clear(&m->scratch);
	machine_save(m, &m->scratch);
	bytes_put_u64(&m->scratch, ram.lo);
	bytes_put_u64(&m->scratch, ram.hi);
	RV_ASSERT(!m->scratch.failed);
	rest = digest_bytes(m->scratch.data, m->scratch.len, 0);
	return rest;
}

void machine_interrupt(struct machine *m)
{
	atomic_store(&m->interrupt, true);
}
