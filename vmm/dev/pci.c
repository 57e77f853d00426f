/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI host bridge and its one bus: configuration mechanism 1, memory BARs,
 * MSI-X. PCI Local Bus Specification 3.0 ("PCI" below).
 */
#include "dev/pci.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define CFG_SIZE 256u
#define CFG_COMMAND 0x04u
#define CFG_STATUS 0x06u
#define CFG_BAR0 0x10u
#define CFG_CAP_POINTER 0x34u
#define CFG_FIRST_CAP 0x40u
#define COMMAND_MEMORY 0x2u
#define COMMAND_MASTER 0x4u
#define COMMAND_WRITABLE 0x406u /* memory space, bus master, interrupt disable */
#define STATUS_CAP_LIST 0x10u
#define CAP_ID_VENDOR 0x09u
#define CAP_ID_MSIX 0x11u

#define ADDRESS_ENABLE 0x80000000u
#define RESET_SYSTEM 0x02u /* CF9h: what kind of reset; CPU bit starts it */
#define RESET_CPU 0x04u

/* MSI-X, PCI 6.8.2: control at +2 of the capability; the table in BAR 1, pending bits behind it. */
#define MSIX_VECTORS_MAX 64u
#define MSIX_BAR 1u
#define MSIX_BAR_SIZE 0x1000u
#define MSIX_PBA 0x800u
#define MSIX_ENABLE 0x8000u
#define MSIX_FUNCTION_MASK 0x4000u
#define MSIX_ENTRY 16u
#define MSIX_MASKED 1u

/* Room of a slot in the window: BAR 0 at its start, BAR 1 in its second half. */
#define SLOT_WINDOW 0x100000u

struct msix_entry {
	uint64_t address;
	uint32_t data;
	uint32_t control;
};

struct pci_function {
	const struct pci_function_ops *ops; /* NULL: nothing in this slot */
	void *ctx;
	struct pci_host *host;
	uint8_t cfg[CFG_SIZE];
	uint8_t reset[CFG_SIZE];    /* cfg at power-on */
	uint8_t writable[CFG_SIZE]; /* bits a guest can change */
	uint32_t bar_size[PCI_BARS];
	unsigned own, own_len;      /* bytes of cfg that config_read and config_write answer for */
	unsigned last_link;         /* where the offset of the next capability goes */
	unsigned next_cap;
	unsigned msix;              /* offset of the MSI-X capability; 0: none */
	unsigned nvectors;
	struct msix_entry vector[MSIX_VECTORS_MAX];
	uint64_t pending;
};

struct pci_host {
	struct bus *bus;
	struct lapic *lapic;
	uint32_t address;
	uint8_t reset_ctl;
	struct pci_function fn[PCI_SLOTS];
};

/* ---- MSI-X ---- */

static uint16_t msix_control(const struct pci_function *f)
{
	return f->msix ? le16_get(f->cfg + f->msix + 2) : 0;
}

bool pci_function_master(const struct pci_function *f)
{
	return le16_get(f->cfg + CFG_COMMAND) & COMMAND_MASTER;
}

static void msix_send(struct pci_function *f, unsigned n)
{
	const struct msix_entry *e = &f->vector[n];
	f->pending &= ~(1ull << n);
	/* A message is a write to memory; only those to the local APICs mean something here. */
	if (pci_function_master(f) && e->address >> 20 == LAPIC_BASE >> 20)
		lapic_message(f->host->lapic, e->address, e->data);
}

/* Sends what waits and may go now. */
static void msix_update(struct pci_function *f)
{
	uint16_t control = msix_control(f);
	if (!(control & MSIX_ENABLE) || (control & MSIX_FUNCTION_MASK))
		return;
	for (unsigned i = 0; i < f->nvectors && f->pending; i++)
		if ((f->pending >> i & 1) && !(f->vector[i].control & MSIX_MASKED))
			msix_send(f, i);
}

void pci_function_msix(struct pci_function *f, unsigned vector)
{
	if (vector >= f->nvectors || !(msix_control(f) & MSIX_ENABLE))
		return;
	f->pending |= 1ull << vector;
	msix_update(f);
}

static uint32_t msix_dword(const struct pci_function *f, uint64_t off)
{
	const struct msix_entry *e;
	if (off / MSIX_ENTRY < f->nvectors) {
		e = &f->vector[off / MSIX_ENTRY];
		switch (off % MSIX_ENTRY / 4) {
		case 0:
			return (uint32_t)e->address;
		case 1:
			return (uint32_t)(e->address >> 32);
		case 2:
			return e->data;
		default:
			return e->control;
		}
	}
	if (off / 8 == MSIX_PBA / 8)
		return (uint32_t)(f->pending >> (off & 4 ? 32 : 0));
	return 0;
}

