/* SPDX-License-Identifier: Apache-2.0 */
#include "join.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ft/node.h"

#define SLICE_FRAMES 16u      /* 4 MiB: two milliseconds or so of copying */
#define QUEUED_FRAMES 32u     /* more than so many unsent: no further slice */
#define LAST_PAGES 4096u      /* so few left: the rest at once, 16 MiB */
#define PASSES 12u            /* of a guest that writes faster than the link carries */
#define DISK_BLOCKS (FT_PART / DISK_BLOCK)

struct ram_frame {
	struct ram_frame *next;
	struct ft_pages pages;
};

struct ft_join {
	struct machine *machine;
	unsigned ndisks;
	pthread_mutex_t lock;
	/* Under the lock. */
	struct ram_frame *first, **last;
	unsigned queued;
	bool copied; /* the vCPU thread is done; all below is there */
	/* vCPU thread, then the link's. */
	uint32_t cursor, next_cursor; /* pages of epochs from cursor to next_cursor are this pass's */
	uint64_t page;                /* where this pass stands */
	unsigned pass;
	struct ram_frame *filling;
	bool failed;
	struct ft_at at;
	struct bytes state;
	uint8_t *used[DISKS_MAX];
	uint64_t blocks[DISKS_MAX];
	atomic_ullong pause_ns;
	/* Link's thread. */
	struct bytes out;
	size_t state_sent;
	bool at_sent;
	unsigned disk;
	uint64_t block;
};

int ft_join_create(struct ft_join **out, struct machine *m, unsigned ndisks)
{
	struct ft_join *j = calloc(1, sizeof(*j));
	if (!j)
		return RV_ENOMEM;
	j->machine = m;
	j->ndisks = ndisks;
	j->last = &j->first;
	j->cursor = 1;
	pthread_mutex_init(&j->lock, NULL);
	*out = j;
	return RV_OK;
}

static struct ram_frame *pop_locked(struct ft_join *j)
{
	struct ram_frame *f = j->first;
	if (!f)
		return NULL;
	j->first = f->next;
	if (!j->first)
		j->last = &j->first;
	j->queued--;
	return f;
}

