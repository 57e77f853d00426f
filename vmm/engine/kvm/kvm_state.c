/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical vCPU state to and from KVM's structures (Linux Documentation/virt/kvm/api.rst). */
#include <string.h>
#include <sys/ioctl.h>

#include "cpu/model.h"
#include "kvm.h"

static struct kvm_segment kvm_seg_from(const struct cpu_seg *s)
{
	return (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->sel,
		.type = s->attr & SEG_TYPE,
		.s = (s->attr & SEG_S) != 0,
		.dpl = s->attr >> SEG_DPL_SHIFT & 3,
		.present = (s->attr & SEG_P) != 0,
		.avl = (s->attr & SEG_AVL) != 0,
		.l = (s->attr & SEG_L) != 0,
		.db = (s->attr & SEG_DB) != 0,
		.g = (s->attr & SEG_G) != 0,
		.unusable = !(s->attr & SEG_P),
	};
}

static struct cpu_seg kvm_seg_to(const struct kvm_segment *k)
{
	struct cpu_seg s = { .base = k->base, .limit = k->limit, .sel = k->selector };
	s.attr = (uint16_t)((k->type & SEG_TYPE) | (k->s ? SEG_S : 0u) |
			    ((unsigned)k->dpl & 3u) << SEG_DPL_SHIFT |
			    (k->present && !k->unusable ? SEG_P : 0u) | (k->avl ? SEG_AVL : 0u) |
			    (k->l ? SEG_L : 0u) | (k->db ? SEG_DB : 0u) | (k->g ? SEG_G : 0u));
	return s;
}

/* The MSRs that are state of their own in KVM, with their places in struct cpu_state. */
struct kvm_msr_map {
	uint32_t msr;
	size_t offset;
};
#define KVM_MSR_SLOT(number, slot) { number, offsetof(struct cpu_state, msr) + 8 * (slot) }
static const struct kvm_msr_map kvm_msr_map[] = {
	KVM_MSR_SLOT(MSR_STAR, CPU_MSR_STAR),
	KVM_MSR_SLOT(MSR_LSTAR, CPU_MSR_LSTAR),
	KVM_MSR_SLOT(MSR_CSTAR, CPU_MSR_CSTAR),
	KVM_MSR_SLOT(MSR_SFMASK, CPU_MSR_SFMASK),
	KVM_MSR_SLOT(MSR_KERNEL_GS_BASE, CPU_MSR_KERNEL_GS_BASE),
	KVM_MSR_SLOT(MSR_SYSENTER_CS, CPU_MSR_SYSENTER_CS),
	KVM_MSR_SLOT(MSR_SYSENTER_ESP, CPU_MSR_SYSENTER_ESP),
	KVM_MSR_SLOT(MSR_SYSENTER_EIP, CPU_MSR_SYSENTER_EIP),
};

union kvm_msr_block {
	struct kvm_msrs head;
	uint8_t room[sizeof(struct kvm_msrs) +
		     RV_ARRAY_LEN(kvm_msr_map) * sizeof(struct kvm_msr_entry)];
};

static void kvm_fpu_get(const struct kvm_fpu *f, struct cpu_state *out)
{
	unsigned top = f->fsw >> 11 & 7;
	out->fcw = f->fcw;
	out->fsw = f->fsw;
	out->fop = f->last_opcode;
	out->fip = f->last_ip;
	out->fdp = f->last_dp;
	out->mxcsr = f->mxcsr;
	out->ftw = 0;
	for (unsigned i = 0; i < 8; i++) {
		unsigned phys = (top + i) & 7, tag;
		memcpy(&out->st[phys].mant, f->fpr[i], 8);
		memcpy(&out->st[phys].sexp, f->fpr[i] + 8, 2);
		/* The abridged tag says only empty or not (SDM vol. 1, 10.5.1.1). */
		if (!(f->ftwx >> phys & 1))
			tag = 3;
		else if ((out->st[phys].sexp & 0x7fff) == 0 && out->st[phys].mant == 0)
			tag = 1;
		else if ((out->st[phys].sexp & 0x7fff) == 0x7fff || !(out->st[phys].mant >> 63))
			tag = 2;
		else
			tag = 0;
		out->ftw = (uint16_t)(out->ftw | tag << phys * 2);
	}
	memcpy(out->xmm, f->xmm, sizeof(out->xmm));
}

