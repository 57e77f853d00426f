/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID of rv-v2 (SDM vol. 2, CPUID). One value for every run on every host:
 * a change here is a new CPU_SEMANTICS_VERSION.
 *
 * Family 6 model 8Fh is a number for which Linux takes the invariant TSC and
 * the crystal of leaf 15h, and which stands in none of its lists of
 * processors needing work-arounds once the bits of MSR 10Ah are seen. The
 * crystal is 1 GHz because Linux takes it for the APIC timer's input clock.
 */
#include "cpu/model.h"

#include <string.h>

#include "base/bytes.h"
#include "msr.h"

#define MODEL_FAMILY 6u
#define MODEL_MODEL 0x8fu
#define MODEL_STEPPING 4u
#define MODEL_LEAF_MAX 0x16u
#define MODEL_HYPER_LEAF 0x40000000u
#define MODEL_EXT_LEAF_MAX 0x80000008u
#define MODEL_CACHE_LINE 64u

/* Leaf 1 ECX */
#define F1C_SSE3 (1u << 0)
#define F1C_SSSE3 (1u << 9)
#define F1C_CX16 (1u << 13)
#define F1C_SSE41 (1u << 19)
#define F1C_SSE42 (1u << 20)
#define F1C_X2APIC (1u << 21)
#define F1C_POPCNT (1u << 23)
#define F1C_TSC_DEADLINE (1u << 24)
#define F1C_HYPERVISOR (1u << 31)
/* Leaf 1 EDX */
#define F1D_FPU (1u << 0)
#define F1D_DE (1u << 2)
#define F1D_PSE (1u << 3)
#define F1D_TSC (1u << 4)
#define F1D_MSR (1u << 5)
#define F1D_PAE (1u << 6)
#define F1D_MCE (1u << 7)
#define F1D_CX8 (1u << 8)
#define F1D_APIC (1u << 9)
#define F1D_SEP (1u << 11)
#define F1D_MTRR (1u << 12)
#define F1D_PGE (1u << 13)
#define F1D_MCA (1u << 14)
#define F1D_CMOV (1u << 15)
#define F1D_PAT (1u << 16)
#define F1D_PSE36 (1u << 17)
#define F1D_CLFSH (1u << 19)
#define F1D_MMX (1u << 23)
#define F1D_FXSR (1u << 24)
#define F1D_SSE (1u << 25)
#define F1D_SSE2 (1u << 26)
#define F1D_HTT (1u << 28)
/* Leaf 6 EAX, leaf 7 */
#define F6A_ARAT (1u << 2)
#define F7B_TSC_ADJUST (1u << 1)
#define F7B_NO_FPU_CS_DS (1u << 13) /* x87 instruction and data selectors read as zero */
#define F7D_SPEC_CTRL (1u << 26)
#define F7D_ARCH_CAPABILITIES (1u << 29)
/* Leaf 80000001h, 80000007h */
#define FXC_LAHF (1u << 0)
#define FXD_SYSCALL (1u << 11)
#define FXD_NX (1u << 20)
#define FXD_1G (1u << 26)
#define FXD_RDTSCP (1u << 27)
#define FXD_LM (1u << 29)
#define F87D_INVARIANT_TSC (1u << 8)

static const char model_brand[48] = "Retrovisor " CPU_MODEL_NAME;

uint32_t cpu_model_signature(void)
{
	return (MODEL_MODEL >> 4) << 16 | MODEL_FAMILY << 8 | (MODEL_MODEL & 15) << 4 |
	       MODEL_STEPPING;
}

/* Bits needed to number n things. */
static unsigned model_id_bits(unsigned n)
{
	unsigned bits = 0;
	while (bits < 31 && (1u << bits) < n)
		bits++;
	return bits;
}

/* Deterministic cache parameters (leaf 4): L1D, L1I, L2 of a core, L3 of the package. */
static void model_leaf4(unsigned ncpus, uint32_t subleaf, struct cpuid_regs *out)
{
	static const struct {
		uint8_t type, level, ways;
		bool shared;
		uint16_t sets;
	} caches[] = {
		{ 1, 1, 8, false, 64 },     /* 32 KiB */
		{ 2, 1, 8, false, 64 },     /* 32 KiB */
		{ 3, 2, 8, false, 2048 },   /* 1 MiB */
		{ 3, 3, 16, true, 16384 },  /* 16 MiB */
	};
	if (subleaf >= RV_ARRAY_LEN(caches))
		return;
	uint32_t cores = (1u << model_id_bits(ncpus)) - 1;
	uint32_t sharing = caches[subleaf].shared ? cores : 0;
	out->eax = caches[subleaf].type | (uint32_t)caches[subleaf].level << 5 | 1u << 8 |
		   sharing << 14 | cores << 26;
	out->ebx = (MODEL_CACHE_LINE - 1) | (uint32_t)(caches[subleaf].ways - 1) << 22;
	out->ecx = caches[subleaf].sets - 1u;
}

