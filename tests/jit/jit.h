/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property test of the translator: two whole machines, one that interprets
 * and one that translates, run the same random program from the same state;
 * everything a guest or a debugger can see must stay equal. Reading order:
 * this file, layout.c (the machine both have), gen.c (programs), state.c
 * (register states), twin.c (run and compare), shrink.c and report.c (a
 * failure), jit_random.c, jit_vectors.c.
 */
#ifndef RV_TESTS_JIT_H
#define RV_TESTS_JIT_H

#include "engine/engine.h"
#include "tests/diff/diff.h"

/* ---- the machine (layout.c) ---- */

/* Linear addresses. Programs are placed anywhere in the code area. */
#define JIT_ALIAS      0x0fe00000ull /* the code area once more */
#define JIT_CODE       0x0ff00000ull
#define JIT_CODE_PAGES 64u
#define JIT_DATA       0x10000000ull
#define JIT_PAGE(n)    (JIT_DATA + (n) * (uint64_t)RV_PAGE_SIZE)
#define JIT_HIGH       0xffff800000000000ull /* supervisor mapping of all RAM */

/* Pages of the data area: what stands beside what is the point. */
enum jit_page {
	JIT_P_HOLE0, /* not mapped */
	JIT_P_RW0,
	JIT_P_RW1,
	JIT_P_RO,
	JIT_P_FRESH, /* writable, neither accessed nor dirty */
	JIT_P_CLEAN, /* writable, accessed, not dirty */
	JIT_P_SUPER, /* supervisor only */
	JIT_P_ALIAS, /* the frame of RW0 */
	JIT_P_MMIO,  /* a device, see jit_device */
	JIT_P_LAST,  /* writable, then nothing */
	JIT_P_HOLE1,
	JIT_P_TABLE, /* the page table of the data area itself */
	JIT_P_HOLE2,
	JIT_P_RO_FRESH, /* read-only, not accessed; below the stack */
	JIT_P_STACK0,
	JIT_P_STACK1,
	JIT_P_HOLE3,
	JIT_NPAGES
};

#define JIT_RAM (2ull << 20)

/* Guest-physical. */
enum {
	JIT_GPA_GDT = 0x1000,
	JIT_GPA_IDT = 0x2000,  /* every vector on IST 1, most handlers halt */
	JIT_GPA_IDT1 = 0x3000, /* no IST but for #DF, trap gates for half of the vectors */
	JIT_GPA_TSS = 0x4000,
	JIT_GPA_HALT = 0x5000,	 /* 16 bytes a vector: HLT */
	JIT_GPA_IRET = 0x6000,	 /* 16 bytes a vector: IRETQ, some after counting */
	JIT_GPA_STACKS = 0x8000, /* RSP0 grows down from 0xa000, IST 1 from 0xc000 */
	JIT_GPA_TABLES = 0x10000,
	JIT_GPA_DATA = 0x40000, /* frame of page n at + n * 4 KiB */
	JIT_GPA_CODE = 0x80000,
	JIT_GPA_MMIO = 0xd0000000
};

#define JIT_VECTOR_HALT	 0x40u /* external interrupts: handler halts */
#define JIT_VECTOR_IRET	 0x41u /* returns */
#define JIT_VECTOR_COUNT 0x42u /* counts in memory, returns */

/* The device at JIT_P_MMIO and the interrupt controller. Its answers depend on the icount and on
 * all accesses so far; log is their hash. */
struct jit_device {
	struct vclock *clock;
	struct vcpu_pins *pins;
	struct vtimer *timer;
	uint64_t log;
	uint8_t vector; /* of the next interrupt */
	uint8_t cr8;
};

struct jit_side {
	struct guest_mem *mem;
	struct bus *bus;
	struct vclock *clock;
	struct engine *engine;
	struct jit_device dev;
	struct cpu_state s;
	struct engine_stop stop;
};

int jit_side_init(struct jit_side *m, enum engine_jit jit, uint64_t code_cache);
void jit_side_fini(struct jit_side *m);
/* Contents of all RAM before a case; the same for every case. */
void jit_layout_fill(uint8_t *ram);
/* What no case changes: segments, tables, control registers, at CPL 0 or 3. */
void jit_layout_state(struct cpu_state *s, bool cpl0);

/* ---- a case ---- */

#define JIT_MAX_ITEMS 40u
#define JIT_MAX_CODE  640u

enum jit_fix {
	JIT_FIX_NONE,
	JIT_FIX_REL8, /* branch to an item */
	JIT_FIX_REL32,
	JIT_FIX_RIP,  /* RIP-relative to addr */
	JIT_FIX_ITEM, /* RIP-relative to a byte of an item */
	JIT_FIX_IMM32 /* address of an item */
};

/* One instruction, position-independent until jit_case_assemble(). */
struct jit_item {
	uint8_t bytes[16];
	uint8_t len;
	uint8_t fix;	     /* enum jit_fix */
	uint8_t fix_at;	     /* where in bytes */
	uint8_t target;	     /* index of an item; the number of items: the HLT behind them */
	uint8_t target_byte; /* offset within it */
	uint64_t addr;
};

