/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE and MMX moves: between registers, memory and general registers, with
 * non-temporal and masked stores. Shuffles and lane inserts are in
 * ops_sse_shuffle.c.
 */
#include "sse.h"

/* ---- whole XMM registers ---- */
static void x_mov_rr(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->s.xmm[d->reg] = c->s.xmm[d->rm];
}

static void x_mov_load_a(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	xmem_read128(c, d->seg, sse_ea_aligned(c, d, XACC_READ), &c->s.xmm[d->reg]);
}

static void x_mov_load_u(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	xmem_read128(c, d->seg, xea(c, d, 16, XACC_READ), &c->s.xmm[d->reg]);
}

static void x_mov_store_a(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	xmem_write128(c, d->seg, sse_ea_aligned(c, d, XACC_WRITE), &c->s.xmm[d->reg]);
}

static void x_mov_store_u(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	xmem_write128(c, d->seg, xea(c, d, 16, XACC_WRITE), &c->s.xmm[d->reg]);
}

/* ---- parts of XMM registers ---- */
static void x_movss_rr(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	memcpy(&c->s.xmm[d->reg].lo, &c->s.xmm[d->rm].lo, 4);
}

static void x_movsd_rr(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->s.xmm[d->reg].lo = c->s.xmm[d->rm].lo;
}

static void x_load_32z(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->s.xmm[d->reg] = (struct cpu_xmm){ .lo = sse_load_32(c, d) };
}

static void x_load_64z(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->s.xmm[d->reg] = (struct cpu_xmm){ .lo = sse_load_64(c, d) };
}

static void x_movq_rr(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->s.xmm[d->reg] = (struct cpu_xmm){ .lo = c->s.xmm[d->rm].lo };
}

static void x_load_lo(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->s.xmm[d->reg].lo = sse_load_64(c, d);
}

static void x_load_hi(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->s.xmm[d->reg].hi = sse_load_64(c, d);
}

static void x_movhlps(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->s.xmm[d->reg].lo = c->s.xmm[d->rm].hi;
}

static void x_movlhps(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->s.xmm[d->reg].hi = c->s.xmm[d->rm].lo;
}

static void x_store_32(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	xmem_write32(c, d->seg, xea(c, d, 4, XACC_WRITE), (uint32_t)c->s.xmm[d->reg].lo);
}

static void x_store_lo(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	xmem_write64(c, d->seg, xea(c, d, 8, XACC_WRITE), c->s.xmm[d->reg].lo);
}

static void x_store_hi(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	xmem_write64(c, d->seg, xea(c, d, 8, XACC_WRITE), c->s.xmm[d->reg].hi);
}

/* ---- general registers ---- */
static void x_from_gpr32(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->s.xmm[d->reg] = (struct cpu_xmm){ .lo = XREG32(c, d->rm) };
}

static void x_from_gpr64(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->s.xmm[d->reg] = (struct cpu_xmm){ .lo = c->r[d->rm] };
}

static void x_to_gpr32(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->r[d->rm] = (uint32_t)c->s.xmm[d->reg].lo;
}

static void x_to_gpr64(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->r[d->rm] = c->s.xmm[d->reg].lo;
}

static void x_movmskps(struct xcpu *c, const struct dinsn *d)
{
	unsigned m;
	xv v;

	sse_check(c);
	v = sse_get(c, d->rm);
	__asm__("movmskps %1,%0" : "=r"(m) : "x"(v));
	c->r[d->reg] = m;
}

static void x_movmskpd(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	c->r[d->reg] = c->s.xmm[d->rm].lo >> 63 | c->s.xmm[d->rm].hi >> 63 << 1;
}

static void x_pmovmskb(struct xcpu *c, const struct dinsn *d)
{
	unsigned m;
	xv v;

	sse_check(c);
	v = sse_get(c, d->rm);
	__asm__("pmovmskb %1,%0" : "=r"(m) : "x"(v));
	c->r[d->reg] = m;
}

/* MOVNTI is an integer store: no SSE availability check (SDM vol. 2). */
static void x_movnti32(struct xcpu *c, const struct dinsn *d)
{
	xmem_write32(c, d->seg, xea(c, d, 4, XACC_WRITE), XREG32(c, d->reg));
}

static void x_movnti64(struct xcpu *c, const struct dinsn *d)
{
	xmem_write64(c, d->seg, xea(c, d, 8, XACC_WRITE), c->r[d->reg]);
}

