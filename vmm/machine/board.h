/* SPDX-License-Identifier: Apache-2.0 */
/* Board `pc`: which chips there are and how they are wired. */
#ifndef RV_MACHINE_BOARD_H
#define RV_MACHINE_BOARD_H

#include "bus/bus.h"
#include "clock/clock.h"
#include "dev/chips.h"
#include "mem/mem.h"

#define BOARD_MAX_DEVICES 16u

struct board {
	struct bus *bus;
	struct vclock *clock;
	struct guest_mem *mem;
	struct lapic *lapic;
	struct ioapic *ioapic;
	struct pic *pic;
	struct uart *uart;
	struct device dev[BOARD_MAX_DEVICES]; /* in wiring order: the order of saved state */
	unsigned ndev;
};

/* bus, clock and mem are filled by the caller, who owns them. Returns 0 or RV_ENOMEM; board_fini()
 * takes a half-wired board as well. */
int board_init(struct board *b, unsigned ncpus, struct output *output);
void board_fini(struct board *b);
/* Power-on state of every chip, in wiring order, and of the vCPUs' pins. */
void board_reset(struct board *b, unsigned ncpus);
void board_save(const struct board *b, unsigned ncpus, struct bytes *out);
int board_load(struct board *b, unsigned ncpus, struct bytes_in *in);

#endif
