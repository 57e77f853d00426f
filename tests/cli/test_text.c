/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text.h"

static char *captured;
static size_t captured_len;

static FILE *capture(void)
{
	free(captured);
	captured = NULL;
	return open_memstream(&captured, &captured_len);
}

static void escaped(void **state)
{
	static const char raw[] = "a\n\r\t\"\\\x1b[2J\x7f\xff\0z";
	FILE *f = capture();

	(void)state;
	text_print_escaped(f, raw, sizeof(raw) - 1);
	fclose(f);
	assert_string_equal(captured, "a\\n\\r\\t\\\"\\\\\\x1b[2J\\x7f\\xff\\x00z");
}

static void json(void **state)
{
	FILE *f = capture();

	(void)state;
	text_print_json(f, "a\"b\\c\n\x1b\xe9/");
	fclose(f);
	assert_string_equal(captured, "\"a\\\"b\\\\c\\u000a\\u001b\\u00e9/\"");
}

static void amounts(void **state)
{
	FILE *f = capture();

	(void)state;
	text_print_size(f, 512ull << 20);
	fputc('|', f);
	text_print_size(f, 4097);
	fputc('|', f);
	text_print_size(f, 0);
	fputc('|', f);
	text_print_date(f, 1704067200ll * 1000000000);
	fputc('|', f);
	text_print_date(f, INT64_MIN);
	fclose(f);
	assert_non_null(strstr(captured, "512 MiB|4097 bytes|0 bytes|2024-01-01 00:00:00|"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escaped),
		cmocka_unit_test(json),
		cmocka_unit_test(amounts),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	free(captured);
	return rc;
}
