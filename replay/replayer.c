/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replayer: answers the machine from the log. It looks one record ahead.
 * A record is an event (served at its position), a digest (compared in
 * replayer_mark(), which the machine calls before anything else happens at
 * that icount) or the end. Whatever does not fit is a divergence, which sticks.
 */
#include "replay/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/recorder.h"
#include "report.h"

#define NEAR 5u
/* struct evlog_end.end when the host failed: no machine_end the replay could reach. */
#define END_HOST_ERROR 255u

struct replayer {
	struct nondet nondet;
	struct output output;
	struct evlog_source *log;
	struct output *show;
	struct output_digest sent;
	int error;           /* sticky: what every later call gives */
	struct rv_err err;   /* its message */
	struct evlog_record ahead;
	bool have_ahead;
	bool at_end;         /* the log has no further record */
	struct evlog_end end; /* while `ahead` is the end record */
	uint64_t marks, checked;
	icount_t last_mark, last_good;
	char near[NEAR][REPORT_LINE]; /* the last records served or compared, a ring */
	uint64_t passed;              /* records served or compared */
	struct bytes report;
	bool sides; /* the report has the machine's registers */
};

static struct replayer *from_nondet(struct nondet *nd)
{
	return (struct replayer *)((char *)nd - offsetof(struct replayer, nondet));
}

static struct replayer *from_output(struct output *out)
{
	return (struct replayer *)((char *)out - offsetof(struct replayer, output));
}

static int replayer_fail(struct replayer *r, int code, const char *text)
{
	r->error = code;
	if (text)
		rv_err_set(&r->err, code, "%s", text);
	return code;
}

/* Fills r->ahead: 1, 0 at the end of the log, EVLOG_LATER if there is nothing yet (after waiting for what is to come up
 * to icount `at`), or a negative code. */
static int replayer_peek(struct replayer *r, bool wait, icount_t at)
{
	int rc;
	if (r->have_ahead)
		return 1;
	if (r->at_end)
		return 0;
	do
		rc = r->log->ops->next(r->log, wait, at, &r->ahead, &r->err);
	while (rc == 1 && evlog_kind_is_side(r->ahead.kind));
	if (rc == RV_EINTR)
		return rc;
	if (rc < 0)
		return replayer_fail(r, rc, NULL);
	r->at_end = rc == 0;
	r->have_ahead = rc == 1;
	if (rc == 1 && r->ahead.kind == EVLOG_END &&
	    evlog_end_decode(r->ahead.data, r->ahead.len, &r->end) != RV_OK)
		return replayer_fail(r, RV_EDAMAGED, "the trace's end record is damaged");
	return rc;
}

/* The record ahead is done with. Its data stays until the next peek. */
static void replayer_pass(struct replayer *r)
{
	report_record(&r->ahead, r->near[r->passed % NEAR]);
	r->passed++;
	r->have_ahead = false;
}

