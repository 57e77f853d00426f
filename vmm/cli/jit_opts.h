/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the exact engine executes, from the command line: the options of every
 * command that runs guest code. They cannot change what a guest sees, so a
 * manifest never holds them and a replay may choose its own.
 */
#ifndef RV_CLI_JIT_OPTS_H
#define RV_CLI_JIT_OPTS_H

#include "engine/engine.h"
#include "opts.h"

struct jit_opts {
	enum engine_jit jit;
	uint64_t code_cache; /* bytes; 0: the engine's default */
	uint64_t dump;       /* linear address of a block to show at the end, if dump_set */
	bool dump_set;
	const char *given;   /* the last of these options that was given, for messages; NULL: none */
};

extern const struct opt_spec jit_opt_specs[];
extern const size_t jit_opt_nspecs;

/* opt_group.set; ctx is a struct jit_opts, all zero before. */
int jit_opts_set(void *jit_opts, int id, const char *value, struct rv_err *err);

#endif
