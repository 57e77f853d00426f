/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <inttypes.h>
#include <time.h>

void text_print_escaped(FILE *out, const void *data, size_t len)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < len; i++) {
		switch (b[i]) {
		case '\n':
			fputs("\\n", out);
			break;
		case '\r':
			fputs("\\r", out);
			break;
		case '\t':
			fputs("\\t", out);
			break;
		case '\\':
		case '"':
			fprintf(out, "\\%c", b[i]);
			break;
		default:
			if (b[i] >= 0x20 && b[i] < 0x7f)
				fputc(b[i], out);
			else
				fprintf(out, "\\x%02x", b[i]);
		}
	}
}

void text_print_json(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s; s++) {
		uint8_t c = (uint8_t)*s;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			fputc(c, out);
		else
			fprintf(out, "\\u%04x", c);
	}
	fputc('"', out);
}

void text_print_date(FILE *out, int64_t ns)
{
	time_t t = (time_t)(ns / 1000000000);
	struct tm tm;
	char buf[40];

	if (!gmtime_r(&t, &tm) || !strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S", &tm))
		fprintf(out, "%" PRId64 " ns since 1970", ns);
	else
		fputs(buf, out);
}

void text_print_size(FILE *out, uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB" };
	unsigned u = 0;

	while (u + 1 < sizeof(units) / sizeof(units[0]) && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		u++;
	}
	fprintf(out, "%" PRIu64 " %s", bytes, units[u]);
}
