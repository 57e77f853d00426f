/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fixed programs: V(name, more features, offset in the code area, assembly).
 * Addresses are those of jit.h: 0x10001000 and 0x10002000 writable,
 * 0x10003000 read-only, ...4000 not accessed, ...5000 not dirty, ...6000
 * supervisor, ...7000 the frame of ...1000, ...8000 the device, ...9000
 * writable, ...a000 not mapped, ...b000 the page table, ...d000 read-only,
 * stack ...e000 to ...ffff, nothing behind. Code at 0x0ff00000 + offset.
 */
#ifndef RV_TESTS_JIT_VECTORS_H
#define RV_TESTS_JIT_VECTORS_H

#define JIT_VECTORS_INT(V)                                                                         \
	V(flags_load, 0, 0x800,                                                                    \
	  "mov $0x10001ff0, %ebx; add %rcx, %rax; mov (%rbx), %rdx; adc %r8, %r9; pushf; "         \
	  "pop %r10")                                                                              \
	V(flags_store, 0, 0x800,                                                                   \
	  "sub %rcx, %rax; mov %rax, 0x10001ffc; sbb %r8, %r9; setg %r10b; "                       \
	  "mov %r9d, 0x10004010; seto %r11b; jle 1f; inc %rdx; 1: pushf")                          \
	V(flags_fault, 0, 0x800,                                                                   \
	  "add %rcx, %rax; mov 0x1000a000, %rdx")                                                  \
	V(flags_fault_dead, 0, 0x800,                                                              \
	  "add %rcx, %rax; mov %rdx, 0x1000a000; sub %r8, %r9; pushf")                             \
	V(flags_fault_crossing, 0, 0x800,                                                          \
	  "cmp %cl, %al; mov 0x10009ffd, %edx; cmp %r8, %r9")                                      \
	V(flags_fault_cmp, 0, 0x800,                                                               \
	  "inc %rax; cmp 0x1000a000, %rdx; adc %r8, %r9")                                          \
	V(flags_fault_rmw, 0, 0x800,                                                               \
	  "imul %rcx, %rax; addl $5, 0x10003ff0; pushf")                                           \
	V(flags_part_after_undefined, 0, 0x800,                                                    \
	  "sar $1, %dx; dec %r15d; pushf; shl $8, %dx; inc %eax; pushf; mul %rcx; "                \
	  "dec %rdx; pushf; and %r8, %r9; rol $3, %r10; pushf; stc; inc %ecx; "                    \
	  "jbe 1f; pushf; 1: nop")                                                                 \
	V(flags_branch_load, 0, 0x800,                                                             \
	  "cmp %rax, %rcx; mov 0x10001000, %r8; jb 1f; mov 0x10002000, %r9; je 1f; "               \
	  "lea 1(%r9), %r9; 1: mov %r8, 0x10001008; cmovs %r9, %r10; setp %r11b")                  \
	V(inc_keeps_cf, 0, 0x800,                                                                  \
	  "stc; inc %eax; adc $0, %ecx; clc; dec %rdx; sbb %r8, %r8; add %r9, %r9; "               \
	  "incb 0x10001003; rcl $1, %r9; cmp %rax, %rcx; decq 0x10001ffc; adc %ah, %dl; "          \
	  "pushf")                                                                                 \
	V(inc_loop, 0, 0x800,                                                                      \
	  "mov $20, %edx; xor %eax, %eax; 1: adc %r8, %rax; rcr $1, %r9; dec %edx; jnz 1b; "       \
	  "pushf")                                                                                 \
	V(adc_chain, 0, 0x800,                                                                     \
	  "add %rax, 0x10001ff4; adc %rcx, 0x10001ffc; adc %rdx, 0x10002004; adc $-1, %r8; "       \
	  "sbb %r9b, %r10b; sbb %ah, %ch; adcw $0x1234, 0x10002100; sbb %r11d, %r11d; "            \
	  "pushf")                                                                                 \
	V(neg_not, 0, 0x800,                                                                       \
	  "neg %rax; notl %ecx; negb 0x10001001; not %dh; neg %ah; sbb %r8, %r8; "                 \
	  "lock negl 0x10001ffe")                                                                  \
	V(shift_zero, 0, 0x800,                                                                    \
	  "xor %ecx, %ecx; cmp %rax, %rdx; shl %cl, %r8; pushf; shl %cl, %r9d; "                   \
	  "rol %cl, %eax; pushf; mov $32, %cl; shr %cl, %r10d; pushf; mov $64, %ecx; "             \
	  "sar %cl, %r11; rcl %cl, %rdx; pushf")                                                   \
	V(shift_cl, 0, 0x800,                                                                      \
	  "shl %cl, %rax; pushf; sar %cl, %edx; pushf; shr %cl, %r8w; rol %cl, %r9b; "             \
	  "pushf; ror %cl, %r10; rcl %cl, %r11w; rcr %cl, %rax; pushf; shl %cl, %ah; "             \
	  "shrl %cl, 0x10001ffe")                                                                  \
	V(shift_imm, 0, 0x800,                                                                     \
	  "shl $1, %rax; pushf; shl $0, %rcx; pushf; sar $63, %rdx; ror $7, %ch; "                 \
	  "shr $31, %r8d; rcl $9, %r9b; rcr $17, %r10w; rolw $8, 0x10001fff; pushf; "              \
	  "sar $33, %r11d")                                                                        \
	V(shift_double, 0, 0x800,                                                                  \
	  "shld $5, %rax, %rdx; shrd %cl, %r8d, %r9d; pushf; shld $0, %eax, %r10d; "               \
	  "shrd $3, %ax, %r11w; shrd $33, %rcx, 0x10001ffc; pushf; xor %ecx, %ecx; "               \
	  "shld %cl, %eax, %edx; pushf")                                                           \
	V(shift_fault, 0, 0x800,                                                                   \
	  "cmp %rax, %rdx; xor %ecx, %ecx; shll %cl, 0x10003000; pushf")                           \
	V(bt_memory, 0, 0x800,                                                                     \
	  "mov $0x10002000, %ebx; movslq %eax, %rax; and $0x7ff, %eax; sub $0x400, %rax; "         \
	  "bts %rax, (%rbx); pushf; btrl %eax, 4(%rbx); btcw %ax, (%rbx); "                        \
	  "lock btsl $37, -2(%rbx); adc $0, %edx; btq $63, -8(%rbx); setc %cl")                    \
	V(bt_far, 0, 0x800,                                                                        \
	  "mov $0x10009f00, %ebx; mov $0x7ff, %eax; bt %eax, (%rbx); setc %cl; "                   \
	  "add $1, %eax; btc %eax, (%rbx); pushf")                                                 \
	V(bt_register, 0, 0x800,                                                                   \
	  "bt %rcx, %rax; adc %rdx, %rdx; bts %r8w, %r9w; btr $70, %r10; btc %r11d, %eax; "        \
	  "pushf")                                                                                 \
	V(bit_scan, 0, 0x800,                                                                      \
	  "xor %eax, %eax; bsf %rax, %rcx; pushf; bsr %eax, %edx; pushf; bsf %r8, %r9; "           \
	  "bsr %r8w, %r10w; popcnt %r8, %r11; pushf; bsf 0x10001ffd, %eax; "                       \
	  "popcnt %ax, %dx")                                                                       \
	V(cmov_fault, 0, 0x800,                                                                    \
	  "xor %eax, %eax; cmovne 0x1000a000, %rcx; inc %edx")                                     \
	V(cmov_extends, 0, 0x800,                                                                  \
	  "cmp %eax, %eax; cmovne %ecx, %edx; cmovne %r8w, %r9w; cmove %r10, %r11; "               \
	  "cmp %rcx, %r8; cmovl 0x10001ffe, %eax; cmovg 0x10004000, %r9d; "                        \
	  "cmovp %rax, %r10")                                                                      \
	V(setcc, 0, 0x800,                                                                         \
	  "cmp %rax, %rcx; seta %al; setb 0x10001fff; setle %dh; setnp %r8b; sets (%rsp); "        \
	  "setno %ah")                                                                             \
	V(stack_forms, 0, 0x800,                                                                   \
	  "mov $0x1000f004, %esp; push %rax; pop 8(%rsp); push %rsp; pop %rcx; push %rcx; "        \
	  "pop %rsp; pushq (%rsp); pushq $-5; pushw %dx; popw %r8w; pop %r9; push %fs; "           \
	  "pop %fs; pushw $3")                                                                     \
	V(stack_pop_memory, 0, 0x800,                                                              \
	  "mov $0x1000fff8, %esp; popq -8(%rsp); mov $0x1000fff0, %esp; popq 8(%rsp)")             \
	V(stack_pop_fault, 0, 0x800,                                                               \
	  "mov $0x1000e100, %esp; popq 0x10003000; inc %eax")                                      \
	V(stack_push_fault, 0, 0x800,                                                              \
	  "mov $0x1000e004, %esp; cmp %rax, %rcx; push %rax; push %rcx")                           \
	V(stack_push_memory, 0, 0x800,                                                             \
	  "mov $0x1000f000, %esp; pushq 0x1000a000; push %rax")                                    \
	V(stack_enter_leave, 0, 0x800,                                                             \
	  "mov $0x1000e880, %esp; mov %rsp, %rbp; enter $32, $0; mov %rax, -8(%rbp); "             \
	  "enter $16, $3; leave; leave; mov $0x1000a000, %ebp; leave")                             \
	V(stack_wide, 0, 0x800,                                                                    \
	  "mov $0x1000f008, %esp; push %rax; push %rbx; push %r12; push %r13; "                    \
	  "mov %rax, 0x10(%rsp); call 1f; 1: pop %rdx; pop %r8; pop %r9; pop %r10; "               \
	  "pop %r11; lea -0x2000(%rsp), %rsp; push %rax")                                          \
	V(stack_rsp_arith, 0, 0x800,                                                               \
	  "sub $0x18, %rsp; mov %rax, (%rsp); add (%rsp), %rcx; and $-16, %rsp; "                  \
	  "movaps %xmm0, (%rsp); xchg %rsp, %rdx; mov %rdx, %rsp; mov (%rsp, %r14), %al; "         \
	  "lea 8(%rsp), %rsp")                                                                     \
	V(stack_noncanonical, 0, 0x800,                                                            \
	  "movabs $0x0000800000000004, %rsp; push %rax; inc %ecx")                                 \
	V(xchg_memory, 0, 0x800,                                                                   \
	  "xchg %rax, 0x10001ffc; xchg %cl, %ch; xchg %eax, %eax; xchg %eax, %r8d; "               \
	  ".byte 0x87, 0xc0; xchg %dh, 0x10002000; xchg %rdx, 0x10003000")                         \
	V(xadd, 0, 0x800,                                                                          \
	  "xadd %rax, %rcx; lock xadd %edx, 0x10001ffe; pushf; xadd %bl, %ah; "                    \
	  "xadd %r9, %r9; xadd %r10w, 0x10003000")                                                 \
	V(cmpxchg, 0, 0x800,                                                                       \
	  "cmpxchg %rcx, 0x10001100; pushf; mov 0x10001200, %eax; "                                \
	  "lock cmpxchg %edx, 0x10001200; pushf; cmpxchg %r8d, %r9d; pushf; "                      \
	  "cmpxchg %ah, %bl; cmpxchg %cx, 0x10001fff; pushf; xor %eax, %eax; "                     \
	  "cmpxchg %edx, 0x10003000")                                                              \
	V(cmpxchg_wide, 0, 0x800,                                                                  \
	  "cmpxchg8b 0x10001ffc; pushf; mov 0x10001100, %rax; mov 0x10001108, %rdx; "              \
	  "lock cmpxchg16b 0x10001100; pushf; cmpxchg16b 0x10001200; "                             \
	  "cmpxchg16b 0x10001108")                                                                 \
	V(div_fault, 0, 0x800,                                                                     \
	  "add %rax, %rcx; xor %ecx, %ecx; div %ecx; inc %eax")                                    \
	V(div_overflow, 0, 0x800,                                                                  \
	  "mov $-1, %rdx; mov $2, %ecx; div %rcx")                                                 \
	V(div_minimum, 0, 0x800,                                                                   \
	  "mov $0x80000000, %eax; cdq; mov $-1, %ecx; idiv %ecx")                                  \
	V(div_forms, 0, 0x800,                                                                     \
	  "mov $7, %ecx; xor %edx, %edx; div %rcx; mov %rax, %r8; cqo; idiv %rcx; "                \
	  "and $0x3ff, %eax; div %cl; cwd; idivw 0x10001100; divl 0x1000a000")                     \
	V(mul_forms, 0, 0x800,                                                                     \
	  "mul %rcx; pushf; imul %r8d; pushf; imul $-3, %rax, %r9; imul 0x10001ffe, %r10d; "       \
	  "pushf; mul %ah; imul $0x1234, 0x10001fff, %dx; imul %cl; mulq 0x10001100")              \
	V(extend32, 0, 0x800,                                                                      \
	  "mov %eax, %eax; add $1, %ecx; movzbl %dl, %edx; movswl %r8w, %r8d; "                    \
	  "movslq %r9d, %r9; bswap %r10d; cwde; cltq; not %r11d; movsbw %al, %cx; "                \
	  "and $-1, %r13d; xor $0, %r12d; sar %ebx")                                               \
	V(merge8_16, 0, 0x800,                                                                     \
	  "mov %ah, %bl; add %ch, %dh; movzbl %ah, %ecx; inc %bh; mov $0x55, %dh; "                \
	  "mov %dx, %r8w; add $0x1234, %r9w; movb %ch, 0x10001fff; mov 0x10001ffe, %ah; "          \
	  "test %ah, %dh; movsbl %dh, %eax; movsbq %sil, %rcx; mov $7, %spl; cbw; "                \
	  "add %ax, 0x10001fff; xor %ah, %ah")                                                     \
	V(lea_forms, 0, 0x800,                                                                     \
	  "lea 0x10(%eax, %ecx, 4), %rdx; lea (%rax, %rcx), %r8d; "                                \
	  "lea -1(%rax, %r9, 8), %r9w; lea 5(%rip), %r10; lea 5(%eip), %r11; "                     \
	  "lea 0x10001000, %rax; lea (, %rcx, 2), %rcx; lea 8(%rsp), %rbx; "                       \
	  "lea (%r13), %r12; .byte 0x64; lea 8(%rax), %rax; lea (%rbp, %r14, 8), %ebp")            \
	V(rip_relative, 0, 0x800,                                                                  \
	  "mov 1f(%rip), %rax; cmpl $5, 1f(%rip); adc %al, 1f+9(%rip); "                           \
	  "movw $0x1234, 1f+2(%rip); imul $77, 1f(%rip), %ecx; shlb $3, 1f(%rip); jmp 2f; "        \
	  ".balign 64; 1: .quad 0x123456789; .quad 5; 2: mov 1b(%eip), %edx")                      \
	V(segment_bases, 0, 0x800,                                                                 \
	  "mov $0x10001000, %ebx; mov %fs:(%rbx), %rax; mov %rcx, %gs:8(%rbx); "                   \
	  "add %fs:4(%rbx), %edx; mov %gs:0xff8(%rbx), %r8; incl %fs:0xfbe(%rbx); "                \
	  "mov %ds:(%rbx), %r9; mov %fs:0x10001000, %r10; movaps %fs:(%rbx), %xmm1; "              \
	  "lea -0x1000(%rbx), %rbx; mov %gs:(%rbx), %r11")                                         \
	V(address32, 0, 0x800,                                                                     \
	  "movabs $0x5500000010001000, %rbx; mov (%ebx), %rax; mov $-16, %r14; "                   \
	  "mov %ecx, 0x20(%ebx, %r14d); mov %fs:(%ebx), %dx; mov $0x10001ffc, %eax; "              \
	  "addr32 mov %al, 0x10001010; mov (%rbx), %r8")                                           \
	V(moffs, 0, 0x800,                                                                         \
	  "movabs 0x10001ffc, %rax; movabs %ax, 0x10001fff; movabs 0x10002001, %al; "              \
	  "movabs %eax, 0x10003000")                                                               \
	V(xlat_misc, 0, 0x800,                                                                     \
	  "mov $0x10001f80, %ebx; xlat; movzbl %al, %ecx; xlat; cmc; lahf; stc; sahf; cld; "       \
	  "nopl (%rax); std; prefetcht0 (%rax); pause; mfence; lfence; rdtsc; "                    \
	  "shl $32, %rdx; or %rdx, %rax; cld; rdtscp")                                             \
	V(xor_zero, 0, 0x800,                                                                      \
	  "xor %eax, %eax; pushf; sub %ecx, %ecx; pushf; sbb %edx, %edx; xor %r8b, %r8b; "         \
	  "sub %r9w, %r9w; and $0, %r10; or $-1, %r11d; pushf; test %rax, %rax; jz 1f; "           \
	  "inc %ecx; 1: mov $0, %r12d")

