/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Far JMP, CALL, RET and IRET (SDM vol. 2; vol. 3, 5.8), in all modes but
 * virtual-8086. Without task switches: a TSS or task gate as a target is
 * #GP(selector), and IRET with NT set is #GP(0), as in long mode.
 */
#include "sys.h"

static void real_target(struct xcpu *c, uint16_t sel, uint64_t off, struct cpu_seg *cs)
{
	*cs = c->s.seg[CPU_CS];
	cs->sel = sel;
	cs->base = (uint64_t)sel << 4;
	if (off > cs->limit)
		xraise_gp(c, 0);
}

static void target_read(struct xcpu *c, uint16_t sel, struct xdesc *d)
{
	if ((sel & 0xfffc) == 0)
		xraise_gp(c, 0);
	if (!xdesc_read(c, sel, d))
		xraise_gp(c, sel & 0xfffcu);
}

static void code_common(struct xcpu *c, uint16_t sel, const struct xdesc *d)
{
	if (xlong_mode(c) && xdesc_long(d) && xdesc_db(d))
		xraise_gp(c, sel & 0xfffcu);
	if (!xdesc_present(d))
		xraise_err(c, VEC_NP, sel & 0xfffcu);
}

/* A code segment named directly by JMP or CALL. */
static void code_direct(struct xcpu *c, uint16_t sel, const struct xdesc *d)
{
	const unsigned cpl = xcpl(c);
	if (xdesc_type(d) & SEG_CONFORM) {
		if (xdesc_dpl(d) > cpl)
			xraise_gp(c, sel & 0xfffcu);
	} else if ((sel & 3u) > cpl || xdesc_dpl(d) != cpl) {
		xraise_gp(c, sel & 0xfffcu);
	}
	code_common(c, sel, d);
}

struct xcallgate {
	uint16_t sel;
	uint64_t off;
	unsigned size, count;
	struct xdesc target;
};

/* SDM vol. 3, 5.8.4. */
static void callgate_read(struct xcpu *c, uint16_t sel, const struct xdesc *d, bool call,
			  struct xcallgate *g)
{
	const uint32_t err = sel & 0xfffcu;
	const unsigned cpl = xcpl(c), type = xdesc_type(d);
	if (type != SYS_CALL32 && (type != SYS_CALL16 || xlong_mode(c)))
		xraise_gp(c, err);
	if (xdesc_dpl(d) < cpl || xdesc_dpl(d) < (sel & 3u))
		xraise_gp(c, err);
	if (!xdesc_present(d))
		xraise_err(c, VEC_NP, err);
	g->sel = (uint16_t)(d->raw >> 16);
	g->off = (d->raw & 0xffff) | (d->raw >> 32 & 0xffff0000);
	g->count = (unsigned)(d->raw >> 32) & 31;
	g->size = type == SYS_CALL32 ? 4 : 2;
	if (type == SYS_CALL16)
		g->off &= 0xffff;
	if (xlong_mode(c)) {
		g->off |= xdesc_read_upper(c, sel, d) << 32;
		g->count = 0;
		g->size = 8;
	}
	target_read(c, g->sel, &g->target);
	if (!xdesc_is_code(&g->target) || xdesc_dpl(&g->target) > cpl)
		xraise_gp(c, g->sel & 0xfffcu);
	if (!call && !(xdesc_type(&g->target) & SEG_CONFORM) && xdesc_dpl(&g->target) != cpl)
		xraise_gp(c, g->sel & 0xfffcu);
	if (xlong_mode(c) && !xdesc_long(&g->target))
		xraise_gp(c, g->sel & 0xfffcu);
	code_common(c, g->sel, &g->target);
}

void xfar_jump(struct xcpu *c, uint16_t sel, uint64_t off, unsigned size)
{
	struct cpu_seg cs;
	struct xdesc d;
	off &= xmask_of(size);
	if (xreal_mode(c)) {
		real_target(c, sel, off, &cs);
	} else {
		target_read(c, sel, &d);
		if (xdesc_is_segment(&d)) {
			if (!xdesc_is_code(&d))
				xraise_gp(c, sel & 0xfffcu);
			code_direct(c, sel, &d);
			xcs_unpack(c, &d, sel, xcpl(c), &cs);
		} else {
			struct xcallgate g;
			callgate_read(c, sel, &d, false, &g);
			off = g.off;
			xcs_unpack(c, &g.target, g.sel, xcpl(c), &cs);
		}
		xcs_check_offset(c, &cs, off, 0);
	}
	c->r[XR_NEXT] = off;
	xcs_set(c, &cs);
}

