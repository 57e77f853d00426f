/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments (SDM vol. 3, chapters 3 and 5): descriptors, loads with all their
 * checks, segment:offset to linear, the stack, and the vCPU's mode bits.
 *
 * CPL is SS.DPL: so SS keeps a DPL even when it is null (64-bit mode), and in
 * real mode, where it is 0 from reset on.
 */
#include <stdlib.h>
#include <string.h>

#include "mmu.h"
#include "sys.h"
#include "x87.h"

/* ---- descriptors ---- */

bool xdesc_read(struct xcpu *c, uint16_t sel, struct xdesc *d)
{
	uint64_t base = c->s.gdtr.base;
	uint32_t limit = c->s.gdtr.limit;
	if (sel & 4) {
		if (!(c->s.seg[CPU_LDTR].attr & SEG_P))
			return false;
		base = c->s.seg[CPU_LDTR].base;
		limit = c->s.seg[CPU_LDTR].limit;
	}
	if ((sel | 7u) > limit)
		return false;
	d->lin = base + (sel & ~7u);
	if (!xlong_mode(c))
		d->lin = (uint32_t)d->lin;
	d->raw = xmem_sys_read(c, d->lin, 8);
	return true;
}

uint64_t xdesc_read_upper(struct xcpu *c, uint16_t sel, const struct xdesc *d)
{
	uint32_t limit = sel & 4 ? c->s.seg[CPU_LDTR].limit : c->s.gdtr.limit;
	if ((sel | 7u) + 8 > limit)
		xraise_gp(c, sel & 0xfffcu);
	uint64_t upper = xmem_sys_read(c, d->lin + 8, 8);
	if (upper >> 40 & 0x1f) /* the type field must be 0 (SDM vol. 3, 5.8.3.1) */
		xraise_gp(c, sel & 0xfffcu);
	return upper;
}

uint32_t xdesc_limit(const struct xdesc *d)
{
	uint32_t limit = (uint32_t)(d->raw & 0xffff) | (uint32_t)(d->raw >> 32 & 0xf0000);
	return d->raw >> 55 & 1 ? limit << 12 | 0xfff : limit;
}

void xdesc_unpack(const struct xdesc *d, uint16_t sel, struct cpu_seg *out)
{
	out->base = (d->raw >> 16 & 0xffffff) | (d->raw >> 32 & 0xff000000);
	out->limit = xdesc_limit(d);
	out->attr = (uint16_t)(d->raw >> 40 & 0xf0ff);
	out->sel = sel;
}

void xdesc_set_accessed(struct xcpu *c, struct xdesc *d)
{
	if (d->raw >> 40 & SEG_ACCESSED)
		return;
	d->raw |= (uint64_t)SEG_ACCESSED << 40;
	xmem_sys_write(c, d->lin + 5, 1, d->raw >> 40 & 0xff);
}

/* ---- loads ---- */

void xseg_null_stack(unsigned cpl, struct cpu_seg *out)
{
	memset(out, 0, sizeof(*out));
	out->sel = (uint16_t)cpl;
	out->attr = (uint16_t)(cpl << SEG_DPL_SHIFT);
}

void xseg_stack_prepare(struct xcpu *c, uint16_t sel, unsigned cpl, uint8_t vector, uint32_t ext,
			struct cpu_seg *out)
{
	struct xdesc d;
	uint32_t err = (sel & 0xfffcu) | ext;
	if ((sel & 0xfffc) == 0)
		xraise_err(c, vector, ext);
	if (!xdesc_read(c, sel, &d))
		xraise_err(c, vector, err);
	if ((sel & 3u) != cpl || !xdesc_is_segment(&d) || xdesc_is_code(&d) ||
	    !(xdesc_type(&d) & SEG_WRITABLE) || xdesc_dpl(&d) != cpl)
		xraise_err(c, vector, err);
	if (!xdesc_present(&d))
		xraise_err(c, VEC_SS, err);
	xdesc_set_accessed(c, &d);
	xdesc_unpack(&d, sel, out);
}

