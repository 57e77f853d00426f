#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fuzz64 on a machine with everything: the monitor lives, the recording verifies, the disk image is as it was, and so is a
# second one with commit=on outside of what its guest may write. usage: fuzz.sh RETROVISOR GUEST SEEDS [ROUNDS]
set -u
retrovisor=$1 guest=$2 seeds=$3 rounds=${4:-20000}
first=${RV_SEED:-$((RANDOM * 32768 + RANDOM + 1))}
echo "seed $first and the $((seeds - 1)) after it (RV_SEED)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -c 2M /dev/urandom >"$work/disk.img"
cp "$work/disk.img" "$work/ro.img"
sum=$(sha256sum <"$work/disk.img")
for ((seed = first; seed < first + seeds; seed++)); do
	for clock in host virtual; do
		rm -rf "$work/t"
		timeout 250 "$retrovisor" record -o "$work/t" --clock=$clock --kernel="$guest" --memory=512M --serial=stdio \
			--disk="$work/disk.img" --disk="$work/ro.img,ro" --net=user --hvc=none --no-reboot \
			--append="seed=$seed rounds=$rounds" >"$work/out" 2>"$work/err" </dev/null
		status=$?
		if [ $status != 129 ] || ! tail -n 2 "$work/out" | grep -q PASS; then
			echo "FAIL: seed $seed, clock $clock: status $status"
			tail -n 5 "$work/out" "$work/err"
			exit 1
		fi
		if ! "$retrovisor" verify "$work/t" >"$work/verified" 2>&1; then
			echo "FAIL: seed $seed, clock $clock: does not verify"
			head -n 20 "$work/verified"
			exit 1
		fi
	done
	for image in disk ro; do
		[ "$(sha256sum <"$work/$image.img")" = "$sum" ] || { echo "FAIL: seed $seed: $image.img changed"; exit 1; }
	done
done
echo "$seeds seeds, $rounds rounds each, twice: $(tail -n 1 "$work/verified")"
