/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact engine, inside. Reading order: this file, run.c (the loop),
 * decode.c and block.c (guest bytes -> struct dinsn), mmu.c, fault.c
 * (delivery), then the operation families ops_*.c.
 *
 * One instruction is one call of its body, d->fn(c, d). A body either
 * completes and has all its effects, or calls xraise*() (which does not
 * return: it longjmps to the loop) before any effect that the guest could
 * see. While a body runs c->rip is the instruction's own address and
 * c->r[XR_NEXT] that of the next one; a branch stores its target there.
 */
#ifndef RV_EXACT_H
#define RV_EXACT_H

#include <setjmp.h>

#include "base/log.h"
#include "engine/engine.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Register file indices beyond the sixteen: */
enum { XR_ZERO = 16 /* always 0: absent base or index */, XR_NEXT = 17 /* next RIP; base of RIP-relative */, XR_N };

/*
 * Arithmetic flags as LAHF and SETO leave them in AX: the host's own ALU
 * computes them in the bodies (inline assembly), so they are exact; bits that
 * the SDM leaves undefined are given one value, see ops_int.c.
 */
#define XF_OF 0x0001u
#define XF_CF 0x0100u
#define XF_PF 0x0400u
#define XF_AF 0x1000u
#define XF_ZF 0x4000u
#define XF_SF 0x8000u
#define XF_ALL (XF_OF | XF_CF | XF_PF | XF_AF | XF_ZF | XF_SF)

struct xcpu;
struct dinsn;
typedef void (*xop_fn)(struct xcpu *c, const struct dinsn *d);

/* How an effective address is made (dinsn.ea); 0 is the common case: 64-bit mode, no segment base. */
#define XEA_ADDR32 0x01u /* truncate to 32 bits */
#define XEA_ADDR16 0x02u
#define XEA_SEG 0x04u    /* add FS/GS base (64-bit mode) */
#define XEA_LEGACY 0x08u /* not 64-bit mode: segment base, limit and type checks */

#define XD_MEM 0x01u  /* ModRM operand is memory */
#define XD_LOCK 0x02u
#define XD_REP 0x04u
#define XD_REPNE 0x08u
#define XD_END 0x10u  /* last of its block */
#define XD_REX 0x20u

/* A decoded instruction, 40 bytes. Register operands are indices into xcpu.r, except 8-bit ones, which
 * are byte offsets into it (AH is 0*8+1): see XREG8(). XMM/MMX/x87/segment operands: plain numbers. */
struct dinsn {
	xop_fn fn;
	uint64_t imm;    /* immediate, sign-extended to 64 bits; branch displacement; moffs address */
	int32_t disp;
	uint8_t len;     /* bytes, 1 to 15 */
	uint8_t size;    /* operand size in bytes: 1, 2, 4, 8; family's choice for SSE/x87 */
	uint8_t reg;     /* the ModRM.reg (or opcode, or implicit) register operand */
	uint8_t rm;      /* the ModRM.rm register operand when !(flags & XD_MEM) */
	uint8_t base, index, scale; /* scale is a shift count */
	uint8_t seg;     /* enum cpu_segment of the memory operand */
	uint8_t ea;
	uint8_t flags;
	uint8_t cc;      /* condition code 0-15 for Jcc, SETcc, CMOVcc */
	uint8_t asize;   /* address size in bytes: 2, 4, 8 */
	uint16_t aux;    /* family's choice */
	uint16_t fop;    /* x87: the 11-bit opcode for FOP */
};

#define XREG8(c, off) (((uint8_t *)(c)->r)[off])
#define XREG16(c, i) (*(uint16_t *)&(c)->r[i])
#define XREG32(c, i) ((uint32_t)(c)->r[i]) /* to write: c->r[i] = (uint32_t)v (zero-extends) */

/* Software TLB. tag is the page's linear address, or xtlb_invalid(); host: where it is here. An entry in
 * the write table means: RAM, writable at this privilege, dirty in this epoch, no page flags set, no
 * watchpoint. "As if there were no TLB": see mmu.c. */
