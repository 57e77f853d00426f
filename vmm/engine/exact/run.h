/* SPDX-License-Identifier: Apache-2.0 */
/* The engine object, shared between run.c and the few that need it. */
#ifndef RV_EXACT_RUN_H
#define RV_EXACT_RUN_H

#include "block.h"
#include "breaks.h"
#include "jit.h"
#include "jit_check.h"

/* Jump cache: linear RIP -> block, for the current mappings of a vCPU. */
#define XJUMP_BITS 14u
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
	struct xcheck *check; /* or NULL */
	int status;       /* what run() returns */
	uint32_t epoch_seen;
	uint64_t steps;
	const bool *moved, *attention;
	icount_t until; /* of this run(); the vCPU's own may be lower for a moment */
	struct xbreaks breaks;
	struct xcpu *cpu[CPU_MAX];
	struct xjump *jump[CPU_MAX];
};

/* The instructions from d up to end, or fewer: c->leave. */
static inline void exact_insns(struct xcpu *c, const struct dinsn *d, const struct dinsn *end)
{
	c->leave = false;
	do {
		c->r[XR_NEXT] = c->rip + d->len;
		d->fn(c, d);
		c->rip = c->r[XR_NEXT];
		c->icount++;
		d++;
	} while (likely(d != end && !c->leave));
}

/* Instructions alone, no events, by the interpreter: up to `until`, or to what only the loop can do. */
void exact_interpret(struct exact *e, struct xcpu *c, icount_t until);

#endif
