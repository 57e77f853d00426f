/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions in 64-bit mode (SDM vol. 3, chapter 6): vectors, error codes, what is pushed, IST,
 * #DF. */
#include "lib/user.h"

const char guest_name[] = "except64";

static uint8_t other_stack[4096] __attribute__((aligned(4096)));
static uint8_t df_stack[4096] __attribute__((aligned(4096)));

#define UNMAPPED 0x8000000000ull
/* SDM vol. 3, 6.13: the index is the vector. TCG gives twice that in long mode. */
#define GATE_ERR(n) ((n) * (guest_is_tcg ? 16u : 8u) + 2)

static bool on_stack(const uint8_t *stack, size_t size)
{
	return trap.handler_sp >= (word)stack && trap.handler_sp < (word)stack + size;
}

static void divide(void)
{
	word ip;
	CHECK_EQ(TRY("lea 2f(%%rip), %0\n2:\tdivl %%ecx", "=&r"(ip), "a"(1), "d"(0), "c"(0)),
		 VEC_DE);
	CHECK_EQ(trap.ip, ip);
	CHECK_EQ(trap.cs, SEL_KCODE);
	CHECK_EQ(TRY("idivl %1", "=a"(dead), "r"(-1), "a"(0x80000000), "d"(-1)), VEC_DE);
	CHECK_EQ(TRY("idivq %1", "=a"(dead), "r"(-1ll), "a"(1ull << 63), "d"(-1ll)), VEC_DE);
	CHECK_EQ(TRY("divb %1", "=a"(dead), "q"((uint8_t)1), "a"(0x100)), VEC_DE);
	CHECK_EQ(TRY("divb %1", "=a"(dead), "q"((uint8_t)2), "a"(0x100)), -1);
}

static void undefined(void)
{
	CHECK_EQ(TRY("ud2", NOTHING), VEC_UD);
	CHECK_EQ(TRY(".byte 0x06", NOTHING), VEC_UD);		  /* PUSH ES */
	CHECK_EQ(TRY(".byte 0xce", NOTHING), VEC_UD);		  /* INTO */
	CHECK_EQ(TRY(".byte 0x27", NOTHING), VEC_UD);		  /* DAA */
	CHECK_EQ(TRY(".byte 0xf0, 0x01, 0xc0", NOTHING), VEC_UD); /* LOCK ADD EAX, EAX */
	CHECK_HW_EQ(TRY(".byte 0xf0, 0x8b, 0x00", NOTHING, "a"(&dead)), VEC_UD); /* LOCK MOV load */
	CHECK_EQ(TRY(".byte 0x8e, 0xc8", NOTHING, "a"(0x10)), VEC_UD);		 /* MOV CS */
	CHECK_EQ(TRY(".byte 0x0f, 0x20, 0xc8", "=a"(dead)), VEC_UD);		 /* MOV from CR1 */
	CHECK_EQ(TRY(".byte 0x0f, 0x0b", NOTHING), VEC_UD);
	CHECK_EQ(TRY(".byte 0xfe, 0xf8", NOTHING), VEC_UD);   /* group 4, /7 */
	CHECK_EQ(TRY(".byte 0x0f, 0x01, 0xf8", NOTHING), -1); /* SWAPGS */
	CHECK_EQ(TRY("swapgs", NOTHING), -1);
	/* Features the model lacks. */
	if (!guest_is_tcg) {
		CHECK_EQ(TRY(".byte 0xc5, 0xf8, 0x77", NOTHING), VEC_UD);    /* VZEROUPPER */
		CHECK_EQ(TRY(".byte 0x0f, 0xc7, 0xf0", "=a"(dead)), VEC_UD); /* RDRAND */
		CHECK_EQ(TRY(".byte 0xf3, 0x48, 0x0f, 0xae, 0xc0", "=a"(dead)),
			 VEC_UD);						     /* RDFSBASE */
		CHECK_EQ(TRY(".byte 0x0f, 0x01, 0xd0", "=a"(dead), "c"(0)), VEC_UD); /* XGETBV */
		CHECK_EQ(TRY(".byte 0x0f, 0x01, 0xc8", NOTHING, "a"(&dead), "c"(0), "d"(0)),
			 VEC_UD); /* MONITOR */
	}
	/* More than 15 bytes. */
	CHECK_EQ(
		TRY(".byte "
		"0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90",
		NOTHING),
		VEC_GP);
	CHECK_EQ(trap.err, 0);
	CHECK_EQ(
		TRY(".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90",
		NOTHING),
		-1);
}

