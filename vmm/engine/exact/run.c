/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of the exact engine: boundaries, interrupts, single steps, blocks.
 *
 * Order at a boundary (SDM vol. 3, table 6-2): a pending debug trap, INIT,
 * SIPI, NMI, INTR. Each delivery is one step. MOV SS and POP SS block all of
 * them for one instruction, STI blocks INTR.
 */
#include "run.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cpu/model.h"

struct bus *xcpu_bus(struct xcpu *c)
{
	return c->e->cfg.bus;
}

struct guest_mem *xcpu_mem(struct xcpu *c)
{
	return c->e->cfg.mem;
}

unsigned xcpu_count(struct xcpu *c)
{
	return c->e->cfg.ncpus;
}

struct xcpu *xcpu_at(struct xcpu *c, unsigned index)
{
	return c->e->cpu[index];
}

void xdevice_sync(struct xcpu *c)
{
	vclock_set_icount(c->e->cfg.clock, c->icount);
	c->leave = true;
	if (unlikely(c->e->check != NULL))
		xcheck_device(c->e->check);
}

void xpage_touch(struct xcpu *c, uint64_t page)
{
	if (unlikely(c->e->check != NULL))
		xcheck_page(c->e->check, c, page);
	mem_page_touch(c->e->cfg.mem, page);
}

uint64_t xtsc(struct xcpu *c)
{
	/* CPU_TSC_HZ is 1 GHz: one tick a virtual nanosecond. */
	return vclock_at(c->e->cfg.clock, c->icount) + c->s.msr[CPU_MSR_TSC_ADJUST];
}

void xblock_write(struct xcpu *c, uint64_t page, unsigned off, unsigned len)
{
	if (xblocks_drop(c->e->blocks, page, off, len))
		c->leave = true;
}

/* Writes by anyone but a vCPU's own stores: DMA, loaders, a debugger. */
static void exact_watch(void *ctx, uint64_t page, uint32_t off, size_t len)
{
	struct exact *e = ctx;
	if (mem_page_flags(e->cfg.mem, page) & MEM_PAGE_CODE)
		xblocks_drop(e->blocks, page, off, len);
	if (mem_page_flags(e->cfg.mem, page) & MEM_PAGE_TABLE)
		xmmu_table_write(e->cpu[0], page, off, (unsigned)len);
}

/* ---- instructions ---- */

static inline uint64_t exact_lin(const struct xcpu *c)
{
	return likely(c->mode & XMODE_64) ? c->rip : (uint32_t)(c->s.seg[CPU_CS].base + c->rip);
}

/* A block and how many of its instructions may run now; 0: there is an EXEC breakpoint here. */
struct exact_run_of {
	struct xblock *block;
	uint64_t n;
};

static inline uint64_t exact_jump_key(const struct exact *e, const struct xcpu *c)
{
	return (uint64_t)(c->tlb_gen + xblocks_gen(e->blocks)) << 8 | c->mode << 1 | c->user;
}

/* Not in the jump cache. Of a block with a breakpoint the first instructions run as usual, and the next
 * look-up is for the breakpoint's own address, which never gets there. */
static __attribute__((noinline)) struct exact_run_of exact_block_find(struct exact *e,
								      struct xcpu *c, uint64_t lin,
								      struct xjump *j)
{
	struct exact_run_of r = { NULL, 0 };
	if (xbreaks_exec_at(&e->breaks, lin))
		return r; /* before anything is fetched */
	r.block = xblocks_get(e->blocks, c, lin);
	r.n = xbreaks_exec_before(&e->breaks, lin, r.block);
	j->block = r.block;
	j->n = r.n;
	j->lin = lin;
	j->key = exact_jump_key(e, c); /* the look-up may have flushed either cache */
	return r;
}

static inline struct exact_run_of exact_block(struct exact *e, struct xcpu *c)
{
	uint64_t lin = exact_lin(c);
	struct xjump *j = &e->jump[c->index][(lin ^ lin >> XJUMP_BITS) & ((1u << XJUMP_BITS) - 1)];
	if (likely(j->lin == lin && j->key == exact_jump_key(e, c) && j->block->valid))
		return (struct exact_run_of){ j->block, j->n };
	return exact_block_find(e, c, lin, j);
}

