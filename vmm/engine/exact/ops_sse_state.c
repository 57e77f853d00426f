/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MXCSR, FXSAVE and FXRSTOR, EMMS, fences and prefetches.
 *
 * FXSAVE image (SDM vol. 1, 10.5.1): bytes 0-159 and the XMM area are
 * written, reserved bytes inside them as zero; bytes from 416 on (in 32-bit
 * code from 288 on) are left alone.
 */
#include "cpu/model.h"
#include "sse.h"
#include "x87.h"

void mmx_enter_slow(struct xcpu *c)
{
	c->s.fsw &= (uint16_t)~FSW_TOP;
	c->s.ftw = x87_tags(c->s.st, 0xff);
}

static void m_emms(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	mmx_check(c);
	c->s.ftw = 0xffff;
	c->s.fsw &= (uint16_t)~FSW_TOP;
}

static void x_ldmxcsr(struct xcpu *c, const struct dinsn *d)
{
	uint32_t v;

	sse_check(c);
	v = sse_load_32(c, d);
	if (v & ~MXCSR_VALID)
		xraise_gp(c, 0);
	c->s.mxcsr = v;
}

static void x_stmxcsr(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	xmem_write32(c, d->seg, xea(c, d, 4, XACC_WRITE), c->s.mxcsr);
}

/* ---- FXSAVE, FXRSTOR ---- */
#define FX_SIZE 512u
#define FX_ST 32u
#define FX_XMM 160u

static uint64_t fx_address(struct xcpu *c, const struct dinsn *d, enum xaccess acc)
{
	uint64_t lin;

	if (c->s.cr0 & (CR0_EM | CR0_TS))
		xraise(c, VEC_NM);
	lin = xea(c, d, FX_SIZE, acc);
	if (lin & 15) {
		/* Unlike other misaligned operands, on the stack's segment a non-canonical one is #SS. */
		if (d->seg == CPU_SS && (c->s.efer & EFER_LMA) && !cpu_canonical(lin))
			xraise_err(c, VEC_SS, 0);
		xraise_gp(c, 0);
	}
	/* Both pages before the first byte. */
	xmem_probe(c, d->seg, lin, 16, acc);
	xmem_probe(c, d->seg, lin + FX_SIZE - 16, 16, acc);
	return lin;
}

static unsigned fx_xmm_count(const struct xcpu *c)
{
	return c->mode & XMODE_64 ? 16 : 8;
}

static void put16(uint8_t *p, unsigned v)
{
	uint16_t w = (uint16_t)v;

	memcpy(p, &w, 2);
}

static void fx_save(struct xcpu *c, const struct dinsn *d, bool wide)
{
	uint64_t lin = fx_address(c, d, XACC_WRITE);
	unsigned nxmm = fx_xmm_count(c), used = 0, i;
	uint8_t img[FX_XMM + 16 * 16] = { 0 };
	uint32_t mask = MXCSR_VALID;

	for (i = 0; i < 8; i++)
		if ((c->s.ftw >> 2 * i & 3) != 3)
			used |= 1u << i;
	put16(img, c->s.fcw);
	put16(img + 2, c->s.fsw);
	img[4] = (uint8_t)used;
	put16(img + 6, c->s.fop);
	memcpy(img + 8, &c->s.fip, wide ? 8 : 4);
	memcpy(img + 16, &c->s.fdp, wide ? 8 : 4);
	memcpy(img + 24, &c->s.mxcsr, 4);
	memcpy(img + 28, &mask, 4);
	for (i = 0; i < 8; i++) {
		const struct cpu_f80 *v = x87_st(c, i);

		memcpy(img + FX_ST + 16 * i, &v->mant, 8);
		put16(img + FX_ST + 16 * i + 8, v->sexp);
	}
	for (i = 0; i < nxmm; i++) {
		memcpy(img + FX_XMM + 16 * i, &c->s.xmm[i].lo, 8);
		memcpy(img + FX_XMM + 16 * i + 8, &c->s.xmm[i].hi, 8);
	}
	for (i = 0; i < FX_XMM + 16 * nxmm; i += 16)
		xmem_write128(c, d->seg, lin + i, img + i);
}

