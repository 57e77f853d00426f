/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by replay_target.c (regs, memory, motion) and monitor.c (commands). */
#ifndef RV_REPLAY_TARGET_PRIV_H
#define RV_REPLAY_TARGET_PRIV_H

#include "replay/monitor_linux.h"
#include "replay/replay_target.h"

struct replay_target {
	struct debug_target base;
	struct replay_target_cfg cfg;
	struct timeline *timeline;
	bool space_only; /* `monitor process` */
	uint64_t space;
	struct linux_layout linux_layout; /* `monitor linux` */
};

int replay_target_monitor(struct debug_target *base, const char *line,
			  void (*put)(void *ctx, const char *text), bool (*poll)(void *ctx), void *ctx,
			  bool *moved);

#endif
