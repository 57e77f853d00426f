/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dev/virtio_driver.h"

#include "vmm/dev/net_csum.h"

#define F_CSUM (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MTU (1ull << 3)
#define F_MAC (1ull << 5)
#define F_MRG_RXBUF (1ull << 15)
#define F_STATUS (1ull << 16)
#define F_CTRL_VQ (1ull << 17)
#define F_GUEST_ANNOUNCE (1ull << 21)
#define F_ALL                                                                                      \
	(F_CSUM | F_GUEST_CSUM | F_MTU | F_MAC | F_MRG_RXBUF | F_STATUS | F_CTRL_VQ | F_GUEST_ANNOUNCE)

#define HDR 12u

struct nic {
	struct vd d;
	struct virtio_net *net;
};

static struct nic *make(uint16_t mtu)
{
	struct nic *t = calloc(1, sizeof(*t));
	assert_non_null(t);
	vd_init(&t->d, OUT_NET);
	const struct virtio_net_cfg cfg = { .mac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 },
					    .mtu = mtu,
					    .output = &t->d.output,
					    .instance = 1 };
	assert_int_equal(virtio_net_create(&t->net, &t->d.dev, &t->d.wiring, &cfg), 0);
	return t;
}

static void drop(struct nic *t)
{
	vd_fini(&t->d);
	free(t);
}

/* ---- frames ---- */

