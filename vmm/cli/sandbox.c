/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "base/types.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define PROFILE_BIT(p) (1u << (p))
#define FOR_ALL 0xffu
#define FOR_RECORD (PROFILE_BIT(SANDBOX_RECORD) | PROFILE_BIT(SANDBOX_RECORD_GDB))
#define FOR_KVM PROFILE_BIT(SANDBOX_RUN_KVM)
#define FOR_READERS                                                                                \
	(PROFILE_BIT(SANDBOX_REPLAY) | PROFILE_BIT(SANDBOX_VERIFY) | PROFILE_BIT(SANDBOX_REPLAY_GDB))
#define FOR_GDB                                                                                    \
	(PROFILE_BIT(SANDBOX_RUN_GDB) | PROFILE_BIT(SANDBOX_RECORD_GDB) | PROFILE_BIT(SANDBOX_REPLAY_GDB))

const char *sandbox_profile_name(enum sandbox_profile profile)
{
	static const char *const names[] = { "run", "record", "replay", "verify", "run kvm",
					     "run gdb", "record gdb", "replay gdb" };

	return names[profile];
}

/* ---- capabilities ---- */

static int set_caps(uint32_t keep, struct rv_err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 }, { 0 } };

	if (syscall(SYS_capget, &header, data) < 0)
		return rv_err_set(err, RV_EPERM, "sandbox: capget: %s", strerror(errno));
	for (unsigned i = 0; i < 2; i++) {
		data[i].permitted &= i ? 0 : keep;
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return rv_err_set(err, RV_EPERM, "sandbox: capset: %s", strerror(errno));
	return 0;
}