#define XTLB_BITS 10u
#define XTLB_SIZE (1u << XTLB_BITS)
struct xtlb_entry {
	uint64_t tag;
	uint64_t host;
};
static inline unsigned xtlb_index(uint64_t lin)
{
	return (unsigned)(lin >> RV_PAGE_SHIFT) & (XTLB_SIZE - 1);
}
/* Tag of an empty slot: a page that this slot never holds, so that no linear address at all (page 0
 * and non-canonical ones included) passes the one-compare check. */
static inline uint64_t xtlb_invalid(unsigned slot)
{
	return (uint64_t)(~slot & 1) << RV_PAGE_SHIFT;
}

enum xaccess { XACC_READ = 0, XACC_WRITE = 1, XACC_FETCH = 2 };

/* xcpu.mode: what decoding and bodies may depend on; part of a block's key. */
#define XMODE_64 0x1u   /* 64-bit code: EFER.LMA and CS.L */
#define XMODE_32 0x2u   /* CS.D: 32-bit default sizes (neither: 16-bit) */
#define XMODE_REAL 0x4u /* CR0.PE = 0 */

/* Translated code: linear RIP -> host code. */
#define XJIT_TARGETS 16384u
#define XJIT_FILLED 1024u
struct xjit_target {
	uint64_t lin;
	const uint8_t *code;
};
struct xjit_link;

struct exact;   /* run.c: the engine, its block cache, breakpoints */
struct xbreaks; /* breaks.c */
struct xmmu;    /* mmu.c: tables and fill lists */

struct xcpu {
	/* Hot first. r and rip and fl are the truth while running; the same fields of s are stale
	 * until xcpu_export(). */
	uint64_t r[XR_N];
	uint64_t rip;
	uint32_t fl;             /* XF_* */
	bool user;               /* CPL == 3 */
	bool leave;              /* leave the block after this instruction */
	bool paused;             /* PAUSE, among several vCPUs: run() is to return */
	bool code64;             /* CS.L in long mode */
	icount_t icount;         /* completed steps so far, this instruction not included */
	icount_t until;          /* bulk REP must not pass it; 0 after a watchpoint: the loop ends */
	struct xtlb_entry *rd, *wr; /* tables of the current privilege; all-miss tables when alignment
				     * checks or data breakpoints are on */
	bool checks;                /* ... and that is the case */
	struct {                 /* a read-modify-write in flight off the fast path */
		bool pending;
		uint8_t size, seg;
		uint64_t lin;
		uint64_t buf[2];
	} rmw;
	struct exact *e;
	struct xmmu *mmu;
	unsigned index;
	uint32_t mode;           /* block key bits, see xcpu_mode_update() */
	jmp_buf fault;           /* where xraise*() lands */
	uint8_t fault_vector;
	bool fault_has_err;
	uint32_t fault_err;
	uint64_t fault_dr6;      /* #DB: bits to set */
	bool delivered;          /* this instruction was itself a delivery (INT n): no TF trap after it */
	uint64_t pending_db;     /* DR6 bits of a data or I/O breakpoint met by this instruction: a
				  * trap to deliver after it (run.c); c->leave is set with it */
	uint32_t tlb_gen;        /* bumped when a fetch translation may have died: whatever maps a
				  * linear RIP to a block must compare it */
	uint32_t tlb_gen_high;   /* the same, for addresses in the upper half alone */
	struct {                 /* translated code at work: see jit_int.h */
		int64_t budget;  /* steps it may still do; a block is paid for as a whole */
		icount_t limit;  /* icount when the budget was 0 */
		uint64_t page;   /* linear address of the page it runs in */
		uint64_t tmp[2];
		const struct vcpu_pins *pins;
		struct xjit_link *link;   /* the exit taken, if it can be made a jump */
		const struct dinsn *tail; /* flags are not valid until this one was interpreted */
		uint32_t mxcsr;  /* the interpreter's own, 0x1f80 */
		bool xmm_live;   /* XMM registers and MXCSR are the guest's */
		unsigned nfilled[2];      /* slots filled in a table below; above XJIT_FILLED: unknown ones */
		bool low;                 /* the supervisor's table holds addresses of the lower half */
		uint16_t filled[2][XJIT_FILLED];
		uint32_t gen, gen_high;   /* tlb_gen* they were filled under ... */
		uint64_t cache;           /* ... and which filling of the code cache */
		struct xjit_target *target[2]; /* [user] linear RIP -> code; see xcpu_create() */
	} jit;
	struct xbreaks *breaks;  /* the debugger's: one set for all vCPUs, see breaks.h */
	struct cpu_state s;      /* everything else; rflags holds the non-arithmetic bits */
};

