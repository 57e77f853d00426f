/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the arbiter: arbiter.c has the child process and its pipe, a kind of arbiter what is asked there. */
#ifndef RV_FT_ARBITER_INT_H
#define RV_FT_ARBITER_INT_H

#include "ft/arbiter.h"

#define ARBITER_CLAIM_MAX 200u /* bytes of what a claim says of who made it */
#define ARBITER_MS 3000        /* for one request */

struct arbiter_claim {
	const char *pair;
	const char *text; /* who, and a random id: equal texts are the same claimant */
};

/* All of it in the child, where calls may take their time. */
struct arbiter_kind {
	const char *name; /* what a spec begins with */
	/* rest: of the spec, behind the colon. RV_EUSAGE: it makes no sense; called in the parent as well, which only
	 * wants to know that, and calls close. */
	int (*open)(void **self, const char *rest, struct rv_err *err);
	void (*close)(void *self);
	/* Between claims: what takes its time and can be done before one. May be NULL. */
	void (*prepare)(void *self, const struct arbiter_claim *c);
	/* RV_OK: ours now. RV_EEXIST: somebody's; holder is what its claim says. Other: not known, err why. */
	int (*claim)(void *self, const struct arbiter_claim *c, uint64_t term, char holder[ARBITER_CLAIM_MAX + 1],
		     struct rv_err *err);
	/* The highest term there is, 0: none yet. */
	int (*latest)(void *self, const struct arbiter_claim *c, uint64_t *term, struct rv_err *err);
};
extern const struct arbiter_kind arbiter_kind_file, arbiter_kind_etcd;

#endif
