/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one CPU model, rv-v2: x86-64-v2, one table of CPUID leaves and MSRs.
 * A change to any value here is a new CPU_SEMANTICS_VERSION: old traces
 * would see another machine.
 */
#ifndef RV_CPU_MODEL_H
#define RV_CPU_MODEL_H

#include "cpu/state.h"

#define CPU_MODEL_NAME "rv-v2"
#define CPU_SEMANTICS_VERSION 2u /* 2: PCI, virtio, SMP */
#define CPU_RESULT_PROFILE "rv"
#define CPU_TSC_HZ 1000000000ull
#define CPU_PHYS_BITS 40u
#define CPU_LINEAR_BITS 48u

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

/* s: for the bits that mirror state (OSXSAVE is never set; leaf 1 APIC-enabled comes from apic_on).
 * apic_id: x2APIC ID of this vCPU. ncpus: of the machine. */
void cpu_model_cpuid(const struct cpu_state *s, unsigned apic_id, unsigned ncpus, bool apic_on,
		     uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);

/* MSRs held in struct cpu_state or constant. Device MSRs (APIC base, x2APIC, TSC deadline) are on the
 * bus, and the ones with side effects in the engine (EFER, FS/GS base, TSC) are the engine's.
 * Return 0; RV_ENOENT if the model has no such MSR, RV_EINVAL if the value is refused: both are
 * #GP(0) to the guest. */
int cpu_model_msr_read(const struct cpu_state *s, uint32_t msr, uint64_t *value);
int cpu_model_msr_write(struct cpu_state *s, uint32_t msr, uint64_t value);

/* The numbers used outside the table. */
#define MSR_TSC 0x10u
#define MSR_APIC_BASE 0x1bu
#define MSR_TSC_ADJUST 0x3bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC_FIRST 0x800u
#define MSR_X2APIC_LAST 0x83fu
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_SYSENTER_CS 0x174u
#define MSR_SYSENTER_ESP 0x175u
#define MSR_SYSENTER_EIP 0x176u

/* Upper bits of a linear address equal bit 47 (SDM vol. 1, 3.3.7.1). */
static inline bool cpu_canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

#endif
