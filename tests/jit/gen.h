/* SPDX-License-Identifier: Apache-2.0 */
/* The generator, inside: gen.c makes instructions, gen_flow.c control flow. */
#ifndef RV_TESTS_JIT_GEN_H
#define RV_TESTS_JIT_GEN_H

#include "tests/jit/jit.h"
#include "vmm/engine/exact/exact.h"

#define JIT_CONSTRUCT_MAX 3u /* items of one construct */

/* Appends a construct: branch, call and return, counted loop, store into code, stride. Branches may
 * go to any of `want` items. There must be room for JIT_CONSTRUCT_MAX. */
void jit_gen_construct(struct diff_rng *r, struct jit_case *c, unsigned want);
/* Ends the program: back to the start while the counter R15 lasts; or for ever. */
void jit_gen_loop(struct jit_case *c);
void jit_gen_again(struct jit_case *c);

#endif
