/* SPDX-License-Identifier: Apache-2.0 */
/* Privilege in 64-bit mode: SYSCALL, SYSENTER, IRETQ, far returns, call gates, I/O rights. */
#include "lib/user.h"

const char guest_name[] = "priv64";

#define MSR_STAR   0xc0000081
#define MSR_LSTAR  0xc0000082
#define MSR_SFMASK 0xc0000084
#define STAR_VALUE ((uint64_t)(SEL_KCODE) << 32 | (uint64_t)(SEL_UCODE32 & ~3) << 48)

uint64_t seen[8];

void entry_syscall(void);
void entry_sysenter(void);
void entry_gate(void);
__asm__(".text\n"
	"entry_syscall:\n"
	"	mov %rcx, seen\n"
	"	mov %r11, seen+8\n"
	"	mov %cs, %ax; movzwl %ax, %eax; mov %rax, seen+16\n"
	"	mov %ss, %ax; movzwl %ax, %eax; mov %rax, seen+24\n"
	"	pushfq; pop %rax; mov %rax, seen+32\n"
	"	cmpq $0, seen+56; jne 1f\n"
	"	sysretq\n"
	"1:	sysretl\n"
	"entry_sysenter:\n"
	"	mov %rsp, seen\n"
	"	mov %cs, %ax; movzwl %ax, %eax; mov %rax, seen+16\n"
	"	mov %ss, %ax; movzwl %ax, %eax; mov %rax, seen+24\n"
	"	pushfq; pop %rax; mov %rax, seen+32\n"
	"	sysexitq\n"
	"entry_gate:\n"
	"	mov %rsp, seen\n"
	"	mov %cs, %ax; movzwl %ax, %eax; mov %rax, seen+16\n"
	"	mov %ss, %ax; movzwl %ax, %eax; mov %rax, seen+24\n"
	"	mov (%rsp), %rax; mov %rax, seen+32\n"
	"	mov 8(%rsp), %rax; mov %rax, seen+40\n"
	"	mov 16(%rsp), %rax; mov %rax, seen+48\n"
	"	mov 24(%rsp), %rax; mov %rax, seen+56\n"
	"	lretq\n");

USER_CODE(user_syscall, "stc; std; syscall; user_syscall_back: pushfq; pop %rax");
extern char user_syscall_back[];
USER_CODE(user_syscall32, "lea user_32(%rip), %r8; syscall");
extern char user_32[];
__asm__(".text\n.code32\nuser_32: mov $0x12345678, %eax; dec %eax; int $0x80\n.code64\n");

static void syscall(void)
{
	wrmsr(MSR_STAR, STAR_VALUE);
	wrmsr(MSR_LSTAR, (word)entry_syscall);
	wrmsr(MSR_SFMASK, FLAG_DF | FLAG_IF);
	seen[7] = 0;
	CHECK_EQ(user_run(user_syscall, 0), VEC_USER_RETURN);
	CHECK_EQ(seen[0], (word)user_syscall_back);
	CHECK_EQ(seen[1] & (FLAG_CF | FLAG_DF | FLAG_RF), FLAG_CF | FLAG_DF);
	CHECK_EQ(seen[2], SEL_KCODE);
	CHECK_EQ(seen[3], SEL_KDATA);
	CHECK_EQ(seen[4] & FLAG_DF, 0);
	CHECK_HW(seen[4] & FLAG_CF); /* TCG loses it */
	CHECK_EQ(trap.ax & (FLAG_CF | FLAG_DF), FLAG_CF | FLAG_DF);
	CHECK_EQ(trap.cs, SEL_UCODE64);
	CHECK_EQ(trap.ss, SEL_UDATA);
	/* #UD without EFER.SCE. */
	wrmsr(0xc0000080, rdmsr(0xc0000080) & ~1ull);
	CHECK_EQ(user_run(user_syscall, 0), VEC_UD);
	CHECK_EQ(TRY("sysretq", NOTHING, "c"(0)), VEC_UD);
	wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
	/* A return address that is not canonical: #GP at CPL 0, on Intel's processors. */
	CHECK_HW_EQ(TRY("sysretq", NOTHING, "c"(1ull << 47)), VEC_GP);
	CHECK_HW_EQ(trap.cs, SEL_KCODE);
}

