/* SPDX-License-Identifier: Apache-2.0 */
#include "base/execmem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int execmem_create(struct execmem *m, size_t size, struct rv_err *err)
{
	int fd;
	memset(m, 0, sizeof(*m));
	size = (size + RV_PAGE_SIZE - 1) & ~(size_t)(RV_PAGE_SIZE - 1);
	fd = memfd_create("retrovisor-code", MFD_CLOEXEC);
	if (fd < 0)
		return rv_err_set(err, RV_ENOMEM, "no memory for translated code: %s", strerror(errno));
	if (ftruncate(fd, (off_t)size) == 0) {
		void *rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		void *rx = rw == MAP_FAILED ? MAP_FAILED
					    : mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
		if (rx != MAP_FAILED) {
			close(fd);
			m->rw = rw;
			m->rx = rx;
			m->size = size;
			return RV_OK;
		}
		if (rw != MAP_FAILED)
			munmap(rw, size);
	}
	rv_err_set(err, errno == EACCES || errno == EPERM ? RV_ENOTSUP : RV_ENOMEM,
		   "cannot map memory for translated code: %s (--jit=off does without)",
		   strerror(errno));
	close(fd);
	return err ? err->code : RV_ENOMEM;
}

void execmem_destroy(struct execmem *m)
{
	if (m->rw)
		munmap(m->rw, m->size);
	if (m->rx)
		munmap((void *)(uintptr_t)m->rx, m->size);
	memset(m, 0, sizeof(*m));
}
