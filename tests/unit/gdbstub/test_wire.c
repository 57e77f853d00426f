/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stub over a socket pair and over a unix socket. The client's end is
 * driven by raw bytes; since everything is one thread, a test writes all it
 * has to say, lets the stub serve it, and reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gdbstub/rsp_link.h"
#include "tests/unit/gdbstub/fake_target.h"

struct wire {
	struct fake fake;
	struct gdbstub *stub;
	int fd;
	char in[1 << 18]; /* what the stub sent */
};

static int wire_setup(void **state)
{
	struct wire *w = calloc(1, sizeof(*w));
	int fd[2], size = 1 << 18;
	assert_non_null(w);
	fake_init(&w->fake);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	w->fd = fd[0];
	assert_int_equal(gdbstub_attach(&w->stub, fd[1], &w->fake.target), RV_OK);
	*state = w;
	return 0;
}

static int wire_teardown(void **state)
{
	struct wire *w = *state;
	close(w->fd);
	gdbstub_destroy(w->stub);
	free(w);
	return 0;
}

static void put_raw(int fd, const void *data, size_t len)
{
	assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void put_packet(int fd, const char *payload)
{
	static uint8_t frame[RSP_FRAME_MAX];
	put_raw(fd, frame, rsp_frame_encode(payload, strlen(payload), frame));
}

/* All that the stub sent, as text. */
static const char *get_all(struct wire *w)
{
	size_t len = 0;
	ssize_t n;
	while ((n = recv(w->fd, w->in + len, sizeof(w->in) - 1 - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	w->in[len] = '\0';
	return w->in;
}

static enum gdbstub_end serve(struct wire *w)
{
	enum gdbstub_end end;
	assert_int_equal(gdbstub_serve(w->stub, NULL, NULL, &end), RV_OK);
	return end;
}

static void test_wire_acks(void **state)
{
	struct wire *w = *state;

	put_raw(w->fd, "+$qC#b4+", 8);
	put_raw(w->fd, "$qC#b5", 6);           /* bad sum */
	put_raw(w->fd, "$qC#zz", 6);
	put_raw(w->fd, "junk$q$qC#b4-", 13);   /* a lost end; then: again, please */
	put_raw(w->fd, "+-", 2);               /* acknowledged: not again */
	put_packet(w->fd, "QStartNoAckMode");
	put_raw(w->fd, "+", 1);
	put_packet(w->fd, "?");
	put_raw(w->fd, "$?#00", 5);            /* bad, and nobody wants to know */
	put_packet(w->fd, "D");
	assert_int_equal(serve(w), GDBSTUB_DETACHED);
	assert_string_equal(get_all(w), "+$QC1#c5--+$QC1#c5$QC1#c5+$OK#9a$T05thread:1;#d7$OK#9a");
}

static void test_wire_escapes_and_lengths(void **state)
{
	struct wire *w = *state;
	char *big = malloc(RSP_PAYLOAD_MAX + 2);

	assert_non_null(big);
	put_packet(w->fd, "QStartNoAckMode");
	put_packet(w->fd, "X601000,4:$#}*");
	put_packet(w->fd, "x601000,4");
	memset(big, 'q', RSP_PAYLOAD_MAX + 1);
	big[RSP_PAYLOAD_MAX] = '\0';
	put_packet(w->fd, big); /* the longest: not known */
	put_raw(w->fd, "$", 1);
	memset(big, 'q', RSP_PAYLOAD_MAX);
	put_raw(w->fd, big, RSP_PAYLOAD_MAX);
	put_raw(w->fd, "q#71", 4); /* one more */
	put_raw(w->fd, "$?}#fb", 6); /* nothing behind the escape */
	put_packet(w->fd, "k");
	assert_int_equal(serve(w), GDBSTUB_KILLED);
	assert_memory_equal(w->fake.mem + 2 * RV_PAGE_SIZE, "$#}*", 4);
	assert_string_equal(get_all(w), "+$OK#9a$OK#9a$b}\x04}\x03}]}\n#c4$#00$E01#a6");
	free(big);
}

static void test_wire_interrupt(void **state)
{
	struct wire *w = *state;

	w->fake.endless = true;
	put_packet(w->fd, "QStartNoAckMode");
	put_raw(w->fd, "\003", 1); /* while stopped: nothing */
	put_packet(w->fd, "?");
	put_packet(w->fd, "c");
	put_raw(w->fd, "\003", 1);
	put_packet(w->fd, "bc");
	put_raw(w->fd, "\003", 1);
	put_packet(w->fd, "D");
	assert_int_equal(serve(w), GDBSTUB_DETACHED);
	assert_string_equal(get_all(w),
				"+$OK#9a$T05thread:1;#d7$T02thread:1;#d4$T02thread:1;#d4$OK#9a");
}

static void test_wire_death(void **state)
{
	struct wire *w = *state;

	/* the client goes away while the machine runs, with a packet on the way */
	w->fake.endless = true;
	put_packet(w->fd, "Z0,1234,1");
	put_packet(w->fd, "c");
	put_packet(w->fd, "?");
	shutdown(w->fd, SHUT_WR);
	assert_int_equal(serve(w), GDBSTUB_DETACHED);
	assert_int_equal(w->fake.nbreaks, 0);
	assert_int_equal(w->fake.resumes, 1);
	{
		enum gdbstub_end end;
		assert_int_equal(gdbstub_serve(w->stub, NULL, NULL, &end), RV_EEND);
	}
}

static void test_wire_browser(void **state)
{
	struct wire *w = *state;

	put_raw(w->fd, "POST / HTTP/1.1\r\n\r\n$k#6b", 23);
	assert_int_equal(serve(w), GDBSTUB_DETACHED);
	assert_string_equal(get_all(w), "");
}

static void test_wire_monitor(void **state)
{
	struct wire *w = *state;
	const char *all;

	put_packet(w->fd, "QStartNoAckMode");
	put_packet(w->fd, "qRcmd,7768656e");     /* when */
	put_packet(w->fd, "qRcmd,7365656b203705"); /* seek 7, and a control character */
	put_packet(w->fd, "qRcmd,66726f62");     /* frob */
	put_packet(w->fd, "qRcmd,7365656b2039393939");
	put_packet(w->fd, "qRcmd,");
	put_packet(w->fd, "qRcmd,6");
	put_packet(w->fd, "qRcmd,zz");
	put_packet(w->fd, "p10");
	put_packet(w->fd, "D");
	assert_int_equal(serve(w), GDBSTUB_DETACHED);
	all = get_all(w);
	assert_non_null(strstr(all, "$O69636f756e7420300a#"));
	assert_non_null(strstr(all, "$O556e6b6e6f776e")); /* Unknown */
	assert_non_null(strstr(all, "$O286d6f766564"));   /* (moved */
	assert_non_null(strstr(all, "$E01#a6$E01#a6$07000081ffffffff#"));
}

static void test_wire_ends(void **state)
{
	struct wire *w = *state;

	w->fake.exits = true;
	put_packet(w->fd, "c");
	assert_int_equal(serve(w), GDBSTUB_EXITED);
	assert_string_equal(get_all(w), "+$W00#b7");
}

static void test_wire_extended(void **state)
{
	struct wire *w = *state;

	put_packet(w->fd, "QStartNoAckMode");
	put_packet(w->fd, "!");
	put_packet(w->fd, "vKill;1");
	put_packet(w->fd, "?");
	put_packet(w->fd, "vRun;;35");
	put_packet(w->fd, "vKill;1");
	shutdown(w->fd, SHUT_WR);
	assert_int_equal(serve(w), GDBSTUB_KILLED);
	assert_string_equal(get_all(w), "+$OK#9a$OK#9a$OK#9a$W00#b7$T05thread:1;#d7$OK#9a");
}

static int dial(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static bool give_up(void *ctx)
{
	unsigned *left = ctx;
	return (*left)-- == 0;
}

static void test_listen_unix(void **state)
{
	char dir[] = "/tmp/rv-gdbstub-XXXXXX", path[64], addr[80];
	static struct wire w;
	struct gdbstub *other;
	struct rv_err err = { 0 };
	enum gdbstub_end end;
	struct stat st;
	unsigned left = 2;
	int second;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(addr, sizeof(addr), "unix:%s", path);
	fake_init(&w.fake);
	assert_int_equal(gdbstub_listen(&w.stub, addr, &w.fake.target, &err), RV_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_false(gdbstub_pending(w.stub));
	/* in use: not to be taken over */
	assert_int_not_equal(gdbstub_listen(&other, addr, &w.fake.target, &err), RV_OK);
	assert_non_null(strstr(err.text, path));
	/* finding that out left a closed connection behind: a client that says nothing */
	assert_int_equal(serve(&w), GDBSTUB_DETACHED);
	assert_false(gdbstub_pending(w.stub));
	assert_int_equal(gdbstub_serve(w.stub, give_up, &left, &end), RV_EINTR);
	for (int i = 0; i < 3; i++) {
		w.fd = dial(path);
		assert_true(gdbstub_pending(w.stub));
		put_packet(w.fd, "Z0,1234,1");
		put_packet(w.fd, "qqemu.PhyMemMode");
		put_packet(w.fd, "Qqemu.PhyMemMode:1");
		second = -1;
		if (i == 1)
			second = dial(path);
		if (i == 2)
			close(w.fd);
		else
			put_packet(w.fd, "s"), put_packet(w.fd, "D");
		assert_int_equal(serve(&w), GDBSTUB_DETACHED);
		assert_int_equal(w.fake.nbreaks, 0);
		if (i != 2) {
			assert_non_null(
				strstr(get_all(&w), "$0#30")); /* a new client starts anew */
			close(w.fd);
		}
		if (second >= 0) {
			char c;
			assert_int_equal(recv(second, &c, 1, MSG_DONTWAIT), 0); /* closed */
			close(second);
		}
	}
	gdbstub_destroy(w.stub);
	assert_int_not_equal(stat(path, &st), 0);

	/* a stale socket is replaced; a file is not */
	{
		struct sockaddr_un sa = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
		assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
		close(fd);
	}
	assert_int_equal(gdbstub_listen(&w.stub, addr, &w.fake.target, &err), RV_OK);
	gdbstub_destroy(w.stub);
	fclose(fopen(path, "w"));
	assert_int_not_equal(gdbstub_listen(&w.stub, addr, &w.fake.target, &err), RV_OK);
	assert_int_equal(stat(path, &st), 0);
	unlink(path);
	rmdir(dir);
}

static void test_listen_addresses(void **state)
{
	static const char *const bad[] = {"",	   "unix:", "0",     "65536",
					  "abc",   "1x",    ":1234", "[]:123",
					  "host:", "-1",    "+1",    "127.0.0.1:0"};
	char longest[300] = "unix:/";
	struct fake f;
	struct gdbstub *s;
	struct rv_err err;
	unsigned port;

	(void)state;
	fake_init(&f);
	for (size_t i = 0; i < RV_ARRAY_LEN(bad); i++) {
		err.text[0] = '\0';
		assert_int_equal(gdbstub_listen(&s, bad[i], &f.target, &err), RV_EUSAGE);
		assert_true(err.text[0]);
	}
	memset(longest + 6, 'x', 200);
	assert_int_equal(gdbstub_listen(&s, longest, &f.target, &err), RV_EUSAGE);
	assert_int_not_equal(gdbstub_listen(&s, "unix:/nonexistent/x", &f.target, &err), RV_OK);
	for (port = 34567; port < 34600; port++) {
		char addr[32];
		snprintf(addr, sizeof(addr), port % 2 ? "%u" : "127.0.0.1:%u", port);
		if (gdbstub_listen(&s, addr, &f.target, &err) == RV_OK) {
			assert_false(gdbstub_pending(s));
			gdbstub_destroy(s);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wire_acks, wire_setup, wire_teardown),
		cmocka_unit_test_setup_teardown(test_wire_escapes_and_lengths, wire_setup,
						wire_teardown),
		cmocka_unit_test_setup_teardown(test_wire_interrupt, wire_setup, wire_teardown),
		cmocka_unit_test_setup_teardown(test_wire_death, wire_setup, wire_teardown),
		cmocka_unit_test_setup_teardown(test_wire_browser, wire_setup, wire_teardown),
		cmocka_unit_test_setup_teardown(test_wire_monitor, wire_setup, wire_teardown),
		cmocka_unit_test_setup_teardown(test_wire_ends, wire_setup, wire_teardown),
		cmocka_unit_test_setup_teardown(test_wire_extended, wire_setup, wire_teardown),
		cmocka_unit_test(test_listen_unix),
		cmocka_unit_test(test_listen_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
