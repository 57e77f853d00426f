/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine runs vCPUs. Two implementations: `exact` (interpreter, counts
 * every step) and `kvm` (the host's CPU). All calls but engine_kick() come
 * from the one vCPU thread. Every call is indexed by vCPU.
 */
#ifndef RV_ENGINE_ENGINE_H
#define RV_ENGINE_ENGINE_H

#include "base/bytes.h"
#include "bus/bus.h"
#include "clock/clock.h"
#include "cpu/state.h"
#include "mem/mem.h"

struct engine;

/* How the exact engine executes guest code. Never changes what the guest sees. */
enum engine_jit {
	ENGINE_JIT_ON,    /* hot blocks become host code */
	ENGINE_JIT_OFF,   /* the interpreter alone */
	ENGINE_JIT_CHECK, /* both, block by block; run() returns RV_EDIVERGED at the first difference,
			   * having described it in the log */
};

struct engine_cfg {
	unsigned ncpus; /* 1 .. CPU_MAX */
	enum engine_jit jit;
	uint64_t code_cache; /* bytes of host code kept at most; 0: 64 MiB */
	struct guest_mem *mem;
	struct bus *bus;
	struct vclock *clock;
};

enum engine_exit {
	ENGINE_EXIT_ICOUNT,    /* the clock's icount is `until` */
	ENGINE_EXIT_HALT,      /* this vCPU is halted and its pins do not wake it; also when icount is
			        * `until`: whether a position is halted depends on the state alone */
	ENGINE_EXIT_ATTENTION, /* *bus_attention(), or the clock's earliest deadline moved */
	ENGINE_EXIT_KICKED,    /* engine_kick() */
	ENGINE_EXIT_DEBUG,     /* breakpoint, watchpoint or single step: see struct engine_stop */
	ENGINE_EXIT_SHUTDOWN,  /* triple fault */
};

enum engine_break_kind { ENGINE_BREAK_EXEC, ENGINE_BREAK_WRITE, ENGINE_BREAK_READ, ENGINE_BREAK_ACCESS };

struct engine_stop {
	enum engine_exit reason;
	enum engine_break_kind break_kind; /* with ENGINE_EXIT_DEBUG */
	uint64_t break_addr;               /* linear address */
	bool yield; /* the last instruction was PAUSE, and there are other vCPUs */
};

#define ENGINE_CAP_EXACT 0x1u  /* stops at an exact icount: can record and replay */
#define ENGINE_CAP_BREAK 0x2u  /* breakpoints and watchpoints */
#define ENGINE_CAP_STEP 0x4u

struct engine_stats {
	uint64_t steps;        /* icount executed by this engine */
	uint64_t blocks_built; /* decoded blocks made */
	uint64_t tlb_misses;
	uint64_t tlb_flushes;
	uint64_t jit_steps;    /* of steps, those done by translated code */
	uint64_t jit_blocks;   /* blocks translated */
	uint64_t jit_bytes;    /* host code they took */
	uint64_t jit_flushes;  /* times the code cache was emptied */
};

struct engine_ops {
	const char *name;
	uint32_t caps;
	int (*create)(struct engine **out, const struct engine_cfg *cfg, struct rv_err *err);
	void (*destroy)(struct engine *e);
	/*
	 * Runs vCPU until the clock's icount reaches `until` or something of
	 * enum engine_exit happens. On return the clock's icount is exact and
	 * the state is between two instructions. At each boundary with
	 * icount < until it takes, in the order of SDM vol. 3 table 6-2, INIT,
	 * SIPI, NMI, INTR from the vCPU's pins; a delivery is one step.
	 * With ENGINE_CAP_STEP, until = icount + 1 is a single step: one
	 * instruction or one delivery. An engine without ENGINE_CAP_EXACT
	 * counts its exits instead of instructions, so that positions still
	 * differ, and returns at least every few milliseconds.
	 * Returns 0 with *stop filled, or a negative code.
	 */
	int (*run)(struct engine *e, unsigned vcpu, icount_t until, struct engine_stop *stop);
	/* Would run() return ENGINE_EXIT_HALT at once? NULL: an engine for one vCPU alone. */
	bool (*halted)(struct engine *e, unsigned vcpu);
	/* From any thread or signal handler: make run() return soon. Never affects what the guest sees. */
	void (*kick)(struct engine *e);
	void (*get_state)(struct engine *e, unsigned vcpu, struct cpu_state *out);
	/* Values are canonicalised (reserved bits, derived attributes); RV_EINVAL for impossible ones. */
	int (*set_state)(struct engine *e, unsigned vcpu, const struct cpu_state *s);
	/*
	 * Breakpoints (EXEC: run() returns before the instruction at addr is
	 * executed; len is ignored) and watchpoints (run() returns after an
	 * instruction that accessed any byte of [addr, addr + len), so at the
	 * icount behind it; break_addr is the first watched byte it touched).
	 * addr is linear, in whatever address space is current. Setting one
	 * twice counts twice. RV_ENOTSUP without ENGINE_CAP_BREAK. Invisible
	 * to the guest: never in its memory, no influence on icount.
	 */
	int (*break_set)(struct engine *e, enum engine_break_kind kind, uint64_t addr, uint64_t len);
	int (*break_clear)(struct engine *e, enum engine_break_kind kind, uint64_t addr, uint64_t len);
	/* An EXEC breakpoint met at this icount is not reported: the debugger is standing on it. */
	void (*break_skip)(struct engine *e, icount_t icount);
	/*
	 * hit(ctx, stop) is asked at each hit, before run() would return for it: the clock's icount is
	 * exact, get_state() and translate() may be called and nothing else. False: run() goes on as if
	 * there were no breakpoint. An EXEC breakpoint is a hit only where its address is mapped, which is
	 * looked up behind this question: who does more than to answer must ask translate(). An instruction that touches several watchpoints asks for each until
	 * one says true. NULL: run() returns at every hit. With ENGINE_CAP_BREAK.
	 */
	void (*break_filter)(struct engine *e, bool (*hit)(void *ctx, const struct engine_stop *stop),
			     void *ctx);
	/* Linear to physical as a debugger sees it: no A/D bits, nothing filled. RV_ENOENT if not mapped. */
	int (*translate)(struct engine *e, unsigned vcpu, uint64_t va, gpa_t *gpa);
	/* RAM was changed behind the engine (restore): drop everything derived from it. */
	void (*flush)(struct engine *e);
	/* Text for people: the guest code at va (as translate() finds it) and the host code made of it. RV_ENOENT
	 * if there is none, RV_ENOTSUP for engines without. */
	int (*jit_dump)(struct engine *e, unsigned vcpu, uint64_t va, struct bytes *out);
	void (*stats)(const struct engine *e, struct engine_stats *out);
};

extern const struct engine_ops engine_exact_ops;
extern const struct engine_ops engine_kvm_ops;

#endif
