/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data movement: MOV, MOVNTI, MOVZX, MOVSX, LEA, XCHG, CMOVcc, SETcc, XLAT,
 * BSWAP, LAHF, SAHF. Only SAHF changes a flag.
 */
#include "ops_int.h"

/* ---- MOV ---- */

#define MOV_BODIES(bits)                                                                           \
	static void op_mov##bits##_rr(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		WR##bits(d->rm, RD##bits(d->reg));                                                 \
	}                                                                                          \
	static void op_mov##bits##_rm(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		WR##bits(d->reg, LOAD(bits));                                                      \
	}                                                                                          \
	static void op_mov##bits##_mr(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		STORE(bits, RD##bits(d->reg));                                                     \
	}                                                                                          \
	static void op_mov##bits##_ri(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		WR##bits(d->rm, (uint##bits##_t)d->imm);                                           \
	}                                                                                          \
	static void op_mov##bits##_mi(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		STORE(bits, (uint##bits##_t)d->imm);                                               \
	}                                                                                          \
	/* moffs: the address is imm, up to 64 bits of it */                                       \
	static void op_mov##bits##_ao(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		uint64_t a = d->ea ? xea_slow(c, d, d->imm, bits / 8, XACC_READ) : d->imm;         \
		WR##bits(ACC, xmem_read##bits(c, d->seg, a));                                      \
	}                                                                                          \
	static void op_mov##bits##_oa(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		uint64_t a = d->ea ? xea_slow(c, d, d->imm, bits / 8, XACC_WRITE) : d->imm;        \
		xmem_write##bits(c, d->seg, a, RD##bits(ACC));                                     \
	}
MOV_BODIES(8)
MOV_BODIES(16)
MOV_BODIES(32)
MOV_BODIES(64)

