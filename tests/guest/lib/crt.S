/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up and exception entry of the test guests, for 32- and 64-bit code.
 * Multiboot enters at _start in flat 32-bit protected mode; a 64-bit guest
 * maps the first 4 GiB one to one with 2 MiB pages and enters long mode.
 */
#define MB_MAGIC 0x1badb002
#define MB_FLAGS 0x3

	.section .multiboot, "ax"
	.balign 4
	.long MB_MAGIC
	.long MB_FLAGS
	.long -(MB_MAGIC + MB_FLAGS)

	.text
	.code32
	.globl _start
_start:
	cli
	cld
	movl $boot_stack_top, %esp
	movl %ebx, guest_mbi
#ifdef __x86_64__
	/* PML4[0] -> PDPT, four page directories of 2 MiB pages, user and writable. */
	movl $boot_pml4, %edi
	leal 4096(%edi), %eax
	orl $7, %eax
	movl %eax, (%edi)
	movl $4, %ecx
	leal 4096(%edi), %edx
	leal 8192(%edi), %eax
	orl $7, %eax
1:	movl %eax, (%edx)
	addl $8, %edx
	addl $4096, %eax
	loop 1b
	movl $2048, %ecx
	leal 8192(%edi), %edx
	movl $0x87, %eax
1:	movl %eax, (%edx)
	addl $8, %edx
	addl $0x200000, %eax
	loop 1b
	movl %edi, %cr3
	movl %cr4, %eax
	orl $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x901, %eax /* NXE, LME, SCE */
	wrmsr
	movl $0x80010033, %eax /* PG, WP, NE, ET, MP, PE */
	movl %eax, %cr0
	lgdt guest_gdtr
	ljmp $0x08, $start64
	.code64
start64:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	lldt %ax
	movq $boot_stack_top, %rsp
	fninit
	call guest_start
1:	hlt
	jmp 1b
#else
	lgdt guest_gdtr
	ljmp $0x08, $1f
1:	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	xorl %eax, %eax
	lldt %ax
	movl %cr4, %eax
	orl $0x600, %eax
	movl %eax, %cr4
	movl $0x00000033, %eax
	movl %eax, %cr0
	fninit
	call guest_start
1:	hlt
	jmp 1b
#endif

/* One entry a vector: error code (0 where the processor pushes none), vector, all registers. */
	.altmacro
	.macro vector_entry n
	.balign 16
	.if (\n == 8) || (\n >= 10 && \n <= 14) || (\n == 17)
	.else
	push $0
	.endif
#ifdef __x86_64__
	pushq $\n
#else
	pushl $\n
#endif
	jmp trap_common
	.endm

	.balign 16
	.globl trap_entries
trap_entries:
	.set vec, 0
	.rept 256
	vector_entry %vec
	.set vec, vec + 1
	.endr

trap_common:
	cld
#ifdef __x86_64__
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, %rdi
	movq %rsp, %rbx
	andq $-16, %rsp
	call guest_trap
	movq %rbx, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq
#else
	pushal
	pushl %ds
	pushl %es
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	pushl %esp
	call guest_trap
	addl $4, %esp
	testl %eax, %eax
	jnz trap_resume32
	popl %es
	popl %ds
	popal
	addl $8, %esp
	iretl
trap_resume32:
	/* Same-privilege frames hold no ESP: leave for the armed resume point by hand. */
	movl $0x10, %eax
	movl %eax, %ss
	movl trap_sp, %esp
	movl trap_bp, %ebp
	pushl $2
	popfl
	jmp *trap_jump
#endif

#ifdef __x86_64__
/* uint64_t user_enter(rip, rsp, rflags, arg, cs, ss): IRETQ to another ring or mode; returns
 * RAX of the trap that came back. */
	.globl user_enter
user_enter:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq $1f, trap_resume
	movq %rsp, trap_sp
	pushq %r9
	pushq %rsi
	pushq %rdx
	pushq %r8
	pushq %rdi
	movq %rcx, %rdi
	iretq
1:	movq trap_rax, %rax
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret
#else
/* uint32_t user_enter(eip, esp, eflags, arg, cs, ss): arg is in EDI there. */
	.globl user_enter
user_enter:
	pushl %ebx
	pushl %ebp
	pushl %esi
	pushl %edi
	movl %esp, %eax
	movl $1f, trap_resume
	movl %esp, trap_sp
	movl %ebp, trap_bp
	movl 32(%eax), %edi
	pushl 40(%eax)
	pushl 24(%eax)
	pushl 28(%eax)
	pushl 36(%eax)
	pushl 20(%eax)
	iretl
1:	movl trap_rax, %eax
	popl %edi
	popl %esi
	popl %ebp
	popl %ebx
	ret
#endif

	.bss
	.balign 4096
	.globl boot_pml4
boot_pml4:
	.skip 6 * 4096
	.globl boot_stack
boot_stack:
	.skip 32768
	.globl boot_stack_top
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
