/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts: 8259 and 8254, I/O APIC, local APIC timer and messages, priorities, shadows, NMI,
 * HLT. */
#include "lib/guest.h"

const char guest_name[] = "irq64";

#define APIC	   0xfee00000ul
#define IOAPIC	   0xfec00000ul
#define VEC_PIT	   0x20
#define VEC_TIMER  0x50
#define VEC_LOW	   0x61
#define VEC_HIGH   0x91
#define VEC_IOAPIC 0x71

#define A_ID	0x020
#define A_TPR	0x080
#define A_PPR	0x0a0
#define A_EOI	0x0b0
#define A_SVR	0x0f0
#define A_IRR	0x200
#define A_ICR	0x300
#define A_ICR2	0x310
#define A_LVTT	0x320
#define A_LINT0 0x350
#define A_TMICT 0x380
#define A_TMCCT 0x390
#define A_TDCR	0x3e0

static uint32_t apic_read(unsigned r)
{
	return *(volatile uint32_t *)(APIC + r);
}
static void apic_write(unsigned r, uint32_t v)
{
	*(volatile uint32_t *)(APIC + r) = v;
}
/* The shorthand "self" takes fixed interrupts alone (SDM vol. 3, table 10-3): name the ID. */
static void nmi_send(void)
{
	apic_write(A_ICR2, apic_read(A_ID));
	apic_write(A_ICR, 0x4400);
}
static uint32_t ioapic_read(unsigned r)
{
	*(volatile uint32_t *)IOAPIC = r;
	return *(volatile uint32_t *)(IOAPIC + 0x10);
}
static void ioapic_write(unsigned r, uint32_t v)
{
	*(volatile uint32_t *)IOAPIC = r;
	*(volatile uint32_t *)(IOAPIC + 0x10) = v;
}

static volatile unsigned order[16], norder;
static volatile word last_ip, last_cx;
static volatile bool renmi;
static volatile unsigned nmi_inside;

static bool irq_hook(struct frame *f)
{
	if (f->vector == VEC_NMI) {
		if (renmi) {
			renmi = false;
			unsigned before = irq_count[VEC_NMI];
			nmi_send();
			for (volatile int i = 0; i < 1000; i++)
				;
			nmi_inside = irq_count[VEC_NMI] - before;
		}
		return true;
	}
	if (f->vector < 0x20)
		return false;
	last_ip = f->ip;
	last_cx = f->cx;
	if (norder < 16)
		order[norder++] = (unsigned)f->vector;
	if (f->vector == VEC_PIT)
		outb(0x20, 0x20);
	else
		apic_write(A_EOI, 0);
	return true;
}

