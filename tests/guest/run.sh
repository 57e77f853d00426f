#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs one guest: run.sh RETROVISOR GUEST exact|kvm|qemu [OPTION...]. The last line on its console must
# be PASS, and it must leave through isa-debug-exit with 0. 77: cannot be run here.
set -u
retrovisor=$1 guest=$2 engine=$3
shift 3
case $engine in
qemu)
	command -v qemu-system-x86_64 >/dev/null || exit 77
	output=$(timeout 60 qemu-system-x86_64 -accel tcg -cpu Nehalem,+pdpe1gb,+rdtscp \
		-m 512 -nodefaults -no-reboot -display none -serial stdio -monitor none \
		-device isa-debug-exit,iobase=0xf4,iosize=4 -kernel "$guest" -append tcg "$@" 2>&1 </dev/null)
	status=$?
	want=1
	;;
*)
	clock=virtual
	if [ "$engine" = kvm ]; then
		[ -r /dev/kvm ] && [ -w /dev/kvm ] || exit 77
		clock=host
	fi
	output=$(timeout 300 "$retrovisor" run --engine="$engine" --clock=$clock --kernel="$guest" \
		--memory=512M --serial=stdio "$@" 2>&1 </dev/null)
	status=$?
	want=129
	;;
esac
printf '%s\n' "$output"
last=$(printf '%s\n' "$output" | tr -d '\r' | grep -v '^$' | tail -n 1)
if [ "$last" != PASS ] || [ $status -ne $want ]; then
	echo "last line '$last', exit status $status, expected PASS and $want"
	exit 1
fi