/* Outside 64-bit mode a fetch past the code segment's limit is #GP(0) (SDM vol. 3, 5.3). Returns how
 * many of the block's instructions lie within. */
static unsigned exact_within_limit(struct xcpu *c, const struct xblock *b, unsigned n)
{
	uint64_t limit = c->s.seg[CPU_CS].limit;
	uint64_t end = c->rip;
	if (end + b->nbytes - 1 <= limit)
		return n;
	for (unsigned i = 0; i < n; i++) {
		end += b->insn[i].len;
		if (end - 1 > limit) {
			if (i == 0)
				xraise_gp(c, 0);
			return i;
		}
	}
	return n;
}

/* DR0-DR3 with R/W = 00 at this instruction (SDM vol. 3, 17.2.4): DR6 bits, 0 for none. */
static uint64_t exact_insn_breakpoint(const struct xcpu *c)
{
	uint64_t hit = 0, lin = exact_lin(c);
	for (unsigned i = 0; i < 4; i++)
		if ((c->s.dr7 >> (i * 2) & 3) && (c->s.dr7 >> (16 + i * 4) & 3) == 0 &&
		    c->s.dr[i] == lin)
			hit |= 1ull << i;
	return hit;
}

/* The vCPU's own limit: this run()'s, or none left after a watchpoint. */
static void exact_until_reset(const struct exact *e, struct xcpu *c)
{
	c->until = e->breaks.hit || e->status != RV_OK || c->paused ? 0 : e->until;
}

/* One instruction, or one iteration of a repeated one, with all that single steps, shadows, debug
 * registers and breakpoints ask for. */
static void exact_step_slow(struct exact *e, struct xcpu *c)
{
	const bool tf = c->s.rflags & RFLAGS_TF;
	const bool rf = c->s.rflags & RFLAGS_RF;
	const bool was_ss = c->s.shadow_ss;
	const uint64_t rip = c->rip;
	struct xblock *b;

	if (!rf && !was_ss && (c->s.dr7 & 0xff)) {
		uint64_t hit = exact_insn_breakpoint(c);
		if (hit) {
			c->fault_dr6 = hit;
			xraise(c, VEC_DB);
		}
	}
	b = xblocks_get(e->blocks, c, exact_lin(c));
	if (!(c->mode & XMODE_64))
		(void)exact_within_limit(c, b, 1);
	/* The shadow lasts for this instruction, faulting or not; RF until it completes. */
	c->s.shadow_sti = c->s.shadow_ss = false;
	c->s.rflags &= ~(uint64_t)RFLAGS_RF;
	c->delivered = false;
	c->until = c->icount + 1;
	exact_insns(c, b->insn, b->insn + 1);
	exact_until_reset(e, c);
	if (rf && (b->insn[0].flags & (XD_REP | XD_REPNE)) && c->rip == rip)
		c->s.rflags |= RFLAGS_RF; /* an unfinished REP is still the same instruction */
	c->s.pending_db |= c->pending_db; /* data breakpoints */
	c->pending_db = 0;
	if (tf && !c->delivered)
		c->s.pending_db |= 1ull << 14; /* DR6.BS */
	/* A debug trap on the instruction that loads SS is lost with it (SDM vol. 3, 6.8.3). */
	if (c->s.shadow_ss)
		c->s.pending_db &= ~(1ull << 14);
}

/* ---- boundaries ---- */

static void exact_init_ipi(struct xcpu *c)
{
	/* SDM vol. 3, table 9-1: INIT keeps the FPU, the MSRs and the TSC; CR0 keeps CD and NW. */
	struct cpu_state old, s;
	xcpu_export(c, &old);
	cpu_state_reset(&s, c->index == 0);
	memcpy(s.msr, old.msr, sizeof(s.msr));
	memcpy(s.st, old.st, sizeof(s.st));
	memcpy(s.xmm, old.xmm, sizeof(s.xmm));
	s.fcw = old.fcw;
	s.fsw = old.fsw;
	s.ftw = old.ftw;
	s.fop = old.fop;
	s.fip = old.fip;
	s.fdp = old.fdp;
	s.mxcsr = old.mxcsr;
	s.cr0 |= old.cr0 & (CR0_CD | CR0_NW);
	xcpu_import(c, &s);
	xmmu_flush(c);
	bus_vcpu_init(xcpu_bus(c), c->index);
}