static void sysret32(void)
{
	/* Straight from CPL 0 to 32-bit user code. */
	guest_trap_arm();
	int v = TRY("sysretl", NOTHING, "c"(user_32));
	CHECK_EQ(v, VEC_USER_RETURN);
	CHECK_EQ(trap.cs, SEL_UCODE32);
	CHECK_EQ(trap.ss, SEL_UDATA);
	CHECK_EQ((uint32_t)trap.ax, 0x12345677);
}

USER_CODE(user_sysenter, "lea 1f(%rip), %rdx; mov %rsp, %rcx; sysenter\n1: mov %rsp, %rax");

static void sysenter(void)
{
	word top = (word)guest_stack0 + 8192;
	wrmsr(0x174, 0);
	CHECK_EQ(user_run(user_sysenter, 0), VEC_GP);
	wrmsr(0x174, SEL_KCODE);
	wrmsr(0x175, top);
	wrmsr(0x176, (word)entry_sysenter);
	CHECK_EQ(user_run_flags(user_sysenter, 0, 2 | FLAG_IF), VEC_USER_RETURN);
	CHECK_EQ(seen[0], top);
	CHECK_EQ(seen[2], SEL_KCODE);
	CHECK_EQ(seen[3], SEL_KDATA);
	CHECK_EQ(seen[4] & FLAG_IF, 0);
	CHECK_EQ(trap.cs, SEL_UCODE64);
	CHECK_EQ(trap.ss, SEL_UDATA2);
	CHECK_EQ(trap.ax, (word)guest_stack3 + sizeof(guest_stack3));
	CHECK_EQ(user_run("\x0f\x35", 0), VEC_GP); /* SYSEXIT at CPL 3 */
	CHECK_EQ(trap.err, 0);
}

#define PRIVILEGED(name, text) USER_CODE(name, text)
PRIVILEGED(p_hlt, "hlt");
PRIVILEGED(p_cli, "cli");
PRIVILEGED(p_sti, "sti");
PRIVILEGED(p_in, "in $0x80, %al");
PRIVILEGED(p_out, "out %al, $0x80");
PRIVILEGED(p_outw, "out %ax, $0x80");
PRIVILEGED(p_insb, "mov $0x80, %dx; mov $1, %ecx; rep insb");
PRIVILEGED(p_cr0, "mov %cr0, %rax");
PRIVILEGED(p_cr3, "mov %rax, %cr3");
PRIVILEGED(p_cr8, "mov %cr8, %rax");
PRIVILEGED(p_dr7, "mov %db7, %rax");
PRIVILEGED(p_lgdt, "lgdt (%rsp)");
PRIVILEGED(p_lidt, "lidt (%rsp)");
PRIVILEGED(p_ltr, "ltr %ax");
PRIVILEGED(p_lldt, "lldt %ax");
PRIVILEGED(p_lmsw, "lmsw %ax");
PRIVILEGED(p_clts, "clts");
PRIVILEGED(p_invlpg, "invlpg (%rsp)");
PRIVILEGED(p_invd, "invd");
PRIVILEGED(p_wbinvd, "wbinvd");
PRIVILEGED(p_rdmsr, "mov $0x10, %ecx; rdmsr");
PRIVILEGED(p_wrmsr, "mov $0x10, %ecx; wrmsr");
PRIVILEGED(p_swapgs, "swapgs");
PRIVILEGED(p_sysret, "sysretq");
PRIVILEGED(p_sgdt, "sub $16, %rsp; sgdt (%rsp)");
PRIVILEGED(p_smsw, "smsw %eax");
PRIVILEGED(p_str, "str %eax");
PRIVILEGED(p_rdtsc, "rdtsc");
PRIVILEGED(p_cpuid, "xor %eax, %eax; cpuid");
PRIVILEGED(p_popf, "pushq $0x3202; popfq; pushfq; pop %rax");

