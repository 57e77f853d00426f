/* SPDX-License-Identifier: Apache-2.0 */
/* TCP, TLS 1.3 (RFC 8446; external PSKs: 2.2 and 4.2.11) and frames. */
#include "ft/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ft_int.h"

#define PSK_MAX 64u
#define PSK_MIN 16u
#define READ_STEP 65536u
/* What the kernel may hold unsent: more would only make heartbeats wait behind it. */
#define NOTSENT (64 << 10)

struct channel_auth {
	SSL_CTX *server, *client;
	bool psk;
	char identity[FT_NAME_MAX + 1];
	uint8_t key[PSK_MAX];
	size_t key_len;
};

struct channel_addr {
	char *text;
	struct sockaddr_storage sa;
	socklen_t len;
};

struct channel {
	SSL *ssl;
	int fd;
	bool want_write; /* TLS waits for the socket */
	bool dead;
	char peer[80];
	struct bytes out;
	size_t sent; /* of out */
	uint64_t total;
	struct bytes in;
	size_t used; /* of in: frames that were given out */
};

/* ---- keys ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* IDENTITY:HEX */
static bool psk_parse(struct channel_auth *a, const char *line)
{
	const char *colon = strchr(line, ':');
	size_t n;
	if (!colon || colon == line || (size_t)(colon - line) > FT_NAME_MAX)
		return false;
	memcpy(a->identity, line, (size_t)(colon - line));
	for (n = 0, colon++; hex_digit(colon[0]) >= 0 && hex_digit(colon[1]) >= 0; colon += 2, n++) {
		if (n == PSK_MAX)
			return false;
		a->key[n] = (uint8_t)(hex_digit(colon[0]) << 4 | hex_digit(colon[1]));
	}
	a->key_len = n;
	return n >= PSK_MIN && (*colon == '\0' || *colon == '\n' || *colon == '\r');
}

static int psk_load(struct channel_auth *a, const char *path, struct rv_err *err)
{
	char line[FT_NAME_MAX + 2 * PSK_MAX + 8];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t len;
	if (fd < 0 || fstat(fd, &st) < 0) {
		int saved = errno;
		if (fd >= 0)
			close(fd);
		return rv_err_set(err, rv_status_from_errno(saved), "--psk=%.300s: %s", path, strerror(saved));
	}
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077)) {
		close(fd);
		return rv_err_set(err, RV_EPERM, "--psk=%.300s: others can read the key; chmod 600 %.100s", path, path);
	}
	len = read(fd, line, sizeof(line) - 1);
	close(fd);
	line[len > 0 ? len : 0] = '\0';
	a->psk = psk_parse(a, line);
	OPENSSL_cleanse(line, sizeof(line));
	if (!a->psk)
		return rv_err_set(err, RV_EINVAL,
				  "--psk=%.300s: no IDENTITY:HEX with %u to %u bytes of key; make one with "
				  "(echo -n pair: ; openssl rand -hex 32)", path, PSK_MIN, PSK_MAX);
	return RV_OK;
}

static SSL_SESSION *psk_session(SSL *ssl, const struct channel_auth *a)
{
	static const unsigned char aes128_gcm_sha256[] = { 0x13, 0x01 };
	SSL_SESSION *s = SSL_SESSION_new();
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, aes128_gcm_sha256);
	if (s && cipher && SSL_SESSION_set1_master_key(s, a->key, a->key_len) && SSL_SESSION_set_cipher(s, cipher) &&
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION))
		return s;
	SSL_SESSION_free(s);
	return NULL;
}

static int psk_use(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *idlen, SSL_SESSION **sess)
{
	const struct channel_auth *a = SSL_get_app_data(ssl);
	*sess = NULL;
	*id = NULL;
	*idlen = 0;
	if (md && !EVP_MD_is_a(md, "SHA256"))
		return 1;
	*sess = psk_session(ssl, a);
	*id = (const unsigned char *)a->identity;
	*idlen = strlen(a->identity);
	return *sess != NULL;
}

static int psk_find(SSL *ssl, const unsigned char *id, size_t idlen, SSL_SESSION **sess)
{
	const struct channel_auth *a = SSL_get_app_data(ssl);
	*sess = NULL;
	if (idlen != strlen(a->identity) || memcmp(id, a->identity, idlen) != 0)
		return 1;
	*sess = psk_session(ssl, a);
	return *sess != NULL;
}

