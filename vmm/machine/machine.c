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
 *
 * Several vCPUs take turns on the one host thread. Whose turn it is, and up to
 * which icount, is state: a turn ends at that icount, with PAUSE, or when its
 * vCPU cannot run; then the next one that can, in order of their numbers, gets
 * one. The rule looks at the state of the position alone, so it does not
 * matter how often, or for what other reason, the loop comes by.
 *
 * A debugger's writes come by the same door, while the machine stands still:
 * machine_take_writes() asks the port for them, and for nothing else, as part
 * of the position's one un-halted question or of its halt. They commute with
 * the timers of the position (a timer touches devices, a write RAM or a vCPU),
 * so it does not matter that live these may have fired before.
 */
#include "machine/machine.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "board.h"
#include "boot/boot.h"
#include "dev/virtio.h"

/* Longest stretch between two looks at machine_interrupt(): about 10 ms. */
#define MACHINE_SLICE (1u << 20)
/* Steps of a vCPU's turn, see docs/determinism.md. */
#define MACHINE_TURN 50000u

struct machine {
	struct board board;
	const struct engine_ops *ops;
	struct engine *engine;
	unsigned ncpus;
	bool reboot;
	struct boot_image image; /* what it points to is there with `reboot` */
	struct nondet *nondet;
	struct mem_digest *ram_digest; /* made at the first machine_digest() */
	struct bytes scratch;
	uint64_t seq;
	icount_t asked;   /* the port was asked un-halted at this icount (ICOUNT_MAX: nowhere yet) */
	icount_t marked;  /* the mark hook ran at this icount */
	bool halted;      /* the engine found all vCPUs halted here */
	/* More than one vCPU: */
	uint32_t turn;      /* whose it is */
	icount_t turn_end;
	bool yielded;       /* ... and it gave the rest away */
	uint64_t chaos;     /* generator of turns' lengths; 0: they are all alike */
	bool broken;      /* a machine_load() failed half-way: unchecked values, must not run */
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

/* Puts firmware tables and kernel into RAM and vCPU 0 at the kernel's entry. */
static int machine_boot(struct machine *m, const struct boot_image *img, struct rv_err *err)
{
	struct cpu_state bsp;
	int rc = boot_acpi_build(m->board.mem, m->ncpus);
	if (rc != RV_OK)
		return rv_err_set(err, rc, "cannot build the ACPI tables: %s", rv_status_text(rc));
	if ((rc = boot_load(m->board.mem, img, &bsp, err)) != RV_OK)
		return rc;
	if ((rc = m->ops->set_state(m->engine, 0, &bsp)) != RV_OK)
		return rv_err_set(err, rc, "%s: the engine refuses its entry state", img->kernel_name);
	return RV_OK;
}

static void machine_turn_reset(struct machine *m)
{
	m->turn = 0;
	m->turn_end = vclock_icount(m->board.clock) + MACHINE_TURN;
	m->yielded = false;
}

/* A guest's reset: RAM, vCPUs and chips as at power-on. icount, virtual time and the events applied go
 * on, so this is one more step of the same history. */
static int machine_reset(struct machine *m)
{
	static const uint8_t zeros[RV_PAGE_SIZE];
	struct guest_mem *mem = m->board.mem;
	struct rv_err err;
	/* RAM only: what is on the disks outlives a reset. */
	for (uint64_t i = 0; i < mem_ram_pages(mem); i++)
		if (mem_page_epoch(mem, i))
			mem_page_write(mem, i, 0, zeros, sizeof(zeros));
	for (unsigned i = 0; i < m->ncpus; i++) {
		struct cpu_state s;
		int rc;
		cpu_state_reset(&s, i == 0);
		if ((rc = m->ops->set_state(m->engine, i, &s)) != RV_OK)
			return rc;
	}
	board_reset(&m->board, m->ncpus);
	machine_turn_reset(m);
	m->halted = false;
	return machine_boot(m, &m->image, &err);
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
	int rc;

	if (!m)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	m->ops = cfg->engine;
	m->ncpus = cfg->ncpus;
	m->nondet = cfg->nondet;
	m->reboot = cfg->reboot;
	m->image = img;
	m->asked = m->marked = ICOUNT_MAX;
	m->chaos = cfg->devices.chaos;
	if (cfg->ncpus < 1 || cfg->ncpus > CPU_MAX) {
		rc = rv_err_set(err, RV_EUSAGE, "--cpus must be 1 to %u", CPU_MAX);
		goto fail;
	}
	if ((rc = mem_create(&m->board.mem, cfg->memory, board_aux_pages(&cfg->devices), err)) != RV_OK)
		goto fail;
	if ((rc = vclock_create(&m->board.clock, cfg->clock_rate, cfg->date)) != RV_OK ||
	    (rc = bus_create(&m->board.bus)) != RV_OK ||
	    (rc = board_init(&m->board, cfg->ncpus, &cfg->devices, cfg->output)) != RV_OK) {
		rv_err_set(err, rc, "cannot make the board: %s", rv_status_text(rc));
		goto fail;
	}
	ecfg = (struct engine_cfg){ .ncpus = cfg->ncpus,
				    .jit = cfg->jit,
				    .code_cache = cfg->code_cache,
				    .mem = m->board.mem,
				    .bus = m->board.bus,
				    .clock = m->board.clock };
	if (cfg->ncpus > 1 && !m->ops->halted) {
		rc = rv_err_set(err, RV_ENOTSUP, "--engine=%s runs one vCPU: use --cpus=1 or --engine=exact",
				m->ops->name);
		goto fail;
	}
	if ((rc = m->ops->create(&m->engine, &ecfg, err)) != RV_OK)
		goto fail;
	machine_turn_reset(m);
	if ((rc = machine_boot(m, &img, err)) != RV_OK)
		goto fail;
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

uint64_t machine_disk_log_blocks(const struct machine *m, unsigned disk)
{
	return virtio_blk_log_blocks(m->board.disk[disk]);
}

void machine_disk_log_used(const struct machine *m, unsigned disk, uint8_t *bits, uint64_t *n)
{
	virtio_blk_log_used(m->board.disk[disk], bits, n);
}

int machine_disk_each(const struct machine *m, unsigned disk,
		      int (*fn)(void *ctx, uint64_t block, bool zero, uint64_t log), void *ctx)
{
	return virtio_blk_each(m->board.disk[disk], fn, ctx);
}

void machine_restart_io(struct machine *m)
{
	for (unsigned i = 0; i < m->board.ndisks; i++)
		virtio_blk_restart(m->board.disk[i]);
}

/* ---- the run loop ---- */

static int machine_apply_write(struct machine *m, const struct nd_event *ev);

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
		rc = board_console(&m->board, ev->instance, ev->data, ev->len);
		break;
	case ND_DISK:
		if (ev->instance >= m->board.ndisks || ev->len != 2)
			return RV_EDIVERGED;
		rc = virtio_blk_complete(m->board.disk[ev->instance], ev->data[0], ev->data[1]);
		break;
	case ND_NET:
		if (ev->instance >= m->board.nnets)
			return RV_EDIVERGED;
		rc = virtio_net_input(m->board.net[ev->instance], ev->data, ev->len);
		break;
	case ND_ANNOUNCE:
		if (ev->instance >= m->board.nnets || ev->len)
			return RV_EDIVERGED;
		virtio_net_announce(m->board.net[ev->instance]);
		break;
	case ND_STOP:
		*stop = true;
		break;
	case ND_DEBUG_WRITE:
		rc = machine_apply_write(m, ev);
		break;
	default:
		return RV_EDIVERGED;
	}
	/* Only a log can hold an event that does not fit the machine; the rest is the host's. */
	return rc == RV_EINVAL ? RV_EDIVERGED : rc;
}

