#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Debian server boots to multi-user.target and powers itself off under the virtual clock: no inputs, so two
# runs are one, bit for bit, and the trace verifies.
# usage: boot.sh CPUS [RECORD-OPTION...]
. "$(dirname "$0")/lib.sh"
cpus=${1:-1}
shift $(($# < 1 ? $# : 1))
need_server

for run in a b; do
	server_start $run poweroff-after-boot "$cpus" --clock=virtual "$@"
	server_ends $run 1800
	grep -qa 'rv-job: multi-user.target active' $run.out || die "$run: $(tail -c 1500 $run.out)"
done
cmp a.out b.out || die "two runs, two consoles"
[ "$(json a final_digest)" = "$(json b final_digest)" ] || die "two runs, two digests"
server_verify a "boot, $cpus cpu"
