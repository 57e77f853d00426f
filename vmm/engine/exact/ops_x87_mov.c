/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 loads, stores, constants, exchanges, sign changes, conditional moves
 * and FXAM. Converting stores run on the host as ops_x87_arith.c explains. A
 * store checks everything, writes memory, and only then changes x87 state, so
 * that a page fault leaves no trace.
 */
#include "cpu/model.h"
#include "x87.h"

/* ---- loads ---- */
#define FLD_FLOAT(name, insn, type, bits)                                                          \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		struct x87_m80 r;                                                                  \
		uint16_t sw;                                                                       \
		type v;                                                                            \
		x87_check(c);                                                                      \
		v = xmem_read##bits(c, d->seg, xea(c, d, (bits) / 8, XACC_READ));                  \
		x87_pointers(c, d);                                                                \
		if (unlikely(!x87_empty(c, 7))) {                                                  \
			x87_push(c, x87_indefinite());                                             \
			return;                                                                    \
		}                                                                                  \
		__asm__ volatile("fnclex\n\t" insn " %[v]\n\tfnstsw %[sw]\n\tfstpt %[r]"           \
				 : [r] "=m"(r), [sw] "=m"(sw)                                      \
				 : [v] "m"(v)                                                      \
				 : "st");                                                          \
		x87_flags(c, sw & FSW_EXC, FSW_C1, 0);                                             \
		/* Unmasked, a denormal is loaded nevertheless; an SNaN is not. */                 \
		if (likely(!x87_unmasked(c, sw & FSW_IE)))                                         \
			x87_push(c, x87_from_m80(r));                                              \
	}
FLD_FLOAT(fld_m32, "flds", uint32_t, 32)
FLD_FLOAT(fld_m64, "fldl", uint64_t, 64)

static void push_exact(struct xcpu *c, const struct dinsn *d, struct cpu_f80 v)
{
	x87_pointers(c, d);
	if (x87_push(c, v))
		x87_flags(c, 0, FSW_C1, 0);
}

static struct x87_m80 read_m80(struct xcpu *c, const struct dinsn *d)
{
	uint64_t lin = xea(c, d, 10, XACC_READ);
	struct x87_m80 m;
	uint64_t lo = xmem_read64(c, d->seg, lin);
	uint16_t hi = xmem_read16(c, d->seg, lin + 8);

	memcpy(m.b, &lo, 8);
	memcpy(m.b + 8, &hi, 2);
	return m;
}

static void write_m80(struct xcpu *c, const struct dinsn *d, struct x87_m80 m)
{
	uint64_t lin = xea(c, d, 10, XACC_WRITE), lo;
	uint16_t hi;

	memcpy(&lo, m.b, 8);
	memcpy(&hi, m.b + 8, 2);
	xmem_probe(c, d->seg, lin, 10, XACC_WRITE);
	xmem_write64(c, d->seg, lin, lo);
	xmem_write16(c, d->seg, lin + 8, hi);
}

static void x_fld_m80(struct xcpu *c, const struct dinsn *d)
{
	struct x87_m80 m;

	x87_check(c);
	m = read_m80(c, d);
	push_exact(c, d, x87_from_m80(m));
}

static void x_fld_st(struct xcpu *c, const struct dinsn *d)
{
	struct cpu_f80 v;

	x87_check(c);
	if (x87_empty(c, d->rm)) {
		x87_pointers(c, d);
		if (x87_underflow(c))
			return;
		x87_push(c, x87_indefinite());
		return;
	}
	v = *x87_st(c, d->rm);
	push_exact(c, d, v);
}

static struct cpu_f80 from_magnitude(uint64_t mag, bool negative)
{
	struct cpu_f80 v = { 0, negative ? 0x8000 : 0 };
	unsigned z;

	if (!mag)
		return v;
	z = (unsigned)__builtin_clzll(mag);
	v.mant = mag << z;
	v.sexp |= (uint16_t)(16383 + 63 - z);
	return v;
}

