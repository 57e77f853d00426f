/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest bytes -> struct dinsn: Zydis takes the bytes apart, the virtual CPU
 * rv-v2 decides what exists, one table per family gives the body.
 */
#include "decode.h"

#include <stdlib.h>
#include <string.h>

#define DECODE_MAX 15u  /* SDM vol. 2, 2.3.11: longer is #GP(0) */
#define DECODE_FORMS 4u /* families that may share one Zydis mnemonic: MOV, MOVSD, ... */

enum { DEC_64, DEC_32, DEC_16, DEC_REAL, DEC_N };

struct xdecoder {
	ZydisDecoder zydis[DEC_N];
	const struct xop *op[ZYDIS_MNEMONIC_MAX_VALUE + 1][DECODE_FORMS];
};

/* Order matters where families share a mnemonic: the first bind that takes the form wins, and the
 * string bodies know MOVSD and CMPSD of SSE from their own. */
static const struct xop_table *const decode_tables[] = {
	&xops_int_arith, &xops_int_mul, &xops_int_mov, &xops_int_stack, &xops_int_shift,
	&xops_int_bits, &xops_int_branch, &xops_string, &xops_sys,
	&xops_x87_ctl, &xops_x87_mov, &xops_x87_arith, &xops_x87_trans,
	&xops_sse_int, &xops_sse_mov, &xops_sse_shuffle, &xops_sse_fp, &xops_sse_cvt, &xops_sse_str,
	&xops_sse_state,
};

const struct xop_table *xdecoder_ops(unsigned n)
{
	return n < RV_ARRAY_LEN(decode_tables) ? decode_tables[n] : NULL;
}

static bool decoder_init(ZydisDecoder *z, ZydisMachineMode mode, ZydisStackWidth width)
{
	/* Extensions that reuse encodings older CPUs execute as something else: rv-v2 is such a CPU. */
	static const ZydisDecoderMode off[] = {
		ZYDIS_DECODER_MODE_MINIMAL, ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYDIS_DECODER_MODE_KNC,
		ZYDIS_DECODER_MODE_MPX,     ZYDIS_DECODER_MODE_CET,          ZYDIS_DECODER_MODE_LZCNT,
		ZYDIS_DECODER_MODE_TZCNT,   ZYDIS_DECODER_MODE_WBNOINVD,     ZYDIS_DECODER_MODE_CLDEMOTE,
	};

	if (!ZYAN_SUCCESS(ZydisDecoderInit(z, mode, width)))
		return false;
	for (size_t i = 0; i < RV_ARRAY_LEN(off); i++)
		if (!ZYAN_SUCCESS(ZydisDecoderEnableMode(z, off[i], ZYAN_FALSE)))
			return false;
	return true;
}

struct xdecoder *xdecoder_create(void)
{
	struct xdecoder *x = calloc(1, sizeof(*x));
	const struct xop_table *t;

