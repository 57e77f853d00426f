/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaders: put a kernel into guest memory and say how vCPU 0 starts.
 * Linux bzImage by the 64-bit protocol (Documentation/arch/x86/boot.rst), PVH
 * ELF (Xen's x86/HVM direct boot ABI), Multiboot 1 ELF. Files are hostile.
 */
#ifndef RV_BOOT_BOOT_H
#define RV_BOOT_BOOT_H

#include "cpu/state.h"
#include "mem/mem.h"

struct boot_image {
	const void *kernel;
	size_t kernel_len;
	const char *kernel_name;
	const void *initrd;
	size_t initrd_len;
	const char *initrd_name;
	const char *cmdline;
};

/* Guest-physical address of the ACPI RSDP (boot_acpi_build() puts the tables there) and the first byte
 * behind the tables; all within the reserved range 0xe0000-0xfffff. */
#define BOOT_ACPI_RSDP 0xe0000ull

/* Writes RSDP, XSDT, FADT, DSDT (S5, SCI, COM1, RTC), MADT (ncpus local APICs, IOAPIC, IRQ0->2 override,
 * SCI level/low override, LINT1 NMI), HPET; all checksummed. RV_EINVAL if they would not fit. */
int boot_acpi_build(struct guest_mem *mem, unsigned ncpus);

/* Recognises the format, loads, fills *bsp (a full state: segments, CR0, paging as the protocol asks).
 * RV_EINVAL with a message naming file and reason: not a kernel, memory too small, initrd too large. */
int boot_load(struct guest_mem *mem, const struct boot_image *img, struct cpu_state *bsp,
	      struct rv_err *err);

#endif
