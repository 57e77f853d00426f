/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define READ_MS 2000   /* for a client's whole line */
#define WRITE_MS 2000  /* for it to take the reply */
#define SERVE_S 60     /* for the vCPU thread: a checkpoint may be large */

enum slot { SLOT_EMPTY, SLOT_WAITS, SLOT_RUNS, SLOT_DONE };

struct ctl {
	struct ctl_cfg cfg;
	char *path;
	int listen, quit; /* quit: eventfd */
	pthread_t thread;
	bool threaded;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum slot slot; /* under lock, with what follows */
	bool replying;  /* a reply is on its way to its client */
	char line[CTL_LINE_MAX + 1];
	struct bytes reply;
};

/* ---- the vCPU thread ---- */

static void put_json_text(struct bytes *out, const char *text)
{
	bytes_put_u8(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			bytes_put_text(out, "\\%c", *text);
		else if (*text >= ' ' && *text <= '~')
			bytes_put_u8(out, (uint8_t)*text);
		else
			bytes_put_text(out, "\\u%04x", (unsigned char)*text);
	}
	bytes_put_u8(out, '"');
}

void ctl_serve(struct ctl *c)
{
	char *arg;
	struct bytes fields = { 0 };
	struct rv_err err = { 0 };
	int rc;

	pthread_mutex_lock(&c->lock);
	if (c->slot != SLOT_WAITS) {
		pthread_mutex_unlock(&c->lock);
		return;
	}
	c->slot = SLOT_RUNS;
	pthread_mutex_unlock(&c->lock);
	arg = strchr(c->line, ' ');
	if (arg)
		*arg++ = 0;
	rc = c->cfg.run(c->cfg.ctx, c->line, arg ? arg : "", &fields, &err);
	pthread_mutex_lock(&c->lock);
	bytes_clear(&c->reply);
	if (rc) {
		bytes_put_text(&c->reply, "{\"ok\": false, \"error\": ");
		put_json_text(&c->reply, err.text[0] ? err.text : rv_status_text(rc));
	} else {
		bytes_put_text(&c->reply, "{\"ok\": true%s", fields.len ? ", " : "");
		bytes_put(&c->reply, fields.data, fields.len);
	}
	bytes_put_text(&c->reply, "}\n");
	c->slot = SLOT_DONE;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	bytes_fini(&fields);
}

/* ---- the socket's thread ---- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits for an event on fd until a moment, or for the end of everything: false. */
static bool wait_fd(struct ctl *c, int fd, short events, int64_t until)
{
	struct pollfd p[2] = { { .fd = c->quit, .events = POLLIN }, { .fd = fd, .events = events } };
	int64_t left = until - now_ms();
	int n = poll(p, 2, until == INT64_MAX ? -1 : left > 0 ? (int)left : 0);

	return n > 0 && !p[0].revents && p[1].revents;
}

/* One line of printable text, without its end. */
static bool read_line(struct ctl *c, int fd, char line[CTL_LINE_MAX + 1])
{
	int64_t until = now_ms() + READ_MS;
	size_t len = 0;

	while (len < CTL_LINE_MAX && wait_fd(c, fd, POLLIN, until)) {
		ssize_t n = recv(fd, line + len, 1, MSG_DONTWAIT);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return false;
		if (line[len] == '\n') {
			line[len] = 0;
			return true;
		}
		if (line[len] < ' ' || line[len] > '~')
			return false;
		len++;
	}
	return false;
}