#define JIT_VECTORS_FLOW(V)                                                                        \
	V(jump_middle, 0, 0x800,                                                                   \
	  "cmp %eax, %ecx; jle 1f+1; 1: mov $0x90c0ff48, %eax; inc %edx")                          \
	V(jump_self, 0, 0x800,                                                                     \
	  "inc %eax; 1: jmp 1b")                                                                   \
	V(jump_table, 0, 0x800,                                                                    \
	  "and $3, %eax; lea 1f(%rip), %rdx; lea (%rdx, %rax, 4), %rdx; jmp *%rdx; "               \
	  "1: inc %ecx; jmp 2f; dec %ecx; jmp 2f; neg %ecx; jmp 2f; not %ecx; nop; nop; "          \
	  "2: mov %ecx, %r8d; push %rdx; jmp *(%rsp)")                                             \
	V(jump_short_loop, 0, 0x800,                                                               \
	  "mov $30, %ecx; 1: add %rcx, %rax; loop 1b; jrcxz 2f; ud2; 2: nop")                      \
	V(loop_kinds, 0, 0x800,                                                                    \
	  "mov $9, %ecx; 1: cmp %cl, %al; loopne 1b; pushf; mov $9, %ecx; 2: test $8, %cl; "       \
	  "loope 2b; movabs $0x100000003, %rcx; 3: dec %eax; addr32 loop 3b; jecxz 4f; "           \
	  "ud2; 4: jrcxz 5f; inc %edx; 5: nop")                                                    \
	V(jcc_all, 0, 0x800,                                                                       \
	  "xor %edx, %edx; cmp %rax, %rcx; jo 1f; inc %edx; 1: cmp %rax, %rcx; jno 1f; "           \
	  "add $2, %edx; 1:cmp %rax, %rcx; jb 1f; add $4, %edx; 1: cmp %rax, %rcx; jbe 1f; "       \
	  "add $8, %edx; 1: cmp %rax, %rcx; js 1f; add $16, %edx; 1: cmp %rax, %rcx; "             \
	  "jp 1f; add $32, %edx; 1: cmp %rax, %rcx; jl 1f; add $64, %edx; "                        \
	  "1: cmp %rax, %rcx; jg 1f; add $128, %edx; 1: cmp %rax, %rcx; jnz 1f; inc %r8; "         \
	  "1: nop")                                                                                \
	V(call_return, 0, 0x800,                                                                   \
	  "mov $0x1000f010, %esp; mov $6, %edx; 1: call 2f; dec %edx; jnz 1b; jmp 3f; "            \
	  "2: add %rax, %rcx; call 4f; ret; 4: xor %rcx, %r8; ret $0; 3: call 5f; "                \
	  "5: ret $16")                                                                            \
	V(call_push_fault, 0, 0x800,                                                               \
	  "mov $0x1000e004, %esp; cmp %rax, %rcx; call 1f; 1: inc %eax")                           \
	V(call_indirect_fault, 0, 0x800,                                                           \
	  "mov $0x1000e000, %esp; lea 1f(%rip), %rax; call *%rax; 1: inc %ecx")                    \
	V(call_memory_fault, 0, 0x800,                                                             \
	  "call *0x1000a000")                                                                      \
	V(call_noncanonical, 0, 0x800,                                                             \
	  "movabs $0x800000000000, %rax; call *%rax")                                              \
	V(return_noncanonical, 0, 0x800,                                                           \
	  "movabs $0x800000000000, %rax; push %rax; cmp %ecx, %edx; ret")                          \
	V(return_fault, 0, 0x800,                                                                  \
	  "mov $0x1000fffc, %esp; ret")                                                            \
	V(return_unmapped, 0, 0x800,                                                               \
	  "pushq $0x1000a123; ret")                                                                \
	V(jump_noncanonical, 0, 0x800,                                                             \
	  "movabs $0x1000000000000000, %rax; jmp *%rax")                                           \
	V(return_to_edge, 0, 0x800,                                                                \
	  "movabs $0x8000000000000000, %rax; push %rax; ret")                                      \
	V(jump_to_edge, 0, 0x800,                                                                  \
	  "movabs $0x8000000000000000, %rax; jmp *%rax")                                           \
	V(return_to_zero, 0, 0x800,                                                                \
	  "pushq $0; ret")                                                                         \
	V(jump_to_one, 0, 0x800,                                                                   \
	  "mov $1, %eax; jmp *%rax")                                                               \
	V(jump_data, 0, 0x800,                                                                     \
	  "movl $0xf4c0ff90, 0x10009100; mov $0x10009100, %eax; jmp *%rax")                        \
	V(crossing_insn, 0, 0xffd,                                                                 \
	  "mov $0x12345678, %eax; add %rax, %rcx; pushf")                                          \
	V(crossing_block, 0, 0xfe8,                                                                \
	  "inc %eax; add %rax, %rcx; mov %rcx, 0x10001ffc; "                                       \
	  "movabs $0x123456789abcdef0, %rdx; jnz 1f; nop; 1: adc %rdx, %rax; jmp 2f; nop; "        \
	  "2: dec %eax")                                                                           \
	V(crossing_branch, 0, 0xff0,                                                               \
	  "mov $40, %ecx; .rept 11; nop; .endr; 1: loop 1b; .byte 0xe9; .long 0")                  \
	V(crossing_store, 0, 0xffb,                                                                \
	  "movl $0x90909090, 0x10001ffe; movb $0x41, 0x0ff01000; inc %eax")                        \
	V(smc_next, 0, 0x800,                                                                      \
	  "movb $0x90, 1f(%rip); 1: inc %eax; inc %ecx")                                           \
	V(smc_next_immediate, 0, 0x800,                                                            \
	  "mov %al, 1f+1(%rip); 1: mov $0x11223344, %ecx; add %ecx, %edx")                         \
	V(smc_loop, 0, 0x800,                                                                      \
	  "mov $16, %ecx; 1: add $1, %eax; incb 1b+2(%rip); dec %ecx; jnz 1b; "                    \
	  "movb $1, 1b+2(%rip)")                                                                   \
	V(smc_alias, 0, 0x800,                                                                     \
	  "mov $16, %ecx; 1: add $1, %eax; incb 0x0fe00800+7; loop 1b; "                           \
	  "movb $1, 0x0fe00800+7")                                                                 \
	V(smc_push, 0, 0x800,                                                                      \
	  "lea 1f+8(%rip), %rsp; movabs $0x9090909090909090, %rax; push %rax; 1: inc %ecx; "       \
	  "inc %ecx; inc %ecx; inc %ecx; nop")                                                     \
	V(smc_rep, 0, 0x800,                                                                       \
	  "lea 1f(%rip), %rdi; cld; mov $4, %ecx; mov $0x90, %al; rep stosb; 1: inc %edx; "        \
	  "inc %edx; inc %r8d")                                                                    \
	V(smc_xmm, 0, 0x800,                                                                       \
	  "pxor %xmm0, %xmm0; movups %xmm0, 1f+2(%rip); 1: mov $5, %eax; add $6, %ecx; "           \
	  "add $7, %edx; add %eax, %eax; nop; nop")                                                \
	V(smc_far, 0, 0x800,                                                                       \
	  "mov %al, 1f(%rip); jmp 2f; .balign 128; 1: .byte 0; 2: incb 1b(%rip); jnz 3f; "         \
	  "nop; 3: mov 1b(%rip), %cl")                                                             \
	V(smc_granule, 0, 0x800,                                                                   \
	  "movq $0, 1f(%rip); inc %eax; movb $5, 1f+8(%rip); jmp 2f; .balign 64; "                 \
	  "1: .quad 1, 2; .balign 64; 2: mov 1b(%rip), %rcx")

