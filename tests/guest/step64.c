/* SPDX-License-Identifier: Apache-2.0 */
/* Single steps and breakpoints (SDM vol. 3, chapter 17): which boundaries trap, DR6, RF, shadows.
 */
#include "lib/user.h"

const char guest_name[] = "step64";

#define DR6_BASE 0xffff0ff0u
#define DR6_BS	 0x4000u
#define DR6_BD	 0x2000u
#define STEPS	 64

static volatile word steps[STEPS], dr6s[STEPS];
static volatile unsigned nsteps;

/* Records each #DB and goes on; sets RF for instruction breakpoints. */
static bool step_hook(struct frame *f)
{
	if (f->vector == 0x42) /* INT 42h within a stepped sequence */
		return true;
	if (f->vector != VEC_DB)
		return false;
	if (nsteps < STEPS) {
		steps[nsteps] = f->ip;
		dr6s[nsteps] = read_db6();
	}
	nsteps++;
	write_db6(DR6_BASE);
	if (!(dr6s[nsteps - 1] & DR6_BS))
		f->flags |= FLAG_RF;
	return true;
}

/* Every sequence sets TF with POPF, ends with another POPF, and has labels NAME_n at what must
 * trap. */
#define STEP_BEGIN "pushfq; pushfq; orq $0x100, (%rsp); popfq\n"
#define STEP_END   "popfq\n"

extern char plain_0[], plain_1[], plain_2[], plain_3[];
extern char ss_1[], ss_2[];
extern char rep_0[], rep_1[];
extern char int_1[], int_2[];
extern char iret_0[], iret_1[];
void seq_plain(void);
void seq_ss(void);
void seq_rep(void);
void seq_int(void);
void seq_iret(void);
void seq_pushf(void);
__asm__(
	".text\n"
	"seq_plain:" STEP_BEGIN "nop\n plain_0: xor %eax, %eax\n plain_1: inc %eax\n plain_2:" STEP_END
	"plain_3: ret\n"
	/* No trap between MOV SS and the instruction behind it. */
	"seq_ss: mov %ss, %eax\n" STEP_BEGIN "nop\n mov %eax, %ss\n ss_1: nop\n ss_2:" STEP_END "ret\n"
	"seq_rep: lea steps_src(%rip), %rsi; lea steps_dst(%rip), %rdi; mov $3, %ecx; cld\n" STEP_BEGIN
	"nop\n rep_0: rep movsb\n rep_1:" STEP_END "ret\n"
	/* INT n clears TF on its way in; IRET brings it back, and the trap comes an instruction later.
	 */
	"seq_int:" STEP_BEGIN "nop\n int $0x42\n int_1: nop\n int_2:" STEP_END "ret\n"
	"seq_iret: mov %rsp, %rdx; push $0x10; push %rdx; pushfq; orq $0x100, (%rsp); push $8\n"
	"lea 1f(%rip), %rax; push %rax; iretq\n 1: nop\n iret_0: pushfq; \n iret_1: andq $~0x100, "
	"(%rsp); popfq; ret\n"
	/* The image PUSHF stores has TF set. */
	"seq_pushf:" STEP_BEGIN "pushfq; pop %rax\n" STEP_END "mov %rax, steps_flags\n ret\n");
uint8_t steps_src[8] = "abcdefg", steps_dst[8];
uint64_t steps_flags;

static void step(void (*fn)(void))
{
	nsteps = 0;
	write_db6(DR6_BASE);
	trap_hook = step_hook;
	__asm__ volatile("call *%0"
			 :
			 : "r"(fn)
			 : "rax", "rcx", "rdx", "rsi", "rdi", "memory", "cc");
	trap_hook = 0;
}

static void trace_flag(void)
{
	step(seq_plain);
	/* The POPF that sets TF is not trapped, the one that clears it is. */
	CHECK_EQ(nsteps, 4);
	CHECK_EQ(steps[0], (word)plain_0);
	CHECK_EQ(steps[1], (word)plain_1);
	CHECK_EQ(steps[2], (word)plain_2);
	CHECK_EQ(steps[3], (word)plain_3);
	CHECK_EQ(dr6s[0], DR6_BASE | DR6_BS);
	step(seq_pushf);
	CHECK_EQ(steps_flags & FLAG_TF, FLAG_TF);
	CHECK(!(read_flags() & FLAG_TF));
}

static void stack_segment(void)
{
	step(seq_ss);
	/* NOP, then MOV SS and NOP as one, then POPF. */
	CHECK_EQ(nsteps, 3);
	CHECK_EQ(steps[1], (word)ss_2);
	(void)ss_1;
}

static void repeat(void)
{
	step(seq_rep);
	/* NOP; one after each iteration, RIP at the instruction until the last; POPF. */
	CHECK_EQ(nsteps, 5);
	CHECK_EQ(steps[0], (word)rep_0);
	CHECK_EQ(steps[1], (word)rep_0);
	CHECK_EQ(steps[2], (word)rep_0);
	CHECK_EQ(steps[3], (word)rep_1);
	CHECK_EQ(steps_dst[2], 'c');
	CHECK_EQ(steps_dst[3], 0);
}

