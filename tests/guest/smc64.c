/* SPDX-License-Identifier: Apache-2.0 */
/* Self- and cross-modifying code: a store is seen by the very next instruction, by any alias. */
#include "lib/pt.h"

const char guest_name[] = "smc64";

#define ALIAS PT_FREE
static uint8_t code[3 * 4096] __attribute__((aligned(4096)));
static uint8_t data[4096] __attribute__((aligned(4096)));

typedef uint32_t (*fn32)(void);

/* mov $imm, %eax; ret */
static void emit_const(uint8_t *p, uint32_t imm)
{
	p[0] = 0xb8;
	__builtin_memcpy(p + 1, &imm, 4);
	p[5] = 0xc3;
}

static uint32_t call(const volatile void *p)
{
	uint32_t v;
	__asm__ volatile("call *%1"
			 : "=a"(v)
			 : "r"(p)
			 : "memory", "cc", "rcx", "rdx", "rsi", "rdi");
	return v;
}

static void rewrite(void)
{
	for (uint32_t i = 0; i < 2000; i++) {
		emit_const(code, i * 3);
		CHECK_EQ(call(code), i * 3);
	}
}

static void alias(void)
{
	pt_map(ALIAS, (word)code | PTE_P | PTE_RW, 1);
	for (uint32_t i = 0; i < 2000; i++) {
		emit_const((uint8_t *)ALIAS, i ^ 0x5555);
		CHECK_EQ(call(code), i ^ 0x5555);
		emit_const(code, i + 1);
		CHECK_EQ(call((void *)ALIAS), i + 1);
	}
}

/* The store changes the immediate of the instruction right behind it. */
uint32_t next_insn(uint32_t v);
uint32_t loop_body(uint32_t n);
__asm__(".text\n"
	"next_insn: mov %edi, next_insn_imm+1\n next_insn_imm: mov $0, %eax\n ret\n"
	/* Adds 1, 2, 3 ...: the ADD's immediate counts up by itself. */
	"loop_body: xor %eax, %eax\n movl $0, loop_imm+1\n"
	"1: incl loop_imm+1\n loop_imm: add $0x7fffffff, %eax\n dec %edi\n jnz 1b\n ret\n");

static void following(void)
{
	for (uint32_t i = 0; i < 500; i++)
		CHECK_EQ(next_insn(i * 7), i * 7);
	CHECK_EQ(loop_body(1000), 500500);
}

/* REP MOVSB over the code just ahead of it. */
static void block_copy(void)
{
	uint8_t *p = code;
	static const uint8_t head[] = {0xf3, 0xa4}; /* rep movsb */
	__builtin_memcpy(p, head, 2);
	emit_const(p + 2, 111);
	emit_const(data, 222);
	uint32_t v;
	__asm__ volatile("call *%%rdx"
			 : "=a"(v), "=&d"(dead)
			 : "1"(p), "S"(data), "D"(p + 2), "c"(6)
			 : "memory");
	CHECK_EQ(v, 222);
}

/* An instruction that spans two pages, changed in its second. */
static void spanning(void)
{
	uint8_t *p = code + 4096 - 2;
	emit_const(p, 1);
	CHECK_EQ(call(p), 1);
	for (uint32_t i = 0; i < 300; i++) {
		code[4096] = (uint8_t)i; /* second byte of the immediate */
		CHECK_EQ(call(p), 1 | (i & 0xff) << 8);
	}
	/* Remap the second page under it. */
	pt_map(ALIAS, (word)code | PTE_P | PTE_RW, 1);
	pt_map(ALIAS + 4096, (word)(code + 4096) | PTE_P | PTE_RW, 1);
	CHECK_EQ(call((void *)(ALIAS + 4094)), 1 | 0x2b << 8);
	__builtin_memcpy(data, code + 4096, 16);
	data[0] = 0x77;
	pt_map(ALIAS + 4096, (word)data | PTE_P | PTE_RW, 1);
	CHECK_EQ(call((void *)(ALIAS + 4094)), 1 | 0x77 << 8);
}

/* The order kernels use: INT3 over the first byte, then the tail, then the first byte. */
static void text_poke(void)
{
	emit_const(code, 10);
	CHECK_EQ(call(code), 10);
	*(volatile uint8_t *)code = 0xcc;
	CHECK_EQ(TRY("call *%1", "=a"(dead), "r"(code)), VEC_BP);
	*(volatile uint8_t *)(code + 1) = 20;
	CHECK_EQ(TRY("call *%1", "=a"(dead), "r"(code)), VEC_BP);
	*(volatile uint8_t *)code = 0xb8;
	CHECK_EQ(call(code), 20);
}

/* Code and often-written data on one page, 64 bytes and less apart. */
static void mixed(void)
{
	static const uint8_t body[] = {
		0xff, 0x05, 0x0a, 0, 0, 0, /* incl 10(%rip): offset 16 */
		0x8b, 0x05, 0x04, 0, 0, 0, /* mov 4(%rip), %eax: offset 16 */
		0xc3,
	};
	__builtin_memcpy(code, body, sizeof(body));
	__builtin_memset(code + 16, 0, 4);
	uint32_t v = 0;
	for (unsigned i = 0; i < 3000; i++)
		v = call(code);
	CHECK_EQ(v, 3000);
	__builtin_memcpy(code + 4096, body, sizeof(body));
	__builtin_memset(code + 4096 + 16, 0, 4);
	for (unsigned i = 0; i < 3000; i++) {
		v = call(code + 4096);
		code[4096 + 200] = (uint8_t)i;
	}
	CHECK_EQ(v, 3000);
}

/* The same linear address, another frame: after MOV CR3 or INVLPG the other code runs. */
static void remap(void)
{
	emit_const(code, 1);
	emit_const(data, 2);
	for (unsigned i = 0; i < 200; i++) {
		pt_map(ALIAS, (word)code | PTE_P, 1);
		CHECK_EQ(call((void *)ALIAS), 1);
		pt_map(ALIAS, (word)data | PTE_P, 1);
		CHECK_EQ(call((void *)ALIAS), 2);
	}
}

static void on_stack(void)
{
	uint8_t here[16];
	for (uint32_t i = 0; i < 200; i++) {
		emit_const(here, i);
		__asm__ volatile("" : : "r"(here) : "memory");
		CHECK_EQ(call(here), i);
	}
}

void guest_main(void)
{
	RUN(rewrite);
	RUN(alias);
	RUN(following);
	RUN(block_copy);
	RUN(spanning);
	RUN(text_poke);
	RUN(mixed);
	RUN(remap);
	RUN(on_stack);
}
