/* SPDX-License-Identifier: Apache-2.0 */
/* pvpanic: how a guest kernel says that it panicked (the interface is documented in QEMU's
 * docs/specs/pvpanic: a read gives the events the host knows, a write says what happened). */
#include "dev/chips.h"

#include <stdlib.h>

#define EVENT_PANICKED 0x1u
#define EVENT_CRASH_LOADED 0x2u /* a crash kernel takes over: not for us to act on */

struct pvpanic {
	struct bus *bus;
};

static uint64_t pvpanic_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	(void)ctx;
	(void)vcpu;
	(void)off;
	(void)size;
	return EVENT_PANICKED | EVENT_CRASH_LOADED;
}

static void pvpanic_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct pvpanic *p = ctx;
	(void)vcpu;
	(void)off;
	(void)size;
	if (value & EVENT_PANICKED)
		bus_request(p->bus, BUS_REQ_PANIC, (uint32_t)value);
}

static const struct bus_region_ops pvpanic_ops = {
	.read = pvpanic_read,
	.write = pvpanic_write,
	.max_size = 1,
};

static void pvpanic_reset(void *self)
{
	(void)self; /* no registers */
}

static const struct state_desc pvpanic_desc = {
	.name = "pvpanic",
	.version = 1,
};

static const struct device_ops pvpanic_device_ops = {
	.name = "pvpanic",
	.desc = &pvpanic_desc,
	.reset = pvpanic_reset,
	.destroy = free,
};

int pvpanic_create(struct device *dev, struct bus *bus)
{
	struct pvpanic *p = calloc(1, sizeof(*p));
	if (!p)
		return RV_ENOMEM;
	p->bus = bus;
	if (bus_add_pio(bus, PVPANIC_PORT, 1, &pvpanic_ops, p) != RV_OK) {
		free(p);
		return RV_ENOMEM;
	}
	dev->ops = &pvpanic_device_ops;
	dev->self = p;
	return RV_OK;
}
