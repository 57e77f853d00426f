/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer instructions that the differential test cannot reach on a 64-bit
 * host (decimal adjustment, 16- and 32-bit stack and branch forms), and what
 * REP does to icount: one step an iteration, exact at any stop and any fault.
 */
#include "guest.h"

static int setup(void **state)
{
	static struct guest g;

	guest_open(&g);
	guest_long(&g, 0);
	*state = &g;
	return 0;
}

static int teardown(void **state)
{
	guest_close(*state);
	return 0;
}

/* Compatibility mode, 32 bits. */
static void mode32(struct guest *g)
{
	guest_long(g, 0);
	guest_seg(&g->s.seg[CPU_CS], SEL_CODE32, 0xc09b);
}

/* Compatibility mode, 16 bits, stack too. */
static void mode16(struct guest *g)
{
	guest_long(g, 0);
	guest_seg(&g->s.seg[CPU_CS], SEL_CODE16, 0x009b);
	g->s.seg[CPU_CS].base = GUEST_TEXT;
	g->s.seg[CPU_CS].limit = 0xffff;
	g->s.seg[CPU_SS].attr = 0x0093;
	g->s.seg[CPU_SS].limit = 0xffff;
	g->s.seg[CPU_SS].base = GUEST_STACK;
	g->s.gpr[CPU_RSP] = 0xabcd1000;
	g->s.rip = 0;
	/* The upper half of that RSP is no stack in 64-bit mode: faults use IST 1. */
	guest_gate(g, VEC_SS, GUEST_STUBS + VEC_SS * 16, SEL_CODE64, 0x8e, 1);
	guest_gate(g, VEC_GP, GUEST_STUBS + VEC_GP * 16, SEL_CODE64, 0x8e, 1);
}

static uint8_t bcd(unsigned n)
{
	return (uint8_t)(n / 10 << 4 | n % 10);
}

GUEST_CODE(code_daa, ".code32\n add %bl, %al\n daa\n sub %cl, %dl\n .byte 0x92\n das\n .byte 0x92\n");
static void test_packed_decimal(void **state)
{
	struct guest *g = *state;

	mode32(g);
	guest_load(g, code_daa, code_daa_end);
	for (unsigned a = 0; a < 100; a++) {
		for (unsigned b = 0; b < 100; b += 3) {
			g->s.rip = GUEST_TEXT;
			g->s.gpr[CPU_RAX] = bcd(a);
			g->s.gpr[CPU_RBX] = bcd(b);
			g->s.gpr[CPU_RCX] = bcd(b);
			g->s.gpr[CPU_RDX] = bcd(a);
			guest_run(g, 2);
			assert_int_equal(g->s.gpr[CPU_RAX], bcd((a + b) % 100));
			assert_int_equal(!!(g->s.rflags & RFLAGS_CF), a + b > 99);
			guest_run(g, 4); /* xchg eax, edx keeps the flags of SUB for DAS */
			assert_int_equal(g->s.gpr[CPU_RDX], bcd((a + 100 - b) % 100));
			assert_int_equal(!!(g->s.rflags & RFLAGS_CF), a < b);
		}
	}
}

GUEST_CODE(code_aaa, ".code32\n add %bl, %al\n aaa\n");
GUEST_CODE(code_aas, ".code32\n sub %bl, %al\n aas\n");
static void test_unpacked_decimal(void **state)
{
	struct guest *g = *state;

	mode32(g);
	for (unsigned a = 0; a < 10; a++) {
		for (unsigned b = 0; b < 10; b++) {
			g->s.rip = GUEST_TEXT;
			g->s.gpr[CPU_RAX] = 0x0500 | a;
			g->s.gpr[CPU_RBX] = b;
			GUEST_GO(g, code_aaa, 2);
			assert_int_equal(g->s.gpr[CPU_RAX], (a + b > 9 ? 0x600 : 0x500) | (a + b) % 10);
			assert_int_equal(!!(g->s.rflags & RFLAGS_CF), a + b > 9);
			g->s.rip = GUEST_TEXT;
			g->s.gpr[CPU_RAX] = 0x0500 | a;
			GUEST_GO(g, code_aas, 2);
			assert_int_equal(g->s.gpr[CPU_RAX], (a < b ? 0x400 : 0x500) | (a + 10 - b) % 10);
			assert_int_equal(!!(g->s.rflags & RFLAGS_AF), a < b);
		}
	}
}

