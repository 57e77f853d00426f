/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding where a log ends, and telling a torn tail from damage (FORMAT.md,
 * "Validity"). Works on one segment's descriptor after the other, in order.
 */
#ifndef RV_RECORD_EVLOG_SCAN_H
#define RV_RECORD_EVLOG_SCAN_H

#include "record/evlog_chunk.h"

struct evlog_place {
	uint32_t segment;
	uint64_t off;
};

struct evlog_scan {
	const char *path; /* of the trace, for messages */
	uint8_t id[16];
	struct bytes buf; /* one chunk */
	struct evlog_batch batch;
	uint64_t number;  /* of the next chunk */
	uint32_t prev_crc;
	struct exec_point last;
	bool anchored;    /* number and prev_crc are known: a kept log's first chunk says them itself */
	bool ended;       /* the end chunk was seen */
	bool broken;      /* an invalid chunk was seen, at `end` */
	bool missing;     /* ... because that segment is not there */
	struct evlog_place end; /* where the valid log ends */
	uint32_t segments;      /* seen so far */
	struct evlog_info info;
};

void evlog_scan_init(struct evlog_scan *s, const char *path, const uint8_t id[16],
		     const struct trace_start *start);
void evlog_scan_fini(struct evlog_scan *s);
/* The next segment file there is. number: its number; a gap before it is noticed. */
int evlog_scan_segment(struct evlog_scan *s, uint32_t number, int fd, uint64_t size,
		       struct rv_err *err);

/* Reads the chunk at off of a segment into buf (header and body): 1 if it is sound, 0 if not, or a
 * negative code. */
int evlog_chunk_read(int fd, uint64_t size, uint64_t off, struct bytes *buf,
		     struct evlog_header *h);

#endif
