#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Stock gdb on a recording: run.sh prog|endless|boot CHECK... Environment as in tests/rr/lib.sh, and RV_PROG, the
# guest program (its DWARF beside it, .elf).
. "$(dirname "$0")/../rr/lib.sh"
command -v gdb >/dev/null || { echo "skipped: no gdb"; exit 77; }
gdb -batch -ex 'python print(1)' 2>/dev/null | grep -q 1 || { echo "skipped: gdb without Python"; exit 77; }
which=$1
shift
prog=${RV_PROG:?}
if [ "$which" = prog ]; then
	"$RV" record -o t --kernel="$prog" --memory=64M --serial=stdio --checkpoint-every=0.01 \
		</dev/null >t.out 2>t.err
	grep -q 'is damaged' t.out || die "the guest did not do its work: $(cat t.out t.err)"
	export RV_PROG=$prog.elf
elif [ "$which" = endless ]; then
	# Long enough for a motion that is interrupted.
	"$RV" record -o t --kernel="$prog-endless" --memory=64M --max-icount=800000000 --checkpoint-every=0.5 \
		</dev/null >t.out 2>t.err || die "record: $(tail -n 3 t.err)"
	export RV_PROG=$prog-endless.elf
else
	need "$kernel" "$initrd"
	record t off </dev/null || die "record: $(tail -n 3 t.err)"
	export RV_PROG=
	# A file with one function, where a kernel without KASLR would have it.
	echo '.globl entry_SYSCALL_64; .type entry_SYSCALL_64, @function; entry_SYSCALL_64: swapgs' |
		as -o entry.o - && ld -Ttext=0xffffffff82000080 -e entry_SYSCALL_64 -o vmlinux entry.o || die "ld"
	export RV_VMLINUX=$work/vmlinux
fi
RV_CHECK="$*" timeout 3000 "$RV" debug t --batch -x "$here/tests/gdb/checks.py" </dev/null >log 2>&1
status=$?
grep -aE '^(seed|ok|FAIL|[A-Za-z]*Error|retrovisor)' log
[ "$status" = 0 ] || die "status $status: $(tail -n 5 log)"
for check in "$@"; do
	grep -qx "ok $check" log || die "$check did not pass"
done
