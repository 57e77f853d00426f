/* SPDX-License-Identifier: Apache-2.0 */
/* Segmentation and privilege in 32-bit protected mode (SDM vol. 3, chapters 3, 5 and 6). */
#include "lib/user.h"

const char guest_name[] = "seg32";

#define N  SEL_FREE
#define N2 (SEL_FREE + 8)

static uint8_t area[8192] __attribute__((aligned(4096)));

static void gdt_set(unsigned sel, word base, uint32_t limit, unsigned attr)
{
	*(volatile uint64_t *)&guest_gdt[sel / 8] = desc_make(base, limit, attr);
}

static void load_fs(unsigned sel)
{
	__asm__ volatile("mov %w0, %%fs" : : "r"(sel) : "memory");
}

static int fs_read(uint32_t off)
{
	return TRY("movl %%fs:(%1), %0", "=r"(dead), "r"(off));
}
static int fs_write(uint32_t off)
{
	return TRY("movl $0, %%fs:(%0)", NOTHING, "r"(off));
}
static int fs_read8(uint32_t off)
{
	return TRY("movb %%fs:(%1), %b0", "=q"(dead), "r"(off));
}

static void limits(void)
{
	area[0x100] = 0x5a;
	gdt_set(N, (word)area, 0xfff, 0x4093);
	load_fs(N);
	CHECK_EQ(TRY("movzbl %%fs:(%1), %0", "=r"(dead), "r"(0x100)), -1);
	CHECK_EQ(dead, 0x5a);
	CHECK_EQ(fs_read(0xffc), -1);
	CHECK_HW_EQ(fs_read(0xffd), VEC_GP);
	CHECK_HW_EQ(trap.err, 0);
	CHECK_HW_EQ(fs_write(0x1000), VEC_GP);
	CHECK_HW_EQ(fs_read8(0x1000), VEC_GP);
	CHECK_EQ(fs_read8(0xfff), -1);
	CHECK_HW_EQ(fs_read(0xffffffff), VEC_GP);
	CHECK_HW_EQ(fs_read(0xfffffffe), VEC_GP);
	/* Page granularity: the low 12 bits of the limit are ones. */
	gdt_set(N, (word)area, 1, 0xc093);
	load_fs(N);
	CHECK_EQ(fs_read(0x1ffc), -1);
	CHECK_HW_EQ(fs_read(0x1ffd), VEC_GP);
	/* Expand-down: valid is what lies above the limit. */
	gdt_set(N, (word)area - 0x1000, 0xfff, 0x4097);
	load_fs(N);
	CHECK_EQ(fs_read(0x1000), -1);
	CHECK_HW_EQ(fs_read(0xfff), VEC_GP);
	CHECK_HW_EQ(fs_read(0), VEC_GP);
	gdt_set(N, (word)area - 0x1000, 0xfff, 0x0097); /* B clear: up to FFFFh */
	load_fs(N);
	CHECK_EQ(fs_read(0x1100), -1);
	CHECK_HW_EQ(fs_read(0xfffd), VEC_GP);
	CHECK_HW_EQ(fs_read(0x10000), VEC_GP);
	load_fs(0);
}

static void types(void)
{
	gdt_set(N, (word)area, 0xfff, 0x4091); /* read-only */
	load_fs(N);
	CHECK_EQ(fs_read(0), -1);
	CHECK_HW_EQ(fs_write(0), VEC_GP);
	load_fs(0);
	CHECK_HW_EQ(fs_read(0), VEC_GP); /* null */
	gdt_set(N, 0, 0xfffff, 0xc099);
	CHECK_EQ(TRY("mov %w0, %%fs", NOTHING, "r"(N)), VEC_GP); /* execute-only */
	CHECK_EQ(trap.err, N);
	CHECK_EQ(TRY("mov %w0, %%ss", NOTHING, "r"(0)),
		 VEC_GP); /* a null SS is never allowed here */
	CHECK_EQ(trap.err, 0);
	CHECK_HW_EQ(TRY("movl $0, %%cs:(%0)", NOTHING, "r"(area)), VEC_GP);
	/* Code that can be read may be loaded and read, not written. */
	load_fs(SEL_KCODE);
	CHECK_EQ(fs_read((word)area), -1);
	CHECK_HW_EQ(fs_write((word)area), VEC_GP);
	load_fs(0);
	/* ARPL raises the RPL. */
	uint32_t sel = 0x50, zf;
	__asm__ volatile("arpl %w2, %w0\n\tsetz %b1" : "+r"(sel), "=q"(zf) : "r"(0x3) : "cc");
	CHECK_EQ(sel, 0x53);
	CHECK_EQ(zf & 1, 1);
}

/* What lies beyond the limit of the stack segment is #SS(0); here by way of EBP, which implies SS.
 */
