/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The translator: decoded blocks (struct xblock) that run often become host
 * code. It changes nothing that the guest, a debugger or icount can see; what
 * it does not translate calls the interpreter's body. docs/jit.md says how.
 */
#ifndef RV_EXACT_JIT_H
#define RV_EXACT_JIT_H

#include "base/bytes.h"
#include "block.h"

/* Translated code stops this many steps before its limit at the latest; the interpreter does the rest. */
#define XJIT_SLACK 256u
/* Most instructions that are translated together. */
#define XJIT_INSNS 96u

struct xjit;
struct xjit_block;

/* cache: bytes of host code. RV_ENOMEM, RV_ENOTSUP: err says why. */
int xjit_create(struct xjit **out, uint64_t cache, struct rv_err *err);
void xjit_destroy(struct xjit *j);
/* Empties this vCPU's tables. */
void xjit_cpu_reset(struct xcpu *c);
/* Host code of a block at the vCPU's privilege: there is some, or the block is due and gets some; else
 * NULL. May empty the code cache: no translated code may be running. */
struct xjit_block *xjit_code(struct xjit *j, struct xcpu *c, struct xblock *b);
/* Runs from the start of t's block, whose linear address lin is, up to `limit` or anything that needs
 * the loop in run.c. State is exact on return, and when a fault is raised out of here. */
void xjit_run(struct xjit *j, struct xcpu *c, struct xjit_block *t, uint64_t lin, icount_t limit);
/* The block is no longer valid: its code is not entered any more. */
void xjit_drop(struct xjit *j, struct xblock *b);
/* An EXEC breakpoint at lin was set or cleared. Code is found by physical address, so all that could hold
 * it is made anew, and ends in front of instructions that might have one: the loop in run.c knows. */
void xjit_break_changed(struct xjit *j, uint64_t lin);
/* Forgets all code; the blocks' own pointers to it are the caller's business. */
void xjit_flush(struct xjit *j);
void xjit_stats(const struct xjit *j, struct engine_stats *out);
/* Guest instructions (guest: the page it is in, lin: where the block starts) and host code, for people. */
void xjit_dump(const struct xjit_block *t, uint64_t lin, const uint8_t *guest, struct bytes *out);

#endif