static SSL_CTX *tls_context(const struct channel_auth_cfg *cfg, const SSL_METHOD *method, bool client,
			    struct rv_err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") || !SSL_CTX_set_num_tickets(ctx, 0)) {
		rv_err_set(err, RV_ENOMEM, "cannot set TLS up");
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* OpenSSL wants one of a server that checks who calls. */
	if (!client)
		SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"retrovisor", 10);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* With a PSK no certificate is ever good: a server that would rather show one is not ours. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (cfg->psk ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT), NULL);
	if (cfg->psk) {
		if (client)
			SSL_CTX_set_psk_use_session_callback(ctx, psk_use);
		else
			SSL_CTX_set_psk_find_session_callback(ctx, psk_find);
		return ctx;
	}
	if (SSL_CTX_use_certificate_chain_file(ctx, cfg->cert) != 1)
		rv_err_set(err, RV_EINVAL, "--cert=%.300s: no certificate in PEM", cfg->cert);
	else if (SSL_CTX_use_PrivateKey_file(ctx, cfg->key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		rv_err_set(err, RV_EINVAL, "--key=%.300s: not the private key of the certificate, in PEM", cfg->key);
	else if (SSL_CTX_load_verify_locations(ctx, cfg->ca, NULL) != 1)
		rv_err_set(err, RV_EINVAL, "--ca=%.300s: no certificate in PEM", cfg->ca);
	else
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

int channel_auth_create(struct channel_auth **out, const struct channel_auth_cfg *cfg, struct rv_err *err)
{
	struct channel_auth *a;
	struct rv_err local = { 0 };
	int rc = RV_OK;
	err = err ? err : &local;
	if (!cfg->psk == !(cfg->cert && cfg->key && cfg->ca))
		return rv_err_set(err, RV_EUSAGE,
				  "the other host must be known: give --psk=FILE, or --cert, --key and --ca");
	a = calloc(1, sizeof(*a));
	if (!a)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	if (cfg->psk)
		rc = psk_load(a, cfg->psk, err);
	if (rc == RV_OK && (!(a->server = tls_context(cfg, TLS_server_method(), false, err)) ||
			    !(a->client = tls_context(cfg, TLS_client_method(), true, err))))
		rc = err->code;
	if (rc != RV_OK) {
		channel_auth_destroy(a);
		return rc;
	}
	*out = a;
	return RV_OK;
}

void channel_auth_destroy(struct channel_auth *a)
{
	if (!a)
		return;
	SSL_CTX_free(a->server);
	SSL_CTX_free(a->client);
	OPENSSL_cleanse(a->key, sizeof(a->key));
	free(a);
}

/* ---- addresses ---- */

int channel_addr_create(struct channel_addr **out, const char *text, struct rv_err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	struct addrinfo *ai = NULL;
	struct channel_addr *a;
	char host[256];
	int gai;
	/* The library would take a larger port modulo 65536. */
	if (!len || len >= sizeof(host) || !colon[1] || strlen(colon + 1) > 5 ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1) || atoi(colon + 1) > 65535)
		return rv_err_set(err, RV_EUSAGE, "'%.200s' is no HOST:PORT", text);
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		memmove(host, host + 1, len - 1);
	}
	gai = getaddrinfo(host, colon + 1, &hints, &ai);
	if (gai)
		return rv_err_set(err, RV_EUSAGE, "'%.200s': %s", text, gai_strerror(gai));
	a = calloc(1, sizeof(*a));
	if (a && (a->text = strdup(text))) {
		memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
		a->len = ai->ai_addrlen;
		*out = a;
	}
	freeaddrinfo(ai);
	if (a && a->text)
		return RV_OK;
	free(a);
	return rv_err_set(err, RV_ENOMEM, "out of memory");
}

void channel_addr_destroy(struct channel_addr *a)
{
	if (!a)
		return;
	free(a->text);
	free(a);
}

const char *channel_addr_text(const struct channel_addr *a)
{
	return a->text;
}

int channel_listen(const struct channel_addr *a, struct rv_err *err)
{
	const int one = 1;
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&a->sa, a->len) < 0 || listen(fd, 4) < 0) {
		int saved = errno;
		if (fd >= 0)
			close(fd);
		return rv_err_set(err, rv_status_from_errno(saved), "--listen=%.200s: %s", a->text, strerror(saved));
	}
	return fd;
}

/* ---- life ---- */

