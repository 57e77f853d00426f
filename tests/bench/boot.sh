#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Figures of a Debian boot with a small workload: speed, cost of recording (median of interleaved pairs of
# vCPU-thread processor time), log size, replay speed, an idle guest's needs, memory; and QEMU's speed in
# the same run, where QEMU is installed. usage: boot.sh [PAIRS [OPTION...]]
. "$(dirname "$0")/overhead.sh" "$@"
echo "log bytes, virtual clock   $(json t log_bytes)"
"$RV" replay t --no-console --stats 2>rep.err >/dev/null || die "replay: $(cat rep.err)"
echo "replay: MIPS               $(field rep.err mips)"

mapfile -t options < <(machine work)
"$RV" record -o h "${options[@]}" --stats </dev/null >/dev/null 2>h.err || die "record: $(cat h.err)"
echo "log bytes, host clock      $(json h log_bytes) in $(field h.err host_seconds) s"

mapfile -t options < <(machine idle)
"$RV" record -o idle "${options[@]}" --stats </dev/null >idle.out 2>idle.err &
pid=$!
if wait_for idle.out 'rv: idle' 300; then
	sleep 1
	ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
	a=$(ticks) la=$(du -sb idle/log | cut -f1)
	sleep 10
	b=$(ticks) lb=$(du -sb idle/log | cut -f1)
	awk -v d=$((b - a)) -v hz="$(getconf CLK_TCK)" -v l=$((lb - la)) \
		'BEGIN { printf "idle: processor, %%          %.1f\nidle: log bytes a second   %.0f\n", 10 * d / hz, l / 10 }'
fi
kill -TERM $pid
wait $pid

if command -v qemu-system-x86_64 >/dev/null; then
	for kind in "tcg" "tcg with icount:-icount shift=0,sleep=off"; do
		name=${kind%%:*} extra=${kind#"$name"}
		begin=$(date +%s.%N)
		# shellcheck disable=SC2086
		timeout 600 qemu-system-x86_64 -accel tcg -m 256 -nographic -net none -no-reboot ${extra#:} \
			-kernel "$kernel" -initrd "$initrd" -append "console=ttyS0 panic=-1 quiet rv.mode=work" \
			</dev/null >qemu.out 2>&1 || continue
		grep -qa 'rv: done' qemu.out || continue
		awk -v a="$begin" -v b="$(date +%s.%N)" -v n="$name" 'BEGIN { printf "QEMU %s: seconds   %.1f\n", n, b - a }'
	done
	echo "run: host seconds          $(field run.err host_seconds)"
fi
