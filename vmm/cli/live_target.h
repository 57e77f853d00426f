/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A live machine as a debug_target: `--gdb` on run and record. Motions are
 * slices of machine_run(); there is no way back. While the debugger looks,
 * virtual time stands still; what it writes enters through the inbound port,
 * so that a recording has it as an event.
 */
#ifndef RV_CLI_LIVE_TARGET_H
#define RV_CLI_LIVE_TARGET_H

#include "gdbstub/debug_target.h"
#include "machine/machine.h"
#include "port/live.h"

struct live_target;

/* Borrows all three. limits: those of the whole run. */
int live_target_create(struct live_target **out, struct machine *m, struct live *live,
		       const struct machine_limits *limits);
void live_target_destroy(struct live_target *t);
struct debug_target *live_target_base(struct live_target *t);

/* Runs until poll() (asked at least every 50 ms) or the end: then true, with what machine_run() gave. */
bool live_target_run(struct live_target *t, bool (*poll)(void *ctx), void *ctx);
/* How the run ended: valid once a motion said DEBUG_STOP_EXITED, or live_target_run() true. */
int live_target_result(const struct live_target *t, struct machine_result *result);

#endif
