/* SPDX-License-Identifier: Apache-2.0 */
/* System instructions, delivery through the IDT, changes of mode and privilege. */
#include "guest.h"

#include "cpu/model.h"

static int setup(void **state)
{
	static struct guest g;
	guest_open(&g);
	*state = &g;
	return 0;
}
static int teardown(void **state)
{
	guest_close(*state);
	return 0;
}

/* From real mode through 32-bit protected mode into 64-bit mode. */
GUEST_CODE(code_boot,
	   ".code16\n cli\n mov %cs, %bx\n lgdtl 0x5ff0\n mov %cr0, %eax\n or $1, %al\n"
	   "mov %eax, %cr0\n"
	   "ljmpl $0x18, $(1f - code_boot + 0x10000)\n"
	   "1: .code32\n mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n"
	   "mov $0x20000, %esp\n push $0x1234\n pop %esi\n"
	   "lidtl 0x5ff8\n mov %cr4, %eax\n or $0x20, %eax\n mov %eax, %cr4\n"
	   "mov $0x1000, %eax\n mov %eax, %cr3\n mov $0xc0000080, %ecx\n rdmsr\n or $0x901, %eax\n"
	   "wrmsr\n mov %cr0, %eax\n or $0x80000000, %eax\n mov %eax, %cr0\n"
	   "ljmpl $0x08, $(2f - code_boot + 0x10000)\n"
	   "2: .code64\n mov $0x30, %eax\n ltr %ax\n mov $0xc0000080, %ecx\n rdmsr\n"
	   "mov %rax, %r8\n mov $-1, %r9\n str %edi\n hlt");
