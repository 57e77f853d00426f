/* SPDX-License-Identifier: Apache-2.0 */
#include "chacha20.h"

#include <string.h>

#include "base/bytes.h"

#define ROUNDS 20u

static inline uint32_t rotl(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

/* RFC 8439, 2.1 */
static inline void quarter_round(uint32_t x[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
	x[a] += x[b];
	x[d] = rotl(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rotl(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rotl(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rotl(x[b] ^ x[c], 7);
}

void chacha20_block(const uint8_t key[CHACHA20_KEY], uint64_t counter, uint8_t out[CHACHA20_BLOCK])
{
	uint32_t start[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 }; /* "expand 32-byte k" */
	uint32_t x[16];
	for (unsigned i = 0; i < 8; i++)
		start[4 + i] = le32_get(key + 4 * i);
	start[12] = (uint32_t)counter;
	start[13] = (uint32_t)(counter >> 32);
	memcpy(x, start, sizeof(x));
	for (unsigned i = 0; i < ROUNDS; i += 2) {
		quarter_round(x, 0, 4, 8, 12);
		quarter_round(x, 1, 5, 9, 13);
		quarter_round(x, 2, 6, 10, 14);
		quarter_round(x, 3, 7, 11, 15);
		quarter_round(x, 0, 5, 10, 15);
		quarter_round(x, 1, 6, 11, 12);
		quarter_round(x, 2, 7, 8, 13);
		quarter_round(x, 3, 4, 9, 14);
	}
	for (unsigned i = 0; i < 16; i++)
		le32_put(out + 4 * i, x[i] + start[i]);
}
