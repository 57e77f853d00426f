/* SPDX-License-Identifier: Apache-2.0 */
/* The Internet checksum (RFC 1071) of the packets in Ethernet frames; for virtio_net.c. */
#ifndef RV_DEV_NET_CSUM_H
#define RV_DEV_NET_CSUM_H

#include "base/types.h"

/* Completes a checksum whose field, at start + offset, holds the sum of the pseudo-header: over all
 * bytes from start to the frame's end. False, and nothing written: the field is not in the frame. */
bool net_csum_complete(uint8_t *frame, size_t len, size_t start, size_t offset);
/* Does the frame hold a whole TCP or UDP packet, over IPv4 or IPv6 without extension headers, whose
 * checksum is there and right? */
bool net_csum_valid(const uint8_t *frame, size_t len);

#endif
