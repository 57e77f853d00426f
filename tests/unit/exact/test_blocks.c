/* SPDX-License-Identifier: Apache-2.0 */
/* Decoded blocks across a page boundary, and what drops them. */
#include "guest.h"

/* MOV EAX, 1; HLT: to be laid across a boundary by its length of five and one. */
GUEST_CODE(cross, "mov $1, %eax; hlt");

/*
 * One physical page at two neighbouring linear ones: an instruction at the end
 * of the first view goes on at the start of the same page. Writing the whole
 * page (as restoring a checkpoint, DMA and a reset do) meets the block twice.
 */
static void test_page_twice(void **state)
{
	struct guest g;
	const uint64_t lin = 0x41000 - 3;
	static const uint8_t zeros[RV_PAGE_SIZE];
	(void)state;
	guest_open(&g);
	guest_poke(&g, GUEST_PT + 0x41 * 8, 0x40000 | 7, 8);
	for (unsigned i = 0; i < 2; i++) {
		mem_write(g.mem, 0x40ffd, cross, 3);
		mem_write(g.mem, 0x40000, cross + 3, 3);
		guest_long(&g, 0);
		g.s.rip = lin;
		guest_run(&g, 10);
		assert_int_equal(g.s.gpr[CPU_RAX], 1);
		assert_int_equal(g.s.activity, CPU_HALTED);
		assert_int_equal(g.s.rip, lin + 6);
		mem_write(g.mem, 0x40000, zeros, sizeof(zeros));
		assert_false(mem_page_flags(g.mem, 0x40) & MEM_PAGE_CODE);
	}
	/* A write to either end alone drops it as well. */
	for (unsigned i = 0; i < 2; i++) {
		mem_write(g.mem, 0x40ffd, cross, 3);
		mem_write(g.mem, 0x40000, cross + 3, 3);
		guest_long(&g, 0);
		g.s.rip = lin;
		guest_run(&g, 10);
		assert_int_equal(g.s.gpr[CPU_RAX], 1);
		/* The immediate is bytes 1 to 4: 1, 0 on the first view, 0, 0 behind. */
		guest_poke(&g, i ? 0x40ffe : 0x40000, 2, 1);
		guest_long(&g, 0);
		g.s.rip = lin;
		guest_run(&g, 10);
		assert_int_equal(g.s.gpr[CPU_RAX], i ? 2 : 0x20001);
	}
	guest_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_page_twice) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
