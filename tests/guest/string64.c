/* SPDX-License-Identifier: Apache-2.0 */
/* String instructions: page crossings, faults in the middle, direction, counts, flags, prefixes. */
#include "lib/pt.h"

const char guest_name[] = "string64";

#define VA PT_FREE
static uint8_t src[8192] __attribute__((aligned(4096)));
static uint8_t dst[8192] __attribute__((aligned(4096)));

static void fill(void)
{
	for (unsigned i = 0; i < sizeof(src); i++) {
		src[i] = (uint8_t)(i * 7 + (i >> 8));
		dst[i] = 0;
	}
}

/* REP MOVSB into a page that is not there: everything before is done, registers say how far. */
static void fault_and_resume(void)
{
	fill();
	word si = (word)src + 5, di = VA + 4096 - 100, cx = 300;
	pt_map(VA, (word)dst | PTE_P | PTE_RW, 1);
	pt_map(VA + 4096, 0, 1);
	CHECK_EQ(TRY("rep movsb", OUTS("+S"(si), "+D"(di), "+c"(cx))), VEC_PF);
	CHECK_EQ(trap.cr2, VA + 4096);
	CHECK_EQ(trap.err, 2);
	CHECK_EQ(cx, 200);
	CHECK_EQ(si, (word)src + 105);
	CHECK_EQ(di, VA + 4096);
	CHECK_EQ(dst[4095], src[104]);
	pt_map(VA + 4096, (word)(dst + 4096) | PTE_P | PTE_RW, 1);
	CHECK_EQ(TRY("rep movsb", OUTS("+S"(si), "+D"(di), "+c"(cx))), -1);
	CHECK_EQ(cx, 0);
	CHECK_EQ(dst[4096 + 199], src[304]);
	CHECK_EQ(dst[4096 + 200], 0);
	/* The element that straddles the edge is not begun. */
	pt_map(VA + 4096, 0, 1);
	si = (word)src;
	di = VA + 4096 - 20;
	cx = 10;
	dst[4092] = dst[4093] = 0xee;
	CHECK_EQ(TRY("rep movsq", OUTS("+S"(si), "+D"(di), "+c"(cx))), VEC_PF);
	CHECK_EQ(cx, 8);
	CHECK_EQ(di, VA + 4096 - 4);
	CHECK_EQ(dst[4092], 0xee);
	/* A source that is not there. */
	si = VA + 4096 - 8;
	di = (word)dst;
	cx = 10;
	CHECK_EQ(TRY("rep movsl", OUTS("+S"(si), "+D"(di), "+c"(cx))), VEC_PF);
	CHECK_EQ(trap.err, 0);
	CHECK_EQ(cx, 8);
}

