/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/bytes.h"
#include "export.h"

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINKTYPE_ETHERNET 1u
#define OPT_IF_NAME 2u
#define OPT_IF_MAC 6u
#define OPT_IF_TSRESOL 9u
#define OPT_PACKET_FLAGS 2u
#define FLAG_INBOUND 1u
#define FLAG_OUTBOUND 2u

static void put_option(struct bytes *b, uint16_t code, const void *value, uint16_t len)
{
	static const uint8_t zeros[4];

	bytes_put_u16(b, code);
	bytes_put_u16(b, len);
	bytes_put(b, value, len);
	bytes_put(b, zeros, (4u - len % 4u) % 4u);
}

/* type, length, body, length again (section 3.1). */
static void put_block(FILE *f, uint32_t type, const struct bytes *body)
{
	uint8_t head[8], tail[4];
	uint32_t len = (uint32_t)body->len + 12;

	le32_put(head, type);
	le32_put(head + 4, len);
	le32_put(tail, len);
	fwrite(head, 1, sizeof(head), f);
	fwrite(body->data, 1, body->len, f);
	fwrite(tail, 1, sizeof(tail), f);
}

void export_pcap_begin(FILE *f, const struct trace_manifest *m)
{
	struct bytes b = { 0 };

	bytes_put_u32(&b, BYTE_ORDER_MAGIC);
	bytes_put_u16(&b, 1);
	bytes_put_u16(&b, 0);
	bytes_put_u64(&b, UINT64_MAX); /* the section's length: not said */
	put_block(f, BLOCK_SECTION, &b);
	for (unsigned i = 0; i < m->nnets; i++) {
		const uint8_t nanoseconds = 9;
		char name[16];

		snprintf(name, sizeof(name), "net%u", i);
		bytes_clear(&b);
		bytes_put_u16(&b, LINKTYPE_ETHERNET);
		bytes_put_u16(&b, 0);
		bytes_put_u32(&b, 0); /* no limit to a packet's length */
		put_option(&b, OPT_IF_NAME, name, (uint16_t)strlen(name));
		put_option(&b, OPT_IF_MAC, m->net[i].mac, 6);
		put_option(&b, OPT_IF_TSRESOL, &nanoseconds, 1);
		put_option(&b, 0, NULL, 0);
		put_block(f, BLOCK_INTERFACE, &b);
	}
	bytes_fini(&b);
}

void export_pcap_frame(FILE *f, unsigned net, bool from_guest, uint64_t utc_ns, const void *frame, size_t len)
{
	static const uint8_t zeros[4];
	struct bytes b = { 0 };
	uint8_t flags[4];

	bytes_put_u32(&b, net);
	bytes_put_u32(&b, (uint32_t)(utc_ns >> 32));
	bytes_put_u32(&b, (uint32_t)utc_ns);
	bytes_put_u32(&b, (uint32_t)len);
	bytes_put_u32(&b, (uint32_t)len);
	bytes_put(&b, frame, len);
	bytes_put(&b, zeros, (4u - len % 4u) % 4u);
	/* As the guest's interface sees it. */
	le32_put(flags, from_guest ? FLAG_OUTBOUND : FLAG_INBOUND);
	put_option(&b, OPT_PACKET_FLAGS, flags, sizeof(flags));
	put_option(&b, 0, NULL, 0);
	put_block(f, BLOCK_PACKET, &b);
	bytes_fini(&b);
}
