/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lane moves steered by an immediate or a mask register: shuffles, blends,
 * inserts and extracts, PALIGNR, MPSADBW. Plain C on lane arrays, since the
 * host's forms have the immediate inside the instruction.
 */
#include "sse.h"

#define IMM(d) ((unsigned)(d)->imm)

/* ---- shuffles ---- */
static void x_pshufd(struct xcpu *c, const struct dinsn *d)
{
	union xlanes b, r;

	sse_check(c);
	b.v = sse_src_a(c, d);
	for (unsigned i = 0; i < 4; i++)
		r.d[i] = b.d[IMM(d) >> 2 * i & 3];
	sse_set(c, d->reg, r.v);
}

static void x_pshuflw(struct xcpu *c, const struct dinsn *d)
{
	union xlanes b, r;

	sse_check(c);
	b.v = sse_src_a(c, d);
	r = b;
	for (unsigned i = 0; i < 4; i++)
		r.w[i] = b.w[IMM(d) >> 2 * i & 3];
	sse_set(c, d->reg, r.v);
}

static void x_pshufhw(struct xcpu *c, const struct dinsn *d)
{
	union xlanes b, r;

	sse_check(c);
	b.v = sse_src_a(c, d);
	r = b;
	for (unsigned i = 0; i < 4; i++)
		r.w[4 + i] = b.w[4 + (IMM(d) >> 2 * i & 3)];
	sse_set(c, d->reg, r.v);
}

static void m_pshufw(struct xcpu *c, const struct dinsn *d)
{
	union xlanes b, r;

	mmx_check(c);
	b.v = sse_low64(d->flags & XD_MEM ? sse_load_64(c, d) : mmx_get(c, d->rm));
	r = b;
	for (unsigned i = 0; i < 4; i++)
		r.w[i] = b.w[IMM(d) >> 2 * i & 3];
	mmx_set(c, d->reg, r.q[0]);
}

static void x_shufps(struct xcpu *c, const struct dinsn *d)
{
	union xlanes a, b, r;

	sse_check(c);
	b.v = sse_src_a(c, d);
	a.v = sse_get(c, d->reg);
	r.d[0] = a.d[IMM(d) & 3];
	r.d[1] = a.d[IMM(d) >> 2 & 3];
	r.d[2] = b.d[IMM(d) >> 4 & 3];
	r.d[3] = b.d[IMM(d) >> 6 & 3];
	sse_set(c, d->reg, r.v);
}

static void x_shufpd(struct xcpu *c, const struct dinsn *d)
{
	union xlanes a, b, r;

	sse_check(c);
	b.v = sse_src_a(c, d);
	a.v = sse_get(c, d->reg);
	r.q[0] = a.q[IMM(d) & 1];
	r.q[1] = b.q[IMM(d) >> 1 & 1];
	sse_set(c, d->reg, r.v);
}

/* PALIGNR: destination above source, shifted right by bytes; beyond both zero comes in. */
static void x_palignr(struct xcpu *c, const struct dinsn *d)
{
	unsigned n = IMM(d) > 32 ? 32 : IMM(d);
	uint8_t buf[48] = { 0 };
	xv b;

	sse_check(c);
	b = sse_src_a(c, d);
	memcpy(buf, &b, 16);
	memcpy(buf + 16, &c->s.xmm[d->reg], 16);
	memcpy(&c->s.xmm[d->reg], buf + n, 16);
}

static void m_palignr(struct xcpu *c, const struct dinsn *d)
{
	unsigned n = IMM(d) > 16 ? 16 : IMM(d);
	uint8_t buf[24] = { 0 };
	uint64_t v;

	mmx_check(c);
	v = d->flags & XD_MEM ? sse_load_64(c, d) : mmx_get(c, d->rm);
	memcpy(buf, &v, 8);
	v = mmx_get(c, d->reg);
	memcpy(buf + 8, &v, 8);
	memcpy(&v, buf + n, 8);
	mmx_set(c, d->reg, v);
}

/* ---- blends ---- */
static void x_blendps(struct xcpu *c, const struct dinsn *d)
{
	union xlanes a, b;

	sse_check(c);
	b.v = sse_src_a(c, d);
	a.v = sse_get(c, d->reg);
	for (unsigned i = 0; i < 4; i++)
		if (IMM(d) >> i & 1)
			a.d[i] = b.d[i];
	sse_set(c, d->reg, a.v);
}