void ft_join_destroy(struct ft_join *j)
{
	if (!j)
		return;
	while (j->first)
		free(pop_locked(j));
	free(j->filling);
	bytes_fini(&j->state);
	bytes_fini(&j->out);
	for (unsigned i = 0; i < DISKS_MAX; i++)
		free(j->used[i]);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

/* ---- vCPU thread ---- */

static void hand_over(struct ft_join *j)
{
	if (!j->filling || !j->filling->pages.n)
		return;
	j->filling->next = NULL;
	pthread_mutex_lock(&j->lock);
	*j->last = j->filling;
	j->last = &j->filling->next;
	j->queued++;
	pthread_mutex_unlock(&j->lock);
	j->filling = NULL;
}

static bool fresh_frame(struct ft_join *j)
{
	j->filling = malloc(sizeof(*j->filling));
	if (j->filling)
		j->filling->pages.n = 0;
	else
		j->failed = true;
	return j->filling != NULL;
}

/* Copies pages of this pass until `frames` are full. True: the pass is over. */
static bool copy_pages(struct ft_join *j, unsigned frames)
{
	struct guest_mem *mem = machine_mem(j->machine);
	const uint64_t n = mem_pages(mem);
	for (; j->page < n; j->page++) {
		const uint32_t epoch = mem_page_epoch(mem, j->page);
		struct ft_pages *p;
		/* Written since this pass began: the next one has it. */
		if (epoch < j->cursor || epoch >= j->next_cursor)
			continue;
		if (!j->filling && !fresh_frame(j))
			return true;
		p = &j->filling->pages;
		p->page[p->n] = j->page;
		memcpy(p->contents[p->n++], mem_page_host(mem, j->page), RV_PAGE_SIZE);
		if (p->n == FT_RAM_PAGES) {
			hand_over(j);
			if (--frames == 0) {
				j->page++;
				return j->page == n;
			}
		}
	}
	return true;
}

static uint64_t count_dirty(const struct ft_join *j)
{
	const struct guest_mem *mem = machine_mem(j->machine);
	uint64_t n = 0;
	for (uint64_t i = 0; i < mem_pages(mem); i++)
		n += mem_page_epoch(mem, i) >= j->next_cursor;
	return n;
}

static void next_pass(struct ft_join *j)
{
	if (j->next_cursor)
		j->cursor = j->next_cursor;
	j->next_cursor = mem_epoch_advance(machine_mem(j->machine));
	j->page = 0;
	j->pass++;
}

static void copy_rest(struct ft_join *j, const struct output_digest *sent)
{
	struct machine *m = j->machine;
	next_pass(j);
	(void)copy_pages(j, UINT32_MAX);
	hand_over(j);
	j->at = (struct ft_at){ .at = { machine_icount(m), machine_seq(m) }, .sent = *sent };
	machine_save(m, &j->state);
	j->failed |= j->state.failed;
	for (unsigned i = 0; i < j->ndisks && !j->failed; i++) {
		/* Where the first write in flight begins: what is behind it counts as well, if the index knows it. */
		uint64_t in_flight = j->blocks[i] = machine_disk_log_blocks(m, i);
		if (!in_flight)
			continue;
		j->used[i] = calloc(in_flight / 8 + 1, 1);
		if (j->used[i])
			machine_disk_log_used(m, i, j->used[i], &in_flight);
		else
			j->failed = true;
	}
}

bool ft_join_slice(struct ft_join *j, const struct output_digest *sent)
{
	const uint64_t begin = ft_now();
	if (j->copied)
		return false;
	if (!j->pass)
		next_pass(j);
	if (!j->failed && !copy_pages(j, SLICE_FRAMES))
		return false;
	hand_over(j);
	if (!j->failed && j->pass < PASSES && count_dirty(j) > LAST_PAGES) {
		next_pass(j);
		return false;
	}
	if (!j->failed)
		copy_rest(j, sent);
	atomic_store(&j->pause_ns, ft_now() - begin);
	pthread_mutex_lock(&j->lock);
	j->copied = true;
	pthread_mutex_unlock(&j->lock);
	return true;
}

uint64_t ft_join_pause_ns(const struct ft_join *j)
{
	return atomic_load(&j->pause_ns);
}

/* ---- link's thread ---- */

bool ft_join_wants_slice(struct ft_join *j)
{
	bool wants;
	pthread_mutex_lock(&j->lock);
	wants = !j->copied && j->queued < QUEUED_FRAMES;
	pthread_mutex_unlock(&j->lock);
	return wants;
}

bool ft_join_at_sent(const struct ft_join *j)
{
	return j->at_sent;
}

/* 1: a frame was put, 0: there is none at present. */
static int pump_ram(struct ft_join *j, struct channel *c, bool *copied)
{
	struct ram_frame *f;
	int rc;
	pthread_mutex_lock(&j->lock);
	*copied = j->copied;
	f = pop_locked(j);
	pthread_mutex_unlock(&j->lock);
	if (!f)
		return 0;
	bytes_clear(&j->out);
	rc = ft_pages_encode(&f->pages, &j->out);
	free(f);
	if (rc == RV_OK)
		rc = channel_put(c, FT_MSG_RAM, j->out.data, j->out.len, NULL, 0);
	return rc == RV_OK ? 1 : rc;
}

static int pump_state(struct ft_join *j, struct channel *c)
{
	uint8_t at[FT_AT_LEN];
	size_t n = j->state.len - j->state_sent;
	int rc;
	if (!j->at_sent) {
		ft_at_encode(&j->at, at);
		j->at_sent = true;
		rc = channel_put(c, FT_MSG_AT, at, sizeof(at), NULL, 0);
		return rc == RV_OK ? 1 : rc;
	}
	if (!n)
		return 0;
	n = n < FT_PART ? n : FT_PART;
	rc = channel_put(c, FT_MSG_STATE, j->state.data + j->state_sent, n, NULL, 0);
	j->state_sent += n;
	return rc == RV_OK ? 1 : rc;
}

static bool used(const struct ft_join *j, uint64_t block)
{
	return j->used[j->disk][block / 8] >> block % 8 & 1;
}

static int pump_disk(struct ft_join *j, struct channel *c, const struct ft_disks *disks, void *ctx)
{
	uint8_t header[9], data[FT_PART];
	uint32_t n = 0;
	int rc;
	for (; j->disk < disks->n; j->disk++, j->block = 0) {
		while (j->block < j->blocks[j->disk] && !used(j, j->block))
			j->block++;
		if (j->block < j->blocks[j->disk])
			break;
	}
	if (j->disk == disks->n)
		return 0;
	while (n < DISK_BLOCKS && j->block + n < j->blocks[j->disk] && used(j, j->block + n))
		n++;
	header[0] = (uint8_t)j->disk;
	le64_put(header + 1, j->block);
	rc = disks->read(ctx, j->disk, j->block, n, data);
	if (rc == RV_OK)
		rc = channel_put(c, FT_MSG_DISK, header, sizeof(header), data, (size_t)n * DISK_BLOCK);
	j->block += n;
	return rc == RV_OK ? 1 : rc;
}

int ft_join_pump(struct ft_join *j, struct channel *c, const struct ft_disks *disks, void *disks_ctx, size_t room)
{
	const size_t limit = channel_unsent(c) + room;
	while (channel_unsent(c) < limit) {
		bool copied = false;
		int rc = pump_ram(j, c, &copied);
		if (rc == 0 && !copied)
			return 0;
		if (rc == 0 && j->failed)
			return RV_ENOMEM;
		if (rc == 0)
			rc = pump_state(j, c);
		if (rc == 0)
			rc = pump_disk(j, c, disks, disks_ctx);
		if (rc == 0) {
			rc = channel_put(c, FT_MSG_ALL, NULL, 0, NULL, 0);
			return rc == RV_OK ? 1 : rc;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}