static void privileged(void)
{
	static const char *const refused[] = {
		p_hlt,    p_cli,  p_sti,	p_in,	 p_out,	  p_insb,   p_cr0,   p_cr3,
		p_cr8,    p_dr7,  p_lgdt,	p_lidt,	 p_ltr,	  p_lldt,   p_lmsw,  p_clts,
		p_invlpg, p_invd, p_wbinvd, p_rdmsr, p_wrmsr, p_swapgs, p_sysret};
	static const char *const allowed[] = {p_sgdt, p_smsw, p_str, p_rdtsc, p_cpuid};
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		guest_check_eq((uint64_t)user_run(refused[i], 0), VEC_GP, (int)i, "privileged[i]");
		guest_check_eq(trap.err, 0, (int)i, "its error code");
		guest_check_eq(trap.cs, SEL_UCODE64, (int)i, "its CS");
	}
	for (unsigned i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		guest_check_eq((uint64_t)user_run(allowed[i], 0), VEC_USER_RETURN, (int)i,
				   "allowed[i]");
	/* IOPL 3 permits CLI, STI and I/O. */
	CHECK_EQ(user_run_flags(p_cli, 0, 2 | FLAG_IOPL3), VEC_USER_RETURN);
	CHECK_EQ(user_run_flags(p_out, 0, 2 | FLAG_IOPL3), VEC_USER_RETURN);
	CHECK_EQ(user_run_flags(p_hlt, 0, 2 | FLAG_IOPL3), VEC_GP);
	/* POPF at CPL 3 changes neither IOPL nor, with IOPL 0, IF. */
	CHECK_EQ(user_run(p_popf, 0), VEC_USER_RETURN);
	CHECK_EQ(trap.ax & (FLAG_IOPL3 | FLAG_IF), 0);
	CHECK_EQ(user_run_flags(p_popf, 0, 2 | FLAG_IOPL3), VEC_USER_RETURN);
	CHECK_EQ(trap.ax & (FLAG_IOPL3 | FLAG_IF), FLAG_IOPL3 | FLAG_IF);
	/* CR4.TSD. */
	write_cr4(read_cr4() | 4);
	CHECK_EQ(user_run(p_rdtsc, 0), VEC_GP);
	CHECK_EQ(TRY("rdtsc", OUTS("=a"(dead), "=d"(dead))), -1);
	write_cr4(read_cr4() & ~4ul);
}

static void io_bitmap(void)
{
	guest_tss.iobits[0x80 / 8] &= (uint8_t)~1;
	CHECK_EQ(user_run(p_out, 0), VEC_USER_RETURN);
	CHECK_EQ(user_run(p_in, 0), VEC_USER_RETURN);
	CHECK_EQ(user_run(p_outw, 0), VEC_GP); /* port 81h is not permitted */
	guest_tss.iobits[0x80 / 8] &= (uint8_t)~2;
	CHECK_EQ(user_run(p_outw, 0), VEC_USER_RETURN);
	guest_tss.iobits[0x80 / 8] |= 1;
	CHECK_EQ(user_run(p_outw, 0), VEC_GP);
	CHECK_EQ(trap.err, 0);
	guest_tss.iobits[0x80 / 8] = 0;
	/* A map outside the segment permits nothing. */
	uint16_t map = guest_tss.iomap;
	guest_tss.iomap = sizeof(guest_tss);
	CHECK_EQ(user_run(p_out, 0), VEC_GP);
	guest_tss.iomap = map;
	CHECK_EQ(user_run(p_out, 0), VEC_USER_RETURN);
	guest_tss.iobits[0x80 / 8] = 0xff;
}

static void iret(void)
{
	word sp = (word)guest_stack3 + sizeof(guest_stack3);
	guest_trap_arm();
	/* Bad CS and SS for the outer ring: #GP with the selector. */
	user_enter((word)p_cpuid, sp, 2, 0, SEL_UCODE64, SEL_KDATA);
	CHECK_EQ(trap.vector, VEC_GP);
	CHECK_EQ(trap.err, SEL_KDATA);
	CHECK_EQ(trap.cs, SEL_KCODE);
	user_enter((word)p_cpuid, sp, 2, 0, SEL_UCODE64, SEL_UCODE64);
	CHECK_EQ(trap.vector, VEC_GP);
	CHECK_EQ(trap.err, SEL_UCODE64 & ~3);
	user_enter((word)p_cpuid, sp, 2, 0, SEL_UDATA, SEL_UDATA);
	CHECK_EQ(trap.vector, VEC_GP);
	CHECK_EQ(trap.err, SEL_UDATA & ~3);
	user_enter((word)p_cpuid, sp, 2, 0, 0, SEL_UDATA);
	CHECK_EQ(trap.vector, VEC_GP);
	CHECK_EQ(trap.err, 0);
	/* IRET with NT set: #GP in long mode. */
	CHECK_EQ(TRY("pushfq\n\torl $0x4000, (%%rsp)\n\tpopfq\n\tiretq", NOTHING), VEC_GP);
	CHECK_EQ(trap.err, 0);
	/* To the same ring, RSP and SS are popped too. */
	word top = sp - 64, got = 0;
	CHECK_EQ(TRY("push $0x10\n\tpush %2\n\tpushfq\n\tpush $8\n\tlea 2f(%%rip), %%rax\n\tpush "
			 "%%rax\n\t"
			 "iretq\n2:\tmov %%rsp, %0\n\tmov trap_sp, %%rsp",
			 OUTS("=&r"(got), "=&a"(dead)), "r"(top)),
		 -1);
	CHECK_EQ(got, top);
	/* IRET to a null SS in ring 0 is fine in 64-bit mode. */
	CHECK_EQ(
		TRY("push $0\n\tpush %1\n\tpushfq\n\tpush $8\n\tlea 2f(%%rip), %%rax\n\tpush %%rax\n\t"
		"iretq\n2:\tmov trap_sp, %%rsp\n\tmov $0x10, %%eax\n\tmov %%eax, %%ss",
		"=&a"(dead), "r"(top)),
		-1);
}

