/* SPDX-License-Identifier: Apache-2.0 */
#define XXH_INLINE_ALL /* lets the compiler inline the hash of a page; no other use of the library */
#include "base/digest.h"

#include <stdio.h>
#include <xxhash.h>

struct digest128 digest_bytes(const void *data, size_t len, uint64_t seed)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(data, len, seed);
	return (struct digest128){ .lo = h.low64, .hi = h.high64 };
}

bool digest_equal(struct digest128 a, struct digest128 b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

struct digest128 digest_add(struct digest128 a, struct digest128 b)
{
	struct digest128 r = { .lo = a.lo + b.lo, .hi = a.hi + b.hi };
	r.hi += r.lo < a.lo;
	return r;
}

struct digest128 digest_sub(struct digest128 a, struct digest128 b)
{
	struct digest128 r = { .lo = a.lo - b.lo, .hi = a.hi - b.hi };
	r.hi -= a.lo < b.lo;
	return r;
}

void digest_hex(struct digest128 d, char out[33])
{
	snprintf(out, 33, "%016llx%016llx", (unsigned long long)d.hi, (unsigned long long)d.lo);
}

/* x86-64-v2 has the Castagnoli CRC as an instruction (SDM vol. 2, CRC32). */
__attribute__((target("sse4.2"))) uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t c = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		uint64_t v;
		__builtin_memcpy(&v, p, 8);
		c = __builtin_ia32_crc32di(c, v);
	}
	for (; len; len--, p++)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p);
	return ~(uint32_t)c;
}
