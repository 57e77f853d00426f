#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A debugger on a machine that is being recorded: breakpoints, steps, writes to memory and registers, an
# interrupt in a halt. The recording holds the writes as events and verifies; virtual time stood still
# while the debugger looked.
. "$(dirname "$0")/../rr/lib.sh"
command -v gdb >/dev/null || { echo "skipped: no gdb"; exit 77; }
cleanup_more() { kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; }

# attach SCRIPT: gdb's output is in gdb.out.
attach() {
	timeout 120 gdb -q -batch -ex 'set confirm off' -ex 'set architecture i386:x86-64' \
		-ex "target remote $PWD/gdb" -x "$1" >gdb.out 2>&1 </dev/null || die "gdb: $(tail -n 5 gdb.out)"
}

say "a small guest"
"$RV" record -o t --kernel="${RV_PROG:?}" --memory=64M --serial=file:t.out --gdb=unix:gdb --gdb-wait \
	</dev/null 2>t.err &
pid=$!
for ((i = 0; i < 50; i++)); do [ -S gdb ] && break; sleep 0.1; done
[ "$(stat -c %a gdb)" = 600 ] || die "the socket's mode is $(stat -c %a gdb)"
cat >script <<EOS
symbol-file ${RV_PROG}.elf
source $here/contrib/gdb/retrovisor.gdb
monitor when
hbreak one_round if round_no > 20
continue
rv-ps
monitor when
shell sleep 2
monitor when
set var table[2].value = 1000000
print table[2].value
stepi
stepi
set \$r12 = 0x1234
print \$r12
set \$r12 = 0
watch -l table[4].value
continue
continue
set var ticks = ticks + 1
delete
monitor digest
detach
EOS
attach script
grep -q '^\* *0 .* first$' gdb.out || die "rv-ps: $(cat gdb.out)"
grep -q '= 1000000' gdb.out || die "a write to memory: $(cat gdb.out)"
grep -q '= 4660' gdb.out || die "a write to a register: $(cat gdb.out)"
[ "$(grep -c 'Hardware watchpoint 2' gdb.out)" -ge 2 ] || die "a watchpoint: $(cat gdb.out)"
# The two positions around the pause are one.
[ "$(grep -o 'icount [0-9]* seq [0-9]* vns [0-9]*' gdb.out | sed -n 2p)" = \
	"$(grep -o 'icount [0-9]* seq [0-9]* vns [0-9]*' gdb.out | sed -n 3p)" ] ||
	die "the clock moved in the debugger: $(cat gdb.out)"
wait "$pid"
status=$?
[ "$status" = 129 ] || die "record: status $status: $(cat t.err)"
[ "$(json t debug-write)" -ge 4 ] || die "$(json t debug-write) writes in the log"
# The pause of two seconds is no part of virtual time.
[ "$(json t vns)" -lt 1900000000 ] || die "virtual time jumped: $(json t vns)"
"$RV" verify t >verified 2>&1 || die "verify: $(cat verified)"
digest=$(grep -a 'digest' gdb.out | head -n 1)
icount=$(echo "$digest" | sed 's/.*icount \([0-9]*\) .*/\1/')
[ -n "$icount" ] || die "no digest"

if [ -s "$kernel" ] && [ -s "$initrd" ]; then
	say "a kernel that is halted most of the time"
	mapfile -t options < <(machine idle)
	"$RV" record -o h "${options[@]}" --gdb=unix:gdb </dev/null >h.out 2>h.err &
	pid=$!
	wait_for h.out 'rv: idle' 300 || die "no boot: $(tail -n 3 h.err)"
	sleep 1
	printf '%s\n' 'monitor when' 'set {long}($rsp - 0x400) = 0x1234' 'print {long}($rsp - 0x400)' \
		'set {long}($rsp - 0x400) = 0x77' 'stepi' 'detach' >script
	attach script
	grep -q '= 4660' gdb.out || die "a write in a halt: $(cat gdb.out)"
	attach script
	kill -TERM "$pid"
	wait "$pid" || die "record: status $?: $(cat h.err)"
	[ "$(json h debug-write)" -ge 4 ] || die "$(json h debug-write) writes in the log"
	"$RV" verify h >verified 2>&1 || die "verify: $(cat verified)"
fi
say "recorded with a debugger's writes, and verified"