void xseg_prepare(struct xcpu *c, unsigned seg, uint16_t sel, struct cpu_seg *out)
{
	const unsigned cpl = xcpl(c), rpl = sel & 3u;
	struct xdesc d;

	if (xreal_mode(c)) { /* limit and attributes stay as they are (SDM vol. 3, 20.1.1) */
		*out = c->s.seg[seg];
		out->sel = sel;
		out->base = (uint64_t)sel << 4;
		return;
	}
	if (seg == CPU_SS) {
		if ((sel & 0xfffc) == 0 && c->code64 && cpl != 3 && rpl == cpl)
			xseg_null_stack(cpl, out);
		else
			xseg_stack_prepare(c, sel, cpl, VEC_GP, 0, out);
		return;
	}
	if ((sel & 0xfffc) == 0) {
		memset(out, 0, sizeof(*out));
		out->sel = sel;
		return;
	}
	if (!xdesc_read(c, sel, &d))
		xraise_gp(c, sel & 0xfffcu);
	unsigned type = xdesc_type(&d);
	if (!xdesc_is_segment(&d) || ((type & SEG_CODE) && !(type & SEG_WRITABLE)))
		xraise_gp(c, sel & 0xfffcu);
	if ((type & (SEG_CODE | SEG_CONFORM)) != (SEG_CODE | SEG_CONFORM) &&
	    (rpl > xdesc_dpl(&d) || cpl > xdesc_dpl(&d)))
		xraise_gp(c, sel & 0xfffcu);
	if (!xdesc_present(&d))
		xraise_err(c, VEC_NP, sel & 0xfffcu);
	xdesc_set_accessed(c, &d);
	xdesc_unpack(&d, sel, out);
}

void xseg_set(struct xcpu *c, unsigned seg, const struct cpu_seg *s)
{
	c->s.seg[seg] = *s;
	if (seg == CPU_SS)
		xcpu_mode_update(c);
}

void xseg_load(struct xcpu *c, unsigned seg, uint16_t sel)
{
	struct cpu_seg s;
	xseg_prepare(c, seg, sel, &s);
	xseg_set(c, seg, &s);
}

void xseg_leave_inner(struct xcpu *c, unsigned cpl)
{
	static const uint8_t data[] = { CPU_ES, CPU_DS, CPU_FS, CPU_GS };
	for (unsigned i = 0; i < RV_ARRAY_LEN(data); i++) {
		struct cpu_seg *s = &c->s.seg[data[i]];
		unsigned dpl = (unsigned)(s->attr >> SEG_DPL_SHIFT) & 3;
		if (!(s->attr & SEG_P) || dpl >= cpl ||
		    (s->attr & (SEG_CODE | SEG_CONFORM)) == (SEG_CODE | SEG_CONFORM))
			continue;
		memset(s, 0, sizeof(*s)); /* null selector, base included */
	}
}

void xcs_unpack(struct xcpu *c, struct xdesc *d, uint16_t sel, unsigned cpl, struct cpu_seg *out)
{
	xdesc_set_accessed(c, d);
	xdesc_unpack(d, (uint16_t)((sel & 0xfffcu) | cpl), out);
}

void xcs_check_offset(struct xcpu *c, const struct cpu_seg *cs, uint64_t offset, uint32_t err)
{
	if (xlong_mode(c) && (cs->attr & SEG_L)) {
		if (!cpu_canonical(offset))
			xraise_gp(c, err);
	} else if (offset > cs->limit) {
		xraise_gp(c, err);
	}
}

void xcs_set(struct xcpu *c, const struct cpu_seg *cs)
{
	c->s.seg[CPU_CS] = *cs;
	xcpu_mode_update(c);
}

/* ---- addresses ---- */

/* Outside 64-bit mode (SDM vol. 3, 5.3 and 5.4). */
static uint64_t seg_check(struct xcpu *c, unsigned seg, uint64_t off, unsigned size,
			  enum xaccess acc)
{
	const struct cpu_seg *s = &c->s.seg[seg];
	const uint64_t last = off + size - 1;
	if (!xreal_mode(c)) {
		if (!(s->attr & SEG_P))
			goto fault;
		if (acc == XACC_WRITE) {
			if ((s->attr & (SEG_CODE | SEG_WRITABLE)) != SEG_WRITABLE)
				goto fault;
		} else if ((s->attr & SEG_CODE) && !(s->attr & SEG_WRITABLE)) {
			goto fault;
		}
		if ((s->attr & (SEG_CODE | SEG_CONFORM)) == SEG_CONFORM) { /* expand-down */
			if (off <= s->limit || last > (s->attr & SEG_DB ? UINT32_MAX : 0xffffu))
				goto fault;
			return (uint32_t)(s->base + off);
		}
	}
	/* A flat 4 GiB segment wraps rather than faults, as processors do. */
	if (last > s->limit && s->limit != UINT32_MAX)
		goto fault;
	return (uint32_t)(s->base + off);
fault:
	xraise_err(c, seg == CPU_SS ? VEC_SS : VEC_GP, 0);
}

