#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Translated code must not show in anything: one recording, verified against all its digests in other modes,
# and recorded again in them with the same digests.
# usage: jit.sh [MODE...]; a MODE is options for verify, joined by commas
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need "$kernel" "$initrd"
modes=("$@")
((${#modes[@]})) || modes=(--jit=off --jit=on,--code-cache=1M)

say "a boot with the host's clock (its events fall at any icount)"
record host work --jit=on </dev/null || die "record: $(cat host.err)"
for mode in "${modes[@]}"; do
	say "verify ${mode//,/ }"
	# shellcheck disable=SC2086
	"$RV" verify host ${mode//,/ } >verify.out 2>verify.err || die "verify $mode: $(cat verify.out verify.err)"
	grep -q "digests" verify.out verify.err || die "verify says nothing of digests: $(cat verify.out verify.err)"
done

say "the virtual clock: the same history whatever the mode"
record virtual work --clock=virtual --seed=5 --jit=on </dev/null || die "record: $(cat virtual.err)"
want=$(json virtual final_digest)
[ -n "$want" ] || die "no final digest"
for mode in "${modes[@]}"; do
	rm -rf other
	# shellcheck disable=SC2086
	record other work --clock=virtual --seed=5 ${mode//,/ } </dev/null || die "record $mode: $(cat other.err)"
	[ "$(json other final_digest)" = "$want" ] || die "$mode: another final digest"
done

# Stops anywhere, and on from there: a replay in pieces ends at the same digest as in one.
last=$(json virtual icount)
seed=${RV_SEED:-$RANDOM}
echo "seed $seed"
RANDOM=$seed
for i in 1 2 3 4; do
	at=$(((RANDOM * 32768 + RANDOM) * 7 % last))
	for jit in on off; do
		"$RV" replay virtual --no-console --until=$at --jit=$jit --stats >/dev/null 2>$jit.err ||
			die "replay --until=$at --jit=$jit: $(cat $jit.err)"
		grep -oE '"(icount|vns)": [0-9]+' $jit.err >$jit.at
	done
	cmp -s on.at off.at || die "stopped at $at: $(cat on.at), interpreted $(cat off.at)"
done
echo "ok: ${modes[*]}"
