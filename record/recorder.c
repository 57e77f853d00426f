/* SPDX-License-Identifier: Apache-2.0 */
#include "record/recorder.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cpu/state.h"

struct recorder {
	struct nondet nondet; /* first: the port the machine sees is the recorder */
	struct output output;
	struct nondet *inner;
	struct output *inner_out;
	struct evlog_sink *log;
	struct output_digest sent;
	struct base_seen {
		uint64_t *bits; /* one a block of the base */
		uint64_t nblocks;
	} seen[DISKS_MAX];
};

static struct recorder *from_nondet(struct nondet *nd)
{
	return (struct recorder *)((char *)nd - offsetof(struct recorder, nondet));
}

static struct recorder *from_output(struct output *out)
{
	return (struct recorder *)((char *)out - offsetof(struct recorder, output));
}

static int recorder_next(struct nondet *nd, const struct nd_query *query, struct nd_event *ev)
{
	struct recorder *r = from_nondet(nd);
	struct evlog_record rec;
	/* A run that cannot be logged any more ends here: it could not be replayed. */
	int rc = r->log->ops->reached(r->log, query->icount);

	if (rc == RV_OK)
		rc = nondet_next(r->inner, query, ev);
	if (rc <= 0)
		return rc;
	rec = (struct evlog_record){
		.at = { query->icount, query->seq },
		.kind = ev->kind,
		.instance = ev->instance,
		.in_halt = ev->in_halt,
		.vns = ev->in_halt ? ev->vns : 0,
		.data = ev->data,
		.len = ev->len,
	};
	rc = evlog_append(r->log, &rec);
	return rc < 0 ? rc : 1;
}

static icount_t recorder_horizon(struct nondet *nd, icount_t icount)
{
	return nondet_horizon(from_nondet(nd)->inner, icount);
}

static void recorder_emit(struct output *out, icount_t icount, enum out_kind kind, unsigned instance,
			  const void *data, size_t len)
{
	struct recorder *r = from_output(out);
	output_digest_add(&r->sent, icount, kind, instance, data, len);
	output_emit(r->inner_out, icount, kind, instance, data, len);
}

static const struct nondet_ops recorder_nondet_ops = {
	.next = recorder_next,
	.horizon = recorder_horizon,
};

static const struct output_ops recorder_output_ops = {
	.emit = recorder_emit,
};

int recorder_create(struct recorder **out, struct nondet *inner, struct output *inner_out,
		    struct evlog_sink *log)
{
	struct recorder *r = calloc(1, sizeof(*r));
	if (!r)
		return RV_ENOMEM;
	r->nondet.ops = &recorder_nondet_ops;
	r->output.ops = &recorder_output_ops;
	r->inner = inner;
	r->inner_out = inner_out;
	r->log = log;
	*out = r;
	return RV_OK;
}

void recorder_resume(struct recorder *r, const struct output_digest *sent)
{
	r->sent = *sent;
}

void recorder_destroy(struct recorder *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < DISKS_MAX; i++)
		free(r->seen[i].bits);
	free(r);
}

/* ---- what was read from the disks' bases ---- */

static int base_seen_grow(struct base_seen *s, uint64_t nblocks)
{
	uint64_t words = (nblocks + 63) / 64, had = (s->nblocks + 63) / 64;
	uint64_t *bits;
	if (words <= had)
		return RV_OK;
	words *= 2;
	bits = realloc(s->bits, words * sizeof(*bits));
	if (!bits)
		return RV_ENOMEM;
	memset(bits + had, 0, (words - had) * sizeof(*bits));
	s->bits = bits;
	s->nblocks = words * 64;
	return RV_OK;
}

/* True, once for each block. */
static bool base_seen_first(struct base_seen *s, uint64_t block)
{
	uint64_t bit = 1ull << block % 64;
	bool first = !(s->bits[block / 64] & bit);
	s->bits[block / 64] |= bit;
	return first;
}