static void kvm_fpu_set(const struct cpu_state *s, struct kvm_fpu *f)
{
	unsigned top = s->fsw >> 11 & 7;
	memset(f, 0, sizeof(*f));
	f->fcw = s->fcw;
	f->fsw = s->fsw;
	f->last_opcode = s->fop;
	f->last_ip = s->fip;
	f->last_dp = s->fdp;
	f->mxcsr = s->mxcsr;
	for (unsigned i = 0; i < 8; i++) {
		unsigned phys = (top + i) & 7;
		memcpy(f->fpr[i], &s->st[phys].mant, 8);
		memcpy(f->fpr[i] + 8, &s->st[phys].sexp, 2);
		if ((s->ftw >> phys * 2 & 3) != 3)
			f->ftwx = (uint8_t)(f->ftwx | 1u << phys);
	}
	memcpy(f->xmm, s->xmm, sizeof(s->xmm));
}

int kvm_state_get(struct kvm *k, unsigned vcpu, struct cpu_state *out)
{
	int fd = k->vcpu[vcpu].fd;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_debugregs dbg;
	struct kvm_vcpu_events events;
	union kvm_msr_block msrs;
	const struct kvm_segment *seg[CPU_NSEG] = { &sregs.es, &sregs.cs, &sregs.ss, &sregs.ds,
						    &sregs.fs, &sregs.gs, &sregs.ldt, &sregs.tr };
	memset(out, 0, sizeof(*out));
	memset(&msrs, 0, sizeof(msrs));
	msrs.head.nmsrs = RV_ARRAY_LEN(kvm_msr_map);
	for (size_t i = 0; i < RV_ARRAY_LEN(kvm_msr_map); i++)
		msrs.head.entries[i].index = kvm_msr_map[i].msr;
	if (ioctl(fd, KVM_GET_REGS, &regs) || ioctl(fd, KVM_GET_SREGS, &sregs) ||
	    ioctl(fd, KVM_GET_FPU, &fpu) || ioctl(fd, KVM_GET_DEBUGREGS, &dbg) ||
	    ioctl(fd, KVM_GET_VCPU_EVENTS, &events) ||
	    ioctl(fd, KVM_GET_MSRS, &msrs) != (int)RV_ARRAY_LEN(kvm_msr_map))
		return RV_EIO;
	out->gpr[CPU_RAX] = regs.rax;
	out->gpr[CPU_RCX] = regs.rcx;
	out->gpr[CPU_RDX] = regs.rdx;
	out->gpr[CPU_RBX] = regs.rbx;
	out->gpr[CPU_RSP] = regs.rsp;
	out->gpr[CPU_RBP] = regs.rbp;
	out->gpr[CPU_RSI] = regs.rsi;
	out->gpr[CPU_RDI] = regs.rdi;
	out->gpr[CPU_R8] = regs.r8;
	out->gpr[CPU_R9] = regs.r9;
	out->gpr[CPU_R10] = regs.r10;
	out->gpr[CPU_R11] = regs.r11;
	out->gpr[CPU_R12] = regs.r12;
	out->gpr[CPU_R13] = regs.r13;
	out->gpr[CPU_R14] = regs.r14;
	out->gpr[CPU_R15] = regs.r15;
	out->rip = regs.rip;
	out->rflags = regs.rflags | RFLAGS_1;
	for (unsigned i = 0; i < CPU_NSEG; i++)
		out->seg[i] = kvm_seg_to(seg[i]);
	out->gdtr = (struct cpu_dtable){ .base = sregs.gdt.base, .limit = sregs.gdt.limit };
	out->idtr = (struct cpu_dtable){ .base = sregs.idt.base, .limit = sregs.idt.limit };
	out->cr0 = sregs.cr0;
	out->cr2 = sregs.cr2;
	out->cr3 = sregs.cr3;
	out->cr4 = sregs.cr4;
	out->efer = sregs.efer;
	memcpy(out->dr, dbg.db, sizeof(out->dr));
	out->dr6 = dbg.dr6;
	out->dr7 = dbg.dr7;
	for (size_t i = 0; i < RV_ARRAY_LEN(kvm_msr_map); i++)
		memcpy((uint8_t *)out + kvm_msr_map[i].offset, &msrs.head.entries[i].data, 8);
	kvm_fpu_get(&fpu, out);
	out->shadow_sti = (events.interrupt.shadow & KVM_X86_SHADOW_INT_STI) != 0;
	out->shadow_ss = (events.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS) != 0;
	out->nmi_blocked = events.nmi.masked != 0;
	out->activity = k->vcpu[vcpu].shutdown ? CPU_SHUTDOWN
			: k->vcpu[vcpu].halted ? CPU_HALTED
					       : CPU_RUNNING;
	return RV_OK;
}