GUEST_CODE(code_aam, ".code32\n aam\n aad\n .byte 0xd4, 0\n");
static void test_aam_aad(void **state)
{
	struct guest *g = *state;

	mode32(g);
	g->s.gpr[CPU_RAX] = 0x11223344u; /* AL = 68 */
	GUEST_GO(g, code_aam, 1);
	assert_int_equal(g->s.gpr[CPU_RAX], 0x11220608);
	guest_run(g, 1);
	assert_int_equal(g->s.gpr[CPU_RAX], 0x11220044);
	guest_run(g, 2);
	assert_int_equal(guest_vector(g), VEC_DE);
}

GUEST_CODE(code_pusha, ".code32\n pusha\n popa\n pushaw\n");
static void test_pusha(void **state)
{
	struct guest *g = *state;
	uint64_t before[8];

	mode32(g);
	for (unsigned i = 0; i < 8; i++)
		if (i != CPU_RSP)
			g->s.gpr[i] = 0x10101010u * (i + 1) + i;
	memcpy(before, g->s.gpr, sizeof(before));
	GUEST_GO(g, code_pusha, 1);
	assert_int_equal(g->s.gpr[CPU_RSP], GUEST_STACK - 32);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(guest_peek(g, GUEST_STACK - 4 - i * 4, 4), before[i]);
	for (unsigned i = 0; i < 8; i++)
		if (i != CPU_RSP)
			g->s.gpr[i] = 0;
	guest_run(g, 1);
	assert_memory_equal(g->s.gpr, before, sizeof(before));
	guest_run(g, 1);
	assert_int_equal(g->s.gpr[CPU_RSP], GUEST_STACK - 16);
	assert_int_equal(guest_peek(g, GUEST_STACK - 16, 2), before[CPU_RDI] & 0xffff);
}

/* 16 bits: only SP moves, PUSH SP stores the old value, wraps at 64 KiB. */
GUEST_CODE(code_stack16, ".code16\n push %sp\n pop %ax\n pushl $0x12345678\n pop %bx\n pop %cx\n"
			 "enter $4, $1\n leave\n popl (%esp)\n");
static void test_stack16(void **state)
{
	struct guest *g = *state;

	mode16(g);
	g->s.gpr[CPU_RBP] = 0x1111ee00;
	GUEST_GO(g, code_stack16, 2);
	assert_int_equal(g->s.gpr[CPU_RAX], 0x1000);
	assert_int_equal(g->s.gpr[CPU_RSP], 0xabcd1000);
	guest_run(g, 3);
	assert_int_equal(g->s.gpr[CPU_RBX] & 0xffff, 0x5678);
	assert_int_equal(g->s.gpr[CPU_RCX] & 0xffff, 0x1234);
	guest_run(g, 1);
	assert_int_equal(g->s.gpr[CPU_RBP], 0x11110ffe);
	assert_int_equal(g->s.gpr[CPU_RSP], 0xabcd0ff8);
	assert_int_equal(guest_peek(g, GUEST_STACK + 0xffe, 2), 0xee00);
	assert_int_equal(guest_peek(g, GUEST_STACK + 0xffc, 2), 0x0ffe);
	guest_run(g, 1);
	assert_int_equal(g->s.gpr[CPU_RBP], 0x1111ee00);
	assert_int_equal(g->s.gpr[CPU_RSP], 0xabcd1000);
	/* [ESP] with ESP above the limit: #GP or #SS, and nothing moved */
	guest_run(g, 2);
	assert_int_equal(guest_vector(g), VEC_SS);
}

GUEST_CODE(code_pop_mem, ".code32\n popl 4(%esp)\n push %esp\n popw 2(%ebx)\n");
static void test_pop_memory(void **state)
{
	struct guest *g = *state;

	mode32(g);
	g->s.gpr[CPU_RBX] = GUEST_DATA;
	guest_poke(g, GUEST_STACK, 0xcafe1234, 4);
	GUEST_GO(g, code_pop_mem, 1);
	assert_int_equal(guest_peek(g, GUEST_STACK + 8, 4), 0xcafe1234);
	guest_run(g, 2);
	assert_int_equal(guest_peek(g, GUEST_DATA + 2, 2), (GUEST_STACK + 4) & 0xffff);
	assert_int_equal(g->s.gpr[CPU_RSP], GUEST_STACK + 2);
}

/* Targets are truncated to the operand size and checked against CS.limit before anything moves. */
GUEST_CODE(code_near, ".code32\n call 1f\n .byte 0x66, 0xe9, 0xfc, 0x7f\n 1: ret $8\n");
static void test_near_legacy(void **state)
{
	struct guest *g = *state;

	mode32(g);
	GUEST_GO(g, code_near, 2);
	assert_int_equal(g->s.rip, GUEST_TEXT + 5);
	assert_int_equal(g->s.gpr[CPU_RSP], GUEST_STACK + 8);
	guest_run(g, 1); /* jmpw */
	assert_int_equal(g->s.rip, (GUEST_TEXT + 5 + 4 + 0x7ffc) & 0xffff);

	mode16(g);
	g->s.seg[CPU_CS].limit = 0x100;
	g->s.gpr[CPU_RCX] = 1;
	guest_poke(g, GUEST_TEXT, 0x0200e8, 3); /* call 203h */
	guest_run(g, 2);
	assert_int_equal(guest_vector(g), VEC_GP);
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP] + 8, 8), 0);          /* RIP of the CALL */
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP] + 32, 8), 0xabcd1000); /* RSP unmoved */
}

