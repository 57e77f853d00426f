/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a trace's history begins (FORMAT.md, "Flight recordings"): what a
 * flight recorder removed is gone from the front of both log and checkpoints,
 * and a self-contained checkpoint with a segment of its own takes its place.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ckpt_file.h"

void ckpt_file_name(char out[16], uint32_t number)
{
	snprintf(out, 16, "%06u.rvc", number);
}

bool ckpt_file_parse(const char *name, uint32_t *number)
{
	unsigned n = 0;
	int end = 0;
	char back[16];
	if (sscanf(name, "%9u.rvc%n", &n, &end) != 1 || !end || name[end])
		return false;
	ckpt_file_name(back, n);
	*number = n;
	return strcmp(back, name) == 0;
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

int trace_list(int parent, bool (*parse)(const char *name, uint32_t *number), uint32_t **out, size_t *count)
{
	size_t n = 0, cap = 0;
	uint32_t *list = NULL;
	struct dirent *e;
	int rc = RV_OK, fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		rc = rv_status_from_errno(errno);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == RV_OK && (errno = 0, e = readdir(dir))) {
		uint32_t number;
		if (!parse(e->d_name, &number))
			continue;
		if (n == cap) {
			size_t want = cap ? cap * 2 : 64;
			uint32_t *p = realloc(list, want * sizeof(*p));
			if (!p) {
				rc = RV_ENOMEM;
				break;
			}
			list = p;
			cap = want;
		}
		list[n++] = number;
	}
	if (rc == RV_OK && errno)
		rc = rv_status_from_errno(errno);
	closedir(dir);
	if (rc != RV_OK) {
		free(list);
		return rc;
	}
	if (n)
		qsort(list, n, sizeof(*list), compare_u32);
	*out = list;
	*count = n;
	return RV_OK;
}


static bool has(const uint32_t *list, size_t n, uint32_t number)
{
	return n && bsearch(&number, list, n, sizeof(*list), compare_u32);
}

/* Is this file the header of a checkpoint that stands for itself, and which segment follows it? Whether all of it
 * is sound is found out when it is loaded. */
static bool full_ckpt(const struct trace *t, int dir, uint32_t number, struct trace_start *out)
{
	uint8_t h[CKPT_HEADER];
	char name[16];
	uint64_t size;
	int rc, fd;
	ckpt_file_name(name, number);
	fd = fd_open_regular(dir, name, &size, &rc);
	if (fd < 0)
		return false;
	rc = size < CKPT_HEADER ? RV_EEND : fd_read_at(fd, h, sizeof(h), 0);
	close(fd);
	if (rc != RV_OK || memcmp(h, CKPT_MAGIC, 8) != 0 || le32_get(h + CKPT_AT_VERSION) != CKPT_VERSION ||
	    memcmp(h + CKPT_AT_ID, trace_manifest(t)->id, 16) != 0 ||
	    !(le32_get(h + CKPT_AT_FLAGS) & CKPT_FLAG_FULL))
		return false;
	*out = (struct trace_start){ .from_ckpt = true,
				     .segment = le32_get(h + CKPT_AT_SEGMENT),
				     .ckpt = number,
				     .at = { le64_get(h + CKPT_AT_ICOUNT), le64_get(h + CKPT_AT_SEQ) } };
	return true;
}

int trace_find_start(const struct trace *t, struct trace_start *out, struct rv_err *err)
{
	uint32_t *log = NULL, *ckpt = NULL;
	size_t nlog = 0, nckpt = 0;
	bool found = false;
	int dir = -1, rc = trace_list(trace_log_dir(t), segment_parse, &log, &nlog);

	*out = (struct trace_start){ .from_ckpt = false };
	if (rc != RV_OK)
		return rv_err_set(err, rc, "%s/log: %s", trace_path(t), rv_status_text(rc));
	/* Published with the manifest by one rename: only damage, or a flight recorder, can take it away. */
	if (nlog && log[0] == 0) {
		free(log);
		return RV_OK;
	}
	if (nlog && trace_manifest(t)->keep) {
		dir = trace_ckpt_dir(t, &rc);
		if (dir >= 0)
			rc = trace_list(dir, ckpt_file_parse, &ckpt, &nckpt);
		for (size_t i = 0; rc == RV_OK && !found && i < nckpt; i++)
			found = full_ckpt(t, dir, ckpt[i], out) && out->segment >= log[0] &&
				has(log, nlog, out->segment);
	}
	if (dir >= 0)
		close(dir);
	free(log);
	free(ckpt);
	if (found)
		return RV_OK;
	*out = (struct trace_start){ .from_ckpt = false };
	if (trace_manifest(t)->keep)
		return rv_err_set(err, RV_EDAMAGED,
				  "%s: its first log segments are gone, and there is no checkpoint to begin from",
				  trace_path(t));
	return rv_err_set(err, RV_EDAMAGED, "%s/log/000000.rvl: missing from the trace", trace_path(t));
}
