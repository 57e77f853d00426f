/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agent expressions (GDB manual, appendix F): the byte code in which GDB sends
 * a breakpoint's condition. The code is hostile: it is checked once when it
 * arrives, and stack depth and steps are bounded when it runs.
 */
#ifndef RV_GDBSTUB_AGENT_H
#define RV_GDBSTUB_AGENT_H

#include "base/types.h"

#define AGENT_STEPS_MAX 65536u
#define AGENT_STACK_MAX 64u
#define AGENT_CODE_MAX 65535u /* jumps hold 16 bits */

struct agent_env {
	/* False: there is no such register of up to 8 bytes / not mapped. */
	bool (*reg)(void *ctx, unsigned regnum, uint64_t *value);
	bool (*mem)(void *ctx, uint64_t addr, void *out, size_t len);
	void *ctx;
};

/* RV_OK; RV_EINVAL: cut short, an unknown opcode, a jump into an operand; RV_ENOTSUP: tracing or
 * floats. */
int agent_check(const uint8_t *code, size_t len);
/* Runs checked code. RV_EINVAL: it divided by zero, read what is not mapped, left its stack or went
 * on for too long. */
int agent_run(const uint8_t *code, size_t len, const struct agent_env *env, uint64_t *value);

#endif