static struct cpu_f80 from_int(int64_t i)
{
	return from_magnitude(i < 0 ? 0 - (uint64_t)i : (uint64_t)i, i < 0);
}

#define FILD(bits)                                                                                 \
	static void x_fild_i##bits(struct xcpu *c, const struct dinsn *d)                          \
	{                                                                                          \
		int##bits##_t v;                                                                   \
		x87_check(c);                                                                      \
		v = (int##bits##_t)xmem_read##bits(c, d->seg, xea(c, d, (bits) / 8, XACC_READ));   \
		push_exact(c, d, from_int(v));                                                     \
	}
FILD(16)
FILD(32)
FILD(64)

/* FBLD: digits above 9 are undefined in the SDM; here each counts with its numeric value. */
static void x_fbld(struct xcpu *c, const struct dinsn *d)
{
	struct x87_m80 m;
	uint64_t v = 0;

	x87_check(c);
	m = read_m80(c, d);
	for (unsigned i = 9; i-- > 0;)
		v = v * 100 + (m.b[i] >> 4) * 10u + (m.b[i] & 15u);
	push_exact(c, d, from_magnitude(v, m.b[9] >> 7));
}

/*
 * Constants: rounded by RC from more bits than 64 (SDM vol. 2, FLD1...). Each
 * is held truncated; `up`: the dropped part is above one half.
 */
struct constant {
	uint64_t mant;
	uint16_t sexp;
	bool exact, up;
};

static void push_constant(struct xcpu *c, const struct dinsn *d, const struct constant *k)
{
	unsigned rc = (unsigned)c->s.fcw >> FCW_RC_SHIFT & 3u;
	struct cpu_f80 v = { k->mant, k->sexp };

	x87_check(c);
	if (!k->exact && (rc == X87_RC_UP || (rc == X87_RC_NEAREST && k->up)))
		v.mant++;
	push_exact(c, d, v);
}

#define CONSTANT(name, m, e, ex, u)                                                                \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		static const struct constant k = { m, e, ex, u };                                  \
		push_constant(c, d, &k);                                                           \
	}
CONSTANT(fld1, 0x8000000000000000ull, 0x3fff, true, false)
CONSTANT(fldz, 0, 0, true, false)
CONSTANT(fldl2t, 0xd49a784bcd1b8afeull, 0x4000, false, false)
CONSTANT(fldl2e, 0xb8aa3b295c17f0bbull, 0x3fff, false, true)
CONSTANT(fldpi, 0xc90fdaa22168c234ull, 0x4000, false, true)
CONSTANT(fldlg2, 0x9a209a84fbcff798ull, 0x3ffd, false, true)
CONSTANT(fldln2, 0xb17217f7d1cf79abull, 0x3ffe, false, true)

/* ---- stores ---- */
/* After the conversion: true if the value may be written. If not, the address is still checked, as far
 * as that needs no translation. */
static bool store_allowed(struct xcpu *c, const struct dinsn *d, unsigned flags, unsigned bytes)
{
	uint64_t lin;

	if (likely(!x87_unmasked(c, flags & ~FSW_PE)))
		return true;
	lin = xea(c, d, bytes, XACC_WRITE);
	if ((c->s.efer & EFER_LMA) && (!cpu_canonical(lin) || !cpu_canonical(lin + bytes - 1)))
		xraise_err(c, d->seg == CPU_SS ? VEC_SS : VEC_GP, 0);
	x87_pointers(c, d);
	x87_flags(c, flags & ~FSW_PE, FSW_C1, 0);
	return false;
}

static void store_done(struct xcpu *c, const struct dinsn *d, unsigned sw)
{
	x87_pointers(c, d);
	x87_flags(c, sw & (FSW_EXC | FSW_SF), FSW_C1, sw & FSW_PE ? sw : 0);
	if (d->aux)
		x87_pop(c);
}

