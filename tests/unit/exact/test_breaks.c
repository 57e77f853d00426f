/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints and watchpoints: where run() stops, what it says, and that
 * neither the guest nor icount can tell.
 */
#include "guest.h"

#define OPS engine_exact_ops
#define DATA GUEST_DATA
#define TEXT GUEST_TEXT

static void set(struct guest *g, enum engine_break_kind kind, uint64_t addr, uint64_t len)
{
	assert_int_equal(OPS.break_set(g->e, kind, addr, len), 0);
}

static void clear(struct guest *g, enum engine_break_kind kind, uint64_t addr, uint64_t len)
{
	assert_int_equal(OPS.break_clear(g->e, kind, addr, len), 0);
}

/* On from where it stands, as machine_run() does it. */
static void go(struct guest *g, icount_t until)
{
	OPS.break_skip(g->e, vclock_icount(g->clock));
	assert_int_equal(OPS.run(g->e, 0, until, &g->stop), 0);
	OPS.get_state(g->e, 0, &g->s);
}

static void open_at(struct guest *g, const uint8_t *code, const uint8_t *end, unsigned cpl)
{
	guest_open(g);
	guest_load(g, code, end);
	guest_long(g, cpl);
	assert_int_equal(OPS.set_state(g->e, 0, &g->s), 0);
}
#define OPEN(g, name) open_at(&(g), name, name##_end, 0)

#define ASSERT_BREAK(g, kind, addr, icount)                                                        \
	do {                                                                                       \
		assert_int_equal((g).stop.reason, ENGINE_EXIT_DEBUG);                              \
		assert_int_equal((g).stop.break_kind, kind);                                       \
		assert_int_equal((g).stop.break_addr, addr);                                       \
		assert_int_equal(vclock_icount((g).clock), icount);                                \
	} while (0)
#define ASSERT_END(g, why, icount)                                                                 \
	do {                                                                                       \
		assert_int_equal((g).stop.reason, why);                                            \
		assert_int_equal(vclock_icount((g).clock), icount);                                \
	} while (0)

/* ---- EXEC ---- */

/* Offsets: 0 mov, 5 inc (loop), 7 inc, 9 dec, 11 jnz, 13 hlt. */
GUEST_CODE(code_loop, "mov $3, %ecx\n 1: inc %eax\n inc %ebx\n dec %ecx\n jnz 1b\n hlt");

static void test_exec_first(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_loop);
	set(&g, ENGINE_BREAK_EXEC, TEXT, 0);
	assert_int_equal(OPS.run(g.e, 0, 100, &g.stop), 0);
	ASSERT_BREAK(g, ENGINE_BREAK_EXEC, TEXT, 0);
	assert_int_equal(OPS.run(g.e, 0, 100, &g.stop), 0); /* not skipped: met again */
	ASSERT_BREAK(g, ENGINE_BREAK_EXEC, TEXT, 0);
	go(&g, 100);
	ASSERT_END(g, ENGINE_EXIT_HALT, 14);
	guest_close(&g);
}

static void test_exec_middle(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_loop);
	go(&g, 6); /* the blocks are decoded and in the jump cache */
	assert_int_equal(g.s.rip, TEXT + 7);
	set(&g, ENGINE_BREAK_EXEC, TEXT + 9, 0);
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_EXEC, TEXT + 9, 7);
	assert_int_equal(g.s.rip, TEXT + 9);
	assert_int_equal(g.s.gpr[CPU_RBX], 2);
	assert_int_equal(g.s.gpr[CPU_RCX], 2);
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_EXEC, TEXT + 9, 11);
	go(&g, 100);
	ASSERT_END(g, ENGINE_EXIT_HALT, 14);
	guest_close(&g);
}