/* Topology (leaf 0Bh): one thread a core, all cores in one package. */
static void model_leaf_b(unsigned apic_id, unsigned ncpus, uint32_t subleaf, struct cpuid_regs *out)
{
	out->ecx = subleaf & 0xff;
	out->edx = apic_id;
	if (subleaf == 0) {
		out->ebx = 1;
		out->ecx |= 1u << 8;
	} else if (subleaf == 1) {
		out->eax = model_id_bits(ncpus);
		out->ebx = ncpus;
		out->ecx |= 2u << 8;
	}
}

static void model_basic(unsigned apic_id, unsigned ncpus, bool apic_on, uint32_t leaf,
			uint32_t subleaf, struct cpuid_regs *out)
{
	switch (leaf) {
	case 0:
		out->eax = MODEL_LEAF_MAX;
		out->ebx = le32_get("Genu");
		out->edx = le32_get("ineI");
		out->ecx = le32_get("ntel");
		break;
	case 1:
		out->eax = cpu_model_signature();
		out->ebx = MODEL_CACHE_LINE / 8 << 8 | (1u << model_id_bits(ncpus)) << 16 |
			   (apic_id & 0xff) << 24;
		out->ecx = F1C_SSE3 | F1C_SSSE3 | F1C_CX16 | F1C_SSE41 | F1C_SSE42 | F1C_X2APIC |
			   F1C_POPCNT | F1C_TSC_DEADLINE | F1C_HYPERVISOR;
		out->edx = F1D_FPU | F1D_DE | F1D_PSE | F1D_TSC | F1D_MSR | F1D_PAE | F1D_MCE |
			   F1D_CX8 | F1D_SEP | F1D_MTRR | F1D_PGE | F1D_MCA | F1D_CMOV | F1D_PAT |
			   F1D_PSE36 | F1D_CLFSH | F1D_MMX | F1D_FXSR | F1D_SSE | F1D_SSE2;
		if (apic_on)
			out->edx |= F1D_APIC;
		if (ncpus > 1)
			out->edx |= F1D_HTT;
		break;
	case 2: /* descriptors: TLBs 01 5A 03 B2, 64-byte prefetch F0, "see leaf 4" FF */
		out->eax = 0x03ff5a01;
		out->ebx = 0x0000f0b2;
		break;
	case 4:
		model_leaf4(ncpus, subleaf, out);
		break;
	case 6:
		out->eax = F6A_ARAT;
		break;
	case 7:
		if (subleaf == 0) {
			out->ebx = F7B_TSC_ADJUST | F7B_NO_FPU_CS_DS;
			out->edx = F7D_SPEC_CTRL | F7D_ARCH_CAPABILITIES;
		}
		break;
	case 0xb:
		model_leaf_b(apic_id, ncpus, subleaf, out);
		break;
	case 0x15: /* TSC = crystal * EBX / EAX */
		out->eax = 1;
		out->ebx = 1;
		out->ecx = (uint32_t)CPU_TSC_HZ;
		break;
	case 0x16: /* base, maximum and bus MHz */
		out->eax = (uint32_t)(CPU_TSC_HZ / 1000000);
		out->ebx = (uint32_t)(CPU_TSC_HZ / 1000000);
		out->ecx = 100;
		break;
	default:
		break;
	}
}

static void model_extended(uint32_t leaf, struct cpuid_regs *out)
{
	switch (leaf) {
	case 0x80000000u:
		out->eax = MODEL_EXT_LEAF_MAX;
		break;
	case 0x80000001u:
		out->ecx = FXC_LAHF;
		/* Intel shows SYSCALL in 64-bit mode alone; a table cannot, and KVM takes a table. */
		out->edx = FXD_SYSCALL | FXD_NX | FXD_1G | FXD_RDTSCP | FXD_LM;
		break;
	case 0x80000002u:
	case 0x80000003u:
	case 0x80000004u: {
		const char *p = model_brand + (leaf - 0x80000002u) * 16;
		out->eax = le32_get(p);
		out->ebx = le32_get(p + 4);
		out->ecx = le32_get(p + 8);
		out->edx = le32_get(p + 12);
		break;
	}
	case 0x80000006u: /* L2: 1024 KiB, 8-way, 64-byte lines */
		out->ecx = 1024u << 16 | 6u << 12 | MODEL_CACHE_LINE;
		break;
	case 0x80000007u:
		out->edx = F87D_INVARIANT_TSC;
		break;
	case 0x80000008u:
		out->eax = CPU_PHYS_BITS | CPU_LINEAR_BITS << 8;
		break;
	default:
		break;
	}
}

void cpu_model_cpuid(const struct cpu_state *s, unsigned apic_id, unsigned ncpus, bool apic_on,
		     uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	(void)s; /* nothing here mirrors CR4: there is no OSXSAVE, and no PKE or UMIP */
	memset(out, 0, sizeof(*out));
	if (ncpus == 0)
		ncpus = 1;
	if (leaf >= 0x80000000u) {
		model_extended(leaf, out);
	} else if (leaf == MODEL_HYPER_LEAF) {
		out->eax = MODEL_HYPER_LEAF;
		out->ebx = le32_get("Retr");
		out->ecx = le32_get("ovis");
		out->edx = le32_get("orVM");
	} else {
		model_basic(apic_id, ncpus, apic_on, leaf, subleaf, out);
	}
}
