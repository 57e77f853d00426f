/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random programs. Instructions are random members of every form that the
 * engine decodes (tests/diff/forms.c), with register roles kept (state.c) so
 * that most memory operands fall into the data area; control flow and stores
 * into code come as constructs of their own.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tests/jit/gen.h"

#define MAX_TABLES 20u
#define GIVE_UP	   40u

/* Forms of one family (a table of the decoder), grouped by mnemonic. */
struct jit_family {
	unsigned weight;
	unsigned n;	 /* mnemonics */
	uint32_t *first; /* n + 1 indices into form */
};

struct jit_gen {
	struct diff_forms forms;
	struct jit_family family[MAX_TABLES];
	unsigned nfamilies, total;
	bool only;
};

/* Weight by order of xdecoder_ops(): what a translator is most likely to do itself comes most
 * often. */
static const uint8_t family_weight[MAX_TABLES] = {
	26 /* arith */,
	6 /* mul */,
	26 /* mov */,
	8 /* stack */,
	10 /* shift */,
	8 /* bits */,
	3 /* branch */,
	5 /* string */,
	3 /* sys */,
	1,
	2,
	2,
	1 /* x87 */,
	5 /* sse int */,
	6 /* mov */,
	3 /* shuffle */,
	5 /* fp */,
	3 /* cvt */,
	1 /* str */,
	1 /* state */
};

static bool mnemonic_has(unsigned mnemonic, const char *only)
{
	const char *s = ZydisMnemonicGetString((ZydisMnemonic)mnemonic);

	return !only || (s && strstr(s, only));
}

static int family_build(struct jit_gen *g, struct jit_family *f, const struct xop_table *t,
			const char *only)
{
	f->first = calloc(2 * t->n + 2, sizeof(*f->first));
	if (!f->first)
		return RV_ENOMEM;
	for (size_t i = 0; i < t->n; i++) {
		unsigned m = t->ops[i].mnemonic;
		uint32_t k = 0, e;

		if (!mnemonic_has(m, only))
			continue;
		while (k < g->forms.n && g->forms.form[k].mnemonic != m)
			k++;
		for (e = k; e < g->forms.n && g->forms.form[e].mnemonic == m; e++)
			continue;
		if (e == k)
			continue;
		f->first[2 * f->n] = k;
		f->first[2 * f->n + 1] = e;
		f->n++;
	}
	return 0;
}

int jit_gen_init(struct jit_gen **out, const char *only)
{
	struct jit_gen *g = calloc(1, sizeof(*g));
	const struct xop_table *t;
	int rc;

	if (!g)
		return RV_ENOMEM;
	g->only = only != NULL;
	rc = diff_forms_init(&g->forms, false);
	for (unsigned i = 0; rc == 0 && i < MAX_TABLES && (t = xdecoder_ops(i)) != NULL; i++) {
		struct jit_family *f = &g->family[g->nfamilies++];

		rc = family_build(g, f, t, only);
		f->weight = f->n ? family_weight[i] : 0;
		g->total += f->weight;
	}
	if (rc == 0 && g->total == 0)
		rc = RV_ENOENT;
	if (rc != 0) {
		jit_gen_fini(g);
		return rc;
	}
	*out = g;
	return 0;
}

void jit_gen_fini(struct jit_gen *g)
{
	for (unsigned i = 0; i < g->nfamilies; i++)
		free(g->family[i].first);
	diff_forms_fini(&g->forms);
	free(g);
}

/* ---- addresses ---- */

