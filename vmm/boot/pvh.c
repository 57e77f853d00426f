/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PVH: an ELF file whose Xen note 18 names a 32-bit physical entry point
 * (Xen: docs/misc/pvh.pandoc, public/arch-x86/hvm/start_info.h).
 */
#include "loader.h"

#include <elf.h>

#include "base/bytes.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18u
#define START_MAGIC 0x336ec578u
#define START_VERSION 1u
#define START_LEN 56u
#define MODULE_LEN 32u
#define MAP_ENTRY_LEN 24u
#define START_MODULES (BOOT_INFO + 0x100)
#define START_MAP (BOOT_INFO + 0x200)

/* Walks the notes of a segment: name size, descriptor size, type, then both, 4-aligned. */
static bool pvh_note_find(const uint8_t *p, size_t len, uint32_t *entry)
{
	size_t pos = 0;
	while (len - pos >= 12) {
		uint64_t namesz = le32_get(p + pos);
		uint64_t descsz = le32_get(p + pos + 4);
		uint32_t type = le32_get(p + pos + 8);
		uint64_t desc = pos + 12 + ((namesz + 3) & ~3ull);
		uint64_t next = desc + ((descsz + 3) & ~3ull);
		if (desc > len || descsz > len - desc)
			return false;
		if (type == XEN_ELFNOTE_PHYS32_ENTRY && namesz == 4 && descsz >= 4 &&
		    le32_get(p + pos + 12) == le32_get("Xen")) {
			*entry = le32_get(p + desc);
			return true;
		}
		if (next > len)
			return false;
		pos = (size_t)next;
	}
	return false;
}

static bool pvh_entry_find(const struct boot_image *img, struct elf_image *elf, uint32_t *entry)
{
	if (!elf_open(elf, img->kernel, img->kernel_len))
		return false;
	for (unsigned i = 0; i < elf->phnum; i++) {
		struct elf_segment s;
		elf_segment_get(elf, i, &s);
		if (s.type != PT_NOTE || s.offset > elf->len || s.filesz > elf->len - s.offset)
			continue;
		if (pvh_note_find(elf->data + s.offset, (size_t)s.filesz, entry))
			return true;
	}
	return false;
}

bool pvh_probe(const struct boot_image *img)
{
	struct elf_image elf;
	uint32_t entry;
	return pvh_entry_find(img, &elf, &entry);
}

int pvh_load(struct guest_mem *mem, const struct boot_image *img, struct cpu_state *bsp,
	     struct rv_err *err)
{
	struct elf_image elf;
	uint32_t entry;
	uint64_t end, initrd;
	if (!pvh_entry_find(img, &elf, &entry))
		return rv_err_set(err, RV_EINVAL, "%s: no PVH entry point", img->kernel_name);
	int rc = elf_load(&elf, mem, img, &end, err);
	if (rc)
		return rc;
	if (entry < BOOT_KERNEL_MIN || entry >= end)
		return rv_err_set(err, RV_EINVAL, "%s: PVH entry point %#x is outside the kernel",
				  img->kernel_name, entry);
	rc = boot_cmdline_write(mem, img, BOOT_CMDLINE_MAX - 1, err);
	if (rc)
		return rc;
	rc = boot_initrd_place(mem, img, end, MEM_HOLE_START, &initrd, err);
	if (rc)
		return rc;

	uint8_t info[START_LEN] = { 0 };
	le32_put(info, START_MAGIC);
	le32_put(info + 4, START_VERSION);
	if (initrd) {
		uint8_t mod[MODULE_LEN] = { 0 };
		le64_put(mod, initrd);
		le64_put(mod + 8, img->initrd_len);
		mem_write(mem, START_MODULES, mod, sizeof(mod));
		le32_put(info + 12, 1);
		le64_put(info + 16, START_MODULES);
	}
	le64_put(info + 24, BOOT_CMDLINE);
	le64_put(info + 32, BOOT_ACPI_RSDP);
	struct boot_range map[BOOT_MAP_MAX];
	unsigned n = boot_map_build(mem, map);
	le64_put(info + 40, START_MAP);
	le32_put(info + 48, n);
	for (unsigned i = 0; i < n; i++) {
		uint8_t e[MAP_ENTRY_LEN] = { 0 };
		le64_put(e, map[i].base);
		le64_put(e + 8, map[i].len);
		le32_put(e + 16, map[i].type);
		mem_write(mem, START_MAP + i * MAP_ENTRY_LEN, e, sizeof(e));
	}
	mem_write(mem, BOOT_INFO, info, sizeof(info));
	boot_state_flat32(mem, bsp, entry);
	bsp->gpr[CPU_RBX] = BOOT_INFO;
	return RV_OK;
}
