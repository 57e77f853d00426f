/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything a half of a pair decodes of what comes out of its channel: frames,
 * each kind of message, and the log as a backup's follower takes it. The
 * chain of a LOG message's chunk (CRC, number, session) is made right first,
 * or nothing behind it would ever be reached.
 */
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "driver.h"
#include "ft/follow.h"

#define PAGES 64u

static const uint8_t fuzz_session[16] = "the fuzz pair";

struct fuzzed {
	struct ft_follow *follow;
	uint64_t number;
	uint32_t crc;
	bool begun;
};

static void fuzz_hello(const uint8_t *data, size_t len)
{
	struct ft_hello h;
	struct bytes again = { 0 };
	if (ft_hello_decode(&h, data, len) && h.version == FT_VERSION) {
		ft_hello_encode(&h, &again);
		if (again.len != len || memcmp(again.data, data, len) != 0)
			abort();
	}
	bytes_fini(&again);
}

static volatile uint64_t sink; /* so that what is read is read */

static void fuzz_welcome(const uint8_t *data, size_t len)
{
	struct ft_welcome w;
	uint64_t sum = 0;
	if (!ft_welcome_decode(&w, data, len) || w.version != FT_VERSION)
		return;
	for (unsigned i = 0; i < w.ndisks; i++)
		for (uint32_t k = 0; k < w.disk[i].nregions; k++)
			sum += le64_get(w.disk[i].digests + 8 * k);
	sink = sum;
}

static void fuzz_machine(const uint8_t *data, size_t len)
{
	struct trace_manifest m;
	struct rv_err err = { 0 };
	if (len >= 16 && manifest_decode(data + 16, len - 16, "fuzz", &m, &err) == RV_OK)
		trace_manifest_fini(&m);
}

static void fuzz_ram(const uint8_t *data, size_t len)
{
	static struct ft_pages p;
	if (!ft_pages_decode(&p, PAGES, data, len))
		return;
	for (unsigned i = 0; i < p.n; i++)
		if (p.page[i] >= PAGES)
			abort();
}

static int fuzz_supply(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data)
{
	uint64_t sum = disk + block;
	(void)ctx;
	for (size_t i = 0; i < (size_t)nblocks * DISK_BLOCK; i++)
		sum += data[i];
	return sum == UINT64_MAX ? RV_EIO : RV_OK;
}

/* Takes what there is, as a replayer would. */
static void fuzz_drain(struct fuzzed *f)
{
	struct evlog_source *s = ft_follow_source(f->follow);
	struct evlog_record rec;
	struct rv_err err = { 0 };
	uint64_t sum = 0;
	while (s->ops->next(s, false, 0, &rec, &err) == 1)
		for (uint32_t i = 0; i < rec.len; i++)
			sum += rec.data[i];
	if (sum == UINT64_MAX)
		abort();
}

static void fuzz_log(struct fuzzed *f, const uint8_t *data, size_t len)
{
	struct ft_log l;
	uint8_t *copy = malloc(len ? len : 1);
	if (!copy)
		return;
	memcpy(copy, data, len);
	if (len >= FT_LOG_HEADER + EVLOG_HEADER_SIZE) {
		uint8_t *h = copy + FT_LOG_HEADER;
		struct evlog_header got;
		memcpy(h + EVLOG_OFF_TRACE_ID, fuzz_session, 16);
		le64_put(h + EVLOG_OFF_NUMBER, f->number);
		le32_put(h + EVLOG_OFF_PREV_CRC, f->crc);
		le32_put(h + EVLOG_OFF_STORED_LEN, (uint32_t)(len - FT_LOG_HEADER - EVLOG_HEADER_SIZE));
		le32_put(h + EVLOG_OFF_CRC, crc32c(crc32c(0, h, EVLOG_OFF_CRC), h + EVLOG_HEADER_SIZE,
						   len - FT_LOG_HEADER - EVLOG_HEADER_SIZE));
		if (evlog_header_decode(h, &got) && ft_log_decode(&l, copy, len) &&
		    ft_follow_put(f->follow, &l) == RV_OK) {
			f->number++;
			f->crc = got.crc;
		}
	} else if (ft_log_decode(&l, copy, len)) {
		(void)ft_follow_put(f->follow, &l);
	}
	free(copy);
	fuzz_drain(f);
}

