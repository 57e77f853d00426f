/* SPDX-License-Identifier: Apache-2.0 */
#include "evlog_scan.h"

#include <stdlib.h>
#include <string.h>

#include "trace_priv.h"

#define WINDOW (1u << 20)
/* CRC work that looking for a sound chunk may cost: crafted headers must not make it quadratic. */
#define SEARCH_BUDGET (256ull << 20)

void evlog_scan_init(struct evlog_scan *s, const char *path, const uint8_t id[16],
		     const struct trace_start *start)
{
	memset(s, 0, sizeof(*s));
	s->info.start = *start;
	s->segments = s->end.segment = start->segment;
	s->last = s->info.last = start->at;
	s->anchored = !start->from_ckpt;
	s->path = path;
	memcpy(s->id, id, sizeof(s->id));
}

void evlog_scan_fini(struct evlog_scan *s)
{
	bytes_fini(&s->buf);
	evlog_batch_fini(&s->batch);
}

/* Makes room for len bytes; what is in b stays. */
static int reserve(struct bytes *b, size_t len)
{
	uint8_t *p;
	if (len <= b->cap)
		return RV_OK;
	p = realloc(b->data, len);
	if (!p)
		return RV_ENOMEM;
	b->data = p;
	b->cap = len;
	return RV_OK;
}

int evlog_chunk_read(int fd, uint64_t size, uint64_t off, struct bytes *buf,
		     struct evlog_header *h)
{
	int rc;
	if (off > size || size - off < EVLOG_HEADER_SIZE)
		return 0;
	rc = reserve(buf, EVLOG_HEADER_SIZE);
	if (rc == RV_OK)
		rc = fd_read_at(fd, buf->data, EVLOG_HEADER_SIZE, off);
	if (rc != RV_OK)
		return rc == RV_EEND ? 0 : rc;
	if (!evlog_header_decode(buf->data, h) || size - off - EVLOG_HEADER_SIZE < h->stored_len)
		return 0;
	rc = reserve(buf, EVLOG_HEADER_SIZE + h->stored_len);
	if (rc == RV_OK)
		rc = fd_read_at(fd, buf->data + EVLOG_HEADER_SIZE, h->stored_len,
				off + EVLOG_HEADER_SIZE);
	if (rc != RV_OK)
		return rc == RV_EEND ? 0 : rc;
	return evlog_chunk_crc_ok(buf->data, buf->data + EVLOG_HEADER_SIZE, h);
}

static int damaged(const struct evlog_scan *s, uint32_t found_segment, uint64_t found_off,
		   struct rv_err *err)
{
	char bad[SEGMENT_NAME_MAX], found[SEGMENT_NAME_MAX];
	segment_name(s->end.segment, bad);
	segment_name(found_segment, found);
	if (s->missing)
		return rv_err_set(err, RV_EDAMAGED,
				  "%s/log/%s: missing (chunk %llu should be in it, and the log goes "
				  "on in %s)",
				  s->path, bad, (unsigned long long)s->number, found);
	return rv_err_set(err, RV_EDAMAGED,
			  "%s/log/%s: chunk %llu at offset %llu is damaged (a sound chunk of this "
			  "trace follows in %s at offset %llu)",
			  s->path, bad, (unsigned long long)s->number,
			  (unsigned long long)s->end.off, found, (unsigned long long)found_off);
}

/* Whether the sound chunk with header h at off belongs to this trace; candidates come from anywhere. */
static bool same_trace(const struct evlog_scan *s, const struct evlog_header *h)
{
	return memcmp(h->id, s->id, sizeof(s->id)) == 0;
}

/* Looks at every byte offset from `from` for a sound chunk of this trace: RV_EDAMAGED if there is one. */
static int search(struct evlog_scan *s, uint32_t segment, int fd, uint64_t size, uint64_t from,
		  struct rv_err *err)
{
	uint8_t *window = malloc(size < WINDOW ? (size_t)size + 1 : WINDOW);
	uint64_t budget = SEARCH_BUDGET + 4 * size;
	int rc = window ? RV_OK : RV_ENOMEM;

	while (rc == RV_OK && from < size && size - from >= EVLOG_HEADER_SIZE) {
		size_t n = size - from < WINDOW ? (size_t)(size - from) : WINDOW, pos = 0;
		rc = fd_read_at(fd, window, n, from);
		while (rc == RV_OK && n - pos >= EVLOG_HEADER_SIZE) {
			struct evlog_header h;
			/* The magic must leave room for its header in this window. */
			size_t room = n - pos - EVLOG_HEADER_SIZE + 4;
			const uint8_t *hit = memmem(window + pos, room, EVLOG_MAGIC, 4);
			if (!hit)
				break;
			pos = (size_t)(hit - window);
			if (evlog_header_decode(hit, &h) && same_trace(s, &h)) {
				rc = evlog_chunk_read(fd, size, from + pos, &s->buf, &h);
				if (rc > 0 || budget < h.stored_len)
					rc = damaged(s, segment, from + pos, err);
				else
					budget -= h.stored_len;
			}
			pos++;
		}
		from += n - EVLOG_HEADER_SIZE + 1;
	}
	free(window);
	return rc == RV_EEND ? RV_OK : rc; /* the file became shorter: nothing more is there */
}

