/* SPDX-License-Identifier: Apache-2.0 */
/* Making a new trace directory appear whole, by one rename. */
#ifndef RV_RECORD_TRACE_PUBLISH_H
#define RV_RECORD_TRACE_PUBLISH_H

#include "record/evlog_chunk.h"
#include "trace_priv.h"

struct trace_published {
	int log_dir;            /* later segments are opened relative to it: no paths after set-up */
	int segment;            /* log/000000.rvl, positioned behind its first chunk */
	uint64_t segment_bytes; /* in it */
	uint32_t last_crc;      /* of the first chunk, number 0 */
};

/* Fills m's id and file digests. sync: fsync before and after the rename. On failure nothing is left. */
int trace_publish(const char *path, struct trace_manifest *m, const void *kernel,
		  const void *initrd, bool sync, struct trace_published *out, struct rv_err *err);

#endif
