/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of the x87 transcendentals: stack, flags and delivery around
 * x87_trans.c.
 */
#include "x87.h"
#include "x87_trans.h"

/* C1 of the result, C2 = 0; false if an unmasked exception keeps the result back. */
static bool flags_done(struct xcpu *c, const struct dinsn *d, unsigned flags, unsigned cc)
{
	x87_pointers(c, d);
	x87_flags(c, flags & FSW_EXC, cc, flags & FSW_C1);
	return !x87_unmasked(c, flags & FSW_PRE);
}

static bool out_of_range(struct xcpu *c, const struct dinsn *d, unsigned flags)
{
	if (!(flags & FSW_C2))
		return false;
	x87_pointers(c, d);
	x87_flags(c, 0, FSW_C1 | FSW_C2, FSW_C2);
	return true;
}

#define ONE_OPERAND(name, fn, cc)                                                                  \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		struct cpu_f80 r = { 0 };                                                          \
		unsigned flags;                                                                    \
		x87_check(c);                                                                      \
		if (x87_empty(c, 0)) {                                                             \
			x87_pointers(c, d);                                                        \
			if (!x87_underflow(c))                                                     \
				x87_set(c, 0, x87_indefinite());                                   \
			return;                                                                    \
		}                                                                                  \
		flags = fn(c->s.fcw, *x87_st(c, 0), &r);                                           \
		if (!out_of_range(c, d, flags) && flags_done(c, d, flags, cc))                     \
			x87_set(c, 0, r);                                                          \
	}
ONE_OPERAND(fsin, x87_trans_sin, FSW_C1 | FSW_C2)
ONE_OPERAND(fcos, x87_trans_cos, FSW_C1 | FSW_C2)
ONE_OPERAND(f2xm1, x87_trans_2xm1, FSW_C1)

/* Two results: the first replaces ST(0), the second is pushed. Both stack faults are answered with
 * the indefinite twice. True: answered. */
static bool push_fault(struct xcpu *c, const struct dinsn *d)
{
	bool under = x87_empty(c, 0);

	if (!under && x87_empty(c, 7))
		return false;
	x87_pointers(c, d);
	x87_flags(c, FSW_IE | FSW_SF, FSW_C1, under ? 0 : FSW_C1);
	if (!x87_unmasked(c, FSW_IE)) {
		x87_set(c, 0, x87_indefinite());
		x87_top_add(c, 7);
		x87_set(c, 0, x87_indefinite());
	}
	return true;
}

static void x_fsincos(struct xcpu *c, const struct dinsn *d)
{
	struct cpu_f80 sine = { 0 }, cosine = { 0 };
	unsigned flags;

	x87_check(c);
	if (push_fault(c, d))
		return;
	flags = x87_trans_sincos(c->s.fcw, *x87_st(c, 0), &sine, &cosine);
	if (out_of_range(c, d, flags) || !flags_done(c, d, flags, FSW_C1 | FSW_C2))
		return;
	x87_set(c, 0, sine);
	x87_top_add(c, 7);
	x87_set(c, 0, cosine);
}

/* FPTAN pushes 1.0 above the tangent, or the NaN once more. */
static void x_fptan(struct xcpu *c, const struct dinsn *d)
{
	struct cpu_f80 r = { 0 }, above = { 1ull << 63, 16383 };
	unsigned flags;

	x87_check(c);
	if (push_fault(c, d))
		return;
	flags = x87_trans_tan(c->s.fcw, *x87_st(c, 0), &r);
	if (out_of_range(c, d, flags) || !flags_done(c, d, flags, FSW_C1 | FSW_C2))
		return;
	if ((r.sexp & 0x7fff) == 0x7fff)
		above = r;
	x87_set(c, 0, r);
	x87_top_add(c, 7);
	x87_set(c, 0, above);
}

/* ST(1) is replaced and the stack popped. */
#define TWO_OPERANDS(name, fn)                                                                     \
	static void x_##name(struct xcpu *c, const struct dinsn *d)                                \
	{                                                                                          \
		struct cpu_f80 r = { 0 };                                                          \
		unsigned flags;                                                                    \
		x87_check(c);                                                                      \
		if (x87_empty(c, 0) || x87_empty(c, 1)) {                                          \
			x87_pointers(c, d);                                                        \
			if (x87_underflow(c))                                                      \
				return;                                                            \
			x87_set(c, 1, x87_indefinite());                                           \
			x87_pop(c);                                                                \
			return;                                                                    \
		}                                                                                  \
		flags = fn(c->s.fcw, *x87_st(c, 1), *x87_st(c, 0), &r);                            \
		if (!flags_done(c, d, flags, FSW_C1))                                              \
			return;                                                                    \
		x87_set(c, 1, r);                                                                  \
		x87_pop(c);                                                                        \
	}
TWO_OPERANDS(fpatan, x87_trans_atan2)
TWO_OPERANDS(fyl2x, x87_trans_yl2x)
TWO_OPERANDS(fyl2xp1, x87_trans_yl2xp1)

#define ALL(X)                                                                                     \
	X(FSIN, fsin) X(FCOS, fcos) X(FSINCOS, fsincos) X(FPTAN, fptan) X(FPATAN, fpatan)          \
	X(F2XM1, f2xm1) X(FYL2X, fyl2x) X(FYL2XP1, fyl2xp1)
#define BIND(U, l)                                                                                 \
	static xop_fn bind_##l(const struct xinsn *z, struct dinsn *d)                             \
	{                                                                                          \
		(void)z;                                                                           \
		(void)d;                                                                           \
		return x_##l;                                                                      \
	}
#define ROW(U, l) { ZYDIS_MNEMONIC_##U, 0, bind_##l },
ALL(BIND)

static const struct xop ops[] = { ALL(ROW) };
const struct xop_table xops_x87_trans = { ops, RV_ARRAY_LEN(ops) };
