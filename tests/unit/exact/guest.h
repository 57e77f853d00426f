/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine small enough for one test: RAM, a bus without devices, a clock,
 * the exact engine. Guest code is assembled into this program's .rodata
 * (GUEST_CODE) and copied to GUEST_TEXT; it must not depend on its address.
 *
 * Long-mode layout: PML4, PDPT, PD, PT at 0x1000.. map the first 2 MiB with
 * 4 KiB pages (user, writable), the second with one 2 MiB page. Each IDT vector
 * v leads to a HLT at GUEST_STUBS + 16 v.
 */
#ifndef TESTS_UNIT_EXACT_GUEST_H
#define TESTS_UNIT_EXACT_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "engine/engine.h"

enum {
	GUEST_PML4 = 0x1000, GUEST_PDPT = 0x2000, GUEST_PD = 0x3000, GUEST_PT = 0x4000,
	GUEST_GDT = 0x5000, GUEST_IDT = 0x6000, GUEST_TSS = 0x7000, GUEST_STUBS = 0x8000,
	GUEST_TEXT = 0x10000, GUEST_STACK = 0x20000, GUEST_STACK0 = 0x28000, GUEST_IST1 = 0x2c000,
	GUEST_DATA = 0x30000, GUEST_RAM = 8 << 20
};

/* Selectors of the GDT. */
enum {
	SEL_CODE64 = 0x08, SEL_DATA = 0x10, SEL_CODE32 = 0x18, SEL_UDATA = 0x20 | 3,
	SEL_UCODE64 = 0x28 | 3, SEL_TSS = 0x30, SEL_UCODE32 = 0x40 | 3, SEL_GATE = 0x48,
	SEL_CODE16 = 0x58
};

#define GUEST_CODE(name, text)                                                                     \
	extern const uint8_t name[], name##_end[];                                                 \
	__asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection\n.code64")

struct guest {
	struct guest_mem *mem;
	struct bus *bus;
	struct vclock *clock;
	struct engine *e;
	struct engine_stop stop;
	struct cpu_state s;
};

static inline void guest_poke(struct guest *g, uint64_t gpa, uint64_t v, unsigned size)
{
	mem_write(g->mem, gpa, &v, size);
}

static inline uint64_t guest_peek(struct guest *g, uint64_t gpa, unsigned size)
{
	uint64_t v = 0;
	mem_read(g->mem, gpa, &v, size);
	return v;
}

static inline void guest_gate(struct guest *g, unsigned v, uint64_t off, unsigned sel,
			      unsigned attr, unsigned ist)
{
	guest_poke(g, GUEST_IDT + v * 16u,
		   (off & 0xffff) | (uint64_t)sel << 16 | (uint64_t)ist << 32 |
			   (uint64_t)attr << 40 | (off & 0xffff0000) << 32, 8);
	guest_poke(g, GUEST_IDT + v * 16u + 8, off >> 32, 8);
}

