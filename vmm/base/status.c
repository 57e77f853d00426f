/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <errno.h>
#include <stdio.h>

const char *rv_status_text(int status)
{
	switch (status) {
#define RV_STATUS_TEXT(name, value, exit_status, text)                                             \
	case value:                                                                                \
		return text;
		RV_STATUS_LIST(RV_STATUS_TEXT)
#undef RV_STATUS_TEXT
	default:
		return "unknown status";
	}
}

int rv_status_exit(int status)
{
	switch (status) {
#define RV_STATUS_EXIT(name, value, exit_status, text)                                             \
	case value:                                                                                \
		return exit_status;
		RV_STATUS_LIST(RV_STATUS_EXIT)
#undef RV_STATUS_EXIT
	default:
		return 1;
	}
}

int rv_err_set(struct rv_err *err, int code, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		err->code = code;
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return code;
}

int rv_status_from_errno(int errnum)
{
	switch (errnum) {
	case 0:
		return RV_OK;
	case ENOMEM:
		return RV_ENOMEM;
	case ENOENT:
	case ENOTDIR:
		return RV_ENOENT;
	case EACCES:
	case EPERM:
	case EROFS:
		return RV_EPERM;
	case EEXIST:
	case ENOTEMPTY:
		return RV_EEXIST;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return RV_ENOSPC;
	case EINTR:
		return RV_EINTR;
	case EINVAL:
		return RV_EINVAL;
	default:
		return RV_EIO;
	}
}
