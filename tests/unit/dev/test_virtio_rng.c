/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dev/virtio_driver.h"

#include "base/digest.h"
#include "vmm/dev/chacha20.h"

#define SEED 0x1234567887654321ull

static void make(struct vd *d, uint64_t seed)
{
	vd_init(d, OUT_NET); /* nothing comes out of it */
	assert_int_equal(virtio_rng_create(&d->dev, &d->wiring, seed), 0);
}

/* Asks for len bytes and copies what came. */
static uint32_t ask(struct vd *d, uint8_t *to, uint32_t len)
{
	uint32_t head, got;
	vd_add_in(d, 0, VD_BUFFERS, len);
	vd_kick(d, 0);
	assert_true(vd_used(d, 0, &head, &got));
	mem_read(d->mem, VD_BUFFERS, to, got);
	return got;
}

/* RFC 8439, A.1: test vectors 1, 2 and 3 of the block function. */
static void test_chacha20(void **state)
{
	static const uint8_t first[16] = { 0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
					   0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28 };
	static const uint8_t second[16] = { 0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a,
					    0x98, 0xba, 0x97, 0x7c, 0x73, 0x2d, 0x08, 0x0d };
	static const uint8_t third[16] = { 0x3a, 0xeb, 0x52, 0x24, 0xec, 0xf8, 0x49, 0x92,
					   0x9b, 0x9d, 0x82, 0x8d, 0xb1, 0xce, 0xd4, 0xdd };
	uint8_t key[CHACHA20_KEY] = { 0 }, out[CHACHA20_BLOCK], far[CHACHA20_BLOCK];
	(void)state;
	chacha20_block(key, 0, out);
	assert_memory_equal(out, first, sizeof(first));
	chacha20_block(key, 1, out);
	assert_memory_equal(out, second, sizeof(second));
	chacha20_block(key, 1 + (1ull << 32), far);
	assert_memory_not_equal(out, far, sizeof(far));
	key[31] = 1;
	chacha20_block(key, 1, out);
	assert_memory_equal(out, third, sizeof(third));
}

/* The stream is the key's, however it is asked for. */
static void test_stream(void **state)
{
	static uint8_t want[200000], got[200000];
	uint8_t key[CHACHA20_KEY], raw[8];
	uint64_t seed = vd_seed();
	uint32_t pos = 0;
	struct vd d;
	(void)state;
	le64_put(raw, SEED);
	for (unsigned i = 0; i < 2; i++) {
		struct digest128 h = digest_bytes(raw, 8, i);
		le64_put(key + 16 * i, h.lo);
		le64_put(key + 16 * i + 8, h.hi);
	}
	for (uint32_t i = 0; i < sizeof(want) / CHACHA20_BLOCK; i++)
		chacha20_block(key, i, want + i * CHACHA20_BLOCK);

	make(&d, SEED);
	vd_start(&d, 0);
	assert_int_equal(vd_cfg(&d, 0) >> 16, 0x1044);
	while (pos < 80000) {
		uint32_t len = (uint32_t)(1 + rig_random(&seed) % (pos % 3 ? 100 : 9000));
		assert_int_equal(ask(&d, got + pos, len), len);
		assert_int_equal(vd_isr(&d), 1);
		pos += len;
		if (pos % 7 == 0)
			vd_round_trip(&d);
	}
	assert_memory_equal(got, want, pos);
	/* At most 64 KiB at once. */
	assert_int_equal(ask(&d, got, 70000), 65536);
	assert_memory_equal(got, want + pos, 65536);
	pos += 65536;
	/* Neither a new driver nor a reset machine sees the same again. */
	d.dev.ops->reset(d.dev.self);
	vd_start(&d, VD_F_EVENT_IDX);
	assert_int_equal(ask(&d, got, 100), 100);
	assert_memory_equal(got, want + pos, 100);
	assert_int_equal(d.emits, 0);
	vd_fini(&d);

	/* Another seed, another stream. */
	make(&d, SEED + 1);
	vd_start(&d, 0);
	assert_int_equal(ask(&d, got, 64), 64);
	assert_memory_not_equal(got, want, 64);
	vd_fini(&d);
}

/* Several at a kick, over several segments, and beyond a full ring. */
static void test_chains(void **state)
{
	const struct vd_seg seg[3] = { { VD_BUFFERS, 10 }, { VD_BUFFERS + 4094, 4 }, { VD_BUFFERS + 64, 1 } };
	struct vd d;
	uint32_t head, len;
	(void)state;
	make(&d, SEED);
	vd_start(&d, VD_F_EVENT_IDX);
	vd_add(&d, 0, seg, 0, 3);
	vd_add_in(&d, 0, VD_BUFFERS, 5);
	vd_kick(&d, 0);
	vd_expect(&d, 0, 0, 15);
	vd_expect(&d, 0, 3, 5);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < d.q[0].size; i++)
			vd_add_in(&d, 0, VD_BUFFERS, 8);
		vd_kick(&d, 0);
		for (unsigned i = 0; i < d.q[0].size; i++)
			assert_true(vd_used(&d, 0, &head, &len));
		vd_expect_none(&d, 0);
		/* The next chain is wanted to be told of. */
		assert_int_equal(vd_get16(&d, d.q[0].used + 4 + 8u * d.q[0].size), d.q[0].avail_idx);
	}
	/* Only something to read: nothing can be given. */
	vd_add_out(&d, 0, VD_BUFFERS, 8);
	vd_kick(&d, 0);
	assert_true(vd_used(&d, 0, &head, &len));
	assert_int_equal(len, 0);
	vd_fini(&d);
}

static void host_nothing(struct vd *d, uint64_t *seed)
{
	(void)d;
	(void)seed;
}

static void test_abuse(void **state)
{
	uint64_t seed = vd_seed();
	struct vd d;
	(void)state;
	make(&d, SEED);
	vd_abuse(&d, &seed, 100000, host_nothing);
	vd_hostile_loads(&d, &seed, 5000, host_nothing);
	vd_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chacha20),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_abuse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
