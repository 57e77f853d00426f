/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option parsing from tables: --name=VALUE, --name VALUE, -n VALUE, flags, and
 * positional arguments anywhere; "--" ends the options. No abbreviations: a
 * script must not change its meaning when an option is added.
 */
#ifndef RV_CLI_OPTS_H
#define RV_CLI_OPTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct opt_spec {
	const char *name;
	char letter;      /* 0: none */
	const char *arg;  /* NULL: a flag; "[=X]": its value may be left out */
	int id;
	const char *help;
};

struct opt_group {
	const struct opt_spec *specs;
	size_t n;
	/* Takes one option. value is NULL for a flag. Returns 0 or RV_EUSAGE with a message. */
	int (*set)(void *ctx, int id, const char *value, struct rv_err *err);
	void *ctx;
};

struct opts_positional {
	const char *what; /* "TRACE", for messages */
	const char *value; /* out; NULL when absent */
};

/* Returns 0, 1 if --help was asked for, or RV_EUSAGE with a message that names command and option. */
int opts_parse(const char *command, const struct opt_group *groups, size_t ngroups,
	       struct opts_positional *pos, size_t npos, int argc, char **argv, struct rv_err *err);

/* The candidate nearest to word by edit distance, or NULL if none is near. */
const char *opts_nearest(const char *word, const char *const *candidates, size_t n);

#endif
