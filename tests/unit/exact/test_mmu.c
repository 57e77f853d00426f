/* SPDX-License-Identifier: Apache-2.0 */
/* Paging: walks, faults, A/D bits, and "as if there were no TLB". */
#include "guest.h"

#define DATA "$0x30000"

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

static uint64_t pte_of(uint64_t lin)
{
	return GUEST_PT + (lin >> 12) * 8;
}

GUEST_CODE(code_touch, "mov " DATA ", %ebx\n mov (%rbx), %rax\n movq $7, 0x1008(%rbx)\n hlt");
static void test_accessed_dirty(void **state)
{
	struct guest *g = *state;
	guest_long(g, 0);
	GUEST_GO(g, code_touch, 100);
	assert_int_equal(g->stop.reason, ENGINE_EXIT_HALT);
	assert_int_equal(guest_peek(g, pte_of(0x30000), 8), 0x30027);
	assert_int_equal(guest_peek(g, pte_of(0x31000), 8), 0x31067);
	assert_int_equal(guest_peek(g, pte_of(0x32000), 8), 0x32007);
	assert_int_equal(guest_peek(g, GUEST_PML4, 8), GUEST_PDPT | 0x27);
	assert_int_equal(guest_peek(g, 0x31008, 8), 7);
	assert_int_equal(vclock_icount(g->clock), 4);
}

/* A PTE changes under a cached translation: no INVLPG, and the next load sees it. */
GUEST_CODE(code_remap, "mov " DATA ", %ebx\n mov (%rbx), %rax\n mov $0x4180, %ecx\n"
		       "movq $0x31027, (%rcx)\n mov (%rbx), %rdx\n movb $0x20, 1(%rcx)\n"
		       "mov (%rbx), %rsi\n mov $0x3008, %ecx\n mov $0x200000, %ebp\n"
		       "mov (%rbp), %rdi\n"
		       "movq $0x400087, (%rcx)\n mov (%rbp), %r8\n hlt");
static void test_no_tlb(void **state)
{
	struct guest *g = *state;
	guest_poke(g, 0x30000, 0x11, 8);
	guest_poke(g, 0x31000, 0x22, 8);
	guest_poke(g, 0x32000, 0x33, 8);
	guest_poke(g, 0x200000, 0x44, 8);
	guest_poke(g, 0x400000, 0x55, 8);
	guest_long(g, 0);
	GUEST_GO(g, code_remap, 100);
	assert_int_equal(g->stop.reason, ENGINE_EXIT_HALT);
	assert_int_equal(g->s.gpr[CPU_RAX], 0x11);
	assert_int_equal(g->s.gpr[CPU_RDX], 0x22);
	assert_int_equal(g->s.gpr[CPU_RSI], 0x33); /* one byte of the entry changed: 0x32027 */
	assert_int_equal(g->s.gpr[CPU_RDI], 0x44);
	assert_int_equal(g->s.gpr[CPU_R8], 0x55);
}

/* The guest clears A and D: the next accesses set them again. */
GUEST_CODE(code_age, "mov " DATA ", %ebx\n movq $1, (%rbx)\n mov $0x4180, %ecx\n"
		     "andq $~0x60, (%rcx)\n mov (%rbx), %rax\n mov (%rcx), %rdx\n"
		     "andq $~0x60, (%rcx)\n movq $2, (%rbx)\n mov (%rcx), %rsi\n hlt");
static void test_aging(void **state)
{
	struct guest *g = *state;
	guest_long(g, 0);
	GUEST_GO(g, code_age, 100);
	assert_int_equal(g->s.gpr[CPU_RDX], 0x30027);
	assert_int_equal(g->s.gpr[CPU_RSI], 0x30067);
}

/* Code through a remapped page: the second call runs the new page's bytes. */
GUEST_CODE(code_refetch, "mov " DATA ", %ebx\n call *%rbx\n mov $0x4180, %ecx\n"
			 "movq $0x31027, (%rcx)\n call *%rbx\n hlt");
static void test_refetch(void **state)
{
	struct guest *g = *state;
	guest_poke(g, 0x30000, 0xc301c083, 4); /* add $1, %eax; ret */
	guest_poke(g, 0x31000, 0xc310c083, 4);
	guest_long(g, 0);
	GUEST_GO(g, code_refetch, 100);
	assert_int_equal(g->s.gpr[CPU_RAX], 0x11);
}

/* A store of 8 bytes over two pages, the second read-only: not one byte is written. */
GUEST_CODE(code_cross, "mov $0x30ffc, %ebx\n mov $-1, %rax\n mov %rax, (%rbx)\n hlt");
static void test_crossing_store(void **state)
{
	struct guest *g = *state;
	guest_poke(g, pte_of(0x31000), 0x31005, 8);
	guest_long(g, 0);
	GUEST_GO(g, code_cross, 100);
	assert_int_equal(guest_vector(g), VEC_PF);
	assert_int_equal(g->s.cr2, 0x31000);
	assert_int_equal(guest_peek(g, 0x30ffc, 8), 0);
	/* error code, RIP, CS, RFLAGS (RF), RSP, SS */
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP], 8), 3);
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP] + 8, 8), GUEST_TEXT + 12);
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP] + 24, 8) & RFLAGS_RF, RFLAGS_RF);
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP] + 32, 8), GUEST_STACK);
	/* The first page was translated: its A and D are set. The second one's are not. */
	assert_int_equal(guest_peek(g, pte_of(0x30000), 8), 0x30067);
	assert_int_equal(guest_peek(g, pte_of(0x31000), 8), 0x31005);
	assert_int_equal(vclock_icount(g->clock), 4); /* two instructions, the fault, HLT */
}

