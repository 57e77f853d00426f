/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host ends of disks: implementations of the disk port (port/disk.h) over
 * files. The live one works on a small pool of threads and feeds ND_DISK
 * events into a live port; the one for replay works within finish(), reads
 * the base and a recorded block log, both read-only, and writes to a private
 * block log of its own.
 */
#ifndef RV_BACKEND_DISK_H
#define RV_BACKEND_DISK_H

#include "base/bytes.h"
#include "port/disk.h"
#include "port/live.h"

struct disk_file;

/*
 * One image for both halves of a pair (`shared`): who is live alone writes it, and writes are outputs. commit() waits until
 * the image may be written for a request whose ticket was taken as it began; not RV_OK: never.
 */
struct disk_shared {
	uint64_t (*ticket)(void *ctx);             /* vCPU thread */
	int (*commit)(void *ctx, uint64_t ticket); /* threads of the disk */
	void *ctx;
};

struct disk_file_cfg {
	const char *path;  /* the base: a regular file or a block device; for messages too */
	unsigned instance;
	bool commit;       /* live: write the base as well, after saving before-images */
	const struct disk_shared *shared; /* live, with commit; copied; NULL: the image is ours alone */
	struct live *live; /* NULL: replay */
	bool by_clock;     /* live: finished requests are not announced, finish() waits */
	uint32_t chaos_us; /* live, not by_clock: each completion is delayed by 0 .. so many microseconds */
	uint64_t chaos_seed;
	/*
	 * vCPU thread, within finish(): blocks of the base that this request read. A recorder notes their
	 * digests, a replay compares them. Not RV_OK: finish() returns it. NULL: nobody wants to know.
	 */
	int (*base_read)(void *ctx, unsigned instance, uint64_t block, uint32_t nblocks,
			 const uint8_t *data);
	void *ctx;
};

/* Opens and checks the base; no thread yet, so it stands before the sandbox takes rights away. RV_ENOENT,
 * RV_EPERM, RV_EINVAL (empty, or not a multiple of 512 bytes) ...: err names the file and the option. */
int disk_file_create(struct disk_file **out, const struct disk_file_cfg *cfg, struct rv_err *err);
/*
 * Opens the rest and starts the threads; before the first request.
 * log_path: the block log. live, recording: created (0600, must not exist). live, running: NULL, an
 * unlinked temporary file. replay: the recorded one (may be missing or short: a replay from the start
 * needs nothing of it), opened read-only; new blocks go to an unlinked temporary file.
 * before_path: before-images of commit=on: written (live) or read (replay; may be missing); NULL: none.
 * FORMAT.md has both layouts.
 */
int disk_file_start(struct disk_file *d, const char *log_path, const char *before_path,
		    struct rv_err *err);
void disk_file_destroy(struct disk_file *d); /* waits for what is running */
struct disk *disk_file_port(struct disk_file *d);
uint64_t disk_file_sectors(const struct disk_file *d);
/* Any thread: what was written so far (block log, before-images) becomes durable. For checkpoints. */
int disk_file_sync(struct disk_file *d);
/* Any thread: blocks [from, from + n) of the block log are referred to by nothing any more: gives their
 * space back to the host (a flight recording drops its past). */
void disk_file_forget(struct disk_file *d, uint64_t from, uint64_t n);
/* vCPU thread, between two runs: the block log, holes and all, into a new file; or from one, before the first
 * request. */
int disk_file_copy_out(struct disk_file *d, const char *path, struct rv_err *err);
int disk_file_copy_in(struct disk_file *d, const char *path, struct rv_err *err);
/* Any thread: blocks of the block log; those that are written already, or that nobody else writes. RV_EIO, RV_ENOSPC. */
int disk_file_log_read(struct disk_file *d, uint64_t block, uint32_t nblocks, uint8_t *data);
int disk_file_log_write(struct disk_file *d, uint64_t block, uint32_t nblocks, const uint8_t *data);
/* Any thread: bytes of the base; write needs commit, and a disk that nobody uses yet. */
int disk_file_base_read(struct disk_file *d, uint64_t at, uint32_t len, uint8_t *data);
int disk_file_base_write(struct disk_file *d, uint64_t at, uint32_t len, const uint8_t *data);
/* The base's block becomes block `log` of the log, or zeros; as above. */
int disk_file_settle(struct disk_file *d, uint64_t block, bool zero, uint64_t log);
int disk_file_base_sync(struct disk_file *d);

/*
 * A backup with a shared image. From follow() on the image is neither read nor written: what the guest reads of it comes
 * from the primary, through supply(), in whose log it is. stay() ends the first: the image does not change any more, and is
 * read. live() ends the second: writes that the guest was not told the end of are done, and so are those to come.
 */
int disk_file_follow(struct disk_file *d, struct rv_err *err);  /* before the first request */
int disk_file_supply(struct disk_file *d, uint64_t block, uint32_t nblocks, const uint8_t *data); /* any thread */
void disk_file_stay(struct disk_file *d);                       /* any thread */
int disk_file_live(struct disk_file *d);                        /* vCPU thread, between two runs */
/* Any thread: XXH3-64 of every `region` bytes of the base (the last may be shorter), appended as u64. */
int disk_file_digests(struct disk_file *d, uint32_t region, struct bytes *out);
uint64_t disk_file_log_bytes(const struct disk_file *d); /* space the block log takes on the host */

#endif
