/* SPDX-License-Identifier: Apache-2.0 */
/* The channel over real sockets: who is let in and who is not, frames of all sizes, a link that dies. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ft/channel.h"

static char dir[64];

static void write_file(const char *name, mode_t mode, const char *text)
{
	char path[128];
	int fd;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
	close(fd);
}

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B "100102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	strcpy(dir, "/tmp/rv-channel-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	write_file("good", 0600, "pair:" KEY_A "\n");
	write_file("key", 0600, "pair:" KEY_B "\n");
	write_file("identity", 0600, "riap:" KEY_A "\n");
	write_file("open", 0640, "pair:" KEY_A "\n");
	write_file("short", 0600, "pair:0011\n");
	write_file("text", 0600, "a key\n");
	write_file("odd", 0600, "pair:" KEY_A "7\n");
	for (unsigned i = 0; i < 2; i++) {
		run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca%u "
		    "-keyout %s/ca%u.key -out %s/ca%u.pem 2>/dev/null", i, dir, i, dir, i);
		run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=half%u -keyout %s/half%u.key "
		    "-out %s/half%u.csr 2>/dev/null && openssl x509 -req -in %s/half%u.csr -CA %s/ca%u.pem -CAkey %s/ca%u.key "
		    "-CAcreateserial -days 2 -out %s/half%u.pem 2>/dev/null", i, dir, i, dir, i, dir, i, dir, i, dir, i, dir, i);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	run("rm -rf %s", dir);
	return 0;
}

static const char *in_dir(char out[128], const char *name)
{
	if (!name)
		return NULL;
	snprintf(out, 128, "%s/%s", dir, name);
	return out;
}

/* name of a PSK file, or "cert:N:M": certificate N, trusting CA M. */
static int make_auth(struct channel_auth **out, const char *name, struct rv_err *err)
{
	char psk[128], cert[128], key[128], ca[128], part[32];
	struct channel_auth_cfg cfg = { .psk = NULL };
	unsigned n, m;
	if (sscanf(name, "cert:%u:%u", &n, &m) == 2) {
		snprintf(part, sizeof(part), "half%u.pem", n);
		cfg.cert = in_dir(cert, part);
		snprintf(part, sizeof(part), "half%u.key", n);
		cfg.key = in_dir(key, part);
		snprintf(part, sizeof(part), "ca%u.pem", m);
		cfg.ca = in_dir(ca, part);
	} else {
		cfg.psk = in_dir(psk, name);
	}
	return channel_auth_create(out, &cfg, err);
}

struct server {
	struct channel_auth *auth;
	int fd, rc;
	struct channel *channel;
	struct rv_err err;
};

static void *serve(void *ctx)
{
	struct server *s = ctx;
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 5000), 1);
	s->rc = channel_accept(&s->channel, s->auth, s->fd, 2000, &s->err);
	return NULL;
}

/* Both ends, with these keys; NULL where an end was not let in. */
static void meet(const char *server_key, const char *client_key, struct channel *end[2])
{
	struct server s = { .rc = -1 };
	struct channel_auth *auth = NULL;
	struct channel_addr *any = NULL, *to = NULL;
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	struct rv_err err = { 0 };
	char text[64];
	pthread_t thread;
	end[0] = end[1] = NULL;
	assert_int_equal(make_auth(&s.auth, server_key, &err), RV_OK);
	assert_int_equal(make_auth(&auth, client_key, &err), RV_OK);
	assert_int_equal(channel_addr_create(&any, "127.0.0.1:0", &err), RV_OK);
	s.fd = channel_listen(any, &err);
	assert_true(s.fd >= 0 && getsockname(s.fd, (struct sockaddr *)&sa, &len) == 0);
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(sa.sin_port));
	assert_int_equal(channel_addr_create(&to, text, &err), RV_OK);
	assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);
	if (channel_connect(&end[1], auth, to, 2000, &err) != RV_OK)
		end[1] = NULL;
	pthread_join(thread, NULL);
	end[0] = s.rc == RV_OK ? s.channel : NULL;
	close(s.fd);
	channel_addr_destroy(any);
	channel_addr_destroy(to);
	/* A client of TLS 1.3 may believe that all is well before the server has said no: it hears of it at its first read. */
	if (end[1] && !end[0]) {
		struct channel_frame f;
		assert_true(channel_get_wait(end[1], &f, 2000) < 0);
		channel_destroy(end[1]);
		end[1] = NULL;
	}
	if (end[0] && !end[1]) {
		channel_destroy(end[0]);
		end[0] = NULL;
	}
	channel_auth_destroy(auth);
	channel_auth_destroy(s.auth);
}

