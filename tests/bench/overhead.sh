#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What recording costs: record / run of a Debian boot with a small workload, the median of interleaved pairs
# of vCPU-thread processor time. boot.sh begins with it. usage: overhead.sh [PAIRS [OPTION...]]; OPTION goes
# to both sides, e.g. --jit=off
. "$(dirname "${BASH_SOURCE[0]}")/../rr/lib.sh"
need "$kernel" "$initrd"
pairs=${1:-${RV_BENCH_PAIRS:-11}}

field() { sed -n 's/.*"'"$2"'": \([0-9.]*\).*/\1/p' "$1" | tail -n 1; }
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
mapfile -t options < <(machine work)
# The virtual clock makes both sides do exactly the same work.
options+=(--clock=virtual --stats "${@:2}")

: >ratios
for ((i = 0; i < pairs; i++)); do
	"$RV" run "${options[@]}" </dev/null >/dev/null 2>run.err || die "run: $(cat run.err)"
	rm -rf t
	"$RV" record -o t "${options[@]}" </dev/null >/dev/null 2>rec.err || die "record: $(cat rec.err)"
	field run.err vcpu_cpu_seconds >>run.cpu
	field rec.err vcpu_cpu_seconds >>rec.cpu
	awk -v a="$(field rec.err vcpu_cpu_seconds)" -v b="$(field run.err vcpu_cpu_seconds)" \
		'BEGIN { print a / b }' >>ratios
done
echo "steps                      $(field run.err icount)"
echo "run: vCPU seconds, median  $(median <run.cpu)"
echo "record: the same           $(median <rec.cpu)"
echo "record / run, median       $(median <ratios)   ($pairs pairs)"
echo "run: MIPS                  $(field run.err mips)"
echo "run: peak RSS, KiB         $(field run.err max_rss_kib)"
echo "record: peak RSS, KiB      $(field rec.err max_rss_kib)"
