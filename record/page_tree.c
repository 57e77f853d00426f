/* SPDX-License-Identifier: Apache-2.0 */
#include "page_tree.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "trace_priv.h"

#define FANOUT_BITS 6u
#define FANOUT (1u << FANOUT_BITS)
#define BUCKETS_BITS 16u
#define OPEN_FILES 16u
#define WINDOW (64u << 10) /* bytes of a file read at once: neighbours are mostly wanted together */

struct page_blob {
	struct page_blob *next; /* in its bucket */
	struct digest128 key;
	uint32_t refs;
	uint32_t len; /* RV_PAGE_SIZE: stored as it is */
	bool owned;   /* the contents are in bytes[]; else in a file */
	bool filed;   /* a file says that it holds these contents */
	uint32_t file;
	uint64_t offset;
	uint8_t bytes[];
};

struct page_node {
	uint32_t refs;
	void *child[FANOUT]; /* struct page_node, at the lowest level struct page_blob */
};

struct page_file {
	int fd; /* -1: none */
	uint32_t number;
};

struct page_pool {
	unsigned levels;
	int dir_fd;
	void (*file_name)(char out[16], uint32_t number);
	struct page_file open[OPEN_FILES];
	/* What was read last. */
	uint32_t window_file;
	uint64_t window_at;
	size_t window_len;
	uint8_t window[WINDOW];
	uint64_t bytes;
	struct page_blob *bucket[1u << BUCKETS_BITS];
};

int page_pool_create(struct page_pool **out, uint64_t pages)
{
	struct page_pool *p = calloc(1, sizeof(*p));
	if (!p)
		return RV_ENOMEM;
	p->levels = 1;
	p->dir_fd = -1;
	for (unsigned i = 0; i < OPEN_FILES; i++)
		p->open[i].fd = -1;
	while (pages > 1ull << FANOUT_BITS * p->levels)
		p->levels++;
	*out = p;
	return RV_OK;
}

void page_pool_destroy(struct page_pool *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < OPEN_FILES; i++)
		if (p->open[i].fd >= 0)
			close(p->open[i].fd);
	if (p->dir_fd >= 0)
		close(p->dir_fd);
	free(p);
}

void page_pool_set_dir(struct page_pool *p, int dir_fd, void (*name)(char out[16], uint32_t number))
{
	if (p->dir_fd >= 0)
		close(p->dir_fd);
	p->dir_fd = dir_fd;
	p->file_name = name;
}

uint64_t page_pool_bytes(const struct page_pool *p)
{
	return p->bytes;
}

/* ---- blobs ---- */

static struct page_blob **blob_bucket(struct page_pool *p, struct digest128 key)
{
	return &p->bucket[key.lo >> (64 - BUCKETS_BITS)];
}

static struct page_blob *blob_find(struct page_pool *p, struct digest128 key)
{
	struct page_blob *b = *blob_bucket(p, key);
	while (b && !digest_equal(b->key, key))
		b = b->next;
	if (b)
		b->refs++;
	return b;
}

/* owned: with a copy of data. */
static struct page_blob *blob_add(struct page_pool *p, struct digest128 key, const uint8_t *data,
				  uint32_t len, bool owned)
{
	struct page_blob **slot = blob_bucket(p, key);
	struct page_blob *b = calloc(1, sizeof(*b) + (owned ? len : 0));
	if (!b)
		return NULL;
	b->next = *slot;
	b->key = key;
	b->refs = 1;
	b->len = len;
	b->owned = owned;
	if (owned)
		memcpy(b->bytes, data, len);
	*slot = b;
	p->bytes += sizeof(*b) + (owned ? len : 0);
	return b;
}

struct page_blob *page_blob_make(struct page_pool *p, const uint8_t *contents, bool *zero)
{
	uint8_t lz4[RV_PAGE_SIZE];
	struct digest128 key;
	struct page_blob *b;
	int len;
	*zero = contents[0] == 0 && memcmp(contents, contents + 1, RV_PAGE_SIZE - 1) == 0;
	if (*zero)
		return NULL;
	key = digest_bytes(contents, RV_PAGE_SIZE, 0);
	b = blob_find(p, key);
	if (b)
		return b;
	/* Into less than a page, or not at all. */
	len = LZ4_compress_default((const char *)contents, (char *)lz4, RV_PAGE_SIZE,
				   RV_PAGE_SIZE - 1);
	if (len > 0)
		return blob_add(p, key, lz4, (uint32_t)len, true);
	return blob_add(p, key, contents, RV_PAGE_SIZE, true);
}

struct page_blob *page_blob_filed(struct page_pool *p, uint32_t file, uint64_t offset, uint32_t len,
				  struct digest128 key)
{
	struct page_blob *b = blob_find(p, key);
	if (!b) {
		b = blob_add(p, key, NULL, len, false);
		if (!b)
			return NULL;
		b->file = file;
		b->offset = offset;
	}
	b->filed = true;
	return b;
}

struct page_blob *page_blob_known(struct page_pool *p, struct digest128 key)
{
	struct page_blob *b = blob_find(p, key);
	if (b && !b->filed) {
		page_blob_release(p, b);
		return NULL;
	}
	return b;
}

void page_blob_release(struct page_pool *p, struct page_blob *b)
{
	struct page_blob **slot;
	if (!b || --b->refs)
		return;
	slot = blob_bucket(p, b->key);
	while (*slot != b)
		slot = &(*slot)->next;
	*slot = b->next;
	p->bytes -= sizeof(*b) + (b->owned ? b->len : 0);
	free(b);
}

