/* SPDX-License-Identifier: Apache-2.0 */
/* The generator behind --chaos: one word of saved state, the same numbers on every host. Not for secrets. */
#ifndef RV_BASE_RNG_H
#define RV_BASE_RNG_H

#include "base/types.h"

/* xorshift64* (Vigna, 2016). *state must not be 0, and never becomes it. */
static inline uint64_t rng_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

#endif
