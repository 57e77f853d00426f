/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include <string.h>

/* Global system interrupt n: PIC input n and IOAPIC input n, but IRQ 0 is IOAPIC input 2, as the MADT's
 * interrupt source override says (PIC input 2 is the cascade). */
static void board_gsi_set(void *ctx, unsigned gsi, bool level)
{
	struct board *b = ctx;
	if (gsi < 16 && gsi != 2)
		pic_set(b->pic, gsi, level);
	ioapic_set(b->ioapic, gsi == GSI_PIT ? 2 : gsi, level);
}

static void board_extint(void *ctx, bool level)
{
	lapic_set_extint(ctx, level);
}

static struct irq_line board_line(struct board *b, unsigned gsi)
{
	return (struct irq_line){ .set = board_gsi_set, .ctx = b, .n = gsi };
}

/* The next free slot for a chip. */
static struct device *board_slot(struct board *b)
{
	return &b->dev[b->ndev++];
}

/* PCI slots: behind the host bridge (0) the disks, then the networks, then what there is one of. */
#define SLOT_DISK 1u
#define SLOT_NET 8u
#define SLOT_RNG 16u
#define SLOT_CONSOLE 17u

uint64_t board_aux_pages(const struct machine_devices *devices)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < devices->ndisks; i++)
		n += virtio_blk_index_pages(devices->disk[i].sectors);
	return n;
}

static struct virtio_wiring board_pci_slot(struct board *b, unsigned slot)
{
	return (struct virtio_wiring){ .bus = b->bus, .mem = b->mem, .clock = b->clock, .host = b->pci,
				       .slot = slot };
}

static int board_init_disks(struct board *b, const struct machine_devices *devices)
{
	uint64_t index = mem_ram_pages(b->mem);
	for (unsigned i = 0; i < devices->ndisks; i++) {
		const struct machine_disk *d = &devices->disk[i];
		const struct virtio_wiring w = board_pci_slot(b, SLOT_DISK + i);
		const struct virtio_blk_cfg cfg = {
			.port = d->port,
			.sectors = d->sectors,
			.readonly = d->readonly,
			.commit = d->commit,
			.serial = { 'r', 'v', 'd', 'i', 's', 'k', (char)('0' + i) },
			.index = index,
			.by_clock = devices->disks_by_clock,
			.chaos = devices->chaos,
			.instance = i,
		};
		int rc = virtio_blk_create(&b->disk[i], board_slot(b), &w, &cfg);
		if (rc != RV_OK)
			return rc;
		b->ndisks++;
		index += virtio_blk_index_pages(d->sectors);
	}
	return RV_OK;
}

static int board_init_virtio(struct board *b, const struct machine_devices *devices,
			     struct output *output)
{
	struct virtio_wiring w;
	int rc = board_init_disks(b, devices);
	if (rc != RV_OK)
		return rc;
	for (unsigned i = 0; i < devices->nnets; i++) {
		struct virtio_net_cfg cfg = { .mtu = devices->net[i].mtu, .output = output,
					      .instance = i };
		memcpy(cfg.mac, devices->net[i].mac, sizeof(cfg.mac));
		w = board_pci_slot(b, SLOT_NET + i);
		if ((rc = virtio_net_create(&b->net[i], board_slot(b), &w, &cfg)) != RV_OK)
			return rc;
		b->nnets++;
	}
	w = board_pci_slot(b, SLOT_RNG);
	if ((rc = virtio_rng_create(board_slot(b), &w, devices->seed)) != RV_OK)
		return rc;
	w = board_pci_slot(b, SLOT_CONSOLE);
	return devices->console ? virtio_console_create(&b->console, board_slot(b), &w, output,
							CONSOLE_VIRTIO) :
				  RV_OK;
}

int board_init(struct board *b, unsigned ncpus, const struct machine_devices *devices,
	       struct output *output)
{
	int rc;
	struct bus *bus = b->bus;
	struct vclock *clock = b->clock;

	/* Interrupt controllers first: everything else is wired to them. */
	if ((rc = lapic_create(&b->lapic, board_slot(b), bus, clock, ncpus)) != RV_OK)
		return rc;
	lapic_chaos(b->lapic, devices->chaos);
	if ((rc = ioapic_create(&b->ioapic, board_slot(b), bus, b->lapic)) != RV_OK)
		return rc;
	if ((rc = pic_create(&b->pic, board_slot(b), bus, board_extint, b->lapic)) != RV_OK)
		return rc;
	lapic_connect_pic(b->lapic, pic_inta, b->pic);
	lapic_connect_ioapic(b->lapic, ioapic_eoi, b->ioapic);

