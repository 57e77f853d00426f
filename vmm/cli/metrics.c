/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "parse.h"

#define CLIENT_MS 2000
#define REQUEST_MAX 4096u
#define TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct metrics {
	struct metrics_cfg cfg;
	char *path; /* of a unix socket, to be removed; NULL: TCP */
	int listen, quit;
	pthread_t thread;
	bool threaded;
};

/* ---- text ---- */

void metrics_put(struct bytes *out, const char *name, const char *type, const char *help, double value)
{
	bytes_put_text(out, "# TYPE retrovisor_%s %s\n# HELP retrovisor_%s %s\nretrovisor_%s%s %.17g\n", name, type, name, help,
		       name, strcmp(type, "counter") == 0 ? "_total" : "", value);
}

void metrics_put_state(struct bytes *out, const char *name, const char *help, const char *(*text)(unsigned), unsigned n,
		       unsigned current)
{
	bytes_put_text(out, "# TYPE retrovisor_%s stateset\n# HELP retrovisor_%s %s\n", name, name, help);
	for (unsigned i = 0; i < n; i++)
		bytes_put_text(out, "retrovisor_%s{retrovisor_%s=\"%s\"} %d\n", name, name, text(i), i == current);
}

/* ---- HTTP ---- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits for fd until a moment, or for the end of everything: false. */
static bool wait_fd(struct metrics *m, int fd, short events, int64_t until)
{
	struct pollfd p[2] = { { .fd = m->quit, .events = POLLIN }, { .fd = fd, .events = events } };
	int64_t left = until - now_ms();
	int n = poll(p, 2, until == INT64_MAX ? -1 : left > 0 ? (int)left : 0);

	return n > 0 && !p[0].revents && p[1].revents;
}

/* The head of a request, to its empty line. False: not within the time and size that one has. */
static bool read_head(struct metrics *m, int fd, char head[REQUEST_MAX + 1], int64_t until)
{
	size_t len = 0;

	while (len < REQUEST_MAX && wait_fd(m, fd, POLLIN, until)) {
		ssize_t n = recv(fd, head + len, REQUEST_MAX - len, MSG_DONTWAIT);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return false;
		len += (size_t)n;
		head[len] = 0;
		if (strstr(head, "\r\n\r\n") || strstr(head, "\n\n"))
			return true;
	}
	return false;
}

static const char *status_of(const char *head)
{
	size_t method = strcspn(head, " \r\n"), target;

	if (head[method] != ' ' || head[method + 1] != '/')
		return "400 Bad Request";
	target = strcspn(head + method + 1, " ?\r\n");
	if (strncmp(head, "GET ", 4) != 0)
		return "405 Method Not Allowed";
	if (strncmp(head + method + 1, "/metrics", target) != 0 || target != 8)
		return "404 Not Found";
	return "200 OK";
}

