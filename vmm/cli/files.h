/* SPDX-License-Identifier: Apache-2.0 */
/* Guest files, read whole at start, so that a file changed later cannot disturb the run. */
#ifndef RV_CLI_FILES_H
#define RV_CLI_FILES_H

#include <stddef.h>

#include "base/status.h"

struct file_data {
	void *data; /* owned; NULL when empty */
	size_t len;
};

/* option ("--kernel") is named in messages. Refuses what is not a regular file with something in it. */
int files_read(struct file_data *out, const char *option, const char *path, struct rv_err *err);
void files_fini(struct file_data *f);

/* Opens an existing directory (O_PATH), for rules of the sandbox. Returns the descriptor or a code. */
int files_open_parent(const char *path);

#endif
