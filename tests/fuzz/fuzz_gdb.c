/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GDB stub on arbitrary bytes, without a descriptor. The first byte of the
 * input chooses: payloads, one a line, for the request layer; or bytes for the
 * frame parser (with their checksums made right, or not). One stub serves all
 * inputs: the end of a session must leave nothing behind. The machine behind it
 * aborts on a call that breaks debug_target.h.
 */
#include <stdlib.h>
#include <string.h>

#include "gdb_input.h"
#include "gdbstub/stub.h"
#include "tests/unit/gdbstub/fake_target.h"

enum { INPUT_REQUESTS, INPUT_FRAMES, INPUT_FRAMES_FIXED, INPUT_KINDS };

static void need(bool truth)
{
	if (!truth)
		abort();
}

/* ---- what a reply may look like ---- */

/* Requests that this machine always answers with something: empty would say "not supported". */
static const char *const answered[] = {
	"g", "G", "p", "P", "x", "M", "X", "Z", "z", "c", "C", "s", "S", "H", "T", "D", "qSupported",
	"qXfer:features:read:", "qThreadExtraInfo,", "qAttached", "qRcmd,", "qSearch:memory:",
	"Qqemu.PhyMemMode:", "vCont;", "vKill;", "vRun;",
};

/* addr,len with one to sixteen significant digits each, and nothing behind. */
static bool range_is_good(const char *p, size_t len, uint64_t *n)
{
	for (int part = 0; part < 2; part++) {
		size_t digits = 0, zeros = 0;
		while (zeros < len && p[zeros] == '0')
			zeros++;
		*n = 0;
		while (zeros + digits < len && hex_digit(p[zeros + digits]) >= 0)
			*n = *n << 4 | (unsigned)hex_digit(p[zeros + digits++]);
		if (zeros + digits == 0 || digits > 16)
			return false;
		p += zeros + digits;
		len -= zeros + digits;
		if (part == 0 && (len == 0 || *p != ','))
			return false;
		if (part == 0) {
			p++;
			len--;
		}
	}
	return len == 0;
}

static void check_reply(const char *p, size_t len, const char *r, size_t n)
{
	bool error = n == 3 && r[0] == 'E' && hex_digit(r[1]) >= 0 && hex_digit(r[2]) >= 0;

	/* Every E is an error's (data in hexadecimal has small letters, `x` a letter in front). */
	need(n == 0 || r[0] != 'E' || error);
	for (size_t i = 0; i < RV_ARRAY_LEN(answered); i++)
		if (len >= strlen(answered[i]) && !memcmp(p, answered[i], strlen(answered[i])))
			need(n > 0);
	if (len > 0 && (*p == 'm' || *p == 'x')) {
		uint64_t want;
		bool good = range_is_good(p + 1, len - 1, &want);
		need(good || (error && !memcmp(r, "E01", 3)));
		need(!good || !error || !memcmp(r, "E14", 3));
		need(!good || error || *p != 'm' || (n % 2 == 0 && n / 2 <= want && !n == !want));
		need(!good || error || *p != 'x' || (r[0] == 'b' && n - 1 <= want));
	}
	if (len > 0 && (*p == 'Z' || *p == 'z') && (len < 2 || p[1] < '0' || p[1] > '4'))
		need(error);
	if (len > 0 && (*p == 'Z' || *p == 'z' || *p == 'M' || *p == 'X' || *p == 'P' || *p == 'G'))
		need(error || (n == 2 && !memcmp(r, "OK", 2)));
}

/* ---- inputs ---- */

struct fixture {
	struct fake fake;
	struct gdbstub *stub;
	struct rsp_parser parser[2];
	uint8_t frame[RSP_FRAME_MAX];
	uint8_t copy[RSP_FRAME_MAX];
	char reply[RSP_PAYLOAD_MAX + 1];
};

/* One for all inputs of the process, or most of the time would go into making it. */
static struct fixture *fixture_get(void)
{
	static struct fixture x;

	fake_init(&x.fake);
	x.fake.end = 100; /* a short history is walked fast */
	if (!x.stub)
		need(gdbstub_attach(&x.stub, -1, &x.fake.target) == RV_OK);
	return &x;
}

static void fuzz_request(struct fixture *x, const char *payload, size_t len)
{
	int n = gdbstub_request(x->stub, payload, len, x->reply, sizeof(x->reply));

	if (len > RSP_PAYLOAD_MAX) {
		need(n == RV_EINVAL);
		return;
	}
	need(n >= 0);
	check_reply(payload, len, x->reply, (size_t)n);
}

static void fuzz_requests(struct fixture *x, const uint8_t *data, size_t size)
{
	while (size > 0) {
		const uint8_t *nl = memchr(data, '\n', size);
		size_t len = nl ? (size_t)(nl - data) : size;
		fuzz_request(x, (const char *)data, len);
		data += nl ? len + 1 : len;
		size -= nl ? len + 1 : len;
	}
}

/* What the parser takes for a packet comes back when it is framed and parsed again; it is answered. */
static void fuzz_frames(struct fixture *x, const uint8_t *data, size_t size, bool fix)
{
	struct rsp_parser *p = x->parser;

	if (size > sizeof(x->copy))
		size = sizeof(x->copy);
	memcpy(x->copy, data, size);
	if (fix)
		gdb_sums_fix(x->copy, size);
	rsp_parser_init(&p[0]);
	rsp_parser_init(&p[1]);
	for (size_t i = 0; i < size; i++) {
		enum rsp_event ev = rsp_parser_push(&p[0], x->copy[i]);
		size_t n;
		need(p[0].len <= RSP_PAYLOAD_MAX);
		if (ev != RSP_PACKET)
			continue;
		n = rsp_frame_encode(p[0].body, p[0].len, x->frame);
		for (size_t j = 0; j < n; j++)
			need((rsp_parser_push(&p[1], x->frame[j]) == RSP_PACKET) == (j == n - 1));
		need(p[1].len == p[0].len && !memcmp(p[1].body, p[0].body, p[0].len));
		fuzz_request(x, p[0].body, p[0].len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture *x;

	if (size == 0)
		return 0;
	x = fixture_get();
	if (data[0] % INPUT_KINDS == INPUT_REQUESTS)
		fuzz_requests(x, data + 1, size - 1);
	else
		fuzz_frames(x, data + 1, size - 1, data[0] % INPUT_KINDS == INPUT_FRAMES_FIXED);
	stub_session_end(x->stub);
	stub_session_begin(x->stub);
	need(x->fake.nbreaks == 0 && x->stub->nbreaks == 0 && x->stub->break_bytes == 0);
	return 0;
}

bool fuzz_sample(unsigned which, struct bytes *out)
{
	if (which >= INPUT_KINDS)
		return false;
	bytes_put_u8(out, (uint8_t)which);
	gdb_requests_put(out, which != INPUT_REQUESTS);
	return true;
}

size_t fuzz_mutate(uint8_t *p, size_t len, uint64_t *rng)
{
	return gdb_mutate(p, len, rng);
}
