/* SPDX-License-Identifier: Apache-2.0 */
#include "pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (256u << 10)
#define FILES_MAX 2000000u /* names in a folder: what six digits can number, twice */

/* ---- names ---- */

static bool numbered(const char *name, const char *folder, const char *ending, size_t digits)
{
	size_t len = strlen(folder), n;

	if (strncmp(name, folder, len) != 0)
		return false;
	name += len;
	n = strspn(name, "0123456789");
	return (digits ? n == digits : n >= 1 && n <= 2) && !strcmp(name + n, ending);
}

bool pack_name_known(const char *name)
{
	return !strcmp(name, "manifest") || !strcmp(name, "kernel") || !strcmp(name, "initrd") ||
	       numbered(name, "log/", ".rvl", 6) || numbered(name, "ckpt/", ".rvc", 6) ||
	       numbered(name, "disk/", ".rvb", 0) || numbered(name, "disk/", ".before", 0);
}

/* ---- packing ---- */

struct packing {
	int dir;
	const char *trace;
	struct archive *out;
	void (*progress)(void *ctx, uint64_t done);
	void *ctx;
	uint64_t done;
	uint8_t *buf;
	struct rv_err *err;
};

static int archive_failed(struct rv_err *err, const char *file, struct archive *a)
{
	const char *text = archive_error_string(a);
	int e = archive_errno(a);

	return rv_err_set(err, e == ENOSPC ? RV_ENOSPC : RV_EIO, "%.300s: %s", file, text ? text : "archive error");
}

/* Tells libarchive where a sparse file has data; nothing, if it has no holes. */
static void note_holes(int fd, off_t size, struct archive_entry *entry)
{
	off_t hole = lseek(fd, 0, SEEK_HOLE);

	if (hole >= 0 && hole < size) {
		off_t at = 0, data;

		while (at < size && (data = lseek(fd, at, SEEK_DATA)) >= 0) {
			hole = lseek(fd, data, SEEK_HOLE);
			at = hole < 0 ? size : hole;
			archive_entry_sparse_add_entry(entry, data, at - data);
		}
		if (at < size) /* a hole at the end is said by an empty piece behind it */
			archive_entry_sparse_add_entry(entry, size, 0);
	}
	lseek(fd, 0, SEEK_SET);
}