/* The records of a valid chunk must make sense too; they are counted here. */
static int take_records(struct evlog_scan *s, const struct evlog_header *h, struct rv_err *err)
{
	char name[SEGMENT_NAME_MAX];
	int rc = evlog_chunk_decode(h, s->buf.data + EVLOG_HEADER_SIZE, &s->batch);

	segment_name(s->end.segment, name);
	if (rc == RV_OK && !exec_point_not_before(h->first, s->last))
		rc = RV_EDAMAGED;
	if (rc == RV_EDAMAGED)
		return rv_err_set(err, rc,
				  "%s/log/%s: chunk %llu at offset %llu holds impossible records",
				  s->path, name, (unsigned long long)h->number,
				  (unsigned long long)s->end.off);
	if (rc != RV_OK)
		return rv_err_set(err, rc, "%s/log/%s: %s", s->path, name, rv_status_text(rc));
	for (size_t i = 0; i < s->batch.n; i++)
		s->info.count[s->batch.entry[i].kind]++;
	if (s->batch.n) {
		const struct evlog_entry *e = &s->batch.entry[s->batch.n - 1];
		s->last = (struct exec_point){ e->icount, e->seq };
		s->info.last = s->last;
	}
	s->info.records += s->batch.n;
	return RV_OK;
}

static int after_end(const struct evlog_scan *s, uint32_t segment, uint64_t off,
		     struct rv_err *err)
{
	char name[SEGMENT_NAME_MAX];
	segment_name(segment, name);
	return rv_err_set(err, RV_EDAMAGED,
			  "%s/log/%s: data at offset %llu, after the end chunk (chunk %llu)",
			  s->path, name, (unsigned long long)off,
			  (unsigned long long)(s->number - 1));
}

/* Follows valid chunks from the start of a segment to its end or to the first invalid one. */
static int follow(struct evlog_scan *s, uint32_t segment, int fd, uint64_t size,
		  struct rv_err *err)
{
	s->end = (struct evlog_place){ .segment = segment, .off = 0 };
	while (s->end.off < size) {
		struct evlog_header h;
		int rc;
		if (s->ended)
			return after_end(s, segment, s->end.off, err);
		rc = evlog_chunk_read(fd, size, s->end.off, &s->buf, &h);
		if (rc < 0)
			return rc;
		if (rc == 0 || !same_trace(s, &h)) {
			s->broken = true;
			return RV_OK;
		}
		if (!s->anchored) {
			s->number = h.number;
			s->prev_crc = h.prev_crc;
			s->anchored = true;
		}
		/* Sound and ours, but not the next one: something before it is gone. */
		if (h.number != s->number || h.prev_crc != s->prev_crc)
			return damaged(s, segment, s->end.off, err);
		rc = take_records(s, &h, err);
		if (rc != RV_OK)
			return rc;
		s->number++;
		s->prev_crc = h.crc;
		s->end.off += EVLOG_HEADER_SIZE + h.stored_len;
		s->info.log_bytes += EVLOG_HEADER_SIZE + h.stored_len;
		s->ended = (h.flags & EVLOG_FLAG_END) != 0;
	}
	return RV_OK;
}

int evlog_scan_segment(struct evlog_scan *s, uint32_t number, int fd, uint64_t size,
		       struct rv_err *err)
{
	char name[SEGMENT_NAME_MAX];
	uint64_t from = 0;
	int rc = RV_OK;

	segment_name(number, name);
	if (s->ended)
		return after_end(s, number, 0, err);
	if (size > EVLOG_SEGMENT_MAX)
		return rv_err_set(err, RV_EDAMAGED, "%s/log/%s: too large for a segment", s->path,
				  name);
	if (!s->broken && number != s->segments) {
		s->broken = s->missing = true;
		s->end = (struct evlog_place){ .segment = s->segments, .off = 0 };
	}
	s->segments++;
	if (!s->broken) {
		rc = follow(s, number, fd, size, err);
		from = s->end.off + 1;
	}
	if (rc == RV_OK && s->broken)
		rc = search(s, number, fd, size, from, err);
	if (rc < 0 && rc != RV_EDAMAGED && err && err->code != rc)
		rv_err_set(err, rc, "%s/log/%s: %s", s->path, name, rv_status_text(rc));
	s->info.complete = s->ended;
	return rc;
}