static void test_boot(void **state)
{
	struct guest *g = *state;
	guest_poke(g, GUEST_GDT + 0x30 + 5, 0x89, 1);
	guest_poke(g, 0x5ff0, 0x5f | (uint64_t)GUEST_GDT << 16, 6);
	guest_poke(g, 0x5ff8, 0xfff | (uint64_t)GUEST_IDT << 16, 6);
	cpu_state_reset(&g->s, true);
	g->s.seg[CPU_CS].sel = 0x1000;
	g->s.seg[CPU_CS].base = 0x10000;
	g->s.rip = 0;
	GUEST_GO(g, code_boot, 1000);
	assert_int_equal(g->stop.reason, ENGINE_EXIT_HALT);
	assert_int_equal(g->s.gpr[CPU_RBX], 0x1000);
	assert_int_equal(g->s.gpr[CPU_RSI], 0x1234);
	assert_int_equal(g->s.gpr[CPU_R8], EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
	assert_int_equal(g->s.gpr[CPU_R9], UINT64_MAX);
	assert_int_equal(g->s.gpr[CPU_RDI], SEL_TSS);
	assert_int_equal(guest_peek(g, GUEST_GDT + 0x35, 1), 0x8b);
	assert_int_equal(g->s.seg[CPU_CS].sel, SEL_CODE64);
}

/* Real mode: INT through the vector table and back, 16-bit frame. */
GUEST_CODE(code_real, ".code16\n sti\n int $0x21\n mov $5, %bx\n hlt");
GUEST_CODE(code_real_isr, ".code16\n mov $7, %cx\n pushf\n pop %dx\n iret");
static void test_real_int(void **state)
{
	struct guest *g = *state;
	cpu_state_reset(&g->s, true);
	g->s.seg[CPU_CS].sel = 0x1000;
	g->s.seg[CPU_CS].base = 0x10000;
	g->s.rip = 0;
	g->s.gpr[CPU_RSP] = 0x9000;
	guest_poke(g, 0x21 * 4, 0x30000000, 4);
	mem_write(g->mem, 0x30000, code_real_isr, (size_t)(code_real_isr_end - code_real_isr));
	GUEST_GO(g, code_real, 1000);
	assert_int_equal(g->s.gpr[CPU_RBX], 5);
	assert_int_equal(g->s.gpr[CPU_RCX], 7);
	assert_int_equal(g->s.gpr[CPU_RDX] & RFLAGS_IF, 0);
	assert_int_equal(g->s.gpr[CPU_RSP], 0x9000);
	assert_int_equal(g->s.rflags & RFLAGS_IF, RFLAGS_IF);
}

/* CPL 0 -> IRETQ -> CPL 3 -> SYSCALL -> SYSRET -> INT 80h -> stub. */
GUEST_CODE(code_user,
	   "mov $0xc0000081, %ecx\n xor %eax, %eax\n mov $0x180008, %edx\n wrmsr\n"
	   "inc %ecx\n lea 3f(%rip), %rax\n xor %edx, %edx\n wrmsr\n"
	   "mov $0xc0000084, %ecx\n mov $0x200, %eax\n wrmsr\n"
	   "push $0x23\n push $0x1f000\n push $0x202\n push $0x2b\n lea 1f(%rip), %rax\n"
	   "push %rax\n iretq\n"
	   "1: mov %cs, %esi\n syscall\n 2: mov %cs, %edi\n int $0x80\n hlt\n"
	   "3: mov %cs, %ebp\n mov %ss, %r12d\n pushfq\n pop %r13\n mov %r11, %r14\n sysretq");
static void test_user_round_trip(void **state)
{
	struct guest *g = *state;
	guest_long(g, 0);
	GUEST_GO(g, code_user, 1000);
	assert_int_equal(guest_vector(g), 0x80);
	assert_int_equal(g->s.gpr[CPU_RSI], SEL_UCODE64);
	assert_int_equal(g->s.gpr[CPU_RDI], SEL_UCODE64);
	assert_int_equal(g->s.gpr[CPU_RBP], SEL_CODE64);
	assert_int_equal(g->s.gpr[CPU_R12], SEL_DATA);
	assert_int_equal(g->s.gpr[CPU_R13] & RFLAGS_IF, 0);
	assert_int_equal(g->s.gpr[CPU_R14] & RFLAGS_IF, RFLAGS_IF);
	/* INT 80h came by the TSS's stack: SS is null, the frame is complete. */
	assert_int_equal(g->s.seg[CPU_SS].sel, 0);
	assert_int_equal(g->s.gpr[CPU_RSP], GUEST_STACK0 - 40);
	assert_int_equal(guest_peek(g, GUEST_STACK0 - 8, 8), SEL_UDATA);
	assert_int_equal(guest_peek(g, GUEST_STACK0 - 16, 8), 0x1f000);
	assert_int_equal(guest_peek(g, GUEST_STACK0 - 32, 8), SEL_UCODE64);
	assert_int_equal(cpu_state_cpl(&g->s), 0);
}

static void run_code(struct guest *g, const uint8_t *code, const uint8_t *end, unsigned cpl)
{
	guest_long(g, cpl);
	g->s.gpr[CPU_RBX] = GUEST_DATA;
	guest_load(g, code, end);
	guest_run(g, 200);
}
#define RUN(g, code, cpl) run_code(g, code, code##_end, cpl)

static void expect_fault(struct guest *g, int vector, uint64_t err)
{
	assert_int_equal(guest_vector(g), vector);
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP], 8), err);
}

