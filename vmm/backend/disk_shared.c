/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a backup reads in place of a shared image: blocks that its primary read, out of the log. The guest's own writes are
 * in the block log on this side too, so a block of the image has one contents for as long as it is read at all: what was
 * supplied once is good until the end.
 */
#include "disk_int.h"

#include <stdlib.h>
#include <unistd.h>

int disk_supply_create(struct disk_supply **out, uint64_t size)
{
	struct disk_supply *s = calloc(1, sizeof(*s));
	if (!s)
		return RV_ENOMEM;
	s->blocks = size / DISK_BLOCK + 1;
	s->have = calloc(s->blocks / 8 + 1, 1);
	s->cache = disk_files_temporary();
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	if (!s->have || s->cache < 0) {
		disk_supply_destroy(s);
		return RV_ENOMEM;
	}
	*out = s;
	return RV_OK;
}

void disk_supply_destroy(struct disk_supply *s)
{
	if (!s)
		return;
	if (s->cache >= 0)
		close(s->cache);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s->have);
	free(s);
}

int disk_supply_put(struct disk_supply *s, uint64_t block, uint32_t n, const uint8_t *data)
{
	const uint8_t *p = data;
	size_t left = (size_t)n * DISK_BLOCK;
	off_t at = (off_t)(block * DISK_BLOCK);
	if (block >= s->blocks || n > s->blocks - block)
		return RV_EINVAL;
	while (left) {
		ssize_t done = pwrite(s->cache, p, left, at);
		if (done <= 0)
			return RV_EIO;
		p += done;
		at += done;
		left -= (size_t)done;
	}
	pthread_mutex_lock(&s->lock);
	for (uint32_t i = 0; i < n; i++)
		s->have[(block + i) / 8] |= (uint8_t)(1u << (block + i) % 8);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return RV_OK;
}

bool disk_supply_wait(struct disk_supply *s, uint64_t block, uint32_t n)
{
	bool all = false;
	pthread_mutex_lock(&s->lock);
	while (!all && !s->stay) {
		all = true;
		for (uint32_t i = 0; i < n && all; i++)
			all = s->have[(block + i) / 8] >> (block + i) % 8 & 1;
		if (!all)
			pthread_cond_wait(&s->changed, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return all;
}

void disk_supply_stay(struct disk_supply *s)
{
	pthread_mutex_lock(&s->lock);
	s->stay = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}