static struct nd_query machine_query(const struct machine *m, bool halted)
{
	const struct vclock *clock = m->board.clock;
	struct nd_query q = { .icount = vclock_icount(clock),
			      .seq = m->seq,
			      .vns = vclock_now(clock),
			      .rate = vclock_rate(clock),
			      .halted = halted,
			      .deadline = vclock_next_deadline(clock) };
	board_query(&m->board, &q);
	return q;
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
		if (rc < 0)
			m->asked = ICOUNT_MAX; /* no answer: who runs on asks again */
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

/* What the last instruction asked for. 1: the run ends with *result, 0: it goes on, or an error. */
static int machine_request(struct machine *m, const struct machine_limits *limits,
			   struct machine_result *result)
{
	switch (bus_take_request(m->board.bus, &result->code)) {
	case BUS_REQ_POWEROFF:
		result->end = MACHINE_END_POWEROFF;
		return 1;
	case BUS_REQ_RESET:
		if (m->reboot)
			return machine_reset(m);
		result->end = MACHINE_END_RESET;
		return 1;
	case BUS_REQ_DEBUG_EXIT:
		result->end = MACHINE_END_DEBUG_EXIT;
		return 1;
	case BUS_REQ_PANIC:
		result->code = 0;
		if (limits->panic)
			limits->panic(limits->ctx, m);
		return 0;
	case BUS_REQ_FAILED:
		return -(int)result->code;
	default:
		return 0;
	}
}

/* ---- turns ---- */

/* --chaos: one turn in eight is very short, the others are up to four times as long as usual. */
static icount_t machine_turn_length(struct machine *m)
{
	uint64_t r;
	if (!m->chaos)
		return MACHINE_TURN;
	r = rng_next(&m->chaos) >> 16;
	return r % 8 == 0 ? 1 + r / 8 % 64 : 1 + r / 8 % (4 * MACHINE_TURN);
}

static bool machine_runnable(const struct machine *m, unsigned vcpu)
{
	return !m->ops->halted(m->engine, vcpu);
}

/* Sees to it that the turn is somebody's who can run: false if there is nobody. */
static bool machine_turn(struct machine *m)
{
	icount_t now = vclock_icount(m->board.clock);
	if (m->ncpus == 1)
		return true; /* the engine will say */
	if (now < m->turn_end && !m->yielded && machine_runnable(m, m->turn))
		return true;
	/* The one whose turn ended comes last. */
	for (unsigned i = 1; i <= m->ncpus; i++) {
		unsigned next = (m->turn + i) % m->ncpus;
		if (!machine_runnable(m, next))
			continue;
		m->turn = next;
		m->turn_end = now + machine_turn_length(m);
		m->yielded = false;
		return true;
	}
	return false;
}

/* Nobody can run. A single vCPU's engine has just said so itself. */
static bool machine_all_halted(const struct machine *m)
{
	for (unsigned i = 0; i < m->ncpus; i++)
		if (machine_runnable(m, i))
			return false;
	return true;
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
	if (m->ncpus > 1 && m->turn_end < target)
		target = m->turn_end;
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
	for (unsigned i = 0; i < m->ncpus; i++) {
		m->ops->get_state(m->engine, i, &s);
		if (s.activity == CPU_HALTED && (s.rflags & RFLAGS_IF))
			return false;
	}
	return true;
}

static int machine_loop(struct machine *m, const struct machine_limits *limits,
			struct machine_result *result)
{
	struct vclock *clock = m->board.clock;
	struct engine_stop es;
	uint32_t idle = 0;
	bool stop = false;
	int rc;

