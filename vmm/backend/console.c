/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One I/O thread a console moves bytes both ways. The vCPU thread only copies
 * into a ring; when the ring is full it waits for room (a slow reader slows the
 * guest, which is invisible to it), until a signal ends the wait: then the
 * bytes are dropped and counted, so that Ctrl-C works with a stuck reader.
 */
#include "console.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define RING_SIZE (1u << 20) /* a power of two */
#define WRITE_MAX 4096u      /* PIPE_BUF: poll() promised that much room in a pipe */
#define INPUT_MAX 4096u
#define RETRY_MS 20          /* the guest's inbox was full: try again after this */
#define DRAIN_MS 2000        /* destroy gives up on a reader that takes nothing for so long */

struct console {
	struct output output;
	struct host_console host;
	struct console_cfg cfg;
	pthread_t thread;
	bool threaded;
	int wake; /* eventfd: output waits, or stop */
	int room; /* eventfd: the ring has room again */

	pthread_mutex_t lock; /* guards the rest */
	uint8_t *ring;
	uint32_t head, tail; /* bytes ever put and taken, modulo 2^32 */
	bool want_room;
	bool dead;    /* the sink failed: drop everything */
	bool closing;
	int error;    /* errno of the sink */
	uint64_t dropped;
};

static void event_set(int fd)
{
	uint64_t one = 1;

	/* EAGAIN: it is set already. */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void event_clear(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* ---- guest to host, vCPU thread ---- */

/* lock held; releases it while waiting. False: a signal came, or the sink died. */
static bool wait_room_locked(struct console *c)
{
	struct pollfd pfd = { .fd = c->room, .events = POLLIN };
	int n;

	c->want_room = true;
	pthread_mutex_unlock(&c->lock);
	event_set(c->wake); /* the thread may still sleep: the ring was empty when this call began */
	n = poll(&pfd, 1, -1);
	if (n > 0)
		event_clear(c->room);
	pthread_mutex_lock(&c->lock);
	return n > 0 && !c->dead;
}

static void console_emit(struct output *out, icount_t icount, enum out_kind kind, unsigned instance,
			 const void *data, size_t len)
{
	struct console *c = (struct console *)out; /* output is the first member */
	const uint8_t *bytes = data;
	bool wake = false;

	(void)icount;
	(void)instance;
	if (kind != OUT_CONSOLE || c->host.out < 0)
		return;
	pthread_mutex_lock(&c->lock);
	while (len && !c->dead) {
		uint32_t used = c->head - c->tail;
		uint32_t at = c->head % RING_SIZE;
		size_t n = RING_SIZE - used;

		if (!n) {
			/* Nobody need be attached to a pty: it may not hold the guest up. */
			if (c->host.kind != HOST_CONSOLE_PTY && wait_room_locked(c))
				continue;
			break;
		}
		if (n > len)
			n = len;
		if (n > RING_SIZE - at)
			n = RING_SIZE - at;
		memcpy(c->ring + at, bytes, n);
		wake = wake || used == 0;
		c->head += (uint32_t)n;
		bytes += n;
		len -= n;
	}
	c->dropped += len;
	pthread_mutex_unlock(&c->lock);
	if (wake)
		event_set(c->wake);
}

static const struct output_ops console_output_ops = { .emit = console_emit };

/* ---- I/O thread ---- */

/* Writes some of what waits. False: the sink cannot take more now. */
static bool drain_some(struct console *c)
{
	uint32_t at, n;
	ssize_t done;

	pthread_mutex_lock(&c->lock);
	n = c->head - c->tail;
	at = c->tail % RING_SIZE;
	pthread_mutex_unlock(&c->lock);
	if (!n || c->dead)
		return false;
	if (n > RING_SIZE - at)
		n = RING_SIZE - at;
	if (n > WRITE_MAX)
		n = WRITE_MAX;
	/* Only this thread moves tail, so the bytes stay put without the lock. */
	done = write(c->host.out, c->ring + at, n);
	if (done < 0 && errno == EINTR)
		return true;
	if (done < 0 && errno == EAGAIN)
		return false;
	pthread_mutex_lock(&c->lock);
	if (done < 0) {
		c->error = errno;
		c->dead = true;
		c->dropped += c->head - c->tail;
		c->tail = c->head;
	} else {
		c->tail += (uint32_t)done;
	}
	if (c->want_room) {
		c->want_room = false;
		event_set(c->room);
	}
	pthread_mutex_unlock(&c->lock);
	return done > 0;
}

struct input {
	struct console_keys keys;
	uint8_t raw[INPUT_MAX];     /* read from the host */
	size_t raw_pos, raw_len;
	uint8_t guest[INPUT_MAX];   /* filtered, for the guest */
	size_t guest_pos, guest_len;
	bool ended;
};

static void print_keys_help(void)
{
	static const char text[] = "\r\nCtrl-A x       end the run\r\n"
				   "Ctrl-A Ctrl-A  send one Ctrl-A to the guest\r\n"
				   "Ctrl-A h       this help\r\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		return; /* nobody to tell */
}

/* Moves what was read on to the guest. True: all of it is gone. */
static bool input_push(struct console *c, struct input *in)
{
	for (;;) {
		size_t used, made;

		while (in->guest_pos < in->guest_len) {
			size_t n = live_console_input(c->cfg.live, c->cfg.instance, in->guest + in->guest_pos,
						      in->guest_len - in->guest_pos);
			if (!n)
				return false;
			in->guest_pos += n;
		}
		if (in->raw_pos == in->raw_len)
			return true;
		if (!c->host.raw) {
			/* Not typed by a person: every byte is the guest's. */
			memcpy(in->guest, in->raw, in->raw_len);
			in->guest_len = in->raw_len;
			in->guest_pos = 0;
			in->raw_pos = in->raw_len;
			continue;
		}
		switch (console_keys_filter(&in->keys, in->raw + in->raw_pos, in->raw_len - in->raw_pos,
					    &used, in->guest, &made)) {
		case CONSOLE_KEY_QUIT:
			if (c->cfg.stopped)
				c->cfg.stopped(c->cfg.ctx);
			break;
		case CONSOLE_KEY_HELP:
			print_keys_help();
			break;
		case CONSOLE_KEY_NONE:
			break;
		}
		in->raw_pos += used;
		in->guest_pos = 0;
		in->guest_len = made;
	}
}

static void input_read(struct console *c, struct input *in)
{
	ssize_t n = read(c->host.in, in->raw, sizeof(in->raw));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		in->ended = true; /* end of file only ends the input */
		return;
	}
	in->raw_pos = 0;
	in->raw_len = (size_t)n;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void *console_thread(void *arg)
{
	struct console *c = arg;
	struct input *in = calloc(1, sizeof(*in));
	uint64_t give_up = 0; /* 0: not closing */

	for (;;) {
		struct pollfd pfd[3] = { { .fd = c->wake, .events = POLLIN },
					 { .fd = -1, .events = POLLIN },
					 { .fd = -1, .events = POLLOUT } };
		bool pushed = true, waiting, closing;
		int timeout = -1;

		if (in)
			pushed = input_push(c, in);
		pthread_mutex_lock(&c->lock);
		waiting = c->head != c->tail && !c->dead;
		closing = c->closing;
		pthread_mutex_unlock(&c->lock);
		if (closing) {
			if (!waiting || c->host.kind == HOST_CONSOLE_PTY)
				break;
			if (!give_up)
				give_up = now_ms() + DRAIN_MS;
			if (now_ms() >= give_up)
				break;
			timeout = RETRY_MS;
		}
		if (in && !in->ended && pushed && c->host.in >= 0)
			pfd[1].fd = c->host.in;
		if (!pushed)
			timeout = RETRY_MS;
		if (waiting && c->host.out_polls)
			pfd[2].fd = c->host.out;
		else if (waiting)
			timeout = 0;
		if (poll(pfd, 3, timeout) < 0 && errno != EINTR)
			break; /* ENOMEM: the console goes silent, the guest runs on */
		if (pfd[0].revents)
			event_clear(c->wake);
		if (pfd[1].revents)
			input_read(c, in);
		if (waiting && (!c->host.out_polls || pfd[2].revents)) {
			/* Without O_NONBLOCK only the first write is sure not to block. */
			while (drain_some(c)) {
				if (give_up)
					give_up = now_ms() + DRAIN_MS;
				if (!c->host.out_nonblock)
					break;
			}
		}
	}
	pthread_mutex_lock(&c->lock);
	c->dropped += c->head - c->tail;
	c->tail = c->head;
	c->dead = true;
	event_set(c->room);
	pthread_mutex_unlock(&c->lock);
	free(in);
	return NULL;
}

static int start_thread(struct console *c, struct rv_err *err)
{
	sigset_t all, old;
	int rc;

	/* Signals are the vCPU thread's: there they end a wait for room. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&c->thread, NULL, console_thread, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return rv_err_set(err, RV_ENOMEM, "console: cannot start a thread: %s", strerror(rc));
	c->threaded = true;
	return 0;
}

int console_create(struct console **out, const struct console_cfg *cfg, struct rv_err *err)
{
	struct console *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return rv_err_set(err, RV_ENOMEM, "console: out of memory");
	c->output.ops = &console_output_ops;
	c->cfg = *cfg;
	c->cfg.spec = NULL; /* borrowed for this call only */
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->room = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->ring = malloc(RING_SIZE);
	c->host = (struct host_console){ .in = -1, .out = -1, .slave = -1 };
	pthread_mutex_init(&c->lock, NULL);
	if (c->wake < 0 || c->room < 0 || !c->ring) {
		rc = rv_err_set(err, RV_ENOMEM, "console: out of memory or descriptors");
		goto fail;
	}
	rc = host_console_open(&c->host, cfg->spec, cfg->input && cfg->live, err);
	if (rc)
		goto fail;
	if (c->host.out >= 0 || c->host.in >= 0) {
		rc = start_thread(c, err);
		if (rc)
			goto fail;
	}
	*out = c;
	return 0;
fail:
	console_destroy(c);
	return rc;
}

void console_destroy(struct console *c)
{
	if (!c)
		return;
	if (c->threaded) {
		pthread_mutex_lock(&c->lock);
		c->closing = true;
		pthread_mutex_unlock(&c->lock);
		event_set(c->wake);
		pthread_join(c->thread, NULL);
	}
	host_console_close(&c->host);
	/* A reader that went away (head, a closed pager) is its own business; a full disk is not. */
	if (c->dropped && c->error != EPIPE && c->host.kind != HOST_CONSOLE_PTY)
		rv_log(RV_LOG_WARN, "the console lost %llu bytes: %s", (unsigned long long)c->dropped,
		       c->error ? strerror(c->error) : "its reader did not take them");
	if (c->wake >= 0)
		close(c->wake);
	if (c->room >= 0)
		close(c->room);
	pthread_mutex_destroy(&c->lock);
	free(c->ring);
	free(c);
}

struct output *console_output(struct console *c)
{
	return &c->output;
}

bool console_is_terminal(const struct console *c)
{
	return c->host.terminal;
}