USER_CODE(user_gate, "mov %rsp, %r8; lcall *(%rdi); user_gate_back: mov %rsp, %rax; sub %r8, %rax");
extern char user_gate_back[];

static void call_gate(void)
{
	struct {
		uint32_t offset;
		uint16_t sel;
	} __attribute__((packed)) target = {0, SEL_GATE | 3};
	word entry = (word)entry_gate;
	guest_gdt[SEL_GATE / 8] =
		(entry & 0xffff) | SEL_KCODE << 16 | 0xecull << 40 | (entry >> 16 & 0xffff) << 48;
	guest_gdt[SEL_GATE / 8 + 1] = entry >> 32;
	CHECK_EQ(user_run(user_gate, (word)&target), VEC_USER_RETURN);
	CHECK_EQ(seen[0], (word)guest_stack0 + sizeof(guest_stack0) - 32);
	CHECK_EQ(seen[2], SEL_KCODE);
	CHECK_EQ(seen[3], 0); /* a null SS, RPL = new CPL */
	CHECK_EQ(seen[4], (word)user_gate_back);
	CHECK_EQ(seen[5], SEL_UCODE64);
	CHECK_EQ(seen[6], (word)guest_stack3 + sizeof(guest_stack3));
	CHECK_EQ(seen[7], SEL_UDATA);
	CHECK_EQ(trap.ax, 0);
	/* DPL of the gate below CPL. */
	guest_gdt[SEL_GATE / 8] &= ~(3ull << 45);
	CHECK_EQ(user_run(user_gate, (word)&target), VEC_GP);
	CHECK_EQ(trap.err, SEL_GATE);
	guest_gdt[SEL_GATE / 8] |= 3ull << 45;
	guest_gdt[SEL_GATE / 8] &= ~(1ull << 47);
	CHECK_EQ(user_run(user_gate, (word)&target), VEC_NP);
	CHECK_EQ(trap.err, SEL_GATE);
	guest_gdt[SEL_GATE / 8] = 0;
	/* A direct call to kernel code. */
	target.sel = SEL_KCODE | 3;
	CHECK_EQ(user_run(user_gate, (word)&target), VEC_GP);
	CHECK_EQ(trap.err, SEL_KCODE);
}

static void swapgs(void)
{
	wrmsr(0xc0000101, 0x1111);
	wrmsr(0xc0000102, 0x2222);
	__asm__ volatile("swapgs");
	CHECK_EQ(rdmsr(0xc0000101), 0x2222);
	CHECK_EQ(rdmsr(0xc0000102), 0x1111);
	uint64_t value = 77, got;
	wrmsr(0xc0000101, (word)&value - 16);
	__asm__ volatile("movq %%gs:16, %0" : "=r"(got));
	CHECK_EQ(got, 77);
	wrmsr(0xc0000101, 0);
	wrmsr(0xc0000102, 0);
}

void guest_main(void)
{
	RUN(syscall);
	RUN(sysret32);
	RUN(sysenter);
	RUN(privileged);
	RUN(io_bitmap);
	RUN(iret);
	RUN(call_gate);
	RUN(swapgs);
}
