/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtime of the test guests. A guest defines guest_name and guest_main(),
 * which calls RUN(test) for each of its tests. Every test prints "ok NAME" or
 * "FAIL NAME line: what" on COM1; the last line is "PASS" or "FAIL", and the
 * guest leaves through port F4h with 0 or 1.
 *
 * TRY("instruction", outputs, inputs...) runs an instruction that may fault
 * and gives the vector, or -1; what the trap looked like is in `trap`.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uintptr_t word; /* a general register of this mode */

#ifdef __x86_64__
#define W  "q"
#define SP "%%rsp"
#define BP "%%rbp"
#define AX "%%rax"
#else
#define W  "l"
#define SP "%%esp"
#define BP "%%ebp"
#define AX "%%eax"
#endif

/* GDT (guest.c): SYSCALL, SYSRET, SYSENTER and SYSEXIT find what they expect. */
#define SEL_KCODE   0x08
#define SEL_KDATA   0x10
#define SEL_UCODE32 0x1b
#define SEL_UDATA   0x23
#define SEL_UCODE64 0x2b
#define SEL_UDATA2  0x33
#define SEL_KCODE32 0x38
#define SEL_LDT	    0x40 /* 0x40 and 0x48 */
#define SEL_FREE    0x50 /* 0x50 to 0x78: for tests */
#define SEL_TSS	    0x80 /* 0x80 and 0x88 */
#define SEL_GATE    0x90 /* 0x90 and 0x98 */
#define GDT_ENTRIES 32
extern uint64_t guest_gdt[GDT_ENTRIES];

struct frame {
#ifdef __x86_64__
	word r15, r14, r13, r12, r11, r10, r9, r8, di, si, bp, bx, dx, cx, ax;
	word vector, err, ip, cs, flags, sp, ss;
#else
	word es, ds, di, si, bp, unused_sp, bx, dx, cx, ax;
	word vector, err, ip, cs, flags, sp, ss; /* sp and ss only from an outer ring */
#endif
};

struct trap {
	int vector; /* -1: none */
	word err, ip, cs, flags, sp, ss, cr2, ax;
	word handler_sp; /* where the frame was: which stack was used */
	unsigned count;
};
extern struct trap trap;
extern word trap_resume, trap_sp, trap_bp, trap_rax, trap_jump;
/* Called first for every trap and interrupt; true: handled, return to the interrupted code. */
extern bool (*trap_hook)(struct frame *f);
extern volatile unsigned irq_count[256];

word user_enter(word ip, word sp, word flags, word arg, word cs, word ss);
extern char trap_entries[]; /* 16 bytes a vector */
extern word dead;	    /* for outputs nobody looks at */
extern char boot_stack_top[];
extern uint64_t boot_pml4[];

void guest_trap_arm(void);
#define TRY(text, outs, ...)                                                                       \
	({                                                                                         \
		guest_trap_arm();                                                                  \
		__asm__ volatile("mov" W " $1f, trap_resume\n\t"                                   \
				 "mov" W " " SP ", trap_sp\n\t"                                    \
				 "mov" W " " BP ", trap_bp\n\t" text "\n1:\n\t"                    \
				 "mov" W " $0, trap_resume"                                        \
				 : outs:__VA_ARGS__                                                \
				 : "memory", "cc");                                                \
		trap.vector;                                                                       \
	})
#define NOTHING
#define OUTS(...) __VA_ARGS__ /* several outputs as one argument */

/* ---- results ---- */
extern const char guest_name[];
void guest_main(void);
void guest_print(const char *s);
void guest_print_hex(uint64_t v);
void guest_check(bool ok, int line, const char *what);
void guest_check_eq(uint64_t a, uint64_t b, int line, const char *what);
#define CHECK(c)       guest_check((c), __LINE__, #c)
#define CHECK_EQ(a, b) guest_check_eq((uint64_t)(a), (uint64_t)(b), __LINE__, #a " == " #b)
void guest_run(const char *name, void (*fn)(void));
#define RUN(fn) guest_run(#fn, fn)
/* Under QEMU's TCG (command line "tcg") checks of what TCG does not model are left out. */
extern bool guest_is_tcg;
extern const char *guest_command_line;
#define CHECK_HW(c) guest_check(guest_is_tcg || (c), __LINE__, #c)
#define CHECK_HW_EQ(a, b)                                                                          \
	do {                                                                                       \
		if (!guest_is_tcg)                                                                 \
			CHECK_EQ(a, b);                                                            \
	} while (0)