static void x_blendpd(struct xcpu *c, const struct dinsn *d)
{
	union xlanes a, b;

	sse_check(c);
	b.v = sse_src_a(c, d);
	a.v = sse_get(c, d->reg);
	for (unsigned i = 0; i < 2; i++)
		if (IMM(d) >> i & 1)
			a.q[i] = b.q[i];
	sse_set(c, d->reg, a.v);
}

static void x_pblendw(struct xcpu *c, const struct dinsn *d)
{
	union xlanes a, b;

	sse_check(c);
	b.v = sse_src_a(c, d);
	a.v = sse_get(c, d->reg);
	for (unsigned i = 0; i < 8; i++)
		if (IMM(d) >> i & 1)
			a.w[i] = b.w[i];
	sse_set(c, d->reg, a.v);
}

/* Sign bits of XMM0's lanes choose. */
#define BLENDV(name, lane, n, top)                                                                 \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		union xlanes a, b, m;                                                              \
		sse_check(c);                                                                      \
		b.v = sse_src_a(c, d);                                                             \
		a.v = sse_get(c, d->reg);                                                          \
		m.v = sse_get(c, 0);                                                               \
		for (unsigned i = 0; i < (n); i++)                                                 \
			if (m.lane[i] >> (top))                                                    \
				a.lane[i] = b.lane[i];                                             \
		sse_set(c, d->reg, a.v);                                                           \
	}
BLENDV(pblendvb, b, 16, 7)
BLENDV(blendvps, d, 4, 31)
BLENDV(blendvpd, q, 2, 63)

/* ---- inserts ---- */
static void x_insertps(struct xcpu *c, const struct dinsn *d)
{
	union xlanes a, b;
	uint32_t v;

	sse_check(c);
	if (d->flags & XD_MEM) { /* the source lane field counts for registers only */
		v = sse_load_32(c, d);
	} else {
		b.v = sse_get(c, d->rm);
		v = b.d[IMM(d) >> 6 & 3];
	}
	a.v = sse_get(c, d->reg);
	a.d[IMM(d) >> 4 & 3] = v;
	for (unsigned i = 0; i < 4; i++)
		if (IMM(d) >> i & 1)
			a.d[i] = 0;
	sse_set(c, d->reg, a.v);
}

static inline uint8_t load_8(struct xcpu *c, const struct dinsn *d)
{
	return xmem_read8(c, d->seg, xea(c, d, 1, XACC_READ));
}

#define PINSR(name, lane, type, last, load)                                                        \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		union xlanes a;                                                                    \
		type v;                                                                            \
		sse_check(c);                                                                      \
		v = d->flags & XD_MEM ? load(c, d) : (type)c->r[d->rm];                            \
		a.v = sse_get(c, d->reg);                                                          \
		a.lane[IMM(d) & (last)] = v;                                                       \
		sse_set(c, d->reg, a.v);                                                           \
	}
PINSR(pinsrb, b, uint8_t, 15, load_8)
PINSR(pinsrw, w, uint16_t, 7, sse_load_16)
PINSR(pinsrd, d, uint32_t, 3, sse_load_32)
PINSR(pinsrq, q, uint64_t, 1, sse_load_64)

static void m_pinsrw(struct xcpu *c, const struct dinsn *d)
{
	union xlanes a;
	uint16_t v;

	mmx_check(c);
	v = d->flags & XD_MEM ? sse_load_16(c, d) : (uint16_t)c->r[d->rm];
	a.v = sse_low64(mmx_get(c, d->reg));
	a.w[IMM(d) & 3] = v;
	mmx_set(c, d->reg, a.q[0]);
}

/* ---- extracts: the XMM register is ModRM.reg (but for 0F C5, see bind_pextrw) ---- */
#define PEXTR(name, lane, last, bits)                                                              \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		union xlanes a;                                                                    \
		sse_check(c);                                                                      \
		a.v = sse_get(c, d->reg);                                                          \
		if (d->flags & XD_MEM)                                                             \
			xmem_write##bits(c, d->seg, xea(c, d, (bits) / 8, XACC_WRITE),             \
					 a.lane[IMM(d) & (last)]);                                 \
		else                                                                               \
			c->r[d->rm] = a.lane[IMM(d) & (last)];                                     \
	}
