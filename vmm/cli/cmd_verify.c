/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/types.h"
#include "cli.h"
#include "session.h"

enum { OPT_STATS, OPT_SANDBOX };

static const struct opt_spec verify_options[] = {
	{ "sandbox", 0, "on|off", OPT_SANDBOX, "seccomp and Landlock (default: on)" },
	{ "stats", 0, NULL, OPT_STATS, "print one JSON line on stderr at the end" },
};

struct verify_opts {
	bool stats, sandbox;
	struct jit_opts jit;
	struct base_opts bases;
};

static int verify_set(void *ctx, int id, const char *value, struct rv_err *err)
{
	struct verify_opts *o = ctx;

	if (id == OPT_STATS) {
		o->stats = true;
		return 0;
	}
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return rv_err_set(err, RV_EUSAGE, "--sandbox=%.80s: use on or off", value);
	o->sandbox = !strcmp(value, "on");
	return 0;
}

static void summary(struct session *s, const char *path, uint64_t ckpts)
{
	const struct evlog_info *info = session_log_info(s);
	struct machine *m = session_machine(s);
	uint64_t events = 0;
	char hex[33];

	for (unsigned kind = 0; kind < EVLOG_DIGEST; kind++)
		events += info->count[kind];
	digest_hex(machine_digest(m), hex);
	printf("%s: %s\n", path,
	       info->complete ? "verified" : "verified up to where the recording was cut off");
	printf("icount %" PRIu64 ", vns %" PRIu64 ", %" PRIu64 " events, %" PRIu64
	       " digests compared, all equal, %" PRIu64 " checkpoints sound\nfinal digest %s\n",
	       machine_icount(m), machine_vns(m), events, session_digests_checked(s), ckpts, hex);
}

static int verify_main(const struct cli_command *self, int argc, char **argv)
{
	struct verify_opts o = { .sandbox = true };
	struct opt_group groups[] = {
		{ verify_options, RV_ARRAY_LEN(verify_options), verify_set, &o },
		{ jit_opt_specs, jit_opt_nspecs, jit_opts_set, &o.jit },
		{ base_opt_specs, base_opt_nspecs, base_opts_set, &o.bases },
	};
	struct opts_positional trace = { .what = "TRACE" };
	struct machine_result result = { 0 };
	struct session_replay_cfg cfg = { .profile = SANDBOX_VERIFY, .until = ICOUNT_MAX,
					  .progress = true };
	struct session *s = NULL;
	struct rv_err err = { 0 };
	uint64_t ckpts = 0;
	int rc;

	rc = opts_parse(self->name, groups, RV_ARRAY_LEN(groups), &trace, 1, argc, argv, &err);
	if (rc == 1)
		return cli_help(self);
	if (rc)
		return cli_fail(&err);
	cfg.trace_path = trace.value;
	cfg.sandbox = o.sandbox;
	cfg.jit = o.jit;
	cfg.bases = o.bases;
	rc = session_open_replay(&s, &cfg, &err);
	if (rc)
		return cli_fail(&err);
	/* Before the run: a bad file is found in a moment. */
	rc = session_check_checkpoints(s, &ckpts, &err);
	if (!rc)
		rc = session_run(s, &result, &err);
	/* An unfinished check is not a passed one. */
	if (!rc && result.end == MACHINE_END_INTERRUPTED)
		rc = rv_err_set(&err, RV_EIO, "%.300s: interrupted at icount %" PRIu64 ", not verified",
				trace.value, machine_icount(session_machine(s)));
	if (o.stats)
		session_print_stats(s, self->name);
	if (!rc)
		summary(s, trace.value, ckpts);
	if (rc == RV_EDIVERGED)
		fputs(session_divergence(s), stderr);
	session_close(s);
	return rc ? cli_fail(&err) : cli_finish_stdout(0);
}

const struct cli_command cmd_verify = {
	.name = "verify",
	.usage = "TRACE",
	.summary = "check a recording: integrity and a full replay",
	.text = "Checks every byte of the log and of the checkpoints, replays it all and compares every digest it holds.",
	.options = verify_options,
	.noptions = RV_ARRAY_LEN(verify_options),
	.jit_options = true,
	.base_options = true,
	.main = verify_main,
};
