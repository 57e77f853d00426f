/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor over one packet's payload, and hexadecimal digits. Nothing reads past the end. */
#ifndef RV_GDBSTUB_HEX_H
#define RV_GDBSTUB_HEX_H

#include <string.h>

#include "base/types.h"

static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static inline char hex_char(unsigned v)
{
	return "0123456789abcdef"[v & 15u];
}

struct pkt {
	const char *p, *end;
};

static inline size_t pkt_left(const struct pkt *k)
{
	return (size_t)(k->end - k->p);
}

static inline bool pkt_done(const struct pkt *k)
{
	return k->p == k->end;
}

static inline bool pkt_eat(struct pkt *k, char c)
{
	if (k->p == k->end || *k->p != c)
		return false;
	k->p++;
	return true;
}

static inline bool pkt_eat_text(struct pkt *k, const char *text)
{
	size_t n = strlen(text);
	if (pkt_left(k) < n || memcmp(k->p, text, n) != 0)
		return false;
	k->p += n;
	return true;
}

/* One to sixteen significant digits. */
static inline bool pkt_hex(struct pkt *k, uint64_t *out)
{
	const char *start = k->p;
	uint64_t v = 0;
	while (k->p != k->end && hex_digit(*k->p) >= 0) {
		if (v >> 60)
			return false;
		v = v << 4 | (unsigned)hex_digit(*k->p++);
	}
	*out = v;
	return k->p != start;
}

/* Exactly 2n digits. */
static inline bool pkt_bytes(struct pkt *k, uint8_t *out, size_t n)
{
	if (pkt_left(k) / 2 < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(k->p[0]), lo = hex_digit(k->p[1]);
		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
		k->p += 2;
	}
	return true;
}

#endif