GUEST_CODE(code_int3, "int3\n hlt");
GUEST_CODE(code_int21, "int $0x21\n hlt");
GUEST_CODE(code_ud, "ud2");
GUEST_CODE(code_div, "xor %ecx, %ecx\n div %ecx");
GUEST_CODE(code_hlt, "hlt");
GUEST_CODE(code_cli, "cli");
GUEST_CODE(code_in, "in $0x60, %al");
GUEST_CODE(code_cr4, "mov %cr4, %rax\n bts $20, %rax\n mov %rax, %cr4");
GUEST_CODE(code_pae, "mov %cr4, %rax\n btr $5, %rax\n mov %rax, %cr4");
GUEST_CODE(code_pg, "mov %cr0, %rax\n btr $31, %rax\n mov %rax, %cr0");
GUEST_CODE(code_msr, "mov $0x12345, %ecx\n rdmsr");
GUEST_CODE(code_canon, "mov $0xc0000100, %ecx\n mov $0x8000, %edx\n xor %eax, %eax\n wrmsr");
GUEST_CODE(code_sel, "mov $0x78, %eax\n mov %eax, %ds");
GUEST_CODE(code_ss, "xor %eax, %eax\n mov %eax, %ss\n hlt");
GUEST_CODE(code_vmx, "vmcall");
GUEST_CODE(code_rdfs, "rdfsbase %rax");
static void test_checks(void **state)
{
	struct guest *g = *state;
	guest_gate(g, 3, GUEST_STUBS + 3 * 16, SEL_CODE64, 0xee, 0);
	RUN(g, code_int3, 3);
	assert_int_equal(guest_vector(g), VEC_BP);
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP], 8), GUEST_TEXT + 1);
	RUN(g, code_int21, 3); /* gate DPL 0: the fault is INT's own, EXT clear */
	expect_fault(g, VEC_GP, 0x21 * 8 + 2);
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP] + 8, 8), GUEST_TEXT);
	RUN(g, code_ud, 0);
	assert_int_equal(guest_vector(g), VEC_UD);
	RUN(g, code_div, 3);
	assert_int_equal(guest_vector(g), VEC_DE);
	RUN(g, code_hlt, 3);
	expect_fault(g, VEC_GP, 0);
	RUN(g, code_cli, 3);
	expect_fault(g, VEC_GP, 0);
	RUN(g, code_in, 3); /* the bit map lies outside the TSS */
	expect_fault(g, VEC_GP, 0);
	RUN(g, code_cr4, 0);
	expect_fault(g, VEC_GP, 0);
	RUN(g, code_pae, 0);
	expect_fault(g, VEC_GP, 0);
	RUN(g, code_pg, 0);
	expect_fault(g, VEC_GP, 0);
	RUN(g, code_msr, 0);
	expect_fault(g, VEC_GP, 0);
	RUN(g, code_canon, 0);
	expect_fault(g, VEC_GP, 0);
	RUN(g, code_sel, 0);
	expect_fault(g, VEC_GP, 0x78);
	RUN(g, code_ss, 3);
	expect_fault(g, VEC_GP, 0);
	RUN(g, code_ss, 0); /* null is fine at CPL 0 of 64-bit mode */
	assert_int_equal(g->s.activity, CPU_HALTED);
	assert_int_equal(guest_vector(g), -1);
	RUN(g, code_vmx, 0);
	assert_int_equal(guest_vector(g), VEC_UD);
	RUN(g, code_rdfs, 0);
	assert_int_equal(guest_vector(g), VEC_UD);
}

/* #GP whose gate is missing: #DF; that one missing too: shutdown. One step each. */
static void test_double_fault(void **state)
{
	struct guest *g = *state;
	guest_gate(g, VEC_GP, 0, SEL_CODE64, 0x0e, 0);
	RUN(g, code_msr, 0);
	expect_fault(g, VEC_DF, 0);
	guest_gate(g, VEC_DF, 0, SEL_CODE64, 0x0e, 0);
	icount_t before = vclock_icount(g->clock);
	RUN(g, code_msr, 0);
	assert_int_equal(g->stop.reason, ENGINE_EXIT_SHUTDOWN);
	assert_int_equal(vclock_icount(g->clock) - before, 2);
}

/* A #PF whose stack is not mapped goes by IST when the #DF gate says so. */
GUEST_CODE(code_nostack, "mov $0x34000, %esp\n mov 0x35000, %eax");
static void test_ist(void **state)
{
	struct guest *g = *state;
	guest_gate(g, VEC_DF, GUEST_STUBS + VEC_DF * 16, SEL_CODE64, 0x8e, 1);
	guest_poke(g, GUEST_PT + 0x33 * 8, 0, 8);
	guest_poke(g, GUEST_PT + 0x35 * 8, 0, 8);
	RUN(g, code_nostack, 0);
	expect_fault(g, VEC_DF, 0);
	assert_int_equal(g->s.gpr[CPU_RSP], GUEST_IST1 - 48);
	assert_int_equal(g->s.cr2, 0x33ff8);
	assert_int_equal(guest_peek(g, GUEST_IST1 - 16, 8), 0x34000);
}

