/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording as a line one can move on in both directions: the log plus
 * checkpoints (those recorded, and those made here: dense near the present
 * position, exponentially sparser behind, within a memory budget). Every
 * motion ends at an icount; `seek N` is the first position with icount N.
 *
 * Each motion returns 0 with *stop filled, or an error (RV_EDIVERGED, ...). When a checkpoint turns
 * out damaged while it is restored the machine is nowhere: RV_EDAMAGED, now and from every motion but a
 * seek, until a seek has found a sound one.
 * poll (may be NULL) is asked at least every 50 ms of work; true stops the
 * motion where it is (forward) or back where it began (backward).
 */
#ifndef RV_REPLAY_TIMELINE_H
#define RV_REPLAY_TIMELINE_H

#include "gdbstub/debug_target.h"
#include "machine/machine.h"
#include "record/evlog.h"

struct timeline;

struct timeline_cfg {
	uint64_t checkpoint_memory; /* bytes for checkpoints made here; 0: 512 MiB */
	enum engine_jit jit;        /* this and the next: as in struct engine_cfg */
	uint64_t code_cache;
	struct disk *const *disks;  /* a port for each of the manifest's disks; NULL if it has none */
	void (*progress)(void *ctx, icount_t at, icount_t from, icount_t to); /* may be NULL */
	void *ctx;
};

int timeline_open(struct timeline **out, const struct trace *t, struct evlog_reader *reader,
		  struct output *show, const struct timeline_cfg *cfg, struct rv_err *err);
void timeline_close(struct timeline *t);

struct timeline_poll {
	bool (*fn)(void *ctx);
	void *ctx;
};

icount_t timeline_begin(const struct timeline *t);
icount_t timeline_end(const struct timeline *t);
struct exec_point timeline_now(const struct timeline *t);
vns_t timeline_vns(const struct timeline *t);
struct machine *timeline_machine(struct timeline *t);

int timeline_seek(struct timeline *t, icount_t icount, struct timeline_poll poll, struct debug_stop *stop);
int timeline_seek_vns(struct timeline *t, vns_t vns, struct timeline_poll poll, struct debug_stop *stop);
/* To the position of the next / previous nd_event; DEBUG_STOP_END / BEGIN if there is none. */
int timeline_next_event(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop);
int timeline_prev_event(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop);
/* One icount on or back (a step never stops at a breakpoint of the position it leaves). */
int timeline_step(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop);
int timeline_reverse_step(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop);
/* To the next / previous hit of an armed breakpoint or watchpoint whose condition holds, or an end of history. */
int timeline_continue(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop);
/* As continue, but to `icount` at most: history is run through, not jumped over as by a seek. */
int timeline_run_to(struct timeline *t, icount_t icount, struct timeline_poll poll, struct debug_stop *stop);
int timeline_reverse_continue(struct timeline *t, struct timeline_poll poll, struct debug_stop *stop);

/* Breakpoints and watchpoints met in the last continue, either way, and those whose condition held. */
struct timeline_hits {
	uint64_t met, wanted;
};
struct timeline_hits timeline_hits(const struct timeline *t);

int timeline_break_set(struct timeline *t, enum debug_break_kind kind, uint64_t addr, uint64_t len,
		       const struct debug_cond *cond);
int timeline_break_clear(struct timeline *t, enum debug_break_kind kind, uint64_t addr, uint64_t len);

/* Only hits in the address space with this CR3 count (masked to its page); only = false: all. */
void timeline_space(struct timeline *t, bool only, uint64_t cr3);
/* The nd_events of the log; i from 0; machine_seq() is the index of the next one. Borrowed. */
uint64_t timeline_event_count(const struct timeline *t);
const struct evlog_record *timeline_event(const struct timeline *t, uint64_t i);

/*
 * A throw-away copy: after this the machine may be changed. The next motion
 * drops the copy and starts from where it was made. One exception makes a
 * debugger's `call` work: while the copy's RIP was set by the debugger,
 * forward motions run the copy, without events and without output.
 */
int timeline_divert(struct timeline *t);
bool timeline_diverted(const struct timeline *t);

/* Checkpoints made by hand, and a look at all: fn is called oldest first. */
int timeline_checkpoint(struct timeline *t);
struct ckpt_info;
void timeline_checkpoints(const struct timeline *t, void (*fn)(void *ctx, const struct ckpt_info *info),
			  void *ctx);
/* Drops checkpoints made here (not recorded ones): for tests of "checkpoint times must not matter". */
void timeline_checkpoints_drop(struct timeline *t);

#endif
