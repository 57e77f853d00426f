/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --metrics=ADDR: figures in the OpenMetrics text format, over HTTP, on a unix
 * socket (unix:PATH) or a TCP port of loopback. One client at a time, each with
 * two seconds; a thread of its own.
 */
#ifndef RV_CLI_METRICS_H
#define RV_CLI_METRICS_H

#include "base/bytes.h"
#include "base/status.h"

struct metrics;
struct metrics_cfg {
	const char *addr; /* unix:PATH, PORT, or HOST:PORT where HOST is loopback */
	/* The metrics' thread: appends what metrics_put() makes. */
	void (*render)(void *ctx, struct bytes *out);
	void *ctx;
};
/* Binds (a unix socket with mode 0600; a stale one is replaced). No thread yet. RV_EUSAGE, RV_EEXIST, ... */
int metrics_create(struct metrics **out, const struct metrics_cfg *cfg, struct rv_err *err);
int metrics_start(struct metrics *m, struct rv_err *err);
void metrics_destroy(struct metrics *m); /* NULL is fine */

/* One family with one sample. type: "gauge" or "counter" (whose sample is NAME_total). */
void metrics_put(struct bytes *out, const char *name, const char *type, const char *help, double value);
/* An OpenMetrics StateSet: one sample for each of n texts, 1 for the current one. */
void metrics_put_state(struct bytes *out, const char *name, const char *help, const char *(*text)(unsigned), unsigned n,
		       unsigned current);

#endif
