/* SPDX-License-Identifier: Apache-2.0 */
/* Bit test and scan, POPCNT, CRC32, flag bits, and the instructions that do nothing. */
#include "ops_int.h"

/* ---- BT BTS BTR BTC ---- */

enum { BIT_T, BIT_S, BIT_R, BIT_C };

#define BIT_FN(bits)                                                                               \
	static inline uint##bits##_t bit_do##bits(struct xcpu *c, uint##bits##_t a, unsigned n,    \
						  unsigned what)                                   \
	{                                                                                          \
		uint##bits##_t m = (uint##bits##_t)((uint##bits##_t)1 << (n & (bits - 1)));        \
		c->fl = (c->fl & ~XF_CF) | (a & m ? XF_CF : 0);                                    \
		if (what == BIT_S)                                                                 \
			return a | m;                                                              \
		if (what == BIT_R)                                                                 \
			return (uint##bits##_t)(a & ~m);                                           \
		return what == BIT_C ? (uint##bits##_t)(a ^ m) : a;                                \
	}                                                                                          \
	/* A register offset counts bits from the operand's address, signed (SDM vol. 1, fig. 3-1  \
	 * of BT): whole operands are added to the address. */                                     \
	static inline uint64_t bit_ea##bits(struct xcpu *c, const struct dinsn *d,                 \
					    enum xaccess acc)                                      \
	{                                                                                          \
		int64_t n = (int##bits##_t)RD##bits(d->reg);                                       \
		uint64_t a = xea_offset(c, d) + (uint64_t)(n >> __builtin_ctz(bits)) * (bits / 8); \
		return d->ea ? xea_slow(c, d, a, bits / 8, acc) : a;                               \
	}
BIT_FN(16)
BIT_FN(32)
BIT_FN(64)

#define BT_BODIES(bits)                                                                            \
	static void op_bt##bits##_rr(struct xcpu *c, const struct dinsn *d)                        \
	{                                                                                          \
		(void)bit_do##bits(c, RD##bits(d->rm), (unsigned)RD##bits(d->reg), BIT_T);         \
	}                                                                                          \
	static void op_bt##bits##_mr(struct xcpu *c, const struct dinsn *d)                        \
	{                                                                                          \
		uint64_t a = bit_ea##bits(c, d, XACC_READ);                                        \
		(void)bit_do##bits(c, xmem_read##bits(c, d->seg, a), (unsigned)RD##bits(d->reg),   \
				   BIT_T);                                                         \
	}                                                                                          \
	static void op_bt##bits##_ri(struct xcpu *c, const struct dinsn *d)                        \
	{                                                                                          \
		(void)bit_do##bits(c, RD##bits(d->rm), (unsigned)d->imm, BIT_T);                   \
	}                                                                                          \
	static void op_bt##bits##_mi(struct xcpu *c, const struct dinsn *d)                        \
	{                                                                                          \
		(void)bit_do##bits(c, LOAD(bits), (unsigned)d->imm, BIT_T);                        \
	}
#define BTX_BODIES(name, bits, what)                                                               \
	static void op_##name##bits##_rr(struct xcpu *c, const struct dinsn *d)                    \
	{                                                                                          \
		WR##bits(d->rm,                                                                    \
			 bit_do##bits(c, RD##bits(d->rm), (unsigned)RD##bits(d->reg), what));      \
	}                                                                                          \
	static void op_##name##bits##_mr(struct xcpu *c, const struct dinsn *d)                    \
	{                                                                                          \
		uint64_t a = bit_ea##bits(c, d, XACC_WRITE);                                       \
		uint##bits##_t *p = xmem_rmw##bits(c, d->seg, a);                                  \
		*p = bit_do##bits(c, *p, (unsigned)RD##bits(d->reg), what);                        \
		xmem_rmw_done(c);                                                                  \
	}                                                                                          \
	static void op_##name##bits##_ri(struct xcpu *c, const struct dinsn *d)                    \
	{                                                                                          \
		WR##bits(d->rm, bit_do##bits(c, RD##bits(d->rm), (unsigned)d->imm, what));         \
	}                                                                                          \
	static void op_##name##bits##_mi(struct xcpu *c, const struct dinsn *d)                    \
	{                                                                                          \
		uint##bits##_t *p = RMW(bits);                                                     \
		*p = bit_do##bits(c, *p, (unsigned)d->imm, what);                                  \
		xmem_rmw_done(c);                                                                  \
	}
#define BIT_ROW(name, bits)                                                                        \
	{op_##name##bits##_rr, op_##name##bits##_mr, op_##name##bits##_ri, op_##name##bits##_mi}
#define BIT_BIND(name, mnemonic)                                                                   \
	static xop_fn bind_##mnemonic(const struct xinsn *z, struct dinsn *d)                      \
	{                                                                                          \
		static const xop_fn body[3][4] = {BIT_ROW(name, 16), BIT_ROW(name, 32),            \
						  BIT_ROW(name, 64)};                              \
		bool imm = xinsn_op_is(z, 1, ZYDIS_OPERAND_TYPE_IMMEDIATE);                        \
		return body[int_row(d->size) - 1][(imm ? 2 : 0) + (d->flags & XD_MEM ? 1 : 0)];    \
	}
#define BTX_OP(name, what, mnemonic)                                                               \
	BTX_BODIES(name, 16, what)                                                                 \
	BTX_BODIES(name, 32, what)                                                                 \
	BTX_BODIES(name, 64, what)                                                                 \
	BIT_BIND(name, mnemonic)

BT_BODIES(16)
BT_BODIES(32)
BT_BODIES(64)
BIT_BIND(bt, BT)
BTX_OP(bts, BIT_S, BTS)
BTX_OP(btr, BIT_R, BTR)
BTX_OP(btc, BIT_C, BTC)

/* ---- BSF BSR POPCNT ---- */

#define SCAN_BODIES(bits)                                                                          \
	static inline void scan_f##bits(struct xcpu *c, uint##bits##_t v, unsigned r)              \
	{                                                                                          \
		c->fl = v ? 0 : XF_ZF;                                                             \
		if (v)                                                                             \
			WR##bits(r, (uint##bits##_t)__builtin_ctzll(v));                           \
	}                                                                                          \
	static inline void scan_r##bits(struct xcpu *c, uint##bits##_t v, unsigned r)              \
	{                                                                                          \
		c->fl = v ? 0 : XF_ZF;                                                             \
		if (v)                                                                             \
			WR##bits(r, (uint##bits##_t)(63 - __builtin_clzll(v)));                    \
	}                                                                                          \
	static inline void count_set##bits(struct xcpu *c, uint##bits##_t v, unsigned r)           \
	{                                                                                          \
		uint64_t n;                                                                        \
		__asm__("popcntq %[v], %[n]" : [n] "=r"(n) : [v] "r"((uint64_t)v) : "cc");         \
		c->fl = v ? 0 : XF_ZF;                                                             \
		WR##bits(r, (uint##bits##_t)n);                                                    \
	}                                                                                          \
	static void op_bsf##bits##_r(struct xcpu *c, const struct dinsn *d)                        \
	{                                                                                          \
		scan_f##bits(c, RD##bits(d->rm), d->reg);                                          \
	}                                                                                          \
	static void op_bsf##bits##_m(struct xcpu *c, const struct dinsn *d)                        \
	{                                                                                          \
		scan_f##bits(c, LOAD(bits), d->reg);                                               \
	}                                                                                          \
	static void op_bsr##bits##_r(struct xcpu *c, const struct dinsn *d)                        \
	{                                                                                          \
		scan_r##bits(c, RD##bits(d->rm), d->reg);                                          \
	}                                                                                          \
	static void op_bsr##bits##_m(struct xcpu *c, const struct dinsn *d)                        \
	{                                                                                          \
		scan_r##bits(c, LOAD(bits), d->reg);                                               \
	}                                                                                          \
	static void op_popcnt##bits##_r(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		count_set##bits(c, RD##bits(d->rm), d->reg);                                       \
	}                                                                                          \
	static void op_popcnt##bits##_m(struct xcpu *c, const struct dinsn *d)                     \
	{                                                                                          \
		count_set##bits(c, LOAD(bits), d->reg);                                            \
	}
SCAN_BODIES(16)
SCAN_BODIES(32)
SCAN_BODIES(64)

#define SCAN_BIND(name, mnemonic)                                                                  \
	static xop_fn bind_##mnemonic(const struct xinsn *z, struct dinsn *d)                      \
	{                                                                                          \
		static const xop_fn body[3][2] = {{op_##name##16_r, op_##name##16_m},              \
						  {op_##name##32_r, op_##name##32_m},              \
						  {op_##name##64_r, op_##name##64_m}};             \
		(void)z;                                                                           \
		return body[int_row(d->size) - 1][d->flags & XD_MEM ? 1 : 0];                      \
	}
SCAN_BIND(bsf, BSF)
SCAN_BIND(bsr, BSR)
SCAN_BIND(popcnt, POPCNT)

/* ---- CRC32 (Castagnoli): by the host's instruction, which is integer-exact ---- */

#define CRC_BODIES(bits, text, type)                                                               \
	static inline void crc##bits(struct xcpu *c, unsigned r, uint##bits##_t v)                 \
	{                                                                                          \
		type acc = RD32(r);                                                                \
		__asm__(text " %[v], %[acc]" : [acc] "+r"(acc) : [v] "r"(v));                      \
		WR32(r, acc);                                                                      \
	}                                                                                          \
	static void op_crc##bits##_r(struct xcpu *c, const struct dinsn *d)                        \
	{                                                                                          \
		crc##bits(c, d->reg, RD##bits(d->rm));                                             \
	}                                                                                          \
	static void op_crc##bits##_m(struct xcpu *c, const struct dinsn *d)                        \
	{                                                                                          \
		crc##bits(c, d->reg, LOAD(bits));                                                  \
	}
CRC_BODIES(8, "crc32b", uint32_t)
CRC_BODIES(16, "crc32w", uint32_t)
CRC_BODIES(32, "crc32l", uint32_t)
CRC_BODIES(64, "crc32q", uint64_t)

static xop_fn bind_CRC32(const struct xinsn *z, struct dinsn *d)
{
	static const xop_fn body[4][2] = {{op_crc8_r, op_crc8_m},
					  {op_crc16_r, op_crc16_m},
					  {op_crc32_r, op_crc32_m},
					  {op_crc64_r, op_crc64_m}};

	d->size = (uint8_t)(z->op[1].size / 8);
	return body[int_row(d->size)][d->flags & XD_MEM ? 1 : 0];
}

/* ---- flag bits ---- */

static void op_clc(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	c->fl &= ~XF_CF;
}

static void op_stc(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	c->fl |= XF_CF;
}

static void op_cmc(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	c->fl ^= XF_CF;
}

static void op_cld(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	c->s.rflags &= ~(uint64_t)RFLAGS_DF;
}

static void op_std(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	c->s.rflags |= RFLAGS_DF;
}

static void op_salc(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	WR8(ACC, c->fl & XF_CF ? 0xff : 0);
}

/* ---- nothing, or a probe ---- */

static void op_nop(struct xcpu *c, const struct dinsn *d)
{
	(void)c;
	(void)d;
}

/* There is no cache; but CLFLUSH checks its address like a byte load (SDM vol. 2). */
static void op_clflush(struct xcpu *c, const struct dinsn *d)
{
	uint64_t a = xea(c, d, 1, XACC_READ);

	xmem_probe(c, d->seg, a, 1, XACC_READ);
}

#define BIND_PLAIN(mnemonic, fn)                                                                   \
	static xop_fn bind_##mnemonic(const struct xinsn *z, struct dinsn *d)                      \
	{                                                                                          \
		(void)z;                                                                           \
		(void)d;                                                                           \
		return fn;                                                                         \
	}
BIND_PLAIN(CLC, op_clc)
BIND_PLAIN(STC, op_stc)
BIND_PLAIN(CMC, op_cmc)
BIND_PLAIN(CLD, op_cld)
BIND_PLAIN(STD, op_std)
BIND_PLAIN(SALC, op_salc)
BIND_PLAIN(nop, op_nop)
BIND_PLAIN(UD0, xop_undefined)
BIND_PLAIN(UD1, xop_undefined)
BIND_PLAIN(UD2, xop_undefined)

static xop_fn bind_CLFLUSH(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	return d->flags & XD_MEM ? op_clflush : NULL;
}

/* With other vCPUs a spin loop's PAUSE hands the host thread over: what it spins for is theirs to do. */
static void op_pause(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	if (xcpu_count(c) == 1)
		return;
	c->paused = c->leave = true;
	c->until = 0;
}
BIND_PLAIN(PAUSE, op_pause)

#define NOP_OP(name) {ZYDIS_MNEMONIC_##name, 0, bind_nop}

static const struct xop bits_ops[] = {
	INT_OP(BT, 0),	 INT_OP(BTS, 0),  INT_OP(BTR, 0),	INT_OP(BTC, 0),
	INT_OP(BSF, 0),	 INT_OP(BSR, 0),  INT_OP(POPCNT, 0),	INT_OP(CRC32, 0),
	INT_OP(CLC, 0),	 INT_OP(STC, 0),  INT_OP(CMC, 0),	INT_OP(CLD, 0),
	INT_OP(STD, 0),	 INT_OP(SALC, 0), INT_OP(UD0, XOP_END), INT_OP(UD1, XOP_END),
	INT_OP(UD2, XOP_END), INT_OP(CLFLUSH, 0),
	/* ENDBR32/64 and RDSSP decode as NOP: CET is not in rv-v2. */
	NOP_OP(NOP), {ZYDIS_MNEMONIC_PAUSE, XOP_END, bind_PAUSE}, NOP_OP(LFENCE), NOP_OP(SFENCE), NOP_OP(MFENCE),
	NOP_OP(PREFETCH), NOP_OP(PREFETCHW), NOP_OP(PREFETCHWT1), NOP_OP(PREFETCHNTA),
	NOP_OP(PREFETCHT0), NOP_OP(PREFETCHT1), NOP_OP(PREFETCHT2),
};
const struct xop_table xops_int_bits = {bits_ops, RV_ARRAY_LEN(bits_ops)};
