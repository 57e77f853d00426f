/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <stdio.h>

#include "machine/machine.h"

/* Bytes of console input that a line shows. */
#define SHOWN 24u

static size_t put(char *out, size_t pos, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static size_t put(char *out, size_t pos, const char *fmt, ...)
{
	va_list ap;
	int n;
	va_start(ap, fmt);
	n = vsnprintf(out + pos, REPORT_LINE - pos, fmt, ap);
	va_end(ap);
	if (n < 0)
		return pos;
	return pos + (size_t)n < REPORT_LINE ? pos + (size_t)n : REPORT_LINE - 1;
}

static size_t put_escaped(char *out, size_t pos, const uint8_t *data, uint32_t len)
{
	pos = put(out, pos, " \"");
	for (uint32_t i = 0; i < len && i < SHOWN; i++) {
		if (data[i] >= ' ' && data[i] <= '~' && data[i] != '"' && data[i] != '\\')
			pos = put(out, pos, "%c", data[i]);
		else
			pos = put(out, pos, "\\x%02x", data[i]);
	}
	return put(out, pos, len > SHOWN ? "\"..." : "\"");
}

void report_record(const struct evlog_record *rec, char out[REPORT_LINE])
{
	struct evlog_digest d;
	struct evlog_end e;
	char hex[33];
	size_t pos = put(out, 0, "icount %llu seq %llu %s", (unsigned long long)rec->at.icount,
			 (unsigned long long)rec->at.seq, evlog_kind_text(rec->kind));

	if (rec->instance)
		pos = put(out, pos, " instance %u", rec->instance);
	if (rec->in_halt)
		pos = put(out, pos, " in a halt at vns %llu", (unsigned long long)rec->vns);
	if (rec->kind == ND_TIME && rec->len == 16) {
		put(out, pos, " vns %llu rate %llu", (unsigned long long)le64_get(rec->data),
		    (unsigned long long)le64_get(rec->data + 8));
	} else if (rec->kind == EVLOG_DIGEST &&
		   evlog_digest_decode(rec->data, rec->len, &d) == RV_OK) {
		digest_hex(d.state, hex);
		put(out, pos, " %s vns %llu rip %#llx", hex, (unsigned long long)d.vns,
		    (unsigned long long)d.rip);
	} else if (rec->kind == EVLOG_END && evlog_end_decode(rec->data, rec->len, &e) == RV_OK) {
		digest_hex(e.final.state, hex);
		put(out, pos, " %u code %u %s", e.end, e.code, hex);
	} else if (rec->len) {
		pos = put(out, pos, " %u bytes", rec->len);
		put_escaped(out, pos, rec->data, rec->len);
	}
}

void report_printf(struct bytes *b, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (const char *p = line; *p; p++)
		bytes_put_u8(b, (uint8_t)*p);
	bytes_put_u8(b, 0);
	if (!b->failed)
		b->len--;
}

static void side_value(struct bytes *b, const char *name, const uint64_t *recorded,
		       const uint64_t *replayed)
{
	char left[24] = "-", right[24] = "-";
	if (recorded)
		snprintf(left, sizeof(left), "%016llx", (unsigned long long)*recorded);
	if (replayed)
		snprintf(right, sizeof(right), "%016llx", (unsigned long long)*replayed);
	report_printf(b, "%c %-8s %-32s %-32s\n",
		      recorded && replayed && *recorded != *replayed ? '*' : ' ', name, left,
		      right);
}

static void side_digest(struct bytes *b, const char *name, const struct digest128 *recorded,
			const struct digest128 *replayed)
{
	char left[33] = "-", right[33] = "-";
	if (recorded)
		digest_hex(*recorded, left);
	if (replayed)
		digest_hex(*replayed, right);
	report_printf(b, "%c %-8s %-32s %-32s\n",
		      recorded && replayed && !digest_equal(*recorded, *replayed) ? '*' : ' ',
		      name, left, right);
}

void report_sides(struct bytes *b, const struct evlog_digest *rec, const struct evlog_digest *rep)
{
	static const char *const gpr[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					     "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };

	report_printf(b, "  %-8s %-32s %-32s\n", "", "recorded", "replayed");
	side_digest(b, "state", rec ? &rec->state : NULL, rep ? &rep->state : NULL);
	side_digest(b, "output", rec ? &rec->output : NULL, rep ? &rep->output : NULL);
#define SIDE(name, field) side_value(b, name, rec ? &rec->field : NULL, rep ? &rep->field : NULL)
	SIDE("vns", vns);
	SIDE("rip", rip);
	SIDE("rflags", rflags);
	SIDE("cr3", cr3);
	for (unsigned i = 0; i < 16; i++)
		SIDE(gpr[i], gpr[i]);
#undef SIDE
}
