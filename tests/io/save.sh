#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A server is saved while it runs, goes on, and is resumed from where it was saved, recorded; the recording of the
# resumed machine verifies. usage: save.sh CPUS
. "$(dirname "$0")/lib.sh"
cpus=${1:-2}
need_server redis-cli curl

ports_pick
server_start t idle "$cpus" --net="$net" --ctl="$work/ctl"
server_booted t
for ((i = 0; i < 40; i++)); do redis-cli -p "$port_redis" ping >pong 2>&1 && break; sleep 0.5; done
[ "$(redis-cli -p "$port_redis" set color blue)" = OK ] || die "redis: $(cat pong)"
"$RV" ctl ctl save nested/name >out && die "a name with a slash: $(cat out)"
"$RV" ctl ctl save s >out || die "save: $(cat out)"
say "saved: $(cat out)"
"$RV" ctl ctl save s >out && die "saved over what is there: $(cat out)"
[ "$(redis-cli -p "$port_redis" set color red)" = OK ] || die "it does not go on"
"$RV" ctl ctl stop >/dev/null || die "stop"
wait "$pid" || die "record: status $?: $(cat t.err)"
pid=
exec 7>&-
server_verify t "the machine that went on"

"$RV" resume s --cpus=2 2>err && die "resume took --cpus"
grep -q 'comes from' err || die "resume --cpus: $(cat err)"
"$RV" resume s 2>err && die "resume without its network"
grep -q 'has 1 networks' err || die "resume without --net: $(cat err)"
"$RV" resume s -o r --net="$net" --ctl="$work/ctl" --serial=file:r.out 2>r.err &
pid=$!
for ((i = 0; i < 60; i++)); do redis-cli -p "$port_redis" get color >color 2>&1 && break; sleep 0.5; done
[ "$(cat color)" = blue ] || die "resumed: the color is $(cat color); $(cat r.err)"
curl -sf -m 60 -o got "http://127.0.0.1:$port_http/1m.bin" || die "resumed: nginx"
cmp got "$guest/www/1m.bin" || die "resumed: nginx serves something else"
[ "$(redis-cli -p "$port_redis" save)" = OK ] || die "resumed: redis cannot write its disk"
"$RV" ctl ctl stop >/dev/null || die "stop"
wait "$pid" || die "resume: status $?: $(cat r.err)"
pid=
server_verify r "resumed"
"$RV" verify s >/dev/null || die "what was saved has changed"