static void backward(void)
{
	fill();
	word si = (word)src + 4096 + 50, di = (word)dst + 4096 + 10, cx = 100;
	__asm__ volatile("std\n\trep movsb\n\tcld" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	CHECK_EQ(si, (word)src + 4096 - 50);
	CHECK_EQ(di, (word)dst + 4096 - 90);
	bool same = true;
	for (int i = 0; i < 100; i++)
		same &= dst[4096 + 10 - i] == src[4096 + 50 - i];
	CHECK(same);
	CHECK_EQ(dst[4096 + 11], 0);
	CHECK_EQ(dst[4096 - 90], 0);
	/* Overlap: one byte is propagated forward, nothing lost backward. */
	fill();
	di = (word)src + 1;
	si = (word)src;
	cx = 200;
	src[0] = 0x42;
	__asm__ volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	CHECK_EQ(src[200], 0x42);
	CHECK_EQ(src[201], (uint8_t)(201 * 7));
	fill();
	di = (word)src + 1 + 199;
	si = (word)src + 199;
	cx = 200;
	__asm__ volatile("std\n\trep movsb\n\tcld" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	CHECK_EQ(src[200], (uint8_t)(199 * 7));
	CHECK_EQ(src[1], 0);
}

static void store(void)
{
	fill();
	word di = (word)dst + 3, cx = 1000;
	__asm__ volatile("rep stosq" : "+D"(di), "+c"(cx) : "a"(0x0807060504030201ull) : "memory");
	CHECK_EQ(di, (word)dst + 8003);
	CHECK_EQ(dst[2], 0);
	CHECK_EQ(dst[3], 1);
	CHECK_EQ(dst[4096], (uint8_t)((4096 - 3) % 8 + 1));
	CHECK_EQ(dst[8002], 8);
	CHECK_EQ(dst[8003], 0);
}

static void compare(void)
{
	fill();
	for (unsigned i = 0; i < sizeof(src); i++)
		dst[i] = src[i];
	dst[5000] ^= 1;
	word si = (word)src, di = (word)dst, cx = 8000, fl;
	__asm__ volatile("repe cmpsb\n\tpushfq\n\tpop %3"
			 : "+S"(si), "+D"(di), "+c"(cx), "=r"(fl)
			 :
			 : "memory", "cc");
	CHECK_EQ(cx, 8000 - 5001);
	CHECK_EQ(si, (word)src + 5001);
	CHECK(!(fl & FLAG_ZF));
	/* All equal: stops by count with ZF set. */
	cx = 1000;
	__asm__ volatile("repe cmpsb\n\tpushfq\n\tpop %3"
			 : "+S"(si), "+D"(di), "+c"(cx), "=r"(fl)
			 :
			 : "memory", "cc");
	CHECK_EQ(cx, 0);
	CHECK(fl & FLAG_ZF);
	/* SCAS looks for AL. */
	for (unsigned i = 0; i < sizeof(dst); i++)
		dst[i] = 1;
	dst[4100] = 9;
	di = (word)dst;
	cx = ~0ull;
	__asm__ volatile("repne scasb" : "+D"(di), "+c"(cx) : "a"(9) : "memory", "cc");
	CHECK_EQ(di, (word)dst + 4101);
	CHECK_EQ(~cx, 4101);
	/* A fault in the middle of SCAS: flags and registers of what was done. */
	pt_map(VA, (word)dst | PTE_P | PTE_RW, 1);
	pt_map(VA + 4096, 0, 1);
	di = VA + 4090;
	cx = 100;
	CHECK_EQ(TRY("repne scasb", OUTS("+D"(di), "+c"(cx)), "a"(9)), VEC_PF);
	CHECK_EQ(di, VA + 4096);
	CHECK_EQ(cx, 94);
}

static void count_zero(void)
{
	word si = 0x800000, di = PT_FREE + 0x100000000, cx = 0, fl;
	/* Nothing is accessed and no flag changes. */
	CHECK_EQ(TRY("stc\n\trepe cmpsb\n\tpushfq\n\tpop %3",
			 OUTS("+S"(si), "+D"(di), "+c"(cx), "=&r"(fl))),
		 -1);
	CHECK_EQ(si, 0x800000);
	CHECK_EQ(di, PT_FREE + 0x100000000);
	CHECK(fl & FLAG_CF);
	CHECK_EQ(TRY("rep stosb", OUTS("+D"(di), "+c"(cx)), "a"(0)), -1);
	CHECK_EQ(TRY("rep movsq", OUTS("+S"(si), "+D"(di), "+c"(cx))), -1);
}

static void prefixes(void)
{
	fill();
	/* Address size 32: ECX counts, ESI and EDI wrap to 32 bits and the high halves are cleared.
	 */
	word si = (word)src | 0xffffffff00000000, di = (word)dst | 0xffffffff00000000;
	word cx = 10 | 0xffffffff00000000;
	CHECK_EQ(TRY("addr32 rep movsb", OUTS("+S"(si), "+D"(di), "+c"(cx))), -1);
	CHECK_EQ(dst[9], src[9]);
	CHECK_EQ(dst[10], 0);
	CHECK_EQ(si, (word)src + 10);
	CHECK_EQ(di, (word)dst + 10);
	CHECK_EQ(cx, 0);
	/* A segment override moves the source alone. */
	uint64_t old = rdmsr(0xc0000100);
	wrmsr(0xc0000100, 0x100);
	si = (word)src;
	di = (word)dst;
	__asm__ volatile("fs movsb" : "+S"(si), "+D"(di) : : "memory");
	CHECK_EQ(dst[0], src[0x100]);
	wrmsr(0xc0000100, old);
	/* LODS: the last element stays. */
	si = (word)src;
	cx = 5;
	uint64_t ax = 0;
	__asm__ volatile("rep lodsb" : "+S"(si), "+c"(cx), "+a"(ax));
	CHECK_EQ(ax, src[4]);
	/* Odd sizes. */
	si = (word)src + 1;
	di = (word)dst + 1;
	cx = 4;
	__asm__ volatile("rep movsw" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	CHECK_EQ(dst[8], src[8]);
	CHECK_EQ(si, (word)src + 9);
}

static void input_output(void)
{
	/* OUTS and INS move one element an iteration; port 80h takes anything. */
	word si = (word)src, di = (word)dst, cx = 4;
	__asm__ volatile("rep outsb" : "+S"(si), "+c"(cx) : "d"(0x80) : "memory");
	CHECK_EQ(si, (word)src + 4);
	CHECK_EQ(cx, 0);
	cx = 3;
	__asm__ volatile("rep insb" : "+D"(di), "+c"(cx) : "d"(0x71) : "memory");
	CHECK_EQ(di, (word)dst + 3);
	/* INS asks for the right to store before it reads the port. */
	pt_map(VA, 0, 1);
	di = VA;
	cx = 1;
	CHECK_EQ(TRY("rep insb", OUTS("+D"(di), "+c"(cx)), "d"(0x71)), VEC_PF);
	CHECK_EQ(trap.err, 2);
	CHECK_EQ(cx, 1);
}

void guest_main(void)
{
	RUN(fault_and_resume);
	RUN(backward);
	RUN(store);
	RUN(compare);
	RUN(count_zero);
	RUN(prefixes);
	RUN(input_output);
}
