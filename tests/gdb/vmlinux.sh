#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The kernel's own symbols and task list, KASLR on: a Debian kernel and its debug package, which is fetched
# once (300 MB, 600 MB unpacked).
. "$(dirname "$0")/../rr/lib.sh"
command -v gdb >/dev/null || { echo "skipped: no gdb"; exit 77; }
need "$kernel" "$initrd"
# The boot protocol: the version's text is 0x200 behind what the word at 0x20e says.
at=$(($(od -An -j $((0x20e)) -N 2 -tu2 "$kernel") + 0x200))
version=$(tail -c +$((at + 1)) "$kernel" | head -c 200 | cut -d ' ' -f 1 | tr -d '\0' | head -n 1)
vmlinux=${RV_VMLINUX:-$RV_IMAGES/vmlinux-$version}
if [ ! -s "$vmlinux" ]; then
	say "fetching linux-image-$version-dbg"
	mkdir deb && (cd deb && apt-get download "linux-image-$version-dbg" >apt.log 2>&1) ||
		{ echo "skipped: cannot download linux-image-$version-dbg"; exit 77; }
	dpkg-deb --fsys-tarfile deb/*.deb |
		tar -xO "./usr/lib/debug/boot/vmlinux-$version" >"$vmlinux.$$" && mv "$vmlinux.$$" "$vmlinux" ||
		{ rm -f "$vmlinux.$$"; die "no vmlinux in linux-image-$version-dbg"; }
fi

record t off </dev/null || die "record: $(tail -n 3 t.err)"
cat >script <<'EOS'
monitor ps
hbreak do_exit
reverse-continue
backtrace 3
rv-ps
rv-process 1
printf "init is %#lx\n", init_task.tasks.next
delete
hbreak do_syscall_64
reverse-continue
printf "pid %d\n", ((struct task_struct *)(*(unsigned long *)((unsigned long)&current_task - $rv_slide + (unsigned long)$gs_base)))->pid
reverse-continue
monitor process 2
monitor process 30000
monitor process off
seek 1000
rv-ps
EOS
# A name with a blank: gdb takes it in quotes.
mkdir 'a b' && ln -s "$(readlink -f "$vmlinux")" 'a b/vmlinux' || die "ln"
timeout 3000 "$RV" debug t --batch --at=end --symbols="$work/a b/vmlinux" -x script </dev/null >log 2>&1 ||
	die "status $?: $(tail -n 5 log)"
want() { grep -qE -- "$1" log || die "no \"$1\": $(cat log)"; }
want '^the kernel runs 0x[1-9a-f][0-9a-f]* above where it was linked'
want '^missing: where this kernel keeps its tasks'
want 'do_exit \(code=code@entry=0\) at kernel/exit.c'
want '^ +0 +0  swapper/0$'
want '^. +1 +0x[0-9a-f]+000  init$'
want '^ +2 +0  kthreadd$'
want '^process 1, init: only the address space with CR3 0x[0-9a-f]+000;'
want '^pid 1$'
want '^kthreadd is a kernel thread'
want '^there is no process 30000 here'
want '^the kernel.s task list cannot be read here'
