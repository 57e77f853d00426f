/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of the GDB remote serial protocol: frames `$payload#cc`, escapes,
 * acknowledgement, and the interrupt byte 0x03 between frames. A parser that
 * is a pure state machine, and a link that joins it to a descriptor.
 */
#ifndef RV_GDBSTUB_RSP_LINK_H
#define RV_GDBSTUB_RSP_LINK_H

#include "base/types.h"

#define RSP_PAYLOAD_MAX 65536u
#define RSP_FRAME_MAX (2u * RSP_PAYLOAD_MAX + 4u)

enum rsp_event {
	RSP_NONE,
	RSP_PACKET, /* parser.body, parser.len: unescaped, checksum right */
	RSP_BAD_SUM,
	RSP_TOO_LONG, /* a frame of more than RSP_PAYLOAD_MAX; its end was found, its payload is
			 lost */
	RSP_ACK,
	RSP_NAK,
	RSP_BREAK, /* 0x03 outside a frame */
};

enum rsp_state { RSP_IDLE, RSP_BODY, RSP_SUM_HIGH, RSP_SUM_LOW };

struct rsp_parser {
	enum rsp_state state;
	uint8_t sum, want;
	bool escape, broken, overlong;
	size_t len;
	char body[RSP_PAYLOAD_MAX];
};

void rsp_parser_init(struct rsp_parser *p);
/* One byte in, at most one event out. The body is good until the next call. */
enum rsp_event rsp_parser_push(struct rsp_parser *p, uint8_t c);
/* Frames and escapes; out holds RSP_FRAME_MAX bytes, len <= RSP_PAYLOAD_MAX. Returns the length. */
size_t rsp_frame_encode(const char *payload, size_t len, uint8_t *out);

struct rsp_link {
	int fd; /* -1: nothing comes, what is sent is dropped */
	bool noack;
	bool started;   /* the first byte was one a debugger sends */
	bool eof;       /* the peer is gone, or not a debugger */
	bool interrupt; /* 0x03 came while running */
	bool unacked;   /* tx may have to be sent again */
	enum rsp_event held; /* RSP_PACKET or RSP_TOO_LONG that came while running */
	struct rsp_parser parser;
	size_t rx_pos, rx_len, tx_len;
	uint8_t rx[4096];
	uint8_t tx[RSP_FRAME_MAX];
};

/* Takes fd (a connected socket, or -1). */
void rsp_link_init(struct rsp_link *l, int fd);
/* linger: let the peer read what was sent last (a TCP reset would discard it). */
void rsp_link_fini(struct rsp_link *l, bool linger);
/* Next RSP_PACKET, RSP_TOO_LONG or RSP_BREAK out of what was read; acknowledges, and sends again
 * when asked to. RSP_NONE: rsp_link_fill() is next. */
enum rsp_event rsp_link_next(struct rsp_link *l);
/* Reads what has arrived, without waiting. False: nothing came, or eof. */
bool rsp_link_fill(struct rsp_link *l);
void rsp_link_send(struct rsp_link *l, const char *payload, size_t len);
/* While running: 0x03 came, or the peer went away. A packet that comes early is kept for next(). */
bool rsp_link_interrupted(struct rsp_link *l);

#endif
