/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot 1 (specification 0.6.96): ELF by its program headers, or a flat
 * image by the header's address fields. The command line is handed over as
 * given: no file name in front, for that would differ from host to host.
 */
#include "loader.h"

#include <string.h>

#include "base/bytes.h"

#define MB_SEARCH 8192u
#define MB_MAGIC 0x1badb002u
#define MB_LOADER_MAGIC 0x2badb002u
#define MB_REQUIRED_MASK 0xffffu
#define MB_REQUIRED_KNOWN 0x3u /* page-aligned modules, memory information */
#define MB_ADDRESSES (1u << 16)

#define MBI_LEN 88u
#define MBI_MEM (1u << 0)
#define MBI_CMDLINE (1u << 2)
#define MBI_MODS (1u << 3)
#define MBI_MMAP (1u << 6)
#define MBI_NAME (1u << 9)
#define MBI_MODULES (BOOT_INFO + 0x100)
#define MBI_NAME_ADDR (BOOT_INFO + 0x180)
#define MBI_MAP (BOOT_INFO + 0x200)
#define MBI_MAP_ENTRY 24u

/* Offset of the header in the file, or kernel_len. */
static size_t multiboot_header_find(const struct boot_image *img)
{
	const uint8_t *k = img->kernel;
	for (size_t off = 0; off + 12 <= img->kernel_len && off + 12 <= MB_SEARCH; off += 4) {
		if (le32_get(k + off) != MB_MAGIC)
			continue;
		if (le32_get(k + off) + le32_get(k + off + 4) + le32_get(k + off + 8) == 0)
			return off;
	}
	return img->kernel_len;
}

bool multiboot_probe(const struct boot_image *img)
{
	return multiboot_header_find(img) < img->kernel_len;
}

/* Loads by header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr. */
static int multiboot_load_flat(struct guest_mem *mem, const struct boot_image *img, size_t off,
			       uint64_t *end, uint32_t *entry, struct rv_err *err)
{
	const uint8_t *h = (const uint8_t *)img->kernel + off;
	if (img->kernel_len - off < 32)
		return rv_err_set(err, RV_EINVAL, "%s: truncated Multiboot header",
				  img->kernel_name);
	uint32_t header_addr = le32_get(h + 12);
	uint32_t load_addr = le32_get(h + 16);
	uint32_t load_end = le32_get(h + 20);
	uint32_t bss_end = le32_get(h + 24);
	*entry = le32_get(h + 28);
	if (header_addr < load_addr || header_addr - load_addr > off)
		goto bad;
	size_t start = off - (header_addr - load_addr);
	uint64_t len = img->kernel_len - start;
	if (load_end) {
		if (load_end < load_addr || load_end - load_addr > len)
			goto bad;
		len = load_end - load_addr;
	}
	if (load_addr < BOOT_KERNEL_MIN || len > MEM_HOLE_START)
		goto bad;
	uint64_t file_end = load_addr + len;
	*end = bss_end > file_end ? bss_end : file_end;
	int rc = boot_memory_need(mem, img, *end, err);
	if (rc)
		return rc;
	mem_write(mem, load_addr, (const uint8_t *)img->kernel + start, (size_t)len);
	boot_zero(mem, file_end, *end - file_end);
	return RV_OK;
bad:
	return rv_err_set(err, RV_EINVAL, "%s: damaged address fields in its Multiboot header",
			  img->kernel_name);
}

static void multiboot_info_write(struct guest_mem *mem, const struct boot_image *img,
				 uint64_t initrd)
{
	static const char name[] = "Retrovisor";
	uint8_t info[MBI_LEN] = { 0 };
	uint32_t flags = MBI_MEM | MBI_CMDLINE | MBI_MODS | MBI_MMAP | MBI_NAME;
	uint64_t low = mem_low_size(mem);
	le32_put(info, flags);
	le32_put(info + 4, (uint32_t)(BOOT_LOW_END / 1024));
	le32_put(info + 8, (uint32_t)((low - BOOT_KERNEL_MIN) / 1024));
	le32_put(info + 16, (uint32_t)BOOT_CMDLINE);
	if (initrd) {
		uint8_t mod[16] = { 0 };
		le32_put(mod, (uint32_t)initrd);
		le32_put(mod + 4, (uint32_t)(initrd + img->initrd_len));
		mem_write(mem, MBI_MODULES, mod, sizeof(mod));
		le32_put(info + 20, 1);
	}
	le32_put(info + 24, (uint32_t)MBI_MODULES);
	struct boot_range map[BOOT_MAP_MAX];
	unsigned n = boot_map_build(mem, map);
	for (unsigned i = 0; i < n; i++) {
		uint8_t e[MBI_MAP_ENTRY];
		le32_put(e, MBI_MAP_ENTRY - 4); /* the size field does not count itself */
		le64_put(e + 4, map[i].base);
		le64_put(e + 12, map[i].len);
		le32_put(e + 20, map[i].type);
		mem_write(mem, MBI_MAP + i * MBI_MAP_ENTRY, e, sizeof(e));
	}
	le32_put(info + 44, n * MBI_MAP_ENTRY);
	le32_put(info + 48, (uint32_t)MBI_MAP);
	le32_put(info + 64, (uint32_t)MBI_NAME_ADDR);
	mem_write(mem, MBI_NAME_ADDR, name, sizeof(name));
	mem_write(mem, BOOT_INFO, info, sizeof(info));
}

int multiboot_load(struct guest_mem *mem, const struct boot_image *img, struct cpu_state *bsp,
		   struct rv_err *err)
{
	size_t off = multiboot_header_find(img);
	if (off >= img->kernel_len)
		return rv_err_set(err, RV_EINVAL, "%s: no Multiboot header", img->kernel_name);
	uint32_t flags = le32_get((const uint8_t *)img->kernel + off + 4);
	if (flags & MB_REQUIRED_MASK & ~MB_REQUIRED_KNOWN)
		return rv_err_set(err, RV_EINVAL,
				  "%s: its Multiboot header asks for features %#x, which the machine "
				  "lacks",
				  img->kernel_name, flags & MB_REQUIRED_MASK & ~MB_REQUIRED_KNOWN);
	uint64_t end = 0, initrd;
	uint32_t entry = 0;
	int rc;
	if (flags & MB_ADDRESSES) {
		rc = multiboot_load_flat(mem, img, off, &end, &entry, err);
		if (rc)
			return rc;
	} else {
		struct elf_image elf;
		if (!elf_open(&elf, img->kernel, img->kernel_len))
			return rv_err_set(err, RV_EINVAL,
					  "%s: Multiboot kernel that is neither a sound ELF file nor has "
					  "load addresses",
					  img->kernel_name);
		rc = elf_load(&elf, mem, img, &end, err);
		if (rc)
			return rc;
		uint64_t e = elf_entry_paddr(&elf);
		entry = e > UINT32_MAX ? 0 : (uint32_t)e;
	}
	if (entry < BOOT_KERNEL_MIN || entry >= end)
		return rv_err_set(err, RV_EINVAL, "%s: entry point is outside the kernel",
				  img->kernel_name);
	rc = boot_cmdline_write(mem, img, BOOT_CMDLINE_MAX - 1, err);
	if (rc)
		return rc;
	rc = boot_initrd_place(mem, img, end, MEM_HOLE_START, &initrd, err);
	if (rc)
		return rc;
	multiboot_info_write(mem, img, initrd);
	boot_state_flat32(mem, bsp, entry);
	bsp->gpr[CPU_RAX] = MB_LOADER_MAGIC;
	bsp->gpr[CPU_RBX] = BOOT_INFO;
	return RV_OK;
}
