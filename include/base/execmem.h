/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for generated code: one anonymous file mapped twice, once writable
 * and once executable, so that no address is ever both.
 */
#ifndef RV_BASE_EXECMEM_H
#define RV_BASE_EXECMEM_H

#include "base/status.h"
#include "base/types.h"

struct execmem {
	uint8_t *rw;       /* where code is written ... */
	const uint8_t *rx; /* ... and where the same bytes are run */
	size_t size;       /* bytes, whole pages; takes memory as it is written */
};

/* size is rounded up to whole pages. RV_ENOMEM, or RV_ENOTSUP where the host forbids executable
 * mappings; *m is then all zero. */
int execmem_create(struct execmem *m, size_t size, struct rv_err *err);
void execmem_destroy(struct execmem *m);

/* Address to run of what is written at p. */
static inline const uint8_t *execmem_rx(const struct execmem *m, const uint8_t *p)
{
	return m->rx + (p - m->rw);
}

#endif
