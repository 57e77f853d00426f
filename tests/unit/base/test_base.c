/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/digest.h"
#include "base/state.h"
#include "base/status.h"

struct inner {
	uint8_t a;
	bool on;
	uint64_t b;
};
struct sample {
	uint16_t x;
	bool flag;
	uint32_t arr[3];
	struct inner in[2];
};
static int sample_check(void *obj)
{
	return ((struct sample *)obj)->x == 999 ? RV_EINVAL : RV_OK;
}
static const struct state_field sample_fields[] = {
	STATE_FIELD(struct sample, x),       STATE_BOOL(struct sample, flag),
	STATE_ARRAY(struct sample, arr),     STATE_EACH(struct sample, in, a),
	STATE_EACH(struct sample, in, on),   STATE_EACH(struct sample, in, b),
};
static const struct state_desc sample_desc = {
	.name = "sample",
	.version = 2,
	.fields = sample_fields,
	.nfields = RV_ARRAY_LEN(sample_fields),
	.post_load = sample_check,
};

static void test_state(void **state)
{
	struct sample a = { 7, true, { 1, 2, 3 }, { { 4, true, 5 }, { 6, false, 7 } } }, b;
	struct state_desc newer = sample_desc;
	struct bytes out = { 0 };
	struct bytes_in in;
	(void)state;
	state_save(&sample_desc, &a, &out);
	memset(&b, 0, sizeof(b));
	bytes_in_init(&in, out.data, out.len);
	assert_int_equal(state_load(&sample_desc, &b, &in), RV_OK);
	assert_int_equal(in.pos, out.len);
	assert_int_equal(b.in[1].b, 7);
	assert_int_equal(b.arr[2], 3);
	assert_true(b.in[0].on);
	/* Every truncation is refused; so are a later version, a bool of 2 and what post_load refuses. */
	for (size_t n = 0; n < out.len; n++) {
		bytes_in_init(&in, out.data, n);
		assert_int_equal(state_load(&sample_desc, &b, &in), RV_EINVAL);
	}
	newer.version = 3;
	bytes_in_init(&in, out.data, out.len);
	assert_int_equal(state_load(&newer, &b, &in), RV_EVERSION);
	bytes_clear(&out);
	a.x = 999;
	state_save(&sample_desc, &a, &out);
	bytes_in_init(&in, out.data, out.len);
	assert_int_equal(state_load(&sample_desc, &b, &in), RV_EINVAL);
	out.data[out.len - (2 * 8 + 2 + 2 + 12 + 1)] = 2;
	out.data[out.len - (2 * 8 + 2 + 2 + 12 + 3)] = 0;
	bytes_in_init(&in, out.data, out.len);
	assert_int_equal(state_load(&sample_desc, &b, &in), RV_EINVAL);
	bytes_fini(&out);
}

static void test_crc32c(void **state)
{
	uint8_t zero[32] = { 0 };
	(void)state;
	/* RFC 3720, appendix B.4. */
	assert_int_equal(crc32c(0, zero, 32), 0x8a9136aa);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void test_digest(void **state)
{
	struct digest128 a = digest_bytes("a", 1, 1), b = digest_bytes("a", 1, 2), c;
	char hex[33];
	(void)state;
	assert_false(digest_equal(a, b));
	c = digest_sub(digest_add(a, b), b);
	assert_true(digest_equal(a, c));
	digest_hex((struct digest128){ 1, 0xab }, hex);
	assert_string_equal(hex, "00000000000000ab0000000000000001");
}

static void test_status(void **state)
{
	(void)state;
	assert_int_equal(rv_status_exit(RV_EDIVERGED), 3);
	assert_int_equal(rv_status_exit(RV_EDAMAGED), 4);
	assert_int_equal(rv_status_exit(-12345), 1);
	assert_string_equal(rv_status_text(-12345), "unknown status");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_crc32c),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
