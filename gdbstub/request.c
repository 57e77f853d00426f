/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a packet's name to its handler. What is not in the table gets the empty
 * reply, which means "not supported" (GDB manual, E.1); what is there but
 * malformed gets E01.
 */
#include <stdarg.h>
#include <stdio.h>

#include "stub.h"

void reply_clear(struct reply *r)
{
	r->none = r->overflow = false;
	r->len = 0;
}

void reply_put(struct reply *r, const void *data, size_t len)
{
	if (r->overflow || len > sizeof(r->data) - r->len) {
		r->overflow = true;
		return;
	}
	memcpy(r->data + r->len, data, len);
	r->len += len;
}

void reply_text(struct reply *r, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		r->overflow = true;
	else
		reply_put(r, text, (size_t)n);
}

void reply_hex(struct reply *r, const void *data, size_t len)
{
	const uint8_t *p = data;

	if (r->overflow || len > (sizeof(r->data) - r->len) / 2) {
		r->overflow = true;
		return;
	}
	for (size_t i = 0; i < len; i++) {
		r->data[r->len++] = hex_char(p[i] >> 4u);
		r->data[r->len++] = hex_char(p[i]);
	}
}

void reply_error(struct reply *r, unsigned number)
{
	reply_clear(r);
	reply_text(r, "E%02x", number & 0xffu);
}

void reply_status(struct reply *r, int rc)
{
	reply_clear(r);
	if (rc == RV_OK)
		reply_text(r, "OK");
	else if (rc == RV_ENOENT)
		reply_error(r, STUB_ERR_MEMORY);
	else if (rc != RV_ENOTSUP)
		reply_error(r, STUB_ERR_FORM);
}

bool stub_thread_parse(const struct gdbstub *s, struct pkt *k, unsigned any, unsigned *cpu,
		       bool *known)
{
	uint64_t id;

	*known = true;
	*cpu = any;
	if (pkt_eat_text(k, "-1"))
		return true;
	if (!pkt_hex(k, &id))
		return false;
	if (id > s->ncpus)
		*known = false;
	else if (id > 0)
		*cpu = (unsigned)id - 1;
	return *known;
}

static void request_handle_H(struct gdbstub *s, struct pkt *k)
{
	bool general = pkt_eat(k, 'g'), known;
	unsigned cpu;

	if (!general && !pkt_eat(k, 'c')) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	if (!stub_thread_parse(s, k, s->stop.cpu, &cpu, &known) || !pkt_done(k)) {
		reply_error(&s->reply, known ? STUB_ERR_FORM : STUB_ERR_VALUE);
		return;
	}
	if (general)
		s->cpu_g = cpu;
	else
		s->cpu_c = cpu;
	reply_text(&s->reply, "OK");
}

static void request_handle_T(struct gdbstub *s, struct pkt *k)
{
	unsigned cpu;
	bool known;

	if (!stub_thread_parse(s, k, 0, &cpu, &known) || !pkt_done(k))
		reply_error(&s->reply, known ? STUB_ERR_FORM : STUB_ERR_VALUE);
	else
		reply_text(&s->reply, "OK");
}

static void request_handle_D(struct gdbstub *s, struct pkt *k)
{
	uint64_t pid;

	if (!pkt_done(k) && (!pkt_eat(k, ';') || !pkt_hex(k, &pid) || !pkt_done(k))) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	s->ended = true;
	s->end = GDBSTUB_DETACHED;
	reply_text(&s->reply, "OK");
}

static void request_handle_k(struct gdbstub *s, struct pkt *k)
{
	(void)k;
	s->ended = true;
	s->end = GDBSTUB_KILLED;
	s->reply.none = true;
}

static void request_handle_vkill(struct gdbstub *s, struct pkt *k)
{
	uint64_t pid;

	if (!pkt_hex(k, &pid) || !pkt_done(k)) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	/* Under `target extended-remote`, `run` is a kill and a vRun on the same connection. */
	s->killed = true;
	s->end = GDBSTUB_KILLED;
	s->ended = !s->extended;
	reply_text(&s->reply, "OK");
}

static void request_handle_extended(struct gdbstub *s, struct pkt *k)
{
	(void)k;
	s->extended = true;
	reply_text(&s->reply, "OK");
}

/* whole: the packet is the name alone. Otherwise the handler judges what follows. */
static const struct request_entry {
	const char *name;
	stub_handler *handle;
	bool whole;
} request_table[] = {
	{ "qSupported", query_handle_supported, false },
	{ "QStartNoAckMode", query_handle_noack, true },
	{ "qXfer:features:read:", xfer_handle_features, false },
	{ "qfThreadInfo", query_handle_threads_first, true },
	{ "qsThreadInfo", query_handle_threads_next, true },
	{ "qThreadExtraInfo,", query_handle_thread_info, false },
	{ "qC", query_handle_current, true },
	{ "qAttached", query_handle_attached, false },
	{ "qRcmd,", query_handle_rcmd, false },
	{ "qSearch:memory:", memory_handle_search, false },
	{ "qqemu.PhyMemMode", memory_handle_phys_get, true },
	{ "Qqemu.PhyMemMode:", memory_handle_phys_set, false },
	{ "vCont?", motion_handle_vcont_query, true },
	{ "vCont;", motion_handle_vcont, false },
	{ "vKill;", request_handle_vkill, false },
	{ "vRun;", motion_handle_vrun, false },
	{ "bc", motion_handle_bc, true },
	{ "bs", motion_handle_bs, true },
	{ "?", motion_handle_why, true },
	{ "!", request_handle_extended, true },
	{ "g", regs_handle_g, false },
	{ "G", regs_handle_G, false },
	{ "p", regs_handle_p, false },
	{ "P", regs_handle_P, false },
	{ "m", memory_handle_m, false },
	{ "M", memory_handle_M, false },
	{ "x", memory_handle_x, false },
	{ "X", memory_handle_X, false },
	{ "Z", breaks_handle_Z, false },
	{ "z", breaks_handle_z, false },
	{ "c", motion_handle_c, false },
	{ "C", motion_handle_C, false },
	{ "s", motion_handle_s, false },
	{ "S", motion_handle_S, false },
	{ "H", request_handle_H, false },
	{ "T", request_handle_T, false },
	{ "D", request_handle_D, false },
	{ "k", request_handle_k, true },
	{ "R", motion_handle_R, false },
};

void stub_request(struct gdbstub *s, const char *payload, size_t len)
{
	reply_clear(&s->reply);
	for (size_t i = 0; i < RV_ARRAY_LEN(request_table); i++) {
		const struct request_entry *e = &request_table[i];
		struct pkt k = { payload, payload + len };
		if (!pkt_eat_text(&k, e->name) || (e->whole && !pkt_done(&k)))
			continue;
		e->handle(s, &k);
		break;
	}
	if (s->reply.overflow)
		reply_error(&s->reply, STUB_ERR_FORM);
}
