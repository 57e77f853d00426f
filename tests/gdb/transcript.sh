#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The transcript in docs/time-travel.md is what stock gdb says on a Debian guest, KASLR on, in which two
# copies of station.c run and one fails; but for numbers that depend on the compiler.
# usage: transcript.sh [--update]     --update writes the page
. "$(dirname "$0")/../rr/lib.sh"
command -v gdb >/dev/null || { echo "skipped: no gdb"; exit 77; }
need "$kernel" "$initrd"
page=$here/docs/time-travel.md
sources=$here/tests/gdb
gcc -static -no-pie -Og -g -Wall -Wextra -Werror -o station "$sources/station.c" 2>cc.err ||
	{ echo "skipped: gcc cannot link a static program: $(tail -n 1 cc.err)"; exit 77; }
command -v cpio >/dev/null || { echo "skipped: no cpio"; exit 77; }

# A second archive behind the first adds to it.
mkdir root
cp station root/station
cp "$sources/case.sh" root/case
(cat "$initrd"; cd root && printf '%s\n' case station | cpio -o -H newc --quiet | gzip) >initrd || die "cpio"
"$RV" record -o crash.rv --kernel="$kernel" --initrd=initrd --memory=256M --no-reboot --clock=virtual \
	--append="console=ttyS0 panic=-1 quiet rdinit=/case" </dev/null >out 2>err || die "record: $(cat err)"
grep -q 'total 440000' out || die "the other copy did not do its work: $(cat out)"
text=$(grep -ao 'ffffffff[0-9a-f]* . _text' out) || die "no address of the kernel: $(cat out)"
[ "${text%% *}" != ffffffff81000000 ] || die "KASLR did not move the kernel"

{
	echo '$ retrovisor replay crash.rv | grep segfault'
	"$RV" replay crash.rv 2>replay.err | grep -ao 'station\[.*in station' || die "replay: $(cat replay.err)"
	echo '$ retrovisor debug crash.rv --at=end'
	"$RV" debug crash.rv --batch --at=end -x "$sources/transcript.gdb" </dev/null 2>&1 |
		sed -n '/^(gdb)/,$p' | sed 's,/[^ ]*/station\.c,station.c,; /^\[Inferior/d'
} >got
# Whatever the page says: the culprit was found, in the right process.
grep -q 'in remember (value' got || die "the culprit was not found: $(cat got)"
"$RV" debug crash.rv --batch --at=end -x "$sources/other.gdb" </dev/null >other 2>&1
grep -q '^other space 1 in .*take_reading' other ||
	die "without \`monitor process\` the search should end in the other process: $(cat other)"

if [ "${1:-}" = --update ]; then
	awk -v got="$work/got" '/^```$/ { skip = 0 } !skip { print }
		/^```transcript$/ { while ((getline line < got) > 0) print line; skip = 1 }' "$page" >page &&
		cat page >"$page"
	exit
fi
plain() {
	sed -E 's/0x[0-9a-f]+/N/g; s/ (at|ip|sp) [0-9a-f]+/ \1 N/g; s/station\[[0-9]+\]/station[N]/
		s/[0-9]{3,}/N/g; s/[0-9.]+ %/N %/; s/\([N0-9.]* s\)/(N s)/; s/station\.c:[0-9]+/station.c:N/
		s/line [0-9]+/line N/; s/^[0-9N]+\t/N\t/; /^[[:space:]]*$/d' "$1"
}
sed -n '/^```transcript$/,/^```$/p' "$page" | grep -v '^```' >want
[ -s want ] || die "no transcript in docs/time-travel.md"
diff <(plain want) <(plain got) ||
	die "the transcript in docs/time-travel.md is out of date: tests/gdb/transcript.sh --update writes it"