static void stack_segment(void)
{
	if (guest_is_tcg)
		return;
	/* The limit still covers the stack in use, so that the handler can run. */
	gdt_set(N, 0, 0x1ff, 0xc093);
	__asm__ volatile("mov %w0, %%ss" : : "r"(N));
	CHECK_EQ(TRY("mov $0x200000, %%eax\n\txchg %%eax, %%ebp\n\tmov (%%ebp), %%edx\n\txchg "
			 "%%eax, %%ebp",
			 OUTS("=a"(dead), "=d"(dead))),
		 VEC_SS);
	CHECK_EQ(trap.err, 0);
	__asm__ volatile("mov %w0, %%ss" : : "r"(SEL_KDATA));
}

/* 16-bit stack: SP wraps at 64 KiB and the high half of ESP stays. */
static void small_stack(void)
{
	uint32_t sp;
	gdt_set(N, (word)area, 0xffff, 0x0093);
	__asm__ volatile(
		"mov %%esp, %%ecx\n\tmov %%ss, %%edx\n\tmov %w1, %%ss\n\tmov $0x12340004, %%esp\n\t"
		"pushl $0x55667788\n\tmov %%esp, %0\n\tmov %%edx, %%ss\n\tmov %%ecx, %%esp"
		: "=&a"(sp)
		: "r"(N)
		: "ecx", "edx", "memory");
	CHECK_EQ(sp, 0x12340000);
	CHECK_EQ(*(uint32_t *)(void *)area, 0x55667788);
}

uint32_t seen[8];
void gate_entry(void);
__asm__(".text\n"
	"gate_entry: mov %esp, seen\n"
	"	mov (%esp), %eax; mov %eax, seen+4\n"
	"	mov 4(%esp), %eax; mov %eax, seen+8\n"
	"	mov 8(%esp), %eax; mov %eax, seen+12\n"
	"	mov 12(%esp), %eax; mov %eax, seen+16\n"
	"	mov 16(%esp), %eax; mov %eax, seen+20\n"
	"	mov 20(%esp), %eax; mov %eax, seen+24\n"
	"	mov %cs, %eax; mov %eax, seen+28\n"
	"	lret $8\n");
USER_CODE(user_gate, "mov %esp, %ebx; push $0x1111; push $0x2222; lcall $0x93, $0; user_gate_back: "
			 "mov %esp, %eax; sub %ebx, %eax");
USER_CODE(user_call_kernel, "lcall $0x0b, $gate_entry");
extern char user_gate_back[];

static void call_gates(void)
{
	word top = (word)guest_stack0 + sizeof(guest_stack0);
	word e = (word)gate_entry;
	uint64_t gate =
		(e & 0xffff) | SEL_KCODE << 16 | 0xec02ull << 32 | (uint64_t)(e & 0xffff0000) << 32;
	*(volatile uint64_t *)&guest_gdt[SEL_GATE / 8] = gate;
	CHECK_EQ(user_run(user_gate, 0), VEC_USER_RETURN);
	CHECK_EQ(seen[0], top - 24);
	CHECK_EQ(seen[1], (word)user_gate_back);
	CHECK_EQ(seen[2], SEL_UCODE32);
	CHECK_EQ(seen[3], 0x2222);
	CHECK_EQ(seen[4], 0x1111);
	CHECK_EQ(seen[5], (word)guest_stack3 + sizeof(guest_stack3) - 8);
	CHECK_EQ(seen[6], SEL_UDATA);
	CHECK_EQ(seen[7], SEL_KCODE);
	CHECK_EQ(trap.ax, 0); /* LRET $8 drops the parameters from both stacks */
	*(volatile uint64_t *)&guest_gdt[SEL_GATE / 8] = gate & ~(3ull << 45);
	CHECK_EQ(user_run(user_gate, 0), VEC_GP);
	CHECK_EQ(trap.err, SEL_GATE);
	*(volatile uint64_t *)&guest_gdt[SEL_GATE / 8] = gate & ~(1ull << 47);
	CHECK_EQ(user_run(user_gate, 0), VEC_NP);
	CHECK_EQ(trap.err, SEL_GATE);
	*(volatile uint64_t *)&guest_gdt[SEL_GATE / 8] = 0;
	CHECK_EQ(user_run(user_call_kernel, 0), VEC_GP);
	CHECK_EQ(trap.err, SEL_KCODE);
	/* A bad stack in the TSS: #TS with its selector. */
	*(volatile uint64_t *)&guest_gdt[SEL_GATE / 8] = gate;
	guest_tss.ss1 = 0;
	guest_tss.esp1 = top;
	uint64_t code1 = desc_make(0, 0xfffff, 0xc0bb); /* a ring-1 target */
	*(volatile uint64_t *)&guest_gdt[N2 / 8] = code1;
	*(volatile uint64_t *)&guest_gdt[SEL_GATE / 8] = (gate & ~0xffff0000ull) | N2 << 16;
	CHECK_EQ(user_run(user_gate, 0), VEC_TS);
	CHECK_EQ(trap.err, 0);
	guest_tss.ss1 = SEL_KDATA | 1; /* its DPL is 0 */
	CHECK_EQ(user_run(user_gate, 0), VEC_TS);
	CHECK_EQ(trap.err, SEL_KDATA);
	*(volatile uint64_t *)&guest_gdt[SEL_GATE / 8] = 0;
}