static bool wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	for (;;) {
		uint64_t now = ft_now();
		int n = now < deadline ? poll(&p, 1, (int)((deadline - now) / 1000000 + 1)) : 0;
		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

static int tls_failed(struct channel *c, struct rv_err *err)
{
	unsigned long e = ERR_peek_last_error();
	const char *why = e ? ERR_reason_error_string(e) : NULL;
	rv_err_set(err, RV_EPERM, "%.80s: the TLS handshake failed: %.200s (another key, or not one of ours)", c->peer,
		   why ? why : "the connection was closed");
	ERR_clear_error();
	return RV_EPERM;
}

static int tls_handshake(struct channel *c, struct channel_auth *auth, uint64_t deadline, struct rv_err *err)
{
	for (;;) {
		int n, why;
		ERR_clear_error();
		n = SSL_do_handshake(c->ssl);
		if (n == 1)
			break;
		why = SSL_get_error(c->ssl, n);
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
			return tls_failed(c, err);
		if (!wait_for(c->fd, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline))
			return rv_err_set(err, RV_EIO, "%.80s: no TLS handshake in time", c->peer);
	}
	if (auth->psk && !SSL_session_reused(c->ssl))
		return tls_failed(c, err);
	return RV_OK;
}

static void name_peer(struct channel *c, const struct sockaddr_storage *sa, socklen_t len)
{
	char host[64], port[16];
	if (getnameinfo((const struct sockaddr *)sa, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(c->peer, sizeof(c->peer), "%s:%s", host, port);
	else
		snprintf(c->peer, sizeof(c->peer), "?");
}

static int channel_open(struct channel **out, struct channel_auth *auth, int fd, bool client,
			const struct sockaddr_storage *sa, socklen_t len, uint64_t deadline, struct rv_err *err)
{
	const int one = 1, notsent = NOTSENT;
	struct channel *c = calloc(1, sizeof(*c));
	int rc;
	if (!c) {
		close(fd);
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	}
	c->fd = fd;
	name_peer(c, sa, len);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent, sizeof(notsent));
	c->ssl = SSL_new(client ? auth->client : auth->server);
	if (!c->ssl || !SSL_set_app_data(c->ssl, auth) || !SSL_set_fd(c->ssl, fd)) {
		rc = rv_err_set(err, RV_ENOMEM, "out of memory for TLS");
	} else {
		if (client)
			SSL_set_connect_state(c->ssl);
		else
			SSL_set_accept_state(c->ssl);
		rc = tls_handshake(c, auth, deadline, err);
	}
	if (rc != RV_OK) {
		channel_destroy(c);
		return rc;
	}
	*out = c;
	return RV_OK;
}

int channel_connect(struct channel **out, struct channel_auth *auth, const struct channel_addr *a, int ms,
		    struct rv_err *err)
{
	const uint64_t deadline = ft_now() + (uint64_t)ms * 1000000u;
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), soerr = 0;
	socklen_t len = sizeof(soerr);
	if (fd < 0)
		return rv_err_set(err, RV_EIO, "%.80s: %s", a->text, strerror(errno));
	if (connect(fd, (const struct sockaddr *)&a->sa, a->len) < 0) {
		soerr = errno;
		if (soerr == EINPROGRESS) {
			soerr = ETIMEDOUT;
			if (wait_for(fd, POLLOUT, deadline))
				getsockopt(fd, SOL_SOCKET, SO_ERROR, &soerr, &len);
		}
	}
	if (soerr) {
		close(fd);
		return rv_err_set(err, RV_EIO, "%.80s: %s", a->text, strerror(soerr));
	}
	return channel_open(out, auth, fd, true, &a->sa, a->len, deadline, err);
}

int channel_accept(struct channel **out, struct channel_auth *auth, int listen_fd, int ms, struct rv_err *err)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd = accept4(listen_fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return rv_err_set(err, RV_EIO, "accept: %s", strerror(errno));
	return channel_open(out, auth, fd, false, &sa, len, ft_now() + (uint64_t)ms * 1000000u, err);
}

void channel_destroy(struct channel *c)
{
	if (!c)
		return;
	SSL_free(c->ssl);
	close(c->fd);
	bytes_fini(&c->out);
	bytes_fini(&c->in);
	free(c);
}

int channel_fd(const struct channel *c)
{
	return c->fd;
}

const char *channel_peer(const struct channel *c)
{
	return c->peer;
}

short channel_events(const struct channel *c)
{
	return (short)(POLLIN | (channel_unsent(c) || c->want_write ? POLLOUT : 0));
}

/* ---- frames ---- */

int channel_put(struct channel *c, uint8_t type, const void *a, size_t alen, const void *b, size_t blen)
{
	if (alen + blen + 1 > FT_FRAME_MAX)
		return RV_EINVAL;
	/* What was sent is taken out when it is the larger part: each byte moves about once. */
	if (c->sent > c->out.len / 2) {
		memmove(c->out.data, c->out.data + c->sent, c->out.len - c->sent);
		c->out.len -= c->sent;
		c->sent = 0;
	}
	bytes_put_u32(&c->out, (uint32_t)(alen + blen + 1));
	bytes_put_u8(&c->out, type);
	if (alen)
		bytes_put(&c->out, a, alen);
	if (blen)
		bytes_put(&c->out, b, blen);
	return c->out.failed ? RV_ENOMEM : RV_OK;
}

size_t channel_unsent(const struct channel *c)
{
	return c->out.len - c->sent;
}

/* What a TLS call that moved nothing means for the link. */
static int tls_stopped(struct channel *c, int n)
{
	switch (SSL_get_error(c->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return RV_OK;
	case SSL_ERROR_WANT_WRITE:
		c->want_write = true;
		return RV_OK;
	default:
		ERR_clear_error();
		c->dead = true;
		return RV_EIO;
	}
}

int channel_flush(struct channel *c)
{
	c->want_write = false;
	while (!c->dead && c->sent < c->out.len) {
		size_t len = c->out.len - c->sent;
		int n;
		ERR_clear_error();
		n = SSL_write(c->ssl, c->out.data + c->sent, len > INT32_MAX ? INT32_MAX : (int)len);
		if (n <= 0)
			return tls_stopped(c, n);
		c->sent += (size_t)n;
		c->total += (size_t)n;
	}
	return c->dead ? RV_EIO : RV_OK;
}

int channel_parse(const uint8_t *data, size_t len, struct channel_frame *f, size_t *used)
{
	uint32_t n;
	if (len < 5)
		return 0;
	n = le32_get(data);
	if (n == 0 || n > FT_FRAME_MAX)
		return RV_EDAMAGED;
	if (len - 4 < n)
		return 0;
	*f = (struct channel_frame){ data[4], data + 5, n - 1 };
	*used = 4 + (size_t)n;
	return 1;
}

/* 1: something came, 0: not now. */
static int channel_read(struct channel *c)
{
	int n;
	if (c->dead)
		return RV_EIO;
	/* Room first: bytes_put() of nothing grows the buffer. */
	if (c->in.cap - c->in.len < READ_STEP) {
		size_t len = c->in.len;
		uint8_t *p = realloc(c->in.data, len + 4 * READ_STEP);
		if (!p)
			return RV_EIO;
		c->in.data = p;
		c->in.cap = len + 4 * READ_STEP;
	}
	ERR_clear_error();
	n = SSL_read(c->ssl, c->in.data + c->in.len, READ_STEP);
	if (n <= 0)
		return tls_stopped(c, n);
	c->in.len += (size_t)n;
	return 1;
}

int channel_get(struct channel *c, struct channel_frame *f)
{
	for (;;) {
		size_t used = 0;
		int rc = channel_parse(c->in.data + c->used, c->in.len - c->used, f, &used);
		if (rc != 0) {
			c->used += used;
			return rc;
		}
		if (c->used) {
			memmove(c->in.data, c->in.data + c->used, c->in.len - c->used);
			c->in.len -= c->used;
			c->used = 0;
		}
		rc = channel_read(c);
		if (rc <= 0)
			return rc;
	}
}

int channel_get_wait(struct channel *c, struct channel_frame *f, int ms)
{
	const uint64_t deadline = ft_now() + (uint64_t)ms * 1000000u;
	for (;;) {
		int rc = channel_get(c, f);
		if (rc != 0)
			return rc;
		if (!wait_for(c->fd, POLLIN, deadline))
			return RV_EIO;
	}
}

int channel_flush_wait(struct channel *c, int ms)
{
	const uint64_t deadline = ft_now() + (uint64_t)ms * 1000000u;
	for (;;) {
		int rc = channel_flush(c);
		if (rc != RV_OK || !channel_unsent(c))
			return rc;
		if (!wait_for(c->fd, POLLOUT, deadline))
			return RV_EIO;
	}
}

uint64_t channel_bytes_sent(const struct channel *c)
{
	return c->total;
}