int sandbox_prepare(const struct sandbox_path *paths, unsigned npaths, enum sandbox_tcp tcp,
		    struct rv_err *err)
{
	int rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return rv_err_set(err, RV_EPERM, "sandbox: no_new_privs: %s", strerror(errno));
	/* Bounding set and ambient set: fails without CAP_SETPCAP, and then there is nothing to drop. */
	for (int cap = 0; cap < 64; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	rc = set_caps(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH, err);
	if (rc)
		return rc;
	/* The leak checker reads /proc at exit. */
	return SANITIZED ? 0 : sandbox_landlock(paths, npaths, tcp, err);
}

/* ---- system calls ---- */

struct allowed {
	int nr;
	unsigned profiles;
};

/*
 * Calls without a condition. None of them makes a process, a socket or an
 * executable page, none opens a file. Threads exist before the filter; they
 * only end under it.
 */
static const struct allowed allowed_calls[] = {
	{ SCMP_SYS(read), FOR_ALL }, { SCMP_SYS(write), FOR_ALL }, { SCMP_SYS(writev), FOR_ALL },
	{ SCMP_SYS(lseek), FOR_ALL }, { SCMP_SYS(close), FOR_ALL }, { SCMP_SYS(fstat), FOR_ALL },
	{ SCMP_SYS(poll), FOR_ALL }, { SCMP_SYS(ppoll), FOR_ALL }, { SCMP_SYS(futex), FOR_ALL },
	{ SCMP_SYS(sched_yield), FOR_ALL }, { SCMP_SYS(restart_syscall), FOR_ALL },
	{ SCMP_SYS(clock_gettime), FOR_ALL }, { SCMP_SYS(clock_getres), FOR_ALL },
	{ SCMP_SYS(gettimeofday), FOR_ALL }, { SCMP_SYS(clock_nanosleep), FOR_ALL },
	{ SCMP_SYS(nanosleep), FOR_ALL }, { SCMP_SYS(getrusage), FOR_ALL },
	{ SCMP_SYS(brk), FOR_ALL }, { SCMP_SYS(munmap), FOR_ALL }, { SCMP_SYS(mremap), FOR_ALL },
	{ SCMP_SYS(madvise), FOR_ALL }, { SCMP_SYS(getrandom), FOR_ALL }, /* malloc's own use */
	{ SCMP_SYS(rt_sigaction), FOR_ALL }, { SCMP_SYS(rt_sigprocmask), FOR_ALL },
	{ SCMP_SYS(rt_sigreturn), FOR_ALL }, { SCMP_SYS(sigaltstack), FOR_ALL },
	/* abort() and raise(); the kernel checks that the target is us through no_new_privs and scope */
	{ SCMP_SYS(getpid), FOR_ALL }, { SCMP_SYS(gettid), FOR_ALL }, { SCMP_SYS(tgkill), FOR_ALL },
	/* a thread made just before the filter may still be registering itself */
	{ SCMP_SYS(rseq), FOR_ALL }, { SCMP_SYS(set_robust_list), FOR_ALL },
	{ SCMP_SYS(exit), FOR_ALL }, { SCMP_SYS(exit_group), FOR_ALL },
	{ SCMP_SYS(capget), FOR_ALL }, { SCMP_SYS(capset), FOR_ALL },
	/* disks: the base, the block log, all of them open already */
	{ SCMP_SYS(pread64), FOR_ALL }, { SCMP_SYS(pwrite64), FOR_ALL }, { SCMP_SYS(fdatasync), FOR_ALL },
	/* reading a trace: segments are opened one after the other, below what Landlock left */
	{ SCMP_SYS(newfstatat), FOR_RECORD | FOR_READERS | FOR_GDB },
	{ SCMP_SYS(getdents64), FOR_RECORD | FOR_READERS },
	/* writing one: new segments, their sizes, their way to the disk */
	{ SCMP_SYS(openat), FOR_RECORD }, { SCMP_SYS(pwritev), FOR_RECORD },
	{ SCMP_SYS(fsync), FOR_RECORD }, { SCMP_SYS(ftruncate), FOR_RECORD },
	{ SCMP_SYS(fallocate), FOR_RECORD }, { SCMP_SYS(sync_file_range), FOR_RECORD },
	{ SCMP_SYS(renameat), FOR_RECORD }, { SCMP_SYS(renameat2), FOR_RECORD },
	{ SCMP_SYS(unlinkat), FOR_RECORD },
	/* serving a debugger; its socket listens already and is removed at the end */
	{ SCMP_SYS(accept), FOR_GDB }, { SCMP_SYS(accept4), FOR_GDB }, { SCMP_SYS(recvfrom), FOR_GDB },
	{ SCMP_SYS(sendto), FOR_GDB }, { SCMP_SYS(recvmsg), FOR_GDB }, { SCMP_SYS(sendmsg), FOR_GDB },
	{ SCMP_SYS(shutdown), FOR_GDB }, { SCMP_SYS(setsockopt), FOR_GDB },
	{ SCMP_SYS(lstat), FOR_GDB }, { SCMP_SYS(unlink), FOR_GDB },
	/* the tick that ends a stretch of KVM_RUN */
	{ SCMP_SYS(timer_create), FOR_KVM }, { SCMP_SYS(timer_settime), FOR_KVM },
	{ SCMP_SYS(timer_delete), FOR_KVM },
};

/* A user-mode network makes sockets as its guest asks, and reads the host's resolver settings. Landlock
 * leaves it nothing else to open. */
static const int net_calls[] = {
	SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept),
	SCMP_SYS(accept4), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	SCMP_SYS(shutdown), SCMP_SYS(newfstatat), SCMP_SYS(stat), SCMP_SYS(time), SCMP_SYS(sysinfo),
};

/* Serving the socket, and saving: a new trace, with a writer's threads, where Landlock lets it be made. */
static const int ctl_calls[] = {
	SCMP_SYS(accept4), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(getsockopt), SCMP_SYS(geteuid),
	SCMP_SYS(unlink), SCMP_SYS(openat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(newfstatat),
	SCMP_SYS(fsync), SCMP_SYS(ftruncate), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlinkat),
	SCMP_SYS(rmdir), SCMP_SYS(lstat), SCMP_SYS(getdents64),
};

