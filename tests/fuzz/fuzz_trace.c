/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that reads a trace, on arbitrary bytes. The first byte of the
 * input chooses: a manifest, the body of a chunk, or the segments of a log.
 * CRCs are made right first, or nothing behind them would ever be reached.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver.h"
#include "record/evlog_scan.h"
#include "record/trace_priv.h"

static const uint8_t fuzz_id[16] = "the fuzz trace";

/* A good header CRC around whatever the manifest's message is. */
static void fuzz_manifest(const uint8_t *data, size_t size)
{
	struct trace_manifest m;
	struct rv_err err = { 0 };
	uint8_t *copy = malloc(size + MANIFEST_HEADER_SIZE);
	size_t len = size + MANIFEST_HEADER_SIZE;

	if (!copy)
		return;
	memcpy(copy + MANIFEST_OFF_MAGIC, MANIFEST_MAGIC, 4);
	le32_put(copy + MANIFEST_OFF_VERSION, 1);
	le32_put(copy + MANIFEST_OFF_LEN, (uint32_t)size);
	memcpy(copy + MANIFEST_HEADER_SIZE, data, size);
	le32_put(copy + MANIFEST_OFF_CRC, crc32c(crc32c(0, copy, MANIFEST_OFF_CRC), data, size));
	if (manifest_decode(copy, len, "fuzz", &m, &err) == RV_OK) {
		struct bytes again = { 0 };
		if (manifest_encode(&m, &again) != RV_OK)
			abort();
		bytes_fini(&again);
		trace_manifest_fini(&m);
	}
	/* And as the file itself. */
	if (manifest_decode(data, size, "fuzz", &m, &err) == RV_OK)
		trace_manifest_fini(&m);
	free(copy);
}

/* What decodes must encode again, to the same records. */
static void fuzz_body(const uint8_t *data, size_t size)
{
	struct evlog_header h = { 0 };
	struct evlog_batch b = { 0 }, again = { 0 };
	struct bytes out = { 0 };

	if (size < 13)
		return;
	h.flags = data[0] & EVLOG_FLAG_LZ4;
	h.records = le16_get(data + 1) % (EVLOG_BATCH_RECORDS + 1);
	h.raw_len = le16_get(data + 3);
	h.first.icount = le64_get(data + 5);
	data += 13;
	size -= 13;
	h.stored_len = (uint32_t)(size > EVLOG_STORED_MAX ? EVLOG_STORED_MAX : size);
	if (!(h.flags & EVLOG_FLAG_LZ4))
		h.raw_len = h.stored_len;
	else if (h.raw_len <= h.stored_len || h.stored_len == 0)
		return;
	if (evlog_chunk_decode(&h, data, &b) == RV_OK && evlog_batch_fits(&b, 0)) {
		struct evlog_header h2 = h;
		if (evlog_chunk_encode(&b, &h2, &out) == RV_OK &&
		    (evlog_chunk_decode(&h2, out.data + EVLOG_HEADER_SIZE, &again) != RV_OK ||
		     again.n != b.n || again.payload.len != b.payload.len))
			abort();
	}
	bytes_fini(&out);
	evlog_batch_fini(&again);
	evlog_batch_fini(&b);
}

/* Makes the CRC of each thing that looks like a chunk right, unless bit 7 of its flags says no. */
static void fix_crcs(uint8_t *p, size_t size)
{
	uint32_t prev = 0;
	for (size_t off = 0; off + EVLOG_HEADER_SIZE <= size;) {
		uint8_t *c = p + off;
		uint32_t len = le32_get(c + EVLOG_OFF_STORED_LEN);
		if (memcmp(c, EVLOG_MAGIC, 4) != 0 || len > size - off - EVLOG_HEADER_SIZE) {
			off++;
			continue;
		}
		if (!(c[EVLOG_OFF_FLAGS] & 0x80)) {
			le32_put(c + EVLOG_OFF_PREV_CRC, prev);
			prev = crc32c(crc32c(0, c, EVLOG_OFF_CRC), c + EVLOG_HEADER_SIZE, len);
			le32_put(c + EVLOG_OFF_CRC, prev);
		}
		off += EVLOG_HEADER_SIZE + len;
	}
}