/* ---- MMX ---- */
static void m_mov_rr(struct xcpu *c, const struct dinsn *d)
{
	mmx_check(c);
	mmx_set(c, d->reg, mmx_get(c, d->rm));
}

static void m_load_32z(struct xcpu *c, const struct dinsn *d)
{
	mmx_check(c);
	mmx_set(c, d->reg, sse_load_32(c, d));
}

static void m_load_64(struct xcpu *c, const struct dinsn *d)
{
	mmx_check(c);
	mmx_set(c, d->reg, sse_load_64(c, d));
}

static void m_store_32(struct xcpu *c, const struct dinsn *d)
{
	mmx_check(c);
	xmem_write32(c, d->seg, xea(c, d, 4, XACC_WRITE), (uint32_t)mmx_get(c, d->reg));
	mmx_enter(c);
}

static void m_store_64(struct xcpu *c, const struct dinsn *d)
{
	mmx_check(c);
	xmem_write64(c, d->seg, xea(c, d, 8, XACC_WRITE), mmx_get(c, d->reg));
	mmx_enter(c);
}

static void m_from_gpr32(struct xcpu *c, const struct dinsn *d)
{
	mmx_check(c);
	mmx_set(c, d->reg, XREG32(c, d->rm));
}

static void m_from_gpr64(struct xcpu *c, const struct dinsn *d)
{
	mmx_check(c);
	mmx_set(c, d->reg, c->r[d->rm]);
}

static void m_to_gpr32(struct xcpu *c, const struct dinsn *d)
{
	mmx_check(c);
	mmx_enter(c);
	c->r[d->rm] = (uint32_t)mmx_get(c, d->reg);
}

static void m_to_gpr64(struct xcpu *c, const struct dinsn *d)
{
	mmx_check(c);
	mmx_enter(c);
	c->r[d->rm] = mmx_get(c, d->reg);
}

static void m_movq2dq(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	mmx_check(c);
	mmx_enter(c);
	c->s.xmm[d->reg] = (struct cpu_xmm){ .lo = mmx_get(c, d->rm) };
}

static void m_movdq2q(struct xcpu *c, const struct dinsn *d)
{
	sse_check(c);
	mmx_check(c);
	mmx_set(c, d->reg, c->s.xmm[d->rm].lo);
}

static void m_pmovmskb(struct xcpu *c, const struct dinsn *d)
{
	unsigned m;
	xv v;

	mmx_check(c);
	mmx_enter(c);
	v = sse_low64(mmx_get(c, d->rm));
	__asm__("pmovmskb %1,%0" : "=r"(m) : "x"(v));
	c->r[d->reg] = m;
}

/*
 * MASKMOVQ, MASKMOVDQU: bytes whose mask has its sign bit set go to rDI. All
 * of them are checked before the first is written. With an all-zero mask
 * nothing is accessed (the SDM leaves it open whether it faults).
 */
static void maskmov(struct xcpu *c, const struct dinsn *d, const uint8_t *data, const uint8_t *mask,
		    unsigned n)
{
	uint64_t lin[16];
	unsigned i;

	for (i = 0; i < n; i++) {
		if (!(mask[i] & 0x80))
			continue;
		lin[i] = xseg_linear(c, d->seg, c->r[CPU_RDI] + i, d->asize, 1, XACC_WRITE);
		xmem_probe(c, d->seg, lin[i], 1, XACC_WRITE);
	}
	for (i = 0; i < n; i++)
		if (mask[i] & 0x80)
			xmem_write8(c, d->seg, lin[i], data[i]);
}

static void x_maskmovdqu(struct xcpu *c, const struct dinsn *d)
{
	union xlanes data, mask;

	sse_check(c);
	data.v = sse_get(c, d->reg);
	mask.v = sse_get(c, d->rm);
	maskmov(c, d, data.b, mask.b, 16);
}

static void m_maskmovq(struct xcpu *c, const struct dinsn *d)
{
	union xlanes data, mask;

	mmx_check(c);
	data.v = sse_low64(mmx_get(c, d->reg));
	mask.v = sse_low64(mmx_get(c, d->rm));
	maskmov(c, d, data.b, mask.b, 8);
	mmx_enter(c);
}