uint64_t jit_gen_address(struct diff_rng *r, uint64_t code)
{
	static const uint8_t plain[] = {JIT_P_RW0,  JIT_P_RW0,	  JIT_P_RW1,  JIT_P_RW1,
					JIT_P_LAST, JIT_P_STACK0, JIT_P_ALIAS};
	static const uint8_t border[] = {JIT_P_RO,    JIT_P_FRESH, JIT_P_CLEAN, JIT_P_SUPER,
					 JIT_P_ALIAS, JIT_P_MMIO,  JIT_P_LAST,	JIT_P_HOLE1,
					 JIT_P_RW0,   JIT_P_TABLE};
	unsigned kind = diff_rng_below(r, 100);
	uint64_t v = diff_rng_u64(r);

	if (kind < 52)
		return JIT_PAGE(plain[v % RV_ARRAY_LEN(plain)]) + 0x80 + (v >> 8 & 0xef0);
	if (kind < 62)
		return JIT_PAGE(plain[v % RV_ARRAY_LEN(plain)]) + 0x80 + (v >> 8) % 0xf00;
	if (kind < 76)
		return JIT_PAGE(JIT_P_RW1) - (v & 31);
	if (kind < 86)
		return JIT_PAGE(border[v % RV_ARRAY_LEN(border)]) - (v >> 8 & 31);
	if (kind < 94)
		return JIT_PAGE(border[v % 7]) + 0x80 + (v >> 8 & 0xef0);
	if (kind < 97)
		return JIT_ALIAS + (code - JIT_CODE) + (v & 127);
	if (kind < 98)
		return code + (v & 127);
	if (kind < 99)
		return 0x00007ffffffffff0ull + (v & 31);
	return v;
}

/* ---- one instruction ---- */

static void put_memory(struct diff_rng *r, unsigned reg, struct jit_item *it, unsigned *rex)
{
	static const uint8_t pointer[] = {CPU_RBX, CPU_RBP, CPU_RSI, CPU_RDI, CPU_R12, CPU_R13};
	unsigned kind = diff_rng_below(r, 100);
	unsigned base = pointer[diff_rng_below(r, RV_ARRAY_LEN(pointer))];
	uint8_t *b = it->bytes + it->len;
	unsigned n = 0, mod;
	int disp = (int)diff_rng_below(r, 128) - 64;

	if (diff_rng_chance(r, 60))
		disp &= ~15;
	*rex = (*rex & 4u) | (*rex & 8u);
	if (kind < 7) { /* RIP-relative or absolute: the fix-up aims it */
		b[n++] = (uint8_t)(reg << 3 | 5);
		it->fix = JIT_FIX_RIP;
	} else if (kind < 11) {
		b[n++] = (uint8_t)(reg << 3 | 4);
		b[n++] = 0x25;
	} else if (kind < 15) { /* anything */
		b[n++] = (uint8_t)(diff_rng_below(r, 3) << 6 | reg << 3 | diff_rng_below(r, 8));
		*rex |= diff_rng_below(r, 4);
	} else {
		bool sib = (base & 7) == 4 || kind < 32;
		unsigned scale = diff_rng_below(r, 4);

		if (kind < 20) {
			base = CPU_RSP;
			sib = true;
		}
		mod = disp == 0 && (base & 7) != 5 ? 0 : diff_rng_chance(r, 15) ? 2 : 1;
		b[n++] = (uint8_t)(mod << 6 | reg << 3 | (sib ? 4 : base & 7));
		if (sib && kind >= 20 && kind < 32) {
			b[n++] = (uint8_t)(scale << 6 | (CPU_R14 & 7) << 3 | (base & 7));
			*rex |= 2;
		} else if (sib) {
			b[n++] = (uint8_t)(scale << 6 | 4 << 3 | (base & 7));
		}
		*rex |= base >> 3;
		if (mod == 1)
			b[n] = (uint8_t)disp;
		else if (mod == 2)
			memcpy(b + n, &disp, 4);
	}
	it->len = (uint8_t)(it->len + n);
}

static unsigned pick_bit(struct diff_rng *r, uint64_t set)
{
	for (;;) {
		unsigned b = diff_rng_below(r, 64);

		if (set >> b & 1)
			return b;
	}
}

