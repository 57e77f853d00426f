/* SPDX-License-Identifier: Apache-2.0 */
/* GDB manual, appendix E.1 (overview), E.11 (packet acknowledgement), E.8 (interrupts). */
#include "rsp_link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hex.h"

#define RSP_INTERRUPT 0x03u
#define RSP_SEND_TRIES 100 /* of 100 ms each: a client that reads nothing for that long is gone */
#define RSP_LINGER_MS 200

void rsp_parser_init(struct rsp_parser *p)
{
	p->state = RSP_IDLE;
	p->len = 0;
}

static void rsp_parser_begin(struct rsp_parser *p)
{
	p->state = RSP_BODY;
	p->sum = p->want = 0;
	p->escape = p->broken = p->overlong = false;
	p->len = 0;
}

static enum rsp_event rsp_parser_idle(struct rsp_parser *p, uint8_t c)
{
	switch (c) {
	case '$':
		rsp_parser_begin(p);
		return RSP_NONE;
	case '+':
		return RSP_ACK;
	case '-':
		return RSP_NAK;
	case RSP_INTERRUPT:
		return RSP_BREAK;
	default: /* noise on the line */
		return RSP_NONE;
	}
}

static void rsp_parser_body(struct rsp_parser *p, uint8_t c)
{
	if (c == '$') { /* never unescaped in a body: the end of the last frame was lost */
		rsp_parser_begin(p);
		return;
	}
	if (c == '#') {
		p->broken |= p->escape;
		p->state = RSP_SUM_HIGH;
		return;
	}
	p->sum = (uint8_t)(p->sum + c);
	if (c == '}' && !p->escape) {
		p->escape = true;
		return;
	}
	if (p->escape)
		c ^= 0x20;
	p->escape = false;
	if (p->len < RSP_PAYLOAD_MAX)
		p->body[p->len++] = (char)c;
	else
		p->overlong = true;
}

enum rsp_event rsp_parser_push(struct rsp_parser *p, uint8_t c)
{
	int digit;

	switch (p->state) {
	case RSP_IDLE:
		return rsp_parser_idle(p, c);
	case RSP_BODY:
		rsp_parser_body(p, c);
		return RSP_NONE;
	case RSP_SUM_HIGH:
	case RSP_SUM_LOW:
		if (c == '$') {
			rsp_parser_begin(p);
			return RSP_NONE;
		}
		digit = hex_digit((char)c);
		p->broken |= digit < 0;
		p->want = (uint8_t)(p->want << 4 | (digit & 15));
		if (p->state == RSP_SUM_HIGH) {
			p->state = RSP_SUM_LOW;
			return RSP_NONE;
		}
		p->state = RSP_IDLE;
		if (p->broken || p->want != p->sum)
			return RSP_BAD_SUM;
		return p->overlong ? RSP_TOO_LONG : RSP_PACKET;
	}
	return RSP_NONE;
}

size_t rsp_frame_encode(const char *payload, size_t len, uint8_t *out)
{
	size_t n = 0;
	uint8_t sum = 0;

	out[n++] = '$';
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)payload[i];
		/* '*' would start a run length (E.1). */
		if (c == '$' || c == '#' || c == '}' || c == '*') {
			out[n++] = '}';
			sum = (uint8_t)(sum + '}');
			c ^= 0x20;
		}
		out[n++] = c;
		sum = (uint8_t)(sum + c);
	}
	out[n++] = '#';
	out[n++] = (uint8_t)hex_char(sum >> 4);
	out[n++] = (uint8_t)hex_char(sum & 15u);
	return n;
}

void rsp_link_init(struct rsp_link *l, int fd)
{
	l->fd = fd;
	l->noack = l->started = l->eof = l->interrupt = l->unacked = false;
	l->held = RSP_NONE;
	l->rx_pos = l->rx_len = l->tx_len = 0;
	rsp_parser_init(&l->parser);
}

void rsp_link_fini(struct rsp_link *l, bool linger)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	if (l->fd < 0)
		return;
	if (linger && !l->eof && shutdown(l->fd, SHUT_WR) == 0)
		for (int i = 0; i < 8; i++)
			if (poll(&p, 1, RSP_LINGER_MS) != 1 ||
				recv(l->fd, l->rx, sizeof(l->rx), MSG_DONTWAIT) <= 0)
				break;
	close(l->fd);
	l->fd = -1;
	l->eof = true;
}

static void rsp_link_write(struct rsp_link *l, const uint8_t *data, size_t len)
{
	int tries = 0;

	while (len > 0 && l->fd >= 0 && !l->eof) {
		struct pollfd p = { .fd = l->fd, .events = POLLOUT };
		ssize_t n = send(l->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
			tries = 0;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
			l->eof = true;
		} else if (tries++ == RSP_SEND_TRIES) {
			l->eof = true;
		} else {
			(void)poll(&p, 1, 100);
		}
	}
}

void rsp_link_send(struct rsp_link *l, const char *payload, size_t len)
{
	l->tx_len = rsp_frame_encode(payload, len, l->tx);
	l->unacked = !l->noack;
	rsp_link_write(l, l->tx, l->tx_len);
}

static void rsp_link_ack(struct rsp_link *l, uint8_t c)
{
	if (!l->noack)
		rsp_link_write(l, &c, 1);
}

enum rsp_event rsp_link_next(struct rsp_link *l)
{
	if (l->held != RSP_NONE) {
		enum rsp_event ev = l->held;
		l->held = RSP_NONE;
		return ev;
	}
	while (l->rx_pos < l->rx_len && !l->eof) {
		enum rsp_event ev = rsp_parser_push(&l->parser, l->rx[l->rx_pos++]);
		switch (ev) {
		case RSP_NONE:
			break;
		case RSP_PACKET:
		case RSP_TOO_LONG: /* sending it again would not help: acknowledged, then refused */
			rsp_link_ack(l, '+');
			return ev;
		case RSP_BAD_SUM:
			rsp_link_ack(l, '-');
			break;
		case RSP_ACK:
			l->unacked = false;
			break;
		case RSP_NAK:
			if (l->unacked)
				rsp_link_write(l, l->tx, l->tx_len);
			break;
		case RSP_BREAK:
			return ev;
		}
	}
	return RSP_NONE;
}

bool rsp_link_fill(struct rsp_link *l)
{
	ssize_t n;

	if (l->eof || l->fd < 0 || l->rx_pos < l->rx_len)
		return false;
	do
		n = recv(l->fd, l->rx, sizeof(l->rx), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n <= 0) {
		l->eof = true;
		return false;
	}
	/* A browser made to post to this port begins with a letter: it gets no further. */
	if (!l->started && !memchr("+-$\003", l->rx[0], 4)) {
		l->eof = true;
		return false;
	}
	l->started = true;
	l->rx_pos = 0;
	l->rx_len = (size_t)n;
	return true;
}

bool rsp_link_interrupted(struct rsp_link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLRDHUP };

	if (l->eof || l->interrupt)
		return true;
	if (l->fd < 0)
		return false;
	while (l->held == RSP_NONE) {
		enum rsp_event ev = rsp_link_next(l);
		if (ev == RSP_BREAK)
			return l->interrupt = true;
		l->held = ev;
		if (ev == RSP_NONE && !rsp_link_fill(l))
			return l->eof;
	}
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
		l->eof = true;
	return l->eof;
}
