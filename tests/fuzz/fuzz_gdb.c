/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GDB stub on arbitrary bytes. The first byte of the input chooses:
 * payloads, one a line, for the request layer; bytes for the frame parser; or
 * a whole connection. The machine behind it aborts on a call that breaks
 * debug_target.h.
 *
 * With clang: a libFuzzer target. Otherwise a program that runs the files named
 * on its command line, or its own samples, and random mutations of each.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "gdbstub/rsp_link.h"
#include "tests/unit/gdbstub/fake_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_requests(const uint8_t *data, size_t size)
{
	static char reply[RSP_PAYLOAD_MAX + 1];
	struct fake f;
	struct gdbstub *s;

	fake_init(&f);
	if (gdbstub_attach(&s, -1, &f.target) != RV_OK)
		abort();
	while (size > 0) {
		const uint8_t *nl = memchr(data, '\n', size);
		size_t len = nl ? (size_t)(nl - data) : size;
		int n = gdbstub_request(s, (const char *)data, len, reply, sizeof(reply));
		if (n < 0 && len <= RSP_PAYLOAD_MAX)
			abort();
		data += nl ? len + 1 : len;
		size -= nl ? len + 1 : len;
	}
	gdbstub_destroy(s);
	if (f.nbreaks)
		abort();
}

/* What the parser takes for a packet comes back when it is framed and parsed again. */
static void fuzz_parser(const uint8_t *data, size_t size)
{
	struct rsp_parser *p = malloc(2 * sizeof(*p));
	uint8_t *frame = malloc(RSP_FRAME_MAX);

	if (!p || !frame)
		abort();
	rsp_parser_init(&p[0]);
	rsp_parser_init(&p[1]);
	for (size_t i = 0; i < size; i++) {
		enum rsp_event ev = rsp_parser_push(&p[0], data[i]);
		size_t n;
		if (p[0].len > RSP_PAYLOAD_MAX)
			abort();
		if (ev != RSP_PACKET)
			continue;
		n = rsp_frame_encode(p[0].body, p[0].len, frame);
		for (size_t j = 0; j < n; j++)
			if ((rsp_parser_push(&p[1], frame[j]) == RSP_PACKET) != (j == n - 1))
				abort();
		if (p[1].len != p[0].len || memcmp(p[1].body, p[0].body, p[0].len) != 0)
			abort();
	}
	free(frame);
	free(p);
}

struct fuzz_client {
	int fd;
	const uint8_t *data;
	size_t size;
};

/* A stub that waited for a client that does not read would be right, and slow. */
static void *fuzz_drain(void *arg)
{
	const struct fuzz_client *c = arg;
	char buf[4096];

	while (recv(c->fd, buf, sizeof(buf), 0) > 0)
		continue;
	return NULL;
}

static void fuzz_connection(const uint8_t *data, size_t size)
{
	struct fuzz_client c;
	struct fake f;
	struct gdbstub *s;
	enum gdbstub_end end;
	pthread_t drain;
	int fd[2], rc;

	fake_init(&f);
	if (size > 4096)
		size = 4096;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
		abort();
	c = (struct fuzz_client){ fd[0], data, size };
	if (send(fd[0], data, size, MSG_NOSIGNAL) != (ssize_t)size ||
	    shutdown(fd[0], SHUT_WR) != 0 || pthread_create(&drain, NULL, fuzz_drain, &c) != 0 ||
	    gdbstub_attach(&s, fd[1], &f.target) != RV_OK)
		abort();
	rc = gdbstub_serve(s, NULL, NULL, &end);
	gdbstub_destroy(s);
	pthread_join(drain, NULL);
	close(fd[0]);
	if (rc != RV_OK || f.nbreaks)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		fuzz_requests(data + 1, size - 1);
		break;
	case 1:
		fuzz_parser(data + 1, size - 1);
		break;
	default:
		fuzz_connection(data + 1, size - 1);
		break;
	}
	return 0;
}

#ifndef RV_LIBFUZZER
static const char *const sample_requests[] = {
	"qSupported:swbreak+;hwbreak+;multiprocess+",
	"QStartNoAckMode",
	"qXfer:features:read:target.xml:0,fff",
	"qfThreadInfo",
	"qThreadExtraInfo,1",
	"Hg1",
	"T2",
	"g",
	"p12",
	"P0=8877665544332211",
	"m601000,2010",
	"x602ff0,40",
	"M601000,4:61626364",
	"X601004,3:abc",
	"qSearch:memory:601000;2000;cd",
	"Qqemu.PhyMemMode:1",
	"Qqemu.PhyMemMode:0",
	"Z0,ffffffff81000010,1;X3,220127X14,260010250000000000000001022001001213102720",
	"Z1,ffffffff81000020,1;Xa,24006010101722111327",
	"Z2,601020,4",
	"Z3,601060,8",
	"Z4,601030,1",
	"vCont;s:1;c",
	"vCont;c",
	"vCont;rffffffff81000000,ffffffff81000100:1",
	"bc",
	"bs",
	"C05;ffffffff81000004",
	"z2,601020,4",
	"qRcmd,7365656b203130",
	"vRun;;313030",
	"?",
	"vKill;1",
	"R00",
};