static void sti(void)
{
	__asm__ volatile("sti\n\tnop" : : : "memory");
}
static void cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static void sti_hlt(unsigned vector)
{
	while (!irq_count[vector])
		__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

static void start(void)
{
	trap_hook = irq_hook;
	norder = 0;
	for (unsigned i = 0x20; i < 256; i++)
		irq_count[i] = 0;
}

/* Channel 0, mode 0: one interrupt after `count` ticks. */
static void pit_one_shot(uint16_t count)
{
	outb(0x43, 0x30);
	outb(0x40, (uint8_t)count);
	outb(0x40, (uint8_t)(count >> 8));
}

static bool pic_pending(void)
{
	outb(0x20, 0x0a);
	return inb(0x20) & 1;
}

static void pic_pit(void)
{
	start();
	outb(0x21, 0xfe);
	pit_one_shot(1000);
	sti_hlt(VEC_PIT);
	CHECK_EQ(irq_count[VEC_PIT], 1);
	/* Periodic. */
	outb(0x43, 0x34);
	outb(0x40, 0xa9);
	outb(0x40, 0x04); /* 1193: 1 kHz */
	sti();
	uint64_t t0 = rdtsc();
	while (irq_count[VEC_PIT] < 21)
		__asm__ volatile("pause");
	uint64_t t1 = rdtsc();
	cli();
	CHECK_HW(t1 - t0 > 18000000 && t1 - t0 < 21500000); /* 20 ms of a 1 GHz TSC */
	/* Masked: stays pending. */
	outb(0x21, 0xff);
	unsigned n = irq_count[VEC_PIT];
	sti();
	t0 = rdtsc();
	while (rdtsc() - t0 < 5000000)
		;
	cli();
	CHECK_EQ(irq_count[VEC_PIT], n);
	pit_one_shot(2);
	outb(0x21, 0xfe);
	while (!pic_pending())
		;
	sti();
	cli();
	outb(0x21, 0xff);
	CHECK(irq_count[VEC_PIT] > n);
}

/* An interrupt is pending and IF is 0. */
static void pend(void)
{
	start();
	outb(0x21, 0xfe);
	pit_one_shot(10);
	while (!pic_pending())
		;
}

static void shadows(void)
{
	word ip = 0, ip2 = 0;
	/* STI; CLI: no window. */
	pend();
	__asm__ volatile("sti\n\tcli\n\tnop" : : : "memory");
	CHECK_EQ(irq_count[VEC_PIT], 0);
	/* STI; NOP; CLI: taken after the NOP. */
	__asm__ volatile("lea 1f(%%rip), %0\n\tsti\n\tnop\n1:\tcli" : "=r"(ip) : : "memory");
	CHECK_EQ(irq_count[VEC_PIT], 1);
	CHECK_EQ(last_ip, ip);
	/* POPF has no shadow. */
	pend();
	__asm__ volatile(
		"pushfq\n\torq $0x200, (%%rsp)\n\tlea 1f(%%rip), %0\n\tpopfq\n1:\tnop\n\tcli"
		: "=r"(ip)
		:
		: "memory", "cc");
	CHECK_EQ(irq_count[VEC_PIT], 1);
	CHECK_EQ(last_ip, ip);
	/* STI; MOV SS; NOP: MOV SS adds its own. */
	pend();
	__asm__ volatile("lea 1f(%%rip), %0\n\tlea 2f(%%rip), %1\n\tmov %%ss, %%eax\n\tsti\n\tmov "
			 "%%eax, %%ss\n1:\tnop\n2:\tcli"
			 : "=&r"(ip), "=&r"(ip2)
			 :
			 : "memory", "rax");
	CHECK_EQ(irq_count[VEC_PIT], 1);
	CHECK_HW_EQ(last_ip, ip2);
	/* STI with IF already set has no shadow; IRETQ neither. */
	pend();
	word sp;
	__asm__ volatile("mov %%rsp, %1\n\tpush $0x10\n\tpush %1\n\tpush $0x202\n\tpush $8\n\tlea "
			 "1f(%%rip), %0\n\tpush %0\n\t"
			 "iretq\n1:\tnop\n\tcli"
			 : "=&r"(ip), "=&r"(sp)
			 :
			 : "memory", "cc");
	CHECK_EQ(irq_count[VEC_PIT], 1);
	CHECK_EQ(last_ip, ip);
	/* HLT in the shadow of STI wakes at once. */
	pend();
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
	CHECK_EQ(irq_count[VEC_PIT], 1);
	outb(0x21, 0xff);
}

static void apic_on(void)
{
	CHECK_EQ(rdmsr(0x1b) & 0xfffff900, APIC | 0x900); /* enabled, boot processor */
	apic_write(A_SVR, 0x1ff);
	apic_write(A_TPR, 0);
	CHECK_EQ(apic_read(0x30) & 0xf0, 0x10); /* integrated */
	CHECK_EQ(apic_read(A_ID) >> 24, 0);
	uint32_t r[4];
	cpuid(1, 0, r);
	CHECK(r[3] & 1u << 9);
}

static void apic_timer(void)
{
	start();
	apic_write(A_TDCR, 0xb); /* divide by 1 */
	apic_write(A_LVTT, VEC_TIMER);
	apic_write(A_TMICT, 100000);
	sti_hlt(VEC_TIMER);
	CHECK_EQ(irq_count[VEC_TIMER], 1);
	CHECK_EQ(apic_read(A_TMCCT), 0);
	/* Periodic: 10 periods of 0.2 ms. */
	uint64_t t0 = rdtsc();
	apic_write(A_LVTT, VEC_TIMER | 0x20000);
	apic_write(A_TMICT, 200000);
	sti();
	while (irq_count[VEC_TIMER] < 11)
		__asm__ volatile("pause");
	uint64_t t1 = rdtsc();
	cli();
	CHECK_HW(t1 - t0 >= 2000000 && t1 - t0 < 2300000);
	CHECK(apic_read(A_TMCCT) <= 200000);
	/* Masked: it counts, but no interrupt comes. */
	apic_write(A_LVTT, VEC_TIMER | 0x10000);
	unsigned n = irq_count[VEC_TIMER];
	apic_write(A_TMICT, 1000);
	sti();
	t0 = rdtsc();
	while (rdtsc() - t0 < 1000000)
		;
	cli();
	CHECK(irq_count[VEC_TIMER] <= n + 1);
	/* Divided by 16. */
	start();
	apic_write(A_TDCR, 3);
	apic_write(A_LVTT, VEC_TIMER);
	t0 = rdtsc();
	apic_write(A_TMICT, 10000);
	sti();
	while (!irq_count[VEC_TIMER])
		__asm__ volatile("pause");
	cli();
	t1 = rdtsc();
	CHECK_HW(t1 - t0 >= 160000 && t1 - t0 < 200000);
}

static void deadline(void)
{
	uint32_t r[4];
	cpuid(1, 0, r);
	if (!(r[2] & 1u << 24))
		return;
	start();
	apic_write(A_LVTT, VEC_TIMER | 0x40000);
	uint64_t t0 = rdtsc();
	wrmsr(0x6e0, t0 + 300000);
	CHECK_EQ(rdmsr(0x6e0), t0 + 300000);
	sti_hlt(VEC_TIMER);
	CHECK_EQ(irq_count[VEC_TIMER], 1);
	CHECK(rdtsc() >= t0 + 300000);
	CHECK_EQ(rdmsr(0x6e0), 0);
	/* In the past: at once. */
	wrmsr(0x6e0, 1);
	sti();
	cli();
	CHECK_EQ(irq_count[VEC_TIMER], 2);
	/* Disarmed. */
	wrmsr(0x6e0, rdtsc() + 100000);
	wrmsr(0x6e0, 0);
	t0 = rdtsc();
	sti();
	while (rdtsc() - t0 < 300000)
		;
	cli();
	CHECK_EQ(irq_count[VEC_TIMER], 2);
	apic_write(A_LVTT, 0x10000);
}

static void priorities(void)
{
	start();
	/* Messages to ourselves, while IF is 0: the higher vector goes first. */
	apic_write(A_ICR, 0x40000 | VEC_LOW);
	apic_write(A_ICR, 0x40000 | VEC_HIGH);
	CHECK(apic_read(A_IRR + 0x10 * (VEC_LOW / 32)) & 1u << VEC_LOW % 32);
	sti();
	cli();
	CHECK_EQ(norder, 2);
	CHECK_EQ(order[0], VEC_HIGH);
	CHECK_EQ(order[1], VEC_LOW);
	/* Task priority holds classes up to its own back. */
	start();
	__asm__ volatile("mov %0, %%cr8" : : "r"(6ul));
	CHECK_EQ(apic_read(A_TPR), 0x60);
	apic_write(A_ICR, 0x40000 | VEC_LOW);
	apic_write(A_ICR, 0x40000 | VEC_HIGH);
	sti();
	cli();
	CHECK_EQ(norder, 1);
	CHECK_EQ(order[0], VEC_HIGH);
	sti();
	__asm__ volatile("mov %0, %%cr8\n\tnop" : : "r"(5ul));
	cli();
	CHECK_EQ(norder, 2);
	word cr8;
	__asm__ volatile("mov %%cr8, %0" : "=r"(cr8));
	CHECK_EQ(cr8, 5);
	apic_write(A_TPR, 0);
	__asm__ volatile("mov %%cr8, %0" : "=r"(cr8));
	CHECK_EQ(cr8, 0);
}

static void nmi(void)
{
	start();
	unsigned n = irq_count[VEC_NMI];
	nmi_send();
	for (volatile int i = 0; i < 1000; i++)
		;
	/* IF does not matter. */
	CHECK_HW_EQ(irq_count[VEC_NMI], n + 1);
	/* One NMI waits for the other's IRET. */
	n = irq_count[VEC_NMI];
	renmi = true;
	nmi_send();
	for (volatile int i = 0; i < 1000; i++)
		;
	if (!guest_is_tcg) {
		CHECK_EQ(nmi_inside, 0);
		CHECK_EQ(irq_count[VEC_NMI], n + 2);
	}
	renmi = false;
}

/* A periodic timer interrupts REP STOSB: RIP stays on it, RCX says what is left, nothing is lost.
 */
static void repeat(void)
{
	static uint8_t area[1 << 20];
	start();
	apic_write(A_TDCR, 0xb);
	apic_write(A_LVTT, VEC_TIMER | 0x20000);
	apic_write(A_TMICT, 50000);
	word di = (word)area, cx = sizeof(area), ip;
	unsigned inside = 0;
	for (unsigned round = 0; round < 20 && inside == 0; round++) {
		di = (word)area;
		cx = sizeof(area);
		last_ip = 0;
		__asm__ volatile("lea 1f(%%rip), %2\n\tsti\n1:\trep stosb\n\tcli"
				 : "+D"(di), "+c"(cx), "=&r"(ip)
				 : "a"(round + 1)
				 : "memory");
		CHECK_EQ(cx, 0);
		CHECK_EQ(di, (word)area + sizeof(area));
		if (last_ip == ip) {
			inside++;
			CHECK(last_cx > 0 && last_cx <= sizeof(area));
		}
		bool all = true;
		for (unsigned i = 0; i < sizeof(area); i += 61)
			all &= area[i] == round + 1;
		CHECK(all);
	}
	apic_write(A_LVTT, 0x10000);
	CHECK(irq_count[VEC_TIMER] > 0);
	CHECK_HW(inside > 0);
}

static void io_apic(void)
{
	start();
	CHECK_EQ(ioapic_read(1) >> 16 & 0xff, 23);
	ioapic_write(0x11 + 2 * 2, 0);
	ioapic_write(0x10 + 2 * 2, VEC_IOAPIC); /* pin 2: the PIT, edge */
	pit_one_shot(100);
	sti_hlt(VEC_IOAPIC);
	CHECK_EQ(irq_count[VEC_IOAPIC], 1);
	CHECK_EQ(ioapic_read(0x10 + 2 * 2) & 0xff, VEC_IOAPIC);
	ioapic_write(0x10 + 2 * 2, 0x10000);
	pit_one_shot(100);
	uint64_t t0 = rdtsc();
	sti();
	while (rdtsc() - t0 < 1000000)
		;
	cli();
	CHECK_EQ(irq_count[VEC_IOAPIC], 1);
}

static void x2apic(void)
{
	uint32_t r[4];
	cpuid(1, 0, r);
	if (!(r[2] & 1u << 21) || guest_is_tcg)
		return;
	start();
	wrmsr(0x1b, rdmsr(0x1b) | 0x400);
	CHECK_EQ(rdmsr(0x802), 0);
	CHECK_EQ(rdmsr(0x80f) & 0x1ff, 0x1ff);
	/* EOI in the hook is memory-mapped: only look at the request here, then go back. */
	wrmsr(0x83f, VEC_LOW); /* SELF IPI */
	CHECK_EQ(rdmsr(0x820 + VEC_LOW / 32) >> (VEC_LOW % 32) & 1, 1);
	CHECK_EQ(TRY("wrmsr", NOTHING, "a"(1), "d"(0), "c"(0x802)),
		 VEC_GP); /* the ID is read-only */
	CHECK_EQ(TRY("rdmsr", OUTS("=a"(dead), "=d"(dead)), "c"(0x80b)),
		 VEC_GP);						     /* EOI write-only */
	CHECK_EQ(TRY("wrmsr", NOTHING, "a"(1), "d"(0), "c"(0x80b)), VEC_GP); /* EOI takes 0 alone */
	/* From x2APIC mode back to xAPIC is only by way of disabled. */
	CHECK_EQ(TRY("wrmsr", NOTHING, "a"(0xfee00900), "d"(0), "c"(0x1b)), VEC_GP);
	wrmsr(0x1b, 0xfee00100);
	cpuid(1, 0, r);
	CHECK(!(r[3] & 1u << 9));
	wrmsr(0x1b, 0xfee00900);
	apic_write(A_SVR, 0x1ff);
}

static void counters(void)
{
	/* ACPI PM timer, 3.579545 MHz, against the TSC. */
	if (guest_is_tcg)
		return;
	uint32_t p0, p1;
	__asm__ volatile("inl %1, %0" : "=a"(p0) : "d"((uint16_t)0x608));
	uint64_t t0 = rdtsc();
	while (rdtsc() - t0 < 2000000)
		;
	__asm__ volatile("inl %1, %0" : "=a"(p1) : "d"((uint16_t)0x608));
	uint32_t d = (p1 - p0) & 0xffffff;
	CHECK(d > 7100 && d < 7300);
	/* HPET, 100 MHz. */
	volatile uint64_t *hpet = (volatile uint64_t *)0xfed00000ul;
	CHECK_EQ(hpet[0] >> 32, 10000000);
	hpet[2] |= 1;
	uint64_t h0 = hpet[0xf0 / 8];
	t0 = rdtsc();
	while (rdtsc() - t0 < 2000000)
		;
	uint64_t h1 = hpet[0xf0 / 8];
	CHECK(h1 - h0 >= 200000 && h1 - h0 < 203000);
}

void guest_main(void)
{
	RUN(pic_pit);
	RUN(shadows);
	RUN(apic_on);
	RUN(apic_timer);
	RUN(deadline);
	RUN(priorities);
	RUN(nmi);
	RUN(repeat);
	RUN(io_apic);
	RUN(x2apic);
	RUN(counters);
}
