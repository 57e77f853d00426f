/* SPDX-License-Identifier: Apache-2.0 */
/* Good requests of a debugger, and ways to spoil them: for the fuzz programs of the GDB stub. */
#ifndef RV_TESTS_GDB_INPUT_H
#define RV_TESTS_GDB_INPUT_H

#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "gdbstub/rsp_link.h"

static const char *const gdb_requests[] = {
	"qSupported:swbreak+;hwbreak+;multiprocess+",
	"QStartNoAckMode",
	"qXfer:features:read:target.xml:0,fff",
	"qfThreadInfo",
	"qThreadExtraInfo,1",
	"qAttached:1",
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

/* All of them, as lines or as frames. */
static inline void gdb_requests_put(struct bytes *out, bool frames)
{
	uint8_t *frame = malloc(RSP_FRAME_MAX);

	if (!frame)
		abort();
	for (size_t i = 0; i < RV_ARRAY_LEN(gdb_requests); i++) {
		size_t n = strlen(gdb_requests[i]);
		if (!frames) {
			bytes_put(out, gdb_requests[i], n);
			bytes_put_u8(out, '\n');
		} else {
			n = rsp_frame_encode(gdb_requests[i], n, frame);
			bytes_put(out, frame, n);
			bytes_put_u8(out, '+');
		}
	}
	free(frame);
}

/* Makes checksums right again, or few of the changed requests would be heard. */
static inline void gdb_sums_fix(uint8_t *p, size_t size)
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

/* Bytes that mean something to the stub, missing parts, long numbers; not in the first byte. */
static inline size_t gdb_mutate(uint8_t *p, size_t len, uint64_t *rng)
{
	static const char alphabet[] = "0123456789abcdef,;:=$#}*+-XZzmMgGpPcsbvHTqQf\n\003";
	unsigned n = 1 + (unsigned)(fuzz_random(rng) % 12);

	while (n-- && len > 1) {
		size_t at = 1 + fuzz_random(rng) % (len - 1);
		uint64_t x = fuzz_random(rng);
		size_t cut = 1 + (x >> 32) % 4;
		if (x % 8 < 4) {
			p[at] = (uint8_t)alphabet[(x >> 8) % (sizeof(alphabet) - 1)];
		} else if (x % 8 < 5) {
			p[at] = (uint8_t)(x >> 16);
		} else if (x % 8 == 5 && len - at > cut) { /* something is missing */
			memmove(p + at, p + at + cut, len - at - cut);
			len -= cut;
		} else if (x % 8 == 6 && len - at >= 16) {
			memset(p + at, 'f', 16);
		} else if (x % 64 == 7) {
			len = at;
		}
	}
	return len;
}

#endif