/* ---- binding ---- */
/* Opcodes 11, 29, 7F and D6 store: between two registers, ModRM.rm is then the destination. */
static bool mov_stores(const struct xinsn *z)
{
	uint8_t op = z->insn.opcode;

	return op == 0x11 || op == 0x29 || op == 0x7f || op == 0xd6 || op == 0x13 || op == 0x17 ||
	       op == 0x2b || op == 0xe7;
}

static xop_fn mov_pick(const struct xinsn *z, struct dinsn *d, xop_fn rr, xop_fn load, xop_fn store)
{
	sse_bind_regs(z, d);
	if (sse_op_is_mmx(&z->op[0]) || sse_op_is_mmx(&z->op[1])) {
		d->reg &= 7;
		d->rm &= 7;
	}
	if (sse_is_mem(z))
		return mov_stores(z) ? store : load;
	if (mov_stores(z)) {
		uint8_t t = d->reg;

		d->reg = d->rm;
		d->rm = t;
	}
	return rr;
}

static xop_fn bind_mova(const struct xinsn *z, struct dinsn *d)
{
	return mov_pick(z, d, x_mov_rr, x_mov_load_a, x_mov_store_a);
}

static xop_fn bind_movu(const struct xinsn *z, struct dinsn *d)
{
	return mov_pick(z, d, x_mov_rr, x_mov_load_u, x_mov_store_u);
}

static xop_fn bind_movss(const struct xinsn *z, struct dinsn *d)
{
	return mov_pick(z, d, x_movss_rr, x_load_32z, x_store_32);
}

