/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Little-endian byte buffers: a growing writer and a bounds-checked reader.
 * Nothing here trusts its input: a reader that runs past its end goes into a
 * sticky failed state and yields zeros, so a parser checks once at the end.
 */
#ifndef RV_BASE_BYTES_H
#define RV_BASE_BYTES_H

#include "base/types.h"

static inline uint16_t le16_get(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t le32_get(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t le64_get(const void *p)
{
	return (uint64_t)le32_get(p) | (uint64_t)le32_get((const uint8_t *)p + 4) << 32;
}
static inline void le16_put(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}
static inline void le32_put(void *p, uint32_t v)
{
	le16_put(p, (uint16_t)v);
	le16_put((uint8_t *)p + 2, (uint16_t)(v >> 16));
}
static inline void le64_put(void *p, uint64_t v)
{
	le32_put(p, (uint32_t)v);
	le32_put((uint8_t *)p + 4, (uint32_t)(v >> 32));
}

/* Growing writer. Zero-initialise; bytes_fini() frees. On allocation failure `failed` sticks. */
struct bytes {
	uint8_t *data;
	size_t len;
	size_t cap;
	bool failed;
};
void bytes_fini(struct bytes *b);
void bytes_clear(struct bytes *b); /* len = 0, keeps the memory */
void bytes_put(struct bytes *b, const void *data, size_t len);
/* printf-like text of at most 1023 bytes, without the final NUL. */
void bytes_put_text(struct bytes *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void bytes_put_u8(struct bytes *b, uint8_t v);
void bytes_put_u16(struct bytes *b, uint16_t v);
void bytes_put_u32(struct bytes *b, uint32_t v);
void bytes_put_u64(struct bytes *b, uint64_t v);

/* Reader over borrowed memory. */
struct bytes_in {
	const uint8_t *data;
	size_t len;
	size_t pos;
	bool failed;
};
void bytes_in_init(struct bytes_in *in, const void *data, size_t len);
void bytes_get(struct bytes_in *in, void *out, size_t len); /* zeros on failure */
uint8_t bytes_get_u8(struct bytes_in *in);
uint16_t bytes_get_u16(struct bytes_in *in);
uint32_t bytes_get_u32(struct bytes_in *in);
uint64_t bytes_get_u64(struct bytes_in *in);

#endif
