/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small machine with a history, to debug: positions 0 to `end`, RIP at
 * FAKE_CODE + position. The step from position p writes the byte p + 1 to
 * FAKE_DATA + p % 64, and reads FAKE_DATA + 64 + p % 64. Two pages of memory
 * at each address below are all there is; physical addresses start at 0.
 */
#ifndef RV_TESTS_FAKE_TARGET_H
#define RV_TESTS_FAKE_TARGET_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gdbstub/gdbstub.h"

#define FAKE_CODE 0xffffffff81000000ull
#define FAKE_DATA 0x601000ull
#define FAKE_TOP (0ull - 0x1000) /* the last page of the address space */
#define FAKE_PAGES 5u
#define FAKE_SIZE (FAKE_PAGES * RV_PAGE_SIZE)
#define FAKE_BREAKS 32u

struct fake {
	struct debug_target target;
	unsigned ncpus;
	bool reverse, endless, exits; /* endless: continue runs until poll() */
	int fail;                     /* resume() returns this */
	struct cpu_state cpu[2];
	uint8_t mem[FAKE_SIZE]; /* code 2 pages, data 2, top 1 */
	uint64_t pos, end;
	bool jumped; /* RIP was set by the debugger */
	size_t nbreaks;
	unsigned resumes, last_cpu, tests;
	enum debug_motion last_motion;
	char last_monitor[256];
	struct fake_break {
		enum debug_break_kind kind;
		uint64_t addr, len;
		struct debug_cond cond;
	} breaks[FAKE_BREAKS];
};

static inline struct fake *fake_of(struct debug_target *t)
{
	return (struct fake *)t;
}

static inline void fake_move(struct fake *f, uint64_t pos)
{
	f->pos = pos;
	f->cpu[0].rip = f->cpu[1].rip = FAKE_CODE + pos;
}

static inline uint8_t *fake_page(struct fake *f, bool phys, uint64_t addr)
{
	uint64_t page = addr & ~(uint64_t)(RV_PAGE_SIZE - 1);
	size_t n;

	if (phys && page < FAKE_SIZE)
		n = (size_t)(page / RV_PAGE_SIZE);
	else if (!phys && page - FAKE_CODE < 2 * RV_PAGE_SIZE)
		n = (size_t)((page - FAKE_CODE) / RV_PAGE_SIZE);
	else if (!phys && page - FAKE_DATA < 2 * RV_PAGE_SIZE)
		n = 2 + (size_t)((page - FAKE_DATA) / RV_PAGE_SIZE);
	else if (!phys && page == FAKE_TOP)
		n = 4;
	else
		return NULL;
	return f->mem + n * RV_PAGE_SIZE + addr % RV_PAGE_SIZE;
}

static inline unsigned fake_ncpus(struct debug_target *t)
{
	return fake_of(t)->ncpus;
}

static inline bool fake_can_reverse(struct debug_target *t)
{
	return fake_of(t)->reverse;
}

static inline void fake_regs_get(struct debug_target *t, unsigned cpu, struct cpu_state *out)
{
	if (cpu >= fake_of(t)->ncpus)
		abort();
	*out = fake_of(t)->cpu[cpu];
}

static inline int fake_regs_set(struct debug_target *t, unsigned cpu, const struct cpu_state *s)
{
	if (cpu >= fake_of(t)->ncpus)
		abort();
	fake_of(t)->jumped |= s->rip != fake_of(t)->cpu[cpu].rip;
	fake_of(t)->cpu[cpu] = *s;
	return RV_OK;
}

static inline int fake_mem(struct debug_target *t, bool phys, uint64_t addr, void *out,
			   const void *in, size_t len)
{
	if (len == 0 || addr + (len - 1) < addr)
		return RV_EINVAL;
	for (int pass = 0; pass < 2; pass++) { /* look first: all or nothing */
		for (size_t at = 0, n; at < len; at += n) {
			uint8_t *p = fake_page(fake_of(t), phys, addr + at);
			n = RV_PAGE_SIZE - (size_t)((addr + at) % RV_PAGE_SIZE);
			if (!p)
				return RV_ENOENT;
			if (n > len - at)
				n = len - at;
			if (pass && out)
				memcpy((uint8_t *)out + at, p, n);
			else if (pass)
				memcpy(p, (const uint8_t *)in + at, n);
		}
	}
	return RV_OK;
}