static void put_bytes(struct diff_rng *r, const struct diff_form *f, struct jit_item *it)
{
	uint8_t opcode[8], tail[16];
	struct jit_item body = {.len = 0};
	unsigned rex = diff_rng_chance(r, 60) ? diff_rng_below(r, 8) : 0, n = 0;
	bool force = rex == 0 && diff_rng_chance(r, 10);

	memset(it, 0, sizeof(*it));
	for (unsigned i = 0; i < 16; i += 8) {
		uint64_t v = diff_rng_u64(r);
		memcpy(tail + i, &v, 8);
	}
	memcpy(body.bytes, tail, 16);
	if (f->prefixes & DIFF_PFX_W)
		rex |= 8;
	if (f->map)
		opcode[n++] = 0x0f;
	if (f->map >= 2)
		opcode[n++] = f->map == 2 ? 0x38 : 0x3a;
	opcode[n++] = f->opcode;
	if (f->modrm == DIFF_MODRM_REG)
		body.bytes[body.len++] = (uint8_t)(0xc0 | pick_bit(r, f->allowed));
	else if (f->modrm == DIFF_MODRM_MEM)
		put_memory(r, pick_bit(r, f->allowed), &body, &rex);
	it->fix = body.fix;
	if (diff_rng_chance(r, 5))
		it->bytes[it->len++] = diff_rng_chance(r, 50) ? 0x64 : 0x65;
	if (diff_rng_chance(r, 4))
		it->bytes[it->len++] = 0x67;
	if (f->modrm == DIFF_MODRM_MEM && diff_rng_chance(r, 10))
		it->bytes[it->len++] = 0xf0;
	if (f->prefixes & DIFF_PFX_66)
		it->bytes[it->len++] = 0x66;
	if (f->prefixes & DIFF_PFX_F3)
		it->bytes[it->len++] = 0xf3;
	if (f->prefixes & DIFF_PFX_F2)
		it->bytes[it->len++] = 0xf2;
	if (rex || force)
		it->bytes[it->len++] = (uint8_t)(0x40 | rex);
	memcpy(it->bytes + it->len, opcode, n);
	it->len = (uint8_t)(it->len + n);
	memcpy(it->bytes + it->len, body.bytes, 16u - it->len);
}

/* Registers whose roles an instruction should not end. */
static bool writes_protected(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *op)
{
	const unsigned keep = 1u << CPU_RBX | 1u << CPU_RBP | 1u << CPU_RSI | 1u << CPU_RDI |
			      1u << CPU_RSP | 1u << CPU_R12 | 1u << CPU_R13 | 1u << CPU_R14 |
			      1u << CPU_R15;

	for (unsigned i = 0; i < z->operand_count_visible; i++) {
		ZydisRegister full;

		if (op[i].type != ZYDIS_OPERAND_TYPE_REGISTER ||
		    !(op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		full =
		    ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, op[i].reg.value);
		if (ZydisRegisterGetClass(full) == ZYDIS_REGCLASS_GPR64 &&
		    keep >> ZydisRegisterGetId(full) & 1)
			return true;
	}
	return false;
}

static bool draw_form(struct jit_gen *g, struct diff_rng *r, const struct diff_form *f,
		      uint64_t code, struct jit_item *it)
{
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	put_bytes(r, f, it);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&g->forms.decoder[0], it->bytes, 15, &z, op)) ||
	    z.mnemonic != f->mnemonic)
		return false;
	if (writes_protected(&z, op) && !diff_rng_chance(r, 6))
		return false;
	it->len = z.length;
	for (unsigned i = 0; i < 2; i++) {
		unsigned size = z.raw.imm[i].size / 8u;
		uint64_t v = diff_value_int(r);

		if (size >= 2 && !z.raw.imm[i].is_relative)
			memcpy(it->bytes + z.raw.imm[i].offset, &v, size);
		if (size && z.raw.imm[i].is_relative) /* mostly short, sometimes to itself */
			memcpy(it->bytes + z.raw.imm[i].offset,
			       &(int32_t){(int)diff_rng_below(r, 64) - 16}, size > 4 ? 4 : size);
	}
	if (z.mnemonic == ZYDIS_MNEMONIC_ENTER)
		it->bytes[z.raw.imm[0].offset + 1] = 0;
	if (it->fix == JIT_FIX_RIP) {
		if (z.raw.disp.size != 32 || z.raw.modrm.mod != 0 || z.raw.modrm.rm != 5)
			return false;
		it->fix_at = z.raw.disp.offset;
		it->addr = jit_gen_address(r, code);
		if (it->addr >> 31)
			it->addr = JIT_PAGE(JIT_P_RW1) - 4;
	} else if ((z.attributes & ZYDIS_ATTRIB_HAS_MODRM && z.raw.modrm.mod == 0 &&
		    z.raw.modrm.rm == 4 && (z.raw.sib.base & 7) == 5) ||
		   z.raw.disp.size == 64) {
		uint64_t a = jit_gen_address(r, code);

		memcpy(it->bytes + z.raw.disp.offset, &a, z.raw.disp.size / 8u);
	}
	return true;
}

