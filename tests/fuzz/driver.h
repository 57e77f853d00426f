/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fuzz program brings, and what driver.c makes of it without libFuzzer:
 * a program that runs its own samples and the files named on its command line,
 * and random mutations of each. `-w DIR` writes the samples as a corpus.
 */
#ifndef RV_TESTS_FUZZ_DRIVER_H
#define RV_TESTS_FUZZ_DRIVER_H

#include "base/bytes.h"
#include "base/types.h"

/* One input. Aborts if something is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not used under libFuzzer: good inputs, numbered from 0; false: there are no more. */
bool fuzz_sample(unsigned which, struct bytes *out);
/* Changes the input, whose length may shrink: returns the new one. */
size_t fuzz_mutate(uint8_t *p, size_t len, uint64_t *rng);

/* splitmix64 */
static inline uint64_t fuzz_random(uint64_t *rng)
{
	uint64_t z = *rng += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

#endif