uint64_t xea_slow(struct xcpu *c, const struct dinsn *d, uint64_t offset, unsigned size,
		  enum xaccess acc)
{
	if (d->ea & XEA_ADDR32)
		offset = (uint32_t)offset;
	else if (d->ea & XEA_ADDR16)
		offset = (uint16_t)offset;
	if (d->ea & XEA_LEGACY)
		return seg_check(c, d->seg, offset, size, acc);
	if (d->ea & XEA_SEG)
		offset += c->s.seg[d->seg].base;
	return offset;
}

uint64_t xseg_linear(struct xcpu *c, unsigned seg, uint64_t offset, unsigned asize, unsigned size,
		     enum xaccess acc)
{
	if (asize == 4)
		offset = (uint32_t)offset;
	else if (asize == 2)
		offset = (uint16_t)offset;
	if (!c->code64)
		return seg_check(c, seg, offset, size, acc);
	return seg == CPU_FS || seg == CPU_GS ? offset + c->s.seg[seg].base : offset;
}

/* ---- the current stack ---- */

static unsigned stack_asize(const struct xcpu *c)
{
	return c->code64 ? 8 : c->s.seg[CPU_SS].attr & SEG_DB ? 4 : 2;
}

static void stack_pointer_set(struct xcpu *c, unsigned asize, uint64_t sp)
{
	if (asize == 8)
		c->r[CPU_RSP] = sp;
	else if (asize == 4)
		c->r[CPU_RSP] = (uint32_t)sp;
	else
		XREG16(c, CPU_RSP) = (uint16_t)sp;
}

static uint64_t read_sized(struct xcpu *c, uint64_t lin, unsigned size)
{
	switch (size) {
	case 2:
		return xmem_read16(c, CPU_SS, lin);
	case 4:
		return xmem_read32(c, CPU_SS, lin);
	default:
		return xmem_read64(c, CPU_SS, lin);
	}
}

void xpush(struct xcpu *c, unsigned size, uint64_t value)
{
	unsigned asize = stack_asize(c);
	uint64_t sp = c->r[CPU_RSP] - size;
	uint64_t lin = xseg_linear(c, CPU_SS, sp, asize, size, XACC_WRITE);
	if (size == 8)
		xmem_write64(c, CPU_SS, lin, value);
	else if (size == 4)
		xmem_write32(c, CPU_SS, lin, (uint32_t)value);
	else
		xmem_write16(c, CPU_SS, lin, (uint16_t)value);
	stack_pointer_set(c, asize, sp);
}

uint64_t xstack_peek(struct xcpu *c, unsigned size, unsigned n)
{
	uint64_t sp = c->r[CPU_RSP] + (uint64_t)n * size;
	return read_sized(c, xseg_linear(c, CPU_SS, sp, stack_asize(c), size, XACC_READ), size);
}

void xstack_adjust(struct xcpu *c, int64_t bytes)
{
	stack_pointer_set(c, stack_asize(c), c->r[CPU_RSP] + (uint64_t)bytes);
}

uint64_t xpop(struct xcpu *c, unsigned size)
{
	uint64_t v = xstack_peek(c, size, 0);
	xstack_adjust(c, size);
	return v;
}

/* ---- stacks in the making ---- */

void xstack_of(struct xcpu *c, const struct cpu_seg *ss, uint64_t sp, unsigned cpl, bool flat,
	       uint32_t err, struct xstack *k)
{
	(void)c;
	k->flat = flat;
	k->base = flat ? 0 : ss->base;
	k->big = ss->attr & SEG_DB;
	k->mask = flat ? UINT64_MAX : k->big ? UINT32_MAX : 0xffff;
	k->sp = sp & k->mask;
	k->limit = ss->limit;
	k->down = (ss->attr & (SEG_CODE | SEG_CONFORM)) == SEG_CONFORM;
	k->err = err;
	k->user = cpl == 3;
}

