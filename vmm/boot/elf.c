/* SPDX-License-Identifier: Apache-2.0 */
/* ELF executables, read field by field: every offset comes from a hostile file. */
#include "loader.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

#define ELF_PHNUM_MAX 128u

bool elf_open(struct elf_image *elf, const void *data, size_t len)
{
	const uint8_t *d = data;
	memset(elf, 0, sizeof(*elf));
	if (len < sizeof(Elf32_Ehdr) || memcmp(d, ELFMAG, SELFMAG) != 0 ||
	    d[EI_DATA] != ELFDATA2LSB)
		return false;
	if (d[EI_CLASS] == ELFCLASS64)
		elf->is64 = true;
	else if (d[EI_CLASS] != ELFCLASS32)
		return false;
	if (elf->is64 && len < sizeof(Elf64_Ehdr))
		return false;
	unsigned type = le16_get(d + offsetof(Elf64_Ehdr, e_type));
	unsigned machine = le16_get(d + offsetof(Elf64_Ehdr, e_machine));
	if ((type != ET_EXEC && type != ET_DYN) || (machine != EM_386 && machine != EM_X86_64))
		return false;
	unsigned phentsize;
	if (elf->is64) {
		elf->entry = le64_get(d + offsetof(Elf64_Ehdr, e_entry));
		elf->phoff = le64_get(d + offsetof(Elf64_Ehdr, e_phoff));
		phentsize = le16_get(d + offsetof(Elf64_Ehdr, e_phentsize));
		elf->phnum = le16_get(d + offsetof(Elf64_Ehdr, e_phnum));
		if (phentsize != sizeof(Elf64_Phdr))
			return false;
	} else {
		elf->entry = le32_get(d + offsetof(Elf32_Ehdr, e_entry));
		elf->phoff = le32_get(d + offsetof(Elf32_Ehdr, e_phoff));
		phentsize = le16_get(d + offsetof(Elf32_Ehdr, e_phentsize));
		elf->phnum = le16_get(d + offsetof(Elf32_Ehdr, e_phnum));
		if (phentsize != sizeof(Elf32_Phdr))
			return false;
	}
	if (elf->phnum == 0 || elf->phnum > ELF_PHNUM_MAX || elf->phoff > len ||
	    (uint64_t)elf->phnum * phentsize > len - elf->phoff)
		return false;
	elf->data = d;
	elf->len = len;
	return true;
}

void elf_segment_get(const struct elf_image *elf, unsigned i, struct elf_segment *out)
{
	if (elf->is64) {
		const uint8_t *p = elf->data + elf->phoff + (uint64_t)i * sizeof(Elf64_Phdr);
		out->type = le32_get(p + offsetof(Elf64_Phdr, p_type));
		out->offset = le64_get(p + offsetof(Elf64_Phdr, p_offset));
		out->vaddr = le64_get(p + offsetof(Elf64_Phdr, p_vaddr));
		out->paddr = le64_get(p + offsetof(Elf64_Phdr, p_paddr));
		out->filesz = le64_get(p + offsetof(Elf64_Phdr, p_filesz));
		out->memsz = le64_get(p + offsetof(Elf64_Phdr, p_memsz));
	} else {
		const uint8_t *p = elf->data + elf->phoff + (uint64_t)i * sizeof(Elf32_Phdr);
		out->type = le32_get(p + offsetof(Elf32_Phdr, p_type));
		out->offset = le32_get(p + offsetof(Elf32_Phdr, p_offset));
		out->vaddr = le32_get(p + offsetof(Elf32_Phdr, p_vaddr));
		out->paddr = le32_get(p + offsetof(Elf32_Phdr, p_paddr));
		out->filesz = le32_get(p + offsetof(Elf32_Phdr, p_filesz));
		out->memsz = le32_get(p + offsetof(Elf32_Phdr, p_memsz));
	}
}

static int elf_segment_check(const struct elf_image *elf, const struct elf_segment *s,
			     const struct guest_mem *mem, const struct boot_image *img,
			     struct rv_err *err)
{
	if (s->offset > elf->len || s->filesz > elf->len - s->offset || s->filesz > s->memsz)
		return rv_err_set(err, RV_EINVAL, "%s: truncated or damaged ELF segment at offset %#" PRIx64,
				  img->kernel_name, s->offset);
	/* Checked in this order, neither sum can wrap. */
	if (s->paddr < BOOT_KERNEL_MIN || s->paddr >= MEM_HOLE_START || s->memsz > MEM_HOLE_START)
		return rv_err_set(err, RV_EINVAL,
				  "%s: ELF segment at %#" PRIx64 " is outside [1 MiB, 3 GiB)",
				  img->kernel_name, s->paddr);
	return boot_memory_need(mem, img, s->paddr + s->memsz, err);
}

int elf_load(const struct elf_image *elf, struct guest_mem *mem, const struct boot_image *img,
	     uint64_t *end, struct rv_err *err)
{
	struct elf_segment s;
	*end = 0;
	for (unsigned i = 0; i < elf->phnum; i++) {
		elf_segment_get(elf, i, &s);
		if (s.type != PT_LOAD || s.memsz == 0)
			continue;
		int rc = elf_segment_check(elf, &s, mem, img, err);
		if (rc)
			return rc;
		if (s.paddr + s.memsz > *end)
			*end = s.paddr + s.memsz;
	}
	if (*end == 0)
		return rv_err_set(err, RV_EINVAL, "%s: ELF file without a loadable segment",
				  img->kernel_name);
	for (unsigned i = 0; i < elf->phnum; i++) {
		elf_segment_get(elf, i, &s);
		if (s.type != PT_LOAD || s.memsz == 0)
			continue;
		mem_write(mem, s.paddr, elf->data + s.offset, (size_t)s.filesz);
		boot_zero(mem, s.paddr + s.filesz, s.memsz - s.filesz);
	}
	return RV_OK;
}

uint64_t elf_entry_paddr(const struct elf_image *elf)
{
	struct elf_segment s;
	for (unsigned i = 0; i < elf->phnum; i++) {
		elf_segment_get(elf, i, &s);
		if (s.type == PT_LOAD && elf->entry >= s.vaddr && elf->entry - s.vaddr < s.memsz)
			return s.paddr + (elf->entry - s.vaddr);
	}
	return elf->entry;
}