static void fx_restore(struct xcpu *c, const struct dinsn *d, bool wide)
{
	uint64_t lin = fx_address(c, d, XACC_READ);
	unsigned nxmm = fx_xmm_count(c), i;
	uint8_t img[FX_XMM + 16 * 16];
	struct cpu_state *s = &c->s;
	uint32_t mxcsr;

	for (i = 0; i < FX_XMM + 16 * nxmm; i += 16)
		xmem_read128(c, d->seg, lin + i, img + i);
	memcpy(&mxcsr, img + 24, 4);
	if (mxcsr & ~MXCSR_VALID)
		xraise_gp(c, 0);
	s->mxcsr = mxcsr;
	memcpy(&s->fcw, img, 2);
	s->fcw = (uint16_t)((s->fcw & 0x1f3fu) | 0x40u);
	memcpy(&s->fsw, img + 2, 2);
	memcpy(&s->fop, img + 6, 2);
	s->fop &= 0x7ff;
	s->fip = 0;
	s->fdp = 0;
	memcpy(&s->fip, img + 8, wide ? 8 : 4);
	memcpy(&s->fdp, img + 16, wide ? 8 : 4);
	for (i = 0; i < 8; i++) {
		struct cpu_f80 *v = x87_st(c, i);

		memcpy(&v->mant, img + FX_ST + 16 * i, 8);
		memcpy(&v->sexp, img + FX_ST + 16 * i + 8, 2);
	}
	s->ftw = x87_tags(s->st, img[4]);
	x87_summary(c);
	for (i = 0; i < nxmm; i++) {
		memcpy(&s->xmm[i].lo, img + FX_XMM + 16 * i, 8);
		memcpy(&s->xmm[i].hi, img + FX_XMM + 16 * i + 8, 8);
	}
}

static void x_fxsave(struct xcpu *c, const struct dinsn *d)
{
	fx_save(c, d, false);
}

static void x_fxsave64(struct xcpu *c, const struct dinsn *d)
{
	fx_save(c, d, true);
}

static void x_fxrstor(struct xcpu *c, const struct dinsn *d)
{
	fx_restore(c, d, false);
}

static void x_fxrstor64(struct xcpu *c, const struct dinsn *d)
{
	fx_restore(c, d, true);
}

/* Memory is sequentially consistent and there is no cache: fences and prefetches only take their step. */
static void x_nop(struct xcpu *c, const struct dinsn *d)
{
	(void)c;
	(void)d;
}

#define BIND(name)                                                                                 \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		(void)z;                                                                           \
		(void)d;                                                                           \
		return x_##name;                                                                   \
	}
BIND(nop)
BIND(ldmxcsr)
BIND(stmxcsr)
BIND(fxsave)
BIND(fxsave64)
BIND(fxrstor)
BIND(fxrstor64)

static xop_fn bind_emms(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	(void)d;
	return m_emms;
}

static const struct xop ops[] = {
	{ ZYDIS_MNEMONIC_EMMS, 0, bind_emms },
	{ ZYDIS_MNEMONIC_LDMXCSR, 0, bind_ldmxcsr },
	{ ZYDIS_MNEMONIC_STMXCSR, 0, bind_stmxcsr },
	{ ZYDIS_MNEMONIC_FXSAVE, 0, bind_fxsave },
	{ ZYDIS_MNEMONIC_FXSAVE64, 0, bind_fxsave64 },
	{ ZYDIS_MNEMONIC_FXRSTOR, 0, bind_fxrstor },
	{ ZYDIS_MNEMONIC_FXRSTOR64, 0, bind_fxrstor64 },
	{ ZYDIS_MNEMONIC_LFENCE, 0, bind_nop },
	{ ZYDIS_MNEMONIC_MFENCE, 0, bind_nop },
	{ ZYDIS_MNEMONIC_SFENCE, 0, bind_nop },
	{ ZYDIS_MNEMONIC_PREFETCHNTA, 0, bind_nop },
	{ ZYDIS_MNEMONIC_PREFETCHT0, 0, bind_nop },
	{ ZYDIS_MNEMONIC_PREFETCHT1, 0, bind_nop },
	{ ZYDIS_MNEMONIC_PREFETCHT2, 0, bind_nop },
	{ ZYDIS_MNEMONIC_PREFETCH, 0, bind_nop },
	{ ZYDIS_MNEMONIC_PREFETCHW, 0, bind_nop },
	{ ZYDIS_MNEMONIC_PREFETCHWT1, 0, bind_nop },
};
const struct xop_table xops_sse_state = { ops, RV_ARRAY_LEN(ops) };
