/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One random instance of a form: the bytes, then a register state in which
 * its memory operands fall into the data area.
 *
 * Nothing an instance may write lies outside that area: the host side runs
 * in this very process. safe_operands() has the last word.
 */
#include <string.h>

#include "tests/diff/diff.h"

#define AREA_SLACK 0x1000u /* unmapped on both sides of the data area: faults are wanted too */

struct gen {
	struct diff_case *c;
	struct diff_rng *r;
	uint64_t fs_base, gs_base;
	uint8_t *data;
	uint32_t fixed; /* GPRs already given a value that something depends on */
	bool stack;	/* has an implicit stack operand */
	bool strict;	/* no faults on purpose, natural alignment */
	bool wild;	/* aimed at a non-canonical address */
};

/* ---- bytes ---- */

static unsigned pick_bit(struct diff_rng *r, uint64_t set)
{
	for (;;) {
		unsigned b = diff_rng_below(r, 64);

		if (set >> b & 1)
			return b;
	}
}

static void gen_bytes(struct gen *g, const struct diff_form *form)
{
	struct diff_rng *r = g->r;
	uint8_t *b = g->c->bytes;
	unsigned n = 0, rex = 0;
	static const uint8_t segs[] = {0x64, 0x65, 0x26, 0x2e, 0x36, 0x3e, 0x65, 0x64};

	for (unsigned i = 0; i < 16; i++)
		b[i] = (uint8_t)diff_rng_u64(r);
	if (diff_rng_chance(r, 6))
		b[n++] =
		    segs[diff_rng_below(r, form->bits == 64 ? 8 : 1) + (form->bits == 64 ? 0 : 1)];
	if (form->bits == 64 && diff_rng_chance(r, 7))
		b[n++] = 0x67;
	if (form->modrm == DIFF_MODRM_MEM && diff_rng_chance(r, 12))
		b[n++] = 0xf0;
	if (form->prefixes & DIFF_PFX_66)
		b[n++] = 0x66;
	if (form->prefixes & DIFF_PFX_F3)
		b[n++] = 0xf3;
	if (form->prefixes & DIFF_PFX_F2)
		b[n++] = 0xf2;
	if (form->bits == 64) {
		if (diff_rng_chance(r, 60))
			rex = 0x40 | diff_rng_below(r, 8);
		if (form->prefixes & DIFF_PFX_W)
			rex |= 0x48;
		if (rex)
			b[n++] = (uint8_t)rex;
	}
	if (form->map)
		b[n++] = 0x0f;
	if (form->map == 2)
		b[n++] = 0x38;
	if (form->map == 3)
		b[n++] = 0x3a;
	b[n++] = form->opcode;
	if (form->modrm == DIFF_MODRM_REG) {
		b[n++] = (uint8_t)(0xc0 | pick_bit(r, form->allowed));
	} else if (form->modrm == DIFF_MODRM_MEM) {
		unsigned reg = pick_bit(r, form->allowed);

		b[n++] = (uint8_t)(diff_rng_below(r, 3) << 6 | reg << 3 | diff_rng_below(r, 8));
	}
}

static bool gen_decode(struct gen *g, const ZydisDecoder *decoder)
{
	struct diff_case *c = g->c;

	memset(c->ops, 0, sizeof(c->ops));
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, c->bytes, 15, &c->insn, c->ops)))
		return false;
	c->len = c->insn.length;
	/* SIB base 101 with mod 00 is a displacement; Zydis 4.0 takes it for R13D when REX.B is
	 * set and the address size is 32. */
	if (c->insn.attributes & ZYDIS_ATTRIB_HAS_MODRM && c->insn.raw.modrm.mod == 0 &&
	    c->insn.raw.modrm.rm == 4 && c->insn.raw.sib.base == 5) {
		for (unsigned i = 0; i < c->insn.operand_count; i++) {
			if (c->ops[i].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM &&
			    c->ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
				c->ops[i].mem.base = ZYDIS_REGISTER_NONE;
				c->ops[i].mem.disp.value = c->insn.raw.disp.value;
			}
		}
	}
	return true;
}

