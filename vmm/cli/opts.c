/* SPDX-License-Identifier: Apache-2.0 */
#include "opts.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX 32u
#define NAMES_MAX 64u

/* Levenshtein distance of two short words; long ones are as far as can be. */
static unsigned edit_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned row[WORD_MAX + 1];

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned cost = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < cost)
				cost = row[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			row[j] = cost;
		}
	}
	return row[lb];
}

const char *opts_nearest(const char *word, const char *const *candidates, size_t n)
{
	const char *best = NULL;
	unsigned best_distance = 3; /* two typing mistakes at most */

	for (size_t i = 0; i < n; i++) {
		unsigned d = edit_distance(word, candidates[i]);

		if (d < best_distance && d < strlen(candidates[i])) {
			best = candidates[i];
			best_distance = d;
		}
	}
	return best;
}

struct found {
	const struct opt_group *group;
	const struct opt_spec *spec;
};

static struct found find_long(const struct opt_group *groups, size_t ngroups, const char *name,
			      size_t len)
{
	for (size_t g = 0; g < ngroups; g++) {
		for (size_t i = 0; i < groups[g].n; i++) {
			const struct opt_spec *spec = &groups[g].specs[i];

			if (strlen(spec->name) == len && !memcmp(spec->name, name, len))
				return (struct found){ &groups[g], spec };
		}
	}
	return (struct found){ NULL, NULL };
}

static struct found find_short(const struct opt_group *groups, size_t ngroups, char letter)
{
	for (size_t g = 0; g < ngroups; g++) {
		for (size_t i = 0; i < groups[g].n; i++) {
			if (groups[g].specs[i].letter && groups[g].specs[i].letter == letter)
				return (struct found){ &groups[g], &groups[g].specs[i] };
		}
	}
	return (struct found){ NULL, NULL };
}

static int unknown_option(const char *command, const struct opt_group *groups, size_t ngroups,
			  const char *arg, size_t len, struct rv_err *err)
{
	const char *names[NAMES_MAX];
	char word[WORD_MAX + 1];
	const char *near = NULL;
	size_t n = 0;

	for (size_t g = 0; g < ngroups; g++) {
		for (size_t i = 0; i < groups[g].n && n < NAMES_MAX; i++)
			names[n++] = groups[g].specs[i].name;
	}
	if (len > 2 && len - 2 <= WORD_MAX) {
		memcpy(word, arg + 2, len - 2);
		word[len - 2] = 0;
		near = opts_nearest(word, names, n);
	}
	if (near)
		return rv_err_set(err, RV_EUSAGE,
				  "%s: unknown option %.*s (did you mean --%s?); see 'retrovisor help %s'",
				  command, (int)(len > 80 ? 80 : len), arg, near, command);
	return rv_err_set(err, RV_EUSAGE, "%s: unknown option %.*s; see 'retrovisor help %s'", command,
			  (int)(len > 80 ? 80 : len), arg, command);
}

/* One option at argv[*i]; moves *i over a value in an argument of its own. */
static int parse_option(const char *command, const struct opt_group *groups, size_t ngroups, int argc,
			char **argv, int *i, struct rv_err *err)
{
	const char *arg = argv[*i];
	bool is_long = arg[1] == '-';
	const char *value = NULL;
	size_t len = strcspn(arg, "=");
	struct found f;

	if (is_long) {
		f = find_long(groups, ngroups, arg + 2, len - 2);
		if (arg[len] == '=')
			value = arg + len + 1;
	} else {
		f = find_short(groups, ngroups, arg[1]);
		len = 2;
		if (arg[2])
			value = arg + (arg[2] == '=' ? 3 : 2);
	}
	if (!f.spec)
		return unknown_option(command, groups, ngroups, arg, len, err);
	if (!f.spec->arg) {
		if (value)
			return rv_err_set(err, RV_EUSAGE, "%s: %.*s takes no value", command, (int)len,
					  arg);
		return f.group->set(f.group->ctx, f.spec->id, NULL, err);
	}
	/* "[=X]": the value may be left out, and stands behind a "=" if not. */
	if (!value && f.spec->arg[0] == '[')
		return f.group->set(f.group->ctx, f.spec->id, NULL, err);
	if (!value && *i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0)
		value = argv[++*i];
	if (!value || !*value) {
		/* An empty command line for the guest is a sensible wish; an empty anything else is not. */
		if (!value || strcmp(f.spec->name, "append") != 0)
			return rv_err_set(err, RV_EUSAGE, "%s: %.*s needs a value: %.*s%s%s", command,
					  (int)len, arg, (int)len, arg, is_long ? "=" : " ",
					  f.spec->arg);
	}
	return f.group->set(f.group->ctx, f.spec->id, value, err);
}

int opts_parse(const char *command, const struct opt_group *groups, size_t ngroups,
	       struct opts_positional *pos, size_t npos, int argc, char **argv, struct rv_err *err)
{
	bool options = true;
	size_t have = 0;
	int rc;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		if (options && !strcmp(arg, "--")) {
			options = false;
			continue;
		}
		if (options && (!strcmp(arg, "--help") || !strcmp(arg, "-h")))
			return 1;
		if (options && arg[0] == '-' && arg[1]) {
			rc = parse_option(command, groups, ngroups, argc, argv, &i, err);
			if (rc)
				return rc;
			continue;
		}
		if (have == npos)
			return rv_err_set(err, RV_EUSAGE,
					  "%s: unexpected argument '%.80s'; see 'retrovisor help %s'",
					  command, arg, command);
		pos[have++].value = arg;
	}
	if (have < npos)
		return rv_err_set(err, RV_EUSAGE, "%s: %s is missing; see 'retrovisor help %s'", command,
				  pos[have].what, command);
	return 0;
}
