/* SPDX-License-Identifier: Apache-2.0 */
/* Segments in long mode: LAR LSL VERR VERW, loads, FS and GS, LDT, compatibility mode, far
 * transfers. */
#include "lib/user.h"

const char guest_name[] = "seg64";

#define N SEL_FREE

static void gdt_set(unsigned sel, uint32_t base, uint32_t limit, unsigned attr)
{
	guest_gdt[sel / 8] = desc_make(base, limit, attr);
}

static bool lar(unsigned sel, uint32_t *out)
{
	bool ok;
	*out = 0;
	__asm__ volatile("lar %2, %0\n\tsetz %1"
			 : "+r"(*out), "=qm"(ok)
			 : "r"(sel)
			 : "memory", "cc");
	return ok;
}
static bool lsl(unsigned sel, uint32_t *out)
{
	bool ok;
	*out = 0;
	__asm__ volatile("lsl %2, %0\n\tsetz %1"
			 : "+r"(*out), "=qm"(ok)
			 : "r"(sel)
			 : "memory", "cc");
	return ok;
}
static bool verr(unsigned sel)
{
	bool ok;
	__asm__ volatile("verr %w1\n\tsetz %0" : "=qm"(ok) : "r"(sel) : "memory", "cc");
	return ok;
}
static bool verw(unsigned sel)
{
	bool ok;
	__asm__ volatile("verw %w1\n\tsetz %0" : "=qm"(ok) : "r"(sel) : "memory", "cc");
	return ok;
}

static void probes(void)
{
	uint32_t v;
	CHECK(lar(SEL_KDATA, &v));
	CHECK_EQ(v & 0xf0ff00, 0xc09300); /* bits 16-19 are undefined */
	CHECK(lsl(SEL_KDATA, &v));
	CHECK_EQ(v, 0xffffffff);
	CHECK(!lar(0, &v));
	CHECK(!lar(0x7f8, &v));
	CHECK(!lsl(0, &v));
	CHECK(!verr(0));
	gdt_set(N, 0, 0x123, 0x4093);
	CHECK(lsl(N, &v));
	CHECK_EQ(v, 0x123);
	gdt_set(N, 0, 0x123, 0xc093);
	CHECK(lsl(N, &v));
	CHECK_EQ(v, 0x123fff);
	CHECK(verr(N) && verw(N));
	gdt_set(N, 0, 0xfffff, 0xc091); /* read-only data */
	CHECK(verr(N) && !verw(N));
	gdt_set(N, 0, 0xfffff, 0xc099); /* execute-only code */
	CHECK(!verr(N) && !verw(N));
	gdt_set(N, 0, 0xfffff, 0xc09b);
	CHECK(verr(N) && !verw(N));
	/* DPL below RPL. */
	CHECK(verr(N) && !verr(N | 3));
	CHECK(lar(N, &v) && !lar(N | 3, &v));
	gdt_set(N, 0, 0xfffff, 0xc09f); /* conforming */
	CHECK(verr(N | 3));
	CHECK(lar(N | 3, &v));
	/* System descriptors: TSS and LDT have a limit, gates have not; 64-bit interrupt gates are
	 * not seen. */
	CHECK(lar(SEL_TSS, &v));
	CHECK_EQ(v & 0xf00, 0xb00);
	CHECK(lsl(SEL_TSS, &v));
	CHECK_EQ(v, sizeof(guest_tss) - 1);
	CHECK(!verr(SEL_TSS));
	gdt_set(SEL_GATE, 0, 0, 0x8c);
	guest_gdt[SEL_GATE / 8 + 1] = 0;
	CHECK(lar(SEL_GATE, &v));
	CHECK(!lsl(SEL_GATE, &v));
	gdt_set(SEL_GATE, 0, 0, 0x8e);
	CHECK(!lar(SEL_GATE, &v));
	gdt_set(SEL_GATE, 0, 0, 0x83); /* 16-bit busy TSS */
	CHECK_HW(!lar(SEL_GATE, &v) && !lsl(SEL_GATE, &v));
	gdt_set(SEL_GATE, 0, 0, 0);
	/* Not present does not matter to them. */
	gdt_set(N, 0, 0xfffff, 0xc013);
	CHECK(lar(N, &v) && verr(N));
}

