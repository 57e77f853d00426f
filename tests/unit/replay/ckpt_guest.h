/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole machine on the exact engine with a small Multiboot guest: it takes
 * PIT interrupts, halts now and then, writes pseudo-random words to 64 KiB of
 * RAM, prints, and keeps x87 and SSE registers busy. No host input at all.
 */
#ifndef TEST_CKPT_GUEST_H
#define TEST_CKPT_GUEST_H

#include "tests/unit/boot/images.h"
#include "tests/unit/record/trace_util.h"

#include "machine/machine.h"

#define GUEST_MEMORY (4u << 20)
#define GUEST_ENTRY 0x100010u

extern const uint8_t ckpt_guest[], ckpt_guest_end[];
#define AT(label) "(0x100010 + " label " - ckpt_guest)"
__asm__(".pushsection .rodata\n"
	".code32\n"
	"ckpt_guest:\n"
	"	mov $0x180000, %esp\n"
	"	lgdt " AT("cg_gdtp") "\n"
	"	ljmp $8, $" AT("cg_flat") "\n"
	"cg_flat:\n"
	"	mov $16, %ax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %es\n"
	"	mov %ax, %ss\n"
	"	mov $0x181000, %edi\n" /* IDT: every gate to one handler */
	"	mov $256, %ecx\n"
	"	mov $" AT("cg_irq") ", %eax\n"
	"cg_gate:\n"
	"	movzwl %ax, %edx\n"
	"	or $0x80000, %edx\n"
	"	mov %edx, (%edi)\n"
	"	mov %eax, %edx\n"
	"	mov $0x8e00, %dx\n"
	"	mov %edx, 4(%edi)\n"
	"	add $8, %edi\n"
	"	loop cg_gate\n"
	"	lidt " AT("cg_idtp") "\n"
	"	mov $0x11, %al\n" /* PIC: vectors from 20h, IRQ 0 alone */
	"	out %al, $0x20\n"
	"	mov $0x20, %al\n"
	"	out %al, $0x21\n"
	"	mov $4, %al\n"
	"	out %al, $0x21\n"
	"	mov $1, %al\n"
	"	out %al, $0x21\n"
	"	mov $0xfe, %al\n"
	"	out %al, $0x21\n"
	"	mov $0x34, %al\n" /* PIT channel 0: every 16 ticks, 13 microseconds */
	"	out %al, $0x43\n"
	"	mov $16, %al\n"
	"	out %al, $0x40\n"
	"	mov $0, %al\n"
	"	out %al, $0x40\n"
	"	fninit\n"
	"	mov %cr4, %eax\n"
	"	or $0x600, %eax\n"
	"	mov %eax, %cr4\n"
	"	mov $0x120000, %edi\n"
	"	xor %ecx, %ecx\n"
	"	xor %ebx, %ebx\n"
	"	sti\n"
	"cg_main:\n"
	"	imul $1664525, %ebx, %ebx\n"
	"	add $1013904223, %ebx\n"
	"	mov %ebx, %edx\n"
	"	shr $8, %edx\n"
	"	and $0xfffc, %edx\n"
	"	mov %ebx, (%edi,%edx)\n"
	"	inc %ecx\n"
	"	test $0x7f, %cl\n"
	"	jnz cg_main\n"
	"	fldpi\n"
	"	fimull (%edi)\n"
	"	fstp %st(5)\n"
	"	movd %ebx, %xmm1\n"
	"	pxor %xmm1, %xmm3\n"
	"	mov $0x3f8, %dx\n"
	"	mov %bl, %al\n"
	"	out %al, %dx\n"
	"	test $0x3ff, %ecx\n"
	"	jnz cg_main\n"
	"	movd %ebx, %mm2\n"
	"	emms\n"
	"	hlt\n"
	"	jmp cg_main\n"
	"cg_irq:\n"
	"	push %eax\n"
	"	incl 0x182000\n"
	"	mov $0x20, %al\n"
	"	out %al, $0x20\n"
	"	pop %eax\n"
	"	iret\n"
	"	.balign 8\n"
	"cg_gdt:\n"
	"	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
	"cg_gdtp:\n"
	"	.word 23\n"
	"	.long " AT("cg_gdt") "\n"
	"cg_idtp:\n"
	"	.word 2047\n"
	"	.long 0x181000\n"
	"ckpt_guest_end:\n"
	".code64\n"
	".popsection");
#undef AT

/* Both ports: nothing comes in, what goes out is dropped. A halt without end is an end. */
struct ckpt_ports {
	struct nondet nondet;
	struct output output;
	struct nondet *inner; /* when set: asked instead */
	uint64_t waits; /* answers in halts since the last reset by a test */
};

static int ckpt_nd_next(struct nondet *nd, const struct nd_query *q, struct nd_event *ev)
{
	struct ckpt_ports *p = (struct ckpt_ports *)nd;
	if (p->inner)
		return nondet_next(p->inner, q, ev);
	if (!q->halted)
		return 0;
	return q->deadline == VNS_NEVER || ++p->waits > 2000 ? RV_EEND : 0;
}

static icount_t ckpt_nd_horizon(struct nondet *nd, icount_t icount)
{
	(void)nd;
	(void)icount;
	return ICOUNT_MAX;
}

static void ckpt_emit(struct output *out, icount_t icount, enum out_kind kind, unsigned instance,
		      const void *data, size_t len)
{
	(void)out, (void)icount, (void)kind, (void)instance, (void)data, (void)len;
}

static const struct nondet_ops ckpt_nd_ops = { .next = ckpt_nd_next, .horizon = ckpt_nd_horizon };
static const struct output_ops ckpt_out_ops = { .emit = ckpt_emit };

static struct machine *ckpt_machine(struct ckpt_ports *ports)
{
	static const char name[] = "guest";
	uint8_t image[IMAGE_MAX];
	struct machine_cfg cfg = { .memory = GUEST_MEMORY, .ncpus = 1, .engine = &engine_exact_ops,
				   .clock_rate = 1ull << 32, .cmdline = "", .kernel = image,
				   .kernel_name = name };
	struct machine *m = NULL;
	struct rv_err err = { 0 };
	cfg.kernel_len = image_multiboot(image);
	memcpy(image + 4096 + 16, ckpt_guest, (size_t)(ckpt_guest_end - ckpt_guest));
	memset(ports, 0, sizeof(*ports));
	ports->nondet.ops = &ckpt_nd_ops;
	ports->output.ops = &ckpt_out_ops;
	cfg.nondet = &ports->nondet;
	cfg.output = &ports->output;
	if (machine_create(&m, &cfg, &err))
		fail_msg("%s", err.text);
	return m;
}

/* Runs n further steps; any end but the limit is a failure. */
UNUSED static void ckpt_run(struct machine *m, struct ckpt_ports *ports, icount_t n)
{
	struct machine_limits lim = { .icount = machine_icount(m) + n, .break_skip = ICOUNT_MAX };
	struct machine_result res;
	ports->waits = 0;
	assert_int_equal(machine_run(m, &lim, &res), 0);
	assert_int_equal(res.end, MACHINE_END_LIMIT);
	assert_int_equal(machine_icount(m), lim.icount);
}

#endif
