/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Motion: what resumes the machine, forwards and backwards, and the stop
 * replies (GDB manual, E.2, E.3). All vCPUs run when one does; a thread id
 * chooses the vCPU that a step is for. Signals mean nothing to a machine.
 */
#include <ctype.h>
#include <stdio.h>

#include "regs.h"
#include "stub.h"

#define MOTION_SEEK_MAX 32u

static void motion_stop_reply(struct gdbstub *s)
{
	static const char *const watch[] = {
		[DEBUG_WATCH_WRITE] = "watch",
		[DEBUG_WATCH_READ] = "rwatch",
		[DEBUG_WATCH_ACCESS] = "awatch",
	};
	struct reply *r = &s->reply;

	reply_clear(r);
	if (s->stop.reason == DEBUG_STOP_EXITED) {
		reply_text(r, "W00");
		return;
	}
	reply_text(r, "T%02xthread:%x;", s->signal, s->stop.cpu + 1);
	if (s->stop.reason == DEBUG_STOP_BEGIN)
		reply_text(r, "replaylog:begin;");
	if (s->stop.reason == DEBUG_STOP_END)
		reply_text(r, "replaylog:end;");
	if (s->stop.reason != DEBUG_STOP_BREAK)
		return;
	if (s->stop.kind == DEBUG_BREAK_SW && s->swbreak)
		reply_text(r, "swbreak:;");
	else if (s->stop.kind == DEBUG_BREAK_HW && s->hwbreak)
		reply_text(r, "hwbreak:;");
	else if (s->stop.kind == DEBUG_WATCH_WRITE || s->stop.kind == DEBUG_WATCH_READ ||
		 s->stop.kind == DEBUG_WATCH_ACCESS)
		reply_text(r, "%s:%llx;", watch[s->stop.kind], (unsigned long long)s->stop.addr);
}

/* Takes over where the machine stopped, and answers. */
static void motion_finish(struct gdbstub *s, int rc, const struct debug_stop *stop)
{
	s->link.interrupt = false;
	s->stop = *stop;
	if (s->stop.cpu >= s->ncpus)
		s->stop.cpu = 0;
	s->signal = STUB_SIG_TRAP;
	if (rc == RV_EINTR)
		s->stop.reason = DEBUG_STOP_INTERRUPT;
	else if (rc != RV_OK) {
		stub_console(s, "retrovisor: ");
		stub_console(s, rv_status_text(rc));
		stub_console(s, "\n");
		s->stop.reason = DEBUG_STOP_STEP;
		s->signal = STUB_SIG_ABRT;
	}
	if (s->stop.reason == DEBUG_STOP_INTERRUPT)
		s->signal = STUB_SIG_INT;
	s->cpu_g = s->cpu_c = s->stop.cpu;
	if (s->stop.reason == DEBUG_STOP_EXITED) {
		s->ended = true;
		s->end = GDBSTUB_EXITED;
	}
	motion_stop_reply(s);
}

static void motion_run(struct gdbstub *s, enum debug_motion motion, unsigned cpu)
{
	struct debug_stop stop = { .reason = DEBUG_STOP_STEP, .cpu = cpu };
	int rc = s->target->ops->resume(s->target, motion, cpu, stub_poll, s, &stop);

	motion_finish(s, rc, &stop);
}

/* Steps while RIP is in [start, end), at least once: vCont;r, which spares GDB a round trip a step.
 */
static void motion_run_range(struct gdbstub *s, unsigned cpu, uint64_t start, uint64_t end)
{
	struct debug_stop stop;
	struct cpu_state state;
	int rc;

	do {
		stop = (struct debug_stop){ .reason = DEBUG_STOP_STEP, .cpu = cpu };
		rc = s->target->ops->resume(s->target, DEBUG_STEP, cpu, stub_poll, s, &stop);
		if (rc != RV_OK || stop.reason != DEBUG_STOP_STEP)
			break;
		s->target->ops->regs_get(s->target, cpu, &state);
		if (stub_poll(s))
			stop.reason = DEBUG_STOP_INTERRUPT;
	} while (stop.reason == DEBUG_STOP_STEP && state.rip >= start && state.rip < end &&
		 !breaks_at(s, state.rip));
	motion_finish(s, rc, &stop);
}

void motion_handle_why(struct gdbstub *s, struct pkt *k)
{
	(void)k;
	if (s->killed)
		reply_text(&s->reply, "W00");
	else
		motion_stop_reply(s);
}

/* c and s: an optional address to go on from. */
static void motion_resume_at(struct gdbstub *s, struct pkt *k, enum debug_motion motion)
{
	struct cpu_state state;
	uint8_t rip[8];
	uint64_t addr;

	if (!pkt_done(k)) {
		if (!pkt_hex(k, &addr) || !pkt_done(k)) {
			reply_error(&s->reply, STUB_ERR_FORM);
			return;
		}
		s->target->ops->regs_get(s->target, s->cpu_c, &state);
		le64_put(rip, addr);
		if (regs_write(&state, REGS_RIP, rip) != RV_OK ||
			s->target->ops->regs_set(s->target, s->cpu_c, &state) != RV_OK) {
			reply_error(&s->reply, STUB_ERR_VALUE);
			return;
		}
	}
	motion_run(s, motion, s->cpu_c);
}

/* C and S: a signal first, then perhaps ;address. */
static void motion_resume_signal(struct gdbstub *s, struct pkt *k, enum debug_motion motion)
{
	uint8_t signal;

	if (!pkt_bytes(k, &signal, 1) || (!pkt_done(k) && !pkt_eat(k, ';')))
		reply_error(&s->reply, STUB_ERR_FORM);
	else
		motion_resume_at(s, k, motion);
}

