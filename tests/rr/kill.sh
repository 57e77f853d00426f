#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 at any moment: either there is no trace, or it replays up to where it was cut off.
# usage: kill.sh ROUNDS [LONGEST-DELAY-MS]     RV_KILL_ROUNDS overrides
. "$(dirname "$0")/lib.sh"
need "$kernel" "$initrd"
rounds=${RV_KILL_ROUNDS:-${1:-20}} longest=${2:-1100}
RANDOM=${RV_SEED:-1}
replayed=0 cut=0

for ((i = 0; i < rounds; i++)); do
	mapfile -t options < <(machine loop)
	options+=(--max-icount="${RV_KILL_ICOUNT:-200000000}")
	delay=$((RANDOM % longest))
	[ $i = 0 ] && delay=$longest # at least one that surely has something
	"$RV" record -o t "${options[@]}" </dev/null >out 2>err &
	pid=$!
	sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
	kill -9 $pid
	wait $pid 2>/dev/null
	rm -rf t.tmp-*
	if [ ! -e t ]; then
		say "killed after ${delay} ms: no trace yet"
		continue
	fi
	if [ "$(json t complete)" = true ]; then
		say "killed after ${delay} ms: it had ended"
		rm -rf t
		continue
	fi
	icount=$(json t icount)
	"$RV" verify t >verified 2>&1 || die "killed after $delay ms: verify: status $?: $(cat verified)"
	"$RV" replay t >replayed 2>replay.err || die "killed after $delay ms: replay: $(cat replay.err)"
	# The console of the replay is the beginning of the recorded one, or a little ahead of what the
	# killed process had passed on.
	n=$(stat -c %s replayed) m=$(stat -c %s out)
	[ "$m" -lt "$n" ] && n=$m
	cmp -n "$n" out replayed || die "killed after $delay ms: the console differs"
	say "killed after ${delay} ms: replays to $icount"
	replayed=$((replayed + 1))

	# A log cut at any byte is a torn tail too.
	segment=$(ls t/log/*.rvl | tail -n 1)
	size=$(stat -c %s "$segment")
	truncate -s $((size - 1 - (RANDOM * 32768 + RANDOM) % (size / 2))) "$segment"
	"$RV" info t >/dev/null || die "cut log: info: status $?"
	"$RV" verify t >verified 2>&1 || die "cut log: verify: status $?: $(cat verified)"
	cut=$((cut + 1))
	rm -rf t
done
say "$rounds rounds: $replayed replayed, $cut replayed after a further cut"
[ "$replayed" -gt 0 ] || die "nothing was recorded in any round"
