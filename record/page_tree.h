/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Immutable trees of RAM pages for checkpoints. A tree maps a page index to
 * contents (a blob, NULL: all zeros). Changing a page makes a new tree that
 * shares all but one path with the old one, so two trees are compared, and
 * kept, at the cost of their difference.
 */
#ifndef RV_RECORD_PAGE_TREE_H
#define RV_RECORD_PAGE_TREE_H

#include "base/digest.h"
#include "base/types.h"

struct page_pool; /* owner of all blobs and nodes; contents are shared by digest */
struct page_blob; /* reference-counted contents of one page */
struct page_node; /* reference-counted tree; NULL: all pages zero */

int page_pool_create(struct page_pool **out, uint64_t pages);
void page_pool_destroy(struct page_pool *p); /* all trees released before */
/* The folder of the files that filed blobs lie in, and how they are called: takes the descriptor. Files are
 * opened and read when a blob is: whatever happened to one in between is an error of that read. */
void page_pool_set_dir(struct page_pool *p, int dir_fd, void (*name)(char out[16], uint32_t number));
uint64_t page_pool_bytes(const struct page_pool *p);

/* A blob with these 4096 bytes (compressed and copied, or an old one with the same contents). NULL and
 * *zero = true for a page of zeros; NULL and *zero = false: out of memory. */
struct page_blob *page_blob_make(struct page_pool *p, const uint8_t *contents, bool *zero);
/* A blob over `len` stored bytes at `offset` of a file: LZ4, or plain if they are 4096. NULL: no memory. */
struct page_blob *page_blob_filed(struct page_pool *p, uint32_t file, uint64_t offset, uint32_t len,
				  struct digest128 key);
/* The filed blob with this key that somebody holds; NULL: there is none. */
struct page_blob *page_blob_known(struct page_pool *p, struct digest128 key);
void page_blob_release(struct page_pool *p, struct page_blob *b);
/* 4096 bytes into out. NULL gives zeros. RV_EDAMAGED: what the file holds is not a page with that key, or
 * the file is shorter now; RV_ENOENT, RV_EIO, ...: it cannot be read. */
int page_blob_read(struct page_pool *p, const struct page_blob *b, uint8_t *out);

struct page_node *page_tree_ref(struct page_node *root);
void page_tree_release(struct page_pool *p, struct page_node *root);
/* *root with page set to blob (takes the caller's reference to it). Nodes that nobody else holds are
 * changed in place. False: out of memory, *root as before. */
bool page_tree_set(struct page_pool *p, struct page_node **root, uint64_t page, struct page_blob *b);
struct page_blob *page_tree_get(const struct page_pool *p, const struct page_node *root, uint64_t page);
/* fn for each page whose contents differ, with b's blob. */
void page_tree_diff(const struct page_pool *p, const struct page_node *a, const struct page_node *b,
		    void (*fn)(void *ctx, uint64_t page, const struct page_blob *in_b), void *ctx);

#endif