int recorder_base_read(struct recorder *r, struct exec_point at, unsigned disk, uint64_t block,
		       uint32_t nblocks, const uint8_t *data)
{
	struct base_seen *s = &r->seen[disk];
	uint8_t payload[8 + 8 * DISK_IO_BLOCKS];
	int rc = base_seen_grow(s, block + nblocks);
	for (uint32_t i = 0; rc == RV_OK && i < nblocks;) {
		struct evlog_record rec = { .at = at, .kind = EVLOG_BASE, .instance = disk, .data = payload };
		uint32_t n = 0;
		/* One record a run of blocks that are new. */
		le64_put(payload, block + i);
		for (; i < nblocks && n < DISK_IO_BLOCKS && base_seen_first(s, block + i); i++, n++)
			le64_put(payload + 8 + 8 * n,
				 digest_bytes(data + (size_t)i * DISK_BLOCK, DISK_BLOCK, 0).lo);
		rec.len = 8 + 8 * n;
		if (n)
			rc = evlog_append(r->log, &rec);
		else
			i++;
	}
	return rc;
}

int recorder_base_data(struct recorder *r, struct exec_point at, unsigned disk, uint64_t block,
		       uint32_t nblocks, const uint8_t *data)
{
	struct base_seen *s = &r->seen[disk];
	uint8_t payload[8 + EVLOG_DATA_BLOCKS * DISK_BLOCK];
	int rc = base_seen_grow(s, block + nblocks);
	for (uint32_t i = 0; rc == RV_OK && i < nblocks;) {
		struct evlog_record rec = { .at = at, .kind = EVLOG_DATA, .instance = disk, .data = payload };
		uint32_t n = 0;
		le64_put(payload, block + i);
		for (; i < nblocks && n < EVLOG_DATA_BLOCKS && base_seen_first(s, block + i); i++, n++)
			memcpy(payload + 8 + (size_t)n * DISK_BLOCK, data + (size_t)i * DISK_BLOCK, DISK_BLOCK);
		rec.len = 8 + n * DISK_BLOCK;
		if (n)
			rc = evlog_append(r->log, &rec);
		else
			i++;
	}
	return rc;
}

void recorder_base_forget(struct recorder *r)
{
	for (unsigned i = 0; i < DISKS_MAX; i++)
		if (r->seen[i].bits)
			memset(r->seen[i].bits, 0, r->seen[i].nblocks / 8);
}

struct nondet *recorder_nondet(struct recorder *r)
{
	return &r->nondet;
}

struct output *recorder_output(struct recorder *r)
{
	return &r->output;
}

const struct output_digest *recorder_sent(const struct recorder *r)
{
	return &r->sent;
}

void recorder_digest_fill(struct machine *m, const struct output_digest *out, struct evlog_digest *d)
{
	struct cpu_state s;
	machine_cpu_state(m, 0, &s);
	d->state = machine_digest(m);
	d->output = out->sum;
	d->vns = machine_vns(m);
	d->rip = s.rip;
	d->rflags = s.rflags;
	d->cr3 = s.cr3;
	for (unsigned i = 0; i < 16; i++)
		d->gpr[i] = s.gpr[i];
}

#define NOTE_MAX 200u

int recorder_note(struct recorder *r, struct machine *m, const char *text)
{
	uint8_t printable[NOTE_MAX];
	struct evlog_record rec = { .at = { machine_icount(m), machine_seq(m) },
				    .kind = EVLOG_MARK,
				    .data = printable };
	for (; text[rec.len] && rec.len < NOTE_MAX; rec.len++)
		printable[rec.len] = (uint8_t)(text[rec.len] < ' ' || text[rec.len] > '~' ? '?' : text[rec.len]);
	return evlog_append(r->log, &rec);
}

int recorder_mark(void *recorder, struct machine *m)
{
	struct recorder *r = recorder;
	struct evlog_digest d;
	uint8_t payload[192];
	struct evlog_record rec = {
		.at = { machine_icount(m), machine_seq(m) },
		.kind = EVLOG_DIGEST,
		.data = payload,
	};
	recorder_digest_fill(m, &r->sent, &d);
	evlog_digest_encode(&d, payload, &rec.len);
	return evlog_append(r->log, &rec);
}

int recorder_end(struct recorder *r, struct machine *m, const struct machine_result *result)
{
	struct evlog_end e = { .end = (uint32_t)result->end, .code = result->code };
	uint8_t payload[224];
	struct evlog_record rec = {
		.at = { machine_icount(m), machine_seq(m) },
		.kind = EVLOG_END,
		.data = payload,
	};
	recorder_digest_fill(m, &r->sent, &e.final);
	evlog_end_encode(&e, payload, &rec.len);
	return evlog_append(r->log, &rec);
}
