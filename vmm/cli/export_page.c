/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timeline's page: what was fed is counted in at most BUCKETS stretches of
 * virtual time, whose length doubles when they do not suffice, and written as
 * JSON into the template timeline.html. The guest's strings are in that JSON
 * alone, with every '<' escaped, and the page makes text of them, never markup.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "export.h"
#include "timeline_page.h"

#define BUCKETS 2048u /* even */
#define WIDTH_FIRST 1000000u /* ns */
#define LINES_MAX 3000u
#define LINE_MAX_BYTES 160u

/* X(name): counters of a bucket, by the names the page knows. */
#define SERIES(X) X(steps) X(time) X(disk) X(net) X(sent) X(input) X(other) X(printed) X(netBytes) X(sentBytes)

struct bucket {
#define FIELD(name) uint64_t name;
	SERIES(FIELD)
#undef FIELD
	icount_t at; /* first icount seen in it; 0: none */
};

struct export_page {
	bool begun;
	vns_t begin, end, width;
	icount_t icount;
	uint64_t events;
	struct bucket bucket[BUCKETS];
	struct bytes digests, ckpts, marks, console; /* JSON, with a comma before each but the first */
	struct mark {
		icount_t icount;
		uint8_t text[200];
		size_t len;
	} *mark;
	size_t nmarks, next_mark;
	uint8_t line[LINE_MAX_BYTES];
	size_t line_len;
	vns_t line_vns;
	unsigned lines;
};

struct export_page *export_page_create(void)
{
	struct export_page *p = calloc(1, sizeof(*p));

	if (p)
		p->width = WIDTH_FIRST;
	return p;
}

void export_page_destroy(struct export_page *p)
{
	if (!p)
		return;
	bytes_fini(&p->digests);
	bytes_fini(&p->ckpts);
	bytes_fini(&p->marks);
	bytes_fini(&p->console);
	free(p->mark);
	free(p);
}

/* ---- JSON ---- */

static void comma(struct bytes *b)
{
	if (b->len)
		bytes_put_u8(b, ',');
}

/* A JSON string that cannot end the script element it stands in (RFC 8259; HTML, 4.12.1.3). */
static void put_string(struct bytes *b, const void *text, size_t len)
{
	const uint8_t *p = text;

	bytes_put_u8(b, '"');
	for (size_t i = 0; i < len; i++) {
		if (p[i] < ' ' || p[i] > '~' || strchr("\"\\<>&'", p[i]))
			bytes_put_text(b, "\\u%04x", p[i]);
		else
			bytes_put_u8(b, p[i]);
	}
	bytes_put_u8(b, '"');
}

/* ---- counting ---- */

static void widen(struct export_page *p)
{
	for (unsigned i = 0; i < BUCKETS / 2; i++) {
		const struct bucket a = p->bucket[2 * i], b = p->bucket[2 * i + 1];
		struct bucket *out = &p->bucket[i];

#define FIELD(name) out->name = a.name + b.name;
		SERIES(FIELD)
#undef FIELD
		out->at = a.at ? a.at : b.at;
	}
	memset(p->bucket + BUCKETS / 2, 0, sizeof(p->bucket) / 2);
	p->width *= 2;
}

static struct bucket *bucket_at(struct export_page *p, vns_t vns)
{
	if (vns < p->begin)
		vns = p->begin;
	while ((vns - p->begin) / p->width >= BUCKETS)
		widen(p);
	if (vns > p->end)
		p->end = vns;
	return &p->bucket[(vns - p->begin) / p->width];
}

void export_page_at(struct export_page *p, icount_t icount, vns_t vns)
{
	struct bucket *b;

	if (!p->begun) {
		p->begun = true;
		p->begin = p->end = vns;
		p->icount = icount;
	}
	b = bucket_at(p, vns);
	b->steps += icount - p->icount;
	if (!b->at)
		b->at = icount;
	p->icount = icount;
	for (; p->next_mark < p->nmarks && p->mark[p->next_mark].icount <= icount; p->next_mark++) {
		const struct mark *m = &p->mark[p->next_mark];

		comma(&p->marks);
		bytes_put_text(&p->marks, "[%" PRIu64 ",%" PRIu64 ",", m->icount, vns);
		put_string(&p->marks, m->text, m->len);
		bytes_put_u8(&p->marks, ']');
	}
}

void export_page_event(struct export_page *p, vns_t vns, enum nd_kind kind, uint32_t len)
{
	struct bucket *b = bucket_at(p, vns);

	p->events++;
	switch (kind) {
	case ND_TIME:
		b->time++;
		break;
	case ND_DISK:
		b->disk++;
		break;
	case ND_NET:
		b->net++;
		b->netBytes += len;
		break;
	case ND_CONSOLE:
		b->input++;
		break;
	default:
		b->other++;
		break;
	}
}

static void line_end(struct export_page *p)
{
	if (p->lines++ < LINES_MAX) {
		comma(&p->console);
		bytes_put_text(&p->console, "[%" PRIu64 ",", p->line_vns);
		put_string(&p->console, p->line, p->line_len);
		bytes_put_u8(&p->console, ']');
	}
	p->line_len = 0;
}

