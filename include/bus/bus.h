/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a guest access meets a device: port I/O, memory-mapped I/O, device
 * MSRs, interrupt lines and the pins of each vCPU. No host in here.
 *
 * An access that no device claims reads as all ones and is dropped when
 * written. Devices check every offset and size they are handed: both are
 * within the region, sizes are 1, 2, 4 (8 for MMIO), alignment is the
 * guest's business. All calls: vCPU thread only.
 */
#ifndef RV_BUS_BUS_H
#define RV_BUS_BUS_H

#include "base/status.h"
#include "base/types.h"
#include "cpu/state.h"

struct bus;

struct bus_region_ops {
	/* off: from the region's start. size in bytes. The value is in the low bits. */
	uint64_t (*read)(void *ctx, unsigned vcpu, uint64_t off, unsigned size);
	void (*write)(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value);
	/* Largest access the device takes whole; the bus splits larger ones, low part first. */
	unsigned max_size;
};

struct bus_msr_ops {
	/* 0, or RV_EINVAL: #GP(0) to the guest. */
	int (*read)(void *ctx, unsigned vcpu, uint32_t msr, uint64_t *value);
	int (*write)(void *ctx, unsigned vcpu, uint32_t msr, uint64_t value);
};

int bus_create(struct bus **out);
void bus_destroy(struct bus *b);

/* Wiring time only. Overlapping regions are our bug (asserted). */
int bus_add_pio(struct bus *b, uint16_t first, unsigned count, const struct bus_region_ops *ops,
		void *ctx);
int bus_add_mmio(struct bus *b, gpa_t base, uint64_t size, const struct bus_region_ops *ops,
		 void *ctx);
int bus_add_msr(struct bus *b, uint32_t first, uint32_t last, const struct bus_msr_ops *ops,
		void *ctx);

uint64_t bus_pio_read(struct bus *b, unsigned vcpu, uint16_t port, unsigned size);
void bus_pio_write(struct bus *b, unsigned vcpu, uint16_t port, unsigned size, uint64_t value);
/* Any gpa that is not RAM; may straddle regions. */
uint64_t bus_mmio_read(struct bus *b, unsigned vcpu, gpa_t gpa, unsigned size);
void bus_mmio_write(struct bus *b, unsigned vcpu, gpa_t gpa, unsigned size, uint64_t value);
/* RV_ENOENT: no device has this MSR. */
int bus_msr_read(struct bus *b, unsigned vcpu, uint32_t msr, uint64_t *value);
int bus_msr_write(struct bus *b, unsigned vcpu, uint32_t msr, uint64_t value);

/* An interrupt line into a controller's input n. A zeroed line goes nowhere. */
struct irq_line {
	void (*set)(void *ctx, unsigned n, bool level);
	void *ctx;
	unsigned n;
};
static inline void irq_line_set(const struct irq_line *line, bool level)
{
	if (line->set)
		line->set(line->ctx, line->n, level);
}

/*
 * Pins of a vCPU, driven by the interrupt controllers, read by the engine at
 * every boundary. Levels, not edges, but for nmi/init/sipi, which the engine
 * clears as it takes them.
 */
struct vcpu_pins {
	bool intr; /* an interrupt is deliverable (priority already checked): ask irq_ack for its vector */
	bool nmi;
	bool init;
	bool sipi;
	uint8_t sipi_vector;
};
struct vcpu_pins *bus_pins(struct bus *b, unsigned vcpu);

/* The interrupt controllers as an engine sees them; implemented by the local APIC (which asks the PIC
 * for ExtINT). Registered once at wiring. */
struct irqchip_ops {
	/* Acknowledges and returns the vector to deliver now, or -1 (pin was withdrawn). */
	int (*ack)(void *ctx, unsigned vcpu);
	/* CR8: the task priority class, 0 to 15. */
	uint8_t (*cr8_read)(void *ctx, unsigned vcpu);
	void (*cr8_write)(void *ctx, unsigned vcpu, uint8_t value);
	bool (*apic_enabled)(void *ctx, unsigned vcpu); /* global enable, for CPUID leaf 1 EDX bit 9 */
	void (*init)(void *ctx, unsigned vcpu);         /* the vCPU took INIT: reset its local APIC */
	/* The vCPU's TSC is now vns + adjust: TSC-deadline timers follow it. */
	void (*tsc_adjust)(void *ctx, unsigned vcpu, uint64_t adjust);
};
void bus_set_irqchip(struct bus *b, const struct irqchip_ops *ops, void *ctx);
int bus_irq_ack(struct bus *b, unsigned vcpu);
uint8_t bus_cr8_read(struct bus *b, unsigned vcpu);
void bus_cr8_write(struct bus *b, unsigned vcpu, uint8_t value);
bool bus_apic_enabled(struct bus *b, unsigned vcpu);
void bus_vcpu_init(struct bus *b, unsigned vcpu);
void bus_tsc_adjust(struct bus *b, unsigned vcpu, uint64_t adjust);

/*
 * Requests of devices to the machine, raised inside an access and looked at
 * by the machine after that instruction. The engine returns from run() when
 * *bus_attention() is true; the machine clears it.
 */
enum bus_request {
	BUS_REQ_NONE,
	BUS_REQ_POWEROFF,
	BUS_REQ_RESET,
	BUS_REQ_DEBUG_EXIT,
	BUS_REQ_PANIC,  /* pvpanic: code is the byte written */
	BUS_REQ_FAILED, /* the host failed a device in a way that is no part of history: code is -status */
};
void bus_request(struct bus *b, enum bus_request req, uint32_t code);
enum bus_request bus_take_request(struct bus *b, uint32_t *code);
const bool *bus_attention(const struct bus *b);

#endif
