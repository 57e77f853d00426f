/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 arithmetic and compares. Each operation runs on the host's x87 under
 * the guest's own control word, masks included: a host exception that is
 * unmasked stays pending, is read with FNSTSW and discarded with FNCLEX before
 * the next waiting instruction could report it. So precision and rounding
 * control, the scaled results of unmasked overflow and underflow, and C1 are
 * what hardware gives; the masked answers are IEEE and one on every host.
 * FPREM's partial step is the exception, see partial_remainder().
 */
#include "x87.h"

#define HOST_CW FCW_INIT

/* a is the destination operand, b the other one; the result stands in ST(0). */
#define HOST_ST(name, insn)                                                                        \
	static unsigned host_##name(unsigned cw, struct x87_m80 a, struct x87_m80 b,               \
				    struct x87_m80 *r)                                             \
	{                                                                                          \
		const uint16_t guest = (uint16_t)cw, home = HOST_CW;                               \
		uint16_t sw;                                                                       \
		__asm__ volatile("fnclex\n\tfldcw %[cw]\n\tfldt %[b]\n\tfldt %[a]\n\t" insn        \
				 "\n\tfnstsw %[sw]\n\tfnclex\n\tfstpt %[r]\n\tfstp %%st(0)\n\t"    \
				 "fldcw %[home]"                                                   \
				 : [r] "=m"(*r), [sw] "=m"(sw)                                     \
				 : [a] "m"(a), [b] "m"(b), [cw] "m"(guest), [home] "m"(home)       \
				 : "st", "st(1)");                                                 \
		return sw;                                                                         \
	}
#define HOST_MEM(name, insn, type)                                                                 \
	static unsigned host_##name(unsigned cw, struct x87_m80 a, type b, struct x87_m80 *r)      \
	{                                                                                          \
		const uint16_t guest = (uint16_t)cw, home = HOST_CW;                               \
		uint16_t sw;                                                                       \
		__asm__ volatile("fnclex\n\tfldcw %[cw]\n\tfldt %[a]\n\t" insn                     \
				 " %[b]\n\tfnstsw %[sw]\n\tfnclex\n\tfstpt %[r]\n\t"               \
				 "fldcw %[home]"                                                   \
				 : [r] "=m"(*r), [sw] "=m"(sw)                                     \
				 : [a] "m"(a), [b] "m"(b), [cw] "m"(guest), [home] "m"(home)       \
				 : "st");                                                          \
		return sw;                                                                         \
	}

static inline struct x87_m80 get(struct xcpu *c, unsigned i)
{
	return x87_to_m80(*x87_st(c, i));
}

/* d->reg: destination; d->rm: the other register; d->aux: pops. */
static void finish(struct xcpu *c, const struct dinsn *d, unsigned dst, unsigned sw,
		   struct x87_m80 r)
{
	unsigned flags = sw & FSW_EXC;

	x87_pointers(c, d);
	x87_flags(c, flags, FSW_C1, flags & FSW_PE ? sw : 0);
	if (unlikely(x87_unmasked(c, flags & FSW_PRE)))
		return;
	x87_set(c, dst, x87_from_m80(r));
	for (unsigned i = 0; i < d->aux; i++)
		x87_pop(c);
}

static void empty_operand(struct xcpu *c, const struct dinsn *d, unsigned dst)
{
	x87_pointers(c, d);
	if (x87_underflow(c))
		return;
	x87_set(c, dst, x87_indefinite());
	for (unsigned i = 0; i < d->aux; i++)
		x87_pop(c);
}

static uint32_t load_32(struct xcpu *c, const struct dinsn *d)
{
	return xmem_read32(c, d->seg, xea(c, d, 4, XACC_READ));
}

static uint64_t load_64(struct xcpu *c, const struct dinsn *d)
{
	return xmem_read64(c, d->seg, xea(c, d, 8, XACC_READ));
}

static uint16_t load_16(struct xcpu *c, const struct dinsn *d)
{
	return xmem_read16(c, d->seg, xea(c, d, 2, XACC_READ));
}

