/* SPDX-License-Identifier: Apache-2.0 */
/* The MSR table, inside vmm/cpu: what a stored MSR may hold. */
#ifndef RV_CPU_MSR_H
#define RV_CPU_MSR_H

#include "cpu/state.h"

/* True if `value` may stand in msr[slot]: WRMSR accepts it, and so does loading a saved state. */
bool cpu_msr_value_ok(enum cpu_msr_slot slot, uint64_t value);
/* Value of msr[slot] after a reset. */
uint64_t cpu_msr_reset_value(enum cpu_msr_slot slot);
/* EAX of CPUID leaf 1: also in EDX after a reset (SDM vol. 3, 9.1.2). */
uint32_t cpu_model_signature(void);

#endif