/* What else happens in a case. X(name, bit, text) */
#define JIT_FEATURES(X)                                                                            \
	X(JIT_F_CPL0, 0, "CPL 0")                                                                  \
	X(JIT_F_TS, 1, "CR0.TS")                                                                   \
	X(JIT_F_NOWP, 2, "CR0.WP = 0")                                                             \
	X(JIT_F_AC, 3, "RFLAGS.AC")                                                                \
	X(JIT_F_TF, 4, "RFLAGS.TF in some runs")                                                   \
	X(JIT_F_DR, 5, "debug registers")                                                          \
	X(JIT_F_IDT1, 6, "gates without IST")                                                      \
	X(JIT_F_IRQ, 7, "external interrupts, NMI")                                                \
	X(JIT_F_BREAK, 8, "breakpoints")                                                           \
	X(JIT_F_WATCH, 9, "watchpoints")                                                           \
	X(JIT_F_SHORT, 10, "short budgets")                                                        \
	X(JIT_F_SPLIT, 11, "budgets of one side only")                                             \
	X(JIT_F_FLUSH, 12, "flushes of one side only")                                             \
	X(JIT_F_RELOAD, 13, "code restored before each run")                                       \
	X(JIT_F_TABLES, 14, "A and D bits cleared before each run")                                \
	X(JIT_F_LONG, 15, "long runs")                                                             \
	X(JIT_F_FPU_UNMASKED, 16, "unmasked x87 and SSE exceptions")
enum {
#define JIT_FEATURE_ENUM(name, bit, text) name = 1u << (bit),
	JIT_FEATURES(JIT_FEATURE_ENUM)
#undef JIT_FEATURE_ENUM
	    JIT_NFEATURES = 17
};

struct jit_case {
	uint64_t seed, number; /* what every run of it is drawn from */
	uint32_t features;
	unsigned runs;
	uint32_t at; /* offset in the code area */
	unsigned n;
	struct jit_item item[JIT_MAX_ITEMS];
	const uint8_t *raw; /* instead of items */
	unsigned raw_len;
};

/* The bytes at JIT_CODE + at, and behind them a HLT; start[i]: offset of item i. Returns the
 * length. */
unsigned jit_case_assemble(const struct jit_case *c, uint8_t out[JIT_MAX_CODE],
			   uint16_t start[JIT_MAX_ITEMS + 1]);
/* Without item k; branches to it go to the one behind. */
void jit_case_drop(struct jit_case *c, unsigned k);

/* ---- gen.c ---- */
struct jit_gen;
/* only: part of a mnemonic in lower case, or NULL. RV_ENOENT: no instruction has it. */
int jit_gen_init(struct jit_gen **out, const char *only);
void jit_gen_fini(struct jit_gen *g);
void jit_gen_case(struct jit_gen *g, uint64_t seed, uint64_t number, struct jit_case *c);
/* Where memory operands and pointers are aimed. */
uint64_t jit_gen_address(struct diff_rng *r, uint64_t code);

/* ---- state.c ---- */
struct jit_pool; /* x87 and SSE register files to choose from */
struct jit_pool *jit_pool_create(void);
void jit_pool_destroy(struct jit_pool *p);
void jit_state_draw(const struct jit_pool *p, const struct jit_case *c, struct diff_rng *r,
		    struct cpu_state *s);

/* ---- twin.c ---- */
struct jit_twin;
enum jit_pairing {
	JIT_PAIR,  /* interpreter and translator */
	JIT_SELF,  /* the translator checks itself, block by block */
	JIT_MUTANT /* one side has ADD where the other has ADC: the test of this test */
};
struct jit_result {
	bool failed;
	unsigned run;		/* that failed */
	uint64_t steps;		/* of one side */
	struct cpu_state start; /* of that run */
	char text[6000];
};
struct jit_counts {
	uint64_t steps, translated, blocks, flushes;
	uint64_t runs, budget, other; /* how runs ended: on their budget, otherwise, or ... */
	uint64_t vector[256];	      /* in the halting handler of a vector */
};
int jit_twin_init(struct jit_twin **out, enum jit_pairing pairing, uint64_t code_cache);
void jit_twin_fini(struct jit_twin *t);
void jit_twin_run(struct jit_twin *t, const struct jit_case *c, struct jit_result *out);
/* Of the second side, since it was made. */
void jit_twin_counts(const struct jit_twin *t, struct jit_counts *out);

/* ---- shrink.c ---- */
enum jit_end { JIT_END_EQUAL, JIT_END_DIFFERS, JIT_END_SIGNAL, JIT_END_HANG };
/* One case on new machines in a process of its own: survives a crash of the engine. */
enum jit_end jit_try(const struct jit_case *c, enum jit_pairing pairing, struct jit_result *out);
/* Drops instructions, features and runs while the case still fails. */
void jit_shrink(struct jit_case *c, enum jit_pairing pairing, struct jit_result *out);

/* ---- report.c ---- */
void jit_report_case(const struct jit_case *c);
/* A line for vectors.h. */
void jit_report_vector(const struct jit_case *c);
/* How runs ended, since `before`. */
void jit_report_ends(const struct jit_counts *before, const struct jit_counts *now);
/* Differences of two states, by field, into text; returns how many bytes. */
size_t jit_report_states(const struct cpu_state *a, const struct cpu_state *b, char *text,
			 size_t size);

#endif