/* ---- descriptors ---- */
/* attr as bits 8-23 of a descriptor's high half: access byte, then the flags in bits 12-15. */
uint64_t desc_make(uint32_t base, uint32_t limit, unsigned attr);
/* Gate for vector n: type 0xe interrupt, 0xf trap, with dpl and (64-bit) an IST number. */
void idt_set(unsigned n, word handler, unsigned dpl, unsigned type, unsigned ist);
uint8_t *idt_raw(unsigned n); /* the gate's bytes */
struct tss {
#ifdef __x86_64__
	uint32_t unused0;
	uint64_t rsp[3], unused1, ist[7], unused2;
	uint16_t unused3, iomap;
#else
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp,
	    ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, iomap;
#endif
	uint8_t iobits[8192 + 1];
} __attribute__((packed));
extern struct tss guest_tss;
extern uint8_t guest_stack0[16384]; /* what the TSS names as the ring-0 stack */
extern uint8_t guest_stack3[16384]; /* for user code */

/* ---- instructions ---- */
static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline uint8_t inb(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline uint64_t rdmsr(uint32_t n)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(n));
	return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t n, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "a"((uint32_t)v), "d"((uint32_t)(v >> 32)), "c"(n) : "memory");
}
static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}
static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(sub));
}
#define DEFINE_REG(name)                                                                           \
	static inline word read_##name(void)                                                       \
	{                                                                                          \
		word v;                                                                            \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(v) : : "memory");                    \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_##name(word v)                                                    \
	{                                                                                          \
		__asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory");                        \
	}
DEFINE_REG(cr0)
DEFINE_REG(cr2)
DEFINE_REG(cr3)
DEFINE_REG(cr4)
DEFINE_REG(db0)
DEFINE_REG(db1)
DEFINE_REG(db6)
DEFINE_REG(db7)
static inline void invlpg(const volatile void *p)
{
	__asm__ volatile("invlpg %0" : : "m"(*(const volatile char *)p) : "memory");
}
static inline word read_flags(void)
{
	word v;
	__asm__ volatile("pushf\n\tpop %0" : "=r"(v) : : "memory");
	return v;
}
static inline void write_flags(word v)
{
	__asm__ volatile("push %0\n\tpopf" : : "r"(v) : "memory", "cc");
}

#define VEC_DE		0
#define VEC_DB		1
#define VEC_NMI		2
#define VEC_BP		3
#define VEC_OF		4
#define VEC_BR		5
#define VEC_UD		6
#define VEC_NM		7
#define VEC_DF		8
#define VEC_TS		10
#define VEC_NP		11
#define VEC_SS		12
#define VEC_GP		13
#define VEC_PF		14
#define VEC_MF		16
#define VEC_AC		17
#define VEC_XM		19
#define VEC_USER_RETURN 0x80 /* INT 80h with DPL 3: user code comes back with it */

#define FLAG_CF	   0x1
#define FLAG_ZF	   0x40
#define FLAG_TF	   0x100
#define FLAG_IF	   0x200
#define FLAG_DF	   0x400
#define FLAG_IOPL3 0x3000
#define FLAG_NT	   0x4000
#define FLAG_RF	   0x10000
#define FLAG_AC	   0x40000

#define PTE_P  1ull
#define PTE_RW 2ull
#define PTE_US 4ull
#define PTE_A  0x20ull
#define PTE_D  0x40ull
#define PTE_PS 0x80ull
#define PTE_G  0x100ull
#define PTE_NX (1ull << 63)

#endif
