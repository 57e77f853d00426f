/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host ends of a machine's devices, and the outbound port that leads to
 * them: consoles, networks, disks. Opened before the sandbox takes rights away,
 * started (threads) after it has, all in one place for live runs and replays.
 */
#ifndef RV_CLI_HOST_DEVICES_H
#define RV_CLI_HOST_DEVICES_H

#include "backend/backend.h"
#include "backend/disk.h"
#include "backend/net.h"
#include "base_opts.h"
#include "machine/machine.h"
#include "machine_opts.h"
#include "record/trace.h"

struct host_devices {
	struct output output; /* by kind and instance; what has no host end goes nowhere */
	struct console *console[CONSOLES];
	unsigned ndisks, nnets;
	struct disk_file *disk[DISKS_MAX];
	struct net *net[NETS_MAX];
	struct disk *port[DISKS_MAX]; /* of each disk: what a machine is built with */
};

/* Who wants to know what is read from the disks' bases (disk_file_cfg.base_read). */
struct base_reader {
	int (*read)(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data);
	void *ctx;
};

void host_devices_init(struct host_devices *h);
/* Disks and networks of a live run, opened. shared: for disks that are (half of a pair). */
int host_devices_open(struct host_devices *h, const struct machine_opts *o, struct live *live,
		      const struct base_reader *reader, const struct disk_shared *shared, struct rv_err *err);
/* The bases of a trace's disks, opened read-only, and what of them is in the trace. No threads. */
int host_devices_open_replay(struct host_devices *h, const struct trace *t,
			     const struct base_opts *bases, const struct base_reader *reader,
			     struct rv_err *err);
/* Block logs (in the trace; NULL: temporary) and threads. Consoles are created by their users. */
int host_devices_start(struct host_devices *h, const char *trace_path, struct rv_err *err);
/* Block logs and before-images become durable. Any thread. */
int host_devices_sync(struct host_devices *h);
void host_devices_close_consoles(struct host_devices *h); /* their threads use live */
void host_devices_close(struct host_devices *h);

/* What the machine is told. */
void host_devices_describe(const struct host_devices *h, const struct machine_opts *o,
			   struct machine_devices *out);

#endif
