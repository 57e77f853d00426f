/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which instructions are translated, and what they read and write. Whatever is
 * not named here calls the interpreter's body.
 *
 * Flags the SDM leaves undefined must come out as ops_int.h says on any host.
 * fl_keep takes away those that are 0 there; where they are something else
 * (OF of shifts, flags that BT does not name), and for AF of AND, OR, XOR, the
 * host was asked at the start (jit_host.c).
 */
#include "jit_int.h"

static bool is_reg(const ZydisDecodedOperand *o)
{
	return o->type == ZYDIS_OPERAND_TYPE_REGISTER;
}

static bool is_xmm(const ZydisDecodedOperand *o)
{
	return is_reg(o) && o->reg.value >= ZYDIS_REGISTER_XMM0 && o->reg.value <= ZYDIS_REGISTER_XMM15;
}

static bool is_gpr(const ZydisDecodedOperand *o)
{
	return is_reg(o) && o->reg.value >= ZYDIS_REGISTER_AL && o->reg.value <= ZYDIS_REGISTER_R15;
}

static bool is_high_byte(const ZydisDecodedOperand *o)
{
	return is_reg(o) && o->reg.value >= ZYDIS_REGISTER_AH && o->reg.value <= ZYDIS_REGISTER_BH;
}

static bool any_high_byte(const struct xinsn *z)
{
	for (unsigned i = 0; i < z->insn.operand_count_visible; i++)
		if (is_high_byte(&z->op[i]))
			return true;
	return false;
}

/* ModRM operands, from the encoding: register numbers and directions. */
static void class_modrm(const struct xinsn *z, struct xjit_insn *f)
{
	f->reg = (uint8_t)(z->insn.raw.modrm.reg | (z->insn.raw.rex.R & 1) << 3);
	f->rm = (uint8_t)(z->insn.raw.modrm.rm | (z->insn.raw.rex.B & 1) << 3);
	f->digit = true;
	for (unsigned i = 0; i < z->insn.operand_count_visible; i++) {
		const ZydisDecodedOperand *o = &z->op[i];
		const bool rd = o->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
		const bool wr = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
		if (o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG) {
			f->digit = false;
			f->xmm_reg = is_xmm(o);
			f->reg_rd = rd;
			f->reg_wr = wr;
		} else if (o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM) {
			f->has_rm = true;
			if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
				f->mem = true;
				f->load = rd;
				f->store = wr;
				f->msize = (uint8_t)(o->size / 8);
			} else {
				f->xmm_rm = is_xmm(o);
				f->rm_rd = rd;
				f->rm_wr = wr;
			}
		}
	}
	if (f->digit)
		f->reg &= 7;
}

static void class_imm(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	f->imm = d->imm;
	f->immlen = (uint8_t)(z->insn.raw.imm[0].size / 8);
}

static uint32_t enc_general(const struct xinsn *z, unsigned size)
{
	uint32_t enc = z->insn.opcode | A_MAP(z->insn.opcode_map & 3);
	if (size == 8)
		enc |= A_W;
	else if (size == 2)
		enc |= A_PFX(0x66);
	else if (size == 1)
		enc |= A_BYTE;
	return enc;
}

static void flags(struct xjit_insn *f, bool read, unsigned write, uint32_t keep)
{
	f->fl_read = read;
	f->fl_write = (uint8_t)write;
	f->fl_keep = keep;
}

/* Registers that are written in part must be there as a whole. */
static void class_partial(struct xjit_insn *f)
{
	if (f->size < 4) {
		f->reg_rd |= f->reg_wr;
		f->rm_rd |= f->rm_wr;
	}
}

static bool class_int_plain(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	if (any_high_byte(z) || z->insn.raw.modrm.offset == 0)
		return false;
	class_modrm(z, f);
	class_imm(z, d, f);
	f->kind = J_INT;
	f->size = d->size;
	f->enc = enc_general(z, d->size);
	class_partial(f);
	return true;
}

