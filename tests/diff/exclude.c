/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is not compared, and why. A mnemonic of the engine's tables that is
 * neither here nor compared fails the test.
 */
#include "tests/diff/diff.h"

#define WHY_MODEL   "answers for the virtual CPU model, not the host"
#define WHY_TIME    "reads the virtual clock"
#define WHY_TABLES  "depends on descriptor tables, which differ from the host kernel's"
#define WHY_UMIP    "whether user code may do this depends on the host kernel (UMIP)"
#define WHY_KERNEL  "enters the host kernel"
#define WHY_PROFILE "approximation: one answer of our own, result profile rv"
#define WHY_FAR	    "far transfer: " WHY_TABLES

static const struct {
	uint16_t mnemonic;
	const char *why;
} excluded[] = {
	{ZYDIS_MNEMONIC_CPUID, WHY_MODEL},
	{ZYDIS_MNEMONIC_XGETBV, WHY_MODEL},
	{ZYDIS_MNEMONIC_RDTSC, WHY_TIME},
	{ZYDIS_MNEMONIC_RDTSCP, WHY_TIME},
	{ZYDIS_MNEMONIC_RDPMC, "CR4.PCE is the host kernel's choice"},
	{ZYDIS_MNEMONIC_LAR, WHY_TABLES},
	{ZYDIS_MNEMONIC_LSL, WHY_TABLES},
	{ZYDIS_MNEMONIC_VERR, WHY_TABLES},
	{ZYDIS_MNEMONIC_VERW, WHY_TABLES},
	{ZYDIS_MNEMONIC_LDS, WHY_TABLES},
	{ZYDIS_MNEMONIC_LES, WHY_TABLES},
	{ZYDIS_MNEMONIC_LFS, WHY_TABLES},
	{ZYDIS_MNEMONIC_LGS, WHY_TABLES},
	{ZYDIS_MNEMONIC_LSS, WHY_TABLES},
	{ZYDIS_MNEMONIC_IRET, WHY_FAR},
	{ZYDIS_MNEMONIC_IRETD, WHY_FAR},
	{ZYDIS_MNEMONIC_IRETQ, WHY_FAR},
	{ZYDIS_MNEMONIC_SGDT, WHY_UMIP},
	{ZYDIS_MNEMONIC_SIDT, WHY_UMIP},
	{ZYDIS_MNEMONIC_SLDT, WHY_UMIP},
	{ZYDIS_MNEMONIC_SMSW, WHY_UMIP},
	{ZYDIS_MNEMONIC_STR, WHY_UMIP},
	{ZYDIS_MNEMONIC_SYSCALL, WHY_KERNEL},
	{ZYDIS_MNEMONIC_SYSENTER, WHY_KERNEL},
	{ZYDIS_MNEMONIC_SYSEXIT, "AMD: undefined in long mode; Intel: privileged"},
	{ZYDIS_MNEMONIC_JCXZ, "needs a 16-bit address size, which is not generated"},
	{ZYDIS_MNEMONIC_FSTPNCE, "undocumented: AMD and Intel differ for an empty register"},
	{ZYDIS_MNEMONIC_INT1, "its #DB cannot be told from the single-step trap"},
	{ZYDIS_MNEMONIC_UD0, "AMD and Intel disagree on its length"},
	{ZYDIS_MNEMONIC_RCPPS, WHY_PROFILE},
	{ZYDIS_MNEMONIC_RCPSS, WHY_PROFILE},
	{ZYDIS_MNEMONIC_RSQRTPS, WHY_PROFILE},
	{ZYDIS_MNEMONIC_RSQRTSS, WHY_PROFILE},
	{ZYDIS_MNEMONIC_F2XM1, WHY_PROFILE},
	{ZYDIS_MNEMONIC_FCOS, WHY_PROFILE},
	{ZYDIS_MNEMONIC_FPATAN, WHY_PROFILE},
	{ZYDIS_MNEMONIC_FPTAN, WHY_PROFILE},
	{ZYDIS_MNEMONIC_FSIN, WHY_PROFILE},
	{ZYDIS_MNEMONIC_FSINCOS, WHY_PROFILE},
	{ZYDIS_MNEMONIC_FYL2X, WHY_PROFILE},
	{ZYDIS_MNEMONIC_FYL2XP1, WHY_PROFILE},
};

const char *diff_exclude_mnemonic(unsigned mnemonic)
{
	for (size_t i = 0; i < RV_ARRAY_LEN(excluded); i++) {
		if (excluded[i].mnemonic == mnemonic)
			return excluded[i].why;
	}
	return NULL;
}

static bool writes_segment(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
	return insn->operand_count_visible > 0 && ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       (ops[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
	       ZydisRegisterGetClass(ops[0].reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

const char *diff_exclude_insn(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
	if (writes_segment(insn, ops))
		return "loads a segment register: " WHY_TABLES;
	if (insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return WHY_FAR;
	if (insn->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
	    insn->machine_mode == ZYDIS_MACHINE_MODE_LONG_64 &&
	    insn->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE)
		return "16-bit near branch in 64-bit code: AMD obeys the prefix, Intel does not";
	if (insn->attributes & (ZYDIS_ATTRIB_HAS_XACQUIRE | ZYDIS_ATTRIB_HAS_XRELEASE))
		return "transactional where the host has HLE";
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_BSWAP:
		if (insn->operand_width == 16)
			return "BSWAP of a 16-bit register is undefined";
		break;
	case ZYDIS_MNEMONIC_INT: /* gates of exceptions are the host kernel's own business */
		if (ops[0].imm.value.u == 0x80 || ops[0].imm.value.u < 0x20)
			return WHY_KERNEL;
		break;
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_PREFETCHW:
		if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F && insn->opcode == 0x0d &&
		    insn->raw.modrm.mod == 3)
			return "PREFETCH of a register: #UD on AMD, a NOP on Intel";
		break;
	case ZYDIS_MNEMONIC_MOVSXD:
		if (insn->operand_width == 16 && ops[1].type == ZYDIS_OPERAND_TYPE_MEMORY)
			return "16-bit MOVSXD reads 16 bits on Intel and 32 on AMD";
		break;
	case ZYDIS_MNEMONIC_PAUSE:
		if (insn->attributes & ZYDIS_ATTRIB_HAS_REX && insn->raw.rex.B)
			return "F3 REX.B 90: PAUSE to some, XCHG R8, RAX to others";
		break;
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
		for (unsigned i = 0; i < insn->raw.prefix_count; i++) {
			if (insn->raw.prefixes[i].value == 0xf2 ||
			    insn->raw.prefixes[i].value == 0xf3)
				return "LOOPcc under a REP prefix: undocumented, some take the "
				       "prefix's sense";
		}
		break;
	default:
		break;
	}
	return NULL;
}
