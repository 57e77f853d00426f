/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evlog_scan.h"
#include "trace_priv.h"

struct evlog_reader {
	struct evlog_source source; /* first: the source is the reader */
	const struct trace *trace; /* borrowed */
	struct evlog_scan scan;    /* id, end and counts; its buffer and batch serve next() as well */
	/* The chunk in scan.batch. */
	size_t entry, payload; /* next entry and its payload's position */
	/* The chunk after it. */
	struct evlog_place place;
	uint64_t number;
	uint32_t prev_crc;
	bool anchored; /* as in the scan */
	int fd; /* of place.segment, or -1 */
	uint64_t size;
};

static int reader_open_segment(struct evlog_reader *r, uint32_t number, int *fd, uint64_t *size,
			       struct rv_err *err)
{
	char name[SEGMENT_NAME_MAX];
	int rc;
	segment_name(number, name);
	*fd = fd_open_regular(trace_log_dir(r->trace), name, size, &rc);
	if (*fd < 0)
		return rv_err_set(err, rc, "%s/log/%s: %s", trace_path(r->trace), name,
				  rv_status_text(rc));
	return RV_OK;
}

static int reader_scan(struct evlog_reader *r, struct rv_err *err)
{
	uint32_t *list = NULL;
	size_t n = 0;
	int rc = trace_list(trace_log_dir(r->trace), segment_parse, &list, &n);

	if (rc != RV_OK)
		return rv_err_set(err, rc, "%s/log: %s", trace_path(r->trace), rv_status_text(rc));
	for (size_t i = 0; rc == RV_OK && i < n; i++) {
		uint64_t size = 0;
		int fd;
		/* Left over from before the begin: a flight recorder was killed as it removed them. */
		if (list[i] < r->scan.info.start.segment)
			continue;
		rc = reader_open_segment(r, list[i], &fd, &size, err);
		if (rc != RV_OK)
			break;
		rc = evlog_scan_segment(&r->scan, list[i], fd, size, err);
		close(fd);
	}
	free(list);
	return rc;
}

int evlog_reader_open(struct evlog_reader **out, const struct trace *t, struct rv_err *err)
{
	struct evlog_reader *r = calloc(1, sizeof(*r));
	struct rv_err local = { 0 };
	struct trace_start start;
	int rc;

	err = err ? err : &local;
	err->code = RV_OK;
	if (!r)
		return rv_err_set(err, RV_ENOMEM, "%s", rv_status_text(RV_ENOMEM));
	r->trace = t;
	r->fd = -1;
	rc = trace_find_start(t, &start, err);
	if (rc == RV_OK) {
		evlog_scan_init(&r->scan, trace_path(t), trace_manifest(t)->id, &start);
		rc = reader_scan(r, err);
	}
	if (rc != RV_OK) {
		evlog_reader_close(r);
		return rc;
	}
	evlog_reader_rewind(r);
	*out = r;
	return RV_OK;
}

void evlog_reader_close(struct evlog_reader *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	evlog_scan_fini(&r->scan);
	free(r);
}

const struct evlog_info *evlog_reader_info(const struct evlog_reader *r)
{
	return &r->scan.info;
}

void evlog_reader_rewind(struct evlog_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->place = (struct evlog_place){ r->scan.info.start.segment, 0 };
	r->number = 0;
	r->prev_crc = 0;
	r->anchored = !r->scan.info.start.from_ckpt;
	evlog_batch_clear(&r->scan.batch);
	r->entry = r->payload = 0;
}

/* Loads the next chunk into the batch: 1, 0 at the end of the valid log, or a negative code. */
static int reader_load(struct evlog_reader *r, struct rv_err *err)
{
	char name[SEGMENT_NAME_MAX];
	struct evlog_header h;
	int rc;

	for (;;) {
		if (r->place.segment > r->scan.end.segment ||
		    (r->place.segment == r->scan.end.segment && r->place.off >= r->scan.end.off))
			return 0;
		if (r->fd < 0) {
			rc = reader_open_segment(r, r->place.segment, &r->fd, &r->size, err);
			if (rc != RV_OK)
				return rc;
		}
		if (r->place.off < r->size)
			break;
		close(r->fd);
		r->fd = -1;
		r->place = (struct evlog_place){ r->place.segment + 1, 0 };
	}
	rc = evlog_chunk_read(r->fd, r->size, r->place.off, &r->scan.buf, &h);
	if (rc > 0 && !r->anchored) {
		r->number = h.number;
		r->prev_crc = h.prev_crc;
		r->anchored = true;
	}
	/* The scan found it valid: it must still be the same. */
	if (rc > 0 && (memcmp(h.id, r->scan.id, sizeof(h.id)) != 0 || h.number != r->number ||
		       h.prev_crc != r->prev_crc))
		rc = 0;
	if (rc > 0)
		rc = evlog_chunk_decode(&h, r->scan.buf.data + EVLOG_HEADER_SIZE, &r->scan.batch);
	else if (rc == 0)
		rc = RV_EDAMAGED;
	if (rc != RV_OK) {
		segment_name(r->place.segment, name);
		return rv_err_set(err, rc, "%s/log/%s: chunk %llu at offset %llu: %s",
				  trace_path(r->trace), name, (unsigned long long)r->number,
				  (unsigned long long)r->place.off,
				  rc == RV_EDAMAGED ? "changed since it was opened" :
						      rv_status_text(rc));
	}
	r->place.off += EVLOG_HEADER_SIZE + h.stored_len;
	r->number++;
	r->prev_crc = h.crc;
	r->entry = r->payload = 0;
	return 1;
}

int evlog_reader_next(struct evlog_reader *r, struct evlog_record *rec, struct rv_err *err)
{
	const struct evlog_entry *e;

	while (r->entry >= r->scan.batch.n) {
		int rc = reader_load(r, err);
		if (rc <= 0)
			return rc;
	}
	e = &r->scan.batch.entry[r->entry++];
	*rec = (struct evlog_record){
		.at = { e->icount, e->seq },
		.kind = e->kind,
		.instance = e->instance,
		.in_halt = e->in_halt,
		.vns = e->vns,
		.data = e->len ? r->scan.batch.payload.data + r->payload : NULL,
		.len = e->len,
	};
	r->payload += e->len;
	return 1;
}

static int source_next(struct evlog_source *s, bool wait, icount_t at, struct evlog_record *rec,
		       struct rv_err *err)
{
	(void)wait;
	(void)at;
	return evlog_reader_next((struct evlog_reader *)s, rec, err);
}

static icount_t source_known(struct evlog_source *s)
{
	return ((struct evlog_reader *)s)->scan.info.last.icount;
}

static const struct evlog_source_ops reader_source_ops = { .next = source_next, .known = source_known };

struct evlog_source *evlog_reader_source(struct evlog_reader *r)
{
	r->source = (struct evlog_source){ .ops = &reader_source_ops, .start = r->scan.info.start };
	return &r->source;
}
