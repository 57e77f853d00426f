/* SPDX-License-Identifier: Apache-2.0 */
/* What the transport (virtio.c) and the queues (virtq.c) share. */
#ifndef RV_DEV_VIRTIO_INT_H
#define RV_DEV_VIRTIO_INT_H

#include "virtio_dev.h"

/* Device status, VIRTIO 1.1, 2.1. */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER 2u
#define STATUS_DRIVER_OK 4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u
#define STATUS_FAILED 128u

#define ISR_QUEUE 1u
#define ISR_CONFIG 2u
#define NO_VECTOR 0xffffu

struct virtq {
	uint16_t size;      /* entries: a power of two, at most the model's */
	uint16_t vector;    /* MSI-X, or NO_VECTOR */
	bool enabled;
	uint64_t desc, avail, used; /* guest-physical addresses of the three parts */
	uint16_t next_avail; /* index of the next chain to take */
	uint16_t next_used;  /* index of the next entry to return */
	uint16_t told;       /* next_used at the last notification */
};

struct virtio {
	const struct virtio_model *model;
	void *self;
	struct guest_mem *mem;
	struct pci_function *pci;
	uint64_t offered;
	unsigned pci_cfg; /* where the PCI configuration access capability's window is */

	uint32_t device_select, driver_select;
	uint64_t features; /* as the driver wrote them */
	uint16_t config_vector;
	uint16_t queue_select;
	uint8_t status;
	uint8_t generation;
	uint8_t isr;
	uint8_t window_bar; /* the access capability's own registers */
	uint32_t window_off, window_len;
	struct virtq q[VIRTIO_QUEUES_MAX];
};

void virtio_signal(struct virtio *v, uint16_t vector, uint8_t isr);

#endif
