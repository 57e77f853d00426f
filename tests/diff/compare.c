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
	uint64_t n =
	    op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? op->imm.value.u : c->in.gpr[CPU_RCX];

	return (unsigned)n & (c->insn.operand_width == 64 ? 63u : 31u);
}

#define FSW_IE	      0x0001u
#define FSW_DE	      0x0002u
#define FSW_C1	      0x0200u
#define FSW_CC	      0x4700u /* C3, C2, C1, C0 */
#define FSW_ES	      0x0080u
#define MXCSR_PE      0x20u
#define HOST_USER_END 0x7ffffffff000ull

enum x87_family { X87_OTHER, X87_COMPARE, X87_COMPARE_FLAGS, X87_CMOV, X87_REMAINDER, X87_STORE };

static enum x87_family x87_family(ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_FCOM:
	case ZYDIS_MNEMONIC_FCOMP:
	case ZYDIS_MNEMONIC_FCOMPP:
	case ZYDIS_MNEMONIC_FUCOM:
	case ZYDIS_MNEMONIC_FUCOMP:
	case ZYDIS_MNEMONIC_FUCOMPP:
	case ZYDIS_MNEMONIC_FICOM:
	case ZYDIS_MNEMONIC_FICOMP:
	case ZYDIS_MNEMONIC_FTST:
		return X87_COMPARE;
	case ZYDIS_MNEMONIC_FCOMI:
	case ZYDIS_MNEMONIC_FCOMIP:
	case ZYDIS_MNEMONIC_FUCOMI:
	case ZYDIS_MNEMONIC_FUCOMIP:
		return X87_COMPARE_FLAGS;
	case ZYDIS_MNEMONIC_FCMOVB:
	case ZYDIS_MNEMONIC_FCMOVBE:
	case ZYDIS_MNEMONIC_FCMOVE:
	case ZYDIS_MNEMONIC_FCMOVNB:
	case ZYDIS_MNEMONIC_FCMOVNBE:
	case ZYDIS_MNEMONIC_FCMOVNE:
	case ZYDIS_MNEMONIC_FCMOVNU:
	case ZYDIS_MNEMONIC_FCMOVU:
		return X87_CMOV;
	case ZYDIS_MNEMONIC_FPREM:
	case ZYDIS_MNEMONIC_FPREM1:
		return X87_REMAINDER;
	case ZYDIS_MNEMONIC_FST:
	case ZYDIS_MNEMONIC_FSTP:
	case ZYDIS_MNEMONIC_FIST:
	case ZYDIS_MNEMONIC_FISTP:
	case ZYDIS_MNEMONIC_FISTTP:
	case ZYDIS_MNEMONIC_FBSTP:
		return X87_STORE;
	default:
		return X87_OTHER;
	}
}

/* An x87 instruction that raised an unmasked exception of its own (the next one will fault). */
static bool x87_raised(const struct diff_case *c, const struct diff_state *s)
{
	return s->fsw & FSW_ES && !(c->in.fsw & FSW_ES);
}

/* Status word bits on which processors differ, or that the manuals leave open. */
static unsigned undefined_fsw(const struct diff_case *c, const struct diff_state *h)
{
	unsigned u = 0;

	if (c->insn.fpu_flags) {
		unsigned z = c->insn.fpu_flags->undefined;

		u = (z & 7) << 8 | (z & 8) << 11;
	}
	switch (x87_family(c->insn.mnemonic)) {
	case X87_COMPARE: /* codes after an unmasked #IA or #D: AMD sets them, the SDM does not */
		if (x87_raised(c, h))
			u |= FSW_CC;
		break;
	case X87_COMPARE_FLAGS: /* C1 is "set to 0" in the SDM, and kept by AMD */
	case X87_CMOV:
		u |= FSW_C1;
		break;
	case X87_REMAINDER: /* no remainder (or a NaN), no quotient */
		if (h->fsw & (FSW_IE | FSW_ES) || (h->st[0].sexp & 0x7fffu) == 0x7fff)
			u |= FSW_CC;
		break;
	default:
		break;
	}
	/* FLD of an empty register into a full stack: both faults, and C1 says which is meant. */
	if (c->insn.mnemonic == ZYDIS_MNEMONIC_FLD &&
	    c->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER && h->fsw & FSW_IE)
		u |= FSW_C1;
	return u;
}

static uint64_t undefined_flags(const struct diff_case *c, const struct diff_state *h)
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
	case ZYDIS_MNEMONIC_FCOMI:
	case ZYDIS_MNEMONIC_FCOMIP:
	case ZYDIS_MNEMONIC_FUCOMI:
	case ZYDIS_MNEMONIC_FUCOMIP: /* as for the condition codes in undefined_fsw() */
		return x87_raised(c, h) ? RFLAGS_ARITH : undefined;
	default:
		return undefined;
	}
}

