/* SPDX-License-Identifier: Apache-2.0 */
#include "page_tree.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/status.h"

#define FANOUT_BITS 6u
#define FANOUT (1u << FANOUT_BITS)
#define BUCKETS_BITS 16u

struct page_blob {
	struct page_blob *next; /* in its bucket */
	struct digest128 key;
	uint32_t refs;
	uint32_t len; /* RV_PAGE_SIZE: stored as it is */
	const uint8_t *data;
	bool owned;
	uint8_t bytes[];
};

struct page_node {
	uint32_t refs;
	void *child[FANOUT]; /* struct page_node, at the lowest level struct page_blob */
};

struct page_map {
	void *map;
	size_t len;
};

struct page_pool {
	unsigned levels;
	struct page_map *maps;
	size_t nmaps;
	uint64_t bytes;
	struct page_blob *bucket[1u << BUCKETS_BITS];
};

int page_pool_create(struct page_pool **out, uint64_t pages)
{
	struct page_pool *p = calloc(1, sizeof(*p));
	if (!p)
		return RV_ENOMEM;
	p->levels = 1;
	while (pages > 1ull << FANOUT_BITS * p->levels)
		p->levels++;
	*out = p;
	return RV_OK;
}

void page_pool_destroy(struct page_pool *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->nmaps; i++)
		munmap(p->maps[i].map, p->maps[i].len);
	free(p->maps);
	free(p);
}

int page_pool_keep_map(struct page_pool *p, void *map, size_t len)
{
	struct page_map *maps = realloc(p->maps, (p->nmaps + 1) * sizeof(*maps));
	if (!maps) {
		munmap(map, len);
		return RV_ENOMEM;
	}
	p->maps = maps;
	p->maps[p->nmaps++] = (struct page_map){ map, len };
	return RV_OK;
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

static struct page_blob *blob_add(struct page_pool *p, struct digest128 key, const uint8_t *data,
				  uint32_t len, bool owned)
{
	struct page_blob **slot = blob_bucket(p, key);
	struct page_blob *b = malloc(sizeof(*b) + (owned ? len : 0));
	if (!b)
		return NULL;
	b->next = *slot;
	b->key = key;
	b->refs = 1;
	b->len = len;
	b->owned = owned;
	b->data = data;
	if (owned) {
		memcpy(b->bytes, data, len);
		b->data = b->bytes;
	}
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

struct page_blob *page_blob_mapped(struct page_pool *p, const uint8_t *lz4, uint32_t len,
				   struct digest128 key)
{
	struct page_blob *b = blob_find(p, key);
	return b ? b : blob_add(p, key, lz4, len, false);
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

bool page_blob_read(const struct page_blob *b, uint8_t *out)
{
	if (!b) {
		memset(out, 0, RV_PAGE_SIZE);
		return true;
	}
	if (b->len == RV_PAGE_SIZE)
		memcpy(out, b->data, RV_PAGE_SIZE);
	else if (LZ4_decompress_safe((const char *)b->data, (char *)out, (int)b->len,
				     RV_PAGE_SIZE) != (int)RV_PAGE_SIZE)
		return false;
	/* A file only says what the key of its data is, and pages made here may share it by that key. */
	return b->owned || digest_equal(digest_bytes(out, RV_PAGE_SIZE, 0), b->key);
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
