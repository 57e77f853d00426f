/* SPDX-License-Identifier: Apache-2.0 */
#include "record/evlog_chunk.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "trace.pb-c.h"

/* Kinds below this are events: they move seq. */
#define EVENT_KINDS 64u
#define TIME_LEN 16u

const char *evlog_kind_text(uint32_t kind)
{
	switch (kind) {
#define EVLOG_KIND_TEXT(name, value, text)                                                         \
	case value:                                                                                \
		return text;
		EVLOG_KIND_LIST(EVLOG_KIND_TEXT)
		ND_KIND_LIST(EVLOG_KIND_TEXT)
#undef EVLOG_KIND_TEXT
	default:
		return "?";
	}
}

static bool kind_known(uint32_t kind)
{
	switch (kind) {
#define KIND_CASE(name, value, text) case value:
		EVLOG_KIND_LIST(KIND_CASE)
		ND_KIND_LIST(KIND_CASE)
#undef KIND_CASE
		return true;
	default:
		return false;
	}
}

int evlog_record_check(const struct evlog_record *r)
{
	if (!kind_known(r->kind) || r->len > ND_PAYLOAD_MAX || (r->len && !r->data))
		return RV_EINVAL;
	if (r->kind == ND_TIME && r->len != TIME_LEN)
		return RV_EINVAL;
	return RV_OK;
}

void evlog_batch_fini(struct evlog_batch *b)
{
	free(b->entry);
	bytes_fini(&b->payload);
	memset(b, 0, sizeof(*b));
}

void evlog_batch_clear(struct evlog_batch *b)
{
	b->n = 0;
	bytes_clear(&b->payload);
}

static int batch_reserve(struct evlog_batch *b, size_t n)
{
	struct evlog_entry *p;
	size_t cap = b->cap ? b->cap : 64;
	if (n <= b->cap)
		return RV_OK;
	while (cap < n)
		cap *= 2;
	p = realloc(b->entry, cap * sizeof(*p));
	if (!p)
		return RV_ENOMEM;
	b->entry = p;
	b->cap = cap;
	return RV_OK;
}

int evlog_batch_add(struct evlog_batch *b, const struct evlog_record *r)
{
	if (batch_reserve(b, b->n + 1) != RV_OK)
		return RV_ENOMEM;
	bytes_put(&b->payload, r->data, r->len);
	if (b->payload.failed)
		return RV_ENOMEM;
	b->entry[b->n++] = (struct evlog_entry){
		.icount = r->at.icount,
		.seq = r->at.seq,
		.vns = r->in_halt ? r->vns : 0,
		.kind = r->kind,
		.instance = r->instance,
		.len = r->len,
		.in_halt = r->in_halt,
	};
	return RV_OK;
}

bool evlog_batch_fits(const struct evlog_batch *b, uint32_t len)
{
	return b->n < EVLOG_BATCH_RECORDS && b->payload.len + len <= EVLOG_BATCH_PAYLOAD;
}

/* The columns of a chunk, allocated as one block for n records. */
struct columns {
	uint64_t *icount, *seq;
	uint32_t *kind, *instance, *length;
	int64_t *vns, *rate;
	protobuf_c_boolean *in_halt;
	uint8_t *payload;
};

static void *columns_alloc(struct columns *c, size_t n, size_t payload)
{
	/* vns: one for the halt and one for TIME. Widest first keeps every column aligned. */
	size_t size = n * (5 * 8 + 3 * 4 + sizeof(protobuf_c_boolean)) + payload + 1;
	uint8_t *block = malloc(size), *p = block;
	if (!block)
		return NULL;
	c->icount = (void *)p;
	c->seq = (void *)(p += n * 8);
	c->vns = (void *)(p += n * 8);
	c->rate = (void *)(p += n * 16);
	c->kind = (void *)(p += n * 8);
	c->instance = (void *)(p += n * 4);
	c->length = (void *)(p += n * 4);
	c->in_halt = (void *)(p += n * 4);
	c->payload = p + n * sizeof(protobuf_c_boolean);
	return block;
}