static void be16_put(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* The sum of RFC 1071 as it is written there: big-endian halves, the odd byte padded. */
static unsigned plain_sum(unsigned sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (unsigned)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

struct packet {
	uint8_t frame[65535];
	size_t len, ip, l4, field; /* offsets; field: of the checksum, in the frame */
	unsigned pseudo;           /* sum of the pseudo-header */
};

/* TCP or UDP over IPv4 or IPv6, with or without a VLAN tag, all but the transport's checksum. */
static void packet_make(struct packet *p, unsigned kind, size_t payload, uint64_t *seed)
{
	const bool udp = kind & 1, six = kind & 2, tag = kind & 4;
	const size_t ip_len = six ? 40 : 20, l4_len = (udp ? 8 : 20) + payload;
	uint8_t *f = p->frame;
	for (size_t i = 0; i < 100 + payload; i++)
		f[i] = (uint8_t)rig_random(seed);
	if (tag)
		be16_put(f + 12, 0x8100);
	p->ip = tag ? 18 : 14;
	be16_put(f + p->ip - 2, six ? 0x86dd : 0x0800);
	p->l4 = p->ip + ip_len;
	p->len = p->l4 + l4_len;
	p->field = p->l4 + (udp ? 6 : 16);
	if (six) {
		f[p->ip] = 0x60;
		be16_put(f + p->ip + 4, (unsigned)l4_len);
		f[p->ip + 6] = udp ? 17 : 6;
		p->pseudo = plain_sum(0, f + p->ip + 8, 32);
	} else {
		f[p->ip] = 0x45;
		be16_put(f + p->ip + 2, (unsigned)(ip_len + l4_len));
		be16_put(f + p->ip + 6, 0x4000);
		f[p->ip + 9] = udp ? 17 : 6;
		p->pseudo = plain_sum(0, f + p->ip + 12, 8);
	}
	if (udp)
		be16_put(f + p->l4 + 4, (unsigned)l4_len);
	p->pseudo = plain_sum(p->pseudo + (udp ? 17 : 6) + (unsigned)l4_len, NULL, 0);
}

static void packet_sum(struct packet *p)
{
	unsigned csum;
	be16_put(p->frame + p->field, 0);
	csum = 0xffff & ~plain_sum(p->pseudo, p->frame + p->l4, p->len - p->l4);
	be16_put(p->frame + p->field, csum ? csum : 0xffff);
}

/* Two independent sums agree, on right ones, wrong ones, and ones of all lengths. */
static void test_checksums(void **state)
{
	static struct packet p;
	static uint8_t copy[65535];
	uint64_t seed = vd_seed();
	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		size_t payload = rig_random(&seed) % (i % 100 ? 200 : 60000);
		packet_make(&p, i, payload, &seed);
		packet_sum(&p);
		assert_true(net_csum_valid(p.frame, p.len));
		/* Padding of short frames is not summed. */
		assert_true(net_csum_valid(p.frame, p.len + 7));
		/* The same from the pseudo-header's sum on. */
		memcpy(copy, p.frame, p.len);
		be16_put(copy + p.field, p.pseudo);
		assert_true(net_csum_complete(copy, p.len, p.l4, p.field - p.l4));
		assert_memory_equal(copy, p.frame, p.len);
		for (unsigned k = 0; k < 4; k++) {
			size_t at = p.l4 + rig_random(&seed) % (p.len - p.l4);
			p.frame[at] ^= 0x10;
			assert_false(net_csum_valid(p.frame, p.len));
			p.frame[at] ^= 0x10;
		}
		/* Cut short, of another protocol, a fragment, without a checksum. */
		for (size_t len = p.len < 300 ? 0 : p.len - 2; len < p.len; len++)
			assert_false(net_csum_valid(p.frame, len));
		if (i & 2) {
			p.frame[p.ip + 6] = 44;
			assert_false(net_csum_valid(p.frame, p.len));
			continue;
		}
		be16_put(p.frame + p.ip + 6, 0x2000);
		assert_false(net_csum_valid(p.frame, p.len));
		be16_put(p.frame + p.ip + 6, 1);
		assert_false(net_csum_valid(p.frame, p.len));
		be16_put(p.frame + p.ip + 6, 0);
		assert_true(net_csum_valid(p.frame, p.len));
		p.frame[p.ip] = 0x44;
		assert_false(net_csum_valid(p.frame, p.len));
		p.frame[p.ip] = 0x45;
		if (i & 1) {
			be16_put(p.frame + p.field, 0);
			assert_false(net_csum_valid(p.frame, p.len));
		}
	}
	/* The field is in the frame, or nothing is done. */
	memset(copy, 1, sizeof(copy));
	assert_false(net_csum_complete(copy, 60, 60, 0));
	assert_false(net_csum_complete(copy, 60, 61, 0));
	assert_false(net_csum_complete(copy, 60, 34, 25));
	assert_false(net_csum_complete(copy, 60, 0xffff, 0xffff));
	assert_false(net_csum_complete(copy, 60, SIZE_MAX, 2));
	assert_false(net_csum_complete(copy, 60, 2, SIZE_MAX));
	for (unsigned i = 0; i < 80; i++)
		assert_int_equal(copy[i], 1);
	assert_true(net_csum_complete(copy, 60, 34, 24));
	assert_int_equal(copy[60], 1);
}

static void test_config(void **state)
{
	struct nic *t = make(9000);
	struct vd *d = &t->d;
	(void)state;
	vd_start(d, F_ALL);
	assert_int_equal(vd_cfg(d, 0) >> 16, 0x1041);
	/* No segmentation either way, nothing else that is not here. */
	assert_int_equal(vd_offered(d) & ~(VD_F_INDIRECT | VD_F_EVENT_IDX | VD_F_VERSION_1), F_ALL);
	assert_int_equal(vd_config(d, 0, 4), 0x12005452);
	assert_int_equal(vd_config(d, 4, 2), 0x5634);
	assert_int_equal(vd_config(d, 6, 2), 1);
	assert_int_equal(vd_config(d, 8, 2), 1);
	assert_int_equal(vd_config(d, 10, 2), 9000);
	assert_int_equal(vd_config(d, 11, 1), 9000 >> 8);
	assert_int_equal(vd_config(d, 11, 2), 0); /* over the end */
	vd_out(d, 0x2000, 4, 0);
	assert_int_equal(vd_config(d, 0, 4), 0x12005452);
	drop(t);
}

/* ---- transmit ---- */

static uint16_t send(struct vd *d, const uint8_t *hdr, const uint8_t *frame, uint32_t len)
{
	const struct vd_seg seg[3] = { { VD_BUFFERS, HDR },
				       { VD_BUFFERS + 16, len < 20 ? len : 20 },
				       { VD_BUFFERS + 40, len < 20 ? 0 : len - 20 } };
	mem_write(d->mem, seg[0].gpa, hdr, HDR);
	mem_write(d->mem, seg[1].gpa, frame, seg[1].len);
	mem_write(d->mem, seg[2].gpa, frame + seg[1].len, seg[2].len);
	return vd_add(d, 1, seg, 3, 0);
}

static void test_transmit(void **state)
{
	struct nic *t = make(1500);
	struct vd *d = &t->d;
	static const uint32_t lens[] = { 14, 60, 1514, 65535 }, bad[] = { 0, 1, 13, 65536, 100000 };
	static uint8_t data[100000];
	uint8_t hdr[HDR] = { 0 };
	uint64_t seed = vd_seed();
	(void)state;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rig_random(&seed);
	vd_start(d, F_ALL);
	for (unsigned i = 0; i < RV_ARRAY_LEN(lens); i++) {
		uint16_t head = send(d, hdr, data + i, lens[i]);
		vclock_set_icount(d->clock, 2000 + i);
		d->out_len = 0;
		vd_kick(d, 1);
		assert_int_equal(d->emits, i + 1);
		assert_int_equal(d->icount, 2000 + i);
		assert_int_equal(d->out_len, lens[i]);
		assert_memory_equal(d->out, data + i, lens[i]);
		vd_expect(d, 1, head, 0);
		assert_int_equal(vd_isr(d), 1);
	}
	/* What is no frame comes back and goes nowhere. */
	for (unsigned i = 0; i < RV_ARRAY_LEN(bad); i++) {
		uint16_t head = send(d, hdr, data, bad[i]);
		vd_kick(d, 1);
		assert_int_equal(d->emits, RV_ARRAY_LEN(lens));
		vd_expect(d, 1, head, 0);
	}
	hdr[1] = 1; /* TSO, which nobody offered */
	vd_expect_none(d, 1);
	send(d, hdr, data, 1000);
	vd_add_in(d, 1, VD_BUFFERS, 1000);
	vd_add_out(d, 1, VD_BUFFERS, 5);
	vd_kick(d, 1);
	assert_int_equal(d->emits, RV_ARRAY_LEN(lens));
	assert_int_equal(vd_status(d), 15);
	drop(t);
}

/* A full ring at one kick is one interrupt, in order; and again, so the next kick is asked for. */
static void test_transmit_ring(void **state)
{
	struct nic *t = make(1500);
	struct vd *d = &t->d;
	uint8_t hdr[HDR] = { 0 }, frame[60] = { 0 };
	(void)state;
	vd_start(d, VD_F_EVENT_IDX);
	for (unsigned round = 0; round < 3; round++) {
		d->emits = 0;
		d->out_len = 0;
		for (unsigned i = 0; i < 256; i++) {
			gpa_t at = VD_BUFFERS + 128 * i;
			frame[20] = (uint8_t)(i + round);
			mem_write(d->mem, at, hdr, HDR);
			mem_write(d->mem, at + HDR, frame, sizeof(frame));
			vd_desc(d, d->q[1].desc, i, (struct vd_seg){ at, HDR + sizeof(frame) }, 0, 0);
			vd_put16(d, d->q[1].avail + 4 + 2 * i, (uint16_t)i);
		}
		d->q[1].avail_idx = (uint16_t)(d->q[1].avail_idx + 256);
		vd_put16(d, d->q[1].avail + 2, d->q[1].avail_idx);
		vd_put16(d, d->q[1].avail + 4 + 512, d->q[1].used_idx);
		vd_kick(d, 1);
		assert_int_equal(vd_isr(d), 1);
		assert_int_equal(vd_get16(d, d->q[1].used + 4 + 8 * 256), d->q[1].avail_idx);
		for (unsigned i = 0; i < 256; i++)
			vd_expect(d, 1, i, 0);
		assert_int_equal(d->emits, 256);
		for (unsigned i = 0; i < 256; i++)
			assert_int_equal(d->out[sizeof(frame) * i + 20], (uint8_t)(i + round));
	}
	drop(t);
}

static void test_transmit_checksum(void **state)
{
	struct nic *t = make(1500);
	struct vd *d = &t->d;
	static struct packet p, want;
	uint8_t hdr[HDR] = { 0 };
	uint64_t seed = vd_seed();
	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		const bool agreed = i % 4 != 0;
		if (i % 32 == 0 || i % 4 < 2)
			vd_start(d, agreed ? F_CSUM : 0);
		packet_make(&p, i / 4, rig_random(&seed) % 1400, &seed);
		want = p;
		packet_sum(&want);
		be16_put(p.frame + p.field, p.pseudo);
		memset(hdr, 0, sizeof(hdr));
		hdr[0] = 1;
		le16_put(hdr + 6, (uint16_t)p.l4);
		le16_put(hdr + 8, (uint16_t)(p.field - p.l4));
		d->out_len = 0;
		send(d, hdr, p.frame, (uint32_t)p.len);
		vd_kick(d, 1);
		assert_int_equal(d->out_len, p.len);
		assert_memory_equal(d->out, agreed ? want.frame : p.frame, p.len);
		/* A field outside the frame: nothing can be completed, nothing goes out. */
		d->emits = 0;
		le16_put(hdr + 8, (uint16_t)(p.len - p.l4 - 1 + i));
		send(d, hdr, p.frame, (uint32_t)p.len);
		vd_kick(d, 1);
		assert_int_equal(d->emits, agreed ? 0 : 1);
	}
	drop(t);
}

