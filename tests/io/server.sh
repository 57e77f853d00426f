#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Debian server boots from disk under `record`, serves HTTP, Redis and SQL clients, is powered off on
# its console; the trace verifies.
# usage: server.sh CPUS SECONDS [ROUNDS] [RECORD-OPTION...]     SECONDS of each load
. "$(dirname "$0")/lib.sh"
cpus=${1:-1} seconds=${2:-5} rounds=${3:-1}
shift $(($# < 3 ? $# : 3))
need_server ab curl redis-benchmark psql python3

for ((round = 1; round <= rounds; round++)); do
	ports_pick
	server_start t idle "$cpus" --net="$net" "$@"
	server_booted t
	say "round $round: up"
	"$io/load.sh" --http="$port_http" --redis="$port_redis" --sql="$port_sql" --sink="$port_sink" \
		--seconds="$seconds" --www="$guest/www" || die "round $round: under load; $(tail -c 500 t.out)"
	server_login_poweroff t
	server_verify t "round $round: $cpus cpu"
	rm -rf t t.out t.err
done
