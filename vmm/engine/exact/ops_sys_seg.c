/* SPDX-License-Identifier: Apache-2.0 */
/* Segment registers, descriptor tables, and the bodies of far transfers (far.c does the work). */
#include <string.h>

#include "ops_sys.h"

static bool is_sreg(const struct xinsn *z, unsigned i)
{
	return xinsn_op_is(z, i, ZYDIS_OPERAND_TYPE_REGISTER) &&
	       ZydisRegisterGetClass(z->op[i].reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

/* Loads of SS hold off interrupts and debug traps for one instruction (SDM vol. 3, 6.8.3). */
static void sreg_loaded(struct xcpu *c, unsigned seg)
{
	if (seg == CPU_SS) {
		c->s.shadow_ss = true;
		c->leave = true;
	}
}

static void op_mov_to_sreg(struct xcpu *c, const struct dinsn *d)
{
	xseg_load(c, d->reg, xrm16_read(c, d));
	sreg_loaded(c, d->reg);
}

static void op_mov_from_sreg(struct xcpu *c, const struct dinsn *d)
{
	xrm_store(c, d, c->s.seg[d->reg].sel);
}

XBIND(xbind_mov_sreg)
{
	if (is_sreg(z, 0))
		return d->reg == CPU_CS || d->reg > CPU_GS ? xop_undefined : op_mov_to_sreg;
	if (is_sreg(z, 1)) {
		d->size = (uint8_t)(z->op[0].size / 8);
		return d->reg > CPU_GS ? xop_undefined : op_mov_from_sreg;
	}
	return NULL;
}

static void op_push_sreg(struct xcpu *c, const struct dinsn *d)
{
	xpush(c, d->size, c->s.seg[d->reg].sel);
}

static uint8_t stack_size(const struct xinsn *z)
{
	return (uint8_t)(z->insn.operand_width / 8);
}

XBIND(xbind_push_sreg)
{
	if (!is_sreg(z, 0))
		return NULL;
	d->size = stack_size(z);
	return op_push_sreg;
}

static void op_pop_sreg(struct xcpu *c, const struct dinsn *d)
{
	struct cpu_seg s;
	xseg_prepare(c, d->reg, (uint16_t)xstack_peek(c, d->size, 0), &s);
	xstack_adjust(c, d->size); /* in the width of the old SS */
	xseg_set(c, d->reg, &s);
	sreg_loaded(c, d->reg);
}

XBIND(xbind_pop_sreg)
{
	if (!is_sreg(z, 0) || d->reg == CPU_CS)
		return NULL;
	d->size = stack_size(z);
	return op_pop_sreg;
}

/* ---- far pointers ---- */

static void far_pointer(struct xcpu *c, const struct dinsn *d, uint16_t *sel, uint64_t *off)
{
	uint8_t bytes[10];
	const unsigned n = d->size + 2u;
	*off = 0;
	xmem_read_slow(c, d->seg, xea(c, d, n, XACC_READ), bytes, n);
	memcpy(off, bytes, d->size);
	memcpy(sel, bytes + d->size, 2);
}

static void op_lfar(struct xcpu *c, const struct dinsn *d)
{
	uint16_t sel;
	uint64_t off;
	far_pointer(c, d, &sel, &off);
	xseg_load(c, d->aux, sel);
	xgpr_store(c, d->reg, d->size, off);
	/* LSS has no shadow: both halves of the stack are loaded at once. */
}

XBIND(xbind_lfar)
{
	switch (z->insn.mnemonic) {
	case ZYDIS_MNEMONIC_LDS:
		d->aux = CPU_DS;
		break;
	case ZYDIS_MNEMONIC_LES:
		d->aux = CPU_ES;
		break;
	case ZYDIS_MNEMONIC_LFS:
		d->aux = CPU_FS;
		break;
	case ZYDIS_MNEMONIC_LGS:
		d->aux = CPU_GS;
		break;
	default:
		d->aux = CPU_SS;
		break;
	}
	if (!(d->flags & XD_MEM))
		return NULL;
	d->size = (uint8_t)(z->op[0].size / 8);
	return op_lfar;
}

static void op_jmp_ptr(struct xcpu *c, const struct dinsn *d)
{
	xfar_jump(c, d->aux, d->imm, d->size);
}
static void op_jmp_far_mem(struct xcpu *c, const struct dinsn *d)
{
	uint16_t sel;
	uint64_t off;
	far_pointer(c, d, &sel, &off);
	xfar_jump(c, sel, off, d->size);
}
static void op_call_ptr(struct xcpu *c, const struct dinsn *d)
{
	xfar_call(c, d->aux, d->imm, d->size);
}
static void op_call_far_mem(struct xcpu *c, const struct dinsn *d)
{
	uint16_t sel;
	uint64_t off;
	far_pointer(c, d, &sel, &off);
	xfar_call(c, sel, off, d->size);
}

static bool is_far(const struct xinsn *z)
{
	return z->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}

/* The offset's width: operand size as prefixes say (default 32 bits in 64-bit mode). */
static uint8_t far_size(const struct xinsn *z)
{
	if (xinsn_op_is(z, 0, ZYDIS_OPERAND_TYPE_MEMORY))
		return (uint8_t)(z->op[0].size / 8 - 2);
	return (uint8_t)(z->insn.operand_width / 8);
}

XBIND(xbind_jmp_far)
{
	if (!is_far(z))
		return NULL;
	d->size = far_size(z);
	return d->flags & XD_MEM ? op_jmp_far_mem : op_jmp_ptr;
}

XBIND(xbind_call_far)
{
	if (!is_far(z))
		return NULL;
	d->size = far_size(z);
	return d->flags & XD_MEM ? op_call_far_mem : op_call_ptr;
}

static void op_ret_far(struct xcpu *c, const struct dinsn *d)
{
	xfar_return(c, d->size, d->aux);
}

XBIND(xbind_ret_far)
{
	if (!is_far(z))
		return NULL;
	d->size = (uint8_t)(z->insn.operand_width / 8);
	d->aux = (uint16_t)(z->insn.raw.imm[0].size ? z->insn.raw.imm[0].value.u : 0);
	return op_ret_far;
}

static void op_iret(struct xcpu *c, const struct dinsn *d)
{
	xfar_iret(c, d->size);
}

XBIND(xbind_iret)
{
	d->size = z->insn.mnemonic == ZYDIS_MNEMONIC_IRETQ  ? 8
		  : z->insn.mnemonic == ZYDIS_MNEMONIC_IRETD ? 4
							     : 2;
	return op_iret;
}

/* ---- descriptor tables ---- */

static void op_lgdt(struct xcpu *c, const struct dinsn *d)
{
	struct cpu_dtable *t = d->aux ? &c->s.idtr : &c->s.gdtr;
	const unsigned n = c->code64 ? 8 : 4;
	uint8_t bytes[10];
	uint64_t base = 0;
	uint16_t limit;
	xneed_cpl0(c);
	xmem_read_slow(c, d->seg, xea(c, d, n + 2, XACC_READ), bytes, n + 2);
	memcpy(&limit, bytes, 2);
	memcpy(&base, bytes + 2, n);
	if (n == 8 && !cpu_canonical(base))
		xraise_gp(c, 0);
	if (n == 4 && d->size == 2)
		base &= 0xffffff;
	t->limit = limit;
	t->base = base;
}

XBIND(xbind_lgdt)
{
	if (!(d->flags & XD_MEM))
		return NULL;
	d->aux = z->insn.mnemonic == ZYDIS_MNEMONIC_LIDT;
	d->size = (uint8_t)(z->insn.operand_width / 8);
	return op_lgdt;
}

static void op_sgdt(struct xcpu *c, const struct dinsn *d)
{
	const struct cpu_dtable *t = d->aux ? &c->s.idtr : &c->s.gdtr;
	const unsigned n = c->code64 ? 8 : 4;
	uint8_t bytes[10];
	memcpy(bytes, &t->limit, 2);
	memcpy(bytes + 2, &t->base, n);
	xmem_write_slow(c, d->seg, xea(c, d, n + 2, XACC_WRITE), bytes, n + 2);
}

XBIND(xbind_sgdt)
{
	if (!(d->flags & XD_MEM))
		return NULL;
	d->aux = z->insn.mnemonic == ZYDIS_MNEMONIC_SIDT;
	return op_sgdt;
}

static void sysdesc_read(struct xcpu *c, uint16_t sel, struct xdesc *d)
{
	if ((sel & 4) || !xdesc_read(c, sel, d) || xdesc_is_segment(d))
		xraise_gp(c, sel & 0xfffcu);
}

static void sysdesc_unpack(struct xcpu *c, uint16_t sel, const struct xdesc *d,
			   struct cpu_seg *out)
{
	uint64_t upper = 0;
	if (!xdesc_present(d))
		xraise_err(c, VEC_NP, sel & 0xfffcu);
	if (xlong_mode(c))
		upper = xdesc_read_upper(c, sel, d);
	xdesc_unpack(d, sel, out);
	out->base |= upper << 32;
	if (!cpu_canonical(out->base))
		xraise_gp(c, sel & 0xfffcu);
}

static void op_lldt(struct xcpu *c, const struct dinsn *d)
{
	struct cpu_seg s;
	struct xdesc desc;
	xneed_protected(c);
	xneed_cpl0(c);
	const uint16_t sel = xrm16_read(c, d);
	if ((sel & 0xfffc) == 0) {
		memset(&s, 0, sizeof(s));
		s.sel = sel;
	} else {
		sysdesc_read(c, sel, &desc);
		if (xdesc_type(&desc) != SYS_LDT)
			xraise_gp(c, sel & 0xfffcu);
		sysdesc_unpack(c, sel, &desc, &s);
	}
	c->s.seg[CPU_LDTR] = s;
}

XBIND(xbind_lldt)
{
	(void)z;
	(void)d;
	return op_lldt;
}

static void op_ltr(struct xcpu *c, const struct dinsn *d)
{
	struct cpu_seg s;
	struct xdesc desc;
	xneed_protected(c);
	xneed_cpl0(c);
	const uint16_t sel = xrm16_read(c, d);
	if ((sel & 0xfffc) == 0)
		xraise_gp(c, 0);
	sysdesc_read(c, sel, &desc);
	const unsigned type = xdesc_type(&desc);
	if (type != SYS_TSS32 && (type != SYS_TSS16 || xlong_mode(c)))
		xraise_gp(c, sel & 0xfffcu);
	sysdesc_unpack(c, sel, &desc, &s);
	s.attr |= 2; /* busy */
	xmem_sys_write(c, desc.lin + 5, 1, (desc.raw >> 40 & 0xff) | 2);
	c->s.seg[CPU_TR] = s;
}

XBIND(xbind_ltr)
{
	(void)z;
	(void)d;
	return op_ltr;
}

static void op_sldt(struct xcpu *c, const struct dinsn *d)
{
	xneed_protected(c);
	xrm_store(c, d, c->s.seg[d->aux].sel);
}

XBIND(xbind_sldt)
{
	d->aux = z->insn.mnemonic == ZYDIS_MNEMONIC_STR ? CPU_TR : CPU_LDTR;
	d->size = (uint8_t)(z->insn.operand_width / 8);
	return op_sldt;
}

/* ---- LAR, LSL, VERR, VERW, ARPL ---- */

static void zf_set(struct xcpu *c, bool v)
{
	c->fl = v ? c->fl | XF_ZF : c->fl & ~XF_ZF;
}

/* Types that LAR knows; LSL knows those without the gates (SDM vol. 2, tables 3-53, 3-56). */
static bool system_type_known(const struct xcpu *c, unsigned type, bool gates)
{
	switch (type) {
	case SYS_TSS16:
	case SYS_TSS16_BUSY:
		return !xlong_mode(c);
	case SYS_CALL16:
	case SYS_TASK:
		return gates && !xlong_mode(c);
	case SYS_CALL32:
		return gates;
	case SYS_LDT:
	case SYS_TSS32:
	case SYS_TSS32_BUSY:
		return true;
	default:
		return false;
	}
}

static bool desc_visible(struct xcpu *c, uint16_t sel, bool gates, struct xdesc *desc)
{
	if ((sel & 0xfffc) == 0 || !xdesc_read(c, sel, desc))
		return false;
	if (xdesc_is_code(desc) && (xdesc_type(desc) & SEG_CONFORM))
		return true;
	if (!xdesc_is_segment(desc) && !system_type_known(c, xdesc_type(desc), gates))
		return false;
	return xdesc_dpl(desc) >= xcpl(c) && xdesc_dpl(desc) >= (sel & 3u);
}

static void op_lar(struct xcpu *c, const struct dinsn *d)
{
	struct xdesc desc;
	xneed_protected(c);
	const bool ok = desc_visible(c, xrm16_read(c, d), true, &desc);
	zf_set(c, ok);
	if (ok)
		xgpr_store(c, d->reg, d->size, desc.raw >> 32 & 0x00f0ff00);
}

XBIND(xbind_lar)
{
	d->size = (uint8_t)(z->op[0].size / 8);
	return op_lar;
}

static void op_lsl(struct xcpu *c, const struct dinsn *d)
{
	struct xdesc desc;
	xneed_protected(c);
	const bool ok = desc_visible(c, xrm16_read(c, d), false, &desc);
	zf_set(c, ok);
	if (ok)
		xgpr_store(c, d->reg, d->size, xdesc_limit(&desc));
}

XBIND(xbind_lsl)
{
	d->size = (uint8_t)(z->op[0].size / 8);
	return op_lsl;
}

static void op_verr(struct xcpu *c, const struct dinsn *d)
{
	struct xdesc desc;
	xneed_protected(c);
	const bool seen = desc_visible(c, xrm16_read(c, d), false, &desc);
	zf_set(c, seen && xdesc_is_segment(&desc) &&
			  (!xdesc_is_code(&desc) || (xdesc_type(&desc) & SEG_WRITABLE)));
}

XBIND(xbind_verr)
{
	(void)z;
	(void)d;
	return op_verr;
}

static void op_verw(struct xcpu *c, const struct dinsn *d)
{
	struct xdesc desc;
	xneed_protected(c);
	const bool seen = desc_visible(c, xrm16_read(c, d), false, &desc);
	zf_set(c, seen && xdesc_is_segment(&desc) && !xdesc_is_code(&desc) &&
			  (xdesc_type(&desc) & SEG_WRITABLE));
}

XBIND(xbind_verw)
{
	(void)z;
	(void)d;
	return op_verw;
}

static void op_arpl(struct xcpu *c, const struct dinsn *d)
{
	uint16_t *dest;
	xneed_protected(c);
	if (d->flags & XD_MEM)
		dest = xmem_rmw16(c, d->seg, xea(c, d, 2, XACC_WRITE));
	else
		dest = &XREG16(c, d->rm);
	const unsigned rpl = XREG16(c, d->reg) & 3u;
	const bool raise = (*dest & 3u) < rpl;
	if (raise)
		*dest = (uint16_t)((*dest & ~3u) | rpl);
	if (d->flags & XD_MEM)
		xmem_rmw_done(c);
	zf_set(c, raise);
}

XBIND(xbind_arpl)
{
	(void)d;
	return z->mode & XMODE_64 ? NULL : op_arpl;
}