static xop_fn bind_movsd(const struct xinsn *z, struct dinsn *d)
{
	if (z->insn.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
		return NULL; /* the string instruction */
	return mov_pick(z, d, x_movsd_rr, x_load_64z, x_store_lo);
}

static xop_fn bind_movl(const struct xinsn *z, struct dinsn *d)
{
	return mov_pick(z, d, NULL, x_load_lo, x_store_lo);
}

static xop_fn bind_movh(const struct xinsn *z, struct dinsn *d)
{
	return mov_pick(z, d, NULL, x_load_hi, x_store_hi);
}

static xop_fn bind_movhlps(const struct xinsn *z, struct dinsn *d)
{
	return sse_bind_rm(z, d, x_movhlps, NULL);
}

static xop_fn bind_movlhps(const struct xinsn *z, struct dinsn *d)
{
	return sse_bind_rm(z, d, x_movlhps, NULL);
}

/* MOVD and MOVQ: by opcode and register file. 6E loads, 7E stores (or, with F3, loads MOVQ). */
static xop_fn bind_movdq(const struct xinsn *z, struct dinsn *d)
{
	bool wide = z->insn.mnemonic == ZYDIS_MNEMONIC_MOVQ, mem = sse_is_mem(z);
	bool mmx = sse_op_is_mmx(&z->op[0]) || sse_op_is_mmx(&z->op[1]);

	switch (z->insn.opcode) {
	case 0x6e:
		sse_bind_regs(z, d);
		if (mmx) {
			d->reg &= 7;
			if (mem)
				return wide ? m_load_64 : m_load_32z;
			return wide ? m_from_gpr64 : m_from_gpr32;
		}
		if (mem)
			return wide ? x_load_64z : x_load_32z;
		return wide ? x_from_gpr64 : x_from_gpr32;
	case 0x7e:
		if (sse_op_is_xmm(&z->op[0])) /* F3 0F 7E */
			return sse_bind_rm(z, d, x_movq_rr, x_load_64z);
		sse_bind_regs(z, d);
		if (mmx) {
			d->reg &= 7;
			if (mem)
				return wide ? m_store_64 : m_store_32;
			return wide ? m_to_gpr64 : m_to_gpr32;
		}
		if (mem)
			return wide ? x_store_lo : x_store_32;
		return wide ? x_to_gpr64 : x_to_gpr32;
	case 0xd6:
		return mov_pick(z, d, x_movq_rr, NULL, x_store_lo);
	default: /* 6F, 7F */
		return mov_pick(z, d, m_mov_rr, m_load_64, m_store_64);
	}
}

static xop_fn bind_movntq(const struct xinsn *z, struct dinsn *d)
{
	return mov_pick(z, d, NULL, NULL, m_store_64);
}

static xop_fn bind_movnti(const struct xinsn *z, struct dinsn *d)
{
	return sse_bind_rm(z, d, NULL, z->op[0].size == 64 ? x_movnti64 : x_movnti32);
}

static xop_fn bind_movq2dq(const struct xinsn *z, struct dinsn *d)
{
	sse_bind_regs(z, d);
	d->rm &= 7;
	return m_movq2dq;
}

static xop_fn bind_movdq2q(const struct xinsn *z, struct dinsn *d)
{
	sse_bind_regs(z, d);
	d->reg &= 7;
	return m_movdq2q;
}

static xop_fn bind_movmskps(const struct xinsn *z, struct dinsn *d)
{
	return sse_bind_rm(z, d, x_movmskps, NULL);
}

static xop_fn bind_movmskpd(const struct xinsn *z, struct dinsn *d)
{
	return sse_bind_rm(z, d, x_movmskpd, NULL);
}

static xop_fn bind_pmovmskb(const struct xinsn *z, struct dinsn *d)
{
	sse_bind_regs(z, d);
	if (!sse_op_is_mmx(&z->op[1]))
		return x_pmovmskb;
	d->rm &= 7;
	return m_pmovmskb;
}

static xop_fn bind_maskmov(const struct xinsn *z, struct dinsn *d)
{
	sse_bind_regs(z, d);
	if (z->insn.mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU)
		return x_maskmovdqu;
	d->reg &= 7;
	d->rm &= 7;
	return m_maskmovq;
}

static const struct xop ops[] = {
	{ ZYDIS_MNEMONIC_MOVAPS, 0, bind_mova },
	{ ZYDIS_MNEMONIC_MOVAPD, 0, bind_mova },
	{ ZYDIS_MNEMONIC_MOVDQA, 0, bind_mova },
	{ ZYDIS_MNEMONIC_MOVNTDQA, 0, bind_mova },
	{ ZYDIS_MNEMONIC_MOVNTPS, 0, bind_mova },
	{ ZYDIS_MNEMONIC_MOVNTPD, 0, bind_mova },
	{ ZYDIS_MNEMONIC_MOVNTDQ, 0, bind_mova },
	{ ZYDIS_MNEMONIC_MOVUPS, 0, bind_movu },
	{ ZYDIS_MNEMONIC_MOVUPD, 0, bind_movu },
	{ ZYDIS_MNEMONIC_MOVDQU, 0, bind_movu },
	{ ZYDIS_MNEMONIC_LDDQU, 0, bind_movu },
	{ ZYDIS_MNEMONIC_MOVSS, 0, bind_movss },
	{ ZYDIS_MNEMONIC_MOVSD, 0, bind_movsd },
	{ ZYDIS_MNEMONIC_MOVLPS, 0, bind_movl },
	{ ZYDIS_MNEMONIC_MOVLPD, 0, bind_movl },
	{ ZYDIS_MNEMONIC_MOVHPS, 0, bind_movh },
	{ ZYDIS_MNEMONIC_MOVHPD, 0, bind_movh },
	{ ZYDIS_MNEMONIC_MOVHLPS, 0, bind_movhlps },
	{ ZYDIS_MNEMONIC_MOVLHPS, 0, bind_movlhps },
	{ ZYDIS_MNEMONIC_MOVD, 0, bind_movdq },
	{ ZYDIS_MNEMONIC_MOVQ, 0, bind_movdq },
	{ ZYDIS_MNEMONIC_MOVNTQ, 0, bind_movntq },
	{ ZYDIS_MNEMONIC_MOVNTI, 0, bind_movnti },
	{ ZYDIS_MNEMONIC_MOVQ2DQ, 0, bind_movq2dq },
	{ ZYDIS_MNEMONIC_MOVDQ2Q, 0, bind_movdq2q },
	{ ZYDIS_MNEMONIC_MOVMSKPS, 0, bind_movmskps },
	{ ZYDIS_MNEMONIC_MOVMSKPD, 0, bind_movmskpd },
	{ ZYDIS_MNEMONIC_PMOVMSKB, 0, bind_pmovmskb },
	{ ZYDIS_MNEMONIC_MASKMOVDQU, 0, bind_maskmov },
	{ ZYDIS_MNEMONIC_MASKMOVQ, 0, bind_maskmov },
};
const struct xop_table xops_sse_mov = { ops, RV_ARRAY_LEN(ops) };
