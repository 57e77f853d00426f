/* SPDX-License-Identifier: Apache-2.0 */
#include "machine_opts.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "clock/clock.h"
#include "base_opts.h"
#include "mem/mem.h"
#include "parse.h"
#include "record/trace.h"

#define DILATION_MAX 1000000u
#define HOST_RATE_GUESS 10u /* ns an instruction */
#define VIRTUAL_DATE (1704067200ll * 1000000000) /* 2024-01-01 00:00:00 UTC */

enum {
	OPT_KERNEL, OPT_INITRD, OPT_APPEND, OPT_MEMORY, OPT_CPUS, OPT_SERIAL, OPT_ENGINE, OPT_CLOCK,
	OPT_DILATION, OPT_SEED, OPT_MAX_ICOUNT, OPT_STATS, OPT_DATE, OPT_CATCH_UP, OPT_SYNC,
	OPT_NO_REBOOT, OPT_SANDBOX, OPT_GDB, OPT_GDB_WAIT, OPT_CHECKPOINT_EVERY, OPT_DISK, OPT_NET,
	OPT_HVC, OPT_CHAOS, OPT_KEEP, OPT_CTL, OPT_ON_PANIC
};

const struct opt_spec machine_opt_specs[] = {
	{ "kernel", 0, "F", OPT_KERNEL, "Linux bzImage, PVH ELF or Multiboot 1 ELF (required)" },
	{ "initrd", 0, "F", OPT_INITRD, "initial RAM disk" },
	{ "append", 0, "S", OPT_APPEND, "kernel command line (default: console=ttyS0)" },
	{ "memory", 0, "SIZE", OPT_MEMORY, "guest RAM, e.g. 1G (default: 512M)" },
	{ "cpus", 0, "N", OPT_CPUS, "number of vCPUs, 1 (default) to 16" },
	{ "disk", 0, "F[,ro][,commit=on]", OPT_DISK,
	  "virtio disk from a raw image, up to 4; without commit=on the image stays as it is; pairs: F,shared" },
	{ "net", 0, "HOW", OPT_NET,
	  "virtio network: user[,hostfwd=tcp:ADDR:PORT-:PORT...] or tap:NAME [,mac=][,mtu=]" },
	{ "hvc", 0, "WHERE", OPT_HVC, "a virtio console (hvc0): stdio, file:PATH or pty" },
	{ "serial", 0, "WHERE", OPT_SERIAL, "stdio (default), file:PATH, pty or none" },
	{ "engine", 0, "NAME", OPT_ENGINE, "auto (default: exact), exact or kvm (run only)" },
	{ "clock", 0, "KIND", OPT_CLOCK, "host (default): follows real time; virtual: 1 ns an instruction" },
	{ "time-dilation", 0, "N", OPT_DILATION, "virtual time runs N times slower" },
	{ "seed", 0, "N", OPT_SEED, "of the guest's entropy device (default: random; 0 with --clock=virtual)" },
	{ "chaos", 0, "[=SEED]", OPT_CHAOS, "vary turns of vCPUs, timers and disk delays to shake out races" },
	{ "max-icount", 0, "N", OPT_MAX_ICOUNT, "stop at this instruction count" },
	{ "date", 0, "ISO", OPT_DATE, "guest's UTC date at power-on, e.g. 2024-01-01T00:00:00" },
	{ "clock-catch-up", 0, NULL, OPT_CATCH_UP, "make up for gaps of host time instead of skipping them" },
	{ "sync", 0, "WHEN", OPT_SYNC, "record: fsync the log none, 1s (default) or chunk" },
	{ "no-reboot", 0, NULL, OPT_NO_REBOOT, "a guest reset ends the run instead of booting again" },
	{ "sandbox", 0, "on|off", OPT_SANDBOX, "seccomp and Landlock (default: on)" },
	{ "gdb", 0, "ADDR", OPT_GDB, "serve a debugger on unix:PATH, PORT (loopback) or HOST:PORT" },
	{ "gdb-wait", 0, NULL, OPT_GDB_WAIT, "do not start before a debugger has come" },
	{ "checkpoint-every", 0, "SECONDS", OPT_CHECKPOINT_EVERY,
	  "record: checkpoints for time travel (default: 1; 0: none)" },
	{ "keep", 0, "TIME|SIZE", OPT_KEEP, "record: only the last 10m (s, m, h) or 2GiB; older history is dropped" },
	{ "ctl", 0, "SOCKET", OPT_CTL, "take commands on this unix socket, see 'retrovisor help ctl'" },
	{ "on-panic", 0, "go-on|stop", OPT_ON_PANIC, "when the guest's kernel panics (default: go-on)" },
	{ "stats", 0, NULL, OPT_STATS, "print one JSON line on stderr at the end" },
};
const size_t machine_opt_nspecs = RV_ARRAY_LEN(machine_opt_specs);

