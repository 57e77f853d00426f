/* SPDX-License-Identifier: Apache-2.0 */
#include "live_cmd.h"

#include <stdio.h>

#include "cli.h"
#include "session.h"

/* The exit status of a run that ended by itself, with a remark where the reason is not plain to see. */
static int end_status(const struct machine_result *result,
		      icount_t icount, struct rv_err *err)
{
	switch (result->end) {
	case MACHINE_END_DEBUG_EXIT:
		return 128 | (int)(result->code & 127u);
	case MACHINE_END_TRIPLE_FAULT:
		rv_err_set(err, RV_EGUEST, "the guest died of a triple fault at icount %llu",
			   (unsigned long long)icount);
		return cli_fail(err);
	case MACHINE_END_HUNG:
		fprintf(stderr, "retrovisor: the guest halted for ever (interrupts off) at icount %llu\n",
			(unsigned long long)icount);
		return 0;
	default:
		return 0;
	}
}

int live_cmd(const char *command, struct machine_opts *o, const char *trace_path)
{
	struct machine_result result = { 0 };
	struct session *s = NULL;
	struct rv_err err = { 0 };
	icount_t icount;
	int rc;

	rc = o->pair && o->pair->listen ? session_open_backup(&s, o, &err) : session_open_live(&s, o, trace_path, &err);
	if (rc)
		return cli_fail(&err);
	rc = session_run(s, &result, &err);
	icount = machine_icount(session_machine(s));
	if (o->stats) {
		/* After the terminal is back in its mode, but before the machine is gone. */
		session_release_console(s);
		session_print_stats(s, command);
	}
	session_close(s);
	if (rc)
		return cli_fail(&err);
	return end_status(&result, icount, &err);
}
