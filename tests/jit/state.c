/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Register states. The generator (gen.c) uses registers by role: pointers
 * RBX RBP RSI RDI R12 R13 RSP, an index R14, a counter R15, numbers in the
 * rest. Roles are kept by the states drawn here.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/jit/jit.h"

#define POOL_FILES 256u

struct jit_file {
	struct cpu_xmm xmm[16];
	struct cpu_f80 st[8];
	uint16_t ftw;
};

struct jit_pool {
	struct jit_file file[POOL_FILES];
};

struct jit_pool *jit_pool_create(void)
{
	static const uint8_t type[] = {ZYDIS_ELEMENT_TYPE_INT, ZYDIS_ELEMENT_TYPE_FLOAT32,
				       ZYDIS_ELEMENT_TYPE_FLOAT64};
	struct jit_pool *p = calloc(1, sizeof(*p));
	struct diff_rng r;

	if (!p)
		return NULL;
	diff_rng_seed(&r, 2, 2);
	for (unsigned i = 0; i < POOL_FILES; i++) {
		struct jit_file *f = &p->file[i];

		for (unsigned k = 0; k < 16; k++)
			diff_value_fill(&r, type[diff_rng_below(&r, 3)],
					1u << diff_rng_below(&r, 4), (uint8_t *)&f->xmm[k], 16);
		for (unsigned k = 0; k < 8; k++) {
			struct cpu_f80 v = diff_value_f80(&r);

			f->st[k].mant = v.mant; /* not the padding */
			f->st[k].sexp = v.sexp;
			if (i & 1) /* as MMX leaves it */
				f->st[k].sexp = 0xffff;
		}
		f->ftw = (uint16_t)(i & 4 ? 0 : 0xffffu << 2 * diff_rng_below(&r, 9));
	}
	return p;
}

void jit_pool_destroy(struct jit_pool *p)
{
	free(p);
}

static void draw_pointers(struct diff_rng *r, uint64_t code, struct cpu_state *s)
{
	static const uint8_t pointer[] = {CPU_RBX, CPU_RBP, CPU_RSI, CPU_RDI, CPU_R12, CPU_R13};
	unsigned kind = diff_rng_below(r, 100);
	uint64_t sp;

	for (unsigned i = 0; i < RV_ARRAY_LEN(pointer); i++)
		s->gpr[pointer[i]] = jit_gen_address(r, code);
	if (kind < 60)
		sp = JIT_PAGE(JIT_P_STACK0) + 0x200 + (diff_rng_below(r, 0xc00) & ~7u);
	else if (kind < 75) /* between two good pages */
		sp = JIT_PAGE(JIT_P_STACK1) + (diff_rng_below(r, 0x80) & ~7u) - 0x20;
	else if (kind < 85) /* pushes fault soon */
		sp = JIT_PAGE(JIT_P_STACK0) + diff_rng_below(r, 0x30);
	else if (kind < 94) /* pops fault soon */
		sp = JIT_PAGE(JIT_P_HOLE3) - diff_rng_below(r, 0x30);
	else
		sp = jit_gen_address(r, code);
	if (diff_rng_chance(r, 90))
		sp &= ~7ull;
	s->gpr[CPU_RSP] = sp;
}

static void draw_fpu(const struct jit_pool *p, const struct jit_case *c, struct diff_rng *r,
		     struct cpu_state *s)
{
	const struct jit_file *f = &p->file[diff_rng_below(r, POOL_FILES)];
	uint64_t v = diff_rng_u64(r);

	memcpy(s->xmm, f->xmm, sizeof(s->xmm));
	memcpy(s->st, f->st, sizeof(s->st));
	s->ftw = f->ftw;
	s->fcw = (uint16_t)(0x37f | (v & 3) << 10);
	if (v & 4)
		s->fcw = (uint16_t)(s->fcw & ~((v >> 3 & 3) << 8));
	s->fsw = (uint16_t)((v >> 5 & 7) << 11);
	s->mxcsr = 0x1f80u | (uint32_t)((v >> 8 & 3) << 13);
	if (v >> 10 & 1) /* FTZ, DAZ, sticky flags */
		s->mxcsr |= (uint32_t)(v >> 12) & 0x807f;
	if (c->features & JIT_F_FPU_UNMASKED) {
		s->mxcsr &= ~((uint32_t)(v >> 32) & 0x1f80u);
		s->fcw = (uint16_t)(s->fcw & ~(v >> 44 & 0x3f));
	}
}

static void draw_debug(struct diff_rng *r, uint64_t code, struct cpu_state *s)
{
	for (unsigned i = 0; i < 4; i++)
		s->dr[i] = diff_rng_chance(r, 50) ? code + diff_rng_below(r, 64)
						  : jit_gen_address(r, code);
	/* SDM vol. 3, 17.2.4: enables, then R/W and LEN of each; no I/O breakpoints (CR4.DE = 0).
	 */
	s->dr7 = 0x400 | (diff_rng_u64(r) & 0xff);
	for (unsigned i = 0; i < 4; i++) {
		static const uint8_t kind[] = {0, 1, 3};
		uint64_t rw = kind[diff_rng_below(r, 3)];
		uint64_t len = rw ? diff_rng_below(r, 4) : 0;

		s->dr7 |= rw << (16 + 4 * i) | len << (18 + 4 * i);
	}
}

void jit_state_draw(const struct jit_pool *p, const struct jit_case *c, struct diff_rng *r,
		    struct cpu_state *s)
{
	const uint64_t code = JIT_CODE + c->at;
	const bool cpl0 = c->features & JIT_F_CPL0;
	uint64_t v;

	jit_layout_state(s, cpl0);
	for (unsigned i = 0; i < 16; i++)
		s->gpr[i] = diff_value_int(r);
	draw_pointers(r, code, s);
	v = diff_rng_u64(r);
	if (v & 1)
		s->gpr[CPU_RCX] = v >> 8 & 31;
	if (v & 2)
		s->gpr[CPU_RDX] = v & 4 ? 0 : s->gpr[CPU_RDX] & 0xff;
	s->gpr[CPU_R14] = (v >> 16 & 31) - (v & 8 ? 8 : 0);
	s->gpr[CPU_R15] = 1 + (v >> 24) % 24;
	s->rip = code;
	v = diff_rng_u64(r);
	s->rflags = RFLAGS_1 | (v & RFLAGS_ARITH);
	if (v >> 32 & 1)
		s->rflags |= RFLAGS_IF;
	if ((v >> 33 & 7) == 0)
		s->rflags |= RFLAGS_DF;
	if ((v >> 36 & 3) == 0)
		s->rflags |= RFLAGS_IOPL;
	if ((v >> 38 & 15) == 0)
		s->rflags |= RFLAGS_ID;
	if (c->features & JIT_F_AC)
		s->rflags |= RFLAGS_AC;
	if ((c->features & JIT_F_TF) && (v >> 42 & 3) == 0)
		s->rflags |= RFLAGS_TF;
	if (c->features & JIT_F_TS)
		s->cr0 |= CR0_TS;
	if (c->features & JIT_F_NOWP)
		s->cr0 &= ~(uint64_t)CR0_WP;
	if (c->features & JIT_F_IDT1)
		s->idtr.base = JIT_HIGH + JIT_GPA_IDT1;
	draw_fpu(p, c, r, s);
	if (c->features & JIT_F_DR)
		draw_debug(r, code, s);
	if ((v >> 44 & 31) == 0)
		s->seg[CPU_FS].base = JIT_HIGH; /* user accesses through it fault */
	if ((v >> 49 & 31) == 0)
		s->seg[CPU_GS].base = 0x7fffffffffc0ull;
}