void machine_opts_init(struct machine_opts *o)
{
	*o = (struct machine_opts){
		.append = "console=ttyS0",
		.memory = 512ull << 20,
		.cpus = 1,
		.serial = "stdio",
		.engine = &engine_exact_ops,
		.clock = LIVE_CLOCK_HOST,
		.dilation = 1,
		.max_icount = ICOUNT_MAX,
		.sync = EVLOG_SYNC_1S,
		.sandbox = true,
		.checkpoint_every = 1000000000,
	};
}

static int set_memory(struct machine_opts *o, const char *value, struct rv_err *err)
{
	if (!parse_size(value, &o->memory))
		return rv_err_set(err, RV_EUSAGE,
				  "--memory=%.80s: not a size; use bytes or a number with K, M or G", value);
	if (o->memory < MEM_SIZE_MIN || o->memory > MEM_SIZE_MAX)
		return rv_err_set(err, RV_EUSAGE, "--memory=%.80s: must be from 1M to 64G", value);
	if (o->memory % RV_PAGE_SIZE)
		return rv_err_set(err, RV_EUSAGE, "--memory=%.80s: not a multiple of 4K", value);
	return 0;
}

static int set_cpus(struct machine_opts *o, const char *value, struct rv_err *err)
{
	uint64_t n;

	if (!parse_u64(value, &n) || n < 1)
		return rv_err_set(err, RV_EUSAGE, "--cpus=%.80s: not a number of vCPUs", value);
	if (n > CPU_MAX)
		return rv_err_set(err, RV_EUSAGE, "--cpus=%.80s: at most %u", value, CPU_MAX);
	o->cpus = (unsigned)n;
	return 0;
}

static int set_engine(struct machine_opts *o, const char *value, struct rv_err *err)
{
	if (!strcmp(value, "auto") || !strcmp(value, "exact"))
		o->engine = &engine_exact_ops;
	else if (!strcmp(value, "kvm"))
		o->engine = &engine_kvm_ops;
	else
		return rv_err_set(err, RV_EUSAGE, "--engine=%.80s: unknown; use auto, exact or kvm",
				  value);
	return 0;
}

static int set_clock(struct machine_opts *o, const char *value, struct rv_err *err)
{
	if (!strcmp(value, "host"))
		o->clock = LIVE_CLOCK_HOST;
	else if (!strcmp(value, "virtual"))
		o->clock = LIVE_CLOCK_VIRTUAL;
	else
		return rv_err_set(err, RV_EUSAGE, "--clock=%.80s: unknown; use host or virtual", value);
	return 0;
}

static int set_dilation(struct machine_opts *o, const char *value, struct rv_err *err)
{
	uint64_t n;

	if (!parse_u64(value, &n) || n < 1 || n > DILATION_MAX)
		return rv_err_set(err, RV_EUSAGE, "--time-dilation=%.80s: must be from 1 to %u", value,
				  DILATION_MAX);
	o->dilation = (uint32_t)n;
	return 0;
}

static int set_sync(struct machine_opts *o, const char *value, struct rv_err *err)
{
	if (!strcmp(value, "none"))
		o->sync = EVLOG_SYNC_NONE;
	else if (!strcmp(value, "1s"))
		o->sync = EVLOG_SYNC_1S;
	else if (!strcmp(value, "chunk"))
		o->sync = EVLOG_SYNC_CHUNK;
	else
		return rv_err_set(err, RV_EUSAGE, "--sync=%.80s: unknown; use none, 1s or chunk", value);
	return 0;
}

