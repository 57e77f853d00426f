/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter: a folder, the real etcd (skipped where it is not installed), and servers that answer nonsense. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ft/arbiter.h"

static char dir[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/rv-arbiter-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[100];
	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct arbiter *make(const char *spec)
{
	const struct arbiter_cfg cfg = { .spec = spec, .pair = "test.pair-1", .who = "unit test" };
	struct rv_err err = { 0 };
	struct arbiter *a = NULL;
	if (arbiter_create(&a, &cfg, &err) != RV_OK)
		fail_msg("%s", err.text);
	return a;
}

static struct arbiter_reply wait_reply(struct arbiter *a)
{
	struct arbiter_reply r;
	for (int i = 0; i < 1000; i++) {
		struct pollfd p = { .fd = arbiter_fd(a), .events = POLLIN };
		int rc = arbiter_take(a, &r);
		if (rc == 1)
			return r;
		assert_int_equal(rc, 0);
		(void)poll(&p, 1, 10);
	}
	fail_msg("no answer within 10 s");
	return r;
}

static struct arbiter_reply claim(struct arbiter *a, uint64_t term)
{
	assert_int_equal(arbiter_claim(a, term, false), RV_OK);
	assert_int_equal(arbiter_claim(a, term, false), RV_EINVAL); /* one at a time */
	return wait_reply(a);
}

static struct arbiter_reply look(struct arbiter *a, uint64_t term)
{
	assert_int_equal(arbiter_look(a, term), RV_OK);
	return wait_reply(a);
}

/* What holds of every kind. */
static void check_contract(const char *spec)
{
	struct arbiter *a = make(spec), *b = make(spec);
	struct arbiter_reply r = look(a, 0);
	assert_int_equal(r.answer, ARBITER_WON);
	assert_int_equal(r.latest, 0);
	r = claim(a, 0);
	assert_int_equal(r.answer, ARBITER_WON);
	assert_int_equal(r.term, 1);
	r = claim(b, 1);
	assert_int_equal(r.answer, ARBITER_LOST);
	assert_non_null(strstr(r.text, "unit test"));
	r = claim(a, 1); /* an answer that was lost: it is still ours */
	assert_int_equal(r.answer, ARBITER_WON);
	r = claim(b, 2);
	assert_int_equal(r.answer, ARBITER_WON);
	r = look(a, 1);
	assert_true(r.looked);
	assert_int_equal(r.answer, ARBITER_LOST);
	assert_int_equal(r.latest, 2);
	assert_int_equal(look(b, 2).answer, ARBITER_WON);
	r = claim(a, 0); /* above all */
	assert_int_equal(r.term, 3);
	r = claim(a, 12345678901ull);
	assert_int_equal(r.answer, ARBITER_WON);
	assert_int_equal(claim(b, 0).term, 12345678902ull);
	arbiter_destroy(a);
	arbiter_destroy(b);
}

static void test_file(void **state)
{
	char spec[100];
	(void)state;
	snprintf(spec, sizeof(spec), "file:%s/term", dir);
	check_contract(spec);
}

/* A fence that fails is asked again, under the term that is ours already. */
static void test_fence(void **state)
{
	char spec[100], fence[200];
	const struct arbiter_cfg cfg = { .spec = spec, .pair = "p", .who = "w", .fence = fence };
	struct arbiter_reply r;
	struct arbiter *a = NULL;
	struct rv_err err = { 0 };
	(void)state;
	snprintf(spec, sizeof(spec), "file:%s/fenced", dir);
	snprintf(fence, sizeof(fence), "[ $RETROVISOR_PAIR = p ] && [ $RETROVISOR_TERM = 1 ] && [ -e %s/open ]", dir);
	assert_int_equal(arbiter_create(&a, &cfg, &err), RV_OK);
	assert_int_equal(arbiter_claim(a, 1, true), RV_OK);
	r = wait_reply(a);
	assert_int_equal(r.answer, ARBITER_UNREACHABLE);
	assert_non_null(strstr(r.text, "fence"));
	snprintf(fence, sizeof(fence), "%s/open", dir);
	assert_int_equal(mkdir(fence, 0700), 0);
	assert_int_equal(arbiter_claim(a, 1, true), RV_OK);
	assert_int_equal(wait_reply(a).answer, ARBITER_WON);
	arbiter_destroy(a);
}

/* Sixteen at once, ten times: one of them, each time. */
static void test_race(void **state)
{
	char spec[100];
	struct arbiter *a[16];
	(void)state;
	snprintf(spec, sizeof(spec), "file:%s/race", dir);
	for (unsigned i = 0; i < 16; i++)
		a[i] = make(spec);
	for (uint64_t term = 1; term <= 10; term++) {
		unsigned won = 0;
		for (unsigned i = 0; i < 16; i++)
			assert_int_equal(arbiter_claim(a[i], term, false), RV_OK);
		for (unsigned i = 0; i < 16; i++) {
			struct arbiter_reply r = wait_reply(a[i]);
			assert_int_not_equal(r.answer, ARBITER_UNREACHABLE);
			won += r.answer == ARBITER_WON;
		}
		assert_int_equal(won, 1);
	}
	for (unsigned i = 0; i < 16; i++)
		arbiter_destroy(a[i]);
}

static void test_file_faults(void **state)
{
	const struct arbiter_cfg missing = { .spec = "file:/nowhere/at/all/term", .pair = "p", .who = "w" },
				 unknown = { .spec = "magic:8ball", .pair = "p", .who = "w" },
				 pair = { .spec = "file:/tmp/x", .pair = "a/b", .who = "w" },
				 url = { .spec = "etcd:ftp://x", .pair = "p", .who = "w" };
	struct rv_err err = { 0 };
	struct arbiter *a = NULL;
	char spec[100], away[100], name[100];
	int fd;
	(void)state;
	assert_int_equal(arbiter_create(&a, &missing, &err), RV_EUSAGE);
	assert_int_equal(arbiter_create(&a, &unknown, &err), RV_EUSAGE);
	assert_int_equal(arbiter_create(&a, &pair, &err), RV_EUSAGE);
	assert_int_equal(arbiter_create(&a, &url, &err), RV_EUSAGE);
	/* The storage goes away, and comes back. */
	snprintf(spec, sizeof(spec), "file:%s/term", dir);
	snprintf(away, sizeof(away), "%s.away", dir);
	a = make(spec);
	assert_int_equal(claim(a, 1).answer, ARBITER_WON);
	assert_int_equal(rename(dir, away), 0);
	assert_int_equal(claim(a, 2).answer, ARBITER_UNREACHABLE);
	assert_int_equal(look(a, 1).answer, ARBITER_UNREACHABLE);
	assert_int_equal(rename(away, dir), 0);
	assert_int_equal(claim(a, 2).answer, ARBITER_WON);
	/* Whatever lies there under the name of a term is somebody's claim. */
	snprintf(name, sizeof(name), "%s/term.3", dir);
	fd = open(name, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0 && write(fd, "\x01\xff\n\0x", 5) == 5);
	close(fd);
	snprintf(name, sizeof(name), "%s/term.4", dir);
	assert_int_equal(mkdir(name, 0700), 0);
	assert_int_equal(claim(a, 3).answer, ARBITER_LOST);
	assert_int_equal(claim(a, 4).answer, ARBITER_LOST);
	assert_int_equal(claim(a, 0).term, 5);
	arbiter_destroy(a);
}

/* ---- servers ---- */

static uint16_t free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
		    getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static void test_etcd(void **state)
{
	char url[64], spec[80], peer[64], cluster[80], data[80];
	struct arbiter *a;
	struct arbiter_reply r;
	pid_t pid;
	(void)state;
	if (access("/usr/bin/etcd", X_OK) != 0) {
		print_message("skipped: no /usr/bin/etcd (etcd-server)\n");
		skip();
	}
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", free_port());
	snprintf(peer, sizeof(peer), "http://127.0.0.1:%u", free_port());
	snprintf(cluster, sizeof(cluster), "default=%s", peer);
	snprintf(data, sizeof(data), "%s/etcd", dir);
	snprintf(spec, sizeof(spec), "etcd:%s", url);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		dup2(null, 2);
		execl("/usr/bin/etcd", "etcd", "--data-dir", data, "--listen-client-urls", url, "--advertise-client-urls",
		      url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster",
		      cluster, (char *)NULL);
		_exit(127);
	}
	a = make(spec);
	for (int i = 0; i < 100 && (r = look(a, 0)).answer == ARBITER_UNREACHABLE; i++)
		usleep(200000);
	if (r.answer == ARBITER_UNREACHABLE)
		print_message("%s\n", r.text);
	assert_int_equal(r.answer, ARBITER_WON);
	check_contract(spec);
	/* It hangs: an answer in bounded time, that says so; it comes back. */
	kill(pid, SIGSTOP);
	assert_int_equal(claim(a, 77).answer, ARBITER_UNREACHABLE);
	kill(pid, SIGCONT);
	do
		r = claim(a, 77);
	while (r.answer == ARBITER_UNREACHABLE);
	assert_int_equal(r.answer, ARBITER_WON); /* also if the first claim had been made */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	r = claim(a, 78);
	assert_int_equal(r.answer, ARBITER_UNREACHABLE);
	assert_true(strlen(r.text) > 10);
	arbiter_destroy(a);
}

