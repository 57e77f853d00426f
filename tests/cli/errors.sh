#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every bad command line and every bad file: one line on stderr, the right exit status, nothing left
# behind. usage: errors.sh RETROVISOR
set -u
rv=$1
dir=$(mktemp -d)
trap 'chmod -R u+rwX "$dir"; rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0 checked=0

# expect STATUS TEXT ARGS...: TEXT is a fixed string that the message must hold.
expect() {
	local want=$1 text=$2 got lines
	shift 2
	timeout 20 "$rv" "$@" >out 2>err </dev/null
	got=$?
	lines=$(wc -l <err)
	checked=$((checked + 1))
	if [ "$got" != "$want" ] || [ "$lines" != 1 ] || ! grep -qF -- "$text" err ||
		! grep -q '^retrovisor: ' err; then
		failed=$((failed + 1))
		echo "FAIL: retrovisor $*"
		echo "  status $got (want $want), $lines lines on stderr (want 1, with '$text'):"
		sed 's/^/  | /' err
	fi
}

# said STATUS TEXT ARGS...: text on stdout, nothing on stderr.
said() {
	local want=$1 text=$2 got
	shift 2
	timeout 20 "$rv" "$@" >out 2>err </dev/null
	got=$?
	checked=$((checked + 1))
	if [ "$got" != "$want" ] || [ -s err ] || ! grep -qF -- "$text" out; then
		failed=$((failed + 1))
		echo "FAIL: retrovisor $*: status $got (want $want), wanted '$text' on stdout"
		sed 's/^/  | /' out err
	fi
}

echo "this is not a kernel, whatever its name says" >text
head -c 100000 /dev/urandom >noise
: >empty
mkfifo fifo
mkdir directory
ln -s nowhere dangling
ln -s loop loop

# the command
expect 2 "a command is missing"
expect 2 "unknown command 'recrod' (did you mean record?)" recrod
expect 2 "unknown command 'frobnicate'" frobnicate
expect 2 "unknown command" help frobnicate
expect 2 "unknown command" ""
said 0 "usage: retrovisor COMMAND" --help
said 0 "retrovisor " --version
for c in run record replay verify info dump; do
	said 0 "usage: retrovisor $c" help $c
	said 0 "usage: retrovisor $c" $c --help
done

# options
expect 2 "--kernel=F is missing" run
expect 2 "-o TRACE is missing" record --kernel=text
expect 2 "unknown option --kernle (did you mean --kernel?)" run --kernle=text
expect 1 "--disk=nowhere" run --kernel=text --disk=nowhere
expect 1 "512 bytes" run --kernel=text --disk=text
expect 2 "'qcow2' is unknown" run --kernel=text --disk=text,qcow2
expect 2 "exclude each other" run --kernel=text --disk=text,ro,commit=on
expect 2 "needs the name of an image" run --kernel=text --disk=,ro
expect 2 "at most 4 disks" run --kernel=text --disk=text --disk=text --disk=text --disk=text --disk=text
expect 2 "--net=bridge" run --kernel=text --net=bridge
expect 2 "mac= needs" run --kernel=text --net=user,mac=12
expect 2 "multicast" run --kernel=text --net=user,mac=01:00:00:00:00:01
expect 2 "mtu= must be" run --kernel=text --net=user,mtu=9
expect 2 "use user, tap:NAME or none" run --kernel=text --net=mtu=1500
expect 2 "the serial port is there" run --kernel=text --hvc=stdio
expect 2 "--chaos=0" run --kernel=text --chaos=0
expect 2 "--keep: only record" run --kernel=text --keep=10m
for keep in soon 10 0s 1M 5x -1; do
	expect 2 "--keep=$keep" record -o t --kernel=text --keep=$keep
done
expect 2 "--keep: needs checkpoints" record -o t --kernel=text --keep=10m --checkpoint-every=0
expect 2 "--gdb: does not go with --ctl" run --kernel=text --gdb=unix:g --ctl=c
expect 2 "--on-panic=run" run --kernel=text --on-panic=run
expect 1 "--ctl=text: in use, or another file" run --kernel=text --ctl=text
expect 2 "ctl: use ctl SOCKET COMMAND" ctl text
expect 1 "nowhere" ctl nowhere stats
expect 1 "text" ctl text stats
expect 2 "export: what?" export directory
expect 1 "not a trace" export directory --console=f1
expect 1 "not a trace" pack directory f2
expect 2 "FILE is missing" pack directory
expect 1 "nowhere" unpack nowhere u
expect 4 "text" unpack text u
expect 2 "--base=x: use --base=OLD=NEW" replay directory --base=x
expect 2 "unknown option --gbd" replay directory --gbd=1234
expect 1 "not a trace" replay directory --gdb=1234
expect 2 "does not go with --gdb" replay directory --gdb=1234 --until=5
expect 2 "not a number of seconds" record -o t --kernel=junk --checkpoint-every=1s
expect 2 "needs --gdb" run --kernel=junk --gdb-wait
expect 1 "not a trace" debug directory
expect 1 "nowhere" debug nowhere
expect 2 "--symbols=nowhere" debug directory --symbols=nowhere
expect 2 "-x nowhere" debug directory -x nowhere
expect 2 "not a size" debug directory --checkpoint-memory=much
expect 2 "unknown option -x" run -x
expect 2 "--kernel needs a value" run --kernel
expect 2 "--kernel needs a value" run --kernel=
expect 2 "--stats takes no value" run --stats=yes
expect 2 "unexpected argument 'text'" run text
expect 2 "unexpected argument" replay a b
expect 2 "TRACE is missing" replay
expect 2 "TRACE is missing" verify
expect 2 "TRACE is missing" info --json
expect 2 "TRACE is missing" dump
for size in 1.5G lots -1 0x1000M 99999999999999999999 512MM 12Q; do
	expect 2 "--memory=$size: not a size" run --kernel=text --memory=$size
