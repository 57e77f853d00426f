/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/*
 * The mode of the process's one terminal, for signal handlers and exit(),
 * which have no object to ask. It carries nothing of a guest. `armed` is
 * written last when set and cleared first.
 */
static struct termios terminal_saved;
static volatile sig_atomic_t terminal_armed;

void console_restore_terminal(void)
{
	if (!terminal_armed)
		return;
	terminal_armed = 0;
	/* TCSANOW: TCSADRAIN could wait for ever for a stopped terminal. */
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal_saved);
}

static int terminal_raw(struct rv_err *err)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &terminal_saved) < 0)
		return rv_err_set(err, RV_EIO, "--serial=stdio: cannot read the terminal's mode: %s",
				  strerror(errno));
	raw = terminal_saved;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST; /* our own messages end in a bare newline */
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	terminal_armed = 1;
	atexit(console_restore_terminal);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0) {
		terminal_armed = 0;
		return rv_err_set(err, RV_EIO, "--serial=stdio: cannot set the terminal's mode: %s",
				  strerror(errno));
	}
	return 0;
}

/*
 * A description of our own for a terminal or pipe, so that O_NONBLOCK does not
 * leak to the shell and others that share it. Falls back to a duplicate.
 */
static int reopen(int fd, int flags, bool *nonblock)
{
	struct stat st;
	char path[32];
	int own;

	*nonblock = false;
	if (fstat(fd, &st) < 0)
		return -1;
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (own >= 0) {
			*nonblock = true;
			return own;
		}
	}
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static bool is_regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int open_stdio(struct host_console *h, bool input, struct rv_err *err)
{
	bool in_nonblock;
	int flags;

	h->kind = HOST_CONSOLE_STDIO;
	h->terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	/* A closed stdout (>&-) is no reason to refuse a run: its bytes go nowhere. */
	h->out = reopen(STDOUT_FILENO, O_WRONLY, &h->out_nonblock);
	h->out_polls = h->out >= 0 && !is_regular(h->out);
	if (!input)
		return 0;
	flags = fcntl(STDIN_FILENO, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY)
		return 0;
	/* In the background reading would stop the process (SIGTTIN): run without input instead. */
	if (isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) != getpgrp())
		return 0;
	h->in = reopen(STDIN_FILENO, O_RDONLY, &in_nonblock);
	if (h->in < 0 || !isatty(STDIN_FILENO))
		return 0;
	h->raw = true;
	return terminal_raw(err);
}

static int open_file(struct host_console *h, const char *path, struct rv_err *err)
{
	struct stat st;

	h->kind = HOST_CONSOLE_FILE;
	if (!*path)
		return rv_err_set(err, RV_EUSAGE, "--serial=file: needs a path: --serial=file:PATH");
	/* 0600: what a guest prints may be secret. */
	h->out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (h->out < 0)
		return rv_err_set(err, rv_status_from_errno(errno), "--serial=file:%s: %s", path,
				  strerror(errno));
	if (fstat(h->out, &st) < 0 || S_ISDIR(st.st_mode))
		return rv_err_set(err, RV_EINVAL, "--serial=file:%s: not a file", path);
	h->out_nonblock = true;
	h->out_polls = !S_ISREG(st.st_mode);
	return 0;
}

static int open_pty(struct host_console *h, bool input, struct rv_err *err)
{
	struct termios raw;
	char name[128];

	h->kind = HOST_CONSOLE_PTY;
	h->out = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (h->out < 0 || grantpt(h->out) < 0 || unlockpt(h->out) < 0 ||
	    ptsname_r(h->out, name, sizeof(name)) != 0)
		return rv_err_set(err, RV_EIO, "--serial=pty: no pseudo-terminal: %s", strerror(errno));
	h->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (h->slave < 0 || tcgetattr(h->slave, &raw) < 0)
		return rv_err_set(err, RV_EIO, "--serial=pty: cannot open %s: %s", name, strerror(errno));
	/* Raw, or the line discipline would echo the guest's output back to it as input. */
	cfmakeraw(&raw);
	if (tcsetattr(h->slave, TCSANOW, &raw) < 0 ||
	    fcntl(h->out, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return rv_err_set(err, RV_EIO, "--serial=pty: cannot set up %s: %s", name,
				  strerror(errno));
	h->out_nonblock = true;
	h->out_polls = true;
	if (input) {
		h->in = fcntl(h->out, F_DUPFD_CLOEXEC, 3);
		if (h->in < 0)
			return rv_err_set(err, RV_EIO, "--serial=pty: %s", strerror(errno));
	}
	fprintf(stderr, "retrovisor: the serial port is %s\n", name);
	return 0;
}

int host_console_open(struct host_console *h, const char *spec, bool input, struct rv_err *err)
{
	int rc;

	*h = (struct host_console){ .in = -1, .out = -1, .slave = -1 };
	if (!strcmp(spec, "stdio"))
		rc = open_stdio(h, input, err);
	else if (!strncmp(spec, "file:", 5))
		rc = open_file(h, spec + 5, err);
	else if (!strcmp(spec, "pty"))
		rc = open_pty(h, input, err);
	else if (!strcmp(spec, "none"))
		rc = 0;
	else
		rc = rv_err_set(err, RV_EUSAGE,
				"--serial=%s: unknown; use stdio, file:PATH, pty or none", spec);
	if (rc)
		host_console_close(h);
	return rc;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void host_console_close(struct host_console *h)
{
	if (h->raw)
		console_restore_terminal();
	h->raw = false;
	close_fd(&h->in);
	close_fd(&h->out);
	close_fd(&h->slave);
}