static void software(void)
{
	CHECK_EQ(TRY("int3", NOTHING), VEC_BP);
	CHECK_EQ(*(uint8_t *)(trap.ip - 1), 0xcc);
	CHECK_EQ(TRY(".byte 0xcd, 3", NOTHING), VEC_BP);
	CHECK_EQ(*(uint8_t *)(trap.ip - 2), 0xcd);
	CHECK_EQ(TRY("int $0x40", NOTHING), 0x40);
	CHECK_EQ(*(uint8_t *)(trap.ip - 1), 0x40);
	CHECK_EQ(trap.flags & FLAG_RF, 0);
	CHECK_EQ(TRY("int $0xff", NOTHING), 0xff);
}

USER_CODE(user_int40, "int $0x40");
USER_CODE(user_int3, "int3");
USER_CODE(user_nothing, "mov %rdi, %rax");
USER_CODE(user_ud, "ud2");

static void from_user(void)
{
	CHECK_EQ(user_run(user_int40, 0), VEC_GP);
	CHECK_EQ(trap.err, GATE_ERR(0x40));
	CHECK_EQ(trap.ip, (word)user_int40);
	CHECK_EQ(trap.cs, SEL_UCODE64);
	CHECK_EQ(trap.ss, SEL_UDATA);
	CHECK_EQ(user_run(user_int3, 0), VEC_BP);
	CHECK_EQ(trap.ip, (word)user_int3 + 1);
	CHECK_EQ(user_run(user_ud, 0), VEC_UD);
	CHECK_EQ(user_run(user_nothing, 0x1234567890), VEC_USER_RETURN);
	CHECK_EQ(trap.ax, 0x1234567890);
	CHECK_EQ(trap.sp, (word)guest_stack3 + sizeof(guest_stack3));
	CHECK(on_stack(guest_stack0, sizeof(guest_stack0)));
	/* The frame starts at RSP0 itself. */
	CHECK_EQ(trap.handler_sp + sizeof(struct frame), (word)guest_stack0 + sizeof(guest_stack0));
}

static void gates(void)
{
	uint8_t *g = idt_raw(0x40);
	g[5] &= 0x7f;
	CHECK_EQ(TRY("int $0x40", NOTHING), VEC_NP);
	CHECK_EQ(trap.err, GATE_ERR(0x40));
	g[5] = 0x80 | 0x5; /* task gate: not in long mode */
	CHECK_EQ(TRY("int $0x40", NOTHING), VEC_GP);
	CHECK_EQ(trap.err, GATE_ERR(0x40));
	idt_set(0x40, (word)trap_entries + 16 * 0x40, 0, 0xe, 0);
	/* Selector problems name the selector. */
	g[2] = 0;
	g[3] = 0;
	CHECK_EQ(TRY("int $0x40", NOTHING), VEC_GP);
	CHECK_EQ(trap.err, 0);
	g[2] = SEL_KDATA;
	CHECK_EQ(TRY("int $0x40", NOTHING), VEC_GP);
	CHECK_EQ(trap.err, SEL_KDATA);
	g[2] = SEL_KCODE32; /* not a 64-bit segment */
	CHECK_EQ(TRY("int $0x40", NOTHING), VEC_GP);
	CHECK_EQ(trap.err, SEL_KCODE32);
	idt_set(0x40, (word)trap_entries + 16 * 0x40, 0, 0xe, 0);
	/* A fault while delivering an exception has EXT set in its error code (SDM vol. 3, 6.13).
	 */
	idt_raw(VEC_UD)[5] &= 0x7f;
	CHECK_EQ(TRY("ud2", NOTHING), VEC_NP);
	CHECK_HW_EQ(trap.err, GATE_ERR(VEC_UD) + 1);
	idt_raw(VEC_UD)[5] |= 0x80;
	/* Beyond the limit. */
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) small, old;
	__asm__ volatile("sidt %0" : "=m"(old));
	small.limit = 16 * 32 - 1;
	small.base = old.base;
	CHECK_EQ(old.limit, 16 * 256 - 1);
	__asm__ volatile("lidt %0" : : "m"(small));
	CHECK_EQ(TRY("int $0x40", NOTHING), VEC_GP);
	CHECK_EQ(trap.err, GATE_ERR(0x40));
	__asm__ volatile("lidt %0" : : "m"(old));
}

