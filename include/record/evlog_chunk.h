/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One chunk of the event log: records in memory (a batch) to bytes and back.
 * The layout is record/FORMAT.md, which a test compares with the numbers here.
 */
#ifndef RV_RECORD_EVLOG_CHUNK_H
#define RV_RECORD_EVLOG_CHUNK_H

#include "base/bytes.h"
#include "record/evlog.h"

#define EVLOG_MAGIC "RVCH"
#define EVLOG_HEADER_VERSION 1u
#define EVLOG_RAW_MAX (4u << 20)         /* body before compression */
#define EVLOG_STORED_MAX EVLOG_RAW_MAX   /* a body that does not shrink is stored as it is */
#define EVLOG_FLAG_END 0x1u              /* the last chunk of a finished recording */
#define EVLOG_FLAG_LZ4 0x2u              /* body is one LZ4 block */
#define EVLOG_FLAGS 0x3u
#define EVLOG_SEGMENT_MAX (2ull << 30)   /* a larger segment file is damage */
#define EVLOG_SEGMENTS 1000000u          /* six digits */

/* Offsets in the header. */
enum {
	EVLOG_OFF_MAGIC = 0,
	EVLOG_OFF_VERSION = 4,
	EVLOG_OFF_FLAGS = 6,
	EVLOG_OFF_STORED_LEN = 8,
	EVLOG_OFF_RAW_LEN = 12,
	EVLOG_OFF_TRACE_ID = 16,
	EVLOG_OFF_NUMBER = 32,
	EVLOG_OFF_PREV_CRC = 40,
	EVLOG_OFF_RECORDS = 44,
	EVLOG_OFF_FIRST_ICOUNT = 48,
	EVLOG_OFF_FIRST_SEQ = 56,
	EVLOG_OFF_CRC = 64,
	EVLOG_HEADER_SIZE = 68
};

/* A writer closes a chunk at these, so that no body can reach EVLOG_RAW_MAX. */
#define EVLOG_BATCH_PAYLOAD (1u << 20)
#define EVLOG_BATCH_RECORDS 32768u

struct evlog_entry {
	icount_t icount;
	uint64_t seq;
	vns_t vns;
	uint32_t kind;
	uint32_t instance;
	uint32_t len;
	bool in_halt;
};

/* Records in memory. Zero-initialise. */
struct evlog_batch {
	struct evlog_entry *entry;
	size_t n, cap;
	struct bytes payload; /* of all entries, one after the other */
};
void evlog_batch_fini(struct evlog_batch *b);
void evlog_batch_clear(struct evlog_batch *b); /* keeps the memory */
int evlog_batch_add(struct evlog_batch *b, const struct evlog_record *r); /* 0 or RV_ENOMEM */
/* Whether one more record of this payload length may go in. */
bool evlog_batch_fits(const struct evlog_batch *b, uint32_t len);

struct evlog_header {
	uint32_t flags;
	uint32_t stored_len;
	uint32_t raw_len;
	uint8_t id[16];
	uint64_t number;
	uint32_t prev_crc;
	uint32_t records;
	struct exec_point first;
	uint32_t crc;
};

/* Whether a record is one that a log may hold: known kind, length, TIME payload. 0 or RV_EINVAL. */
int evlog_record_check(const struct evlog_record *r);

/* Appends header and body to out. In *h: flags (END or 0), id, number, prev_crc and, for an empty batch,
 * first are the caller's; the rest is filled in. 0, RV_ENOMEM or RV_EINVAL (too large). */
int evlog_chunk_encode(const struct evlog_batch *b, struct evlog_header *h, struct bytes *out);

/* Reads a header: false unless magic, version, flags and lengths hold. data: EVLOG_HEADER_SIZE bytes. */
bool evlog_header_decode(const uint8_t *data, struct evlog_header *h);
/* Whether header and body (stored_len bytes) match the CRC: with a decoded header, the chunk is sound. */
bool evlog_chunk_crc_ok(const uint8_t *header, const uint8_t *body, const struct evlog_header *h);
/* Body to records (the batch is cleared first). Never trusts the bytes: RV_EDAMAGED or RV_ENOMEM. */
int evlog_chunk_decode(const struct evlog_header *h, const uint8_t *body, struct evlog_batch *out);

/* Order and meaning of positions: true if b does not come before a. */
static inline bool exec_point_not_before(struct exec_point b, struct exec_point a)
{
	return b.icount > a.icount || (b.icount == a.icount && b.seq >= a.seq);
}

#endif