GUEST_CODE(code_load, "mov (%rbx), %rax\n hlt");
GUEST_CODE(code_store, "mov %rax, (%rbx)\n hlt");
GUEST_CODE(code_jump, "jmp *%rbx");
static void fault_case(struct guest *g, const uint8_t *code, const uint8_t *end, unsigned cpl,
		       uint64_t lin, uint64_t pte, int vector, uint64_t err)
{
	guest_poke(g, pte_of(lin & 0x1fffff), pte, 8);
	guest_long(g, cpl);
	g->s.gpr[CPU_RBX] = lin;
	guest_load(g, code, end);
	guest_run(g, 20);
	assert_int_equal(guest_vector(g), vector);
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP], 8), err);
	if (vector == VEC_PF)
		assert_int_equal(g->s.cr2, lin);
}
#define FAULT(code, cpl, lin, pte, vector, err)                                                    \
	fault_case(g, code, code##_end, cpl, lin, pte, vector, err)

static void test_faults(void **state)
{
	struct guest *g = *state;
	FAULT(code_load, 0, 0x30008, 0, VEC_PF, 0);
	FAULT(code_store, 0, 0x30008, 0, VEC_PF, 2);
	FAULT(code_load, 3, 0x30008, 0, VEC_PF, 4);
	FAULT(code_load, 3, 0x30008, 0x30003, VEC_PF, 5);
	FAULT(code_store, 3, 0x30008, 0x30005, VEC_PF, 7);
	FAULT(code_load, 0, 0x30008, 0x30007 | 1ull << 40, VEC_PF, 9);
	FAULT(code_jump, 0, 0x30008, 0x30007 | 1ull << 63, VEC_PF, 0x11);
	FAULT(code_jump, 3, 0x30008, 0x30003, VEC_PF, 0x15);
	FAULT(code_jump, 3, 0x30008, 0, VEC_PF, 0x14);
	FAULT(code_load, 0, 0x800000000000, 7, VEC_GP, 0);
	FAULT(code_load, 0, 0x7fffffffffff, 7, VEC_GP, 0);
}

/* CR0.WP = 0: the supervisor writes where the page says read-only. */
GUEST_CODE(code_wp, "mov %cr0, %rax\n btr $16, %rax\n mov %rax, %cr0\n mov " DATA ", %ebx\n"
		    "movq $9, (%rbx)\n bts $16, %rax\n mov %rax, %cr0\n movq $10, (%rbx)\n hlt");
static void test_write_protect(void **state)
{
	struct guest *g = *state;
	guest_poke(g, pte_of(0x30000), 0x30005, 8);
	guest_long(g, 0);
	GUEST_GO(g, code_wp, 100);
	assert_int_equal(guest_vector(g), VEC_PF);
	assert_int_equal(guest_peek(g, 0x30000, 8), 9);
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP], 8), 3);
}

/* Page 0 and addresses that look like an empty slot's tag reach the walker. */
static void test_odd_addresses(void **state)
{
	struct guest *g = *state;
	FAULT(code_load, 0, 0x5, 0, VEC_PF, 0);
	FAULT(code_load, 0, 0x1005, 0, VEC_PF, 0);
}

/* CR3 to another top level with the same upper half, and back. */
GUEST_CODE(code_cr3, "mov " DATA ", %ebx\n mov $0xffff800000030000, %rbp\n mov (%rbx), %rax\n"
		     "mov (%rbp), %rdx\n mov $0x40000, %ecx\n mov %rcx, %cr3\n mov (%rbp), %rsi\n"
		     "mov (%rbx), %rdi\n mov $0x1000, %ecx\n mov %rcx, %cr3\n"
		     "mov (%rbx), %r8\n hlt");
static void test_cr3_shared_half(void **state)
{
	struct guest *g = *state;
	guest_poke(g, GUEST_PML4 + 2048, GUEST_PDPT | 7, 8);
	guest_poke(g, 0x30000, 0x11, 8);
	guest_poke(g, 0x31000, 0x22, 8);
	guest_poke(g, 0x40000, 0x41007, 8);
	guest_poke(g, 0x40000 + 2048, GUEST_PDPT | 0x27, 8);
	guest_poke(g, 0x41000, 0x42007, 8);
	guest_poke(g, 0x42000, 0x43007, 8);
	for (unsigned i = 0; i < 512; i++)
		guest_poke(g, 0x43000 + i * 8, i << 12 | 7, 8);
	guest_poke(g, 0x43000 + 0x30 * 8, 0x31007, 8);
	guest_long(g, 0);
	GUEST_GO(g, code_cr3, 100);
	assert_int_equal(g->stop.reason, ENGINE_EXIT_HALT);
	assert_int_equal(g->s.gpr[CPU_RAX], 0x11);
	assert_int_equal(g->s.gpr[CPU_RDX], 0x11);
	assert_int_equal(g->s.gpr[CPU_RSI], 0x11);
	assert_int_equal(g->s.gpr[CPU_RDI], 0x22);
	assert_int_equal(g->s.gpr[CPU_R8], 0x11);
}

/* DMA into a page table between two runs. */
static void test_dma(void **state)
{
	struct guest *g = *state;
	guest_poke(g, 0x30000, 0x11, 8);
	guest_poke(g, 0x31000, 0x22, 8);
	guest_load(g, code_load, code_load_end);
	guest_long(g, 0);
	g->s.gpr[CPU_RBX] = 0x30000;
	guest_run(g, 1);
	assert_int_equal(g->s.gpr[CPU_RAX], 0x11);
	guest_poke(g, pte_of(0x30000), 0x31007, 8);
	g->s.rip = GUEST_TEXT;
	guest_run(g, 1);
	assert_int_equal(g->s.gpr[CPU_RAX], 0x22);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_accessed_dirty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_tlb, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aging, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refetch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crossing_store, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_protect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cr3_shared_half, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
