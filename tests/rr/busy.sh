#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rounds of record and replay on a host kept busy by stress-ng: timing must not matter.
# usage: busy.sh ROUNDS [MAX-ICOUNT]
. "$(dirname "$0")/lib.sh"
need "$kernel" "$initrd"
command -v stress-ng >/dev/null || { echo "skipped: no stress-ng"; exit 77; }
# Load on every core, but so that the rounds end in reasonable time.
nice -n 5 stress-ng --quiet --cpu 2 --vm 1 --vm-bytes 64M &
stress=$!
cleanup_more() { kill $stress 2>/dev/null; wait $stress 2>/dev/null; }

limit=(${2:+--max-icount=$2})
for ((i = 0; i < ${1:-10}; i++)); do
	record t work "${limit[@]}" </dev/null || die "round $i: record: status $?: $(cat t.err)"
	replays t t.out
	rm -rf t t.out t.err
	record v work --clock=virtual "${limit[@]}" </dev/null || die "round $i: record: status $?: $(cat v.err)"
	digest=${digest:-$(json v final_digest)}
	[ "$(json v final_digest)" = "$digest" ] || die "round $i: another digest under load"
	rm -rf v v.out v.err
	say "round $i"
done
