/* SPDX-License-Identifier: Apache-2.0 */
/* The host bridge, configuration space, BARs and MSI-X, with a function that writes down what reaches it. */
#include "tests/unit/dev/harness.h"

#include "dev/pci.h"

#define SLOT 5u
#define BAR_SIZE 0x4000u
#define VECTORS 4u
#define CAP_MSIX 0x11u

struct world {
	struct bus *bus;
	struct vclock *clock;
	struct lapic *lapic;
	struct pci_host *host;
	struct device lapic_dev, dev;
	struct pci_function *f;
	uint64_t off, value; /* of the last access */
	unsigned size, writes;
};

static uint64_t seen_read(void *ctx, unsigned vcpu, unsigned bar, uint64_t off, unsigned size)
{
	struct world *w = ctx;
	(void)vcpu;
	assert_int_equal(bar, 0);
	assert_true(off + size <= BAR_SIZE);
	w->off = off;
	w->size = size;
	return 0x1122334455667788ull;
}

static void seen_write(void *ctx, unsigned vcpu, unsigned bar, uint64_t off, unsigned size, uint64_t value)
{
	struct world *w = ctx;
	(void)vcpu;
	assert_int_equal(bar, 0);
	assert_true(off + size <= BAR_SIZE);
	w->off = off;
	w->size = size;
	w->value = value;
	w->writes++;
}

static const struct pci_function_ops seen_ops = { .read = seen_read, .write = seen_write };

static void init(struct world *w)
{
	static const struct pci_id id = { .vendor = 0x1af4, .device = 0x1042, .revision = 1, .class_code = 0x010000 };
	static const uint8_t cap[10] = { 12, 1, 2, 3 };
	memset(w, 0, sizeof(*w));
	assert_int_equal(bus_create(&w->bus), 0);
	assert_int_equal(vclock_create(&w->clock, VCLOCK_RATE_ONE, DATE_2024), 0);
	assert_int_equal(lapic_create(&w->lapic, &w->lapic_dev, w->bus, w->clock, 1), 0);
	assert_int_equal(pci_host_create(&w->host, &w->dev, w->bus, w->lapic), 0);
	assert_int_equal(pci_function_add(&w->f, w->host, SLOT, &id, BAR_SIZE, VECTORS, &seen_ops, w), 0);
	assert_int_equal(pci_function_capability(w->f, cap, 12), 0x4c);
}

static void fini(struct world *w)
{
	w->dev.ops->destroy(w->dev.self);
	w->lapic_dev.ops->destroy(w->lapic_dev.self);
	vclock_destroy(w->clock);
	bus_destroy(w->bus);
}

static void point(struct world *w, unsigned slot, unsigned reg)
{
	bus_pio_write(w->bus, 0, PCI_CONFIG_ADDRESS, 4, 0x80000000u | slot << 11 | (reg & 0xfc));
}

static uint32_t get(struct world *w, unsigned reg, unsigned size)
{
	point(w, SLOT, reg);
	return (uint32_t)bus_pio_read(w->bus, 0, (uint16_t)(PCI_CONFIG_DATA + (reg & 3)), size);
}

static void put(struct world *w, unsigned reg, unsigned size, uint32_t value)
{
	point(w, SLOT, reg);
	bus_pio_write(w->bus, 0, (uint16_t)(PCI_CONFIG_DATA + (reg & 3)), size, value);
}

static gpa_t bar(struct world *w, unsigned n)
{
	return get(w, 0x10 + 4 * n, 4) & ~15u;
}

static void test_enumeration(void **state)
{
	struct world w;
	unsigned found = 0;
	(void)state;
	init(&w);
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		uint32_t id;
		point(&w, slot, 0);
		id = (uint32_t)bus_pio_read(w.bus, 0, PCI_CONFIG_DATA, 4);
		assert_true(slot == 0 || slot == SLOT ? id != UINT32_MAX : id == UINT32_MAX);
		found += id != UINT32_MAX;
	}
	assert_int_equal(found, 2);
	assert_int_equal(get(&w, 0, 2), 0x1af4);
	assert_int_equal(get(&w, 2, 2), 0x1042);
	assert_int_equal(get(&w, 0x0b, 1), 1);
	assert_int_equal(get(&w, 0x3d, 1), 0); /* no interrupt pin */
	put(&w, 0, 4, 0);
	assert_int_equal(get(&w, 0, 4), 0x10421af4);
	/* Other functions and buses are empty; without the enable bit nobody answers. */
	bus_pio_write(w.bus, 0, PCI_CONFIG_ADDRESS, 4, 0x80000100u | SLOT << 11);
	assert_int_equal(bus_pio_read(w.bus, 0, PCI_CONFIG_DATA, 4), UINT32_MAX);
	bus_pio_write(w.bus, 0, PCI_CONFIG_ADDRESS, 4, 0x80010000u | SLOT << 11);
	assert_int_equal(bus_pio_read(w.bus, 0, PCI_CONFIG_DATA, 4), UINT32_MAX);
	bus_pio_write(w.bus, 0, PCI_CONFIG_ADDRESS, 4, SLOT << 11);
	assert_int_equal(bus_pio_read(w.bus, 0, PCI_CONFIG_DATA, 4), UINT32_MAX);
	/* The list of capabilities: MSI-X, then the vendor's, then no more. */
	assert_true(get(&w, 6, 2) & 0x10);
	assert_int_equal(get(&w, get(&w, 0x34, 1), 1), CAP_MSIX);
	assert_int_equal(get(&w, 0x4c, 4), 0x010c0009);
	fini(&w);
}

