/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Linux guest's processes, out of its memory, for the monitor commands
 * `linux`, `ps` and `process PID` of a replay and of a live machine. Where the
 * kernel keeps them only its debug information knows: the debugger's script
 * reads it there and hands it over once. The guest's memory is hostile: walks
 * are bounded, and a list that does not come back to its head is said to be
 * damaged. One thread; nothing in the machine changes.
 */
#ifndef RV_REPLAY_MONITOR_LINUX_H
#define RV_REPLAY_MONITOR_LINUX_H

#include "machine/machine.h"

/* Zero-initialised: not known. */
struct linux_layout {
	uint64_t init_task; /* linear address; 0: not known */
	/* Offsets in struct task_struct, and of pgd in struct mm_struct. */
	uint64_t tasks, pid, comm, mm, pgd;
};

struct linux_task {
	int32_t pid;
	char comm[17]; /* printable */
	uint64_t cr3;  /* 0: a kernel thread */
};

#define MONITOR_LINUX_ARGS "init_task=ADDR tasks=N pid=N comm=N mm=N pgd=N"

typedef void monitor_put(void *ctx, const char *text);

/* `linux ARG`: "" shows, "off" forgets, else the numbers of MONITOR_LINUX_ARGS in any order.
 * RV_EUSAGE. */
int monitor_linux_set(struct linux_layout *l, const char *arg, monitor_put *put, void *ctx);
/* `ps`. poll (may be NULL): true gives up. What is wrong it says through put. */
int monitor_linux_ps(const struct linux_layout *l, struct machine *m, monitor_put *put,
		     bool (*poll)(void *ctx), void *ctx);
/* The process with this number. False: there is none, or it cannot be seen, as put says. */
bool monitor_linux_find(const struct linux_layout *l, struct machine *m, int32_t pid,
			struct linux_task *out, monitor_put *put, bool (*poll)(void *ctx),
			void *ctx);

#endif