/* Packs a batch into a message whose columns are in one block, *block, which the caller frees. */
static int chunk_pack(const struct evlog_batch *b, const struct evlog_header *h, Rv__Chunk *msg,
		      void **block)
{
	struct columns c;
	icount_t icount = h->first.icount;
	uint64_t seq = h->first.seq;
	vns_t vns = 0;
	uint64_t rate = 0;
	const uint8_t *data = b->payload.data;
	uint64_t any_seq = 0, any_instance = 0, any_halt = 0;
	size_t nvns = 0, nrate = 0, nlength = 0, npayload = 0;

	*block = columns_alloc(&c, b->n, b->payload.len);
	if (!*block)
		return RV_ENOMEM;
	for (size_t i = 0; i < b->n; i++) {
		const struct evlog_entry *e = &b->entry[i];
		c.icount[i] = e->icount - icount;
		c.seq[i] = e->seq - seq;
		c.kind[i] = e->kind;
		c.instance[i] = e->instance;
		c.in_halt[i] = e->in_halt;
		any_seq |= c.seq[i];
		any_instance |= e->instance;
		any_halt |= e->in_halt;
		if (e->in_halt) {
			c.vns[nvns++] = (int64_t)(e->vns - vns);
			vns = e->vns;
		}
		if (e->kind == ND_TIME) {
			vns_t v = le64_get(data);
			uint64_t r = le64_get(data + 8);
			c.vns[nvns++] = (int64_t)(v - vns);
			c.rate[nrate++] = (int64_t)(r - rate);
			vns = v;
			rate = r;
		} else {
			c.length[nlength++] = e->len;
			if (e->len)
				memcpy(c.payload + npayload, data, e->len);
			npayload += e->len;
		}
		if (e->len)
			data += e->len;
		icount = e->icount;
		seq = e->seq + (e->kind < EVENT_KINDS);
	}
	msg->n_icount_delta = b->n;
	msg->icount_delta = c.icount;
	msg->n_seq_excess = any_seq ? b->n : 0;
	msg->seq_excess = c.seq;
	msg->n_kind = b->n;
	msg->kind = c.kind;
	msg->n_instance = any_instance ? b->n : 0;
	msg->instance = c.instance;
	msg->n_in_halt = any_halt ? b->n : 0;
	msg->in_halt = c.in_halt;
	msg->n_length = npayload ? nlength : 0;
	msg->length = c.length;
	msg->has_payload = npayload != 0;
	msg->payload.len = npayload;
	msg->payload.data = c.payload;
	msg->n_vns_delta = nvns;
	msg->vns_delta = c.vns;
	msg->n_rate_delta = nrate;
	msg->rate_delta = c.rate;
	return RV_OK;
}

static void header_encode(const struct evlog_header *h, uint8_t *p)
{
	memcpy(p + EVLOG_OFF_MAGIC, EVLOG_MAGIC, 4);
	le16_put(p + EVLOG_OFF_VERSION, EVLOG_HEADER_VERSION);
	le16_put(p + EVLOG_OFF_FLAGS, (uint16_t)h->flags);
	le32_put(p + EVLOG_OFF_STORED_LEN, h->stored_len);
	le32_put(p + EVLOG_OFF_RAW_LEN, h->raw_len);
	memcpy(p + EVLOG_OFF_TRACE_ID, h->id, sizeof(h->id));
	le64_put(p + EVLOG_OFF_NUMBER, h->number);
	le32_put(p + EVLOG_OFF_PREV_CRC, h->prev_crc);
	le32_put(p + EVLOG_OFF_RECORDS, h->records);
	le64_put(p + EVLOG_OFF_FIRST_ICOUNT, h->first.icount);
	le64_put(p + EVLOG_OFF_FIRST_SEQ, h->first.seq);
	le32_put(p + EVLOG_OFF_CRC, h->crc);
}

static uint32_t chunk_crc(const uint8_t *header, const uint8_t *body, size_t len)
{
	return crc32c(crc32c(0, header, EVLOG_OFF_CRC), body, len);
}

