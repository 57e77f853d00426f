/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instruction on the exact engine, through its public interface: a vCPU
 * at CPL 3 in a small address space, run for one step. Every vector has a
 * handler address of its own in supervisor memory, so where RIP is after the
 * step says what was delivered; the interrupt frame says the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "engine/engine.h"
#include "tests/diff/diff.h"

#define GUEST_RAM  (64ull << 20)
#define GUEST_HIGH 0xffff800000000000ull /* supervisor mapping of the first 2 MiB */

enum { /* guest-physical layout */
	GPA_GDT = 0x1000,
	GPA_IDT = 0x2000,
	GPA_TSS = 0x3000,
	GPA_STACK_TOP = 0x5000,
	GPA_HANDLERS = 0x6000, /* 256 vectors, 16 bytes each */
	GPA_PML4 = 0x10000,
	GPA_PDPT = 0x11000,
	GPA_PD = 0x12000,
	GPA_PT_CODE = 0x13000,
	GPA_PDPT_HIGH = 0x14000,
	GPA_PT_DATA = 0x15000,
	GPA_PD_HIGH = 0x16000,
	GPA_CODE = 0x100000,
	GPA_DATA = 0x200000, /* outside the supervisor mapping */
};

#define PTE_P  1ull
#define PTE_W  2ull
#define PTE_U  4ull
#define PTE_A  0x20ull
#define PTE_D  0x40ull
#define PTE_PS 0x80ull

struct diff_guest {
	struct guest_mem *mem;
	struct bus *bus;
	struct vclock *clock;
	struct engine *engine;
	struct cpu_state base; /* everything an instance does not choose */
	uint8_t *data;
};

static void guest_write64(struct diff_guest *g, gpa_t gpa, uint64_t v)
{
	mem_write(g->mem, gpa, &v, sizeof(v));
}

static void guest_tables(struct diff_guest *g)
{
	const uint64_t table = PTE_P | PTE_W | PTE_U | PTE_A;
	const uint64_t leaf = PTE_P | PTE_U | PTE_A | PTE_D;

	guest_write64(g, GPA_PML4, GPA_PDPT | table);
	guest_write64(g, GPA_PML4 + 256 * 8, GPA_PDPT_HIGH | table);
	guest_write64(g, GPA_PDPT, GPA_PD | table);
	guest_write64(g, GPA_PD + (DIFF_CODE >> 21) * 8, GPA_PT_CODE | table);
	guest_write64(g, GPA_PD + (DIFF_DATA >> 21) * 8, GPA_PT_DATA | table);
	guest_write64(g, GPA_PT_CODE + (DIFF_CODE >> 12 & 511) * 8, GPA_CODE | leaf | PTE_W);
	for (unsigned i = 0; i < DIFF_DATA_PAGES; i++)
		guest_write64(g, GPA_PT_DATA + ((DIFF_DATA >> 12 & 511) + i) * 8,
			      (GPA_DATA + i * RV_PAGE_SIZE) | leaf |
				  (i < DIFF_RW_PAGES ? PTE_W : 0));
	guest_write64(g, GPA_PDPT_HIGH, GPA_PD_HIGH | table);
	guest_write64(g, GPA_PD_HIGH, PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS);

	/* The GDT of a Linux kernel: 10h kernel code, 18h kernel data, 23h, 2bh, 33h user. */
	guest_write64(g, GPA_GDT + 0x10, 0x00af9b000000ffffull);
	guest_write64(g, GPA_GDT + 0x18, 0x00cf93000000ffffull);
	guest_write64(g, GPA_GDT + 0x20, 0x00cffb000000ffffull);
	guest_write64(g, GPA_GDT + 0x28, 0x00cff3000000ffffull);
	guest_write64(g, GPA_GDT + 0x30, 0x00affb000000ffffull);
	for (unsigned v = 0; v < 256; v++) {
		uint64_t handler = GUEST_HIGH + GPA_HANDLERS + v * 16;
		uint64_t dpl = v == VEC_BP || v == VEC_OF ? 3 : 0;

		/* SDM vol. 3, figure 6-8: interrupt gate, IST 1. */
		guest_write64(g, GPA_IDT + v * 16,
			      (handler & 0xffff) | 0x10ull << 16 | 1ull << 32 | 0x8eull << 40 |
				  dpl << 45 | (handler >> 16 & 0xffff) << 48);
		guest_write64(g, GPA_IDT + v * 16 + 8, handler >> 32);
	}
	mem_write(g->mem, GPA_TSS + 4, &(uint64_t){GUEST_HIGH + GPA_STACK_TOP}, 8);    /* RSP0 */
	mem_write(g->mem, GPA_TSS + 0x24, &(uint64_t){GUEST_HIGH + GPA_STACK_TOP}, 8); /* IST1 */
	mem_write(g->mem, GPA_TSS + 0x66, &(uint16_t){0x68}, 2); /* no I/O bitmap */
}

