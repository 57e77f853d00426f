/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dev/virtio_driver.h"

struct con {
	struct vd d;
	struct virtio_console *console;
};

static struct con *make(void)
{
	struct con *t = calloc(1, sizeof(*t));
	assert_non_null(t);
	vd_init(&t->d, OUT_CONSOLE);
	assert_int_equal(virtio_console_create(&t->console, &t->d.dev, &t->d.wiring, &t->d.output, 1),
			 0);
	return t;
}

static void drop(struct con *t)
{
	vd_fini(&t->d);
	free(t);
}

static void test_output(void **state)
{
	struct con *t = make();
	struct vd *d = &t->d;
	const struct vd_seg seg[3] = { { VD_BUFFERS, 3 }, { VD_BUFFERS + 8, 0 }, { VD_BUFFERS + 3, 4 } };
	static uint8_t big[10000];
	uint16_t head[3];
	(void)state;
	vd_start(d, 0);
	assert_int_equal(vd_cfg(d, 0) >> 16, 0x1043);
	assert_int_equal(vd_config(d, 0, 4), 0);
	assert_int_equal(vd_config(d, 4, 4), 1);
	assert_int_equal(vd_config(d, 4, 1), 1);
	/* Size, several ports and the emergency write are not offered. */
	assert_int_equal(vd_offered(d) & 0xffffff, 0);
	mem_write(d->mem, VD_BUFFERS, "one two", 7);
	head[0] = vd_add(d, 1, seg, 3, 0);
	vclock_set_icount(d->clock, 12345);
	vd_kick(d, 1);
	assert_int_equal(d->out_len, 7);
	assert_memory_equal(d->out, "one two", 7);
	assert_int_equal(d->icount, 12345);
	vd_expect(d, 1, head[0], 0);
	assert_int_equal(vd_isr(d), 1);
	/* Nothing new, no interrupt. */
	vd_kick(d, 1);
	assert_int_equal(vd_isr(d), 0);
	/* Longer than a piece, two at a kick, and an empty one. */
	d->out_len = 0;
	for (unsigned i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 31 >> 3);
	mem_write(d->mem, VD_BUFFERS, big, sizeof(big));
	head[0] = vd_add_out(d, 1, VD_BUFFERS, sizeof(big));
	head[1] = vd_add_in(d, 1, VD_BUFFERS, 9);
	head[2] = vd_add_out(d, 1, VD_BUFFERS, 2);
	vd_kick(d, 1);
	for (unsigned i = 0; i < 3; i++)
		vd_expect(d, 1, head[i], 0);
	assert_int_equal(d->out_len, sizeof(big) + 2);
	assert_memory_equal(d->out, big, sizeof(big));
	/* More than could be meant. */
	for (unsigned i = 0; i < 2; i++) {
		d->emits = 0;
		vd_add_out(d, 1, VD_BUFFERS, 0x100000 + i);
		vd_kick(d, 1);
		assert_int_equal(vd_status(d), i ? 15 | VD_NEEDS_RESET : 15);
		assert_int_equal(d->emits, i ? 0 : 256);
	}
	drop(t);
}

static void test_input(void **state)
{
	struct con *t = make();
	struct vd *d = &t->d;
	static uint8_t data[5000], got[5000];
	uint32_t head, len;
	uint16_t h;
	(void)state;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	/* Before there is a driver, and before it is ready. */
	assert_int_equal(virtio_console_room(t->console), 4096);
	virtio_console_input(t->console, data, 3);
	vd_negotiate(d, 0);
	h = vd_add_in(d, 0, VD_BUFFERS, 64);
	virtio_console_input(t->console, data + 3, 2);
	vd_expect_none(d, 0);
	assert_int_equal(virtio_console_room(t->console), 4091);
	vd_out(d, 20, 1, 15);
	vd_expect(d, 0, h, 5);
	assert_int_equal(vd_isr(d), 1);
	mem_read(d->mem, VD_BUFFERS, got, 5);
	assert_memory_equal(got, data, 5);
	assert_int_equal(virtio_console_room(t->console), 4096);
	/* With a buffer there, at once. */
	h = vd_add_in(d, 0, VD_BUFFERS, 64);
	vd_kick(d, 0);
	vd_expect_none(d, 0);
	virtio_console_input(t->console, data, 1);
	vd_expect(d, 0, h, 1);
	/* A full ring, with its end in the middle; what does not fit is lost; a restored one goes on. */
	virtio_console_input(t->console, data, sizeof(data));
	assert_int_equal(virtio_console_room(t->console), 0);
	vd_round_trip(d);
	for (unsigned done = 0; done < 4096; done += len) {
		vd_add_in(d, 0, VD_BUFFERS, 1 + done % 150);
		vd_kick(d, 0);
		assert_true(vd_used(d, 0, &head, &len));
		mem_read(d->mem, VD_BUFFERS, got + done, len);
	}
	assert_memory_equal(got, data, 4096);
	/* The driver's reset does not take what was typed; the machine's does. */
	virtio_console_input(t->console, data, 200);
	vd_start(d, 0);
	assert_int_equal(virtio_console_room(t->console), 4096 - 200);
	d->dev.ops->reset(d->dev.self);
	assert_int_equal(virtio_console_room(t->console), 4096);
	drop(t);
}

/* EVENT_IDX: the device wants to be told of buffers while something waits for them. */
static void test_event_idx(void **state)
{
	struct con *t = make();
	struct vd *d = &t->d;
	(void)state;
	vd_start(d, VD_F_EVENT_IDX | VD_F_INDIRECT);
	for (unsigned i = 0; i < 200; i++) {
		uint16_t h;
		virtio_console_input(t->console, (const uint8_t *)"abc", 3);
		assert_int_equal(vd_get16(d, d->q[0].used + 4 + 8u * d->q[0].size), d->q[0].avail_idx);
		h = vd_add_in(d, 0, VD_BUFFERS, 64);
		vd_kick(d, 0);
		vd_expect(d, 0, h, 3);
		vd_put16(d, d->q[0].avail + 4 + 2u * d->q[0].size, d->q[0].used_idx);
		assert_int_equal(vd_isr(d), 1);
	}
	drop(t);
}

static void host_types(struct vd *d, uint64_t *seed)
{
	struct con *t = (struct con *)(void *)((char *)d - offsetof(struct con, d));
	static uint8_t data[5000];
	uint32_t room = virtio_console_room(t->console);
	assert_true(room <= 4096);
	virtio_console_input(t->console, data,
			     (uint32_t)(rig_random(seed) % (rig_random(seed) % 16 ? 40 : 5000)));
	assert_true(virtio_console_room(t->console) <= 4096);
}

static void test_abuse(void **state)
{
	uint64_t seed = vd_seed();
	struct con *t = make();
	(void)state;
	vd_abuse(&t->d, &seed, 100000, host_types);
	vd_hostile_loads(&t->d, &seed, 5000, host_types);
	drop(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_event_idx),
		cmocka_unit_test(test_abuse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
