/* SPDX-License-Identifier: Apache-2.0 */
/* 32-bit and PAE paging (SDM vol. 3, 4.3 and 4.4): 4 KiB, 4 MiB and 2 MiB pages, PDPTEs, NX. */
#include "lib/user.h"

const char guest_name[] = "paging32";

#define VA  0x40000000u
#define RWU 7u

static uint32_t dir[1024] __attribute__((aligned(4096)));
static uint32_t table[1024] __attribute__((aligned(4096)));
static uint64_t pdpt[4] __attribute__((aligned(32)));
static uint64_t pd[4][512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static uint8_t frame_a[4096] __attribute__((aligned(4096)));
static uint8_t frame_b[4096] __attribute__((aligned(4096)));

USER_CODE(user_read, "mov (%edi), %eax");
USER_CODE(user_write, "movl $7, (%edi)");
USER_CODE(user_jump, "jmp *%edi");

static int read_at(uint32_t va)
{
	uint32_t v;
	return TRY("movl (%1), %0", "=r"(v), "r"(va));
}

static int write_at(uint32_t va)
{
	return TRY("movl $1, (%0)", NOTHING, "r"(va));
}

#define CHECK_PF(call, va, code)                                                                   \
	do {                                                                                       \
		CHECK_EQ(call, VEC_PF);                                                            \
		/* TCG leaves P clear with a reserved bit; SDM vol. 3, 4.7 has it set. */          \
		CHECK_EQ(trap.err, (code) & ~(guest_is_tcg && ((code)&8) ? 1u : 0u));              \
		CHECK_EQ(trap.cr2, va);                                                            \
	} while (0)

static void map(uint32_t entry)
{
	*(volatile uint32_t *)&table[0] = entry;
	invlpg((void *)VA);
}

static void map_pae(uint64_t entry)
{
	*(volatile uint64_t *)&pt[0] = entry;
	invlpg((void *)VA);
}

static void paging_off(void)
{
	write_cr0(read_cr0() & ~0x80000000u);
}

static void legacy_on(void)
{
	/* One to one with 4 MiB pages, but for VA, which has a page table. */
	for (uint32_t i = 0; i < 1024; i++)
		dir[i] = i << 22 | RWU | 0x80;
	dir[VA >> 22] = (word)table | RWU;
	write_cr4(read_cr4() | 0x10);
	write_cr3((word)dir);
	write_cr0(read_cr0() | 0x80010000u);
}

static void small_pages(void)
{
	legacy_on();
	map((word)frame_a | RWU);
	dir[VA >> 22] &= ~0x20u;
	write_cr3(read_cr3());
	CHECK_EQ(read_at(VA), -1);
	CHECK_EQ(table[0] & 0x60, 0x20);
	CHECK(dir[VA >> 22] & 0x20);
	CHECK_EQ(write_at(VA), -1);
	CHECK_EQ(table[0] & 0x60, 0x60);
	CHECK_EQ(frame_a[0], 1);
	map(0);
	CHECK_PF(read_at(VA + 4), VA + 4, 0);
	CHECK_PF(write_at(VA), VA, 2);
	CHECK_PF(user_run(user_read, VA), VA, 4);
	CHECK_PF(user_run(user_write, VA), VA, 6);
	CHECK_PF(user_run(user_jump, VA), VA, 4); /* no I/D bit without NX */
	map((word)frame_a | 5);
	CHECK_PF(write_at(VA), VA, 3);
	CHECK_PF(user_run(user_write, VA), VA, 7);
	CHECK_EQ(user_run(user_read, VA), VEC_USER_RETURN);
	write_cr0(read_cr0() & ~0x10000u);
	CHECK_EQ(write_at(VA), -1);
	write_cr0(read_cr0() | 0x10000u);
	map((word)frame_a | 3);
	CHECK_PF(user_run(user_read, VA), VA, 5);
	CHECK_EQ(write_at(VA), -1);
	/* Both levels count. */
	map((word)frame_a | RWU);
	dir[VA >> 22] &= ~2u;
	write_cr3(read_cr3());
	CHECK_PF(write_at(VA), VA, 3);
	dir[VA >> 22] |= 2;
	write_cr3(read_cr3());
	CHECK_EQ(write_at(VA), -1);
	paging_off();
}

static void large_pages(void)
{
	legacy_on();
	word pa = (word)frame_a;
	uint32_t va = VA + (pa & 0x3fffff);
	frame_a[0] = 0x77;
	dir[VA >> 22] = (pa & 0xffc00000) | RWU | 0x80;
	write_cr3(read_cr3());
	CHECK_EQ(*(volatile uint8_t *)va, 0x77);
	CHECK_EQ(dir[VA >> 22] & 0x60, 0x20);
	*(volatile uint8_t *)va = 0x78;
	CHECK_EQ(dir[VA >> 22] & 0x60, 0x60);
	CHECK_EQ(frame_a[0], 0x78);
	/* Bit 21 is reserved; bits 13 to 20 are address bits 32 to 39 (PSE-36). */
	dir[VA >> 22] = (pa & 0xffc00000) | RWU | 0x80 | 1u << 21;
	write_cr3(read_cr3());
	CHECK_PF(read_at(va), va, 9);
	/* Without CR4.PSE bit 7 is ignored: the entry names a page table. */
	for (uint32_t i = 0; i < 1024; i++)
		table[i] = ((word)frame_b & 0xfffff000) | RWU;
	frame_b[0] = 0x99;
	static uint32_t identity[4][1024] __attribute__((aligned(4096)));
	for (uint32_t i = 0; i < 4096; i++)
		identity[i / 1024][i % 1024] = i << 12 | RWU;
	for (uint32_t i = 0; i < 4; i++)
		dir[i] = (word)identity[i] | RWU;
	dir[VA >> 22] = (word)table | RWU | 0x80;
	write_cr4(read_cr4() & ~0x10u);
	CHECK_EQ(*(volatile uint8_t *)VA, 0x99);
	write_cr4(read_cr4() | 0x10);
	paging_off();
}

static void pae_on(void)
{
	for (uint32_t i = 0; i < 2048; i++)
		pd[i / 512][i % 512] = (uint64_t)i << 21 | RWU | 0x80;
	for (uint32_t i = 0; i < 4; i++)
		pdpt[i] = (word)pd[i] | 1;
	pd[VA >> 30][VA >> 21 & 511] = (word)pt | RWU;
	write_cr4(read_cr4() | 0x20);
	wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
	write_cr3((word)pdpt);
	write_cr0(read_cr0() | 0x80010000u);
}

static void pae_off(void)
{
	paging_off();
	write_cr4(read_cr4() & ~0x20u);
	wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
}

static void pae(void)
{
	pae_on();
	map_pae((word)frame_a | RWU);
	CHECK_EQ(read_at(VA), -1);
	CHECK_EQ(pt[0] & 0x60, 0x20);
	CHECK_EQ(write_at(VA), -1);
	CHECK_EQ(pt[0] & 0x60, 0x60);
	map_pae(0);
	CHECK_PF(write_at(VA), VA, 2);
	map_pae((word)frame_a | 5);
	CHECK_PF(write_at(VA), VA, 3);
	CHECK_PF(user_run(user_write, VA), VA, 7);
	frame_a[0] = 0xcd;
	frame_a[1] = 0x80;
	map_pae((word)frame_a | RWU);
	CHECK_EQ(user_run(user_jump, VA), VEC_USER_RETURN);
	map_pae((word)frame_a | RWU | PTE_NX);
	CHECK_PF(user_run(user_jump, VA), VA, 0x15);
	CHECK_EQ(read_at(VA), -1);
	map_pae((word)frame_a | RWU | 1ull << 50);
	CHECK_PF(read_at(VA), VA, 9);
	/* A large page: bit 13 is reserved. */
	word pa = (word)frame_a;
	uint32_t va = 0x50000000 + (pa & 0x1fffff);
	pd[1][0x50000000 >> 21 & 511] = (pa & ~0x1fffffu) | RWU | 0x80;
	CHECK_EQ(*(volatile uint8_t *)va, 0xcd);
	pd[1][0x50000000 >> 21 & 511] |= 0x2000;
	invlpg((void *)va);
	CHECK_PF(read_at(va), va, 9);
	pae_off();
}

/* The four PDPTEs are loaded with CR3; a store to them does nothing before that. */
static void pointers(void)
{
	pae_on();
	map_pae((word)frame_a | RWU);
	frame_a[0] = 0x31;
	CHECK_EQ(*(volatile uint8_t *)VA, 0x31);
	uint64_t old = pdpt[1];
	*(volatile uint64_t *)&pdpt[1] = 0;
	invlpg((void *)VA);
	CHECK_HW_EQ(read_at(VA), -1);
	write_cr3((word)pdpt);
	CHECK_PF(read_at(VA), VA, 0);
	/* Reserved bits in a present PDPTE: #GP at the load, and CR3 stays. */
	*(volatile uint64_t *)&pdpt[1] = old | 2;
	CHECK_HW_EQ(TRY("mov %0, %%cr3", NOTHING, "r"(pdpt)), VEC_GP);
	*(volatile uint64_t *)&pdpt[1] = old;
	write_cr3((word)pdpt);
	CHECK_EQ(*(volatile uint8_t *)VA, 0x31);
	pae_off();
}

void guest_main(void)
{
	RUN(small_pages);
	RUN(large_pages);
	RUN(pae);
	RUN(pointers);
}
