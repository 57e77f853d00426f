#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Damage in the middle of a trace is found and named with exit status 4; it never becomes a wrong replay.
. "$(dirname "$0")/lib.sh"
need "$kernel" "$initrd"
RANDOM=${RV_SEED:-1}

record t work </dev/null || die "record: status $?"
# flip FILE OFFSET
flip() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf "\\x$(printf %02x $((byte ^ 0x40)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
segment=t/log/000000.rvl
size=$(stat -c %s $segment)
found=0
for ((i = 0; i < 40; i++)); do
	at=$(((RANDOM * 32768 + RANDOM) % size))
	flip $segment $at
	"$RV" info t >out 2>err
	status=$?
	case $status in
	4)
		found=$((found + 1))
		grep -q "$segment" err || die "offset $at: the message does not name the file: $(cat err)"
		[ "$(wc -l <err)" = 1 ] || die "offset $at: not one line"
		;;
	0)
		# Only a flip in the last chunk may pass, as a torn tail.
		[ "$(json t complete)" = false ] || die "offset $at of $size: a flipped bit went unseen"
		;;
	*) die "offset $at: status $status: $(cat err)" ;;
	esac
	flip $segment $at
done
say "$found of 40 flipped bits were damage, the rest a torn tail"
[ "$found" -gt 0 ] || die "no flip was found"
"$RV" verify t >/dev/null || die "flipped back, it does not verify: status $?"

for file in manifest kernel initrd; do
	flip t/$file $(($(stat -c %s t/$file) / 2))
	"$RV" verify t >out 2>err
	[ $? = 4 ] || die "$file: status $?: $(cat err)"
	grep -q "t/$file" err || die "$file: $(cat err)"
	flip t/$file $(($(stat -c %s t/$file) / 2))
done
mv t/kernel kernel.away
"$RV" replay t >out 2>err
[ $? = 4 ] || die "without its kernel: $(cat err)"
mv kernel.away t/kernel
"$RV" verify t >/dev/null || die "put back, it does not verify"
