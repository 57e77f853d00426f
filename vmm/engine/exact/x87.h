/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the x87 bodies (ops_x87_*.c). The stack is cpu_state.st[] in
 * physical order with TOP in the status word. The tag word in cpu_state is
 * always the full form: 3 for an empty register, else the class of its
 * contents, so it is a function of (which are empty, contents) and one state
 * has one representation (SDM vol. 1, 8.1.7: hardware too keeps only empty
 * or not, and classifies when it stores the environment).
 */
#ifndef RV_EXACT_X87_H
#define RV_EXACT_X87_H

#include <string.h>

#include "decode.h"
#include "exact.h"

/* Status word (SDM vol. 1, 8.1.3). */
#define FSW_IE 0x0001u
#define FSW_DE 0x0002u
#define FSW_ZE 0x0004u
#define FSW_OE 0x0008u
#define FSW_UE 0x0010u
#define FSW_PE 0x0020u
#define FSW_SF 0x0040u
#define FSW_ES 0x0080u
#define FSW_C0 0x0100u
#define FSW_C1 0x0200u
#define FSW_C2 0x0400u
#define FSW_TOP 0x3800u
#define FSW_C3 0x4000u
#define FSW_B 0x8000u
#define FSW_EXC 0x003fu
#define FSW_PRE (FSW_IE | FSW_DE | FSW_ZE) /* detected before the operation: nothing is delivered */
#define FSW_CC (FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3)

#define FCW_INIT 0x037fu
#define FCW_MASKS 0x003fu
#define FCW_RC_SHIFT 10u

enum { X87_RC_NEAREST, X87_RC_DOWN, X87_RC_UP, X87_RC_ZERO };

static inline unsigned x87_top(const struct xcpu *c)
{
	return (unsigned)c->s.fsw >> 11 & 7u;
}

static inline unsigned x87_phys(const struct xcpu *c, unsigned i)
{
	return (x87_top(c) + i) & 7u;
}

static inline struct cpu_f80 *x87_st(struct xcpu *c, unsigned i)
{
	return &c->s.st[x87_phys(c, i)];
}

static inline bool x87_empty(const struct xcpu *c, unsigned i)
{
	return (c->s.ftw >> 2 * x87_phys(c, i) & 3) == 3;
}

static inline void x87_tag_set(struct xcpu *c, unsigned phys, unsigned tag)
{
	c->s.ftw = (uint16_t)((c->s.ftw & ~(3u << 2 * phys)) | tag << 2 * phys);
}

/* 0 valid, 1 zero, 2 special: NaN, infinity, denormal, unsupported (SDM vol. 1, 8.1.7). */
static inline unsigned x87_class_tag(const struct cpu_f80 *v)
{
	unsigned e = v->sexp & 0x7fffu;

	if (e == 0)
		return v->mant ? 2 : 1;
	return e == 0x7fff || !(v->mant >> 63) ? 2 : 0;
}

static inline void x87_set(struct xcpu *c, unsigned i, struct cpu_f80 v)
{
	unsigned p = x87_phys(c, i);

	c->s.st[p].mant = v.mant;
	c->s.st[p].sexp = v.sexp;
	x87_tag_set(c, p, x87_class_tag(&v));
}

static inline void x87_top_add(struct xcpu *c, unsigned n)
{
	c->s.fsw = (uint16_t)((c->s.fsw & ~FSW_TOP) | ((x87_top(c) + n) & 7u) << 11);
}

static inline void x87_pop(struct xcpu *c)
{
	x87_tag_set(c, x87_top(c), 3);
	x87_top_add(c, 1);
}

/* QNaN floating-point indefinite. */
static inline struct cpu_f80 x87_indefinite(void)
{
	return (struct cpu_f80){ .mant = 0xc000000000000000ull, .sexp = 0xffff };
}

/* ES and B follow the unmasked flags (SDM vol. 1, 8.1.3.3). */
static inline void x87_summary(struct xcpu *c)
{
	if (c->s.fsw & ~(unsigned)c->s.fcw & FSW_EXC)
		c->s.fsw |= FSW_ES | FSW_B;
	else
		c->s.fsw &= (uint16_t)~(FSW_ES | FSW_B);
}

/* Adds flags, replaces the condition codes of `which` by those of cc. */
static inline void x87_flags(struct xcpu *c, unsigned flags, unsigned which, unsigned cc)
{
	c->s.fsw = (uint16_t)((c->s.fsw & ~which) | (cc & which) | flags);
	if (flags)
		x87_summary(c);
}

static inline bool x87_unmasked(const struct xcpu *c, unsigned flags)
{
	return flags & ~(unsigned)c->s.fcw & FSW_EXC;
}

/* Every waiting, non-control instruction: availability and pending faults. */
static inline void x87_check(struct xcpu *c)
{
	if (unlikely((c->s.cr0 & (CR0_EM | CR0_TS)) || (c->s.fsw & FSW_ES)))
		xfpu_check_x87(c);
}

/* Non-waiting instructions (SDM vol. 1, 8.3.11): #NM only. */
static inline void x87_check_nowait(struct xcpu *c)
{
	if (unlikely(c->s.cr0 & (CR0_EM | CR0_TS)))
		xraise(c, VEC_NM);
}

/* The pointers of the last non-control instruction; call once nothing can fault any more. FDP is
 * written by instructions with a memory operand. Selectors read as zero (CPUID 7.0:EBX[13]). */
static inline void x87_pointers(struct xcpu *c, const struct dinsn *d)
{
	c->s.fip = c->rip;
	c->s.fop = d->fop & 0x7ffu;
	if (d->flags & XD_MEM) {
		uint64_t off = xea_offset(c, d);

		if (d->asize == 4)
			off = (uint32_t)off;
		else if (d->asize == 2)
			off = (uint16_t)off;
		c->s.fdp = off;
	}
}

/* Stack underflow: returns true if it must end here (unmasked). The caller else delivers the indefinite. */
static inline bool x87_underflow(struct xcpu *c)
{
	x87_flags(c, FSW_IE | FSW_SF, FSW_C1, 0);
	return x87_unmasked(c, FSW_IE);
}

/* Pushes v, or answers a stack overflow (SDM vol. 1, 8.5.1.1: C1 = 1). False: overflow. */
static inline bool x87_push(struct xcpu *c, struct cpu_f80 v)
{
	if (unlikely(!x87_empty(c, 7))) {
		x87_flags(c, FSW_IE | FSW_SF, FSW_C1, FSW_C1);
		if (x87_unmasked(c, FSW_IE))
			return false;
		x87_top_add(c, 7);
		x87_set(c, 0, x87_indefinite());
		return false;
	}
	x87_top_add(c, 7);
	x87_set(c, 0, v);
	return true;
}

/* FNINIT's state (SDM vol. 2, FINIT). */
void x87_init(struct xcpu *c);
/* Full tag word from one bit a register (1: not empty) and the registers' contents. */
uint16_t x87_tags(const struct cpu_f80 st[8], unsigned used);

/* The ten bytes of an 80-bit value, as FLDT reads them. */
struct x87_m80 {
	uint8_t b[10];
};

static inline struct x87_m80 x87_to_m80(struct cpu_f80 v)
{
	struct x87_m80 m;

	memcpy(m.b, &v.mant, 8);
	memcpy(m.b + 8, &v.sexp, 2);
	return m;
}

static inline struct cpu_f80 x87_from_m80(struct x87_m80 m)
{
	struct cpu_f80 v = { 0 };

	memcpy(&v.mant, m.b, 8);
	memcpy(&v.sexp, m.b + 8, 2);
	return v;
}

#endif
