/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_opts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "parse.h"

#define CODE_CACHE_MIN (1ull << 20)
#define CODE_CACHE_MAX (1ull << 30)

enum { OPT_JIT, OPT_CODE_CACHE, OPT_JIT_DUMP };

const struct opt_spec jit_opt_specs[] = {
	{ "jit", 0, "on|off|check", OPT_JIT,
	  "translate hot code (default: on); check compares it with the interpreter" },
	{ "code-cache", 0, "SIZE", OPT_CODE_CACHE, "memory for translated code, 1M to 1G (default: 128M)" },
	{ "jit-dump", 0, "ADDR", OPT_JIT_DUMP,
	  "at the end, show the block at this guest address and the host code made of it" },
};
const size_t jit_opt_nspecs = RV_ARRAY_LEN(jit_opt_specs);

static int set_jit(struct jit_opts *o, const char *value, struct rv_err *err)
{
	if (!strcmp(value, "on"))
		o->jit = ENGINE_JIT_ON;
	else if (!strcmp(value, "off"))
		o->jit = ENGINE_JIT_OFF;
	else if (!strcmp(value, "check"))
		o->jit = ENGINE_JIT_CHECK;
	else
		return rv_err_set(err, RV_EUSAGE, "--jit=%.80s: unknown; use on, off or check", value);
	o->given = "--jit";
	return 0;
}

static int set_code_cache(struct jit_opts *o, const char *value, struct rv_err *err)
{
	uint64_t size;

	if (!parse_size(value, &size))
		return rv_err_set(err, RV_EUSAGE,
				  "--code-cache=%.80s: not a size; use bytes or a number with K, M or G",
				  value);
	if (size < CODE_CACHE_MIN || size > CODE_CACHE_MAX)
		return rv_err_set(err, RV_EUSAGE, "--code-cache=%.80s: must be from 1M to 1G", value);
	o->code_cache = size;
	o->given = "--code-cache";
	return 0;
}

static int set_dump(struct jit_opts *o, const char *value, struct rv_err *err)
{
	char *end;

	errno = 0;
	o->dump = strtoull(value, &end, 0);
	if (errno || end == value || *end)
		return rv_err_set(err, RV_EUSAGE, "--jit-dump=%.80s: not an address", value);
	o->dump_set = true;
	o->given = "--jit-dump";
	return 0;
}

int jit_opts_set(void *jit_opts, int id, const char *value, struct rv_err *err)
{
	switch (id) {
	case OPT_JIT:
		return set_jit(jit_opts, value, err);
	case OPT_CODE_CACHE:
		return set_code_cache(jit_opts, value, err);
	case OPT_JIT_DUMP:
		return set_dump(jit_opts, value, err);
	default:
		return rv_err_set(err, RV_EUSAGE, "option without a meaning");
	}
}
