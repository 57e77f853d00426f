#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# contrib/vscode/launch.json against a recording, as far as that can be seen without the editor.
. "$(dirname "$0")/../rr/lib.sh"
gdb -batch -ex 'python print(1)' 2>/dev/null | grep -q 1 || { echo "skipped: no gdb with Python"; exit 77; }
cleanup_more() { kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; }

"$RV" record -o crash.rv --kernel="${RV_PROG:?}" --memory=64M </dev/null >t.out 2>t.err
grep -q 'is damaged' t.out || die "the guest did not do its work: $(cat t.out t.err)"
cp "$RV_PROG.elf" vmlinux
# The command that the file's comment gives.
command=$(sed -n 's,^.*// *retrovisor \(replay .*\)$,\1,p' "$here/contrib/vscode/launch.json")
[ -n "$command" ] || die "launch.json does not say how to start the server"
# shellcheck disable=SC2086
"$RV" $command </dev/null >server.out 2>&1 &
pid=$!
for ((i = 0; i < 100; i++)); do [ -S rv.sock ] && break; sleep 0.1; done
[ -S rv.sock ] || die "no server: $(cat server.out)"
RV_LAUNCH=$here/contrib/vscode/launch.json RV_FOLDER=$work RV_SCRIPTS=$here/contrib/gdb \
	timeout 120 gdb -nx -q -batch -x "$here/tests/gdb/vscode.py" >log 2>&1 || die "$(tail -n 5 log)"
cat log
