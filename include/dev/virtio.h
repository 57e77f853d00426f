/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices of board `pc`: Virtual I/O Device (VIRTIO) 1.1, PCI
 * transport, modern only, split virtqueues, MSI-X. Each create function makes
 * one device in a PCI slot; *dev is what the machine saves, resets and
 * destroys. Return 0 or RV_ENOMEM.
 */
#ifndef RV_DEV_VIRTIO_H
#define RV_DEV_VIRTIO_H

#include "clock/clock.h"
#include "dev/device.h"
#include "dev/pci.h"
#include "mem/mem.h"
#include "port/disk.h"
#include "port/nondet.h"
#include "port/output.h"

/* What every virtio device is wired to; copied. */
struct virtio_wiring {
	struct bus *bus;
	struct guest_mem *mem;
	struct vclock *clock;
	struct pci_host *host;
	unsigned slot;
};

/* ---- block device ---- */
struct virtio_blk;
struct virtio_blk_cfg {
	struct disk *port;      /* borrowed for the device's life */
	uint64_t sectors;       /* of 512 bytes */
	bool readonly;
	bool commit;            /* the port writes the base as well */
	char serial[20];        /* not terminated when full */
	uint64_t index;         /* first auxiliary page of the index, see virtio_blk_index_pages() */
	/* Completions are due at a virtual time of the device's own (clock=virtual, DESIGN 2.5); else they
	 * are ND_DISK events. */
	bool by_clock;
	uint64_t chaos;         /* not 0: seed of the delays that --chaos adds to by_clock completions */
	unsigned instance;
};
/* Pages of auxiliary memory (mem_create()) the index of a disk needs. */
uint64_t virtio_blk_index_pages(uint64_t sectors);
int virtio_blk_create(struct virtio_blk **out, struct device *dev, const struct virtio_wiring *w,
		      const struct virtio_blk_cfg *cfg);
/* An ND_DISK event. RV_EINVAL: no such request is in flight (only a log can say so); RV_EIO, RV_ECHANGED,
 * RV_EDAMAGED: the port could not give what history says it gave. */
int virtio_blk_complete(struct virtio_blk *b, unsigned tag, unsigned status);
/* After a checkpoint was loaded into a live machine: what was in flight is started again. */
void virtio_blk_restart(struct virtio_blk *b);
/*
 * What of the block log this state needs: sets the bits of blocks below *n that the index refers to (bits has
 * room for all blocks given out so far, which *n is before), and lowers *n to the first block that a write in
 * flight was given, if there is one: blocks from there on are needed as well.
 */
uint64_t virtio_blk_log_blocks(const struct virtio_blk *b); /* given out so far */
void virtio_blk_log_used(const struct virtio_blk *b, uint8_t *bits, uint64_t *n);

/* Every block that is not the base's any more, in order: fn(ctx, block, zero, log), where its contents are zeros or block
 * `log` of the block log. Ends with the first that does not return RV_OK, which it returns. */
int virtio_blk_each(const struct virtio_blk *b, int (*fn)(void *ctx, uint64_t block, bool zero, uint64_t log), void *ctx);

/* ---- network ---- */
struct virtio_net;
struct virtio_net_cfg {
	uint8_t mac[6];
	uint16_t mtu;
	struct output *output;
	unsigned instance;
};
int virtio_net_create(struct virtio_net **out, struct device *dev, const struct virtio_wiring *w,
		      const struct virtio_net_cfg *cfg);
/* An ND_NET event: a frame of 14 to 65535 bytes. Dropped (and counted in no host) without enough
 * buffers. RV_EINVAL: a length no network delivers. */
int virtio_net_input(struct virtio_net *n, const uint8_t *frame, uint32_t len);
bool virtio_net_ready(const struct virtio_net *n); /* there are receive buffers */
/* Asks the driver to announce its address to the network (it may have moved); nothing if it did not
 * negotiate VIRTIO_NET_F_GUEST_ANNOUNCE. An input: its position must be part of history. */
void virtio_net_announce(struct virtio_net *n);

/* ---- entropy: a stream made from seed, and from nothing else ---- */
int virtio_rng_create(struct device *dev, const struct virtio_wiring *w, uint64_t seed);

/* ---- console: one port; bytes go out as OUT_CONSOLE `instance` ---- */
struct virtio_console;
int virtio_console_create(struct virtio_console **out, struct device *dev,
			  const struct virtio_wiring *w, struct output *output, unsigned instance);
/* An ND_CONSOLE event; more than virtio_console_room() bytes: the rest is dropped. */
void virtio_console_input(struct virtio_console *c, const uint8_t *data, uint32_t len);
uint32_t virtio_console_room(const struct virtio_console *c);

#endif