enum { MOV_RR, MOV_RM, MOV_MR, MOV_RI, MOV_MI, MOV_AO, MOV_OA, MOV_FORMS };
#define MOV_ROW(bits)                                                                              \
	{op_mov##bits##_rr, op_mov##bits##_rm, op_mov##bits##_mr, op_mov##bits##_ri,               \
	 op_mov##bits##_mi, op_mov##bits##_ao, op_mov##bits##_oa}

static xop_fn bind_MOV(const struct xinsn *z, struct dinsn *d)
{
	static const xop_fn body[4][MOV_FORMS] = {MOV_ROW(8), MOV_ROW(16), MOV_ROW(32),
						  MOV_ROW(64)};
	const xop_fn *row = body[int_row(d->size)];

	if (xinsn_op_is(z, 1, ZYDIS_OPERAND_TYPE_IMMEDIATE)) {
		if (d->flags & XD_MEM)
			return row[MOV_MI];
		if (z->op[0].encoding == ZYDIS_OPERAND_ENCODING_OPCODE)
			d->rm = d->reg;
		return row[MOV_RI];
	}
	if (xinsn_op_moffs(z, 1))
		return row[MOV_AO];
	if (xinsn_op_moffs(z, 0))
		return row[MOV_OA];
	if (d->flags & XD_MEM) {
		if (xinsn_op_gpr(z, 0))
			return row[MOV_RM];
		return xinsn_op_gpr(z, 1) ? row[MOV_MR] : NULL; /* NULL: segment registers */
	}
	if (!xinsn_op_gpr(z, 0) || !xinsn_op_gpr(z, 1))
		return NULL; /* segment, control, debug registers */
	if (z->op[0].encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG) {
		uint8_t t = d->rm;
		d->rm = d->reg;
		d->reg = t;
	}
	return row[MOV_RR];
}

/* No cache to bypass here: a plain store. */
static xop_fn bind_MOVNTI(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	if (!(d->flags & XD_MEM))
		return NULL;
	return d->size == 8 ? op_mov64_mr : op_mov32_mr;
}

/* ---- MOVZX, MOVSX, MOVSXD ---- */

#define EXTEND_BODIES(name, to, from, type)                                                        \
	static void op_##name##to##_##from##_r(struct xcpu *c, const struct dinsn *d)              \
	{                                                                                          \
		uint##to##_t v = (uint##to##_t)(type)RD##from(d->rm);                              \
		WR##to(d->reg, v);                                                                 \
	}                                                                                          \
	static void op_##name##to##_##from##_m(struct xcpu *c, const struct dinsn *d)              \
	{                                                                                          \
		uint##to##_t v = (uint##to##_t)(type)LOAD(from);                                   \
		WR##to(d->reg, v);                                                                 \
	}
EXTEND_BODIES(movzx, 16, 8, uint8_t)
EXTEND_BODIES(movzx, 32, 8, uint8_t)
EXTEND_BODIES(movzx, 64, 8, uint8_t)
EXTEND_BODIES(movzx, 16, 16, uint16_t)
EXTEND_BODIES(movzx, 32, 16, uint16_t)
EXTEND_BODIES(movzx, 64, 16, uint16_t)
EXTEND_BODIES(movsx, 16, 8, int8_t)
EXTEND_BODIES(movsx, 32, 8, int8_t)
EXTEND_BODIES(movsx, 64, 8, int8_t)
EXTEND_BODIES(movsx, 16, 16, int16_t)
EXTEND_BODIES(movsx, 32, 16, int16_t)
EXTEND_BODIES(movsx, 64, 16, int16_t)
EXTEND_BODIES(movsxd, 16, 16, int16_t)
EXTEND_BODIES(movsxd, 32, 32, int32_t)
EXTEND_BODIES(movsxd, 64, 32, int32_t)

#define EXTEND_PAIR(name, to, from) {op_##name##to##_##from##_r, op_##name##to##_##from##_m}
#define EXTEND_ROWS(name, from)                                                                    \
	{EXTEND_PAIR(name, 16, from), EXTEND_PAIR(name, 32, from), EXTEND_PAIR(name, 64, from)}

static xop_fn bind_MOVZX(const struct xinsn *z, struct dinsn *d)
{
	static const xop_fn body[2][3][2] = {EXTEND_ROWS(movzx, 8), EXTEND_ROWS(movzx, 16)};

	return body[z->op[1].size == 16][int_row(d->size) - 1][d->flags & XD_MEM ? 1 : 0];
}

static xop_fn bind_MOVSX(const struct xinsn *z, struct dinsn *d)
{
	static const xop_fn body[2][3][2] = {EXTEND_ROWS(movsx, 8), EXTEND_ROWS(movsx, 16)};

	return body[z->op[1].size == 16][int_row(d->size) - 1][d->flags & XD_MEM ? 1 : 0];
}

static xop_fn bind_MOVSXD(const struct xinsn *z, struct dinsn *d)
{
	static const xop_fn body[3][2] = {EXTEND_PAIR(movsxd, 16, 16), EXTEND_PAIR(movsxd, 32, 32),
					  EXTEND_PAIR(movsxd, 64, 32)};

	(void)z;
	return body[int_row(d->size) - 1][d->flags & XD_MEM ? 1 : 0];
}

/* ---- LEA: the offset, truncated first to the address size, then to the operand size ---- */

static void op_lea64(struct xcpu *c, const struct dinsn *d)
{
	c->r[d->reg] = xea_offset(c, d);
}

static void op_lea32(struct xcpu *c, const struct dinsn *d)
{
	WR32(d->reg, xea_offset(c, d));
}

static void op_lea16(struct xcpu *c, const struct dinsn *d)
{
	WR16(d->reg, (uint16_t)xea_offset(c, d));
}

static void op_lea_wide_of16(struct xcpu *c, const struct dinsn *d)
{
	WR32(d->reg, (uint16_t)xea_offset(c, d));
}

static xop_fn bind_LEA(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	if (!(d->flags & XD_MEM))
		return NULL;
	if (d->size == 2)
		return op_lea16;
	if (d->asize == 2)
		return op_lea_wide_of16;
	return d->size == 8 && d->asize == 8 ? op_lea64 : op_lea32;
}

/* ---- XCHG ---- */

#define XCHG_BODIES(bits)                                                                          \
	static void op_xchg##bits##_r(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		uint##bits##_t a = RD##bits(d->rm), b = RD##bits(d->reg);                          \
		WR##bits(d->rm, b);                                                                \
		WR##bits(d->reg, a);                                                               \
	}                                                                                          \
	static void op_xchg##bits##_m(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		uint##bits##_t *p = RMW(bits), a = *p;                                             \
		*p = RD##bits(d->reg);                                                             \
		xmem_rmw_done(c);                                                                  \
		WR##bits(d->reg, a);                                                               \
	}
XCHG_BODIES(8)
XCHG_BODIES(16)
XCHG_BODIES(32)
XCHG_BODIES(64)

static xop_fn bind_XCHG(const struct xinsn *z, struct dinsn *d)
{
	static const xop_fn body[4][2] = {{op_xchg8_r, op_xchg8_m},
					  {op_xchg16_r, op_xchg16_m},
					  {op_xchg32_r, op_xchg32_m},
					  {op_xchg64_r, op_xchg64_m}};

	(void)z;
	return body[int_row(d->size)][d->flags & XD_MEM ? 1 : 0];
}

/* F3 90 with REX.B is not PAUSE but XCHG r8, rAX, the prefix ignored: so do CPUs, Zydis does not say. */
static xop_fn bind_PAUSE(const struct xinsn *z, struct dinsn *d)
{
	if (!(z->insn.attributes & ZYDIS_ATTRIB_HAS_REX) || !z->insn.raw.rex.B)
		return NULL;
	d->reg = CPU_R8;
	d->rm = ACC;
	return bind_XCHG(z, d);
}

/* ---- CMOVcc, SETcc: one body a condition ---- */

