/* SPDX-License-Identifier: Apache-2.0 */
#include "breaks.h"

#include <string.h>

#include "base/log.h"
#include "run.h"

void xbreaks_init(struct xbreaks *k)
{
	memset(k, 0, sizeof(*k));
	k->skip = UINT64_MAX;
}

/* ---- setting and clearing ---- */

/* Index of the first breakpoint at or above lin. */
static unsigned exec_lower_bound(const struct xbreaks *k, uint64_t lin)
{
	unsigned low = 0, high = k->nexec;
	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		if (k->exec[mid].addr < lin)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int exec_set(struct xbreaks *k, uint64_t addr)
{
	unsigned i = exec_lower_bound(k, addr);
	if (!xbreaks_exec_at(k, addr)) {
		if (k->nexec == XBREAKS_EXEC)
			return RV_ENOSPC;
		memmove(&k->exec[i + 1], &k->exec[i], (k->nexec - i) * sizeof(k->exec[0]));
		k->exec[i] = (struct xbreak_exec){ .addr = addr };
		k->nexec++;
	}
	if (k->exec[i].count == UINT32_MAX)
		return RV_ENOSPC;
	k->exec[i].count++;
	return RV_OK;
}

static int exec_clear(struct xbreaks *k, uint64_t addr)
{
	unsigned i = exec_lower_bound(k, addr);
	if (!xbreaks_exec_at(k, addr))
		return RV_ENOENT;
	if (--k->exec[i].count)
		return RV_OK;
	k->nexec--;
	memmove(&k->exec[i], &k->exec[i + 1], (k->nexec - i) * sizeof(k->exec[0]));
	return RV_OK;
}

static unsigned watch_find(const struct xbreaks *k, enum engine_break_kind kind, uint64_t first,
			   uint64_t last)
{
	unsigned i = 0;
	while (i < k->nwatch && (k->watch[i].kind != kind || k->watch[i].first != first ||
				 k->watch[i].last != last))
		i++;
	return i;
}

static int watch_set(struct xbreaks *k, enum engine_break_kind kind, uint64_t first, uint64_t last)
{
	unsigned i = watch_find(k, kind, first, last);
	if (i == XBREAKS_WATCH)
		return RV_ENOSPC;
	if (i == k->nwatch) {
		k->watch[i] =
			(struct xbreak_watch){ .first = first, .last = last, .kind = kind };
		k->nwatch++;
	}
	if (k->watch[i].count == UINT32_MAX)
		return RV_ENOSPC;
	k->watch[i].count++;
	return RV_OK;
}

static int watch_clear(struct xbreaks *k, enum engine_break_kind kind, uint64_t first,
		       uint64_t last)
{
	unsigned i = watch_find(k, kind, first, last);
	if (i == k->nwatch)
		return RV_ENOENT;
	if (--k->watch[i].count)
		return RV_OK;
	/* The order is kept: it decides which of two equal ones is reported. */
	k->nwatch--;
	memmove(&k->watch[i], &k->watch[i + 1], (k->nwatch - i) * sizeof(k->watch[0]));
	return RV_OK;
}

static bool watch_valid(enum engine_break_kind kind, uint64_t addr, uint64_t len)
{
	return (kind == ENGINE_BREAK_WRITE || kind == ENGINE_BREAK_READ ||
		kind == ENGINE_BREAK_ACCESS) &&
	       len != 0 && addr + (len - 1) >= addr;
}

int xbreaks_set(struct xbreaks *k, enum engine_break_kind kind, uint64_t addr, uint64_t len)
{
	if (kind == ENGINE_BREAK_EXEC)
		return exec_set(k, addr);
	if (!watch_valid(kind, addr, len))
		return RV_EINVAL;
	return watch_set(k, kind, addr, addr + (len - 1));
}

int xbreaks_clear(struct xbreaks *k, enum engine_break_kind kind, uint64_t addr, uint64_t len)
{
	if (kind == ENGINE_BREAK_EXEC)
		return exec_clear(k, addr);
	if (!watch_valid(kind, addr, len))
		return RV_ENOENT;
	return watch_clear(k, kind, addr, addr + (len - 1));
}

/* ---- meeting them ---- */

static void hit_record(struct xbreaks *k, enum engine_break_kind kind, uint64_t addr)
{
	k->hit = true;
	k->hit_kind = kind;
	k->hit_addr = addr;
}

/* Does whoever asked for breakpoints want to stop for this one? */
static bool hit_wanted(struct xcpu *c, enum engine_break_kind kind, uint64_t addr)
{
	const struct xbreaks *k = c->breaks;
	const struct engine_stop stop = { .reason = ENGINE_EXIT_DEBUG,
					  .break_kind = kind,
					  .break_addr = addr };
	if (!k->filter)
		return true;
	vclock_set_icount(c->e->cfg.clock, c->icount);
	return k->filter(k->filter_ctx, &stop);
}

bool xbreaks_exec_at(const struct xbreaks *k, uint64_t lin)
{
	unsigned i = exec_lower_bound(k, lin);
	return i < k->nexec && k->exec[i].addr == lin;
}

unsigned xbreaks_exec_before(const struct xbreaks *k, uint64_t lin, const struct xblock *b)
{
	unsigned i = exec_lower_bound(k, lin), n = 0;
	if (i == k->nexec || k->exec[i].addr - lin >= b->nbytes)
		return b->n;
	for (; n < b->n; n++) {
		while (i < k->nexec && k->exec[i].addr < lin) /* not the start of an instruction */
			i++;
		if (i < k->nexec && k->exec[i].addr == lin)
			break;
		lin += b->insn[n].len;
	}
	return n;
}

bool xbreaks_offset_in(const struct xbreaks *k, unsigned off, unsigned len)
{
	for (unsigned i = 0; i < k->nexec; i++) {
		unsigned at = k->exec[i].addr & (RV_PAGE_SIZE - 1);
		if (at >= off && at < off + len)
			return true;
	}
	return false;
}

bool xbreaks_exec_stop(struct xcpu *c, uint64_t lin)
{
	struct xbreaks *k = c->breaks;
	gpa_t gpa;
	/* The walk comes last: a filter mostly says no. */
	if (!k->nexec || c->icount == k->skip || !xbreaks_exec_at(k, lin) ||
	    !hit_wanted(c, ENGINE_BREAK_EXEC, lin) || xmmu_translate_debug(c, lin, &gpa) != RV_OK)
		return false;
	hit_record(k, ENGINE_BREAK_EXEC, lin);
	return true;
}

bool xbreaks_page_watched(const struct xbreaks *k, uint64_t lin, enum xaccess acc)
{
	const uint64_t first = lin & ~(uint64_t)(RV_PAGE_SIZE - 1);
	const uint64_t last = first + (RV_PAGE_SIZE - 1);
	for (unsigned i = 0; i < k->nwatch; i++) {
		const struct xbreak_watch *w = &k->watch[i];
		if (w->first <= last && w->last >= first &&
		    (acc == XACC_WRITE || w->kind != ENGINE_BREAK_WRITE))
			return true;
	}
	return false;
}

void xbreaks_access(struct xcpu *c, uint64_t lin, unsigned size, enum xaccess acc)
{
	const enum engine_break_kind other =
		acc == XACC_WRITE ? ENGINE_BREAK_READ : ENGINE_BREAK_WRITE;
	const uint64_t last = lin + (size - 1);
	struct xbreaks *k = c->breaks;
	/* What is reported without a filter: of the instruction's first access that matches, the lowest
	 * byte. */
	const bool first = !k->hit;
	bool hit = false;
	for (unsigned i = 0; i < k->nwatch; i++) {
		const struct xbreak_watch *w = &k->watch[i];
		uint64_t at = w->first > lin ? w->first : lin;
		if (w->kind == other || w->first > last || w->last < lin)
			continue;
		if (!k->hit)
			k->hit_watch = 0;
		if (first && (!hit || at < k->hit_addr))
			hit_record(k, w->kind, at);
		hit = true;
		if (!(k->hit_watch >> i & 1))
			k->hit_at[i] = at;
		k->hit_watch |= 1ull << i;
	}
	if (hit) {
		c->leave = true;
		c->until = 0; /* no step after this one */
	}
}

bool xbreaks_watch_pass(struct xcpu *c)
{
	struct xbreaks *k = c->breaks;
	if (!k->hit || k->hit_kind == ENGINE_BREAK_EXEC || !k->filter)
		return false;
	for (uint64_t left = k->hit_watch; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		if (hit_wanted(c, k->watch[i].kind, k->hit_at[i])) {
			hit_record(k, k->watch[i].kind, k->hit_at[i]);
			return false;
		}
	}
	k->hit = false;
	return true;
}
