/* SPDX-License-Identifier: Apache-2.0 */
/* 4-level paging (SDM vol. 3, 4.5 to 4.8): sizes, rights, reserved bits, accessed and dirty bits.
 */
#include "lib/pt.h"

const char guest_name[] = "paging64";

#define VA_4K (PT_FREE + 0x1000)
#define VA_2M (PT_FREE + 0x40000000)
#define VA_1G (PT_FREE + 0x80000000)
#define RWU   (PTE_P | PTE_RW | PTE_US)

static uint8_t frame_a[4096] __attribute__((aligned(4096)));
static uint8_t frame_b[4096] __attribute__((aligned(4096)));

void user_read(void);
void user_write(void);
void user_jump(void);
__asm__(".text\n"
	"user_read: mov (%rdi), %eax; int $0x80\n"
	"user_write: movl $7, (%rdi); int $0x80\n"
	"user_jump: jmp *%rdi\n");

static int read_at(uint64_t va)
{
	uint32_t v;
	return TRY("movl (%1), %0", "=r"(v), "r"(va));
}

static int write_at(uint64_t va)
{
	return TRY("movl $1, (%0)", NOTHING, "r"(va));
}

static int user_at(void (*fn)(void), uint64_t va)
{
	guest_trap_arm();
	user_enter((word)fn, (word)guest_stack3 + sizeof(guest_stack3), 2, va, SEL_UCODE64,
		   SEL_UDATA);
	return trap.vector;
}

#define CHECK_PF(call, va, code)                                                                   \
	do {                                                                                       \
		CHECK_EQ(call, VEC_PF);                                                            \
		/* TCG leaves P clear with a reserved bit; SDM vol. 3, 4.7 has it set. */          \
		CHECK_EQ(trap.err, (code) & ~(guest_is_tcg && ((code)&8) ? 1u : 0u));              \
		CHECK_EQ(trap.cr2, va);                                                            \
	} while (0)

static void accessed_dirty(void)
{
	volatile uint64_t *pte = pt_entry(VA_4K, 1);
	pt_map(VA_4K, (word)frame_a | RWU, 1);
	*pt_entry(VA_4K, 2) &= ~PTE_A;
	write_cr3(read_cr3());
	CHECK_EQ(*pte & (PTE_A | PTE_D), 0);
	CHECK_EQ(read_at(VA_4K), -1);
	CHECK_EQ(*pte & (PTE_A | PTE_D), PTE_A);
	CHECK(*pt_entry(VA_4K, 2) & PTE_A);
	CHECK_EQ(write_at(VA_4K), -1);
	CHECK_EQ(*pte & (PTE_A | PTE_D), PTE_A | PTE_D);
	CHECK_EQ(frame_a[0], 1);
	/* A store to a page read before sets the dirty bit, through any earlier translation. */
	pt_map(VA_4K, (word)frame_a | RWU, 1);
	CHECK_EQ(write_at(VA_4K), -1);
	CHECK_EQ(*pte & (PTE_A | PTE_D), PTE_A | PTE_D);
}

static void not_present(void)
{
	pt_map(VA_4K, 0, 1);
	CHECK_PF(read_at(VA_4K + 8), VA_4K + 8, 0);
	CHECK_PF(write_at(VA_4K + 12), VA_4K + 12, 2);
	CHECK_PF(user_at(user_read, VA_4K), VA_4K, 4);
	CHECK_PF(user_at(user_write, VA_4K), VA_4K, 6);
	CHECK_PF(user_at(user_jump, VA_4K), VA_4K, 0x14);
	CHECK_EQ(trap.ip, VA_4K);
	/* Not present higher up. */
	CHECK_PF(read_at(PT_FREE + 0x1000000000), PT_FREE + 0x1000000000, 0);
}