/* ---- receive ---- */

static void fill(uint8_t *data, size_t len, uint64_t *seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)rig_random(seed);
	data[12] = 0x88; /* no protocol of ours */
	data[13] = 0xb5;
}

/* Takes one frame back from the driver's buffers, each of `size` bytes at gpa() of its head. */
static void expect_frame(struct vd *d, const uint8_t *frame, uint32_t len, uint32_t size, bool merged,
			 uint8_t flags)
{
	static uint8_t got[70000];
	uint8_t hdr[HDR];
	uint32_t head, n, total = 0, buffers = merged ? (HDR + len + size - 1) / size : 1;
	for (unsigned i = 0; i < buffers; i++) {
		assert_true(vd_used(d, 0, &head, &n));
		assert_int_equal(n, i + 1 < buffers ? size : HDR + len - total);
		mem_read(d->mem, VD_BUFFERS + (gpa_t)head * size, got + total, n);
		total += n;
	}
	memset(hdr, 0, sizeof(hdr));
	hdr[0] = flags;
	le16_put(hdr + 10, (uint16_t)buffers);
	assert_memory_equal(got, hdr, HDR);
	assert_memory_equal(got + HDR, frame, len);
}

static void post(struct vd *d, unsigned n, uint32_t size)
{
	while (n--)
		vd_add_in(d, 0, VD_BUFFERS + (gpa_t)d->q[0].next_desc * size, size);
}