/* ---- registers ---- */

static bool reg_index(ZydisRegister reg, unsigned *index)
{
	ZydisRegister full;

	if (reg == ZYDIS_REGISTER_NONE)
		return false;
	full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
	if (ZydisRegisterGetClass(full) != ZYDIS_REGCLASS_GPR64)
		return false;
	*index = (unsigned)ZydisRegisterGetId(full);
	return true;
}

/* The value an index or base register contributes. AL is an index in XLAT. */
static uint64_t reg_value(const struct gen *g, ZydisRegister reg)
{
	unsigned i;
	uint64_t v;

	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
		return g->c->in.rip + g->c->len;
	if (!reg_index(reg, &i))
		return 0;
	v = g->c->in.gpr[i];
	switch (ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg)) {
	case 8:
		return v & 0xff;
	case 16:
		return v & 0xffff;
	case 32:
		return v & 0xffffffff;
	default:
		return v;
	}
}

static uint64_t address_mask(const struct gen *g)
{
	return g->c->insn.address_width == 64 ? ~0ull : 0xffffffffull;
}

static uint64_t operand_segment_base(const struct gen *g, const ZydisDecodedOperand *op)
{
	if (op->mem.segment == ZYDIS_REGISTER_FS)
		return g->fs_base;
	if (op->mem.segment == ZYDIS_REGISTER_GS)
		return g->gs_base;
	return 0;
}

static uint64_t operand_address(const struct gen *g, const ZydisDecodedOperand *op)
{
	uint64_t a = reg_value(g, op->mem.base) +
		     reg_value(g, op->mem.index) * (op->mem.index ? op->mem.scale : 0) +
		     (uint64_t)op->mem.disp.value;
	uint64_t lin = (a & address_mask(g)) + operand_segment_base(g, op);

	return g->c->bits == 64 ? lin : lin & 0xffffffff;
}

static bool operand_is_memory(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type == ZYDIS_MEMOP_TYPE_MEM;
}

/* ---- addresses ---- */

static uint64_t pick_target(struct gen *g, unsigned size)
{
	struct diff_rng *r = g->r;
	uint64_t rw = DIFF_RW_PAGES * RV_PAGE_SIZE;
	unsigned kind = diff_rng_below(r, 100);
	uint64_t a, align = 1;

	while (align < size && align < 64)
		align <<= 1;
	if (g->strict) {
		a = DIFF_DATA + 0x400 + diff_rng_below(r, (unsigned)rw - 0xa00);
		return a & ~(align - 1);
	}
	if (kind < 55)
		a = (DIFF_DATA + 0x100 + diff_rng_below(r, (unsigned)rw - 0x400)) & ~(align - 1);
	else if (kind < 80)
		a = DIFF_DATA + 0x100 + diff_rng_below(r, (unsigned)rw - 0x400);
	else if (kind < 88) /* around the boundary of two writable pages */
		a = DIFF_DATA + RV_PAGE_SIZE - diff_rng_below(r, size + 9);
	else if (kind < 92) /* into the read-only page */
		a = DIFF_DATA + rw - diff_rng_below(r, size + 9);
	else if (kind < 95)
		a = (DIFF_DATA + rw + diff_rng_below(r, 0x800)) & ~(align - 1);
	else if (kind < 97) /* off the end, off the start */
		a = DIFF_DATA + DIFF_DATA_SIZE - diff_rng_below(r, size + 9);
	else if (kind < 98)
		a = DIFF_DATA - diff_rng_below(r, size + 9);
	else if (kind < 99)
		a = DIFF_DATA + DIFF_DATA_SIZE +
		    (diff_rng_below(r, 0x400) & ~(unsigned)(align - 1));
	else
		a = DIFF_DATA - 0x800 + (diff_rng_below(r, 0x400) & ~(unsigned)(align - 1));
	return a;
}

static void patch_disp(struct gen *g, uint64_t value)
{
	struct diff_case *c = g->c;

	memcpy(c->bytes + c->insn.raw.disp.offset, &value, c->insn.raw.disp.size / 8u);
}

