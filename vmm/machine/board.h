/* SPDX-License-Identifier: Apache-2.0 */
/* Board `pc`: which chips there are and how they are wired. */
#ifndef RV_MACHINE_BOARD_H
#define RV_MACHINE_BOARD_H

#include "bus/bus.h"
#include "clock/clock.h"
#include "dev/chips.h"
#include "dev/pci.h"
#include "dev/virtio.h"
#include "machine/machine.h"
#include "mem/mem.h"

#define BOARD_MAX_DEVICES 32u

struct board {
	struct bus *bus;
	struct vclock *clock;
	struct guest_mem *mem;
	struct lapic *lapic;
	struct ioapic *ioapic;
	struct pic *pic;
	struct uart *uart;
	struct pci_host *pci;
	unsigned ndisks, nnets;
	struct virtio_blk *disk[DISKS_MAX];
	struct virtio_net *net[NETS_MAX];
	struct virtio_console *console; /* NULL: none */
	struct device dev[BOARD_MAX_DEVICES]; /* in wiring order: the order of saved state */
	unsigned ndev;
};

/* Auxiliary pages the disks' indexes need: what mem_create() is asked for. */
uint64_t board_aux_pages(const struct machine_devices *devices);
/* bus, clock and mem are filled by the caller, who owns them. Returns 0 or RV_ENOMEM; board_fini()
 * takes a half-wired board as well. */
int board_init(struct board *b, unsigned ncpus, const struct machine_devices *devices,
	       struct output *output);
void board_fini(struct board *b);
/* Power-on state of every chip, in wiring order, and of the vCPUs' pins. */
void board_reset(struct board *b, unsigned ncpus);
/* An ND_CONSOLE event. RV_EINVAL: there is no such console. */
int board_console(struct board *b, unsigned instance, const uint8_t *data, uint32_t len);
void board_query(const struct board *b, struct nd_query *q); /* what the devices can take */
void board_save(const struct board *b, unsigned ncpus, struct bytes *out);
int board_load(struct board *b, unsigned ncpus, struct bytes_in *in);

#endif