/* A 64-bit call gate to CPL 0 and back. */
GUEST_CODE(code_gate, "movl $0, (%rbx)\n movw $0x48, 4(%rbx)\n lcall *(%rbx)\n mov %cs, %ecx\n"
		      "mov %ss, %r8d\n mov $0, %eax\n int $0x80");
GUEST_CODE(code_gate_in, "mov %cs, %edx\n mov %rsp, %rdi\n lretq");
static void test_call_gate(void **state)
{
	struct guest *g = *state;
	guest_poke(g, GUEST_GDT + SEL_GATE, 0x1000ull | (uint64_t)SEL_CODE64 << 16 |
						      0xecull << 40 | 0x3ull << 48, 8);
	guest_poke(g, GUEST_GDT + SEL_GATE + 8, 0, 8);
	mem_write(g->mem, 0x31000, code_gate_in, (size_t)(code_gate_in_end - code_gate_in));
	RUN(g, code_gate, 3);
	assert_int_equal(guest_vector(g), 0x80);
	assert_int_equal(g->s.gpr[CPU_RDX], SEL_CODE64);
	assert_int_equal(g->s.gpr[CPU_RDI], GUEST_STACK0 - 32);
	assert_int_equal(g->s.gpr[CPU_RCX], SEL_UCODE64);
	assert_int_equal(g->s.gpr[CPU_R8], SEL_UDATA);
	assert_int_equal(guest_peek(g, GUEST_STACK0 - 16, 8), GUEST_STACK);
}

/* 64-bit -> compatibility mode and its 32-bit wrap, IRETQ out of it through INT. */
GUEST_CODE(code_compat, "push $0x23\n push $0x1f000\n push $2\n push $0x43\n lea 1f(%rip), %rax\n"
			"push %rax\n iretq\n"
			"1: .code32\n mov $-1, %eax\n push %eax\n pop %edx\n mov %cs, %ecx\n"
			"int $0x80");
static void test_compat(void **state)
{
	struct guest *g = *state;
	RUN(g, code_compat, 0);
	assert_int_equal(guest_vector(g), 0x80);
	assert_int_equal(g->s.gpr[CPU_RDX], 0xffffffff);
	assert_int_equal(g->s.gpr[CPU_RCX], SEL_UCODE32);
	assert_int_equal(guest_peek(g, GUEST_STACK0 - 16, 8), 0x1f000);
	assert_int_equal(guest_peek(g, GUEST_STACK0 - 32, 8), SEL_UCODE32);
}

/* Alignment check at CPL 3; not at CPL 0. */
GUEST_CODE(code_ac, "pushfq\n orl $0x40000, (%rsp)\n popfq\n mov 1(%rbx), %eax\n hlt");
static void test_alignment(void **state)
{
	struct guest *g = *state;
	RUN(g, code_ac, 3);
	expect_fault(g, VEC_AC, 0);
	RUN(g, code_ac, 0);
	assert_int_equal(guest_vector(g), -1);
	assert_int_equal(g->s.activity, CPU_HALTED);
}

/* DR0 watches a store: #DB after it, DR6.B0; GD makes the next MOV DR a fault. */
GUEST_CODE(code_watch, "mov %rbx, %dr0\n mov $0x000d0001, %eax\n mov %rax, %dr7\n"
		       "mov %eax, 8(%rbx)\n mov %eax, (%rbx)\n nop\n hlt");
GUEST_CODE(code_gd, "mov $0x2400, %eax\n mov %rax, %dr7\n mov %dr6, %rax\n hlt");
static void test_debug(void **state)
{
	struct guest *g = *state;
	RUN(g, code_watch, 0);
	assert_int_equal(guest_vector(g), VEC_DB);
	assert_int_equal(g->s.dr6 & 0xf, 1);
	assert_int_equal(guest_peek(g, GUEST_DATA, 4), 0xd0001);
	RUN(g, code_gd, 0);
	assert_int_equal(guest_vector(g), VEC_DB);
	assert_int_equal(g->s.dr6 & 0x2000, 0x2000);
	assert_int_equal(g->s.dr7 & 0x2000, 0);
}