static void guest_base(struct diff_guest *g, uint64_t fs_base, uint64_t gs_base)
{
	struct cpu_state *s = &g->base;
	const uint16_t data =
	    SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | 3u << SEG_DPL_SHIFT | SEG_DB | SEG_G;

	cpu_state_reset(s, true);
	s->activity = CPU_RUNNING;
	s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	s->cr3 = GPA_PML4;
	s->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	for (unsigned i = CPU_ES; i <= CPU_GS; i++)
		s->seg[i] = (struct cpu_seg){.limit = 0xffffffff, .attr = data, .sel = DIFF_DS};
	s->seg[CPU_FS] = (struct cpu_seg){.base = fs_base}; /* null selectors, bases by MSR */
	s->seg[CPU_GS] = (struct cpu_seg){.base = gs_base};
	s->seg[CPU_LDTR] = (struct cpu_seg){0};
	s->seg[CPU_TR] = (struct cpu_seg){
	    .base = GUEST_HIGH + GPA_TSS, .limit = 0x67, .attr = SEG_P | 0xb, .sel = 0x40};
	s->gdtr = (struct cpu_dtable){GUEST_HIGH + GPA_GDT, 0x37};
	s->idtr = (struct cpu_dtable){GUEST_HIGH + GPA_IDT, 0xfff};
}

int diff_guest_init(struct diff_guest **out, uint64_t fs_base, uint64_t gs_base)
{
	struct diff_guest *g = calloc(1, sizeof(*g));
	struct engine_cfg cfg = {.ncpus = 1};
	int rc;

	if (!g)
		return RV_ENOMEM;
	rc = mem_create(&g->mem, GUEST_RAM, 0, NULL);
	if (rc != 0)
		goto fail;
	rc = bus_create(&g->bus);
	if (rc != 0)
		goto fail;
	rc = vclock_create(&g->clock, VCLOCK_RATE_ONE, 0);
	if (rc != 0)
		goto fail;
	guest_tables(g);
	cfg.mem = g->mem;
	cfg.bus = g->bus;
	cfg.clock = g->clock;
	rc = engine_exact_ops.create(&g->engine, &cfg, NULL);
	if (rc != 0)
		goto fail;
	guest_base(g, fs_base, gs_base);
	/* RAM pages are contiguous in the host below the PCI hole. */
	g->data = mem_page_host(g->mem, mem_page_of(g->mem, GPA_DATA));
	*out = g;
	return 0;
fail:
	diff_guest_fini(g);
	return rc;
}

void diff_guest_fini(struct diff_guest *g)
{
	if (g->engine)
		engine_exact_ops.destroy(g->engine);
	if (g->clock)
		vclock_destroy(g->clock);
	if (g->bus)
		bus_destroy(g->bus);
	if (g->mem)
		mem_destroy(g->mem);
	free(g);
}

uint8_t *diff_guest_data(struct diff_guest *g)
{
	return g->data;
}

/* Two-bit tag of a register's contents (SDM vol. 1, 8.1.7). */
static unsigned guest_tag(const struct cpu_f80 *f)
{
	unsigned e = f->sexp & 0x7fffu;

	if (e == 0 && f->mant == 0)
		return 1;
	return e != 0 && e != 0x7fff && f->mant >> 63 ? 0 : 2;
}

