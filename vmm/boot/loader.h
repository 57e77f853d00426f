/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loaders share. Low memory, as every loader lays it out:
 *
 *   0x01000  GDT and an empty TSS
 *   0x06000  PVH start info, or Multiboot information
 *   0x10000  boot_params ("zero page")
 *   0x11000  page tables: PML4, PDPT, four page directories
 *   0x20000  command line, at most BOOT_CMDLINE_MAX bytes with its NUL
 *   0x9fc00  end of usable low memory
 *   0xe0000  ACPI tables
 *   1 MiB    first byte a kernel may claim
 */
#ifndef RV_BOOT_LOADER_H
#define RV_BOOT_LOADER_H

#include "boot/boot.h"

#define BOOT_GDT 0x1000ull
#define BOOT_TSS 0x1080ull
#define BOOT_INFO 0x6000ull
#define BOOT_INFO_END 0x8000ull
#define BOOT_PARAMS 0x10000ull
#define BOOT_PAGE_TABLES 0x11000ull
#define BOOT_CMDLINE 0x20000ull
#define BOOT_CMDLINE_MAX 0x10000u
#define BOOT_LOW_END 0x9fc00ull
#define BOOT_LOW_TOP 0xa0000ull
#define BOOT_KERNEL_MIN 0x100000ull

/* Selectors the Linux 64-bit protocol asks for; the other protocols use the same table. */
#define BOOT_SEL_CS 0x10u
#define BOOT_SEL_DS 0x18u
#define BOOT_SEL_TSS 0x20u

#define MIB ((uint64_t)1 << 20)

/* Memory map: types of the BIOS call E820h, which PVH and Multiboot use as well. */
#define BOOT_MAP_RAM 1u
#define BOOT_MAP_RESERVED 2u
#define BOOT_MAP_MAX 8u
struct boot_range {
	uint64_t base, len;
	uint32_t type;
};
unsigned boot_map_build(const struct guest_mem *mem, struct boot_range out[BOOT_MAP_MAX]);

/* Loaders. *_probe: is the file of this kind at all? One that is but is malformed is refused by its
 * loader with a message. */
bool bzimage_probe(const struct boot_image *img);
int bzimage_load(struct guest_mem *mem, const struct boot_image *img, struct cpu_state *bsp,
		 struct rv_err *err);
bool pvh_probe(const struct boot_image *img);
int pvh_load(struct guest_mem *mem, const struct boot_image *img, struct cpu_state *bsp,
	     struct rv_err *err);
bool multiboot_probe(const struct boot_image *img);
int multiboot_load(struct guest_mem *mem, const struct boot_image *img, struct cpu_state *bsp,
		   struct rv_err *err);

/* ---- common.c ---- */
/* Writes the command line with its NUL. max: what the kernel accepts, without the NUL. */
int boot_cmdline_write(struct guest_mem *mem, const struct boot_image *img, size_t max,
		       struct rv_err *err);
/* Places the initrd page-aligned as high as possible below `top`, not below `floor` (the kernel's
 * end), and copies it. *addr is 0 when there is none. */
int boot_initrd_place(struct guest_mem *mem, const struct boot_image *img, uint64_t floor,
		      uint64_t top, uint64_t *addr, struct rv_err *err);
/* RV_EINVAL with "memory ... is too small": `end` bytes of low RAM are needed. */
int boot_memory_need(const struct guest_mem *mem, const struct boot_image *img, uint64_t end,
		     struct rv_err *err);
/* Zeroes RAM, without dirtying pages that were never written. */
void boot_zero(struct guest_mem *mem, gpa_t gpa, uint64_t len);
/* Resets *bsp and makes it run flat 32-bit protected mode, or 64-bit mode with the first 4 GiB
 * mapped one to one; writes the GDT (and page tables) it uses. MTRRs as firmware leaves them. */
void boot_state_flat32(struct guest_mem *mem, struct cpu_state *bsp, uint32_t entry);
void boot_state_long(struct guest_mem *mem, struct cpu_state *bsp, uint64_t entry);

/* ---- elf.c ---- */
struct elf_image {
	const uint8_t *data;
	size_t len;
	bool is64;
	uint16_t phnum;
	uint64_t phoff;
	uint64_t entry; /* as in the file: a linear address */
};
struct elf_segment {
	uint32_t type;
	uint64_t offset, vaddr, paddr, filesz, memsz;
};
/* False: not an ELF executable for x86, or its program headers are not within the file. */
bool elf_open(struct elf_image *elf, const void *data, size_t len);
void elf_segment_get(const struct elf_image *elf, unsigned i, struct elf_segment *out);
/* Copies all PT_LOAD segments to their physical addresses. *end: first byte behind them. */
int elf_load(const struct elf_image *elf, struct guest_mem *mem, const struct boot_image *img,
	     uint64_t *end, struct rv_err *err);
/* The entry point as a physical address. */
uint64_t elf_entry_paddr(const struct elf_image *elf);

#endif
