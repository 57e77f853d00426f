/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

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

int board_init(struct board *b, unsigned ncpus, struct output *output)
{
	int rc;
	struct bus *bus = b->bus;
	struct vclock *clock = b->clock;

	/* Interrupt controllers first: everything else is wired to them. */
	if ((rc = lapic_create(&b->lapic, board_slot(b), bus, clock, ncpus)) != RV_OK)
		return rc;
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
			      board_line(b, GSI_UART0), output, 0)) != RV_OK)
		return rc;
	return debug_exit_create(board_slot(b), bus);
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
	for (unsigned i = 0; i < b->ndev; i++)
		state_save(b->dev[i].ops->desc, b->dev[i].self, out);
}

int board_load(struct board *b, unsigned ncpus, struct bytes_in *in)
{
	int rc = vclock_load(b->clock, in);
	for (unsigned i = 0; rc == RV_OK && i < ncpus; i++)
		rc = state_load(&board_pin_desc, bus_pins(b->bus, i), in);
	for (unsigned i = 0; rc == RV_OK && i < b->ndev; i++)
		rc = state_load(b->dev[i].ops->desc, b->dev[i].self, in);
	return rc;
}
