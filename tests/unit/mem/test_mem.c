/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mem/mem.h"

static void test_hole(void **state)
{
	struct guest_mem *m;
	uint8_t buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	(void)state;
	assert_int_equal(mem_create(&m, 4ull << 30, 0, NULL), 0);
	assert_int_equal(mem_low_size(m), MEM_HOLE_START);
	assert_int_equal(mem_high_size(m), 1ull << 30);
	assert_true(mem_page_of(m, MEM_HOLE_START) == MEM_NO_PAGE);
	assert_true(mem_page_of(m, MEM_HOLE_END - 1) == MEM_NO_PAGE);
	assert_int_equal(mem_page_of(m, MEM_HOLE_END), MEM_HOLE_START >> 12);
	assert_int_equal(mem_page_gpa(m, MEM_HOLE_START >> 12), MEM_HOLE_END);
	assert_true(mem_page_of(m, (5ull << 30) - 1) != MEM_NO_PAGE);
	assert_true(mem_page_of(m, 5ull << 30) == MEM_NO_PAGE);
	assert_true(mem_page_of(m, UINT64_MAX) == MEM_NO_PAGE);
	/* A write over the edge keeps what is in RAM; the rest reads as zeros. */
	mem_write(m, MEM_HOLE_START - 4, buf, 8);
	memset(buf, 0xff, 8);
	mem_read(m, MEM_HOLE_START - 4, buf, 8);
	assert_int_equal(buf[3], 4);
	assert_int_equal(buf[4], 0);
	mem_destroy(m);
}

static void test_sizes(void **state)
{
	struct guest_mem *m;
	struct rv_err err;
	(void)state;
	assert_int_equal(mem_create(&m, 0, 0, &err), RV_EUSAGE);
	assert_int_equal(mem_create(&m, (1 << 20) + 1, 0, &err), RV_EUSAGE);
	assert_int_equal(mem_create(&m, UINT64_MAX & ~0xfffull, 0, &err), RV_EUSAGE);
}

/* The incremental digest equals that of a fresh cursor over the same bytes, whatever the order. */
static void test_digest(void **state)
{
	struct guest_mem *a, *b;
	struct mem_digest *da, *db;
	unsigned seed = 4711;
	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	assert_int_equal(mem_create(&a, 4 << 20, 0, NULL), 0);
	assert_int_equal(mem_create(&b, 4 << 20, 0, NULL), 0);
	assert_int_equal(mem_digest_create(&da, a), 0);
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 20; i++) {
			gpa_t at = (gpa_t)random() % (4 << 20);
			uint64_t v = random() % 3 ? (uint64_t)random() : 0;
			mem_write(a, at, &v, sizeof(v));
		}
		(void)mem_digest_update(da);
	}
	for (uint64_t p = mem_pages(a); p-- > 0;)
		mem_write(b, p << 12, mem_page_host(a, p), RV_PAGE_SIZE);
	assert_int_equal(mem_digest_create(&db, b), 0);
	assert_true(digest_equal(mem_digest_update(da), mem_digest_update(db)));
	mem_write(b, 12345, "x", 1);
	assert_false(digest_equal(mem_digest_update(da), mem_digest_update(db)));
	mem_digest_destroy(da);
	mem_digest_destroy(db);
	mem_destroy(a);
	mem_destroy(b);
}

static unsigned watched;
static void watch(void *ctx, uint64_t page, uint32_t off, size_t len)
{
	(void)ctx;
	assert_int_equal(page, 2);
	assert_int_equal(off, 0);
	assert_int_equal(len, 3);
	watched++;
}

static void test_watch(void **state)
{
	struct guest_mem *m;
	(void)state;
	assert_int_equal(mem_create(&m, 1 << 20, 0, NULL), 0);
	mem_watch(m, watch, NULL);
	mem_page_flags_set(m, 2, MEM_PAGE_CODE);
	mem_write(m, 0x1ffd, "abcdef", 6);
	assert_int_equal(watched, 1);
	mem_page_flags_clear(m, 2, MEM_PAGE_CODE);
	mem_write(m, 0x1ffd, "abcdef", 6);
	assert_int_equal(watched, 1);
	mem_destroy(m);
}

/* Pages behind RAM: in the digest, out of the guest's reach. */
static void test_auxiliary(void **state)
{
	struct guest_mem *a, *b;
	struct mem_digest *da, *db;
	struct digest128 before;
	uint8_t out[8] = { 1 };
	(void)state;
	assert_int_equal(mem_create(&a, 1 << 20, 3, NULL), 0);
	assert_int_equal(mem_create(&b, 1 << 20, 3, NULL), 0);
	assert_int_equal(mem_digest_create(&da, a), 0);
	assert_int_equal(mem_digest_create(&db, b), 0);
	assert_int_equal(mem_ram_pages(a), 256);
	assert_int_equal(mem_pages(a), 259);
	assert_true(mem_page_of(a, 1 << 20) == MEM_NO_PAGE);
	mem_page_write(a, 258, 100, "index", 5);
	assert_memory_equal(mem_page_host(a, 258) + 100, "index", 5);
	mem_read(a, (1 << 20) + 2 * RV_PAGE_SIZE + 100, out, sizeof(out));
	assert_int_equal(out[0], 0);
	before = mem_digest_update(db);
	assert_false(digest_equal(mem_digest_update(da), before));
	mem_page_write(b, 258, 100, "index", 5);
	assert_true(digest_equal(mem_digest_update(da), mem_digest_update(db)));
	mem_write(b, (1 << 20) - 2, "abcdef", 6); /* four bytes fall off the end of RAM */
	mem_write(a, (1 << 20) - 2, "ab", 2);
	assert_true(digest_equal(mem_digest_update(da), mem_digest_update(db)));
	mem_digest_destroy(da);
	mem_digest_destroy(db);
	mem_destroy(a);
	mem_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_auxiliary),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
