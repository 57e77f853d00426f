#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guest's kernel panics: the recording says where, has a checkpoint near it, and ends with --on-panic=stop.
# usage: panic.sh
. "$(dirname "$0")/lib.sh"
need_server

server_start t idle 1 --on-panic=stop
server_booted t
printf 'root\n' >&7
server_says t 'root@rv-guest:' 120
printf 'modprobe pvpanic-mmio 2>/dev/null; modprobe pvpanic 2>/dev/null; sync; echo c >/proc/sysrq-trigger\n' >&7
for ((i = 0; i < 300; i++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
kill -0 "$pid" 2>/dev/null && die "it did not end: $(tail -c 600 t.out)"
wait "$pid"
status=$?
pid=
[ $status = 0 ] || die "status $status: $(cat t.err)"
grep -q 'panicked at icount [0-9]*; the run ends here' t.err || die "no message: $(cat t.err)"
at=$(grep -o 'icount [0-9]*' t.err | cut -d' ' -f2)
"$RV" dump t | grep -q "^$at:.* mark \"guest panic\"" || die "no mark at $at: $("$RV" dump t | grep mark)"
server_verify t "panic at $at"
