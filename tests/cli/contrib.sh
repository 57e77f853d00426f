#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# contrib/: the units are units, and the resource agent says of a pair what is true of it. The pair is real: two halves on
# loopback, a guest without disk and network. usage: contrib.sh SOURCE-ROOT
set -u
top=$1
work=$(mktemp -d)
trap 'for f in "$work"/*/pid; do [ -s "$f" ] && kill -9 "$(cat "$f")" 2>/dev/null; done; rm -rf "$work"' EXIT
die() { echo "FAIL: $*"; tail -n 5 "$work"/*/log 2>/dev/null; exit 1; }
kernel=$RV_IMAGES/vmlinuz-6.1-cloud initrd=$RV_IMAGES/initramfs.gz
[ -e "$kernel" ] && [ -e "$initrd" ] || { echo "skipped: no guest (run ./setup.sh images)"; exit 77; }

if command -v systemd-analyze >/dev/null; then
	mkdir "$work/units"
	for unit in "$top"/contrib/systemd/*.service; do
		sed "s#/usr/bin/retrovisor#$RV#" "$unit" >"$work/units/$(basename "$unit" | sed s/@/@x/)"
	done
	systemd-analyze verify --man=no "$work"/units/*.service 2>&1 | grep -i retrovisor | grep -v 'Failed to.*OnFailure\|not found' &&
		die "systemd-analyze verify"
fi

"$top/contrib/ocf/retrovisor" meta-data >"$work/meta.xml" || die "meta-data"
python3 - "$work/meta.xml" <<'END' || die "meta-data is no XML"
import sys, xml.dom.minidom
agent = xml.dom.minidom.parse(sys.argv[1]).documentElement
names = {a.getAttribute("name") for a in agent.getElementsByTagName("action")}
assert {"start", "stop", "monitor", "promote", "demote", "meta-data", "validate-all"} <= names, names
END

read -r port_a port_b < <(python3 -c '
import socket
socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*[s.getsockname()[1] for s in socks])')
(umask 077; { printf 'test:'; head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; } >"$work/psk")
common="--psk=$work/psk --arbiter=file:$work/term --serial=none"

# agent HALF ACTION: with the parameters of that node; prints the status.
agent() {
	local own other
	if [ "$1" = a ]; then own=$port_a other=$port_b; else own=$port_b other=$port_a; fi
	OCF_RESKEY_binary=$RV OCF_RESKEY_pair=test OCF_RESKEY_rundir=$work/$1 OCF_FUNCTIONS_DIR=/nowhere \
		OCF_RESKEY_primary="$common --backup=127.0.0.1:$other --kernel=$kernel --initrd=$initrd --append=rv.mode=loop" \
		OCF_RESKEY_backup="$common --listen=127.0.0.1:$own --backup=127.0.0.1:$other" \
		"$top/contrib/ocf/retrovisor" "$2" >"$work/out" 2>&1
	echo $?
}
expect() {
	local status
	status=$(agent "$1" "$2")
	[ "$status" = "$3" ] || die "$1 $2: status $status, not $3: $(cat "$work/out")"
}
# until HALF ROLE: as the program says it
until_role() {
	local i
	for ((i = 0; i < 300; i++)); do
		"$RV" ctl "$work/$1/ctl" stats 2>/dev/null | grep -q "\"ft\": {\"role\": \"$2\"" && return 0
		sleep 0.1
	done
	die "$1 is not $2: $("$RV" ctl "$work/$1/ctl" stats 2>&1)"
}

expect a validate-all 0
expect a monitor 7
expect a start 0
expect b start 0
expect a monitor 0
expect a promote 0
expect a monitor 8
until_role a protected
expect b monitor 0
expect a promote 0
# The live half's node is to be emptied: the machine moves, and this node is a backup.
expect a demote 0
until_role b protected
expect b monitor 8
expect a monitor 0
# The live half dies.
kill -9 "$(cat "$work/b/pid")"
expect b monitor 7
until_role a solo
expect a monitor 8
expect b start 0
until_role a protected
expect a stop 0
expect a monitor 7
until_role b solo
expect b stop 0
expect b monitor 7
OCF_RESKEY_pair='a b' OCF_RESKEY_binary=$RV "$top/contrib/ocf/retrovisor" start 2>/dev/null
[ $? = 6 ] || die "a bad name of a pair"
"$top/contrib/ocf/retrovisor" juggle 2>/dev/null && die "an unknown action"
echo "units and agent: ok"
