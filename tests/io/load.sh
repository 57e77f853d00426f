#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Loads a Debian test guest from the host and checks what it answers. One line of figures a service.
#
# usage: load.sh [OPTION...]
#   --http=PORT --redis=PORT --sql=PORT   where 80, 6379, 5432 of the guest are (none: left out)
#   --sink=PORT                           where 7000 is: 8 MiB up, checked by its SHA-256
#   --host=ADDRESS                        127.0.0.1
#   --seconds=N                           of each load (5)
#   --clients=N                           at once (4)
#   --www=DIR                             the files the guest should serve (build/cache/debian-12/www)
# Exit status: 0, or 1 at the first wrong answer.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
host=127.0.0.1 http='' redis='' sql='' sink='' seconds=5 clients=4
www=${RV_IMAGES:-$here/build/cache}/debian-12/www
for arg in "$@"; do
	case $arg in
	--host=* | --http=* | --redis=* | --sql=* | --sink=* | --seconds=* | --clients=* | --www=*)
		name=${arg%%=*}
		printf -v "${name#--}" %s "${arg#*=}"
		;;
	*)
		sed -n '5,12s/^# \{0,1\}//p' "$0" >&2
		exit 2
		;;
	esac
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "load: FAIL: $*"
	exit 1
}

# wait_for_service NAME COMMAND...: until the command succeeds; boots differ in what comes up first.
wait_for_service() {
	local name=$1 i
	shift
	for ((i = 0; i < 120; i++)); do
		"$@" >"$tmp/wait" 2>&1 && return 0
		sleep 0.5
	done
	fail "$name does not answer: $(tail -n 2 "$tmp/wait")"
}

load_http() {
	local url=http://$host:$http file i rate complete failed
	wait_for_service nginx curl -sf -m 20 -o /dev/null "$url/1k.bin"
	for file in 1k.bin 1m.bin; do
		for i in 1 2 3; do
			curl -sf -m 120 -o "$tmp/$file" "$url/$file" || fail "nginx: $file: curl status $?"
			cmp "$www/$file" "$tmp/$file" || fail "nginx: $file differs"
		done
	done
	[ "$(curl -s -m 60 -o /dev/null -w '%{http_code}' "$url/none")" = 404 ] || fail "nginx: no 404"
	# ab compares each body's length with the first one's.
	ab -q -k -s 120 -t "$seconds" -n 10000000 -c "$clients" "$url/1k.bin" >"$tmp/ab" 2>&1 ||
		fail "ab: status $?: $(tail -n 3 "$tmp/ab")"
	rate=$(awk '/^Requests per second/ { print $4 }' "$tmp/ab")
	complete=$(awk '/^Complete requests/ { print $3 }' "$tmp/ab")
	failed=$(awk '/^Failed requests/ { print $3 }' "$tmp/ab")
	grep -q '^Non-2xx' "$tmp/ab" && fail "ab: $(grep '^Non-2xx' "$tmp/ab")"
	[ "${complete:-0}" -gt 0 ] && [ "$failed" = 0 ] || fail "ab: $complete complete, $failed failed"
	echo "load: http requests=$complete rate=$rate/s"
}

load_redis() {
	local cli=(redis-cli -h "$host" -p "$redis") rate got test requests
	wait_for_service redis "${cli[@]}" ping
	"${cli[@]}" -x set rv:blob <"$www/1m.bin" >"$tmp/set" || fail "redis: set: status $?"
	[ "$(cat "$tmp/set")" = OK ] || fail "redis: set: $(cat "$tmp/set")"
	# The client ends a reply with a line feed of its own.
	"${cli[@]}" --raw get rv:blob | head -c 1048576 >"$tmp/blob"
	cmp "$www/1m.bin" "$tmp/blob" || fail "redis: what was set is not what is got"
	# A first short round tells how many requests fill the time asked for.
	requests=200
	for round in short long; do
		for test in set get incr; do
			"${cli[@]}" del counter:__rand_int__ >/dev/null
			timeout 900 redis-benchmark -h "$host" -p "$redis" -t $test -c "$clients" -n "$requests" --csv \
				>"$tmp/$test" 2>&1 || fail "redis-benchmark $test: status $?: $(tail -n 2 "$tmp/$test")"
			rate=$(awk -F'"' '/^"(SET|GET|INCR)"/ { print $4 }' "$tmp/$test")
			[ -n "$rate" ] || fail "redis-benchmark $test: $(cat "$tmp/$test")"
			[ $round = long ] && echo "load: redis-$test requests=$requests rate=$rate/s"
		done
		got=$("${cli[@]}" get counter:__rand_int__)
		[ "$got" = "$requests" ] || fail "redis: $requests increments gave $got"
		requests=$(awk -v r="$rate" -v s="$seconds" 'BEGIN { n = int(r * s / 3); print n < 200 ? 200 : n }')
	done
}

load_sql() {
	local psql=(psql -X -q -A -t -h "$host" -p "$sql" -U postgres postgres) sums rate done_
	local pgbench=$www/../pgbench
	wait_for_service postgresql "${psql[@]}" -c 'select 1'
	timeout $((seconds + 600)) "$pgbench" -h "$host" -p "$sql" -U postgres -n -T "$seconds" -c "$clients" \
		postgres >"$tmp/pgbench" 2>&1 || fail "pgbench: status $?: $(tail -n 3 "$tmp/pgbench")"
	rate=$(awk '/^tps = / { print $3 }' "$tmp/pgbench")
	done_=$(awk '/^number of transactions actually processed/ { print $NF }' "$tmp/pgbench")
	grep -q '^number of failed transactions: 0 ' "$tmp/pgbench" || fail "pgbench: $(grep failed "$tmp/pgbench")"
	# Each transaction adds one delta to an account, a teller, a branch and the history: four equal sums.
	sums=$("${psql[@]}" -F ' ' -c 'select (select sum(abalance) from pgbench_accounts),
		(select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches),
		(select coalesce(sum(delta), 0) from pgbench_history)') || fail "psql: status $?"
	[ "$(tr ' ' '\n' <<<"$sums" | sort -u | wc -l)" = 1 ] || fail "sql: balances differ: $sums"
	echo "load: sql requests=$done_ rate=$rate/s"
}

load_sink() {
	local want got
	head -c 8388608 "$www/32m.bin" >"$tmp/up"
	want=$(sha256sum <"$tmp/up")
	got=$(timeout 300 python3 - "$host" "$sink" "$tmp/up" <<-'PY'
		import socket, sys
		peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))
		peer.sendall(open(sys.argv[3], "rb").read())
		peer.shutdown(socket.SHUT_WR)
		print(peer.makefile().read(), end="")
	PY
	) || fail "sink: status $?"
	[ "$got" = "$want" ] || fail "sink: got $got, not $want"
	echo "load: sink bytes=8388608 checksum=ok"
}

[ -z "$http" ] || load_http
[ -z "$redis" ] || load_redis
[ -z "$sql" ] || load_sql
[ -z "$sink" ] || load_sink