static void exact_sipi(struct xcpu *c, uint8_t vector)
{
	/* SDM vol. 3, 8.4.3: real mode at vector * 4 KiB. */
	c->s.seg[CPU_CS].sel = (uint16_t)(vector << 8);
	c->s.seg[CPU_CS].base = (uint64_t)vector << 12;
	c->rip = 0;
	c->s.activity = CPU_RUNNING;
	xcpu_mode_update(c);
}

static inline bool exact_any_pin(const struct vcpu_pins *pins)
{
	uint32_t all;
	_Static_assert(offsetof(struct vcpu_pins, sipi) == 3 && sizeof(bool) == 1,
		       "the four pins are the first four bytes");
	memcpy(&all, pins, sizeof(all));
	return all != 0;
}

/* Takes the first event due at this boundary, if any: true, and one step is done. */
static bool exact_take_event(struct xcpu *c, struct vcpu_pins *pins)
{
	int vector;
	if (c->s.activity == CPU_WAIT_SIPI) {
		if (pins->init)
			pins->init = false;
		if (!pins->sipi)
			return false;
		pins->sipi = false;
		exact_sipi(c, pins->sipi_vector);
		return true;
	}
	if (c->s.pending_db && !c->s.shadow_ss) {
		uint64_t bits = c->s.pending_db;
		c->s.pending_db = 0;
		c->s.dr6 |= bits;
		c->s.activity = CPU_RUNNING;
		c->fault_dr6 = 0;
		xdeliver(c, VEC_DB, false, 0, false, false);
		return true;
	}
	if (likely(!exact_any_pin(pins)) || c->s.shadow_ss)
		return false;
	if (pins->init) {
		pins->init = false;
		exact_init_ipi(c);
		return true;
	}
	if (pins->nmi && !c->s.nmi_blocked) {
		pins->nmi = false;
		c->s.activity = CPU_RUNNING;
		c->s.nmi_blocked = true;
		xdeliver(c, VEC_NMI, false, 0, false, true);
		return true;
	}
	if (pins->intr && (c->s.rflags & RFLAGS_IF) && !c->s.shadow_sti) {
		vclock_set_icount(c->e->cfg.clock, c->icount);
		vector = bus_irq_ack(xcpu_bus(c), c->index);
		if (vector < 0)
			return false;
		c->s.activity = CPU_RUNNING;
		xdeliver(c, (uint8_t)vector, false, 0, false, true);
		return true;
	}
	return false;
}

static inline bool exact_is_slow(const struct xcpu *c)
{
	return unlikely((c->s.rflags & (RFLAGS_TF | RFLAGS_RF)) || c->s.shadow_sti ||
			c->s.shadow_ss || (c->s.dr7 & 0xff));
}

/* Translated code, if this block has some and enough is left to do: true, and the vCPU is at another
 * boundary. */
static inline bool exact_translated(struct exact *e, struct xcpu *c, struct xblock *b)
{
	struct xjit_block *t;
	/* Enough for any first block, so that there is progress. */
	if (c->until - c->icount < XJIT_SLACK + XJIT_INSNS || !(c->mode & XMODE_64) || c->checks)
		return false;
	t = xjit_code(e->jit, c, b);
	if (!t)
		return false;
	if (unlikely(e->check != NULL)) {
		e->status = xcheck_run(e, c, t);
	} else {
		xjit_run(e->jit, c, t, c->rip, c->until - XJIT_SLACK);
		if (c->jit.tail)
			exact_insns(c, c->jit.tail, c->jit.tail + 1);
	}
	exact_until_reset(e, c);
	return true;
}

void exact_interpret(struct exact *e, struct xcpu *c, icount_t until)
{
	while (c->icount < until && c->s.activity == CPU_RUNNING) {
		struct exact_run_of r;
		uint64_t n = until - c->icount;
		c->until = until;
		if (c->s.shadow_sti) { /* translated code went on where there was no interrupt to block */
			exact_step_slow(e, c);
			continue;
		}
		if (exact_is_slow(c))
			return;
		r = exact_block(e, c);
		if (r.n == 0)
			return;
		exact_insns(c, r.block->insn, r.block->insn + (n < r.n ? n : r.n));
	}
}