static void test_exec_counts(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_loop);
	set(&g, ENGINE_BREAK_EXEC, TEXT + 5, 0);
	set(&g, ENGINE_BREAK_EXEC, TEXT + 5, 7); /* len is ignored */
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_EXEC, TEXT + 5, 1);
	clear(&g, ENGINE_BREAK_EXEC, TEXT + 5, 0);
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_EXEC, TEXT + 5, 5);
	clear(&g, ENGINE_BREAK_EXEC, TEXT + 5, 0);
	assert_int_equal(OPS.break_clear(g.e, ENGINE_BREAK_EXEC, TEXT + 5, 0), RV_ENOENT);
	go(&g, 100);
	ASSERT_END(g, ENGINE_EXIT_HALT, 14);
	guest_close(&g);
}

/* Only `icount < until` looks at a boundary; and the middle of an instruction is none. */
static void test_exec_until(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_loop);
	set(&g, ENGINE_BREAK_EXEC, TEXT + 7, 0);
	set(&g, ENGINE_BREAK_EXEC, TEXT + 6, 0);
	set(&g, ENGINE_BREAK_EXEC, TEXT + 2, 0);
	go(&g, 2);
	ASSERT_END(g, ENGINE_EXIT_ICOUNT, 2);
	assert_int_equal(OPS.run(g.e, 0, 3, &g.stop), 0);
	ASSERT_BREAK(g, ENGINE_BREAK_EXEC, TEXT + 7, 2);
	clear(&g, ENGINE_BREAK_EXEC, TEXT + 7, 0);
	go(&g, 100);
	ASSERT_END(g, ENGINE_EXIT_HALT, 14);
	guest_close(&g);
}

static void test_exec_many(void **state)
{
	struct guest g;
	unsigned hits = 0;
	(void)state;
	OPEN(g, code_loop);
	for (unsigned i = 0; i < 1024; i++)
		set(&g, ENGINE_BREAK_EXEC, TEXT + (i * 619u) % 1024, 0);
	assert_int_equal(OPS.break_set(g.e, ENGINE_BREAK_EXEC, TEXT + 1024, 0), RV_ENOSPC);
	set(&g, ENGINE_BREAK_EXEC, TEXT + 1023, 0);
	for (go(&g, 100); g.stop.reason == ENGINE_EXIT_DEBUG; go(&g, 100)) {
		assert_int_equal(vclock_icount(g.clock), ++hits);
		assert_int_equal(g.stop.break_addr, g.s.rip);
	}
	assert_int_equal(hits, 13); /* each instruction but the first, where go() stood */
	ASSERT_END(g, ENGINE_EXIT_HALT, 14);
	guest_close(&g);
}

/* A repeated instruction is met before each iteration, wherever earlier runs ended. */
GUEST_CODE(code_stos, "mov $0x30000, %edi\n mov $8, %ecx\n rep stosb\n hlt");

static void test_exec_rep(void **state)
{
	(void)state;
	for (unsigned every = 1; every < 12; every++) {
		struct guest g;
		icount_t at = 2;
		OPEN(g, code_stos);
		set(&g, ENGINE_BREAK_EXEC, TEXT + 10, 0);
		do {
			icount_t until = vclock_icount(g.clock) + every;
			assert_int_equal(OPS.run(g.e, 0, until, &g.stop), 0);
			if (g.stop.reason != ENGINE_EXIT_DEBUG)
				continue;
			ASSERT_BREAK(g, ENGINE_BREAK_EXEC, TEXT + 10, at++);
			OPS.break_skip(g.e, vclock_icount(g.clock));
		} while (g.stop.reason != ENGINE_EXIT_HALT);
		ASSERT_END(g, ENGINE_EXIT_HALT, 11);
		assert_int_equal(at, 10);
		guest_close(&g);
	}
}

/* A shadow (STI) and TF make instructions run one by one: breakpoints hold there too. */
GUEST_CODE(code_shadow, "sti\n nop\n nop\n hlt");

static void test_exec_shadow(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_shadow);
	set(&g, ENGINE_BREAK_EXEC, TEXT + 1, 0);
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_EXEC, TEXT + 1, 1);
	assert_true(g.s.shadow_sti);
	go(&g, 100);
	ASSERT_END(g, ENGINE_EXIT_HALT, 4);
	guest_close(&g);
}