static void rights(void)
{
	volatile uint64_t *pte = pt_entry(VA_4K, 1);
	pt_map(VA_4K, (word)frame_a | PTE_P | PTE_US, 1);
	CHECK_EQ(read_at(VA_4K), -1);
	CHECK_PF(write_at(VA_4K), VA_4K, 3);
	CHECK_EQ(*pte & PTE_D, 0);
	CHECK_PF(user_at(user_write, VA_4K), VA_4K, 7);
	write_cr0(read_cr0() & ~0x10000ul);
	CHECK_EQ(write_at(VA_4K), -1);
	CHECK(*pte & PTE_D);
	CHECK_PF(user_at(user_write, VA_4K), VA_4K, 7);
	write_cr0(read_cr0() | 0x10000);

	pt_map(VA_4K, (word)frame_a | PTE_P | PTE_RW, 1);
	CHECK_EQ(write_at(VA_4K), -1);
	CHECK_PF(user_at(user_read, VA_4K), VA_4K, 5);
	CHECK_PF(user_at(user_write, VA_4K), VA_4K, 7);

	/* Rights of all levels are combined. */
	pt_map(VA_4K, (word)frame_a | RWU, 1);
	CHECK_EQ(user_at(user_write, VA_4K), VEC_USER_RETURN);
	*pt_entry(VA_4K, 2) &= ~PTE_RW;
	invlpg((void *)VA_4K);
	CHECK_PF(user_at(user_write, VA_4K), VA_4K, 7);
	CHECK_PF(write_at(VA_4K), VA_4K, 3);
	*pt_entry(VA_4K, 2) |= PTE_RW;
	*pt_entry(VA_4K, 3) &= ~PTE_US;
	invlpg((void *)VA_4K);
	CHECK_PF(user_at(user_read, VA_4K), VA_4K, 5);
	CHECK_EQ(read_at(VA_4K), -1);
	*pt_entry(VA_4K, 3) |= PTE_US;
	invlpg((void *)VA_4K);
	CHECK_EQ(user_at(user_read, VA_4K), VEC_USER_RETURN);
}

static void no_execute(void)
{
	frame_b[0] = 0xc3; /* RET */
	frame_b[1] = 0xcd; /* INT 80h */
	frame_b[2] = 0x80;
	pt_map(VA_4K, (word)frame_b | RWU, 1);
	CHECK_EQ(TRY("call *%0", NOTHING, "r"(VA_4K)), -1);
	CHECK_EQ(user_at(user_jump, VA_4K + 1), VEC_USER_RETURN);
	pt_map(VA_4K, (word)frame_b | RWU | PTE_NX, 1);
	CHECK_EQ(read_at(VA_4K), -1);
	CHECK_PF(TRY("call *%0", NOTHING, "r"(VA_4K)), VA_4K, 0x11);
	CHECK_PF(user_at(user_jump, VA_4K + 1), VA_4K + 1, 0x15);
	pt_map(VA_4K, (word)frame_b | RWU, 1);
	*pt_entry(VA_4K, 2) |= PTE_NX;
	invlpg((void *)VA_4K);
	CHECK_PF(TRY("call *%0", NOTHING, "r"(VA_4K)), VA_4K, 0x11);
	/* With EFER.NXE clear the bit is reserved. */
	wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
	write_cr3(read_cr3());
	CHECK_PF(read_at(VA_4K), VA_4K, 9);
	wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
	*pt_entry(VA_4K, 2) &= ~PTE_NX;
	write_cr3(read_cr3());
	CHECK_EQ(read_at(VA_4K), -1);
}

static void reserved(void)
{
	pt_map(VA_4K, (word)frame_a | RWU | 1ull << 45, 1);
	CHECK_PF(read_at(VA_4K), VA_4K, 9);
	CHECK_PF(write_at(VA_4K), VA_4K, 0xb);
	CHECK_PF(user_at(user_read, VA_4K), VA_4K, 0xd);
	pt_map(VA_4K, (word)frame_a | RWU, 1);
	*pt_entry(VA_4K, 3) |= 1ull << 45;
	invlpg((void *)VA_4K);
	CHECK_PF(read_at(VA_4K), VA_4K, 9);
	*pt_entry(VA_4K, 3) &= ~(1ull << 45);
	/* Low address bits of a large page. */
	pt_map(VA_2M, 0x200000 | 0x2000 | RWU | PTE_PS, 2);
	CHECK_PF(read_at(VA_2M), VA_2M, 9);
	/* PS in a PML4 entry. */
	*pt_entry(VA_4K, 4) |= PTE_PS;
	write_cr3(read_cr3());
	CHECK_PF(read_at(VA_4K), VA_4K, 9);
	*pt_entry(VA_4K, 4) &= ~PTE_PS;
	write_cr3(read_cr3());
	CHECK_EQ(read_at(VA_4K), -1);
}

