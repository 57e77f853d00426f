/* SPDX-License-Identifier: Apache-2.0 */
#include "aml.h"

#include <string.h>

#define AML_ZERO 0x00u
#define AML_ONE 0x01u
#define AML_NAME 0x08u
#define AML_BYTE 0x0au
#define AML_WORD 0x0bu
#define AML_DWORD 0x0cu
#define AML_STRING 0x0du
#define AML_SCOPE 0x10u
#define AML_BUFFER 0x11u
#define AML_PACKAGE 0x12u
#define AML_EXT 0x5bu
#define AML_DEVICE 0x82u
#define RES_IO 0x47u
#define RES_IRQ 0x22u
#define RES_END 0x79u
#define RES_DWORD 0x87u /* address space descriptors */
#define RES_WORD 0x88u
#define RES_FIXED 0x0cu /* general flags: minimum and maximum fixed, positive decode, produced */

/* PkgLength counts itself: 6 bits in one byte, or 4 bits and one or two further bytes (20.2.4). */
static void aml_pkg_length(struct bytes *out, size_t body)
{
	size_t n = body + 1;
	if (n < 0x40) {
		bytes_put_u8(out, (uint8_t)n);
		return;
	}
	n = body + 2;
	if (n < 0x1000) {
		bytes_put_u8(out, (uint8_t)(0x40 | (n & 15)));
		bytes_put_u8(out, (uint8_t)(n >> 4));
		return;
	}
	n = body + 3;
	bytes_put_u8(out, (uint8_t)(0x80 | (n & 15)));
	bytes_put_u8(out, (uint8_t)(n >> 4));
	bytes_put_u8(out, (uint8_t)(n >> 12));
}

static void aml_append(struct bytes *out, const struct bytes *in)
{
	bytes_put(out, in->data, in->len);
	out->failed |= in->failed;
}

void aml_name(struct bytes *out, const char *name)
{
	bytes_put_u8(out, AML_NAME);
	bytes_put(out, name, 4);
}

void aml_integer(struct bytes *out, uint32_t value)
{
	if (value == 0) {
		bytes_put_u8(out, AML_ZERO);
	} else if (value == 1) {
		bytes_put_u8(out, AML_ONE);
	} else if (value <= 0xff) {
		bytes_put_u8(out, AML_BYTE);
		bytes_put_u8(out, (uint8_t)value);
	} else if (value <= 0xffff) {
		bytes_put_u8(out, AML_WORD);
		bytes_put_u16(out, (uint16_t)value);
	} else {
		bytes_put_u8(out, AML_DWORD);
		bytes_put_u32(out, value);
	}
}

static uint32_t aml_hex_digit(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of 5 bits, four hexadecimal digits, big-endian (19.3.4). */
void aml_eisaid(struct bytes *out, const char *id)
{
	uint32_t v = (uint32_t)(id[0] - '@') << 26 | (uint32_t)(id[1] - '@') << 21 |
		     (uint32_t)(id[2] - '@') << 16 | aml_hex_digit(id[3]) << 12 |
		     aml_hex_digit(id[4]) << 8 | aml_hex_digit(id[5]) << 4 | aml_hex_digit(id[6]);
	bytes_put_u8(out, AML_DWORD);
	bytes_put_u32(out, __builtin_bswap32(v));
}

void aml_package(struct bytes *out, const uint32_t *values, uint8_t n)
{
	struct bytes body = { 0 };
	bytes_put_u8(&body, n);
	for (uint8_t i = 0; i < n; i++)
		aml_integer(&body, values[i]);
	bytes_put_u8(out, AML_PACKAGE);
	aml_pkg_length(out, body.len);
	aml_append(out, &body);
	bytes_fini(&body);
}

void aml_scope(struct bytes *out, const char *name, const struct bytes *body)
{
	bytes_put_u8(out, AML_SCOPE);
	aml_pkg_length(out, body->len + 5);
	bytes_put_u8(out, '\\');
	bytes_put(out, name, 4);
	aml_append(out, body);
}

void aml_device(struct bytes *out, const char *name, const struct bytes *body)
{
	bytes_put_u8(out, AML_EXT);
	bytes_put_u8(out, AML_DEVICE);
	aml_pkg_length(out, body->len + 4);
	bytes_put(out, name, 4);
	aml_append(out, body);
}

void aml_resources(struct bytes *out, const struct bytes *items)
{
	struct bytes body = { 0 };
	aml_integer(&body, (uint32_t)items->len + 2);
	aml_append(&body, items);
	bytes_put_u8(&body, RES_END);
	bytes_put_u8(&body, 0); /* checksum 0: not checked (6.4.2.9) */
	bytes_put_u8(out, AML_BUFFER);
	aml_pkg_length(out, body.len);
	aml_append(out, &body);
	bytes_fini(&body);
}

void aml_resource_io(struct bytes *out, uint16_t port, uint8_t len)
{
	bytes_put_u8(out, RES_IO);
	bytes_put_u8(out, 1); /* decodes 16 bits */
	bytes_put_u16(out, port);
	bytes_put_u16(out, port);
	bytes_put_u8(out, 1);
	bytes_put_u8(out, len);
}

void aml_resource_irq(struct bytes *out, unsigned irq)
{
	bytes_put_u8(out, RES_IRQ); /* two bytes: edge-triggered, active high */
	bytes_put_u16(out, (uint16_t)(1u << irq));
}

void aml_string(struct bytes *out, const char *text)
{
	bytes_put_u8(out, AML_STRING);
	bytes_put(out, text, strlen(text) + 1);
}

void aml_resource_window(struct bytes *out, enum aml_window kind, uint32_t first, uint32_t last)
{
	static const uint8_t flags[] = {
		[AML_MEMORY] = 1, /* read and write, not cached */
		[AML_IO] = 3,     /* ISA ports and others */
		[AML_BUS] = 0,
	};
	const bool word = kind == AML_BUS;
	const uint32_t values[] = { 0 /* granularity */, first, last, 0 /* translation */, last - first + 1 };
	bytes_put_u8(out, word ? RES_WORD : RES_DWORD);
	bytes_put_u16(out, word ? 13 : 23);
	bytes_put_u8(out, (uint8_t)kind);
	bytes_put_u8(out, RES_FIXED);
	bytes_put_u8(out, flags[kind]);
	for (unsigned i = 0; i < RV_ARRAY_LEN(values); i++) {
		if (word)
			bytes_put_u16(out, (uint16_t)values[i]);
		else
			bytes_put_u32(out, values[i]);
	}
}