static int set_console(const char **out, const char *option, const char *value, struct rv_err *err)
{
	if (strcmp(value, "stdio") != 0 && strcmp(value, "pty") != 0 && strcmp(value, "none") != 0 &&
	    (strncmp(value, "file:", 5) != 0 || !value[5]))
		return rv_err_set(err, RV_EUSAGE,
				  "--%s=%.200s: unknown; use stdio, file:PATH, pty or none", option,
				  value);
	*out = value;
	return 0;
}

#define KEEP_BYTES_MIN (64ull << 20)

static int set_keep(struct machine_opts *o, const char *value, struct rv_err *err)
{
	o->keep_ns = o->keep_bytes = 0;
	if (!parse_duration(value, &o->keep_ns) && !parse_size(value, &o->keep_bytes))
		return rv_err_set(err, RV_EUSAGE,
				  "--keep=%.80s: use a time (90s, 10m, 2h) or a size (500M, 2GiB)", value);
	if (!o->keep_ns && o->keep_bytes < KEEP_BYTES_MIN)
		return rv_err_set(err, RV_EUSAGE, "--keep=%.80s: must be a second, or 64M, or more", value);
	return 0;
}

static int set_chaos(struct machine_opts *o, const char *value, struct rv_err *err)
{
	if (value && (!parse_u64(value, &o->chaos) || o->chaos == 0))
		return rv_err_set(err, RV_EUSAGE, "--chaos=%.80s: needs a seed above 0", value);
	while (!value && o->chaos == 0)
		if (getrandom(&o->chaos, sizeof(o->chaos), 0) != (ssize_t)sizeof(o->chaos))
			return rv_err_set(err, RV_EIO, "--chaos: no random seed from the host; give one");
	return 0;
}

int machine_opts_set(void *machine_opts, int id, const char *value, struct rv_err *err)
{
	struct machine_opts *o = machine_opts;

	switch (id) {
	case OPT_KERNEL:
		o->kernel = value;
		return 0;
	case OPT_INITRD:
		o->initrd = value;
		return 0;
	case OPT_APPEND:
		o->append = value;
		return 0;
	case OPT_MEMORY:
		return set_memory(o, value, err);
	case OPT_CPUS:
		return set_cpus(o, value, err);
	case OPT_SERIAL:
		return set_console(&o->serial, "serial", value, err);
	case OPT_HVC:
		return set_console(&o->devices.hvc, "hvc", value, err);
	case OPT_DISK:
		return device_opts_disk(&o->devices, value, err);
	case OPT_NET:
		return device_opts_net(&o->devices, value, err);
	case OPT_KEEP:
		return set_keep(o, value, err);
	case OPT_CTL:
		o->ctl = value;
		return 0;
	case OPT_ON_PANIC:
		if (strcmp(value, "stop") != 0 && strcmp(value, "go-on") != 0)
			return rv_err_set(err, RV_EUSAGE, "--on-panic=%.80s: use go-on or stop", value);
		o->on_panic_stop = !strcmp(value, "stop");
		return 0;
	case OPT_CHAOS:
		return set_chaos(o, value, err);
	case OPT_ENGINE:
		return set_engine(o, value, err);
	case OPT_CLOCK:
		return set_clock(o, value, err);
	case OPT_DILATION:
		return set_dilation(o, value, err);
	case OPT_SYNC:
		return set_sync(o, value, err);
	case OPT_SEED:
		if (!parse_u64(value, &o->seed))
			return rv_err_set(err, RV_EUSAGE, "--seed=%.80s: not a number", value);
		o->seed_given = true;
		return 0;
	case OPT_MAX_ICOUNT:
		if (!parse_u64(value, &o->max_icount))
			return rv_err_set(err, RV_EUSAGE, "--max-icount=%.80s: not a number", value);
		return 0;
	case OPT_DATE:
		if (!parse_date(value, &o->date))
			return rv_err_set(err, RV_EUSAGE,
					  "--date=%.80s: not a date from 1970 to 2199; use "
					  "YYYY-MM-DDTHH:MM:SS (UTC)", value);
		o->date_given = true;
		return 0;
	case OPT_GDB:
		o->gdb = value;
		return 0;
	case OPT_GDB_WAIT:
		o->gdb_wait = true;
		return 0;
	case OPT_CHECKPOINT_EVERY:
		if (!parse_seconds(value, &o->checkpoint_every))
			return rv_err_set(err, RV_EUSAGE,
					  "--checkpoint-every=%.80s: not a number of seconds", value);
		return 0;
	case OPT_STATS:
		o->stats = true;
		return 0;
	case OPT_CATCH_UP:
		o->catch_up = true;
		return 0;
	case OPT_NO_REBOOT:
		o->no_reboot = true;
		return 0;
	case OPT_SANDBOX:
		if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
			return rv_err_set(err, RV_EUSAGE, "--sandbox=%.80s: use on or off", value);
		o->sandbox = !strcmp(value, "on");
		return 0;
	default:
		return rv_err_set(err, RV_EUSAGE, "option without a meaning");
	}
}