static void msix_dword_write(struct pci_function *f, uint64_t off, uint32_t value)
{
	struct msix_entry *e;
	if (off / MSIX_ENTRY >= f->nvectors)
		return;
	e = &f->vector[off / MSIX_ENTRY];
	switch (off % MSIX_ENTRY / 4) {
	case 0:
		e->address = (e->address & ~0xffffffffull) | (value & ~3u);
		break;
	case 1:
		e->address = (e->address & 0xffffffffull) | (uint64_t)value << 32;
		break;
	case 2:
		e->data = value;
		break;
	default:
		e->control = value & MSIX_MASKED;
		break;
	}
}

/* PCI 6.8.2: software uses aligned dwords and quadwords; what else comes is left without effect. */
static void msix_write(struct pci_function *f, uint64_t off, unsigned size, uint64_t value)
{
	if (size < 4 || off % size)
		return;
	for (unsigned i = 0; i < size; i += 4)
		msix_dword_write(f, off + i, (uint32_t)(value >> i * 8));
	msix_update(f);
}

static uint64_t msix_read(const struct pci_function *f, uint64_t off, unsigned size)
{
	uint64_t v = msix_dword(f, off & ~3ull) >> (off & 3) * 8;
	if (size == 8 && off % 4 == 0)
		v |= (uint64_t)msix_dword(f, off + 4) << 32;
	return v;
}

/* ---- memory ---- */

/* The function and BAR at an address of the window; where a guest made two overlap, the first wins. */
static struct pci_function *pci_claim(struct pci_host *h, uint64_t off, unsigned size, unsigned *bar,
				      uint64_t *at)
{
	const uint64_t gpa = PCI_WINDOW_BASE + off;
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		struct pci_function *f = &h->fn[i];
		if (!f->ops || !(le16_get(f->cfg + CFG_COMMAND) & COMMAND_MEMORY))
			continue;
		for (unsigned b = 0; b < PCI_BARS; b++) {
			uint64_t base = le32_get(f->cfg + CFG_BAR0 + 4 * b);
			if (gpa - base < f->bar_size[b] && gpa - base + size <= f->bar_size[b]) {
				*bar = b;
				*at = gpa - base;
				return f;
			}
		}
	}
	return NULL;
}

static uint64_t pci_mem_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	unsigned bar;
	uint64_t at;
	struct pci_function *f = pci_claim(ctx, off, size, &bar, &at);
	if (!f)
		return UINT64_MAX;
	if (bar == MSIX_BAR)
		return msix_read(f, at, size);
	return f->ops->read(f->ctx, vcpu, bar, at, size);
}

static void pci_mem_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	unsigned bar;
	uint64_t at;
	struct pci_function *f = pci_claim(ctx, off, size, &bar, &at);
	if (!f)
		return;
	if (bar == MSIX_BAR)
		msix_write(f, at, size, value);
	else
		f->ops->write(f->ctx, vcpu, bar, at, size, value);
}

static const struct bus_region_ops pci_mem_ops = {
	.read = pci_mem_read,
	.write = pci_mem_write,
	.max_size = 8,
};

/* ---- configuration ---- */

static bool pci_own(const struct pci_function *f, unsigned reg, unsigned size)
{
	return reg >= f->own && reg + size <= f->own + f->own_len;
}

static uint32_t pci_cfg_read(const struct pci_function *f, unsigned reg, unsigned size)
{
	uint32_t v = 0;
	if (pci_own(f, reg, size))
		return f->ops->config_read(f->ctx, reg, size);
	for (unsigned i = 0; i < size; i++)
		v |= (uint32_t)f->cfg[reg + i] << i * 8;
	return v;
}

static void pci_cfg_write(struct pci_function *f, unsigned reg, unsigned size, uint32_t value)
{
	if (pci_own(f, reg, size)) {
		f->ops->config_write(f->ctx, reg, size, value);
		return;
	}
	for (unsigned i = 0; i < size; i++) {
		uint8_t w = f->writable[reg + i];
		f->cfg[reg + i] = (uint8_t)((f->cfg[reg + i] & ~w) | (value >> i * 8 & w));
	}
	msix_update(f);
}

/* The function an access to CFCh reaches, PCI 3.2.2.3.2: one bus, function 0 of each device. */
static struct pci_function *pci_addressed(struct pci_host *h)
{
	struct pci_function *f = &h->fn[h->address >> 11 & 31];
	if (!(h->address & ADDRESS_ENABLE) || (h->address & 0x00ff0700u) || !f->ops)
		return NULL;
	return f;
}

static uint64_t pci_io_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	struct pci_host *h = ctx;
	struct pci_function *f;
	(void)vcpu;
	if (off < 4) {
		if (off == 0 && size == 4)
			return h->address;
		return off == 1 && size == 1 ? h->reset_ctl : UINT64_MAX;
	}
	f = pci_addressed(h);
	return f ? pci_cfg_read(f, (h->address & 0xfc) + (unsigned)(off - 4), size) : UINT64_MAX;
}