static void large(void)
{
	word pa = (word)frame_a;
	uint64_t va = VA_2M + (pa & 0x1fffff);
	frame_a[0] = 0x5a;
	pt_map(VA_2M, (pa & ~0x1ffffful) | RWU | PTE_PS, 2);
	CHECK_EQ(*(volatile uint8_t *)va, 0x5a);
	CHECK_EQ(*pt_entry(VA_2M, 2) & (PTE_A | PTE_D), PTE_A);
	*(volatile uint8_t *)va = 0x5b;
	CHECK_EQ(frame_a[0], 0x5b);
	CHECK_EQ(*pt_entry(VA_2M, 2) & (PTE_A | PTE_D), PTE_A | PTE_D);
	pt_map(VA_2M, (pa & ~0x1ffffful) | PTE_P | PTE_US | PTE_PS, 2);
	CHECK_PF(write_at(va), va, 3);

	uint32_t r[4];
	cpuid(0x80000001, 0, r);
	if (!(r[3] & 1u << 26))
		return;
	va = VA_1G + (pa & 0x3fffffff);
	pt_map(VA_1G, (pa & ~0x3ffffffful) | RWU | PTE_PS, 3);
	CHECK_EQ(*(volatile uint8_t *)va, 0x5b);
	*(volatile uint8_t *)va = 0x5c;
	CHECK_EQ(frame_a[0], 0x5c);
	CHECK_EQ(*pt_entry(VA_1G, 3) & (PTE_A | PTE_D), PTE_A | PTE_D);
}

