/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/state.h"

#include <string.h>

#include "base/status.h"
#include "cpu/model.h"
#include "msr.h"

#define RFLAGS_KNOWN                                                                               \
	(RFLAGS_ARITH | RFLAGS_1 | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT |   \
	 RFLAGS_RF | RFLAGS_VM | RFLAGS_AC | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID)
#define CR0_KNOWN                                                                                  \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)
#define CR4_KNOWN 0xfffu
#define EFER_KNOWN (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define SEG_ATTR_KNOWN 0xf0ffu
#define PENDING_DB_KNOWN 0x600fu /* DR6: B0-B3, BD, BS */
#define DR6_DEFAULT 0xffff0ff0u
#define DR7_DEFAULT 0x400u

/* What MOV CR, WRMSR EFER and the mode switch allow (SDM vol. 3, 2.5 and 4.1.1). */
static bool cpu_state_control_ok(const struct cpu_state *s)
{
	bool pg = s->cr0 & CR0_PG;
	bool lma = s->efer & EFER_LMA;
	if ((s->cr0 & ~(uint64_t)CR0_KNOWN) || (s->cr4 & ~(uint64_t)CR4_KNOWN) ||
	    (s->efer & ~(uint64_t)EFER_KNOWN))
		return false;
	if (pg && !(s->cr0 & CR0_PE))
		return false;
	if ((s->cr0 & CR0_NW) && !(s->cr0 & CR0_CD))
		return false;
	if (lma != (pg && (s->efer & EFER_LME)))
		return false;
	if (lma && !(s->cr4 & CR4_PAE))
		return false;
	if (s->cr3 >> CPU_PHYS_BITS)
		return false;
	return true;
}

static int cpu_state_post_load(void *obj)
{
	struct cpu_state *s = obj;
	if ((s->rflags & ~(uint64_t)RFLAGS_KNOWN) || !(s->rflags & RFLAGS_1))
		return RV_EINVAL;
	if (!cpu_state_control_ok(s))
		return RV_EINVAL;
	for (unsigned i = 0; i < CPU_NSEG; i++) {
		if (s->seg[i].attr & ~SEG_ATTR_KNOWN || !cpu_canonical(s->seg[i].base))
			return RV_EINVAL;
	}
	if (!cpu_canonical(s->gdtr.base) || !cpu_canonical(s->idtr.base))
		return RV_EINVAL;
	if (s->dr6 >> 32 || s->dr7 >> 32 || (s->pending_db & ~(uint64_t)PENDING_DB_KNOWN))
		return RV_EINVAL;
	for (unsigned i = 0; i < CPU_MSR_NSLOT; i++) {
		if (!cpu_msr_value_ok((enum cpu_msr_slot)i, s->msr[i]))
			return RV_EINVAL;
	}
	/* Bits of MXCSR above 15 raise #GP in LDMXCSR; FOP has 11 bits (SDM vol. 1, 8.1.9 and 10.2.3). */
	if (s->mxcsr >> 16 || s->fop >> 11)
		return RV_EINVAL;
	if (s->activity > CPU_SHUTDOWN)
		return RV_EINVAL;
	return RV_OK;
}

static const struct state_field cpu_state_fields[] = {
	STATE_ARRAY(struct cpu_state, gpr),
	STATE_FIELD(struct cpu_state, rip),
	STATE_FIELD(struct cpu_state, rflags),
	STATE_EACH(struct cpu_state, seg, base),
	STATE_EACH(struct cpu_state, seg, limit),
	STATE_EACH(struct cpu_state, seg, attr),
	STATE_EACH(struct cpu_state, seg, sel),
	STATE_FIELD(struct cpu_state, gdtr.base),
	STATE_FIELD(struct cpu_state, gdtr.limit),
	STATE_FIELD(struct cpu_state, idtr.base),
	STATE_FIELD(struct cpu_state, idtr.limit),
	STATE_FIELD(struct cpu_state, cr0),
	STATE_FIELD(struct cpu_state, cr2),
	STATE_FIELD(struct cpu_state, cr3),
	STATE_FIELD(struct cpu_state, cr4),
	STATE_FIELD(struct cpu_state, efer),
	STATE_ARRAY(struct cpu_state, dr),
	STATE_FIELD(struct cpu_state, dr6),
	STATE_FIELD(struct cpu_state, dr7),
	STATE_ARRAY(struct cpu_state, pdpte),
	STATE_ARRAY(struct cpu_state, msr),
	STATE_EACH(struct cpu_state, st, mant),
	STATE_EACH(struct cpu_state, st, sexp),
	STATE_FIELD(struct cpu_state, fcw),
	STATE_FIELD(struct cpu_state, fsw),
	STATE_FIELD(struct cpu_state, ftw),
	STATE_FIELD(struct cpu_state, fop),
	STATE_FIELD(struct cpu_state, fip),
	STATE_FIELD(struct cpu_state, fdp),
	STATE_FIELD(struct cpu_state, mxcsr),
	STATE_EACH(struct cpu_state, xmm, lo),
	STATE_EACH(struct cpu_state, xmm, hi),
	STATE_FIELD(struct cpu_state, activity),
	STATE_BOOL(struct cpu_state, shadow_sti),
	STATE_BOOL(struct cpu_state, shadow_ss),
	STATE_BOOL(struct cpu_state, nmi_blocked),
	STATE_FIELD(struct cpu_state, pending_db),
	STATE_FIELD(struct cpu_state, sipi_vector),
};

const struct state_desc cpu_state_desc = {
	.name = "cpu",
	.version = 1,
	.fields = cpu_state_fields,
	.nfields = RV_ARRAY_LEN(cpu_state_fields),
	.post_load = cpu_state_post_load,
};

void cpu_state_reset(struct cpu_state *s, bool bootstrap)
{
	memset(s, 0, sizeof(*s));
	s->gpr[CPU_RDX] = cpu_model_signature();
	s->rip = 0xfff0;
	s->rflags = RFLAGS_1;
	for (unsigned i = 0; i < CPU_NSEG; i++) {
		s->seg[i].limit = 0xffff;
		s->seg[i].attr = SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED;
	}
	s->seg[CPU_CS].sel = 0xf000;
	s->seg[CPU_CS].base = 0xffff0000;
	s->seg[CPU_CS].attr |= SEG_CODE;
	s->seg[CPU_LDTR].attr = SEG_P | 2;
	s->seg[CPU_TR].attr = SEG_P | 11;
	s->gdtr.limit = 0xffff;
	s->idtr.limit = 0xffff;
	s->cr0 = CR0_CD | CR0_NW | CR0_ET;
	s->dr6 = DR6_DEFAULT;
	s->dr7 = DR7_DEFAULT;
	for (unsigned i = 0; i < CPU_MSR_NSLOT; i++)
		s->msr[i] = cpu_msr_reset_value((enum cpu_msr_slot)i);
	s->fcw = 0x40;
	s->ftw = 0x5555; /* all registers hold +0.0 */
	s->mxcsr = 0x1f80;
	s->activity = bootstrap ? CPU_RUNNING : CPU_WAIT_SIPI;
}
