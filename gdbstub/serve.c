/* SPDX-License-Identifier: Apache-2.0 */
/* A stub's life: made over an address or a descriptor, it serves one client at a time to its end.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stub.h"

#define SERVE_WAIT_MS 200 /* between two looks at the caller's poll */
#define SERVE_CONSOLE_MAX 4096u

static int stub_create(struct gdbstub **out, struct debug_target *target)
{
	struct gdbstub *s = calloc(1, sizeof(*s));

	if (!s)
		return RV_ENOMEM;
	s->target = target;
	s->ncpus = target->ops->ncpus(target);
	if (s->ncpus == 0 || s->ncpus > CPU_MAX || xfer_xml_build(&s->xml) != RV_OK) {
		int rc = s->xml.failed ? RV_ENOMEM : RV_EINVAL;
		bytes_fini(&s->xml);
		free(s);
		return rc;
	}
	s->listener.fd = -1;
	rsp_link_init(&s->link, -1);
	stub_session_begin(s);
	*out = s;
	return RV_OK;
}

int gdbstub_listen(struct gdbstub **out, const char *addr, struct debug_target *target,
		   struct rv_err *err)
{
	struct gdbstub *s;
	int rc = stub_create(&s, target);

	if (rc != RV_OK)
		return rv_err_set(err, rc, "gdb stub: %s", rv_status_text(rc));
	rc = listener_open(&s->listener, addr, err);
	if (rc != RV_OK) {
		gdbstub_destroy(s);
		return rc;
	}
	*out = s;
	return RV_OK;
}

int gdbstub_attach(struct gdbstub **out, int fd, struct debug_target *target)
{
	struct gdbstub *s;
	int rc = stub_create(&s, target);

	if (rc != RV_OK) {
		if (fd >= 0)
			close(fd);
		return rc;
	}
	rsp_link_init(&s->link, fd);
	*out = s;
	return RV_OK;
}

void gdbstub_destroy(struct gdbstub *s)
{
	if (!s)
		return;
	breaks_clear(s);
	rsp_link_fini(&s->link, false);
	listener_close(&s->listener);
	bytes_fini(&s->xml);
	free(s);
}

bool gdbstub_pending(struct gdbstub *s)
{
	struct pollfd p = { .fd = s->listener.fd, .events = POLLIN };

	if (s->link.fd >= 0)
		return true;
	return p.fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & POLLIN) != 0;
}

void stub_session_begin(struct gdbstub *s)
{
	s->swbreak = s->hwbreak = s->noack = s->extended = s->killed = s->phys = false;
	s->ended = s->give_up = false;
	s->end = GDBSTUB_DETACHED;
	s->signal = STUB_SIG_TRAP;
	s->stop = (struct debug_stop){ .reason = DEBUG_STOP_STEP };
	s->cpu_g = s->cpu_c = 0;
}

/* What a client set goes with it. */
void stub_session_end(struct gdbstub *s)
{
	breaks_clear(s);
	rsp_link_fini(&s->link, s->ended);
}

bool stub_poll(void *ctx)
{
	struct gdbstub *s = ctx;

	if (s->poll && s->poll(s->poll_ctx))
		s->give_up = true;
	if (rsp_link_interrupted(&s->link) || s->give_up)
		return true;
	listener_refuse(&s->listener);
	return false;
}

void stub_console(void *ctx, const char *text)
{
	struct gdbstub *s = ctx;
	char out[1 + 2 * SERVE_CONSOLE_MAX];

	while (*text) {
		size_t n = 0;
		out[n++] = 'O';
		while (*text && n + 2 <= sizeof(out)) {
			out[n++] = hex_char((uint8_t)*text >> 4u);
			out[n++] = hex_char((uint8_t)*text++);
		}
		rsp_link_send(&s->link, out, n);
	}
}

/* Waits for a client. RV_EINTR: the caller's poll said so. */
static int serve_accept(struct gdbstub *s)
{
	struct pollfd p = { .fd = s->listener.fd, .events = POLLIN };

	if (p.fd < 0)
		return RV_EEND; /* over a descriptor, and its client is gone */
	for (;;) {
		int fd;
		if (s->poll && s->poll(s->poll_ctx))
			return RV_EINTR;
		fd = listener_accept(&s->listener);
		if (fd >= 0) {
			rsp_link_init(&s->link, fd);
			return RV_OK;
		}
		if (poll(&p, 1, SERVE_WAIT_MS) < 0 && errno != EINTR)
			return RV_EIO;
	}
}

static void serve_wait(struct gdbstub *s)
{
	struct pollfd p[2] = {
		{ .fd = s->link.fd, .events = POLLIN },
		{ .fd = s->listener.fd, .events = POLLIN },
	};

	if (s->poll && s->poll(s->poll_ctx)) {
		s->give_up = true;
		return;
	}
	/* If this client has something to say, it may be its end: who waits may be the next one. */
	if (poll(p, 2, SERVE_WAIT_MS) > 0 && !p[0].revents && (p[1].revents & POLLIN))
		listener_refuse(&s->listener);
}

static void serve_event(struct gdbstub *s, enum rsp_event ev)
{
	if (ev == RSP_PACKET) {
		stub_request(s, s->link.parser.body, s->link.parser.len);
	} else if (ev == RSP_TOO_LONG) {
		reply_error(&s->reply, STUB_ERR_FORM);
	} else {
		return; /* 0x03 while stopped: it crossed the stop reply */
	}
	if (!s->reply.none)
		rsp_link_send(&s->link, s->reply.data, s->reply.len);
	s->link.noack = s->noack;
}

int gdbstub_serve(struct gdbstub *s, bool (*poll)(void *ctx), void *ctx, enum gdbstub_end *end)
{
	int rc = RV_OK;

	s->poll = poll;
	s->poll_ctx = ctx;
	if (s->link.fd < 0)
		rc = serve_accept(s);
	if (rc == RV_OK) {
		stub_session_begin(s);
		while (!s->ended && !s->give_up && !s->link.eof) {
			enum rsp_event ev = rsp_link_next(&s->link);
			if (ev != RSP_NONE)
				serve_event(s, ev);
			else if (!rsp_link_fill(&s->link) && !s->link.eof)
				serve_wait(s);
		}
		stub_session_end(s);
		*end = s->end;
		if (s->give_up && !s->ended)
			rc = RV_EINTR;
	}
	s->poll = NULL;
	return rc;
}

int gdbstub_request(struct gdbstub *s, const char *payload, size_t len, char *reply,
			size_t reply_cap)
{
	if (len > RSP_PAYLOAD_MAX)
		return RV_EINVAL;
	stub_request(s, payload, len);
	s->ended = false; /* there is no session to end */
	if (s->reply.none)
		return 0;
	if (s->reply.len >= reply_cap)
		return RV_ENOSPC;
	memcpy(reply, s->reply.data, s->reply.len);
	reply[s->reply.len] = '\0';
	return (int)s->reply.len;
}
