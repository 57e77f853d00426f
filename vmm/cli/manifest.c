/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "cpu/model.h"

/* The processor's own name for itself: CPUID leaves 80000002h to 80000004h (SDM vol. 2, CPUID). */
static void host_cpu_name(char out[64])
{
	uint32_t r[4];
	char brand[49] = "";
	const char *p = brand;

	if ((unsigned)__get_cpuid_max(0x80000000u, NULL) >= 0x80000004u) {
		for (unsigned i = 0; i < 3; i++) {
			__cpuid(0x80000002u + i, r[0], r[1], r[2], r[3]);
			for (unsigned j = 0; j < 4; j++)
				le32_put(brand + 16 * i + 4 * j, r[j]);
		}
	}
	brand[48] = 0;
	while (*p == ' ')
		p++;
	snprintf(out, 64, "%s", *p ? p : "unknown");
	for (char *c = out; *c; c++) {
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	}
}

int manifest_fill(struct trace_manifest *m, const struct machine_opts *o,
		  const struct machine_devices *devices, size_t kernel_len, size_t initrd_len,
		  uint64_t digest_every, struct rv_err *err)
{
	*m = (struct trace_manifest){
		.semantics_version = CPU_SEMANTICS_VERSION,
		.memory = o->memory,
		.ncpus = o->cpus,
		.clock_rate = machine_opts_clock_rate(o),
		.clock_virtual = o->clock == LIVE_CLOCK_VIRTUAL,
		.date = o->date,
		.seed = o->seed,
		.reboot = !o->no_reboot,
		.digest_every = digest_every,
		.kernel_len = kernel_len,
		.initrd_len = initrd_len,
		.console = devices->console,
		.chaos = o->chaos,
	};
	snprintf(m->cpu_model, sizeof(m->cpu_model), "%s", CPU_MODEL_NAME);
	snprintf(m->result_profile, sizeof(m->result_profile), "%s", CPU_RESULT_PROFILE);
	snprintf(m->engine, sizeof(m->engine), "%s", o->engine->name);
	snprintf(m->version, sizeof(m->version), "%s", RV_VERSION);
	host_cpu_name(m->host_cpu);
	m->cmdline = strdup(o->append);
	if (!m->cmdline)
		goto nomem;
	for (unsigned i = 0; i < devices->ndisks; i++) {
		m->disk[i] = (struct trace_disk){ .path = strdup(o->devices.disk[i].path),
						  .sectors = devices->disk[i].sectors,
						  .readonly = devices->disk[i].readonly,
						  .commit = devices->disk[i].commit };
		if (!m->disk[i].path)
			goto nomem;
		m->ndisks++;
	}
	for (unsigned i = 0; i < devices->nnets; i++) {
		memcpy(m->net[i].mac, devices->net[i].mac, sizeof(m->net[i].mac));
		m->net[i].mtu = devices->net[i].mtu;
		m->nnets++;
	}
	return 0;
nomem:
	trace_manifest_fini(m);
	return rv_err_set(err, RV_ENOMEM, "out of memory");
}