static void fuzz_frame(struct fuzzed *f, const struct channel_frame *frame)
{
	char text[FT_TEXT_MAX + 1];
	struct ft_ack ack;
	struct ft_at at;
	switch (frame->type) {
	case FT_MSG_HELLO:
		fuzz_hello(frame->data, frame->len);
		break;
	case FT_MSG_WELCOME:
		fuzz_welcome(frame->data, frame->len);
		break;
	case FT_MSG_MACHINE:
		fuzz_machine(frame->data, frame->len);
		break;
	case FT_MSG_RAM:
		fuzz_ram(frame->data, frame->len);
		break;
	case FT_MSG_AT:
		if (ft_at_decode(&at, frame->data, frame->len) && !f->begun) {
			ft_follow_begin(f->follow, at.at, fuzz_session);
			f->begun = true;
		}
		break;
	case FT_MSG_LOG:
		fuzz_log(f, frame->data, frame->len);
		break;
	case FT_MSG_ACK:
		(void)ft_ack_decode(&ack, frame->data, frame->len);
		break;
	case FT_MSG_REFUSE:
	case FT_MSG_BYE:
		ft_text(text, frame->data, frame->len);
		for (const char *p = text; *p; p++)
			if (*p < ' ' || *p > '~')
				abort();
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzzed f = { .follow = NULL };
	struct channel_frame frame;
	struct ft_follow_stats stats;
	size_t used = 0;
	if (ft_follow_create(&f.follow, fuzz_supply, NULL) != RV_OK)
		return 0;
	while (channel_parse(data, size, &frame, &used) == 1) {
		if (used > size || frame.data + frame.len != data + used)
			abort();
		fuzz_frame(&f, &frame);
		data += used;
		size -= used;
	}
	ft_follow_end(f.follow);
	ft_follow_stats(f.follow, &stats);
	fuzz_drain(&f);
	ft_follow_destroy(f.follow);
	return 0;
}

/* ---- samples ---- */

static void put_frame(struct bytes *out, enum ft_msg type, const struct bytes *body)
{
	bytes_put_u32(out, (uint32_t)body->len + 1);
	bytes_put_u8(out, (uint8_t)type);
	bytes_put(out, body->data, body->len);
}

static void sample_pages(struct bytes *b)
{
	static struct ft_pages p;
	p.n = 3;
	for (unsigned i = 0; i < p.n; i++) {
		p.page[i] = i * 7;
		memset(p.contents[i], (int)i, RV_PAGE_SIZE);
	}
	if (ft_pages_encode(&p, b) != RV_OK)
		abort();
}

static void sample_log(struct bytes *out, unsigned chunks)
{
	struct evlog_header h = { 0 };
	struct evlog_batch batch = { 0 };
	struct bytes body = { 0 };
	uint8_t at[FT_AT_LEN];
	struct ft_at joined = { .at = { 10, 2 } };
	memcpy(h.id, fuzz_session, sizeof(h.id));
	ft_at_encode(&joined, at);
	bytes_put(&body, at, sizeof(at));
	put_frame(out, FT_MSG_AT, &body);
	for (unsigned i = 0; i < chunks; i++) {
		evlog_batch_clear(&batch);
		for (unsigned k = 0; k < 3; k++) {
			const struct evlog_record r = { .at = { 20 + i * 10 + k, 2 + i * 3 + k },
							.kind = k == 1 ? ND_NET : ND_CONSOLE,
							.data = (const uint8_t *)"abcdefghijklmnopqrst",
							.len = 14 + k };
			if (evlog_batch_add(&batch, &r) != RV_OK)
				abort();
		}
		bytes_clear(&body);
		bytes_put_u64(&body, 30 + i * 10);
		bytes_put_u64(&body, 1000 + i);
		if (evlog_chunk_encode(&batch, &h, &body) != RV_OK)
			abort();
		h.number++;
		h.prev_crc = h.crc;
		put_frame(out, FT_MSG_LOG, &body);
	}
	evlog_batch_fini(&batch);
	bytes_fini(&body);
}

bool fuzz_sample(unsigned which, struct bytes *out)
{
	static const uint8_t digests[32] = { 1, 2, 3 };
	struct ft_hello h = { .version = FT_VERSION, .term = 3, .semantics = 2, .pair = "pair", .program = "0.1",
			      .cpu_model = "rv-v2" };
	struct ft_welcome w = { .version = FT_VERSION, .ndisks = 2, .nnets = 1,
				.disk = { { 8, false, false, 1, digests }, { 4096, true, false, 3, digests } } };
	struct ft_ack a = { 1, 2, 3, 4 };
	struct bytes b = { 0 };
	uint8_t ack[FT_ACK_LEN];
	switch (which) {
	case 0:
		ft_hello_encode(&h, &b);
		put_frame(out, FT_MSG_HELLO, &b);
		break;
	case 1:
		ft_welcome_encode(&w, &b);
		put_frame(out, FT_MSG_WELCOME, &b);
		break;
	case 2:
		sample_pages(&b);
		put_frame(out, FT_MSG_RAM, &b);
		break;
	case 3:
		sample_log(out, 1);
		break;
	case 4:
		sample_log(out, 3);
		break;
	case 5:
		ft_ack_encode(&a, ack);
		bytes_put(&b, ack, sizeof(ack));
		put_frame(out, FT_MSG_ACK, &b);
		bytes_put(&b, "why\x07", 4);
		put_frame(out, FT_MSG_BYE, &b);
		break;
	default:
		return false;
	}
	bytes_fini(&b);
	return true;
}

size_t fuzz_mutate(uint8_t *p, size_t len, uint64_t *rng)
{
	unsigned n = 1 + (unsigned)(fuzz_random(rng) % 6);
	while (n-- && len > 1) {
		size_t at = fuzz_random(rng) % len;
		uint64_t x = fuzz_random(rng);
		if (x % 8 < 4)
			p[at] ^= (uint8_t)(1u << (x >> 8) % 8);
		else if (x % 8 < 6)
			p[at] = (uint8_t)(x >> 16);
		else if (x % 8 == 6)
			len = at ? at : 1;
		else if (len - at >= 8)
			memset(p + at, (x >> 8) & 1 ? 0xff : 0, 8);
	}
	return len;
}
