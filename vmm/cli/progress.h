/* SPDX-License-Identifier: Apache-2.0 */
/* A progress line on stderr, when that is a terminal, for work of more than a second. */
#ifndef RV_CLI_PROGRESS_H
#define RV_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/types.h"

struct progress {
	bool on, shown;
	icount_t total; /* 0: unknown */
	uint64_t begin_ns, next_ns;
};
void progress_begin(struct progress *p, bool wanted, icount_t total);
void progress_update(struct progress *p, icount_t icount);
void progress_end(struct progress *p); /* wipes the line */

uint64_t progress_now_ns(void); /* CLOCK_MONOTONIC */

#endif
