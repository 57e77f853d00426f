/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of record/ share about a trace directory. */
#ifndef RV_RECORD_TRACE_PRIV_H
#define RV_RECORD_TRACE_PRIV_H

#include <sys/types.h>

#include "base/bytes.h"
#include "record/trace.h"

#define TRACE_MANIFEST "manifest"
#define TRACE_KERNEL "kernel"
#define TRACE_INITRD "initrd"
#define TRACE_LOG "log"
#define TRACE_CKPT "ckpt"
#define TRACE_DISK "disk"

#define TRACE_DIR_MODE 0700
#define TRACE_FILE_MODE 0600

/* The file `manifest`: a header that no later version changes, then the protobuf body. */
#define MANIFEST_MAGIC "RVMF"
#define MANIFEST_MAX (1u << 20) /* body */
enum {
	MANIFEST_OFF_MAGIC = 0,
	MANIFEST_OFF_VERSION = 4,
	MANIFEST_OFF_LEN = 8,
	MANIFEST_OFF_CRC = 12,
	MANIFEST_HEADER_SIZE = 16
};

#define TRACE_CMDLINE_MAX 65536u
#define TRACE_DISK_SECTORS_MAX (1ull << 33) /* 4 TiB */
#define TRACE_MTU_MIN 68u                   /* RFC 791 */
#define TRACE_GUEST_FILE_MAX (4ull << 30)

/* Directory of the log segments, open for the life of t. */
int trace_log_dir(const struct trace *t);

/* A descriptor of the checkpoints' directory, the caller's; -1 with *rc on failure, RV_ENOENT: no such. */
int trace_ckpt_dir(const struct trace *t, int *rc);

/* "NNNNNN.rvl" */
#define SEGMENT_NAME_MAX 16
void segment_name(uint32_t n, char out[SEGMENT_NAME_MAX]);
/* false if this is not the name of a segment. */
bool segment_parse(const char *name, uint32_t *n);

/* Numbers of the files in a directory whose names parse() knows, sorted; *out is malloc'ed. */
int trace_list(int parent, bool (*parse)(const char *name, uint32_t *number), uint32_t **out,
	       size_t *count);

/* Opens a regular file of the trace for reading; anything else under that name is RV_EDAMAGED and never
 * waited for. -1 with *rc on failure. */
int fd_open_regular(int dir, const char *name, uint64_t *size, int *rc);
/* All of len or a negative code; short reads at the end of the file are RV_EEND. */
int fd_write_all(int fd, const void *data, size_t len);
int fd_read_at(int fd, void *data, size_t len, uint64_t off);

#endif
