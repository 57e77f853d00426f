/* SPDX-License-Identifier: Apache-2.0 */
/* Control and debug registers (SDM vol. 2, MOV; vol. 3, 2.5 and 17.2). */
#include "ops_sys.h"

#define CR0_KNOWN                                                                                  \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 (uint64_t)CR0_PG)
/* What rv-v2 has; every other bit is reserved. */
#define CR4_KNOWN                                                                                  \
	((uint64_t)(CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |           \
		    CR4_OSFXSR | CR4_OSXMMEXCPT))

#define DR6_FIXED 0xffff0ff0ull
#define DR6_WRITABLE 0xe00full
#define DR7_WRITABLE 0xffff23ffull
#define DR7_FIXED 0x400ull
#define DR7_GD 0x2000ull
#define DR6_BD 0x2000ull

static bool paging_pae32(const struct xcpu *c, uint64_t cr0, uint64_t cr4)
{
	return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(c->s.efer & EFER_LME);
}

static void pdptes_load(struct xcpu *c, uint64_t cr3)
{
	uint64_t p[4];
	if (xmmu_pdptes_read(c, cr3, p))
		xraise_gp(c, 0);
	for (unsigned i = 0; i < 4; i++)
		c->s.pdpte[i] = p[i];
}

static void cr0_write(struct xcpu *c, uint64_t v)
{
	const uint64_t old = c->s.cr0;
	if (v >> 32)
		xraise_gp(c, 0);
	v = (v & CR0_KNOWN) | CR0_ET;
	const uint64_t changed = old ^ v;
	if (((v & CR0_PG) && !(v & CR0_PE)) || ((v & CR0_NW) && !(v & CR0_CD)))
		xraise_gp(c, 0);
	if ((changed & v & CR0_PG) && (c->s.efer & EFER_LME)) {
		/* SDM vol. 3, 9.8.5: into IA-32e mode */
		if (!(c->s.cr4 & CR4_PAE) || (c->s.seg[CPU_CS].attr & SEG_L))
			xraise_gp(c, 0);
	}
	if ((changed & ~v & CR0_PG) && c->code64)
		xraise_gp(c, 0);
	if ((changed & (CR0_PG | CR0_CD | CR0_NW)) && paging_pae32(c, v, c->s.cr4))
		pdptes_load(c, c->s.cr3); /* SDM vol. 3, 4.4.1 */
	if (changed & CR0_PG) {
		if ((v & CR0_PG) && (c->s.efer & EFER_LME))
			c->s.efer |= EFER_LMA;
		else
			c->s.efer &= ~(uint64_t)EFER_LMA;
	}
	c->s.cr0 = v;
	if (changed & (CR0_PG | CR0_WP | CR0_PE))
		xmmu_flush(c);
	xcpu_mode_update(c);
}

static void cr3_write(struct xcpu *c, uint64_t v)
{
	if (v >> CPU_PHYS_BITS)
		xraise_gp(c, 0);
	if (paging_pae32(c, c->s.cr0, c->s.cr4))
		pdptes_load(c, v);
	xmmu_cr3_load(c, v);
}

static void cr4_write(struct xcpu *c, uint64_t v)
{
	const uint64_t changed = c->s.cr4 ^ v;
	if (v & ~CR4_KNOWN)
		xraise_gp(c, 0);
	if ((c->s.efer & EFER_LMA) && !(v & CR4_PAE))
		xraise_gp(c, 0);
	if ((changed & (CR4_PAE | CR4_PSE | CR4_PGE)) && paging_pae32(c, c->s.cr0, v))
		pdptes_load(c, c->s.cr3);
	c->s.cr4 = v;
	if (changed & (CR4_PAE | CR4_PSE))
		xmmu_flush(c);
	c->leave = true;
}

static void op_mov_to_cr(struct xcpu *c, const struct dinsn *d)
{
	const uint64_t v = c->r[d->rm] & xmask_of(d->size);
	xneed_cpl0(c);
	switch (d->reg) {
	case 0:
		cr0_write(c, v);
		break;
	case 2:
		c->s.cr2 = v;
		break;
	case 3:
		cr3_write(c, v);
		break;
	case 4:
		cr4_write(c, v);
		break;
	default: /* 8: the bind lets no other through */
		if (v > 15)
			xraise_gp(c, 0);
		xdevice_sync(c);
		bus_cr8_write(xcpu_bus(c), c->index, (uint8_t)v);
		break;
	}
}

