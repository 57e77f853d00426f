/* SPDX-License-Identifier: Apache-2.0 */
/* The engine object, shared between run.c and the few that need it. */
#ifndef RV_EXACT_RUN_H
#define RV_EXACT_RUN_H

#include "block.h"
#include "breaks.h"
#include "jit.h"

/* Jump cache: linear RIP -> block, for the current mappings of a vCPU. */
#define XJUMP_BITS 12u
struct xjump {
	uint64_t lin;
	uint64_t key; /* mode, privilege, generations: everything a hit assumes */
	struct xblock *block;
	uint64_t n; /* of its instructions come before one with a breakpoint */
};

struct exact {
	struct engine_cfg cfg;
	struct xblocks *blocks;
	struct xjit *jit; /* NULL: the interpreter alone */
	uint32_t epoch_seen;
	uint64_t steps;
	const bool *moved, *attention;
	icount_t until; /* of this run(); the vCPU's own may be lower for a moment */
	struct xbreaks breaks;
	struct xcpu *cpu[CPU_MAX];
	struct xjump *jump[CPU_MAX];
};

#endif