static bool fits_disp(const struct gen *g, uint64_t v)
{
	if (g->c->insn.address_width == 32)
		return true;
	return (uint64_t)(int64_t)(int32_t)(uint32_t)v == v;
}

static void fix_register(struct gen *g, unsigned i, uint64_t v)
{
	if (g->c->insn.address_width == 32 && g->c->bits == 64 && i != CPU_RSP)
		v = (v & 0xffffffff) | diff_rng_u64(g->r)
					   << 32; /* the upper half must not matter */
	g->c->in.gpr[i] = v;
	g->fixed |= 1u << i;
}

/* Gives base, index and displacement values so that the operand lies at target. */
static void aim(struct gen *g, ZydisDecodedOperand *op, uint64_t target)
{
	struct diff_case *c = g->c;
	uint64_t want = target - operand_segment_base(g, op);
	unsigned base = 0, index = 0;
	bool has_base = reg_index(op->mem.base, &base);
	bool has_index = reg_index(op->mem.index, &index) && op->mem.scale;
	bool explicit_op = op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
	uint64_t disp = (uint64_t)op->mem.disp.value;

	if (explicit_op && c->insn.raw.disp.size >= 32 && (g->stack || diff_rng_chance(g->r, 50))) {
		disp = (uint64_t)(int64_t)(int)(diff_rng_below(g->r, 0x200)) - 0x100;
		patch_disp(g, disp);
		op->mem.disp.value = (int64_t)disp;
	}
	if (has_index && !(g->fixed >> index & 1) && index != base &&
	    (g->stack || !has_base || diff_rng_chance(g->r, 60)))
		fix_register(g, index, diff_rng_below(g->r, 64));
	if (has_base && !(g->fixed >> base & 1)) {
		uint64_t rest = want - disp;

		if (has_index && index == base)
			rest /= 1u + op->mem.scale;
		else if (has_index)
			rest -= reg_value(g, op->mem.index) * op->mem.scale;
		fix_register(g, base, rest);
		if (has_index)
			g->fixed |= 1u << index;
		return;
	}
	if (explicit_op && c->insn.raw.disp.size >= 32) { /* absolute, RIP-relative, index only */
		uint64_t rest =
		    want - (operand_address(g, op) - operand_segment_base(g, op) - disp);

		if (c->insn.raw.disp.size == 64 || fits_disp(g, rest)) {
			patch_disp(g, rest);
			op->mem.disp.value = c->insn.raw.disp.size == 64
						 ? (int64_t)rest
						 : (int64_t)(int32_t)(uint32_t)rest;
		}
	}
}

static bool safe_operands(struct gen *g)
{
	const struct diff_case *c = g->c;

	for (unsigned i = 0; i < c->insn.operand_count; i++) {
		const ZydisDecodedOperand *op = &c->ops[i];
		uint64_t a;

		if (!operand_is_memory(op))
			continue;
		a = operand_address(g, op);
		if (g->wild && (uint64_t)((int64_t)(a << 16) >> 16) != a)
			continue;
		if (a < DIFF_DATA - AREA_SLACK || a >= DIFF_DATA + DIFF_DATA_SIZE + AREA_SLACK)
			return false;
	}
	return true;
}

/* ---- state ---- */

