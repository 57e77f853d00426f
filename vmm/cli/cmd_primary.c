/* SPDX-License-Identifier: Apache-2.0 */
#include "base/types.h"
#include "cli.h"
#include "live_cmd.h"

static int primary_main(const struct cli_command *self, int argc, char **argv)
{
	struct machine_opts o;
	struct pair_opts pair;
	struct opt_group groups[] = {
		{ pair_opt_specs, PAIR_OPTS_PRIMARY, pair_opts_set, &pair },
		{ machine_opt_specs, machine_opt_nspecs, machine_opts_set, &o },
		{ jit_opt_specs, jit_opt_nspecs, jit_opts_set, &o.jit },
	};
	struct rv_err err = { 0 };
	int rc;

	pair_opts_init(&pair);
	machine_opts_init(&o);
	rc = opts_parse(self->name, groups, RV_ARRAY_LEN(groups), NULL, 0, argc, argv, &err);
	if (rc == 1)
		return cli_help(self);
	o.pair = &pair;
	if (rc || machine_opts_check(&o, self->name, &err) || pair_opts_check(&pair, &o, true, &err))
		return cli_fail(&err);
	return live_cmd(self->name, &o, NULL);
}

const struct cli_command cmd_primary = {
	.name = "primary",
	.usage = "--backup=HOST:PORT --psk=FILE --arbiter=SPEC MACHINE...",
	.summary = "run a machine with a hot standby on another host",
	.text = "Runs a machine and streams everything that reaches it to `retrovisor backup` on\n"
		"another host, which replays it and takes over when this one is lost: same memory,\n"
		"same disks, same MAC address, and open connections go on. What the guest sends waits\n"
		"until the backup holds all that led to it. A backup may come at any time.\n"
		"Ends with status 5 if the other half took over without being asked.",
	.options = pair_opt_specs,
	.noptions = PAIR_OPTS_PRIMARY,
	.machine_options = true,
	.jit_options = true,
	.main = primary_main,
};
