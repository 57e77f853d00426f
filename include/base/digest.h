/* SPDX-License-Identifier: Apache-2.0 */
/* 128-bit state digests (XXH3) and CRC32C (Castagnoli, RFC 3720 appendix B.4). */
#ifndef RV_BASE_DIGEST_H
#define RV_BASE_DIGEST_H

#include "base/types.h"

struct digest128 {
	uint64_t lo, hi;
};

struct digest128 digest_bytes(const void *data, size_t len, uint64_t seed);
bool digest_equal(struct digest128 a, struct digest128 b);
/* Sums and differences modulo 2^128: the RAM digest is a sum over pages, so order does not matter. */
struct digest128 digest_add(struct digest128 a, struct digest128 b);
struct digest128 digest_sub(struct digest128 a, struct digest128 b);
/* 32 hex digits and a NUL into out. */
void digest_hex(struct digest128 d, char out[33]);

/* CRC32C of data; crc is the value so far, 0 to begin with. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