/* ADD AL, imm8 / eAX, imm32 and relatives have no ModRM: give them the long form. */
static void class_acc_imm(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f,
			  unsigned opcode, unsigned digit, bool write)
{
	class_imm(z, d, f);
	f->kind = J_INT;
	f->size = d->size;
	f->digit = true;
	f->has_rm = true;
	f->reg = (uint8_t)digit;
	f->rm = CPU_RAX;
	f->rm_rd = true;
	f->rm_wr = write;
	f->enc = opcode | (d->size == 8 ? A_W : d->size == 2 ? A_PFX(0x66) : d->size == 1 ? A_BYTE : 0);
	class_partial(f);
}

static void class_alu(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	const unsigned op = z->insn.opcode;
	const bool write = z->insn.mnemonic != ZYDIS_MNEMONIC_CMP;
	if (op < 0x40 && (op & 7) >= 4)
		class_acc_imm(z, d, f, op & 1 ? 0x81 : 0x80, op >> 3, write);
	else if (!class_int_plain(z, d, f))
		return;
	flags(f, z->insn.mnemonic == ZYDIS_MNEMONIC_ADC || z->insn.mnemonic == ZYDIS_MNEMONIC_SBB, FL_ALL,
	      XF_ALL);
}

static void class_test(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	if (z->insn.opcode == 0xa8 || z->insn.opcode == 0xa9)
		class_acc_imm(z, d, f, z->insn.opcode == 0xa9 ? 0xf7 : 0xf6, 0, false);
	else if (!class_int_plain(z, d, f))
		return;
	flags(f, false, FL_ALL, XF_ALL);
}

