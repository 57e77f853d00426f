/* SPDX-License-Identifier: Apache-2.0 */
#include "base_opts.h"

#include <string.h>

#include "base/types.h"

const struct opt_spec base_opt_specs[] = {
	{ "base", 0, "OLD=NEW", 0, "the disk image recorded from OLD is now at NEW" },
};
const size_t base_opt_nspecs = RV_ARRAY_LEN(base_opt_specs);

int base_opts_set(void *base_opts, int id, const char *value, struct rv_err *err)
{
	struct base_opts *o = base_opts;
	const char *sep = strchr(value, '=');

	(void)id;
	if (!sep || sep == value || !sep[1])
		return rv_err_set(err, RV_EUSAGE, "--base=%.200s: use --base=OLD=NEW, two paths", value);
	if (o->n == DISKS_MAX)
		return rv_err_set(err, RV_EUSAGE, "--base: at most %u", DISKS_MAX);
	o->row[o->n].old_path = value;
	o->row[o->n].old_len = (size_t)(sep - value);
	o->row[o->n++].new_path = sep + 1;
	return 0;
}

const char *base_opts_path(const struct base_opts *o, const char *path)
{
	for (unsigned i = 0; i < o->n; i++)
		if (strlen(path) == o->row[i].old_len &&
		    !memcmp(path, o->row[i].old_path, o->row[i].old_len))
			return o->row[i].new_path;
	return path;
}
