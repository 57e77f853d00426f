/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raising and delivering (SDM vol. 3, chapter 6).
 *
 * A delivery computes and checks everything, writes the frame, and only then
 * changes registers; a fault on the way leaves the vCPU as it was (the frame's
 * bytes may be partly written, as on processors). xdeliver() takes such faults
 * itself and applies the double-fault rules: one step in all. The body of INT n
 * lets them out instead: they are faults of that instruction.
 *
 * A task gate is #GP(its index): this engine switches no tasks, and neither
 * does long mode. RF in a saved RFLAGS is 1 for faults; the loop owns the
 * clearing of RF after an instruction.
 */
#include <string.h>

#include "sys.h"

#define DR7_GD (1u << 13)
#define IDT_ERR 2u /* error code bit: the index is into the IDT */

_Noreturn void xraise(struct xcpu *c, uint8_t vector)
{
	c->fault_vector = vector;
	c->fault_has_err = false;
	c->fault_err = 0;
	c->rmw.pending = false;
	c->pending_db = 0;
	longjmp(c->fault, 1);
}

_Noreturn void xraise_err(struct xcpu *c, uint8_t vector, uint32_t err)
{
	c->fault_vector = vector;
	c->fault_has_err = true;
	c->fault_err = err;
	c->rmw.pending = false;
	c->pending_db = 0;
	longjmp(c->fault, 1);
}

_Noreturn void xraise_pf(struct xcpu *c, uint64_t lin, uint32_t err)
{
	c->s.cr2 = lin;
	xraise_err(c, VEC_PF, err);
}

struct xevent {
	uint8_t vector;
	bool has_err;
	bool soft;      /* INT n, INT3, INTO, INT1 */
	bool check_dpl; /* all of those but INT1 */
	bool is_fault;
	uint32_t err;
	uint64_t rip;   /* to return to */
};

static bool vector_is_fault(uint8_t v)
{
	switch (v) {
	case VEC_DE:
	case VEC_BR:
	case VEC_UD:
	case VEC_NM:
	case VEC_TS:
	case VEC_NP:
	case VEC_SS:
	case VEC_GP:
	case VEC_PF:
	case VEC_MF:
	case VEC_AC:
	case VEC_XM:
		return true;
	default:
		return false;
	}
}

static uint64_t event_flags(const struct xcpu *c, const struct xevent *ev)
{
	uint64_t f = xrflags(c);
	if (ev->soft)
		f &= ~(uint64_t)RFLAGS_RF;
	else if (ev->is_fault)
		f |= RFLAGS_RF;
	return f;
}

static void flags_after(struct xcpu *c, bool interrupt_gate)
{
	uint64_t clear = RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM;
	if (interrupt_gate)
		clear |= RFLAGS_IF;
	c->s.rflags &= ~clear;
}

/* SDM vol. 3, 20.1.4. */
static uint64_t enter_real(struct xcpu *c, const struct xevent *ev)
{
	const unsigned at = ev->vector * 4u;
	struct cpu_seg cs = c->s.seg[CPU_CS];
	struct xstack k;
	if (at + 3 > c->s.idtr.limit)
		xraise_gp(c, 0);
	uint32_t entry = (uint32_t)xmem_sys_read(c, (uint32_t)(c->s.idtr.base + at), 4);
	uint64_t ip = entry & 0xffff;
	xstack_current(c, &k, 0);
	xstack_push(c, &k, 2, event_flags(c, ev) & 0xffff);
	xstack_push(c, &k, 2, cs.sel);
	xstack_push(c, &k, 2, ev->rip & 0xffff);
	if (ip > cs.limit)
		xraise_gp(c, 0);
	xstack_commit(c, &k);
	cs.sel = (uint16_t)(entry >> 16);
	cs.base = (uint64_t)cs.sel << 4;
	c->s.rflags &= ~(uint64_t)(RFLAGS_IF | RFLAGS_TF | RFLAGS_RF | RFLAGS_AC);
	xcs_set(c, &cs);
	return ip;
}

struct xgate {
	uint16_t sel;
	uint64_t offset;
	unsigned type, ist, size; /* size of a frame's slots */
};

