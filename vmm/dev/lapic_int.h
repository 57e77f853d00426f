/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the local APICs, shared by lapic.c (state, priority, delivery),
 * lapic_regs.c (MMIO page and MSRs) and lapic_timer.c. Register and bit names
 * are those of SDM vol. 3, chapter 10.
 */
#ifndef RV_DEV_LAPIC_INT_H
#define RV_DEV_LAPIC_INT_H

#include "cpu/state.h"
#include "dev/chips.h"

#define APIC_BASE_BSP (1u << 8)
#define APIC_BASE_EXTD (1u << 10)
#define APIC_BASE_EN (1u << 11)

/* Register numbers: MMIO offset / 16 = MSR - 800h. */
enum lapic_reg {
	REG_ID = 0x02,
	REG_VERSION = 0x03,
	REG_TPR = 0x08,
	REG_APR = 0x09,
	REG_PPR = 0x0a,
	REG_EOI = 0x0b,
	REG_RRD = 0x0c,
	REG_LDR = 0x0d,
	REG_DFR = 0x0e,
	REG_SVR = 0x0f,
	REG_ISR = 0x10,
	REG_TMR = 0x18,
	REG_IRR = 0x20,
	REG_ESR = 0x28,
	REG_ICR_LO = 0x30,
	REG_ICR_HI = 0x31,
	REG_LVT = 0x32, /* six of them, in the order of enum lapic_lvt */
	REG_TIMER_ICR = 0x38,
	REG_TIMER_CCR = 0x39,
	REG_TIMER_DCR = 0x3e,
	REG_SELF_IPI = 0x3f,
};

enum lapic_lvt {
	LVT_TIMER,
	LVT_THERMAL,
	LVT_PERF,
	LVT_LINT0,
	LVT_LINT1,
	LVT_ERROR,
	LVT_COUNT
};

#define LVT_MASKED (1u << 16)
#define LVT_LEVEL (1u << 15)
#define LVT_REMOTE_IRR (1u << 14)
#define LVT_MODE_SHIFT 8u
#define LVT_TIMER_MODE_SHIFT 17u

#define SVR_ENABLE (1u << 8)
#define SVR_WRITABLE 0x3ffu

#define ESR_SEND_VECTOR (1u << 5)
#define ESR_RECV_VECTOR (1u << 6)
#define ESR_ILLEGAL_REG (1u << 7)
#define ESR_ALL 0xe0u

/* Delivery modes of ICR, LVT, RTE and MSI data: 10.6.1. */
enum lapic_mode {
	MODE_FIXED,
	MODE_LOWEST,
	MODE_SMI,
	MODE_RESERVED,
	MODE_NMI,
	MODE_INIT,
	MODE_SIPI,
	MODE_EXTINT
};

enum lapic_timer_mode { TIMER_ONESHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE, TIMER_RESERVED };

struct lapic_cpu {
	uint64_t apic_base;
	uint32_t tpr, ldr, dfr, svr;
	uint32_t esr, esr_pending;
	uint32_t icr_lo, icr_hi;
	uint32_t lvt[LVT_COUNT];
	uint32_t irr[8], isr[8], tmr[8];
	uint32_t timer_initial, timer_dcr;
	vns_t timer_due;       /* next expiry in one-shot and periodic mode; VNS_NEVER: stopped */
	uint64_t tsc_deadline; /* 0: disarmed */
	uint64_t tsc_adjust;   /* TSC = vns + this */

	/* Wiring. */
	struct lapic *lapic;
	struct vtimer *timer;
	struct vcpu_pins *pins;
	unsigned id;
};

struct lapic {
	struct lapic_cpu cpu[CPU_MAX];
	bool extint; /* the 8259's output */
	uint64_t chaos; /* generator of how late timers are; 0: never */

	/* Wiring. */
	unsigned ncpus;
	struct bus *bus;
	struct vclock *clock;
	int (*inta)(void *ctx);
	void *inta_ctx;
	void (*eoi)(void *ctx, uint8_t vector);
	void *eoi_ctx;
};

static inline bool lapic_cpu_on(const struct lapic_cpu *c)
{
	return (c->apic_base & APIC_BASE_EN) != 0;
}
static inline bool lapic_cpu_x2(const struct lapic_cpu *c)
{
	return (c->apic_base & APIC_BASE_EXTD) != 0;
}
static inline enum lapic_timer_mode lapic_timer_mode(const struct lapic_cpu *c)
{
	return (enum lapic_timer_mode)(c->lvt[LVT_TIMER] >> LVT_TIMER_MODE_SHIFT & 3u);
}

/* lapic.c */
void lapic_cpu_reset(struct lapic_cpu *c); /* all but APIC base and TSC adjustment */
void lapic_cpu_update(struct lapic_cpu *c);
void lapic_cpu_error(struct lapic_cpu *c, uint32_t esr_bit);
void lapic_cpu_accept(struct lapic_cpu *c, enum lapic_mode mode, unsigned vector, bool level);
void lapic_cpu_lvt(struct lapic_cpu *c, enum lapic_lvt which);
void lapic_cpu_eoi(struct lapic_cpu *c);
void lapic_cpu_send(struct lapic_cpu *c); /* the IPI in icr_hi:icr_lo */
uint32_t lapic_cpu_ppr(const struct lapic_cpu *c);
uint32_t lapic_cpu_x2_ldr(const struct lapic_cpu *c);

/* lapic_regs.c */
int lapic_regs_create(struct lapic *l);
bool lapic_regs_valid(const struct lapic_cpu *c); /* of loaded registers: can they occur? */

/* lapic_timer.c */
void lapic_timer_fire(void *ctx, vns_t deadline);
/* Applies what has expired by now. Before any change of what the timer depends on. */
void lapic_timer_sync(struct lapic_cpu *c);
/* Arms the clock for the next expiry that has an effect. After any such change. */
void lapic_timer_arm(struct lapic_cpu *c);
void lapic_timer_start(struct lapic_cpu *c, uint32_t initial);
void lapic_timer_set_divide(struct lapic_cpu *c, uint32_t dcr);
void lapic_timer_set_lvt(struct lapic_cpu *c, uint32_t lvt);
void lapic_timer_set_deadline(struct lapic_cpu *c, uint64_t deadline);
void lapic_timer_set_adjust(struct lapic_cpu *c, uint64_t adjust);
uint32_t lapic_timer_current(struct lapic_cpu *c);

#endif
