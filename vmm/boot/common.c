/* SPDX-License-Identifier: Apache-2.0 */
#include "loader.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

/* Descriptors of a flat GDT and of a busy TSS (SDM vol. 3, 3.4.5 and 7.2). */
#define GDT_CODE32 0x00cf9b000000ffffull
#define GDT_CODE64 0x00af9b000000ffffull
#define GDT_DATA 0x00cf93000000ffffull
#define TSS_LIMIT 0x67u
#define TSS_TYPE_BUSY 11u

#define PTE_P 1ull
#define PTE_RW 2ull
#define PTE_PS 0x80ull

#define MTRR_UC 0ull
#define MTRR_WP 5ull
#define MTRR_WB 6ull
#define MTRR_FIXED_ON (1ull << 10)
#define MTRR_ON (1ull << 11)
#define BYTES8(v) ((v) * 0x0101010101010101ull)

unsigned boot_map_build(const struct guest_mem *mem, struct boot_range out[BOOT_MAP_MAX])
{
	unsigned n = 0;
	uint64_t low = mem_low_size(mem);
	uint64_t high = mem_high_size(mem);
	out[n++] = (struct boot_range){ 0, BOOT_LOW_END, BOOT_MAP_RAM };
	/* Extended BIOS data area, video memory, and the ROM area with the ACPI tables. */
	out[n++] = (struct boot_range){ BOOT_LOW_END, BOOT_KERNEL_MIN - BOOT_LOW_END,
					BOOT_MAP_RESERVED };
	if (low > BOOT_KERNEL_MIN)
		out[n++] = (struct boot_range){ BOOT_KERNEL_MIN, low - BOOT_KERNEL_MIN,
						BOOT_MAP_RAM };
	if (high)
		out[n++] = (struct boot_range){ MEM_HOLE_END, high, BOOT_MAP_RAM };
	return n;
}

int boot_memory_need(const struct guest_mem *mem, const struct boot_image *img, uint64_t end,
		     struct rv_err *err)
{
	if (end <= mem_low_size(mem))
		return RV_OK;
	uint64_t mib = end / MIB + (end % MIB != 0);
	if (end > MEM_HOLE_START)
		return rv_err_set(err, RV_EINVAL,
				  "%s: needs memory up to %" PRIu64
				  " MiB, which the machine cannot have below 4 GiB",
				  img->kernel_name, mib);
	return rv_err_set(err, RV_EINVAL,
			  "%s: memory %" PRIu64 " MiB is too small for this kernel: it needs at least "
			  "%" PRIu64 " MiB, use --memory=%" PRIu64 "M",
			  img->kernel_name, mem_size(mem) / MIB, mib, mib);
}

int boot_cmdline_write(struct guest_mem *mem, const struct boot_image *img, size_t max,
		       struct rv_err *err)
{
	const char *s = img->cmdline ? img->cmdline : "";
	size_t len = strlen(s);
	if (max > BOOT_CMDLINE_MAX - 1)
		max = BOOT_CMDLINE_MAX - 1;
	if (len > max)
		return rv_err_set(err, RV_EINVAL,
				  "%s: the command line has %zu bytes, this kernel takes %zu; shorten "
				  "--append=",
				  img->kernel_name, len, max);
	mem_write(mem, BOOT_CMDLINE, s, len + 1);
	return RV_OK;
}

int boot_initrd_place(struct guest_mem *mem, const struct boot_image *img, uint64_t floor,
		      uint64_t top, uint64_t *addr, struct rv_err *err)
{
	*addr = 0;
	if (!img->initrd || img->initrd_len == 0)
		return RV_OK;
	const char *name = img->initrd_name ? img->initrd_name : "initrd";
	uint64_t ram = mem_low_size(mem);
	if (top > ram)
		top = ram;
	top &= ~(uint64_t)(RV_PAGE_SIZE - 1);
	uint64_t len = img->initrd_len;
	if (len > top || ((top - len) & ~(uint64_t)(RV_PAGE_SIZE - 1)) < floor) {
		uint64_t need = floor / MIB + len / MIB + 2;
		/* More memory helps only if the top was the end of RAM, and RAM can grow. */
		if (top < (ram & ~(uint64_t)(RV_PAGE_SIZE - 1)) || need > MEM_HOLE_START / MIB)
			return rv_err_set(err, RV_EINVAL,
					  "%s: initrd of %" PRIu64 " MiB is too large for %s", name,
					  len / MIB + 1, img->kernel_name);
		return rv_err_set(err, RV_EINVAL,
				  "%s: initrd too large for memory of %" PRIu64
				  " MiB: at least %" PRIu64 " MiB are needed, use --memory=%" PRIu64 "M",
				  name, mem_size(mem) / MIB, need, need);
	}
	*addr = (top - len) & ~(uint64_t)(RV_PAGE_SIZE - 1);
	mem_write(mem, *addr, img->initrd, img->initrd_len);
	return RV_OK;
}