void motion_handle_c(struct gdbstub *s, struct pkt *k)
{
	motion_resume_at(s, k, DEBUG_CONTINUE);
}

void motion_handle_C(struct gdbstub *s, struct pkt *k)
{
	motion_resume_signal(s, k, DEBUG_CONTINUE);
}

void motion_handle_s(struct gdbstub *s, struct pkt *k)
{
	motion_resume_at(s, k, DEBUG_STEP);
}

void motion_handle_S(struct gdbstub *s, struct pkt *k)
{
	motion_resume_signal(s, k, DEBUG_STEP);
}

void motion_handle_bc(struct gdbstub *s, struct pkt *k)
{
	(void)k;
	if (s->target->ops->can_reverse(s->target))
		motion_run(s, DEBUG_REVERSE_CONTINUE, s->cpu_c);
}

void motion_handle_bs(struct gdbstub *s, struct pkt *k)
{
	(void)k;
	if (s->target->ops->can_reverse(s->target))
		motion_run(s, DEBUG_REVERSE_STEP, s->cpu_c);
}

void motion_handle_vcont_query(struct gdbstub *s, struct pkt *k)
{
	(void)k;
	reply_text(&s->reply, "vCont;c;C;s;S;r");
}

struct motion_action {
	char kind; /* c, s, r */
	unsigned cpu;
	bool any; /* no thread id, or -1 */
	uint64_t start, end;
};

/* action[:thread]. False: the error is in the reply. */
static bool motion_action_parse(struct gdbstub *s, struct pkt *k, struct motion_action *a)
{
	uint8_t signal;
	bool known = true, good = true;

	*a = (struct motion_action){ .cpu = s->stop.cpu, .any = true };
	if (pkt_eat(k, 'c')) {
		a->kind = 'c';
	} else if (pkt_eat(k, 's')) {
		a->kind = 's';
	} else if (pkt_eat(k, 'C')) {
		a->kind = 'c';
		good = pkt_bytes(k, &signal, 1);
	} else if (pkt_eat(k, 'S')) {
		a->kind = 's';
		good = pkt_bytes(k, &signal, 1);
	} else if (pkt_eat(k, 'r')) {
		a->kind = 'r';
		good = pkt_hex(k, &a->start) && pkt_eat(k, ',') && pkt_hex(k, &a->end);
	} else {
		good = false;
	}
	if (good && pkt_eat(k, ':')) {
		a->any = pkt_left(k) >= 2 && memcmp(k->p, "-1", 2) == 0;
		good = stub_thread_parse(s, k, s->stop.cpu, &a->cpu, &known);
	}
	if (!good)
		reply_error(&s->reply, known ? STUB_ERR_FORM : STUB_ERR_VALUE);
	return good;
}

/*
 * A step with a thread of its own wins: the vCPUs cannot be run apart, so the
 * others' "continue" only says that they need not stand still. Otherwise the
 * first action, which is the one for all.
 */
void motion_handle_vcont(struct gdbstub *s, struct pkt *k)
{
	struct motion_action a, chosen = { .kind = '\0' };

	do {
		if (!motion_action_parse(s, k, &a))
			return;
		if (!chosen.kind || (chosen.kind == 'c' && a.kind != 'c' && !a.any))
			chosen = a;
	} while (pkt_eat(k, ';'));
	if (!pkt_done(k)) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	if (chosen.kind == 'r')
		motion_run_range(s, chosen.cpu, chosen.start, chosen.end);
	else
		motion_run(s, chosen.kind == 's' ? DEBUG_STEP : DEBUG_CONTINUE, chosen.cpu);
}

/* Text has no place in the answer to vRun. */
static void motion_put_nothing(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

/* The target's `seek` command; what: letters and digits. */
static int motion_seek(struct gdbstub *s, const char *what)
{
	char line[MOTION_SEEK_MAX + 8];
	struct debug_stop stop = { .reason = DEBUG_STOP_STEP };
	bool moved = false;
	int rc;

	snprintf(line, sizeof(line), "seek %s", what);
	rc = s->target->ops->monitor(s->target, line, motion_put_nothing, stub_poll, s, &moved);
	if (rc != RV_OK)
		return rc;
	s->killed = false;
	s->end = GDBSTUB_DETACHED;
	motion_finish(s, RV_OK, &stop);
	return RV_OK;
}

/* file;argument...: `run` goes to the begin of history, `run ICOUNT` there. */
void motion_handle_vrun(struct gdbstub *s, struct pkt *k)
{
	char what[MOTION_SEEK_MAX + 1] = "0";
	uint8_t c;
	size_t n = 0;

	while (!pkt_done(k) && *k->p != ';') /* the file's name: the machine has but one */
		if (!pkt_bytes(k, &c, 1))
			goto malformed;
	if (pkt_eat(k, ';')) {
		for (; !pkt_done(k) && *k->p != ';'; what[n++] = (char)c)
			if (n == MOTION_SEEK_MAX || !pkt_bytes(k, &c, 1) || !isalnum(c))
				goto malformed;
		if (n == 0)
			what[n++] = '0';
		what[n] = '\0';
	}
	if (!pkt_done(k))
		goto malformed;
	if (motion_seek(s, what) != RV_OK)
		reply_error(&s->reply, STUB_ERR_VALUE);
	return;
malformed:
	reply_error(&s->reply, STUB_ERR_FORM);
}

/* Restart has no reply (E.2, `R XX`). */
void motion_handle_R(struct gdbstub *s, struct pkt *k)
{
	uint8_t unused;

	if (!pkt_bytes(k, &unused, 1) || !pkt_done(k)) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	(void)motion_seek(s, "0");
	reply_clear(&s->reply);
	s->reply.none = true;
}