/* insn is the popping form (FIST has no other for 64 bits) or not; leave pops what is left. */
#define FST_CONVERT(name, insn, leave, cw_bits, bits, indefinite)                                  \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		const uint16_t home = FCW_INIT, guest = (uint16_t)(c->s.fcw | (cw_bits));          \
		uint##bits##_t v = indefinite;                                                     \
		uint16_t sw = FSW_IE | FSW_SF;                                                     \
		x87_check(c);                                                                      \
		if (likely(!x87_empty(c, 0))) {                                                    \
			struct x87_m80 a = x87_to_m80(*x87_st(c, 0));                              \
			__asm__ volatile("fnclex\n\tfldcw %[cw]\n\tfldt %[a]\n\t" insn             \
					 " %[v]\n\tfnstsw %[sw]\n\tfnclex\n\t" leave               \
					 "fldcw %[home]"                                           \
					 : [v] "+m"(v), [sw] "=m"(sw)                              \
					 : [a] "m"(a), [cw] "m"(guest), [home] "m"(home)           \
					 : "st");                                                  \
			sw &= FSW_EXC | FSW_C1;                                                    \
		}                                                                                  \
		if (!store_allowed(c, d, sw & (FSW_EXC | FSW_SF), (bits) / 8))                     \
			return;                                                                    \
		xmem_write##bits(c, d->seg, xea(c, d, (bits) / 8, XACC_WRITE), v);                 \
		store_done(c, d, sw);                                                              \
	}
FST_CONVERT(fst_m32, "fsts", "fstp %%st(0)\n\t", 0u, 32, 0xffc00000u)
FST_CONVERT(fst_m64, "fstl", "fstp %%st(0)\n\t", 0u, 64, 0xfff8000000000000ull)
FST_CONVERT(fist_i16, "fistps", "", FCW_MASKS, 16, 0x8000u)
FST_CONVERT(fist_i32, "fistpl", "", FCW_MASKS, 32, 0x80000000u)
FST_CONVERT(fist_i64, "fistpll", "", FCW_MASKS, 64, 0x8000000000000000ull)
FST_CONVERT(fisttp_i16, "fisttps", "", FCW_MASKS, 16, 0x8000u)
FST_CONVERT(fisttp_i32, "fisttpl", "", FCW_MASKS, 32, 0x80000000u)
FST_CONVERT(fisttp_i64, "fisttpll", "", FCW_MASKS, 64, 0x8000000000000000ull)

static void x_fbstp(struct xcpu *c, const struct dinsn *d)
{
	const uint16_t home = FCW_INIT, guest = (uint16_t)(c->s.fcw | FCW_MASKS);
	struct x87_m80 v = x87_to_m80(x87_indefinite()); /* the packed BCD indefinite has the same bits */
	uint16_t sw = FSW_IE | FSW_SF;

	x87_check(c);
	if (!x87_empty(c, 0)) {
		struct x87_m80 a = x87_to_m80(*x87_st(c, 0));

		__asm__ volatile("fnclex\n\tfldcw %[cw]\n\tfldt %[a]\n\tfbstp %[v]\n\tfnstsw %[sw]\n\t"
				 "fnclex\n\tfldcw %[home]"
				 : [v] "=m"(v), [sw] "=m"(sw)
				 : [a] "m"(a), [cw] "m"(guest), [home] "m"(home)
				 : "st");
		sw &= FSW_EXC | FSW_C1;
	}
	if (!store_allowed(c, d, sw & (FSW_EXC | FSW_SF), 10))
		return;
	write_m80(c, d, v);
	store_done(c, d, sw);
}

static void x_fstp_m80(struct xcpu *c, const struct dinsn *d)
{
	struct cpu_f80 v = x87_indefinite();
	unsigned sw = 0;

	x87_check(c);
	if (x87_empty(c, 0))
		sw = FSW_IE | FSW_SF;
	else
		v = *x87_st(c, 0);
	if (!store_allowed(c, d, sw, 10))
		return;
	write_m80(c, d, x87_to_m80(v));
	store_done(c, d, sw);
}