static void part(struct channel *end[2])
{
	channel_destroy(end[0]);
	channel_destroy(end[1]);
}

static void test_who_is_let_in(void **state)
{
	static const struct {
		const char *server, *client;
		bool good;
	} pairs[] = {
		{ "good", "good", true },	  { "good", "key", false },	  { "key", "good", false },
		{ "good", "identity", false },	  { "cert:0:0", "cert:0:0", true }, { "cert:0:1", "cert:1:0", true },
		{ "cert:0:0", "cert:1:0", false }, { "cert:0:1", "cert:1:1", false }, { "good", "cert:0:0", false },
		{ "cert:0:0", "good", false },
	};
	(void)state;
	for (size_t i = 0; i < RV_ARRAY_LEN(pairs); i++) {
		struct channel *end[2];
		meet(pairs[i].server, pairs[i].client, end);
		if (!!end[0] != pairs[i].good)
			fail_msg("%s and %s: %s", pairs[i].server, pairs[i].client, end[0] ? "let in" : "refused");
		part(end);
	}
}

static void test_keys(void **state)
{
	static const struct {
		const char *name;
		int rc;
	} files[] = { { "good", RV_OK },	{ "open", RV_EPERM },  { "short", RV_EINVAL }, { "text", RV_EINVAL },
		      { "odd", RV_EINVAL },	{ "none", RV_ENOENT } };
	const struct channel_auth_cfg nothing = { .psk = NULL };
	struct channel_auth *a = NULL;
	struct rv_err err = { 0 };
	(void)state;
	for (size_t i = 0; i < RV_ARRAY_LEN(files); i++) {
		a = NULL;
		assert_int_equal(make_auth(&a, files[i].name, &err), files[i].rc);
		channel_auth_destroy(a);
	}
	assert_int_equal(channel_auth_create(&a, &nothing, &err), RV_EUSAGE);
	assert_int_equal(make_auth(&a, "cert:0:7", &err), RV_EINVAL);
}

static void test_addresses(void **state)
{
	static const char *const bad[] = { "", ":", "host", "host:", ":80", "127.0.0.1:http:", "127.0.0.1:99999999" };
	struct channel_addr *a = NULL;
	struct rv_err err = { 0 };
	(void)state;
	for (size_t i = 0; i < RV_ARRAY_LEN(bad); i++)
		assert_int_equal(channel_addr_create(&a, bad[i], &err), RV_EUSAGE);
	assert_int_equal(channel_addr_create(&a, "[::1]:7000", &err), RV_OK);
	assert_string_equal(channel_addr_text(a), "[::1]:7000");
	channel_addr_destroy(a);
}

/* Frames of all sizes, both ways at once, more than any buffer holds. */
static void test_frames(void **state)
{
	static const size_t size[] = { 0, 1, 4, 5, 4095, 65536, 70000, 3 << 20 };
	uint8_t *data = malloc(3 << 20);
	struct channel *end[2];
	unsigned sent[2] = { 0, 0 }, got[2] = { 0, 0 };
	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < 3 << 20; i++)
		data[i] = (uint8_t)(i * 7 >> 3);
	meet("good", "good", end);
	assert_true(end[0] && end[1]);
	while (got[0] < 40 || got[1] < 40) {
		for (unsigned i = 0; i < 2; i++) {
			struct channel_frame f;
			int rc;
			if (sent[i] < 40 && channel_unsent(end[i]) < 1 << 20) {
				size_t len = size[sent[i] % RV_ARRAY_LEN(size)], half = len / 3;
				assert_int_equal(channel_put(end[i], (uint8_t)sent[i], data, half, data + half, len - half), RV_OK);
				sent[i]++;
			}
			assert_int_equal(channel_flush(end[i]), RV_OK);
			while ((rc = channel_get(end[1 - i], &f)) == 1) {
				assert_int_equal(f.type, got[1 - i]);
				assert_int_equal(f.len, size[got[1 - i] % RV_ARRAY_LEN(size)]);
				assert_memory_equal(f.data, data, f.len);
				got[1 - i]++;
			}
			assert_int_equal(rc, 0);
		}
	}
	assert_int_equal(channel_put(end[0], 1, data, FT_FRAME_MAX, NULL, 0), RV_EINVAL);
	/* One end goes: the other hears of it, and stays that way. */
	channel_destroy(end[0]);
	end[0] = NULL;
	{
		struct channel_frame f;
		assert_int_equal(channel_get_wait(end[1], &f, 2000), RV_EIO);
		assert_int_equal(channel_get(end[1], &f), RV_EIO);
	}
	channel_destroy(end[1]);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_let_in),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_frames),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
