/* SPDX-License-Identifier: Apache-2.0 */
/* The ChaCha20 block function (RFC 8439, 2.3) with a zero nonce; for virtio_rng.c. */
#ifndef RV_DEV_CHACHA20_H
#define RV_DEV_CHACHA20_H

#include "base/types.h"

#define CHACHA20_KEY 32u
#define CHACHA20_BLOCK 64u

/* Block number `counter` of the key's stream. The counter's upper half is the nonce's first word, as it was
 * before the RFC cut the counter to 32 bits: a stream does not end after 256 GiB. */
void chacha20_block(const uint8_t key[CHACHA20_KEY], uint64_t counter, uint8_t out[CHACHA20_BLOCK]);

#endif
