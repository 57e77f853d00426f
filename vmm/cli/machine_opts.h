/* SPDX-License-Identifier: Apache-2.0 */
/* MACHINE options: what machine to build, from the command line. One truth for run and record. */
#ifndef RV_CLI_MACHINE_OPTS_H
#define RV_CLI_MACHINE_OPTS_H

#include "base/types.h"
#include "device_opts.h"
#include "engine/engine.h"
#include "jit_opts.h"
#include "opts.h"
#include "pair_opts.h"
#include "port/live.h"
#include "record/evlog.h"

struct machine_opts {
	const char *kernel, *initrd, *append; /* borrowed from argv */
	uint64_t memory;
	unsigned cpus;
	const char *serial;
	const struct engine_ops *engine;
	struct jit_opts jit; /* set by an option group of its own */
	enum live_clock clock;
	uint32_t dilation;
	uint64_t seed;
	bool seed_given;
	uint64_t chaos;            /* seed of --chaos; 0: off */
	struct device_opts devices;
	icount_t max_icount;
	bool stats;
	bool date_given;
	int64_t date;
	bool catch_up;
	enum evlog_sync sync;
	bool no_reboot;
	bool sandbox;
	const char *gdb;           /* NULL: no debugger */
	bool gdb_wait;             /* no step before the first debugger has come */
	uint64_t checkpoint_every; /* ns of host time; 0: none */
	/* record: a flight recording keeps so much, in ns of host time or bytes; both 0: everything */
	uint64_t keep_ns, keep_bytes;
	const char *ctl;           /* socket; NULL: none */
	const struct pair_opts *pair; /* half of a hot-standby pair; NULL: not */
	const char *resume;        /* a saved machine to go on with; NULL: power-on */
	char resume_kernel[PATH_MAX], resume_initrd[PATH_MAX]; /* what kernel and initrd point to then */
	bool on_panic_stop;
};

extern const struct opt_spec machine_opt_specs[];
extern const size_t machine_opt_nspecs;

void machine_opts_init(struct machine_opts *o);
int machine_opts_set(void *machine_opts, int id, const char *value, struct rv_err *err);
/* After parsing: what is missing, what does not go together; fills defaults that depend on others. */
int machine_opts_check(struct machine_opts *o, const char *command, struct rv_err *err);

struct trace_manifest;
/* What the machine is, disks and networks included, as a manifest says; where they lead to stays. */
void machine_opts_adopt(struct machine_opts *o, const struct trace_manifest *m);

/* For `resume`, in place of machine_opts_check(): what the machine is comes from the manifest of the trace at path;
 * what of it was given on the command line is refused. */
struct trace;
struct base_opts;
int machine_opts_resume(struct machine_opts *o, const struct trace *t, const char *path,
			const struct base_opts *bases, struct rv_err *err);

/* 32.32 ns an instruction at power-on. Under the host clock a first guess, which the live port corrects. */
uint64_t machine_opts_clock_rate(const struct machine_opts *o);

#endif
