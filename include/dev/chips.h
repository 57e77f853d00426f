/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chips of board `pc`. Each create function makes the chip in its reset
 * state, claims its ports / MMIO / MSRs on the bus and registers its timers;
 * *dev is what the machine saves, resets and destroys. Return 0 or RV_ENOMEM.
 */
#ifndef RV_DEV_CHIPS_H
#define RV_DEV_CHIPS_H

#include "bus/bus.h"
#include "clock/clock.h"
#include "dev/device.h"
#include "port/output.h"

/* Interrupt wiring: GSI n drives PIC input n (n < 16) and IOAPIC input n (IRQ 0 -> IOAPIC 2). */
#define GSI_PIT 0u
#define GSI_UART0 4u
#define GSI_RTC 8u
#define GSI_SCI 9u
#define LAPIC_BASE 0xfee00000ull
#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_ID 0u
#define IOAPIC_PINS 24u
#define HPET_BASE 0xfed00000ull
#define ACPI_PM_BASE 0x600u      /* PM1a_EVT (4 bytes), PM1a_CNT at +4 (2), PM_TMR at +8 (4) */
#define ACPI_PM1A_EVT (ACPI_PM_BASE + 0u)
#define ACPI_PM1A_CNT (ACPI_PM_BASE + 4u)
#define ACPI_PM_TMR (ACPI_PM_BASE + 8u)
#define ACPI_SLP_TYP_S5 5u
#define ACPI_RESET_PORT 0xcf9u   /* FADT RESET_REG, value 6 */
#define DEBUG_EXIT_PORT 0xf4u
#define UART0_PORT 0x3f8u

/* Local APICs of all vCPUs: MMIO page, MSRs 1Bh, 6E0h, 800h-83Fh, CR8, pins; the irqchip of the bus.
 * (SDM vol. 3, chapter 10; timer from a 1 GHz bus clock, TSC-deadline from the 1 GHz TSC; TSC is
 * vns + the vCPU's TSC_ADJUST, told through irqchip_ops.tsc_adjust.) */
struct lapic;
int lapic_create(struct lapic **out, struct device *dev, struct bus *bus, struct vclock *clock,
		 unsigned ncpus);
/* Wiring time: timers of the local APICs are up to 50 microseconds late, as a seed says; 0: never. */
void lapic_chaos(struct lapic *l, uint64_t seed);
/* An interrupt message (MSI address/data or IOAPIC): SDM vol. 3, 10.11. */
void lapic_message(struct lapic *l, uint64_t address, uint32_t data);
/* The 8259's output, wired to LINT0 of vCPU 0 (and delivered there while it is in virtual-wire mode or
 * the APIC is disabled). ack: its INTA cycle. */
void lapic_set_extint(struct lapic *l, bool level);
void lapic_connect_pic(struct lapic *l, int (*inta)(void *ctx), void *ctx);

struct ioapic;
int ioapic_create(struct ioapic **out, struct device *dev, struct bus *bus, struct lapic *lapic);
void ioapic_set(void *ioapic, unsigned pin, bool level); /* an irq_line.set */
void ioapic_eoi(void *ioapic, uint8_t vector);           /* broadcast from a local APIC */
void lapic_connect_ioapic(struct lapic *l, void (*eoi)(void *ctx, uint8_t vector), void *ctx);

struct pic; /* two 8259A, ports 20h, A0h, ELCR 4D0h */
int pic_create(struct pic **out, struct device *dev, struct bus *bus,
	       void (*out_line)(void *ctx, bool level), void *ctx);
void pic_set(void *pic, unsigned irq, bool level);
int pic_inta(void *pic);

/* 8254 at 40h and port 61h; channel 0 drives `irq`. */
int pit_create(struct device *dev, struct bus *bus, struct vclock *clock, struct irq_line irq);
/* MC146818 at 70h; its time is the clock's date + vns. */
int rtc_create(struct device *dev, struct bus *bus, struct vclock *clock, struct irq_line irq,
	       uint64_t ram_low, uint64_t ram_high);
/* PM1a event/control, PM timer (3.579545 MHz, 24 bits), S5, the keyboard controller's reset. */
int acpi_pm_create(struct device *dev, struct bus *bus, struct vclock *clock, struct irq_line sci);
/* HPET, 3 comparators, 64 bit, 10 ns period (100 MHz), legacy replacement. */
int hpet_create(struct device *dev, struct bus *bus, struct vclock *clock, void (*set)(void *ctx, unsigned gsi, bool level), void *ctx);
/* 16550A; output bytes go to the outbound port as OUT_CONSOLE `instance`. */
struct uart;
int uart_create(struct uart **out, struct device *dev, struct bus *bus, struct vclock *clock,
		uint16_t port, struct irq_line irq, struct output *output, unsigned instance);
/* An ND_CONSOLE event: bytes join the input queue behind the 16-byte FIFO; more than uart_room() are
 * dropped (and the overrun bit set). */
void uart_input(struct uart *u, const uint8_t *data, uint32_t len);
uint32_t uart_room(const struct uart *u);
/* isa-debug-exit: a write of v asks the machine to stop with code (v << 1) | 1. */
int debug_exit_create(struct device *dev, struct bus *bus);
/* pvpanic: the guest says that it panicked (port 505h): BUS_REQ_PANIC. */
#define PVPANIC_PORT 0x505u
int pvpanic_create(struct device *dev, struct bus *bus);

#endif