int machine_opts_check(struct machine_opts *o, const char *command, struct rv_err *err)
{
	struct timespec now;

	if (!o->kernel)
		return rv_err_set(err, RV_EUSAGE,
				  "%s: --kernel=F is missing; see 'retrovisor help %s'", command, command);
	if (strlen(o->append) > 65535)
		return rv_err_set(err, RV_EUSAGE, "--append: longer than 65535 bytes");
	if (o->catch_up && o->clock == LIVE_CLOCK_VIRTUAL)
		return rv_err_set(err, RV_EUSAGE,
				  "--clock-catch-up: needs --clock=host (a virtual clock has no gaps)");
	for (unsigned i = 0; i < o->devices.ndisks; i++)
		if (o->devices.disk[i].shared && !o->pair)
			return rv_err_set(err, RV_EUSAGE, "--disk=%.200s: shared is for primary and backup",
					  o->devices.disk[i].path);
	if (o->gdb_wait && !o->gdb)
		return rv_err_set(err, RV_EUSAGE, "--gdb-wait: needs --gdb=ADDR");
	if ((o->keep_ns || o->keep_bytes) && strcmp(command, "record") != 0)
		return rv_err_set(err, RV_EUSAGE, "--keep: only record has something to keep");
	if ((o->keep_ns || o->keep_bytes) && !o->checkpoint_every)
		return rv_err_set(err, RV_EUSAGE, "--keep: needs checkpoints; leave out --checkpoint-every=0");
	if (o->gdb && (o->ctl || o->keep_ns || o->keep_bytes))
		return rv_err_set(err, RV_EUSAGE, "--gdb: does not go with --ctl or --keep");
	if (o->gdb && !(o->engine->caps & ENGINE_CAP_BREAK))
		return rv_err_set(err, RV_EUSAGE, "--gdb: needs --engine=exact");
	if (!(o->engine->caps & ENGINE_CAP_EXACT)) {
		if (o->jit.given)
			return rv_err_set(err, RV_EUSAGE, "%s: needs --engine=exact, which translates code",
					  o->jit.given);
		if (o->clock == LIVE_CLOCK_VIRTUAL)
			return rv_err_set(err, RV_EUSAGE,
					  "--clock=virtual: needs --engine=exact, which counts instructions");
		if (o->max_icount != ICOUNT_MAX)
			return rv_err_set(err, RV_EUSAGE,
					  "--max-icount: needs --engine=exact, which counts instructions");
	}
	if (o->devices.hvc && !strcmp(o->devices.hvc, "stdio") && !strcmp(o->serial, "stdio"))
		return rv_err_set(err, RV_EUSAGE,
				  "--hvc=stdio: the serial port is there; use --serial=none or file:PATH");
	/* A virtual clock promises the same run for the same command line. */
	if (!o->seed_given && o->clock == LIVE_CLOCK_HOST &&
	    getrandom(&o->seed, sizeof(o->seed), 0) != (ssize_t)sizeof(o->seed))
		return rv_err_set(err, RV_EIO, "no random seed from the host; use --seed=N");
	if (!o->date_given) {
		o->date = VIRTUAL_DATE;
		if (o->clock == LIVE_CLOCK_HOST) {
			clock_gettime(CLOCK_REALTIME, &now);
			o->date = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
		}
	}
	return device_opts_finish(&o->devices, o->seed, err);
}