	if (!x)
		return NULL;
	if (!decoder_init(&x->zydis[DEC_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64) ||
	    !decoder_init(&x->zydis[DEC_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32) ||
	    !decoder_init(&x->zydis[DEC_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16) ||
	    !decoder_init(&x->zydis[DEC_REAL], ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16)) {
		free(x);
		return NULL;
	}
	for (unsigned n = 0; (t = xdecoder_ops(n)) != NULL; n++) {
		for (size_t i = 0; i < t->n; i++) {
			const struct xop **slot = x->op[t->ops[i].mnemonic];
			unsigned k = 0;

			while (k < DECODE_FORMS && slot[k])
				k++;
			if (k == DECODE_FORMS)
				abort(); /* a table grew beyond DECODE_FORMS: ours to fix, at the first start */
			slot[k] = &t->ops[i];
		}
	}
	return x;
}

void xdecoder_destroy(struct xdecoder *x)
{
	free(x);
}

void xop_undefined(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	xraise_ud(c);
}

static void xop_too_long(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	xraise_gp(c, 0);
}

/* len covers all bytes that may have been looked at, so that a store into any of them drops the block. */
static unsigned decode_fault(struct dinsn *d, xop_fn fn, unsigned looked_at)
{
	memset(d, 0, sizeof(*d));
	d->fn = fn;
	d->base = XR_ZERO;
	d->index = XR_ZERO;
	d->seg = CPU_DS;
	d->flags = XD_END;
	d->len = (uint8_t)looked_at;
	return looked_at;
}

/* What rv-v2 has: x86-64-v2 as CPUID reports it (vmm/cpu/model.c), and RDTSCP. */
static bool decode_supported(const ZydisDecodedInstruction *i)
{
	if (i->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return false;
	switch (i->meta.isa_ext) {
	case ZYDIS_ISA_EXT_BASE:
	case ZYDIS_ISA_EXT_LONGMODE:
	case ZYDIS_ISA_EXT_PAUSE:
	case ZYDIS_ISA_EXT_CLFSH:
	case ZYDIS_ISA_EXT_RDTSCP:
	case ZYDIS_ISA_EXT_X87:
	case ZYDIS_ISA_EXT_MMX:
	case ZYDIS_ISA_EXT_SSE:
	case ZYDIS_ISA_EXT_SSE2:
	case ZYDIS_ISA_EXT_SSE3:
	case ZYDIS_ISA_EXT_SSSE3:
	case ZYDIS_ISA_EXT_SSE4: /* 4.1, 4.2, CRC32 and POPCNT */
	/* 0F 0D is a NOP with ModRM wherever PREFETCHW is not counted as present (SDM vol. 2). */
	case ZYDIS_ISA_EXT_AMD3DNOW_PREFETCH:
	case ZYDIS_ISA_EXT_PREFETCHWT1:
		return true;
	default:
		return false;
	}
}

static uint8_t reg_number(ZydisRegister r)
{
	static const struct {
		uint16_t first, last;
	} files[] = {
		{ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15},  {ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R15D},
		{ZYDIS_REGISTER_AX, ZYDIS_REGISTER_R15W},  {ZYDIS_REGISTER_XMM0, ZYDIS_REGISTER_XMM31},
		{ZYDIS_REGISTER_MM0, ZYDIS_REGISTER_MM7},  {ZYDIS_REGISTER_ST0, ZYDIS_REGISTER_ST7},
		{ZYDIS_REGISTER_ES, ZYDIS_REGISTER_GS},    {ZYDIS_REGISTER_CR0, ZYDIS_REGISTER_CR15},
		{ZYDIS_REGISTER_DR0, ZYDIS_REGISTER_DR15},
	};
	unsigned n = (unsigned)r;

	if (n >= ZYDIS_REGISTER_AL && n <= ZYDIS_REGISTER_R15B) {
		/* Byte offsets: AL CL DL BL, AH CH DH BH, SPL ... R15B. */
		n -= ZYDIS_REGISTER_AL;
		if (n < 4)
			return (uint8_t)(n * 8);
		return (uint8_t)((n - 4) * 8 + (n < 8 ? 1 : 0));
	}
	for (size_t i = 0; i < RV_ARRAY_LEN(files); i++)
		if (n >= files[i].first && n <= files[i].last)
			return (uint8_t)(n - files[i].first);
	return 0;
}

static uint8_t address_register(ZydisRegister r)
{
	if (r == ZYDIS_REGISTER_NONE)
		return XR_ZERO;
	if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP)
		return XR_NEXT;
	return reg_number(r);
}

/* Last segment prefix in effect; in 64-bit mode only FS and GS count (SDM vol. 1, 3.3.7.1). */
static bool segment_override(const struct xinsn *z, uint8_t *seg)
{
	ZydisInstructionAttributes a = z->insn.attributes;

	if (a & ZYDIS_ATTRIB_HAS_SEGMENT_FS)
		*seg = CPU_FS;
	else if (a & ZYDIS_ATTRIB_HAS_SEGMENT_GS)
		*seg = CPU_GS;
	else if (z->mode & XMODE_64)
		return false;
	else if (a & ZYDIS_ATTRIB_HAS_SEGMENT_CS)
		*seg = CPU_CS;
	else if (a & ZYDIS_ATTRIB_HAS_SEGMENT_SS)
		*seg = CPU_SS;
	else if (a & ZYDIS_ATTRIB_HAS_SEGMENT_DS)
		*seg = CPU_DS;
	else if (a & ZYDIS_ATTRIB_HAS_SEGMENT_ES)
		*seg = CPU_ES;
	else
		return false;
	return true;
}

static void fill_memory(const struct xinsn *z, const ZydisDecodedOperand *o, struct dinsn *d)
{
	bool over = segment_override(z, &d->seg);

	d->flags |= XD_MEM;
	if (o->encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM) { /* moffs */
		d->imm = (uint64_t)o->mem.disp.value;
		return;
	}
	d->base = address_register(o->mem.base);
	if (o->mem.index != ZYDIS_REGISTER_NONE) {
		d->index = address_register(o->mem.index);
		d->scale = (uint8_t)(o->mem.scale ? __builtin_ctz(o->mem.scale) : 0);
	}
	d->disp = (int32_t)o->mem.disp.value;
	/* SIB base 101 with mod 00 is a displacement and no base, whatever REX.B says (SDM vol. 2, table
	 * 2-3, note 1); Zydis 4.0 makes it R13D without displacement when the address size is 32. */
	if (d->asize != 2 && z->insn.raw.modrm.mod == 0 && z->insn.raw.modrm.rm == 4 &&
	    z->insn.raw.sib.base == 5) {
		d->base = XR_ZERO;
		d->disp = (int32_t)z->insn.raw.disp.value;
	}
	if (!over)
		d->seg = d->base == CPU_RSP || d->base == CPU_RBP ? CPU_SS : CPU_DS;
}

static bool memory_standing_out(const ZydisDecodedOperand *o)
{
	return o->type == ZYDIS_OPERAND_TYPE_MEMORY &&
	       (o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ||
		o->encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64);
}

static void fill_operands(const struct xinsn *z, struct dinsn *d)
{
	bool have_reg = false, have_rm = false;

	for (unsigned i = 0; i < z->insn.operand_count_visible; i++) {
		const ZydisDecodedOperand *o = &z->op[i];

		if (memory_standing_out(o)) {
			fill_memory(z, o, d);
			have_rm = true;
		} else if (o->type == ZYDIS_OPERAND_TYPE_POINTER) {
			d->imm = o->ptr.offset;
			d->aux = o->ptr.segment;
		} else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
			if (o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM) {
				d->rm = reg_number(o->reg.value);
				have_rm = true;
			} else if (o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG ||
				   o->encoding == ZYDIS_OPERAND_ENCODING_OPCODE) {
				d->reg = reg_number(o->reg.value);
				have_reg = true;
			}
		}
	}
	for (unsigned i = 0; i < z->insn.operand_count_visible; i++) {
		const ZydisDecodedOperand *o = &z->op[i];

		if (o->type != ZYDIS_OPERAND_TYPE_REGISTER ||
		    o->encoding != ZYDIS_OPERAND_ENCODING_NONE)
			continue;
		if (!have_reg) {
			d->reg = reg_number(o->reg.value);
			have_reg = true;
		} else if (!have_rm) {
			d->rm = reg_number(o->reg.value);
			have_rm = true;
		}
	}
}

static void fill_prefixes(const struct xinsn *z, struct dinsn *d)
{
	const ZydisDecodedInstructionRaw *raw = &z->insn.raw;

	if (z->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK)
		d->flags |= XD_LOCK;
	if (z->insn.attributes & ZYDIS_ATTRIB_HAS_REX)
		d->flags |= XD_REX;
	for (unsigned i = 0; i < raw->prefix_count; i++) { /* of F2 and F3 the last one counts */
		if (raw->prefixes[i].value == 0xf3)
			d->flags = (uint8_t)((d->flags & ~XD_REPNE) | XD_REP);
		else if (raw->prefixes[i].value == 0xf2)
			d->flags = (uint8_t)((d->flags & ~XD_REP) | XD_REPNE);
	}
}

static void decode_fill(const struct xinsn *z, struct dinsn *d)
{
	const ZydisDecodedInstruction *in = &z->insn;

	memset(d, 0, sizeof(*d));
	d->len = in->length;
	d->size = (uint8_t)(in->operand_width / 8);
	d->asize = (uint8_t)(in->address_width / 8);
	d->base = XR_ZERO;
	d->index = XR_ZERO;
	d->seg = CPU_DS;
	d->cc = in->opcode & 15;
	d->fop = (uint16_t)((in->opcode & 7) << 8 | in->raw.modrm.mod << 6 |
			    in->raw.modrm.reg << 3 | in->raw.modrm.rm);
	(void)segment_override(z, &d->seg);
	fill_prefixes(z, d);
	if (in->raw.imm[0].size)
		d->imm = in->raw.imm[0].is_signed ? (uint64_t)in->raw.imm[0].value.s
						  : in->raw.imm[0].value.u;
	if (in->raw.imm[1].size)
		d->aux = (uint16_t)in->raw.imm[1].value.u;
	fill_operands(z, d);
	if (z->mode & XMODE_64) {
		if (d->asize == 4)
			d->ea |= XEA_ADDR32;
		if (d->seg == CPU_FS || d->seg == CPU_GS)
			d->ea |= XEA_SEG;
	} else {
		d->ea = (uint8_t)(XEA_LEGACY | (d->asize == 2 ? XEA_ADDR16 : XEA_ADDR32));
	}
}

static const ZydisDecoder *decoder_for(const struct xdecoder *x, uint32_t mode)
{
	if (mode & XMODE_64)
		return &x->zydis[DEC_64];
	if (mode & XMODE_32)
		return &x->zydis[DEC_32];
	return &x->zydis[mode & XMODE_REAL ? DEC_REAL : DEC_16];
}

unsigned xdecode(const struct xdecoder *x, const uint8_t *bytes, unsigned avail, uint32_t mode,
		 struct dinsn *d)
{
	struct xinsn z;
	ZyanStatus st;

	if (avail > DECODE_MAX)
		avail = DECODE_MAX;
	st = ZydisDecoderDecodeFull(decoder_for(x, mode), bytes, avail, &z.insn, z.op);
	if (st == ZYDIS_STATUS_NO_MORE_DATA && avail < DECODE_MAX)
		return 0;
	if (st == ZYDIS_STATUS_NO_MORE_DATA || st == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
		return decode_fault(d, xop_too_long, avail);
	if (!ZYAN_SUCCESS(st) || !decode_supported(&z.insn))
		return decode_fault(d, xop_undefined, avail);
	z.mode = mode;
	for (unsigned k = 0; k < DECODE_FORMS; k++) {
		const struct xop *op = x->op[z.insn.mnemonic][k];

		if (!op)
			break;
		decode_fill(&z, d);
		d->fn = op->bind(&z, d);
		if (!d->fn)
			continue;
		if ((op->flags & XOP_END) || d->fn == xop_undefined)
			d->flags |= XD_END;
		return d->len;
	}
	return decode_fault(d, xop_undefined, avail);
}

bool xdecode_view(const struct xdecoder *x, const uint8_t *bytes, unsigned avail, uint32_t mode,
		  struct xinsn *z)
{
	if (avail > DECODE_MAX)
		avail = DECODE_MAX;
	z->mode = mode;
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder_for(x, mode), bytes, avail, &z->insn, z->op)) &&
	       decode_supported(&z->insn);
}
