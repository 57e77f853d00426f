/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI tables: reachable from the RSDP, checksummed, within the reserved range, saying what the
 * board is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "boot/boot.h"
#include "dev/chips.h"

#define AREA	 0xe0000u
#define AREA_LEN 0x20000u

static uint8_t area[AREA_LEN];

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;
	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

static const uint8_t *table(uint64_t gpa, const char *signature)
{
	assert_true(gpa >= AREA && gpa <= AREA + AREA_LEN - 36);
	const uint8_t *p = area + (gpa - AREA);
	assert_memory_equal(p, signature, 4);
	uint32_t len = le32_get(p + 4);
	assert_true(len >= 36 && len <= AREA + AREA_LEN - gpa);
	if (strcmp(signature, "FACS") != 0)
		assert_int_equal(sum(p, len), 0);
	return p;
}

static void build(unsigned ncpus)
{
	struct guest_mem *mem;
	assert_int_equal(mem_create(&mem, 1 << 20, 0, NULL), RV_OK);
	assert_int_equal(boot_acpi_build(mem, ncpus), RV_OK);
	mem_read(mem, AREA, area, sizeof(area));
	mem_destroy(mem);
}

static const uint8_t *xsdt_entry(unsigned i, const char *signature)
{
	const uint8_t *rsdp = area + (BOOT_ACPI_RSDP - AREA);
	const uint8_t *xsdt = table(le64_get(rsdp + 24), "XSDT");
	assert_true(36 + 8 * (i + 1) <= le32_get(xsdt + 4));
	return table(le64_get(xsdt + 36 + 8 * i), signature);
}

static void test_structure(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= CPU_MAX; n++) {
		build(n);
		const uint8_t *rsdp = area + (BOOT_ACPI_RSDP - AREA);
		assert_memory_equal(rsdp, "RSD PTR ", 8);
		assert_int_equal(sum(rsdp, 20), 0);
		assert_int_equal(sum(rsdp, 36), 0);
		assert_int_equal(le32_get(rsdp + 20), 36);
		const uint8_t *fadt = xsdt_entry(0, "FACP");
		xsdt_entry(2, "HPET");
		table(le32_get(fadt + 40), "DSDT");
		assert_int_equal(le64_get(fadt + 140), le32_get(fadt + 40));
		table(le32_get(fadt + 36), "FACS");
		assert_int_equal(le32_get(fadt + 36) % 64, 0);

		/* MADT: every structure whole, one enabled local APIC a vCPU. */
		const uint8_t *madt = xsdt_entry(1, "APIC");
		uint32_t len = le32_get(madt + 4), at = 44, apics = 0, overrides = 0, ioapics = 0;
		assert_int_equal(le32_get(madt + 36), LAPIC_BASE);
		while (at < len) {
			uint8_t size = madt[at + 1];
			assert_true(size >= 6 && size <= len - at);
			if (madt[at] == 0) {
				assert_int_equal(madt[at + 3], apics);
				assert_int_equal(le32_get(madt + at + 4), 1);
				apics++;
			} else if (madt[at] == 1) {
				assert_int_equal(le32_get(madt + at + 4), IOAPIC_BASE);
				ioapics++;
			} else if (madt[at] == 2) {
				overrides++;
			}
			at += size;
		}
		assert_int_equal(apics, n);
		assert_int_equal(ioapics, 1);
		assert_int_equal(overrides, 2);
	}
}

static void test_power(void **state)
{
	(void)state;
	build(1);
	const uint8_t *fadt = xsdt_entry(0, "FACP");
	assert_int_equal(le16_get(fadt + 46), GSI_SCI);
	assert_int_equal(le32_get(fadt + 56), ACPI_PM1A_EVT);
	assert_int_equal(le32_get(fadt + 64), ACPI_PM1A_CNT);
	assert_int_equal(le32_get(fadt + 76), ACPI_PM_TMR);
	assert_true(le32_get(fadt + 112) & 1u << 10);
	assert_int_equal(le64_get(fadt + 120), ACPI_RESET_PORT);
	assert_int_equal(fadt[128], 6);
	assert_int_equal(fadt[108], 0x32); /* the RTC's century */
	/* Name (\_S5, Package {5, 5, 0, 0}) as bytes. */
	static const uint8_t s5[] = {0x08, '_', 'S', '5', '_', 0x12, 8, 4, 0x0a, 5, 0x0a, 5, 0, 0};
	const uint8_t *dsdt = table(le32_get(fadt + 40), "DSDT");
	assert_non_null(memmem(dsdt, le32_get(dsdt + 4), s5, sizeof(s5)));
	/* EisaId ("PNP0501"). */
	static const uint8_t com[] = {0x0c, 0x41, 0xd0, 0x05, 0x01};
	assert_non_null(memmem(dsdt, le32_get(dsdt + 4), com, sizeof(com)));
}

static void test_refused(void **state)
{
	(void)state;
	struct guest_mem *mem;
	assert_int_equal(mem_create(&mem, 1 << 20, 0, NULL), RV_OK);
	assert_int_equal(boot_acpi_build(mem, 0), RV_EINVAL);
	assert_int_equal(boot_acpi_build(mem, CPU_MAX + 1), RV_EINVAL);
	mem_destroy(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_structure),
	    cmocka_unit_test(test_power),
	    cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
