/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSRs of rv-v2 that are storage or constants (SDM vol. 4, table 2-2). What
 * is not here raises #GP. A change here is a new CPU_SEMANTICS_VERSION.
 */
#include "msr.h"

#include "base/status.h"
#include "cpu/model.h"

#define MSR_PLATFORM_ID 0x17u
#define MSR_SMI_COUNT 0x34u
#define MSR_FEATURE_CONTROL 0x3au
#define MSR_SPEC_CTRL 0x48u
#define MSR_PRED_CMD 0x49u
#define MSR_BIOS_SIGN_ID 0x8bu
#define MSR_PLATFORM_INFO 0xceu
#define MSR_MTRRCAP 0xfeu
#define MSR_ARCH_CAPABILITIES 0x10au
#define MSR_MCG_CAP 0x179u
#define MSR_MCG_STATUS 0x17au
#define MSR_MISC_ENABLE 0x1a0u
#define MSR_DEBUGCTL 0x1d9u
#define MSR_MTRR_VAR_FIRST 0x200u
#define MSR_MTRR_VAR_LAST 0x20fu
#define MSR_PAT 0x277u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MSR_TSC_AUX 0xc0000103u

/* IA32_ARCH_CAPABILITIES: immune to what can be named, so that kernels take their plain paths. */
#define ARCH_CAPABILITIES                                                                          \
	(1ull << 0 |  /* RDCL_NO */                                                                \
	 1ull << 1 |  /* IBRS_ALL */                                                               \
	 1ull << 3 |  /* SKIP_L1DFL_VMENTRY */                                                     \
	 1ull << 4 |  /* SSB_NO */                                                                 \
	 1ull << 5 |  /* MDS_NO */                                                                 \
	 1ull << 6 |  /* IF_PSCHANGE_MC_NO */                                                      \
	 1ull << 8 |  /* TAA_NO */                                                                 \
	 1ull << 13 | /* SBDR_SSDP_NO */                                                           \
	 1ull << 14 | /* FBSDP_NO */                                                               \
	 1ull << 15 | /* PSDP_NO */                                                                \
	 1ull << 20 | /* BHI_NO */                                                                 \
	 1ull << 24 | /* PBRSB_NO */                                                               \
	 1ull << 26 | /* GDS_NO */                                                                 \
	 1ull << 27 | /* RFDS_NO */                                                                \
	 1ull << 62)  /* ITS_NO */

#define MISC_ENABLE_FAST_STRING (1ull << 0)
#define MISC_ENABLE_FIXED (1ull << 11 | 1ull << 12) /* no BTS, no PEBS */
#define SPEC_CTRL_KNOWN 3ull                        /* IBRS, STIBP */
#define PRED_CMD_IBPB 1ull
#define MTRR_DEF_KNOWN (0xffull | 1ull << 10 | 1ull << 11)
#define MTRR_VALID (1ull << 11)
#define PHYS_PAGE_MASK (((1ull << CPU_PHYS_BITS) - 1) & ~0xfffull)

static const struct {
	uint32_t msr;
	uint32_t slot;
} msr_stored[] = {
	{ MSR_TSC_ADJUST, CPU_MSR_TSC_ADJUST },
	{ MSR_SPEC_CTRL, CPU_MSR_SPEC_CTRL },
	{ MSR_SYSENTER_CS, CPU_MSR_SYSENTER_CS },
	{ MSR_SYSENTER_ESP, CPU_MSR_SYSENTER_ESP },
	{ MSR_SYSENTER_EIP, CPU_MSR_SYSENTER_EIP },
	{ MSR_MISC_ENABLE, CPU_MSR_MISC_ENABLE },
	{ 0x250, CPU_MSR_MTRR_FIX + 0 }, /* 64K, 00000 */
	{ 0x258, CPU_MSR_MTRR_FIX + 1 }, /* 16K, 80000 */
	{ 0x259, CPU_MSR_MTRR_FIX + 2 }, /* 16K, A0000 */
	{ 0x268, CPU_MSR_MTRR_FIX + 3 }, /* 4K, C0000 and on */
	{ 0x269, CPU_MSR_MTRR_FIX + 4 },
	{ 0x26a, CPU_MSR_MTRR_FIX + 5 },
	{ 0x26b, CPU_MSR_MTRR_FIX + 6 },
	{ 0x26c, CPU_MSR_MTRR_FIX + 7 },
	{ 0x26d, CPU_MSR_MTRR_FIX + 8 },
	{ 0x26e, CPU_MSR_MTRR_FIX + 9 },
	{ 0x26f, CPU_MSR_MTRR_FIX + 10 },
	{ MSR_PAT, CPU_MSR_PAT },
	{ MSR_MTRR_DEF_TYPE, CPU_MSR_MTRR_DEF_TYPE },
	{ MSR_STAR, CPU_MSR_STAR },
	{ MSR_LSTAR, CPU_MSR_LSTAR },
	{ MSR_CSTAR, CPU_MSR_CSTAR },
	{ MSR_SFMASK, CPU_MSR_SFMASK },
	{ MSR_KERNEL_GS_BASE, CPU_MSR_KERNEL_GS_BASE },
	{ MSR_TSC_AUX, CPU_MSR_TSC_AUX },
};

/* What a write to a constant does. */
enum msr_write { MSR_WRITE_REFUSED, MSR_WRITE_IGNORED, MSR_WRITE_ZERO_ONLY };