static void call_inner(struct xcpu *c, struct xcallgate *g)
{
	const unsigned cpl = xdesc_dpl(&g->target);
	const uint32_t esp = (uint32_t)c->r[CPU_RSP];
	struct cpu_seg cs, ss;
	struct xstack k, old;
	uint16_t sel;
	uint64_t sp;

	xtss_stack(c, cpl, 0, &sel, &sp);
	if (xlong_mode(c)) {
		xseg_null_stack(cpl, &ss);
		xstack_of(c, &ss, sp, cpl, true, 0, &k);
	} else {
		xseg_stack_prepare(c, sel, cpl, VEC_TS, 0, &ss);
		xstack_of(c, &ss, sp, cpl, false, sel & 0xfffcu, &k);
	}
	xcs_unpack(c, &g->target, g->sel, cpl, &cs);
	xcs_check_offset(c, &cs, g->off, 0);
	xstack_current(c, &old, 0);
	xstack_push(c, &k, g->size, c->s.seg[CPU_SS].sel);
	xstack_push(c, &k, g->size, g->size == 8 ? c->r[CPU_RSP] : esp & xmask_of(g->size));
	for (unsigned i = g->count; i-- > 0;) { /* parameters keep their order */
		struct xstack at = old;
		at.sp = (old.sp + (uint64_t)i * g->size) & old.mask;
		xstack_push(c, &k, g->size, xstack_pop(c, &at, g->size));
	}
	xstack_push(c, &k, g->size, c->s.seg[CPU_CS].sel);
	xstack_push(c, &k, g->size, c->r[XR_NEXT] & xmask_of(g->size));
	c->s.seg[CPU_SS] = ss;
	xstack_commit(c, &k);
	c->r[XR_NEXT] = g->off;
	xcs_set(c, &cs);
}

void xfar_call(struct xcpu *c, uint16_t sel, uint64_t off, unsigned size)
{
	struct cpu_seg cs;
	struct xdesc d;
	struct xstack k;
	off &= xmask_of(size);
	if (xreal_mode(c)) {
		real_target(c, sel, off, &cs);
	} else {
		target_read(c, sel, &d);
		if (xdesc_is_segment(&d)) {
			if (!xdesc_is_code(&d))
				xraise_gp(c, sel & 0xfffcu);
			code_direct(c, sel, &d);
			xcs_unpack(c, &d, sel, xcpl(c), &cs);
		} else {
			struct xcallgate g;
			callgate_read(c, sel, &d, true, &g);
			if (!(xdesc_type(&g.target) & SEG_CONFORM) &&
			    xdesc_dpl(&g.target) < xcpl(c)) {
				call_inner(c, &g);
				return;
			}
			off = g.off;
			size = g.size;
			xcs_unpack(c, &g.target, g.sel, xcpl(c), &cs);
		}
		xcs_check_offset(c, &cs, off, 0);
	}
	xstack_current(c, &k, 0);
	xstack_push(c, &k, size, c->s.seg[CPU_CS].sel);
	xstack_push(c, &k, size, c->r[XR_NEXT] & xmask_of(size));
	xstack_commit(c, &k);
	c->r[XR_NEXT] = off;
	xcs_set(c, &cs);
}

/* The code segment a return goes to. */
static void return_code(struct xcpu *c, uint16_t sel, struct xdesc *d)
{
	const unsigned rpl = sel & 3u;
	target_read(c, sel, d);
	if (!xdesc_is_code(d) || rpl < xcpl(c))
		xraise_gp(c, sel & 0xfffcu);
	if (xdesc_type(d) & SEG_CONFORM ? xdesc_dpl(d) > rpl : xdesc_dpl(d) != rpl)
		xraise_gp(c, sel & 0xfffcu);
	code_common(c, sel, d);
}

/* SS of the frame: may be null for 64-bit code that is not at CPL 3. */
static void return_stack(struct xcpu *c, uint16_t sel, const struct cpu_seg *cs, struct cpu_seg *ss)
{
	const unsigned rpl = cs->sel & 3u;
	const bool to64 = xlong_mode(c) && (cs->attr & SEG_L);
	if ((sel & 0xfffc) == 0 && to64 && rpl != 3) {
		if ((sel & 3u) != rpl)
			xraise_gp(c, sel & 0xfffcu);
		xseg_null_stack(rpl, ss);
		return;
	}
	xseg_stack_prepare(c, sel, rpl, VEC_GP, 0, ss);
}