/* A shadow over a repeated instruction ends with its first iteration, wherever runs end. */
GUEST_CODE(code_shadow_rep, "mov $0x10, %eax\n mov $0x30000, %edi\n mov $8, %ecx\n mov %eax, %ss\n"
			    "rep stosb\n hlt");

static void test_shadow_rep(void **state)
{
	(void)state;
	for (unsigned every = 1; every < 8; every++) {
		struct guest g;
		OPEN(g, code_shadow_rep);
		go(&g, 4);
		assert_true(g.s.shadow_ss);
		bus_pins(g.bus, 0)->nmi = true;
		do {
			go(&g, vclock_icount(g.clock) + every);
		} while (g.stop.reason == ENGINE_EXIT_ICOUNT);
		ASSERT_END(g, ENGINE_EXIT_HALT, 4 + 1 + 1 + 1); /* iteration, NMI, HLT */
		assert_int_equal(g.s.gpr[CPU_RCX], 7);
		guest_close(&g);
	}
}

/* Where nothing is mapped nothing is executed, and a stop sets no accessed bit. */
GUEST_CODE(code_jump, "mov $0x50000, %eax\n jmp *%rax");

static void test_exec_unmapped(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_jump);
	guest_poke(&g, 0x50000, 0xf4, 1);
	set(&g, ENGINE_BREAK_EXEC, 0x50000, 0);
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_EXEC, 0x50000, 2);
	assert_int_equal(guest_peek(&g, GUEST_PT + 0x50 * 8, 8) & 0x20, 0);
	guest_poke(&g, GUEST_PT + 0x50 * 8, 0, 8);
	assert_int_equal(OPS.run(g.e, 0, 100, &g.stop), 0);
	OPS.get_state(g.e, 0, &g.s);
	assert_int_equal(guest_vector(&g), VEC_PF);
	guest_close(&g);
}

/* ---- watchpoints ---- */

static void test_watch_rep(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_stos);
	set(&g, ENGINE_BREAK_WRITE, DATA + 5, 2);
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_WRITE, DATA + 5, 2 + 6);
	assert_int_equal(g.s.gpr[CPU_RCX], 2);
	assert_int_equal(g.s.gpr[CPU_RDI], DATA + 6);
	assert_int_equal(g.s.rip, TEXT + 10);
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_WRITE, DATA + 6, 2 + 7);
	go(&g, 100);
	ASSERT_END(g, ENGINE_EXIT_HALT, 11);
	guest_close(&g);
}

/* REP across pages: in bulk to the watched page, one by one on it, in bulk after it. */
GUEST_CODE(code_stosq, "mov $0x30000, %edi\n mov $1536, %ecx\n mov $-1, %rax\n rep stosq\n hlt");

static void test_watch_rep_pages(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_stosq);
	set(&g, ENGINE_BREAK_WRITE, DATA + 0x1ffc, 8); /* across the end of a page */
	go(&g, 10000);
	ASSERT_BREAK(g, ENGINE_BREAK_WRITE, DATA + 0x1ffc, 3 + 1024);
	go(&g, 10000);
	ASSERT_BREAK(g, ENGINE_BREAK_WRITE, DATA + 0x2000, 3 + 1025);
	go(&g, 10000);
	ASSERT_END(g, ENGINE_EXIT_HALT, 3 + 1536 + 1);
	guest_close(&g);
}

/* Kinds. Steps: 1 mov, 2 load, 3 store, 4 add (reads and writes), 5 push, 6 pop, 7 hlt. */
GUEST_CODE(code_kinds, "mov $0x30010, %ebx\n mov (%rbx), %eax\n mov %al, 3(%rbx)\n"
		       "addl $1, (%rbx)\n push %rax\n pop %rax\n hlt");