static void software(void)
{
	idt_set(0x42, (word)trap_entries + 16 * 0x42, 0, 0xe, 0);
	step(seq_int);
	CHECK_EQ(nsteps, 3);
	CHECK_EQ(steps[1], (word)int_2);
	(void)int_1;
}

static void iret(void)
{
	step(seq_iret);
	CHECK(nsteps >= 2);
	CHECK_EQ(steps[0], (word)iret_0);
	CHECK_EQ(steps[1], (word)iret_1);
}

static void icebp(void)
{
	write_db6(DR6_BASE);
	CHECK_HW_EQ(TRY(".byte 0xf1", NOTHING), VEC_DB);
	CHECK_HW_EQ(*(uint8_t *)(trap.ip - 1), 0xf1);
	CHECK_HW_EQ(read_db6(), DR6_BASE);
}

extern char bp_here[];
uint64_t bp_fn(void);
__asm__(".text\nbp_fn: mov $5, %eax\nbp_here: add $1, %eax\n ret\n");

static void breakpoint(void)
{
	nsteps = 0;
	trap_hook = step_hook;
	write_db6(DR6_BASE);
	write_db0((word)bp_here);
	write_db7(0x402);
	CHECK_EQ(bp_fn(), 6);
	trap_hook = 0;
	CHECK_EQ(nsteps, 1);
	CHECK_EQ(steps[0], (word)bp_here);
	CHECK_EQ(dr6s[0] & 0xf, 1);
	CHECK_EQ(dr6s[0] & DR6_BS, 0);
	write_db7(0x400);
	CHECK_EQ(bp_fn(), 6);
	CHECK_EQ(nsteps, 1);
}

static void watchpoint(void)
{
	static volatile uint64_t word_watched;
	nsteps = 0;
	trap_hook = step_hook;
	write_db0((word)&word_watched);
	write_db1((word)&word_watched + 4);
	/* 0: 4 bytes, writes; 1: 2 bytes, reads and writes. */
	write_db7(0x400 | 0x2 | 0xd0000 | 0x8 | 0x7ul << 20);
	word_watched = 1; /* both */
	CHECK_EQ(nsteps, 1);
	CHECK_HW_EQ(dr6s[0] & 0xf, 3);
	(void)*(volatile uint32_t *)&word_watched; /* a read of the first: none */
	CHECK_EQ(nsteps, 1);
	(void)*((volatile uint8_t *)&word_watched + 5); /* a read of the second */
	CHECK_EQ(nsteps, 2);
	CHECK_EQ(dr6s[1] & 0xf, 2);
	*((volatile uint8_t *)&word_watched + 3) = 1;
	CHECK_EQ(nsteps, 3);
	CHECK_EQ(dr6s[2] & 0xf, 1);
	*((volatile uint8_t *)&word_watched + 6) = 1;
	CHECK_EQ(nsteps, 3);
	write_db7(0x400);
	word_watched = 2;
	CHECK_EQ(nsteps, 3);
	trap_hook = 0;
}

static void debug_registers(void)
{
	write_db7(0x400);
	/* General detect: any access to a debug register. */
	write_db6(DR6_BASE);
	write_db7(0x2400);
	int vector = TRY("mov %%db0, %0", "=r"(dead));
	write_db7(0x400);
	CHECK_HW_EQ(vector, VEC_DB);
	CHECK_HW_EQ(read_db6() & DR6_BD, DR6_BD);
	write_db6(DR6_BASE);
	/* DR4 is DR6, but for CR4.DE. */
	CHECK_EQ(TRY("mov %%db4, %0", "=r"(dead)), -1);
	CHECK_EQ(dead, DR6_BASE);
	write_cr4(read_cr4() | 8);
	CHECK_EQ(TRY("mov %%db4, %0", "=r"(dead)), VEC_UD);
	write_cr4(read_cr4() & ~8ul);
	CHECK_HW_EQ(TRY("mov %0, %%db7", NOTHING, "r"(1ul << 32)), VEC_GP);
	CHECK_HW_EQ(TRY("mov %0, %%db6", NOTHING, "r"(1ul << 32)), VEC_GP);
	write_db7(0);
	CHECK_EQ(read_db7(), 0x400);
}

USER_CODE(user_step, "nop; user_step_1: nop");
extern char user_step_1[];

static void from_user(void)
{
	write_db6(DR6_BASE);
	CHECK_EQ(user_run_flags(user_step, 0, 2 | FLAG_TF), VEC_DB);
	CHECK_EQ(trap.ip, (word)user_step_1);
	CHECK_EQ(trap.cs, SEL_UCODE64);
	CHECK(trap.flags & FLAG_TF);
	write_db6(DR6_BASE);
}

void guest_main(void)
{
	RUN(trace_flag);
	RUN(stack_segment);
	RUN(repeat);
	RUN(software);
	RUN(iret);
	RUN(icebp);
	RUN(breakpoint);
	RUN(watchpoint);
	RUN(debug_registers);
	RUN(from_user);
}