static void x_fst_st(struct xcpu *c, const struct dinsn *d)
{
	struct cpu_f80 v;

	x87_check(c);
	x87_pointers(c, d);
	if (x87_empty(c, 0)) {
		if (x87_underflow(c))
			return;
		v = x87_indefinite();
	} else {
		v = *x87_st(c, 0);
		x87_flags(c, 0, FSW_C1, 0);
	}
	x87_set(c, d->rm, v);
	if (d->aux)
		x87_pop(c);
}

/* ---- register operations ---- */
static void x_fxch(struct xcpu *c, const struct dinsn *d)
{
	struct cpu_f80 a, b;

	x87_check(c);
	x87_pointers(c, d);
	a = *x87_st(c, 0);
	b = *x87_st(c, d->rm);
	if (x87_empty(c, 0) || x87_empty(c, d->rm)) {
		if (x87_underflow(c))
			return;
		if (x87_empty(c, 0))
			a = x87_indefinite();
		if (x87_empty(c, d->rm))
			b = x87_indefinite();
	}
	x87_flags(c, 0, FSW_C1, 0);
	x87_set(c, 0, b);
	x87_set(c, d->rm, a);
}

static void sign_change(struct xcpu *c, const struct dinsn *d, unsigned and, unsigned xor)
{
	struct cpu_f80 v;

	x87_check(c);
	x87_pointers(c, d);
	if (x87_empty(c, 0)) {
		if (!x87_underflow(c))
			x87_set(c, 0, x87_indefinite());
		return;
	}
	v = *x87_st(c, 0);
	v.sexp = (uint16_t)((v.sexp & and) ^ xor);
	x87_flags(c, 0, FSW_C1, 0);
	x87_set(c, 0, v);
}

static void x_fchs(struct xcpu *c, const struct dinsn *d)
{
	sign_change(c, d, 0xffff, 0x8000);
}

static void x_fabs(struct xcpu *c, const struct dinsn *d)
{
	sign_change(c, d, 0x7fff, 0);
}

/* FXAM: C1 is the sign, of an empty register too (SDM vol. 2, table 3-42). */
static void x_fxam(struct xcpu *c, const struct dinsn *d)
{
	const struct cpu_f80 *v;
	unsigned e, cc;

	x87_check(c);
	x87_pointers(c, d);
	v = x87_st(c, 0);
	e = v->sexp & 0x7fffu;
	if (x87_empty(c, 0))
		cc = FSW_C3 | FSW_C0;
	else if (e == 0)
		cc = v->mant ? FSW_C3 | FSW_C2 : FSW_C3;
	else if (!(v->mant >> 63))
		cc = 0; /* unsupported */
	else if (e == 0x7fff)
		cc = v->mant << 1 ? FSW_C0 : FSW_C2 | FSW_C0;
	else
		cc = FSW_C2;
	x87_flags(c, 0, FSW_CC, cc | (v->sexp & 0x8000 ? FSW_C1 : 0));
}

static void x_fcmov(struct xcpu *c, const struct dinsn *d)
{
	struct cpu_f80 v;

	x87_check(c);
	x87_pointers(c, d);
	if (x87_empty(c, 0) || x87_empty(c, d->rm)) {
		if (!x87_underflow(c))
			x87_set(c, 0, x87_indefinite());
		return;
	}
	v = *x87_st(c, d->rm);
	x87_flags(c, 0, FSW_C1, 0);
	if (xcond(c->fl, d->cc))
		x87_set(c, 0, v);
}

/* ---- binding ---- */
static xop_fn bind_fld(const struct xinsn *z, struct dinsn *d)
{
	d->rm = z->insn.raw.modrm.rm;
	if (!(d->flags & XD_MEM))
		return x_fld_st;
	switch (z->insn.opcode) {
	case 0xd9: return x_fld_m32;
	case 0xdd: return x_fld_m64;
	default: return x_fld_m80;
	}
}

static xop_fn bind_fst(const struct xinsn *z, struct dinsn *d)
{
	d->rm = z->insn.raw.modrm.rm;
	d->aux = z->insn.mnemonic != ZYDIS_MNEMONIC_FST;
	if (!(d->flags & XD_MEM))
		return x_fst_st;
	switch (z->insn.opcode) {
	case 0xd9: return x_fst_m32;
	case 0xdd: return x_fst_m64;
	default: return x_fstp_m80;
	}
}

