/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux bzImage by the 64-bit boot protocol (Documentation/arch/x86/boot.rst
 * and zero-page.rst). Offsets below are into the file's first sector and, the
 * same, into boot_params.
 */
#include "loader.h"

#include <string.h>

#include "base/bytes.h"

#define HDR_ACPI_RSDP 0x070u
#define HDR_E820_ENTRIES 0x1e8u
#define HDR_SETUP_SECTS 0x1f1u
#define HDR_SYSSIZE 0x1f4u
#define HDR_BOOT_FLAG 0x1feu
#define HDR_JUMP_LEN 0x201u
#define HDR_MAGIC 0x202u
#define HDR_VERSION 0x206u
#define HDR_TYPE_OF_LOADER 0x210u
#define HDR_LOADFLAGS 0x211u
#define HDR_CODE32_START 0x214u
#define HDR_RAMDISK_IMAGE 0x218u
#define HDR_RAMDISK_SIZE 0x21cu
#define HDR_CMD_LINE_PTR 0x228u
#define HDR_INITRD_ADDR_MAX 0x22cu
#define HDR_XLOADFLAGS 0x236u
#define HDR_CMDLINE_SIZE 0x238u
#define HDR_PREF_ADDRESS 0x258u
#define HDR_INIT_SIZE 0x260u
#define HDR_MIN_LEN 0x268u /* all fields of protocol 2.12 */
#define HDR_AREA_END 0x290u /* room of the header in boot_params */
#define HDR_E820_TABLE 0x2d0u

#define PROTOCOL_MIN 0x020cu
#define LOADFLAG_LOADED_HIGH 0x01u
#define XLF_KERNEL_64 0x01u
#define ENTRY64_OFFSET 0x200u
#define LOADER_UNDEFINED 0xffu
#define SECTOR 512u

bool bzimage_probe(const struct boot_image *img)
{
	const uint8_t *k = img->kernel;
	return img->kernel_len >= HDR_VERSION + 2 && le16_get(k + HDR_BOOT_FLAG) == 0xaa55 &&
	       memcmp(k + HDR_MAGIC, "HdrS", 4) == 0;
}

/* Can the file be started by the 64-bit protocol? *setup_len: where the kernel proper begins. */
static int bzimage_check(const struct boot_image *img, uint64_t *setup_len, struct rv_err *err)
{
	const uint8_t *k = img->kernel;
	unsigned version = le16_get(k + HDR_VERSION);
	if (version < PROTOCOL_MIN)
		return rv_err_set(err, RV_EINVAL,
				  "%s: boot protocol %u.%02u is too old, at least 2.12 is needed (Linux "
				  "3.8 and later)",
				  img->kernel_name, version >> 8, version & 0xff);
	if (img->kernel_len < HDR_MIN_LEN)
		return rv_err_set(err, RV_EINVAL, "%s: truncated within its setup header",
				  img->kernel_name);
	if (!(k[HDR_LOADFLAGS] & LOADFLAG_LOADED_HIGH) ||
	    !(le16_get(k + HDR_XLOADFLAGS) & XLF_KERNEL_64))
		return rv_err_set(err, RV_EINVAL,
				  "%s: has no 64-bit entry point; use a 64-bit bzImage",
				  img->kernel_name);
	unsigned sects = k[HDR_SETUP_SECTS] ? k[HDR_SETUP_SECTS] : 4;
	*setup_len = (uint64_t)(sects + 1) * SECTOR;
	/* syssize counts 16-byte units, rounded up. */
	uint64_t body = (uint64_t)le32_get(k + HDR_SYSSIZE) * 16;
	if (body < 16 + ENTRY64_OFFSET)
		return rv_err_set(err, RV_EINVAL, "%s: setup header names an empty kernel",
				  img->kernel_name);
	if (img->kernel_len < *setup_len || img->kernel_len - *setup_len < body - 15)
		return rv_err_set(err, RV_EINVAL,
				  "%s: truncated: its header says %llu bytes, the file has %zu",
				  img->kernel_name, (unsigned long long)(*setup_len + body),
				  img->kernel_len);
	return RV_OK;
}

static void bzimage_params_write(struct guest_mem *mem, const struct boot_image *img, uint64_t load,
				 uint64_t initrd)
{
	uint8_t zp[RV_PAGE_SIZE] = { 0 };
	const uint8_t *k = img->kernel;
	/* The header ends where the jump at 0x200 lands. */
	size_t end = HDR_MAGIC + (size_t)k[HDR_JUMP_LEN];
	if (end > HDR_AREA_END)
		end = HDR_AREA_END;
	if (end < HDR_MIN_LEN)
		end = HDR_MIN_LEN;
	if (end > img->kernel_len)
		end = img->kernel_len;
	memcpy(zp + HDR_SETUP_SECTS, k + HDR_SETUP_SECTS, end - HDR_SETUP_SECTS);
	zp[HDR_TYPE_OF_LOADER] = LOADER_UNDEFINED;
	le32_put(zp + HDR_CODE32_START, (uint32_t)load);
	le32_put(zp + HDR_CMD_LINE_PTR, (uint32_t)BOOT_CMDLINE);
	le32_put(zp + HDR_RAMDISK_IMAGE, (uint32_t)initrd);
	le32_put(zp + HDR_RAMDISK_SIZE, initrd ? (uint32_t)img->initrd_len : 0);
	le64_put(zp + HDR_ACPI_RSDP, BOOT_ACPI_RSDP);

	struct boot_range map[BOOT_MAP_MAX];
	unsigned n = boot_map_build(mem, map);
	zp[HDR_E820_ENTRIES] = (uint8_t)n;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *p = zp + HDR_E820_TABLE + i * 20;
		le64_put(p, map[i].base);
		le64_put(p + 8, map[i].len);
		le32_put(p + 16, map[i].type);
	}
	mem_write(mem, BOOT_PARAMS, zp, sizeof(zp));
}

int bzimage_load(struct guest_mem *mem, const struct boot_image *img, struct cpu_state *bsp,
		 struct rv_err *err)
{
	const uint8_t *k = img->kernel;
	uint64_t setup_len = 0;
	int rc = bzimage_check(img, &setup_len, err);
	if (rc)
		return rc;

	uint64_t load = le64_get(k + HDR_PREF_ADDRESS);
	uint64_t body = img->kernel_len - setup_len;
	uint64_t named = (uint64_t)le32_get(k + HDR_SYSSIZE) * 16;
	if (body > named)
		body = named; /* what follows is a signature */
	uint64_t room = le32_get(k + HDR_INIT_SIZE);
	if (room < body)
		room = body;
	if (load < BOOT_KERNEL_MIN || load >= MEM_HOLE_START || load % RV_PAGE_SIZE)
		return rv_err_set(err, RV_EINVAL, "%s: asks to be loaded at %#llx, which is not usable",
				  img->kernel_name, (unsigned long long)load);
	rc = boot_memory_need(mem, img, load + room, err);
	if (rc)
		return rc;

	rc = boot_cmdline_write(mem, img, le32_get(k + HDR_CMDLINE_SIZE), err);
	if (rc)
		return rc;
	uint64_t initrd;
	rc = boot_initrd_place(mem, img, load + room,
			       (uint64_t)le32_get(k + HDR_INITRD_ADDR_MAX) + 1, &initrd, err);
	if (rc)
		return rc;
	mem_write(mem, load, k + setup_len, (size_t)body);
	bzimage_params_write(mem, img, load, initrd);
	boot_state_long(mem, bsp, load + ENTRY64_OFFSET);
	bsp->gpr[CPU_RSI] = BOOT_PARAMS;
	return RV_OK;
}