/* ---- faults (fault.c) ---- */
_Noreturn void xraise(struct xcpu *c, uint8_t vector);                       /* without error code */
_Noreturn void xraise_err(struct xcpu *c, uint8_t vector, uint32_t err);
_Noreturn void xraise_pf(struct xcpu *c, uint64_t lin, uint32_t err);        /* sets CR2 */
#define xraise_ud(c) xraise((c), VEC_UD)
#define xraise_gp(c, err) xraise_err((c), VEC_GP, (err))
/* Delivers a fault, trap or external interrupt through the IDT: one step. soft: INT n, INT3, INTO (DPL
 * check, next RIP pushed). Handles nested faults (#DF, shutdown). See fault.c. */
void xdeliver(struct xcpu *c, uint8_t vector, bool has_err, uint32_t err, bool soft, bool external);
/* INT n / INT3 / INTO / ICEBP bodies use this: delivers and sets XR_NEXT so that the whole is one step. */
void xsoft_int(struct xcpu *c, uint8_t vector);

/* ---- memory (access.c, mmu.c) ---- */
/* Slow paths: fill the TLB, check permissions, MMIO, page crossing, code and page-table pages. May
 * raise. seg decides #SS or #GP for a non-canonical address. size 1..16. */
void xmem_read_slow(struct xcpu *c, unsigned seg, uint64_t lin, void *out, unsigned size);
void xmem_write_slow(struct xcpu *c, unsigned seg, uint64_t lin, const void *data, unsigned size);
/* Checks write permission of all bytes, reads them into c->rmw.buf, sets pending. */
void xmem_rmw_slow(struct xcpu *c, unsigned seg, uint64_t lin, unsigned size);
void xmem_rmw_commit(struct xcpu *c);
/* Permission probe without access (write = as for a store): raises or returns. ENTER, MASKMOVDQU... */
void xmem_probe(struct xcpu *c, unsigned seg, uint64_t lin, unsigned size, enum xaccess acc);
/* Supervisor accesses whatever CPL is: descriptor tables, TSS, interrupt stacks at CPL 0. */
uint64_t xmem_sys_read(struct xcpu *c, uint64_t lin, unsigned size);
void xmem_sys_write(struct xcpu *c, uint64_t lin, unsigned size, uint64_t value);
/* Accesses at an explicit privilege (far call/interrupt stack of the new CPL). */
uint64_t xmem_read_as(struct xcpu *c, bool user, unsigned seg, uint64_t lin, unsigned size);
void xmem_write_as(struct xcpu *c, bool user, unsigned seg, uint64_t lin, unsigned size, uint64_t value);
void xmmu_flush(struct xcpu *c);          /* all translations of this vCPU: CR0/CR3/CR4/EFER writes */
size_t xmmu_size(void);                   /* bytes of a struct xmmu, a multiple of 64 */
void xmmu_init(struct xmmu *u);           /* of zeros */
size_t xmmu_table_offset(bool user, enum xaccess acc); /* of the TLB table in struct xmmu */
/* RAM page index that a fetch at lin comes from; raises #PF or #GP(0); MEM_NO_PAGE: not RAM. Has its
 * own small TLB. The CS limit is the caller's business. */
uint64_t xmmu_fetch_page(struct xcpu *c, uint64_t lin);
/* As a debugger sees it: fills nothing, sets no A/D bit. 0 or RV_ENOENT. */
int xmmu_translate_debug(struct xcpu *c, uint64_t va, gpa_t *gpa);
/* This page just got a MEM_PAGE_* flag: drops the write entries for it in every vCPU. */
void xmmu_page_flagged(struct xcpu *c, uint64_t page);
/* Drops this vCPU's write entries (a new dirty epoch begins). */
void xmmu_write_flush(struct xcpu *c);
/* A MEM_PAGE_TABLE page is about to change (engine stores and, through run.c's mem_watch function,
 * DMA): invalidates in every vCPU what was derived from it. */
