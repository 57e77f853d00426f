/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/types.h"
#include "cli.h"
#include "ctl.h"

#define REPLY_MAX 65536u

static int connect_to(const char *path, struct rv_err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return rv_err_set(err, RV_EUSAGE, "%.200s: longer than a socket's name may be", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	rv_err_set(err, rv_status_from_errno(errno), "%.300s: %s", path,
		   errno == ECONNREFUSED ? "no machine listens there any more" : strerror(errno));
	if (fd >= 0)
		close(fd);
	return err->code;
}

static bool send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static size_t receive_all(int fd, char *data, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = recv(fd, data + len, size - len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return len;
}

static int ctl_main(const struct cli_command *self, int argc, char **argv)
{
	char line[CTL_LINE_MAX + 2], reply[REPLY_MAX];
	struct rv_err err = { 0 };
	size_t len = 0;
	int fd;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return cli_help(self);
	if (argc < 3) {
		rv_err_set(&err, RV_EUSAGE, "ctl: use ctl SOCKET COMMAND [ARGUMENT]; see 'retrovisor help ctl'");
		return cli_fail(&err);
	}
	for (int i = 2; i < argc; i++) {
		size_t n = strlen(argv[i]);

		if (len + n + 2 > sizeof(line)) {
			rv_err_set(&err, RV_EUSAGE, "ctl: the command is too long");
			return cli_fail(&err);
		}
		memcpy(line + len, argv[i], n);
		len += n;
		line[len++] = i + 1 < argc ? ' ' : '\n';
	}
	fd = connect_to(argv[1], &err);
	if (fd < 0)
		return cli_fail(&err);
	len = send_all(fd, line, len) ? receive_all(fd, reply, sizeof(reply)) : 0;
	close(fd);
	if (!len || reply[len - 1] != '\n') {
		rv_err_set(&err, RV_EIO, "%.300s: the machine ended, or gave no answer", argv[1]);
		return cli_fail(&err);
	}
	fwrite(reply, 1, len, stdout);
	return cli_finish_stdout(strncmp(reply, "{\"ok\": true", 11) == 0 ? 0 : 1);
}

const struct cli_command cmd_ctl = {
	.name = "ctl",
	.usage = "SOCKET COMMAND [ARGUMENT]",
	.summary = "command a running machine",
	.text = "Sends a command to a machine that runs with --ctl=SOCKET and prints its reply, one\n"
		"JSON object. Commands:\n\n"
		"  stats         where it is, how fast, how much was recorded\n"
		"  mark [TEXT]   record: marks this point in the log, and takes a checkpoint\n"
		"  checkpoint    record: takes a checkpoint\n"
		"  save NAME     writes the whole machine into NAME, beside the socket, for resume;\n"
		"                it goes on afterwards\n"
		"  switch        primary: hands the machine over to its backup\n"
		"  stop          ends the run, as SIGTERM does",
	.main = ctl_main,
};
