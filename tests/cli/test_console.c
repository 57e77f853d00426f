/* SPDX-License-Identifier: Apache-2.0 */
/* The console backend against real pipes, files and pseudo-terminals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/types.h"
#include "console.h"

static void keys(void **state)
{
	struct console_keys k = { 0 };
	uint8_t out[16];
	size_t used, made;

	(void)state;
	assert_int_equal(console_keys_filter(&k, (const uint8_t *)"ab\x01\x01" "c", 5, &used, out, &made),
			 CONSOLE_KEY_NONE);
	assert_int_equal(used, 5);
	assert_int_equal(made, 4);
	assert_memory_equal(out, "ab\x01" "c", 4);
	/* Split between two reads, and text behind it. */
	assert_int_equal(console_keys_filter(&k, (const uint8_t *)"\x01", 1, &used, out, &made),
			 CONSOLE_KEY_NONE);
	assert_int_equal(made, 0);
	assert_int_equal(console_keys_filter(&k, (const uint8_t *)"xyz", 3, &used, out, &made),
			 CONSOLE_KEY_QUIT);
	assert_int_equal(used, 1);
	assert_int_equal(made, 0);
	assert_int_equal(console_keys_filter(&k, (const uint8_t *)"\x01q\x01h", 4, &used, out, &made),
			 CONSOLE_KEY_HELP);
	assert_int_equal(used, 4);
	assert_int_equal(made, 0);
}

static void emit(struct console *c, const void *data, size_t len)
{
	output_emit(console_output(c), 0, OUT_CONSOLE, 0, data, len);
}

static void file_output(void **state)
{
	char path[] = "/tmp/rv-console-XXXXXX", spec[64], byte;
	int fd = mkstemp(path);
	struct console_cfg cfg = { .spec = spec };
	struct console *c;
	struct rv_err err;
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	snprintf(spec, sizeof(spec), "file:%s", path);
	assert_int_equal(console_create(&c, &cfg, &err), 0);
	/* More than the ring holds, byte by byte and in one piece. */
	for (unsigned i = 0; i < 300000; i++) {
		byte = (char)('a' + i % 26);
		emit(c, &byte, 1);
	}
	char *big = malloc(3u << 20);
	memset(big, 'Z', 3u << 20);
	emit(c, big, 3u << 20);
	free(big);
	console_destroy(c);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 300000 + (3 << 20));
	assert_int_equal(pread(fd, &byte, 1, 299999), 1);
	assert_int_equal(byte, 'a' + 299999 % 26);
	close(fd);
	unlink(path);
}

static void bad_specs(void **state)
{
	static const struct {
		const char *spec;
		int rc;
	} bad[] = {
		{ "tty", RV_EUSAGE }, { "file:", RV_EUSAGE }, { "", RV_EUSAGE },
		{ "file:/nonexistent/dir/x", RV_ENOENT },
	};
	struct console *c;
	struct rv_err err;

	(void)state;
	for (size_t i = 0; i < RV_ARRAY_LEN(bad); i++) {
		struct console_cfg cfg = { .spec = bad[i].spec };

		assert_int_equal(console_create(&c, &cfg, &err), bad[i].rc);
		assert_non_null(strstr(err.text, "--serial"));
	}
}

static void none_swallows(void **state)
{
	struct console_cfg cfg = { .spec = "none" };
	struct console *c;
	struct rv_err err;

	(void)state;
	assert_int_equal(console_create(&c, &cfg, &err), 0);
	emit(c, "lost", 4);
	assert_false(console_is_terminal(c));
	console_destroy(c);
}