static void kinds(enum engine_break_kind kind, uint64_t addr, uint64_t len, const icount_t *at,
		  uint64_t byte)
{
	struct guest g;
	OPEN(g, code_kinds);
	set(&g, kind, addr, len);
	for (; *at; at++) {
		go(&g, 100);
		ASSERT_BREAK(g, kind, byte, *at);
	}
	go(&g, 100);
	ASSERT_END(g, ENGINE_EXIT_HALT, 7);
	guest_close(&g);
}

static void test_watch_kinds(void **state)
{
	(void)state;
	kinds(ENGINE_BREAK_READ, DATA + 0x13, 1, (const icount_t[]){ 2, 4, 0 }, DATA + 0x13);
	kinds(ENGINE_BREAK_WRITE, DATA + 0x13, 1, (const icount_t[]){ 3, 4, 0 }, DATA + 0x13);
	kinds(ENGINE_BREAK_ACCESS, DATA + 0x13, 1, (const icount_t[]){ 2, 3, 4, 0 }, DATA + 0x13);
	kinds(ENGINE_BREAK_ACCESS, DATA + 0x14, 0x100000, (const icount_t[]){ 0 }, 0);
	kinds(ENGINE_BREAK_ACCESS, DATA, 0x10, (const icount_t[]){ 0 }, 0); /* same page, not hit */
	kinds(ENGINE_BREAK_ACCESS, DATA + 0x1000, 0x1000, (const icount_t[]){ 0 }, 0);
	kinds(ENGINE_BREAK_WRITE, GUEST_STACK - 1, 1, (const icount_t[]){ 5, 0 }, GUEST_STACK - 1);
	kinds(ENGINE_BREAK_READ, GUEST_STACK - 8, 8, (const icount_t[]){ 6, 0 }, GUEST_STACK - 8);
	kinds(ENGINE_BREAK_READ, DATA + 0xf, 0x1000, (const icount_t[]){ 2, 4, 0 }, DATA + 0x10);
}

/* The stop comes first when `until` is the same icount; nothing is left over for the next run. */
static void test_watch_until(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_kinds);
	set(&g, ENGINE_BREAK_WRITE, DATA + 0x13, 1);
	go(&g, 3);
	ASSERT_BREAK(g, ENGINE_BREAK_WRITE, DATA + 0x13, 3);
	clear(&g, ENGINE_BREAK_WRITE, DATA + 0x13, 1);
	go(&g, 3);
	ASSERT_END(g, ENGINE_EXIT_ICOUNT, 3);
	go(&g, 100);
	ASSERT_END(g, ENGINE_EXIT_HALT, 7);
	guest_close(&g);
}

/* An access across two pages, and both of them watched. */
GUEST_CODE(code_cross, "mov $0x30ffd, %ebx\n mov %rax, (%rbx)\n mov (%rbx), %rax\n hlt");

static void test_watch_crossing(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_cross);
	set(&g, ENGINE_BREAK_WRITE, DATA + 0x1002, 1);
	set(&g, ENGINE_BREAK_WRITE, DATA + 0x1001, 1);
	set(&g, ENGINE_BREAK_READ, DATA + 0xfff, 3);
	set(&g, ENGINE_BREAK_ACCESS, DATA + 0x1005, 16);
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_WRITE, DATA + 0x1001, 2);
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_READ, DATA + 0xfff, 3);
	go(&g, 100);
	ASSERT_END(g, ENGINE_EXIT_HALT, 4);
	guest_close(&g);
}

/* A faulting instruction hits nothing, though its load was done; the delivery's frame does. */
GUEST_CODE(code_faulting, "mov $0x30000, %esi\n movabs $0x8000000000, %rdi\n movsq\n hlt");