void xmmu_table_write(struct xcpu *c, uint64_t page, unsigned off, unsigned len);
/* MOV CR3 in effect: sets s.cr3 and drops what was derived from the old one. */
void xmmu_cr3_load(struct xcpu *c, uint64_t value);
/* PAE: the four PDPTEs that cr3 points to; RV_EINVAL if a reserved bit is set. */
int xmmu_pdptes_read(struct xcpu *c, uint64_t cr3, uint64_t pdpte[4]);
void xmmu_stats(const struct xcpu *c, uint64_t *misses, uint64_t *flushes);
/* DR6 bits of the enabled breakpoints that match; rw as in DR7.RW: 0 fetch, 1 write, 2 I/O, 3 read. */
uint64_t xdebug_match(const struct xcpu *c, uint64_t lin, unsigned size, unsigned rw);
/* run.c: the other vCPUs, for what must reach all of them. */
unsigned xcpu_count(struct xcpu *c);
struct xcpu *xcpu_at(struct xcpu *c, unsigned index);
/* A vCPU is one allocation, so that translated code reaches all of it from one register: struct xcpu,
 * struct xmmu, and the tables of jump targets. NULL: out of memory; freed with free(). */
struct xcpu *xcpu_create(void);
size_t xcpu_table_offset(bool user, enum xaccess acc); /* of a TLB table, from the struct xcpu */
size_t xcpu_target_offset(bool user);                  /* of a table of jump targets */
void xcpu_mode_update(struct xcpu *c);    /* after CS, SS, CPL, CR0, CR4, EFER, RFLAGS.AC, DR7 changed */

#define XMEM_ACCESSORS(bits)                                                                       \
	static inline uint##bits##_t xmem_read##bits(struct xcpu *c, unsigned seg, uint64_t lin)   \
	{                                                                                          \
		const struct xtlb_entry *t = &c->rd[xtlb_index(lin)];                              \
		uint##bits##_t v;                                                                  \
		if (likely((lin ^ t->tag) <= RV_PAGE_SIZE - bits / 8))                             \
			__builtin_memcpy(&v, (const void *)((lin ^ t->tag) + t->host), sizeof(v));          \
		else                                                                               \
			xmem_read_slow(c, seg, lin, &v, sizeof(v));                                \
		return v;                                                                          \
	}                                                                                          \
	static inline void xmem_write##bits(struct xcpu *c, unsigned seg, uint64_t lin,            \
					    uint##bits##_t v)                                      \
	{                                                                                          \
		const struct xtlb_entry *t = &c->wr[xtlb_index(lin)];                              \
		if (likely((lin ^ t->tag) <= RV_PAGE_SIZE - bits / 8))                             \
			__builtin_memcpy((void *)((lin ^ t->tag) + t->host), &v, sizeof(v));                \
		else                                                                               \
			xmem_write_slow(c, seg, lin, &v, sizeof(v));                               \
	}                                                                                          \
	/* Pointer to the operand of a read-modify-write: change it, then xmem_rmw_done(). */      \
	static inline void *xmem_rmw##bits(struct xcpu *c, unsigned seg, uint64_t lin)             \
	{                                                                                          \
		const struct xtlb_entry *t = &c->wr[xtlb_index(lin)];                              \
		if (likely((lin ^ t->tag) <= RV_PAGE_SIZE - bits / 8))                             \
			return (void *)((lin ^ t->tag) + t->host);                                          \
		xmem_rmw_slow(c, seg, lin, bits / 8);                                              \
		return c->rmw.buf;                                                                 \
	}
