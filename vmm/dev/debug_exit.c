/* SPDX-License-Identifier: Apache-2.0 */
/* isa-debug-exit: how a test guest ends the run with a code of its own. */
#include "dev/chips.h"

#include <stdlib.h>

#define DEBUG_EXIT_PORTS 4u /* so that a 32-bit write arrives whole */

struct debug_exit {
	struct bus *bus;
};

static uint64_t debug_exit_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	(void)ctx;
	(void)vcpu;
	(void)off;
	(void)size;
	return UINT64_MAX;
}

static void debug_exit_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct debug_exit *d = ctx;
	(void)vcpu;
	(void)size;
	if (off == 0)
		bus_request(d->bus, BUS_REQ_DEBUG_EXIT, (uint32_t)value << 1 | 1u);
}

static const struct bus_region_ops debug_exit_ops = {
	.read = debug_exit_read,
	.write = debug_exit_write,
	.max_size = 4,
};

static void debug_exit_reset(void *self)
{
	(void)self; /* no registers */
}

static const struct state_desc debug_exit_desc = {
	.name = "debug_exit",
	.version = 1,
};

static const struct device_ops debug_exit_device_ops = {
	.name = "debug_exit",
	.desc = &debug_exit_desc,
	.reset = debug_exit_reset,
	.destroy = free,
};

int debug_exit_create(struct device *dev, struct bus *bus)
{
	struct debug_exit *d = calloc(1, sizeof(*d));
	if (!d)
		return RV_ENOMEM;
	d->bus = bus;
	if (bus_add_pio(bus, DEBUG_EXIT_PORT, DEBUG_EXIT_PORTS, &debug_exit_ops, d) != RV_OK) {
		free(d);
		return RV_ENOMEM;
	}
	dev->ops = &debug_exit_device_ops;
	dev->self = d;
	return RV_OK;
}
