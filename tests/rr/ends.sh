#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every way a recording can end by itself or from outside: exit status 0, complete, replays.
. "$(dirname "$0")/lib.sh"
need "$kernel" "$initrd"

# check NAME STATUS END
check() {
	[ "$2" = 0 ] || die "$1: status $2: $(cat "$1.err")"
	[ "$(json "$1" complete)" = true ] || die "$1: not complete"
	[ "$(json "$1" end)" = "$3" ] || die "$1: end is '$(json "$1" end)', not '$3'"
	replays "$1" "$1.out"
	say "$1: ends as it should, replays"
}

record off off </dev/null
check off $? "guest powered off"
record reset reset </dev/null
check reset $? "guest reset"
# Without --no-reboot a reset boots again, in the same history.
"$RV" record -o again --kernel="$kernel" --initrd="$initrd" --memory=256M \
	--append="console=ttyS0 panic=-1 quiet rv.mode=reset" --max-icount=4500000000 </dev/null >again.out 2>again.err
check again $? "instruction limit reached"
[ "$(grep -c 'rv: up' again.out)" -ge 2 ] || die "again: booted $(grep -c 'rv: up' again.out) times"
record limit off --max-icount=123456789 </dev/null
check limit $? "instruction limit reached"
[ "$(json limit icount)" = 123456789 ] || die "limit: icount $(json limit icount)"
record zero off --max-icount=0 </dev/null
check zero $? "instruction limit reached"

for signal in INT TERM; do
	record_start $signal idle </dev/null
	wait_for $signal.out 'rv: idle' 300 || die "$signal: the guest did not come up"
	sleep 1
	kill -$signal $pid
	wait $pid
	check $signal $? stopped
done

# An interrupted replay is no failure; an interrupted verify has verified nothing.
"$RV" replay off --no-console 2>/dev/null &
pid=$!
sleep 0.7
kill -INT $pid
wait $pid || die "an interrupted replay: status $?"
"$RV" verify off >/dev/null 2>&1 &
pid=$!
sleep 0.7
kill -INT $pid
wait $pid
case $? in
0 | 1) ;;
*) die "an interrupted verify: status $?" ;;
esac

# The log of an idle guest stays small, and so does its processor time.
record_start idle idle --stats --max-icount=4000000000 </dev/null
wait_for idle.out 'rv: idle' 300 || die "idle: the guest did not come up"
before=$(du -sb idle/log | cut -f1)
sleep 5
after=$(du -sb idle/log | cut -f1)
kill -TERM $pid
wait $pid
say "idle: $(((after - before) / 5)) log bytes a second"
[ $(((after - before) / 5)) -lt 65536 ] || die "an idle guest fills the disk"

# Two recordings under one name: the second is refused, the first unharmed.
record off off </dev/null && die "a trace was overwritten"
"$RV" verify off >/dev/null || die "the refused recording harmed the first"
