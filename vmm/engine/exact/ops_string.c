/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MOVS STOS LODS SCAS CMPS INS OUTS, alone and repeated.
 *
 * Each iteration is one step of icount, and so is a REP with count 0. A body
 * does up to c->until - c->icount iterations: after each but its last one it
 * moves c->icount itself (the loop adds the last), and when iterations remain
 * it sets the next RIP back to the instruction. Registers, flags and icount
 * are exact at every iteration, so a fault or a device access in the middle
 * sees the state between two iterations, and where a batch ends does not show.
 *
 * MOVS and STOS within a page go at once, where the software TLB maps source
 * and destination directly: such memory has no watchers.
 */
#include "ops_int.h"

#include <string.h>

#include "bus/bus.h"

#define STR_INLINE static inline __attribute__((always_inline))

/* One iteration; false: the ZF condition of REPE/REPNE ends the repetition. */
typedef bool (*str_step)(struct xcpu *c, const struct dinsn *d);
/* Up to `limit` iterations at once: how many were done (0: take single steps), RSI and RDI moved. */
typedef uint64_t (*str_bulk)(struct xcpu *c, const struct dinsn *d, uint64_t limit);

STR_INLINE uint64_t str_count(const struct xcpu *c, const struct dinsn *d)
{
	uint64_t n = c->r[CPU_RCX];

	if (likely(d->asize == 8))
		return n;
	return d->asize == 4 ? (uint32_t)n : (uint16_t)n;
}

STR_INLINE void str_set(struct xcpu *c, const struct dinsn *d, unsigned reg, uint64_t v)
{
	if (likely(d->asize == 8))
		c->r[reg] = v;
	else if (d->asize == 4)
		c->r[reg] = (uint32_t)v;
	else
		XREG16(c, reg) = (uint16_t)v;
}

STR_INLINE bool str_backwards(const struct xcpu *c)
{
	return c->s.rflags & RFLAGS_DF;
}

STR_INLINE void str_advance(struct xcpu *c, const struct dinsn *d, unsigned reg, unsigned size)
{
	str_set(c, d, reg, str_backwards(c) ? c->r[reg] - size : c->r[reg] + size);
}

STR_INLINE uint64_t str_src(struct xcpu *c, const struct dinsn *d, unsigned size)
{
	if (likely(d->ea == 0))
		return c->r[CPU_RSI];
	return xseg_linear(c, d->seg, c->r[CPU_RSI], d->asize, size, XACC_READ);
}

/* Always ES: no override (SDM vol. 2, MOVS). */
STR_INLINE uint64_t str_dst(struct xcpu *c, const struct dinsn *d, unsigned size, enum xaccess acc)
{
	if (likely(d->ea == 0))
		return c->r[CPU_RDI];
	return xseg_linear(c, CPU_ES, c->r[CPU_RDI], d->asize, size, acc);
}

STR_INLINE void str_run(struct xcpu *c, const struct dinsn *d, str_step step, str_bulk bulk)
{
	uint64_t n, room;

	if (!(d->flags & (XD_REP | XD_REPNE))) {
		(void)step(c, d);
		return;
	}
	n = str_count(c, d);
	if (!n)
		return;
	/* Under TF each iteration traps (SDM vol. 3, 17.3.1.2). */
	room = c->until > c->icount && !(c->s.rflags & RFLAGS_TF) ? c->until - c->icount : 1;
	for (;;) {
		uint64_t done = bulk ? bulk(c, d, n < room ? n : room) : 0;
		bool more = true;

		if (!done) {
			more = step(c, d);
			done = 1;
		}
		n -= done;
		room -= done;
		str_set(c, d, CPU_RCX, n);
		c->icount += done - 1;
		if (!n || !more)
			return;
		if (!room || c->leave) {
			c->r[XR_NEXT] = c->rip;
			return;
		}
		c->icount++;
	}
}

