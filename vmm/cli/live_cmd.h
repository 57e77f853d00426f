/* SPDX-License-Identifier: Apache-2.0 */
/* What `run` and `record` share: from the parsed options to the exit status. */
#ifndef RV_CLI_LIVE_CMD_H
#define RV_CLI_LIVE_CMD_H

#include "machine_opts.h"

/* trace_path NULL: nothing is recorded: run, or half of a pair (a backup's o gets what the machine is). Returns the exit status. */
int live_cmd(const char *command, struct machine_opts *o, const char *trace_path);

#endif
