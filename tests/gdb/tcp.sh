#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A recording served on TCP: loopback unless a host is named, one debugger at a time, clients that are none,
# and debuggers that come back.
. "$(dirname "$0")/../rr/lib.sh"
command -v gdb >/dev/null || { echo "skipped: no gdb"; exit 77; }
pid=
cleanup_more() { [ -z "$pid" ] || { kill "$pid"; wait "$pid"; } 2>/dev/null; }
"$RV" record -o t --kernel="${RV_PROG:?}" --memory=64M </dev/null >t.out 2>t.err
grep -q 'is damaged' t.out || die "the guest did not do its work: $(cat t.out t.err)"

# listening PORT: local addresses in hexadecimal, as the kernel shows them, in state LISTEN.
listening() {
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
		awk -v port="$(printf '%04X' "$1")" '$4 == "0A" && $2 ~ ":" port "$" { print $2 }'
}
# serve PREFIX: starts the server on PREFIX and a free port, $port.
serve() {
	local try i
	for ((try = 0; try < 20; try++)); do
		port=$((20000 + RANDOM % 30000))
		[ -z "$(listening "$port")" ] || continue
		"$RV" replay t --gdb="$1$port" </dev/null >server.out 2>&1 &
		pid=$!
		for ((i = 0; i < 100; i++)); do
			[ -n "$(listening "$port")" ] && return 0
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		wait "$pid"
	done
	die "no server on $1PORT: $(cat server.out)"
}
stop() {
	kill "$pid"
	wait "$pid" || die "the server's status $?: $(cat server.out)"
	pid=
}
# talk BYTES [SECONDS]: what the server says to these until it closes the connection. False: it does not.
talk() {
	exec 5<>"/dev/tcp/127.0.0.1/$port" || die "cannot connect"
	printf '%b' "$1" | cat >&5 2>/dev/null # in one piece
	timeout "${2:-2}" cat <&5 2>/dev/null
	local status=$?
	exec 5<&- 5>&-
	[ "$status" != 124 ] # a connection that is closed with bytes unread ends in an error, which is fine
}
attach() {
	timeout 120 gdb -nx -q -batch -ex 'set confirm off' -ex 'set architecture i386:x86-64' \
		-ex "target remote ${1:-localhost}:$port" -ex "symbol-file $RV_PROG.elf" -ex 'monitor when' \
		-ex 'break tidy_up' -ex 'continue' -ex 'monitor when' -ex 'reverse-stepi' -ex 'monitor when' \
		-ex 'monitor seek begin' -ex detach >gdb.out 2>&1 </dev/null || die "gdb: $(tail -n 5 gdb.out)"
	grep -q 'Breakpoint 1, tidy_up' gdb.out || die "gdb: $(cat gdb.out)"
	grep -o '^icount [0-9]*' gdb.out | head -n 3 | tr '\n' ' '
}

say "a port alone is loopback"
serve ""
[ "$(listening "$port")" = "0100007F:$(printf '%04X' "$port")" ] || die "listening on $(listening "$port")"
first=$(attach) || die "$first"

say "clients that are no debuggers"
answer=$(talk 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n') || die "a browser is not shown the door"
[ -z "$answer" ] || die "a browser is answered: $answer"
answer=$(talk 'POST / HTTP/1.1\r\n\r\n$g#67') || die "a browser with a packet is not shown the door"
[ -z "$answer" ] || die "a browser is answered: $answer"
[ "$(talk '$g#00')" = - ] || die "a wrong checksum is not refused"
[ "$(talk '+$Hgzz#a3')" = '+$E01#a6' ] || die "a malformed request has no error for an answer"
for ((i = 0; i < 20; i++)); do
	{ exec 5<>"/dev/tcp/127.0.0.1/$port" && head -c 20000 /dev/urandom >&5; exec 5<&- 5>&-; } 2>/dev/null
	# With a first byte that a debugger might send.
	{ exec 5<>"/dev/tcp/127.0.0.1/$port" && { printf '$'; head -c 20000 /dev/urandom; } >&5; exec 5<&- 5>&-
	} 2>/dev/null
done
kill -0 "$pid" || die "the server has gone: $(cat server.out)"

say "one debugger at a time"
exec 6<>"/dev/tcp/127.0.0.1/$port"
printf '+$?#3f' >&6
IFS= read -r -t 10 -n 4 -u 6 answer
[ "${answer:0:3}" = '+$T' ] || die "the first client is not served: $answer"
answer=$(talk '+$?#3f' 10) || die "a second client is let in"
[ -z "$answer" ] || die "a second client is answered: $answer"
# The first goes without a word, and the next is served.
exec 6<&- 6>&-

say "debuggers that come back"
for ((i = 0; i < 3; i++)); do
	again=$(attach) || die "$again"
	[ "$again" = "$first" ] || die "another run: $again, not $first"
done
stop

say "a host by name"
serve 127.0.0.1:
again=$(attach 127.0.0.1) || die "$again"
[ "$again" = "$first" ] || die "another run: $again, not $first"
stop