static void loads(void)
{
	gdt_set(N, 0, 0xfffff, 0xc092); /* not yet accessed */
	__asm__ volatile("mov %w0, %%es" : : "r"(N) : "memory");
	CHECK_EQ(guest_gdt[N / 8] >> 40 & 1, 1);
	gdt_set(N, 0, 0xfffff, 0xc099);
	CHECK_EQ(TRY("mov %w0, %%es", NOTHING, "r"(N)), VEC_GP);
	CHECK_EQ(trap.err, N);
	word es;
	__asm__ volatile("mov %%es, %0" : "=r"(es));
	CHECK_EQ(es, N); /* kept */
	gdt_set(N, 0, 0xfffff, 0xc091);
	CHECK_EQ(TRY("mov %w0, %%es", NOTHING, "r"(N)), -1);
	CHECK_EQ(TRY("mov %w0, %%ss", NOTHING, "r"(N)), VEC_GP); /* SS must be writable */
	CHECK_EQ(TRY("mov %w0, %%es", NOTHING, "r"(N | 3)), VEC_GP);
	CHECK_EQ(trap.err, N);
	CHECK_EQ(TRY("mov %w0, %%es", NOTHING, "r"(0)), -1);
	CHECK_EQ(TRY("mov %w0, %%es", NOTHING, "r"(3)), -1);
	/* A null SS at CPL 0 is allowed with RPL 0. */
	CHECK_EQ(TRY("mov %w1, %%ss\n\tmov %2, %0\n\tmov %w0, %%ss", "=&r"(dead), "r"(0),
			 "i"(SEL_KDATA)),
		 -1);
	CHECK_HW_EQ(TRY("mov %w0, %%ss", NOTHING, "r"(3)), VEC_GP);
	__asm__ volatile("mov %w0, %%es" : : "r"(SEL_KDATA) : "memory");
	struct {
		uint32_t off;
		uint16_t sel;
	} __attribute__((packed)) ptr = {0x1234, SEL_UDATA};
	CHECK_EQ(TRY("lfs %1, %k0", "=r"(dead), "m"(ptr)), -1);
	CHECK_EQ(dead & 0xffffffff, 0x1234);
	__asm__ volatile("mov %%fs, %0" : "=r"(es));
	CHECK_EQ(es, SEL_UDATA);
	__asm__ volatile("mov %w0, %%fs" : : "r"(0) : "memory");
}

static void bases(void)
{
	static const uint32_t words[4] = {10, 20, 30, 40};
	uint32_t v;
	/* A selector load sets a 32-bit base; DS, ES, SS bases count for nothing. */
	gdt_set(N, (uint32_t)(word)words, 0xfffff, 0xc093);
	__asm__ volatile("mov %w1, %%fs\n\tmovl %%fs:4, %0" : "=r"(v) : "r"(N) : "memory");
	CHECK_EQ(v, 20);
	CHECK_EQ(rdmsr(0xc0000100), (word)words);
	__asm__ volatile("mov %w1, %%es\n\tmovl %%es:(%2), %0"
			 : "=r"(v)
			 : "r"(N), "r"(&words[2])
			 : "memory");
	CHECK_HW_EQ(v, 30);
	wrmsr(0xc0000100, 0x10 + (word)words - 0x1000);
	__asm__ volatile("movl %%fs:0xffc, %0" : "=r"(v));
	CHECK_EQ(v, 40);
	/* A limit is not looked at. */
	gdt_set(N, (uint32_t)(word)words, 0, 0x4093);
	__asm__ volatile("mov %w1, %%fs\n\tmovl %%fs:8, %0" : "=r"(v) : "r"(N) : "memory");
	CHECK_EQ(v, 30);
	/* The base wraps at 64 bits, with 64-bit offsets. */
	wrmsr(0xc0000101, 0x100);
	__asm__ volatile("movl %%gs:(%1), %0" : "=r"(v) : "r"((word)words - 0x100));
	CHECK_EQ(v, 10);
	/* Address size 32 truncates before the base is added. */
	wrmsr(0xc0000101, 0);
	__asm__ volatile("movl %%gs:(%k1), %0" : "=r"(v) : "r"((word)words | 1ull << 40));
	CHECK_EQ(v, 10);
	__asm__ volatile("mov %w0, %%fs\n\tmov %w1, %%es" : : "r"(0), "r"(SEL_KDATA) : "memory");
}

