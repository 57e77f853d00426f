/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where clients come from: unix:PATH, PORT on loopback, HOST:PORT. Whoever can
 * connect reads and writes guest memory, so the unix socket is its owner's
 * alone, and TCP beyond loopback has to be asked for by name.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "stub.h"

#define LISTEN_SOCKET_FLAGS (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)
#define LISTEN_REFUSE_MAX 16 /* at one look: the rest waits for the next */

static int listen_fail(struct rv_err *err, const char *addr, int errnum)
{
	return rv_err_set(err, rv_status_from_errno(errnum), "--gdb=%s: %s", addr,
			  strerror(errnum));
}

/* A socket left behind by a process that is gone: ours to replace if nobody answers. */
static bool listen_unix_stale(const struct sockaddr_un *sa)
{
	struct stat st;
	bool refused;
	int fd;

	if (lstat(sa->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return false;
	fd = socket(AF_UNIX, LISTEN_SOCKET_FLAGS, 0);
	if (fd < 0)
		return false;
	refused =
		connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0 && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static int listen_unix(struct listener *l, const char *addr, const char *path, struct rv_err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, errnum;

	if (!*path || strlen(path) >= sizeof(sa.sun_path))
		return rv_err_set(err, RV_EUSAGE, "--gdb=%s: the path must have 1 to %zu bytes",
				  addr, sizeof(sa.sun_path) - 1);
	strcpy(sa.sun_path, path);
	l->path = strdup(path);
	fd = socket(AF_UNIX, LISTEN_SOCKET_FLAGS, 0);
	if (!l->path || fd < 0) {
		errnum = errno;
		goto fail;
	}
	/* Linux gives the socket's file the mode of the socket: there is no moment at which it is
	 * open to others, and the umask of other threads is left alone. */
	if (fchmod(fd, 0600) != 0) {
		errnum = errno;
		goto fail;
	}
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		errnum = errno;
		if (errnum != EADDRINUSE || !listen_unix_stale(&sa) || unlink(path) != 0)
			goto fail;
		if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
			errnum = errno;
			goto fail;
		}
	}
	if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode) || chmod(path, 0600) != 0 ||
		listen(fd, 4) != 0) {
		errnum = errno ? errno : EIO;
		unlink(path);
		goto fail;
	}
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->fd = fd;
	return RV_OK;
fail:
	if (fd >= 0)
		close(fd);
	free(l->path);
	l->path = NULL;
	return listen_fail(err, addr, errnum);
}

static int listen_bind_tcp(const struct addrinfo *a)
{
	int one = 1, fd = socket(a->ai_family, LISTEN_SOCKET_FLAGS, 0), errnum;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 4) == 0)
		return fd;
	errnum = errno;
	close(fd);
	errno = errnum;
	return -1;
}

/* HOST may be a bracketed IPv6 address. */
static int listen_tcp(struct listener *l, const char *addr, struct rv_err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = AI_NUMERICSERV | AI_PASSIVE };
	const char *colon = strrchr(addr, ':'), *port = colon ? colon + 1 : addr,
		   *host = "127.0.0.1";
	struct addrinfo *list;
	char name[256];
	unsigned long n;
	char *end;
	int rc;

	n = strtoul(port, &end, 10);
	if (*port < '0' || *port > '9' || *end || n < 1 || n > 65535)
		goto usage;
	if (colon) {
		size_t len = (size_t)(colon - addr);
		if (len >= 2 && addr[0] == '[' && addr[len - 1] == ']') {
			addr++;
			len -= 2;
		}
		if (len == 0 || len >= sizeof(name))
			goto usage;
		memcpy(name, addr, len);
		name[len] = '\0';
		host = name;
	}
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0)
		return rv_err_set(err, RV_EUSAGE, "--gdb: host %s: %s", host, gai_strerror(rc));
	for (const struct addrinfo *a = list; a && l->fd < 0; a = a->ai_next)
		l->fd = listen_bind_tcp(a);
	rc = errno;
	freeaddrinfo(list);
	return l->fd >= 0 ? RV_OK : listen_fail(err, addr, rc);
usage:
	return rv_err_set(err, RV_EUSAGE,
			  "--gdb=%s: give unix:PATH, a port (1 to 65535) or HOST:PORT", addr);
}

int listener_open(struct listener *l, const char *addr, struct rv_err *err)
{
	*l = (struct listener){ .fd = -1 };
	if (strncmp(addr, "unix:", 5) == 0)
		return listen_unix(l, addr, addr + 5, err);
	return listen_tcp(l, addr, err);
}

void listener_close(struct listener *l)
{
	struct stat st;

	if (l->fd < 0)
		return;
	close(l->fd);
	l->fd = -1;
	/* Only what is still ours: a later process may have replaced it. */
	if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
	free(l->path);
	l->path = NULL;
}

int listener_accept(struct listener *l)
{
	int one = 1, fd;

	if (l->fd < 0)
		return -1;
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) /* fails on a unix socket, where nothing waits anyway */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

void listener_refuse(struct listener *l)
{
	int fd;

	for (int i = 0; i < LISTEN_REFUSE_MAX && (fd = listener_accept(l)) >= 0; i++)
		close(fd);
}