static void exact_loop(struct exact *e, struct xcpu *c, struct vcpu_pins *pins,
		       volatile enum engine_exit *reason)
{
	/* xraise*() comes back here: the instruction had no effect, its fault is one step. */
	if (setjmp(c->fault)) {
		c->rmw.pending = false;
		c->s.shadow_sti = c->s.shadow_ss = false;
		c->s.dr6 |= c->fault_dr6;
		c->fault_dr6 = 0;
		e->breaks.hit = false;
		exact_until_reset(e, c);
		xdeliver(c, c->fault_vector, c->fault_has_err, c->fault_err, false, false);
		c->icount++;
	}
	while (c->icount < c->until) {
		struct exact_run_of r;
		uint64_t n;
		if (unlikely(*e->moved || *e->attention)) {
			*reason = ENGINE_EXIT_ATTENTION;
			return;
		}
		if (unlikely(exact_any_pin(pins) || c->s.pending_db) && exact_take_event(c, pins)) {
			c->icount++;
			continue;
		}
		if (unlikely(c->s.activity != CPU_RUNNING))
			return;
		r.n = 0;
		if (!exact_is_slow(c))
			r = exact_block(e, c);
		if (unlikely(r.n == 0)) {
			if (xbreaks_exec_stop(c, exact_lin(c)))
				return;
			exact_step_slow(e, c);
			continue;
		}
		if (e->jit && exact_translated(e, c, r.block))
			continue;
		n = c->until - c->icount;
		if (n > r.n)
			n = r.n;
		if (unlikely(!(c->mode & XMODE_64)))
			n = exact_within_limit(c, r.block, (unsigned)n);
		exact_insns(c, r.block->insn, r.block->insn + n);
	}
}

/* ---- the engine's ops ---- */

static bool exact_halted(const struct xcpu *c, const struct vcpu_pins *pins)
{
	if (c->s.activity == CPU_WAIT_SIPI)
		return !pins->sipi;
	if (c->s.activity != CPU_HALTED)
		return false;
	return !(c->s.pending_db || pins->init || (pins->nmi && !c->s.nmi_blocked) ||
		 (pins->intr && (c->s.rflags & RFLAGS_IF)));
}

static bool exact_is_halted(struct engine *engine, unsigned vcpu)
{
	const struct exact *e = (const struct exact *)engine;
	return exact_halted(e->cpu[vcpu], bus_pins(e->cfg.bus, vcpu));
}

static int exact_run(struct engine *engine, unsigned vcpu, icount_t until, struct engine_stop *stop)
{
	struct exact *e = (struct exact *)engine;
	struct xcpu *c = e->cpu[vcpu];
	struct vcpu_pins *pins = bus_pins(e->cfg.bus, vcpu);
	volatile enum engine_exit reason = ENGINE_EXIT_ICOUNT;

	c->icount = vclock_icount(e->cfg.clock);
	e->until = until;
	e->status = RV_OK;
	e->breaks.hit = false;
	c->paused = false;
	exact_until_reset(e, c);
	if (e->epoch_seen != mem_epoch(e->cfg.mem)) {
		e->epoch_seen = mem_epoch(e->cfg.mem);
		for (unsigned i = 0; i < e->cfg.ncpus; i++)
			xmmu_write_flush(e->cpu[i]);
	}
	e->steps -= c->icount;
	exact_loop(e, c, pins, &reason);
	while (xbreaks_watch_pass(c)) {
		exact_until_reset(e, c);
		exact_loop(e, c, pins, &reason);
	}
	e->steps += c->icount;
	vclock_set_icount(e->cfg.clock, c->icount);
	memset(stop, 0, sizeof(*stop));
	stop->yield = c->paused;
	if (e->status != RV_OK)
		return e->status;
	if (e->breaks.hit) {
		reason = ENGINE_EXIT_DEBUG;
		stop->break_kind = e->breaks.hit_kind;
		stop->break_addr = e->breaks.hit_addr;
	} else if (c->s.activity == CPU_SHUTDOWN) {
		reason = ENGINE_EXIT_SHUTDOWN;
	} else if (reason == ENGINE_EXIT_ICOUNT && exact_halted(c, pins)) {
		reason = ENGINE_EXIT_HALT;
	}
	stop->reason = reason;
	return RV_OK;
}

