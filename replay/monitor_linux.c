/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux keeps its processes in a ring through task_struct.tasks, with init_task
 * (PID 0) as its head; threads other than a process's first are not in it. The
 * address space is mm->pgd, an address in the kernel's own map of RAM; a kernel
 * thread has no mm.
 */
#include "replay/monitor_linux.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "replay/replay_target.h"

#define LINUX_OFFSET_MAX 65536u /* task_struct has about 10 KiB */
#define LINUX_TASKS_MAX 65536u
#define LINUX_COMM 16u /* TASK_COMM_LEN */

/* ---- the layout ---- */

/* key=NUMBER, up to a blank or the end. */
static bool layout_value(const char **at, uint64_t *out)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*out = strtoull(*at, &end, 0);
	if (*end && *end != ' ')
		return false;
	*at = *end ? end + 1 : end;
	return true;
}

static bool layout_parse(const char *arg, struct linux_layout *out)
{
	const struct {
		const char *name;
		uint64_t *value;
	} keys[] = {
		{ "init_task=", &out->init_task }, { "tasks=", &out->tasks }, { "pid=", &out->pid },
		{ "comm=", &out->comm }, { "mm=", &out->mm }, { "pgd=", &out->pgd },
	};
	unsigned seen = 0;

	while (*arg) {
		size_t i = 0;
		while (i < RV_ARRAY_LEN(keys) && strncmp(arg, keys[i].name, strlen(keys[i].name)) != 0)
			i++;
		if (i == RV_ARRAY_LEN(keys) || seen & 1u << i)
			return false;
		arg += strlen(keys[i].name);
		if (!layout_value(&arg, keys[i].value))
			return false;
		if (i && *keys[i].value >= LINUX_OFFSET_MAX)
			return false;
		seen |= 1u << i;
	}
	return seen == (1u << RV_ARRAY_LEN(keys)) - 1 && out->init_task;
}

int monitor_linux_set(struct linux_layout *l, const char *arg, monitor_put *put, void *ctx)
{
	struct linux_layout given = { 0 };
	char text[256];

	if (*arg) {
		if (strcmp(arg, "off") != 0 && !layout_parse(arg, &given))
			return RV_EUSAGE;
		*l = given;
		return RV_OK;
	}
	if (l->init_task)
		snprintf(text, sizeof(text),
			 "init_task=%#llx tasks=%llu pid=%llu comm=%llu mm=%llu pgd=%llu\n",
			 (unsigned long long)l->init_task, (unsigned long long)l->tasks,
			 (unsigned long long)l->pid, (unsigned long long)l->comm,
			 (unsigned long long)l->mm, (unsigned long long)l->pgd);
	else
		snprintf(text, sizeof(text), "where the kernel keeps its tasks is not known\n");
	put(ctx, text);
	return RV_OK;
}

/* ---- the ring ---- */

static int read_u64(struct machine *m, uint64_t addr, uint64_t *out)
{
	uint8_t buf[8];
	int rc = debug_mem_read(m, 0, false, addr, buf, sizeof(buf));

	if (rc == RV_OK)
		*out = le64_get(buf);
	return rc;
}

static int read_task(const struct linux_layout *l, struct machine *m, uint64_t task,
		     struct linux_task *out)
{
	uint8_t pid[4], comm[LINUX_COMM];
	uint64_t mm, pgd;
	gpa_t gpa;
	int rc;

	if ((rc = debug_mem_read(m, 0, false, task + l->pid, pid, sizeof(pid))) != RV_OK ||
	    (rc = debug_mem_read(m, 0, false, task + l->comm, comm, sizeof(comm))) != RV_OK ||
	    (rc = read_u64(m, task + l->mm, &mm)) != RV_OK)
		return rc;
	*out = (struct linux_task){ .pid = (int32_t)le32_get(pid) };
	/* A process chooses its name: what a terminal might obey is not shown. */
	for (size_t i = 0; i < LINUX_COMM && comm[i]; i++)
		out->comm[i] = comm[i] >= ' ' && comm[i] < 0x7f ? (char)comm[i] : '?';
	if (!mm)
		return RV_OK;
	if ((rc = read_u64(m, mm + l->pgd, &pgd)) != RV_OK ||
	    (rc = machine_translate(m, 0, pgd, &gpa)) != RV_OK)
		return rc;
	out->cr3 = gpa & ~(uint64_t)(RV_PAGE_SIZE - 1);
	return RV_OK;
}

