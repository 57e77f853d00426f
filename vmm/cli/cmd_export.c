/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "export.h"
#include "session.h"

enum { OPT_PCAP, OPT_CONSOLE, OPT_TIMELINE };

static const struct opt_spec export_options[] = {
	{ "pcap", 0, "F", OPT_PCAP, "all packets, both ways, as pcapng (Wireshark)" },
	{ "console", 0, "F", OPT_CONSOLE, "what the guest printed on its serial port; - for stdout" },
	{ "timeline", 0, "F.html", OPT_TIMELINE, "a page that shows what happened when" },
};

struct export {
	const char *path[3]; /* by option; NULL: not wanted */
	FILE *file[3];
	struct base_opts bases;
	struct jit_opts jit;
	struct export_page *page;
	struct session *session;
	int64_t date;
};

static int export_set(void *ctx, int id, const char *value, struct rv_err *err)
{
	(void)err;
	((struct export *)ctx)->path[id] = value;
	return 0;
}

/* ---- fed by the replay ---- */

static uint64_t utc(const struct export *e, vns_t vns)
{
	return (uint64_t)e->date + vns;
}

static void on_question(void *ctx, const struct nd_query *q)
{
	struct export *e = ctx;

	if (e->page)
		export_page_at(e->page, q->icount, q->vns);
}

static void on_event(void *ctx, const struct nd_query *q, const struct nd_event *ev)
{
	struct export *e = ctx;
	vns_t vns = ev->in_halt ? ev->vns : q->vns;

	if (e->page)
		export_page_event(e->page, vns, ev->kind, ev->len);
	if (e->file[OPT_PCAP] && ev->kind == ND_NET)
		export_pcap_frame(e->file[OPT_PCAP], ev->instance, false, utc(e, vns), ev->data, ev->len);
}

static void on_output(void *ctx, vns_t vns, enum out_kind kind, unsigned instance, const void *data, size_t len)
{
	struct export *e = ctx;

	if (e->page)
		export_page_output(e->page, vns, kind, instance, data, len);
	if (e->file[OPT_PCAP] && kind == OUT_NET)
		export_pcap_frame(e->file[OPT_PCAP], instance, true, utc(e, vns), data, len);
	if (e->file[OPT_CONSOLE] && kind == OUT_CONSOLE && instance == CONSOLE_SERIAL)
		fwrite(data, 1, len, e->file[OPT_CONSOLE]);
}

static void on_mark(void *ctx, struct machine *m)
{
	struct export *e = ctx;

	if (e->page)
		export_page_digest(e->page, machine_vns(m));
}

/* ---- files ---- */

static int open_files(struct export *e, struct rv_err *err)
{
	for (unsigned i = 0; i < RV_ARRAY_LEN(e->path); i++) {
		if (!e->path[i])
			continue;
		if (i == OPT_CONSOLE && !strcmp(e->path[i], "-"))
			e->file[i] = stdout;
		else
			e->file[i] = fopen(e->path[i], "wbxe");
		if (!e->file[i])
			return rv_err_set(err, rv_status_from_errno(errno), "%.300s: %s", e->path[i],
					  strerror(errno));
	}
	if (e->path[OPT_TIMELINE] && !(e->page = export_page_create()))
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	return 0;
}

static int close_files(struct export *e, struct rv_err *err)
{
	int rc = 0;

	for (unsigned i = 0; i < RV_ARRAY_LEN(e->path); i++) {
		bool bad;

		if (!e->file[i])
			continue;
		bad = fflush(e->file[i]) != 0 || ferror(e->file[i]);
		if (e->file[i] != stdout)
			bad |= fclose(e->file[i]) != 0;
		if (bad && !rc)
			rc = rv_err_set(err, rv_status_from_errno(errno), "%.300s: %s", e->path[i],
					errno ? strerror(errno) : "could not be written");
	}
	return rc;
}

/* Marks and checkpoints stand beside the history: the page gets them beforehand. */
static int note_sides(struct export *e, struct rv_err *err)
{
	struct evlog_record rec;
	struct evlog_reader *r = NULL;
	int rc = evlog_reader_open(&r, session_trace(e->session), err), more = 1;

	while (!rc && more > 0) {
		more = evlog_reader_next(r, &rec, err);
		if (more > 0 && rec.kind == EVLOG_MARK)
			export_page_note(e->page, rec.at.icount, rec.data, rec.len);
	}
	evlog_reader_close(r);
	if (rc || more < 0)
		return rc ? rc : more;
	return session_each_checkpoint(e->session, (void (*)(void *, const struct ckpt_info *))export_page_ckpt,
				       e->page, err);
}

static int run(struct export *e, const char *trace, struct rv_err *err)
{
	const struct session_tap tap = { on_question, on_event, on_output, on_mark, e };
	const struct session_replay_cfg cfg = { .trace_path = trace,
						.until = ICOUNT_MAX,
						.tap = &tap,
						.jit = e->jit,
						.bases = e->bases,
						.progress = true };
	struct machine_result result;
	int rc = session_open_replay(&e->session, &cfg, err), page_rc = 0;

	if (rc)
		return rc;
	e->date = trace_manifest(session_trace(e->session))->date;
	if (e->file[OPT_PCAP])
		export_pcap_begin(e->file[OPT_PCAP], trace_manifest(session_trace(e->session)));
	if (e->page)
		rc = note_sides(e, err);
	if (!rc)
		rc = session_run(e->session, &result, err);
	/* A divergence is what one would look at such a page for. */
	if (e->page && (!rc || rc == RV_EDIVERGED))
		page_rc = export_page_write(e->page, e->file[OPT_TIMELINE], session_trace(e->session),
					    rc ? session_divergence(e->session) : NULL);
	return rc ? rc : page_rc ? rv_err_set(err, page_rc, "out of memory for the page") : 0;
}

static int export_main(const struct cli_command *self, int argc, char **argv)
{
	struct export e = { .page = NULL };
	struct opt_group groups[] = {
		{ export_options, RV_ARRAY_LEN(export_options), export_set, &e },
		{ jit_opt_specs, jit_opt_nspecs, jit_opts_set, &e.jit },
		{ base_opt_specs, base_opt_nspecs, base_opts_set, &e.bases },
	};
	struct opts_positional trace = { .what = "TRACE" };
	struct rv_err err = { 0 }, close_err = { 0 };
	int rc = opts_parse(self->name, groups, RV_ARRAY_LEN(groups), &trace, 1, argc, argv, &err), close_rc;

	if (rc == 1)
		return cli_help(self);
	if (!rc && !e.path[0] && !e.path[1] && !e.path[2])
		rc = rv_err_set(&err, RV_EUSAGE, "export: what? use --pcap=F, --console=F or --timeline=F.html");
	if (!rc)
		rc = open_files(&e, &err);
	if (!rc)
		rc = run(&e, trace.value, &err);
	session_close(e.session);
	export_page_destroy(e.page);
	close_rc = close_files(&e, &close_err);
	if (rc)
		return cli_fail(&err);
	return close_rc ? cli_fail(&close_err) : 0;
}

const struct cli_command cmd_export = {
	.name = "export",
	.usage = "TRACE --pcap=F|--console=F|--timeline=F.html",
	.summary = "packets, console or a timeline of a recording",
	.text = "Replays a recording and writes what people look at with other tools. Files must not\n"
		"be there yet. Several at once cost one replay.",
	.options = export_options,
	.noptions = RV_ARRAY_LEN(export_options),
	.jit_options = true,
	.base_options = true,
	.main = export_main,
};
