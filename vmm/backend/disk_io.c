/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a disk hold: the base, the block log, the before-images.
 * Nothing here knows of threads or of the guest.
 */
#include "disk_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/digest.h"

/* No file is longer: keeps offsets from wrapping when a damaged trace names one. */
#define BLOCK_MAX (1ull << 50)

int disk_files_temporary(void)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir && *dir ? dir : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		char name[] = "/tmp/retrovisor-disk-XXXXXX";
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			unlink(name);
	}
	return fd;
}

/* Reads len bytes; how many there were is in *got. */
static int read_at(int fd, uint8_t *data, size_t len, uint64_t off, size_t *got)
{
	*got = 0;
	while (*got < len) {
		ssize_t n = pread(fd, data + *got, len - *got, (off_t)(off + *got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return RV_EIO;
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return RV_OK;
}

static int write_at(int fd, const uint8_t *data, size_t len, uint64_t off)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == ENOSPC ? RV_ENOSPC : RV_EIO;
		data += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return RV_OK;
}

/* ---- base ---- */

static const struct disk_before_row *before_find(const struct disk_files *f, uint64_t block)
{
	size_t lo = 0, hi = f->nrows;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (f->row[mid].block < block)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->nrows && f->row[lo].block == block ? &f->row[lo] : NULL;
}

/* Bytes behind the end of the base read as zeros. */
static int base_read_plain(const struct disk_files *f, uint64_t block, uint32_t n, uint8_t *data)
{
	size_t len = (size_t)n * DISK_BLOCK, got;
	uint64_t off = block * DISK_BLOCK;
	size_t there = off >= f->size ? 0 : f->size - off < len ? (size_t)(f->size - off) : len;
	int rc = read_at(f->base, data, there, off, &got);
	if (rc == RV_OK && got < there)
		rc = RV_EIO; /* it was longer when it was opened */
	memset(data + there, 0, len - there);
	return rc;
}

static int base_read(const struct disk_files *f, uint64_t block, uint32_t n, uint8_t *data)
{
	size_t got;
	int rc;
	if (f->supply && disk_supply_wait(f->supply, block, n)) {
		rc = read_at(f->supply->cache, data, (size_t)n * DISK_BLOCK, block * DISK_BLOCK, &got);
		return rc == RV_OK && got != (size_t)n * DISK_BLOCK ? RV_EIO : rc;
	}
	rc = base_read_plain(f, block, n, data);
	for (uint32_t i = 0; rc == RV_OK && f->nrows && i < n; i++) {
		const struct disk_before_row *r = before_find(f, block + i);
		if (!r)
			continue;
		rc = read_at(f->before, data + (size_t)i * DISK_BLOCK, DISK_BLOCK,
			     r->entry * BEFORE_ENTRY + 8, &got);
		if (rc == RV_OK && got < DISK_BLOCK)
			rc = RV_EDAMAGED;
	}
	return rc;
}

static int before_save(struct disk_files *f, uint64_t block)
{
	uint8_t entry[BEFORE_ENTRY];
	int rc;
	if (f->before < 0 || (f->saved[block / 8] >> block % 8 & 1))
		return RV_OK;
	le64_put(entry, block);
	rc = base_read_plain(f, block, 1, entry + 8);
	if (rc == RV_OK)
		rc = write_at(f->before, entry, sizeof(entry), f->before_entries * BEFORE_ENTRY);
	if (rc != RV_OK)
		return rc;
	f->before_entries++;
	f->saved[block / 8] |= (uint8_t)(1u << block % 8);
	return RV_OK;
}

/* data NULL: zeros. The before-images go first: written, if not synced, and a flush syncs in this order. */
static int base_write(struct disk_files *f, uint64_t block, uint32_t n, const uint8_t *data)
{
	static const uint8_t zeros[DISK_BLOCK];
	int rc = RV_OK;
	for (uint32_t i = 0; rc == RV_OK && i < n; i++)
		rc = before_save(f, block + i);
	for (uint32_t i = 0; rc == RV_OK && i < n; i++) {
		uint64_t off = (block + i) * DISK_BLOCK;
		size_t len = off >= f->size ? 0 : f->size - off < DISK_BLOCK ? (size_t)(f->size - off) : DISK_BLOCK;
		rc = write_at(f->base, data ? data + (size_t)i * DISK_BLOCK : zeros, len, off);
	}
	return rc;
}

static int row_compare(const void *a, const void *b)
{
	const struct disk_before_row *x = a, *y = b;
	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->entry < y->entry ? -1 : x->entry > y->entry;
}

int disk_files_before_load(struct disk_files *f)
{
	struct stat st;
	uint8_t raw[8];
	uint64_t n;
	size_t got;
	if (fstat(f->before, &st) < 0)
		return RV_EIO;
	n = (uint64_t)st.st_size / BEFORE_ENTRY; /* a torn last one was never acted upon */
	f->row = calloc(n ? n : 1, sizeof(*f->row));
	if (!f->row)
		return RV_ENOMEM;
	for (uint64_t i = 0; i < n; i++) {
		int rc = read_at(f->before, raw, sizeof(raw), i * BEFORE_ENTRY, &got);
		if (rc != RV_OK || got < sizeof(raw))
			return RV_EDAMAGED;
		f->row[f->nrows++] = (struct disk_before_row){ le64_get(raw), i };
	}
	qsort(f->row, f->nrows, sizeof(*f->row), row_compare);
	return RV_OK;
}

/* ---- block log ---- */

static bool log_is_own(const struct disk_files *f, uint64_t block)
{
	return !f->own || (block < f->own_blocks && (f->own[block / 8] >> block % 8 & 1));
}

static int log_note(struct disk_files *f, uint64_t block, uint32_t n)
{
	if (!f->own)
		return RV_OK;
	if (block + n > f->own_blocks) {
		uint64_t had = f->own_blocks / 8, want = (block + n) / 8 * 2 + 4096;
		uint8_t *own = realloc(f->own, want);
		if (!own)
			return RV_ENOMEM;
		memset(own + had, 0, want - had);
		f->own = own;
		f->own_blocks = want * 8;
	}
	for (uint32_t i = 0; i < n; i++)
		f->own[(block + i) / 8] |= (uint8_t)(1u << (block + i) % 8);
	return RV_OK;
}

static int log_read(const struct disk_files *f, uint64_t block, uint32_t n, uint8_t *data)
{
	if (block > BLOCK_MAX)
		return RV_EDAMAGED;
	while (n) {
		const bool own = log_is_own(f, block);
		uint32_t run = 1;
		size_t got;
		int rc;
		while (run < n && log_is_own(f, block + run) == own)
			run++;
		if (!own && f->old_log < 0)
			return RV_EDAMAGED;
		rc = read_at(own ? f->log : f->old_log, data, (size_t)run * DISK_BLOCK, block * DISK_BLOCK,
			     &got);
		if (rc != RV_OK)
			return rc;
		if (got < (size_t)run * DISK_BLOCK)
			return own ? RV_EIO : RV_EDAMAGED;
		data += (size_t)run * DISK_BLOCK;
		block += run;
		n -= run;
	}
	return RV_OK;
}

/* ---- requests ---- */

static int extent_read(const struct disk_files *f, const struct disk_extent *s, uint8_t *data)
{
	switch (s->place) {
	case DISK_BASE:
		return base_read(f, s->block, s->nblocks, data);
	case DISK_LOG:
		return log_read(f, s->block, s->nblocks, data);
	default:
		memset(data, 0, (size_t)s->nblocks * DISK_BLOCK);
		return RV_OK;
	}
}

/* Block `at` of data gets the contents of the edge where the guest wrote nothing. */
static void edge_merge(struct disk_io *io, uint32_t at, const uint8_t *edge)
{
	uint8_t *block = io->data + (size_t)at * DISK_BLOCK;
	uint64_t start = (uint64_t)at * DISK_BLOCK, end = (uint64_t)io->guest_at + io->guest_len;
	if (io->guest_at > start)
		memcpy(block, edge, io->guest_at - start);
	if (end < start + DISK_BLOCK)
		memcpy(block + (end - start), edge + (end - start), (size_t)(start + DISK_BLOCK - end));
}

static int do_write(struct disk_files *f, struct disk_io *io, uint8_t *edge)
{
	int rc = RV_OK;
	for (unsigned i = 0; rc == RV_OK && i < io->nsrc && i < DISK_EDGES; i++) {
		rc = extent_read(f, &io->src[i], edge + i * DISK_BLOCK);
		if (rc == RV_OK)
			edge_merge(io, io->src[i].at, edge + i * DISK_BLOCK);
	}
	if (rc == RV_OK)
		rc = write_at(f->log, io->data, (size_t)io->nblocks * DISK_BLOCK, io->log * DISK_BLOCK);
	return rc == RV_OK ? log_note(f, io->log, io->nblocks) : rc;
}

int disk_files_commit(struct disk_files *f, const struct disk_io *io)
{
	if (!f->commit || io->op == DISK_READ)
		return RV_OK;
	if (io->op == DISK_FLUSH)
		return (f->before >= 0 && fdatasync(f->before) < 0) || fdatasync(f->base) < 0 ? RV_EIO : RV_OK;
	return base_write(f, io->block, io->nblocks, io->op == DISK_WRITE ? io->data : NULL);
}

int disk_files_do(struct disk_files *f, struct disk_io *io, uint8_t *edge)
{
	int rc = RV_OK;
	switch (io->op) {
	case DISK_READ:
		for (unsigned i = 0; rc == RV_OK && i < io->nsrc; i++)
			rc = extent_read(f, &io->src[i], io->data + (size_t)io->src[i].at * DISK_BLOCK);
		return rc;
	case DISK_WRITE:
		return do_write(f, io, edge);
	case DISK_ZEROES: /* the index says it, and the image below */
	case DISK_FLUSH:
		return RV_OK;
	}
	return RV_EINVAL;
}

/* ---- whole block logs ---- */

static int copy_range(int from, int to, uint64_t off, uint64_t end)
{
	uint8_t buf[16 * DISK_BLOCK];
	int rc = RV_OK;
	while (rc == RV_OK && off < end) {
		size_t want = end - off < sizeof(buf) ? (size_t)(end - off) : sizeof(buf), got;
		rc = read_at(from, buf, want, off, &got);
		if (rc == RV_OK && got == 0)
			break;
		if (rc == RV_OK)
			rc = write_at(to, buf, got, off);
		off += got;
	}
	return rc;
}

int disk_files_copy(int from, int to)
{
	off_t end = lseek(from, 0, SEEK_END), at = 0, data;
	int rc = end < 0 || ftruncate(to, end) < 0 ? RV_EIO : RV_OK;
	while (rc == RV_OK && at < end && (data = lseek(from, at, SEEK_DATA)) >= 0) {
		off_t hole = lseek(from, data, SEEK_HOLE);
		at = hole < 0 ? end : hole;
		rc = copy_range(from, to, (uint64_t)data, (uint64_t)at);
	}
	return rc;
}

/* ---- for a machine that is sent to another host ---- */

int disk_file_log_read(struct disk_file *d, uint64_t block, uint32_t nblocks, uint8_t *data)
{
	const size_t len = (size_t)nblocks * DISK_BLOCK;
	size_t got = 0;
	int rc = read_at(disk_file_files(d)->log, data, len, block * DISK_BLOCK, &got);
	/* Behind its end nothing was written yet: in flight, and begun anew wherever it goes. */
	memset(data + got, 0, len - got);
	return rc;
}

int disk_file_log_write(struct disk_file *d, uint64_t block, uint32_t nblocks, const uint8_t *data)
{
	return write_at(disk_file_files(d)->log, data, (size_t)nblocks * DISK_BLOCK, block * DISK_BLOCK);
}

int disk_file_digests(struct disk_file *d, uint32_t region, struct bytes *out)
{
	const struct disk_files *f = disk_file_files(d);
	uint8_t *data = malloc(region);
	int rc = data ? RV_OK : RV_ENOMEM;
	for (uint64_t at = 0; rc == RV_OK && at < f->size; at += region) {
		size_t n = f->size - at < region ? (size_t)(f->size - at) : region, got = 0;
		rc = read_at(f->base, data, n, at, &got);
		if (rc == RV_OK && got != n)
			rc = RV_EIO;
		if (rc == RV_OK)
			bytes_put_u64(out, digest_bytes(data, n, 0).lo);
	}
	free(data);
	return rc == RV_OK && out->failed ? RV_ENOMEM : rc;
}

int disk_file_base_read(struct disk_file *d, uint64_t at, uint32_t len, uint8_t *data)
{
	size_t got = 0;
	int rc = read_at(disk_file_files(d)->base, data, len, at, &got);
	return rc == RV_OK && got != len ? RV_EIO : rc;
}

int disk_file_base_write(struct disk_file *d, uint64_t at, uint32_t len, const uint8_t *data)
{
	const struct disk_files *f = disk_file_files(d);
	if (!f->commit || at > f->size || len > f->size - at)
		return RV_EINVAL;
	return write_at(f->base, data, len, at);
}

int disk_file_settle(struct disk_file *d, uint64_t block, bool zero, uint64_t log)
{
	struct disk_files *f = disk_file_files(d);
	uint8_t data[DISK_BLOCK] = { 0 };
	int rc = zero ? RV_OK : disk_file_log_read(d, log, 1, data);
	return rc == RV_OK ? base_write(f, block, 1, data) : rc;
}

int disk_file_base_sync(struct disk_file *d)
{
	return fdatasync(disk_file_files(d)->base) < 0 ? RV_EIO : RV_OK;
}
