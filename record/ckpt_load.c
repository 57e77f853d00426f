/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading recorded checkpoints. Each file is read once as a whole and
 * checked; its page contents are read again from their place when they are
 * wanted. Files are numbered from 0 without a gap; each names the CRC of the
 * one before, so none can be exchanged unnoticed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ckpt_file.h"

struct loading {
	struct ckpt_store *store;
	const struct trace *trace;
	int dir;               /* the pool's */
	struct trace_start start;
	uint32_t first;        /* number of the first file */
	struct page_node *ram; /* as of the last file */
	uint32_t prev_crc;
	struct exec_point prev;
};

static int load_damaged(struct rv_err *err, const struct trace *t, const char *name, const char *why)
{
	return rv_err_set(err, RV_EDAMAGED, "%s/" CKPT_DIR "/%s: %s", trace_path(t), name, why);
}

/* The header's own consistency, before any length in it is used. */
static const char *header_fault(const uint8_t *h, uint64_t size, const struct loading *l,
				uint32_t number)
{
	uint32_t crc;
	if (size < CKPT_HEADER || memcmp(h, CKPT_MAGIC, 8) != 0 ||
	    le32_get(h + CKPT_AT_VERSION) == 0 || le32_get(h + CKPT_AT_FLAGS) > CKPT_FLAG_FULL)
		return "not a checkpoint";
	if (le64_get(h + CKPT_AT_LENGTH) != size)
		return "truncated";
	crc = crc32c(0, h + CKPT_HEADER, size - CKPT_HEADER);
	crc = ckpt_crc(crc, h);
	if (crc != le32_get(h + CKPT_AT_CRC))
		return "checksum mismatch";
	if (memcmp(h + CKPT_AT_ID, trace_manifest(l->trace)->id, 16) != 0)
		return "belongs to another trace";
	if (le64_get(h + CKPT_AT_NUMBER) != number)
		return "has the number of another checkpoint";
	if (number == l->first && l->start.from_ckpt) {
		if (!(le32_get(h + CKPT_AT_FLAGS) & CKPT_FLAG_FULL) ||
		    le64_get(h + CKPT_AT_ICOUNT) != l->start.at.icount ||
		    le64_get(h + CKPT_AT_SEQ) != l->start.at.seq)
			return "is not the one that the log begins with";
	} else if (le32_get(h + CKPT_AT_PREV_CRC) != l->prev_crc ||
		   (number && le64_get(h + CKPT_AT_ICOUNT) <= l->prev.icount)) {
		return "does not follow the checkpoint before";
	}
	return NULL;
}

static bool load_state(const uint8_t *h, uint64_t size, struct ckpt *c, uint64_t *pos)
{
	uint32_t stored = le32_get(h + CKPT_AT_STATE_STORED), raw = le32_get(h + CKPT_AT_STATE_RAW);
	/* The second bound also keeps the length within LZ4's int. */
	if (raw > CKPT_STATE_MAX || stored > LZ4_COMPRESSBOUND(CKPT_STATE_MAX) ||
	    stored > size - CKPT_HEADER)
		return false;
	c->state.data = malloc(raw ? raw : 1);
	if (!c->state.data)
		return false;
	c->state.len = c->state.cap = raw;
	*pos = CKPT_HEADER + stored;
	return LZ4_decompress_safe((const char *)h + CKPT_HEADER, (char *)c->state.data, (int)stored,
				   (int)raw) == (int)raw;
}

/* The contents of one entry; NULL: malformed. */
static struct page_blob *load_blob(struct loading *l, const uint8_t *h, uint32_t number, uint64_t pos,
				   uint32_t len)
{
	struct digest128 key = { le64_get(h + pos + 12), le64_get(h + pos + 20) };
	if (len == CKPT_SAME)
		return page_blob_known(l->store->pool, key);
	return page_blob_filed(l->store->pool, number, pos + CKPT_ENTRY, len, key);
}

static bool load_pages(struct loading *l, const uint8_t *h, uint64_t size, uint32_t number, uint64_t pos)
{
	uint64_t n = le64_get(h + CKPT_AT_PAGES), most = mem_pages(machine_mem(l->store->machine));
	for (uint64_t i = 0; i < n; i++) {
		uint64_t page;
		uint32_t len, stored;
		struct page_blob *b = NULL;
		if (size - pos < CKPT_ENTRY)
			return false;
		page = le64_get(h + pos);
		len = le32_get(h + pos + 8);
		stored = len == CKPT_SAME ? 0 : len;
		if (page >= most || stored > RV_PAGE_SIZE || stored > size - pos - CKPT_ENTRY)
			return false;
		if (len && !(b = load_blob(l, h, number, pos, len)))
			return false;
		if (!page_tree_set(l->store->pool, &l->ram, page, b)) {
			page_blob_release(l->store->pool, b);
			return false;
		}
		pos += CKPT_ENTRY + stored;
	}
	return pos == size;
}

