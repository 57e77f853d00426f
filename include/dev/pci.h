/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI: one bus behind a host bridge (configuration mechanism 1, ports CF8h and
 * CFCh; PCI Local Bus Specification 3.0, 3.2.2.3.2), memory BARs within
 * PCI_WINDOW, interrupts by MSI-X alone. BARs come up assigned, as firmware
 * would leave them; a guest may move them within the window.
 */
#ifndef RV_DEV_PCI_H
#define RV_DEV_PCI_H

#include "bus/bus.h"
#include "dev/chips.h"
#include "dev/device.h"

#define PCI_WINDOW_BASE 0xe0000000ull
#define PCI_WINDOW_SIZE 0x10000000ull /* 256 MiB: to F0000000h */
#define PCI_CONFIG_ADDRESS 0xcf8u     /* CF9h is the reset register: the host bridge forwards it */
#define PCI_CONFIG_DATA 0xcfcu
#define PCI_SLOTS 32u                 /* of bus 0, function 0 of each; slot 0 is the bridge */
#define PCI_BARS 2u                   /* 32-bit memory BARs of a function */

struct pci_host;
int pci_host_create(struct pci_host **out, struct device *dev, struct bus *bus, struct lapic *lapic);

/* What a function is; constant. */
struct pci_id {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code; /* 24 bits: class, subclass, interface */
};

struct pci_function; /* one slot: configuration space, BARs, MSI-X table; saved with the host bridge */

struct pci_function_ops {
	/* An access within BAR `bar`, off + size <= its size; sizes 1, 2, 4, 8. */
	uint64_t (*read)(void *ctx, unsigned vcpu, unsigned bar, uint64_t off, unsigned size);
	void (*write)(void *ctx, unsigned vcpu, unsigned bar, uint64_t off, unsigned size, uint64_t value);
	/* Optional: a write to byte range [off, off + size) of configuration space that the function marked
	 * as its own (pci_function_config). */
	void (*config_write)(void *ctx, unsigned off, unsigned size, uint32_t value);
	uint32_t (*config_read)(void *ctx, unsigned off, unsigned size);
};

/* Wiring time: claims a slot. BAR 0 has bar_size bytes (power of two, at least 4 KiB); with nvectors
 * (at most 64) BAR 1 holds the MSI-X table and pending bits, and a capability for it. */
int pci_function_add(struct pci_function **out, struct pci_host *host, unsigned slot,
		     const struct pci_id *id, uint32_t bar_size, unsigned nvectors,
		     const struct pci_function_ops *ops, void *ctx);
/* Appends a vendor-specific capability (ID 09h) of len bytes (the two link bytes included); body is
 * what follows the two link bytes. Returns its offset in configuration space. */
unsigned pci_function_capability(struct pci_function *f, const uint8_t *body, unsigned len);
/* Accesses to these bytes go to config_read / config_write. */
void pci_function_config(struct pci_function *f, unsigned off, unsigned len);
/* Sends MSI-X vector n, or marks it pending while masked; nothing if MSI-X is off. */
void pci_function_msix(struct pci_function *f, unsigned vector);
/* May it master the bus (command register bit 2)? DMA of a function that may not is dropped. */
bool pci_function_master(const struct pci_function *f);

#endif
