/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

uint32_t guest_mbi;
bool guest_is_tcg;
const char *guest_command_line = "";
static unsigned guest_failures;
static unsigned guest_failures_total;

struct trap trap;
word dead;
word trap_resume, trap_sp, trap_bp, trap_rax, trap_jump;
bool (*trap_hook)(struct frame *f);
volatile unsigned irq_count[256];

struct tss guest_tss;
uint8_t guest_stack0[16384] __attribute__((aligned(4096)));
uint8_t guest_stack3[16384] __attribute__((aligned(4096)));

uint64_t guest_gdt[GDT_ENTRIES] __attribute__((aligned(16))) = {
	0,
#ifdef __x86_64__
	0x00af9b000000ffffull,
#else
	0x00cf9b000000ffffull,
#endif
	0x00cf93000000ffffull, /* kernel data */
	0x00cffb000000ffffull, /* user code, 32 bit */
	0x00cff3000000ffffull, /* user data */
#ifdef __x86_64__
	0x00affb000000ffffull,
#else
	0x00cffb000000ffffull,
#endif
	0x00cff3000000ffffull,
	0x00cf9b000000ffffull, /* kernel code, 32 bit */
};

struct dtable {
	uint16_t limit;
	word base;
} __attribute__((packed));
struct dtable guest_gdtr = {sizeof(guest_gdt) - 1, (word)guest_gdt};
#ifdef __x86_64__
#define GATE_SIZE 16
#else
#define GATE_SIZE 8
#endif
static uint8_t guest_idt[256 * GATE_SIZE] __attribute__((aligned(16)));

static void put_char(char c)
{
	while (!(inb(0x3fd) & 0x20))
		;
	outb(0x3f8, (uint8_t)c);
}

void guest_print(const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			put_char('\r');
		put_char(*s);
	}
}

void guest_print_hex(uint64_t v)
{
	static const char digits[] = "0123456789abcdef";
	int shift = 60;
	guest_print("0x");
	while (shift > 0 && !(v >> shift & 15))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put_char(digits[v >> shift & 15]);
}

static void print_dec(unsigned v)
{
	if (v >= 10)
		print_dec(v / 10);
	put_char((char)('0' + v % 10));
}

static void guest_fail(int line, const char *what)
{
	guest_failures++;
	guest_print("FAIL ");
	guest_print(guest_name);
	guest_print(" ");
	print_dec((unsigned)line);
	guest_print(": ");
	guest_print(what);
}

void guest_check(bool ok, int line, const char *what)
{
	if (ok)
		return;
	guest_fail(line, what);
	guest_print("\n");
}

void guest_check_eq(uint64_t a, uint64_t b, int line, const char *what)
{
	if (a == b)
		return;
	guest_fail(line, what);
	guest_print(" (");
	guest_print_hex(a);
	guest_print(", ");
	guest_print_hex(b);
	guest_print(")\n");
}

void guest_run(const char *name, void (*fn)(void))
{
	guest_failures = 0;
	fn();
	guest_failures_total += guest_failures;
	guest_print(guest_failures ? "FAIL " : "ok ");
	guest_print(guest_name);
	guest_print(".");
	guest_print(name);
	guest_print("\n");
}

static void guest_leave(uint8_t code)
{
	guest_print(code ? "FAIL\n" : "PASS\n");
	outb(0xf4, code);
	for (;;)
		__asm__ volatile("cli; hlt");
}

uint64_t desc_make(uint32_t base, uint32_t limit, unsigned attr)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
	       (uint64_t)(attr & 0xf0ff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
	       (uint64_t)(base >> 24) << 56;
}

uint8_t *idt_raw(unsigned n)
{
	return guest_idt + n * GATE_SIZE;
}

void idt_set(unsigned n, word handler, unsigned dpl, unsigned type, unsigned ist)
{
	uint32_t *g = (uint32_t *)(void *)idt_raw(n);
	g[0] = (uint32_t)(handler & 0xffff) | SEL_KCODE << 16;
	g[1] = (uint32_t)(handler & 0xffff0000) | 0x8000 | dpl << 13 | type << 8 | ist;
#ifdef __x86_64__
	g[2] = (uint32_t)(handler >> 32);
	g[3] = 0;
#endif
}

void guest_trap_arm(void)
{
	trap.vector = -1;
	trap.err = trap.ip = trap.cr2 = trap.count = 0;
}