static int load_read(struct loading *l, const uint8_t *h, uint64_t size, uint32_t number,
		       const char *name, struct ckpt **out, struct rv_err *err)
{
	const char *why = header_fault(h, size, l, number);
	struct ckpt *c;
	uint64_t pos = 0;
	if (why)
		return load_damaged(err, l->trace, name, why);
	if (le32_get(h + CKPT_AT_VERSION) != CKPT_VERSION)
		return rv_err_set(err, RV_EVERSION, "%s/" CKPT_DIR "/%s: made by %s version",
				  trace_path(l->trace), name,
				  le32_get(h + CKPT_AT_VERSION) > CKPT_VERSION ? "a later" : "an earlier");
	/* A full one holds all pages that are not zeros: whatever came before is no part of it. */
	if (le32_get(h + CKPT_AT_FLAGS) & CKPT_FLAG_FULL) {
		page_tree_release(l->store->pool, l->ram);
		l->ram = NULL;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return rv_err_set(err, RV_ENOMEM, "out of memory for checkpoints");
	c->refs = 1;
	c->info.at.icount = le64_get(h + CKPT_AT_ICOUNT);
	c->info.at.seq = le64_get(h + CKPT_AT_SEQ);
	c->info.vns = le64_get(h + CKPT_AT_VNS);
	c->info.on_disk = true;
	c->info.bytes = size;
	c->extra.sum.lo = le64_get(h + CKPT_AT_OUT_LO);
	c->extra.sum.hi = le64_get(h + CKPT_AT_OUT_HI);
	c->extra.bytes = le64_get(h + CKPT_AT_OUT_BYTES);
	if (!load_state(h, size, c, &pos) || !load_pages(l, h, size, number, pos)) {
		bytes_fini(&c->state);
		free(c);
		return load_damaged(err, l->trace, name, "malformed contents");
	}
	l->store->state_bytes += c->state.len;
	c->ram = page_tree_ref(l->ram);
	l->prev_crc = le32_get(h + CKPT_AT_CRC);
	l->prev = c->info.at;
	*out = c;
	return RV_OK;
}

/* No well-formed file is longer. */
static uint64_t load_size_max(const struct loading *l)
{
	return CKPT_HEADER + LZ4_COMPRESSBOUND(CKPT_STATE_MAX) +
	       mem_pages(machine_mem(l->store->machine)) * (CKPT_ENTRY + RV_PAGE_SIZE);
}

/* 1: loaded, 0: there is no file of this number. */
static int load_file(struct loading *l, uint32_t number, struct ckpt **out, struct rv_err *err)
{
	char name[16];
	uint64_t size;
	uint8_t *data;
	int fd, rc;
	ckpt_file_name(name, number);
	fd = fd_open_regular(l->dir, name, &size, &rc);
	if (fd < 0 && rc == RV_ENOENT)
		return 0;
	if (fd < 0)
		return rv_err_set(err, rc, "%s/" CKPT_DIR "/%s: %s", trace_path(l->trace), name,
				  rv_status_text(rc));
	if (size < CKPT_HEADER || size > load_size_max(l)) {
		close(fd);
		return load_damaged(err, l->trace, name,
				    size < CKPT_HEADER ? "truncated" : "malformed contents");
	}
	data = malloc(size);
	rc = data ? fd_read_at(fd, data, size, 0) : RV_ENOMEM;
	close(fd);
	if (rc == RV_OK)
		rc = load_read(l, data, size, number, name, out, err);
	else if (rc == RV_EEND)
		rc = load_damaged(err, l->trace, name, "truncated");
	else
		rv_err_set(err, rc, "%s/" CKPT_DIR "/%s: %s", trace_path(l->trace), name,
			   rv_status_text(rc));
	free(data);
	return rc == RV_OK ? 1 : rc;
}

/* The list ended before file `number`: is it the last one's successor, or is it missing? */
static void load_warn_missing(const struct loading *l, uint32_t number)
{
	int fd = openat(l->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool missing = false;
	char name[16];
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (!missing && (entry = readdir(d))) {
		unsigned n;
		char rest[8];
		missing = sscanf(entry->d_name, "%9u.%7s", &n, rest) == 2 && !strcmp(rest, "rvc") &&
			  n > number;
	}
	closedir(d);
	ckpt_file_name(name, number);
	if (missing)
		rv_log(RV_LOG_WARN,
		       "%s/" CKPT_DIR "/%s is missing: the checkpoints behind it are not used",
		       trace_path(l->trace), name);
}

int ckpt_load_all(struct ckpt_store *s, const struct trace *t, struct exec_point last,
		  struct ckpt ***out, size_t *n, struct rv_err *err)
{
	struct loading l = { .store = s, .trace = t };
	struct ckpt **list = NULL;
	size_t count = 0;
	int rc;

	*out = NULL;
	*n = 0;
	l.dir = trace_ckpt_dir(t, &rc);
	if (rc == RV_ENOENT)
		return RV_OK;
	if (rc != RV_OK)
		return rv_err_set(err, rc, "%s/" CKPT_DIR ": %s", trace_path(t), rv_status_text(rc));
	page_pool_set_dir(s->pool, l.dir, ckpt_file_name);
	rc = trace_find_start(t, &l.start, err);
	if (rc != RV_OK)
		return rc;
	l.first = l.start.ckpt;
	for (uint32_t number = l.first;; number++) {
		struct ckpt *c = NULL, **p;
		rc = load_file(&l, number, &c, err);
		if (rc == 0)
			load_warn_missing(&l, number);
		if (rc <= 0)
			break;
		if (c->info.at.icount > last.icount) {
			/* Published, but the log behind it was lost: nothing leads there. */
			ckpt_release(s, c);
			rc = RV_OK;
			break;
		}
		p = realloc(list, (count + 1) * sizeof(struct ckpt *));
		if (!p) {
			ckpt_release(s, c);
			rc = rv_err_set(err, RV_ENOMEM, "out of memory for checkpoints");
			break;
		}
		list = p;
		list[count++] = c;
	}
	page_tree_release(s->pool, l.ram);
	if (rc != RV_OK) {
		while (count)
			ckpt_release(s, list[--count]);
		free(list);
		return rc;
	}
	*out = list;
	*n = count;
	return RV_OK;
}