GUEST_CODE(code_desc, "mov $0x08, %eax\n lar %eax, %ecx\n lsl %eax, %edx\n mov $0x78, %eax\n"
		      "mov $1, %esi\n lar %eax, %esi\n setz %dil\n mov $0x10, %eax\n verw %ax\n"
		      "setz %r8b\n mov $8, %eax\n verw %ax\n setz %r9b\n sgdt (%rbx)\n hlt");
static void test_descriptors(void **state)
{
	struct guest *g = *state;
	RUN(g, code_desc, 0);
	assert_int_equal(g->s.gpr[CPU_RCX], 0x00a09b00);
	assert_int_equal(g->s.gpr[CPU_RDX], 0xffffffff);
	assert_int_equal(g->s.gpr[CPU_RSI], 1);
	assert_int_equal(g->s.gpr[CPU_RDI] & 0xff, 0);
	assert_int_equal(g->s.gpr[CPU_R8] & 0xff, 1);
	assert_int_equal(g->s.gpr[CPU_R9] & 0xff, 0);
	assert_int_equal(guest_peek(g, GUEST_DATA, 2), 0x5f);
	assert_int_equal(guest_peek(g, GUEST_DATA + 2, 8), GUEST_GDT);
}

GUEST_CODE(code_swapgs, "mov $0xc0000101, %ecx\n mov $0x111, %eax\n xor %edx, %edx\n wrmsr\n"
			"inc %ecx\n mov $0x222, %eax\n wrmsr\n swapgs\n dec %ecx\n rdmsr\n"
			"mov %eax, %esi\n"
			"mov $0x10, %ecx\n mov $5, %edx\n xor %eax, %eax\n wrmsr\n rdtsc\n hlt");
static void test_msr(void **state)
{
	struct guest *g = *state;
	RUN(g, code_swapgs, 0);
	assert_int_equal(g->s.gpr[CPU_RSI], 0x222);
	assert_int_equal(g->s.msr[CPU_MSR_KERNEL_GS_BASE], 0x111);
	assert_int_equal(g->s.gpr[CPU_RDX], 5); /* one instruction is one tick */
	assert_int_equal(g->s.gpr[CPU_RAX], 1);
}

/* 32-bit protected mode: PSE paging, an inner stack from the TSS, segment limits. */
GUEST_CODE(code_legacy, ".code32\n mov $0x400123, %ebx\n movl $0x55, (%ebx)\n mov %fs:0xffc, %eax\n"
			"mov %fs:0xffd, %eax\n");
static void test_legacy(void **state)
{
	struct guest *g = *state;
	guest_long(g, 0);
	g->s.efer = 0;
	g->s.cr4 = CR4_PSE;
	guest_poke(g, GUEST_PML4, GUEST_PDPT | 7, 4); /* a page directory now */
	guest_poke(g, GUEST_PML4 + 4, 0x400087, 4);
	for (unsigned i = 0; i < 1024; i++)
		guest_poke(g, GUEST_PDPT + i * 4, i << 12 | 7, 4);
	guest_seg(&g->s.seg[CPU_CS], SEL_CODE32, 0xc09b);
	g->s.seg[CPU_FS].limit = 0xfff;
	for (unsigned v = 0; v < 32; v++)
		guest_poke(g, GUEST_IDT + v * 8, (GUEST_STUBS + v * 16) | SEL_CODE32 << 16 |
				 0x8eull << 40, 8);
	GUEST_GO(g, code_legacy, 100);
	assert_int_equal(guest_vector(g), VEC_GP);
	assert_int_equal(guest_peek(g, 0x400123, 4), 0x55);
	assert_int_equal(guest_peek(g, GUEST_PML4 + 4, 4), 0x4000e7);
	assert_int_equal(g->s.gpr[CPU_RSP], GUEST_STACK - 16);
	assert_int_equal(guest_peek(g, GUEST_STACK - 16, 4), 0);
	assert_int_equal(guest_peek(g, GUEST_STACK - 8, 4), SEL_CODE32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_boot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_real_int, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_double_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ist, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_gate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compat, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alignment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_debug, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msr, setup, teardown),
		cmocka_unit_test_setup_teardown(test_legacy, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
