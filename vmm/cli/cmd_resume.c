/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/types.h"
#include "base_opts.h"
#include "cli.h"
#include "live_cmd.h"
#include "record/trace.h"

enum { OPT_OUTPUT };

static const struct opt_spec resume_options[] = {
	{ "output", 'o', "TRACE", OPT_OUTPUT, "record from here on, into this new directory" },
};

static int resume_set(void *ctx, int id, const char *value, struct rv_err *err)
{
	(void)id;
	(void)err;
	*(const char **)ctx = value;
	return 0;
}

static int resume_main(const struct cli_command *self, int argc, char **argv)
{
	const char *output = NULL;
	struct machine_opts o;
	struct base_opts bases = { 0 };
	struct opt_group groups[] = {
		{ resume_options, RV_ARRAY_LEN(resume_options), resume_set, &output },
		{ machine_opt_specs, machine_opt_nspecs, machine_opts_set, &o },
		{ base_opt_specs, base_opt_nspecs, base_opts_set, &bases },
		{ jit_opt_specs, jit_opt_nspecs, jit_opts_set, &o.jit },
	};
	struct opts_positional dir = { .what = "SAVED" };
	struct trace *t = NULL;
	struct rv_err err = { 0 };
	int rc;

	machine_opts_init(&o);
	rc = opts_parse(self->name, groups, RV_ARRAY_LEN(groups), &dir, 1, argc, argv, &err);
	if (rc == 1)
		return cli_help(self);
	if (!rc)
		rc = trace_open(&t, dir.value, &err);
	if (!rc)
		rc = trace_check_supported(t, &err);
	if (!rc)
		rc = machine_opts_resume(&o, t, dir.value, &bases, &err);
	rc = rc ? cli_fail(&err) : live_cmd(self->name, &o, output);
	trace_close(t);
	return rc;
}

const struct cli_command cmd_resume = {
	.name = "resume",
	.usage = "SAVED [-o TRACE] [OPTIONS]",
	.summary = "go on with a machine that ctl save put away",
	.text = "Brings a saved machine back, live, and with -o records it from there on. What the\n"
		"machine is comes from SAVED; where its devices lead to (--serial, --net, --hvc,\n"
		"--ctl ...) is said anew. The images of its disks must be as they were; what the guest\n"
		"wrote is in SAVED, which stays as it is.",
	.options = resume_options,
	.noptions = RV_ARRAY_LEN(resume_options),
	.machine_options = true,
	.jit_options = true,
	.base_options = true,
	.main = resume_main,
};