static void test_receive(void **state)
{
	struct nic *t = make(65535);
	struct vd *d = &t->d;
	static uint8_t data[70000];
	uint64_t seed = vd_seed();
	(void)state;
	fill(data, sizeof(data), &seed);
	assert_int_equal(virtio_net_input(t->net, data, 13), RV_EINVAL);
	assert_int_equal(virtio_net_input(t->net, data, 65536), RV_EINVAL);
	assert_int_equal(virtio_net_input(t->net, data, 60), 0); /* no driver: lost */
	assert_false(virtio_net_ready(t->net));
	vd_negotiate(d, 0);
	post(d, 1, 2000);
	assert_false(virtio_net_ready(t->net));
	vd_out(d, 20, 1, 15);
	assert_true(virtio_net_ready(t->net));
	vd_cfg_write(d, 4, 2); /* it may not master the bus */
	assert_false(virtio_net_ready(t->net));
	assert_int_equal(virtio_net_input(t->net, data, 60), 0);
	vd_cfg_write(d, 4, 6);
	vd_expect_none(d, 0);
	/* One buffer, one frame; one that does not fit is lost, and the buffer stays. */
	assert_int_equal(virtio_net_input(t->net, data, 1989), 0);
	vd_expect_none(d, 0);
	assert_true(virtio_net_ready(t->net));
	assert_int_equal(virtio_net_input(t->net, data, 1988), 0);
	assert_int_equal(vd_isr(d), 1);
	assert_false(virtio_net_ready(t->net));
	expect_frame(d, data, 1988, 2000, false, 0);
	assert_int_equal(virtio_net_input(t->net, data, 100), 0);
	vd_expect_none(d, 0);
	assert_int_equal(vd_isr(d), 0);
	/* Two buffers are not one without MRG_RXBUF. */
	post(d, 2, 2000);
	assert_int_equal(virtio_net_input(t->net, data, 2100), 0);
	vd_expect_none(d, 0);
	vd_round_trip(d);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(virtio_net_input(t->net, data + i, 14), 0);
		expect_frame(d, data + i, 14, 2000, false, 0);
	}
	drop(t);
}

