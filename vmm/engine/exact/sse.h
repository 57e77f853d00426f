/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the SSE and MMX bodies (ops_sse_*.c, ops_mmx.c). An operation is
 * the host's own instruction on copies of the guest's registers: integer
 * operations have one result on every x86-64-v2 CPU, and IEEE arithmetic
 * under the guest's MXCSR is exact, so only RCP and RSQRT need a definition
 * of our own (ops_sse_rcp.c).
 */
#ifndef RV_EXACT_SSE_H
#define RV_EXACT_SSE_H

#include <string.h>

#include "decode.h"
#include "exact.h"

/* A 128-bit register image; the lane type of an operation is the instruction's business. */
typedef long long xv __attribute__((vector_size(16)));

/* The same image by lanes. */
union xlanes {
	xv v;
	uint8_t b[16];
	uint16_t w[8];
	uint32_t d[4];
	uint64_t q[2];
};

#define MXCSR_FLAGS 0x003fu
#define MXCSR_DAZ 0x0040u
#define MXCSR_MASKS 0x1f80u
#define MXCSR_RC 0x6000u
#define MXCSR_FTZ 0x8000u
#define MXCSR_VALID 0xffffu
#define MXCSR_UM 0x0800u

/* ---- availability (SDM vol. 3, 13.1.2 and 2.5) ---- */
static inline void sse_check(struct xcpu *c)
{
	if (unlikely((c->s.cr0 & (CR0_EM | CR0_TS)) || !(c->s.cr4 & CR4_OSFXSR)))
		xfpu_check_sse(c);
}

static inline void mmx_check(struct xcpu *c)
{
	if (unlikely(c->s.cr0 & CR0_EM))
		xraise_ud(c);
	if (unlikely((c->s.cr0 & CR0_TS) || (c->s.fsw & 0x80u)))
		xfpu_check_x87(c);
}

/* ---- registers ---- */
static inline xv sse_get(const struct xcpu *c, unsigned i)
{
	xv v;

	memcpy(&v, &c->s.xmm[i], sizeof(v));
	return v;
}

static inline void sse_set(struct xcpu *c, unsigned i, xv v)
{
	memcpy(&c->s.xmm[i], &v, sizeof(v));
}

static inline xv sse_low64(uint64_t lo)
{
	return (xv){ (long long)lo, 0 };
}

static inline uint64_t mmx_get(const struct xcpu *c, unsigned i)
{
	return c->s.st[i].mant;
}

/* Every MMX instruction but EMMS: TOP = 0, no register empty (SDM vol. 1, 9.5.1). Called after all
 * that can fault. */
void mmx_enter_slow(struct xcpu *c);
static inline void mmx_enter(struct xcpu *c)
{
	if (unlikely((c->s.fsw & 0x3800u) || (c->s.ftw & c->s.ftw >> 1 & 0x5555u)))
		mmx_enter_slow(c);
}

static inline void mmx_set(struct xcpu *c, unsigned i, uint64_t v)
{
	mmx_enter(c);
	c->s.st[i].mant = v;
	c->s.st[i].sexp = 0xffff;
	/* An all-ones exponent is "special" in the full tag word, whatever the mantissa. */
	c->s.ftw = (uint16_t)((c->s.ftw & ~(3u << 2 * i)) | 2u << 2 * i);
}

/* ---- memory operands ---- */
static inline uint64_t sse_ea_aligned(struct xcpu *c, const struct dinsn *d, enum xaccess acc)
{
	uint64_t lin = xea(c, d, 16, acc);

	if (unlikely(lin & 15))
		xraise_gp(c, 0);
	return lin;
}

static inline xv sse_load_a(struct xcpu *c, const struct dinsn *d) /* 16 bytes, must be aligned */
{
	xv v;

	xmem_read128(c, d->seg, sse_ea_aligned(c, d, XACC_READ), &v);
	return v;
}

static inline xv sse_load_u(struct xcpu *c, const struct dinsn *d) /* 16 bytes, any address */
{
	xv v;

	xmem_read128(c, d->seg, xea(c, d, 16, XACC_READ), &v);
	return v;
}

static inline uint64_t sse_load_64(struct xcpu *c, const struct dinsn *d)
{
	return xmem_read64(c, d->seg, xea(c, d, 8, XACC_READ));
}