XMEM_ACCESSORS(8)
XMEM_ACCESSORS(16)
XMEM_ACCESSORS(32)
XMEM_ACCESSORS(64)
static inline void xmem_rmw_done(struct xcpu *c)
{
	if (unlikely(c->rmw.pending))
		xmem_rmw_commit(c);
}
/* 16-byte operands; no alignment check here (SSE bodies that need one do it: #GP(0)). */
static inline void xmem_read128(struct xcpu *c, unsigned seg, uint64_t lin, void *out)
{
	const struct xtlb_entry *t = &c->rd[xtlb_index(lin)];
	if (likely((lin ^ t->tag) <= RV_PAGE_SIZE - 16))
		__builtin_memcpy(out, (const void *)((lin ^ t->tag) + t->host), 16);
	else
		xmem_read_slow(c, seg, lin, out, 16);
}
static inline void xmem_write128(struct xcpu *c, unsigned seg, uint64_t lin, const void *v)
{
	const struct xtlb_entry *t = &c->wr[xtlb_index(lin)];
	if (likely((lin ^ t->tag) <= RV_PAGE_SIZE - 16))
		__builtin_memcpy((void *)((lin ^ t->tag) + t->host), v, 16);
	else
		xmem_write_slow(c, seg, lin, v, 16);
}

/* Linear address of the memory operand; size and acc matter for segment limits outside 64-bit mode. */
uint64_t xea_slow(struct xcpu *c, const struct dinsn *d, uint64_t offset, unsigned size,
		  enum xaccess acc);
static inline uint64_t xea_offset(const struct xcpu *c, const struct dinsn *d) /* LEA: not truncated */
{
	return c->r[d->base] + (c->r[d->index] << d->scale) + (uint64_t)(int64_t)d->disp;
}
static inline uint64_t xea(struct xcpu *c, const struct dinsn *d, unsigned size, enum xaccess acc)
{
	uint64_t a = xea_offset(c, d);
	return likely(d->ea == 0) ? a : xea_slow(c, d, a, size, acc);
}
/* segment:offset to linear for implicit operands (string instructions, XLAT, stack). asize truncates. */
uint64_t xseg_linear(struct xcpu *c, unsigned seg, uint64_t offset, unsigned asize, unsigned size,
		     enum xaccess acc);

/* Stack, width of the stack pointer by SS.B / 64-bit mode. size 2, 4, 8. push faults before RSP moves. */
void xpush(struct xcpu *c, unsigned size, uint64_t value);
uint64_t xpop(struct xcpu *c, unsigned size);
/* n-th slot without moving RSP, and the move: for instructions that must check everything first. */
uint64_t xstack_peek(struct xcpu *c, unsigned size, unsigned n);
void xstack_adjust(struct xcpu *c, int64_t bytes);

/* ---- decoding (decode.c, block.c) ---- */
/* The Zydis decoders of each mode and the map mnemonic -> struct xop; immutable once created, so it may
 * be shared. NULL: out of memory. */
struct xdecoder;
struct xdecoder *xdecoder_create(void);
void xdecoder_destroy(struct xdecoder *x);
/*
 * Decodes one instruction. bytes: avail readable bytes (at least 1, more than 15 are not looked at).
 * Returns its length with *d filled (an undefined or unsupported instruction gets a body that raises
 * #UD, an over-long one #GP(0); both XD_END), or 0: more than `avail` bytes are needed.
 */
unsigned xdecode(const struct xdecoder *x, const uint8_t *bytes, unsigned avail, uint32_t mode,
		 struct dinsn *d);
struct xinsn; /* the decoder's own view (Zydis), see decode.h; ops_*.c bind functions read it */
/* Picks the body for one decoded form and may adjust d; NULL: not a form of this table. A mnemonic may
 * stand in several tables (MOV: Sreg and CR/DR forms in xops_sys, the rest in xops_int_mov; JMP, CALL,
 * RET, PUSH, POP likewise): binds are tried in turn until one takes it; all NULL: #UD. */
