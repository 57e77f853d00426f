/* SPDX-License-Identifier: Apache-2.0 */
#include "base/types.h"
#include "cli.h"
#include "live_cmd.h"

static int run_main(const struct cli_command *self, int argc, char **argv)
{
	struct machine_opts o;
	struct opt_group groups[] = {
		{ machine_opt_specs, machine_opt_nspecs, machine_opts_set, &o },
		{ jit_opt_specs, jit_opt_nspecs, jit_opts_set, &o.jit },
	};
	struct rv_err err = { 0 };
	int rc;

	machine_opts_init(&o);
	rc = opts_parse(self->name, groups, RV_ARRAY_LEN(groups), NULL, 0, argc, argv, &err);
	if (rc == 1)
		return cli_help(self);
	if (rc || machine_opts_check(&o, self->name, &err))
		return cli_fail(&err);
	return live_cmd(self->name, &o, NULL);
}

const struct cli_command cmd_run = {
	.name = "run",
	.usage = "MACHINE...",
	.summary = "run a machine, nothing recorded",
	.text = "Runs a machine until it powers off. On a terminal, Ctrl-A x ends the run and\n"
		"Ctrl-A h lists the keys.",
	.machine_options = true,
	.jit_options = true,
	.main = run_main,
};
