/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE4.2 string compares, from the pseudo-code of SDM vol. 2, 4.1: compare
 * every pair of elements, override pairs beyond either end, aggregate, apply
 * polarity, then deliver an index or a mask.
 */
#include "sse.h"

enum { STR_EQUAL_ANY, STR_RANGES, STR_EQUAL_EACH, STR_EQUAL_ORDERED };

struct str_result {
	uint32_t bits;  /* IntRes2 */
	uint32_t flags; /* XF_* */
	unsigned n;     /* elements: 16 or 8 */
};

static int32_t element(const union xlanes *v, unsigned i, unsigned imm)
{
	if (imm & 1)
		return imm & 2 ? (int16_t)v->w[i] : v->w[i];
	return imm & 2 ? (int8_t)v->b[i] : v->b[i];
}

/* Explicit length: the absolute value, saturated. */
static unsigned length_explicit(uint64_t reg, bool wide, unsigned n)
{
	int64_t v = wide ? (int64_t)reg : (int32_t)(uint32_t)reg;
	uint64_t mag = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	return mag > n ? n : (unsigned)mag;
}

static unsigned length_implicit(const union xlanes *v, unsigned n, unsigned imm)
{
	unsigned i = 0;

	while (i < n && element(v, i, imm) != 0)
		i++;
	return i;
}

static struct str_result compare(const union xlanes *a, const union xlanes *b, unsigned la,
				 unsigned lb, unsigned imm)
{
	unsigned n = imm & 1 ? 8 : 16, i, j;
	uint32_t all = (1u << n) - 1, res = 0, valid_b = (1u << lb) - 1;
	struct str_result r;

	switch (imm >> 2 & 3) {
	case STR_EQUAL_ANY:
		for (j = 0; j < lb; j++)
			for (i = 0; i < la; i++)
				if (element(a, i, imm) == element(b, j, imm))
					res |= 1u << j;
		break;
	case STR_RANGES: /* pairs low, high; a pair with only its low end is no range */
		for (j = 0; j < lb; j++)
			for (i = 0; i + 1 < la; i += 2)
				if (element(b, j, imm) >= element(a, i, imm) &&
				    element(b, j, imm) <= element(a, i + 1, imm))
					res |= 1u << j;
		break;
	case STR_EQUAL_EACH: /* both ended: equal; one ended: different */
		for (j = 0; j < n; j++)
			if (j < la && j < lb ? element(a, j, imm) == element(b, j, imm)
					     : j >= la && j >= lb)
				res |= 1u << j;
		break;
	default: /* STR_EQUAL_ORDERED: a is looked for in b, and may run over the register's end */
		for (j = 0; j < n; j++) {
			bool match = true;

			for (i = 0; i < la && j + i < n && match; i++)
				match = j + i < lb && element(a, i, imm) == element(b, j + i, imm);
			if (match)
				res |= 1u << j;
		}
		break;
	}
	if (imm & 0x10) /* negative polarity, masked: only b's own elements */
		res ^= imm & 0x20 ? valid_b : all;
	r.bits = res;
	r.n = n;
	r.flags = (res ? XF_CF : 0) | (lb < n ? XF_ZF : 0) | (la < n ? XF_SF : 0) |
		  (res & 1 ? XF_OF : 0);
	return r;
}

static struct str_result run(struct xcpu *c, const struct dinsn *d, bool explicit_length)
{
	unsigned imm = (unsigned)d->imm, n = imm & 1 ? 8 : 16, la, lb;
	bool wide = d->size == 8;
	union xlanes a, b;

	sse_check(c);
	b.v = d->flags & XD_MEM ? sse_load_u(c, d) : sse_get(c, d->rm);
	a.v = sse_get(c, d->reg);
	if (explicit_length) {
		la = length_explicit(c->r[CPU_RAX], wide, n);
		lb = length_explicit(c->r[CPU_RDX], wide, n);
	} else {
		la = length_implicit(&a, n, imm);
		lb = length_implicit(&b, n, imm);
	}
	return compare(&a, &b, la, lb, imm);
}

static void deliver_index(struct xcpu *c, const struct dinsn *d, struct str_result r)
{
	unsigned i = r.n;

	if (r.bits)
		i = d->imm & 0x40 ? 31u - (unsigned)__builtin_clz(r.bits)
				  : (unsigned)__builtin_ctz(r.bits);
	c->r[CPU_RCX] = i;
	c->fl = r.flags;
}

static void deliver_mask(struct xcpu *c, const struct dinsn *d, struct str_result r)
{
	union xlanes m = { .q = { 0, 0 } };

	if (d->imm & 0x40) {
		for (unsigned i = 0; i < r.n; i++) {
			if (r.n == 8)
				m.w[i] = r.bits >> i & 1 ? 0xffff : 0;
			else
				m.b[i] = r.bits >> i & 1 ? 0xff : 0;
		}
	} else {
		m.q[0] = r.bits;
	}
	sse_set(c, 0, m.v);
	c->fl = r.flags;
}

static void x_pcmpestri(struct xcpu *c, const struct dinsn *d)
{
	deliver_index(c, d, run(c, d, true));
}

static void x_pcmpestrm(struct xcpu *c, const struct dinsn *d)
{
	deliver_mask(c, d, run(c, d, true));
}

static void x_pcmpistri(struct xcpu *c, const struct dinsn *d)
{
	deliver_index(c, d, run(c, d, false));
}

static void x_pcmpistrm(struct xcpu *c, const struct dinsn *d)
{
	deliver_mask(c, d, run(c, d, false));
}

/* REX.W makes the lengths RAX and RDX. */
#define BIND(name)                                                                                 \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		d->size = z->insn.raw.rex.W ? 8 : 4;                                               \
		return sse_bind_rm(z, d, x_##name, x_##name);                                      \
	}
BIND(pcmpestri)
BIND(pcmpestrm)
BIND(pcmpistri)
BIND(pcmpistrm)

static const struct xop ops[] = {
	{ ZYDIS_MNEMONIC_PCMPESTRI, 0, bind_pcmpestri },
	{ ZYDIS_MNEMONIC_PCMPESTRM, 0, bind_pcmpestrm },
	{ ZYDIS_MNEMONIC_PCMPISTRI, 0, bind_pcmpistri },
	{ ZYDIS_MNEMONIC_PCMPISTRM, 0, bind_pcmpistrm },
};
const struct xop_table xops_sse_str = { ops, RV_ARRAY_LEN(ops) };