static void test_receive_merged(void **state)
{
	struct nic *t = make(65535);
	struct vd *d = &t->d;
	static uint8_t data[70000];
	static const uint32_t sizes[] = { 13, 64, 1000, 1526, 4096 };
	uint64_t seed = vd_seed();
	uint32_t lost = 0;
	(void)state;
	fill(data, sizeof(data), &seed);
	for (unsigned s = 0; s < RV_ARRAY_LEN(sizes); s++) {
		const uint32_t size = sizes[s];
		uint32_t free_buffers = 0;
		vd_start(d, F_MRG_RXBUF | (s & 1 ? VD_F_EVENT_IDX : 0));
		for (unsigned i = 0; i < 300; i++) {
			uint32_t len = (uint32_t)(14 + rig_random(&seed) % (i % 10 ? 2500 : 65500));
			uint32_t want = (HDR + len + size - 1) / size;
			unsigned more = (unsigned)(rig_random(&seed) % (256 - free_buffers + 1));
			if (i % 3 == 0) {
				post(d, more, size);
				free_buffers += more;
			}
			assert_int_equal(virtio_net_ready(t->net), free_buffers != 0);
			assert_int_equal(virtio_net_input(t->net, data, len), 0);
			if (want > free_buffers) {
				lost++;
			} else {
				free_buffers -= want;
				expect_frame(d, data, len, size, true, 0);
			}
			vd_expect_none(d, 0);
		}
	}
	assert_true(lost > 0);
	/* Buffers without room for the header are a driver's mistake. */
	vd_start(d, F_MRG_RXBUF);
	post(d, 1, 100);
	vd_add_in(d, 0, VD_BUFFERS, 12);
	assert_int_equal(virtio_net_input(t->net, data, 14), 0);
	vd_expect(d, 0, 0, 26);
	assert_int_equal(virtio_net_input(t->net, data, 14), 0);
	assert_int_equal(vd_status(d), 15 | VD_NEEDS_RESET);
	assert_false(virtio_net_ready(t->net));
	drop(t);
}

/* DATA_VALID of what is right, if it was agreed on; the MTU, if it was. */
static void test_receive_flags(void **state)
{
	struct nic *t = make(1500);
	struct vd *d = &t->d;
	static struct packet p;
	static uint8_t data[2000];
	uint64_t seed = vd_seed();
	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		vd_start(d, i & 32 ? 0 : F_GUEST_CSUM);
		packet_make(&p, i & 7, 100 + i, &seed);
		packet_sum(&p);
		if (i & 16)
			p.frame[p.len - 1] ^= 1;
		post(d, 1, 2000);
		assert_int_equal(virtio_net_input(t->net, p.frame, (uint32_t)p.len), 0);
		expect_frame(d, p.frame, (uint32_t)p.len, 2000, false, i & 48 ? 0 : 2);
	}
	fill(data, sizeof(data), &seed);
	vd_start(d, F_MTU);
	post(d, 3, 3000);
	assert_int_equal(virtio_net_input(t->net, data, 1515), 0);
	vd_expect_none(d, 0);
	assert_int_equal(virtio_net_input(t->net, data, 1514), 0);
	expect_frame(d, data, 1514, 3000, false, 0);
	be16_put(data + 12, 0x8100);
	assert_int_equal(virtio_net_input(t->net, data, 1519), 0);
	vd_expect_none(d, 0);
	assert_int_equal(virtio_net_input(t->net, data, 1518), 0);
	expect_frame(d, data, 1518, 3000, false, 0);
	vd_start(d, 0);
	post(d, 1, 3000);
	assert_int_equal(virtio_net_input(t->net, data, 1600), 0);
	expect_frame(d, data, 1600, 3000, false, 0);
	drop(t);
}