#define ARITH_MEM(name, insn, type, load)                                                          \
	HOST_MEM(name, insn, type)                                                                 \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		struct x87_m80 r;                                                                  \
		unsigned sw;                                                                       \
		type b;                                                                            \
		x87_check(c);                                                                      \
		b = load(c, d);                                                                    \
		if (unlikely(x87_empty(c, 0))) {                                                   \
			empty_operand(c, d, 0);                                                    \
			return;                                                                    \
		}                                                                                  \
		sw = host_##name(c->s.fcw, get(c, 0), b, &r);                                      \
		finish(c, d, 0, sw, r);                                                            \
	}
#define ARITH_ST(name, insn)                                                                       \
	HOST_ST(name, insn)                                                                        \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		struct x87_m80 r;                                                                  \
		unsigned sw;                                                                       \
		x87_check(c);                                                                      \
		if (unlikely(x87_empty(c, d->reg) || x87_empty(c, d->rm))) {                       \
			empty_operand(c, d, d->reg);                                               \
			return;                                                                    \
		}                                                                                  \
		sw = host_##name(c->s.fcw, get(c, d->reg), get(c, d->rm), &r);                     \
		finish(c, d, d->reg, sw, r);                                                       \
	}

static unsigned st_number(const ZydisDecodedOperand *o)
{
	return (unsigned)(o->reg.value - ZYDIS_REGISTER_ST0) & 7u;
}

/* Destination and source as the assembler writes them, absent ones as the manual implies them. */
static void bind_st(const struct xinsn *z, struct dinsn *d, unsigned dst, unsigned src, unsigned pops)
{
	unsigned regs[2], n = 0;

	for (unsigned i = 0; i < z->insn.operand_count && n < 2; i++)
		if (z->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    z->op[i].reg.value >= ZYDIS_REGISTER_ST0 &&
		    z->op[i].reg.value <= ZYDIS_REGISTER_ST7)
			regs[n++] = st_number(&z->op[i]);
	d->reg = (uint8_t)(n == 2 ? regs[0] : dst);
	d->rm = (uint8_t)(n == 2 ? regs[1] : src);
	d->aux = (uint16_t)pops;
}