void boot_zero(struct guest_mem *mem, gpa_t gpa, uint64_t len)
{
	static const uint8_t zeros[RV_PAGE_SIZE];
	while (len > 0) {
		uint64_t n = RV_PAGE_SIZE - (gpa & (RV_PAGE_SIZE - 1));
		if (n > len)
			n = len;
		uint64_t page = mem_page_of(mem, gpa);
		if (page != MEM_NO_PAGE && mem_page_epoch(mem, page) != 0)
			mem_write(mem, gpa, zeros, (size_t)n);
		gpa += n;
		len -= n;
	}
}

/* Write-back, but for video memory and the PCI hole (uncached) and ROM (write-protected). */
static void boot_mtrr_set(struct cpu_state *s)
{
	s->msr[CPU_MSR_MTRR_DEF_TYPE] = MTRR_WB | MTRR_FIXED_ON | MTRR_ON;
	for (unsigned i = 0; i < 11; i++) {
		uint64_t type = i < 2 ? MTRR_WB : i == 2 ? MTRR_UC : MTRR_WP;
		s->msr[CPU_MSR_MTRR_FIX + i] = BYTES8(type);
	}
	s->msr[CPU_MSR_MTRR_VAR] = MEM_HOLE_START | MTRR_UC;
	s->msr[CPU_MSR_MTRR_VAR + 1] = 0xffc0000000ull | 1ull << 11; /* 1 GiB of 40 bits, valid */
}

static void boot_segments_set(struct guest_mem *mem, struct cpu_state *s, bool lm)
{
	uint64_t gdt[6] = { 0 };
	/* The TSS descriptor's base fits in its low 24 bits. */
	gdt[BOOT_SEL_CS / 8] = lm ? GDT_CODE64 : GDT_CODE32;
	gdt[BOOT_SEL_DS / 8] = GDT_DATA;
	gdt[BOOT_SEL_TSS / 8] = TSS_LIMIT | BOOT_TSS << 16 | (uint64_t)(SEG_P | TSS_TYPE_BUSY) << 40;
	uint8_t raw[sizeof(gdt)];
	for (unsigned i = 0; i < RV_ARRAY_LEN(gdt); i++)
		le64_put(raw + i * 8, gdt[i]);
	mem_write(mem, BOOT_GDT, raw, sizeof(raw));
	boot_zero(mem, BOOT_TSS, TSS_LIMIT + 1);
	s->gdtr = (struct cpu_dtable){ .base = BOOT_GDT, .limit = sizeof(gdt) - 1 };
	s->idtr = (struct cpu_dtable){ 0 };

	for (unsigned i = CPU_ES; i <= CPU_GS; i++)
		s->seg[i] = (struct cpu_seg){
			.limit = UINT32_MAX,
			.attr = SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED | SEG_DB | SEG_G,
			.sel = BOOT_SEL_DS,
		};
	s->seg[CPU_CS].sel = BOOT_SEL_CS;
	s->seg[CPU_CS].attr = (uint16_t)(SEG_P | SEG_S | SEG_CODE | SEG_WRITABLE | SEG_ACCESSED |
					 SEG_G | (lm ? SEG_L : SEG_DB));
	s->seg[CPU_LDTR] = (struct cpu_seg){ 0 };
	s->seg[CPU_TR] = (struct cpu_seg){
		.base = BOOT_TSS,
		.limit = TSS_LIMIT,
		.attr = SEG_P | TSS_TYPE_BUSY,
		.sel = BOOT_SEL_TSS,
	};
}

void boot_state_flat32(struct guest_mem *mem, struct cpu_state *bsp, uint32_t entry)
{
	cpu_state_reset(bsp, true);
	boot_mtrr_set(bsp);
	boot_segments_set(mem, bsp, false);
	bsp->gpr[CPU_RDX] = 0;
	bsp->rip = entry;
	bsp->cr0 = CR0_PE | CR0_ET;
}

void boot_state_long(struct guest_mem *mem, struct cpu_state *bsp, uint64_t entry)
{
	uint8_t page[RV_PAGE_SIZE];
	cpu_state_reset(bsp, true);
	boot_mtrr_set(bsp);
	boot_segments_set(mem, bsp, true);

	/* One to one, 2 MiB pages, so that any host processor can run it (SDM vol. 3, 4.5.4). */
	memset(page, 0, sizeof(page));
	le64_put(page, (BOOT_PAGE_TABLES + RV_PAGE_SIZE) | PTE_P | PTE_RW);
	mem_write(mem, BOOT_PAGE_TABLES, page, sizeof(page));
	memset(page, 0, sizeof(page));
	for (unsigned i = 0; i < 4; i++)
		le64_put(page + i * 8, (BOOT_PAGE_TABLES + (2 + i) * RV_PAGE_SIZE) | PTE_P | PTE_RW);
	mem_write(mem, BOOT_PAGE_TABLES + RV_PAGE_SIZE, page, sizeof(page));
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 512; k++)
			le64_put(page + k * 8, (uint64_t)(i * 512 + k) << 21 | PTE_P | PTE_RW | PTE_PS);
		mem_write(mem, BOOT_PAGE_TABLES + (2 + i) * RV_PAGE_SIZE, page, sizeof(page));
	}

	bsp->gpr[CPU_RDX] = 0;
	bsp->rip = entry;
	bsp->cr3 = BOOT_PAGE_TABLES;
	bsp->cr4 = CR4_PAE;
	bsp->efer = EFER_LME | EFER_LMA;
	bsp->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
}
