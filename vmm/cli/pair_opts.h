/* SPDX-License-Identifier: Apache-2.0 */
/* --backup, --listen, --psk ...: one half of a hot-standby pair, from the command line. */
#ifndef RV_CLI_PAIR_OPTS_H
#define RV_CLI_PAIR_OPTS_H

#include "ft/channel.h"
#include "opts.h"

struct pair_opts {
	const char *backup;  /* where the other half listens; NULL: nowhere */
	const char *listen;  /* a backup: where we do */
	const char *arbiter, *pair;
	const char *fence;   /* a command that cuts the other half off shared storage; NULL: none */
	struct channel_auth_cfg auth;
	unsigned timeout_ms, max_lag_ms;
	const char *metrics; /* where figures can be read; NULL: nowhere */
};

#define PAIR_OPTS 12u
#define PAIR_OPTS_PRIMARY (PAIR_OPTS - 1) /* the last, --listen, is a backup's alone */
extern const struct opt_spec pair_opt_specs[PAIR_OPTS];
void pair_opts_init(struct pair_opts *o);
int pair_opts_set(void *pair_opts, int id, const char *value, struct rv_err *err);
struct machine_opts;
/* What is missing, and what of a machine no pair can have. */
int pair_opts_check(const struct pair_opts *o, const struct machine_opts *m, bool primary, struct rv_err *err);

#endif
