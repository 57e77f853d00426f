#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --net=tap in a network namespace of the test's own: packets of real stacks both ways, an interface that goes down and
# comes back, while recorded; the trace verifies. usage: tap.sh
. "$(dirname "$0")/lib.sh"
need_server curl ip
[ "$(id -u)" = 0 ] && [ -c /dev/net/tun ] || { echo "skipped: needs root and /dev/net/tun"; exit 77; }
ns=rv-tap-$$
ip netns add "$ns" || { echo "skipped: no network namespaces"; exit 77; }
cleanup_more() {
	[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
	ip netns del "$ns" 2>/dev/null
}
inside() { ip netns exec "$ns" "$@"; }
inside ip link set lo up
inside ip tuntap add tap0 mode tap
inside ip addr add 10.9.0.1/24 dev tap0
inside ip link set tap0 up

cat >rv <<'END'
#!/bin/bash
exec ip netns exec "$NS" "$REAL" "$@"
END
chmod +x rv
export NS=$ns REAL=$RV
RV=$work/rv server_start t idle 1 --net=tap:tap0,mac=52:54:00:00:00:09
server_booted t
printf 'root\n' >&7
server_says t 'root@rv-guest:' 120
printf 'ip addr add 10.9.0.2/24 dev $(ls /sys/class/net | grep -v lo); ip link | grep -c 52:54:00:00:00:09; echo up-$((40+2))\n' >&7
server_says t 'up-42' 60
url=http://10.9.0.2
for ((i = 0; i < 60; i++)); do inside curl -sf -m 5 -o got "$url/1k.bin" && break; sleep 0.5; done
cmp got "$guest/www/1k.bin" || die "1k.bin"
inside curl -sf -m 300 -o got "$url/1m.bin" && cmp got "$guest/www/1m.bin" || die "1m.bin"
[ "$(inside cat /sys/class/net/tap0/statistics/rx_bytes)" -gt 1000000 ] || die "nothing went over the TAP device"
# Down: what is sent meanwhile is lost, and nobody dies of it.
inside ip link set tap0 down
sleep 1
kill -0 "$pid" || die "it ended when the interface went down: $(cat t.err)"
inside ip link set tap0 up
inside curl -sf -m 300 -o got "$url/1m.bin" && cmp got "$guest/www/1m.bin" || die "1m.bin, after the interface was down"
printf 'poweroff\n' >&7
server_ends t 600
server_verify t "tap"