static void test_bars(void **state)
{
	struct world w;
	gpa_t at, moved;
	(void)state;
	init(&w);
	at = bar(&w, 0);
	assert_true(at >= PCI_WINDOW_BASE && at + BAR_SIZE <= PCI_WINDOW_BASE + PCI_WINDOW_SIZE);
	put(&w, 0x10, 4, UINT32_MAX);
	assert_int_equal(get(&w, 0x10, 4), ~(BAR_SIZE - 1));
	put(&w, 0x10, 4, (uint32_t)at);
	put(&w, 0x18, 4, UINT32_MAX);
	assert_int_equal(get(&w, 0x18, 4), 0); /* there is no third one */
	bus_mmio_write(w.bus, 0, at + 0x104, 4, 0xabcd);
	assert_int_equal(w.off, 0x104);
	assert_int_equal(w.value, 0xabcd);
	assert_int_equal(bus_mmio_read(w.bus, 0, at + BAR_SIZE - 8, 8), 0x1122334455667788ull);
	/* Moved, and off. */
	moved = PCI_WINDOW_BASE + PCI_WINDOW_SIZE - BAR_SIZE;
	put(&w, 0x10, 4, (uint32_t)moved);
	w.writes = 0;
	bus_mmio_write(w.bus, 0, at + 0x104, 4, 1);
	assert_int_equal(w.writes, 0);
	bus_mmio_write(w.bus, 0, moved + 8, 2, 7);
	assert_int_equal(w.writes, 1);
	put(&w, 4, 2, 0);
	assert_int_equal(bus_mmio_read(w.bus, 0, moved, 4), UINT32_MAX);
	put(&w, 4, 2, 2);
	/* Out of the window it answers nowhere, and over another BAR the first wins. */
	put(&w, 0x10, 4, 0x1000000);
	assert_int_equal(bus_mmio_read(w.bus, 0, moved, 4), UINT32_MAX);
	put(&w, 0x10, 4, (uint32_t)bar(&w, 1));
	w.writes = 0;
	bus_mmio_write(w.bus, 0, bar(&w, 1), 4, 9);
	assert_int_equal(w.writes, 1);
	w.dev.ops->reset(w.dev.self);
	assert_int_equal(bar(&w, 0), at);
	fini(&w);
}

/* Has the local APIC this vector pending? Takes it. */
static int pending(struct world *w)
{
	return bus_pins(w->bus, 0)->intr ? bus_irq_ack(w->bus, 0) : -1;
}

static void eoi(struct world *w)
{
	bus_mmio_write(w->bus, 0, LAPIC_BASE + 0xb0, 4, 0);
}