/*
 * visit: false ends the walk. RV_ENOENT: not mapped; RV_EDAMAGED: no ring;
 * RV_EINTR: poll. A ring that goes round without its head is found by
 * comparing with a task seen before, at distances that double (Brent).
 */
static int walk(const struct linux_layout *l, struct machine *m,
		bool (*visit)(void *ctx, const struct linux_task *task), void *visit_ctx,
		bool (*poll)(void *ctx), void *ctx)
{
	uint64_t task = l->init_task, mark = task, next;
	uint32_t n, power = 1;
	int rc;

	for (n = 0; n < LINUX_TASKS_MAX; n++) {
		struct linux_task t;
		if (poll && n % 64 == 63 && poll(ctx))
			return RV_EINTR;
		if ((rc = read_task(l, m, task, &t)) != RV_OK)
			return rc;
		if (!visit(visit_ctx, &t))
			return RV_OK;
		if ((rc = read_u64(m, task + l->tasks, &next)) != RV_OK)
			return rc;
		task = next - l->tasks;
		if (task == l->init_task)
			return RV_OK;
		if (task == mark)
			return RV_EDAMAGED;
		if (n == power) {
			mark = task;
			power *= 2;
		}
	}
	return RV_EDAMAGED;
}

static void say_problem(int rc, monitor_put *put, void *ctx)
{
	char text[160];

	if (rc == RV_ENOENT)
		put(ctx, "the kernel's task list cannot be read here: it is not mapped (early in the boot?), or "
			 "`monitor linux` was told of another kernel\n");
	else if (rc == RV_EDAMAGED)
		put(ctx, "the kernel's task list is damaged: it does not come back to its head\n");
	else if (rc == RV_EINTR)
		put(ctx, "interrupted\n");
	else if (rc != RV_OK) {
		snprintf(text, sizeof(text), "%s\n", rv_status_text(rc));
		put(ctx, text);
	}
}

static bool layout_known(const struct linux_layout *l, monitor_put *put, void *ctx)
{
	if (l->init_task)
		return true;
	put(ctx, "missing: where this kernel keeps its tasks; load a vmlinux that has DWARF (rv-symbols "
		 "VMLINUX) and give rv-linux once\n");
	return false;
}

/* ---- commands ---- */

struct listing {
	monitor_put *put;
	void *ctx;
	uint64_t here; /* the present address space */
};

static bool list_task(void *ctx, const struct linux_task *t)
{
	const struct listing *l = ctx;
	char text[96];

	snprintf(text, sizeof(text), "%c%7d  %#14llx  %s\n", t->cr3 && t->cr3 == l->here ? '*' : ' ',
		 t->pid, (unsigned long long)t->cr3, t->comm);
	l->put(l->ctx, text);
	return true;
}

int monitor_linux_ps(const struct linux_layout *l, struct machine *m, monitor_put *put,
		     bool (*poll)(void *ctx), void *ctx)
{
	struct listing out = { put, ctx, 0 };
	struct cpu_state s;

	if (!layout_known(l, put, ctx))
		return RV_OK;
	machine_cpu_state(m, machine_current(m), &s);
	out.here = s.cr3 & 0x000ffffffffff000ull;
	put(ctx, "     PID             CR3  NAME (* the present address space; CR3 0: a kernel thread)\n");
	say_problem(walk(l, m, list_task, &out, poll, ctx), put, ctx);
	return RV_OK;
}

struct search {
	int32_t pid;
	bool found;
	struct linux_task *out;
};

static bool match_task(void *ctx, const struct linux_task *t)
{
	struct search *s = ctx;

	if (t->pid != s->pid)
		return true;
	s->found = true;
	*s->out = *t;
	return false;
}

bool monitor_linux_find(const struct linux_layout *l, struct machine *m, int32_t pid,
			struct linux_task *out, monitor_put *put, bool (*poll)(void *ctx),
			void *ctx)
{
	struct search s = { pid, false, out };
	char text[96];
	int rc;

	if (!layout_known(l, put, ctx))
		return false;
	rc = walk(l, m, match_task, &s, poll, ctx);
	if (s.found && out->cr3)
		return true;
	if (rc != RV_OK) {
		say_problem(rc, put, ctx);
	} else {
		if (s.found)
			snprintf(text, sizeof(text), "%s is a kernel thread: it has no address space of its own\n",
				 out->comm);
		else
			snprintf(text, sizeof(text), "there is no process %d here\n", pid);
		put(ctx, text);
	}
	return false;
}