	/* Time. */
	if ((rc = pit_create(board_slot(b), bus, clock, board_line(b, GSI_PIT))) != RV_OK)
		return rc;
	if ((rc = rtc_create(board_slot(b), bus, clock, board_line(b, GSI_RTC),
			     mem_low_size(b->mem), mem_high_size(b->mem))) != RV_OK)
		return rc;
	if ((rc = acpi_pm_create(board_slot(b), bus, clock, board_line(b, GSI_SCI))) != RV_OK)
		return rc;
	if ((rc = hpet_create(board_slot(b), bus, clock, board_gsi_set, b)) != RV_OK)
		return rc;

	/* Input and output. */
	if ((rc = uart_create(&b->uart, board_slot(b), bus, clock, UART0_PORT,
			      board_line(b, GSI_UART0), output, CONSOLE_SERIAL)) != RV_OK)
		return rc;
	if ((rc = debug_exit_create(board_slot(b), bus)) != RV_OK ||
	    (rc = pvpanic_create(board_slot(b), bus)) != RV_OK)
		return rc;
	if ((rc = pci_host_create(&b->pci, board_slot(b), bus, b->lapic)) != RV_OK)
		return rc;
	return board_init_virtio(b, devices, output);
}

void board_fini(struct board *b)
{
	while (b->ndev) {
		struct device *d = &b->dev[--b->ndev];
		if (d->ops)
			d->ops->destroy(d->self);
	}
}

void board_reset(struct board *b, unsigned ncpus)
{
	for (unsigned i = 0; i < ncpus; i++)
		*bus_pins(b->bus, i) = (struct vcpu_pins){ .intr = false };
	for (unsigned i = 0; i < b->ndev; i++)
		b->dev[i].ops->reset(b->dev[i].self);
}

int board_console(struct board *b, unsigned instance, const uint8_t *data, uint32_t len)
{
	if (instance == CONSOLE_SERIAL)
		uart_input(b->uart, data, len);
	else if (instance == CONSOLE_VIRTIO && b->console)
		virtio_console_input(b->console, data, len);
	else
		return RV_EINVAL;
	return RV_OK;
}

void board_query(const struct board *b, struct nd_query *q)
{
	q->room[CONSOLE_SERIAL] = uart_room(b->uart);
	q->room[CONSOLE_VIRTIO] = b->console ? virtio_console_room(b->console) : 0;
	q->net_ready = 0;
	for (unsigned i = 0; i < b->nnets; i++)
		if (virtio_net_ready(b->net[i]))
			q->net_ready |= 1u << i;
}

/* Pins hold what was latched (NMI, INIT, SIPI) beside the level the local APIC drives. */
static const struct state_field board_pin_fields[] = {
	STATE_BOOL(struct vcpu_pins, intr),
	STATE_BOOL(struct vcpu_pins, nmi),
	STATE_BOOL(struct vcpu_pins, init),
	STATE_BOOL(struct vcpu_pins, sipi),
	STATE_FIELD(struct vcpu_pins, sipi_vector),
};
static const struct state_desc board_pin_desc = {
	.name = "pins",
	.version = 1,
	.fields = board_pin_fields,
	.nfields = RV_ARRAY_LEN(board_pin_fields),
};

void board_save(const struct board *b, unsigned ncpus, struct bytes *out)
{
	vclock_save(b->clock, out);
	for (unsigned i = 0; i < ncpus; i++)
		state_save(&board_pin_desc, bus_pins(b->bus, i), out);
	for (unsigned i = 0; i < b->ndev; i++) {
		const struct device *d = &b->dev[i];
		state_save(d->ops->desc, d->self, out);
		if (d->ops->save)
			d->ops->save(d->self, out);
	}
}

int board_load(struct board *b, unsigned ncpus, struct bytes_in *in)
{
	int rc = vclock_load(b->clock, in);
	for (unsigned i = 0; rc == RV_OK && i < ncpus; i++)
		rc = state_load(&board_pin_desc, bus_pins(b->bus, i), in);
	for (unsigned i = 0; rc == RV_OK && i < b->ndev; i++) {
		const struct device *d = &b->dev[i];
		rc = state_load(d->ops->desc, d->self, in);
		if (rc == RV_OK && d->ops->load)
			rc = d->ops->load(d->self, in);
	}
	return rc;
}
