/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of encodings: every opcode of the four legacy maps, with every
 * useful prefix and ModRM, that Zydis decodes to a mnemonic in the engine's
 * own tables.
 */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "tests/diff/diff.h"
#include "vmm/engine/exact/exact.h"

#define SCAN_BYTES 15u

bool diff_forms_mnemonic_known(unsigned mnemonic)
{
	const struct xop_table *t;

	for (unsigned n = 0; (t = xdecoder_ops(n)) != NULL; n++) {
		for (size_t i = 0; i < t->n; i++) {
			if (t->ops[i].mnemonic == mnemonic)
				return true;
		}
	}
	return false;
}

struct scan {
	struct diff_forms *out;
	size_t room;
	const uint8_t *known; /* by mnemonic */
};

static int scan_add(struct scan *s, const struct diff_form *form)
{
	struct diff_forms *f = s->out;

	/* Forms of one opcode are added one after the other: merge ModRM values. */
	for (size_t i = f->n; i > 0 && i + 16 > f->n; i--) {
		struct diff_form *o = &f->form[i - 1];

		if (o->mnemonic == form->mnemonic && o->bits == form->bits && o->map == form->map &&
		    o->opcode == form->opcode && o->prefixes == form->prefixes &&
		    o->modrm == form->modrm) {
			o->allowed |= form->allowed;
			return 0;
		}
	}
	if (f->n == s->room) {
		size_t room = s->room ? s->room * 2 : 4096;
		struct diff_form *p = realloc(f->form, room * sizeof(*p));

		if (!p)
			return RV_ENOMEM;
		f->form = p;
		s->room = room;
	}
	f->form[f->n++] = *form;
	return 0;
}

static bool scan_is_prefix(unsigned map, unsigned opcode, unsigned bits)
{
	if (map == 1)
		return opcode == 0x38 || opcode == 0x3a;
	if (map != 0)
		return false;
	switch (opcode) {
	case 0x0f:
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x66:
	case 0x67:
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return bits == 64 && opcode >= 0x40 && opcode <= 0x4f;
	}
}

static bool scan_has_odd_prefix(const ZydisDecodedInstruction *insn)
{
	for (unsigned i = 0; i < insn->raw.prefix_count; i++) {
		if (insn->raw.prefixes[i].type == ZYDIS_PREFIX_TYPE_IGNORED)
			return true;
	}
	return false;
}

/* One opcode with one set of prefixes: all its ModRM values. */
static int scan_opcode(struct scan *s, struct diff_form form)
{
	uint8_t b[SCAN_BYTES + 16] = {0};
	unsigned n = 0, modrm_at;
	const ZydisDecoder *decoder = &s->out->decoder[form.bits == 32];
	ZydisDecodedInstruction insn;

	if (form.prefixes & DIFF_PFX_66)
		b[n++] = 0x66;
	if (form.prefixes & DIFF_PFX_F3)
		b[n++] = 0xf3;
	if (form.prefixes & DIFF_PFX_F2)
		b[n++] = 0xf2;
	if (form.prefixes & DIFF_PFX_W)
		b[n++] = 0x48;
	if (form.map)
		b[n++] = 0x0f;
	if (form.map == 2)
		b[n++] = 0x38;
	if (form.map == 3)
		b[n++] = 0x3a;
	b[n++] = form.opcode;
	modrm_at = n;
	for (unsigned m = 0; m < 64 + 8; m++) {
		unsigned reg = m < 64 ? m >> 3 : m - 64;

		b[modrm_at] = (uint8_t)(m < 64 ? 0xc0 | m : reg << 3);
		if (!ZYAN_SUCCESS(
			ZydisDecoderDecodeInstruction(decoder, NULL, b, SCAN_BYTES, &insn)))
			continue;
		if (insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || !s->known[insn.mnemonic])
			continue;
		form.mnemonic = (uint16_t)insn.mnemonic;
		form.odd = scan_has_odd_prefix(&insn);
		if (!(insn.attributes & ZYDIS_ATTRIB_HAS_MODRM)) {
			form.modrm = DIFF_MODRM_NONE;
			form.allowed = 1;
			return scan_add(s, &form);
		}
		form.modrm = m < 64 ? DIFF_MODRM_REG : DIFF_MODRM_MEM;
		form.allowed = 1ull << (m < 64 ? m : reg);
		int rc = scan_add(s, &form);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int form_compare(const void *a, const void *b)
{
	const struct diff_form *x = a, *y = b;

	return (x->mnemonic > y->mnemonic) - (x->mnemonic < y->mnemonic);
}

int diff_forms_init(struct diff_forms *f, bool with_32bit)
{
	static const uint8_t sets[] = {0,
				       DIFF_PFX_66,
				       DIFF_PFX_F3,
				       DIFF_PFX_F2,
				       DIFF_PFX_66 | DIFF_PFX_F3,
				       DIFF_PFX_66 | DIFF_PFX_F2};
	uint8_t known[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {0};
	struct scan s = {.out = f, .known = known};
	const struct xop_table *t;
	unsigned bits = with_32bit ? 32 : 64;
	unsigned widths = bits == 64 ? 2 : 1;

	memset(f, 0, sizeof(*f));
	ZydisDecoderInit(&f->decoder[0], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisDecoderInit(&f->decoder[1], ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
	for (unsigned n = 0; (t = xdecoder_ops(n)) != NULL; n++) {
		for (size_t i = 0; i < t->n; i++)
			known[t->ops[i].mnemonic] = 1;
	}
	for (unsigned map = 0; map < 4; map++) {
		for (unsigned opcode = 0; opcode < 256; opcode++) {
			if (scan_is_prefix(map, opcode, bits))
				continue;
			for (unsigned p = 0; p < RV_ARRAY_LEN(sets) * widths; p++) {
				uint8_t w = p >= RV_ARRAY_LEN(sets) ? DIFF_PFX_W : 0;
				struct diff_form form = {
				    .bits = (uint8_t)bits,
				    .map = (uint8_t)map,
				    .opcode = (uint8_t)opcode,
				    .prefixes = sets[p % RV_ARRAY_LEN(sets)] | w,
				};
				int rc = scan_opcode(&s, form);
				if (rc != 0) {
					diff_forms_fini(f);
					return rc;
				}
			}
		}
	}
	qsort(f->form, f->n, sizeof(*f->form), form_compare);
	return 0;
}

void diff_forms_fini(struct diff_forms *f)
{
	free(f->form);
	f->form = NULL;
	f->n = 0;
}