static inline int fake_mem_read(struct debug_target *t, unsigned cpu, bool phys, uint64_t addr,
				void *out, size_t len)
{
	if (cpu >= fake_of(t)->ncpus)
		abort();
	return fake_mem(t, phys, addr, out, NULL, len);
}

static inline int fake_mem_write(struct debug_target *t, unsigned cpu, bool phys, uint64_t addr,
				 const void *data, size_t len)
{
	if (cpu >= fake_of(t)->ncpus)
		abort();
	return fake_mem(t, phys, addr, NULL, data, len);
}

static inline struct fake_break *fake_find(struct fake *f, enum debug_break_kind kind,
					   uint64_t addr, uint64_t len)
{
	for (size_t i = 0; i < f->nbreaks; i++)
		if (f->breaks[i].kind == kind && f->breaks[i].addr == addr &&
			f->breaks[i].len == len)
			return &f->breaks[i];
	return NULL;
}

static inline int fake_break_set(struct debug_target *t, enum debug_break_kind kind, uint64_t addr,
				 uint64_t len, const struct debug_cond *cond)
{
	struct fake *f = fake_of(t);

	if (fake_find(f, kind, addr, len))
		abort(); /* the stub sets each once */
	if (f->nbreaks == FAKE_BREAKS)
		return RV_ENOSPC;
	f->breaks[f->nbreaks++] = (struct fake_break){ kind, addr, len, *cond };
	return RV_OK;
}

static inline int fake_break_clear(struct debug_target *t, enum debug_break_kind kind,
				   uint64_t addr, uint64_t len)
{
	struct fake *f = fake_of(t);
	struct fake_break *b = fake_find(f, kind, addr, len);

	if (!b)
		return RV_ENOENT;
	*b = f->breaks[--f->nbreaks];
	return RV_OK;
}

/* A hit at the present position, of an access (watch) or of RIP. */
static inline bool fake_hit(struct fake *f, bool watch, uint64_t at, bool write,
				struct debug_stop *stop)
{
	for (size_t i = 0; i < f->nbreaks; i++) {
		struct fake_break *b = &f->breaks[i];
		bool code = b->kind == DEBUG_BREAK_SW || b->kind == DEBUG_BREAK_HW;
		if (code == watch || at - b->addr >= b->len)
			continue;
		if (watch && b->kind != DEBUG_WATCH_ACCESS &&
			(b->kind == DEBUG_WATCH_WRITE) != write)
			continue;
		f->tests++;
		if (b->cond.test && !b->cond.test(b->cond.ctx, 0))
			continue;
		*stop = (struct debug_stop){ DEBUG_STOP_BREAK, 0, b->kind, at };
		return true;
	}
	return false;
}

/* One position on or back; true: an access was watched. */
static inline bool fake_step(struct fake *f, bool back, struct debug_stop *stop)
{
	uint64_t p = back ? f->pos - 1 : f->pos;

	f->mem[2 * RV_PAGE_SIZE + p % 64] = (uint8_t)(back ? p - 63 : p + 1);
	fake_move(f, back ? p : p + 1);
	return fake_hit(f, true, FAKE_DATA + p % 64, true, stop) ||
	       fake_hit(f, true, FAKE_DATA + 64 + p % 64, false, stop);
}