static void ldt(void)
{
	static uint64_t table[4] __attribute__((aligned(8)));
	static const uint32_t words[2] = {7, 8};
	uint32_t v;
	word got;
	table[1] = desc_make((uint32_t)(word)words, 0xfffff, 0xc093);
	guest_gdt[SEL_LDT / 8] = desc_make((uint32_t)(word)table, sizeof(table) - 1, 0x82);
	guest_gdt[SEL_LDT / 8 + 1] = 0;
	__asm__ volatile("lldt %w0" : : "r"(SEL_LDT));
	__asm__ volatile("sldt %0" : "=r"(got));
	CHECK_EQ(got, SEL_LDT);
	__asm__ volatile("mov %w1, %%fs\n\tmovl %%fs:4, %0" : "=r"(v) : "r"(8 | 4) : "memory");
	CHECK_EQ(v, 8);
	CHECK_EQ(TRY("mov %w0, %%fs", NOTHING, "r"(32 | 4)), VEC_GP);
	CHECK_EQ(trap.err, 32 | 4);
	__asm__ volatile("lldt %w0" : : "r"(0));
	CHECK_EQ(TRY("mov %w0, %%fs", NOTHING, "r"(8 | 4)), VEC_GP);
	CHECK_EQ(trap.err, 8 | 4);
	__asm__ volatile("mov %w0, %%fs" : : "r"(0) : "memory");
	__asm__ volatile("str %0" : "=r"(got));
	CHECK_EQ(got, SEL_TSS);
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) t;
	__asm__ volatile("sgdt %0" : "=m"(t));
	CHECK_EQ(t.base, (word)guest_gdt);
	CHECK_EQ(t.limit, sizeof(guest_gdt) - 1);
}

/* 64-bit code calls a 32-bit segment and comes back. */
uint32_t compat_call(uint32_t arg);
uint64_t compat_after;
uint32_t compat_var;
__asm__(".text\n"
	"compat_call: push %rbx; push %rbp; mov %rsp, %rbp\n"
	"	lcall *compat_ptr(%rip)\n"
	"	mov %rsp, %rcx; sub %rbp, %rcx; mov %rcx, compat_after; mov %rbp, %rsp; pop %rbp; "
	"pop %rbx; ret\n"
	".code32\n"
	"compat_code: mov %edi, %eax\n"
	"	inc %eax\n" /* 40h is INC here, a REX prefix there */
	"	pushl %eax; popl %ecx\n"
	"	movl %ecx, (compat_var)\n" /* absolute, not RIP-relative */
	"	addl $4, (compat_var)\n"
	"	movl $compat_var, %edx; movl (%edx), %eax\n"
	"	lretl\n"
	".code64\n"
	".data\ncompat_ptr: .long compat_code; .word 0x38\n.text\n");

static void compatibility(void)
{
	CHECK_EQ(compat_call(100), 105);
	CHECK_EQ(compat_var, 105);
	CHECK_EQ(compat_after, 0);
}

extern char compat_fault[], compat_user[];
__asm__(".text\n.code32\n"
	"compat_fault: mov $0, %eax; ud2\n"
	"compat_user: mov $0xffffffff, %eax; inc %eax; sbb %eax, %eax; xor %ecx, %ecx; push %ebx; "
	"pop %ebx\n"
	"	mov %esp, %eax; int $0x80\n"
	".code64\n");

