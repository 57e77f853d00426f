/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x87 transcendentals of result profile `rv`: one answer on every host,
 * from 128-bit integer arithmetic alone. Errors are below 0.51 ulp of the true
 * value (for FSIN, FCOS, FSINCOS and FPTAN: of the function with the SDM's
 * 66-bit pi, vol. 1, 8.3.8), rounded as RC says; precision control plays no
 * part. tests/unit/exact/test_x87_trans.c compares with the host's own.
 *
 * Each function returns exception flags as status word bits, with C1 (the
 * result was rounded up) and C2 (FSIN...: operand out of range, *r is not
 * written). fcw gives RC, and for OE and UE the masks: unmasked ones get the
 * scaled result. A caller whose IE, DE or ZE is unmasked drops *r.
 */
#ifndef RV_EXACT_X87_TRANS_H
#define RV_EXACT_X87_TRANS_H

#include "cpu/state.h"

unsigned x87_trans_sin(unsigned fcw, struct cpu_f80 x, struct cpu_f80 *r);
unsigned x87_trans_cos(unsigned fcw, struct cpu_f80 x, struct cpu_f80 *r);
/* Flags of both results; C1 is that of the cosine, which ends in ST(0). */
unsigned x87_trans_sincos(unsigned fcw, struct cpu_f80 x, struct cpu_f80 *s, struct cpu_f80 *c);
unsigned x87_trans_tan(unsigned fcw, struct cpu_f80 x, struct cpu_f80 *r);
unsigned x87_trans_atan2(unsigned fcw, struct cpu_f80 y, struct cpu_f80 x, struct cpu_f80 *r);
unsigned x87_trans_2xm1(unsigned fcw, struct cpu_f80 x, struct cpu_f80 *r);
unsigned x87_trans_yl2x(unsigned fcw, struct cpu_f80 y, struct cpu_f80 x, struct cpu_f80 *r);
unsigned x87_trans_yl2xp1(unsigned fcw, struct cpu_f80 y, struct cpu_f80 x, struct cpu_f80 *r);

#endif
