/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file:PATH, on storage that both halves see: term N is the file PATH.N. It is
 * written under another name first and then linked: link(2) fails if the name
 * is there (open(2) says the same of NFS), and who finds it finds it whole.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arbiter_int.h"

struct arbiter_file {
	char dir[PATH_MAX], name[NAME_MAX];
};

static int file_open(void **self, const char *rest, struct rv_err *err)
{
	const char *slash = strrchr(rest, '/'), *name = slash ? slash + 1 : rest;
	struct arbiter_file *f = calloc(1, sizeof(*f));
	char dir[PATH_MAX];
	if (!f)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - rest + 1) : 1, slash ? rest : ".");
	if (!*name || strlen(name) > 200 || strlen(rest) >= PATH_MAX || !realpath(dir, f->dir)) {
		free(f);
		return rv_err_set(err, RV_EUSAGE, "--arbiter=file:%.200s: %s", rest,
				  *name ? "its folder is not there" : "a name is missing");
	}
	snprintf(f->name, sizeof(f->name), "%s", name);
	*self = f;
	return RV_OK;
}

static void file_close(void *self)
{
	free(self);
}

static int open_dir(const struct arbiter_file *f, struct rv_err *err)
{
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		rv_err_set(err, RV_EIO, "%.150s: %s", f->dir, strerror(errno));
	return fd;
}

static int write_claim(int dir, const char *tmp, const char *text)
{
	size_t len = strlen(text);
	int rc = 0, fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -1;
	if (write(fd, text, len) != (ssize_t)len || fsync(fd) < 0)
		rc = -1;
	close(fd);
	return rc;
}

static void read_claim(int dir, const char *name, char out[ARBITER_CLAIM_MAX + 1])
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? 0 : read(fd, out, ARBITER_CLAIM_MAX);
	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
}

/* The random end of the claim makes the name ours alone. */
static void tmp_name(const struct arbiter_file *f, const struct arbiter_claim *c, char out[NAME_MAX + 64])
{
	snprintf(out, NAME_MAX + 64, "%s.tmp-%s", f->name, c->text + strlen(c->text) - 32);
}

/* The file that will get the term's name says the same whatever the term is: it can be durable before it is needed. */
static void file_prepare(void *self, const struct arbiter_claim *c)
{
	const struct arbiter_file *f = self;
	char tmp[NAME_MAX + 64];
	int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	tmp_name(f, c, tmp);
	if (faccessat(dir, tmp, F_OK, 0) < 0 && write_claim(dir, tmp, c->text) < 0)
		(void)unlinkat(dir, tmp, 0);
	close(dir);
}

static int file_claim(void *self, const struct arbiter_claim *c, uint64_t term, char holder[ARBITER_CLAIM_MAX + 1],
		      struct rv_err *err)
{
	const struct arbiter_file *f = self;
	char name[NAME_MAX + 32], tmp[NAME_MAX + 64];
	int rc = RV_OK, dir = open_dir(f, err);
	if (dir < 0)
		return RV_EIO;
	snprintf(name, sizeof(name), "%s.%llu", f->name, (unsigned long long)term);
	tmp_name(f, c, tmp);
	file_prepare(self, c);
	if (linkat(dir, tmp, dir, name, 0) < 0 && errno != EEXIST) {
		rc = rv_err_set(err, RV_EIO, "%.150s/%.60s: %s", f->dir, name, strerror(errno));
	} else {
		read_claim(dir, name, holder);
		if (strcmp(holder, c->text) != 0)
			rc = RV_EEXIST;
		/* A term that a power cut takes back could be given twice. */
		else if (fsync(dir) < 0)
			rc = rv_err_set(err, RV_EIO, "%.150s: %s", f->dir, strerror(errno));
	}
	(void)unlinkat(dir, tmp, 0);
	close(dir);
	return rc;
}

static int file_latest(void *self, const struct arbiter_claim *c, uint64_t *term, struct rv_err *err)
{
	const struct arbiter_file *f = self;
	const size_t len = strlen(f->name);
	struct dirent *e;
	DIR *d = opendir(f->dir);
	(void)c;
	*term = 0;
	if (!d)
		return rv_err_set(err, RV_EIO, "%.150s: %s", f->dir, strerror(errno));
	while ((errno = 0, e = readdir(d))) {
		unsigned long long n = 0;
		int end = 0;
		if (strncmp(e->d_name, f->name, len) == 0 && sscanf(e->d_name + len, ".%19llu%n", &n, &end) == 1 &&
		    !e->d_name[len + (size_t)end] && n > *term)
			*term = n;
	}
	if (errno) {
		rv_err_set(err, RV_EIO, "%.150s: %s", f->dir, strerror(errno));
		closedir(d);
		return RV_EIO;
	}
	closedir(d);
	return RV_OK;
}

const struct arbiter_kind arbiter_kind_file = {
	.name = "file",
	.open = file_open,
	.close = file_close,
	.prepare = file_prepare,
	.claim = file_claim,
	.latest = file_latest,
};
