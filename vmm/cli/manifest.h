/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest of a new recording: everything the host decides about the machine, read once. */
#ifndef RV_CLI_MANIFEST_H
#define RV_CLI_MANIFEST_H

#include "machine/machine.h"
#include "machine_opts.h"
#include "record/trace.h"

/* The trace's id and the digests of the files are left to evlog_writer_create(). */
int manifest_fill(struct trace_manifest *m, const struct machine_opts *o,
		  const struct machine_devices *devices, size_t kernel_len, size_t initrd_len,
		  uint64_t digest_every, struct rv_err *err);

#endif