	for (;;) {
		icount_t now = vclock_icount(clock);
		if (limits->mark_every && now % limits->mark_every == 0 && now != m->marked) {
			m->marked = now;
			rc = limits->mark(limits->ctx, m);
			if (rc == RV_EINTR)
				m->marked = ICOUNT_MAX; /* it did not happen: again, next time */
			if (rc < 0)
				return rc;
			stop |= rc > 0;
		}
		if (now >= limits->icount) {
			result->end = MACHINE_END_LIMIT;
			return RV_OK;
		}
		if (*bus_attention(m->board.bus)) {
			rc = machine_request(m, limits, result);
			if (rc != 0)
				return rc < 0 ? rc : RV_OK;
		}
		if (!stop && !m->halted && m->asked != now) {
			rc = machine_events(m, &stop);
			if (rc != RV_OK)
				return rc;
		}
		if (stop) {
			result->end = MACHINE_END_STOPPED;
			return RV_OK;
		}
		if (atomic_load_explicit(&m->interrupt, memory_order_relaxed) ||
		    (limits->idle_rounds && idle >= limits->idle_rounds)) {
			atomic_store(&m->interrupt, false);
			result->end = MACHINE_END_INTERRUPTED;
			return RV_OK;
		}
		vclock_run_timers(clock);
		(void)vclock_take_moved(clock);
		if (machine_turn(m)) {
			rc = m->ops->run(m->engine, m->turn, machine_target(m, limits), &es);
			if (rc != RV_OK)
				return rc;
			m->yielded |= es.yield;
		} else {
			es.reason = ENGINE_EXIT_HALT;
		}
		m->halted = es.reason == ENGINE_EXIT_HALT && (m->ncpus == 1 || machine_all_halted(m));
		if (es.reason == ENGINE_EXIT_SHUTDOWN) {
			result->end = MACHINE_END_TRIPLE_FAULT;
			return RV_OK;
		}
		if (es.reason == ENGINE_EXIT_DEBUG) {
			result->end = MACHINE_END_BREAK;
			result->stop = es;
			result->vcpu = m->turn;
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
		idle++;
	}
}

int machine_run(struct machine *m, const struct machine_limits *limits,
		struct machine_result *result)
{
	int rc;

