/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of one side: RAM contents, page tables, gates, one device. */
#include <string.h>

#include "cpu/model.h"
#include "tests/jit/jit.h"

#define PTE_P 0x001ull
#define PTE_W 0x002ull
#define PTE_U 0x004ull
#define PTE_A 0x020ull
#define PTE_D 0x040ull

/* Table pages. */
enum {
	PML4 = JIT_GPA_TABLES,
	PDPT = PML4 + 0x1000,
	PD = PML4 + 0x2000,
	PT_CODE = PML4 + 0x3000,
	PT_DATA = PML4 + 0x4000,
	PDPT_HIGH = PML4 + 0x5000,
	PD_HIGH = PML4 + 0x6000,
};

enum { SEL_KCODE = 0x10, SEL_KDATA = 0x18, SEL_UDATA = 0x2b, SEL_UCODE = 0x33, SEL_TSS = 0x40 };

/* ---- the device ---- */

static uint64_t device_mix(struct jit_device *d, uint64_t v)
{
	d->log = (d->log ^ v ^ vclock_icount(d->clock) << 20) * 0x9e3779b97f4a7c15ull;
	d->log ^= d->log >> 29;
	return d->log;
}

static uint64_t device_read(void *ctx, unsigned vcpu, uint64_t off, unsigned size)
{
	struct jit_device *d = ctx;
	uint64_t v = device_mix(d, off << 8 | size << 1);

	(void)vcpu;
	return off & 8 ? vclock_icount(d->clock) : v;
}

/* The low bits of a value say what happens: an interrupt, a new deadline (which ends run()),
 * nothing. */
static void device_write(void *ctx, unsigned vcpu, uint64_t off, unsigned size, uint64_t value)
{
	struct jit_device *d = ctx;

	(void)vcpu;
	(void)device_mix(d, off << 8 | size << 1 | 1);
	(void)device_mix(d, value);
	if ((value & 7) == 1) {
		d->vector = (uint8_t)(JIT_VECTOR_HALT + (value >> 3) % 3);
		d->pins->intr = true;
	} else if ((value & 7) == 2) {
		vclock_timer_arm(d->timer, vclock_now(d->clock) + (value >> 3 & 0xff) + 1);
	}
}

static void device_fire(void *ctx, vns_t deadline)
{
	(void)ctx;
	(void)deadline;
}

static int chip_ack(void *ctx, unsigned vcpu)
{
	struct jit_device *d = ctx;

	(void)vcpu;
	d->pins->intr = false;
	(void)device_mix(d, d->vector);
	return d->vector;
}

static uint8_t chip_cr8_read(void *ctx, unsigned vcpu)
{
	(void)vcpu;
	return ((struct jit_device *)ctx)->cr8;
}

static void chip_cr8_write(void *ctx, unsigned vcpu, uint8_t value)
{
	(void)vcpu;
	((struct jit_device *)ctx)->cr8 = value & 15;
}

static bool chip_enabled(void *ctx, unsigned vcpu)
{
	(void)ctx;
	(void)vcpu;
	return true;
}

static void chip_init(void *ctx, unsigned vcpu)
{
	(void)ctx;
	(void)vcpu;
}

static void chip_tsc_adjust(void *ctx, unsigned vcpu, uint64_t adjust)
{
	(void)vcpu;
	(void)device_mix(ctx, adjust);
}

static const struct bus_region_ops device_ops = {
	.read = device_read, .write = device_write, .max_size = 8};
static const struct irqchip_ops chip_ops = {
	.ack = chip_ack,
	.cr8_read = chip_cr8_read,
	.cr8_write = chip_cr8_write,
	.apic_enabled = chip_enabled,
	.init = chip_init,
	.tsc_adjust = chip_tsc_adjust,
};

/* ---- RAM ---- */

static void put64(uint8_t *ram, uint64_t gpa, uint64_t v)
{
	memcpy(ram + gpa, &v, 8);
}

