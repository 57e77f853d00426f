/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: board `pc` wired to an engine and the two ports, and the run
 * loop that is the same whether live, recording or replaying.
 */
#ifndef RV_MACHINE_MACHINE_H
#define RV_MACHINE_MACHINE_H

#include "base/digest.h"
#include "cpu/state.h"
#include "engine/engine.h"
#include "port/disk.h"
#include "port/nondet.h"
#include "port/output.h"

struct machine;

/* The devices a machine may have or not. All of it is part of what the machine is: a recording's manifest
 * holds it. */
struct machine_disk {
	struct disk *port;  /* borrowed for the machine's life */
	uint64_t sectors;   /* of 512 bytes */
	bool readonly;
	bool commit;        /* writes go to the base as well */
};
struct machine_net {
	uint8_t mac[6];
	uint16_t mtu;
};
struct machine_devices {
	unsigned ndisks, nnets;
	struct machine_disk disk[DISKS_MAX];
	struct machine_net net[NETS_MAX];
	bool console;       /* a virtio console beside the serial port */
	uint64_t seed;      /* of the entropy device */
	uint64_t chaos;     /* not 0: seed of the variations that --chaos makes in turns and delays */
	bool disks_by_clock; /* a disk request ends at a virtual time of its own (clock=virtual), not by event */
};

struct machine_cfg {
	uint64_t memory; /* bytes, multiple of 4 KiB */
	unsigned ncpus;
	const struct engine_ops *engine;
	enum engine_jit jit; /* this and the next: as in struct engine_cfg; nothing the guest could see */
	uint64_t code_cache;
	uint64_t clock_rate; /* 32.32 ns an instruction at power-on */
	int64_t date;        /* UTC ns since 1970 at power-on */
	/* What a guest's reset does: power-on again from the same image (icount and time go on), or end the
	 * run with MACHINE_END_RESET. */
	bool reboot;
	/* Guest image; borrowed for the machine's life with `reboot`, else until machine_create() returns. */
	const void *kernel;
	size_t kernel_len;
	const void *initrd; /* may be NULL */
	size_t initrd_len;
	const char *cmdline; /* never NULL */
	const char *kernel_name, *initrd_name; /* for messages */
	struct machine_devices devices;
	struct nondet *nondet; /* borrowed for the machine's life */
	struct output *output;
};

int machine_create(struct machine **out, const struct machine_cfg *cfg, struct rv_err *err);
void machine_destroy(struct machine *m);

/* The numbers are part of the trace format (end records). */
enum machine_end {
	MACHINE_END_LIMIT = 0,  /* icount reached machine_limits.icount */
	MACHINE_END_POWEROFF = 1,
	MACHINE_END_RESET = 2,
	MACHINE_END_DEBUG_EXIT = 3, /* isa-debug-exit: code is (value << 1) | 1 */
	MACHINE_END_STOPPED = 4,    /* an ND_STOP event, or the hook asked */
	MACHINE_END_TRIPLE_FAULT = 5,
	MACHINE_END_HUNG = 6,       /* halted with no deadline and interrupts off: nothing can wake it */
	/* Not part of a history: */
	MACHINE_END_INTERRUPTED = 7, /* machine_interrupt(), or limits.idle_rounds */
	MACHINE_END_BREAK = 8,       /* a breakpoint or watchpoint: result.stop */
};
const char *machine_end_text(enum machine_end end);

struct machine_limits {
	icount_t icount; /* stop at this position; ICOUNT_MAX for none */
	icount_t break_skip; /* an EXEC breakpoint met at this position is not reported: where one stands */
	/* Every `mark_every` steps (0: never), at the first arrival at each multiple and before anything
	 * else happens there, mark() is called; non-zero ends the run with that code (positive:
	 * MACHINE_END_STOPPED). */
	icount_t mark_every;
	int (*mark)(void *ctx, struct machine *m);
	void *ctx;
	/* Asked at each hit, with the machine where it would stop and only to be looked at; false: it runs
	 * on as if there were none (engine_ops.break_filter). NULL: each hit ends the run. */
	bool (*hit)(void *ctx, const struct engine_stop *stop);
	void *hit_ctx;
	/* The guest says that it panicked (pvpanic); the run goes on. May be NULL. */
	void (*panic)(void *ctx, struct machine *m);
	/* The run ends with MACHINE_END_INTERRUPTED after so many jumps of the clock in halts: the timer of
	 * a guest that does not wake may tick for ever. 0: no bound. */
	uint32_t idle_rounds;
};

