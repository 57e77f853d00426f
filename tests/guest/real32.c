/* SPDX-License-Identifier: Apache-2.0 */
/* Real-address mode and back (SDM vol. 3, 9.9 and chapter 21): segments, the interrupt vector
 * table. */
#include "lib/guest.h"

const char guest_name[] = "real32";

/* The 16-bit part is copied to 8000h; results are left at 7000h. */
#define RESULT ((volatile uint16_t *)0x7000u)

void real_trip(void);
extern char real_code[], real_code_end[];
__asm__(".text\n"
	"real_trip: push %ebx; push %esi; push %edi; push %ebp\n"
	"	mov %esp, real_esp\n"
	"	sidt real_idt\n"
	"	lidt real_ivt\n"
	"	ljmp $0x50, $0x8000\n" /* 16-bit code segment, base 0 */
	"real_back: mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	"	xor %eax, %eax; mov %eax, %fs; mov %eax, %gs\n"
	"	mov real_esp, %esp\n"
	"	lidt real_idt\n"
	"	pop %ebp; pop %edi; pop %esi; pop %ebx; ret\n"
	".data\n"
	"real_esp: .long 0\n"
	"real_idt: .word 0; .long 0\n"
	"real_ivt: .word 0x3ff; .long 0\n"
	".text\n"
	".code16\n"
	"real_code:\n"
	"	mov $0x58, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss\n" /* 64 KiB limits */
	"	mov %cr0, %eax; and $~1, %eax; mov %eax, %cr0\n"
	"	ljmp $0x800, $1f - real_code\n"
	"1:	xor %ax, %ax; mov %ax, %ds; mov %ax, %ss; mov $0x7000, %sp\n"
	"	mov %cs, %ax; mov %ax, 0x7000\n"
	"	mov $0x1234, %ax; mov %ax, %es; mov %es, %bx; mov %bx, 0x7002\n"
	"	movw $0xbeef, %es:0x10\n" /* linear 12350h */
	"	int $0x60\n"
	"	mov %ax, 0x7004\n"
	"	xor %cx, %cx; mov $1, %ax; div %cx\n" /* #DE: vector 0, RIP at the DIV */
	"2:	push $0xabcd; mov %sp, 0x7008; pop %dx; mov %dx, 0x700a\n"
	"	mov $3f - real_code, %ax; push %cs; push %ax; lret\n"
	"3:	movw $0x77, 0x700c\n"
	"	lgdtl %cs:4f - real_code\n"
	"	mov %cr0, %eax; or $1, %eax; mov %eax, %cr0\n"
	"	ljmpl $0x08, $real_back\n"
	"4:	.word 0xff; .long guest_gdt\n"
	"real_int60: mov $0x6060, %ax; iret\n"
	"real_de: push %bp; mov %sp, %bp; mov 2(%bp), %ax; mov %ax, 0x7006\n"
	"	addw $2, 2(%bp); pop %bp; iret\n" /* over the two bytes of DIV CX */
	"real_code_end:\n"
	".code32\n");
extern char real_int60[], real_de[];

static void round_trip(void)
{
	uint8_t *low = (uint8_t *)0x8000u;
	volatile uint32_t *ivt = (volatile uint32_t *)0x0u;
	for (int i = 0; i < real_code_end - real_code; i++)
		low[i] = (uint8_t)real_code[i];
	__asm__("" : "+r"(ivt));
	uint32_t saved0 = ivt[0], saved60 = ivt[0x60];
	ivt[0] = 0x0800u << 16 | (uint32_t)(real_de - real_code);
	ivt[0x60] = 0x0800u << 16 | (uint32_t)(real_int60 - real_code);
	guest_gdt[0x50 / 8] = desc_make(0, 0xffff, 0x009b);
	guest_gdt[0x58 / 8] = desc_make(0, 0xffff, 0x0093);
	real_trip();
	CHECK_EQ(RESULT[0], 0x800);
	CHECK_EQ(RESULT[1], 0x1234);
	CHECK_EQ(*(volatile uint16_t *)0x12350u, 0xbeef);
	CHECK_EQ(RESULT[2], 0x6060);
	/* The saved IP is the DIV's own. */
	CHECK(RESULT[3] < real_code_end - real_code);
	CHECK_EQ(*(uint16_t *)(void *)&real_code[RESULT[3]], 0xf1f7);
	CHECK_EQ(RESULT[4], 0x7000 - 2);
	CHECK_EQ(RESULT[5], 0xabcd);
	CHECK_EQ(RESULT[6], 0x77);
	ivt[0] = saved0;
	ivt[0x60] = saved60;
	CHECK_EQ(read_cr0() & 1, 1);
	CHECK_EQ(TRY("ud2", NOTHING), VEC_UD);
}

static void many(void)
{
	for (unsigned i = 0; i < 50; i++)
		round_trip();
}

void guest_main(void)
{
	RUN(round_trip);
	RUN(many);
}