/* A server that answers every request with the same bytes. */
static pid_t nonsense(uint16_t port, const char *text, size_t repeat)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_true(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(fd, 8) == 0);
	pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		for (;;) {
			int c = accept(fd, NULL, NULL);
			char request[4096];
			(void)!read(c, request, sizeof(request));
			for (size_t i = 0; i < repeat; i++)
				(void)!write(c, text, strlen(text));
			close(c);
		}
	}
	close(fd);
	return pid;
}

static void test_nonsense(void **state)
{
	static const struct {
		const char *text;
		size_t repeat;
	} server[] = {
		{ "", 1 },
		{ "\x16\x03\x01garbage", 1 },
		{ "HTTP/1.1 200 OK\r\n\r\n", 1 },
		{ "HTTP/1.1 500 No\r\n\r\n{\"header\":{},\"succeeded\":true}", 1 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"header\":{},\"succeeded\":true}", 1 },
		{ "HTTP/1.1 200 OK\r\n\r\n{\"header\":{}}", 1 },
		{ "HTTP/1.1 200 OK\r\n\r\n{\"header\":{},\"succeeded\":false,\"value\":\"*?\"}", 1 },
		{ "HTTP/1.1 200 OK\r\n\r\n{\"header\":{},\"value\":\"QUJD", 1 },
		{ "HTTP/1.1 200 OK\r\n\r\n{\"header\":{},\"value\":17}", 1 },
		{ "HTTP/1.1 200 OK\r\nX: ", 100000 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(server) / sizeof(server[0]); i++) {
		uint16_t port = free_port();
		pid_t pid = nonsense(port, server[i].text, server[i].repeat);
		struct arbiter_reply r;
		struct arbiter *a;
		char spec[64];
		snprintf(spec, sizeof(spec), "etcd:http://127.0.0.1:%u", port);
		a = make(spec);
		r = claim(a, 1);
		if (r.answer != ARBITER_UNREACHABLE)
			print_message("server %zu: %d %s\n", i, r.answer, r.text);
		assert_int_equal(r.answer, ARBITER_UNREACHABLE);
		for (const char *p = r.text; *p; p++)
			assert_true(*p >= ' ' && *p <= '~');
		arbiter_destroy(a);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_race, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_file_faults, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_etcd, set_up, tear_down),
		cmocka_unit_test(test_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
