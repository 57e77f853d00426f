/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/model.h"
#include "trace_priv.h"

struct trace {
	char *path;
	int dir, log_dir;
	struct trace_manifest manifest;
	void *kernel, *initrd;
};

void segment_name(uint32_t n, char out[SEGMENT_NAME_MAX])
{
	snprintf(out, SEGMENT_NAME_MAX, "%06u.rvl", n % 1000000u);
}

bool segment_parse(const char *name, uint32_t *n)
{
	uint32_t v = 0;
	for (unsigned i = 0; i < 6; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		v = v * 10 + (uint32_t)(name[i] - '0');
	}
	*n = v;
	return strcmp(name + 6, ".rvl") == 0;
}

int fd_write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;
	while (len) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rv_status_from_errno(errno);
		if (n == 0)
			return RV_EIO;
		p += n;
		len -= (size_t)n;
	}
	return RV_OK;
}

int fd_read_at(int fd, void *data, size_t len, uint64_t off)
{
	uint8_t *p = data;
	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rv_status_from_errno(errno);
		if (n == 0)
			return RV_EEND;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return RV_OK;
}

int fd_open_regular(int dir, const char *name, uint64_t *size, int *rc)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		*rc = errno == ELOOP ? RV_EDAMAGED : rv_status_from_errno(errno);
		return -1;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		*rc = RV_EDAMAGED;
		return -1;
	}
	*size = (uint64_t)st.st_size;
	*rc = RV_OK;
	return fd;
}

