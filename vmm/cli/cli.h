/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line's own words. A command is a function that returns the
 * process's exit status; it reports its failure as one line on stderr through
 * cli_fail(). Nothing outside this folder prints or exits.
 */
#ifndef RV_CLI_CLI_H
#define RV_CLI_CLI_H

#include "base/status.h"
#include "opts.h"

struct cli_command {
	const char *name;
	const char *usage;   /* one line behind the name */
	const char *summary; /* for the list of commands */
	const char *text;    /* for `help COMMAND`, before the options */
	const struct opt_spec *options;
	size_t noptions;
	bool machine_options; /* takes MACHINE options too */
	bool base_options;    /* replays: takes those of base_opts.h */
	bool jit_options;     /* runs guest code: takes those of jit_opts.h */
	int (*main)(const struct cli_command *self, int argc, char **argv);
};

extern const struct cli_command cmd_run, cmd_record, cmd_replay, cmd_verify, cmd_info, cmd_dump, cmd_debug,
	cmd_ctl, cmd_resume, cmd_export, cmd_pack, cmd_unpack, cmd_primary, cmd_backup;

/* Prints "retrovisor: TEXT" on stderr (control bytes escaped) and returns the exit status of err->code. */
int cli_fail(const struct rv_err *err);
/* The help of one command on stdout; returns the exit status. */
int cli_help(const struct cli_command *cmd);
/* Flushes stdout: a full disk behind `info > file` is a failure too. Returns status, or 1 with a message. */
int cli_finish_stdout(int status);

#endif