static void gen_x87(struct gen *g)
{
	struct diff_rng *r = g->r;
	struct diff_state *s = &g->c->in;
	static const uint16_t precision[] = {0x300, 0x300, 0x300, 0x200, 0x000};
	bool mmx = false;
	unsigned unmasked;

	for (unsigned i = 0; i < g->c->insn.operand_count; i++) {
		const ZydisDecodedOperand *op = &g->c->ops[i];

		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(op->reg.value) == ZYDIS_REGCLASS_MMX)
			mmx = true;
	}
	s->fcw = (uint16_t)(0x40 | precision[diff_rng_below(r, 5)] | diff_rng_below(r, 4) << 10 |
			    (diff_rng_chance(r, 65) ? 0x3fu : diff_rng_below(r, 64)));
	s->fsw = (uint16_t)(diff_rng_below(r, 8) << 11 |
			    (diff_rng_u64(r) & (diff_rng_chance(r, 40) ? 0x477f : 0x4700)));
	unmasked = s->fsw & ~(unsigned)s->fcw & 0x3f;
	if (unmasked && !diff_rng_chance(r, 12)) {
		s->fsw = (uint16_t)(s->fsw & ~unmasked);
		unmasked = 0;
	}
	if (unmasked)
		s->fsw |= 0x8080; /* ES and B */
	switch (diff_rng_below(r, 5)) {
	case 0:
		s->ftw = (uint8_t)diff_rng_u64(r);
		break;
	case 1:
		s->ftw = (uint8_t)(0xff00u >> diff_rng_below(r, 9));
		break;
	default: /* mostly full; pushes get their room below */
		s->ftw = 0xff;
		break;
	}
	if (diff_rng_chance(r, 50)) /* the register a push would use */
		s->ftw = (uint8_t)(s->ftw & ~(1u << (((s->fsw >> 11) + 7) & 7)));
	for (unsigned i = 0; i < 8; i++) {
		s->st[i] = diff_value_f80(r);
		if (mmx) {
			diff_value_fill(r, ZYDIS_ELEMENT_TYPE_INT, 1u << diff_rng_below(r, 4),
					(uint8_t *)&s->st[i].mant, 8);
			if (diff_rng_chance(r, 90))
				s->st[i].sexp = 0xffff;
		}
	}
	/* How far one FPREM gets on a large exponent difference is the processor's choice. */
	if ((g->c->insn.mnemonic == ZYDIS_MNEMONIC_FPREM ||
	     g->c->insn.mnemonic == ZYDIS_MNEMONIC_FPREM1) &&
	    (s->st[0].sexp & 0x7fffu) != 0x7fff && (s->st[1].sexp & 0x7fffu) != 0x7fff) {
		unsigned e = 0x2000 + diff_rng_below(r, 0x3000);

		if (s->st[0].sexp & 0x7fffu)
			s->st[0].sexp = (uint16_t)((s->st[0].sexp & 0x8000u) | e);
		if (s->st[1].sexp & 0x7fffu)
			s->st[1].sexp =
			    (uint16_t)((s->st[1].sexp & 0x8000u) | (e - diff_rng_below(r, 63) + 4));
	}
}

static void gen_sse(struct gen *g)
{
	struct diff_rng *r = g->r;
	struct diff_state *s = &g->c->in;
	ZydisElementType type = ZYDIS_ELEMENT_TYPE_INT;
	unsigned bytes = 1u << diff_rng_below(r, 4);

	for (unsigned i = 0; i < g->c->insn.operand_count_visible; i++) {
		const ZydisDecodedOperand *op = &g->c->ops[i];

		if (op->element_type == ZYDIS_ELEMENT_TYPE_FLOAT32 ||
		    op->element_type == ZYDIS_ELEMENT_TYPE_FLOAT64)
			type = op->element_type;
	}
	for (unsigned i = 0; i < 16; i++) {
		uint8_t b[16];

		diff_value_fill(r, diff_rng_chance(r, 92) ? type : ZYDIS_ELEMENT_TYPE_INT, bytes, b,
				16);
		memcpy(&s->xmm[i], b, 16);
		if (diff_rng_chance(r, 8))
			s->xmm[i] = s->xmm[diff_rng_below(r, i + 1)];
	}
	s->mxcsr = (uint32_t)(diff_rng_u64(r) & 0xe07f); /* FTZ, RC, DAZ, flags */
	if (diff_rng_chance(r, 50))
		s->mxcsr &= 0x607f & ~0x40u;
	s->mxcsr |= diff_rng_chance(r, 70) ? 0x1f80u : (uint32_t)diff_rng_u64(r) & 0x1f80;
	if (diff_rng_chance(r, 50))
		s->mxcsr &= ~0x3fu;
}