int kvm_state_set(struct kvm *k, unsigned vcpu, const struct cpu_state *s)
{
	int fd = k->vcpu[vcpu].fd;
	struct kvm_regs regs = {
		.rax = s->gpr[CPU_RAX], .rcx = s->gpr[CPU_RCX], .rdx = s->gpr[CPU_RDX],
		.rbx = s->gpr[CPU_RBX], .rsp = s->gpr[CPU_RSP], .rbp = s->gpr[CPU_RBP],
		.rsi = s->gpr[CPU_RSI], .rdi = s->gpr[CPU_RDI], .r8 = s->gpr[CPU_R8],
		.r9 = s->gpr[CPU_R9], .r10 = s->gpr[CPU_R10], .r11 = s->gpr[CPU_R11],
		.r12 = s->gpr[CPU_R12], .r13 = s->gpr[CPU_R13], .r14 = s->gpr[CPU_R14],
		.r15 = s->gpr[CPU_R15], .rip = s->rip, .rflags = s->rflags | RFLAGS_1,
	};
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_debugregs dbg;
	struct kvm_vcpu_events events;
	union kvm_msr_block msrs;
	struct kvm_segment *seg[CPU_NSEG] = { &sregs.es, &sregs.cs, &sregs.ss, &sregs.ds,
					      &sregs.fs, &sregs.gs, &sregs.ldt, &sregs.tr };

	if (ioctl(fd, KVM_GET_SREGS, &sregs) || ioctl(fd, KVM_GET_VCPU_EVENTS, &events))
		return RV_EIO;
	for (unsigned i = 0; i < CPU_NSEG; i++)
		*seg[i] = kvm_seg_from(&s->seg[i]);
	sregs.gdt.base = s->gdtr.base;
	sregs.gdt.limit = s->gdtr.limit;
	sregs.idt.base = s->idtr.base;
	sregs.idt.limit = s->idtr.limit;
	sregs.cr0 = s->cr0;
	sregs.cr2 = s->cr2;
	sregs.cr3 = s->cr3;
	sregs.cr4 = s->cr4;
	sregs.efer = s->efer;
	memset(&dbg, 0, sizeof(dbg));
	memcpy(dbg.db, s->dr, sizeof(s->dr));
	dbg.dr6 = s->dr6;
	dbg.dr7 = s->dr7;
	memset(&msrs, 0, sizeof(msrs));
	msrs.head.nmsrs = RV_ARRAY_LEN(kvm_msr_map);
	for (size_t i = 0; i < RV_ARRAY_LEN(kvm_msr_map); i++) {
		msrs.head.entries[i].index = kvm_msr_map[i].msr;
		memcpy(&msrs.head.entries[i].data, (const uint8_t *)s + kvm_msr_map[i].offset, 8);
	}
	kvm_fpu_set(s, &fpu);
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	events.interrupt.shadow = (uint8_t)((s->shadow_sti ? KVM_X86_SHADOW_INT_STI : 0) |
					    (s->shadow_ss ? KVM_X86_SHADOW_INT_MOV_SS : 0));
	events.nmi.masked = s->nmi_blocked;
	if (ioctl(fd, KVM_SET_SREGS, &sregs) || ioctl(fd, KVM_SET_REGS, &regs) ||
	    ioctl(fd, KVM_SET_FPU, &fpu) || ioctl(fd, KVM_SET_DEBUGREGS, &dbg) ||
	    ioctl(fd, KVM_SET_MSRS, &msrs) != (int)RV_ARRAY_LEN(kvm_msr_map) ||
	    ioctl(fd, KVM_SET_VCPU_EVENTS, &events))
		return RV_EIO;
	k->vcpu[vcpu].halted = s->activity == CPU_HALTED;
	k->vcpu[vcpu].shutdown = s->activity == CPU_SHUTDOWN;
	return RV_OK;
}
