/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/types.h"
#include "parse.h"

static void numbers(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "-1", "+1", "1x", "0x", "x", "0xg",
					   "18446744073709551616", "0x10000000000000000" };
	uint64_t v = 7;

	(void)state;
	assert_true(parse_u64("0", &v) && v == 0);
	assert_true(parse_u64("18446744073709551615", &v) && v == UINT64_MAX);
	assert_true(parse_u64("0xFfffffffffffffff", &v) && v == UINT64_MAX);
	assert_true(parse_u64("007", &v) && v == 7);
	for (size_t i = 0; i < RV_ARRAY_LEN(bad); i++)
		assert_false(parse_u64(bad[i], &v));
	assert_int_equal(v, 7); /* untouched by a failure */
}

static void sizes(void **state)
{
	static const char *const bad[] = { "", "M", "1Q", "1MM", "-1M", "1.5G", "0x10", "1 M",
					   "16777216T", "1Mi" };
	uint64_t v;

	(void)state;
	assert_true(parse_size("4096", &v) && v == 4096);
	assert_true(parse_size("512M", &v) && v == 512ull << 20);
	assert_true(parse_size("1g", &v) && v == 1ull << 30);
	assert_true(parse_size("3KiB", &v) && v == 3072);
	assert_true(parse_size("2TB", &v) && v == 2ull << 40);
	assert_true(parse_size("16777215T", &v) && v == 16777215ull << 40);
	for (size_t i = 0; i < RV_ARRAY_LEN(bad); i++)
		assert_false(parse_size(bad[i], &v));
}

static void dates(void **state)
{
	static const char *const bad[] = { "", "2024", "2024-13-01", "2023-02-29", "1969-12-31",
					   "2200-01-01", "2024-1-1", "2024-01-01T24:00:00",
					   "2024-01-01T00:00", "2024-01-01+01:00", "2024-00-10",
					   "2024-04-31", "2024-01-00" };
	int64_t ns;

	(void)state;
	assert_true(parse_date("1970-01-01", &ns) && ns == 0);
	assert_true(parse_date("2024-01-01", &ns) && ns == 1704067200ll * 1000000000);
	assert_true(parse_date("2024-02-29T12:34:56Z", &ns) && ns == 1709210096ll * 1000000000);
	assert_true(parse_date("2000-03-01 00:00:00", &ns) && ns == 951868800ll * 1000000000);
	assert_true(parse_date("2199-12-31T23:59:59", &ns) && ns == 7258118399ll * 1000000000);
	for (size_t i = 0; i < RV_ARRAY_LEN(bad); i++)
		assert_false(parse_date(bad[i], &ns));
}

static void seconds(void **state)
{
	static const char *const bad[] = { "", "1s", ".5", "1.", "-1", "1e3", "1000000001", "0.1234567890" };
	uint64_t ns;

	(void)state;
	assert_true(parse_seconds("0", &ns) && ns == 0);
	assert_true(parse_seconds("1", &ns) && ns == 1000000000);
	assert_true(parse_seconds("0.05", &ns) && ns == 50000000);
	assert_true(parse_seconds("2.000000001", &ns) && ns == 2000000001);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse_seconds(bad[i], &ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(sizes),
		cmocka_unit_test(dates),
		cmocka_unit_test(seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