void xstack_current(struct xcpu *c, struct xstack *k, uint32_t err)
{
	xstack_of(c, &c->s.seg[CPU_SS], c->r[CPU_RSP], xcpl(c), c->code64, err, k);
}

static uint64_t stack_linear(struct xcpu *c, const struct xstack *k, uint64_t off, unsigned size)
{
	const uint64_t last = off + size - 1;
	bool bad;
	if (k->flat) {
		if (!cpu_canonical(off) || !cpu_canonical(last))
			xraise_err(c, VEC_SS, k->err);
		return off;
	}
	if (k->down)
		bad = off <= k->limit || last > (k->big ? UINT32_MAX : 0xffffu);
	else
		bad = last > k->limit && k->limit != UINT32_MAX;
	if (bad)
		xraise_err(c, VEC_SS, k->err);
	return (uint32_t)(k->base + off);
}

void xstack_push(struct xcpu *c, struct xstack *k, unsigned size, uint64_t v)
{
	uint64_t sp = (k->sp - size) & k->mask;
	xmem_write_as(c, k->user, CPU_SS, stack_linear(c, k, sp, size), size, v);
	k->sp = sp;
}

uint64_t xstack_pop(struct xcpu *c, struct xstack *k, unsigned size)
{
	uint64_t v = xmem_read_as(c, k->user, CPU_SS, stack_linear(c, k, k->sp, size), size);
	k->sp = (k->sp + size) & k->mask;
	return v;
}

void xstack_commit(struct xcpu *c, const struct xstack *k)
{
	stack_pointer_set(c, k->flat ? 8 : k->big ? 4 : 2, k->sp);
}

void xtss_stack(struct xcpu *c, unsigned cpl, uint32_t ext, uint16_t *ss, uint64_t *sp)
{
	const struct cpu_seg *tr = &c->s.seg[CPU_TR];
	const uint32_t err = (tr->sel & 0xfffcu) | ext;
	const bool wide = (tr->attr & SEG_TYPE) & 8; /* 32-bit TSS, or the 64-bit one */
	unsigned at, n;
	if (xlong_mode(c)) {
		at = 4 + 8 * cpl;
		n = 8;
	} else {
		at = wide ? 4 + 8 * cpl : 2 + 4 * cpl;
		n = wide ? 6 : 4;
	}
	if (!(tr->attr & SEG_P) || at + n - 1 > tr->limit)
		xraise_err(c, VEC_TS, err);
	if (xlong_mode(c)) {
		*ss = (uint16_t)cpl;
		*sp = xmem_sys_read(c, tr->base + at, 8);
	} else if (wide) {
		*sp = xmem_sys_read(c, (uint32_t)(tr->base + at), 4);
		*ss = (uint16_t)xmem_sys_read(c, (uint32_t)(tr->base + at + 4), 2);
	} else {
		*sp = xmem_sys_read(c, (uint32_t)(tr->base + at), 2);
		*ss = (uint16_t)xmem_sys_read(c, (uint32_t)(tr->base + at + 2), 2);
	}
}

uint64_t xtss_ist(struct xcpu *c, unsigned n, uint32_t ext)
{
	const struct cpu_seg *tr = &c->s.seg[CPU_TR];
	const unsigned at = 28 + 8 * n; /* IST1 is at 36 */
	if (!(tr->attr & SEG_P) || at + 7 > tr->limit)
		xraise_err(c, VEC_TS, (tr->sel & 0xfffcu) | ext);
	return xmem_sys_read(c, tr->base + at, 8);
}

/* ---- the vCPU's mode and state ---- */

#define XCPU_ROOM ((sizeof(struct xcpu) + 63) & ~(size_t)63)

struct xcpu *xcpu_create(void)
{
	const size_t targets = xcpu_target_offset(false);
	const size_t size = targets + 2 * XJIT_TARGETS * sizeof(struct xjit_target);
	struct xcpu *c = aligned_alloc(64, size);
	if (!c)
		return NULL;
	memset(c, 0, size);
	c->mmu = (struct xmmu *)((uint8_t *)c + XCPU_ROOM);
	xmmu_init(c->mmu);
	for (unsigned user = 0; user < 2; user++)
		c->jit.target[user] = (struct xjit_target *)((uint8_t *)c + xcpu_target_offset(user));
	return c;
}

