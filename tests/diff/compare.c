/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are the two outcomes the same, but for what the manuals leave undefined?
 * Zydis lists undefined flags for each instruction; shifts and rotates, where
 * that depends on the count, are worked out here (SDM vol. 2, SAL/SAR/SHL/SHR
 * and RCL/RCR/ROL/ROR).
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/diff/diff.h"

struct text {
	char *p;
	size_t left;
};

static void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->p, t->left, fmt, ap);
	va_end(ap);
	if (n > 0) {
		size_t k = (size_t)n < t->left ? (size_t)n : t->left - 1;
		t->p += k;
		t->left -= k;
	}
}

static unsigned shift_count(const struct diff_case *c, const ZydisDecodedOperand *op)
{
	uint64_t n = op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? op->imm.value.u : c->in.gpr[CPU_RCX];

	return (unsigned)n & (c->insn.operand_width == 64 ? 63u : 31u);
}

static uint64_t undefined_flags(const struct diff_case *c)
{
	const ZydisDecodedInstruction *insn = &c->insn;
	uint64_t undefined = insn->cpu_flags ? insn->cpu_flags->undefined : 0;
	unsigned n, size = c->ops[0].size;

	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SAR:
		n = shift_count(c, &c->ops[1]);
		if (n == 0)
			return 0;
		undefined = RFLAGS_AF;
		if (n > 1)
			undefined |= RFLAGS_OF;
		if (n >= size && insn->mnemonic != ZYDIS_MNEMONIC_SAR)
			undefined |= RFLAGS_CF;
		return undefined;
	case ZYDIS_MNEMONIC_ROL:
	case ZYDIS_MNEMONIC_ROR:
	case ZYDIS_MNEMONIC_RCL:
	case ZYDIS_MNEMONIC_RCR:
		n = shift_count(c, &c->ops[1]);
		return n > 1 ? RFLAGS_OF : 0;
	case ZYDIS_MNEMONIC_SHLD:
	case ZYDIS_MNEMONIC_SHRD:
		n = shift_count(c, &c->ops[2]);
		if (n == 0)
			return 0;
		return RFLAGS_AF | (n > 1 ? RFLAGS_OF : 0);
	default:
		return undefined;
	}
}

/* BSF and BSR of zero: the destination keeps its value (AMD APM vol. 3; Intel in practice), but the
 * upper half of a 32-bit destination is cleared by some processors and kept by others. */
static uint64_t undefined_gpr_bits(const struct diff_case *c, const struct diff_state *host, unsigned i)
{
	ZydisRegister full;

	if (c->bits == 32)
		return i < 8 ? ~0xffffffffull : ~0ull;
	if ((c->insn.mnemonic != ZYDIS_MNEMONIC_BSF && c->insn.mnemonic != ZYDIS_MNEMONIC_BSR) ||
	    !(host->rflags & RFLAGS_ZF) || c->insn.operand_width != 32)
		return 0;
	full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, c->ops[0].reg.value);
	return (unsigned)ZydisRegisterGetId(full) == i ? ~0xffffffffull : 0;
}

