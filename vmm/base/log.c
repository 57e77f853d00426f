/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Set once before threads start: see log.h for why this one exception exists. */
static enum rv_log_level log_level = RV_LOG_WARN;

void rv_log_set_level(enum rv_log_level level)
{
	log_level = level;
}

void rv_log(enum rv_log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	if (level > log_level)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "retrovisor: %s\n", line);
}

_Noreturn void rv_assert_fail(const char *cond, const char *file, int line)
{
	fprintf(stderr, "retrovisor: assertion failed: %s (%s:%d)\n", cond, file, line);
	abort();
}
