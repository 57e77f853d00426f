#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A flight recorder drops its past: whenever it is killed, what is left replays from its first checkpoint to
# its end. usage: keep.sh ROUNDS [KEEP-SECONDS]     RV_SEED: the moments
. "$(dirname "$0")/lib.sh"
need "$kernel" "$initrd"
rounds=${1:-3} keep=${2:-2}
RANDOM=${RV_SEED:-1}
dropped=0

# A guest that is busy for good, with a console and timers.
for ((i = 0; i < rounds; i++)); do
	mapfile -t options < <(machine loop)
	"$RV" record -o t --keep="${keep}s" --checkpoint-every=0.3 --ctl="$work/ctl" "${options[@]}" </dev/null >out 2>err &
	pid=$!
	sleep "$((keep * 2)).$((RANDOM % 900 + 100))"
	"$RV" ctl "$work/ctl" mark "round $i" >mark || die "round $i: ctl: $(cat mark)"
	if [ $i = 0 ]; then
		kill -TERM $pid
		wait $pid || die "round $i: status $? at SIGTERM: $(cat err)"
		[ "$(json t complete)" = true ] || die "round $i: not complete"
	else
		sleep "0.$((RANDOM % 1000))"
		kill -9 $pid
		wait $pid 2>/dev/null
		rm -f ctl
	fi
	"$RV" verify t >verified 2>&1 || die "round $i: verify: status $?: $(cat verified; ls t/log t/ckpt)"
	"$RV" dump t >dumped || die "round $i: dump"
	[ $i != 0 ] || grep -q "mark \"round $i\"" dumped || die "round $i: the mark is not in the log"
	from=$("$RV" info --json t | grep -o '"from": {"icount": [0-9]*' | grep -o '[0-9]*$')
	[ "$from" = 0 ] || dropped=$((dropped + 1))
	# The debugger's world begins there too.
	if [ $i = 0 ]; then
		printf 'monitor when\nmonitor seek begin\nmonitor when\nreverse-stepi\nstepi\nstepi\nreverse-stepi\nmonitor when\n' >script
		"$RV" debug t -x script --batch >gdb.out 2>&1 || die "debug: $(tail -n 5 gdb.out)"
		grep -q "icount $from" gdb.out || die "debug does not begin at $from: $(cat gdb.out)"
		grep -q "icount $((from + 1))" gdb.out || die "debug: one step on from $from: $(cat gdb.out)"
	fi
	say "round $i: from icount $from, $(tail -n 2 verified | head -n 1)"
	# A flipped byte in what is left is damage, or a shorter trace, never another one.
	segment=$(ls t/log | head -n 1)
	printf '\377' | dd of="t/log/$segment" bs=1 seek=40 conv=notrunc status=none
	"$RV" verify t >verified 2>&1
	status=$?
	[ $status = 4 ] || [ $status = 0 ] || die "round $i: a damaged log: status $status: $(cat verified)"
	rm -rf t
done
[ $dropped -gt 0 ] || die "nothing was ever dropped"
say "$rounds rounds, $dropped with a dropped past"