static void fill_tables(uint8_t *ram)
{
	static const uint8_t attr[JIT_NPAGES] = {
	    /* P, W, U, A, D of the leaves */
	    [JIT_P_RW0] = 0x67,	   [JIT_P_RW1] = 0x67,	    [JIT_P_RO] = 0x25,
	    [JIT_P_FRESH] = 0x07,  [JIT_P_CLEAN] = 0x27,    [JIT_P_SUPER] = 0x63,
	    [JIT_P_ALIAS] = 0x67,  [JIT_P_MMIO] = 0x67,	    [JIT_P_LAST] = 0x67,
	    [JIT_P_TABLE] = 0x67,  [JIT_P_RO_FRESH] = 0x05, [JIT_P_STACK0] = 0x67,
	    [JIT_P_STACK1] = 0x67,
	};
	const uint64_t table = PTE_P | PTE_W | PTE_U | PTE_A;

	put64(ram, PML4, PDPT | table);
	put64(ram, PML4 + 256 * 8, PDPT_HIGH | table);
	put64(ram, PDPT, PD | table);
	put64(ram, PD + (JIT_CODE >> 21) * 8, PT_CODE | table);
	put64(ram, PD + (JIT_DATA >> 21) * 8, PT_DATA | table);
	put64(ram, PDPT_HIGH, PD_HIGH | table);
	put64(ram, PD_HIGH, 0x80 | PTE_P | PTE_W | PTE_A | PTE_D);
	for (uint64_t i = 0; i < JIT_CODE_PAGES; i++) {
		uint64_t pte = (JIT_GPA_CODE + i * RV_PAGE_SIZE) | table | PTE_D;

		put64(ram, PT_CODE + ((JIT_CODE >> 12 & 511) + i) * 8, pte);
		put64(ram, PT_CODE + ((JIT_ALIAS >> 12 & 511) + i) * 8, pte);
	}
	for (uint64_t i = 0; i < JIT_NPAGES; i++) {
		uint64_t frame = JIT_GPA_DATA + i * RV_PAGE_SIZE;

		if (i == JIT_P_ALIAS)
			frame = JIT_GPA_DATA + JIT_P_RW0 * RV_PAGE_SIZE;
		if (i == JIT_P_MMIO)
			frame = JIT_GPA_MMIO;
		if (i == JIT_P_TABLE)
			frame = PT_DATA;
		if (attr[i])
			put64(ram, PT_DATA + i * 8, frame | attr[i]);
	}
}

static void fill_gates(uint8_t *ram)
{
	for (uint64_t v = 0; v < 256; v++) {
		bool resume = v == VEC_DB || v == VEC_BP || v == VEC_NMI || v == VEC_OF ||
			      v == JIT_VECTOR_IRET || v == JIT_VECTOR_COUNT;
		uint64_t at = JIT_HIGH + (resume ? JIT_GPA_IRET : JIT_GPA_HALT) + v * 16;
		uint64_t dpl = v == VEC_BP || v == VEC_OF || v >= 0x80 ? 3 : 0;
		/* SDM vol. 3, figure 6-8: interrupt gate, IST 1; and trap gate. */
		uint64_t lo = (at & 0xffff) | SEL_KCODE << 16 | 0x8eull << 40 | dpl << 45 |
			      (at >> 16 & 0xffff) << 48;

		put64(ram, JIT_GPA_IDT + v * 16, lo | 1ull << 32);
		put64(ram, JIT_GPA_IDT + v * 16 + 8, at >> 32);
		put64(ram, JIT_GPA_IDT1 + v * 16, lo | (v == VEC_DF ? 1ull << 32 : (v & 1) << 40));
		put64(ram, JIT_GPA_IDT1 + v * 16 + 8, at >> 32);
		ram[JIT_GPA_HALT + v * 16] = 0xf4;
		put64(ram, JIT_GPA_IRET + v * 16, 0xcf48);
	}
	/* incq counter(%rip); iretq. The counter stands behind the last stub. */
	memcpy(ram + JIT_GPA_IRET + JIT_VECTOR_COUNT * 16, "\x48\xff\x05\0\0\0\0\x48\xcf", 9);
	memcpy(ram + JIT_GPA_IRET + JIT_VECTOR_COUNT * 16 + 3,
	       &(uint32_t){0x1000 - (JIT_VECTOR_COUNT * 16 + 7)}, 4);
}

void jit_layout_fill(uint8_t *ram)
{
	struct diff_rng r;

	memset(ram, 0, JIT_RAM);
	fill_tables(ram);
	fill_gates(ram);
	/* The GDT of a Linux kernel: 10h kernel code, 18h kernel data, 23h, 2bh, 33h user. */
	put64(ram, JIT_GPA_GDT + 0x10, 0x00af9b000000ffffull);
	put64(ram, JIT_GPA_GDT + 0x18, 0x00cf93000000ffffull);
	put64(ram, JIT_GPA_GDT + 0x20, 0x00cffb000000ffffull);
	put64(ram, JIT_GPA_GDT + 0x28, 0x00cff3000000ffffull);
	put64(ram, JIT_GPA_GDT + 0x30, 0x00affb000000ffffull);
	put64(ram, JIT_GPA_TSS + 4, JIT_HIGH + 0xa000);
	put64(ram, JIT_GPA_TSS + 0x24, JIT_HIGH + 0xc000);
	memcpy(ram + JIT_GPA_TSS + 0x66, &(uint16_t){0x68}, 2); /* no I/O bitmap */
	memset(ram + JIT_GPA_CODE, 0xf4, JIT_CODE_PAGES * RV_PAGE_SIZE);
	diff_rng_seed(&r, 1, 1);
	for (uint64_t a = JIT_GPA_DATA; a < JIT_GPA_DATA + JIT_NPAGES * RV_PAGE_SIZE; a += 16) {
		static const uint8_t type[] = {ZYDIS_ELEMENT_TYPE_INT, ZYDIS_ELEMENT_TYPE_INT,
					       ZYDIS_ELEMENT_TYPE_FLOAT32,
					       ZYDIS_ELEMENT_TYPE_FLOAT64};

		diff_value_fill(&r, type[diff_rng_below(&r, 4)], 1u << diff_rng_below(&r, 4),
				ram + a, 16);
	}
}