static void draw_instruction(struct jit_gen *g, struct diff_rng *r, uint64_t code,
			     struct jit_item *it)
{
	for (unsigned try = 0; try < GIVE_UP; try++) {
		unsigned w = diff_rng_below(r, g->total), i = 0, m;
		const struct diff_form *f;

		while (w >= g->family[i].weight)
			w -= g->family[i++].weight;
		m = diff_rng_below(r, g->family[i].n);
		f = &g->forms.form[g->family[i].first[2 * m] +
				   diff_rng_below(r, g->family[i].first[2 * m + 1] -
							 g->family[i].first[2 * m])];
		if ((f->odd || (f->prefixes & DIFF_PFX_66 && f->prefixes & DIFF_PFX_W)) &&
		    !diff_rng_chance(r, 10))
			continue;
		if (draw_form(g, r, f, code, it))
			return;
	}
	memset(it, 0, sizeof(*it));
	it->bytes[0] = 0x90;
	it->len = 1;
}

/* ---- programs ---- */

void jit_gen_case(struct jit_gen *g, uint64_t seed, uint64_t number, struct jit_case *c)
{
	static const uint8_t rate[JIT_NFEATURES] = {/* percent, by bit */
						    40, 3,  10, 3, 5,  4,  40, 25, 4,
						    4,	50, 25, 4, 50, 30, 25, 20};
	struct diff_rng r;
	unsigned want;

	diff_rng_seed(&r, seed, number << 8);
	memset(c, 0, sizeof(*c));
	c->seed = seed;
	c->number = number;
	for (unsigned i = 0; i < JIT_NFEATURES; i++)
		c->features |= (uint32_t)diff_rng_chance(&r, rate[i]) << i;
	c->runs = 16 + diff_rng_below(&r, 105);
	/* Somewhere in the code area; one in four runs across the end of a page. */
	c->at = diff_rng_below(&r, JIT_CODE_PAGES - 1) * RV_PAGE_SIZE;
	c->at += diff_rng_chance(&r, 25) ? RV_PAGE_SIZE - 1 - diff_rng_below(&r, 96)
					 : diff_rng_below(&r, RV_PAGE_SIZE - JIT_MAX_CODE);
	want = 1 + (diff_rng_chance(&r, 20) ? diff_rng_below(&r, 3) : diff_rng_below(&r, 20));
	while (c->n < want) {
		if (!g->only && diff_rng_chance(&r, 18))
			jit_gen_construct(&r, c, want);
		else
			draw_instruction(g, &r, JIT_CODE + c->at, &c->item[c->n++]);
	}
	if (diff_rng_chance(&r, 45))
		jit_gen_loop(c);
	else if (diff_rng_chance(&r, 20))
		jit_gen_again(c);
}
