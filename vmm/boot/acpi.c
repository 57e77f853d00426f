/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables of board `pc` (ACPI 6.4, chapter 5). There is no SMI command
 * port: the machine is in ACPI mode from power-on.
 */
#include <string.h>

#include "aml.h"
#include "boot/boot.h"
#include "dev/chips.h"
#include "dev/pci.h"
#include "loader.h"

#define ACPI_END 0x100000ull
#define ACPI_OEM_ID "RETROV"
#define ACPI_TABLE_ID "RVPC    "
#define ACPI_CREATOR "RV  "
#define ACPI_HEADER 36u
#define ACPI_CHECKSUM_AT 9u
#define RSDP_LEN 36u

#define GAS_MEMORY 0u
#define GAS_IO 1u

#define MADT_PCAT_COMPAT 1u /* there are 8259s too */
#define MPS_EDGE_HIGH 0x05u
#define MPS_LEVEL_LOW 0x0fu
#define MPS_CONFORMS 0u

#define FADT_WBINVD (1u << 0)
#define FADT_PROC_C1 (1u << 2)
#define FADT_NO_PWR_BUTTON (1u << 4)
#define FADT_NO_SLP_BUTTON (1u << 5)
#define FADT_FIX_RTC (1u << 6)
#define FADT_RESET_REG (1u << 10)
#define BOOT_ARCH_LEGACY (1u << 0)
#define BOOT_ARCH_NO_VGA (1u << 2)
#define BOOT_ARCH_NO_ASPM (1u << 4)
#define ACPI_RESET_VALUE 6u
#define RTC_CENTURY 0x32u /* CMOS index of the century, in BCD */
#define LATENCY_NO_C_STATE 0xfffu

static uint8_t acpi_checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}

static void acpi_header(struct bytes *t, const char *signature, uint8_t revision)
{
	bytes_put(t, signature, 4);
	bytes_put_u32(t, 0); /* length and checksum: acpi_table_place() */
	bytes_put_u8(t, revision);
	bytes_put_u8(t, 0);
	bytes_put(t, ACPI_OEM_ID, 6);
	bytes_put(t, ACPI_TABLE_ID, 8);
	bytes_put_u32(t, 1);
	bytes_put(t, ACPI_CREATOR, 4);
	bytes_put_u32(t, 1);
}

static void acpi_gas(struct bytes *t, uint8_t space, uint8_t bits, uint8_t access, uint64_t addr)
{
	bytes_put_u8(t, space);
	bytes_put_u8(t, bits);
	bytes_put_u8(t, 0);
	bytes_put_u8(t, access);
	bytes_put_u64(t, addr);
}

static void acpi_zeros(struct bytes *t, size_t n)
{
	while (n-- > 0)
		bytes_put_u8(t, 0);
}

/* Where the next table goes; `failed` sticks. */
struct acpi_area {
	struct guest_mem *mem;
	uint64_t next;
	bool failed;
};

/* Completes the table and writes it, at a multiple of 64. Returns its address. Frees *t. */
static uint64_t acpi_table_place(struct acpi_area *a, struct bytes *t)
{
	uint64_t at = (a->next + 63) & ~63ull;
	if (t->failed || t->len < ACPI_HEADER || at + t->len > ACPI_END) {
		a->failed = true;
	} else {
		le32_put(t->data + 4, (uint32_t)t->len);
		if (memcmp(t->data, "FACS", 4) != 0)
			t->data[ACPI_CHECKSUM_AT] = acpi_checksum(t->data, t->len);
		mem_write(a->mem, at, t->data, t->len);
		a->next = at + t->len;
	}
	bytes_fini(t);
	return at;
}

static void dsdt_device(struct bytes *scope, const char *name, const char *hid, uint16_t port,
			uint8_t ports, unsigned irq)
{
	struct bytes dev = { 0 }, res = { 0 };
	aml_name(&dev, "_HID");
	aml_eisaid(&dev, hid);
	aml_name(&dev, "_UID");
	aml_integer(&dev, 0);
	aml_resource_io(&res, port, ports);
	aml_resource_irq(&res, irq);
	aml_name(&dev, "_CRS");
	aml_resources(&dev, &res);
	aml_device(scope, name, &dev);
	bytes_fini(&res);
	bytes_fini(&dev);
}

