/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running machine put away and brought back. What `ctl save` writes is a
 * trace whose history begins with one full checkpoint and ends there; `resume`
 * goes on from such a begin, live.
 */
#ifndef RV_CLI_SAVE_H
#define RV_CLI_SAVE_H

#include "host_devices.h"
#include "record/ckpt.h"
#include "record/recorder.h"

struct save_from {
	struct machine *machine; /* between two runs */
	struct host_devices *host;
	const struct output_digest *sent;
	const void *kernel, *initrd;
};

/* A new directory. m: the machine's; its id is filled in. The guest stands still meanwhile. */
int save_machine(const char *path, struct trace_manifest *m, const struct save_from *from, struct rv_err *err);

/* The last checkpoint of a trace (of a saved machine: its only one), put into a machine that was just created from
 * the same manifest. */
int save_restore(const char *path, struct machine *m, struct output_digest *sent, struct rv_err *err);

#endif