void jit_layout_state(struct cpu_state *s, bool cpl0)
{
	const unsigned dpl = cpl0 ? 0 : 3u << SEG_DPL_SHIFT;
	const unsigned data = SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | SEG_DB | SEG_G | dpl;
	const unsigned code =
	    SEG_S | SEG_P | SEG_CODE | SEG_WRITABLE | SEG_ACCESSED | SEG_L | SEG_G | dpl;

	memset(s, 0, sizeof(*s));
	cpu_state_reset(s, true);
	s->activity = CPU_RUNNING;
	s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	s->cr3 = PML4;
	s->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	for (unsigned i = CPU_ES; i <= CPU_GS; i++) {
		s->seg[i].base = 0;
		s->seg[i].limit = 0xffffffff;
		s->seg[i].attr = (uint16_t)(i == CPU_CS ? code : data);
		s->seg[i].sel =
		    i == CPU_CS ? (cpl0 ? SEL_KCODE : SEL_UCODE) : (cpl0 ? SEL_KDATA : SEL_UDATA);
	}
	s->seg[CPU_FS].base = 0x40;
	s->seg[CPU_GS].base = RV_PAGE_SIZE;
	memset(&s->seg[CPU_LDTR], 0, sizeof(s->seg[CPU_LDTR]));
	s->seg[CPU_TR] = (struct cpu_seg){
	    .base = JIT_HIGH + JIT_GPA_TSS, .limit = 0x67, .attr = SEG_P | 0xb, .sel = SEL_TSS};
	s->gdtr.base = JIT_HIGH + JIT_GPA_GDT;
	s->gdtr.limit = 0x37;
	s->idtr.base = JIT_HIGH + JIT_GPA_IDT;
	s->idtr.limit = 0xfff;
	s->msr[CPU_MSR_STAR] = (uint64_t)(0x23) << 48 | (uint64_t)SEL_KCODE << 32;
	s->msr[CPU_MSR_LSTAR] = JIT_HIGH + JIT_GPA_HALT + 0x80 * 16;
	s->msr[CPU_MSR_SFMASK] = RFLAGS_IF | RFLAGS_TF | RFLAGS_DF;
	s->msr[CPU_MSR_SYSENTER_CS] = SEL_KCODE;
	s->msr[CPU_MSR_SYSENTER_EIP] = JIT_HIGH + JIT_GPA_HALT + 0x81 * 16;
	s->msr[CPU_MSR_SYSENTER_ESP] = JIT_HIGH + 0xa000;
	s->msr[CPU_MSR_KERNEL_GS_BASE] = 0x80;
}

/* ---- a side ---- */

int jit_side_init(struct jit_side *m, enum engine_jit jit, uint64_t code_cache)
{
	struct engine_cfg cfg = {.ncpus = 1, .jit = jit, .code_cache = code_cache};
	int rc;

	memset(m, 0, sizeof(*m));
	rc = mem_create(&m->mem, JIT_RAM, 0, NULL);
	if (rc == 0)
		rc = bus_create(&m->bus);
	if (rc == 0)
		rc = vclock_create(&m->clock, VCLOCK_RATE_ONE, 0);
	if (rc != 0)
		goto fail;
	m->dev.clock = m->clock;
	m->dev.pins = bus_pins(m->bus, 0);
	m->dev.timer = vclock_timer_add(m->clock, "jit", device_fire, &m->dev);
	bus_set_irqchip(m->bus, &chip_ops, &m->dev);
	rc = bus_add_mmio(m->bus, JIT_GPA_MMIO, RV_PAGE_SIZE, &device_ops, &m->dev);
	if (rc != 0)
		goto fail;
	cfg.mem = m->mem;
	cfg.bus = m->bus;
	cfg.clock = m->clock;
	rc = engine_exact_ops.create(&m->engine, &cfg, NULL);
	if (rc != 0)
		goto fail;
	return 0;
fail:
	jit_side_fini(m);
	return rc;
}

void jit_side_fini(struct jit_side *m)
{
	if (m->engine)
		engine_exact_ops.destroy(m->engine);
	if (m->clock)
		vclock_destroy(m->clock);
	if (m->bus)
		bus_destroy(m->bus);
	if (m->mem)
		mem_destroy(m->mem);
	memset(m, 0, sizeof(*m));
}