static int file_open(struct page_pool *p, uint32_t number, int *fd)
{
	struct page_file *f = &p->open[number % OPEN_FILES];
	char name[16];
	uint64_t size;
	int rc = RV_OK;
	if (f->fd >= 0 && f->number != number) {
		close(f->fd);
		f->fd = -1;
	}
	if (f->fd < 0) {
		p->file_name(name, number);
		f->fd = fd_open_regular(p->dir_fd, name, &size, &rc);
		f->number = number;
	}
	*fd = f->fd;
	return rc;
}

/* The blob's stored bytes, good until the next call. */
static int file_bytes(struct page_pool *p, const struct page_blob *b, const uint8_t **out)
{
	bool inside = b->file == p->window_file && b->offset >= p->window_at &&
		      b->offset + b->len <= p->window_at + p->window_len;
	ssize_t n;
	int rc, fd;
	if (!inside) {
		p->window_len = 0;
		rc = file_open(p, b->file, &fd);
		if (rc != RV_OK)
			return rc;
		do
			n = pread(fd, p->window, WINDOW, (off_t)b->offset);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return rv_status_from_errno(errno);
		if ((size_t)n < b->len)
			return RV_EDAMAGED;
		p->window_file = b->file;
		p->window_at = b->offset;
		p->window_len = (size_t)n;
	}
	*out = p->window + (b->offset - p->window_at);
	return RV_OK;
}

int page_blob_read(struct page_pool *p, const struct page_blob *b, uint8_t *out)
{
	const uint8_t *data;
	int rc;
	if (!b) {
		memset(out, 0, RV_PAGE_SIZE);
		return RV_OK;
	}
	data = b->bytes;
	if (!b->owned && (rc = file_bytes(p, b, &data)) != RV_OK)
		return rc;
	if (b->len == RV_PAGE_SIZE)
		memcpy(out, data, RV_PAGE_SIZE);
	else if (LZ4_decompress_safe((const char *)data, (char *)out, (int)b->len, RV_PAGE_SIZE) !=
		 (int)RV_PAGE_SIZE)
		return RV_EDAMAGED;
	/* A file only says what the key of its data is, and pages made here may share it by that key. */
	return b->owned || digest_equal(digest_bytes(out, RV_PAGE_SIZE, 0), b->key) ? RV_OK :
										      RV_EDAMAGED;
}

/* ---- trees ---- */

static unsigned node_index(uint64_t page, unsigned level)
{
	return (unsigned)(page >> FANOUT_BITS * level) & (FANOUT - 1);
}

struct page_node *page_tree_ref(struct page_node *root)
{
	if (root)
		root->refs++;
	return root;
}

static void node_release(struct page_pool *p, struct page_node *n, unsigned level)
{
	if (!n || --n->refs)
		return;
	for (unsigned i = 0; i < FANOUT; i++) {
		if (level)
			node_release(p, n->child[i], level - 1);
		else
			page_blob_release(p, n->child[i]);
	}
	p->bytes -= sizeof(*n);
	free(n);
}

void page_tree_release(struct page_pool *p, struct page_node *root)
{
	node_release(p, root, p->levels - 1);
}

/* A node of our own with the same children, in place of *slot. */
static struct page_node *node_own(struct page_pool *p, struct page_node **slot, unsigned level)
{
	struct page_node *old = *slot, *n;
	if (old && old->refs == 1)
		return old;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	p->bytes += sizeof(*n);
	n->refs = 1;
	if (old) {
		memcpy(n->child, old->child, sizeof(n->child));
		for (unsigned i = 0; i < FANOUT; i++) {
			if (!n->child[i])
				continue;
			if (level)
				((struct page_node *)n->child[i])->refs++;
			else
				((struct page_blob *)n->child[i])->refs++;
		}
		old->refs--;
	}
	*slot = n;
	return n;
}

bool page_tree_set(struct page_pool *p, struct page_node **root, uint64_t page, struct page_blob *b)
{
	struct page_node **slot = root;
	for (unsigned level = p->levels; level-- > 0;) {
		struct page_node *n = node_own(p, slot, level);
		void **child;
		if (!n)
			return false;
		child = &n->child[node_index(page, level)];
		if (level == 0) {
			page_blob_release(p, *child);
			*child = b;
			return true;
		}
		slot = (struct page_node **)child;
	}
	return false;
}

struct page_blob *page_tree_get(const struct page_pool *p, const struct page_node *root, uint64_t page)
{
	const void *at = root;
	for (unsigned level = p->levels; at && level-- > 0;)
		at = ((const struct page_node *)at)->child[node_index(page, level)];
	return (struct page_blob *)at;
}

static void node_diff(const struct page_node *a, const struct page_node *b, unsigned level,
		      uint64_t first,
		      void (*fn)(void *ctx, uint64_t page, const struct page_blob *in_b), void *ctx)
{
	if (a == b)
		return;
	for (unsigned i = 0; i < FANOUT; i++) {
		const void *ca = a ? a->child[i] : NULL;
		const void *cb = b ? b->child[i] : NULL;
		uint64_t page = first + ((uint64_t)i << FANOUT_BITS * level);
		if (ca == cb)
			continue;
		if (level)
			node_diff(ca, cb, level - 1, page, fn, ctx);
		else
			fn(ctx, page, cb);
	}
}

void page_tree_diff(const struct page_pool *p, const struct page_node *a, const struct page_node *b,
		    void (*fn)(void *ctx, uint64_t page, const struct page_blob *in_b), void *ctx)
{
	node_diff(a, b, p->levels - 1, 0, fn, ctx);
}
