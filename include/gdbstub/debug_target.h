/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the GDB stub drives: a machine that can be looked at, changed and
 * moved, forwards and, in a replay, backwards. Implemented over a timeline
 * (replay) and over a live machine (run, record). One thread.
 */
#ifndef RV_GDBSTUB_DEBUG_TARGET_H
#define RV_GDBSTUB_DEBUG_TARGET_H

#include "base/status.h"
#include "base/types.h"
#include "cpu/state.h"

struct debug_target {
	const struct debug_target_ops *ops;
};

enum debug_break_kind { DEBUG_BREAK_SW, DEBUG_BREAK_HW, DEBUG_WATCH_WRITE, DEBUG_WATCH_READ, DEBUG_WATCH_ACCESS };

/* Called at each hit, with the machine at the position of the stop; false: do not stop. NULL: always. */
struct debug_cond {
	bool (*test)(void *ctx, unsigned cpu);
	void *ctx;
};

enum debug_motion { DEBUG_CONTINUE, DEBUG_STEP, DEBUG_REVERSE_CONTINUE, DEBUG_REVERSE_STEP };

enum debug_stop_reason {
	DEBUG_STOP_STEP,      /* the step was made */
	DEBUG_STOP_BREAK,     /* breakpoint or watchpoint: kind, addr */
	DEBUG_STOP_INTERRUPT, /* poll() said so */
	DEBUG_STOP_BEGIN,     /* reached the begin of history */
	DEBUG_STOP_END,       /* reached the end of history */
	DEBUG_STOP_EXITED,    /* live: the machine ended (power-off...) */
};

struct debug_stop {
	enum debug_stop_reason reason;
	unsigned cpu;
	enum debug_break_kind kind;
	uint64_t addr; /* linear address of the breakpoint, or the watched address that was hit */
};

struct debug_target_ops {
	unsigned (*ncpus)(struct debug_target *t);
	/* True if reverse motions exist. */
	bool (*can_reverse)(struct debug_target *t);
	void (*regs_get)(struct debug_target *t, unsigned cpu, struct cpu_state *out);
	/* In a replay this and mem_write() act on a diversion that the next motion drops. */
	int (*regs_set)(struct debug_target *t, unsigned cpu, const struct cpu_state *s);
	/* Linear (through cpu's page tables, no side effect) or physical. All of len or an error:
	 * RV_ENOENT when any byte is not mapped. Device memory is never touched. */
	int (*mem_read)(struct debug_target *t, unsigned cpu, bool phys, uint64_t addr, void *out, size_t len);
	int (*mem_write)(struct debug_target *t, unsigned cpu, bool phys, uint64_t addr, const void *data,
			 size_t len);
	int (*break_set)(struct debug_target *t, enum debug_break_kind kind, uint64_t addr, uint64_t len,
			 const struct debug_cond *cond);
	int (*break_clear)(struct debug_target *t, enum debug_break_kind kind, uint64_t addr, uint64_t len);
	/* Blocks until the machine stops. poll() is asked at least every 50 ms of work and returns true to
	 * stop (a byte 0x03 came, the client went away). Errors: RV_EDIVERGED, ... */
	int (*resume)(struct debug_target *t, enum debug_motion motion, unsigned cpu,
		      bool (*poll)(void *ctx), void *ctx, struct debug_stop *stop);
	/* A monitor command line; text for the user through put(). RV_EUSAGE: unknown command. May move
	 * the machine (seek): *moved tells the stub to announce a stop. */
	int (*monitor)(struct debug_target *t, const char *line, void (*put)(void *ctx, const char *text),
		       bool (*poll)(void *ctx), void *ctx, bool *moved);
	/* One line about a vCPU for `info threads`: ring, RIP's privilege, halted. */
	void (*thread_info)(struct debug_target *t, unsigned cpu, char *out, size_t len);
};

#endif