/* size bytes, holes and all: libarchive leaves out what the sparse list does not name. */
static int pack_data(struct packing *p, int fd, off_t size, const char *name)
{
	off_t left = size;

	while (left) {
		size_t want = left < (off_t)BLOCK ? (size_t)left : BLOCK;
		ssize_t n = read(fd, p->buf, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return rv_err_set(p->err, RV_EIO, "%.300s/%s: became shorter as it was packed", p->trace, name);
		if (archive_write_data(p->out, p->buf, (size_t)n) < 0)
			return archive_failed(p->err, p->trace, p->out);
		left -= n;
		p->done += (uint64_t)n;
		if (p->progress)
			p->progress(p->ctx, p->done);
	}
	return RV_OK;
}

static int pack_file(struct packing *p, const char *name)
{
	int fd = openat(p->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct archive_entry *entry;
	struct stat st;
	int rc = RV_OK;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		rc = rv_err_set(p->err, fd < 0 ? rv_status_from_errno(errno) : RV_EDAMAGED, "%.300s/%s: %s", p->trace,
				name, fd < 0 ? strerror(errno) : "not a regular file");
		if (fd >= 0)
			close(fd);
		return rc;
	}
	entry = archive_entry_new();
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_size(entry, st.st_size);
	archive_entry_set_mtime(entry, st.st_mtim.tv_sec, 0);
	note_holes(fd, st.st_size, entry);
	if (archive_write_header(p->out, entry) != ARCHIVE_OK)
		rc = archive_failed(p->err, p->trace, p->out);
	else
		rc = pack_data(p, fd, st.st_size, name);
	archive_entry_free(entry);
	close(fd);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The known files of a folder, in order of their names. */
static int pack_folder(struct packing *p, const char *folder)
{
	int fd = openat(p->dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char **names = NULL;
	size_t n = 0, cap = 0;
	struct dirent *e;
	int rc = RV_OK;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return errno == ENOENT ? RV_OK :
					 rv_err_set(p->err, RV_EIO, "%.300s/%s: %s", p->trace, folder,
						    strerror(errno));
	}
	while (rc == RV_OK && (e = readdir(d))) {
		char name[300];

		snprintf(name, sizeof(name), "%s/%s", folder, e->d_name);
		if (!pack_name_known(name))
			continue;
		if (n == cap) {
			char **more = realloc(names, (cap = cap ? cap * 2 : 64) * sizeof(*names));

			if (!more || n > FILES_MAX) {
				rc = rv_err_set(p->err, RV_ENOMEM, "out of memory");
				names = more ? more : names;
				break;
			}
			names = more;
		}
		if (!(names[n] = strdup(name)))
			rc = rv_err_set(p->err, RV_ENOMEM, "out of memory");
		else
			n++;
	}
	closedir(d);
	if (n)
		qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++) {
		if (rc == RV_OK)
			rc = pack_file(p, names[i]);
		free(names[i]);
	}
	free(names);
	return rc;
}

static int pack_all(struct packing *p)
{
	struct stat st;
	int rc = pack_file(p, "manifest");

	if (rc == RV_OK)
		rc = pack_file(p, "kernel");
	if (rc == RV_OK && fstatat(p->dir, "initrd", &st, AT_SYMLINK_NOFOLLOW) == 0)
		rc = pack_file(p, "initrd");
	if (rc == RV_OK)
		rc = pack_folder(p, "log");
	if (rc == RV_OK)
		rc = pack_folder(p, "ckpt");
	return rc == RV_OK ? pack_folder(p, "disk") : rc;
}

int pack_trace(const char *trace, const char *file, void (*progress)(void *ctx, uint64_t done), void *ctx,
	       struct rv_err *err)
{
	struct packing p = { .trace = trace, .progress = progress, .ctx = ctx, .err = err };
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return rv_err_set(err, rv_status_from_errno(errno), "%.300s: %s", file, strerror(errno));
	p.dir = open(trace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p.out = archive_write_new();
	p.buf = malloc(BLOCK);
	if (p.dir < 0)
		rc = rv_err_set(err, rv_status_from_errno(errno), "%.300s: %s", trace, strerror(errno));
	else if (!p.out || !p.buf)
		rc = rv_err_set(err, RV_ENOMEM, "out of memory");
	else if (archive_write_set_format_pax_restricted(p.out) != ARCHIVE_OK ||
		 archive_write_add_filter_zstd(p.out) != ARCHIVE_OK || archive_write_open_fd(p.out, fd) != ARCHIVE_OK)
		rc = archive_failed(err, file, p.out);
	else
		rc = pack_all(&p);
	if (rc == RV_OK && archive_write_close(p.out) != ARCHIVE_OK)
		rc = archive_failed(err, file, p.out);
	if (rc == RV_OK && fsync(fd) < 0 && errno != EINVAL)
		rc = rv_err_set(err, rv_status_from_errno(errno), "%.300s: %s", file, strerror(errno));
	archive_write_free(p.out);
	free(p.buf);
	if (p.dir >= 0)
		close(p.dir);
	close(fd);
	if (rc != RV_OK)
		unlink(file);
	return rc;
}

/* ---- unpacking ---- */

static int unpack_data(struct archive *in, int fd, const char *file, const char *name, uint64_t *done,
		       struct rv_err *err)
{
	const void *data;
	size_t len;
	la_int64_t off;
	int rc;

	while ((rc = archive_read_data_block(in, &data, &len, &off)) == ARCHIVE_OK) {
		const uint8_t *p = data;

		if (off < 0)
			return rv_err_set(err, RV_EDAMAGED, "%.300s: %s: impossible offsets", file, name);
		*done += len;
		while (len) {
			ssize_t n = pwrite(fd, p, len, (off_t)off);

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return rv_err_set(err, rv_status_from_errno(n < 0 ? errno : EIO), "%s: %s", name,
						  strerror(n < 0 ? errno : EIO));
			p += n;
			off += n;
			len -= (size_t)n;
		}
	}
	if (rc != ARCHIVE_EOF)
		return rv_err_set(err, RV_EDAMAGED, "%.300s: %s: %s", file, name,
				  archive_error_string(in) ? archive_error_string(in) : "damaged");
	return RV_OK;
}

/* One entry: a regular file with a name of ours, and no other of that name before. */
static int unpack_entry(struct archive *in, struct archive_entry *entry, int dir, const char *file, uint64_t *done,
			struct rv_err *err)
{
	const char *name = archive_entry_pathname(entry);
	char folder[8];
	int fd, rc;

	if (!name || !pack_name_known(name) || archive_entry_filetype(entry) != AE_IFREG ||
	    archive_entry_hardlink(entry) || archive_entry_symlink(entry) || archive_entry_size(entry) < 0)
		return rv_err_set(err, RV_EDAMAGED, "%.300s: holds what no trace holds: %.200s", file,
				  name ? name : "an entry without a name");
	if (strchr(name, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(strchr(name, '/') - name), name);
		if (mkdirat(dir, folder, 0700) < 0 && errno != EEXIST)
			return rv_err_set(err, rv_status_from_errno(errno), "%s: %s", folder, strerror(errno));
	}
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return rv_err_set(err, errno == EEXIST ? RV_EDAMAGED : rv_status_from_errno(errno), "%.300s: %s: %s",
				  file, name, errno == EEXIST ? "is in it twice" : strerror(errno));
	rc = unpack_data(in, fd, file, name, done, err);
	if (rc == RV_OK && (ftruncate(fd, archive_entry_size(entry)) < 0 || fsync(fd) < 0))
		rc = rv_err_set(err, rv_status_from_errno(errno), "%s: %s", name, strerror(errno));
	close(fd);
	return rc;
}

static int unpack_all(struct archive *in, int dir, const char *file, void (*progress)(void *ctx, uint64_t done),
		      void *ctx, struct rv_err *err)
{
	struct archive_entry *entry;
	uint64_t done = 0;
	int rc = RV_OK, a;

	while (rc == RV_OK && (a = archive_read_next_header(in, &entry)) != ARCHIVE_EOF) {
		if (a != ARCHIVE_OK)
			return rv_err_set(err, RV_EDAMAGED, "%.300s: not a packed trace: %s", file,
					  archive_error_string(in) ? archive_error_string(in) : "damaged");
		rc = unpack_entry(in, entry, dir, file, &done, err);
		if (progress)
			progress(ctx, done);
	}
	if (rc == RV_OK && fsync(dir) < 0)
		rc = rv_err_set(err, rv_status_from_errno(errno), "%.300s: %s", file, strerror(errno));
	return rc;
}

/* Removes what unpack_all() can have made. */
static void discard(const char *tmp, int dir)
{
	static const char *const folders[] = { ".", "log", "ckpt", "disk" };

	for (size_t i = sizeof(folders) / sizeof(*folders); i-- > 0;) {
		int fd = openat(dir, folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		DIR *d = fd < 0 ? NULL : fdopendir(fd);
		struct dirent *e;

		while (d && (e = readdir(d)))
			unlinkat(dirfd(d), e->d_name, 0);
		if (d)
			closedir(d);
		if (i)
			unlinkat(dir, folders[i], AT_REMOVEDIR);
	}
	rmdir(tmp);
}

int unpack_trace(const char *file, const char *trace, void (*progress)(void *ctx, uint64_t done), void *ctx,
		 struct rv_err *err)
{
	struct archive *in = NULL;
	struct stat st;
	char *tmp = NULL;
	int rc, dir = -1;

	if (lstat(trace, &st) == 0)
		return rv_err_set(err, RV_EEXIST, "%.300s: already exists", trace);
	if (asprintf(&tmp, "%s.tmp-XXXXXX", trace) < 0)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	in = archive_read_new();
	if (!in) {
		free(tmp);
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	}
	/* These two and nothing else: every format is code that a hostile file could reach. */
	archive_read_support_format_tar(in);
	archive_read_support_filter_zstd(in);
	if (archive_read_open_filename(in, file, BLOCK) != ARCHIVE_OK) {
		rc = rv_err_set(err, archive_errno(in) == ENOENT ? RV_ENOENT : RV_EDAMAGED, "%.300s: %s", file,
				archive_error_string(in) ? archive_error_string(in) : "not a packed trace");
		goto out;
	}
	if (!mkdtemp(tmp) || (dir = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		rc = rv_err_set(err, rv_status_from_errno(errno), "%.300s: %s", trace, strerror(errno));
		goto out;
	}
	rc = unpack_all(in, dir, file, progress, ctx, err);
	if (rc == RV_OK && fstatat(dir, "manifest", &st, 0) < 0)
		rc = rv_err_set(err, RV_EDAMAGED, "%.300s: holds no trace", file);
	if (rc == RV_OK && renameat2(AT_FDCWD, tmp, AT_FDCWD, trace, RENAME_NOREPLACE) < 0)
		rc = rv_err_set(err, rv_status_from_errno(errno), "%.300s: %s", trace, strerror(errno));
	if (rc != RV_OK)
		discard(tmp, dir);
out:
	if (dir >= 0)
		close(dir);
	archive_read_free(in);
	free(tmp);
	return rc;
}
