/* SPDX-License-Identifier: Apache-2.0 */
/* Bind functions of the system instructions, one table in ops_sys.c. */
#ifndef RV_EXACT_OPS_SYS_H
#define RV_EXACT_OPS_SYS_H

#include "decode.h"
#include "sys.h"

#define XBIND(name) xop_fn name(const struct xinsn *z, struct dinsn *d)

/* A r/m16 source or destination. */
static inline uint16_t xrm16_read(struct xcpu *c, const struct dinsn *d)
{
	if (d->flags & XD_MEM)
		return xmem_read16(c, d->seg, xea(c, d, 2, XACC_READ));
	return XREG16(c, d->rm);
}
/* Selectors and the like: a register takes d->size bytes, zero-extended; memory takes 16 bits. */
static inline void xrm_store(struct xcpu *c, const struct dinsn *d, uint64_t v)
{
	if (d->flags & XD_MEM)
		xmem_write16(c, d->seg, xea(c, d, 2, XACC_WRITE), (uint16_t)v);
	else if (d->size == 2)
		XREG16(c, d->rm) = (uint16_t)v;
	else
		c->r[d->rm] = v & xmask_of(d->size);
}
static inline void xgpr_store(struct xcpu *c, unsigned reg, unsigned size, uint64_t v)
{
	if (size == 2)
		XREG16(c, reg) = (uint16_t)v;
	else
		c->r[reg] = v & xmask_of(size);
}

/* ops_sys_cr.c */
XBIND(xbind_mov_crdr);
XBIND(xbind_clts);
XBIND(xbind_lmsw);
XBIND(xbind_smsw);
/* ops_sys_seg.c */
XBIND(xbind_mov_sreg);
XBIND(xbind_push_sreg);
XBIND(xbind_pop_sreg);
XBIND(xbind_lfar); /* LDS LES LFS LGS LSS */
XBIND(xbind_jmp_far);
XBIND(xbind_call_far);
XBIND(xbind_ret_far);
XBIND(xbind_iret);
XBIND(xbind_lgdt);
XBIND(xbind_sgdt);
XBIND(xbind_lldt);
XBIND(xbind_ltr);
XBIND(xbind_sldt);
XBIND(xbind_lar);
XBIND(xbind_lsl);
XBIND(xbind_verr);
XBIND(xbind_verw);
XBIND(xbind_arpl);
/* ops_sys_msr.c */
XBIND(xbind_rdmsr);
XBIND(xbind_wrmsr);
XBIND(xbind_rdtsc);
XBIND(xbind_rdtscp);
XBIND(xbind_rdpmc);
XBIND(xbind_cpuid);
XBIND(xbind_syscall);
XBIND(xbind_sysret);
XBIND(xbind_sysenter);
XBIND(xbind_sysexit);
XBIND(xbind_swapgs);

#endif