/* Nothing is stored when the second page faults; CR2 is that page. */
static void crossing(void)
{
	uint64_t edge = VA_4K + 4096;
	uint64_t v = 0;
	pt_map(VA_4K, (word)frame_a | RWU, 1);
	pt_map(edge, 0, 1);
	for (unsigned i = 4088; i < 4096; i++)
		frame_a[i] = 0x11;
	CHECK_PF(TRY("movq %1, (%0)", NOTHING, "r"(edge - 3), "r"(~0ull)), edge, 2);
	CHECK_EQ(frame_a[4093], 0x11);
	CHECK_PF(TRY("movq (%1), %0", "+r"(v), "r"(edge - 3)), edge, 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(TRY("addq $1, (%0)", NOTHING, "r"(edge - 3)), VEC_PF);
	CHECK_HW_EQ(trap.err, 2);
	pt_map(edge, (word)frame_b | RWU, 1);
	CHECK_EQ(TRY("movq %1, (%0)", NOTHING, "r"(edge - 3), "r"(0x8877665544332211ull)), -1);
	CHECK_EQ(frame_a[4095], 0x33);
	CHECK_EQ(frame_b[0], 0x44);
	CHECK_EQ(TRY("movq (%1), %0", "=r"(v), "r"(edge - 3)), -1);
	CHECK_EQ(v, 0x8877665544332211ull);
	CHECK_EQ(TRY("lock addq $1, (%0)", NOTHING, "r"(edge - 3)), -1);
	CHECK_EQ(frame_a[4093], 0x12);
}

/* Instructions that write ask for write rights before they do anything. */
static void modify(void)
{
	pt_map(VA_4K, (word)frame_a | PTE_P | PTE_US, 1);
	word a = 1, b = 2;
	*(uint64_t *)(void *)frame_a = 5;
	CHECK_PF(TRY("addq $1, (%0)", NOTHING, "r"(VA_4K)), VA_4K, 3);
	CHECK_PF(TRY("xchg %0, (%1)", "+r"(b), "r"(VA_4K)), VA_4K, 3);
	CHECK_EQ(b, 2);
	/* The comparison fails, and yet it is a write. */
	CHECK_PF(TRY("lock cmpxchgq %2, (%1)", "+a"(a), "r"(VA_4K), "r"(9ul)), VA_4K, 3);
	CHECK_EQ(a, 1);
	pt_map(VA_4K, (word)frame_a | RWU, 1);
	CHECK_EQ(TRY("lock cmpxchgq %2, (%1)", "+a"(a), "r"(VA_4K), "r"(9ul)), -1);
	CHECK_EQ(a, 5);
	CHECK_EQ(*(uint64_t *)(void *)frame_a, 5);
	CHECK(*pt_entry(VA_4K, 1) & PTE_D);
}

static void stack(void)
{
	static uint8_t other[4096] __attribute__((aligned(16)));
	pt_map(VA_4K, 0, 1);
	pt_map(VA_4K + 4096, (word)frame_b | RWU, 1);
	guest_tss.ist[0] = (word)other + sizeof(other);
	idt_set(VEC_PF, (word)trap_entries + 16 * VEC_PF, 0, 0xe, 1);
	CHECK_PF(TRY("movq %0, %%rsp\n\tpushq %%rax", NOTHING, "r"(VA_4K + 4096)), VA_4K + 4088, 2);
	CHECK_EQ(trap.sp, VA_4K + 4096);
	CHECK(trap.handler_sp >= (word)other && trap.handler_sp < (word)other + sizeof(other));
	CHECK_PF(TRY("movq %0, %%rsp\n\tcall 2f\n2:", NOTHING, "r"(VA_4K + 4096)), VA_4K + 4088, 2);
	CHECK_EQ(trap.sp, VA_4K + 4096);
	CHECK_PF(TRY("movq %1, %%rsp\n\tpopq %%rax", "=a"(dead), "r"(VA_4K + 4080)), VA_4K + 4080,
		 0);
	CHECK_EQ(trap.sp, VA_4K + 4080);
	idt_set(VEC_PF, (word)trap_entries + 16 * VEC_PF, 0, 0xe, 0);
}

static void canonical(void)
{
	CHECK_EQ(read_at(0x800000000000ull), VEC_GP);
	CHECK_EQ(trap.err, 0);
	CHECK_EQ(TRY("movq (%1), %%rax", "=a"(dead), "r"(0xffff7ffffffffff8ull)), VEC_GP);
	guest_tss.ist[1] = (word)guest_stack3 + 8192;
	idt_set(VEC_SS, (word)trap_entries + 16 * VEC_SS, 0, 0xe, 2);
	idt_set(VEC_GP, (word)trap_entries + 16 * VEC_GP, 0, 0xe, 2);
	int vector = TRY("movq %0, %%rsp\n\tpushq %%rax", NOTHING, "r"(0x800000000008ull << 1));
	CHECK_EQ(vector, guest_is_tcg ? VEC_GP : VEC_SS);
	CHECK_EQ(trap.err, 0);
	idt_set(VEC_GP, (word)trap_entries + 16 * VEC_GP, 0, 0xe, 0);
	/* The last canonical byte: the access crosses. */
	CHECK_HW_EQ(TRY("movq (%1), %%rax", "=a"(dead), "r"(0x7ffffffffffcull)), VEC_GP);
	CHECK_EQ(TRY("jmp *%0", NOTHING, "r"(0x900000000000ull)), VEC_GP);
	idt_set(VEC_SS, (word)trap_entries + 16 * VEC_SS, 0, 0xe, 0);
}

static void remap(void)
{
	frame_a[0] = 0xaa;
	frame_b[0] = 0xbb;
	pt_map(VA_4K, (word)frame_a | RWU, 1);
	CHECK_EQ(*(volatile uint8_t *)VA_4K, 0xaa);
	pt_map(VA_4K, (word)frame_b | RWU, 1);
	CHECK_EQ(*(volatile uint8_t *)VA_4K, 0xbb);
	/* Global pages stay over MOV CR3 alone, but go with INVLPG. */
	write_cr4(read_cr4() | 0x80);
	pt_map(VA_4K, (word)frame_b | RWU | PTE_G, 1);
	CHECK_EQ(*(volatile uint8_t *)VA_4K, 0xbb);
	pt_map(VA_4K, (word)frame_a | RWU, 1);
	CHECK_EQ(*(volatile uint8_t *)VA_4K, 0xaa);
	write_cr4(read_cr4() & ~0x80ul);
	/* A new table at a higher level. */
	static uint64_t table[512] __attribute__((aligned(4096)));
	table[VA_4K >> 12 & 511] = (word)frame_b | RWU;
	uint64_t old = *pt_entry(VA_4K, 2);
	*pt_entry(VA_4K, 2) = (word)table | RWU;
	write_cr3(read_cr3());
	CHECK_EQ(*(volatile uint8_t *)VA_4K, 0xbb);
	*pt_entry(VA_4K, 2) = old;
	write_cr3(read_cr3());
	CHECK_EQ(*(volatile uint8_t *)VA_4K, 0xaa);
}

void guest_main(void)
{
	RUN(accessed_dirty);
	RUN(not_present);
	RUN(rights);
	RUN(no_execute);
	RUN(reserved);
	RUN(large);
	RUN(crossing);
	RUN(modify);
	RUN(stack);
	RUN(canonical);
	RUN(remap);
}
