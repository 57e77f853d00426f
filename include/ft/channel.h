/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel of a pair: frames over TLS 1.3 over TCP, both ends proven to each
 * other by a shared key (PSK with ephemeral Diffie-Hellman) or by certificates.
 *
 * A frame is u32 length, u8 type, then so many bytes less one. One thread a
 * channel. Memory is bounded: by FT_FRAME_MAX on the way in, on the way out by
 * a caller that looks at channel_unsent() before it puts more.
 */
#ifndef RV_FT_CHANNEL_H
#define RV_FT_CHANNEL_H

#include "base/bytes.h"
#include "base/status.h"
#include "base/types.h"

#define FT_FRAME_MAX (36u << 20) /* a WELCOME with the digests of 4 TiB */

struct channel_auth;
struct channel_auth_cfg {
	const char *psk;             /* file: IDENTITY:HEX, one line, 16 to 64 bytes of key, readable by its owner alone */
	const char *cert, *key, *ca; /* or PEM files: our certificate and key, and who signs the other's */
};
/* Reads keys and sets the library up; before the sandbox closes. err names file and fault. */
int channel_auth_create(struct channel_auth **out, const struct channel_auth_cfg *cfg, struct rv_err *err);
void channel_auth_destroy(struct channel_auth *a);

/* HOST:PORT, [V6]:PORT. Names are looked up here, once. */
struct channel_addr;
int channel_addr_create(struct channel_addr **out, const char *text, struct rv_err *err);
void channel_addr_destroy(struct channel_addr *a);
const char *channel_addr_text(const struct channel_addr *a);

struct channel;
/* Descriptor of a listening socket, or a code. */
int channel_listen(const struct channel_addr *a, struct rv_err *err);
/* Waits at most ms for TCP and TLS to be up. RV_EIO: not reachable; RV_EPERM: it is not who it should be. */
int channel_connect(struct channel **out, struct channel_auth *auth, const struct channel_addr *a, int ms,
		    struct rv_err *err);
/* A caller waits at the listening socket. */
int channel_accept(struct channel **out, struct channel_auth *auth, int listen_fd, int ms, struct rv_err *err);
void channel_destroy(struct channel *c); /* what was not sent is lost */

int channel_fd(const struct channel *c);
const char *channel_peer(const struct channel *c); /* its address, for messages */
short channel_events(const struct channel *c);     /* for poll() */

/* A frame of two parts (either may be empty), copied. RV_ENOMEM, RV_EINVAL: too long. */
int channel_put(struct channel *c, uint8_t type, const void *a, size_t alen, const void *b, size_t blen);
size_t channel_unsent(const struct channel *c);
/* Sends what the socket takes. RV_EIO: the link is gone. */
int channel_flush(struct channel *c);

struct channel_frame {
	uint8_t type;
	const uint8_t *data; /* borrowed until the next call */
	size_t len;
};
/* 1: a frame, 0: none at present, RV_EIO: the link is gone, RV_EDAMAGED: what comes in is no frame. */
int channel_get(struct channel *c, struct channel_frame *f);
uint64_t channel_bytes_sent(const struct channel *c);
/* The same, waiting at most ms. RV_EIO after that, too. */
int channel_get_wait(struct channel *c, struct channel_frame *f, int ms);
int channel_flush_wait(struct channel *c, int ms);

/* The framing alone, as channel_get() uses it: looks for a frame at the front of len bytes. 1 with *f and *used, 0: more
 * bytes are needed, RV_EDAMAGED. */
int channel_parse(const uint8_t *data, size_t len, struct channel_frame *f, size_t *used);

#endif