/* The PCI host bridge: what it forwards. No interrupt routing: its devices signal by MSI-X alone. */
static void dsdt_pci(struct bytes *scope)
{
	struct bytes dev = { 0 }, res = { 0 };
	aml_name(&dev, "_HID");
	aml_eisaid(&dev, "PNP0A03");
	aml_name(&dev, "_UID");
	aml_integer(&dev, 0);
	aml_name(&dev, "_BBN");
	aml_integer(&dev, 0);
	aml_resource_window(&res, AML_BUS, 0, 0);
	aml_resource_io(&res, PCI_CONFIG_ADDRESS, 8);
	aml_resource_window(&res, AML_IO, 0, PCI_CONFIG_ADDRESS - 1);
	aml_resource_window(&res, AML_IO, PCI_CONFIG_ADDRESS + 8, 0xffff);
	aml_resource_window(&res, AML_MEMORY, (uint32_t)PCI_WINDOW_BASE,
			    (uint32_t)(PCI_WINDOW_BASE + PCI_WINDOW_SIZE - 1));
	aml_name(&dev, "_CRS");
	aml_resources(&dev, &res);
	aml_device(scope, "PCI0", &dev);
	bytes_fini(&res);
	bytes_fini(&dev);
}

/* The port by which a guest says that it panicked, under the name its driver looks for. */
static void dsdt_pvpanic(struct bytes *scope)
{
	struct bytes dev = { 0 }, res = { 0 };
	aml_name(&dev, "_HID");
	aml_string(&dev, "QEMU0001");
	aml_name(&dev, "_STA");
	aml_integer(&dev, 0x0f);
	aml_resource_io(&res, PVPANIC_PORT, 1);
	aml_name(&dev, "_CRS");
	aml_resources(&dev, &res);
	aml_device(scope, "PEVT", &dev);
	bytes_fini(&res);
	bytes_fini(&dev);
}

static uint64_t acpi_dsdt(struct acpi_area *a)
{
	static const uint32_t s5[] = { ACPI_SLP_TYP_S5, ACPI_SLP_TYP_S5, 0, 0 };
	struct bytes t = { 0 }, sb = { 0 };
	acpi_header(&t, "DSDT", 2);
	aml_name(&t, "_S5_");
	aml_package(&t, s5, RV_ARRAY_LEN(s5));
	dsdt_device(&sb, "COM1", "PNP0501", UART0_PORT, 8, GSI_UART0);
	dsdt_device(&sb, "RTC_", "PNP0B00", 0x70, 2, GSI_RTC);
	dsdt_pvpanic(&sb);
	dsdt_pci(&sb);
	aml_scope(&t, "_SB_", &sb);
	bytes_fini(&sb);
	return acpi_table_place(a, &t);
}

/* The firmware control structure: its only use here is that systems expect one (5.2.10). */
static uint64_t acpi_facs(struct acpi_area *a)
{
	struct bytes t = { 0 };
	bytes_put(&t, "FACS", 4);
	acpi_zeros(&t, 28);
	bytes_put_u8(&t, 2); /* version */
	acpi_zeros(&t, 31);
	return acpi_table_place(a, &t);
}

/* Table 5.9, in its order. */
static uint64_t acpi_fadt(struct acpi_area *a, uint64_t facs, uint64_t dsdt)
{
	struct bytes t = { 0 };
	acpi_header(&t, "FACP", 6);
	bytes_put_u32(&t, (uint32_t)facs);
	bytes_put_u32(&t, (uint32_t)dsdt);
	bytes_put_u8(&t, 0);
	bytes_put_u8(&t, 0); /* profile: unspecified */
	bytes_put_u16(&t, GSI_SCI);
	bytes_put_u32(&t, 0); /* SMI_CMD and its four values */
	acpi_zeros(&t, 4);
	bytes_put_u32(&t, ACPI_PM1A_EVT);
	bytes_put_u32(&t, 0);
	bytes_put_u32(&t, ACPI_PM1A_CNT);
	bytes_put_u32(&t, 0);
	bytes_put_u32(&t, 0);
	bytes_put_u32(&t, ACPI_PM_TMR);
	bytes_put_u32(&t, 0); /* GPE0, GPE1 */
	bytes_put_u32(&t, 0);
	bytes_put_u8(&t, 4); /* lengths: event, control, PM2, timer, GPE0, GPE1; GPE1 base; _CST */
	bytes_put_u8(&t, 2);
	bytes_put_u8(&t, 0);
	bytes_put_u8(&t, 4);
	acpi_zeros(&t, 4);
	bytes_put_u16(&t, LATENCY_NO_C_STATE);
	bytes_put_u16(&t, LATENCY_NO_C_STATE);
	acpi_zeros(&t, 4); /* flush size and stride */
	acpi_zeros(&t, 4); /* duty cycle, day and month alarm */
	bytes_put_u8(&t, RTC_CENTURY);
	bytes_put_u16(&t, BOOT_ARCH_LEGACY | BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_ASPM);
	bytes_put_u8(&t, 0);
	bytes_put_u32(&t, FADT_WBINVD | FADT_PROC_C1 | FADT_NO_PWR_BUTTON | FADT_NO_SLP_BUTTON |
				  FADT_FIX_RTC | FADT_RESET_REG);
	acpi_gas(&t, GAS_IO, 8, 1, ACPI_RESET_PORT);
	bytes_put_u8(&t, ACPI_RESET_VALUE);
	acpi_zeros(&t, 2);
	bytes_put_u8(&t, 4); /* minor version: 6.4 */
	bytes_put_u64(&t, 0); /* X_FIRMWARE_CTRL: the 32-bit field is used */
	bytes_put_u64(&t, dsdt);
	acpi_gas(&t, GAS_IO, 32, 2, ACPI_PM1A_EVT);
	acpi_gas(&t, 0, 0, 0, 0);
	acpi_gas(&t, GAS_IO, 16, 2, ACPI_PM1A_CNT);
	acpi_gas(&t, 0, 0, 0, 0);
	acpi_gas(&t, 0, 0, 0, 0);
	acpi_gas(&t, GAS_IO, 32, 3, ACPI_PM_TMR);
	for (unsigned i = 0; i < 4; i++) /* GPE0, GPE1, sleep control and status */
		acpi_gas(&t, 0, 0, 0, 0);
	bytes_put(&t, "RETROVSR", 8);
	return acpi_table_place(a, &t);
}

