/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the disk backend: what the files hold (disk_io.c), who does the work when (disk.c). */
#ifndef RV_BACKEND_DISK_INT_H
#define RV_BACKEND_DISK_INT_H

#include <pthread.h>

#include "backend/disk.h"

/* Blocks that a request's edges were filled from, kept for base_read. */
#define DISK_EDGES 2u

/* One before-image in the file: u64 block, then its contents. */
#define BEFORE_ENTRY (8u + DISK_BLOCK)

struct disk_before_row {
	uint64_t block, entry;
};

/* What the primary read of a shared image. */
struct disk_supply {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int cache;      /* file: the blocks at their places */
	uint64_t blocks;
	uint8_t *have;  /* one bit each; under the lock, with what follows */
	bool stay;      /* the image itself may be read */
};

int disk_supply_create(struct disk_supply **out, uint64_t size);
void disk_supply_destroy(struct disk_supply *s);
int disk_supply_put(struct disk_supply *s, uint64_t block, uint32_t n, const uint8_t *data);
/* Until they are all there (true), or the image itself may be read. */
bool disk_supply_wait(struct disk_supply *s, uint64_t block, uint32_t n);
void disk_supply_stay(struct disk_supply *s);

struct disk_files {
	char *path;
	int base;
	int log;     /* written and read; a temporary file unless it is a recording's */
	int old_log; /* replay: the recorded one, read only; -1: none */
	int before;  /* -1: none */
	struct disk_supply *supply; /* NULL: not a backup with a shared image */
	uint64_t size; /* bytes of the base */
	bool commit;
	/* Replay: which blocks of the log this process wrote itself, one bit each. NULL: all there are. */
	uint8_t *own;
	uint64_t own_blocks;
	/* Live, commit: blocks of the base whose before-image is saved. */
	uint8_t *saved;
	uint64_t before_entries;
	/* Replay: where each block's before-image is, by block. */
	struct disk_before_row *row;
	size_t nrows;
};

struct disk_files *disk_file_files(struct disk_file *d);

/* Carries out one request: RV_OK or what went wrong. edge: DISK_EDGES blocks, which hold the contents of
 * io->src[] of a write afterwards. One request of a disk with before-images at a time. */
int disk_files_do(struct disk_files *f, struct disk_io *io, uint8_t *edge);
/* With commit, behind a WRITE, ZEROES or FLUSH of the above: the image as well. */
int disk_files_commit(struct disk_files *f, const struct disk_io *io);
/* A temporary file without a name. Descriptor or -1. */
int disk_files_temporary(void);
/* Contents of one block log into another that is empty; holes stay holes. */
int disk_files_copy(int from, int to);
int disk_files_before_load(struct disk_files *f); /* replay: reads the rows; RV_EDAMAGED */

#endif
