/* SPDX-License-Identifier: Apache-2.0 */
/* Translated code against the interpreter, block by block: --jit=check. */
#ifndef RV_EXACT_JIT_CHECK_H
#define RV_EXACT_JIT_CHECK_H

#include "exact.h"

struct xcheck;
struct xjit_block;

int xcheck_create(struct xcheck **out); /* RV_OK or RV_ENOMEM */
void xcheck_destroy(struct xcheck *k);
/* Runs t's block, which starts at the vCPU's RIP: RV_OK, or RV_EDIVERGED with the difference on stderr.
 * Raises the fault that the block raises. */
int xcheck_run(struct exact *e, struct xcpu *c, struct xjit_block *t);
/* A page is about to change through this vCPU. */
void xcheck_page(struct xcheck *k, struct xcpu *c, uint64_t page);
/* Something happened that cannot be undone. */
void xcheck_device(struct xcheck *k);

#endif