/* run() is bounded by its caller's `until`, so there is nothing to interrupt. */
static void exact_kick(struct engine *engine)
{
	(void)engine;
}

static void exact_get_state(struct engine *engine, unsigned vcpu, struct cpu_state *out)
{
	xcpu_export(((struct exact *)engine)->cpu[vcpu], out);
}

static int exact_set_state(struct engine *engine, unsigned vcpu, const struct cpu_state *s)
{
	struct exact *e = (struct exact *)engine;
	if (s->activity > CPU_SHUTDOWN)
		return RV_EINVAL;
	xcpu_import(e->cpu[vcpu], s);
	xmmu_flush(e->cpu[vcpu]);
	return RV_OK;
}

static int exact_break_set(struct engine *engine, enum engine_break_kind kind, uint64_t addr,
			   uint64_t len)
{
	struct exact *e = (struct exact *)engine;
	int rc = xbreaks_set(&e->breaks, kind, addr, len);
	for (unsigned i = 0; rc == RV_OK && i < e->cfg.ncpus; i++) {
		if (kind == ENGINE_BREAK_EXEC)
			e->cpu[i]->tlb_gen++; /* the jump cache may hold its block */
		else
			xmmu_flush(e->cpu[i]); /* the tables may hold its pages */
	}
	if (rc == RV_OK && kind == ENGINE_BREAK_EXEC && e->jit)
		xjit_break_changed(e->jit, addr);
	return rc;
}

/* Blocks run whole again; pages that were kept out of the tables find their way back at the next use. */
static int exact_break_clear(struct engine *engine, enum engine_break_kind kind, uint64_t addr,
			     uint64_t len)
{
	struct exact *e = (struct exact *)engine;
	int rc = xbreaks_clear(&e->breaks, kind, addr, len);
	for (unsigned i = 0; rc == RV_OK && kind == ENGINE_BREAK_EXEC && i < e->cfg.ncpus; i++)
		e->cpu[i]->tlb_gen++;
	if (rc == RV_OK && kind == ENGINE_BREAK_EXEC && e->jit)
		xjit_break_changed(e->jit, addr);
	return rc;
}

static void exact_break_skip(struct engine *engine, icount_t icount)
{
	((struct exact *)engine)->breaks.skip = icount;
}

static void exact_break_filter(struct engine *engine,
			       bool (*hit)(void *ctx, const struct engine_stop *stop), void *ctx)
{
	struct exact *e = (struct exact *)engine;
	e->breaks.filter = hit;
	e->breaks.filter_ctx = ctx;
}

static int exact_translate(struct engine *engine, unsigned vcpu, uint64_t va, gpa_t *gpa)
{
	return xmmu_translate_debug(((struct exact *)engine)->cpu[vcpu], va, gpa);
}

static void exact_flush(struct engine *engine)
{
	struct exact *e = (struct exact *)engine;
	xblocks_flush(e->blocks);
	for (unsigned i = 0; i < e->cfg.ncpus; i++)
		xmmu_flush(e->cpu[i]);
}

static void exact_stats(const struct engine *engine, struct engine_stats *out)
{
	const struct exact *e = (const struct exact *)engine;
	out->steps = e->steps;
	out->blocks_built = xblocks_built(e->blocks);
	out->tlb_misses = out->tlb_flushes = 0;
	out->jit_steps = out->jit_blocks = out->jit_bytes = out->jit_flushes = 0;
	if (e->jit)
		xjit_stats(e->jit, out);
	for (unsigned i = 0; i < e->cfg.ncpus; i++) {
		uint64_t misses, flushes;
		xmmu_stats(e->cpu[i], &misses, &flushes);
		out->tlb_misses += misses;
		out->tlb_flushes += flushes;
	}
}