	memset(result, 0, sizeof(*result));
	if (m->broken)
		return RV_EINVAL;
	m->ops->break_skip(m->engine, limits->break_skip);
	if (m->ops->break_filter)
		m->ops->break_filter(m->engine, limits->hit, limits->hit_ctx);
	rc = machine_loop(m, limits, result);
	if (m->ops->break_filter)
		m->ops->break_filter(m->engine, NULL, NULL);
	return rc;
}

/* ---- a debugger's writes ---- */

/* payload: RAM: gpa u64, bytes */
static int machine_apply_ram(struct machine *m, const struct nd_event *ev)
{
	struct guest_mem *mem = m->board.mem;
	gpa_t gpa;
	uint32_t len;
	if (ev->len < 10)
		return RV_EINVAL;
	gpa = le64_get(ev->data + 1);
	len = ev->len - 9;
	if (len > RV_PAGE_SIZE || gpa / RV_PAGE_SIZE != (gpa + len - 1) / RV_PAGE_SIZE ||
	    mem_page_of(mem, gpa) == MEM_NO_PAGE)
		return RV_EINVAL;
	mem_write(mem, gpa, ev->data + 9, len);
	return RV_OK;
}

static int machine_apply_write(struct machine *m, const struct nd_event *ev)
{
	struct bytes_in in;
	struct cpu_state s;
	int rc;
	if (ev->instance >= m->ncpus || ev->len < 1)
		return RV_EINVAL;
	if (ev->data[0] == ND_WRITE_RAM)
		return machine_apply_ram(m, ev);
	if (ev->data[0] != ND_WRITE_CPU)
		return RV_EINVAL;
	bytes_in_init(&in, ev->data + 1, ev->len - 1);
	rc = state_load(&cpu_state_desc, &s, &in);
	if (rc != RV_OK || in.pos != in.len)
		return RV_EINVAL;
	return m->ops->set_state(m->engine, ev->instance, &s);
}

/* Whether a position is a halted one is for the engine to say: with a single vCPU, by a run of no length. */
static int machine_is_halted(struct machine *m, bool *halted)
{
	struct engine_stop es;
	int rc;
	if (m->ncpus > 1) {
		*halted = machine_all_halted(m);
		return RV_OK;
	}
	rc = m->ops->run(m->engine, 0, vclock_icount(m->board.clock), &es);
	*halted = rc == RV_OK && es.reason == ENGINE_EXIT_HALT;
	return rc;
}

/* Is this halted position still one after its timers? In a replay an event of the halt is asked for behind
 * them, and not at all if one of them ends the halt. */
static int machine_settle(struct machine *m, bool *halted)
{
	vclock_run_timers(m->board.clock);
	return machine_is_halted(m, halted);
}

int machine_take_writes(struct machine *m, const struct machine_limits *limits)
{
	icount_t now = vclock_icount(m->board.clock);
	const bool halted = m->halted;
	bool still, stop = false;
	int rc;

	if (m->broken)
		return RV_EINVAL;
	/* What comes first at this boundary, see above. */
	if (limits->mark_every && now % limits->mark_every == 0 && now != m->marked) {
		m->marked = now;
		rc = limits->mark(limits->ctx, m);
		if (rc != RV_OK)
			return rc < 0 ? rc : RV_ENOTSUP;
	}
	if (*bus_attention(m->board.bus))
		return RV_ENOTSUP; /* it ends here */
	if (halted) {
		rc = machine_settle(m, &still);
		if (rc != RV_OK || !still)
			return rc != RV_OK ? rc : RV_ENOTSUP;
	}
	m->asked = now;
	for (;;) {
		struct nd_query q = machine_query(m, halted);
		struct nd_event ev;
		q.writes_only = true;
		rc = nondet_next(m->nondet, &q, &ev);
		if (rc <= 0)
			return rc;
		rc = machine_apply(m, &ev, &stop);
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

unsigned machine_current(const struct machine *m)
{
	return m->turn;
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

int machine_jit_dump(struct machine *m, uint64_t va, struct bytes *out)
{
	return m->ops->jit_dump(m->engine, 0, va, out);
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
	if (m->ncpus > 1) {
		bytes_put_u32(out, m->turn);
		bytes_put_u64(out, m->turn_end);
		bytes_put_u8(out, m->yielded);
		bytes_put_u64(out, m->chaos);
	}
}

int machine_load(struct machine *m, struct bytes_in *in)
{
	uint32_t code;
	int rc = RV_OK;
	/* What the state that is left had asked for last (power-off) is no part of the one that comes. */
	(void)bus_take_request(m->board.bus, &code);
	m->broken = true;
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
	if (m->ncpus > 1) {
		m->turn = bytes_get_u32(in);
		m->turn_end = bytes_get_u64(in);
		m->yielded = bytes_get_u8(in) != 0;
		m->chaos = bytes_get_u64(in);
	}
	if (in->failed || m->turn >= m->ncpus)
		return RV_EINVAL;
	m->asked = m->marked = ICOUNT_MAX;
	rc = machine_is_halted(m, &m->halted);
	m->broken = rc != RV_OK;
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
