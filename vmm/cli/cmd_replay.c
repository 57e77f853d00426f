/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/types.h"
#include "cli.h"
#include "gdb_replay.h"
#include "parse.h"
#include "session.h"
#include "signals.h"

enum { OPT_UNTIL, OPT_GDB, OPT_NO_CONSOLE, OPT_STATS, OPT_SANDBOX };

static const struct opt_spec replay_options[] = {
	{ "until", 0, "ICOUNT", OPT_UNTIL, "stop at this instruction count" },
	{ "gdb", 0, "ADDR", OPT_GDB, "serve a debugger on unix:PATH, PORT (loopback) or HOST:PORT" },
	{ "no-console", 0, NULL, OPT_NO_CONSOLE, "do not show the guest's console" },
	{ "sandbox", 0, "on|off", OPT_SANDBOX, "seccomp and Landlock (default: on)" },
	{ "stats", 0, NULL, OPT_STATS, "print one JSON line on stderr at the end" },
};

struct replay_opts {
	const char *gdb;
	icount_t until;
	bool no_console, stats, sandbox;
	struct jit_opts jit;
	struct base_opts bases;
};

static int replay_set(void *ctx, int id, const char *value, struct rv_err *err)
{
	struct replay_opts *o = ctx;

	switch (id) {
	case OPT_UNTIL:
		if (!parse_u64(value, &o->until))
			return rv_err_set(err, RV_EUSAGE, "--until=%.80s: not a number", value);
		return 0;
	case OPT_GDB:
		o->gdb = value;
		return 0;
	case OPT_NO_CONSOLE:
		o->no_console = true;
		return 0;
	case OPT_SANDBOX:
		if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
			return rv_err_set(err, RV_EUSAGE, "--sandbox=%.80s: use on or off", value);
		o->sandbox = !strcmp(value, "on");
		return 0;
	default:
		o->stats = true;
		return 0;
	}
}

/* Where a replay that was told to stop now stands, with the digest that any other replay has there. */
static void report_position(struct session *s, const struct machine_result *result)
{
	struct machine *m = session_machine(s);
	char hex[33];

	digest_hex(machine_digest(m), hex);
	fprintf(stderr, "retrovisor: %s at icount %" PRIu64 ", vns %" PRIu64 ", digest %s\n",
		result->end == MACHINE_END_INTERRUPTED ? "interrupted" : "stopped", machine_icount(m),
		machine_vns(m), hex);
}

static bool stop_asked(void *ctx)
{
	(void)ctx;
	return signals_stop_seen() != 0;
}

/* The handler notes the signal; whoever serves the debugger looks. */
static void note_stop(void *ctx)
{
	(void)ctx;
}

/* Waits for debuggers, one after the other, until one kills the machine or a signal comes. */
static int replay_gdb(const struct replay_opts *o, const char *trace)
{
	const struct gdb_replay_cfg cfg = {
		.trace_path = trace,
		.addr = o->gdb,
		.show = !o->no_console,
		.at = "begin",
		.sandbox = o->sandbox,
		.jit = o->jit,
		.bases = o->bases,
	};
	struct gdb_replay *g = NULL;
	struct rv_err err = { 0 };
	int rc;

	signals_set_stop(note_stop, NULL);
	rc = gdb_replay_open(&g, &cfg, &err);
	if (!rc) {
		fprintf(stderr, "retrovisor: waiting for gdb on %s\n", o->gdb);
		rc = gdb_replay_serve(g, false, stop_asked, NULL, &err);
	}
	gdb_replay_close(g);
	signals_set_stop(NULL, NULL);
	return rc ? cli_fail(&err) : 0;
}

static int replay_main(const struct cli_command *self, int argc, char **argv)
{
	struct replay_opts o = { .until = ICOUNT_MAX, .sandbox = true };
	struct opt_group groups[] = {
		{ replay_options, RV_ARRAY_LEN(replay_options), replay_set, &o },
		{ jit_opt_specs, jit_opt_nspecs, jit_opts_set, &o.jit },
		{ base_opt_specs, base_opt_nspecs, base_opts_set, &o.bases },
	};
	struct opts_positional trace = { .what = "TRACE" };
	struct machine_result result = { 0 };
	struct session_replay_cfg cfg = { .profile = SANDBOX_REPLAY };
	struct session *s = NULL;
	struct rv_err err = { 0 };
	int rc;

	rc = opts_parse(self->name, groups, RV_ARRAY_LEN(groups), &trace, 1, argc, argv, &err);
	if (rc == 1)
		return cli_help(self);
	if (rc)
		return cli_fail(&err);
	if (o.gdb && o.until != ICOUNT_MAX) {
		rv_err_set(&err, RV_EUSAGE, "--until: does not go with --gdb; seek there in the debugger");
		return cli_fail(&err);
	}
	if (o.gdb)
		return replay_gdb(&o, trace.value);
	cfg.trace_path = trace.value;
	cfg.until = o.until;
	cfg.show = !o.no_console;
	cfg.sandbox = o.sandbox;
	cfg.jit = o.jit;
	cfg.bases = o.bases;
	/* Not over the guest's console on the same screen. */
	cfg.progress = o.no_console || !isatty(STDOUT_FILENO);
	rc = session_open_replay(&s, &cfg, &err);
	if (rc)
		return cli_fail(&err);
	rc = session_run(s, &result, &err);
	session_release_console(s);
	if (!rc && (result.end == MACHINE_END_INTERRUPTED ||
		    (result.end == MACHINE_END_LIMIT && o.until != ICOUNT_MAX)))
		report_position(s, &result);
	if (o.stats)
		session_print_stats(s, self->name);
	if (rc == RV_EDIVERGED)
		fputs(session_divergence(s), stderr);
	session_close(s);
	return rc ? cli_fail(&err) : 0;
}

const struct cli_command cmd_replay = {
	.name = "replay",
	.usage = "TRACE [OPTIONS]",
	.summary = "replay a recording, showing its console",
	.text = "Replays a recording exactly and shows what the guest printed. Opens no terminal,\n"
		"network or entropy. Ends with status 3 and a report if the replay diverges.",
	.options = replay_options,
	.noptions = RV_ARRAY_LEN(replay_options),
	.jit_options = true,
	.base_options = true,
	.main = replay_main,
};