static void trap_unexpected(const struct frame *f)
{
	guest_print("FAIL ");
	guest_print(guest_name);
	guest_print(" unexpected trap ");
	guest_print_hex(f->vector);
	guest_print(" error ");
	guest_print_hex(f->err);
	guest_print(" ip ");
	guest_print_hex(f->ip);
	guest_print(" cr2 ");
	guest_print_hex(read_cr2());
	guest_print("\n");
	guest_leave(1);
}

/* 64-bit: returns through the frame. 32-bit: true asks the entry code to jump to trap_jump. */
word guest_trap(struct frame *f);
word guest_trap(struct frame *f)
{
	irq_count[f->vector]++;
	if (trap_hook && trap_hook(f))
		return 0;
	if (!trap_resume)
		trap_unexpected(f);
	trap.vector = (int)f->vector;
	trap.err = f->err;
	trap.ip = f->ip;
	trap.cs = f->cs;
	trap.flags = f->flags;
	trap.cr2 = read_cr2();
	trap.ax = trap_rax = f->ax;
	trap.handler_sp = (word)f;
	trap.count++;
#ifdef __x86_64__
	trap.sp = f->sp;
	trap.ss = f->ss;
	f->ip = trap_resume;
	f->cs = SEL_KCODE;
	f->ss = SEL_KDATA;
	f->sp = trap_sp;
	f->flags = 2;
#else
	if (f->cs & 3) {
		trap.sp = f->sp;
		trap.ss = f->ss;
	}
	trap_jump = trap_resume;
#endif
	trap_resume = 0;
	return 1;
}

void guest_start(void);
void guest_start(void)
{
	for (unsigned i = 0; i < 256; i++)
		idt_set(i, (word)trap_entries + 16 * i, 0, 0xe, 0);
	idt_set(VEC_BP, (word)trap_entries + 16 * VEC_BP, 3, 0xe, 0);
	idt_set(VEC_OF, (word)trap_entries + 16 * VEC_OF, 3, 0xe, 0);
	idt_set(VEC_USER_RETURN, (word)trap_entries + 16 * VEC_USER_RETURN, 3, 0xe, 0);
	struct dtable idtr = {sizeof(guest_idt) - 1, (word)guest_idt};
	__asm__ volatile("lidt %0" : : "m"(idtr));

	word top = (word)guest_stack0 + sizeof(guest_stack0);
	guest_tss.iomap = (uint16_t)offsetof(struct tss, iobits);
	for (unsigned i = 0; i < sizeof(guest_tss.iobits); i++)
		guest_tss.iobits[i] = 0xff;
#ifdef __x86_64__
	guest_tss.rsp[0] = top;
#else
	guest_tss.esp0 = top;
	guest_tss.ss0 = SEL_KDATA;
#endif
	guest_gdt[SEL_TSS / 8] = desc_make((uint32_t)(word)&guest_tss, sizeof(guest_tss) - 1, 0x89);
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));

	/* All interrupt lines masked, vectors 20h to 2Fh. */
	static const uint8_t init[][2] = {{0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x20}, {0xa1, 0x28},
					  {0x21, 4},	{0xa1, 2},    {0x21, 1},    {0xa1, 1},
					  {0x21, 0xff}, {0xa1, 0xff}};
	for (unsigned i = 0; i < sizeof(init) / sizeof(init[0]); i++)
		outb(init[i][0], init[i][1]);

	const uint32_t *mbi = (const uint32_t *)(word)guest_mbi;
	if (mbi[0] & 4) {
		guest_command_line = (const char *)(word)mbi[4];
		for (const char *s = guest_command_line; *s; s++)
			if (s[0] == 't' && s[1] == 'c' && s[2] == 'g')
				guest_is_tcg = true;
	}
	guest_main();
	guest_leave(guest_failures_total != 0);
}

void *memset(void *p, int c, size_t n);
void *memset(void *p, int c, size_t n)
{
	uint8_t *d = p;
	while (n--) {
		*d++ = (uint8_t)c;
		__asm__ volatile("" : : : "memory"); /* keep it a loop: no call of itself */
	}
	return p;
}

void *memcpy(void *restrict p, const void *restrict q, size_t n);
void *memcpy(void *restrict p, const void *restrict q, size_t n)
{
	uint8_t *d = p;
	const uint8_t *s = q;
	while (n--) {
		*d++ = *s++;
		__asm__ volatile("" : : : "memory");
	}
	return p;
}