#define JIT_VECTORS_STRING(V)                                                                      \
	V(movs_crossing, 0, 0x800,                                                                 \
	  "cld; mov $0x10001ff9, %esi; mov $0x10002ffa, %edi; mov $3, %ecx; rep movsb; "           \
	  "movsq; inc %eax")                                                                       \
	V(movs_zero, 0, 0x800,                                                                     \
	  "xor %ecx, %ecx; mov $0x1000a000, %esi; movabs $0x800000000000, %rdi; rep movsb; "       \
	  "rep stosq; repe cmpsb; repne scasw; rep lodsl; inc %eax")                               \
	V(movs_fault_middle, 0, 0x800,                                                             \
	  "cld; mov $0x10001100, %esi; mov $0x10002fe4, %edi; mov $9, %ecx; rep movsl; "           \
	  "inc %eax")                                                                              \
	V(movs_source_fault, 0, 0x800,                                                             \
	  "std; mov $0x10001010, %esi; mov $0x10002010, %edi; mov $40, %ecx; rep movsw; "          \
	  "cld")                                                                                   \
	V(movs_overlap, 0, 0x800,                                                                  \
	  "cld; mov $0x10001ff0, %esi; mov $0x10001ff1, %edi; mov $30, %ecx; rep movsb; "          \
	  "std; mov $25, %ecx; rep movsb; cld; lea 3(%rsi), %rdi; mov $5, %ecx; rep movsq")        \
	V(movs_alias, 0, 0x800,                                                                    \
	  "cld; mov $0x10001800, %esi; mov $0x10007804, %edi; mov $20, %ecx; rep movsl; "          \
	  "mov -4(%rdi), %eax")                                                                    \
	V(movs_prefix, 0, 0x800,                                                                   \
	  "cld; mov $0x10001200, %esi; mov $0x10002200, %edi; movabs $0x700000003, %rcx; "         \
	  "addr32 rep movsb; mov $2, %ecx; rep movsq %fs:(%rsi), %es:(%rdi); mov $3, %ecx; "       \
	  "repne movsb; gs lodsl")                                                                 \
	V(stos_fresh, 0, 0x800,                                                                    \
	  "cld; mov $0x10003ff0+0x1000, %edi; mov $24, %ecx; rep stosq; "                          \
	  "mov 0x1000b020, %rax; mov 0x1000b028, %rdx")                                            \
	V(scas_cmps, 0, 0x800,                                                                     \
	  "cld; mov $0x10001ff0, %edi; mov $40, %ecx; repne scasb; pushf; "                        \
	  "mov $0x10001100, %esi; mov $0x10007100, %edi; mov $20, %ecx; repe cmpsl; pushf; "       \
	  "cmpsb; scasq; pushf; std; scasw; cld")                                                  \
	V(string_single, 0, 0x800,                                                                 \
	  "mov $0x10001ffd, %esi; mov $0x10002ffd, %edi; add %rax, %rcx; lodsw; lodsb; "           \
	  "stosb; pushf; stosl")                                                                   \
	V(string_mmio, 0, 0x800,                                                                   \
	  "cld; mov $0x10008000, %esi; mov $0x10001000, %edi; mov $4, %ecx; rep movsl; "           \
	  "mov $0x10008010, %edi; mov $3, %ecx; rep stosl; inc %eax")                              \
	V(string_huge, 0, 0x800,                                                                   \
	  "cld; mov $0x10001000, %edi; mov $-1, %rcx; repe scasb; mov $0x10001000, %edi; "         \
	  "mov $-1, %rcx; rep stosb")