static void test_watch_fault(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_faulting);
	set(&g, ENGINE_BREAK_READ, DATA, 8);
	go(&g, 100);
	ASSERT_END(g, ENGINE_EXIT_HALT, 4);
	assert_int_equal(guest_vector(&g), VEC_PF);
	guest_close(&g);

	OPEN(g, code_faulting);
	set(&g, ENGINE_BREAK_READ, DATA, 8);
	set(&g, ENGINE_BREAK_WRITE, GUEST_STACK - 16, 8); /* SS is at -8, RSP at -16 */
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_WRITE, GUEST_STACK - 16, 3);
	assert_int_equal(g.s.rip, GUEST_STUBS + VEC_PF * 16);
	guest_close(&g);
}

/* Code that is stored to while both the page's code and its data are under watch. */
GUEST_CODE(code_patch, "lea 1f(%rip), %rbx\n movb $0xc3, (%rbx)\n 1: nop\n hlt");

static void test_watch_code(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_patch);
	guest_poke(&g, GUEST_STACK, TEXT + 11, 8); /* RET, put in place of the NOP, goes to HLT */
	set(&g, ENGINE_BREAK_WRITE, TEXT + 10, 1);
	set(&g, ENGINE_BREAK_EXEC, TEXT + 10, 1);
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_WRITE, TEXT + 10, 2);
	go(&g, 100); /* the breakpoint is at the position where the watchpoint stopped: skipped */
	ASSERT_END(g, ENGINE_EXIT_HALT, 4);
	assert_int_equal(g.s.gpr[CPU_RSP], GUEST_STACK + 8);
	guest_close(&g);
}

static void test_watch_set(void **state)
{
	struct guest g;
	(void)state;
	OPEN(g, code_kinds);
	assert_int_equal(OPS.break_set(g.e, ENGINE_BREAK_WRITE, DATA, 0), RV_EINVAL);
	assert_int_equal(OPS.break_set(g.e, ENGINE_BREAK_READ, UINT64_MAX, 2), RV_EINVAL);
	assert_int_equal(OPS.break_set(g.e, (enum engine_break_kind)77, DATA, 1), RV_EINVAL);
	assert_int_equal(OPS.break_clear(g.e, (enum engine_break_kind)77, DATA, 1), RV_ENOENT);
	set(&g, ENGINE_BREAK_READ, UINT64_MAX, 1);
	for (unsigned i = 0; i < 63; i++)
		set(&g, ENGINE_BREAK_ACCESS, 0x70000 + i, 1);
	assert_int_equal(OPS.break_set(g.e, ENGINE_BREAK_WRITE, DATA, 1), RV_ENOSPC);
	set(&g, ENGINE_BREAK_READ, UINT64_MAX, 1);
	clear(&g, ENGINE_BREAK_READ, UINT64_MAX, 1);
	clear(&g, ENGINE_BREAK_READ, UINT64_MAX, 1);
	assert_int_equal(OPS.break_clear(g.e, ENGINE_BREAK_READ, UINT64_MAX, 1), RV_ENOENT);
	set(&g, ENGINE_BREAK_WRITE, DATA + 0x13, 1);
	go(&g, 100);
	ASSERT_BREAK(g, ENGINE_BREAK_WRITE, DATA + 0x13, 3);
	guest_close(&g);
}

/* ---- neither the guest nor icount can tell ---- */

/* Loads, stores, read-modify-writes, strings, calls and a divide error every round. */
GUEST_CODE(code_mix,
	   "mov $200, %r12d\n lea 3f(%rip), %r15\n"
	   "1: mov $0x30000, %edi\n mov %edi, %esi\n add $0xf80, %esi\n mov $40, %ecx\n rep movsq\n"
	   "lock addl %r12d, 0x30ffe\n xchg %rax, 0x31008\n inc %rax\n call 2f\n"
	   "xor %ecx, %ecx\n div %ecx\n"
	   "3: mov $0x30100, %edi\n mov $300, %ecx\n mov %r12, %rax\n rep stosb\n"
	   "mov $0x30100, %esi\n mov $0x30180, %edi\n mov $64, %ecx\n repe cmpsb\n"
	   "mov $0x20000, %esp\n dec %r12\n jnz 1b\n hlt\n"
	   "2: pushf\n pop %rbx\n movdqu 0x30ff8, %xmm0\n movdqu %xmm0, 0x31ff8\n ret");