static void gen_registers(struct gen *g)
{
	struct diff_rng *r = g->r;
	struct diff_state *s = &g->c->in;
	const uint64_t flags = RFLAGS_ARITH;

	for (unsigned i = 0; i < 16; i++)
		s->gpr[i] = diff_value_int(r);
	if (g->c->bits == 32) {
		for (unsigned i = 0; i < 16; i++)
			s->gpr[i] = i < 8 ? s->gpr[i] & 0xffffffff : 0;
	}
	s->rip = DIFF_CODE + DIFF_INSN_OFFSET;
	s->rflags = (diff_rng_u64(r) & flags) | RFLAGS_1 | RFLAGS_IF;
	if (diff_rng_chance(r, 30))
		s->rflags |= RFLAGS_DF;
	if (diff_rng_chance(r, 10))
		s->rflags |= RFLAGS_ID;
	gen_x87(g);
	gen_sse(g);
}

/* ---- operands whose values need care ---- */

static uint64_t user_address(struct gen *g)
{
	uint64_t v = diff_rng_u64(g->r);

	if (g->c->bits == 32)
		return v & 0xffffffff;
	return v & 1 ? DIFF_CODE + (v >> 1 & 0xfff) : v >> 17 & 0x7fffffffefffull;
}

static uint8_t *area(struct gen *g, uint64_t address, unsigned size)
{
	if (address < DIFF_DATA || address > DIFF_DATA + DIFF_DATA_SIZE - size)
		return NULL;
	return g->data + (address - DIFF_DATA);
}

static void fill_operand(struct gen *g, const ZydisDecodedOperand *op)
{
	struct diff_rng *r = g->r;
	uint64_t address = operand_address(g, op);
	unsigned size = op->size / 8u;
	uint8_t *p = area(g, address, size);
	uint64_t v;

	if (!p)
		return;
	if (op->element_type != ZYDIS_ELEMENT_TYPE_STRUCT && !diff_rng_chance(r, 5))
		diff_value_fill(r, op->element_type, op->element_size / 8u, p, size);
	switch (g->c->insn.mnemonic) {
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ: /* AC would make the process fault at alignment */
		v = 0;
		memcpy(&v, p, size > 8 ? 8 : size);
		v &= ~(uint64_t)RFLAGS_AC;
		memcpy(p, &v, size > 8 ? 8 : size);
		break;
	case ZYDIS_MNEMONIC_RET:
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_CALL: /* where a non-canonical target faults differs between vendors */
		v = user_address(g);
		memcpy(p, &v, size > 8 ? 8 : size);
		break;
	case ZYDIS_MNEMONIC_LDMXCSR:
		if (diff_rng_chance(r, 80))
			p[2] = p[3] = 0;
		p[2] &= 0xfd; /* AMD's misaligned-access mode, reserved elsewhere */
		break;
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
		for (unsigned i = 32; i < 416; i++)
			p[i] = (uint8_t)diff_rng_u64(r);
		for (unsigned i = 0; i < 8; i++) {
			struct cpu_f80 f = diff_value_f80(r);

			memcpy(p + 32 + i * 16, &f.mant, 8);
			memcpy(p + 40 + i * 16, &f.sexp, 2);
		}
		if (diff_rng_chance(r, 85))
			p[26] = p[27] = 0; /* MXCSR's reserved bits: else #GP */
		p[26] &= 0xfd;
		break;
	default:
		break;
	}
}