#define JIT_VECTORS_SSE(V)                                                                         \
	V(sse_not_available, JIT_F_TS, 0x800,                                                      \
	  "inc %eax; addps %xmm1, %xmm0; inc %ecx")                                                \
	V(sse_not_available_load, JIT_F_TS, 0x800,                                                 \
	  "add %rcx, %rax; movaps 0x1000a000, %xmm0")                                              \
	V(sse_not_available_integer, JIT_F_TS, 0x800,                                              \
	  "crc32b %al, %ecx; mfence; movnti %eax, 0x10001ffe; prefetchnta (%rax); "                \
	  "popcnt %eax, %edx; paddb %xmm0, %xmm1")                                                 \
	V(x87_not_available, JIT_F_TS, 0x800,                                                      \
	  "add %rcx, %rax; fld1; inc %eax")                                                        \
	V(mmx_not_available, JIT_F_TS, 0x800,                                                      \
	  "add %rcx, %rax; paddb %mm0, %mm1; inc %eax")                                            \
	V(sse_moves, 0, 0x800,                                                                     \
	  "movups 0x10001ff4, %xmm0; movaps %xmm0, 0x10001100; movss 0x10001ffe, %xmm1; "          \
	  "movsd %xmm1, 0x10004ffc; movq %xmm0, %rax; movd %ecx, %xmm2; "                          \
	  "movq %xmm3, 0x10001ffc; movhps 0x10001ffd, %xmm4; movlpd %xmm5, 0x10001ffb; "           \
	  "movmskps %xmm0, %edx; pmovmskb %xmm1, %r8d; movdqa 0x10002000, %xmm9; "                 \
	  "movsd %xmm1, %xmm2")                                                                    \
	V(sse_misaligned, 0, 0x800,                                                                \
	  "add %rax, %rcx; movaps 0x10001008, %xmm0; inc %eax")                                    \
	V(sse_misaligned_operand, 0, 0x800,                                                        \
	  "addps 0x10001ff8, %xmm0; inc %eax")                                                     \
	V(sse_fault, 0, 0x800,                                                                     \
	  "paddd %xmm1, %xmm0; paddd 0x1000a000, %xmm0; inc %eax")                                 \
	V(sse_store_fault, 0, 0x800,                                                               \
	  "pxor %xmm1, %xmm1; movdqu %xmm1, 0x10002ff8; inc %eax")                                 \
	V(sse_arith, 0, 0x800,                                                                     \
	  "addps %xmm1, %xmm0; mulsd %xmm2, %xmm3; divps 0x10001100, %xmm4; "                      \
	  "sqrtpd %xmm5, %xmm6; minss %xmm7, %xmm8; cmpltps %xmm1, %xmm2; "                        \
	  "stmxcsr 0x10001ffe; maxpd %xmm3, %xmm9; subss 0x10001ffe, %xmm10; "                     \
	  "haddps %xmm1, %xmm5; addsubpd %xmm2, %xmm6; roundss $4, %xmm0, %xmm1; "                 \
	  "dpps $0xff, %xmm2, %xmm3")                                                              \
	V(sse_unmasked, JIT_F_FPU_UNMASKED, 0x800,                                                 \
	  "add %rax, %rcx; divps %xmm1, %xmm0; mulsd %xmm2, %xmm3; addss %xmm4, %xmm5; "           \
	  "sqrtps %xmm6, %xmm7; cvttps2dq %xmm0, %xmm1; ucomisd %xmm2, %xmm3; inc %eax")           \
	V(sse_divide_by_zero, 0, 0x800,                                                            \
	  "movl $0x1d80, 0x10001000; ldmxcsr 0x10001000; xorps %xmm1, %xmm1; "                     \
	  "mov $0x3f800000, %eax; movd %eax, %xmm0; cmp %rcx, %rdx; divss %xmm1, %xmm0; "          \
	  "inc %ecx")                                                                              \
	V(sse_rounding, 0, 0x800,                                                                  \
	  "mov $4, %edx; movl $0x1f80, 0x10001000; 1: ldmxcsr 0x10001000; "                        \
	  "movaps %xmm0, %xmm4; addps %xmm1, %xmm4; cvtsd2si %xmm2, %rax; "                        \
	  "cvtps2dq %xmm0, %xmm5; cvtsi2ss %rcx, %xmm6; addl $0x2000, 0x10001000; "                \
	  "dec %edx; jnz 1b; stmxcsr 0x10001004")                                                  \
	V(sse_flush_to_zero, 0, 0x800,                                                             \
	  "movl $0x9fc0, 0x10001000; ldmxcsr 0x10001000; mov $0x00012345, %eax; "                  \
	  "movd %eax, %xmm0; mulss %xmm0, %xmm0; movd %eax, %xmm1; addss %xmm1, %xmm1; "           \
	  "stmxcsr 0x10001004; movl $0x1f80, 0x10001000; ldmxcsr 0x10001000; "                     \
	  "movd %eax, %xmm2; addss %xmm2, %xmm2; stmxcsr 0x10001008")                              \
	V(sse_denormal, JIT_F_FPU_UNMASKED, 0x800,                                                 \
	  "mov $1, %eax; movq %rax, %xmm0; addsd %xmm0, %xmm1; mulpd %xmm0, %xmm2; "               \
	  "cvtsd2ss %xmm0, %xmm3; stmxcsr 0x10001000; comisd %xmm0, %xmm1; pushf")                 \
	V(sse_mxcsr_reserved, 0, 0x800,                                                            \
	  "movl $0x10000, 0x10001000; ldmxcsr 0x10001000; inc %eax")                               \
	V(sse_compare, 0, 0x800,                                                                   \
	  "cmp %rax, %rcx; ucomiss %xmm0, %xmm1; pushf; comisd 0x10001ffc, %xmm2; jp 1f; "         \
	  "ja 1f; inc %eax; 1: ptest %xmm3, %xmm4; pushf; setc %cl; ucomisd %xmm5, %xmm5; "        \
	  "adc %edx, %edx")                                                                        \
	V(sse_convert, 0, 0x800,                                                                   \
	  "cvtsi2sd %eax, %xmm0; cvttsd2si %xmm0, %ecx; cvttss2si 0x10001ffe, %r8; "               \
	  "cvtps2pd %xmm1, %xmm2; cvtpd2dq %xmm2, %xmm3; cvtsi2ssq 0x10001ffc, %xmm4; "            \
	  "cvtdq2pd 0x10001ffc, %xmm5; cvtsd2ss %xmm0, %xmm6")                                     \
	V(sse_integer, 0, 0x800,                                                                   \
	  "paddusb %xmm1, %xmm0; pshufd $0x1b, %xmm2, %xmm3; pshufb %xmm4, %xmm5; "                \
	  "pinsrw $3, %eax, %xmm6; pextrb $5, %xmm7, 0x10001fff; psllq %xmm0, %xmm1; "             \
	  "psrldq $3, %xmm2; punpcklbw 0x10001100, %xmm8; pmaddwd %xmm9, %xmm10; "                 \
	  "pcmpistri $0x0c, %xmm1, %xmm2; pushf; palignr $5, %xmm3, %xmm4; "                       \
	  "pblendvb %xmm0, %xmm5, %xmm6; pmovzxbw 0x10001ffc, %xmm7; "                             \
	  "movntdq %xmm1, 0x10001200")                                                             \
	V(sse_mask_move, 0, 0x800,                                                                 \
	  "mov $0x10001ff8, %edi; maskmovdqu %xmm1, %xmm0; mov $0x10002ff8, %edi; "                \
	  "pcmpeqb %xmm1, %xmm1; maskmovdqu %xmm1, %xmm0; inc %eax")                               \
	V(x87_moves, 0, 0x800,                                                                     \
	  "fninit; fldl 0x10001ffc; flds 0x10001ffe; fildll 0x10001100; fxch %st(2); "             \
	  "fstpt 0x10001ff9; fadd %st(1); fistl 0x10001200; fnstsw %ax; fnstcw 0x10001fff; "       \
	  "fcomi %st(1); pushf; fstpl 0x10003000")                                                 \
	V(x87_store_fault, 0, 0x800,                                                               \
	  "fninit; fld1; fldpi; fstpl 0x1000a000; fld1")                                           \
	V(x87_pending, JIT_F_FPU_UNMASKED, 0x800,                                                  \
	  "fninit; movw $0x37b, 0x10001000; fldcw 0x10001000; fld1; fldz; add %rax, %rcx; "        \
	  "fdivr %st(1); nop; fnstsw %ax; fwait; inc %ecx")                                        \
	V(x87_stack, 0, 0x800,                                                                     \
	  "fninit; .rept 9; fld1; .endr; fnstsw %ax; .rept 9; fstp %st(0); .endr; "                \
	  "fnstenv 0x10001ff0; fldenv 0x10001ff0; fincstp; ffree %st(3); fxam; "                   \
	  "fnstsw 0x10001100; fxsave 0x10001400; fxrstor 0x10001400")                              \
	V(mmx_moves, 0, 0x800,                                                                     \
	  "fninit; fld1; movq 0x10001ffc, %mm0; paddb %mm0, %mm1; movd %eax, %mm2; "               \
	  "movq %mm2, 0x10001100; movntq %mm1, 0x10001200; pshufw $0x1b, %mm1, %mm3; "             \
	  "cvtps2pi %xmm0, %mm4; movq2dq %mm1, %xmm5; emms; fld1; movdq2q %xmm1, %mm6; "           \
	  "psubw 0x1000a000, %mm0")                                                                \
	V(mmx_convert, 0, 0x800,                                                                   \
	  "fninit; fld1; cvtpi2ps 0x10001ff0, %xmm7; fnstsw 0x10001200; "                          \
	  "cvtpi2pd 0x10001100, %xmm3; cvtpi2ps 0x10001ffd, %xmm7; "                               \
	  "cvtps2pi 0x10001ffe, %mm2; cvttpd2pi %xmm1, %mm3; fnstsw %ax")                          \
	V(crc32, 0, 0x800,                                                                         \
	  "crc32b %al, %ecx; crc32q %rdx, %r8; crc32w 0x10001fff, %r9d; crc32l %ecx, %eax")