static void gate_read(struct xcpu *c, const struct xevent *ev, uint32_t ext, struct xgate *g)
{
	const bool lm = xlong_mode(c);
	const unsigned at = ev->vector * (lm ? 16u : 8u);
	const uint32_t err = ev->vector * 8u + IDT_ERR + ext;
	uint64_t lo, lin = c->s.idtr.base + at, hi = 0;

	if (at + (lm ? 15 : 7) > c->s.idtr.limit)
		xraise_gp(c, err);
	if (!lm)
		lin = (uint32_t)lin;
	lo = xmem_sys_read(c, lin, 8);
	if (lm)
		hi = xmem_sys_read(c, lin + 8, 8);
	g->type = (unsigned)(lo >> 40) & 0x1f; /* with S, which must be 0 */
	g->sel = (uint16_t)(lo >> 16);
	g->offset = (lo & 0xffff) | (lo >> 32 & 0xffff0000) | hi << 32;
	g->ist = lm ? (unsigned)(lo >> 32) & 7 : 0;
	switch (g->type) {
	case SYS_INT16:
	case SYS_TRAP16:
		g->offset &= 0xffff;
		g->size = 2;
		if (lm)
			xraise_gp(c, err);
		break;
	case SYS_INT32:
	case SYS_TRAP32:
		g->size = lm ? 8 : 4;
		break;
	default:
		xraise_gp(c, err);
	}
	if (ev->check_dpl && (lo >> 45 & 3) < xcpl(c))
		xraise_gp(c, err);
	if (!(lo >> 47 & 1))
		xraise_err(c, VEC_NP, err);
}

/* SDM vol. 3, 6.12 and 6.14. Returns the handler's RIP. */
static uint64_t enter_protected(struct xcpu *c, const struct xevent *ev)
{
	const uint32_t ext = ev->soft ? 0 : 1;
	const bool lm = xlong_mode(c);
	const unsigned cpl = xcpl(c);
	struct cpu_seg cs, ss = c->s.seg[CPU_SS];
	struct xgate g;
	struct xdesc d;
	struct xstack k;
	unsigned new_cpl = cpl;
	uint64_t sp;

	gate_read(c, ev, ext, &g);
	const uint32_t err = (g.sel & 0xfffcu) | ext;
	if ((g.sel & 0xfffc) == 0)
		xraise_gp(c, ext);
	if (!xdesc_read(c, g.sel, &d) || !xdesc_is_code(&d) || xdesc_dpl(&d) > cpl)
		xraise_gp(c, err);
	if (lm && (!xdesc_long(&d) || xdesc_db(&d)))
		xraise_gp(c, err);
	if (!xdesc_present(&d))
		xraise_err(c, VEC_NP, err);
	if (!(xdesc_type(&d) & SEG_CONFORM))
		new_cpl = xdesc_dpl(&d);

	if (lm) {
		uint16_t null_ss;
		if (g.ist)
			sp = xtss_ist(c, g.ist, ext);
		else if (new_cpl != cpl)
			xtss_stack(c, new_cpl, ext, &null_ss, &sp);
		else /* compatibility mode's ESP */
			sp = c->code64 ? c->r[CPU_RSP] : (uint32_t)c->r[CPU_RSP];
		sp &= ~15ull;
		if (new_cpl != cpl)
			xseg_null_stack(new_cpl, &ss);
		xstack_of(c, &ss, sp, new_cpl, true, ext, &k);
	} else if (new_cpl != cpl) {
		uint16_t sel;
		xtss_stack(c, new_cpl, ext, &sel, &sp);
		xseg_stack_prepare(c, sel, new_cpl, VEC_TS, ext, &ss);
		xstack_of(c, &ss, sp, new_cpl, false, (sel & 0xfffcu) | ext, &k);
	} else {
		xstack_current(c, &k, ext);
	}
	xcs_unpack(c, &d, g.sel, new_cpl, &cs);
	xcs_check_offset(c, &cs, g.offset, ext);
	if (lm || new_cpl != cpl) {
		xstack_push(c, &k, g.size, c->s.seg[CPU_SS].sel);
		xstack_push(c, &k, g.size, c->r[CPU_RSP] & xmask_of(g.size));
	}
	xstack_push(c, &k, g.size, event_flags(c, ev) & xmask_of(g.size));
	xstack_push(c, &k, g.size, c->s.seg[CPU_CS].sel);
	xstack_push(c, &k, g.size, ev->rip & xmask_of(g.size));
	if (ev->has_err)
		xstack_push(c, &k, g.size, ev->err);

	c->s.seg[CPU_SS] = ss;
	xstack_commit(c, &k);
	flags_after(c, g.type == SYS_INT16 || g.type == SYS_INT32);
	xcs_set(c, &cs);
	return g.offset;
}