/* #DE: on at r15. */
GUEST_CODE(code_div, "mov %r15, (%rsp)\n iretq");

struct outcome {
	struct cpu_state s;
	struct digest128 ram;
	icount_t icount;
	unsigned hits;
};

static void mix(bool exec, enum engine_break_kind kind, uint64_t addr, uint64_t len, unsigned every,
		struct outcome *o)
{
	struct guest g;
	struct mem_digest *d;
	OPEN(g, code_mix);
	guest_gate(&g, VEC_DE, 0x9000, SEL_CODE64, 0x8e, 0);
	mem_write(g.mem, 0x9000, code_div, (size_t)(code_div_end - code_div));
	for (unsigned i = 0; exec && i < (unsigned)(code_mix_end - code_mix); i++)
		set(&g, ENGINE_BREAK_EXEC, TEXT + i, 1);
	if (len)
		set(&g, kind, addr, len);
	memset(o, 0, sizeof(*o));
	do {
		go(&g, vclock_icount(g.clock) + every);
		o->hits += g.stop.reason == ENGINE_EXIT_DEBUG;
	} while (g.stop.reason != ENGINE_EXIT_HALT);
	o->s = g.s;
	o->icount = vclock_icount(g.clock);
	assert_int_equal(mem_digest_create(&d, g.mem), 0);
	o->ram = mem_digest_update(d);
	mem_digest_destroy(d);
	guest_close(&g);
}

static void same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->icount, b->icount);
	assert_memory_equal(a->s.gpr, b->s.gpr, sizeof(a->s.gpr));
	assert_int_equal(a->s.rip, b->s.rip);
	assert_int_equal(a->s.rflags, b->s.rflags);
	assert_memory_equal(&a->ram, &b->ram, sizeof(a->ram));
}

static void test_invisible(void **state)
{
	static const enum engine_break_kind kind[] = { ENGINE_BREAK_WRITE, ENGINE_BREAK_READ,
						       ENGINE_BREAK_ACCESS };
	struct outcome plain, o, p;
	(void)state;
	mix(false, ENGINE_BREAK_WRITE, 0, 0, 1000000, &plain);
	assert_int_equal(plain.hits, 0);
	mix(true, ENGINE_BREAK_WRITE, 0, 0, 1000000, &o);
	same(&plain, &o);
	assert_true(o.hits > 50000);
	for (unsigned i = 0; i < 3; i++) {
		mix(false, kind[i], DATA + 0x120, 3, 1000000, &o);
		same(&plain, &o);
		assert_true(o.hits >= 200);
		mix(false, kind[i], DATA + 0x120, 3, 7, &p); /* wherever runs end */
		same(&plain, &p);
		assert_int_equal(o.hits, p.hits);
		mix(false, kind[i], DATA - 0x20000, 0x22000, 1000000, &o);
		same(&plain, &o);
		mix(true, kind[i], DATA + 0x200, 1, 1000000, &o);
		same(&plain, &o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exec_first),    cmocka_unit_test(test_exec_middle),
		cmocka_unit_test(test_exec_counts),   cmocka_unit_test(test_exec_until),
		cmocka_unit_test(test_exec_many),     cmocka_unit_test(test_exec_rep),
		cmocka_unit_test(test_exec_shadow),   cmocka_unit_test(test_exec_unmapped),
		cmocka_unit_test(test_shadow_rep),
		cmocka_unit_test(test_watch_rep),     cmocka_unit_test(test_watch_rep_pages),
		cmocka_unit_test(test_watch_kinds),   cmocka_unit_test(test_watch_until),
		cmocka_unit_test(test_watch_crossing), cmocka_unit_test(test_watch_fault),
		cmocka_unit_test(test_watch_code),    cmocka_unit_test(test_watch_set),
		cmocka_unit_test(test_invisible),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