/* BSF and BSR of zero: the destination keeps its value (AMD APM vol. 3; Intel in practice), but the
 * upper half of a 32-bit destination is cleared by some processors and kept by others. The same
 * holds for CMPXCHG that does not exchange. */
static uint64_t undefined_gpr_bits(const struct diff_case *c, const struct diff_state *host,
				   unsigned i)
{
	ZydisRegister full;
	ZydisMnemonic m = c->insn.mnemonic;
	bool kept;

	if (c->bits == 32)
		return i < 8 ? ~0xffffffffull : ~0ull;
	kept = ((m == ZYDIS_MNEMONIC_BSF || m == ZYDIS_MNEMONIC_BSR) && host->rflags & RFLAGS_ZF) ||
	       (m == ZYDIS_MNEMONIC_CMPXCHG && !(host->rflags & RFLAGS_ZF));
	if (!kept || c->ops[0].type != ZYDIS_OPERAND_TYPE_REGISTER || c->ops[0].size != 32)
		return 0;
	full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, c->ops[0].reg.value);
	return (unsigned)ZydisRegisterGetId(full) == i ? ~0xffffffffull : 0;
}

static void compare_gpr(const struct diff_case *c, const struct diff_state *h,
			const struct diff_state *g, struct text *t)
{
	static const char *const name[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					   "r8",  "r9",	 "r10", "r11", "r12", "r13", "r14", "r15"};
	uint64_t undefined = undefined_flags(c, h);
	uint64_t flags =
	    (RFLAGS_ARITH & ~undefined) | RFLAGS_DF | RFLAGS_NT | RFLAGS_ID | RFLAGS_AC | RFLAGS_IF;

	for (unsigned i = 0; i < 16; i++) {
		if ((h->gpr[i] ^ g->gpr[i]) & ~undefined_gpr_bits(c, h, i))
			text_add(t, "  %s: host %016lx guest %016lx\n", name[i], h->gpr[i],
				 g->gpr[i]);
	}
	if ((h->rip ^ g->rip) & (c->bits == 64 ? ~0ull : 0xffffffffull))
		text_add(t, "  rip: host %016lx guest %016lx\n", h->rip, g->rip);
	/* TF is what stops the host; only POPF has a value of its own for it. */
	if (c->insn.mnemonic == ZYDIS_MNEMONIC_POPF || c->insn.mnemonic == ZYDIS_MNEMONIC_POPFD ||
	    c->insn.mnemonic == ZYDIS_MNEMONIC_POPFQ)
		flags |= h->vector == DIFF_VECTOR_NONE ? RFLAGS_TF : 0;
	if ((h->rflags ^ g->rflags) & flags)
		text_add(t, "  rflags: host %06lx guest %06lx compared %06lx\n", h->rflags,
			 g->rflags, flags);
}

/* With #O or #U unmasked, P says whether the result scaled back into range would be inexact; the
 * engine has only the masked result, where overflow is always inexact. DPPS and DPPD stop in the
 * middle. */
static unsigned undefined_mxcsr(const struct diff_case *c, const struct diff_state *h)
{
	if (h->vector != VEC_XM)
		return 0;
	if (c->insn.mnemonic == ZYDIS_MNEMONIC_DPPS || c->insn.mnemonic == ZYDIS_MNEMONIC_DPPD)
		return 0x3f;
	return h->mxcsr & 0x18 & ~(h->mxcsr >> 7) ? MXCSR_PE : 0;
}

/* The switch to MMX registers: not described for a conversion that ends in #XM, nor done by AMD for
 * CVTPI2PS from memory. */
