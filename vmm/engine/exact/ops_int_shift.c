/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shifts and rotates. Results and CF are computed in wider arithmetic, so
 * that no count is special; OF is always that of the last 1-bit step: to the
 * left MSB(result) ^ CF, to the right the two top bits of the result.
 * A count of zero (after masking) changes no flag (SDM vol. 2, SAL).
 */
#include "ops_int.h"

#define OF_LEFT(bits, res, cf) ((uint32_t)((res) >> (bits - 1)) ^ (cf))
#define OF_RIGHT(bits, res) ((uint32_t)((res) >> (bits - 1) ^ (res) >> (bits - 2)) & 1u)

static inline void shift_flags(struct xcpu *c, uint32_t szp, uint32_t cf, uint32_t of)
{
	c->fl = szp | cf << 8 | of;
}

static inline void rotate_flags(struct xcpu *c, uint32_t cf, uint32_t of)
{
	c->fl = (c->fl & ~(XF_CF | XF_OF)) | cf << 8 | of;
}

/* n: 1 to 31, or 1 to 63 for 64 bits. wide: 64 bits, or the 128-bit type. */
#define SHIFT_FNS(bits, wide)                                                               \
	static inline uint##bits##_t sh_shl##bits(struct xcpu *c, uint##bits##_t a, unsigned n)    \
	{                                                                                          \
		wide w = (wide)a << n;                                                             \
		uint##bits##_t r = (uint##bits##_t)w;                                              \
		uint32_t cf = (uint32_t)(w >> bits) & 1u;                                          \
		shift_flags(c, int_szp##bits(r), cf, OF_LEFT(bits, r, cf));                        \
		return r;                                                                          \
	}                                                                                          \
	static inline uint##bits##_t sh_shr##bits(struct xcpu *c, uint##bits##_t a, unsigned n)    \
	{                                                                                          \
		uint64_t w = a;                                                                    \
		uint##bits##_t r = (uint##bits##_t)(w >> n);                                       \
		shift_flags(c, int_szp##bits(r), (uint32_t)(w >> (n - 1)) & 1u, OF_RIGHT(bits, r));\
		return r;                                                                          \
	}                                                                                          \
	static inline uint##bits##_t sh_sar##bits(struct xcpu *c, uint##bits##_t a, unsigned n)    \
	{                                                                                          \
		int64_t w = (int##bits##_t)a;                                                      \
		uint##bits##_t r = (uint##bits##_t)(w >> n);                                       \
		shift_flags(c, int_szp##bits(r), (uint32_t)(w >> (n - 1)) & 1u, OF_RIGHT(bits, r));\
		return r;                                                                          \
	}                                                                                          \
	static inline uint##bits##_t sh_rol##bits(struct xcpu *c, uint##bits##_t a, unsigned n)    \
	{                                                                                          \
		unsigned m = n & (bits - 1);                                                       \
		uint##bits##_t r = (uint##bits##_t)(a << m | a >> ((bits - m) & (bits - 1)));      \
		uint32_t cf = (uint32_t)r & 1u;                                                    \
		rotate_flags(c, cf, OF_LEFT(bits, r, cf));                                         \
		return r;                                                                          \
	}                                                                                          \
	static inline uint##bits##_t sh_ror##bits(struct xcpu *c, uint##bits##_t a, unsigned n)    \
	{                                                                                          \
		unsigned m = n & (bits - 1);                                                       \
		uint##bits##_t r = (uint##bits##_t)(a >> m | a << ((bits - m) & (bits - 1)));      \
		rotate_flags(c, (uint32_t)(r >> (bits - 1)), OF_RIGHT(bits, r));                   \
		return r;                                                                          \
	}                                                                                          \
	/* The rotated thing is bits + 1 long: CF on top of the operand. */                        \
	static inline uint##bits##_t sh_rcl##bits(struct xcpu *c, uint##bits##_t a, unsigned n)    \
	{                                                                                          \
		wide w = (wide)(c->fl >> 8 & 1u) << bits | a;                                      \
		uint##bits##_t r;                                                                  \
		uint32_t cf;                                                                       \
		n %= bits + 1;                                                                     \
		if (!n)                                                                            \
			return a;                                                                  \
		w = w << n | w >> (bits + 1 - n);                                                  \
		r = (uint##bits##_t)w;                                                             \
		cf = (uint32_t)(w >> bits) & 1u;                                                   \
		rotate_flags(c, cf, OF_LEFT(bits, r, cf));                                         \
		return r;                                                                          \
	}                                                                                          \
	static inline uint##bits##_t sh_rcr##bits(struct xcpu *c, uint##bits##_t a, unsigned n)    \
	{                                                                                          \
		wide w = (wide)(c->fl >> 8 & 1u) << bits | a;                                      \
		uint##bits##_t r;                                                                  \
		n %= bits + 1;                                                                     \
		if (!n)                                                                            \
			return a;                                                                  \
		w = w >> n | w << (bits + 1 - n);                                                  \
		r = (uint##bits##_t)w;                                                             \
		rotate_flags(c, (uint32_t)(w >> bits) & 1u, OF_RIGHT(bits, r));                    \
		return r;                                                                          \
	}
SHIFT_FNS(8, uint64_t)
SHIFT_FNS(16, uint64_t)
SHIFT_FNS(32, uint64_t)
SHIFT_FNS(64, unsigned __int128)

#define COUNT_MASK(bits) (bits == 64 ? 63u : 31u)

/* Count in imm (masked and not zero: shift_bind) or in CL. A zero count still writes the destination:
 * 32-bit registers are zero-extended, memory is checked as for a store. */
#define SHIFT_BODIES(name, bits)                                                                   \
	static void op_##name##bits##_ri(struct xcpu *c, const struct dinsn *d)                    \
	{                                                                                          \
		WR##bits(d->rm, sh_##name##bits(c, RD##bits(d->rm), (unsigned)d->imm));            \
	}                                                                                          \
	static void op_##name##bits##_mi(struct xcpu *c, const struct dinsn *d)                    \
	{                                                                                          \
		uint##bits##_t *p = RMW(bits);                                                     \
		*p = sh_##name##bits(c, *p, (unsigned)d->imm);                                     \
		xmem_rmw_done(c);                                                                  \
	}                                                                                          \
	static void op_##name##bits##_rc(struct xcpu *c, const struct dinsn *d)                    \
	{                                                                                          \
		unsigned n = XREG8(c, CPU_RCX * 8) & COUNT_MASK(bits);                             \
		uint##bits##_t a = RD##bits(d->rm);                                                \
		WR##bits(d->rm, n ? sh_##name##bits(c, a, n) : a);                                 \
	}                                                                                          \
	static void op_##name##bits##_mc(struct xcpu *c, const struct dinsn *d)                    \
	{                                                                                          \
		unsigned n = XREG8(c, CPU_RCX * 8) & COUNT_MASK(bits);                             \
		uint##bits##_t *p = RMW(bits);                                                     \
		if (n)                                                                             \
			*p = sh_##name##bits(c, *p, n);                                            \
		xmem_rmw_done(c);                                                                  \
	}

#define ZERO_BODIES(bits)                                                                          \
	static void op_zero##bits##_r(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		WR##bits(d->rm, RD##bits(d->rm));                                                  \
	}                                                                                          \
	static void op_zero##bits##_m(struct xcpu *c, const struct dinsn *d)                       \
	{                                                                                          \
		(void)RMW(bits);                                                                   \
		xmem_rmw_done(c);                                                                  \
	}
ZERO_BODIES(8)
ZERO_BODIES(16)
ZERO_BODIES(32)
ZERO_BODIES(64)

static xop_fn shift_bind(const struct xinsn *z, struct dinsn *d, const xop_fn body[4][4])
{
	static const xop_fn zero[4][2] = {{op_zero8_r, op_zero8_m},
					  {op_zero16_r, op_zero16_m},
					  {op_zero32_r, op_zero32_m},
					  {op_zero64_r, op_zero64_m}};
	unsigned row = int_row(d->size), mem = d->flags & XD_MEM ? 1 : 0;
	unsigned last = z->insn.operand_count_visible - 1u;

	if (last > 0 && z->op[last].type == ZYDIS_OPERAND_TYPE_REGISTER)
		return body[row][2 + mem]; /* CL */
	if (z->insn.raw.imm[0].size == 0)
		d->imm = 1; /* D0, D1: by one */
	d->imm &= d->size == 8 ? 63 : 31;
	return d->imm ? body[row][mem] : zero[row][mem];
}

#define SHIFT_ROW(name, bits)                                                                      \
	{op_##name##bits##_ri, op_##name##bits##_mi, op_##name##bits##_rc, op_##name##bits##_mc}
#define SHIFT_OP(name, mnemonic)                                                                   \
	SHIFT_BODIES(name, 8)                                                                      \
	SHIFT_BODIES(name, 16)                                                                     \
	SHIFT_BODIES(name, 32)                                                                     \
	SHIFT_BODIES(name, 64)                                                                     \
	static xop_fn bind_##mnemonic(const struct xinsn *z, struct dinsn *d)                      \
	{                                                                                          \
		static const xop_fn body[4][4] = {SHIFT_ROW(name, 8), SHIFT_ROW(name, 16),         \
						  SHIFT_ROW(name, 32), SHIFT_ROW(name, 64)};       \
		return shift_bind(z, d, body);                                                     \
	}
SHIFT_OP(shl, SHL)
SHIFT_OP(shr, SHR)
SHIFT_OP(sar, SAR)
SHIFT_OP(rol, ROL)
SHIFT_OP(ror, ROR)
SHIFT_OP(rcl, RCL)
SHIFT_OP(rcr, RCR)

/* ---- SHLD, SHRD ---- */

/* 16 bits: counts go to 31, beyond the operand. The pattern shifted through is a:b:a. */
static inline uint16_t dsh_shld16(struct xcpu *c, uint16_t a, uint16_t b, unsigned n)
{
	uint64_t w = ((uint64_t)a << 32 | (uint64_t)b << 16 | a) << n;
	uint16_t r = (uint16_t)(w >> 32);
	uint32_t cf = (uint32_t)(w >> 48) & 1u;

	shift_flags(c, int_szp16(r), cf, OF_LEFT(16, r, cf));
	return r;
}

static inline uint16_t dsh_shrd16(struct xcpu *c, uint16_t a, uint16_t b, unsigned n)
{
	uint64_t w = (uint64_t)a << 32 | (uint64_t)b << 16 | a;
	uint16_t r = (uint16_t)(w >> n);

	shift_flags(c, int_szp16(r), (uint32_t)(w >> (n - 1)) & 1u, OF_RIGHT(16, r));
	return r;
}

#define DSHIFT_FNS(bits)                                                                           \
	static inline uint##bits##_t dsh_shld##bits(struct xcpu *c, uint##bits##_t a,              \
						    uint##bits##_t b, unsigned n)                  \
	{                                                                                          \
		uint##bits##_t r = a << n | b >> (bits - n);                                       \
		uint32_t cf = (uint32_t)(a >> (bits - n)) & 1u;                                    \
		shift_flags(c, int_szp##bits(r), cf, OF_LEFT(bits, r, cf));                        \
		return r;                                                                          \
	}                                                                                          \
	static inline uint##bits##_t dsh_shrd##bits(struct xcpu *c, uint##bits##_t a,              \
						    uint##bits##_t b, unsigned n)                  \
	{                                                                                          \
		uint##bits##_t r = a >> n | b << (bits - n);                                       \
		shift_flags(c, int_szp##bits(r), (uint32_t)(a >> (n - 1)) & 1u, OF_RIGHT(bits, r));\
		return r;                                                                          \
	}
DSHIFT_FNS(32)
DSHIFT_FNS(64)

/* aux: the count is in CL; otherwise in imm. */
#define DSHIFT_BODIES(name, bits)                                                                  \
	static void op_##name##bits##_r(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		unsigned n = (d->aux ? XREG8(c, CPU_RCX * 8) : (unsigned)d->imm) &                 \
			     COUNT_MASK(bits);                                                     \
		uint##bits##_t a = RD##bits(d->rm);                                                \
		WR##bits(d->rm, n ? dsh_##name##bits(c, a, RD##bits(d->reg), n) : a);              \
	}                                                                                          \
	static void op_##name##bits##_m(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		unsigned n = (d->aux ? XREG8(c, CPU_RCX * 8) : (unsigned)d->imm) &                 \
			     COUNT_MASK(bits);                                                     \
		uint##bits##_t *p = RMW(bits);                                                     \
		if (n)                                                                             \
			*p = dsh_##name##bits(c, *p, RD##bits(d->reg), n);                         \
		xmem_rmw_done(c);                                                                  \
	}
#define DSHIFT_OP(name, mnemonic)                                                                  \
	DSHIFT_BODIES(name, 16)                                                                    \
	DSHIFT_BODIES(name, 32)                                                                    \
	DSHIFT_BODIES(name, 64)                                                                    \
	static xop_fn bind_##mnemonic(const struct xinsn *z, struct dinsn *d)                      \
	{                                                                                          \
		static const xop_fn body[3][2] = {{op_##name##16_r, op_##name##16_m},              \
						  {op_##name##32_r, op_##name##32_m},              \
						  {op_##name##64_r, op_##name##64_m}};             \
		d->aux = xinsn_op_is(z, 2, ZYDIS_OPERAND_TYPE_REGISTER);                           \
		return body[int_row(d->size) - 1][d->flags & XD_MEM ? 1 : 0];                      \
	}
DSHIFT_OP(shld, SHLD)
DSHIFT_OP(shrd, SHRD)

static const struct xop shift_ops[] = {
	INT_OP(SHL, 0), INT_OP(SHR, 0), INT_OP(SAR, 0), INT_OP(ROL, 0),  INT_OP(ROR, 0),
	INT_OP(RCL, 0), INT_OP(RCR, 0), INT_OP(SHLD, 0), INT_OP(SHRD, 0),
};
const struct xop_table xops_int_shift = {shift_ops, RV_ARRAY_LEN(shift_ops)};