/* clone() for threads alone; clone3(), whose flags a filter cannot see, is said not to exist, and libc falls back. */
static int add_threads(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp thread = {
		.arg = 0, .op = SCMP_CMP_MASKED_EQ, .datum_a = CLONE_THREAD, .datum_b = CLONE_THREAD,
	};
	int rc = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, &thread);

	return rc ? rc : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* Terminal modes, never TIOCSTI (input for the shell) or anything else that ioctl() can do. */
static const unsigned long allowed_ioctls[] = { TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ };

/* Allows a call when (argument & mask) == value. */
static int allow_when(scmp_filter_ctx ctx, int nr, unsigned arg, uint64_t mask, uint64_t value)
{
	const struct scmp_arg_cmp cmp = {
		.arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value,
	};

	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 1, &cmp);
}

static int add_conditional(scmp_filter_ctx ctx, enum sandbox_profile profile)
{
	int rc = 0;

	for (size_t i = 0; i < RV_ARRAY_LEN(allowed_ioctls) && !rc; i++)
		rc = allow_when(ctx, SCMP_SYS(ioctl), 1, UINT32_MAX, allowed_ioctls[i]);
	/* Every request of <linux/kvm.h> has this type byte. */
	if (!rc && (FOR_KVM & PROFILE_BIT(profile)))
		rc = allow_when(ctx, SCMP_SYS(ioctl), 1, 0xff00u, 0xae00u);
	/* No new executable memory, by either door. */
	if (!rc)
		rc = allow_when(ctx, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
	if (!rc)
		rc = allow_when(ctx, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	/* fdopendir() asks for the flags of its descriptor and sets FD_CLOEXEC. */
	if (!rc)
		rc = allow_when(ctx, SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETFL);
	if (!rc)
		rc = allow_when(ctx, SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETFD);
	if (!rc && (FOR_READERS & PROFILE_BIT(profile)))
		rc = allow_when(ctx, SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY);
	return rc;
}

static int add_net(scmp_filter_ctx ctx)
{
	int rc = 0;

	for (size_t i = 0; i < RV_ARRAY_LEN(net_calls) && !rc; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, net_calls[i], 0);
	if (!rc)
		rc = allow_when(ctx, SCMP_SYS(ioctl), 1, UINT32_MAX, FIONREAD);
	if (!rc)
		rc = allow_when(ctx, SCMP_SYS(ioctl), 1, UINT32_MAX, FIONBIO);
	if (!rc)
		rc = allow_when(ctx, SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETFL);
	if (!rc)
		rc = allow_when(ctx, SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETFD);
	if (!rc)
		rc = allow_when(ctx, SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY);
	return rc;
}

int sandbox_enter(enum sandbox_profile profile, unsigned flags, struct rv_err *err)
{
	scmp_filter_ctx ctx;
	int rc;

	rc = set_caps(0, err);
	if (rc || (SANITIZED && !(flags & SANDBOX_FORCE)))
		return rc;
	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return rv_err_set(err, RV_ENOMEM, "sandbox: out of memory");
	/* All threads: the console's and the log writer's run already. */
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; i < RV_ARRAY_LEN(allowed_calls) && !rc; i++) {
		if (allowed_calls[i].profiles & PROFILE_BIT(profile))
			rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_calls[i].nr, 0);
	}
	if (!rc)
		rc = add_conditional(ctx, profile);
	for (size_t i = 0; i < RV_ARRAY_LEN(ctl_calls) && !rc && (flags & SANDBOX_CTL); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, ctl_calls[i], 0);
	if (!rc && (flags & SANDBOX_CTL))
		rc = add_threads(ctx);
	if (!rc && (flags & SANDBOX_NET))
		rc = add_net(ctx);
	if (!rc)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc)
		return rv_err_set(err, RV_EPERM,
				  "sandbox: the kernel refused the filter: %s (--sandbox=off runs without)",
				  strerror(-rc));
	return 0;
}