USER_CODE(user_out, "out %al, $0x80");
USER_CODE(user_hlt, "hlt");
USER_CODE(user_ud, "ud2");
USER_CODE(user_ds, "mov $0x10, %eax; mov %eax, %ds");
USER_CODE(user_segments, "mov %ds, %eax");
USER_CODE(user_limit, "mov %gs:0x10, %eax");

static void user_mode(void)
{
	CHECK_EQ(user_run(user_ud, 0), VEC_UD);
	CHECK_EQ(trap.cs, SEL_UCODE32);
	CHECK_EQ(trap.ss, SEL_UDATA);
	CHECK_EQ(trap.sp, (word)guest_stack3 + sizeof(guest_stack3));
	CHECK(trap.handler_sp >= (word)guest_stack0 &&
		  trap.handler_sp < (word)guest_stack0 + sizeof(guest_stack0));
	CHECK_EQ(user_run(user_hlt, 0), VEC_GP);
	CHECK_EQ(user_run(user_ds, 0), VEC_GP);
	CHECK_EQ(trap.err, SEL_KDATA);
	CHECK_EQ(user_run(user_segments, 0), VEC_USER_RETURN);
	CHECK_EQ(trap.ax, SEL_UDATA);
	/* A DS that ring 3 may not have is null there. */
	guest_trap_arm();
	user_enter((word)user_segments, (word)guest_stack3 + sizeof(guest_stack3), 2, 0,
		   SEL_UCODE32, SEL_UDATA);
	CHECK_EQ(trap.vector, VEC_USER_RETURN);
	CHECK_EQ(trap.ax, 0);
	CHECK_EQ(user_run(user_out, 0), VEC_GP);
	guest_tss.iobits[0x80 / 8] = 0;
	CHECK_EQ(user_run(user_out, 0), VEC_USER_RETURN);
	guest_tss.iobits[0x80 / 8] = 0xff;
	CHECK_EQ(user_run_flags(user_out, 0, 2 | FLAG_IOPL3), VEC_USER_RETURN);
	gdt_set(N, (word)area, 0x12, 0x40f3);
	__asm__ volatile("mov %w0, %%gs" : : "r"(N | 3));
	CHECK_HW_EQ(user_run(user_limit, 0), VEC_GP);
	__asm__ volatile("mov %w0, %%gs" : : "r"(0));
}

static void exceptions(void)
{
	struct {
		int32_t lo, hi;
	} bounds = {5, 10};
	/* BOUND EAX, [EDX] */
	CHECK_EQ(TRY(".byte 0x62, 0x02", NOTHING, "a"(7), "d"(&bounds), "m"(bounds)), -1);
	CHECK_EQ(TRY(".byte 0x62, 0x02", NOTHING, "a"(4), "d"(&bounds), "m"(bounds)), VEC_BR);
	CHECK_EQ(TRY("mov $0x7fffffff, %%eax\n\tinc %%eax\n\tinto", "=a"(dead)), VEC_OF);
	CHECK_EQ(*(uint8_t *)(trap.ip - 1), 0xce);
	CHECK_EQ(TRY("xor %%eax, %%eax\n\tinto", "=a"(dead)), -1);
	CHECK_EQ(TRY("aam $0", "=a"(dead)), VEC_DE);
	CHECK_EQ(TRY("int $0x40", NOTHING), 0x40);
	idt_raw(0x40)[5] &= 0x7f;
	CHECK_EQ(TRY("int $0x40", NOTHING), VEC_NP);
	CHECK_EQ(trap.err, 0x40 * 8 + 2);
	idt_set(0x40, (word)trap_entries + 16 * 0x40, 0, 0xe, 0);
	/* LES from a register. */
	CHECK_HW_EQ(TRY(".byte 0xc4, 0xc0", NOTHING), VEC_UD);
	CHECK_HW_EQ(TRY(".byte 0x0f, 0x05", NOTHING), VEC_UD); /* SYSCALL */
}

uint32_t code16(void);
__asm__(".text\n"
	"code16: push %ebx; push %esi; lcall $0x58, $code16_body\n pop %esi; pop %ebx; ret\n"
	".code16\n"
	"code16_body:\n"
	"	mov $0xffff, %ax; inc %ax; setz %bl\n" /* 16-bit operands by default */
	"	movl $0x12345678, %eax; push %ax; pop %cx\n"
	"	movw $0x4321, %si; movzbl %bl, %eax; shll $16, %eax; mov %cx, %ax\n"
	"	lretl\n"
	".code32\n");

static void sixteen_bit(void)
{
	gdt_set(N2, 0, 0xfffff, 0x809b);
	CHECK_EQ(code16(), 0x15678);
}

void guest_main(void)
{
	RUN(limits);
	RUN(types);
	RUN(stack_segment);
	RUN(small_stack);
	RUN(call_gates);
	RUN(user_mode);
	RUN(exceptions);
	RUN(sixteen_bit);
}