static void test_msix(void **state)
{
	struct world w;
	unsigned cap;
	gpa_t table;
	(void)state;
	init(&w);
	bus_mmio_write(w.bus, 0, LAPIC_BASE + 0xf0, 4, 0x1ff); /* APIC on */
	cap = get(&w, 0x34, 1);
	table = bar(&w, 1);
	assert_int_equal(get(&w, cap + 2, 2) & 0x7ff, VECTORS - 1);
	for (unsigned i = 0; i < VECTORS; i++) {
		assert_int_equal(bus_mmio_read(w.bus, 0, table + 16 * i + 12, 4), 1); /* masked at first */
		bus_mmio_write(w.bus, 0, table + 16 * i, 8, LAPIC_BASE);
		bus_mmio_write(w.bus, 0, table + 16 * i + 8, 4, 0x40 + i);
	}
	put(&w, 4, 2, 6);
	/* Off: nothing, and nothing later. */
	pci_function_msix(w.f, 0);
	put(&w, cap + 2, 2, 0x8000);
	bus_mmio_write(w.bus, 0, table + 12, 4, 0);
	assert_int_equal(pending(&w), -1);
	/* On. */
	pci_function_msix(w.f, 0);
	assert_int_equal(pending(&w), 0x40);
	eoi(&w);
	/* Masked: pending until it is not. */
	pci_function_msix(w.f, 1);
	assert_int_equal(pending(&w), -1);
	assert_int_equal(bus_mmio_read(w.bus, 0, table + 0x800, 8), 2);
	bus_mmio_write(w.bus, 0, table + 16 + 12, 4, 0);
	assert_int_equal(pending(&w), 0x41);
	assert_int_equal(bus_mmio_read(w.bus, 0, table + 0x800, 8), 0);
	eoi(&w);
	/* The whole function masked. */
	put(&w, cap + 2, 2, 0xc000);
	pci_function_msix(w.f, 0);
	assert_int_equal(pending(&w), -1);
	put(&w, cap + 2, 2, 0x8000);
	assert_int_equal(pending(&w), 0x40);
	eoi(&w);
	/* A vector there is not, an address that is no APIC's, a function that may not master the bus. */
	pci_function_msix(w.f, VECTORS);
	bus_mmio_write(w.bus, 0, table, 8, 0x12345678);
	pci_function_msix(w.f, 0);
	bus_mmio_write(w.bus, 0, table, 8, LAPIC_BASE);
	put(&w, 4, 2, 2);
	pci_function_msix(w.f, 0);
	assert_int_equal(pending(&w), -1);
	/* Writes that are not whole words do nothing. */
	bus_mmio_write(w.bus, 0, table + 8, 1, 0xff);
	assert_int_equal(bus_mmio_read(w.bus, 0, table + 8, 4), 0x40);
	fini(&w);
}

/* CF9h lies in PCI's address register: the reset register, but not through a write of 32 bits. */
static void test_reset_register(void **state)
{
	struct world w;
	uint32_t code;
	(void)state;
	init(&w);
	bus_pio_write(w.bus, 0, 0xcf8, 4, 0xffffffff);
	bus_pio_write(w.bus, 0, 0xcf9, 1, 2);
	assert_false(*bus_attention(w.bus));
	assert_int_equal(bus_pio_read(w.bus, 0, 0xcf9, 1), 2);
	bus_pio_write(w.bus, 0, 0xcf9, 1, 6);
	assert_int_equal(bus_take_request(w.bus, &code), BUS_REQ_RESET);
	fini(&w);
}

static void test_state(void **state)
{
	struct world w;
	struct bytes saved = { 0 }, again = { 0 };
	uint64_t seed = 0x5eed;
	unsigned taken = 0;
	(void)state;
	init(&w);
	put(&w, 4, 2, 6);
	put(&w, 0x10, 4, 0xe5554000u);
	bus_mmio_write(w.bus, 0, bar(&w, 1) + 8, 4, 0x77);
	state_save(w.dev.ops->desc, w.dev.self, &saved);
	w.dev.ops->save(w.dev.self, &saved);
	for (unsigned round = 0; round < 20000; round++) {
		struct bytes_in in;
		uint8_t *copy = malloc(saved.len);
		memcpy(copy, saved.data, saved.len);
		if (round) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			copy[(seed >> 33) % saved.len] ^= (uint8_t)(1u << (seed >> 60 & 7));
		}
		bytes_in_init(&in, copy, round ? saved.len - (seed >> 20) % 2 : saved.len);
		if (state_load(w.dev.ops->desc, w.dev.self, &in) == 0 && w.dev.ops->load(w.dev.self, &in) == 0) {
			taken++;
			if (round == 0) {
				state_save(w.dev.ops->desc, w.dev.self, &again);
				w.dev.ops->save(w.dev.self, &again);
				assert_int_equal(again.len, saved.len);
				assert_memory_equal(again.data, saved.data, saved.len);
			}
			/* Whatever was taken is a function that can be used. */
			(void)bus_mmio_read(w.bus, 0, bar(&w, 0), 4);
			pci_function_msix(w.f, 1);
		} else {
			assert_int_not_equal(round, 0);
		}
		free(copy);
	}
	assert_true(taken > 1 && taken < 20000);
	bytes_fini(&saved);
	bytes_fini(&again);
	fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enumeration), cmocka_unit_test(test_bars),  cmocka_unit_test(test_msix),
		cmocka_unit_test(test_reset_register), cmocka_unit_test(test_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