GUEST_CODE(code_jcxz, ".code32\n .byte 0x67, 0xe3, 2\n nop\n nop\n .byte 0xe3, 2\n nop\n");
static void test_counters(void **state)
{
	struct guest *g = *state;

	mode32(g);
	guest_poke(g, GUEST_TEXT, 0xfce26740, 4); /* 1: inc eax; addr16 loop 1b */
	g->s.gpr[CPU_RCX] = 0x10003;
	guest_run(g, 6);
	assert_int_equal(g->s.gpr[CPU_RAX], 3);
	assert_int_equal(g->s.gpr[CPU_RCX], 0x10000);
	assert_int_equal(g->s.rip, GUEST_TEXT + 4);
	g->s.rip = GUEST_TEXT;
	GUEST_GO(g, code_jcxz, 2); /* CX is 0, ECX is not */
	assert_int_equal(g->s.rip, GUEST_TEXT + 7);
}

GUEST_CODE(code_bound, ".code32\n bound %eax, (%ebx)\n nop\n bound %ax, (%ebx)\n");
static void test_bound(void **state)
{
	struct guest *g = *state;

	mode32(g);
	g->s.gpr[CPU_RBX] = GUEST_DATA;
	guest_poke(g, GUEST_DATA, 0x00000005fffffffe, 8); /* -2 .. 5 */
	for (int i = -4; i < 8; i++) {
		mode32(g);
		g->s.gpr[CPU_RBX] = GUEST_DATA;
		g->s.gpr[CPU_RAX] = (uint32_t)i;
		GUEST_GO(g, code_bound, 2);
		assert_int_equal(guest_vector(g), i < -2 || i > 5 ? VEC_BR : -1);
	}
}

/* ---- REP and icount ---- */

GUEST_CODE(code_movs, "rep movsq\n nop\n");
static void test_rep_stops_anywhere(void **state)
{
	struct guest *g = *state;

	for (unsigned stop = 1; stop <= 600; stop += 37) {
		guest_long(g, 0);
		for (unsigned i = 0; i < 600; i++) {
			guest_poke(g, GUEST_DATA + 0xf08 + i * 8, i * 0x0101010101010101u, 8);
			guest_poke(g, GUEST_DATA + 0x4ff4 + i * 8, 0, 8);
		}
		g->s.gpr[CPU_RSI] = GUEST_DATA + 0xf08;
		g->s.gpr[CPU_RDI] = GUEST_DATA + 0x4ff4; /* crosses pages inside an element */
		g->s.gpr[CPU_RCX] = 600;
		GUEST_GO(g, code_movs, stop);
		assert_int_equal(g->s.gpr[CPU_RCX], 600 - stop);
		assert_int_equal(g->s.gpr[CPU_RSI], GUEST_DATA + 0xf08 + stop * 8);
		assert_int_equal(g->s.rip, GUEST_TEXT + (stop == 600 ? 3 : 0));
		guest_run(g, 600 - stop + 1); /* the rest and the NOP */
		assert_int_equal(g->s.rip, GUEST_TEXT + 4);
		for (unsigned i = 0; i < 600; i++)
			assert_int_equal(guest_peek(g, GUEST_DATA + 0x4ff4 + i * 8, 8),
					 i * 0x0101010101010101u);
	}
}

GUEST_CODE(code_count0, "rep stosb\n repe cmpsb\n rep lodsq\n");
static void test_rep_zero(void **state)
{
	struct guest *g = *state;

	g->s.rflags |= RFLAGS_ZF;
	GUEST_GO(g, code_count0, 3);
	assert_int_equal(g->s.rip, GUEST_TEXT + 7);
	assert_true(g->s.rflags & RFLAGS_ZF);
	assert_int_equal(g->s.gpr[CPU_RDI], 0);
}