/* Registers whose random value would lead nowhere interesting, or too far. */
static void care_registers(struct gen *g)
{
	struct diff_rng *r = g->r;
	struct diff_state *s = &g->c->in;
	const ZydisDecodedInstruction *insn = &g->c->insn;
	const ZydisDecodedOperand *op = g->c->ops;
	unsigned i;

	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTC:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTS: /* the bit offset reaches beyond the operand */
		if (operand_is_memory(&op[0]) &&
		    reg_index(op[1].type == ZYDIS_OPERAND_TYPE_REGISTER ? op[1].reg.value
									: ZYDIS_REGISTER_NONE,
			      &i)) {
			fix_register(g, i,
				     (uint64_t)(int64_t)((int)diff_rng_below(r, 4096) - 2048));
			g->strict = diff_rng_chance(r, 80);
			if (insn->operand_width == 16) /* the upper bits must not matter */
				s->gpr[i] = (s->gpr[i] & 0xffff) | diff_rng_u64(r) << 16;
			else if (insn->operand_width == 32)
				s->gpr[i] = (s->gpr[i] & 0xffffffff) | diff_rng_u64(r) << 32;
		}
		break;
	case ZYDIS_MNEMONIC_DIV:
		if (diff_rng_chance(r, 70))
			s->gpr[CPU_RDX] &= 0xff;
		break;
	case ZYDIS_MNEMONIC_IDIV:
		if (diff_rng_chance(r, 70))
			s->gpr[CPU_RDX] = diff_rng_chance(r, 50) ? 0 - (s->gpr[CPU_RAX] >> 63)
								 : 0 - (diff_rng_u64(r) & 1);
		break;
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_CALL:
		if (op[0].type == ZYDIS_OPERAND_TYPE_REGISTER && reg_index(op[0].reg.value, &i))
			s->gpr[i] = user_address(g);
		break;
	case ZYDIS_MNEMONIC_ENTER: /* reads the frames below RBP */
		s->gpr[CPU_RBP] = DIFF_DATA + 0x800 + diff_rng_below(r, 0x800);
		g->strict = true;
		break;
	case ZYDIS_MNEMONIC_MASKMOVQ:	/* faults for bytes that are masked out are the */
	case ZYDIS_MNEMONIC_MASKMOVDQU: /* processor's choice */
		g->strict = true;
		break;
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_PCMPISTRI:
	case ZYDIS_MNEMONIC_PCMPISTRM: /* a small alphabet, so that something matches */
		if (diff_rng_chance(r, 70)) {
			for (i = 0; i < 16; i++) {
				s->xmm[i].lo = diff_rng_u64(r) & 0x0303030303030303ull;
				s->xmm[i].hi = diff_rng_u64(r) & 0x0303030303030303ull;
			}
		}
		break;
	case ZYDIS_MNEMONIC_INSB:
	case ZYDIS_MNEMONIC_INSW:
	case ZYDIS_MNEMONIC_INSD:
	case ZYDIS_MNEMONIC_OUTSB:
	case ZYDIS_MNEMONIC_OUTSW:
	case ZYDIS_MNEMONIC_OUTSD: /* privilege with a count of zero: AMD checks it */
		s->gpr[CPU_RCX] |= 1;
		break;
	case ZYDIS_MNEMONIC_XCHG: /* a locked access across cache lines may be trapped by the kernel
				   */
		g->strict = operand_is_memory(&op[0]) || operand_is_memory(&op[1]);
		break;
	default:
		break;
	}
	if (insn->attributes & ZYDIS_ATTRIB_HAS_LOCK)
		g->strict = true;
}

static void care_compare_exchange(struct gen *g)
{
	struct diff_state *s = &g->c->in;
	const ZydisDecodedOperand *op = &g->c->ops[0];
	unsigned size = op->size / 8u, i;
	const uint8_t *p;
	uint64_t v[2] = {0, 0};

	if (diff_rng_chance(g->r, 50))
		return;
	switch (g->c->insn.mnemonic) {
	case ZYDIS_MNEMONIC_CMPXCHG:
		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && reg_index(op->reg.value, &i)) {
			if (!(g->fixed & 1))
				s->gpr[CPU_RAX] = s->gpr[i];
			return;
		}
		break;
	case ZYDIS_MNEMONIC_CMPXCHG8B:
	case ZYDIS_MNEMONIC_CMPXCHG16B:
		break;
	default:
		return;
	}
	p = area(g, operand_address(g, op), size);
	if (!p || g->fixed >> CPU_RAX & 1 || size > 16)
		return;
	memcpy(v, p, size);
	if (g->c->insn.mnemonic == ZYDIS_MNEMONIC_CMPXCHG) {
		s->gpr[CPU_RAX] = v[0];
	} else if (!(g->fixed >> CPU_RDX & 1)) {
		s->gpr[CPU_RAX] = size == 8 ? (uint32_t)v[0] : v[0];
		s->gpr[CPU_RDX] = size == 8 ? v[0] >> 32 : v[1];
	}
}

