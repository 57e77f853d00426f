#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The transcript in docs/time-travel.md is what stock gdb says, but for numbers that a recording made at
# another time cannot share. usage: transcript.sh [print]
. "$(dirname "$0")/../rr/lib.sh"
command -v gdb >/dev/null || { echo "skipped: no gdb"; exit 77; }
"$RV" record -o t --kernel="${RV_PROG:?}" --memory=64M --clock=virtual </dev/null >t.out 2>t.err
grep -q 'is damaged' t.out || die "the guest did not do its work: $(cat t.out t.err)"
# As `debug --at=end` and a person typing; the begin of the session is left out.
printf 'symbol-file %s\n' "$RV_PROG.elf" >first.gdb
"$RV" debug t --batch --at=end -x first.gdb -x "$here/tests/gdb/transcript.gdb" </dev/null 2>&1 |
	sed -n '/^(gdb)/,$p' | sed 's,/[^ ]*/prog\.c,prog.c,; /^\[Inferior/d' >got
[ "${1:-}" = print ] && { cat got; exit 0; }
plain() { sed -E 's/0x[0-9a-f]+/N/g; s/[0-9]{3,}/N/g; s/[0-9.]+ %/N %/; s/\(N*[0-9.N]* s\)/(N s)/; s/prog\.c:[0-9]+/prog.c:N/; s/^[0-9N]+\t/N\t/; /^[[:space:]]*$/d' "$1"; }
sed -n '/^```transcript$/,/^```$/p' "$here/docs/time-travel.md" | grep -v '^```' >want
[ -s want ] || die "no transcript in docs/time-travel.md"
diff <(plain want) <(plain got) || die "the transcript in docs/time-travel.md is out of date"