static void protection(void)
{
	CHECK_EQ(TRY("mov %w0, %%ds", NOTHING, "r"(SEL_TSS)), VEC_GP);
	CHECK_EQ(trap.err, SEL_TSS);
	CHECK_EQ(TRY("mov %w0, %%ds", NOTHING, "r"(0x1f8)), VEC_GP);
	CHECK_EQ(trap.err, 0x1f8);
	CHECK_EQ(TRY("mov %w0, %%ss", NOTHING, "r"(SEL_UDATA)), VEC_GP);
	CHECK_EQ(trap.err, SEL_UDATA & ~3);
	guest_gdt[SEL_FREE / 8] = desc_make(0, 0xfffff, 0xc013); /* not present */
	CHECK_EQ(TRY("mov %w0, %%ds", NOTHING, "r"(SEL_FREE)), VEC_NP);
	CHECK_EQ(trap.err, SEL_FREE);
	CHECK_EQ(TRY("mov %w0, %%ss", NOTHING, "r"(SEL_FREE)), VEC_SS);
	CHECK_EQ(trap.err, SEL_FREE);
	CHECK_EQ(TRY("ltr %w0", NOTHING, "r"(SEL_TSS)), VEC_GP); /* busy */
	CHECK_EQ(trap.err, SEL_TSS);
	CHECK_HW_EQ(TRY("ltr %w0", NOTHING, "r"(0)), VEC_GP);
	CHECK_HW_EQ(trap.err, 0);
	CHECK_EQ(TRY("lldt %w0", NOTHING, "r"(SEL_KDATA)), VEC_GP);
	CHECK_EQ(trap.err, SEL_KDATA);
}

static void control(void)
{
	word cr0 = read_cr0(), cr4 = read_cr4();
	CHECK_HW_EQ(TRY("mov %0, %%cr4", NOTHING, "r"(cr4 | 1ul << 31)), VEC_GP);
	CHECK_HW_EQ(TRY("mov %0, %%cr4", NOTHING, "r"(cr4 & ~0x20ul)),
			VEC_GP);						     /* PAE in long mode */
	CHECK_HW_EQ(TRY("mov %0, %%cr0", NOTHING, "r"(cr0 & ~1ul)), VEC_GP); /* PG without PE */
	CHECK_HW_EQ(TRY("mov %0, %%cr0", NOTHING, "r"(cr0 | 1ul << 29)),
			VEC_GP); /* NW without CD */
	CHECK_HW_EQ(TRY("mov %0, %%cr0", NOTHING, "r"(cr0 | 1ul << 32)), VEC_GP);
	CHECK_HW_EQ(TRY("mov %0, %%cr8", NOTHING, "r"(16ul)), VEC_GP);
	CHECK_HW_EQ(TRY("mov %0, %%cr3", NOTHING, "r"(1ul << 50)), VEC_GP);
	CHECK_EQ(read_cr0(), cr0);
	CHECK_EQ(read_cr4(), cr4);
	CHECK_HW_EQ(TRY("wrmsr", NOTHING, "a"(0), "d"(0), "c"(0xdead)), VEC_GP);
	CHECK_HW_EQ(TRY("rdmsr", OUTS("=a"(dead), "=d"(dead)), "c"(0xdead)), VEC_GP);
	uint64_t efer = rdmsr(0xc0000080);
	CHECK_HW_EQ(TRY("wrmsr", NOTHING, "a"((uint32_t)efer & ~0x100u), "d"(0), "c"(0xc0000080)),
			VEC_GP); /* LME while paging is on */
	CHECK_HW_EQ(TRY("wrmsr", NOTHING, "a"((uint32_t)efer | 2), "d"(0), "c"(0xc0000080)),
			VEC_GP);
	CHECK_EQ(rdmsr(0xc0000080), efer);
	CHECK_HW_EQ(TRY("wrmsr", NOTHING, "a"(0), "d"(0x8000), "c"(0xc0000100)),
			VEC_GP);							/* FS base */
	CHECK_HW_EQ(TRY("wrmsr", NOTHING, "a"(2), "d"(0), "c"(0x277)), VEC_GP); /* PAT */
}

