/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every device is to the machine: something that can be reset, saved,
 * loaded and destroyed. Its registers are reached through the bus; its time
 * through the clock; the outside through the two ports.
 *
 * Rules for device authors (the determinism contract): a device reads no host
 * time, randomness or descriptor; it changes only inside a guest access, a
 * timer's fire(), or the application of an nd_event; a guest's mistake becomes
 * device state; nothing is allocated after creation.
 */
#ifndef RV_DEV_DEVICE_H
#define RV_DEV_DEVICE_H

#include "base/state.h"
#include "base/status.h"

struct device_ops {
	const char *name;
	const struct state_desc *desc; /* of the object `self`; timers are saved by the clock */
	void (*reset)(void *self);     /* power-on state; disarms its timers */
	void (*destroy)(void *self);
	/* Optional: state that is no table (what is in flight), behind that of `desc`. load: the bytes are
	 * hostile; 0, RV_EINVAL or RV_EVERSION. */
	void (*save)(const void *self, struct bytes *out);
	int (*load)(void *self, struct bytes_in *in);
};

struct device {
	const struct device_ops *ops;
	void *self;
};

#endif