PEXTR(pextrb, b, 15, 8)
PEXTR(pextrw, w, 7, 16)
PEXTR(pextrd, d, 3, 32)
PEXTR(pextrq, q, 1, 64)

static void m_pextrw(struct xcpu *c, const struct dinsn *d)
{
	mmx_check(c);
	mmx_enter(c);
	c->r[d->rm] = mmx_get(c, d->reg) >> 16 * (IMM(d) & 3) & 0xffff;
}

/* MPSADBW: eight sums of four absolute differences (SDM vol. 2). */
static void x_mpsadbw(struct xcpu *c, const struct dinsn *d)
{
	union xlanes a, b, r;
	unsigned dst = IMM(d) >> 2 & 1, src = IMM(d) & 3;

	sse_check(c);
	b.v = sse_src_a(c, d);
	a.v = sse_get(c, d->reg);
	for (unsigned i = 0; i < 8; i++) {
		unsigned sum = 0;

		for (unsigned k = 0; k < 4; k++) {
			int diff = a.b[4 * dst + i + k] - b.b[4 * src + k];

			sum += (unsigned)(diff < 0 ? -diff : diff);
		}
		r.w[i] = (uint16_t)sum;
	}
	sse_set(c, d->reg, r.v);
}

/* ---- binding ---- */
#define BIND(name)                                                                                 \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		return sse_bind_rm(z, d, x_##name, x_##name);                                      \
	}
#define BINDS(X)                                                                                   \
	X(PSHUFD, pshufd) X(PSHUFLW, pshuflw) X(PSHUFHW, pshufhw) X(SHUFPS, shufps)                \
	X(SHUFPD, shufpd) X(BLENDPS, blendps) X(BLENDPD, blendpd) X(PBLENDW, pblendw)              \
	X(PBLENDVB, pblendvb) X(BLENDVPS, blendvps) X(BLENDVPD, blendvpd)                          \
	X(INSERTPS, insertps) X(PINSRB, pinsrb) X(PINSRD, pinsrd) X(PINSRQ, pinsrq)                \
	X(PEXTRB, pextrb) X(PEXTRD, pextrd) X(PEXTRQ, pextrq) X(MPSADBW, mpsadbw)
#define DEF(U, l) BIND(l)
BINDS(DEF)

static xop_fn bind_pshufw(const struct xinsn *z, struct dinsn *d)
{
	return mmx_bind_rm(z, d, m_pshufw, m_pshufw);
}

static xop_fn bind_palignr(const struct xinsn *z, struct dinsn *d)
{
	return sse_bind_both(z, d, x_palignr, x_palignr, m_palignr, m_palignr);
}

static xop_fn bind_pinsrw(const struct xinsn *z, struct dinsn *d)
{
	return sse_bind_both(z, d, x_pinsrw, x_pinsrw, m_pinsrw, m_pinsrw);
}

/* 0F C5 has the general register in ModRM.reg, 0F 3A 15 in ModRM.rm: the bodies want the latter. */
static xop_fn bind_pextrw(const struct xinsn *z, struct dinsn *d)
{
	uint8_t t;

	sse_bind_regs(z, d);
	if (z->insn.opcode_map == ZYDIS_OPCODE_MAP_0F3A)
		return x_pextrw;
	t = d->reg;
	d->reg = d->rm;
	d->rm = t;
	if (!sse_op_is_mmx(&z->op[1]))
		return x_pextrw;
	d->reg &= 7;
	return m_pextrw;
}

/* EXTRACTPS moves a lane like PEXTRD; with REX.W the register is 64 bits wide, zero-extended. */
#define ROW(U, l) { ZYDIS_MNEMONIC_##U, 0, bind_##l },
static const struct xop ops[] = {
	BINDS(ROW)
	{ ZYDIS_MNEMONIC_EXTRACTPS, 0, bind_pextrd },
	{ ZYDIS_MNEMONIC_PSHUFW, 0, bind_pshufw },
	{ ZYDIS_MNEMONIC_PALIGNR, 0, bind_palignr },
	{ ZYDIS_MNEMONIC_PINSRW, 0, bind_pinsrw },
	{ ZYDIS_MNEMONIC_PEXTRW, 0, bind_pextrw },
};
const struct xop_table xops_sse_shuffle = { ops, RV_ARRAY_LEN(ops) };
