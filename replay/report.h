/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people about a divergence. */
#ifndef RV_REPLAY_REPORT_H
#define RV_REPLAY_REPORT_H

#include "base/bytes.h"
#include "record/evlog.h"

#define REPORT_LINE 256

/* One record as one line, control bytes escaped, no newline. */
void report_record(const struct evlog_record *rec, char out[REPORT_LINE]);
/* printf to the end of b, which is always NUL-terminated afterwards (unless b->failed). */
void report_printf(struct bytes *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Digests and registers of both sides, differing lines marked with '*'. Either may be NULL. */
void report_sides(struct bytes *b, const struct evlog_digest *recorded,
		  const struct evlog_digest *replayed);

#endif
