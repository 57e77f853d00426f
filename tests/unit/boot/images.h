/* SPDX-License-Identifier: Apache-2.0 */
/* Small well-formed kernels of each kind, to be loaded as they are or damaged first. */
#ifndef TEST_BOOT_IMAGES_H
#define TEST_BOOT_IMAGES_H

#include <elf.h>
#include <string.h>

#include "base/bytes.h"
#include "boot/boot.h"

#define IMAGE_MAX 16384u

/* One setup sector, 4 KiB of kernel filled with A5h. */
static inline size_t image_bzimage(uint8_t *p)
{
	memset(p, 0, IMAGE_MAX);
	p[0x1f1] = 1;
	le32_put(p + 0x1f4, 4096 / 16);
	le16_put(p + 0x1fe, 0xaa55);
	p[0x200] = 0xeb;
	p[0x201] = 0x66;
	memcpy(p + 0x202, "HdrS", 4);
	le16_put(p + 0x206, 0x020f);
	p[0x211] = 1;
	le32_put(p + 0x22c, 0x7fffffff);
	le32_put(p + 0x230, 0x200000);
	p[0x234] = 1;
	le16_put(p + 0x236, 1);
	le32_put(p + 0x238, 2047);
	le64_put(p + 0x258, 0x1000000);
	le32_put(p + 0x260, 0x100000);
	memset(p + 1024, 0xa5, 4096);
	return 1024 + 4096;
}

/* ELF64 with one PT_LOAD (16 MiB, 4 KiB of file, 8 KiB of memory) and a PVH note. */
static inline size_t image_pvh(uint8_t *p)
{
	memset(p, 0, IMAGE_MAX);
	Elf64_Ehdr eh = {.e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_version = 1,
			 .e_entry = 0xffffffff81000000,
			 .e_phoff = 64,
			 .e_ehsize = 64,
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 2};
	memcpy(eh.e_ident, ELFMAG, 4);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	Elf64_Phdr ph[2] = {
	    {.p_type = PT_LOAD,
	     .p_offset = 4096,
	     .p_vaddr = 0xffffffff81000000,
	     .p_paddr = 0x1000000,
	     .p_filesz = 4096,
	     .p_memsz = 8192},
	    {.p_type = PT_NOTE, .p_offset = 512, .p_filesz = 40, .p_memsz = 40},
	};
	memcpy(p, &eh, sizeof(eh));
	memcpy(p + 64, ph, sizeof(ph));
	/* Another note of 20 bytes goes first. */
	le32_put(p + 512, 4);
	le32_put(p + 516, 2);
	le32_put(p + 520, 5);
	memcpy(p + 524, "GNU", 4);
	le32_put(p + 532, 4);
	le32_put(p + 536, 4);
	le32_put(p + 540, 18);
	memcpy(p + 544, "Xen", 4);
	le32_put(p + 548, 0x1000100);
	memset(p + 4096, 0x5a, 4096);
	return 8192;
}

/* ELF32 at 1 MiB with its header at the start of the segment. */
static inline size_t image_multiboot(uint8_t *p)
{
	memset(p, 0, IMAGE_MAX);
	Elf32_Ehdr eh = {.e_type = ET_EXEC,
			 .e_machine = EM_386,
			 .e_version = 1,
			 .e_entry = 0x100010,
			 .e_phoff = 52,
			 .e_ehsize = 52,
			 .e_phentsize = sizeof(Elf32_Phdr),
			 .e_phnum = 1};
	memcpy(eh.e_ident, ELFMAG, 4);
	eh.e_ident[EI_CLASS] = ELFCLASS32;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	Elf32_Phdr ph = {.p_type = PT_LOAD,
			 .p_offset = 4096,
			 .p_vaddr = 0x100000,
			 .p_paddr = 0x100000,
			 .p_filesz = 4096,
			 .p_memsz = 65536};
	memcpy(p, &eh, sizeof(eh));
	memcpy(p + 52, &ph, sizeof(ph));
	memset(p + 4096, 0x90, 4096);
	le32_put(p + 4096, 0x1badb002);
	le32_put(p + 4100, 3);
	le32_put(p + 4104, 0u - (0x1badb002 + 3));
	return 8192;
}

/* The same without ELF: load addresses in the header, which stands at offset 0. */
static inline size_t image_flat(uint8_t *p)
{
	memset(p, 0x90, IMAGE_MAX);
	uint32_t flags = 1u << 16;
	le32_put(p, 0x1badb002);
	le32_put(p + 4, flags);
	le32_put(p + 8, 0u - (0x1badb002 + flags));
	le32_put(p + 12, 0x200000);
	le32_put(p + 16, 0x200000);
	le32_put(p + 20, 0x201000);
	le32_put(p + 24, 0x203000);
	le32_put(p + 28, 0x200020);
	return 4096;
}

#endif
