/* SPDX-License-Identifier: Apache-2.0 */
#include "base/types.h"
#include "cli.h"
#include "live_cmd.h"

enum { OPT_OUTPUT };

static const struct opt_spec record_options[] = {
	{ "output", 'o', "TRACE", OPT_OUTPUT, "directory to create (required)" },
};

static int record_set(void *ctx, int id, const char *value, struct rv_err *err)
{
	const char **output = ctx;

	(void)id; /* there is one option */
	(void)err;
	*output = value;
	return 0;
}

static int record_main(const struct cli_command *self, int argc, char **argv)
{
	const char *output = NULL;
	struct machine_opts o;
	struct opt_group groups[] = {
		{ record_options, RV_ARRAY_LEN(record_options), record_set, &output },
		{ machine_opt_specs, machine_opt_nspecs, machine_opts_set, &o },
		{ jit_opt_specs, jit_opt_nspecs, jit_opts_set, &o.jit },
	};
	struct rv_err err = { 0 };
	int rc;

	machine_opts_init(&o);
	rc = opts_parse(self->name, groups, RV_ARRAY_LEN(groups), NULL, 0, argc, argv, &err);
	if (rc == 1)
		return cli_help(self);
	if (!rc && !output)
		rc = rv_err_set(&err, RV_EUSAGE,
				"record: -o TRACE is missing; see 'retrovisor help record'");
	if (rc || machine_opts_check(&o, self->name, &err))
		return cli_fail(&err);
	return live_cmd(self->name, &o, output);
}

const struct cli_command cmd_record = {
	.name = "record",
	.usage = "-o TRACE MACHINE...",
	.summary = "run a machine and record it",
	.text = "Runs a machine and writes everything that a replay needs into the new directory\n"
		"TRACE, with copies of kernel, initrd and command line. Killed at any moment, what\n"
		"was written so far replays.",
	.options = record_options,
	.noptions = RV_ARRAY_LEN(record_options),
	.machine_options = true,
	.jit_options = true,
	.main = record_main,
};