static void pci_io_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct pci_host *h = ctx;
	struct pci_function *f;
	(void)vcpu;
	if (off == 0 && size == 4) {
		h->address = (uint32_t)value & 0x80fffffcu;
	} else if (off == 1 && size == 1) {
		h->reset_ctl = (uint8_t)value & (RESET_SYSTEM | 0x08u);
		if (value & RESET_CPU)
			bus_request(h->bus, BUS_REQ_RESET, 0);
	} else if (off >= 4 && (f = pci_addressed(h))) {
		pci_cfg_write(f, (h->address & 0xfc) + (unsigned)(off - 4), size, (uint32_t)value);
	}
}

static const struct bus_region_ops pci_io_ops = {
	.read = pci_io_read,
	.write = pci_io_write,
	.max_size = 4,
};

/* ---- wiring ---- */

static struct pci_function *pci_slot_init(struct pci_host *h, unsigned slot, const struct pci_id *id,
					  const struct pci_function_ops *ops, void *ctx)
{
	struct pci_function *f = &h->fn[slot];
	RV_ASSERT(slot < PCI_SLOTS && !f->ops);
	f->host = h;
	f->ops = ops;
	f->ctx = ctx;
	le16_put(f->cfg + 0x00, id->vendor);
	le16_put(f->cfg + 0x02, id->device);
	f->cfg[0x08] = id->revision;
	f->cfg[0x09] = (uint8_t)id->class_code;
	f->cfg[0x0a] = (uint8_t)(id->class_code >> 8);
	f->cfg[0x0b] = (uint8_t)(id->class_code >> 16);
	le16_put(f->cfg + 0x2c, id->subsystem_vendor);
	le16_put(f->cfg + 0x2e, id->subsystem);
	f->writable[0x3c] = 0xff; /* interrupt line: a note of the software's */
	f->last_link = CFG_CAP_POINTER;
	f->next_cap = CFG_FIRST_CAP;
	memcpy(f->reset, f->cfg, sizeof(f->reset));
	return f;
}

static unsigned pci_cap_add(struct pci_function *f, uint8_t id, unsigned len)
{
	unsigned at = f->next_cap;
	RV_ASSERT(at + len <= CFG_SIZE);
	f->cfg[f->last_link] = (uint8_t)at;
	f->cfg[at] = id;
	f->last_link = at + 1;
	f->next_cap = (at + len + 3) & ~3u;
	f->cfg[CFG_STATUS] |= STATUS_CAP_LIST;
	return at;
}

static void pci_bar_add(struct pci_function *f, unsigned slot, unsigned bar, uint32_t size)
{
	RV_ASSERT(size >= 0x1000 && (size & (size - 1)) == 0 && size <= SLOT_WINDOW / 2);
	f->bar_size[bar] = size;
	le32_put(f->writable + CFG_BAR0 + 4 * bar, ~(size - 1));
	le32_put(f->cfg + CFG_BAR0 + 4 * bar,
		 (uint32_t)PCI_WINDOW_BASE + slot * SLOT_WINDOW + bar * (SLOT_WINDOW / 2));
}

int pci_function_add(struct pci_function **out, struct pci_host *host, unsigned slot,
		     const struct pci_id *id, uint32_t bar_size, unsigned nvectors,
		     const struct pci_function_ops *ops, void *ctx)
{
	struct pci_function *f = pci_slot_init(host, slot, id, ops, ctx);
	RV_ASSERT(nvectors <= MSIX_VECTORS_MAX);
	le16_put(f->writable + CFG_COMMAND, COMMAND_WRITABLE);
	le16_put(f->cfg + CFG_COMMAND, COMMAND_MEMORY);
	pci_bar_add(f, slot, 0, bar_size);
	if (nvectors) {
		pci_bar_add(f, slot, MSIX_BAR, MSIX_BAR_SIZE);
		f->nvectors = nvectors;
		f->msix = pci_cap_add(f, CAP_ID_MSIX, 12);
		le16_put(f->cfg + f->msix + 2, (uint16_t)(nvectors - 1));
		le16_put(f->writable + f->msix + 2, MSIX_ENABLE | MSIX_FUNCTION_MASK);
		le32_put(f->cfg + f->msix + 4, MSIX_BAR);
		le32_put(f->cfg + f->msix + 8, MSIX_PBA | MSIX_BAR);
		for (unsigned i = 0; i < nvectors; i++)
			f->vector[i].control = MSIX_MASKED;
	}
	memcpy(f->reset, f->cfg, sizeof(f->reset));
	*out = f;
	return RV_OK;
}