static void guest_load(struct diff_guest *g, const struct diff_case *c, struct cpu_state *s)
{
	const struct diff_state *in = &c->in;
	unsigned top = in->fsw >> 11 & 7u;

	*s = g->base;
	memcpy(s->gpr, in->gpr, sizeof(s->gpr));
	s->rip = in->rip;
	s->rflags = in->rflags;
	s->seg[CPU_CS] = (struct cpu_seg){
	    .limit = 0xffffffff,
	    .sel = c->bits == 64 ? DIFF_CS64 : DIFF_CS32,
	    .attr = (uint16_t)(SEG_S | SEG_P | SEG_CODE | SEG_WRITABLE | SEG_ACCESSED |
			       3u << SEG_DPL_SHIFT | SEG_G | (c->bits == 64 ? SEG_L : SEG_DB)),
	};
	s->fcw = in->fcw;
	s->fsw = in->fsw;
	s->ftw = 0;
	for (unsigned i = 0; i < 8; i++) {
		unsigned phys = (top + i) & 7;
		unsigned tag = in->ftw >> phys & 1 ? guest_tag(&in->st[i]) : 3;

		s->st[phys] = in->st[i];
		s->ftw |= (uint16_t)(tag << 2 * phys);
	}
	s->mxcsr = in->mxcsr;
	memcpy(s->xmm, in->xmm, sizeof(s->xmm));
}

static uint64_t guest_stack(struct diff_guest *g, gpa_t gpa)
{
	uint64_t v = 0;

	mem_read(g->mem, gpa, &v, sizeof(v));
	return v;
}

static bool vector_has_error_code(unsigned v)
{
	return v == VEC_DF || (v >= VEC_TS && v <= VEC_PF) || v == VEC_AC;
}

static void guest_delivered(struct diff_guest *g, const struct cpu_state *s, uint64_t cs,
			    struct diff_state *out)
{
	uint64_t frame = s->gpr[CPU_RSP] - GUEST_HIGH;
	uint64_t want = GPA_STACK_TOP - 40;

	out->vector = (unsigned)(s->rip - GUEST_HIGH - GPA_HANDLERS) / 16;
	if (vector_has_error_code(out->vector))
		want -= 8;
	if (frame != want || s->rip & 15) {
		out->vector = DIFF_VECTOR_LOST;
		return;
	}
	if (vector_has_error_code(out->vector)) {
		out->err = guest_stack(g, frame);
		frame += 8;
	}
	out->rip = guest_stack(g, frame);
	out->rflags = guest_stack(g, frame + 16);
	out->gpr[CPU_RSP] = guest_stack(g, frame + 24);
	out->cr2 = out->vector == VEC_PF ? s->cr2 : 0;
	if (guest_stack(g, frame + 8) != cs || guest_stack(g, frame + 32) != DIFF_DS)
		out->vector = DIFF_VECTOR_LOST;
}

void diff_guest_run(struct diff_guest *g, const struct diff_case *c, struct diff_state *out)
{
	struct cpu_state s;
	struct engine_stop stop = {0};
	unsigned top;
	int rc;

	guest_load(g, c, &s);
	mem_write(g->mem, GPA_CODE + (c->in.rip - DIFF_CODE), c->bytes, 15);
	memset(out, 0, sizeof(*out));
	rc = engine_exact_ops.set_state(g->engine, 0, &s);
	if (rc == 0)
		rc = engine_exact_ops.run(g->engine, 0, vclock_icount(g->clock) + 1, &stop);
	engine_exact_ops.get_state(g->engine, 0, &s);

	memcpy(out->gpr, s.gpr, sizeof(out->gpr));
	out->rip = s.rip;
	out->rflags = s.rflags;
	out->fcw = s.fcw;
	out->fsw = s.fsw;
	out->mxcsr = s.mxcsr;
	top = s.fsw >> 11 & 7u;
	for (unsigned i = 0; i < 8; i++) {
		out->st[i] = s.st[(top + i) & 7];
		if (((unsigned)s.ftw >> 2 * i & 3u) != 3)
			out->ftw |= (uint8_t)(1u << i);
	}
	memcpy(out->xmm, s.xmm, sizeof(out->xmm));
	out->vector = DIFF_VECTOR_NONE;
	if (rc != 0 || stop.reason != ENGINE_EXIT_ICOUNT)
		out->vector = DIFF_VECTOR_LOST;
	else if (cpu_state_cpl(&s) == 0)
		guest_delivered(g, &s, c->bits == 64 ? DIFF_CS64 : DIFF_CS32, out);
}