#define ARITH(U, l)                                                                                \
	ARITH_ST(l, "f" #l " %%st(1),%%st")                                                        \
	ARITH_MEM(l##_m32, "f" #l "s", uint32_t, load_32)                                          \
	ARITH_MEM(l##_m64, "f" #l "l", uint64_t, load_64)                                          \
	ARITH_MEM(l##_i16, "fi" #l "s", uint16_t, load_16)                                         \
	ARITH_MEM(l##_i32, "fi" #l "l", uint32_t, load_32)                                         \
	static xop_fn bind_f##l(const struct xinsn *z, struct dinsn *d)                            \
	{                                                                                          \
		bind_st(z, d, 0, 1, 0);                                                            \
		if (!(d->flags & XD_MEM))                                                          \
			return x_##l;                                                              \
		return z->op[0].size == 64 || z->op[1].size == 64 ? x_##l##_m64 : x_##l##_m32;     \
	}                                                                                          \
	static xop_fn bind_f##l##p(const struct xinsn *z, struct dinsn *d)                         \
	{                                                                                          \
		bind_st(z, d, 1, 0, 1);                                                            \
		return x_##l;                                                                      \
	}                                                                                          \
	static xop_fn bind_fi##l(const struct xinsn *z, struct dinsn *d)                           \
	{                                                                                          \
		bind_st(z, d, 0, 1, 0);                                                            \
		return z->insn.opcode == 0xde ? x_##l##_i16 : x_##l##_i32;                         \
	}
#define ARITHS(X)                                                                                  \
	X(ADD, add) X(SUB, sub) X(SUBR, subr) X(MUL, mul) X(DIV, div) X(DIVR, divr)
ARITHS(ARITH)

/* ---- one or two operands on top of the stack, result in ST(0) ---- */
#define UNARY(name)                                                                                \
	HOST_ST(name, #name)                                                                       \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		struct x87_m80 r;                                                                  \
		unsigned sw;                                                                       \
		x87_check(c);                                                                      \
		if (unlikely(x87_empty(c, 0))) {                                                   \
			empty_operand(c, d, 0);                                                    \
			return;                                                                    \
		}                                                                                  \
		sw = host_##name(c->s.fcw, get(c, 0), get(c, 0), &r);                              \
		finish(c, d, 0, sw, r);                                                            \
	}
UNARY(fsqrt)
UNARY(frndint)

ARITH_ST(fscale, "fscale")

/* FXTRACT: masked on the host, since an unmasked zero divide would not push there. */
static void x_fxtract(struct xcpu *c, const struct dinsn *d)
{
	const uint16_t guest = FCW_INIT;
	struct x87_m80 a, sig, exp;
	unsigned flags;
	uint16_t sw;

	x87_check(c);
	if (x87_empty(c, 0) || !x87_empty(c, 7)) {
		unsigned c1 = x87_empty(c, 0) ? 0 : FSW_C1;

		x87_pointers(c, d);
		x87_flags(c, FSW_IE | FSW_SF, FSW_C1, c1);
		if (x87_unmasked(c, FSW_IE))
			return;
		x87_set(c, 0, x87_indefinite());
		x87_top_add(c, 7);
		x87_set(c, 0, x87_indefinite());
		return;
	}
	a = get(c, 0);
	__asm__ volatile("fnclex\n\tfldcw %[cw]\n\tfldt %[a]\n\tfxtract\n\tfnstsw %[sw]\n\tfnclex\n\t"
			 "fstpt %[sig]\n\tfstpt %[exp]"
			 : [sig] "=m"(sig), [exp] "=m"(exp), [sw] "=m"(sw)
			 : [a] "m"(a), [cw] "m"(guest)
			 : "st", "st(1)");
	flags = sw & FSW_EXC;
	x87_pointers(c, d);
	x87_flags(c, flags, FSW_C1, 0);
	if (x87_unmasked(c, flags))
		return;
	x87_set(c, 0, x87_from_m80(exp));
	x87_top_add(c, 7);
	x87_set(c, 0, x87_from_m80(sig));
}

/* ---- remainders ---- */
HOST_ST(fprem, "fprem")
HOST_ST(fprem1, "fprem1")

/* Exponent of a finite non-zero value as if it were normalised. */
static int true_exponent(struct cpu_f80 v)
{
	int e = v.sexp & 0x7fff;

	return (e ? e : 1) - __builtin_clzll(v.mant);
}

/*
 * The SDM lets a step with exponents D >= 64 apart reduce them by any N of
 * 32 to 63, and CPUs differ. Here N = 32 + D mod 32, as Intel's do: the step
 * is the exact remainder by the divisor scaled up to N bits below the
 * dividend. True if the step is partial; *b is then the scaled divisor.
 */
static bool partial_remainder(struct cpu_f80 a, struct cpu_f80 *b)
{
	int ea, diff, e, shift;

	if ((a.sexp & 0x7fff) == 0x7fff || (b->sexp & 0x7fff) == 0x7fff || !a.mant || !b->mant)
		return false;
	if (((a.sexp & 0x7fff) && !(a.mant >> 63)) || ((b->sexp & 0x7fff) && !(b->mant >> 63)))
		return false; /* unsupported encodings: invalid */
	ea = true_exponent(a);
	diff = ea - true_exponent(*b);
	if (diff < 64)
		return false;
	e = ea - (32 + diff % 32);
	shift = __builtin_clzll(b->mant);
	b->mant <<= shift;
	if (e <= 0) { /* still denormal; what falls off is what the shift brought in */
		b->mant >>= 1 - e;
		e = 0;
	}
	b->sexp = (uint16_t)((b->sexp & 0x8000) | e);
	return true;
}

static void remainder_step(struct xcpu *c, const struct dinsn *d, bool nearest)
{
	struct cpu_f80 a, b;
	struct x87_m80 r;
	bool partial;
	unsigned sw, denormal;

	x87_check(c);
	if (unlikely(x87_empty(c, 0) || x87_empty(c, 1))) {
		empty_operand(c, d, 0);
		return;
	}
	a = *x87_st(c, 0);
	b = *x87_st(c, 1);
	denormal = !(b.sexp & 0x7fff) && b.mant ? FSW_DE : 0;
	partial = partial_remainder(a, &b);
	if (partial) /* the denormal divisor may have been scaled to a normal one */
		sw = host_fprem(c->s.fcw, x87_to_m80(a), x87_to_m80(b), &r) | denormal;
	else if (nearest)
		sw = host_fprem1(c->s.fcw, x87_to_m80(a), x87_to_m80(b), &r);
	else
		sw = host_fprem(c->s.fcw, x87_to_m80(a), x87_to_m80(b), &r);
	x87_pointers(c, d);
	if (partial)
		sw = (sw & ~FSW_CC) | FSW_C2;
	/* Without a quotient C0 and C3 stay what they were. */
	if ((sw & FSW_IE) || (x87_from_m80(r).sexp & 0x7fff) == 0x7fff)
		x87_flags(c, sw & FSW_EXC, FSW_C1 | FSW_C2, 0);
	else
		x87_flags(c, sw & FSW_EXC, FSW_CC, sw);
	if (!x87_unmasked(c, sw & FSW_PRE))
		x87_set(c, 0, x87_from_m80(r));
}

static void x_fprem(struct xcpu *c, const struct dinsn *d)
{
	remainder_step(c, d, false);
}

static void x_fprem1(struct xcpu *c, const struct dinsn *d)
{
	remainder_step(c, d, true);
}

/* ---- compares: C3 C2 C0 ---- */
static void compare_done(struct xcpu *c, const struct dinsn *d, unsigned sw)
{
	unsigned flags = sw & FSW_EXC;

	x87_pointers(c, d);
	if (unlikely(x87_unmasked(c, flags))) {
		x87_flags(c, flags, FSW_C1, 0);
		return;
	}
	x87_flags(c, flags, FSW_CC, sw & ~FSW_C1);
	for (unsigned i = 0; i < d->aux; i++)
		x87_pop(c);
}

static void compare_empty(struct xcpu *c, const struct dinsn *d)
{
	x87_pointers(c, d);
	if (x87_underflow(c))
		return;
	x87_flags(c, 0, FSW_CC, FSW_C0 | FSW_C2 | FSW_C3);
	for (unsigned i = 0; i < d->aux; i++)
		x87_pop(c);
}

#define COMPARE_MEM(name, insn, type, load)                                                        \
	HOST_MEM(name, insn, type)                                                                 \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		struct x87_m80 r;                                                                  \
		type b;                                                                            \
		x87_check(c);                                                                      \
		b = load(c, d);                                                                    \
		if (unlikely(x87_empty(c, 0)))                                                     \
			compare_empty(c, d);                                                       \
		else                                                                               \
			compare_done(c, d, host_##name(c->s.fcw, get(c, 0), b, &r));               \
	}
#define COMPARE_ST(name, insn)                                                                     \
	HOST_ST(name, insn)                                                                        \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		struct x87_m80 r;                                                                  \
		x87_check(c);                                                                      \
		if (unlikely(x87_empty(c, 0) || x87_empty(c, d->rm)))                              \
			compare_empty(c, d);                                                       \
		else                                                                               \
			compare_done(c, d, host_##name(c->s.fcw, get(c, 0), get(c, d->rm), &r));   \
	}
COMPARE_ST(fcom, "fcom %%st(1)")
COMPARE_ST(fucom, "fucom %%st(1)")
COMPARE_ST(ftst, "ftst")
COMPARE_MEM(fcom_m32, "fcoms", uint32_t, load_32)
COMPARE_MEM(fcom_m64, "fcoml", uint64_t, load_64)
COMPARE_MEM(ficom_i16, "ficoms", uint16_t, load_16)
COMPARE_MEM(ficom_i32, "ficoml", uint32_t, load_32)

/* FCOMI and relatives: ZF PF CF instead; OF SF AF cleared (SDM vol. 2, FCOMI). */
static void compare_rflags(struct xcpu *c, const struct dinsn *d, bool unordered)
{
	struct x87_m80 r;
	unsigned sw;

	x87_check(c);
	x87_pointers(c, d);
	if (unlikely(x87_empty(c, 0) || x87_empty(c, d->rm))) {
		if (x87_underflow(c))
			return;
		sw = FSW_C0 | FSW_C2 | FSW_C3;
	} else {
		sw = unordered ? host_fucom(c->s.fcw, get(c, 0), get(c, d->rm), &r)
			       : host_fcom(c->s.fcw, get(c, 0), get(c, d->rm), &r);
		x87_flags(c, sw & FSW_EXC, FSW_C1, 0);
		if (unlikely(x87_unmasked(c, sw & FSW_EXC)))
			return;
	}
	c->fl = (sw & FSW_C0 ? XF_CF : 0) | (sw & FSW_C2 ? XF_PF : 0) | (sw & FSW_C3 ? XF_ZF : 0);
	if (d->aux)
		x87_pop(c);
}

static void x_fcomi(struct xcpu *c, const struct dinsn *d)
{
	compare_rflags(c, d, false);
}

static void x_fucomi(struct xcpu *c, const struct dinsn *d)
{
	compare_rflags(c, d, true);
}

/* The other operand of a register compare is ModRM.rm, or ST(1) of FCOMPP. */
#define BIND_COMPARE(name, fn, pops)                                                               \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		d->rm = z->insn.raw.modrm.rm;                                                      \
		d->aux = pops;                                                                     \
		return fn;                                                                         \
	}
#define BIND_FCOM(name, pops)                                                                      \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		d->rm = z->insn.raw.modrm.rm;                                                      \
		d->aux = pops;                                                                     \
		if (!(d->flags & XD_MEM))                                                          \
			return x_fcom;                                                             \
		return z->insn.opcode == 0xdc ? x_fcom_m64 : x_fcom_m32;                           \
	}
#define BIND_FICOM(name, pops)                                                                     \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		d->aux = pops;                                                                     \
		return z->insn.opcode == 0xde ? x_ficom_i16 : x_ficom_i32;                         \
	}
BIND_FCOM(fcom, 0)
BIND_FCOM(fcomp, 1)
BIND_FICOM(ficom, 0)
BIND_FICOM(ficomp, 1)
BIND_COMPARE(fucom, x_fucom, 0)
BIND_COMPARE(fucomp, x_fucom, 1)
BIND_COMPARE(fcompp, x_fcom, 2)
BIND_COMPARE(fucompp, x_fucom, 2)
BIND_COMPARE(fcomi, x_fcomi, 0)
BIND_COMPARE(fcomip, x_fcomi, 1)
BIND_COMPARE(fucomi, x_fucomi, 0)
BIND_COMPARE(fucomip, x_fucomi, 1)

/* FTST compares with 0.0: the host's second operand plays no part. */
static xop_fn bind_ftst(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	d->rm = 0;
	d->aux = 0;
	return x_ftst;
}

#define BIND_STACK(name)                                                                           \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		(void)z;                                                                           \
		d->reg = 0;                                                                        \
		d->rm = 1;                                                                         \
		d->aux = 0;                                                                        \
		return x_##name;                                                                   \
	}
BIND_STACK(fsqrt)
BIND_STACK(frndint)
BIND_STACK(fscale)
BIND_STACK(fxtract)
BIND_STACK(fprem)
BIND_STACK(fprem1)

#define ROW_ARITH(U, l)                                                                            \
	{ ZYDIS_MNEMONIC_F##U, 0, bind_f##l },                                                     \
	{ ZYDIS_MNEMONIC_F##U##P, 0, bind_f##l##p },                                               \
	{ ZYDIS_MNEMONIC_FI##U, 0, bind_fi##l },
#define ROW(U, l) { ZYDIS_MNEMONIC_##U, 0, bind_##l },
static const struct xop ops[] = {
	ARITHS(ROW_ARITH)
	ROW(FCOM, fcom)
	ROW(FCOMP, fcomp)
	ROW(FCOMPP, fcompp)
	ROW(FUCOM, fucom)
	ROW(FUCOMP, fucomp)
	ROW(FUCOMPP, fucompp)
	ROW(FICOM, ficom)
	ROW(FICOMP, ficomp)
	ROW(FCOMI, fcomi)
	ROW(FCOMIP, fcomip)
	ROW(FUCOMI, fucomi)
	ROW(FUCOMIP, fucomip)
	ROW(FTST, ftst)
	ROW(FSQRT, fsqrt)
	ROW(FRNDINT, frndint)
	ROW(FSCALE, fscale)
	ROW(FXTRACT, fxtract)
	ROW(FPREM, fprem)
	ROW(FPREM1, fprem1)
};
const struct xop_table xops_x87_arith = { ops, RV_ARRAY_LEN(ops) };
