/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/record/trace_util.h"

static void batch_same(const struct evlog_batch *a, const struct evlog_batch *b)
{
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->payload.len, b->payload.len);
	if (a->payload.len)
		assert_memory_equal(a->payload.data, b->payload.data, a->payload.len);
	for (size_t i = 0; i < a->n; i++) {
		assert_int_equal(a->entry[i].icount, b->entry[i].icount);
		assert_int_equal(a->entry[i].seq, b->entry[i].seq);
		assert_int_equal(a->entry[i].vns, b->entry[i].vns);
		assert_int_equal(a->entry[i].kind, b->entry[i].kind);
		assert_int_equal(a->entry[i].instance, b->entry[i].instance);
		assert_int_equal(a->entry[i].len, b->entry[i].len);
		assert_int_equal(a->entry[i].in_halt, b->entry[i].in_halt);
	}
}

static void round_trip(const struct evlog_batch *b, uint32_t flags)
{
	struct evlog_header h = { .flags = flags, .number = 9, .prev_crc = 5, .id = { 1, 2, 3 } };
	struct evlog_header got;
	struct evlog_batch back = { 0 };
	struct bytes out = { 0 };

	assert_int_equal(evlog_chunk_encode(b, &h, &out), 0);
	assert_true(evlog_header_decode(out.data, &got));
	assert_int_equal(got.number, 9);
	assert_int_equal(got.prev_crc, 5);
	assert_int_equal(got.crc, h.crc);
	assert_int_equal(got.flags & EVLOG_FLAG_END, flags);
	assert_int_equal(got.records, b->n);
	assert_int_equal(out.len, EVLOG_HEADER_SIZE + got.stored_len);
	assert_true(evlog_chunk_crc_ok(out.data, out.data + EVLOG_HEADER_SIZE, &got));
	assert_int_equal(evlog_chunk_decode(&got, out.data + EVLOG_HEADER_SIZE, &back), 0);
	batch_same(b, &back);
	evlog_batch_fini(&back);
	bytes_fini(&out);
}

static void test_round_trip(void **state)
{
	uint64_t rng = test_seed();
	uint8_t *buf = malloc(ND_PAYLOAD_MAX);
	(void)state;
	for (unsigned k = 0; k < 300; k++) {
		struct evlog_batch b = { 0 };
		struct exec_point at = { rng_next(&rng) >> 2, rng_next(&rng) >> 2 };
		size_t n = rng_next(&rng) % 40;
		for (size_t i = 0; i < n; i++) {
			struct evlog_record r;
			record_random(&rng, &at, buf, k % 10 ? 64 : ND_PAYLOAD_MAX, &r);
			if (evlog_batch_fits(&b, r.len))
				assert_int_equal(evlog_batch_add(&b, &r), 0);
		}
		round_trip(&b, k % 2 ? EVLOG_FLAG_END : 0);
		evlog_batch_fini(&b);
	}
	free(buf);
}

/* The largest batch a writer makes stays below the limit of a body. */
static void test_largest(void **state)
{
	struct evlog_batch b = { 0 };
	uint64_t rng = 3;
	uint8_t buf[32];
	struct exec_point at = { 0, 0 };
	(void)state;
	for (uint32_t len = 16; evlog_batch_fits(&b, len);) {
		struct evlog_record r = { .at = at, .kind = ND_CONSOLE, .instance = UINT32_MAX,
					  .in_halt = true, .vns = rng_next(&rng), .data = buf,
					  .len = len };
		for (uint32_t i = 0; i < len; i++)
			buf[i] = (uint8_t)rng_next(&rng);
		assert_int_equal(evlog_batch_add(&b, &r), 0);
		at.icount += (1ull << 48) - 1;
		at.seq += 1ull << 47;
		if (b.n == EVLOG_BATCH_RECORDS / 2)
			len = 32;
	}
	assert_true(b.n == EVLOG_BATCH_RECORDS || b.payload.len > EVLOG_BATCH_PAYLOAD - 64);
	round_trip(&b, 0);
	evlog_batch_fini(&b);
}

/* What a boot logs: 1000 slewing TIME events and 24 digests, in chunks of 200 ms. Must stay under
 * 64 KiB with the headers of 20 seconds; an idle second under 1 KiB. */