static xop_fn bind_fild(const struct xinsn *z, struct dinsn *d)
{
	(void)d;
	switch (z->insn.opcode) {
	case 0xdb: return x_fild_i32;
	default: return z->insn.raw.modrm.reg == 5 ? x_fild_i64 : x_fild_i16;
	}
}

static xop_fn bind_fist(const struct xinsn *z, struct dinsn *d)
{
	d->aux = z->insn.mnemonic != ZYDIS_MNEMONIC_FIST;
	switch (z->insn.opcode) {
	case 0xdb: return x_fist_i32;
	default: return z->insn.raw.modrm.reg == 7 ? x_fist_i64 : x_fist_i16;
	}
}

static xop_fn bind_fisttp(const struct xinsn *z, struct dinsn *d)
{
	d->aux = 1;
	switch (z->insn.opcode) {
	case 0xdb: return x_fisttp_i32;
	case 0xdd: return x_fisttp_i64;
	default: return x_fisttp_i16;
	}
}

static xop_fn bind_fcmov(const struct xinsn *z, struct dinsn *d)
{
	d->rm = z->insn.raw.modrm.rm;
	switch (z->insn.mnemonic) {
	case ZYDIS_MNEMONIC_FCMOVB: d->cc = 2; break;
	case ZYDIS_MNEMONIC_FCMOVNB: d->cc = 3; break;
	case ZYDIS_MNEMONIC_FCMOVE: d->cc = 4; break;
	case ZYDIS_MNEMONIC_FCMOVNE: d->cc = 5; break;
	case ZYDIS_MNEMONIC_FCMOVBE: d->cc = 6; break;
	case ZYDIS_MNEMONIC_FCMOVNBE: d->cc = 7; break;
	case ZYDIS_MNEMONIC_FCMOVU: d->cc = 10; break;
	default: d->cc = 11; break;
	}
	return x_fcmov;
}

#define BIND(name, pops)                                                                           \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		d->rm = z->insn.raw.modrm.rm;                                                      \
		d->aux = pops;                                                                     \
		return x_##name;                                                                   \
	}
BIND(fbld, 0)
BIND(fbstp, 1)
BIND(fxch, 0)
BIND(fchs, 0)
BIND(fabs, 0)
BIND(fxam, 0)
BIND(fld1, 0)
BIND(fldz, 0)
BIND(fldl2t, 0)
BIND(fldl2e, 0)
BIND(fldpi, 0)
BIND(fldlg2, 0)
BIND(fldln2, 0)

#define ROW(U, l) { ZYDIS_MNEMONIC_##U, 0, bind_##l },
static const struct xop ops[] = {
	ROW(FLD, fld)
	ROW(FST, fst)
	ROW(FSTP, fst)
	ROW(FSTPNCE, fst)
	ROW(FILD, fild)
	ROW(FIST, fist)
	ROW(FISTP, fist)
	ROW(FISTTP, fisttp)
	ROW(FBLD, fbld)
	ROW(FBSTP, fbstp)
	ROW(FXCH, fxch)
	ROW(FCHS, fchs)
	ROW(FABS, fabs)
	ROW(FXAM, fxam)
	ROW(FLD1, fld1)
	ROW(FLDZ, fldz)
	ROW(FLDL2T, fldl2t)
	ROW(FLDL2E, fldl2e)
	ROW(FLDPI, fldpi)
	ROW(FLDLG2, fldlg2)
	ROW(FLDLN2, fldln2)
	ROW(FCMOVB, fcmov)
	ROW(FCMOVNB, fcmov)
	ROW(FCMOVE, fcmov)
	ROW(FCMOVNE, fcmov)
	ROW(FCMOVBE, fcmov)
	ROW(FCMOVNBE, fcmov)
	ROW(FCMOVU, fcmov)
	ROW(FCMOVNU, fcmov)
};
const struct xop_table xops_x87_mov = { ops, RV_ARRAY_LEN(ops) };
