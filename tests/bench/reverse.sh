#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Time travel on a Debian boot: latencies of motions in gdb; reverse-continue against plain replay; what
# checkpoints cost a recording (median of interleaved pairs of vCPU-thread processor time); QEMU's
# reverse-stepi and reverse-continue beside ours, where QEMU is installed.
# usage: reverse.sh [ROUNDS [PAIRS]]
. "$(dirname "$0")/../rr/lib.sh"
need "$kernel" "$initrd"
rounds=${1:-100}
pairs=${2:-${RV_BENCH_PAIRS:-11}}
pid=
cleanup_more() { [ -z "$pid" ] || kill "$pid" 2>/dev/null; }
export RV_RESULTS=$work/results
field() { sed -n 's/.*"'"$2"'": \([0-9.]*\).*/\1/p' "$1" | tail -n 1; }
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
value() { awk -v name="$1" '$1 == name { print $2 }' results; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", a / b }'; }
# motions PART TRACE
motions() { RV_PART=$1 "$RV" debug "$2" --batch -x "$here/tests/bench/reverse.py" </dev/null 2>&1 | grep -aE ' ms|worst|Error'; }

record t work --stats </dev/null || die "record: $(tail -n 3 t.err)"
echo "history $(json t icount) steps, $(json t checkpoints) checkpoints recorded, $(du -sk t/ckpt | cut -f 1) KiB"
RV_COUNT=$rounds motions motions t
motions many t

: >ratios
for ((i = 0; i < pairs; i++)); do
	# Which one is first changes from pair to pair.
	for which in $([ $((i % 2)) = 0 ] && echo a b || echo b a); do
		every=()
		[ "$which" = b ] || every=(--checkpoint-every=0)
		rm -rf "$which"
		record "$which" work --clock=virtual "${every[@]}" --stats </dev/null ||
			die "record: $(tail -n 3 "$which.err")"
	done
	ratio "$(field b.err vcpu_cpu_seconds)" "$(field a.err vcpu_cpu_seconds)" >>ratios
done
[ "$pairs" = 0 ] || echo "recording with checkpoints / without, median of $pairs pairs: $(median <ratios)"

# QEMU: record and replay of a shorter boot by its own means, one snapshot at the start, as reverse motion
# needs; after eight seconds of replay it goes backwards. Then the same boot here, from as many steps.
if ! command -v qemu-system-x86_64 >/dev/null || ! command -v qemu-img >/dev/null; then
	echo "no QEMU here"
	exit 0
fi
qemu-img create -f qcow2 snap.qcow2 1G >/dev/null
machine=(-accel tcg -cpu Nehalem -m 256 -nodefaults -no-reboot -display none -monitor none
	-kernel "$kernel" -initrd "$initrd" -append "console=ttyS0 panic=-1 quiet rv.mode=off"
	-drive file=snap.qcow2,if=none,id=rr -net none)
timeout 300 qemu-system-x86_64 -icount shift=auto,rr=record,rrfile=rr.bin,rrsnapshot=init \
	"${machine[@]}" -serial file:qemu.out </dev/null >/dev/null 2>qemu.err
[ -s rr.bin ] || die "QEMU recorded nothing: $(tail -n 3 qemu.err)"
timeout 400 qemu-system-x86_64 -icount shift=auto,rr=replay,rrfile=rr.bin,rrsnapshot=init \
	"${machine[@]}" -serial null -S -gdb unix:qgdb,server=on,wait=off </dev/null >/dev/null 2>>qemu.err &
pid=$!
sleep 2
RV_PART=qemu RV_COUNT=3 timeout 380 gdb -q -batch -ex 'set confirm off' -ex 'set pagination off' \
	-ex 'set architecture i386:x86-64' -ex "target remote $PWD/qgdb" \
	-ex 'python import threading, os, signal; threading.Timer(8, lambda: os.kill(os.getpid(), signal.SIGINT)).start()' \
	-ex continue -x "$here/tests/bench/reverse.py" </dev/null >qemu.gdb 2>&1
grep -aE ' ms|Error' qemu.gdb
kill $pid 2>/dev/null
wait $pid 2>/dev/null
pid=
at=$(value at)
[ -n "$at" ] || { echo "QEMU's replay did not come so far: $(tail -n 2 qemu.gdb)"; exit 0; }
record o off </dev/null || die "record: $(tail -n 3 o.err)"
at=${at%.*}
end=$(json o icount)
echo "the same $((at < end ? at : end)) steps into the boot (of $end):"
RV_COUNT=$rounds RV_AT=$at motions beside o
echo "reverse-stepi, QEMU / Retrovisor: $(ratio "$(value qemu_step)" "$(value rv_step)")"
echo "reverse-continue to the begin, QEMU / Retrovisor: $(ratio "$(value qemu_continue)" "$(value rv_continue)")"
