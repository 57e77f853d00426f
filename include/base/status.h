/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status codes: every fallible function returns 0 or one of these negative
 * codes. Text is made only at the edge (vmm/cli), or carried there in a
 * struct rv_err by a function that knows which file or option is at fault.
 */
#ifndef RV_BASE_STATUS_H
#define RV_BASE_STATUS_H

#include <stdarg.h>

/* X(name, value, exit status of a command that ends with it, text) */
#define RV_STATUS_LIST(X)                                                                          \
	X(RV_OK, 0, 0, "success")                                                                  \
	X(RV_ENOMEM, -1, 1, "out of memory")                                                       \
	X(RV_EIO, -2, 1, "input/output error")                                                     \
	X(RV_ENOENT, -3, 1, "no such file")                                                        \
	X(RV_EINVAL, -4, 1, "invalid input")                                                       \
	X(RV_EUSAGE, -5, 2, "usage error")                                                         \
	X(RV_EDIVERGED, -6, 3, "replay diverged from the recording")                               \
	X(RV_EDAMAGED, -7, 4, "trace is damaged")                                                  \
	X(RV_EVERSION, -8, 1, "made by a later version")                                           \
	X(RV_ENOTSUP, -9, 1, "not supported")                                                      \
	X(RV_ENOSPC, -10, 1, "no space left on device")                                            \
	X(RV_ECHANGED, -11, 1, "file changed since the recording")                                 \
	X(RV_EGUEST, -12, 1, "guest failed (triple fault)")                                        \
	X(RV_EEXIST, -13, 1, "already exists")                                                     \
	X(RV_EPERM, -14, 1, "permission denied")                                                   \
	X(RV_EINTR, -15, 0, "interrupted")                                                         \
	X(RV_EEND, -16, 0, "end of data")                                                          \
	X(RV_EHALTED, -17, 5, "the other half of the pair is live")

enum rv_status {
#define RV_STATUS_ENUM(name, value, exit_status, text) name = value,
	RV_STATUS_LIST(RV_STATUS_ENUM)
#undef RV_STATUS_ENUM
};

/* Static text of a code; never NULL. */
const char *rv_status_text(int status);
/* Process exit status (README "Exit status") for a code. */
int rv_status_exit(int status);

/* Code and one-line message, filled where the fault is known. Owned by the caller, plain memory. */
struct rv_err {
	int code;
	char text[512];
};

/* Fills err (may be NULL) with a formatted one-line message and returns code. */
int rv_err_set(struct rv_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The project code that fits an errno value (ENOSPC -> RV_ENOSPC, ENOENT -> RV_ENOENT, ...). */
int rv_status_from_errno(int errnum);

#endif
