/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Differential test of user-mode instructions: one instruction, the same
 * inputs, on the host's own CPU (host.c) and on the exact engine (guest.c).
 * Reading order: this file, forms.c (which encodings exist), gen.c (one
 * random instance), values.c, host.c, guest.c, compare.c, report.c,
 * diff_host.c.
 */
#ifndef RV_TESTS_DIFF_H
#define RV_TESTS_DIFF_H

#include <Zydis/Zydis.h>

#include "base/types.h"
#include "cpu/state.h"

/* The linear address space both sides see. Everything else is unmapped (in the guest) or never
 * addressed on purpose (on the host). */
#define DIFF_CODE 0x0ff00000ull /* one page: the instruction */
#define DIFF_DATA 0x10000000ull /* DIFF_RW_PAGES writable pages, then one read-only, then nothing  \
				 */
#define DIFF_RW_PAGES	 2u
#define DIFF_DATA_PAGES	 3u
#define DIFF_DATA_SIZE	 (DIFF_DATA_PAGES * RV_PAGE_SIZE)
#define DIFF_INSN_OFFSET 0x800u

/* Selectors of a Linux x86-64 user process; the guest's GDT is the same. */
#define DIFF_CS64 0x33u
#define DIFF_CS32 0x23u
#define DIFF_DS	  0x2bu

#define DIFF_VECTOR_NONE 0x100u /* the instruction completed */
#define DIFF_VECTOR_LOST                                                                           \
	0x101u /* the engine did something that is neither completion nor delivery */

/* What one side starts from, and what it ended with. x87 registers are in stack order (ST0 first).
 */
struct diff_state {
	uint64_t gpr[16]; /* enum cpu_gpr */
	uint64_t rip;
	uint64_t rflags;
	uint16_t fcw, fsw;
	uint8_t ftw; /* abridged as in FXSAVE: bit n set: physical register n is not empty */
	uint32_t mxcsr;
	struct cpu_f80 st[8];
	struct cpu_xmm xmm[16];
	unsigned vector; /* of the fault or trap, or DIFF_VECTOR_*; output only */
	uint64_t err;
	uint64_t cr2; /* with VEC_PF */
};

struct diff_rng {
	uint64_t s[2];
};

/* ---- values.c ---- */
void diff_rng_seed(struct diff_rng *r, uint64_t seed, uint64_t stream);
uint64_t diff_rng_u64(struct diff_rng *r);
static inline unsigned diff_rng_below(struct diff_rng *r, unsigned n)
{
	return (unsigned)((diff_rng_u64(r) >> 32) * n >> 32);
}
static inline bool diff_rng_chance(struct diff_rng *r, unsigned percent)
{
	return diff_rng_below(r, 100) < percent;
}
uint64_t diff_value_int(struct diff_rng *r);
uint32_t diff_value_f32(struct diff_rng *r);
uint64_t diff_value_f64(struct diff_rng *r);
struct cpu_f80 diff_value_f80(struct diff_rng *r);
/* Fills len bytes with elements of the type: ints, floats of that size, packed BCD. */
void diff_value_fill(struct diff_rng *r, ZydisElementType type, unsigned element_bytes,
		     uint8_t *out, size_t len);

/* ---- forms.c ---- */
enum diff_modrm { DIFF_MODRM_NONE, DIFF_MODRM_MEM, DIFF_MODRM_REG };

/* One encoding: opcode with its prefixes. allowed: ModRM values of this form, bit reg * 8 + rm for
 * DIFF_MODRM_REG, bit reg for DIFF_MODRM_MEM. */
struct diff_form {
	uint16_t mnemonic;
	uint8_t bits; /* 64 or 32 */
	uint8_t map;  /* 0: one byte; 1: 0F; 2: 0F 38; 3: 0F 3A */
	uint8_t opcode;
	uint8_t prefixes; /* DIFF_PFX_* */
	uint8_t modrm;	  /* enum diff_modrm */
	bool odd;	  /* has a prefix that does nothing here: picked less often */
	uint64_t allowed;
};
#define DIFF_PFX_66 1u
#define DIFF_PFX_F3 2u
#define DIFF_PFX_F2 4u
#define DIFF_PFX_W  8u

struct diff_forms {
	struct diff_form *form; /* sorted by mnemonic */
	size_t n;
	ZydisDecoder decoder[2]; /* 64-bit, 32-bit */
};
/* All forms of the mnemonics the engine's decoder knows. 0 or a negative code. */
int diff_forms_init(struct diff_forms *f, bool with_32bit);
void diff_forms_fini(struct diff_forms *f);
bool diff_forms_mnemonic_known(unsigned mnemonic);

/* ---- exclude.c ---- */
/* Why a mnemonic is not compared, or NULL. */
const char *diff_exclude_mnemonic(unsigned mnemonic);
/* Why one decoded instance is not compared, or NULL. */
const char *diff_exclude_insn(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops);

/* ---- gen.c ---- */
struct diff_case {
	uint8_t bytes[16];
	unsigned len;
	unsigned bits;
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	struct diff_state in;
	uint64_t mem_addr[2]; /* memory operands: where they were aimed, and how large */
	unsigned mem_size[2];
	unsigned nmem;
};
/* fs_base: the segment bases both sides have. data: contents of the data area, changed at the
 * memory operands. False: this form has no instance worth running. */
bool diff_case_generate(struct diff_case *c, const struct diff_forms *forms,
			const struct diff_form *form, struct diff_rng *r, uint64_t fs_base,
			uint64_t gs_base, uint8_t *data);

/* ---- host.c ---- */
struct diff_host;
int diff_host_init(struct diff_host **out);
void diff_host_fini(struct diff_host *h);
uint8_t *diff_host_data(struct diff_host *h); /* alias of the data area, all of it writable */
uint64_t diff_host_fs_base(const struct diff_host *h);
uint64_t diff_host_gs_base(const struct diff_host *h);
bool diff_host_has_32bit(const struct diff_host *h);
void diff_host_run(struct diff_host *h, const struct diff_case *c, struct diff_state *out);

/* ---- guest.c ---- */
struct diff_guest;
int diff_guest_init(struct diff_guest **out, uint64_t fs_base, uint64_t gs_base);
void diff_guest_fini(struct diff_guest *g);
uint8_t *diff_guest_data(struct diff_guest *g);
void diff_guest_run(struct diff_guest *g, const struct diff_case *c, struct diff_state *out);

/* ---- compare.c ---- */
/* Empty text: equal, but for what the manuals leave undefined. Writes the first differences to
 * text. The data areas may be changed: undefined bytes are made equal. */
bool diff_compare(const struct diff_case *c, const struct diff_state *host,
		  const struct diff_state *guest, uint8_t *host_data, uint8_t *guest_data,
		  char *text, size_t size);

/* ---- report.c ---- */
void diff_report(const struct diff_case *c, const struct diff_state *host,
		 const struct diff_state *guest, const uint8_t *data_before,
		 const uint8_t *host_data, const uint8_t *guest_data, const char *differences);

#endif
