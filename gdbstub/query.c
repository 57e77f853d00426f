/* SPDX-License-Identifier: Apache-2.0 */
/* General queries (GDB manual, E.4): features, threads, monitor commands. */
#include <stdlib.h>

#include "stub.h"

#define QUERY_LINE_MAX 4096u

void query_handle_supported(struct gdbstub *s, struct pkt *k)
{
	if (!pkt_done(k) && !pkt_eat(k, ':')) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	s->swbreak = s->hwbreak = false;
	while (!pkt_done(k)) {
		const char *semi = memchr(k->p, ';', pkt_left(k));
		struct pkt f = { k->p, semi ? semi : k->end };
		k->p = semi ? semi + 1 : k->end;
		if (pkt_eat_text(&f, "swbreak+"))
			s->swbreak |= pkt_done(&f);
		else if (pkt_eat_text(&f, "hwbreak+"))
			s->hwbreak |= pkt_done(&f);
	}
	reply_text(&s->reply,
		   "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;swbreak+;hwbreak+;"
		   "vContSupported+;ConditionalBreakpoints+;binary-upload+",
		   RSP_PAYLOAD_MAX);
	if (s->target->ops->can_reverse(s->target))
		reply_text(&s->reply, ";ReverseStep+;ReverseContinue+");
}

void query_handle_noack(struct gdbstub *s, struct pkt *k)
{
	(void)k;
	s->noack = true;
	reply_text(&s->reply, "OK");
}

void query_handle_threads_first(struct gdbstub *s, struct pkt *k)
{
	(void)k;
	for (unsigned i = 0; i < s->ncpus; i++)
		reply_text(&s->reply, "%c%x", i ? ',' : 'm', i + 1);
}

void query_handle_threads_next(struct gdbstub *s, struct pkt *k)
{
	(void)k;
	reply_text(&s->reply, "l");
}

void query_handle_thread_info(struct gdbstub *s, struct pkt *k)
{
	char text[128] = "";
	unsigned cpu;
	bool known;

	if (!stub_thread_parse(s, k, s->stop.cpu, &cpu, &known) || !pkt_done(k)) {
		reply_error(&s->reply, known ? STUB_ERR_FORM : STUB_ERR_VALUE);
		return;
	}
	s->target->ops->thread_info(s->target, cpu, text, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	if (!text[0]) /* an empty reply would mean that the packet is not known */
		strcpy(text, "vCPU");
	reply_hex(&s->reply, text, strlen(text));
}

void query_handle_current(struct gdbstub *s, struct pkt *k)
{
	(void)k;
	reply_text(&s->reply, "QC%x", s->cpu_g + 1);
}

void query_handle_attached(struct gdbstub *s, struct pkt *k)
{
	uint64_t pid;

	if (!pkt_done(k) && (!pkt_eat(k, ':') || !pkt_hex(k, &pid) || !pkt_done(k)))
		reply_error(&s->reply, STUB_ERR_FORM);
	else /* "1": at its own end GDB detaches and does not kill. */
		reply_text(&s->reply, "1");
}

void query_handle_rcmd(struct gdbstub *s, struct pkt *k)
{
	size_t len = pkt_left(k) / 2;
	char *line = (char *)s->scratch;
	bool moved = false;
	int rc;

	if (pkt_left(k) % 2 || len >= QUERY_LINE_MAX || !pkt_bytes(k, s->scratch, len)) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' ';
	line[len] = '\0';
	rc = s->target->ops->monitor(s->target, line, stub_console, stub_poll, s, &moved);
	s->link.interrupt = false;
	if (rc == RV_EUSAGE) {
		stub_console(s, "Unknown or incomplete command; `monitor help` lists them.\n");
	} else if (rc != RV_OK) {
		stub_console(s, rv_status_text(rc));
		stub_console(s, "\n");
	}
	if (moved) {
		/* In all-stop mode a stop can only answer a motion, and GDB believes that nothing
		 * moved:
		 * `?` tells the new stop, and the user learns how to make GDB look again. */
		s->stop = (struct debug_stop){ .reason = DEBUG_STOP_STEP, .cpu = s->stop.cpu };
		s->signal = STUB_SIG_TRAP;
		stub_console(s,
			     "(moved: \"maintenance flush register-cache\" and \"maintenance flush "
			     "dcache\" make GDB look again)\n");
	}
	reply_text(&s->reply, "OK");
}