int evlog_chunk_encode(const struct evlog_batch *b, struct evlog_header *h, struct bytes *out)
{
	Rv__Chunk msg = RV__CHUNK__INIT;
	void *block = NULL;
	uint8_t *raw = NULL, *stored = NULL, *body;
	uint8_t header[EVLOG_HEADER_SIZE];
	size_t raw_len;
	int packed = 0, rc;

	if (b->n)
		h->first = (struct exec_point){ b->entry[0].icount, b->entry[0].seq };
	rc = chunk_pack(b, h, &msg, &block);
	if (rc != RV_OK)
		return rc;
	raw_len = rv__chunk__get_packed_size(&msg);
	if (raw_len > EVLOG_RAW_MAX) {
		rc = RV_EINVAL;
		goto out;
	}
	raw = malloc(raw_len + 1);
	stored = malloc(raw_len + 1);
	if (!raw || !stored) {
		rc = RV_ENOMEM;
		goto out;
	}
	rv__chunk__pack(&msg, raw);
	/* A destination smaller than the source: 0 means it did not shrink, and it is stored as is. */
	if (raw_len > 1)
		packed = LZ4_compress_default((const char *)raw, (char *)stored, (int)raw_len,
					      (int)raw_len - 1);
	body = packed > 0 ? stored : raw;
	h->flags = (h->flags & EVLOG_FLAG_END) | (packed > 0 ? EVLOG_FLAG_LZ4 : 0);
	h->stored_len = packed > 0 ? (uint32_t)packed : (uint32_t)raw_len;
	h->raw_len = (uint32_t)raw_len;
	h->records = (uint32_t)b->n;
	h->crc = 0;
	header_encode(h, header);
	h->crc = chunk_crc(header, body, h->stored_len);
	le32_put(header + EVLOG_OFF_CRC, h->crc);
	bytes_put(out, header, sizeof(header));
	bytes_put(out, body, h->stored_len);
	rc = out->failed ? RV_ENOMEM : RV_OK;
out:
	free(stored);
	free(raw);
	free(block);
	return rc;
}

bool evlog_header_decode(const uint8_t *p, struct evlog_header *h)
{
	if (memcmp(p + EVLOG_OFF_MAGIC, EVLOG_MAGIC, 4) != 0 ||
	    le16_get(p + EVLOG_OFF_VERSION) != EVLOG_HEADER_VERSION)
		return false;
	h->flags = le16_get(p + EVLOG_OFF_FLAGS);
	h->stored_len = le32_get(p + EVLOG_OFF_STORED_LEN);
	h->raw_len = le32_get(p + EVLOG_OFF_RAW_LEN);
	memcpy(h->id, p + EVLOG_OFF_TRACE_ID, sizeof(h->id));
	h->number = le64_get(p + EVLOG_OFF_NUMBER);
	h->prev_crc = le32_get(p + EVLOG_OFF_PREV_CRC);
	h->records = le32_get(p + EVLOG_OFF_RECORDS);
	h->first.icount = le64_get(p + EVLOG_OFF_FIRST_ICOUNT);
	h->first.seq = le64_get(p + EVLOG_OFF_FIRST_SEQ);
	h->crc = le32_get(p + EVLOG_OFF_CRC);
	if (h->flags & ~EVLOG_FLAGS || h->raw_len > EVLOG_RAW_MAX ||
	    h->records > EVLOG_BATCH_RECORDS)
		return false;
	if (h->flags & EVLOG_FLAG_LZ4)
		return h->stored_len > 0 && h->stored_len < h->raw_len;
	return h->stored_len == h->raw_len;
}

bool evlog_chunk_crc_ok(const uint8_t *header, const uint8_t *body, const struct evlog_header *h)
{
	return chunk_crc(header, body, h->stored_len) == h->crc;
}

