/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversions between nanoseconds and the ticks of a clock of `hz`, in 128
 * bits: tick n lies at ceil(n * 10^9 / hz), the first nanosecond by which n
 * whole ticks have passed, so that the two functions agree at each boundary.
 */
#ifndef RV_DEV_TICKS_H
#define RV_DEV_TICKS_H

#include "base/types.h"

#define NS_PER_S 1000000000ull

__extension__ typedef unsigned __int128 ticks_u128;

/* Whole ticks in ns; the quotient fits for hz < 10^9. */
static inline uint64_t ticks_of_ns(uint64_t ns, uint64_t hz)
{
	return (uint64_t)((ticks_u128)ns * hz / NS_PER_S);
}

/* base + the first ns by which n ticks have passed; VNS_NEVER if out of range. */
static inline vns_t ticks_deadline(vns_t base, uint64_t n, uint64_t hz)
{
	ticks_u128 when = ((ticks_u128)n * NS_PER_S + hz - 1) / hz + base;
	return when >= VNS_NEVER ? VNS_NEVER : (vns_t)when;
}

#endif