/* data[0]: where the log is cut into two segments, in 256ths. */
static void fuzz_log(const uint8_t *data, size_t size)
{
	struct evlog_scan s;
	struct rv_err err = { 0 };
	size_t cut;
	uint8_t *copy;
	int fd[2], rc;

	if (size < 2)
		return;
	cut = (size - 1) * data[0] / 255;
	copy = malloc(size);
	fd[0] = memfd_create("segment", MFD_CLOEXEC);
	fd[1] = memfd_create("segment", MFD_CLOEXEC);
	if (!copy || fd[0] < 0 || fd[1] < 0)
		abort();
	memcpy(copy, data + 1, size - 1);
	fix_crcs(copy, size - 1);
	if (fd_write_all(fd[0], copy, cut) || fd_write_all(fd[1], copy + cut, size - 1 - cut))
		abort();
	evlog_scan_init(&s, "fuzz", fuzz_id, &(struct trace_start){ .from_ckpt = false });
	rc = evlog_scan_segment(&s, 0, fd[0], cut, &err);
	if (rc == RV_OK)
		rc = evlog_scan_segment(&s, data[0] == 7 ? 2 : 1, fd[1], size - 1 - cut, &err);
	if (rc != RV_OK && (rc != RV_EDAMAGED || !err.text[0]))
		abort();
	evlog_scan_fini(&s);
	close(fd[0]);
	close(fd[1]);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		fuzz_manifest(data + 1, size - 1);
		break;
	case 1:
		fuzz_body(data + 1, size - 1);
		break;
	default:
		fuzz_log(data + 1, size - 1);
		break;
	}
	return 0;
}

static void sample_records(struct evlog_batch *b, icount_t base)
{
	static const uint8_t data[192] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	const struct evlog_record recs[] = {
		{ .at = { base, base }, .kind = ND_TIME, .data = data, .len = 16 },
		{ .at = { base + 5, base + 1 }, .kind = ND_CONSOLE, .instance = 1, .in_halt = true,
		  .vns = 9, .data = data, .len = 30 },
		{ .at = { base + 9, base + 2 }, .kind = EVLOG_DIGEST, .data = data, .len = 192 },
		{ .at = { base + 9, base + 2 }, .kind = ND_STOP },
	};
	evlog_batch_clear(b);
	for (size_t i = 0; i < RV_ARRAY_LEN(recs); i++)
		if (evlog_batch_add(b, &recs[i]) != RV_OK)
			abort();
}

/* One good input of each sort. */
bool fuzz_sample(unsigned which, struct bytes *out)
{
	struct evlog_batch b = { 0 };
	struct evlog_header h = { 0 };
	struct bytes chunk = { 0 };
	char cmdline[] = "quiet";
	struct trace_manifest m = { .cpu_model = "rv-v2", .memory = 1 << 20, .ncpus = 1,
				    .kernel_len = 1, .cmdline = cmdline };

	if (which > 2)
		return false;
	bytes_put_u8(out, (uint8_t)which);
	if (which == 0) {
		if (manifest_encode(&m, &chunk) != RV_OK)
			abort();
		bytes_put(out, chunk.data + MANIFEST_HEADER_SIZE, chunk.len - MANIFEST_HEADER_SIZE);
	} else if (which == 1) {
		sample_records(&b, 0);
		if (evlog_chunk_encode(&b, &h, &chunk) != RV_OK)
			abort();
		bytes_put_u8(out, (uint8_t)(h.flags & EVLOG_FLAG_LZ4));
		bytes_put_u16(out, (uint16_t)h.records);
		bytes_put_u16(out, (uint16_t)h.raw_len);
		bytes_put_u64(out, h.first.icount);
		bytes_put(out, chunk.data + EVLOG_HEADER_SIZE, chunk.len - EVLOG_HEADER_SIZE);
	} else {
		bytes_put_u8(out, 100);
		memcpy(h.id, fuzz_id, sizeof(h.id));
		for (; h.number < 4; h.number++) {
			sample_records(&b, h.number * 100);
			h.prev_crc = h.crc;
			h.flags = h.number == 3 ? EVLOG_FLAG_END : 0;
			if (evlog_chunk_encode(&b, &h, out) != RV_OK)
				abort();
		}
	}
	evlog_batch_fini(&b);
	bytes_fini(&chunk);
	return true;
}

size_t fuzz_mutate(uint8_t *p, size_t len, uint64_t *rng)
{
	unsigned n = 1 + (unsigned)(fuzz_random(rng) % 6);

	while (n-- && len > 1) {
		size_t at = 1 + fuzz_random(rng) % (len - 1);
		uint64_t x = fuzz_random(rng);
		if (x % 8 < 4)
			p[at] ^= (uint8_t)(1u << (x >> 8) % 8);
		else if (x % 8 < 6)
			p[at] = (uint8_t)(x >> 16);
		else if (x % 8 == 6)
			len = at;
		else if (len - at >= 8)
			memset(p + at, (x >> 8) & 1 ? 0xff : 0, 8);
	}
	return len;
}
