/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder's own view of one instruction, for the bind functions of the
 * ops_*.c files. Nothing outside this folder sees Zydis.
 *
 * What xdecode() has put into struct dinsn before it calls bind:
 *   reg    the ModRM.reg or opcode register, else an implicit but written-out
 *          one (AL of ADD AL, imm8; CL of SHL r/m, CL; ST(0))
 *   rm     the ModRM.rm register, or a second implicit one (XCHG r, rAX)
 *   base, index, scale, disp   of the ModRM memory operand (XD_MEM set)
 *   seg, ea, asize   always: memory operands, and the source segment of
 *          instructions with implicit addresses (strings, XLAT, MASKMOVQ)
 *   imm    first immediate, branch displacement, moffs address (XD_MEM too),
 *          or offset of a far pointer; aux: second immediate (ENTER), or
 *          selector of a far pointer
 *   size   operand size; cc: low four bits of the opcode; fop; flags
 */
#ifndef RV_EXACT_DECODE_H
#define RV_EXACT_DECODE_H

#include <Zydis/Zydis.h>

#include "exact.h"

struct xinsn {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	uint32_t mode; /* XMODE_* */
};

/* Operand i is written out in the instruction (explicit or implicit, not hidden) and of this type. */
static inline bool xinsn_op_is(const struct xinsn *z, unsigned i, ZydisOperandType type)
{
	return i < z->insn.operand_count_visible && z->op[i].type == type;
}

/* Operand i is a general register (of any size). */
static inline bool xinsn_op_gpr(const struct xinsn *z, unsigned i)
{
	return xinsn_op_is(z, i, ZYDIS_OPERAND_TYPE_REGISTER) &&
	       z->op[i].reg.value >= ZYDIS_REGISTER_AL && z->op[i].reg.value <= ZYDIS_REGISTER_R15;
}

/* An address that stands in the instruction without ModRM (MOV AL, moffs8). */
static inline bool xinsn_op_moffs(const struct xinsn *z, unsigned i)
{
	return xinsn_op_is(z, i, ZYDIS_OPERAND_TYPE_MEMORY) &&
	       z->op[i].encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM;
}

/* The decoder's view of an instruction that xdecode() took (not one that raises #UD): false if it has
 * none. */
bool xdecode_view(const struct xdecoder *x, const uint8_t *bytes, unsigned avail, uint32_t mode,
		  struct xinsn *z);

#endif
