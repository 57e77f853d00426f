/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording as a debug_target: a timeline with the debugger's verbs and the
 * monitor commands. One thread.
 */
#ifndef RV_REPLAY_REPLAY_TARGET_H
#define RV_REPLAY_REPLAY_TARGET_H

#include "gdbstub/debug_target.h"
#include "record/evlog.h"
#include "replay/timeline.h"

struct replay_target;

struct replay_target_cfg {
	struct timeline *timeline;     /* borrowed, as all others */
	const struct trace *trace;
	const struct evlog_info *info;
	/* May be NULL: called at the end of each motion, so that a progress line can be wiped. */
	void (*motion_done)(void *ctx);
	void *ctx;
};

int replay_target_create(struct replay_target **out, const struct replay_target_cfg *cfg);
void replay_target_destroy(struct replay_target *t);
struct debug_target *replay_target_base(struct replay_target *t);

/* Memory as a debugger sees it, for any target over a machine: no device is touched, no accessed bit set.
 * RV_ENOENT when a byte of the range is not RAM. */
int debug_mem_read(struct machine *m, unsigned cpu, bool phys, uint64_t addr, void *out, size_t len);
/* Calls fn(ctx, gpa, data, len) for each piece within one page; nothing is done if a byte is not RAM. */
int debug_mem_each(struct machine *m, unsigned cpu, bool phys, uint64_t addr, size_t len,
		   int (*fn)(void *ctx, gpa_t gpa, size_t offset, size_t len), void *ctx);
void debug_thread_info(struct machine *m, unsigned cpu, char *out, size_t len);

#endif