size_t xcpu_table_offset(bool user, enum xaccess acc)
{
	return XCPU_ROOM + xmmu_table_offset(user, acc);
}

size_t xcpu_target_offset(bool user)
{
	return XCPU_ROOM + xmmu_size() + user * XJIT_TARGETS * sizeof(struct xjit_target);
}

void xcpu_mode_update(struct xcpu *c)
{
	const struct cpu_seg *cs = &c->s.seg[CPU_CS];
	uint32_t mode = 0;
	bool checks;

	c->code64 = xlong_mode(c) && (cs->attr & SEG_L);
	if (c->code64)
		mode = XMODE_64;
	else if (cs->attr & SEG_DB)
		mode = XMODE_32;
	if (xreal_mode(c))
		mode |= XMODE_REAL;
	c->mode = mode;
	c->user = xcpl(c) == 3;
	checks = (c->s.dr7 & 0xff) ||
		 (c->user && (c->s.cr0 & CR0_AM) && (c->s.rflags & RFLAGS_AC));
	c->checks = checks;
	c->rd = checks ? c->mmu->miss : c->mmu->tab[c->user][XACC_READ];
	c->wr = checks ? c->mmu->miss : c->mmu->tab[c->user][XACC_WRITE];
	c->leave = true;
}

void xrflags_write(struct xcpu *c, uint64_t value, uint64_t mask)
{
	const uint64_t old = c->s.rflags;
	const uint64_t keep = ~(mask | RFLAGS_ARITH);
	const uint32_t arith = xflags_from_rflags(mask);
	c->fl = (c->fl & ~arith) | (xflags_from_rflags(value) & arith);
	c->s.rflags = (old & keep) | (value & mask & ~(uint64_t)RFLAGS_ARITH) | RFLAGS_1;
	const uint64_t changed = old ^ c->s.rflags;
	if (changed & RFLAGS_AC)
		xcpu_mode_update(c);
	else if (changed & (RFLAGS_TF | RFLAGS_IF | RFLAGS_RF))
		c->leave = true;
}

void xcpu_export(struct xcpu *c, struct cpu_state *out)
{
	*out = c->s;
	memcpy(out->gpr, c->r, sizeof(out->gpr));
	out->rip = c->rip;
	out->rflags = xrflags(c);
}

void xcpu_import(struct xcpu *c, const struct cpu_state *s)
{
	/* The flags that exist, without virtual-8086 mode, which this CPU lacks. */
	const uint64_t flags = 0x3f7fd7u & ~(uint64_t)(RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP);
	unsigned used = 0;
	c->s = *s;
	memcpy(c->r, s->gpr, sizeof(s->gpr));
	c->r[XR_ZERO] = 0;
	c->rip = s->rip;
	c->r[XR_NEXT] = s->rip;
	c->fl = xflags_from_rflags(s->rflags);
	c->s.rflags = (s->rflags & flags & ~(uint64_t)RFLAGS_ARITH) | RFLAGS_1;
	/* A shadow is of the next instruction: a vCPU that is to run none would wait in it for ever. */
	if (s->activity != CPU_RUNNING)
		c->s.shadow_sti = c->s.shadow_ss = false;
	/* Of a full tag only "empty" is state, the rest follows from the register (SDM vol. 1, 8.1.7). */
	for (unsigned i = 0; i < 8; i++)
		used |= (unsigned)((s->ftw >> 2 * i & 3) != 3) << i;
	c->s.ftw = x87_tags(s->st, used);
	c->rmw.pending = false;
	c->pending_db = 0;
	xmmu_flush(c);
	xcpu_mode_update(c);
}

/* ---- FPU availability (SDM vol. 3, table 13-1 and 9-3) ---- */

void xfpu_check_x87(struct xcpu *c)
{
	if (c->s.cr0 & (CR0_EM | CR0_TS))
		xraise(c, VEC_NM);
	/* With NE = 0 the error would go out by FERR#, which the board does not wire. */
	if ((c->s.fsw & 0x80) && (c->s.cr0 & CR0_NE))
		xraise(c, VEC_MF);
}

void xfpu_check_sse(struct xcpu *c)
{
	if ((c->s.cr0 & CR0_EM) || !(c->s.cr4 & CR4_OSFXSR))
		xraise_ud(c);
	if (c->s.cr0 & CR0_TS)
		xraise(c, VEC_NM);
}