static void madt_override(struct bytes *t, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	bytes_put_u8(t, 2);
	bytes_put_u8(t, 10);
	bytes_put_u8(t, 0); /* ISA */
	bytes_put_u8(t, irq);
	bytes_put_u32(t, gsi);
	bytes_put_u16(t, flags);
}

static uint64_t acpi_madt(struct acpi_area *a, unsigned ncpus)
{
	struct bytes t = { 0 };
	acpi_header(&t, "APIC", 4);
	bytes_put_u32(&t, (uint32_t)LAPIC_BASE);
	bytes_put_u32(&t, MADT_PCAT_COMPAT);
	for (unsigned i = 0; i < ncpus; i++) {
		bytes_put_u8(&t, 0);
		bytes_put_u8(&t, 8);
		bytes_put_u8(&t, (uint8_t)i);
		bytes_put_u8(&t, (uint8_t)i);
		bytes_put_u32(&t, 1); /* enabled */
	}
	bytes_put_u8(&t, 1);
	bytes_put_u8(&t, 12);
	bytes_put_u8(&t, IOAPIC_ID);
	bytes_put_u8(&t, 0);
	bytes_put_u32(&t, (uint32_t)IOAPIC_BASE);
	bytes_put_u32(&t, 0);
	madt_override(&t, GSI_PIT, 2, MPS_CONFORMS);
	madt_override(&t, GSI_SCI, GSI_SCI, MPS_LEVEL_LOW);
	bytes_put_u8(&t, 4); /* NMI on LINT1 of every processor */
	bytes_put_u8(&t, 6);
	bytes_put_u8(&t, 0xff);
	bytes_put_u16(&t, MPS_EDGE_HIGH);
	bytes_put_u8(&t, 1);
	return acpi_table_place(a, &t);
}

static uint64_t acpi_hpet(struct acpi_area *a)
{
	struct bytes t = { 0 };
	acpi_header(&t, "HPET", 1);
	/* Revision 1, three comparators of 64 bits, legacy replacement, vendor 8086h. */
	bytes_put_u32(&t, 0x8086a201);
	acpi_gas(&t, GAS_MEMORY, 64, 0, HPET_BASE);
	bytes_put_u8(&t, 0);
	bytes_put_u16(&t, 0x80); /* minimum tick of a periodic timer */
	bytes_put_u8(&t, 0);
	return acpi_table_place(a, &t);
}

int boot_acpi_build(struct guest_mem *mem, unsigned ncpus)
{
	if (ncpus == 0 || ncpus > CPU_MAX || mem_low_size(mem) < ACPI_END)
		return RV_EINVAL;
	struct acpi_area a = { .mem = mem, .next = BOOT_ACPI_RSDP + RSDP_LEN };
	uint64_t tables[3];
	uint64_t dsdt = acpi_dsdt(&a);
	tables[0] = acpi_fadt(&a, acpi_facs(&a), dsdt);
	tables[1] = acpi_madt(&a, ncpus);
	tables[2] = acpi_hpet(&a);
	struct bytes t = { 0 };
	acpi_header(&t, "XSDT", 1);
	for (unsigned i = 0; i < RV_ARRAY_LEN(tables); i++)
		bytes_put_u64(&t, tables[i]);
	uint64_t xsdt = acpi_table_place(&a, &t);
	if (a.failed)
		return RV_EINVAL;

	uint8_t rsdp[RSDP_LEN] = { 0 };
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, ACPI_OEM_ID, 6);
	rsdp[15] = 2;
	le32_put(rsdp + 20, RSDP_LEN);
	le64_put(rsdp + 24, xsdt);
	rsdp[8] = acpi_checksum(rsdp, 20); /* the first 20 bytes, as in ACPI 1.0 */
	rsdp[32] = acpi_checksum(rsdp, RSDP_LEN);
	mem_write(mem, BOOT_ACPI_RSDP, rsdp, sizeof(rsdp));
	return RV_OK;
}
