/* SPDX-License-Identifier: Apache-2.0 */
#include "ckpt_keep.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ckpt_file.h"

#define GENERATIONS 32u
#define PARTS 4u /* full checkpoints in the time or space that is to be kept */

struct generation {
	uint32_t number;  /* of its full checkpoint */
	uint32_t segment; /* its first */
	uint64_t ns;      /* host time of its begin */
	uint64_t bytes;   /* of its checkpoints */
};

struct ckpt_keep {
	struct ckpt_writer_cfg cfg;
	int dir_fd;
	pthread_mutex_t lock; /* what both threads look at */
	uint64_t full_ns;     /* host time of the last full one; 0: none yet */
	uint64_t since_full;  /* bytes of checkpoints behind it */
	uint64_t log_at_full;
	/* Writer's thread. The first generation is what came before the first full checkpoint. */
	struct generation gen[GENERATIONS];
	unsigned n;
};

static uint64_t host_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int ckpt_keep_create(struct ckpt_keep **out, const struct ckpt_writer_cfg *cfg, int dir_fd)
{
	struct ckpt_keep *k = calloc(1, sizeof(*k));
	if (!k)
		return RV_ENOMEM;
	k->cfg = *cfg;
	k->dir_fd = dir_fd;
	pthread_mutex_init(&k->lock, NULL);
	k->gen[0].ns = host_ns();
	k->n = 1;
	*out = k;
	return RV_OK;
}

void ckpt_keep_destroy(struct ckpt_keep *k)
{
	if (!k)
		return;
	pthread_mutex_destroy(&k->lock);
	free(k);
}

bool ckpt_keep_full_due(struct ckpt_keep *k)
{
	const struct ckpt_writer_cfg *c = &k->cfg;
	uint64_t now = host_ns(), log = evlog_writer_bytes(c->log);
	bool due;
	pthread_mutex_lock(&k->lock);
	due = !k->full_ns || (c->keep_ns && now - k->full_ns >= c->keep_ns / PARTS) ||
	      (c->keep_bytes && k->since_full + (log > k->log_at_full ? log - k->log_at_full : 0) >=
					c->keep_bytes / PARTS);
	if (due) {
		k->full_ns = now;
		k->since_full = 0;
		k->log_at_full = log;
	}
	pthread_mutex_unlock(&k->lock);
	return due;
}

/* The oldest generation goes. The log first: a trace whose log begins at a later segment begins with the full
 * checkpoint of that segment, whatever older files are still there. */
static void drop_oldest(struct ckpt_keep *k)
{
	const struct generation next = k->gen[1];
	evlog_writer_drop(k->cfg.log, next.segment);
	for (uint32_t i = k->gen[0].number; i < next.number; i++) {
		char name[16];
		ckpt_file_name(name, i);
		unlinkat(k->dir_fd, name, 0);
	}
	memmove(k->gen, k->gen + 1, (k->n - 1) * sizeof(*k->gen));
	k->n--;
	k->cfg.dropped(k->cfg.ctx, next.number);
}

static uint64_t total_bytes(const struct ckpt_keep *k)
{
	uint64_t sum = evlog_writer_bytes(k->cfg.log) + k->cfg.other_bytes(k->cfg.ctx);
	for (unsigned i = 0; i < k->n; i++)
		sum += k->gen[i].bytes;
	return sum;
}

void ckpt_keep_published(struct ckpt_keep *k, uint32_t number, uint64_t bytes, bool full, uint32_t segment)
{
	const struct ckpt_writer_cfg *c = &k->cfg;
	if (full) {
		if (k->n == GENERATIONS)
			drop_oldest(k);
		k->gen[k->n++] = (struct generation){ number, segment, host_ns(), 0 };
	}
	k->gen[k->n - 1].bytes += bytes;
	pthread_mutex_lock(&k->lock);
	if (!full)
		k->since_full += bytes;
	pthread_mutex_unlock(&k->lock);
	if (c->begin_here && number == 0 && k->n > 1)
		drop_oldest(k);
	while (k->n > 1 && ((c->keep_ns && host_ns() - k->gen[1].ns >= c->keep_ns) ||
			    (c->keep_bytes && total_bytes(k) > c->keep_bytes)))
		drop_oldest(k);
}
