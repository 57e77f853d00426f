/* SPDX-License-Identifier: Apache-2.0 */
/* A trace as one file: a tar archive (pax, compressed by zstd) of exactly the files FORMAT.md knows. */
#ifndef RV_CLI_PACK_H
#define RV_CLI_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Is this a name that a trace's file may have: "manifest", "log/000000.rvl", ...? */
bool pack_name_known(const char *name);
/* progress (may be NULL) is told the bytes of contents done so far. */
int pack_trace(const char *trace, const char *file, void (*progress)(void *ctx, uint64_t done), void *ctx,
	       struct rv_err *err);
/* Into a new directory, under a temporary name until all of it is there. RV_EDAMAGED: not such an archive. */
int unpack_trace(const char *file, const char *trace, void (*progress)(void *ctx, uint64_t done), void *ctx,
		 struct rv_err *err);

#endif