static inline uint32_t sse_load_32(struct xcpu *c, const struct dinsn *d)
{
	return xmem_read32(c, d->seg, xea(c, d, 4, XACC_READ));
}

static inline uint16_t sse_load_16(struct xcpu *c, const struct dinsn *d)
{
	return xmem_read16(c, d->seg, xea(c, d, 2, XACC_READ));
}

static inline xv sse_src_a(struct xcpu *c, const struct dinsn *d)
{
	return d->flags & XD_MEM ? sse_load_a(c, d) : sse_get(c, d->rm);
}

/* ---- floating point under the guest's MXCSR ---- */
/*
 * The host's MXCSR stays 0x1f80 apart from its sticky flags. A guest with
 * those same controls runs its operation at once; if the host then shows no
 * flag that the guest does not hold already, nothing else has to happen.
 * Otherwise the operation is run again between sse_fp_begin() and
 * sse_fp_end(), which also serve all other guest controls.
 */
static inline bool sse_fp_clean(const struct xcpu *c)
{
	uint32_t m;

	__asm__ volatile("stmxcsr %0" : "=m"(m));
	return (c->s.mxcsr & ~MXCSR_FLAGS) == MXCSR_MASKS &&
	       (m & ~(c->s.mxcsr & MXCSR_FLAGS)) == MXCSR_MASKS;
}

/* rc_from: MXCSR whose rounding control is used (ROUNDxx brings its own). */
void sse_fp_begin_rc(const struct xcpu *c, uint32_t rc_from);
static inline void sse_fp_begin(const struct xcpu *c)
{
	sse_fp_begin_rc(c, c->s.mxcsr);
}

/*
 * Merges the flags, raises #XM (or #UD) for an unmasked one. tiny: bytes of a
 * result lane that can underflow, or 0; lanes: how many. ignore: flags that
 * the instruction suppresses.
 */
void sse_fp_end(struct xcpu *c, const void *result, unsigned tiny, unsigned lanes, uint32_t ignore);

/* ---- binding ---- */
static inline bool sse_op_is_mmx(const ZydisDecodedOperand *o)
{
	return o->type == ZYDIS_OPERAND_TYPE_REGISTER && o->reg.value >= ZYDIS_REGISTER_MM0 &&
	       o->reg.value <= ZYDIS_REGISTER_MM7;
}

static inline bool sse_op_is_xmm(const ZydisDecodedOperand *o)
{
	return o->type == ZYDIS_OPERAND_TYPE_REGISTER && o->reg.value >= ZYDIS_REGISTER_XMM0 &&
	       o->reg.value <= ZYDIS_REGISTER_XMM15;
}

static inline bool sse_is_mem(const struct xinsn *z)
{
	return z->insn.raw.modrm.mod != 3;
}

/* Plain register numbers and the immediate byte; MMX operands ignore REX (SDM vol. 2, 2.2.1.2). */
static inline void sse_bind_regs(const struct xinsn *z, struct dinsn *d)
{
	d->reg = (uint8_t)(z->insn.raw.modrm.reg | (z->insn.raw.rex.R & 1) << 3);
	if (!sse_is_mem(z))
		d->rm = (uint8_t)(z->insn.raw.modrm.rm | (z->insn.raw.rex.B & 1) << 3);
	if (z->insn.raw.imm[0].size)
		d->imm = z->insn.raw.imm[0].value.u & 0xff;
}

static inline xop_fn sse_bind_rm(const struct xinsn *z, struct dinsn *d, xop_fn r, xop_fn m)
{
	sse_bind_regs(z, d);
	return sse_is_mem(z) ? m : r;
}

static inline xop_fn mmx_bind_rm(const struct xinsn *z, struct dinsn *d, xop_fn r, xop_fn m)
{
	sse_bind_regs(z, d);
	if (sse_op_is_mmx(&z->op[0]))
		d->reg &= 7;
	if (sse_op_is_mmx(&z->op[1]) && !sse_is_mem(z))
		d->rm &= 7;
	return sse_is_mem(z) ? m : r;
}

/* XMM or MMX form of one mnemonic, by its first operand. */
static inline xop_fn sse_bind_both(const struct xinsn *z, struct dinsn *d, xop_fn xr, xop_fn xm,
				   xop_fn mr, xop_fn mm)
{
	return sse_op_is_mmx(&z->op[0]) ? mmx_bind_rm(z, d, mr, mm) : sse_bind_rm(z, d, xr, xm);
}

#endif