#define JIT_VECTORS_SYSTEM(V)                                                                      \
	V(mmio_icount, JIT_F_IRQ, 0x800,                                                           \
	  "mov $6, %ecx; 1: mov 0x10008008, %rax; inc %edx; add %rax, %r8; "                       \
	  "mov %eax, 0x10001000; mov 0x10008000, %r9; dec %ecx; jnz 1b")                           \
	V(mmio_interrupt, JIT_F_IRQ, 0x800,                                                        \
	  "inc %eax; movl $0x9, 0x10008000; inc %eax; inc %eax; movl $0x12, 0x10008000; "          \
	  "inc %eax; movl $1, 0x10008000; inc %eax; inc %eax")                                     \
	V(mmio_deadline, 0, 0x800,                                                                 \
	  "mov $9, %ecx; 1: inc %eax; movl $2, 0x10008000; inc %eax; add %eax, %edx; "             \
	  "loop 1b")                                                                               \
	V(mmio_rmw, 0, 0x800,                                                                      \
	  "addl $5, 0x10008000; mov 0x10007ffd, %rax; incq 0x10008ffc; "                           \
	  "xchg %ecx, 0x10008010; movups 0x10008020, %xmm0; pushq 0x10008008; "                    \
	  "popq 0x10008030; cmpxchg %edx, 0x10008040; btsl $3, 0x10008050")                        \
	V(table_fault, 0, 0x800,                                                                   \
	  "mov 0x10002000, %rax; mov %rax, 0x10002008; andq $-3, 0x1000b010; "                     \
	  "mov 0x10002000, %rcx; mov %rax, 0x10002010; inc %edx")                                  \
	V(table_unmap, 0, 0x800,                                                                   \
	  "mov %eax, 0x10002000; movb $0, 0x1000b010; inc %edx; mov 0x10002000, %ecx; "            \
	  "inc %edx")                                                                              \
	V(table_remap, 0, 0x800,                                                                   \
	  "mov $8, %r11d; 1: mov %eax, 0x10002000; mov 0x1000b010, %rcx; "                         \
	  "mov 0x1000b048, %rdx; mov %rdx, 0x1000b010; mov %rcx, 0x1000b048; "                     \
	  "add 0x10002000, %eax; add 0x10009000, %eax; dec %r11d; jnz 1b")                         \
	V(table_map, 0, 0x800,                                                                     \
	  "mov 0x1000b048, %rax; mov %rax, 0x1000b050; mov 0x1000a000, %rcx; "                     \
	  "mov %rcx, 0x1000a008; movq $0, 0x1000b050; mov 0x10009008, %rdx; "                      \
	  "mov 0x1000a010, %r8")                                                                   \
	V(table_code, 0, 0x800,                                                                    \
	  "mov 0x1000b048, %rax; inc %ecx; jmp 1f; 1: mov $0x10009100, %edx; "                     \
	  "movl $0xf4c1ff, (%rdx); jmp *%rdx")                                                     \
	V(table_bits, JIT_F_TABLES, 0x800,                                                         \
	  "mov 0x10004000, %eax; mov 0x1000b020, %rdx; mov %eax, 0x10004ffc; "                     \
	  "mov 0x1000b020, %r8; mov %ecx, 0x10005ffe; mov 0x1000b028, %r9; "                       \
	  "mov 0x1000d000, %r10b; mov 0x1000b068, %r11; cmpl $0, 0x10005000")                      \
	V(table_bits_fault, JIT_F_TABLES, 0x800,                                                   \
	  "mov %eax, 0x10003ffe; mov 0x1000b020, %rdx; mov %rax, 0x10005ffc")                      \
	V(alias_write, 0, 0x800,                                                                   \
	  "mov %rax, 0x10001ffa; mov 0x10007ff8, %rcx; addl $1, 0x10007ffc; "                      \
	  "mov 0x10001ffc, %edx; mov %al, 0x10001100; mov 0x10007100, %bl")                        \
	V(read_only, 0, 0x800,                                                                     \
	  "mov 0x10003000, %rax; add %rcx, %rax; mov %rax, 0x10003008; "                           \
	  "mov 0x10003008, %rdx")                                                                  \
	V(read_only_nowp, JIT_F_NOWP, 0x800,                                                       \
	  "mov %rax, 0x10003008; incl 0x10003ffe; mov 0x1000b018, %rdx")                           \
	V(supervisor_page, 0, 0x800,                                                               \
	  "mov 0x10005ffe, %eax; inc %ecx; mov %eax, 0x10006000; inc %edx")                        \
	V(noncanonical, 0, 0x800,                                                                  \
	  "movabs $0x7ffffffffffc, %rbx; add %rax, %rcx; mov (%rbx), %rdx")                        \
	V(noncanonical_stack, 0, 0x800,                                                            \
	  "movabs $0x900000000000, %rbp; add %rax, %rcx; mov (%rbp), %rdx")                        \
	V(tlb_conflict, 0, 0x800,                                                                  \
	  "movabs $0xffff800000001000, %rbx; mov $4, %ecx; 1: mov 0x10001000, %rax; "              \
	  "mov %rax, 0x10001008; mov (%rbx), %rdx; mov %rax, 0x10001010; "                         \
	  "mov 0x20(%rbx), %r8; dec %ecx; jnz 1b")                                                 \
	V(alignment_check, JIT_F_AC, 0x800,                                                        \
	  "mov 0x10001001, %al; mov 0x10001004, %eax; add %rax, %rcx; "                            \
	  "mov 0x10001002, %edx; inc %ecx")                                                        \
	V(sti_shadow, JIT_F_IRQ, 0x800,                                                            \
	  "sti; inc %eax; inc %eax; cli; inc %eax; sti; cli; inc %eax; sti; inc %ecx; nop")        \
	V(ss_shadow, JIT_F_IRQ, 0x800,                                                             \
	  "mov %ss, %eax; mov %eax, %ss; inc %ecx; inc %ecx; mov %ds, %eax; mov %eax, %ds")        \
	V(popf_forms, JIT_F_IRQ, 0x800,                                                            \
	  "pushf; orl $0x240cd5, (%rsp); popf; inc %eax; pushf; andl $~0x6d5, (%rsp); "            \
	  "popf; pushfw; popfw; cld; push %rax; andl $0x8d5, (%rsp); popf; adc %ecx, %edx")        \
	V(trap_flag, 0, 0x800,                                                                     \
	  "pushf; orl $0x100, (%rsp); popf; inc %eax; inc %eax; mov %eax, 0x10001000; "            \
	  "rep lodsb; pushf; andl $~0x100, (%rsp); popf; inc %ecx; inc %ecx")                      \
	V(software_interrupts, 0, 0x800,                                                           \
	  "inc %eax; int3; inc %eax; int $3; inc %ecx; int $0x81; inc %edx")                       \
	V(int_privileged, 0, 0x800,                                                                \
	  "add %rcx, %rax; int $0x40; inc %eax")                                                   \
	V(undefined, 0, 0x800,                                                                     \
	  "add %rcx, %rax; ud2; inc %eax")                                                         \
	V(undefined_lock, 0, 0x800,                                                                \
	  "add %rcx, %rax; .byte 0xf0, 0x48, 0x89, 0x03; inc %eax")                                \
	V(too_long, 0, 0x800,                                                                      \
	  "add %rcx, %rax; .rept 15; .byte 0x66; .endr; .byte 0x90, 0x90, 0x90")                   \
	V(time, 0, 0x800,                                                                          \
	  "rdtsc; mov %eax, %r8d; inc %ecx; add %ecx, %edx; rdtsc; sub %r8d, %eax; "               \
	  "mov %rax, %r9")                                                                         \
	V(cpuid, 0, 0x800,                                                                         \
	  "add %rcx, %rax; mov $1, %eax; cpuid; adc %edx, %r8d; mov $0x80000001, %eax; "           \
	  "cpuid")                                                                                 \
	V(iret_self, 0, 0x800,                                                                     \
	  "mov %rsp, %rax; mov %ss, %ecx; mov %cs, %edx; push %rcx; push %rax; pushf; "            \
	  "push %rdx; lea 1f(%rip), %rax; push %rax; add %r8, %r9; iretq; 1: adc %r8, %r9")        \
	V(syscall_self, 0, 0x800,                                                                  \
	  "add %rcx, %rax; syscall; inc %eax")                                                     \
	V(privileged, 0, 0x800,                                                                    \
	  "add %r8, %r9; mov %cr0, %rax; mov %cr2, %rcx; mov %cr4, %rdx; "                         \
	  "invlpg 0x10001000; mov %cr3, %rax; mov %rax, %cr3; mov 0x10001000, %rcx; "              \
	  "smsw %r8d; clts; wbinvd; mov %dr7, %r9; mov %dr6, %r10; swapgs; "                       \
	  "mov %gs:0x10001000, %r11")                                                              \
	V(msr_bases, 0, 0x800,                                                                     \
	  "mov $0xc0000100, %ecx; rdmsr; mov $0x10001000, %eax; xor %edx, %edx; wrmsr; "           \
	  "mov %fs:8, %r8; mov $0xc0000101, %ecx; mov $0x10009ff9, %eax; wrmsr; "                  \
	  "mov %r8, %gs:0; inc %eax; mov %gs:4, %r9d")                                             \
	V(write_protect_toggle, 0, 0x800,                                                          \
	  "mov %cr0, %rax; mov %rax, %rcx; and $~0x10000, %eax; mov %rax, %cr0; "                  \
	  "mov %edx, 0x10003000; mov %rcx, %cr0; mov %edx, 0x10003004")                            \
	V(port_io, 0, 0x800,                                                                       \
	  "in $0x70, %al; inc %ecx; out %eax, $0x80; mov $0x1234, %edx; in %dx, %eax; "            \
	  "mov $0x10001ffe, %edi; mov $3, %ecx; cld; rep insl; inc %eax")                          \
	V(halt_wakes, JIT_F_IRQ, 0x800,                                                            \
	  "sti; hlt; inc %eax; hlt; inc %eax")

/* Found by jit_random, as it prints them: F(seed, case, features, runs, offset, bytes). */
#define JIT_VECTORS_FOUND(F)                                                                       \
	F(0x1ull, 3077, 0x8000, 200, 0x19bd9, 0xb8, 0xe0, 0x9b, 0xf1, 0x0f, 0xff, 0xd0, 0xc3)      \
	F(0x1ull, 4652, 0, 200, 0x30b8c, 0x67, 0x66, 0x45, 0xd1, 0x7d, 0x30, 0x41, 0xff, 0xcf)     \
	F(0x1ull, 11150, 0, 200, 0x12fa8,                                                          \
	  0x66, 0xf2, 0x0f, 0xe6, 0x73, 0xc0, 0x0f, 0x2a, 0x7d, 0x2a)

#endif
