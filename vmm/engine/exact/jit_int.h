/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the translator: what jit_class.c (what is this instruction?),
 * jit_trans.c (a block), jit_mem.c (one memory access), jit_op.c (one
 * instruction), jit_thunk.c (ways in and out) and jit.c (cache, links) share.
 *
 * Host registers while translated code runs:
 *   RSP       the vCPU thread's own stack
 *   R15       struct xcpu
 *   RAX       guest flags as LAHF and SETO leave them, when saved
 *   RCX, R14  scratch
 *   others    eleven guest registers (xjit_host[]); the other five stay in xcpu.r
 *   XMM0-15   the guest's, and MXCSR too, when jit.xmm_live
 */
#ifndef RV_EXACT_JIT_INT_H
#define RV_EXACT_JIT_INT_H

#include "base/execmem.h"
#include "decode.h"
#include "jit.h"
#include "jit_asm.h"

#define S_FLAGS H_RAX
#define S_1 H_RCX
#define S_2 H_R14
#define S_CPU H_R15

extern const int8_t xjit_host[16]; /* host register of a guest register, or -1 */

#define OFF(field) ((int64_t)offsetof(struct xcpu, field))
#define OFF_R(i) ((int64_t)(offsetof(struct xcpu, r) + 8u * (i)))
static inline struct xmem a_cpu(int64_t off)
{
	return a_at(S_CPU, off);
}

/* Linear RIP -> code. In the same allocation as the vCPU, so that one register reaches it. */
static inline unsigned xjit_target_slot(uint64_t lin)
{
	return (unsigned)(lin >> RV_PAGE_SHIFT ^ lin) & (XJIT_TARGETS - 1);
}
/* In an empty slot: an address that is looked for in another one. */
static inline uint64_t xjit_target_none(unsigned slot)
{
	return slot == 0; /* 0 belongs to slot 0, 1 to slot 1 */
}

/* A direct jump within a page: to its own exit until the target has code. */
struct xjit_link {
	uint8_t *site;       /* its displacement, in the writable mapping */
	const uint8_t *exit; /* in the writable mapping too */
	struct xblock *from;
	struct xjit_block *to;
	struct xjit_link *next; /* on to->in */
	uint16_t off;           /* of the target in its page */
	bool flags_saved;       /* which entry it takes */
	bool user;
};

/* A decoded block that went into a translated one. */
struct xjit_part {
	struct xjit_part *next; /* of the same xblock */
	struct xjit_block *t;
	struct xblock *x;
};

/* Host code for decoded blocks that follow each other in one page: entered at the first, may be left
 * anywhere. */
struct xjit_block {
	struct xblock *x;
	struct xjit_part *part; /* nparts of them, in order; x is the first */
	unsigned nparts, ninsns;
	const uint8_t *entry;       /* flags saved in RAX */
	const uint8_t *entry_flags; /* flags in EFLAGS */
	const uint8_t *dead;        /* where the entry leads once the block is dropped */
	struct xjit_link *in;
	uint32_t hot_size, cold_size;
	uint32_t runs; /* --jit=check */
	const uint8_t *hot, *cold;
	bool user;
};

/* ---- what an instruction is (jit_class.c) ---- */
enum xjit_kind {
	J_BODY,     /* the interpreter's body */
	J_REP,      /* the same, of a repeated string instruction: any number of steps */
	J_STI,
	J_NOP,
	J_INT,      /* re-encoded with other registers: integer ... */
	J_SSE,      /* ... and SSE */
	J_LEA, J_MOV_RI, J_PUSH_R, J_PUSH_I, J_POP_R, J_LEAVE,
	J_SHIFT_CL, J_CMPXCHG, J_MUL, J_DIV, J_EXTEND, /* implicit operands */
	J_BIT_MR,   /* BT and relatives, memory with a register offset */
	J_JCC_ON, /* goes on in the same block where it is not taken (or, inverted, where it is) */
	J_JMP, J_JCC, J_CALL, J_JMP_R, J_JMP_M, J_CALL_R, J_CALL_M, J_RET
};
enum { FL_NONE, FL_PART, FL_ALL }; /* flags written: none, some (the others stay), all six */

struct xjit_insn {
	uint8_t kind;
	bool mem, store, load; /* ModRM memory operand and what is done to it */
	uint8_t msize;         /* its bytes */
	bool align;            /* must be 16-byte aligned */
	bool xmm_reg, xmm_rm;  /* these ModRM fields are XMM registers */
	bool digit;            /* ModRM.reg extends the opcode */
	bool has_rm;           /* there is a ModRM.rm operand */
	bool reg_rd, reg_wr, rm_rd, rm_wr;
	uint8_t reg, rm;       /* register numbers, 0-15 */
	uint8_t size;          /* of general operands */
	uint8_t immlen;
	bool fl_read;
	uint8_t fl_write;
	uint32_t fl_keep;      /* XF_* bits that are the guest's after the host did it; FL_ALL: the others
				* are 0, FL_PART: the others are as before */
	uint32_t enc;
	uint64_t imm;
	uint16_t off;          /* in its page */
	bool fl_live;          /* someone may look at the flags after it */
	bool inverted;         /* J_JCC_ON: leaves if not taken */
};