static uint64_t event_enter(struct xcpu *c, const struct xevent *ev)
{
	uint64_t rip = xreal_mode(c) ? enter_real(c, ev) : enter_protected(c, ev);
	if (ev->vector == VEC_DB && !ev->soft)
		c->s.dr7 &= ~(uint64_t)DR7_GD; /* SDM vol. 3, 17.2.4 */
	return rip;
}

/* SDM vol. 3, tables 6-4 and 6-5. */
enum event_class { EVENT_BENIGN, EVENT_CONTRIBUTORY, EVENT_PAGE_FAULT, EVENT_DOUBLE_FAULT };

static enum event_class event_class(uint8_t vector)
{
	switch (vector) {
	case VEC_DE:
	case VEC_TS:
	case VEC_NP:
	case VEC_SS:
	case VEC_GP:
		return EVENT_CONTRIBUTORY;
	case VEC_PF:
		return EVENT_PAGE_FAULT;
	case VEC_DF:
		return EVENT_DOUBLE_FAULT;
	default:
		return EVENT_BENIGN;
	}
}

/* The delivery of *ev met c->fault_vector: *ev becomes what to deliver instead; false: shutdown. */
static bool event_combine(struct xcpu *c, struct xevent *ev, bool exception)
{
	enum event_class first = exception ? event_class(ev->vector) : EVENT_BENIGN;
	enum event_class second = event_class(c->fault_vector);
	bool twice = (first == EVENT_CONTRIBUTORY && second == EVENT_CONTRIBUTORY) ||
		     (first == EVENT_PAGE_FAULT && second != EVENT_BENIGN);
	if (first == EVENT_DOUBLE_FAULT && second != EVENT_BENIGN)
		return false;
	ev->vector = twice ? VEC_DF : c->fault_vector;
	ev->has_err = twice || c->fault_has_err;
	ev->err = twice ? 0 : c->fault_err;
	ev->soft = ev->check_dpl = false;
	ev->is_fault = vector_is_fault(ev->vector);
	return true;
}

void xdeliver(struct xcpu *c, uint8_t vector, bool has_err, uint32_t err, bool soft, bool external)
{
	struct xevent ev = {
		.vector = vector,
		.has_err = has_err,
		.soft = soft,
		.check_dpl = soft,
		.is_fault = !soft && !external && vector_is_fault(vector),
		.err = err,
		.rip = c->rip,
	};
	/* An external interrupt is benign whatever its vector. */
	volatile bool exception = !soft && !external;
	jmp_buf outer;

	memcpy(&outer, &c->fault, sizeof(outer));
	for (;;) {
		if (setjmp(c->fault) == 0) {
			c->rip = event_enter(c, &ev);
			c->r[XR_NEXT] = c->rip;
			break;
		}
		if (!event_combine(c, &ev, exception)) {
			c->s.activity = CPU_SHUTDOWN;
			break;
		}
		exception = true;
	}
	memcpy(&c->fault, &outer, sizeof(outer));
	c->leave = true;
}

static void soft_int(struct xcpu *c, uint8_t vector, bool check_dpl)
{
	const struct xevent ev = {
		.vector = vector,
		.soft = true,
		.check_dpl = check_dpl,
		.rip = c->r[XR_NEXT],
	};
	c->r[XR_NEXT] = event_enter(c, &ev);
	c->delivered = true;
	c->leave = true;
}

void xsoft_int(struct xcpu *c, uint8_t vector)
{
	soft_int(c, vector, true);
}

void xsoft_int1(struct xcpu *c)
{
	soft_int(c, VEC_DB, false);
}
