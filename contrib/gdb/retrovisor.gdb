# SPDX-License-Identifier: Apache-2.0
# Commands for stock GDB on a recording of Retrovisor. `retrovisor debug` loads it; by hand:
#   (gdb) target remote SOCKET
#   (gdb) source retrovisor.gdb
# No Python needed. Commands that look at the kernel's tasks need a vmlinux with DWARF.

set confirm off
set pagination off

define rv-look
  maintenance flush register-cache
  maintenance flush dcache
  frame
end
document rv-look
Make GDB look at the machine again after a monitor command moved it.
end

define when
  monitor when
end
document when
The position in history: icount, events applied, virtual time.
end

define seek
  if $argc == 0
    printf "usage: seek ICOUNT|+N|-N|vns:NS|begin|end\n"
  else
    monitor seek $arg0
    rv-look
  end
end
document seek
seek ICOUNT|+N|-N|vns:NS|begin|end: go to another position in history.
end

define ckpt
  monitor checkpoint
end
document ckpt
Make a checkpoint here, so that coming back is fast.
end

define next-event
  monitor next-event
  rv-look
end
document next-event
Forward to the next input of the recording (console bytes, clock, ...).
end

define prev-event
  monitor prev-event
  rv-look
end
document prev-event
Back to the input before.
end

define who-wrote
  if $argc != 1
    printf "usage: who-wrote LVALUE (no blanks in it), e.g. who-wrote counter or who-wrote *(char*)0x1234\n"
  else
    watch -l $arg0
    reverse-continue
    printf "written by:\n"
    x/i $pc
    info symbol $pc
    monitor when
    delete $bpnum
  end
end
document who-wrote
who-wrote LVALUE: go back to the instruction that wrote it last, standing before that instruction.
Repeat it to find the write before that one.
end

define rv-symbols
  if $argc != 1
    printf "usage: rv-symbols VMLINUX\n"
  else
    symbol-file $arg0
    rv-kaslr $arg0
  end
end
document rv-symbols
rv-symbols VMLINUX: load the kernel's symbols and move them to where the kernel runs.
end

define rv-kaslr
  if $argc != 1
    printf "usage: rv-kaslr VMLINUX\n"
  else
    if $lstar == 0
      printf "MSR LSTAR is not set up here yet: seek to a later point, then rv-symbols VMLINUX\n"
    else
      # The symbols as they are may have been moved already: start from the file.
      symbol-file $arg0
      set $rv_slide = (unsigned long)$lstar - (unsigned long)&entry_SYSCALL_64
      if $rv_slide == 0
        printf "the kernel runs where it was linked\n"
      else
        printf "the kernel runs %#lx above where it was linked\n", $rv_slide
        eval "symbol-file -o %#lx $arg0", $rv_slide
      end
    end
  end
end
document rv-kaslr
rv-kaslr VMLINUX: find how far the kernel was moved (MSR LSTAR against the symbol entry_SYSCALL_64)
and move the symbols as far.
end

define rv-ps
  set $rv_t = &init_task
  set $rv_off = (unsigned long)&((struct task_struct *)0)->tasks
  set $rv_n = 0
  printf "  PID  CR3              NAME\n"
  while $rv_n < 32768
    set $rv_cr3 = 0
    if $rv_t->mm != 0
      set $rv_cr3 = (unsigned long)$rv_t->mm->pgd - (unsigned long)page_offset_base
    end
    printf "%5d  %#14lx  %s\n", $rv_t->pid, $rv_cr3, $rv_t->comm
    set $rv_t = (struct task_struct *)((unsigned long)$rv_t->tasks.next - $rv_off)
    set $rv_n = $rv_n + 1
    if $rv_t == &init_task
      set $rv_n = 32768
    end
  end
end
document rv-ps
List the guest's processes: PID, CR3 (0: a kernel thread) and name. vmlinux needs DWARF.
end

define rv-process
  if $argc != 1
    printf "usage: rv-process PID|off\n"
  else
    set $rv_t = &init_task
    set $rv_off = (unsigned long)&((struct task_struct *)0)->tasks
    set $rv_n = 0
    while $rv_n < 32768
      set $rv_t = (struct task_struct *)((unsigned long)$rv_t->tasks.next - $rv_off)
      set $rv_n = $rv_n + 1
      if $rv_t == &init_task
        printf "no process %d here\n", $arg0
        set $rv_n = 65536
      end
      if $rv_n < 32768 && $rv_t->pid == $arg0
        set $rv_n = 65536
        if $rv_t->mm == 0
          printf "%s is a kernel thread: it has no address space of its own\n", $rv_t->comm
        else
          printf "%s: ", $rv_t->comm
          eval "monitor process %#lx", (unsigned long)$rv_t->mm->pgd - (unsigned long)page_offset_base
        end
      end
    end
  end
end
document rv-process
rv-process PID: breakpoints, watchpoints and steps in this process's address space only
(`monitor process off` ends it). vmlinux needs DWARF.
end
