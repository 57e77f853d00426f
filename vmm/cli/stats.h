/* SPDX-License-Identifier: Apache-2.0 */
/* The --stats line: one JSON object on stderr (stdout is the guest's console, byte for byte). */
#ifndef RV_CLI_STATS_H
#define RV_CLI_STATS_H

#include <stdint.h>

#include "machine/machine.h"

struct stats {
	uint64_t host_begin_ns, cpu_begin_ns; /* CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID */
	uint64_t host_ns, cpu_ns;             /* spent in machine_run() */
};
/* Around machine_run(), on the thread that calls it. */
void stats_begin(struct stats *s);
void stats_end(struct stats *s);
void stats_print(const struct stats *s, const char *command, const struct machine *m,
		 uint64_t log_bytes);

#endif