static void compare_gpr(const struct diff_case *c, const struct diff_state *h,
			const struct diff_state *g, struct text *t)
{
	static const char *const name[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
	uint64_t undefined = undefined_flags(c);
	uint64_t flags = (RFLAGS_ARITH & ~undefined) | RFLAGS_DF | RFLAGS_NT | RFLAGS_ID | RFLAGS_AC |
			 RFLAGS_IF;

	for (unsigned i = 0; i < 16; i++) {
		if ((h->gpr[i] ^ g->gpr[i]) & ~undefined_gpr_bits(c, h, i))
			text_add(t, "  %s: host %016lx guest %016lx\n", name[i], h->gpr[i], g->gpr[i]);
	}
	if ((h->rip ^ g->rip) & (c->bits == 64 ? ~0ull : 0xffffffffull))
		text_add(t, "  rip: host %016lx guest %016lx\n", h->rip, g->rip);
	/* TF is what stops the host; only POPF has a value of its own for it. */
	if (c->insn.mnemonic == ZYDIS_MNEMONIC_POPF || c->insn.mnemonic == ZYDIS_MNEMONIC_POPFD ||
	    c->insn.mnemonic == ZYDIS_MNEMONIC_POPFQ)
		flags |= h->vector == DIFF_VECTOR_NONE ? RFLAGS_TF : 0;
	if ((h->rflags ^ g->rflags) & flags)
		text_add(t, "  rflags: host %06lx guest %06lx compared %06lx\n", h->rflags, g->rflags,
			 flags);
}

static void compare_fpu(const struct diff_case *c, const struct diff_state *h,
			const struct diff_state *g, struct text *t)
{
	uint16_t fsw = 0xffff;

	if (c->insn.fpu_flags) {
		uint32_t u = c->insn.fpu_flags->undefined;

		fsw = (uint16_t)(fsw & ~((u & 7) << 8 | (u & 8) << 11));
	}
	if (h->fcw != g->fcw)
		text_add(t, "  fcw: host %04x guest %04x\n", h->fcw, g->fcw);
	if ((h->fsw ^ g->fsw) & fsw)
		text_add(t, "  fsw: host %04x guest %04x compared %04x\n", h->fsw, g->fsw, fsw);
	if (h->ftw != g->ftw)
		text_add(t, "  ftw: host %02x guest %02x\n", h->ftw, g->ftw);
	for (unsigned i = 0; i < 8; i++) {
		if (h->st[i].mant != g->st[i].mant || h->st[i].sexp != g->st[i].sexp)
			text_add(t, "  st%u: host %04x:%016lx guest %04x:%016lx\n", i, h->st[i].sexp,
				 h->st[i].mant, g->st[i].sexp, g->st[i].mant);
	}
	if (h->mxcsr != g->mxcsr)
		text_add(t, "  mxcsr: host %08x guest %08x\n", h->mxcsr, g->mxcsr);
	for (unsigned i = 0; i < (c->bits == 64 ? 16u : 8u); i++) {
		if (h->xmm[i].lo != g->xmm[i].lo || h->xmm[i].hi != g->xmm[i].hi)
			text_add(t, "  xmm%u: host %016lx_%016lx guest %016lx_%016lx\n", i, h->xmm[i].hi,
				 h->xmm[i].lo, g->xmm[i].hi, g->xmm[i].lo);
	}
}

static bool vector_has_error_code(unsigned v)
{
	return v == VEC_DF || (v >= VEC_TS && v <= VEC_PF) || v == VEC_AC;
}

static void compare_fault(const struct diff_state *h, const struct diff_state *g, struct text *t)
{
	uint64_t err = 0xffffffff;

	if (h->vector != g->vector) {
		text_add(t, "  vector: host %x (err %lx cr2 %lx) guest %x (err %lx cr2 %lx)\n", h->vector,
			 h->err, h->cr2, g->vector, g->err, g->cr2);
		return;
	}
	if (!vector_has_error_code(h->vector))
		return;
	if (h->vector == VEC_PF) {
		err = 0x17;
		if (h->cr2 >> 47) /* the kernel hides whether its own pages are present */
			err &= ~1ull;
		if (h->cr2 != g->cr2)
			text_add(t, "  cr2: host %016lx guest %016lx\n", h->cr2, g->cr2);
	}
	if ((h->err ^ g->err) & err)
		text_add(t, "  error code: host %lx guest %lx\n", h->err, g->err);
}

struct areas {
	uint8_t *host, *guest;
};

static void same(struct areas *a, uint64_t address, unsigned off, unsigned len)
{
	for (unsigned i = 0; i < len; i++) {
		uint64_t at = address + off + i - DIFF_DATA;

		if (at < DIFF_DATA_SIZE)
			a->guest[at] = a->host[at];
	}
}

/* Bytes that are reserved, or that AMD and Intel fill differently: makes them equal. */
static void undefined_memory(const struct diff_case *c, const struct diff_state *h, struct areas *a)
{
	uint64_t at = c->mem_addr[0];
	bool wide = c->insn.operand_width != 16;

	if (c->nmem == 0 || h->vector != DIFF_VECTOR_NONE)
		return;
	switch (c->insn.mnemonic) {
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
		same(a, at, 5, 1);
		same(a, at, 6, 18);  /* FOP, FIP, FDP: AMD saves them only with an exception pending */
		same(a, at, 28, 4);  /* MXCSR_MASK: AMD has a bit 17 */
		same(a, at, 416, 96);
		break;
	case ZYDIS_MNEMONIC_FNSTENV:
	case ZYDIS_MNEMONIC_FNSAVE:
		if (wide) {
			same(a, at, 2, 2);
			same(a, at, 6, 2);
			same(a, at, 10, 18);
		} else {
			same(a, at, 6, 8);
		}
		break;
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFD:
	case ZYDIS_MNEMONIC_PUSHFQ: /* the host's TF */
		at = h->gpr[CPU_RSP] + 1 - DIFF_DATA;
		if (at < DIFF_DATA_SIZE)
			a->host[at] &= (uint8_t)~(RFLAGS_TF >> 8);
		break;
	case ZYDIS_MNEMONIC_PUSH: /* upper half of a pushed selector: written by AMD alone */
		if (c->bits == 32 && c->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(c->ops[0].reg.value) == ZYDIS_REGCLASS_SEGMENT)
			same(a, h->gpr[CPU_RSP] & 0xffffffff, 2, 2);
		break;
	default:
		break;
	}
}

static void compare_memory(const uint8_t *host, const uint8_t *guest, struct text *t)
{
	unsigned shown = 0;

	if (memcmp(host, guest, DIFF_DATA_SIZE) == 0)
		return;
	for (unsigned i = 0; i < DIFF_DATA_SIZE && shown < 32; i++) {
		if (host[i] != guest[i]) {
			text_add(t, "%s%05x:%02x/%02x", shown ? " " : "  memory (host/guest): ", i, host[i],
				 guest[i]);
			shown++;
		}
	}
	text_add(t, "\n");
}

bool diff_compare(const struct diff_case *c, const struct diff_state *host,
		  const struct diff_state *guest, uint8_t *host_data, uint8_t *guest_data,
		  char *text, size_t size)
{
	struct text t = { text, size };
	struct areas a = { host_data, guest_data };

	text[0] = 0;
	compare_fault(host, guest, &t);
	compare_gpr(c, host, guest, &t);
	compare_fpu(c, host, guest, &t);
	undefined_memory(c, host, &a);
	compare_memory(host_data, guest_data, &t);
	return text[0] == 0;
}