/* A destination just behind the source spreads the first bytes, whatever the element size. */
GUEST_CODE(code_movsb, "rep movsb\n nop\n");
static void test_rep_overlap(void **state)
{
	struct guest *g = *state;

	for (unsigned gap = 1; gap < 20; gap += 3) {
		guest_long(g, 0);
		for (unsigned i = 0; i < 0x1800; i++)
			guest_poke(g, GUEST_DATA + i, i, 1);
		g->s.gpr[CPU_RSI] = GUEST_DATA;
		g->s.gpr[CPU_RDI] = GUEST_DATA + gap;
		g->s.gpr[CPU_RCX] = 0x1400;
		GUEST_GO(g, code_movsb, 0x1401);
		assert_int_equal(g->s.rip, GUEST_TEXT + 3);
		for (unsigned i = 0; i < 0x1400; i += 7)
			assert_int_equal(guest_peek(g, GUEST_DATA + gap + i, 1), i % gap);
	}
}

/* A page fault after k iterations: k steps, then one for the delivery; registers as of iteration k. */
GUEST_CODE(code_stos, "rep stosq\n nop\n");
static void test_rep_fault(void **state)
{
	struct guest *g = *state;
	icount_t start = vclock_icount(g->clock);

	guest_poke(g, GUEST_PT + (GUEST_DATA >> 12) * 8 + 16, 0, 8); /* third page not present */
	g->s.gpr[CPU_RDI] = GUEST_DATA + 0xff0;
	g->s.gpr[CPU_RCX] = 2000;
	g->s.gpr[CPU_RAX] = 0x1122334455667788u;
	GUEST_GO(g, code_stos, 2 + 512 + 1);
	assert_int_equal(vclock_icount(g->clock), start + 2 + 512 + 1);
	assert_int_equal(g->s.rip, GUEST_STUBS + VEC_PF * 16);
	assert_int_equal(g->s.cr2, GUEST_DATA + 0x2000);
	assert_int_equal(g->s.gpr[CPU_RCX], 2000 - 514);
	assert_int_equal(g->s.gpr[CPU_RDI], GUEST_DATA + 0x2000);
	assert_int_equal(guest_peek(g, g->s.gpr[CPU_RSP] + 8, 8), GUEST_TEXT);
	assert_int_equal(guest_peek(g, GUEST_DATA + 0x1ff8, 8), 0x1122334455667788u);
}

/* Backwards, and the ends of REPE/REPNE. */
GUEST_CODE(code_scan, "std\n repne scasb\n cld\n repe cmpsw\n");
static void test_rep_scan(void **state)
{
	struct guest *g = *state;

	guest_poke(g, GUEST_DATA + 3, 0x77, 1);
	g->s.gpr[CPU_RDI] = GUEST_DATA + 9;
	g->s.gpr[CPU_RCX] = 100;
	g->s.gpr[CPU_RAX] = 0x77;
	GUEST_GO(g, code_scan, 1 + 7);
	assert_int_equal(g->s.gpr[CPU_RDI], GUEST_DATA + 2);
	assert_int_equal(g->s.gpr[CPU_RCX], 93);
	assert_int_equal(g->s.rip, GUEST_TEXT + 3);
	assert_true(g->s.rflags & RFLAGS_ZF);
	g->s.gpr[CPU_RSI] = GUEST_DATA + 0x100;
	g->s.gpr[CPU_RDI] = GUEST_DATA + 0x200;
	guest_poke(g, GUEST_DATA + 0x208, 1, 2);
	guest_run(g, 1 + 5); /* CLD, four equal, one not */
	assert_int_equal(g->s.gpr[CPU_RSI], GUEST_DATA + 0x10a);
	assert_int_equal(g->s.gpr[CPU_RCX], 88);
	assert_false(g->s.rflags & RFLAGS_ZF);
	assert_int_equal(g->s.rip, GUEST_TEXT + 7);
}

/* A repeated store into its own code takes effect at the next iteration. */
GUEST_CODE(code_self, "rep stosb\n nop\n");
static void test_rep_self(void **state)
{
	struct guest *g = *state;

	g->s.gpr[CPU_RDI] = GUEST_TEXT;
	g->s.gpr[CPU_RCX] = 50;
	g->s.gpr[CPU_RAX] = 0x90; /* the REP prefix becomes a NOP: the rest is a plain STOSB */
	GUEST_GO(g, code_self, 2);
	assert_int_equal(g->s.gpr[CPU_RCX], 49);
	assert_int_equal(g->s.gpr[CPU_RDI], GUEST_TEXT + 1);
	assert_int_equal(g->s.rip, GUEST_TEXT + 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_packed_decimal), T(test_unpacked_decimal), T(test_aam_aad), T(test_pusha),
		T(test_stack16), T(test_pop_memory), T(test_near_legacy), T(test_counters),
		T(test_bound), T(test_rep_stops_anywhere), T(test_rep_zero), T(test_rep_overlap),
		T(test_rep_fault), T(test_rep_scan), T(test_rep_self),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