void export_page_output(struct export_page *p, vns_t vns, enum out_kind kind, unsigned instance, const void *data,
			size_t len)
{
	const uint8_t *c = data;
	struct bucket *b = bucket_at(p, vns);

	if (kind == OUT_NET) {
		b->sent++;
		b->sentBytes += len;
		return;
	}
	b->printed += len;
	for (size_t i = 0; instance == CONSOLE_SERIAL && i < len; i++) {
		if (!p->line_len)
			p->line_vns = vns;
		if (c[i] == '\n')
			line_end(p);
		else if (c[i] != '\r' && p->line_len < LINE_MAX_BYTES)
			p->line[p->line_len++] = c[i];
	}
}

void export_page_digest(struct export_page *p, vns_t vns)
{
	comma(&p->digests);
	bytes_put_text(&p->digests, "%" PRIu64, vns);
}

void export_page_note(struct export_page *p, icount_t icount, const void *text, size_t len)
{
	struct mark *more = realloc(p->mark, (p->nmarks + 1) * sizeof(*more));

	if (!more)
		return;
	p->mark = more;
	p->mark[p->nmarks].icount = icount;
	p->mark[p->nmarks].len = len < sizeof(more->text) ? len : sizeof(more->text);
	memcpy(p->mark[p->nmarks].text, text, p->mark[p->nmarks].len);
	p->nmarks++;
}

void export_page_ckpt(struct export_page *p, const struct ckpt_info *info)
{
	comma(&p->ckpts);
	bytes_put_text(&p->ckpts, "[%" PRIu64 ",%" PRIu64 "]", info->at.icount, info->vns);
}

/* ---- writing ---- */

static void put_list(struct bytes *out, const char *name, const struct bytes *list)
{
	bytes_put_text(out, ",\"%s\":[", name);
	bytes_put(out, list->data, list->len);
	bytes_put_u8(out, ']');
	out->failed |= list->failed;
}

static void put_data(struct export_page *p, struct bytes *out, const struct trace *t, const char *divergence)
{
	const struct trace_manifest *m = trace_manifest(t);
	unsigned n = (unsigned)((p->end - p->begin) / p->width) + 1;
	bool first = true;

	bytes_put_text(out, "{\"begin\":%" PRIu64 ",\"end\":%" PRIu64 ",\"width\":%" PRIu64 ",\"n\":%u", p->begin,
		       p->end, p->width, n);
	bytes_put_text(out, ",\"icount\":%" PRIu64 ",\"events\":%" PRIu64 ",\"cpus\":%u,\"trace\":", p->icount,
		       p->events, m->ncpus);
	put_string(out, trace_path(t), strlen(trace_path(t)));
	bytes_put_text(out, ",\"cmdline\":");
	put_string(out, m->cmdline, strlen(m->cmdline));
	bytes_put_text(out, ",\"divergence\":");
	put_string(out, divergence ? divergence : "", divergence ? strlen(divergence) : 0);
	bytes_put_text(out, ",\"series\":{");
#define FIELD(name)                                                                                \
	bytes_put_text(out, "%s\"" #name "\":[", first ? "" : ",");                                \
	first = false;                                                                             \
	for (unsigned i = 0; i < n; i++)                                                           \
		bytes_put_text(out, "%s%" PRIu64, i ? "," : "", p->bucket[i].name);                \
	bytes_put_u8(out, ']');
	SERIES(FIELD)
#undef FIELD
	bytes_put_text(out, "},\"at\":[");
	for (unsigned i = 0; i < n; i++) {
		if (i && !p->bucket[i].at)
			p->bucket[i].at = p->bucket[i - 1].at;
		bytes_put_text(out, "%s%" PRIu64, i ? "," : "", p->bucket[i].at);
	}
	bytes_put_u8(out, ']');
	put_list(out, "digests", &p->digests);
	put_list(out, "checkpoints", &p->ckpts);
	put_list(out, "marks", &p->marks);
	put_list(out, "console", &p->console);
	bytes_put_text(out, ",\"consoleCut\":%s}", p->lines > LINES_MAX ? "true" : "false");
}

int export_page_write(struct export_page *p, FILE *f, const struct trace *t, const char *divergence)
{
	struct bytes data = { 0 };
	uint64_t random[2] = { 0, 0 };
	char nonce[40];

	/* Chosen after the guest's strings were: none of them can know it. */
	(void)!getrandom(random, sizeof(random), 0);
	snprintf(nonce, sizeof(nonce), "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
	if (p->line_len)
		line_end(p);
	put_data(p, &data, t, divergence);
	for (const char *s = timeline_page; *s;) {
		const char *at = strchr(s, '@');

		fwrite(s, 1, at ? (size_t)(at - s) : strlen(s), f);
		if (!at)
			break;
		if (!strncmp(at, "@NONCE@", 7)) {
			fputs(nonce, f);
			s = at + 7;
		} else if (!strncmp(at, "@DATA@", 6)) {
			fwrite(data.data, 1, data.len, f);
			s = at + 6;
		} else {
			fputc('@', f);
			s = at + 1;
		}
	}
	bytes_fini(&data);
	return data.failed ? RV_ENOMEM : RV_OK;
}
