/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Creates, writes, syncs; the descriptor is returned through *keep if wanted. */
static int file_create(int dir, const char *name, const void *data, size_t len, bool sync,
		       int *keep)
{
	int rc, fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			    TRACE_FILE_MODE);
	if (fd < 0)
		return rv_status_from_errno(errno);
	rc = fd_write_all(fd, data, len);
	if (rc == RV_OK && sync && fsync(fd) < 0)
		rc = rv_status_from_errno(errno);
	if (rc == RV_OK && keep)
		*keep = fd;
	else
		close(fd);
	return rc;
}

/* The first chunk holds no record: it makes every published trace a valid, if incomplete, one. */
static int first_chunk(const struct trace_manifest *m, struct bytes *out, uint32_t *crc)
{
	struct evlog_batch none = { 0 };
	struct evlog_header h = { 0 };
	int rc;
	memcpy(h.id, m->id, sizeof(h.id));
	rc = evlog_chunk_encode(&none, &h, out);
	*crc = h.crc;
	return rc;
}

static int fill(int dir, const struct trace_manifest *m, const void *kernel, const void *initrd,
		bool sync, struct trace_published *out)
{
	struct bytes b = { 0 };
	char name[SEGMENT_NAME_MAX];
	int rc = manifest_encode(m, &b);

	if (rc == RV_OK)
		rc = file_create(dir, TRACE_MANIFEST, b.data, b.len, sync, NULL);
	if (rc == RV_OK)
		rc = file_create(dir, TRACE_KERNEL, kernel, m->kernel_len, sync, NULL);
	if (rc == RV_OK && m->initrd_len)
		rc = file_create(dir, TRACE_INITRD, initrd, m->initrd_len, sync, NULL);
	if (rc == RV_OK && m->ndisks && mkdirat(dir, TRACE_DISK, TRACE_DIR_MODE) < 0)
		rc = rv_status_from_errno(errno);
	if (rc == RV_OK && mkdirat(dir, TRACE_LOG, TRACE_DIR_MODE) < 0)
		rc = rv_status_from_errno(errno);
	if (rc != RV_OK)
		goto out;
	out->log_dir = openat(dir, TRACE_LOG, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (out->log_dir < 0) {
		rc = rv_status_from_errno(errno);
		goto out;
	}
	bytes_clear(&b);
	rc = first_chunk(m, &b, &out->last_crc);
	if (rc != RV_OK)
		goto out;
	segment_name(0, name);
	rc = file_create(out->log_dir, name, b.data, b.len, sync, &out->segment);
	out->segment_bytes = b.len;
	if (rc == RV_OK && sync && (fsync(out->log_dir) < 0 || fsync(dir) < 0))
		rc = rv_status_from_errno(errno);
out:
	bytes_fini(&b);
	return rc;
}

/* Removes exactly what fill() can have made. */
static void discard(const char *tmp, int dir)
{
	char name[32];
	char segment[SEGMENT_NAME_MAX];
	if (dir >= 0) {
		segment_name(0, segment);
		snprintf(name, sizeof(name), "%s/%s", TRACE_LOG, segment);
		unlinkat(dir, name, 0);
		unlinkat(dir, TRACE_LOG, AT_REMOVEDIR);
		unlinkat(dir, TRACE_DISK, AT_REMOVEDIR);
		unlinkat(dir, TRACE_INITRD, 0);
		unlinkat(dir, TRACE_KERNEL, 0);
		unlinkat(dir, TRACE_MANIFEST, 0);
	}
	rmdir(tmp);
}

/* rename() that never replaces; file systems without RENAME_NOREPLACE get a check before it. */
static int rename_new(const char *from, const char *to)
{
	struct stat st;
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return RV_OK;
	if (errno != EINVAL && errno != ENOSYS)
		return rv_status_from_errno(errno);
	if (lstat(to, &st) == 0)
		return RV_EEXIST;
	return rename(from, to) == 0 ? RV_OK : rv_status_from_errno(errno);
}

static int sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent;
	int fd, rc = RV_OK;
	if (!slash)
		parent = strdup(".");
	else
		parent = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!parent)
		return RV_ENOMEM;
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	if (fd < 0)
		return rv_status_from_errno(errno);
	if (fsync(fd) < 0 && errno != EINVAL) /* some file systems cannot sync a directory */
		rc = rv_status_from_errno(errno);
	close(fd);
	return rc;
}

int trace_publish(const char *path, struct trace_manifest *m, const void *kernel,
		  const void *initrd, bool sync, struct trace_published *out, struct rv_err *err)
{
	struct stat st;
	char *target = NULL, *tmp = NULL;
	int dir = -1, rc;
	size_t len = strlen(path);
	bool made = false;

	*out = (struct trace_published){ .log_dir = -1, .segment = -1 };
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len == 0)
		return rv_err_set(err, RV_EINVAL, "the trace needs a name");
	target = strndup(path, len);
	if (!target || asprintf(&tmp, "%s.tmp-XXXXXX", target) < 0) {
		tmp = NULL;
		rc = rv_err_set(err, RV_ENOMEM, "%s", rv_status_text(RV_ENOMEM));
		goto out;
	}
	if (lstat(target, &st) == 0) {
		rc = rv_err_set(err, RV_EEXIST, "%s: already exists (a recording needs a new name)",
				target);
		goto out;
	}
	if (getrandom(m->id, sizeof(m->id), 0) != (ssize_t)sizeof(m->id)) {
		rc = rv_err_set(err, RV_EIO, "%s: no random trace id from the host", target);
		goto out;
	}
	m->kernel_digest = digest_bytes(kernel, m->kernel_len, 0);
	m->initrd_digest = digest_bytes(initrd, m->initrd_len, 0);
	if (!mkdtemp(tmp)) {
		rc = rv_err_set(err, rv_status_from_errno(errno), "%s: %s", target,
				strerror(errno));
		goto out;
	}
	made = true;
	dir = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	rc = dir < 0 ? rv_status_from_errno(errno) : fill(dir, m, kernel, initrd, sync, out);
	if (rc != RV_OK) {
		rv_err_set(err, rc, "%s: cannot write the new trace: %s", target,
			   rv_status_text(rc));
		goto out;
	}
	rc = rename_new(tmp, target);
	if (rc != RV_OK) {
		rv_err_set(err, rc, "%s: cannot publish the new trace: %s", target,
			   rv_status_text(rc));
		goto out;
	}
	made = false;
	if (sync) {
		rc = sync_parent(target);
		if (rc != RV_OK)
			rv_err_set(err, rc, "%s: cannot sync its directory: %s", target,
				   rv_status_text(rc));
	}
out:
	if (rc != RV_OK) {
		if (made)
			discard(tmp, dir);
		if (out->segment >= 0)
			close(out->segment);
		if (out->log_dir >= 0)
			close(out->log_dir);
		out->segment = out->log_dir = -1;
	}
	if (dir >= 0)
		close(dir);
	free(tmp);
	free(target);
	return rc;
}
