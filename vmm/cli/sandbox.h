/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of the process's rights once it runs a guest. Two steps:
 *
 *   sandbox_prepare()  before any thread starts: no_new_privs, capabilities
 *                      dropped (but for DAC override, which creating the trace
 *                      may need), Landlock: only the named paths from here on.
 *   sandbox_enter()    when everything is open, just before the first guest
 *                      instruction: the last capabilities go, and the seccomp
 *                      filter of the profile covers all threads. A call that is
 *                      not on the list kills the process (SIGSYS).
 *
 * Nothing here can be undone. In builds with AddressSanitizer Landlock is left
 * out, and the filter too unless forced: the leak checker forks and reads /proc
 * at exit.
 */
#ifndef RV_CLI_SANDBOX_H
#define RV_CLI_SANDBOX_H

#include <stdbool.h>

#include "base/status.h"

enum sandbox_profile {
	SANDBOX_RUN, SANDBOX_RECORD, SANDBOX_REPLAY, SANDBOX_VERIFY,
	SANDBOX_RUN_KVM, /* run, and the calls that enter the guest by /dev/kvm */
	/* With a debugger: what the name says, and serving a listening socket that exists already. */
	SANDBOX_RUN_GDB, SANDBOX_RECORD_GDB, SANDBOX_REPLAY_GDB,
};
const char *sandbox_profile_name(enum sandbox_profile profile);

enum sandbox_access {
	SANDBOX_ACCESS_READ,   /* files below a directory: read */
	SANDBOX_ACCESS_FILE,   /* one file: read */
	SANDBOX_ACCESS_DEVICE, /* a terminal: read, write, set its mode */
	SANDBOX_ACCESS_CREATE, /* a directory: make, write, rename, remove below it */
	SANDBOX_ACCESS_SOCKET, /* a directory: make and remove a socket in it */
};
struct sandbox_path {
	int fd; /* O_PATH descriptor; entries with fd < 0 are skipped. Not closed here. */
	enum sandbox_access access;
};

/* tcp: what a process may still do with TCP sockets after this: listen (the filter forbids it later), or
 * also connect, for a user-mode network. */
enum sandbox_tcp { SANDBOX_TCP_NONE, SANDBOX_TCP_LISTEN, SANDBOX_TCP_ALL };
int sandbox_prepare(const struct sandbox_path *paths, unsigned npaths, enum sandbox_tcp tcp,
		    struct rv_err *err);
#define SANDBOX_FORCE 0x1u /* the filter in builds with sanitizers as well */
#define SANDBOX_NET 0x2u   /* a user-mode network: sockets of all kinds */
#define SANDBOX_CTL 0x4u   /* --ctl: serving a unix socket that listens already, and saving beside it */
int sandbox_enter(enum sandbox_profile profile, unsigned flags, struct rv_err *err);

/* landlock.c: 0 also when the kernel has no Landlock. */
int sandbox_landlock(const struct sandbox_path *paths, unsigned npaths, enum sandbox_tcp tcp,
		     struct rv_err *err);

#endif
