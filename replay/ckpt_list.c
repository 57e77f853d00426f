/* SPDX-License-Identifier: Apache-2.0 */
#include "ckpt_list.h"

#include <stdlib.h>
#include <string.h>

#define CKPT_LIST_GAP (1ull << 24) /* no seek replays more than this while the budget can hold it */
#define CKPT_LIST_MOST 2048u /* made checkpoints: their number is bounded as well as their bytes */

void ckpt_list_fini(struct ckpt_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		ckpt_release(l->store, l->at[i]);
	free(l->at);
	memset(l, 0, sizeof(*l));
}

/* Index of the first checkpoint behind icount. */
static size_t ckpt_list_after(const struct ckpt_list *l, icount_t icount)
{
	size_t lo = 0, hi = l->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (ckpt_info(l->at[mid])->at.icount > icount)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

struct ckpt *ckpt_list_before(const struct ckpt_list *l, icount_t icount)
{
	size_t i = ckpt_list_after(l, icount);
	return i ? l->at[i - 1] : NULL;
}

bool ckpt_list_has(const struct ckpt_list *l, icount_t icount)
{
	const struct ckpt *c = ckpt_list_before(l, icount);
	return c && ckpt_info(c)->at.icount == icount;
}

int ckpt_list_add(struct ckpt_list *l, struct ckpt *c)
{
	icount_t icount = ckpt_info(c)->at.icount;
	size_t i = ckpt_list_after(l, icount);
	if (i && ckpt_info(l->at[i - 1])->at.icount == icount) {
		ckpt_release(l->store, c);
		return RV_OK;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct ckpt **p = realloc(l->at, cap * sizeof(struct ckpt *));
		if (!p) {
			ckpt_release(l->store, c);
			return RV_ENOMEM;
		}
		l->at = p;
		l->cap = cap;
	}
	memmove(l->at + i + 1, l->at + i, (l->n - i) * sizeof(struct ckpt *));
	l->at[i] = c;
	l->n++;
	return RV_OK;
}

static void ckpt_list_remove(struct ckpt_list *l, size_t i)
{
	ckpt_release(l->store, l->at[i]);
	memmove(l->at + i, l->at + i + 1, (l->n - i - 1) * sizeof(struct ckpt *));
	l->n--;
}

void ckpt_list_thin(struct ckpt_list *l, icount_t now)
{
	while (ckpt_store_bytes(l->store) > l->budget || l->n > CKPT_LIST_MOST) {
		size_t worst = 0;
		double least = -1;
		bool wide = true; /* the worst leaves a gap above the limit */
		for (size_t i = 1; i + 1 < l->n; i++) {
			icount_t at = ckpt_info(l->at[i])->at.icount;
			icount_t gap = ckpt_info(l->at[i + 1])->at.icount -
				       ckpt_info(l->at[i - 1])->at.icount;
			icount_t away = at > now ? at - now : now - at;
			double value = (double)gap / ((double)away + 1024.0);
			bool widens = gap > CKPT_LIST_GAP;
			if (ckpt_info(l->at[i])->on_disk || (widens && !wide))
				continue;
			if (least < 0 || value < least || (wide && !widens)) {
				least = value;
				worst = i;
				wide = widens;
			}
		}
		if (worst == 0)
			return; /* nothing left that may go */
		ckpt_list_remove(l, worst);
	}
}

void ckpt_list_drop(struct ckpt_list *l, icount_t icount)
{
	size_t i = ckpt_list_after(l, icount);
	if (i && ckpt_info(l->at[i - 1])->at.icount == icount)
		ckpt_list_remove(l, i - 1);
}

void ckpt_list_drop_made(struct ckpt_list *l)
{
	for (size_t i = l->n; i-- > 1;)
		if (!ckpt_info(l->at[i])->on_disk)
			ckpt_list_remove(l, i);
}