static int resume_devices(struct machine_opts *o, const struct trace_manifest *m, const struct base_opts *bases,
			  struct rv_err *err)
{
	if (o->devices.ndisks)
		return rv_err_set(err, RV_EUSAGE, "resume: --disk comes from the saved machine; --base=OLD=NEW says where it is");
	if (o->devices.nnets != m->nnets)
		return rv_err_set(err, RV_EUSAGE, "resume: the saved machine has %u networks, --net was given %u times",
				  m->nnets, o->devices.nnets);
	if (o->devices.hvc && !m->console)
		return rv_err_set(err, RV_EUSAGE, "resume: the saved machine has no virtio console for --hvc");
	for (unsigned i = 0; i < m->ndisks; i++) {
		snprintf(o->devices.disk[i].path, sizeof(o->devices.disk[i].path), "%s",
			 base_opts_path(bases, m->disk[i].path));
	}
	o->devices.ndisks = m->ndisks;
	if (m->console && !o->devices.hvc)
		o->devices.hvc = "none";
	return 0;
}

void machine_opts_adopt(struct machine_opts *o, const struct trace_manifest *m)
{
	o->append = m->cmdline;
	o->memory = m->memory;
	o->cpus = m->ncpus;
	o->clock = m->clock_virtual ? LIVE_CLOCK_VIRTUAL : LIVE_CLOCK_HOST;
	o->no_reboot = !m->reboot;
	o->seed = m->seed;
	o->chaos = m->chaos;
	o->date = m->date;
	o->seed_given = o->date_given = true;
	for (unsigned i = 0; i < m->ndisks; i++) {
		o->devices.disk[i].readonly = m->disk[i].readonly;
		o->devices.disk[i].commit = m->disk[i].commit;
	}
	for (unsigned i = 0; i < m->nnets; i++) {
		memcpy(o->devices.net[i].mac, m->net[i].mac, sizeof(m->net[i].mac));
		o->devices.net[i].mac_given = true;
		o->devices.net[i].mtu = m->net[i].mtu;
	}
}

int machine_opts_resume(struct machine_opts *o, const struct trace *t, const char *path,
			const struct base_opts *bases, struct rv_err *err)
{
	const struct trace_manifest *m = trace_manifest(t);
	int rc;

	if (o->kernel || o->initrd || o->seed_given || o->date_given || o->chaos || o->cpus != 1 ||
	    o->memory != 512ull << 20)
		return rv_err_set(err, RV_EUSAGE,
				  "resume: what the machine is (--kernel, --memory, --cpus ...) comes from %.200s", path);
	if (!(o->engine->caps & ENGINE_CAP_EXACT))
		return rv_err_set(err, RV_EUSAGE, "resume: needs --engine=exact");
	o->resume = path;
	snprintf(o->resume_kernel, sizeof(o->resume_kernel), "%s/kernel", path);
	snprintf(o->resume_initrd, sizeof(o->resume_initrd), "%s/initrd", path);
	o->kernel = o->resume_kernel;
	o->initrd = m->initrd_len ? o->resume_initrd : NULL;
	machine_opts_adopt(o, m);
	rc = resume_devices(o, m, bases, err);
	return rc ? rc : machine_opts_check(o, "record", err);
}

uint64_t machine_opts_clock_rate(const struct machine_opts *o)
{
	uint64_t ns = o->clock == LIVE_CLOCK_VIRTUAL ? 1 : HOST_RATE_GUESS;

	/* Without a count virtual time moves by TIME events alone. */
	if (!(o->engine->caps & ENGINE_CAP_EXACT))
		return 0;
	return ns * VCLOCK_RATE_ONE / o->dilation;
}