typedef xop_fn (*xop_bind)(const struct xinsn *z, struct dinsn *d);
#define XOP_END 0x1u /* ends a block: may change RIP, mode, mappings, interrupt flag, or do I/O */
struct xop {
	uint16_t mnemonic; /* ZydisMnemonic */
	uint16_t flags;    /* XOP_* */
	xop_bind bind;
};
struct xop_table {
	const struct xop *ops;
	size_t n;
};
extern const struct xop_table xops_int_arith, xops_int_mul, xops_int_mov, xops_int_stack;
extern const struct xop_table xops_int_shift, xops_int_bits, xops_int_branch;
extern const struct xop_table xops_string, xops_sys;
extern const struct xop_table xops_x87_ctl, xops_x87_mov, xops_x87_arith, xops_x87_trans;
extern const struct xop_table xops_sse_int, xops_sse_mov, xops_sse_shuffle, xops_sse_fp, xops_sse_cvt;
extern const struct xop_table xops_sse_str, xops_sse_state;
/* Every table above, in that order: a test lists all that the engine can do. NULL past the last. */
const struct xop_table *xdecoder_ops(unsigned n);
/* Raises #UD: the body of everything undefined. */
void xop_undefined(struct xcpu *c, const struct dinsn *d);

/* ---- flags and state ---- */
static inline uint32_t xflags_to_rflags(uint32_t fl) /* arithmetic bits only */
{
	return (fl >> 8 & (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF)) |
	       (fl & XF_OF) << 11;
}
static inline uint32_t xflags_from_rflags(uint64_t rflags)
{
	return (uint32_t)(rflags & (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF)) << 8 |
	       (uint32_t)(rflags >> 11 & 1);
}
static inline uint64_t xrflags(const struct xcpu *c)
{
	return (c->s.rflags & ~(uint64_t)RFLAGS_ARITH) | xflags_to_rflags(c->fl) | RFLAGS_1;
}
/* Replaces the bits of mask (RFLAGS_*), and does what follows from TF, IF, AC, RF changes. */
void xrflags_write(struct xcpu *c, uint64_t value, uint64_t mask); /* seg.c */
static inline bool xcond(uint32_t fl, unsigned cc) /* SDM vol. 1, appendix B */
{
	bool r;
	switch (cc >> 1) {
	case 0: r = fl & XF_OF; break;
	case 1: r = fl & XF_CF; break;
	case 2: r = fl & XF_ZF; break;
	case 3: r = fl & (XF_CF | XF_ZF); break;
	case 4: r = fl & XF_SF; break;
	case 5: r = fl & XF_PF; break;
	case 6: r = (fl >> 15 ^ fl) & 1; break;
	default: r = ((fl >> 15 ^ fl) & 1) || (fl & XF_ZF); break;
	}
	return r ^ (cc & 1);
}
static inline unsigned xcpl(const struct xcpu *c)
{
	return cpu_state_cpl(&c->s);
}
void xcpu_export(struct xcpu *c, struct cpu_state *out);
void xcpu_import(struct xcpu *c, const struct cpu_state *s);

/* ---- used by system bodies ---- */
struct bus *xcpu_bus(struct xcpu *c);       /* run.c */
struct guest_mem *xcpu_mem(struct xcpu *c); /* run.c */
/* A store is about to hit a page with decoded code: drops the blocks of the 64-byte granules it
 * touches, in every vCPU, and sets c->leave if anything was dropped (block.c). */
void xblock_write(struct xcpu *c, uint64_t page, unsigned off, unsigned len);
/* A page is about to be written to by this vCPU: dirty from now on. */
void xpage_touch(struct xcpu *c, uint64_t page); /* run.c */
/* A device access is about to happen: publishes icount to the clock, and ends the block after it. */
void xdevice_sync(struct xcpu *c);
/* I/O permission (CPL against IOPL, TSS bitmap) of `size` ports: #GP(0) or returns. ops_sys*.c */
void xio_check(struct xcpu *c, uint16_t port, unsigned size);
uint64_t xtsc(struct xcpu *c); /* RDTSC: vns at the icount before this instruction + TSC_ADJUST */

/* The FPU's availability checks: #UD for CR0.EM with SSE, #NM for CR0.TS. */
void xfpu_check_x87(struct xcpu *c);  /* also pending unmasked x87 exception: #MF */
void xfpu_check_sse(struct xcpu *c);

#endif
