/* SPDX-License-Identifier: Apache-2.0 */
#include "net_csum.h"

#include "base/bytes.h"

#define ETHER_TYPE 12u /* offset in a frame */
#define ETHER_VLAN 0x8100u
#define ETHER_SERVICE_VLAN 0x88a8u
#define ETHER_IPV4 0x0800u
#define ETHER_IPV6 0x86ddu
#define IPV6_HEADER 40u
#define PROTO_TCP 6u
#define PROTO_UDP 17u
#define TCP_HEADER 20u
#define UDP_HEADER 8u

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Adds to a sum of little-endian halves: the one's complement sum is the same in either byte order but
 * for a swap at the end (RFC 1071, 2 (B)), and carries may wait (2 (C)). */
static uint64_t sum_add(uint64_t sum, const uint8_t *p, size_t len)
{
	for (; len >= 4; p += 4, len -= 4)
		sum += le32_get(p);
	if (len >= 2)
		sum += le16_get(p);
	if (len & 1)
		sum += p[len - 1];
	return sum;
}

static uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

bool net_csum_complete(uint8_t *frame, size_t len, size_t start, size_t offset)
{
	uint16_t csum;
	if (start > len || offset > len - start || len - start - offset < 2)
		return false;
	csum = (uint16_t)~sum_fold(sum_add(0, frame + start, len - start));
	/* Zero and all ones are the same number, but a zero in UDP says "no checksum" (RFC 768). */
	le16_put(frame + start + offset, csum ? csum : 0xffff);
	return true;
}

/* A transport header and payload of len bytes; sum: of the addresses in the pseudo-header. */
static bool transport_valid(const uint8_t *p, size_t len, uint8_t proto, uint64_t sum)
{
	if (proto == PROTO_UDP) {
		if (len < UDP_HEADER || be16(p + 4) != len || be16(p + 6) == 0)
			return false;
	} else if (proto != PROTO_TCP || len < TCP_HEADER) {
		return false;
	}
	/* The rest of the pseudo-header, swapped as sum_add() wants it. */
	sum += (uint64_t)proto << 8;
	sum += (uint64_t)(len & 0xff) << 8 | len >> 8;
	return sum_fold(sum_add(sum, p, len)) == 0xffff;
}

static bool ipv4_valid(const uint8_t *ip, size_t room)
{
	size_t header, total;
	if (room < 20 || ip[0] >> 4 != 4)
		return false;
	header = (ip[0] & 15u) * 4u;
	total = be16(ip + 2);
	if (header < 20 || total < header || total > room)
		return false;
	if (be16(ip + 6) & 0x3fff) /* a fragment: its checksum covers more than is here */
		return false;
	return transport_valid(ip + header, total - header, ip[9], sum_add(0, ip + 12, 8));
}

static bool ipv6_valid(const uint8_t *ip, size_t room)
{
	size_t payload;
	if (room < IPV6_HEADER || ip[0] >> 4 != 6)
		return false;
	payload = be16(ip + 4);
	if (payload > room - IPV6_HEADER)
		return false;
	return transport_valid(ip + IPV6_HEADER, payload, ip[6], sum_add(0, ip + 8, 32));
}

bool net_csum_valid(const uint8_t *frame, size_t len)
{
	size_t at = ETHER_TYPE;
	if (len < at + 2)
		return false;
	if (be16(frame + at) == ETHER_VLAN || be16(frame + at) == ETHER_SERVICE_VLAN)
		at += 4;
	if (len < at + 2)
		return false;
	switch (be16(frame + at)) {
	case ETHER_IPV4:
		return ipv4_valid(frame + at + 2, len - at - 2);
	case ETHER_IPV6:
		return ipv6_valid(frame + at + 2, len - at - 2);
	default:
		return false;
	}
}