static void send_all(struct metrics *m, int fd, const struct bytes *b, int64_t until)
{
	size_t at = 0;

	while (at < b->len && wait_fd(m, fd, POLLOUT, until)) {
		ssize_t n = send(fd, b->data + at, b->len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return;
		at += (size_t)n;
	}
}

static void serve(struct metrics *m, int fd)
{
	const int64_t until = now_ms() + CLIENT_MS;
	struct bytes body = { 0 }, reply = { 0 };
	char head[REQUEST_MAX + 1] = "";
	const char *status = read_head(m, fd, head, until) ? status_of(head) : "400 Bad Request";

	if (*status == '2') {
		m->cfg.render(m->cfg.ctx, &body);
		bytes_put_text(&body, "# EOF\n");
	}
	bytes_put_text(&reply, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
		       *status == '2' ? TYPE : "text/plain", body.len);
	bytes_put(&reply, body.data, body.len);
	if (!reply.failed && !body.failed)
		send_all(m, fd, &reply, until);
	bytes_fini(&body);
	bytes_fini(&reply);
}

static void *metrics_main(void *ctx)
{
	struct metrics *m = ctx;

	for (;;) {
		struct pollfd p[2] = { { .fd = m->quit, .events = POLLIN }, { .fd = m->listen, .events = POLLIN } };
		int fd;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			break;
		fd = accept4(m->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			continue;
		serve(m, fd);
		close(fd);
	}
	return NULL;
}

/* ---- life ---- */

static int bind_unix(struct metrics *m, const char *path, struct rv_err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t old;
	int rc = 0;

	if (!*path || strlen(path) >= sizeof(sa.sun_path))
		return rv_err_set(err, RV_EUSAGE, "--metrics=unix:%.200s: a path of 1 to %zu bytes", path,
				  sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path));
	/* A socket that nobody listens on was left behind; anything else is somebody's. */
	if (connect(m->listen, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return rv_err_set(err, RV_EEXIST, "--metrics=unix:%.200s: in use", path);
	if (errno == ECONNREFUSED)
		(void)unlink(path);
	old = umask(0177);
	if (bind(m->listen, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		rc = rv_err_set(err, rv_status_from_errno(errno), "--metrics=unix:%.200s: %s", path, strerror(errno));
	umask(old);
	if (!rc && !(m->path = strdup(path)))
		rc = rv_err_set(err, RV_ENOMEM, "out of memory");
	return rc;
}

static int bind_tcp(struct metrics *m, const char *addr, struct rv_err *err)
{
	const char *colon = strrchr(addr, ':');
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char host[64] = "127.0.0.1";
	const int one = 1;
	uint64_t port;

	if (colon)
		snprintf(host, sizeof(host), "%.*s", (int)(colon - addr), addr);
	if (!parse_u64(colon ? colon + 1 : addr, &port) || !port || port > 65535)
		return rv_err_set(err, RV_EUSAGE, "--metrics=%.200s: use unix:PATH, or a TCP port", addr);
	if (strcmp(host, "localhost") != 0 &&
	    (inet_pton(AF_INET, host, &sa.sin_addr) != 1 || ntohl(sa.sin_addr.s_addr) >> 24 != 127))
		return rv_err_set(err, RV_EUSAGE, "--metrics=%.200s: only loopback, as it has no password; put a proxy before it",
				  addr);
	sa.sin_port = htons((uint16_t)port);
	setsockopt(m->listen, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(m->listen, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return rv_err_set(err, rv_status_from_errno(errno), "--metrics=%.200s: %s", addr, strerror(errno));
	return 0;
}

int metrics_create(struct metrics **out, const struct metrics_cfg *cfg, struct rv_err *err)
{
	const bool is_unix = strncmp(cfg->addr, "unix:", 5) == 0;
	struct metrics *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	m->cfg = *cfg;
	m->listen = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	m->quit = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->listen < 0 || m->quit < 0)
		rc = rv_err_set(err, RV_EIO, "--metrics=%.200s: %s", cfg->addr, strerror(errno));
	else
		rc = is_unix ? bind_unix(m, cfg->addr + 5, err) : bind_tcp(m, cfg->addr, err);
	if (!rc && (listen(m->listen, 8) < 0 || fcntl(m->listen, F_SETFL, O_NONBLOCK) < 0))
		rc = rv_err_set(err, RV_EIO, "--metrics=%.200s: %s", cfg->addr, strerror(errno));
	if (rc) {
		metrics_destroy(m);
		return rc;
	}
	*out = m;
	return 0;
}

int metrics_start(struct metrics *m, struct rv_err *err)
{
	m->threaded = pthread_create(&m->thread, NULL, metrics_main, m) == 0;
	return m->threaded ? 0 : rv_err_set(err, RV_ENOMEM, "no thread for --metrics");
}

void metrics_destroy(struct metrics *m)
{
	const uint64_t one = 1;

	if (!m)
		return;
	if (m->threaded) {
		(void)!write(m->quit, &one, sizeof(one));
		pthread_join(m->thread, NULL);
	}
	if (m->path)
		(void)unlink(m->path);
	free(m->path);
	if (m->listen >= 0)
		close(m->listen);
	if (m->quit >= 0)
		close(m->quit);
	free(m);
}
