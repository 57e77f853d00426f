#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bulk transfers over virtio-net both ways, each checked by its SHA-256, while recorded; the trace verifies.
# usage: bulk.sh ROUNDS [RECORD-OPTION...]     a round is 32 MiB down (nginx) and 8 MiB up
. "$(dirname "$0")/lib.sh"
rounds=${1:-2}
shift $(($# < 1 ? $# : 1))
need_server curl python3

want=$(sha256sum <"$guest/www/32m.bin")
ports_pick
server_start t idle 1 --net="$net" "$@"
server_booted t
for ((round = 1; round <= rounds; round++)); do
	start=$(date +%s%N)
	got=$(curl -sf -m 900 "http://127.0.0.1:$port_http/32m.bin" | sha256sum)
	[ "$got" = "$want" ] || die "round $round: 32 MiB down: $got, not $want"
	say "round $round: down $((33554432000 / (($(date +%s%N) - start) / 1000000))) bytes/s"
	start=$(date +%s%N)
	"$io/load.sh" --sink="$port_sink" --www="$guest/www" || die "round $round: up"
	say "round $round: up $((8388608000 / (($(date +%s%N) - start) / 1000000))) bytes/s"
done
# Two at once, one each way.
curl -sf -m 900 -o down "http://127.0.0.1:$port_http/32m.bin" &
down=$!
"$io/load.sh" --sink="$port_sink" --www="$guest/www" || die "up, both ways"
wait $down || die "down, both ways: curl status $?"
cmp "$guest/www/32m.bin" down || die "down, both ways: it differs"
server_login_poweroff t
server_verify t bulk
