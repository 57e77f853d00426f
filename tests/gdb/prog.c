/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small guest for the debugger tests, with DWARF: a table that is worked on
 * in rounds, a timer that interrupts it, and one bad write through a pointer
 * that has gone astray. check() finds the damage much later. Each round spends
 * a while in a second address space, and a few structures look like Linux's
 * task list, for the script's commands.
 */
#include "lib/guest.h"

const char guest_name[] = "prog";

#ifndef ROUNDS
#define ROUNDS 400
#endif
#define ITEMS 16
#define BAD_ROUND 150
#define BAD_ITEM 5
#define APIC 0xfee00000ul
#define VEC_TIMER 0x50

struct item {
	int id;
	int value;
	int spare[2];
};

struct item table[ITEMS];
volatile int round_no;
volatile int ticks;
int last_sum;
static int *stray;

struct list_head {
	struct list_head *next, *prev;
};
struct mm_struct {
	uint64_t *pgd;
};
struct task_struct {
	int pid;
	struct mm_struct *mm;
	struct list_head tasks;
	char comm[16];
};
static uint64_t second_pml4[512] __attribute__((aligned(4096)));
static struct mm_struct first_mm = { boot_pml4 }, second_mm = { second_pml4 };
extern struct task_struct init_task;
static struct task_struct second_task = {
	2, &second_mm, { &init_task.tasks, &init_task.tasks }, "second"
};
struct task_struct init_task = {
	0, &first_mm, { &second_task.tasks, &second_task.tasks }, "first"
};
unsigned long page_offset_base;

static void apic_write(unsigned r, uint32_t v)
{
	*(volatile uint32_t *)(APIC + r) = v;
}

static bool timer_hook(struct frame *f)
{
	if (f->vector != VEC_TIMER)
		return false;
	ticks++;
	apic_write(0x0b0, 0);
	return true;
}

__attribute__((noinline)) int sum_items(void)
{
	int sum = 0;
	for (int i = 0; i < ITEMS; i++)
		sum += table[i].value;
	return sum;
}

__attribute__((noinline)) void bump_item(int i)
{
	table[i].value++;
}

__attribute__((noinline)) void tidy_up(int n)
{
	/* The astray pointer: one element too far. */
	for (int i = 0; i < n; i++)
		stray[i * 4] = -7;
}

__attribute__((noinline)) int check(void)
{
	for (int i = 0; i < ITEMS; i++)
		if (table[i].id != i)
			return i;
	return -1;
}

__attribute__((noinline)) void report(int bad)
{
	guest_print("item ");
	guest_print_hex((uint64_t)bad);
	guest_print(" is damaged\n");
}

__attribute__((noinline)) void space_load(word cr3)
{
	write_cr3(cr3);
}

__attribute__((noinline)) void visit_second(void)
{
	space_load((word)second_pml4);
	last_sum ^= sum_items();
	space_load((word)boot_pml4);
}

__attribute__((noinline)) void one_round(void)
{
	for (int i = 0; i < ITEMS; i++)
		bump_item(i);
	last_sum = sum_items();
	visit_second();
	if (round_no == BAD_ROUND)
		tidy_up(1);
	if (round_no % 50 == 0)
		guest_print(".");
	for (volatile int i = 0; i < 2000; i++)
		;
}

void guest_main(void)
{
	for (int i = 0; i < ITEMS; i++)
		table[i] = (struct item){ .id = i };
	stray = &table[BAD_ITEM].id;
	for (int i = 0; i < 512; i++)
		second_pml4[i] = boot_pml4[i];
	trap_hook = timer_hook;
	apic_write(0x0f0, 0x1ff);
	apic_write(0x3e0, 0xb);
	apic_write(0x320, 0x20000 | VEC_TIMER);
	apic_write(0x380, 300000);
	__asm__ volatile("sti");
	for (round_no = 0; round_no < ROUNDS; round_no++)
		one_round();
	__asm__ volatile("cli");
	if (check() >= 0)
		report(check());
}