static void double_fault(void)
{
	guest_tss.ist[2] = (word)df_stack + sizeof(df_stack);
	idt_set(VEC_DF, (word)trap_entries + 16 * VEC_DF, 0, 0xe, 3);
	/* Contributory after contributory: #GP whose gate is not present. */
	idt_raw(VEC_GP)[5] &= 0x7f;
	CHECK_EQ(TRY("mov %w0, %%ds", NOTHING, "r"(SEL_TSS)), VEC_DF);
	CHECK_EQ(trap.err, 0);
	CHECK(on_stack(df_stack, sizeof(df_stack)));
	idt_raw(VEC_GP)[5] |= 0x80;
	/* Contributory after a page fault. */
	idt_raw(VEC_PF)[5] &= 0x7f;
	CHECK_EQ(TRY("mov (%1), %0", "=r"(dead), "r"(UNMAPPED)), VEC_DF);
	CHECK_EQ(trap.err, 0);
	CHECK_EQ(trap.cr2, UNMAPPED);
	idt_raw(VEC_PF)[5] |= 0x80;
	/* A page fault after a page fault: the stack is gone. */
	CHECK_EQ(TRY("mov %0, %%rsp\n\tpush %%rax", NOTHING, "r"(UNMAPPED + 4096)), VEC_DF);
	CHECK_EQ(trap.sp, UNMAPPED + 4096);
	/* A page fault after a contributory one is a page fault: no double fault here. */
	guest_tss.ist[1] = UNMAPPED + 4096;
	guest_tss.ist[3] = (word)other_stack + sizeof(other_stack);
	idt_set(VEC_DE, (word)trap_entries + 16 * VEC_DE, 0, 0xe, 2);
	idt_set(VEC_PF, (word)trap_entries + 16 * VEC_PF, 0, 0xe, 4);
	CHECK_EQ(TRY("mov %w1, %%ax\n\tdivb %%ah", "=a"(dead), "r"(1)), VEC_PF);
	CHECK(on_stack(other_stack, sizeof(other_stack)));
	idt_set(VEC_DE, (word)trap_entries + 16 * VEC_DE, 0, 0xe, 0);
	idt_set(VEC_PF, (word)trap_entries + 16 * VEC_PF, 0, 0xe, 0);
}

static void stacks(void)
{
	guest_tss.ist[6] = (word)other_stack + sizeof(other_stack) - 8;
	idt_set(0x41, (word)trap_entries + 16 * 0x41, 0, 0xe, 7);
	CHECK_EQ(TRY("int $0x41", NOTHING), 0x41);
	CHECK(on_stack(other_stack, sizeof(other_stack)));
	/* Aligned down to 16 bytes. */
	CHECK_EQ(trap.handler_sp + sizeof(struct frame),
		 (word)other_stack + sizeof(other_stack) - 16);
	word sp = 0;
	CHECK_EQ(TRY("sub $3, %%rsp\n\tmov %%rsp, %0\n\tint $0x40", "=&r"(sp)), 0x40);
	CHECK_EQ((trap.handler_sp + sizeof(struct frame)) & 15, 0);
	CHECK_EQ(trap.ss, SEL_KDATA);
	CHECK_EQ(trap.sp & 15, (trap_sp - 3) & 15);
}

static void flags(void)
{
	/* Faults push RF set, traps clear (SDM vol. 3, 17.3.1.1). */
	CHECK_EQ(TRY("stc\n\tstd\n\tud2", NOTHING), VEC_UD);
	CHECK(trap.flags & FLAG_CF);
	CHECK(trap.flags & FLAG_DF);
	CHECK_HW(trap.flags & FLAG_RF);
	CHECK_EQ(TRY("mov (%1), %0", "=r"(dead), "r"(UNMAPPED)), VEC_PF);
	CHECK_HW(trap.flags & FLAG_RF);
	CHECK_EQ(TRY("int3", NOTHING), VEC_BP);
	CHECK(!(trap.flags & FLAG_RF));
	/* Interrupt gates clear IF and TF, both clear NT and RF. */
	write_flags(2 | FLAG_NT);
	CHECK_EQ(TRY("int $0x40", NOTHING), 0x40);
	CHECK(trap.flags & FLAG_NT);
	write_flags(2);
}

USER_CODE(user_misaligned, "mov 1(%rdi), %eax");
USER_CODE(user_aligned, "mov 4(%rdi), %eax");

static void alignment(void)
{
	static uint64_t words[4];
	write_cr0(read_cr0() | 0x40000);
	CHECK_HW_EQ(user_run_flags(user_misaligned, (word)words, 2 | FLAG_AC), VEC_AC);
	CHECK_HW_EQ(trap.err, 0);
	CHECK_EQ(user_run_flags(user_aligned, (word)words, 2 | FLAG_AC), VEC_USER_RETURN);
	CHECK_EQ(user_run(user_misaligned, (word)words), VEC_USER_RETURN);
	/* Not at CPL 0. */
	write_flags(2 | FLAG_AC);
	CHECK_EQ(TRY("mov 1(%1), %0", "=r"(dead), "r"(words)), -1);
	write_flags(2);
	write_cr0(read_cr0() & ~0x40000ul);
	CHECK_EQ(user_run_flags(user_misaligned, (word)words, 2 | FLAG_AC), VEC_USER_RETURN);
}

void guest_main(void)
{
	RUN(divide);
	RUN(undefined);
	RUN(software);
	RUN(from_user);
	RUN(gates);
	RUN(protection);
	RUN(control);
	RUN(double_fault);
	RUN(stacks);
	RUN(flags);
	RUN(alignment);
}