/* Registers of a completed return; sp is taken in the width of the new stack. */
static void return_commit(struct xcpu *c, const struct cpu_seg *cs, const struct cpu_seg *ss,
			  uint64_t sp, uint64_t rip)
{
	const bool to64 = xlong_mode(c) && (cs->attr & SEG_L);
	const unsigned from = xcpl(c), to = cs->sel & 3u;
	c->s.seg[CPU_SS] = *ss;
	if (to64)
		c->r[CPU_RSP] = sp;
	else if (ss->attr & SEG_DB)
		c->r[CPU_RSP] = (uint32_t)sp;
	else
		XREG16(c, CPU_RSP) = (uint16_t)sp;
	if (to != from)
		xseg_leave_inner(c, to);
	c->r[XR_NEXT] = rip;
	xcs_set(c, cs);
}

void xfar_return(struct xcpu *c, unsigned size, unsigned extra)
{
	struct cpu_seg cs, ss;
	struct xstack k;
	struct xdesc d;
	xstack_current(c, &k, 0);
	uint64_t rip = xstack_pop(c, &k, size);
	uint16_t sel = (uint16_t)xstack_pop(c, &k, size);

	if (xreal_mode(c)) {
		real_target(c, sel, rip, &cs);
		k.sp = (k.sp + extra) & k.mask;
		xstack_commit(c, &k);
		c->r[XR_NEXT] = rip;
		xcs_set(c, &cs);
		return;
	}
	return_code(c, sel, &d);
	xcs_unpack(c, &d, sel, sel & 3u, &cs);
	xcs_check_offset(c, &cs, rip, 0);
	k.sp = (k.sp + extra) & k.mask;
	if ((sel & 3u) == xcpl(c)) {
		xstack_commit(c, &k);
		c->r[XR_NEXT] = rip;
		xcs_set(c, &cs);
		return;
	}
	uint64_t sp = xstack_pop(c, &k, size);
	uint16_t ss_sel = (uint16_t)xstack_pop(c, &k, size);
	return_stack(c, ss_sel, &cs, &ss);
	return_commit(c, &cs, &ss, sp + extra, rip);
}

/* What IRET may change in RFLAGS (SDM vol. 2, IRET). cpl: of the code that executes it. */
static void iret_flags(struct xcpu *c, uint64_t value, unsigned size, unsigned cpl, unsigned iopl)
{
	uint64_t mask = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT;
	if (size >= 4)
		mask |= RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;
	if (cpl <= iopl)
		mask |= RFLAGS_IF;
	if (cpl == 0)
		mask |= RFLAGS_IOPL;
	xrflags_write(c, value, mask);
}

void xfar_iret(struct xcpu *c, unsigned size)
{
	const unsigned cpl = xreal_mode(c) ? 0 : xcpl(c), iopl = xiopl(c);
	struct cpu_seg cs, ss;
	struct xstack k;
	struct xdesc d;
	if (!xreal_mode(c) && (c->s.rflags & RFLAGS_NT))
		xraise_gp(c, 0);
	xstack_current(c, &k, 0);
	uint64_t rip = xstack_pop(c, &k, size);
	uint16_t sel = (uint16_t)xstack_pop(c, &k, size);
	uint64_t flags = xstack_pop(c, &k, size);

	if (xreal_mode(c)) {
		real_target(c, sel, rip, &cs);
		xstack_commit(c, &k);
		c->r[XR_NEXT] = rip;
		xcs_set(c, &cs);
	} else {
		if (!xlong_mode(c) && size == 4 && cpl == 0 && (flags & RFLAGS_VM))
			xraise_gp(c, 0);
		return_code(c, sel, &d);
		xcs_unpack(c, &d, sel, sel & 3u, &cs);
		xcs_check_offset(c, &cs, rip, 0);
		if (c->code64 || (sel & 3u) != cpl) { /* 64-bit mode always pops SS:RSP */
			uint64_t sp = xstack_pop(c, &k, size);
			uint16_t ss_sel = (uint16_t)xstack_pop(c, &k, size);
			return_stack(c, ss_sel, &cs, &ss);
			return_commit(c, &cs, &ss, sp, rip);
		} else {
			xstack_commit(c, &k);
			c->r[XR_NEXT] = rip;
			xcs_set(c, &cs);
		}
	}
	iret_flags(c, flags, size, cpl, iopl);
	c->s.nmi_blocked = false;
	c->leave = true;
}
