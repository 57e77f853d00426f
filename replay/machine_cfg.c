/* SPDX-License-Identifier: Apache-2.0 */
/* Apart from the replayer: this is the one place of replay/ that names an engine. */
#include <string.h>

#include "replay/replay.h"

void replay_machine_cfg(const struct trace *t, struct machine_cfg *cfg)
{
	const struct trace_manifest *m = trace_manifest(t);
	memset(cfg, 0, sizeof(*cfg));
	cfg->memory = m->memory;
	cfg->ncpus = m->ncpus;
	/* Every recording is replayed on the exact engine: trace_check_supported() has refused those
	 * it cannot honour. */
	cfg->engine = &engine_exact_ops;
	cfg->clock_rate = m->clock_rate;
	cfg->date = m->date;
	cfg->reboot = m->reboot;
	cfg->kernel = trace_kernel(t);
	cfg->kernel_len = (size_t)m->kernel_len;
	cfg->initrd = trace_initrd(t);
	cfg->initrd_len = (size_t)m->initrd_len;
	cfg->cmdline = m->cmdline;
	cfg->kernel_name = "kernel of the trace";
	cfg->initrd_name = "initrd of the trace";
}