static bool undefined_x87(const struct diff_case *c, const struct diff_state *h)
{
	switch (c->insn.mnemonic) {
	case ZYDIS_MNEMONIC_CVTPI2PS:
		return h->vector == VEC_XM || c->ops[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
	case ZYDIS_MNEMONIC_CVTPD2PI:
	case ZYDIS_MNEMONIC_CVTPS2PI:
	case ZYDIS_MNEMONIC_CVTTPD2PI:
	case ZYDIS_MNEMONIC_CVTTPS2PI:
		return h->vector == VEC_XM;
	default:
		return false;
	}
}

static void compare_fpu(const struct diff_case *c, const struct diff_state *h,
			const struct diff_state *g, struct text *t)
{
	unsigned fsw = 0xffff & ~undefined_fsw(c, h), mxcsr = ~undefined_mxcsr(c, h);
	bool x87 = !undefined_x87(c, h);

	if (h->fcw != g->fcw)
		text_add(t, "  fcw: host %04x guest %04x\n", h->fcw, g->fcw);
	if (x87 && ((unsigned)h->fsw ^ g->fsw) & fsw)
		text_add(t, "  fsw: host %04x guest %04x compared %04x\n", h->fsw, g->fsw, fsw);
	if (x87 && h->ftw != g->ftw)
		text_add(t, "  ftw: host %02x guest %02x\n", h->ftw, g->ftw);
	for (unsigned i = 0; i < 8; i++) {
		if (x87 && (h->st[i].mant != g->st[i].mant || h->st[i].sexp != g->st[i].sexp))
			text_add(t, "  st%u: host %04x:%016lx guest %04x:%016lx\n", i,
				 h->st[i].sexp, h->st[i].mant, g->st[i].sexp, g->st[i].mant);
	}
	if ((h->mxcsr ^ g->mxcsr) & mxcsr)
		text_add(t, "  mxcsr: host %08x guest %08x\n", h->mxcsr, g->mxcsr);
	for (unsigned i = 0; i < (c->bits == 64 ? 16u : 8u); i++) {
		if (h->xmm[i].lo != g->xmm[i].lo || h->xmm[i].hi != g->xmm[i].hi)
			text_add(t, "  xmm%u: host %016lx_%016lx guest %016lx_%016lx\n", i,
				 h->xmm[i].hi, h->xmm[i].lo, g->xmm[i].hi, g->xmm[i].lo);
	}
}

static bool vector_has_error_code(unsigned v)
{
	return v == VEC_DF || (v >= VEC_TS && v <= VEC_PF) || v == VEC_AC;
}

/* An operand of several accesses (environments, FXSAVE): which one faults first is the processor's.
 */
static bool same_operand(const struct diff_case *c, uint64_t a, uint64_t b)
{
	for (unsigned i = 0; i < c->nmem; i++) {
		if (c->mem_size[i] > 10 && a - c->mem_addr[i] < c->mem_size[i] &&
		    b - c->mem_addr[i] < c->mem_size[i])
			return true;
	}
	return false;
}

static void compare_fault(const struct diff_case *c, const struct diff_state *h,
			  const struct diff_state *g, struct text *t)
{
	uint64_t err = 0xffffffff;

	if (h->vector != g->vector) {
		text_add(t, "  vector: host %x (err %lx cr2 %lx) guest %x (err %lx cr2 %lx)\n",
			 h->vector, h->err, h->cr2, g->vector, g->err, g->cr2);
		return;
	}
	if (!vector_has_error_code(h->vector))
		return;
	if (h->vector == VEC_PF) {
		err = 0x17;
		if (h->cr2 >=
		    HOST_USER_END) /* the kernel hides whether its own pages are present */
			err &= ~1ull;
		if (h->cr2 >> RV_PAGE_SHIFT != g->cr2 >> RV_PAGE_SHIFT &&
		    same_operand(c, h->cr2, g->cr2))
			err &= ~1ull; /* one page may be read-only, the other not there */
		if (h->cr2 != g->cr2 && !same_operand(c, h->cr2, g->cr2))
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
		same(a, at, 6,
		     18); /* FOP, FIP, FDP: AMD saves them only with an exception pending */
		same(a, at, 28, 4); /* MXCSR_MASK: AMD has a bit 17 */
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
			a->host[at] &= (uint8_t) ~(RFLAGS_TF >> 8);
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
			text_add(t, "%s%05x:%02x/%02x", shown ? " " : "  memory (host/guest): ", i,
				 host[i], guest[i]);
			shown++;
		}
	}
	text_add(t, "\n");
}

bool diff_compare(const struct diff_case *c, const struct diff_state *host,
		  const struct diff_state *guest, uint8_t *host_data, uint8_t *guest_data,
		  char *text, size_t size)
{
	struct text t = {text, size};
	struct areas a = {host_data, guest_data};

	text[0] = 0;
	/* A store that raises an unmasked x87 exception writes nothing: whether the address is
	 * looked at nevertheless is open. */
	if (x87_family(c->insn.mnemonic) == X87_STORE && x87_raised(c, guest) &&
	    guest->vector == DIFF_VECTOR_NONE &&
	    (host->vector == VEC_PF || host->vector == VEC_GP || host->vector == VEC_SS))
		return true;
	/* Nor is CVTPI2PS from memory an MMX instruction to AMD: it does not wait for x87. */
	if (c->insn.mnemonic == ZYDIS_MNEMONIC_CVTPI2PS && c->in.fsw & FSW_ES &&
	    c->ops[1].type == ZYDIS_OPERAND_TYPE_MEMORY)
		return true;
	compare_fault(c, host, guest, &t);
	compare_gpr(c, host, guest, &t);
	compare_fpu(c, host, guest, &t);
	undefined_memory(c, host, &a);
	compare_memory(host_data, guest_data, &t);
	return text[0] == 0;
}