static void op_mov_from_cr(struct xcpu *c, const struct dinsn *d)
{
	uint64_t v;
	xneed_cpl0(c);
	switch (d->reg) {
	case 0:
		v = c->s.cr0;
		break;
	case 2:
		v = c->s.cr2;
		break;
	case 3:
		v = c->s.cr3;
		break;
	case 4:
		v = c->s.cr4;
		break;
	default:
		xdevice_sync(c);
		v = bus_cr8_read(xcpu_bus(c), c->index);
		break;
	}
	c->r[d->rm] = v & xmask_of(d->size);
}

/* Returns the register that DRn names: 4 and 5 are 6 and 7 unless CR4.DE. */
static unsigned dr_check(struct xcpu *c, unsigned n)
{
	if (n == 4 || n == 5) {
		if (c->s.cr4 & CR4_DE)
			xraise_ud(c);
		n += 2;
	}
	xneed_cpl0(c);
	if (c->s.dr7 & DR7_GD) {
		c->fault_dr6 = DR6_BD;
		xraise(c, VEC_DB);
	}
	return n;
}

static void op_mov_to_dr(struct xcpu *c, const struct dinsn *d)
{
	const uint64_t v = c->r[d->rm] & xmask_of(d->size);
	const unsigned n = dr_check(c, d->reg);
	if (n >= 6 && v >> 32)
		xraise_gp(c, 0);
	if (n < 4)
		c->s.dr[n] = v;
	else if (n == 6)
		c->s.dr6 = (v & DR6_WRITABLE) | DR6_FIXED;
	else
		c->s.dr7 = (v & DR7_WRITABLE) | DR7_FIXED;
	xcpu_mode_update(c);
}

static void op_mov_from_dr(struct xcpu *c, const struct dinsn *d)
{
	const unsigned n = dr_check(c, d->reg);
	const uint64_t v = n < 4 ? c->s.dr[n] : n == 6 ? c->s.dr6 : c->s.dr7;
	c->r[d->rm] = v & xmask_of(d->size);
}

XBIND(xbind_mov_crdr)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!xinsn_op_is(z, i, ZYDIS_OPERAND_TYPE_REGISTER))
			continue;
		ZydisRegisterClass cls = ZydisRegisterGetClass(z->op[i].reg.value);
		if (cls != ZYDIS_REGCLASS_CONTROL && cls != ZYDIS_REGCLASS_DEBUG)
			continue;
		d->size = z->mode & XMODE_64 ? 8 : 4;
		d->reg = (uint8_t)(z->op[i].reg.value - (cls == ZYDIS_REGCLASS_CONTROL
								 ? ZYDIS_REGISTER_CR0
								 : ZYDIS_REGISTER_DR0));
		if (d->flags & XD_LOCK)
			return xop_undefined;
		if (cls == ZYDIS_REGCLASS_DEBUG) {
			if (d->reg > 7)
				return xop_undefined;
			return i == 0 ? op_mov_to_dr : op_mov_from_dr;
		}
		if (d->reg != 0 && d->reg != 2 && d->reg != 3 && d->reg != 4 && d->reg != 8)
			return xop_undefined;
		return i == 0 ? op_mov_to_cr : op_mov_from_cr;
	}
	return NULL;
}

static void op_clts(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	xneed_cpl0(c);
	c->s.cr0 &= ~(uint64_t)CR0_TS;
}

XBIND(xbind_clts)
{
	(void)z;
	(void)d;
	return op_clts;
}

static void op_lmsw(struct xcpu *c, const struct dinsn *d)
{
	xneed_cpl0(c);
	const uint64_t v = xrm16_read(c, d) & 0xfu;
	/* Sets PE, never clears it. */
	cr0_write(c, (c->s.cr0 & ~(uint64_t)0xe) | v);
}

XBIND(xbind_lmsw)
{
	(void)z;
	(void)d;
	return op_lmsw;
}

static void op_smsw(struct xcpu *c, const struct dinsn *d)
{
	xrm_store(c, d, c->s.cr0);
}

XBIND(xbind_smsw)
{
	(void)d;
	d->size = (uint8_t)(z->insn.operand_width / 8);
	return op_smsw;
}
