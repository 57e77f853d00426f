/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "As if there were no TLB", by perturbation: a guest that rewrites its page
 * tables at random, reads, writes and runs through them, and takes the page
 * faults, must end in the same state whether translations are kept or dropped
 * every few instructions.
 */
#include "guest.h"

/*
 * rdi: LCG state. 0x200000-0x20ffff is mapped by the tables at 0x44000 or
 * 0x45000 (PDE at 0x3008) to frames 0x30-0x3f; r15: where to go on after a
 * fault, r14: faults so far, r13: sum of all that was read.
 */
GUEST_CODE(code_chaos,
	   "lea 9f(%rip), %r15\n"
	   "1: mov $6364136223846793005, %rax\n imul %rax, %rdi\n add $1442695, %rdi\n"
	   "mov %rdi, %rsi\n shr $33, %rsi\n mov %esi, %ecx\n and $15, %ecx\n" /* page */
	   "mov %esi, %edx\n shr $4, %edx\n and $7, %edx\n" /* what to do */
	   "mov %ecx, %ebx\n shl $12, %ebx\n add $0x200000, %ebx\n"
	   "cmp $2, %edx\n jb 2f\n je 3f\n cmp $4, %edx\n jb 4f\n je 5f\n"
	   "cmp $6, %edx\n jb 6f\n je 7f\n"
	   "add $16, %rbx\n call *%rbx\n jmp 9f\n"
	   /* 0, 1: a PTE gets a frame and flags */
	   "2: mov %esi, %eax\n shr $8, %eax\n and $0xf063, %eax\n or $0x30004, %eax\n"
	   "bt $20, %esi\n jnc 8f\n or $3, %eax\n"
	   "8: mov %rax, 0x44000(,%rcx,8)\n jmp 9f\n"
	   /* 2: a PDE */
	   "3: test $0xe00, %esi\n jnz 9f\n mov %esi, %eax\n and $0x1067, %eax\n"
	   "or $0x44001, %eax\n mov %rax, 0x3008\n jmp 9f\n"
	   /* 3: load, 4: store, 5: add to memory, 6: a PTE of the other table, and code */
	   "4: mov 0x800(%rbx), %rax\n add %rax, %r13\n jmp 9f\n"
	   "5: mov %rsi, 0x800(%rbx)\n jmp 9f\n"
	   "6: add %rsi, 0xffc(%rbx)\n jmp 9f\n"
	   "7: orb $3, 0x45000(,%rcx,8)\n movb %sil, 0x12(%rbx)\n"
	   "9: mov $0x28000, %esp\n dec %r12\n jnz 1b\n hlt");
GUEST_CODE(code_fault, "add $8, %rsp\n mov %r15, (%rsp)\n inc %r14\n mov %cr2, %rax\n"
		       "add %rax, %r13\n iretq");

static void chaos(unsigned every, bool flush, struct cpu_state *end, struct digest128 *ram)
{
	struct guest g;
	struct mem_digest *d;
	guest_open(&g);
	guest_gate(&g, VEC_PF, 0x9000, SEL_CODE64, 0x8e, 0);
	mem_write(g.mem, 0x9000, code_fault, (size_t)(code_fault_end - code_fault));
	guest_load(&g, code_chaos, code_chaos_end);
	for (unsigned i = 0; i < 16; i++) {
		guest_poke(&g, 0x44000 + i * 8, (0x30 + i) << 12 | 7, 8);
		guest_poke(&g, 0x45000 + i * 8, (0x3f - i) << 12 | 7, 8);
		/* add $i, %ebp; ret */
		guest_poke(&g, 0x30010 + i * 0x1000, 0xc300c583u | i << 16, 4);
	}
	guest_poke(&g, GUEST_PD + 8, 0x44007, 8);
	guest_long(&g, 0);
	g.s.gpr[CPU_RSP] = 0x28000;
	g.s.gpr[CPU_RDI] = 42;
	g.s.gpr[CPU_R12] = 10000;
	guest_run(&g, every);
	while (g.stop.reason == ENGINE_EXIT_ICOUNT) {
		if (flush)
			engine_exact_ops.flush(g.e);
		assert_int_equal(engine_exact_ops.run(g.e, 0, vclock_icount(g.clock) + every,
						      &g.stop), 0);
	}
	engine_exact_ops.get_state(g.e, 0, end);
	assert_int_equal(g.stop.reason, ENGINE_EXIT_HALT);
	assert_int_equal(mem_digest_create(&d, g.mem), 0);
	*ram = mem_digest_update(d);
	mem_digest_destroy(d);
	guest_close(&g);
}

static void test_chaos(void **state)
{
	struct cpu_state a, b, c;
	struct digest128 da, db, dc;
	(void)state;
	chaos(100000000, false, &a, &da);
	chaos(3, true, &b, &db);
	chaos(31, true, &c, &dc);
	assert_true(a.gpr[CPU_R14] > 1000);  /* it did fault */
	assert_true(a.gpr[CPU_R14] < 8000); /* and did not only fault */
	assert_true(a.gpr[CPU_RBP] > 1000);  /* and ran code there */
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(a.gpr[i], b.gpr[i]);
		assert_int_equal(a.gpr[i], c.gpr[i]);
	}
	assert_int_equal(a.cr2, b.cr2);
	assert_memory_equal(&da, &db, sizeof(da));
	assert_memory_equal(&da, &dc, sizeof(da));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_chaos) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
