/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ckpt_priv.h"

int ckpt_store_create(struct ckpt_store **out, struct machine *m)
{
	struct ckpt_store *s = calloc(1, sizeof(*s));
	if (!s)
		return RV_ENOMEM;
	s->machine = m;
	s->cursor = 1; /* epoch 0: never written, zeros, as an empty tree says */
	if (page_pool_create(&s->pool, mem_pages(machine_mem(m))) != RV_OK) {
		free(s);
		return RV_ENOMEM;
	}
	*out = s;
	return RV_OK;
}

void ckpt_store_destroy(struct ckpt_store *s)
{
	if (!s)
		return;
	page_tree_release(s->pool, s->now);
	page_pool_destroy(s->pool);
	free(s);
}

uint64_t ckpt_store_bytes(const struct ckpt_store *s)
{
	return page_pool_bytes(s->pool) + s->state_bytes;
}

const struct ckpt_info *ckpt_info(const struct ckpt *c)
{
	return &c->info;
}

void ckpt_release(struct ckpt_store *s, struct ckpt *c)
{
	if (!c || --c->refs)
		return;
	page_tree_release(s->pool, c->ram);
	s->state_bytes -= c->state.len;
	bytes_fini(&c->state);
	free(c);
}

/* Brings `now` up to date with the machine's RAM. */
static int ckpt_catch_up(struct ckpt_store *s)
{
	struct guest_mem *mem = machine_mem(s->machine);
	uint64_t pages = mem_pages(mem);
	for (uint64_t i = 0; i < pages; i++) {
		struct page_blob *b;
		bool zero;
		if (mem_page_epoch(mem, i) < s->cursor)
			continue;
		b = page_blob_make(s->pool, mem_page_host(mem, i), &zero);
		if (!b && !zero)
			return RV_ENOMEM;
		if (b == page_tree_get(s->pool, s->now, i)) {
			page_blob_release(s->pool, b); /* written, but with what was there */
			continue;
		}
		if (!page_tree_set(s->pool, &s->now, i, b)) {
			page_blob_release(s->pool, b);
			return RV_ENOMEM;
		}
	}
	s->cursor = mem_epoch_advance(mem);
	return RV_OK;
}

int ckpt_take(struct ckpt_store *s, const struct output_digest *extra, struct ckpt **out)
{
	struct ckpt *c = calloc(1, sizeof(*c));
	uint64_t before = ckpt_store_bytes(s), after;
	if (!c)
		return RV_ENOMEM;
	c->refs = 1;
	machine_save(s->machine, &c->state);
	if (c->state.failed || ckpt_catch_up(s) != RV_OK) {
		bytes_fini(&c->state);
		free(c);
		return RV_ENOMEM;
	}
	c->ram = page_tree_ref(s->now);
	c->extra = *extra;
	c->info.at.icount = machine_icount(s->machine);
	c->info.at.seq = machine_seq(s->machine);
	c->info.vns = machine_vns(s->machine);
	s->state_bytes += c->state.len;
	/* Contents that only `now` held may have gone at the same time. */
	after = ckpt_store_bytes(s);
	c->info.bytes = after > before ? after - before : 0;
	*out = c;
	return RV_OK;
}

struct restore {
	struct ckpt_store *store;
	struct guest_mem *mem;
	int rc;
};

static void restore_page(void *ctx, uint64_t page, const struct page_blob *b)
{
	struct restore *r = ctx;
	uint8_t contents[RV_PAGE_SIZE];
	int rc = page_blob_read(r->store->pool, b, contents);
	if (rc != RV_OK) {
		if (r->rc == RV_OK)
			r->rc = rc;
		return;
	}
	/* Through mem_page_write(): whatever was derived from the page is dropped, and only that. */
	mem_page_write(r->mem, page, 0, contents, sizeof(contents));
}

static int restore_state(struct ckpt_store *s, const struct ckpt *c)
{
	struct bytes_in in;
	int rc;
	bytes_in_init(&in, c->state.data, c->state.len);
	rc = machine_load(s->machine, &in);
	if (rc != RV_OK || in.pos != in.len)
		return RV_EDAMAGED;
	/* A recorded header and its state are two statements, and the caller goes by the first. */
	return machine_icount(s->machine) == c->info.at.icount &&
			       machine_seq(s->machine) == c->info.at.seq &&
			       machine_vns(s->machine) == c->info.vns ?
		       RV_OK :
		       RV_EDAMAGED;
}

int ckpt_restore(struct ckpt_store *s, const struct ckpt *c, struct output_digest *extra)
{
	struct guest_mem *mem = machine_mem(s->machine);
	struct restore r = { .store = s, .mem = mem };
	uint64_t pages = mem_pages(mem);
	struct bytes_in nothing;
	/* What was written since `now` was current, then what differs between the two trees. */
	for (uint64_t i = 0; i < pages; i++)
		if (s->lost || mem_page_epoch(mem, i) >= s->cursor)
			restore_page(&r, i, page_tree_get(s->pool, c->ram, i));
	if (!s->lost)
		page_tree_diff(s->pool, s->now, c->ram, restore_page, &r);
	page_tree_ref(c->ram);
	page_tree_release(s->pool, s->now);
	s->now = c->ram;
	s->cursor = mem_epoch_advance(mem);
	*extra = c->extra;
	if (r.rc != RV_OK && !s->lost)
		rv_log(RV_LOG_ERROR, "the checkpoint at icount %llu cannot be restored: its file was "
				     "changed or cut while in use (%s)",
		       (unsigned long long)c->info.at.icount, rv_status_text(r.rc));
	if (r.rc == RV_OK)
		r.rc = restore_state(s, c);
	s->lost = r.rc != RV_OK;
	if (!s->lost)
		return RV_OK;
	/* What is half one state and half another must not run: a load that fails sees to it. */
	bytes_in_init(&nothing, NULL, 0);
	(void)machine_load(s->machine, &nothing);
	return RV_EDAMAGED;
}