/* Elements of `size` bytes from lin to the end of its page, if the entry maps them. */
STR_INLINE uint64_t str_mapped(const struct xtlb_entry *table, uint64_t lin, unsigned size)
{
	if ((lin ^ table[xtlb_index(lin)].tag) > RV_PAGE_SIZE - size)
		return 0;
	return (RV_PAGE_SIZE - (lin & (RV_PAGE_SIZE - 1))) / size;
}

STR_INLINE uint8_t *str_host(const struct xtlb_entry *table, uint64_t lin)
{
	const struct xtlb_entry *e = &table[xtlb_index(lin)];
	return (uint8_t *)((lin ^ e->tag) + e->host);
}

STR_INLINE uint64_t str_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

STR_INLINE uint64_t movs_bulk(struct xcpu *c, const struct dinsn *d, uint64_t limit, unsigned size)
{
	uint64_t si = c->r[CPU_RSI], di = c->r[CPU_RDI], n, len;
	uint8_t *s, *t;

	if (d->ea || str_backwards(c))
		return 0;
	n = str_min(limit, str_min(str_mapped(c->rd, si, size), str_mapped(c->wr, di, size)));
	if (n < 2)
		return 0;
	len = n * size;
	s = str_host(c->rd, si);
	t = str_host(c->wr, di);
	/* Host addresses, since two linear pages may be the same RAM. A destination that starts inside
	 * the source repeats what was just written, element by element. */
	if (t <= s || t >= s + len) {
		memmove(t, s, len);
	} else {
		for (uint64_t i = 0; i < len; i += size) {
			uint64_t v = 0;
			memcpy(&v, s + i, size);
			memcpy(t + i, &v, size);
		}
	}
	c->r[CPU_RSI] = si + len;
	c->r[CPU_RDI] = di + len;
	return n;
}

STR_INLINE uint64_t stos_bulk(struct xcpu *c, const struct dinsn *d, uint64_t limit, unsigned size)
{
	uint64_t di = c->r[CPU_RDI], v = c->r[ACC], n, len;
	uint8_t *t;

	if (d->ea || str_backwards(c))
		return 0;
	n = str_min(limit, str_mapped(c->wr, di, size));
	if (n < 2)
		return 0;
	len = n * size;
	t = str_host(c->wr, di);
	if (size == 1 || v == 0)
		memset(t, (int)(v & 0xff), len);
	else
		for (uint64_t i = 0; i < len; i += size)
			memcpy(t + i, &v, size);
	c->r[CPU_RDI] = di + len;
	return n;
}

/* CMPS and SCAS: the flags of a - b. */
#define STR_CMP(bits)                                                                              \
	STR_INLINE void str_cmp##bits(struct xcpu *c, uint##bits##_t a, uint##bits##_t b)          \
	{                                                                                          \
		uint32_t f;                                                                        \
		__asm__("cmp %[b], %[a]\n\tlahf\n\tseto %%al"                                      \
			: "=a"(f)                                                                  \
			: [a] "r"(a), [b] "r"(b), "0"(0u)                                          \
			: "cc");                                                                   \
		c->fl = f & XF_ALL;                                                                \
	}

/* Does ZF as it is now let REPE (F3) or REPNE (F2) go on? */
STR_INLINE bool str_zf_goes_on(const struct xcpu *c, const struct dinsn *d)
{
	return !(c->fl & XF_ZF) == !(d->flags & XD_REP);
}

