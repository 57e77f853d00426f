#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Time travel on a Debian boot: latencies of motions in gdb; what checkpoints cost a recording (median of
# interleaved pairs of vCPU-thread processor time); QEMU's reverse-stepi beside it, where QEMU is
# installed. usage: reverse.sh [ROUNDS [PAIRS]]
. "$(dirname "$0")/../rr/lib.sh"
need "$kernel" "$initrd"
rounds=${1:-100}
pid=
cleanup_more() { [ -z "$pid" ] || kill "$pid" 2>/dev/null; }
pairs=${2:-${RV_BENCH_PAIRS:-11}}
field() { sed -n 's/.*"'"$2"'": \([0-9.]*\).*/\1/p' "$1" | tail -n 1; }
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
motions() { "$RV" debug "$1" --batch -x "$here/tests/bench/reverse.py" </dev/null 2>&1 | grep -aE 'ms|worst|steps a second|Error'; }

record t work --stats </dev/null || die "record: $(tail -n 3 t.err)"
echo "history $(json t icount) steps, $(json t checkpoints) checkpoints recorded"
RV_COUNT=$rounds motions t

: >ratios
for ((i = 0; i < pairs; i++)); do
	rm -rf a b
	record a work --clock=virtual --checkpoint-every=0 --stats </dev/null || die "record: $(tail -n 3 a.err)"
	record b work --clock=virtual --stats </dev/null || die "record: $(tail -n 3 b.err)"
	awk -v a="$(field b.err vcpu_cpu_seconds)" -v b="$(field a.err vcpu_cpu_seconds)" \
		'BEGIN { print a / b }' >>ratios
done
[ "$pairs" = 0 ] || echo "recording with checkpoints / without, median of $pairs pairs: $(median <ratios)"

# QEMU: record and replay of a shorter boot by its own means, one snapshot at the start, as reverse motion
# needs.
if command -v qemu-system-x86_64 >/dev/null && command -v qemu-img >/dev/null; then
	qemu-img create -f qcow2 snap.qcow2 1G >/dev/null
	machine=(-accel tcg -cpu Nehalem -m 256 -nodefaults -no-reboot -display none -monitor none
		-kernel "$kernel" -initrd "$initrd" -append "console=ttyS0 panic=-1 quiet rv.mode=off"
		-drive file=snap.qcow2,if=none,id=rr -net none)
	timeout 300 qemu-system-x86_64 -icount shift=auto,rr=record,rrfile=rr.bin,rrsnapshot=init \
		"${machine[@]}" -serial file:qemu.out </dev/null >/dev/null 2>qemu.err
	if [ -s rr.bin ]; then
		timeout 400 qemu-system-x86_64 -icount shift=auto,rr=replay,rrfile=rr.bin,rrsnapshot=init \
			"${machine[@]}" -serial null -S -gdb unix:qgdb,server=on,wait=off </dev/null >/dev/null 2>>qemu.err &
		pid=$!
		sleep 2
		RV_QEMU=1 RV_COUNT=3 timeout 380 gdb -q -batch -ex 'set confirm off' -ex 'set pagination off' \
			-ex 'set architecture i386:x86-64' -ex "target remote $PWD/qgdb" \
			-ex 'python import threading, os, signal; threading.Timer(8, lambda: os.kill(os.getpid(), signal.SIGINT)).start()' \
			-ex continue -x "$here/tests/bench/reverse.py" </dev/null 2>&1 | grep -a 'qemu:'
		kill $pid 2>/dev/null
		wait $pid 2>/dev/null
		pid=
	fi
fi
exit 0