done
for size in 0 4K 65G 16777215T; do
	expect 2 "--memory=$size: must be from 1M to 64G" run --kernel=text --memory=$size
done
expect 2 "not a multiple of 4K" run --kernel=text --memory=1048577
expect 2 "--cpus=17: at most 16" run --kernel=text --cpus=17
expect 2 "--cpus=0: not a number of vCPUs" run --kernel=text --cpus=0
expect 2 "--cpus=one" run --kernel=text --cpus=one
expect 2 "--engine=warp" run --kernel=text --engine=warp
expect 2 "--clock=virtual: needs --engine=exact" run --kernel=text --engine=kvm --clock=virtual
expect 1 "--engine=kvm: cannot record" record -o t --kernel=text --engine=kvm
expect 2 "--clock=sundial" run --kernel=text --clock=sundial
expect 2 "--time-dilation=0" run --kernel=text --time-dilation=0
expect 2 "--time-dilation=1000001" run --kernel=text --time-dilation=1000001
expect 2 "--seed=x" run --kernel=text --seed=x
expect 2 "--max-icount=-5" run --kernel=text --max-icount=-5
expect 2 "--date=yesterday" run --kernel=text --date=yesterday
expect 2 "--date=2023-02-29" run --kernel=text --date=2023-02-29
expect 2 "--sync=maybe" record -o t --kernel=text --sync=maybe
expect 2 "--serial=modem" run --kernel=text --serial=modem
expect 2 "--serial=file:" run --kernel=text --serial=file:
expect 2 "--clock-catch-up" run --kernel=text --clock=virtual --clock-catch-up
expect 2 "--until=soon" replay directory --until=soon
expect 2 "--from=-1" dump directory --from=-1
for c in "run --kernel=text" "record -o t --kernel=text" "replay directory" "verify directory" "debug directory"; do
	# shellcheck disable=SC2086
	expect 2 "--jit=maybe: unknown; use on, off or check" $c --jit=maybe
	# shellcheck disable=SC2086
	expect 2 "--jit needs a value" $c --jit=
	for size in much 1.5M -1; do
		# shellcheck disable=SC2086
		expect 2 "--code-cache=$size: not a size" $c --code-cache=$size
	done
	for size in 0 1048575 1023K 1025M 2G 16777215T; do
		# shellcheck disable=SC2086
		expect 2 "--code-cache=$size: must be from 1M to 1G" $c --code-cache=$size
	done
done
for value in on off check; do
	expect 1 "text" run --kernel=text --jit=$value
	expect 1 "not a trace" replay directory --jit=$value --code-cache=1M
	expect 1 "not a trace" verify directory --jit=$value --code-cache=1G
	expect 1 "not a trace" debug directory --jit=$value --code-cache=1048576
	expect 2 "--jit: needs --engine=exact" run --kernel=text --engine=kvm --jit=$value
done
expect 2 "--code-cache: needs --engine=exact" run --kernel=text --code-cache=8M --engine=kvm
expect 2 "unknown option --jit" info directory --jit=on
expect 2 "unknown option --jit" dump directory --jit=on
expect 2 "unknown option --jti (did you mean --jit?)" replay directory --jti=off
for c in run record replay verify debug; do
	said 0 "--jit=on|off|check" help $c
	said 0 "--code-cache=SIZE" help $c
done
expect 2 "--sandbox=perhaps" run --kernel=text --sandbox=perhaps

# guest files
expect 1 "--kernel=missing: No such file or directory" run --kernel=missing
expect 1 "--kernel=dangling" run --kernel=dangling
expect 1 "--kernel=loop" run --kernel=loop
expect 1 "--kernel=text/x: Not a directory" run --kernel=text/x
expect 1 "--kernel=directory: is a directory" run --kernel=directory
expect 1 "--kernel=empty: the file is empty" run --kernel=empty
expect 1 "--kernel=fifo: not a regular file" run --kernel=fifo
expect 1 "--kernel=/dev/null: not a regular file" run --kernel=/dev/null
expect 1 "text" run --kernel=text
expect 1 "noise" run --kernel=noise
expect 1 "text" record -o trace-of-text --kernel=text
expect 1 "--initrd=missing" run --kernel=text --initrd=missing
expect 1 "--initrd=empty" record -o t --kernel=text --initrd=empty
printf 'x\n\033[2Jx' >"$(printf 'evil\n\033[2J')"
expect 1 'evil\n\x1b[2J' run --kernel="$(printf 'evil\n\033[2J')"

# a recording that cannot be made leaves nothing
for left in trace-of-text* t t.*; do
	[ -e "$left" ] || continue
	failed=$((failed + 1))
	echo "FAIL: $left was left behind"
done

# traces
for c in replay verify info dump; do
	expect 1 "missing: no such trace" $c missing
	expect 1 "text: not a trace" $c text
	expect 1 "directory: not a trace" $c directory
done
mkdir -p damaged/log
expect 4 "damaged" info damaged
head -c 200 /dev/urandom >damaged/manifest
for c in replay verify info dump; do
	expect 4 "damaged/manifest" $c damaged
done
if [ "$(id -u)" != 0 ]; then
	: >secret
	chmod 0 secret
	expect 1 "--kernel=secret: Permission denied" run --kernel=secret
fi

# standard output that is full
if [ -w /dev/full ]; then
	"$rv" --help >/dev/full 2>err
	got=$?
	checked=$((checked + 1))
	if [ $got != 1 ] || ! grep -q 'standard output' err; then
		failed=$((failed + 1))
		echo "FAIL: --help >/dev/full"
	fi
fi

echo "$checked checked, $failed failed"
[ "$failed" = 0 ]
