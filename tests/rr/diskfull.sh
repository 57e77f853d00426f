#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disk fills up under a recording: the guest is stopped with one line that says how far the trace is
# valid, status 1, and the trace replays up to there. Needs root for a small tmpfs.
. "$(dirname "$0")/lib.sh"
need "$kernel" "$initrd"
mkdir small
mount -t tmpfs -o size=64m none small 2>/dev/null || { echo "skipped: cannot mount a tmpfs"; exit 77; }
cleanup_more() { umount -l "$work/small"; }

# Room for the guest's files and a little log.
files=$(($(stat -c %s "$kernel") + $(stat -c %s "$initrd")))
mount -o remount,size=$(((files / 4096 + 2 + 2 + 14) * 4096)) small
mapfile -t options < <(machine loop)
timeout 300 "$RV" record -o small/t "${options[@]}" </dev/null >out 2>err
status=$?
[ $status = 1 ] || die "status $status (want 1): $(cat err); $(df small)"
# Checkpoints may have met the full disk first: they are given up with a line of their own, the log goes on.
[ "$(grep -vc 'no more checkpoints' err)" = 1 ] || die "not one line: $(cat err)"
grep -q 'no space left on device' err || die "message: $(cat err)"
if [ -e small/t ]; then
	icount=$(sed -n 's/.*valid up to icount \([0-9]*\).*/\1/p' err)
	[ -n "$icount" ] || die "message: $(cat err)"
	[ "$(json small/t complete)" = false ] || die "complete"
	[ "$(json small/t icount)" = "$icount" ] || die "info says $(json small/t icount), the message $icount"
	"$RV" verify small/t >verified 2>&1 || die "verify: status $?: $(cat verified)"
	say "disk full at $icount steps: $(head -n 1 verified)"
else
	die "the file system was too small for the trace to begin"
fi

# No room from the start: no trace, nothing half made.
mount -o remount,size=$((files / 2)) small 2>/dev/null
rm -rf small/*
mount -o remount,size=1m small
"$RV" record -o small/u "${options[@]}" </dev/null >out 2>err
[ $? = 1 ] && grep -q 'no space left on device' err || die "no room: $(cat err)"
[ -z "$(ls -A small)" ] || die "left behind: $(ls -A small)"
say "no room for the trace: refused, nothing left behind"