/* Checks the shape of the columns against each other, so that the loop over records cannot overrun. */
static bool chunk_shape_ok(const Rv__Chunk *msg, const struct evlog_header *h)
{
	size_t n = h->records, ntime = 0, nvns = 0, total = 0;
	if (msg->base.n_unknown_fields || msg->n_icount_delta != n || msg->n_kind != n)
		return false;
	if ((msg->n_seq_excess && msg->n_seq_excess != n) ||
	    (msg->n_instance && msg->n_instance != n) || (msg->n_in_halt && msg->n_in_halt != n))
		return false;
	for (size_t i = 0; i < n; i++) {
		bool time = msg->kind[i] == ND_TIME;
		bool halt = msg->n_in_halt && msg->in_halt[i];
		ntime += time;
		nvns += time;
		nvns += halt;
	}
	if (msg->n_vns_delta != nvns || msg->n_rate_delta != ntime)
		return false;
	if (msg->n_length && msg->n_length != n - ntime)
		return false;
	for (size_t i = 0; i < msg->n_length; i++) {
		if (msg->length[i] > ND_PAYLOAD_MAX)
			return false;
		total += msg->length[i];
	}
	return total == (msg->has_payload ? msg->payload.len : 0);
}

static int chunk_unpack(const Rv__Chunk *msg, const struct evlog_header *h, struct evlog_batch *out)
{
	struct evlog_record r = { .at = h->first };
	struct exec_point last = h->first;
	size_t ivns = 0, irate = 0, ilength = 0, pos = 0;
	vns_t vns = 0;
	uint64_t rate = 0;
	uint8_t time[TIME_LEN];

	for (size_t i = 0; i < h->records; i++) {
		int rc;
		if (msg->icount_delta[i] > ICOUNT_MAX - r.at.icount)
			return RV_EDAMAGED;
		r.at.icount += msg->icount_delta[i];
		r.at.seq += msg->n_seq_excess ? msg->seq_excess[i] : 0;
		if (r.at.seq < last.seq || (i == 0 && (r.at.icount != h->first.icount ||
						       r.at.seq != h->first.seq)))
			return RV_EDAMAGED;
		last = r.at;
		r.kind = msg->kind[i];
		r.instance = msg->n_instance ? msg->instance[i] : 0;
		r.in_halt = msg->n_in_halt && msg->in_halt[i];
		r.vns = 0;
		if (r.in_halt)
			r.vns = vns += (uint64_t)msg->vns_delta[ivns++];
		if (r.kind == ND_TIME) {
			vns += (uint64_t)msg->vns_delta[ivns++];
			rate += (uint64_t)msg->rate_delta[irate++];
			le64_put(time, vns);
			le64_put(time + 8, rate);
			r.data = time;
			r.len = TIME_LEN;
		} else {
			r.len = msg->n_length ? msg->length[ilength++] : 0;
			r.data = r.len ? msg->payload.data + pos : NULL;
			pos += r.len;
		}
		if (evlog_record_check(&r) != RV_OK)
			return RV_EDAMAGED;
		rc = evlog_batch_add(out, &r);
		if (rc != RV_OK)
			return rc;
		r.at.seq += r.kind < EVENT_KINDS;
	}
	return RV_OK;
}

int evlog_chunk_decode(const struct evlog_header *h, const uint8_t *body, struct evlog_batch *out)
{
	Rv__Chunk *msg = NULL;
	uint8_t *raw = NULL;
	int rc = RV_EDAMAGED;

	evlog_batch_clear(out);
	if (h->flags & EVLOG_FLAG_LZ4) {
		raw = malloc(h->raw_len);
		if (!raw)
			return RV_ENOMEM;
		if (LZ4_decompress_safe((const char *)body, (char *)raw, (int)h->stored_len,
					(int)h->raw_len) != (int)h->raw_len)
			goto out;
		body = raw;
	}
	msg = rv__chunk__unpack(NULL, h->raw_len, body);
	if (!msg || !chunk_shape_ok(msg, h))
		goto out;
	rc = chunk_unpack(msg, h, out);
	if (rc != RV_OK)
		evlog_batch_clear(out);
out:
	if (msg)
		rv__chunk__free_unpacked(msg, NULL);
	free(raw);
	return rc;
}
