#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Debian kernel boots, works and powers off under `record`; the trace replays and verifies, twice.
# usage: roundtrip.sh [KERNEL]
. "$(dirname "$0")/lib.sh"
kernel=$RV_IMAGES/${1:-vmlinuz-6.1-cloud}
need "$kernel" "$initrd"

record t work --stats </dev/null || die "record: status $?: $(tail -n 5 t.err; tail -n 5 t.out)"
tail -n 1 t.err
grep -qa 'rv: work [0-9a-f]\{32\}' t.out || die "the guest did not do its work: $(tail -n 20 t.out)"
grep -qa 'rv: done' t.out || die "the guest did not finish: $(tail -n 20 t.out)"
[ "$(json t complete)" = true ] || die "info: not complete"
[ "$(json t end)" = "guest powered off" ] || die "info: end is $(json t end)"
[ "$(json t icount)" -gt 10000000 ] || die "info: icount $(json t icount)"
replays t t.out
replays t t.out
cat "$work/verified"
grep -q "$(json t final_digest)" verified || die "verify and info name different digests"

# The trace stands alone: copied elsewhere, with other rights, without the guest's files.
cp -r t elsewhere && chmod -R a-w elsewhere
"$RV" verify "$work/elsewhere" >/dev/null || die "a copied trace does not verify"
chmod -R u+w elsewhere

# Half way: the same state whoever asks, from one digest's position to another's.
half=$(($(json t icount) / 2))
"$RV" replay t --no-console --until=$half 2>half.1 || die "--until: status $?"
"$RV" replay t --no-console --until=$half 2>half.2 || die "--until: status $?"
grep -q "stopped at icount $half," half.1 || die "--until=$half: $(cat half.1)"
cmp half.1 half.2 || die "--until=$half: two replays, two states"

lines=$("$RV" dump t | wc -l)
[ "$lines" -gt 5 ] || die "dump: $lines lines"
"$RV" dump t | grep -qP '[^\x20-\x7e]' && die "dump: raw control bytes"
"$RV" dump t | awk -F'[: ]' '$1 + 0 < last { exit 1 } { last = $1 + 0 }' || die "dump: not in order"
"$RV" dump t --from=$half | awk -F: -v h=$half '$1 + 0 < h { exit 1 }' || die "dump --from"
say "round trip of ${kernel##*/}: $(json t icount) steps, $(json t log_bytes) log bytes"