#define CC_BODIES(cc)                                                                              \
	static void op_set##cc##_r(struct xcpu *c, const struct dinsn *d)                          \
	{                                                                                          \
		WR8(d->rm, xcond(c->fl, cc));                                                      \
	}                                                                                          \
	static void op_set##cc##_m(struct xcpu *c, const struct dinsn *d)                          \
	{                                                                                          \
		STORE(8, xcond(c->fl, cc));                                                        \
	}                                                                                          \
	static void op_cmov##cc##_16r(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		if (xcond(c->fl, cc))                                                              \
			WR16(d->reg, RD16(d->rm));                                                 \
	}                                                                                          \
	static void op_cmov##cc##_32r(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		WR32(d->reg, xcond(c->fl, cc) ? RD32(d->rm) : RD32(d->reg));                       \
	}                                                                                          \
	static void op_cmov##cc##_64r(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		c->r[d->reg] = xcond(c->fl, cc) ? c->r[d->rm] : c->r[d->reg];                      \
	}                                                                                          \
	/* The load happens, and may fault, whatever the condition. */                             \
	static void op_cmov##cc##_16m(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		uint16_t v = LOAD(16);                                                             \
		if (xcond(c->fl, cc))                                                              \
			WR16(d->reg, v);                                                           \
	}                                                                                          \
	static void op_cmov##cc##_32m(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		uint32_t v = LOAD(32);                                                             \
		WR32(d->reg, xcond(c->fl, cc) ? v : RD32(d->reg));                                 \
	}                                                                                          \
	static void op_cmov##cc##_64m(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		uint64_t v = LOAD(64);                                                             \
		c->r[d->reg] = xcond(c->fl, cc) ? v : c->r[d->reg];                                \
	}
#define CC_ALL(m)                                                                                  \
	m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13) m(14) m(15)
CC_ALL(CC_BODIES)

#define SET_ROW(cc) {op_set##cc##_r, op_set##cc##_m},
#define CMOV_ROW(cc)                                                                               \
	{{op_cmov##cc##_16r, op_cmov##cc##_16m},                                                   \
	 {op_cmov##cc##_32r, op_cmov##cc##_32m},                                                   \
	 {op_cmov##cc##_64r, op_cmov##cc##_64m}},

static xop_fn bind_setcc(const struct xinsn *z, struct dinsn *d)
{
	static const xop_fn body[16][2] = {CC_ALL(SET_ROW)};

	(void)z;
	return body[d->cc][d->flags & XD_MEM ? 1 : 0];
}

static xop_fn bind_cmov(const struct xinsn *z, struct dinsn *d)
{
	static const xop_fn body[16][3][2] = {CC_ALL(CMOV_ROW)};

	(void)z;
	return body[d->cc][int_row(d->size) - 1][d->flags & XD_MEM ? 1 : 0];
}

/* ---- XLAT, BSWAP, LAHF, SAHF ---- */

static void op_xlat(struct xcpu *c, const struct dinsn *d)
{
	uint64_t a = c->r[CPU_RBX] + RD8(ACC);

	a = d->ea ? xseg_linear(c, d->seg, a, d->asize, 1, XACC_READ) : a;
	WR8(ACC, xmem_read8(c, d->seg, a));
}

static xop_fn bind_XLAT(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	(void)d;
	return op_xlat;
}

static void op_bswap32(struct xcpu *c, const struct dinsn *d)
{
	WR32(d->reg, __builtin_bswap32(RD32(d->reg)));
}

static void op_bswap64(struct xcpu *c, const struct dinsn *d)
{
	c->r[d->reg] = __builtin_bswap64(c->r[d->reg]);
}

/* 16 bits is undefined in the SDM; CPUs clear the register, and so do we. */
static void op_bswap16(struct xcpu *c, const struct dinsn *d)
{
	WR16(d->reg, 0);
}

static xop_fn bind_BSWAP(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	return d->size == 8 ? op_bswap64 : d->size == 4 ? op_bswap32 : op_bswap16;
}

static void op_lahf(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	WR8(1, (uint8_t)(xflags_to_rflags(c->fl) | RFLAGS_1));
}

static void op_sahf(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	c->fl = (c->fl & XF_OF) | ((uint32_t)RD8(1) << 8 & XF_ALL);
}

static xop_fn bind_LAHF(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	(void)d;
	return op_lahf;
}

static xop_fn bind_SAHF(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	(void)d;
	return op_sahf;
}

#define SETCC_OP(cc) {ZYDIS_MNEMONIC_SET##cc, 0, bind_setcc}
#define CMOV_OP(cc) {ZYDIS_MNEMONIC_CMOV##cc, 0, bind_cmov}
#define CC_NAMES(m)                                                                                \
	m(O), m(NO), m(B), m(NB), m(Z), m(NZ), m(BE), m(NBE), m(S), m(NS), m(P), m(NP), m(L),      \
		m(NL), m(LE), m(NLE)

static const struct xop mov_ops[] = {
	INT_OP(MOV, 0),	   INT_OP(MOVNTI, 0), INT_OP(MOVZX, 0), INT_OP(MOVSX, 0), INT_OP(MOVSXD, 0),
	INT_OP(LEA, 0),	   INT_OP(XCHG, 0), INT_OP(PAUSE, 0),   INT_OP(XLAT, 0),	INT_OP(BSWAP, 0), INT_OP(LAHF, 0),
	INT_OP(SAHF, 0),   CC_NAMES(SETCC_OP), CC_NAMES(CMOV_OP),
};
const struct xop_table xops_int_mov = {mov_ops, RV_ARRAY_LEN(mov_ops)};
