/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of ft/ share: frames and messages (PROTOCOL.md). */
#ifndef RV_FT_FT_INT_H
#define RV_FT_FT_INT_H

#include <time.h>

#include "base/bytes.h"
#include "base/types.h"
#include "ft/channel.h"
#include "port/nondet.h"
#include "record/recorder.h"

#define FT_MAGIC 0x54465652u /* "RVFT" */
#define FT_VERSION 1u
#define FT_NAME_MAX 64u
#define FT_TEXT_MAX 400u
#define FT_REGIONS_MAX (4u << 20)    /* 4 TiB */
#define FT_PART (256u << 10)         /* payload of one frame of state, files, disks at most */
#define FT_RAM_PAGES 64u             /* pages of one frame */

/* X(name, number, who sends it) */
#define FT_MSG_LIST(X)                                                                             \
	X(FT_MSG_HELLO, 1, "primary")    /* who calls, and what it needs */                        \
	X(FT_MSG_WELCOME, 2, "backup")   /* what the backup has to offer */                        \
	X(FT_MSG_REFUSE, 3, "either")    /* why not */                                             \
	X(FT_MSG_MACHINE, 4, "primary")  /* session id and manifest */                             \
	X(FT_MSG_FILE, 5, "primary")     /* a part of the kernel or the initrd */                  \
	X(FT_MSG_RAM, 6, "primary")      /* pages */                                               \
	X(FT_MSG_STATE, 7, "primary")    /* a part of everything but RAM */                        \
	X(FT_MSG_DISK, 8, "primary")     /* blocks of a disk's block log */                        \
	X(FT_MSG_AT, 9, "primary")       /* the position that the state is of; the log follows */    \
	X(FT_MSG_READY, 10, "backup")                                                              \
	X(FT_MSG_PROTECT, 11, "primary")                                                           \
	X(FT_MSG_LOG, 12, "primary")     /* how far the log is known, and a chunk of it, or none: a heartbeat */ \
	X(FT_MSG_ACK, 13, "backup")                                                                \
	X(FT_MSG_SWITCH, 14, "primary")                                                            \
	X(FT_MSG_TAKEN, 15, "backup")                                                              \
	X(FT_MSG_BYE, 16, "either")      /* why */                                                 \
	X(FT_MSG_ALL, 17, "primary")     /* that was all of the state */                             \
	X(FT_MSG_SEED, 18, "primary")    /* a region of an image that differs */

enum ft_msg {
#define FT_MSG_ENUM(name, value, who) name = value,
	FT_MSG_LIST(FT_MSG_ENUM)
#undef FT_MSG_ENUM
};

static inline uint64_t ft_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Messages as numbers and borrowed bytes. Decoding never trusts: false is a link to be given up. */
struct ft_hello {
	uint32_t version;
	uint64_t term;
	uint32_t semantics;
	char pair[FT_NAME_MAX + 1];
	char program[32], cpu_model[32];
};
void ft_hello_encode(const struct ft_hello *h, struct bytes *out);
bool ft_hello_decode(struct ft_hello *h, const uint8_t *data, size_t len);

struct ft_disk_offer {
	uint64_t sectors;
	bool commit, shared;
	uint32_t nregions; /* shared: none */
	const uint8_t *digests; /* u64 each, little-endian; borrowed */
};
struct ft_welcome {
	uint32_t version;
	bool console;
	unsigned ndisks, nnets;
	struct ft_disk_offer disk[DISKS_MAX];
};
void ft_welcome_encode(const struct ft_welcome *w, struct bytes *out);
bool ft_welcome_decode(struct ft_welcome *w, const uint8_t *data, size_t len);

struct ft_log {
	icount_t known;  /* all records below are in this chunk or earlier ones */
	uint64_t stamp;  /* the primary's clock */
	const uint8_t *chunk;
	size_t chunk_len; /* 0: none */
};
#define FT_LOG_HEADER 16u
bool ft_log_decode(struct ft_log *l, const uint8_t *data, size_t len);

struct ft_ack {
	icount_t known;    /* held */
	uint64_t stamp;    /* of the last LOG */
	icount_t replayed;
	uint32_t lag_us;   /* replay behind what is held, by the primary's stamps */
};
#define FT_ACK_LEN 28u
void ft_ack_encode(const struct ft_ack *a, uint8_t out[FT_ACK_LEN]);
bool ft_ack_decode(struct ft_ack *a, const uint8_t *data, size_t len);

/* FT_MSG_AT */
struct ft_at {
	struct exec_point at;
	struct output_digest sent;
};
#define FT_AT_LEN 40u
void ft_at_encode(const struct ft_at *j, uint8_t out[FT_AT_LEN]);
bool ft_at_decode(struct ft_at *j, const uint8_t *data, size_t len);

/* Pages in one frame: u16 n, u64 page n times, then LZ4 of the contents. */
struct ft_pages {
	unsigned n;
	uint64_t page[FT_RAM_PAGES];
	uint8_t contents[FT_RAM_PAGES][RV_PAGE_SIZE];
};
int ft_pages_encode(const struct ft_pages *p, struct bytes *out);
bool ft_pages_decode(struct ft_pages *p, uint64_t npages, const uint8_t *data, size_t len);

/* A text of a peer, for people: cut, and made printable. */
void ft_text(char out[FT_TEXT_MAX + 1], const uint8_t *data, size_t len);

#endif
