/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (2ull << 30) /* more than fits below 4 GiB beside the PCI hole */

int files_read(struct file_data *out, const char *option, const char *path, struct rv_err *err)
{
	struct stat st;
	uint8_t *data = NULL;
	size_t have = 0, size;
	int rc, fd;

	*out = (struct file_data){ 0 };
	/* O_NONBLOCK: a FIFO must be refused, not waited for. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return rv_err_set(err, rv_status_from_errno(errno), "%s=%s: %s", option, path,
				  strerror(errno));
	if (fstat(fd, &st) < 0) {
		rc = rv_err_set(err, RV_EIO, "%s=%s: %s", option, path, strerror(errno));
		goto out;
	}
	if (S_ISDIR(st.st_mode)) {
		rc = rv_err_set(err, RV_EINVAL, "%s=%s: is a directory; name a file", option, path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = rv_err_set(err, RV_EINVAL, "%s=%s: not a regular file", option, path);
		goto out;
	}
	if (st.st_size <= 0) {
		rc = rv_err_set(err, RV_EINVAL, "%s=%s: the file is empty", option, path);
		goto out;
	}
	if ((uint64_t)st.st_size > FILE_MAX) {
		rc = rv_err_set(err, RV_EINVAL, "%s=%s: larger than 2 GiB", option, path);
		goto out;
	}
	size = (size_t)st.st_size;
	data = malloc(size);
	if (!data) {
		rc = rv_err_set(err, RV_ENOMEM, "%s=%s: out of memory", option, path);
		goto out;
	}
	while (have < size) {
		ssize_t n = read(fd, data + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = rv_err_set(err, RV_EIO, "%s=%s: %s", option, path, strerror(errno));
			goto out;
		}
		if (n == 0) {
			rc = rv_err_set(err, RV_ECHANGED, "%s=%s: became shorter while being read", option,
					path);
			goto out;
		}
		have += (size_t)n;
	}
	out->data = data;
	out->len = size;
	data = NULL;
	rc = 0;
out:
	free(data);
	close(fd);
	return rc;
}

void files_fini(struct file_data *f)
{
	free(f->data);
	*f = (struct file_data){ 0 };
}

int files_open_parent(const char *path)
{
	char *copy = strdup(path);
	size_t len;
	char *slash;
	int fd;

	if (!copy)
		return RV_ENOMEM;
	len = strlen(copy);
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = 0;
	slash = strrchr(copy, '/');
	if (slash && slash != copy)
		*slash = 0;
	fd = open(!slash ? "." : slash == copy ? "/" : copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	return fd < 0 ? rv_status_from_errno(errno) : fd;
}