static void care_immediates(struct gen *g)
{
	struct diff_case *c = g->c;
	const ZydisDecodedInstruction *insn = &c->insn;

	for (unsigned i = 0; i < 2; i++) {
		unsigned size = insn->raw.imm[i].size / 8u;

		if (size >= 2 && insn->raw.imm[i].is_relative == ZYAN_FALSE) {
			uint64_t v = diff_value_int(g->r);

			memcpy(c->bytes + insn->raw.imm[i].offset, &v, size);
		}
	}
	if (insn->mnemonic == ZYDIS_MNEMONIC_ENTER) { /* stays within the area */
		c->bytes[insn->raw.imm[0].offset] &= 0x7f;
		c->bytes[insn->raw.imm[0].offset + 1] = 0;
	}
}

/* A shift of a 16-bit SHLD/SHRD by more than 16 has no defined result. */
static bool undefined_result(const struct diff_case *c)
{
	uint64_t n;

	if (c->insn.mnemonic != ZYDIS_MNEMONIC_SHLD && c->insn.mnemonic != ZYDIS_MNEMONIC_SHRD)
		return false;
	n = c->ops[2].type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? c->ops[2].imm.value.u
							   : c->in.gpr[CPU_RCX];
	return c->insn.operand_width == 16 && (n & 31) > 16;
}

static void gen_operands(struct gen *g)
{
	struct diff_case *c = g->c;

	for (unsigned i = 0; i < c->insn.operand_count; i++) {
		ZydisDecodedOperand *op = &c->ops[i];
		uint64_t target;

		if (!operand_is_memory(op))
			continue;
		target = pick_target(g, op->size / 8u);
		if (g->wild && op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
			target = 0x0000800000000000ull + ((diff_rng_u64(g->r) >> 18) & ~63ull);
		aim(g, op, target);
	}
	for (unsigned i = 0; i < c->insn.operand_count; i++) {
		if (operand_is_memory(&c->ops[i]))
			fill_operand(g, &c->ops[i]);
	}
}

bool diff_case_generate(struct diff_case *c, const struct diff_forms *forms,
			const struct diff_form *form, struct diff_rng *r, uint64_t fs_base,
			uint64_t gs_base, uint8_t *data)
{
	struct gen g = {.c = c, .r = r, .fs_base = fs_base, .gs_base = gs_base, .data = data};
	const ZydisDecoder *decoder = &forms->decoder[form->bits == 32];
	unsigned memories = 0, segment_override;

	c->bits = form->bits;
	c->nmem = 0;
	gen_bytes(&g, form);
	if (!gen_decode(&g, decoder) || c->insn.mnemonic != form->mnemonic)
		return false;
	care_immediates(&g);
	if (!gen_decode(&g, decoder) || diff_exclude_insn(&c->insn, c->ops))
		return false;
	for (unsigned i = 0; i < c->insn.operand_count; i++)
		memories += operand_is_memory(&c->ops[i]);
	g.stack = memories > 1;
	segment_override = (c->insn.attributes & ZYDIS_ATTRIB_HAS_SEGMENT) != 0;
	g.wild = memories == 1 && c->bits == 64 && c->insn.address_width == 64 &&
		 !segment_override && diff_rng_chance(r, 1);
	gen_registers(&g);
	care_registers(&g);
	if (g.strict)
		g.wild = false;
	gen_operands(&g);
	care_compare_exchange(&g);
	if (!gen_decode(&g, decoder) || c->insn.mnemonic != form->mnemonic || !safe_operands(&g) ||
	    undefined_result(c))
		return false;
	for (unsigned i = 0; i < c->insn.operand_count && c->nmem < 2; i++) {
		if (!operand_is_memory(&c->ops[i]))
			continue;
		c->mem_addr[c->nmem] = operand_address(&g, &c->ops[i]);
		c->mem_size[c->nmem++] = c->ops[i].size / 8u;
	}
	return true;
}
