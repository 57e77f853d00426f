/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_fini(struct bytes *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

void bytes_clear(struct bytes *b)
{
	b->len = 0;
	b->failed = false;
}

void bytes_put(struct bytes *b, const void *data, size_t len)
{
	if (b->failed || len == 0)
		return;
	if (len > SIZE_MAX / 2 - b->len) {
		b->failed = true;
		return;
	}
	if (b->len + len > b->cap) {
		size_t cap = b->cap ? b->cap : 256;
		uint8_t *p;
		while (cap < b->len + len)
			cap *= 2;
		p = realloc(b->data, cap);
		if (!p) {
			b->failed = true;
			return;
		}
		b->data = p;
		b->cap = cap;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void bytes_put_text(struct bytes *b, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0)
		bytes_put(b, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void bytes_put_u8(struct bytes *b, uint8_t v)
{
	bytes_put(b, &v, 1);
}

void bytes_put_u16(struct bytes *b, uint16_t v)
{
	uint8_t raw[2];
	le16_put(raw, v);
	bytes_put(b, raw, sizeof(raw));
}

void bytes_put_u32(struct bytes *b, uint32_t v)
{
	uint8_t raw[4];
	le32_put(raw, v);
	bytes_put(b, raw, sizeof(raw));
}

void bytes_put_u64(struct bytes *b, uint64_t v)
{
	uint8_t raw[8];
	le64_put(raw, v);
	bytes_put(b, raw, sizeof(raw));
}

void bytes_in_init(struct bytes_in *in, const void *data, size_t len)
{
	in->data = data;
	in->len = len;
	in->pos = 0;
	in->failed = false;
}

void bytes_get(struct bytes_in *in, void *out, size_t len)
{
	if (in->failed || len > in->len - in->pos) {
		in->failed = true;
		memset(out, 0, len);
		return;
	}
	if (len)
		memcpy(out, in->data + in->pos, len);
	in->pos += len;
}

uint8_t bytes_get_u8(struct bytes_in *in)
{
	uint8_t v;
	bytes_get(in, &v, 1);
	return v;
}

uint16_t bytes_get_u16(struct bytes_in *in)
{
	uint8_t raw[2];
	bytes_get(in, raw, sizeof(raw));
	return le16_get(raw);
}

uint32_t bytes_get_u32(struct bytes_in *in)
{
	uint8_t raw[4];
	bytes_get(in, raw, sizeof(raw));
	return le32_get(raw);
}

uint64_t bytes_get_u64(struct bytes_in *in)
{
	uint8_t raw[8];
	bytes_get(in, raw, sizeof(raw));
	return le64_get(raw);
}