/* Makes the report and the sticky error. The sides may be NULL: in next() there is no machine to ask. */
static int replayer_diverge(struct replayer *r, icount_t icount, const struct evlog_digest *recorded,
			    const struct evlog_digest *replayed, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

static int replayer_diverge(struct replayer *r, icount_t icount, const struct evlog_digest *recorded,
			    const struct evlog_digest *replayed, const char *fmt, ...)
{
	char reason[256], line[REPORT_LINE];
	uint64_t first = r->passed > NEAR ? r->passed - NEAR : 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	bytes_clear(&r->report);
	r->sides = replayed != NULL;
	if (r->checked)
		report_printf(&r->report,
			      "replay diverged between icount %llu (last good digest) and %llu: "
			      "%s\n",
			      (unsigned long long)r->last_good, (unsigned long long)icount, reason);
	else
		report_printf(&r->report,
			      "replay diverged between icount 0 (no digest compared yet) and "
			      "%llu: %s\n",
			      (unsigned long long)icount, reason);
	if (recorded || replayed)
		report_sides(&r->report, recorded, replayed);
	report_printf(&r->report, "records before:\n");
	for (uint64_t i = first; i < r->passed; i++)
		report_printf(&r->report, "  %s\n", r->near[i % NEAR]);
	report_printf(&r->report, "records from here on:\n");
	/* The replay is over, so the reader may run ahead. */
	for (unsigned i = 0; i < NEAR && replayer_peek(r, false, 0) == 1; i++) {
		report_record(&r->ahead, line);
		report_printf(&r->report, "  %s\n", line);
		r->have_ahead = false;
	}
	r->error = RV_EDIVERGED;
	return rv_err_set(&r->err, RV_EDIVERGED,
			  "replay diverged between icount %llu and %llu: %s",
			  (unsigned long long)r->last_good, (unsigned long long)icount, reason);
}

/* Ends that the machine brings about by itself; all others come from outside. */
static bool end_is_own(uint32_t end)
{
	switch (end) {
	case MACHINE_END_POWEROFF:
	case MACHINE_END_RESET:
	case MACHINE_END_DEBUG_EXIT:
	case MACHINE_END_TRIPLE_FAULT:
	case MACHINE_END_HUNG:
		return true;
	default:
		return false;
	}
}

/* Nothing from the log happens at this boundary. */
static int replayer_none(struct replayer *r, const struct nd_query *q)
{
	if (q->halted && q->deadline == VNS_NEVER)
		return replayer_diverge(r, q->icount, NULL, NULL,
					"the machine is halted for ever, the recording goes on");
	return 0;
}

static int replayer_next_event(struct replayer *r, const struct nd_query *q, struct nd_event *ev)
{
	const struct evlog_record *rec = &r->ahead;

	if (rec->at.icount > q->icount)
		return replayer_none(r, q);
	if (rec->at.icount < q->icount)
		return replayer_diverge(r, q->icount, NULL, NULL,
					"the recorded %s at icount %llu was passed",
					evlog_kind_text(rec->kind),
					(unsigned long long)rec->at.icount);
	if (rec->at.seq != q->seq)
		return replayer_diverge(r, q->icount, NULL, NULL,
					"%llu events were applied, the recording had %llu",
					(unsigned long long)q->seq,
					(unsigned long long)rec->at.seq);
	/* Recorded in a halt, which may be about to begin at this icount; if it does not, the position
	 * is passed and found out at the next question. */
	if (!q->halted && rec->in_halt)
		return 0;
	if (q->halted) {
		if (!rec->in_halt)
			return replayer_diverge(r, q->icount, NULL, NULL,
						"the machine is halted, in the recording it ran");
		if (rec->vns < q->vns)
			return replayer_diverge(r, q->icount, NULL, NULL,
						"virtual time is %llu, in the recording %llu",
						(unsigned long long)q->vns,
						(unsigned long long)rec->vns);
		if (rec->vns >= q->deadline)
			return 0; /* the deadline comes first */
	}
	if (rec->kind == ND_CONSOLE && rec->instance < CONSOLES && rec->len > q->room[rec->instance])
		return replayer_diverge(r, q->icount, NULL, NULL,
					"%u bytes of console input do not fit the queue's %u",
					rec->len, q->room[rec->instance]);
	*ev = (struct nd_event){
		.kind = (enum nd_kind)rec->kind,
		.instance = rec->instance,
		.in_halt = rec->in_halt,
		.vns = rec->vns,
		.data = rec->data,
		.len = rec->len,
	};
	replayer_pass(r);
	return 1;
}

/* The end record is ahead: ends that the machine does not bring about by itself come from here. */
static int replayer_next_end(struct replayer *r, const struct nd_query *q)
{
	icount_t at = r->ahead.at.icount;

	if (q->icount < at)
		return replayer_none(r, q);
	if (q->icount > at)
		return replayer_diverge(r, q->icount, NULL, NULL,
					"the recording ended at icount %llu (%s)",
					(unsigned long long)at,
					r->end.end == END_HOST_ERROR ?
						"host error" :
						machine_end_text((enum machine_end)r->end.end));
	if (!end_is_own(r->end.end))
		return RV_EEND;
	if (q->halted && q->vns > r->end.final.vns)
		return replayer_diverge(r, q->icount, NULL, NULL,
					"virtual time is %llu, the recording ended at %llu",
					(unsigned long long)q->vns,
					(unsigned long long)r->end.final.vns);
	return replayer_none(r, q);
}

static int replayer_next(struct nondet *nd, const struct nd_query *q, struct nd_event *ev)
{
	struct replayer *r = from_nondet(nd);

	for (;;) {
		int rc = r->error ? r->error : replayer_peek(r, true, q->icount);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return RV_EEND;
		if (rc == EVLOG_LATER)
			return replayer_none(r, q);
		if (r->ahead.kind == EVLOG_END)
			return replayer_next_end(r, q);
		if (r->ahead.kind != EVLOG_DIGEST)
			return replayer_next_event(r, q, ev);
		if (r->ahead.at.icount > q->icount)
			return replayer_none(r, q);
		/* A caller that wants no digests compared calls no mark; one that does cannot miss one. */
		if (r->marks)
			return replayer_diverge(r, q->icount, NULL, NULL,
						"the recorded digest at icount %llu was passed",
						(unsigned long long)r->ahead.at.icount);
		replayer_pass(r);
	}
}

static icount_t replayer_horizon(struct nondet *nd, icount_t icount)
{
	struct replayer *r = from_nondet(nd);
	icount_t at = icount;

	if (!r->error) {
		/* Asked first: what is not there after that has no record below it. The other way round both may
		 * come in between, the record and the knowledge that reaches beyond it. */
		const icount_t known = r->log->ops->known(r->log);
		int rc = replayer_peek(r, false, 0);
		if (rc == 1)
			at = r->ahead.at.icount;
		else if (rc == 0 || rc == EVLOG_LATER)
			at = known;
	}
	if (at > icount)
		return at;
	return icount < ICOUNT_MAX ? icount + 1 : ICOUNT_MAX;
}

static void replayer_emit(struct output *out, icount_t icount, enum out_kind kind,
			  unsigned instance, const void *data, size_t len)
{
	struct replayer *r = from_output(out);
	output_digest_add(&r->sent, icount, kind, instance, data, len);
	if (r->show)
		output_emit(r->show, icount, kind, instance, data, len);
}

static const struct nondet_ops replayer_nondet_ops = {
	.next = replayer_next,
	.horizon = replayer_horizon,
};

static const struct output_ops replayer_output_ops = {
	.emit = replayer_emit,
};

int replayer_create(struct replayer **out, struct evlog_source *log, struct output *show)
{
	struct replayer *r = calloc(1, sizeof(*r));
	if (!r)
		return RV_ENOMEM;
	r->nondet.ops = &replayer_nondet_ops;
	r->output.ops = &replayer_output_ops;
	r->log = log;
	r->show = show;
	*out = r;
	return RV_OK;
}

void replayer_resume(struct replayer *r, const struct output_digest *sent, icount_t icount)
{
	r->sent = *sent;
	r->last_good = icount;
}

void replayer_destroy(struct replayer *r)
{
	if (!r)
		return;
	bytes_fini(&r->report);
	free(r);
}

struct nondet *replayer_nondet(struct replayer *r)
{
	return &r->nondet;
}

struct output *replayer_output(struct replayer *r)
{
	return &r->output;
}

/* Compares field by field: a digest that differs in anything it holds is another machine. */
static bool digests_match(const struct evlog_digest *a, const struct evlog_digest *b)
{
	return digest_equal(a->state, b->state) && digest_equal(a->output, b->output) &&
	       a->vns == b->vns && a->rip == b->rip && a->rflags == b->rflags && a->cr3 == b->cr3 &&
	       memcmp(a->gpr, b->gpr, sizeof(a->gpr)) == 0;
}

static int replayer_compare(struct replayer *r, struct machine *m,
			    const struct evlog_digest *recorded, const char *what)
{
	struct evlog_digest replayed;
	icount_t icount = machine_icount(m);

	recorder_digest_fill(m, &r->sent, &replayed);
	if (!digests_match(recorded, &replayed))
		return replayer_diverge(r, icount, recorded, &replayed, "%s differs", what);
	r->last_good = icount;
	r->checked++;
	return RV_OK;
}

/* A divergence found while the machine is at hand: with its side of the registers. */
static int replayer_diverge_here(struct replayer *r, struct machine *m, const char *text,
				 icount_t recorded_at)
{
	struct evlog_digest replayed;
	recorder_digest_fill(m, &r->sent, &replayed);
	return replayer_diverge(r, machine_icount(m), NULL, &replayed, "%s (icount %llu)", text,
				(unsigned long long)recorded_at);
}

int replayer_mark(void *replayer, struct machine *m)
{
	struct replayer *r = replayer;
	icount_t icount = machine_icount(m);
	struct evlog_digest recorded;
	int rc;

	if (r->error)
		return r->error;
	if (r->marks && r->last_mark == icount)
		return RV_OK;
	rc = replayer_peek(r, true, icount);
	if (rc == RV_EINTR)
		return rc;
	r->marks++;
	r->last_mark = icount;
	/* The digest of a kept history's first position may have gone with what came before it. */
	if (r->log->start.from_ckpt && icount == r->log->start.at.icount &&
	    (rc == 0 || rc == EVLOG_LATER || (rc == 1 && (r->ahead.kind != EVLOG_DIGEST || r->ahead.at.icount != icount))))
		return RV_OK;
	if (rc < 0)
		return rc;
	if (rc == 0)
		return RV_EEND;
	if (rc == EVLOG_LATER)
		return replayer_diverge_here(r, m, "the recording has no digest here", icount);
	if (r->ahead.at.icount < icount)
		return replayer_diverge_here(r, m, "a record of the log was passed",
					     r->ahead.at.icount);
	if (r->ahead.kind == EVLOG_END)
		return RV_OK;
	if (r->ahead.kind != EVLOG_DIGEST || r->ahead.at.icount != icount)
		return replayer_diverge_here(
			r, m, "the recording has no digest here, its next record is later",
			r->ahead.at.icount);
	if (evlog_digest_decode(r->ahead.data, r->ahead.len, &recorded) != RV_OK)
		return replayer_fail(r, RV_EDAMAGED, "a digest record of the trace is damaged");
	if (r->ahead.at.seq != machine_seq(m))
		return replayer_diverge_here(r, m, "another number of events was applied than at",
					     icount);
	replayer_pass(r);
	return replayer_compare(r, m, &recorded, "the state digest");
}

/* The end record is ahead and the machine stands at its icount. */
static int replayer_check_end(struct replayer *r, struct machine *m)
{
	struct evlog_end end = r->end;
	if (r->ahead.at.seq != machine_seq(m))
		return replayer_diverge_here(r, m, "another number of events was applied than at",
					     r->ahead.at.icount);
	replayer_pass(r);
	return replayer_compare(r, m, &end.final, "the final digest");
}

/* The machine came to an end of its own. */
static int replayer_check_own_end(struct replayer *r, struct machine *m,
				  const struct machine_result *result)
{
	struct evlog_digest replayed;
	int rc = replayer_peek(r, true, machine_icount(m));

	if (rc < 0)
		return rc;
	/* Behind the last record of an incomplete log anything may have happened. */
	if (rc == 0)
		return RV_OK;
	if (rc == 1 && r->ahead.kind == EVLOG_END && r->ahead.at.icount == machine_icount(m) &&
	    r->end.end == (uint32_t)result->end && r->end.code == result->code)
		return replayer_check_end(r, m);
	recorder_digest_fill(m, &r->sent, &replayed);
	return replayer_diverge(
		r, machine_icount(m), rc == 1 && r->ahead.kind == EVLOG_END ? &r->end.final : NULL, &replayed,
		"the replay ended with %s (code %u), the recording did not end so here",
		machine_end_text(result->end), result->code);
}

/* The replay was ended from outside, at a limit or a stop: faithful as far as it went. */
static int replayer_check_stop(struct replayer *r, struct machine *m)
{
	icount_t icount = machine_icount(m);
	int rc = replayer_peek(r, false, 0);

	if (rc != 1)
		return rc < 0 ? rc : RV_OK;
	if (r->ahead.at.icount < icount)
		return replayer_diverge_here(r, m, "a record of the log was passed",
					     r->ahead.at.icount);
	if (r->ahead.kind == EVLOG_END && r->ahead.at.icount == icount)
		return replayer_check_end(r, m);
	return RV_OK;
}

int replayer_finish(struct replayer *r, struct machine *m, int rc, const struct machine_result *result,
		    struct rv_err *err)
{
	if (r->error) {
		rc = r->error;
		/* Found while the port had no machine to ask: it stands where it stopped. */
		if (rc == RV_EDIVERGED && !r->sides) {
			struct evlog_digest replayed;
			recorder_digest_fill(m, &r->sent, &replayed);
			report_printf(&r->report, "the machine at icount %llu:\n",
				      (unsigned long long)machine_icount(m));
			report_sides(&r->report, NULL, &replayed);
			r->sides = true;
		}
	} else if (rc == RV_EEND || rc == RV_EINTR) {
		rc = replayer_check_stop(r, m);
	} else if (rc == RV_EDIVERGED) {
		rc = replayer_diverge_here(r, m, "the machine could not follow the log", r->last_good);
	} else if (rc == RV_OK) {
		rc = end_is_own((uint32_t)result->end) ? replayer_check_own_end(r, m, result) :
							 replayer_check_stop(r, m);
	} else {
		return rv_err_set(err, rc, "replay failed at icount %llu: %s",
				  (unsigned long long)machine_icount(m), rv_status_text(rc));
	}
	if (rc == RV_OK)
		return RV_OK;
	return rv_err_set(err, rc, "%s", r->err.text);
}

const char *replayer_report(const struct replayer *r)
{
	return r->report.len && !r->report.failed ? (const char *)r->report.data : "";
}

icount_t replayer_last_icount(const struct replayer *r)
{
	return r->log->ops->known(r->log);
}

const struct output_digest *replayer_sent(const struct replayer *r)
{
	return &r->sent;
}

uint64_t replayer_digests_checked(const struct replayer *r)
{
	return r->checked;
}
