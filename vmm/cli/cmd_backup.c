/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/types.h"
#include "cli.h"
#include "live_cmd.h"
#include "signals.h"

static int backup_check(struct machine_opts *o, struct rv_err *err)
{
	if (o->kernel || o->initrd || o->seed_given || o->date_given || o->chaos || o->cpus != 1 ||
	    o->memory != 512ull << 20)
		return rv_err_set(err, RV_EUSAGE, "backup: what the machine is (--kernel, --memory, --cpus ...) comes "
				  "from the primary; give --disk, --net, --serial, --hvc, --ctl");
	return device_opts_finish(&o->devices, 1, err);
}

static void forward_stop(void *ctx)
{
	const pid_t *child = ctx;

	if (*child > 0)
		kill(*child, SIGTERM);
}

/* One pairing, in a process of its own: what it ends with. Each begins from nothing, behind a fence of its own. */
static int one_pairing(const char *command, struct machine_opts *o, bool *stopped)
{
	static pid_t child; /* for the signal handler */
	const pid_t parent = getpid();
	int status = 0;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		signals_set_stop(NULL, NULL);
		exit(live_cmd(command, o, NULL));
	}
	signals_set_stop(forward_stop, &child);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	*stopped = signals_stop_seen() || child < 0;
	signals_set_stop(NULL, NULL);
	if (child < 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int backup_main(const struct cli_command *self, int argc, char **argv)
{
	const struct timespec pause = { .tv_nsec = 200000000 };
	struct machine_opts o;
	struct pair_opts pair;
	struct opt_group groups[] = {
		{ pair_opt_specs, PAIR_OPTS, pair_opts_set, &pair },
		{ machine_opt_specs, machine_opt_nspecs, machine_opts_set, &o },
		{ jit_opt_specs, jit_opt_nspecs, jit_opts_set, &o.jit },
	};
	struct rv_err err = { 0 };
	bool stopped = false;
	int rc;

	pair_opts_init(&pair);
	machine_opts_init(&o);
	rc = opts_parse(self->name, groups, RV_ARRAY_LEN(groups), NULL, 0, argc, argv, &err);
	if (rc == 1)
		return cli_help(self);
	o.pair = &pair;
	if (rc || backup_check(&o, &err) || pair_opts_check(&pair, &o, false, &err))
		return cli_fail(&err);
	for (;;) {
		int status = one_pairing(self->name, &o, &stopped);

		/* Lost its primary too early, or lost what it had taken over: a backup again. So after a crash, and after
		 * a divergence, of which it has told: a new copy of the machine is better than none. */
		if (stopped || (status != rv_status_exit(RV_EHALTED) && status != rv_status_exit(RV_EDIVERGED) && status < 128))
			return stopped && status == rv_status_exit(RV_EHALTED) ? 0 : status;
		if (status >= 128)
			fprintf(stderr, "retrovisor: backup: its process died of signal %d\n", status - 128);
		nanosleep(&pause, NULL);
	}
}

const struct cli_command cmd_backup = {
	.name = "backup",
	.usage = "--listen=HOST:PORT --psk=FILE --arbiter=SPEC [--backup=HOST:PORT] [OPTIONS]",
	.summary = "be the hot standby of a machine on another host",
	.text = "Waits for a `retrovisor primary`, takes its machine in while that runs, and replays\n"
		"it. When the primary is lost, or hands over, the machine goes on here, and takes a\n"
		"backup of its own from --backup. What the machine is comes from the primary; where\n"
		"its devices lead to on this host is said here: one --disk for each, a copy of the same\n"
		"image, and one --net=tap:NAME. Goes on waiting, one primary after the other, until it\n"
		"is stopped.",
	.options = pair_opt_specs,
	.noptions = PAIR_OPTS,
	.machine_options = true,
	.jit_options = true,
	.main = backup_main,
};
