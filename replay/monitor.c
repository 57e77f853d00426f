/* SPDX-License-Identifier: Apache-2.0 */
/* Monitor commands of a replay: GDB's `monitor LINE`. One table, one function a command. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/ckpt.h"
#include "replay/break_list.h"
#include "report.h"
#include "target_priv.h"

struct monitor {
	struct replay_target *t;
	void (*put)(void *ctx, const char *text);
	struct timeline_poll poll;
	bool moved;
	const char *arg; /* behind the command's name, without leading blanks */
};

static void say(struct monitor *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct monitor *m, const char *fmt, ...)
{
	char text[REPORT_LINE + 256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	m->put(m->poll.ctx, text);
}

static unsigned long long ull(uint64_t v)
{
	return v;
}

/* Decimal or 0x hexadecimal, the whole word. */
static bool number(const char *word, uint64_t *out)
{
	char *end;
	if (word[0] < '0' || word[0] > '9')
		return false;
	*out = strtoull(word, &end, 0);
	return !*end;
}

static int cmd_help(struct monitor *m);

static int cmd_when(struct monitor *m)
{
	struct timeline *tl = m->t->timeline;
	struct exec_point at = timeline_now(tl);
	vns_t vns = timeline_vns(tl);
	say(m, "icount %llu seq %llu vns %llu (%llu.%06llu s) of %llu, %llu.%llu %%\n", ull(at.icount),
	    ull(at.seq), ull(vns), ull(vns / 1000000000), ull(vns % 1000000000 / 1000),
	    ull(timeline_end(tl)), ull(timeline_end(tl) ? at.icount * 100 / timeline_end(tl) : 100),
	    ull(timeline_end(tl) ? at.icount * 1000 / timeline_end(tl) % 10 : 0));
	if (timeline_diverted(tl))
		say(m, "in a diversion: changes made here are dropped by the next motion\n");
	return RV_OK;
}

/* What a motion came to, for the user; the stop itself the stub announces. */
static int arrived(struct monitor *m, int rc, const struct debug_stop *stop)
{
	m->moved = true;
	if (rc != RV_OK) {
		say(m, "failed: %s\n", rv_status_text(rc));
		return RV_OK;
	}
	if (stop->reason == DEBUG_STOP_INTERRUPT)
		say(m, "interrupted; now at ");
	else if (stop->reason == DEBUG_STOP_END)
		say(m, "the end of history; now at ");
	else if (stop->reason == DEBUG_STOP_BEGIN)
		say(m, "the begin of history; now at ");
	return cmd_when(m);
}

static int cmd_seek(struct monitor *m)
{
	struct timeline *tl = m->t->timeline;
	icount_t now = timeline_now(tl).icount;
	struct debug_stop stop = { .reason = DEBUG_STOP_STEP };
	const char *a = m->arg;
	uint64_t n;

	if (!strcmp(a, "begin"))
		n = timeline_begin(tl);
	else if (!strcmp(a, "end"))
		n = timeline_end(tl);
	else if (!strncmp(a, "vns:", 4) && number(a + 4, &n))
		return arrived(m, timeline_seek_vns(tl, n, m->poll, &stop), &stop);
	else if (a[0] == '+' && number(a + 1, &n))
		n = n > ICOUNT_MAX - now ? ICOUNT_MAX : now + n;
	else if (a[0] == '-' && number(a + 1, &n))
		n = n > now ? 0 : now - n;
	else if (!number(a, &n))
		return RV_EUSAGE;
	return arrived(m, timeline_seek(tl, n, m->poll, &stop), &stop);
}

static int cmd_run(struct monitor *m)
{
	struct debug_stop stop = { .reason = DEBUG_STOP_STEP };
	icount_t now = timeline_now(m->t->timeline).icount;
	uint64_t n;

	if (m->arg[0] == '+' && number(m->arg + 1, &n))
		n = n > ICOUNT_MAX - now ? ICOUNT_MAX : now + n;
	else if (!number(m->arg, &n))
		return RV_EUSAGE;
	return arrived(m, timeline_run_to(m->t->timeline, n, m->poll, &stop), &stop);
}

static void say_event(struct monitor *m, uint64_t i)
{
	char line[REPORT_LINE];
	if (i >= timeline_event_count(m->t->timeline))
		return;
	report_record(timeline_event(m->t->timeline, i), line);
	say(m, "next here: %s\n", line);
}

static int event_motion(struct monitor *m, int (*move)(struct timeline *, struct timeline_poll,
						       struct debug_stop *))
{
	struct debug_stop stop = { .reason = DEBUG_STOP_STEP };
	int rc = arrived(m, move(m->t->timeline, m->poll, &stop), &stop);
	if (stop.reason == DEBUG_STOP_STEP)
		say_event(m, timeline_now(m->t->timeline).seq);
	return rc;
}

static int cmd_next_event(struct monitor *m)
{
	return event_motion(m, timeline_next_event);
}

static int cmd_prev_event(struct monitor *m)
{
	return event_motion(m, timeline_prev_event);
}

static int cmd_checkpoint(struct monitor *m)
{
	int rc = timeline_checkpoint(m->t->timeline);
	if (rc == RV_EINVAL)
		say(m, "not in a diversion: it is not part of history\n");
	else if (rc != RV_OK)
		say(m, "failed: %s\n", rv_status_text(rc));
	else
		say(m, "checkpoint at icount %llu\n", ull(timeline_now(m->t->timeline).icount));
	return RV_OK;
}

struct ckpt_total {
	struct monitor *m;
	uint64_t n, recorded;
};

static void say_ckpt(void *ctx, const struct ckpt_info *info)
{
	struct ckpt_total *total = ctx;
	total->n++;
	total->recorded += info->on_disk;
	say(total->m, "icount %llu  vns %llu  %llu KiB  %s\n", ull(info->at.icount), ull(info->vns),
	    ull(info->bytes >> 10), info->on_disk ? "recorded" : "made here");
}

static int cmd_info_checkpoints(struct monitor *m)
{
	struct ckpt_total total = { .m = m };
	timeline_checkpoints(m->t->timeline, say_ckpt, &total);
	say(m, "%llu checkpoints, %llu of them recorded\n", ull(total.n), ull(total.recorded));
	return RV_OK;
}

static int cmd_delete_checkpoints(struct monitor *m)
{
	timeline_checkpoints_drop(m->t->timeline);
	say(m, "checkpoints made here are dropped; recorded ones stay\n");
	return RV_OK;
}

static int cmd_info_trace(struct monitor *m)
{
	const struct trace_manifest *f = trace_manifest(m->t->cfg.trace);
	const struct evlog_info *info = m->t->cfg.info;
	say(m, "trace     %.400s\n", trace_path(m->t->cfg.trace));
	say(m, "history   icount 0 to %llu, %s\n", ull(timeline_end(m->t->timeline)),
	    info->complete ? "complete" : "cut off");
	say(m, "events    %llu in %llu bytes of log\n", ull(timeline_event_count(m->t->timeline)),
	    ull(info->log_bytes));
	say(m, "machine   %s, %llu MiB, %u vCPU, clock %s\n", f->cpu_model, ull(f->memory >> 20), f->ncpus,
	    f->clock_virtual ? "virtual" : "host");
	say(m, "cmdline   %.400s\n", f->cmdline);
	return RV_OK;
}

/* A CR3 is written in hexadecimal, a process number in decimal: 4096 may be either. */
static int process_choose(struct monitor *m, uint64_t n)
{
	struct replay_target *t = m->t;
	struct linux_task task;

	if (m->arg[0] == '0' && m->arg[1]) {
		if (n < RV_PAGE_SIZE || n & ~BREAK_SPACE_MASK) {
			say(m, "%#llx is no CR3: that is a multiple of 0x1000; a process number is decimal\n",
			    ull(n));
			return RV_EINVAL;
		}
		t->space = n;
	} else {
		if (n > INT32_MAX) {
			say(m, "%llu is no process number, and a CR3 begins with 0x\n", ull(n));
			return RV_EINVAL;
		}
		if (!monitor_linux_find(&t->linux_layout, timeline_machine(t->timeline), (int32_t)n, &task,
					m->put, m->poll.fn, m->poll.ctx))
			return RV_EINVAL;
		say(m, "process %d, %s: ", task.pid, task.comm);
		t->space = task.cr3;
	}
	t->space_only = true;
	return RV_OK;
}

static int cmd_process(struct monitor *m)
{
	struct replay_target *t = m->t;
	struct cpu_state s;
	uint64_t n = 0;

	machine_cpu_state(timeline_machine(t->timeline), machine_current(timeline_machine(t->timeline)), &s);
	if (!strcmp(m->arg, "off")) {
		t->space_only = false;
	} else if (!strcmp(m->arg, "here")) {
		t->space_only = true;
		t->space = s.cr3 & BREAK_SPACE_MASK;
	} else if (number(m->arg, &n)) {
		if (process_choose(m, n) != RV_OK)
			return RV_OK;
	} else if (*m->arg) {
		return RV_EUSAGE;
	}
	timeline_space(t->timeline, t->space_only, t->space);
	if (t->space_only)
		say(m, "only the address space with CR3 %#llx; the current CR3 is %#llx\n", ull(t->space),
		    ull(s.cr3 & BREAK_SPACE_MASK));
	else
		say(m, "all address spaces; the current CR3 is %#llx\n", ull(s.cr3 & BREAK_SPACE_MASK));
	return RV_OK;
}

static int cmd_hits(struct monitor *m)
{
	struct timeline_hits hits = timeline_hits(m->t->timeline);
	say(m, "breakpoints met in the last continue: %llu, with their condition true: %llu\n", ull(hits.met),
	    ull(hits.wanted));
	return RV_OK;
}

static int cmd_linux(struct monitor *m)
{
	return monitor_linux_set(&m->t->linux_layout, m->arg, m->put, m->poll.ctx);
}

static int cmd_ps(struct monitor *m)
{
	return monitor_linux_ps(&m->t->linux_layout, timeline_machine(m->t->timeline), m->put, m->poll.fn,
				m->poll.ctx);
}

static int cmd_digest(struct monitor *m)
{
	char hex[33];
	digest_hex(machine_digest(timeline_machine(m->t->timeline)), hex);
	say(m, "icount %llu digest %s\n", ull(timeline_now(m->t->timeline).icount), hex);
	return RV_OK;
}

static const struct monitor_cmd {
	const char *name, *arg, *help;
	int (*run)(struct monitor *m);
} monitor_cmds[] = {
	{ "help", "", "this list", cmd_help },
	{ "when", "", "the position: icount, events applied, virtual time", cmd_when },
	{ "seek", "ICOUNT|+N|-N|vns:NS|begin|end", "go there", cmd_seek },
	{ "run", "ICOUNT|+N", "run forward to there, or to a breakpoint before", cmd_run },
	{ "next-event", "", "forward to the next input of the recording", cmd_next_event },
	{ "prev-event", "", "back to the one before", cmd_prev_event },
	{ "checkpoint", "", "make a checkpoint here: coming back will be fast", cmd_checkpoint },
	{ "info checkpoints", "", "list them", cmd_info_checkpoints },
	{ "delete checkpoints", "", "drop those made in this session", cmd_delete_checkpoints },
	{ "info trace", "", "what was recorded", cmd_info_trace },
	{ "process", "CR3|PID|here|off", "breakpoints, watchpoints and steps in one address space only",
	  cmd_process },
	{ "hits", "", "how often the last continue met breakpoints", cmd_hits },
	{ "ps", "", "the guest's processes (`linux` first)", cmd_ps },
	{ "linux", MONITOR_LINUX_ARGS, "where the kernel keeps its tasks (the script's rv-linux knows)",
	  cmd_linux },
	{ "digest", "", "digest of the whole state", cmd_digest },
};

static int cmd_help(struct monitor *m)
{
	for (size_t i = 0; i < RV_ARRAY_LEN(monitor_cmds); i++) {
		char left[96];
		snprintf(left, sizeof(left), "%s%s%s", monitor_cmds[i].name, *monitor_cmds[i].arg ? " " : "",
			 monitor_cmds[i].arg);
		say(m, "%-34s %s\n", left, monitor_cmds[i].help);
	}
	return RV_OK;
}

int replay_target_monitor(struct debug_target *base, const char *line,
			  void (*put)(void *ctx, const char *text), bool (*poll)(void *ctx), void *ctx,
			  bool *moved)
{
	struct monitor m = { .t = (struct replay_target *)base, .put = put, .poll = { poll, ctx } };
	char words[256];
	size_t n = 0;
	int rc = RV_EUSAGE;

	/* One blank between words, none at the ends. */
	for (const char *p = line; *p && n < sizeof(words) - 1; p++) {
		bool blank = *p == ' ' || *p == '\t' || *p == '\r' || *p == '\n';
		if (!blank)
			words[n++] = *p;
		else if (n && words[n - 1] != ' ')
			words[n++] = ' ';
	}
	while (n && words[n - 1] == ' ')
		n--;
	words[n] = 0;
	*moved = false;
	if (!n)
		return cmd_help(&m);
	for (size_t i = 0; i < RV_ARRAY_LEN(monitor_cmds); i++) {
		size_t len = strlen(monitor_cmds[i].name);
		if (strncmp(words, monitor_cmds[i].name, len) != 0 || (words[len] && words[len] != ' '))
			continue;
		if (words[len] && !*monitor_cmds[i].arg)
			continue;
		m.arg = words[len] ? words + len + 1 : "";
		rc = monitor_cmds[i].run(&m);
		if (rc == RV_EUSAGE)
			say(&m, "usage: monitor %s %s\n", monitor_cmds[i].name, monitor_cmds[i].arg);
		break;
	}
	if (m.t->cfg.motion_done)
		m.t->cfg.motion_done(m.t->cfg.ctx);
	*moved = m.moved;
	return rc;
}