/* ---- announcement ---- */

static uint8_t command(struct vd *d, uint8_t class, uint8_t cmd, uint32_t len)
{
	const uint8_t out[3] = { class, cmd, 0 };
	uint8_t ack = 0xee;
	const struct vd_seg seg[2] = { { VD_BUFFERS, len }, { VD_BUFFERS + 8, 1 } };
	uint16_t head;
	mem_write(d->mem, VD_BUFFERS, out, 3);
	mem_write(d->mem, VD_BUFFERS + 8, &ack, 1);
	head = vd_add(d, 2, seg, 1, 1);
	vd_kick(d, 2);
	vd_expect(d, 2, head, 1);
	mem_read(d->mem, VD_BUFFERS + 8, &ack, 1);
	return ack;
}

static void test_announce(void **state)
{
	struct nic *t = make(1500);
	struct vd *d = &t->d;
	struct bytes saved = { 0 };
	uint8_t generation;
	(void)state;
	virtio_net_announce(t->net); /* nobody there */
	vd_start(d, F_STATUS | F_CTRL_VQ);
	virtio_net_announce(t->net);
	assert_int_equal(vd_config(d, 6, 2), 1);
	assert_int_equal(command(d, 3, 0, 2), 1);
	vd_start(d, F_ALL);
	generation = (uint8_t)vd_in(d, 21, 1);
	virtio_net_announce(t->net);
	assert_int_equal(vd_config(d, 6, 2), 3);
	assert_int_equal(vd_isr(d), 2);
	assert_int_not_equal(vd_in(d, 21, 1), generation);
	vd_round_trip(d);
	assert_int_equal(vd_config(d, 6, 2), 3);
	vd_save(d, &saved);
	/* Commands that are none. */
	assert_int_equal(command(d, 3, 1, 2), 1);
	assert_int_equal(command(d, 0, 0, 3), 1);
	assert_int_equal(command(d, 3, 0, 1), 1);
	assert_int_equal(vd_config(d, 6, 2), 3);
	assert_int_equal(command(d, 3, 0, 2), 0);
	assert_int_equal(vd_config(d, 6, 2), 1);
	assert_int_equal(vd_isr(d), 1);
	/* A driver that starts anew was not asked. */
	virtio_net_announce(t->net);
	vd_start(d, F_STATUS);
	assert_int_equal(vd_config(d, 6, 2), 1);
	/* Nowhere to put the answer. */
	vd_start(d, F_ALL);
	vd_add_out(d, 2, VD_BUFFERS, 2);
	vd_kick(d, 2);
	assert_int_equal(vd_status(d), 15 | VD_NEEDS_RESET);
	assert_int_equal(vd_load(d, saved.data, saved.len), 0);
	assert_int_equal(vd_config(d, 6, 2), 3);
	bytes_fini(&saved);
	drop(t);
}

/* ---- and all of it wrong ---- */

static void host_receives(struct vd *d, uint64_t *seed)
{
	struct nic *t = (struct nic *)(void *)((char *)d - offsetof(struct nic, d));
	static uint8_t data[70000];
	uint64_t x = rig_random(seed);
	uint32_t len = (uint32_t)(x >> 8) % (x % 16 ? 2000 : 70000);
	bool valid = len >= 14 && len <= 65535;
	uint8_t before = vd_status(d);
	(void)virtio_net_ready(t->net); /* changes nothing */
	assert_int_equal(vd_status(d), before);
	if ((x >> 40) % 16 == 0)
		virtio_net_announce(t->net);
	assert_int_equal(virtio_net_input(t->net, data, len), valid ? RV_OK : RV_EINVAL);
}

static void test_abuse(void **state)
{
	uint64_t seed = vd_seed();
	struct nic *t = make(1500);
	(void)state;
	vd_abuse(&t->d, &seed, 100000, host_receives);
	vd_hostile_loads(&t->d, &seed, 5000, host_receives);
	drop(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_transmit),
		cmocka_unit_test(test_transmit_ring),
		cmocka_unit_test(test_transmit_checksum),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_receive_merged),
		cmocka_unit_test(test_receive_flags),
		cmocka_unit_test(test_announce),
		cmocka_unit_test(test_abuse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
