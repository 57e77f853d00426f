/* SPDX-License-Identifier: Apache-2.0 */
#include "record_keep.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* The blocks of the disks' logs that one full checkpoint needs: those below `below` with their bit set, and all from
 * there on. */
struct needed {
	struct needed *next;
	uint32_t number;
	uint64_t below[DISKS_MAX];
	uint8_t *bits[DISKS_MAX];
};

struct record_keep {
	struct host_devices *host;
	uint64_t period_ns;
	void (*tick)(void *ctx);
	void *ctx;
	pthread_t thread;
	bool threaded, quit;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct needed *first; /* under lock: by number */
};

static void *ticker(void *ctx)
{
	struct record_keep *k = ctx;
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	pthread_mutex_lock(&k->lock);
	while (!k->quit) {
		uint64_t ns = (uint64_t)at.tv_nsec + k->period_ns;

		at.tv_sec += (time_t)(ns / 1000000000u);
		at.tv_nsec = (long)(ns % 1000000000u);
		while (!k->quit && pthread_cond_timedwait(&k->changed, &k->lock, &at) == 0)
			;
		if (k->quit)
			break;
		pthread_mutex_unlock(&k->lock);
		k->tick(k->ctx);
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

int record_keep_create(struct record_keep **out, struct host_devices *host, uint64_t period_ns,
		       void (*tick)(void *ctx), void *ctx)
{
	struct record_keep *k = calloc(1, sizeof(*k));
	pthread_condattr_t attr;

	if (!k)
		return RV_ENOMEM;
	k->host = host;
	k->period_ns = period_ns;
	k->tick = tick;
	k->ctx = ctx;
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->changed, &attr);
	pthread_condattr_destroy(&attr);
	k->threaded = pthread_create(&k->thread, NULL, ticker, k) == 0;
	if (!k->threaded) {
		record_keep_destroy(k);
		return RV_ENOMEM;
	}
	*out = k;
	return RV_OK;
}

static void needed_free(struct needed *n)
{
	for (unsigned i = 0; i < DISKS_MAX; i++)
		free(n->bits[i]);
	free(n);
}

void record_keep_destroy(struct record_keep *k)
{
	if (!k)
		return;
	if (k->threaded) {
		pthread_mutex_lock(&k->lock);
		k->quit = true;
		pthread_cond_broadcast(&k->changed);
		pthread_mutex_unlock(&k->lock);
		pthread_join(k->thread, NULL);
	}
	while (k->first) {
		struct needed *n = k->first;

		k->first = n->next;
		needed_free(n);
	}
	pthread_cond_destroy(&k->changed);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

void record_keep_full_taken(struct record_keep *k, struct machine *m, uint32_t number)
{
	struct needed *n = calloc(1, sizeof(*n)), **at;

	if (!n)
		return; /* its past's blocks keep their space */
	n->number = number;
	for (unsigned i = 0; i < k->host->ndisks; i++) {
		n->below[i] = machine_disk_log_blocks(m, i);
		n->bits[i] = calloc(n->below[i] / 8 + 1, 1);
		if (n->bits[i])
			machine_disk_log_used(m, i, n->bits[i], &n->below[i]);
		else
			n->below[i] = 0;
	}
	pthread_mutex_lock(&k->lock);
	for (at = &k->first; *at; at = &(*at)->next)
		;
	*at = n;
	pthread_mutex_unlock(&k->lock);
}

static void forget_unneeded(struct record_keep *k, const struct needed *n)
{
	for (unsigned i = 0; i < k->host->ndisks; i++) {
		uint64_t run = 0;

		for (uint64_t b = 0; b <= n->below[i]; b++) {
			if (b < n->below[i] && !(n->bits[i][b / 8] >> b % 8 & 1)) {
				run++;
				continue;
			}
			if (run)
				disk_file_forget(k->host->disk[i], b - run, run);
			run = 0;
		}
	}
}

void record_keep_dropped(struct record_keep *k, uint32_t oldest)
{
	pthread_mutex_lock(&k->lock);
	while (k->first && k->first->number < oldest) {
		struct needed *n = k->first;

		k->first = n->next;
		needed_free(n);
	}
	/* Only this thread removes entries, so it stays while the lock is open. */
	const struct needed *now = k->first && k->first->number == oldest ? k->first : NULL;
	pthread_mutex_unlock(&k->lock);
	if (now)
		forget_unneeded(k, now);
}
