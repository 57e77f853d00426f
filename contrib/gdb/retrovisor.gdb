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
    # Symbols loaded before may have been moved already: start from the file.
    symbol-file $arg0
    if $lstar == 0
      printf "MSR LSTAR is not set up here yet: seek to a later point, then rv-symbols VMLINUX\n"
    else
      set $rv_slide = (unsigned long)$lstar - (unsigned long)&entry_SYSCALL_64
      if $rv_slide == 0
        printf "the kernel runs where it was linked\n"
      else
        printf "the kernel runs %#lx above where it was linked\n", $rv_slide
        symbol-file -o $rv_slide $arg0
      end
    end
  end
end
document rv-symbols
rv-symbols VMLINUX: load the kernel's symbols and move them to where KASLR put the kernel (MSR LSTAR
against the symbol entry_SYSCALL_64).
end

define rv-linux
  # The offsets come from the debug information, the address from the symbols as they are now.
  eval "monitor linux init_task=%#lx tasks=%lu pid=%lu comm=%lu mm=%lu pgd=%lu", \
    (unsigned long)&init_task, (unsigned long)&((struct task_struct *)0)->tasks, \
    (unsigned long)&((struct task_struct *)0)->pid, (unsigned long)&((struct task_struct *)0)->comm, \
    (unsigned long)&((struct task_struct *)0)->mm, (unsigned long)&((struct mm_struct *)0)->pgd
end
document rv-linux
Tell the server where this kernel keeps its tasks, for `monitor ps` and `monitor process PID`.
vmlinux needs DWARF, and its symbols must be where the kernel runs (rv-symbols VMLINUX).
end

define rv-ps
  rv-linux
  monitor ps
end
document rv-ps
List the guest's processes: PID, CR3 (0: a kernel thread) and name. vmlinux needs DWARF.
end

define rv-process
  if $argc != 1
    printf "usage: rv-process PID|off\n"
  else
    if $_streq("$arg0", "off")
      monitor process off
    else
      rv-linux
      # A number in decimal is a process.
      eval "monitor process %lu", (unsigned long)($arg0)
    end
  end
end
document rv-process
rv-process PID: breakpoints, watchpoints and steps in this process's address space only
(`monitor process off` ends it). vmlinux needs DWARF.
end
