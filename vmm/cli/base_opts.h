/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --base=OLD=NEW: where a trace's disk images are now. The options of every
 * command that replays. OLD is the path that the manifest holds (`info`
 * prints it).
 */
#ifndef RV_CLI_BASE_OPTS_H
#define RV_CLI_BASE_OPTS_H

#include "opts.h"
#include "port/nondet.h"

struct base_opts {
	unsigned n;
	struct {
		const char *old_path; /* not terminated: old_len bytes */
		size_t old_len;
		const char *new_path;
	} row[DISKS_MAX];
};

extern const struct opt_spec base_opt_specs[];
extern const size_t base_opt_nspecs;
/* opt_group.set; ctx is a struct base_opts, all zero before. */
int base_opts_set(void *base_opts, int id, const char *value, struct rv_err *err);
/* The path to open for a disk that was recorded from `path`. */
const char *base_opts_path(const struct base_opts *o, const char *path);

#endif