unsigned pci_function_capability(struct pci_function *f, const uint8_t *body, unsigned len)
{
	unsigned at = pci_cap_add(f, CAP_ID_VENDOR, len);
	memcpy(f->cfg + at + 2, body, len - 2);
	memcpy(f->reset, f->cfg, sizeof(f->reset));
	return at;
}

void pci_function_config(struct pci_function *f, unsigned off, unsigned len)
{
	f->own = off;
	f->own_len = len;
}

/* ---- the device ---- */

static void pci_reset(void *self)
{
	struct pci_host *h = self;
	h->address = 0;
	h->reset_ctl = 0;
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		struct pci_function *f = &h->fn[i];
		memcpy(f->cfg, f->reset, sizeof(f->cfg));
		memset(f->vector, 0, sizeof(f->vector));
		for (unsigned k = 0; k < f->nvectors; k++)
			f->vector[k].control = MSIX_MASKED;
		f->pending = 0;
	}
}

static const struct state_field pci_fields[] = {
	STATE_FIELD(struct pci_host, address),
	STATE_FIELD(struct pci_host, reset_ctl),
};

static int pci_post_load(void *obj)
{
	const struct pci_host *h = obj;
	return (h->address & ~0x80fffffcu) || (h->reset_ctl & ~(RESET_SYSTEM | 0x08u)) ? RV_EINVAL :
											   RV_OK;
}

static const struct state_desc pci_desc = {
	.name = "pci",
	.version = 1,
	.fields = pci_fields,
	.nfields = RV_ARRAY_LEN(pci_fields),
	.post_load = pci_post_load,
};

static const struct state_field pci_function_fields[] = {
	STATE_ARRAY(struct pci_function, cfg),
	STATE_EACH(struct pci_function, vector, address),
	STATE_EACH(struct pci_function, vector, data),
	STATE_EACH(struct pci_function, vector, control),
	STATE_FIELD(struct pci_function, pending),
};

/* Only what a guest could have written. */
static int pci_function_post_load(void *obj)
{
	const struct pci_function *f = obj;
	for (unsigned i = 0; i < CFG_SIZE; i++)
		if ((f->cfg[i] ^ f->reset[i]) & ~f->writable[i])
			return RV_EINVAL;
	for (unsigned i = 0; i < MSIX_VECTORS_MAX; i++)
		if ((f->vector[i].control & ~MSIX_MASKED) || (f->vector[i].address & 3) ||
		    (i >= f->nvectors && (f->vector[i].address || f->vector[i].data ||
					  f->vector[i].control || (f->pending >> i & 1))))
			return RV_EINVAL;
	return RV_OK;
}

static const struct state_desc pci_function_desc = {
	.name = "pci_function",
	.version = 1,
	.fields = pci_function_fields,
	.nfields = RV_ARRAY_LEN(pci_function_fields),
	.post_load = pci_function_post_load,
};

static void pci_save(const void *self, struct bytes *out)
{
	const struct pci_host *h = self;
	for (unsigned i = 0; i < PCI_SLOTS; i++)
		if (h->fn[i].ops)
			state_save(&pci_function_desc, &h->fn[i], out);
}

static int pci_load(void *self, struct bytes_in *in)
{
	struct pci_host *h = self;
	int rc = RV_OK;
	for (unsigned i = 0; rc == RV_OK && i < PCI_SLOTS; i++)
		if (h->fn[i].ops)
			rc = state_load(&pci_function_desc, &h->fn[i], in);
	return rc;
}

static const struct device_ops pci_device_ops = {
	.name = "pci",
	.desc = &pci_desc,
	.reset = pci_reset,
	.destroy = free,
	.save = pci_save,
	.load = pci_load,
};

/* The bridge itself has registers to be found by, and no memory. */
static const struct pci_function_ops pci_bridge_ops = { .read = NULL };

int pci_host_create(struct pci_host **out, struct device *dev, struct bus *bus, struct lapic *lapic)
{
	static const struct pci_id bridge = { .vendor = 0x8086, .device = 0x1237, .class_code = 0x060000 };
	struct pci_host *h = calloc(1, sizeof(*h));
	if (!h)
		return RV_ENOMEM;
	h->bus = bus;
	h->lapic = lapic;
	if (bus_add_pio(bus, PCI_CONFIG_ADDRESS, 8, &pci_io_ops, h) != RV_OK ||
	    bus_add_mmio(bus, PCI_WINDOW_BASE, PCI_WINDOW_SIZE, &pci_mem_ops, h) != RV_OK) {
		free(h);
		return RV_ENOMEM;
	}
	(void)pci_slot_init(h, 0, &bridge, &pci_bridge_ops, h);
	dev->ops = &pci_device_ops;
	dev->self = h;
	*out = h;
	return RV_OK;
}