static void compatibility_user(void)
{
	word sp = (word)guest_stack3 + 4096;
	guest_trap_arm();
	user_enter((word)compat_user, sp, 2, 0, SEL_UCODE32, SEL_UDATA);
	CHECK_EQ(trap.vector, VEC_USER_RETURN);
	CHECK_EQ(trap.cs, SEL_UCODE32);
	CHECK_EQ((uint32_t)trap.ax, sp);
	CHECK_EQ(trap.sp, sp);
	user_enter((word)compat_fault, sp, 2, 0, SEL_UCODE32, SEL_UDATA);
	CHECK_EQ(trap.vector, VEC_UD);
	CHECK_EQ(trap.ip, (word)compat_fault + 5);
	/* SYSCALL is #UD here on Intel's processors. */
	static const uint8_t sc[] = {0x0f, 0x05};
	user_enter((word)sc, sp, 2, 0, SEL_UCODE32, SEL_UDATA);
	CHECK_HW_EQ(trap.vector, VEC_UD);
}

static void far_transfers(void)
{
	struct {
		uint64_t off;
		uint16_t sel;
	} __attribute__((packed)) ptr64;
	word got = 0;
	/* REX.W CALL FAR [RCX]: a 64-bit offset. */
	ptr64.sel = SEL_KCODE;
	__asm__ volatile(
		"lea 1f(%%rip), %%rax\n\tmov %%rax, (%%rcx)\n\t.byte 0x48, 0xff, 0x19\n\tjmp 2f\n"
		"1:\tmov 8(%%rsp), %0\n\tlretq\n2:"
		: "=&r"(got), "+m"(ptr64)
		: "c"(&ptr64)
		: "rax", "memory");
	CHECK_EQ(got, SEL_KCODE);
	__asm__ volatile("lea 1f(%%rip), %%rax\n\tpush $8\n\tpush %%rax\n\tlretq\n\tud2\n1:"
			 :
			 :
			 : "rax", "memory");
	/* Selectors that cannot be called. */
	struct {
		uint32_t off;
		uint16_t sel;
	} __attribute__((packed)) ptr = {0, SEL_KDATA};
	CHECK_EQ(TRY("lcall *%0", NOTHING, "m"(ptr)), VEC_GP);
	CHECK_EQ(trap.err, SEL_KDATA);
	ptr.sel = 0;
	CHECK_EQ(TRY("ljmp *%0", NOTHING, "m"(ptr)), VEC_GP);
	CHECK_EQ(trap.err, 0);
	ptr.sel = N;
	gdt_set(N, 0, 0xfffff, 0xa01b); /* code, not present */
	CHECK_EQ(TRY("lcall *%0", NOTHING, "m"(ptr)), VEC_NP);
	CHECK_EQ(trap.err, N);
	gdt_set(N, 0, 0xfffff, 0xe09b); /* L and D together */
	CHECK_HW_EQ(TRY("lcall *%0", NOTHING, "m"(ptr)), VEC_GP);
	ptr.sel = SEL_TSS; /* task switches are gone in long mode */
	CHECK_EQ(TRY("ljmp *%0", NOTHING, "m"(ptr)), VEC_GP);
	CHECK_EQ(trap.err, SEL_TSS);
}

/* Returning to an outer ring makes data segments null that the ring may not use. */
USER_CODE(user_segments, "xor %eax, %eax; mov %ds, %ax; shl $16, %eax; mov %es, %ax");

static void outer_return(void)
{
	__asm__ volatile("mov %w0, %%ds\n\tmov %w1, %%es"
			 :
			 : "r"(SEL_KDATA), "r"(SEL_UDATA)
			 : "memory");
	CHECK_EQ(user_run(user_segments, 0), VEC_USER_RETURN);
	CHECK_EQ(trap.ax, SEL_UDATA);
	word ds;
	__asm__ volatile("mov %%ds, %0" : "=r"(ds));
	CHECK_EQ(ds, 0);
	__asm__ volatile("mov %w0, %%ds\n\tmov %w0, %%es" : : "r"(SEL_KDATA) : "memory");
}

void guest_main(void)
{
	RUN(probes);
	RUN(loads);
	RUN(bases);
	RUN(ldt);
	RUN(compatibility);
	RUN(compatibility_user);
	RUN(far_transfers);
	RUN(outer_return);
}