/* What the host's CPU does as result profile rv says, where the SDM leaves it open (jit_host.c). */
struct xjit_host_rules {
	bool logic, shifts, rotates, bits, scans;
};
void xjit_host_probe(struct xjit_host_rules *h);
void xjit_classify(const struct xjit_host_rules *h, const struct xinsn *z, const struct dinsn *d,
		   struct xjit_insn *f);
/* May leave translated code with exact state other than by completing. */
bool xjit_exposes(const struct xjit_insn *f);

/* ---- translating a block ---- */
enum xjit_flags { F_NONE, F_HOST, F_SAVED, F_BOTH }; /* where the guest's flags are */

#define XJIT_PARTS 12u
#define XJIT_SITES (XJIT_INSNS * 4)
struct xjit_site {
	uint8_t *jump;   /* displacement in hot code */
	uint8_t *resume; /* NULL: leaves the block */
	uint8_t insn;
	uint8_t what;    /* XS_* */
	uint8_t flags;   /* enum xjit_flags on resume */
};
enum { XS_BODY, XS_XMM };

struct xtr {
	struct xjit *j;
	struct xblock *b;     /* the first */
	struct xblock *part[XJIT_PARTS];
	unsigned nparts, n;   /* n: instructions */
	unsigned stop_off;    /* if cut: offset of the next instruction */
	bool cut;             /* the next one may have a breakpoint: back to the loop */
	struct xasm hot, cold;
	unsigned i;           /* instruction being translated */
	const struct dinsn *d;
	const struct xjit_insn *f;
	enum xjit_flags fs;
	uint32_t keep;        /* of flags that are in EFLAGS: XF_* bits that are the guest's, others are 0 */
	bool paid;            /* the budget has been charged for the block */
	bool xmm_known;
	bool user;
	unsigned nsites;
	struct xjit_site site[XJIT_SITES];
	const struct dinsn *dinsn[XJIT_INSNS];
	struct xjit_insn insn[XJIT_INSNS];
};

/* EFLAGS -> RAX, with only the bits of keep. */
void xtr_flags_capture(struct xasm *a, uint32_t keep);
/* Guest flags are not only in EFLAGS: what follows may use it. */
void xtr_flags_save(struct xtr *t);
/* Guest flags are in EFLAGS (and stay in RAX if they were there). */
void xtr_flags_load(struct xtr *t);
/* The instruction just emitted wrote the guest's flags. */
void xtr_flags_written(struct xtr *t, const struct xjit_insn *f);
/* From here (a jump in hot code) the body does the instruction; resumes after it, or leaves the block. */
void xtr_site(struct xtr *t, uint8_t *jump, unsigned what);
/* Cold code: the body does instruction i, and the block is left. */
void xtr_cold_body_end(struct xtr *t, struct xasm *a);
/* icount and position of the current instruction, as the thunks take them in ECX; R14: its dinsn. */
void xtr_place(struct xtr *t, struct xasm *a, unsigned i);

/* jit_mem.c: RCX = host address of the access; else the body does the whole instruction. */
void xtr_access(struct xtr *t, bool store, unsigned size, bool align);
/* The same for a linear address that is in RCX already. */
void xtr_access_rcx(struct xtr *t, bool store, unsigned size, bool align);
void xtr_address(struct xtr *t, unsigned dst, bool lea);
void xtr_get(struct xtr *t, unsigned scratch, unsigned guest); /* whole register */
void xtr_put(struct xtr *t, unsigned scratch, unsigned guest);
/* The host register that holds it, after loading it into scratch if need be. */
unsigned xtr_use(struct xtr *t, unsigned scratch, unsigned guest);

void xtr_op(struct xtr *t); /* jit_op.c: the instruction t->i, but for branches */
void xtr_branch(struct xtr *t);

/* ---- ways in and out (jit_thunk.c) ---- */
struct xjit_thunks {
	void (*enter)(struct xcpu *c, const uint8_t *code);
	/* Addresses in the writable mapping, for a_patch(). */
	const uint8_t *exit;     /* RCX: offset from the page; R14: link or NULL */
	const uint8_t *tail;     /* ... R14: the instruction to interpret */
	const uint8_t *body;     /* called with R14 = dinsn, ECX = place: mid-block, XMM as before */
	const uint8_t *body_xmm_lost;
	const uint8_t *body_rep;
	const uint8_t *body_end; /* never returns */
	const uint8_t *xmm_load; /* returns 5 bytes later if it must not be */
};
void xjit_thunks_emit(struct xjit *j, struct xasm *a, struct xjit_thunks *th);

/* ---- jit.c ---- */
struct xjit {
	struct execmem mem;
	uint8_t *hot, *cold; /* free: between them */
	uint8_t *first;      /* hot starts here, after the thunks */
	struct xjit_thunks th;
	struct xdecoder *decoder;
	struct xjit_host_rules rules;
	struct xjit_block *block;
	unsigned nblocks, blocks_max;
	struct xjit_link *link;
	unsigned nlinks, links_max;
	struct xjit_part *part;
	unsigned nparts, parts_max;
	uint64_t translated, bytes, flushes, steps;
	struct xtr tr;
};
struct xjit_link *xjit_link_new(struct xjit *j);

/* jit_trans.c: emits at j->hot and j->cold; false: there is nothing to translate. */
bool xjit_translate(struct xjit *j, const struct xcpu *c, struct xblock *b, struct xjit_block *out);

#endif