static void write_reply(struct ctl *c, int fd, const void *data, size_t len)
{
	int64_t until = now_ms() + WRITE_MS;
	const char *p = data;

	while (len && wait_fd(c, fd, POLLOUT, until)) {
		ssize_t n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

/* Ourselves, or root. */
static bool may_command(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

/* Hands the line to the vCPU thread and waits for its reply. */
static bool command(struct ctl *c, const char *line, struct bytes *reply)
{
	struct timespec until;
	bool done;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += SERVE_S;
	pthread_mutex_lock(&c->lock);
	memcpy(c->line, line, strlen(line) + 1);
	c->slot = SLOT_WAITS;
	pthread_mutex_unlock(&c->lock);
	c->cfg.wanted(c->cfg.ctx);
	pthread_mutex_lock(&c->lock);
	while (c->slot != SLOT_DONE && c->slot != SLOT_EMPTY) {
		if (pthread_cond_timedwait(&c->changed, &c->lock, &until) != ETIMEDOUT || c->slot == SLOT_RUNS)
			continue;
		break; /* it never began: taken back */
	}
	done = c->replying = c->slot == SLOT_DONE;
	if (done)
		bytes_put(reply, c->reply.data, c->reply.len);
	c->slot = SLOT_EMPTY;
	pthread_mutex_unlock(&c->lock);
	return done;
}

static void serve_client(struct ctl *c, int fd)
{
	static const char refused[] = "{\"ok\": false, \"error\": \"not your machine\"}\n";
	static const char garbled[] = "{\"ok\": false, \"error\": \"no command\"}\n";
	static const char late[] = "{\"ok\": false, \"error\": \"the machine does not answer\"}\n";
	char line[CTL_LINE_MAX + 1];
	struct bytes reply = { 0 };

	if (!may_command(fd))
		write_reply(c, fd, refused, sizeof(refused) - 1);
	else if (!read_line(c, fd, line))
		write_reply(c, fd, garbled, sizeof(garbled) - 1);
	else if (command(c, line, &reply) && !reply.failed)
		write_reply(c, fd, reply.data, reply.len);
	else
		write_reply(c, fd, late, sizeof(late) - 1);
	bytes_fini(&reply);
}

static void *ctl_main(void *ctx)
{
	struct ctl *c = ctx;

	while (wait_fd(c, c->listen, POLLIN, INT64_MAX)) {
		int fd = accept4(c->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			continue;
		serve_client(c, fd);
		close(fd);
		pthread_mutex_lock(&c->lock);
		c->replying = false;
		pthread_cond_broadcast(&c->changed);
		pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}

/* ---- life ---- */

/* Nobody listens on a socket that a killed run left behind. */
static bool is_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, rc;

	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = fd < 0 ? 0 : connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	rc = rc < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return rc == ECONNREFUSED;
}

int ctl_create(struct ctl **out, const struct ctl_cfg *cfg, struct rv_err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	pthread_condattr_t attr;
	struct ctl *c;
	mode_t mask;
	int rc, saved;

	if (strlen(cfg->path) >= sizeof(addr.sun_path))
		return rv_err_set(err, RV_EUSAGE, "--ctl=%.200s: longer than a socket's name may be", cfg->path);
	c = calloc(1, sizeof(*c));
	if (!c || !(c->path = strdup(cfg->path))) {
		free(c);
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	}
	c->cfg = *cfg;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	memcpy(addr.sun_path, cfg->path, strlen(cfg->path) + 1);
	c->quit = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (is_stale(&addr))
		unlink(addr.sun_path);
	mask = umask(0177);
	rc = c->listen < 0 || c->quit < 0 || bind(c->listen, (struct sockaddr *)&addr, sizeof(addr)) < 0;
	saved = errno;
	umask(mask);
	if (rc) {
		free(c->path);
		c->path = NULL; /* not ours to remove */
	} else if (listen(c->listen, 8) < 0) {
		rc = 1;
		saved = errno;
	}
	if (rc) {
		ctl_destroy(c);
		return rv_err_set(err, saved == EADDRINUSE ? RV_EEXIST : rv_status_from_errno(saved),
				  "--ctl=%.200s: %s", cfg->path,
				  saved == EADDRINUSE ? "in use, or another file has that name" : strerror(saved));
	}
	*out = c;
	return RV_OK;
}

int ctl_start(struct ctl *c, struct rv_err *err)
{
	c->threaded = pthread_create(&c->thread, NULL, ctl_main, c) == 0;
	return c->threaded ? RV_OK : rv_err_set(err, RV_ENOMEM, "--ctl: no thread");
}

void ctl_destroy(struct ctl *c)
{
	const uint64_t one = 1;
	struct timespec until;

	if (!c)
		return;
	if (c->threaded) {
		pthread_mutex_lock(&c->lock);
		if (c->slot == SLOT_WAITS)
			c->slot = SLOT_EMPTY; /* nobody will serve it any more */
		pthread_cond_broadcast(&c->changed);
		/* Whoever asked for the end is to hear that it comes. */
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += WRITE_MS / 1000;
		while ((c->slot == SLOT_DONE || c->replying) &&
		       pthread_cond_timedwait(&c->changed, &c->lock, &until) == 0)
			;
		pthread_mutex_unlock(&c->lock);
		(void)!write(c->quit, &one, sizeof(one));
		pthread_join(c->thread, NULL);
	}
	if (c->path)
		unlink(c->path);
	if (c->listen >= 0)
		close(c->listen);
	if (c->quit >= 0)
		close(c->quit);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	bytes_fini(&c->reply);
	free(c->path);
	free(c);
}
