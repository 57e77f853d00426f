/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock (Linux Documentation/userspace-api/landlock.rst) by raw system
 * calls: the C library has no wrappers, and the installed header may be older
 * than the kernel, so the numbers are written out here.
 */
#include "sandbox.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NR_CREATE_RULESET 444
#define NR_ADD_RULE 445
#define NR_RESTRICT_SELF 446
#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1

#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_REMOVE_DIR (1ull << 4)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_DIR (1ull << 7)
#define FS_MAKE_REG (1ull << 8)
#define FS_MAKE_SOCK (1ull << 9)
#define FS_REFER (1ull << 13)
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL_DEV (1ull << 15)
#define FS_ABI1 ((1ull << 13) - 1)

#define NET_BIND_TCP (1ull << 0)
#define NET_CONNECT_TCP (1ull << 1)
#define SCOPE_ABSTRACT_UNIX (1ull << 0)
#define SCOPE_SIGNAL (1ull << 1)

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4 */
	uint64_t scoped;             /* ABI 6 */
};

struct path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

static uint64_t fs_handled(long abi)
{
	uint64_t fs = FS_ABI1;

	if (abi >= 2)
		fs |= FS_REFER;
	if (abi >= 3)
		fs |= FS_TRUNCATE;
	if (abi >= 5)
		fs |= FS_IOCTL_DEV;
	return fs;
}

static uint64_t fs_allowed(enum sandbox_access access)
{
	switch (access) {
	case SANDBOX_ACCESS_READ:
		return FS_READ_FILE | FS_READ_DIR;
	case SANDBOX_ACCESS_FILE:
		return FS_READ_FILE;
	case SANDBOX_ACCESS_DEVICE:
		return FS_READ_FILE | FS_WRITE_FILE | FS_IOCTL_DEV;
	case SANDBOX_ACCESS_CREATE:
		return FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE |
		       FS_MAKE_DIR | FS_MAKE_REG | FS_REFER | FS_TRUNCATE;
	case SANDBOX_ACCESS_SOCKET:
		return FS_MAKE_SOCK | FS_REMOVE_FILE;
	}
	return 0;
}

int sandbox_landlock(const struct sandbox_path *paths, unsigned npaths, enum sandbox_tcp tcp,
		     struct rv_err *err)
{
	long abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
	struct ruleset_attr attr = { 0 };
	size_t size = sizeof(uint64_t);
	int fd, rc = 0;

	if (abi < 1)
		return 0; /* no Landlock here: the seccomp filter is the fence */
	attr.handled_access_fs = fs_handled(abi);
	if (abi >= 4) {
		attr.handled_access_net = (tcp == SANDBOX_TCP_ALL ? 0 : NET_CONNECT_TCP) |
					  (tcp == SANDBOX_TCP_NONE ? NET_BIND_TCP : 0);
		size = 2 * sizeof(uint64_t);
	}
	if (abi >= 6) {
		attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
		size = 3 * sizeof(uint64_t);
	}
	fd = (int)syscall(NR_CREATE_RULESET, &attr, size, 0);
	if (fd < 0)
		return rv_err_set(err, RV_EPERM, "sandbox: Landlock refused: %s (--sandbox=off runs without)",
				  strerror(errno));
	for (unsigned i = 0; i < npaths && !rc; i++) {
		struct path_beneath_attr rule = {
			.allowed_access = fs_allowed(paths[i].access) & attr.handled_access_fs,
			.parent_fd = paths[i].fd,
		};

		if (paths[i].fd < 0)
			continue;
		if (paths[i].access == SANDBOX_ACCESS_DEVICE) /* a file's rule may not speak of directories */
			rule.allowed_access &= FS_READ_FILE | FS_WRITE_FILE | FS_IOCTL_DEV;
		if (syscall(NR_ADD_RULE, fd, RULE_PATH_BENEATH, &rule, 0) < 0)
			rc = rv_err_set(err, RV_EPERM,
					"sandbox: Landlock rule refused: %s (--sandbox=off runs without)",
					strerror(errno));
	}
	if (!rc && syscall(NR_RESTRICT_SELF, fd, 0) < 0)
		rc = rv_err_set(err, RV_EPERM,
				"sandbox: Landlock refused: %s (--sandbox=off runs without)",
				strerror(errno));
	close(fd);
	return rc;
}