static inline void guest_open(struct guest *g)
{
	struct engine_cfg cfg;
	struct rv_err err;
	memset(g, 0, sizeof(*g));
	assert_int_equal(mem_create(&g->mem, GUEST_RAM, 0, &err), 0);
	assert_int_equal(bus_create(&g->bus), 0);
	assert_int_equal(vclock_create(&g->clock, VCLOCK_RATE_ONE, 0), 0);
	cfg = (struct engine_cfg){ .ncpus = 1, .mem = g->mem, .bus = g->bus, .clock = g->clock };
	assert_int_equal(engine_exact_ops.create(&g->e, &cfg, &err), 0);

	guest_poke(g, GUEST_PML4, GUEST_PDPT | 7, 8);
	guest_poke(g, GUEST_PDPT, GUEST_PD | 7, 8);
	guest_poke(g, GUEST_PD, GUEST_PT | 7, 8);
	guest_poke(g, GUEST_PD + 8, 0x200087, 8);
	for (unsigned i = 0; i < 512; i++)
		guest_poke(g, GUEST_PT + i * 8, i << 12 | 7, 8);
	guest_poke(g, GUEST_GDT + 0x08, 0x00af9b000000ffff, 8);
	guest_poke(g, GUEST_GDT + 0x10, 0x00cf93000000ffff, 8);
	guest_poke(g, GUEST_GDT + 0x18, 0x00cf9b000000ffff, 8);
	guest_poke(g, GUEST_GDT + 0x20, 0x00cff3000000ffff, 8);
	guest_poke(g, GUEST_GDT + 0x28, 0x00affb000000ffff, 8);
	guest_poke(g, GUEST_GDT + 0x30, 0x00008b0000000067ull | (uint64_t)GUEST_TSS << 16, 8);
	guest_poke(g, GUEST_GDT + 0x40, 0x00cffb000000ffff, 8);
	guest_poke(g, GUEST_GDT + 0x58, 0x00009b000000ffff, 8);
	guest_poke(g, GUEST_TSS + 4, GUEST_STACK0, 8);
	guest_poke(g, GUEST_TSS + 36, GUEST_IST1, 8);
	guest_poke(g, GUEST_TSS + 102, 0x68, 2);
	for (unsigned v = 0; v < 256; v++) {
		guest_gate(g, v, GUEST_STUBS + v * 16u, SEL_CODE64, v == 0x80 ? 0xee : 0x8e, 0);
		guest_poke(g, GUEST_STUBS + v * 16u, 0xf4, 1);
	}
}

static inline void guest_close(struct guest *g)
{
	engine_exact_ops.destroy(g->e);
	vclock_destroy(g->clock);
	bus_destroy(g->bus);
	mem_destroy(g->mem);
}

static inline void guest_seg(struct cpu_seg *s, unsigned sel, unsigned attr)
{
	s->sel = (uint16_t)sel;
	s->base = 0;
	s->limit = UINT32_MAX;
	s->attr = (uint16_t)attr;
}

/* 64-bit mode at CPL 0 or 3, interrupts off. */
static inline void guest_long(struct guest *g, unsigned cpl)
{
	struct cpu_state *s = &g->s;
	cpu_state_reset(s, true);
	s->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE | CR0_AM;
	s->cr3 = GUEST_PML4;
	s->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR;
	s->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
	guest_seg(&s->seg[CPU_CS], cpl ? SEL_UCODE64 : SEL_CODE64, cpl ? 0xa0fb : 0xa09b);
	for (unsigned i = 0; i < 6; i++)
		if (i != CPU_CS)
			guest_seg(&s->seg[i], cpl ? SEL_UDATA : SEL_DATA, cpl ? 0xc0f3 : 0xc093);
	guest_seg(&s->seg[CPU_TR], SEL_TSS, SEG_P | 11);
	s->seg[CPU_TR].base = GUEST_TSS;
	s->seg[CPU_TR].limit = 0x67;
	s->gdtr.base = GUEST_GDT;
	s->gdtr.limit = 0x5f;
	s->idtr.base = GUEST_IDT;
	s->idtr.limit = 0xfff;
	s->rip = GUEST_TEXT;
	s->gpr[CPU_RSP] = GUEST_STACK;
}

static inline void guest_load(struct guest *g, const uint8_t *code, const uint8_t *end)
{
	mem_write(g->mem, GUEST_TEXT, code, (size_t)(end - code));
}

/* Runs from g->s for at most n steps; g->s and g->stop are the outcome. */
static inline void guest_run(struct guest *g, icount_t n)
{
	assert_int_equal(engine_exact_ops.set_state(g->e, 0, &g->s), 0);
	assert_int_equal(engine_exact_ops.run(g->e, 0, vclock_icount(g->clock) + n, &g->stop), 0);
	engine_exact_ops.get_state(g->e, 0, &g->s);
}
#define GUEST_GO(g, name, n) (guest_load(g, name, name##_end), guest_run(g, n))

/* The vector whose stub the guest halted in, or -1. */
static inline int guest_vector(const struct guest *g)
{
	uint64_t at = g->s.rip - 1 - GUEST_STUBS;
	return g->s.activity == CPU_HALTED && at < 0x1000 && at % 16 == 0 ? (int)(at / 16) : -1;
}

#endif
