/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/bytes.h"
#include "replay/replay.h"

struct base_digest {
	uint64_t block;
	uint64_t digest;
	uint32_t disk;
};

struct base_digests {
	struct base_digest *row; /* by disk, then block */
	size_t n, cap;
};

static int row_compare(const void *a, const void *b)
{
	const struct base_digest *x = a, *y = b;
	if (x->disk != y->disk)
		return x->disk < y->disk ? -1 : 1;
	return x->block < y->block ? -1 : x->block > y->block;
}

static int rows_add(struct base_digests *b, const struct evlog_record *rec)
{
	uint64_t block;
	size_t n;
	if (rec->len < 16 || rec->len % 8 || rec->instance >= DISKS_MAX)
		return RV_EDAMAGED;
	block = le64_get(rec->data);
	n = rec->len / 8 - 1;
	if (b->cap - b->n < n) {
		size_t cap = (b->cap + n) * 2;
		struct base_digest *row = realloc(b->row, cap * sizeof(*row));
		if (!row)
			return RV_ENOMEM;
		b->row = row;
		b->cap = cap;
	}
	for (size_t i = 0; i < n; i++)
		b->row[b->n++] = (struct base_digest){ .disk = rec->instance,
						       .block = block + i,
						       .digest = le64_get(rec->data + 8 + 8 * i) };
	return RV_OK;
}

int base_digests_create(struct base_digests **out, struct evlog_reader *reader, struct rv_err *err)
{
	struct base_digests *b = calloc(1, sizeof(*b));
	struct evlog_record rec;
	int rc = b ? RV_OK : RV_ENOMEM, more = 1;
	/* Few traces have any, and then there is no need to read the log twice. */
	if (b && !evlog_reader_info(reader)->count[EVLOG_BASE])
		more = 0;
	while (rc == RV_OK && more) {
		more = evlog_reader_next(reader, &rec, err);
		if (more < 0)
			rc = more;
		else if (more && rec.kind == EVLOG_BASE)
			rc = rows_add(b, &rec);
	}
	evlog_reader_rewind(reader);
	if (rc != RV_OK) {
		base_digests_destroy(b);
		return more < 0 ? rc : rv_err_set(err, rc, "the digests of the disks' bases: %s",
						  rv_status_text(rc));
	}
	if (b->n)
		qsort(b->row, b->n, sizeof(*b->row), row_compare);
	*out = b;
	return RV_OK;
}

void base_digests_destroy(struct base_digests *b)
{
	if (b)
		free(b->row);
	free(b);
}

int base_digests_check(void *base_digests, unsigned disk, uint64_t block, uint32_t nblocks,
		       const uint8_t *data)
{
	const struct base_digests *b = base_digests;
	for (uint32_t i = 0; i < nblocks; i++) {
		const struct base_digest key = { .disk = disk, .block = block + i };
		const struct base_digest *found =
			b->n ? bsearch(&key, b->row, b->n, sizeof(*b->row), row_compare) : NULL;
		/* Not found: an incomplete log may end before the record; the state digests go on from there. */
		if (found && found->digest != digest_bytes(data + (size_t)i * DISK_BLOCK, DISK_BLOCK, 0).lo)
			return RV_ECHANGED;
	}
	return RV_OK;
}