static uint64_t rng_next(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* The same requests for all three, as lines or as frames. */
static void sample(unsigned which, struct bytes *out)
{
	static uint8_t frame[RSP_FRAME_MAX];

	bytes_put_u8(out, (uint8_t)which);
	for (size_t i = 0; i < RV_ARRAY_LEN(sample_requests); i++) {
		size_t n = strlen(sample_requests[i]);
		if (which == 0) {
			bytes_put(out, sample_requests[i], n);
			bytes_put_u8(out, '\n');
		} else {
			n = rsp_frame_encode(sample_requests[i], n, frame);
			bytes_put(out, frame, n);
			bytes_put_u8(out, '+');
		}
	}
	if (which == 2)
		bytes_put(out, "\003-$D#44", 7);
}

/* Checksums are made right again, or few requests of a connection would be heard. */
static void fix_sums(uint8_t *p, size_t size)
{
	uint8_t sum = 0;

	for (size_t i = 0; i + 2 < size; i++) {
		if (p[i] == '$') {
			sum = 0;
		} else if (p[i] == '#') {
			p[i + 1] = (uint8_t)"0123456789abcdef"[sum >> 4];
			p[i + 2] = (uint8_t)"0123456789abcdef"[sum & 15];
		} else {
			sum = (uint8_t)(sum + p[i]);
		}
	}
}

static void mutate_and_run(const struct bytes *in, unsigned rounds, uint64_t *rng)
{
	static const char alphabet[] = "0123456789abcdef,;:=$#}*+-XZzmMgGpPcsbvHTqQf\n\003";
	uint8_t *copy = malloc(in->len + 64);

	if (!copy)
		abort();
	LLVMFuzzerTestOneInput(in->data, in->len);
	for (unsigned i = 0; i < rounds; i++) {
		size_t len = in->len;
		unsigned n = 1 + (unsigned)(rng_next(rng) % 12);
		memcpy(copy, in->data, len);
		while (n-- && len > 1) {
			size_t at = 1 + rng_next(rng) % (len - 1);
			uint64_t x = rng_next(rng);
			size_t cut = 1 + (x >> 32) % 4;
			if (x % 8 < 4) {
				copy[at] = (uint8_t)alphabet[(x >> 8) % (sizeof(alphabet) - 1)];
			} else if (x % 8 < 5) {
				copy[at] = (uint8_t)(x >> 16);
			} else if (x % 8 == 5 && len - at > cut) { /* something is missing */
				memmove(copy + at, copy + at + cut, len - at - cut);
				len -= cut;
			} else if (x % 8 == 6 && len - at >= 16) {
				memset(copy + at, 'f', 16);
			} else if (x % 64 == 7) {
				len = at;
			}
		}
		if (rng_next(rng) % 8)
			fix_sums(copy + 1, len - 1);
		LLVMFuzzerTestOneInput(copy, len);
	}
	free(copy);
}

int main(int argc, char **argv)
{
	const char *text = getenv("RV_TEST_SEED"), *count = getenv("RV_FUZZ_ROUNDS");
	uint64_t rng = text ? strtoull(text, NULL, 0) : 0x5eed;
	unsigned rounds = count ? (unsigned)strtoul(count, NULL, 0) : 10000;

	printf("seed %#llx (RV_TEST_SEED), %u mutations each (RV_FUZZ_ROUNDS)\n",
	       (unsigned long long)rng, rounds);
	for (unsigned i = 0; i < 3; i++) {
		struct bytes in = { 0 };
		sample(i, &in);
		mutate_and_run(&in, rounds, &rng);
		bytes_fini(&in);
	}
	for (int i = 1; i < argc; i++) {
		struct bytes in = { 0 };
		uint8_t buf[4096];
		size_t n;
		FILE *f = fopen(argv[i], "rb");
		if (!f) {
			perror(argv[i]);
			return 1;
		}
		while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
			bytes_put(&in, buf, n);
		fclose(f);
		if (in.len)
			mutate_and_run(&in, rounds, &rng);
		bytes_fini(&in);
	}
	return 0;
}
#endif