/* Everything that the live port has for the guest within two seconds, as one string. */
static size_t take_input(struct live *l, char *out, size_t want)
{
	struct nondet *nd = live_nondet(l);
	size_t have = 0;

	for (unsigned i = 0; i < 400 && have < want; i++) {
		struct nd_query q = { .icount = i, .rate = 1ull << 32, .deadline = VNS_NEVER,
				      .room = { 16 } };
		struct nd_event ev;

		if (nondet_next(nd, &q, &ev) == 1 && ev.kind == ND_CONSOLE) {
			memcpy(out + have, ev.data, ev.len);
			have += ev.len;
			continue;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	return have;
}

static struct live *make_live(void)
{
	const struct live_cfg cfg = { .clock = LIVE_CLOCK_VIRTUAL, .dilation = 1 };
	struct live *l;

	assert_int_equal(live_create(&l, &cfg), 0);
	return l;
}

/* Runs with stdin and stdout replaced. */
struct replaced {
	int in, out;
};

static struct replaced replace(int in, int out)
{
	struct replaced r = { dup(STDIN_FILENO), dup(STDOUT_FILENO) };

	fflush(stdout);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	return r;
}

static void put_back(struct replaced r)
{
	dup2(r.in, STDIN_FILENO);
	dup2(r.out, STDOUT_FILENO);
	close(r.in);
	close(r.out);
}

static void pipe_input_and_eof(void **state)
{
	struct console_cfg cfg = { .spec = "stdio", .input = true };
	struct live *l = make_live();
	struct replaced r;
	struct console *c;
	struct rv_err err;
	char got[64] = "", out[8] = "";
	int in[2], from[2], rc;

	(void)state;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(from), 0);
	r = replace(in[0], from[1]);
	cfg.live = l;
	rc = console_create(&c, &cfg, &err);
	if (!rc) {
		/* Ctrl-A is a byte like any other when nobody types. */
		assert_int_equal(write(in[1], "one\x01xtwo", 8), 8);
		close(in[1]);
		assert_int_equal(take_input(l, got, 8), 8);
		emit(c, "ok", 2);
		console_destroy(c);
	}
	put_back(r);
	assert_int_equal(rc, 0);
	assert_memory_equal(got, "one\x01xtwo", 8);
	assert_int_equal(read(from[0], out, sizeof(out)), 2);
	assert_memory_equal(out, "ok", 2);
	close(in[0]);
	close(from[0]);
	close(from[1]);
	live_destroy(l);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A reader that takes nothing: the writer waits, a signal ends the wait, destroy does not hang. */
static void stuck_reader(void **state)
{
	struct console_cfg cfg = { .spec = "stdio" };
	struct sigaction sa = { .sa_handler = on_alarm };
	struct replaced r;
	struct console *c;
	struct rv_err err;
	char *big = calloc(1, 4u << 20);
	int from[2], null = open("/dev/null", O_RDONLY), rc;

	(void)state;
	assert_int_equal(pipe(from), 0);
	sigaction(SIGALRM, &sa, NULL);
	r = replace(null, from[1]);
	rc = console_create(&c, &cfg, &err);
	if (!rc) {
		alarm(1);
		emit(c, big, 4u << 20);
		console_destroy(c);
	}
	put_back(r);
	assert_int_equal(rc, 0);
	free(big);
	close(null);
	close(from[0]);
	close(from[1]);
}

static void reader_gone(void **state)
{
	struct console_cfg cfg = { .spec = "stdio" };
	struct replaced r;
	struct console *c;
	struct rv_err err;
	char *big = calloc(1, 4u << 20);
	int from[2], null = open("/dev/null", O_RDONLY), rc;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(from), 0);
	r = replace(null, from[1]);
	close(from[1]);
	rc = console_create(&c, &cfg, &err);
	close(from[0]);
	dup2(null, STDOUT_FILENO); /* the last other writer's end */
	if (!rc) {
		emit(c, big, 4u << 20);
		console_destroy(c);
	}
	put_back(r);
	assert_int_equal(rc, 0);
	free(big);
	close(null);
}

static atomic_int stops;
static void count_stop(void *ctx)
{
	(void)ctx;
	stops++;
}

/* A terminal in the foreground of a session of its own: needs a child process. */
static int terminal_child(int slave)
{
	struct console_cfg cfg = { .spec = "stdio", .input = true, .stopped = count_stop };
	struct live *l = make_live();
	struct termios before, during, after;
	struct console *c;
	struct rv_err err;
	char got[8] = "";

	setsid();
	dup2(slave, STDIN_FILENO);
	dup2(slave, STDOUT_FILENO);
	if (tcsetpgrp(STDIN_FILENO, getpgrp()) < 0) {
		/* Not yet our controlling terminal: opening it by name makes it so. */
		int fd = open(ttyname(slave), O_RDWR);

		if (fd < 0 || tcsetpgrp(fd, getpgrp()) < 0)
			return 10;
	}
	tcgetattr(STDIN_FILENO, &before);
	cfg.live = l;
	if (console_create(&c, &cfg, &err) != 0)
		return 11;
	if (!console_is_terminal(c))
		return 12;
	tcgetattr(STDIN_FILENO, &during);
	if (during.c_lflag & (ICANON | ECHO | ISIG))
		return 13;
	emit(c, "ready", 5);
	if (take_input(l, got, 3) != 3 || memcmp(got, "a\x01" "b", 3) != 0)
		return 14;
	for (unsigned i = 0; i < 400 && !stops; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	if (stops != 1)
		return 15;
	console_destroy(c);
	tcgetattr(STDIN_FILENO, &after);
	live_destroy(l);
	return after.c_lflag == before.c_lflag && after.c_iflag == before.c_iflag ? 0 : 16;
}

static void terminal(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
	char buf[16];
	size_t have = 0;
	pid_t pid;

	(void)state;
	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(terminal_child(slave));
	while (have < 5) {
		struct pollfd pfd = { .fd = master, .events = POLLIN };
		ssize_t n;

		if (poll(&pfd, 1, 5000) != 1)
			break;
		n = read(master, buf + have, sizeof(buf) - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	if (have >= 5)
		(void)!write(master, "a\x01\x01" "b\x01x", 6);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_memory_equal(buf, "ready", 5);
	close(slave);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(file_output),
		cmocka_unit_test(bad_specs),
		cmocka_unit_test(none_swallows),
		cmocka_unit_test(pipe_input_and_eof),
		cmocka_unit_test(stuck_reader),
		cmocka_unit_test(reader_gone),
		cmocka_unit_test(terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