static inline int fake_resume(struct debug_target *t, enum debug_motion motion, unsigned cpu,
			      bool (*poll)(void *ctx), void *ctx, struct debug_stop *stop)
{
	struct fake *f = fake_of(t);
	bool back = motion == DEBUG_REVERSE_CONTINUE || motion == DEBUG_REVERSE_STEP;
	bool step = motion == DEBUG_STEP || motion == DEBUG_REVERSE_STEP;

	f->resumes++;
	f->last_cpu = cpu;
	f->last_motion = motion;
	if (cpu >= f->ncpus || (back && !f->reverse))
		abort();
	if (f->fail)
		return f->fail;
	if (f->jumped) { /* the diversion is dropped */
		f->jumped = false;
		fake_move(f, f->pos);
	}
	*stop = (struct debug_stop){ .reason = DEBUG_STOP_STEP, .cpu = step ? cpu : 0 };
	do {
		if (poll(ctx)) {
			stop->reason = DEBUG_STOP_INTERRUPT;
			return RV_OK;
		}
		if (!step && f->endless)
			continue;
		if (f->pos == (back ? 0 : f->end)) {
			stop->reason = back ? DEBUG_STOP_BEGIN :
				       f->exits ? DEBUG_STOP_EXITED : DEBUG_STOP_END;
			return RV_OK;
		}
		if (fake_step(f, back, stop) ||
			(!step && fake_hit(f, false, f->cpu[0].rip, false, stop)))
			return RV_OK;
	} while (!step || f->endless);
	return RV_OK;
}

static inline int fake_monitor(struct debug_target *t, const char *line,
			       void (*put)(void *ctx, const char *text), bool (*poll)(void *ctx),
			       void *ctx, bool *moved)
{
	struct fake *f = fake_of(t);
	char text[64];

	(void)poll;
	snprintf(f->last_monitor, sizeof(f->last_monitor), "%s", line);
	if (strcmp(line, "when") == 0) {
		snprintf(text, sizeof(text), "icount %llu\n", (unsigned long long)f->pos);
		put(ctx, text);
		return RV_OK;
	}
	if (strncmp(line, "seek ", 5) == 0) {
		uint64_t to = strtoull(line + 5, NULL, 0);
		if (!f->reverse)
			return RV_EUSAGE;
		if (to > f->end)
			return RV_EINVAL;
		fake_move(f, to);
		*moved = true;
		return RV_OK;
	}
	return RV_EUSAGE;
}

static inline void fake_thread_info(struct debug_target *t, unsigned cpu, char *out, size_t len)
{
	(void)t;
	snprintf(out, len, "vCPU %u ring 0", cpu);
}

static const struct debug_target_ops fake_ops = {
	.ncpus = fake_ncpus,
	.can_reverse = fake_can_reverse,
	.regs_get = fake_regs_get,
	.regs_set = fake_regs_set,
	.mem_read = fake_mem_read,
	.mem_write = fake_mem_write,
	.break_set = fake_break_set,
	.break_clear = fake_break_clear,
	.resume = fake_resume,
	.monitor = fake_monitor,
	.thread_info = fake_thread_info,
};

static inline void fake_init(struct fake *f)
{
	memset(f, 0, sizeof(*f));
	f->target.ops = &fake_ops;
	f->ncpus = 2;
	f->reverse = true;
	f->end = 1000;
	memset(f->mem, 0x90, 2 * RV_PAGE_SIZE);
	for (unsigned i = 0; i < 2; i++) {
		struct cpu_state *s = &f->cpu[i];
		for (unsigned r = 0; r < 16; r++)
			s->gpr[r] = 0x1111111111111111ull * r + i;
		s->gpr[CPU_RSP] = FAKE_DATA + 0x1800;
		s->rflags = RFLAGS_1 | RFLAGS_ZF;
		s->cr0 = CR0_PE | CR0_PG | CR0_NE;
		s->cr3 = 0x5000;
		s->cr4 = CR4_PAE;
		s->efer = EFER_LMA | EFER_LME | EFER_SCE;
		s->seg[CPU_CS].sel = 0x10;
		s->seg[CPU_SS].sel = 0x18;
		s->seg[CPU_GS].base = 0xffff888000000000ull;
		s->msr[CPU_MSR_LSTAR] = FAKE_CODE + 0x800;
		s->fcw = 0x37f;
		s->ftw = 0xffff;
		s->mxcsr = 0x1f80;
		s->fsw = 3u << 11; /* ST(0) is physical register 3 */
		s->st[3] = (struct cpu_f80){ 0x8000000000000000ull, 0x3fff };
		s->xmm[5] = (struct cpu_xmm){ 0x0123456789abcdefull, 0xfedcba9876543210ull };
	}
	fake_move(f, 0);
}

#endif