static void class_mov(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	if (z->insn.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
		return; /* control and debug registers */
	switch (z->insn.opcode) {
	case 0x88:
	case 0x89:
	case 0x8a:
	case 0x8b:
	case 0xc6:
	case 0xc7:
		(void)class_int_plain(z, d, f);
		return;
	default:
		break;
	}
	if (z->insn.opcode >= 0xb8 && z->insn.opcode <= 0xbf && d->size >= 4) {
		f->kind = J_MOV_RI;
		f->size = d->size;
		f->rm = d->rm;
		f->rm_wr = true;
		f->imm = d->size == 4 ? (uint32_t)d->imm : d->imm;
	}
}

static void class_shift(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	const unsigned bits = d->size * 8u;
	const unsigned op = z->insn.opcode;
	const bool rotate = z->insn.mnemonic == ZYDIS_MNEMONIC_ROL || z->insn.mnemonic == ZYDIS_MNEMONIC_ROR;
	if (!class_int_plain(z, d, f))
		return;
	f->immlen = 0;
	if (op == 0xd2 || op == 0xd3) {
		if (f->mem || rotate) {
			f->kind = J_BODY;
			return;
		}
		f->kind = J_SHIFT_CL;
		flags(f, true, FL_ALL, XF_ALL & ~XF_AF); /* reads: a count of 0 keeps them */
		return;
	}
	/* A masked count of zero does nothing; one of the operand's size or more is rare. */
	f->imm = op == 0xd0 || op == 0xd1 ? 1 : z->insn.raw.imm[0].value.u & (bits == 64 ? 63 : 31);
	if (f->imm == 0 || f->imm >= bits) {
		f->kind = J_BODY;
		return;
	}
	f->enc = (f->enc & ~0xffu) | (d->size == 1 ? 0xc0 : 0xc1);
	f->immlen = 1;
	if (f->imm == 1) { /* the short form: CPUs do it faster */
		f->enc = (f->enc & ~0xffu) | (d->size == 1 ? 0xd0 : 0xd1);
		f->immlen = 0;
	}
	if (rotate)
		flags(f, false, FL_PART, XF_CF | XF_OF);
	else
		flags(f, false, FL_ALL, XF_ALL & ~XF_AF);
}

static void class_bit(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	if (!class_int_plain(z, d, f))
		return;
	flags(f, false, FL_PART, XF_CF);
	if (f->mem && !xinsn_op_is(z, 1, ZYDIS_OPERAND_TYPE_IMMEDIATE))
		f->kind = d->size == 2 || (d->ea & XEA_ADDR32) ? J_BODY : J_BIT_MR;
}

static void class_xchg(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	if (z->insn.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
		return;
	if ((z->insn.opcode & 0xf8) == 0x90) {
		if (d->size < 4)
			return;
		f->kind = J_INT;
		f->size = d->size;
		f->has_rm = true;
		f->reg = d->reg;
		f->rm = d->rm;
		f->reg_rd = f->reg_wr = f->rm_rd = f->rm_wr = true;
		f->enc = 0x87u | (d->size == 8 ? A_W : 0);
		return;
	}
	(void)class_int_plain(z, d, f);
}

static void class_mul1(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	if (d->size < 4 || !class_int_plain(z, d, f))
		return;
	f->kind = J_MUL;
	flags(f, false, FL_ALL, XF_CF | XF_OF);
}

static void class_div(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	if (d->size < 4 || !class_int_plain(z, d, f))
		return;
	f->kind = J_DIV;
}

static void class_imul(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	if ((z->insn.opcode & 0xfe) == 0xf6) {
		class_mul1(z, d, f);
		return;
	}
	if (class_int_plain(z, d, f))
		flags(f, false, FL_ALL, XF_CF | XF_OF);
}

static void class_near(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	if (z->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return;
	class_imm(z, d, f);
	f->reg = d->reg;
	f->rm = d->rm;
	f->mem = d->flags & XD_MEM;
	f->load = f->mem;
	f->msize = 8;
	switch (z->insn.mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
		f->kind = xinsn_op_is(z, 0, ZYDIS_OPERAND_TYPE_IMMEDIATE) ? J_JMP
			  : f->mem                                        ? J_JMP_M
									  : J_JMP_R;
		break;
	case ZYDIS_MNEMONIC_CALL:
		f->kind = xinsn_op_is(z, 0, ZYDIS_OPERAND_TYPE_IMMEDIATE) ? J_CALL
			  : f->mem                                        ? J_CALL_M
									  : J_CALL_R;
		break;
	default:
		f->kind = J_RET;
		break;
	}
}

static void class_stack(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	if (d->size != 8)
		return;
	f->imm = d->imm;
	f->reg = d->reg;
	if (z->insn.mnemonic == ZYDIS_MNEMONIC_LEAVE) {
		f->kind = J_LEAVE;
	} else if (xinsn_op_is(z, 0, ZYDIS_OPERAND_TYPE_IMMEDIATE)) {
		f->kind = J_PUSH_I;
	} else if (is_gpr(&z->op[0])) {
		f->kind = z->insn.mnemonic == ZYDIS_MNEMONIC_PUSH ? J_PUSH_R : J_POP_R;
	}
}

static void class_lea(const struct dinsn *d, struct xjit_insn *f)
{
	if (!(d->flags & XD_MEM) || d->size == 2)
		return;
	f->kind = J_LEA;
	f->size = d->size;
	f->reg = d->reg;
	f->reg_wr = true;
}

static void class_extend(const struct dinsn *d, struct xjit_insn *f, unsigned mnemonic)
{
	if (d->size < 4)
		return;
	f->kind = J_EXTEND;
	f->size = d->size;
	f->imm = mnemonic == ZYDIS_MNEMONIC_CDQ || mnemonic == ZYDIS_MNEMONIC_CQO; /* into RDX */
}

static void class_int(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	switch (z->insn.mnemonic) {
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_ADC:
	case ZYDIS_MNEMONIC_SBB:
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_XOR:
	case ZYDIS_MNEMONIC_CMP:
		class_alu(z, d, f);
		break;
	case ZYDIS_MNEMONIC_TEST:
		class_test(z, d, f);
		break;
	case ZYDIS_MNEMONIC_INC:
	case ZYDIS_MNEMONIC_DEC:
		if (class_int_plain(z, d, f))
			flags(f, false, FL_PART, XF_ALL & ~XF_CF);
		break;
	case ZYDIS_MNEMONIC_NEG:
	case ZYDIS_MNEMONIC_XADD:
		if (class_int_plain(z, d, f))
			flags(f, false, FL_ALL, XF_ALL);
		break;
	case ZYDIS_MNEMONIC_NOT:
		(void)class_int_plain(z, d, f);
		break;
	case ZYDIS_MNEMONIC_MOV:
		class_mov(z, d, f);
		break;
	case ZYDIS_MNEMONIC_MOVNTI: /* an ordinary store, as for the interpreter */
		if (class_int_plain(z, d, f))
			f->enc = (f->enc & ~0x3ffu) | 0x89u;
		break;
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		if (class_int_plain(z, d, f) && z->op[1].size == 8)
			f->enc |= A_BYTE; /* SPL..DIL as the source need a REX prefix */
		break;
	case ZYDIS_MNEMONIC_LEA:
		class_lea(d, f);
		break;
	case ZYDIS_MNEMONIC_XCHG:
		class_xchg(z, d, f);
		break;
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_ROL:
	case ZYDIS_MNEMONIC_ROR:
		class_shift(z, d, f);
		break;
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		class_bit(z, d, f);
		break;
	case ZYDIS_MNEMONIC_BSF:
	case ZYDIS_MNEMONIC_BSR:
		/* A source of 0 leaves the whole destination (ops_int_bits.c); CPUs differ on the
		 * upper half of a 32-bit one. */
		if (d->size == 8 && class_int_plain(z, d, f)) {
			flags(f, false, FL_ALL, XF_ZF);
			f->reg_rd = true;
		}
		break;
	case ZYDIS_MNEMONIC_POPCNT:
		if (class_int_plain(z, d, f)) {
			if (d->size == 2) {
				f->kind = J_BODY; /* two prefixes */
				break;
			}
			f->enc |= A_PFX(0xf3);
			flags(f, false, FL_ALL, XF_ALL);
		}
		break;
	case ZYDIS_MNEMONIC_BSWAP:
		if (d->size >= 4) {
			f->kind = J_INT;
			f->size = d->size;
			f->has_rm = true;
			f->digit = true;
			f->reg = 1;
			f->rm = d->reg;
			f->rm_rd = f->rm_wr = true;
			/* 0F C8+r is what ModRM C8 /1 with opcode 0F would be: see xtr_op(). */
			f->enc = 0xc8u | A_MAP(1) | (d->size == 8 ? A_W : 0);
		}
		break;
	case ZYDIS_MNEMONIC_CMPXCHG:
		if (class_int_plain(z, d, f)) {
			/* With a 32-bit register as destination, CPUs may differ in its upper half. */
			f->kind = d->size == 8 || (d->size == 4 && f->mem) ? J_CMPXCHG : J_BODY;
			flags(f, false, FL_ALL, XF_ALL);
		}
		break;
	case ZYDIS_MNEMONIC_MUL:
		class_mul1(z, d, f);
		break;
	case ZYDIS_MNEMONIC_IMUL:
		class_imul(z, d, f);
		break;
	case ZYDIS_MNEMONIC_DIV:
	case ZYDIS_MNEMONIC_IDIV:
		class_div(z, d, f);
		break;
	case ZYDIS_MNEMONIC_CWDE:
	case ZYDIS_MNEMONIC_CDQE:
	case ZYDIS_MNEMONIC_CDQ:
	case ZYDIS_MNEMONIC_CQO:
		class_extend(d, f, z->insn.mnemonic);
		break;
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_POP:
	case ZYDIS_MNEMONIC_LEAVE:
		class_stack(z, d, f);
		break;
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_CALL:
	case ZYDIS_MNEMONIC_RET:
		class_near(z, d, f);
		break;
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_ENDBR64:
	case ZYDIS_MNEMONIC_LFENCE:
	case ZYDIS_MNEMONIC_MFENCE:
	case ZYDIS_MNEMONIC_SFENCE:
	case ZYDIS_MNEMONIC_PREFETCHNTA:
	case ZYDIS_MNEMONIC_PREFETCHT0:
	case ZYDIS_MNEMONIC_PREFETCHT1:
	case ZYDIS_MNEMONIC_PREFETCHT2:
	case ZYDIS_MNEMONIC_PREFETCHW:
	case ZYDIS_MNEMONIC_PREFETCH:
		f->kind = J_NOP;
		break;
	default:
		break;
	}
}

static bool class_cc(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	switch (z->insn.meta.category) {
	case ZYDIS_CATEGORY_COND_BR:
		/* JrCXZ and LOOP have no flags to look at, and are rare. */
		if ((z->insn.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (z->insn.opcode & 0xf0) == 0x70) ||
		    (z->insn.opcode_map == ZYDIS_OPCODE_MAP_0F && (z->insn.opcode & 0xf0) == 0x80)) {
			f->kind = J_JCC;
			f->imm = d->imm;
			f->fl_read = true;
		}
		return true;
	case ZYDIS_CATEGORY_CMOV:
		if (class_int_plain(z, d, f)) {
			f->reg_rd = f->reg_wr = true;
			if (f->mem)
				f->load = true;
			else
				f->rm_rd = true;
			f->fl_read = true;
		}
		return true;
	case ZYDIS_CATEGORY_SETCC:
		if (class_int_plain(z, d, f)) {
			f->fl_read = true;
			/* ModRM.reg is ignored. */
			f->digit = true;
			f->reg = 0;
		}
		return true;
	default:
		return false;
	}
}

/* ---- SSE ---- */

static bool sse_excluded(ZydisMnemonic m)
{
	switch (m) {
	/* Estimates: the profile's own answer. */
	case ZYDIS_MNEMONIC_RCPPS:
	case ZYDIS_MNEMONIC_RCPSS:
	case ZYDIS_MNEMONIC_RSQRTPS:
	case ZYDIS_MNEMONIC_RSQRTSS:
	/* Memory operand or not, they look at the x87 unit. */
	case ZYDIS_MNEMONIC_CVTPI2PS:
	case ZYDIS_MNEMONIC_CVTPI2PD:
	/* More than registers and one memory operand, or rounding in an order of their own. */
	case ZYDIS_MNEMONIC_MASKMOVDQU:
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_PCMPISTRI:
	case ZYDIS_MNEMONIC_PCMPISTRM:
	case ZYDIS_MNEMONIC_DPPS:
	case ZYDIS_MNEMONIC_DPPD:
	case ZYDIS_MNEMONIC_CRC32:
	case ZYDIS_MNEMONIC_POPCNT:
		return true;
	default:
		return false;
	}
}

static bool sse_unaligned(ZydisMnemonic m)
{
	return m == ZYDIS_MNEMONIC_MOVUPS || m == ZYDIS_MNEMONIC_MOVUPD || m == ZYDIS_MNEMONIC_MOVDQU ||
	       m == ZYDIS_MNEMONIC_LDDQU;
}

static bool sse_flags(ZydisMnemonic m)
{
	return m == ZYDIS_MNEMONIC_COMISS || m == ZYDIS_MNEMONIC_COMISD ||
	       m == ZYDIS_MNEMONIC_UCOMISS || m == ZYDIS_MNEMONIC_UCOMISD || m == ZYDIS_MNEMONIC_PTEST;
}

static void class_sse(const struct xinsn *z, const struct dinsn *d, struct xjit_insn *f)
{
	const ZydisDecodedInstructionRaw *raw = &z->insn.raw;
	unsigned xmm = 0;
	for (unsigned i = 0; i < z->insn.operand_count_visible; i++) {
		const ZydisDecodedOperand *o = &z->op[i];
		if (is_xmm(o))
			xmm++;
		else if (is_reg(o) && !is_gpr(o))
			return; /* MMX */
	}
	if (!xmm || sse_excluded(z->insn.mnemonic) || raw->modrm.offset == 0)
		return;
	class_modrm(z, f);
	f->kind = J_SSE;
	f->size = 8; /* general registers are written as a whole: 32-bit ones zero-extend */
	f->enc = z->insn.opcode | A_MAP(z->insn.opcode_map & 3) | (raw->rex.W ? A_W : 0);
	for (unsigned i = 0; i < raw->prefix_count; i++)
		if (raw->prefixes[i].type == ZYDIS_PREFIX_TYPE_MANDATORY)
			f->enc = (f->enc & 0xffffu) | A_PFX(raw->prefixes[i].value);
	if (raw->imm[0].size) {
		f->imm = raw->imm[0].value.u;
		f->immlen = 1;
	}
	if (f->mem) {
		f->align = f->msize == 16 && !sse_unaligned(z->insn.mnemonic);
		if (f->load && f->store)
			f->kind = J_BODY;
	}
	if (sse_flags(z->insn.mnemonic))
		flags(f, false, FL_ALL, XF_ALL);
	(void)d;
}

/* False: this host's flags or result would not be the profile's. */
static bool host_agrees(const struct xjit_host_rules *h, ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_XOR:
	case ZYDIS_MNEMONIC_TEST:
		return h->logic;
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SAR:
		return h->shifts;
	case ZYDIS_MNEMONIC_ROL:
	case ZYDIS_MNEMONIC_ROR:
		return h->rotates;
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		return h->bits;
	case ZYDIS_MNEMONIC_BSF:
	case ZYDIS_MNEMONIC_BSR:
		return h->scans;
	default:
		return true;
	}
}

void xjit_classify(const struct xjit_host_rules *h, const struct xinsn *z, const struct dinsn *d,
		   struct xjit_insn *f)
{
	memset(f, 0, sizeof(*f));
	f->kind = J_BODY;
	f->fl_keep = XF_ALL;
	if (d->fn == xop_undefined || z->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	    !host_agrees(h, z->insn.mnemonic))
		return;
	if (class_cc(z, d, f))
		return;
	switch (z->insn.meta.isa_ext) {
	case ZYDIS_ISA_EXT_SSE:
	case ZYDIS_ISA_EXT_SSE2:
	case ZYDIS_ISA_EXT_SSE3:
	case ZYDIS_ISA_EXT_SSSE3:
	case ZYDIS_ISA_EXT_SSE4:
		class_sse(z, d, f);
		if (f->kind == J_BODY)
			class_int(z, d, f);
		break;
	default:
		class_int(z, d, f);
		break;
	}
	if (f->kind == J_BODY) {
		const bool rep = z->insn.meta.category == ZYDIS_CATEGORY_STRINGOP &&
				 (d->flags & (XD_REP | XD_REPNE));
		memset(f, 0, sizeof(*f));
		f->kind = z->insn.mnemonic == ZYDIS_MNEMONIC_STI ? J_STI : rep ? J_REP : J_BODY;
		f->fl_keep = XF_ALL;
	}
}

bool xjit_exposes(const struct xjit_insn *f)
{
	switch (f->kind) {
	case J_NOP:
	case J_LEA:
	case J_MOV_RI:
	case J_MUL:
	case J_SHIFT_CL:
	case J_EXTEND:
	case J_INT:
	case J_CMPXCHG:
		return f->mem;
	default:
		return true;
	}
}