static int exact_jit_dump(struct engine *engine, unsigned vcpu, uint64_t va, struct bytes *out)
{
	struct exact *e = (struct exact *)engine;
	struct xcpu *c = e->cpu[vcpu];
	const struct xblock *b;
	uint64_t page;
	gpa_t gpa;
	bool any = false;
	if (!e->jit)
		return RV_ENOTSUP;
	if (xmmu_translate_debug(c, va, &gpa) != RV_OK ||
	    (page = mem_page_of(e->cfg.mem, gpa)) == MEM_NO_PAGE)
		return RV_ENOENT;
	b = xblocks_find(e->blocks, page, gpa & (RV_PAGE_SIZE - 1), XMODE_64);
	for (unsigned user = 0; b && user < 2; user++) {
		if (!b->jit[user])
			continue;
		xjit_dump(b->jit[user], va, mem_page_host(e->cfg.mem, page), out);
		any = true;
	}
	return any ? RV_OK : RV_ENOENT;
}

static void exact_destroy(struct engine *engine)
{
	struct exact *e = (struct exact *)engine;
	if (!e)
		return;
	mem_watch(e->cfg.mem, NULL, NULL);
	for (unsigned i = 0; i < e->cfg.ncpus; i++) {
		free(e->cpu[i]);
		free(e->jump[i]);
	}
	xblocks_destroy(e->blocks);
	xjit_destroy(e->jit);
	xcheck_destroy(e->check);
	free(e);
}

static int exact_create(struct engine **out, const struct engine_cfg *cfg, struct rv_err *err)
{
	struct exact *e = calloc(1, sizeof(*e));
	int rc = RV_ENOMEM;
	if (!e)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	RV_ASSERT(cfg->ncpus >= 1 && cfg->ncpus <= CPU_MAX);
	e->cfg = *cfg;
	xbreaks_init(&e->breaks);
	e->moved = vclock_moved_flag(cfg->clock);
	e->attention = bus_attention(cfg->bus);
#ifdef RV_FORCE_JIT /* the whole suite in one mode: see CMakeLists.txt */
	e->cfg.jit = RV_FORCE_JIT;
#endif
	if (e->cfg.jit != ENGINE_JIT_OFF && (rc = xjit_create(&e->jit, cfg->code_cache, err)) != RV_OK) {
		exact_destroy((struct engine *)e);
		return rc;
	}
	if (e->cfg.jit == ENGINE_JIT_CHECK && xcheck_create(&e->check) != RV_OK)
		goto fail;
	if (xblocks_create(&e->blocks, cfg->mem, e->jit) != RV_OK)
		goto fail;
	for (unsigned i = 0; i < cfg->ncpus; i++) {
		struct xcpu *c = xcpu_create();
		struct cpu_state s;
		if (!c)
			goto fail;
		e->cpu[i] = c;
		e->jump[i] = calloc(1u << XJUMP_BITS, sizeof(struct xjump));
		if (!e->jump[i])
			goto fail;
		xjit_cpu_reset(c);
		for (unsigned k = 0; k < 1u << XJUMP_BITS; k++)
			e->jump[i][k].key = UINT64_MAX;
		c->e = e;
		c->jit.pins = bus_pins(cfg->bus, i);
		c->breaks = &e->breaks;
		c->index = i;
		cpu_state_reset(&s, i == 0);
		xcpu_import(c, &s);
		xmmu_flush(c);
	}
	mem_watch(cfg->mem, exact_watch, e);
	*out = (struct engine *)e;
	return RV_OK;
fail:
	exact_destroy((struct engine *)e);
	return rv_err_set(err, rc, "out of memory for the exact engine");
}

const struct engine_ops engine_exact_ops = {
	.name = "exact",
	.caps = ENGINE_CAP_EXACT | ENGINE_CAP_BREAK | ENGINE_CAP_STEP,
	.create = exact_create,
	.destroy = exact_destroy,
	.run = exact_run,
	.halted = exact_is_halted,
	.kick = exact_kick,
	.get_state = exact_get_state,
	.set_state = exact_set_state,
	.break_set = exact_break_set,
	.break_clear = exact_break_clear,
	.break_skip = exact_break_skip,
	.break_filter = exact_break_filter,
	.translate = exact_translate,
	.flush = exact_flush,
	.jit_dump = exact_jit_dump,
	.stats = exact_stats,
};