static void test_compact(void **state)
{
	uint64_t rng = 11, total = 0, seq = 0, vns = 0;
	struct evlog_header h = { 0 };
	uint8_t buf[192];
	(void)state;
	for (unsigned chunk = 0; chunk < 100; chunk++) {
		struct evlog_batch b = { 0 };
		struct bytes out = { 0 };
		for (unsigned i = 0; i < 10; i++) {
			struct evlog_record r = { .at = { seq * 2000000 + rng_next(&rng) % 1000, seq },
						  .kind = ND_TIME, .data = buf, .len = 16 };
			vns += 20000000 + rng_next(&rng) % 100000;
			le64_put(buf, vns);
			le64_put(buf + 8, 0x1234567890ull + rng_next(&rng) % (1u << 28));
			assert_int_equal(evlog_batch_add(&b, &r), 0);
			seq++;
		}
		if (chunk % 4 == 0) {
			struct evlog_record r = { .at = { seq * 2000000, seq }, .kind = EVLOG_DIGEST,
						  .data = buf, .len = 192 };
			for (unsigned i = 0; i < 192; i++)
				buf[i] = (uint8_t)rng_next(&rng);
			assert_int_equal(evlog_batch_add(&b, &r), 0);
		}
		assert_int_equal(evlog_chunk_encode(&b, &h, &out), 0);
		total += out.len;
		evlog_batch_fini(&b);
		bytes_fini(&out);
	}
	print_message("a boot's log: %llu bytes\n", (unsigned long long)total);
	assert_true(total < 64 * 1024);
	{
		struct evlog_batch b = { 0 };
		struct bytes out = { 0 };
		struct evlog_record r = { .at = { 1ull << 40, 1000 }, .kind = ND_TIME, .in_halt = true,
					  .vns = 1ull << 50, .data = buf, .len = 16 };
		assert_int_equal(evlog_batch_add(&b, &r), 0);
		assert_int_equal(evlog_chunk_encode(&b, &h, &out), 0);
		print_message("an idle chunk: %zu bytes\n", out.len);
		assert_true(5 * out.len <= 1024);
		evlog_batch_fini(&b);
		bytes_fini(&out);
	}
}

static void test_checks(void **state)
{
	uint8_t buf[16] = { 0 };
	struct evlog_record r = { .kind = ND_TIME, .data = buf, .len = 16 };
	(void)state;
	assert_int_equal(evlog_record_check(&r), 0);
	r.len = 15;
	assert_int_equal(evlog_record_check(&r), RV_EINVAL);
	r = (struct evlog_record){ .kind = 99 };
	assert_int_equal(evlog_record_check(&r), RV_EINVAL);
	r = (struct evlog_record){ .kind = ND_CONSOLE, .data = buf, .len = ND_PAYLOAD_MAX + 1 };
	assert_int_equal(evlog_record_check(&r), RV_EINVAL);
	assert_string_equal(evlog_kind_text(ND_TIME), "time");
	assert_string_equal(evlog_kind_text(EVLOG_END), "end");
	assert_string_equal(evlog_kind_text(1000), "?");
}

static void test_meta(void **state)
{
	struct evlog_end e = { .end = 4, .code = 5, .final = { .vns = 7, .rip = 8, .gpr = { 1, 2 } } };
	struct evlog_end got;
	uint8_t buf[224];
	uint32_t len;
	(void)state;
	e.final.state.hi = 99;
	e.final.output.lo = 98;
	e.final.gpr[15] = 97;
	evlog_end_encode(&e, buf, &len);
	assert_int_equal(evlog_end_decode(buf, len, &got), 0);
	assert_memory_equal(&e, &got, sizeof(e));
	assert_int_equal(evlog_end_decode(buf, len - 1, &got), RV_EDAMAGED);
	evlog_digest_encode(&e.final, buf, &len);
	assert_int_equal(len, 192);
	assert_int_equal(evlog_digest_decode(buf, len, &got.final), 0);
	assert_int_equal(evlog_digest_decode(buf, 0, &got.final), RV_EDAMAGED);
}

/* A body that a hostile writer gave a good CRC is refused or decoded, never more. */
static void test_hostile_body(void **state)
{
	uint64_t rng = test_seed();
	struct evlog_batch b = { 0 }, back = { 0 };
	struct evlog_header h = { 0 };
	struct bytes out = { 0 };
	struct exec_point at = { 5, 0 };
	uint8_t buf[256];
	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		struct evlog_record r;
		record_random(&rng, &at, buf, 32, &r);
		assert_int_equal(evlog_batch_add(&b, &r), 0);
	}
	assert_int_equal(evlog_chunk_encode(&b, &h, &out), 0);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t *copy = malloc(out.len);
		struct evlog_header bad;
		unsigned flips = 1 + (unsigned)(rng_next(&rng) % 3);
		int rc;
		memcpy(copy, out.data, out.len);
		while (flips--)
			copy[rng_next(&rng) % out.len] ^= (uint8_t)(1u << rng_next(&rng) % 8);
		if (evlog_header_decode(copy, &bad) &&
		    bad.stored_len <= out.len - EVLOG_HEADER_SIZE) {
			rc = evlog_chunk_decode(&bad, copy + EVLOG_HEADER_SIZE, &back);
			assert_true(rc == 0 || rc == RV_EDAMAGED);
		}
		free(copy);
	}
	evlog_batch_fini(&b);
	evlog_batch_fini(&back);
	bytes_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_largest),
		cmocka_unit_test(test_compact),    cmocka_unit_test(test_checks),
		cmocka_unit_test(test_meta),       cmocka_unit_test(test_hostile_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