static int trace_load_manifest(struct trace *t, struct rv_err *err)
{
	char name[4096 + 16];
	struct stat st;
	uint8_t *data = NULL;
	uint64_t size = 0;
	int rc, fd = fd_open_regular(t->dir, TRACE_MANIFEST, &size, &rc);

	snprintf(name, sizeof(name), "%s/%s", t->path, TRACE_MANIFEST);
	if (rc == RV_ENOENT) {
		if (fstatat(t->dir, TRACE_LOG, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return rv_err_set(err, RV_EDAMAGED, "%s: missing from the trace", name);
		return rv_err_set(err, RV_EINVAL, "%s: not a trace (it has no manifest)", t->path);
	}
	if (fd < 0)
		return rv_err_set(err, rc, "%s: %s", name, rv_status_text(rc));
	if (size > MANIFEST_HEADER_SIZE + MANIFEST_MAX) {
		rc = rv_err_set(err, RV_EDAMAGED, "%s: the trace's manifest is damaged", name);
		goto out;
	}
	data = malloc(size + 1);
	rc = data ? fd_read_at(fd, data, size, 0) : RV_ENOMEM;
	if (rc != RV_OK) {
		rc = rc == RV_EEND ? RV_EDAMAGED : rc;
		rv_err_set(err, rc, "%s: %s", name, rv_status_text(rc));
		goto out;
	}
	rc = manifest_decode(data, size, name, &t->manifest, err);
out:
	free(data);
	close(fd);
	return rc;
}

/* A guest file, copied to memory so that what was checked is what is used. */
static int trace_load_file(struct trace *t, const char *file, uint64_t len,
			   struct digest128 digest, void **out, struct rv_err *err)
{
	uint64_t size = 0;
	int rc, fd = fd_open_regular(t->dir, file, &size, &rc);
	void *p = MAP_FAILED;

	if (rc == RV_ENOENT)
		return rv_err_set(err, RV_EDAMAGED, "%s/%s: missing from the trace", t->path, file);
	if (fd < 0)
		return rv_err_set(err, rc, "%s/%s: %s", t->path, file, rv_status_text(rc));
	if (size != len) {
		rc = rv_err_set(err, RV_EDAMAGED,
				"%s/%s: damaged (%llu bytes, the manifest says %llu)", t->path,
				file, (unsigned long long)size, (unsigned long long)len);
		goto out;
	}
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	rc = p == MAP_FAILED ? RV_ENOMEM : fd_read_at(fd, p, len, 0);
	if (rc != RV_OK) {
		rc = rc == RV_EEND ? RV_EDAMAGED : rc;
		rv_err_set(err, rc, "%s/%s: %s", t->path, file, rv_status_text(rc));
		goto out;
	}
	if (!digest_equal(digest_bytes(p, len, 0), digest)) {
		rc = rv_err_set(err, RV_EDAMAGED,
				"%s/%s: damaged (its digest is not the manifest's)", t->path, file);
		goto out;
	}
	mprotect(p, len, PROT_READ);
	*out = p;
	p = MAP_FAILED;
out:
	if (p != MAP_FAILED)
		munmap(p, len);
	close(fd);
	return rc;
}

int trace_open(struct trace **out, const char *path, struct rv_err *err)
{
	struct trace *t = calloc(1, sizeof(*t));
	const struct trace_manifest *m;
	int rc;

	if (!t)
		return rv_err_set(err, RV_ENOMEM, "%s", rv_status_text(RV_ENOMEM));
	t->dir = t->log_dir = -1;
	t->path = strdup(path);
	if (!t->path) {
		rc = rv_err_set(err, RV_ENOMEM, "%s", rv_status_text(RV_ENOMEM));
		goto fail;
	}
	t->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir < 0) {
		if (errno == ENOTDIR)
			rc = rv_err_set(err, RV_EINVAL, "%s: not a trace (not a directory)", path);
		else if (errno == ENOENT)
			rc = rv_err_set(err, RV_ENOENT, "%s: no such trace", path);
		else
			rc = rv_err_set(err, rv_status_from_errno(errno), "%s: %s", path,
					strerror(errno));
		goto fail;
	}
	rc = trace_load_manifest(t, err);
	if (rc != RV_OK)
		goto fail;
	m = &t->manifest;
	rc = trace_load_file(t, TRACE_KERNEL, m->kernel_len, m->kernel_digest, &t->kernel, err);
	if (rc == RV_OK && m->initrd_len)
		rc = trace_load_file(t, TRACE_INITRD, m->initrd_len, m->initrd_digest, &t->initrd,
				     err);
	if (rc != RV_OK)
		goto fail;
	t->log_dir = openat(t->dir, TRACE_LOG, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (t->log_dir < 0) {
		rc = errno == EACCES ? RV_EPERM : RV_EDAMAGED;
		rv_err_set(err, rc, "%s/%s: %s", path, TRACE_LOG, strerror(errno));
		goto fail;
	}
	*out = t;
	return RV_OK;
fail:
	trace_close(t);
	return rc;
}

void trace_close(struct trace *t)
{
	if (!t)
		return;
	if (t->kernel)
		munmap(t->kernel, t->manifest.kernel_len);
	if (t->initrd)
		munmap(t->initrd, t->manifest.initrd_len);
	if (t->log_dir >= 0)
		close(t->log_dir);
	if (t->dir >= 0)
		close(t->dir);
	trace_manifest_fini(&t->manifest);
	free(t->path);
	free(t);
}

static int disk_path(const char *trace_path, unsigned disk, const char *kind, char out[TRACE_PATH_MAX])
{
	int n = snprintf(out, TRACE_PATH_MAX, "%s/" TRACE_DISK "/%u.%s", trace_path, disk, kind);
	return n > 0 && (unsigned)n < TRACE_PATH_MAX ? RV_OK : RV_EINVAL;
}

int trace_disk_log_path(const char *trace_path, unsigned disk, char out[TRACE_PATH_MAX])
{
	return disk_path(trace_path, disk, "rvb", out);
}

int trace_disk_before_path(const char *trace_path, unsigned disk, char out[TRACE_PATH_MAX])
{
	return disk_path(trace_path, disk, "before", out);
}

const char *trace_path(const struct trace *t)
{
	return t->path;
}

const struct trace_manifest *trace_manifest(const struct trace *t)
{
	return &t->manifest;
}

const void *trace_kernel(const struct trace *t)
{
	return t->kernel;
}

const void *trace_initrd(const struct trace *t)
{
	return t->initrd;
}

int trace_log_dir(const struct trace *t)
{
	return t->log_dir;
}

int trace_ckpt_dir(const struct trace *t, int *rc)
{
	int fd = openat(t->dir, TRACE_CKPT, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	*rc = fd >= 0 ? RV_OK : rv_status_from_errno(errno);
	return fd;
}

int trace_check_supported(const struct trace *t, struct rv_err *err)
{
	const struct trace_manifest *m = &t->manifest;
	if (strcmp(m->cpu_model, CPU_MODEL_NAME) != 0)
		return rv_err_set(err, RV_ENOTSUP,
				  "%s: recorded on CPU model %s, this program has only %s",
				  t->path, m->cpu_model, CPU_MODEL_NAME);
	if (m->semantics_version != CPU_SEMANTICS_VERSION)
		return rv_err_set(err, RV_ENOTSUP,
				  "%s: recorded with semantics version %u of %s, this program has "
				  "%u: replay it with retrovisor %s",
				  t->path, m->semantics_version, m->cpu_model,
				  CPU_SEMANTICS_VERSION, m->version);
	if (strcmp(m->result_profile, CPU_RESULT_PROFILE) != 0)
		return rv_err_set(err, RV_ENOTSUP,
				  "%s: recorded with result profile %s, this program has only %s",
				  t->path, m->result_profile, CPU_RESULT_PROFILE);
	if (strcmp(m->engine, "exact") != 0)
		return rv_err_set(err, RV_ENOTSUP,
				  "%s: recorded on engine %s, this program replays only recordings "
				  "of the exact engine",
				  t->path, m->engine);
	return RV_OK;
}
