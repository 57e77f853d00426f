/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/types.h"
#include "base_opts.h"
#include "cli.h"
#include "machine_opts.h"
#include "signals.h"
#include "text.h"

static const struct cli_command *const commands[] = {
	&cmd_run, &cmd_record, &cmd_replay, &cmd_verify, &cmd_info, &cmd_dump, &cmd_debug,
	&cmd_ctl, &cmd_resume, &cmd_export, &cmd_pack, &cmd_unpack, &cmd_primary, &cmd_backup,
};

int cli_fail(const struct rv_err *err)
{
	fputs("retrovisor: ", stderr);
	/* One line, whatever a file name or a trace put into it; quotes stay as they are. */
	for (const char *p = err->text; *p; p++) {
		if (*p == '"')
			fputc('"', stderr);
		else
			text_print_escaped(stderr, p, 1);
	}
	fputc('\n', stderr);
	return rv_status_exit(err->code);
}

int cli_finish_stdout(int status)
{
	struct rv_err err;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	rv_err_set(&err, RV_EIO, "standard output: %s", strerror(errno));
	return status ? status : cli_fail(&err);
}

static void print_options(const char *title, const struct opt_spec *specs, size_t n)
{
	printf("\n%s:\n", title);
	for (size_t i = 0; i < n; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", specs[i].letter ? "-" : " ",
			 specs[i].letter ? specs[i].letter : ' ', specs[i].letter ? ", " : "  ",
			 specs[i].name, specs[i].arg && specs[i].arg[0] != '[' ? "=" : "",
			 specs[i].arg ? specs[i].arg : "");
		printf("  %-26s %s\n", left, specs[i].help);
	}
}

int cli_help(const struct cli_command *cmd)
{
	printf("usage: retrovisor %s %s\n\n%s\n", cmd->name, cmd->usage, cmd->text);
	if (cmd->noptions)
		print_options("Options", cmd->options, cmd->noptions);
	if (cmd->machine_options)
		print_options("MACHINE", machine_opt_specs, machine_opt_nspecs);
	if (cmd->base_options)
		print_options("Disks", base_opt_specs, base_opt_nspecs);
	if (cmd->jit_options)
		print_options("Speed, never what the guest sees", jit_opt_specs, jit_opt_nspecs);
	return cli_finish_stdout(0);
}

static int help_all(void)
{
	puts("usage: retrovisor COMMAND ...\n\n"
	     "Runs a virtual machine, records everything nondeterministic that reaches it, and\n"
	     "replays it exactly.\n");
	for (size_t i = 0; i < RV_ARRAY_LEN(commands); i++)
		printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	puts("  help     the options of one command: retrovisor help COMMAND\n\n"
	     "Exit status: 0 done; 1 failed; 2 usage; 3 divergence; 4 trace damaged; under run and\n"
	     "record, for a guest that left through isa-debug-exit: 128 | its code & 127; primary and\n"
	     "backup: 5 the other half of the pair is live.");
	return cli_finish_stdout(0);
}

static const struct cli_command *find_command(const char *name, struct rv_err *err)
{
	const char *names[RV_ARRAY_LEN(commands)];
	const char *near;

	for (size_t i = 0; i < RV_ARRAY_LEN(commands); i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
		names[i] = commands[i]->name;
	}
	near = opts_nearest(name, names, RV_ARRAY_LEN(names));
	if (near)
		rv_err_set(err, RV_EUSAGE,
			   "unknown command '%.80s' (did you mean %s?); see 'retrovisor --help'", name,
			   near);
	else
		rv_err_set(err, RV_EUSAGE, "unknown command '%.80s'; see 'retrovisor --help'", name);
	return NULL;
}

/* Descriptors 0 to 2 always exist, so that a trace or an eventfd can never become "stdout". */
static void open_standard_fds(void)
{
	for (;;) {
		int fd = open("/dev/null", O_RDWR);

		if (fd < 0)
			return;
		if (fd > STDERR_FILENO) {
			close(fd);
			return;
		}
	}
}

int main(int argc, char **argv)
{
	const struct cli_command *cmd;
	struct rv_err err;

	open_standard_fds();
	signals_install();
	if (argc < 2) {
		rv_err_set(&err, RV_EUSAGE, "a command is missing; see 'retrovisor --help'");
		return cli_fail(&err);
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help_all();
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("retrovisor %s\n", RV_VERSION);
		return cli_finish_stdout(0);
	}
	if (!strcmp(argv[1], "help")) {
		if (argc == 2)
			return help_all();
		cmd = find_command(argv[2], &err);
		return cmd ? cli_help(cmd) : cli_fail(&err);
	}
	cmd = find_command(argv[1], &err);
	return cmd ? cmd->main(cmd, argc - 1, argv + 1) : cli_fail(&err);
}
