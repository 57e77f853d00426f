/* SPDX-License-Identifier: Apache-2.0 */
/* Apart from the replayer: this is the one place of replay/ that names an engine. */
#include <string.h>

#include "replay/replay.h"

void replay_machine_cfg(const struct trace_manifest *m, const void *kernel, const void *initrd,
			struct disk *const disks[], struct machine_cfg *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->memory = m->memory;
	cfg->ncpus = m->ncpus;
	/* Every recording is replayed on the exact engine: trace_check_supported() has refused those
	 * it cannot honour. */
	cfg->engine = &engine_exact_ops;
	cfg->clock_rate = m->clock_rate;
	cfg->date = m->date;
	cfg->reboot = m->reboot;
	cfg->kernel = kernel;
	cfg->kernel_len = (size_t)m->kernel_len;
	cfg->initrd = initrd;
	cfg->initrd_len = (size_t)m->initrd_len;
	cfg->cmdline = m->cmdline;
	cfg->kernel_name = "kernel of the trace";
	cfg->initrd_name = "initrd of the trace";
	cfg->devices = (struct machine_devices){ .ndisks = m->ndisks,
						 .nnets = m->nnets,
						 .console = m->console,
						 .seed = m->seed,
						 .chaos = m->chaos,
						 .disks_by_clock = m->clock_virtual };
	for (unsigned i = 0; i < m->ndisks; i++)
		cfg->devices.disk[i] = (struct machine_disk){ .port = disks[i],
							      .sectors = m->disk[i].sectors,
							      .readonly = m->disk[i].readonly,
							      .commit = m->disk[i].commit };
	for (unsigned i = 0; i < m->nnets; i++) {
		memcpy(cfg->devices.net[i].mac, m->net[i].mac, sizeof(m->net[i].mac));
		cfg->devices.net[i].mtu = m->net[i].mtu;
	}
}