#define STR_STEPS(bits)                                                                            \
	STR_CMP(bits)                                                                              \
	STR_INLINE bool movs##bits(struct xcpu *c, const struct dinsn *d)                          \
	{                                                                                          \
		uint64_t s = str_src(c, d, bits / 8), t = str_dst(c, d, bits / 8, XACC_WRITE);     \
		xmem_write##bits(c, CPU_ES, t, xmem_read##bits(c, d->seg, s));                     \
		str_advance(c, d, CPU_RSI, bits / 8);                                              \
		str_advance(c, d, CPU_RDI, bits / 8);                                              \
		return true;                                                                       \
	}                                                                                          \
	STR_INLINE bool stos##bits(struct xcpu *c, const struct dinsn *d)                          \
	{                                                                                          \
		xmem_write##bits(c, CPU_ES, str_dst(c, d, bits / 8, XACC_WRITE), RD##bits(ACC));   \
		str_advance(c, d, CPU_RDI, bits / 8);                                              \
		return true;                                                                       \
	}                                                                                          \
	STR_INLINE bool lods##bits(struct xcpu *c, const struct dinsn *d)                          \
	{                                                                                          \
		WR##bits(ACC, xmem_read##bits(c, d->seg, str_src(c, d, bits / 8)));                \
		str_advance(c, d, CPU_RSI, bits / 8);                                              \
		return true;                                                                       \
	}                                                                                          \
	STR_INLINE bool scas##bits(struct xcpu *c, const struct dinsn *d)                          \
	{                                                                                          \
		uint64_t t = str_dst(c, d, bits / 8, XACC_READ);                                   \
		str_cmp##bits(c, RD##bits(ACC), xmem_read##bits(c, CPU_ES, t));                    \
		str_advance(c, d, CPU_RDI, bits / 8);                                              \
		return str_zf_goes_on(c, d);                                                       \
	}                                                                                          \
	STR_INLINE bool cmps##bits(struct xcpu *c, const struct dinsn *d)                          \
	{                                                                                          \
		uint64_t s = str_src(c, d, bits / 8), t = str_dst(c, d, bits / 8, XACC_READ);      \
		uint##bits##_t a = xmem_read##bits(c, d->seg, s);                                  \
		str_cmp##bits(c, a, xmem_read##bits(c, CPU_ES, t));                                \
		str_advance(c, d, CPU_RSI, bits / 8);                                              \
		str_advance(c, d, CPU_RDI, bits / 8);                                              \
		return str_zf_goes_on(c, d);                                                       \
	}                                                                                          \
	STR_INLINE uint64_t movs_bulk##bits(struct xcpu *c, const struct dinsn *d, uint64_t n)     \
	{                                                                                          \
		return movs_bulk(c, d, n, bits / 8);                                               \
	}                                                                                          \
	STR_INLINE uint64_t stos_bulk##bits(struct xcpu *c, const struct dinsn *d, uint64_t n)     \
	{                                                                                          \
		return stos_bulk(c, d, n, bits / 8);                                               \
	}                                                                                          \
	static void op_movs##bits(struct xcpu *c, const struct dinsn *d)                           \
	{                                                                                          \
		str_run(c, d, movs##bits, movs_bulk##bits);                                        \
	}                                                                                          \
	static void op_stos##bits(struct xcpu *c, const struct dinsn *d)                           \
	{                                                                                          \
		str_run(c, d, stos##bits, stos_bulk##bits);                                        \
	}                                                                                          \
	static void op_lods##bits(struct xcpu *c, const struct dinsn *d)                           \
	{                                                                                          \
		str_run(c, d, lods##bits, NULL);                                                   \
	}                                                                                          \
	static void op_scas##bits(struct xcpu *c, const struct dinsn *d)                           \
	{                                                                                          \
		str_run(c, d, scas##bits, NULL);                                                   \
	}                                                                                          \
	static void op_cmps##bits(struct xcpu *c, const struct dinsn *d)                           \
	{                                                                                          \
		str_run(c, d, cmps##bits, NULL);                                                   \
	}
STR_STEPS(8)
STR_STEPS(16)
STR_STEPS(32)
STR_STEPS(64)

/* ---- port strings: one iteration a call, for each is a device access ---- */

STR_INLINE bool str_port_begin(struct xcpu *c, const struct dinsn *d)
{
	return !(d->flags & (XD_REP | XD_REPNE)) || str_count(c, d) != 0;
}

STR_INLINE void str_port_end(struct xcpu *c, const struct dinsn *d, unsigned reg, unsigned size)
{
	str_advance(c, d, reg, size);
	if (!(d->flags & (XD_REP | XD_REPNE)))
		return;
	str_set(c, d, CPU_RCX, str_count(c, d) - 1);
	if (str_count(c, d))
		c->r[XR_NEXT] = c->rip;
}

/* The permission check comes before the look at the count, as CPUs do it. The destination is known to
 * be writable before the device is asked: a read may have side effects. */
#define PORT_BODIES(bits)                                                                          \
	static void op_ins##bits(struct xcpu *c, const struct dinsn *d)                            \
	{                                                                                          \
		uint16_t port = RD16(CPU_RDX);                                                     \
		uint64_t t;                                                                        \
		xio_check(c, port, bits / 8);                                                      \
		if (!str_port_begin(c, d))                                                         \
			return;                                                                    \
		t = str_dst(c, d, bits / 8, XACC_WRITE);                                           \
		xmem_probe(c, CPU_ES, t, bits / 8, XACC_WRITE);                                    \
		xdevice_sync(c);                                                                   \
		xmem_write##bits(c, CPU_ES, t,                                                     \
				 (uint##bits##_t)bus_pio_read(xcpu_bus(c), c->index, port,         \
							      bits / 8));                          \
		str_port_end(c, d, CPU_RDI, bits / 8);                                             \
	}                                                                                          \
	static void op_outs##bits(struct xcpu *c, const struct dinsn *d)                           \
	{                                                                                          \
		uint16_t port = RD16(CPU_RDX);                                                     \
		uint##bits##_t v;                                                                  \
		xio_check(c, port, bits / 8);                                                      \
		if (!str_port_begin(c, d))                                                         \
			return;                                                                    \
		v = xmem_read##bits(c, d->seg, str_src(c, d, bits / 8));                           \
		xdevice_sync(c);                                                                   \
		bus_pio_write(xcpu_bus(c), c->index, port, bits / 8, v);                           \
		str_port_end(c, d, CPU_RSI, bits / 8);                                             \
	}
PORT_BODIES(8)
PORT_BODIES(16)
PORT_BODIES(32)

/* MOVSD and CMPSD are also SSE2 mnemonics: those are not ours. A repeated instruction may be its own
 * successor, so it ends its block. */
static xop_fn str_bind(const struct xinsn *z, struct dinsn *d, xop_fn fn)
{
	if (z->insn.meta.category != ZYDIS_CATEGORY_STRINGOP &&
	    z->insn.meta.category != ZYDIS_CATEGORY_IOSTRINGOP)
		return NULL;
	if (d->flags & (XD_REP | XD_REPNE))
		d->flags |= XD_END;
	return fn;
}

#define STR_BIND(mnemonic, fn)                                                                     \
	static xop_fn bind_##mnemonic(const struct xinsn *z, struct dinsn *d)                      \
	{                                                                                          \
		return str_bind(z, d, fn);                                                         \
	}
#define STR_BIND3(upper, lower)                                                                    \
	STR_BIND(upper##B, op_##lower##8)                                                          \
	STR_BIND(upper##W, op_##lower##16)                                                         \
	STR_BIND(upper##D, op_##lower##32)
#define STR_BIND4(upper, lower) STR_BIND3(upper, lower) STR_BIND(upper##Q, op_##lower##64)
STR_BIND4(MOVS, movs)
STR_BIND4(STOS, stos)
STR_BIND4(LODS, lods)
STR_BIND4(SCAS, scas)
STR_BIND4(CMPS, cmps)
STR_BIND3(INS, ins)
STR_BIND3(OUTS, outs)

#define STR_OPS3(upper, fl) INT_OP(upper##B, fl), INT_OP(upper##W, fl), INT_OP(upper##D, fl)
#define STR_OPS4(upper, fl) STR_OPS3(upper, fl), INT_OP(upper##Q, fl)

static const struct xop string_ops[] = {
	STR_OPS4(MOVS, 0), STR_OPS4(STOS, 0),	    STR_OPS4(LODS, 0),	      STR_OPS4(SCAS, 0),
	STR_OPS4(CMPS, 0), STR_OPS3(INS, XOP_END), STR_OPS3(OUTS, XOP_END),
};
const struct xop_table xops_string = {string_ops, RV_ARRAY_LEN(string_ops)};
