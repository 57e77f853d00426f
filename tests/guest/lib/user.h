/* SPDX-License-Identifier: Apache-2.0 */
/* User-mode snippets: USER_CODE(name, "instructions") ends in INT 80h; user_run() gives the vector
 * that came back, and what was in RAX is in trap.ax. The argument is in RDI (EDI). */
#ifndef GUEST_USER_H
#define GUEST_USER_H

#include "guest.h"

#define USER_CODE(name, text)                                                                      \
	extern char name[];                                                                        \
	__asm__(".pushsection .text\n" #name ":\n\t" text "\n\tint $0x80\n\t.popsection\n")

static inline int user_run_flags(const char *code, word arg, word flags)
{
	guest_trap_arm();
#ifdef __x86_64__
	user_enter((word)code, (word)guest_stack3 + sizeof(guest_stack3), flags, arg, SEL_UCODE64,
		   SEL_UDATA);
#else
	/* Kernel selectors would not survive the way out (SDM vol. 3, 5.8.6). */
	__asm__ volatile("mov %w0, %%ds\n\tmov %w0, %%es" : : "r"(SEL_UDATA) : "memory");
	user_enter((word)code, (word)guest_stack3 + sizeof(guest_stack3), flags, arg, SEL_UCODE32,
		   SEL_UDATA);
#endif
	return trap.vector;
}

static inline int user_run(const char *code, word arg)
{
	return user_run_flags(code, arg, 2);
}

#endif