struct machine_result {
	enum machine_end end;
	uint32_t code;
	struct engine_stop stop; /* MACHINE_END_BREAK */
	unsigned vcpu;           /* which one stopped there */
};

/* Runs until an end. May be called again after LIMIT, STOPPED, INTERRUPTED and BREAK. Returns 0 with *result, or the error of
 * a port (RV_EDIVERGED, RV_EEND, ...) or of the engine. */
int machine_run(struct machine *m, const struct machine_limits *limits, struct machine_result *result);

/* Breakpoints and watchpoints, by linear address (engine_ops.break_set). */
int machine_break_set(struct machine *m, enum engine_break_kind kind, uint64_t addr, uint64_t len);
int machine_break_clear(struct machine *m, enum engine_break_kind kind, uint64_t addr, uint64_t len);
/* A debugger's view and changes. set_state: RV_EINVAL for impossible values. */
int machine_translate(struct machine *m, unsigned vcpu, uint64_t va, gpa_t *gpa);
int machine_set_cpu_state(struct machine *m, unsigned vcpu, const struct cpu_state *s);
/*
 * Live: applies the debugger's writes that wait in the inbound port, here and now, as events of this
 * position. limits: those machine_run() is called with (a mark that is due comes first). Between two calls
 * of machine_run() only. RV_ENOTSUP: not at this position (the machine ends here, or leaves a halt here):
 * one step further it can be done.
 */
int machine_take_writes(struct machine *m, const struct machine_limits *limits);

icount_t machine_icount(const struct machine *m);
uint64_t machine_seq(const struct machine *m); /* nd_events applied */
vns_t machine_vns(const struct machine *m);
void machine_cpu_state(const struct machine *m, unsigned vcpu, struct cpu_state *out);
unsigned machine_ncpus(const struct machine *m);
unsigned machine_current(const struct machine *m); /* the vCPU whose turn it is */
struct guest_mem *machine_mem(struct machine *m);
void machine_stats(const struct machine *m, struct engine_stats *out);
/* Text for people: a block of vCPU 0 as translated, see engine_ops.jit_dump. */
int machine_jit_dump(struct machine *m, uint64_t va, struct bytes *out);

/* The state digest (README "Words"): RAM, vCPUs, clock, devices. */
struct digest128 machine_digest(struct machine *m);
/* Everything but RAM, serialised: vCPUs, clock, devices. What a checkpoint holds and the digest hashes.
 * RAM is loaded by the caller, before, through mem_write() so that what was derived from it is dropped.
 * The bytes may be hostile. After a failed load the machine refuses to run (RV_EINVAL) until one succeeds. */
/* Of a disk's block log: virtio_blk_log_blocks(), virtio_blk_log_used(). */
uint64_t machine_disk_log_blocks(const struct machine *m, unsigned disk);
void machine_disk_log_used(const struct machine *m, unsigned disk, uint8_t *bits, uint64_t *n);
/* Of a disk's index: virtio_blk_each(). */
int machine_disk_each(const struct machine *m, unsigned disk,
		      int (*fn)(void *ctx, uint64_t block, bool zero, uint64_t log), void *ctx);
/* After machine_load() into a live machine: disk requests that were in flight are begun anew. */
void machine_restart_io(struct machine *m);
void machine_save(const struct machine *m, struct bytes *out);
int machine_load(struct machine *m, struct bytes_in *in);

/* From another thread or a signal handler: machine_run() returns MACHINE_END_INTERRUPTED at the next
 * boundary, within about 10 ms of work, and may be called again. For replays: a live run is ended
 * through its inbound port (live_stop), so that the end is part of the history. */
void machine_interrupt(struct machine *m);

#endif
