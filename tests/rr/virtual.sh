#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Under the virtual clock the same inputs are the same run, bit for bit, recorded or not, however busy the
# host is; another date or seedless difference in the command line is another run.
. "$(dirname "$0")/lib.sh"
need "$kernel" "$initrd"

record a work --clock=virtual </dev/null || die "record a: status $?: $(cat a.err)"
# The second one with a neighbour that takes processor time in uneven bites.
(while :; do :; done) &
spin=$!
cleanup_more() { kill $spin 2>/dev/null; }
record b work --clock=virtual --sync=none </dev/null || die "record b: status $?: $(cat b.err)"
kill $spin 2>/dev/null
cmp a.out b.out || die "two consoles"
for field in icount vns final_digest output_digest; do
	[ "$(json a $field)" = "$(json b $field)" ] ||
		die "$field: $(json a $field) and $(json b $field)"
done
[ "$("$RV" dump a | grep -c ' time ')" = 0 ] || die "a virtual clock has TIME events"

mapfile -t options < <(machine work)
"$RV" run "${options[@]}" --clock=virtual --stats </dev/null >c.out 2>c.err || die "run: status $?"
cmp a.out c.out || die "run and record print differently"
grep -q "\"icount\": $(json a icount)," c.err || die "run and record count differently: $(cat c.err)"
grep -qa 'Jan  1 00:00:.* 2024' a.out || die "not the virtual date: $(grep -a UTC a.out)"
replays a a.out
say "virtual clock: $(json a icount) steps, digest $(json a final_digest)"
