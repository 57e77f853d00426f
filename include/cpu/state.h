/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canonical vCPU state: everything a vCPU is between two instructions, the
 * same for every engine. Engines translate to and from it; digests,
 * checkpoints, the debugger and divergence reports read only this.
 * Names are those of the Intel SDM.
 */
#ifndef RV_CPU_STATE_H
#define RV_CPU_STATE_H

#include "base/state.h"
#include "base/types.h"

#define CPU_MAX 16u

enum cpu_gpr {
	CPU_RAX, CPU_RCX, CPU_RDX, CPU_RBX, CPU_RSP, CPU_RBP, CPU_RSI, CPU_RDI,
	CPU_R8, CPU_R9, CPU_R10, CPU_R11, CPU_R12, CPU_R13, CPU_R14, CPU_R15
};

/* The encoding order of Sreg in instructions (SDM vol. 2, table 2-1), then the two system segments. */
enum cpu_segment { CPU_ES, CPU_CS, CPU_SS, CPU_DS, CPU_FS, CPU_GS, CPU_LDTR, CPU_TR, CPU_NSEG };

/* Attribute bits of struct cpu_seg.attr: bits 40-55 of a descriptor shifted down
 * (type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15; limit bits are zero). */
#define SEG_TYPE 0x000fu
#define SEG_ACCESSED 0x0001u
#define SEG_WRITABLE 0x0002u /* data; readable for code */
#define SEG_CONFORM 0x0004u  /* code; expand-down for data */
#define SEG_CODE 0x0008u
#define SEG_S 0x0010u
#define SEG_DPL_SHIFT 5u
#define SEG_P 0x0080u
#define SEG_AVL 0x1000u
#define SEG_L 0x2000u
#define SEG_DB 0x4000u
#define SEG_G 0x8000u

struct cpu_seg {
	uint64_t base;
	uint32_t limit; /* in bytes, granularity applied */
	uint16_t attr;  /* a null selector loaded in a data segment has P = 0 */
	uint16_t sel;
};

struct cpu_dtable { /* GDTR, IDTR */
	uint64_t base;
	uint16_t limit;
};

#define RFLAGS_CF (1u << 0)
#define RFLAGS_1 (1u << 1)
#define RFLAGS_PF (1u << 2)
#define RFLAGS_AF (1u << 4)
#define RFLAGS_ZF (1u << 6)
#define RFLAGS_SF (1u << 7)
#define RFLAGS_TF (1u << 8)
#define RFLAGS_IF (1u << 9)
#define RFLAGS_DF (1u << 10)
#define RFLAGS_OF (1u << 11)
#define RFLAGS_IOPL (3u << 12)
#define RFLAGS_NT (1u << 14)
#define RFLAGS_RF (1u << 16)
#define RFLAGS_VM (1u << 17)
#define RFLAGS_AC (1u << 18)
#define RFLAGS_VIF (1u << 19)
#define RFLAGS_VIP (1u << 20)
#define RFLAGS_ID (1u << 21)
#define RFLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

#define CR0_PE (1u << 0)
#define CR0_MP (1u << 1)
#define CR0_EM (1u << 2)
#define CR0_TS (1u << 3)
#define CR0_ET (1u << 4)
#define CR0_NE (1u << 5)
#define CR0_WP (1u << 16)
#define CR0_AM (1u << 18)
#define CR0_NW (1u << 29)
#define CR0_CD (1u << 30)
#define CR0_PG (1u << 31)

#define CR4_VME (1u << 0)
#define CR4_PVI (1u << 1)
#define CR4_TSD (1u << 2)
#define CR4_DE (1u << 3)
#define CR4_PSE (1u << 4)
#define CR4_PAE (1u << 5)
#define CR4_MCE (1u << 6)
#define CR4_PGE (1u << 7)
#define CR4_PCE (1u << 8)
#define CR4_OSFXSR (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP (1u << 11)

#define EFER_SCE (1u << 0)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define EFER_NXE (1u << 11)

enum cpu_vector {
	VEC_DE = 0, VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_OF = 4, VEC_BR = 5, VEC_UD = 6, VEC_NM = 7,
	VEC_DF = 8, VEC_TS = 10, VEC_NP = 11, VEC_SS = 12, VEC_GP = 13, VEC_PF = 14, VEC_MF = 16,
	VEC_AC = 17, VEC_MC = 18, VEC_XM = 19
};

/* MSRs that are plain storage, in struct cpu_state.msr[]; the numbers and reset values stand in the
 * table of vmm/cpu/model.c. */
enum cpu_msr_slot {
	CPU_MSR_STAR, CPU_MSR_LSTAR, CPU_MSR_CSTAR, CPU_MSR_SFMASK, CPU_MSR_KERNEL_GS_BASE,
	CPU_MSR_SYSENTER_CS, CPU_MSR_SYSENTER_ESP, CPU_MSR_SYSENTER_EIP, CPU_MSR_PAT,
	CPU_MSR_MISC_ENABLE, CPU_MSR_SPEC_CTRL, CPU_MSR_TSC_AUX, CPU_MSR_TSC_ADJUST,
	CPU_MSR_MTRR_DEF_TYPE, CPU_MSR_MTRR_FIX, /* 11 of them */
	CPU_MSR_MTRR_VAR = CPU_MSR_MTRR_FIX + 11, /* 8 pairs base, mask */
	CPU_MSR_NSLOT = CPU_MSR_MTRR_VAR + 16
};

enum cpu_activity { CPU_RUNNING, CPU_HALTED, CPU_WAIT_SIPI, CPU_SHUTDOWN };

struct cpu_f80 {
	uint64_t mant;
	uint16_t sexp; /* sign and exponent */
};

struct cpu_xmm {
	uint64_t lo, hi;
};

struct cpu_state {
	uint64_t gpr[16];
	uint64_t rip;
	uint64_t rflags; /* bit 1 always set */
	struct cpu_seg seg[CPU_NSEG];
	struct cpu_dtable gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4; /* CR8 is the local APIC's TPR */
	uint64_t efer;
	uint64_t dr[4], dr6, dr7;
	uint64_t pdpte[4]; /* PAE paging: loaded with CR3, part of the state (SDM vol. 3, 4.4.1) */
	uint64_t msr[CPU_MSR_NSLOT];
	/* x87: st[] in physical register order, TOP is in fsw, ftw in full two-bit form. */
	struct cpu_f80 st[8];
	uint16_t fcw, fsw, ftw, fop;
	uint64_t fip, fdp;
	uint32_t mxcsr;
	struct cpu_xmm xmm[16];
	uint8_t activity;   /* enum cpu_activity */
	bool shadow_sti;    /* interrupts blocked for one instruction by STI */
	bool shadow_ss;     /* ... by MOV SS / POP SS (also blocks debug exceptions) */
	bool nmi_blocked;   /* until IRET */
	uint64_t pending_db; /* DR6 bits of a debug trap due at this boundary (TF, data breakpoints); 0: none */
	uint8_t sipi_vector;
};

extern const struct state_desc cpu_state_desc;

/* SDM vol. 3, table 9-1; an application processor starts in CPU_WAIT_SIPI. */
void cpu_state_reset(struct cpu_state *s, bool bootstrap);

static inline unsigned cpu_state_cpl(const struct cpu_state *s)
{
	return (unsigned)(s->seg[CPU_SS].attr >> SEG_DPL_SHIFT) & 3u;
}

#endif