static const struct {
	uint32_t msr;
	enum msr_write write;
	uint64_t value;
} msr_constant[] = {
	{ MSR_PLATFORM_ID, MSR_WRITE_REFUSED, 0 },
	{ MSR_SMI_COUNT, MSR_WRITE_REFUSED, 0 },
	{ MSR_FEATURE_CONTROL, MSR_WRITE_REFUSED, 1 }, /* locked, no VMX */
	/* Software writes 0 before CPUID to have the update revision filled in (SDM vol. 3, 9.11.7.1). */
	{ MSR_BIOS_SIGN_ID, MSR_WRITE_IGNORED, 1ull << 32 },
	{ MSR_PLATFORM_INFO, MSR_WRITE_REFUSED, 10ull << 8 }, /* 10 x 100 MHz */
	{ MSR_MTRRCAP, MSR_WRITE_REFUSED, 8 | 1ull << 8 | 1ull << 10 }, /* 8 variable, fixed, WC */
	{ MSR_ARCH_CAPABILITIES, MSR_WRITE_REFUSED, ARCH_CAPABILITIES },
	{ MSR_MCG_CAP, MSR_WRITE_REFUSED, 0 }, /* no banks, no MCG_CTL */
	{ MSR_MCG_STATUS, MSR_WRITE_ZERO_ONLY, 0 },
	{ MSR_DEBUGCTL, MSR_WRITE_ZERO_ONLY, 0 },
};

static bool msr_memory_type_ok(uint8_t type) /* SDM vol. 3, table 12-8 */
{
	return type <= 6 && type != 2 && type != 3;
}

static bool msr_bytes_ok(uint64_t value, bool pat)
{
	for (unsigned i = 0; i < 64; i += 8) {
		uint8_t type = (uint8_t)(value >> i);
		if (!msr_memory_type_ok(type) && !(pat && type == 7)) /* UC- in a PAT only */
			return false;
	}
	return true;
}

bool cpu_msr_value_ok(enum cpu_msr_slot slot, uint64_t value)
{
	if (slot >= CPU_MSR_MTRR_VAR) {
		bool mask = (slot - CPU_MSR_MTRR_VAR) & 1;
		uint64_t low = mask ? MTRR_VALID : 0xff;
		return !(value & ~(PHYS_PAGE_MASK | low)) &&
		       (mask || msr_memory_type_ok((uint8_t)value));
	}
	if (slot >= CPU_MSR_MTRR_FIX)
		return msr_bytes_ok(value, false);
	switch (slot) {
	case CPU_MSR_LSTAR:
	case CPU_MSR_CSTAR:
	case CPU_MSR_KERNEL_GS_BASE:
	case CPU_MSR_SYSENTER_ESP:
	case CPU_MSR_SYSENTER_EIP:
		return cpu_canonical(value);
	case CPU_MSR_SFMASK:
	case CPU_MSR_TSC_AUX:
		return value >> 32 == 0;
	case CPU_MSR_PAT:
		return msr_bytes_ok(value, true);
	case CPU_MSR_MISC_ENABLE:
		return (value & ~MISC_ENABLE_FAST_STRING) == MISC_ENABLE_FIXED;
	case CPU_MSR_SPEC_CTRL:
		return !(value & ~SPEC_CTRL_KNOWN);
	case CPU_MSR_MTRR_DEF_TYPE:
		return !(value & ~MTRR_DEF_KNOWN) && msr_memory_type_ok((uint8_t)value);
	default:
		return true;
	}
}

uint64_t cpu_msr_reset_value(enum cpu_msr_slot slot)
{
	switch (slot) {
	case CPU_MSR_PAT:
		return 0x0007040600070406ull;
	case CPU_MSR_MISC_ENABLE:
		return MISC_ENABLE_FAST_STRING | MISC_ENABLE_FIXED;
	default:
		return 0;
	}
}

static int msr_slot_of(uint32_t msr)
{
	if (msr >= MSR_MTRR_VAR_FIRST && msr <= MSR_MTRR_VAR_LAST)
		return (int)(CPU_MSR_MTRR_VAR + (msr - MSR_MTRR_VAR_FIRST));
	for (size_t i = 0; i < RV_ARRAY_LEN(msr_stored); i++) {
		if (msr_stored[i].msr == msr)
			return (int)msr_stored[i].slot;
	}
	return -1;
}

int cpu_model_msr_read(const struct cpu_state *s, uint32_t msr, uint64_t *value)
{
	int slot = msr_slot_of(msr);
	if (slot >= 0) {
		*value = s->msr[slot];
		return RV_OK;
	}
	for (size_t i = 0; i < RV_ARRAY_LEN(msr_constant); i++) {
		if (msr_constant[i].msr == msr) {
			*value = msr_constant[i].value;
			return RV_OK;
		}
	}
	*value = 0;
	return RV_ENOENT; /* PRED_CMD is here too: it is write-only */
}

int cpu_model_msr_write(struct cpu_state *s, uint32_t msr, uint64_t value)
{
	if (msr == MSR_PRED_CMD) /* IBPB: there is no branch predictor to flush */
		return value & ~PRED_CMD_IBPB ? RV_EINVAL : RV_OK;
	int slot = msr_slot_of(msr);
	if (slot >= 0) {
		if (slot == CPU_MSR_SYSENTER_CS)
			value = (uint32_t)value;
		if (!cpu_msr_value_ok((enum cpu_msr_slot)slot, value))
			return RV_EINVAL;
		s->msr[slot] = value;
		return RV_OK;
	}
	for (size_t i = 0; i < RV_ARRAY_LEN(msr_constant); i++) {
		if (msr_constant[i].msr != msr)
			continue;
		if (msr_constant[i].write == MSR_WRITE_IGNORED)
			return RV_OK;
		if (msr_constant[i].write == MSR_WRITE_ZERO_ONLY && value == 0)
			return RV_OK;
		return RV_EINVAL;
	}
	return RV_ENOENT;
}
