# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts of this folder: the Debian server of tests/images/debian.sh, recorded.
# Environment: RV (the program), RV_IMAGES (the guests).
io=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$io/../rr/lib.sh"
guest=$RV_IMAGES/debian-12
pid=
cleanup_more() {
	[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
}

# need_server COMMAND...: the image, and the clients a script uses.
need_server() {
	local tool
	need "$guest/disk.img" "$guest/vmlinuz" "$guest/initrd.gz" "$guest/www/32m.bin"
	for tool in "$@"; do
		command -v "$tool" >/dev/null || { echo "skipped: no $tool (run ./setup.sh deps)"; exit 77; }
	done
}

# ports_pick: sets port_http, port_redis, port_sql, port_sink to ports nobody uses now, and $net.
ports_pick() {
	read -r port_http port_redis port_sql port_sink < <(python3 -c '
import socket
socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*[s.getsockname()[1] for s in socks])')
	net=user,hostfwd=tcp:127.0.0.1:$port_http-:80,hostfwd=tcp:127.0.0.1:$port_redis-:6379
	net=$net,hostfwd=tcp:127.0.0.1:$port_sql-:5432,hostfwd=tcp:127.0.0.1:$port_sink-:7000
}

# server_options JOB CPUS: one a line.
server_options() {
	printf '%s\n' --kernel="$guest/vmlinuz" --initrd="$guest/initrd.gz" --memory=1G --no-reboot \
		--cpus="$2" --disk="$guest/disk.img" \
		--append="root=/dev/vda rw console=ttyS0 panic=-1 quiet rv.job=$1"
}

# server_start TRACE JOB CPUS [OPTION...]: records in the background; process $pid, console TRACE.out,
# messages TRACE.err, keyboard on descriptor 7.
server_start() {
	local trace=$1 options
	mapfile -t options < <(server_options "$2" "$3")
	shift 3
	rm -f keys
	mkfifo keys
	exec 7<>keys
	"$RV" record -o "$trace" "${options[@]}" "$@" <keys >"$trace.out" 2>"$trace.err" 7>&- &
	pid=$!
}

# server_says TRACE TEXT SECONDS
server_says() {
	local i
	for ((i = 0; i < $3 * 5; i++)); do
		grep -qaF -- "$2" "$1.out" 2>/dev/null && return 0
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.2
	done
	grep -qaF -- "$2" "$1.out" 2>/dev/null && return 0
	die "$1: no '$2' within $3 s: $(tail -c 1500 "$1.out"; tail -n 5 "$1.err")"
}

# server_booted TRACE: both the login prompt and multi-user.target.
server_booted() {
	server_says "$1" 'rv-job: multi-user.target active' 600
	server_says "$1" 'login:' 120
}

# server_ends TRACE SECONDS: by the guest's own power-off, and the recording with it.
server_ends() {
	local i status
	for ((i = 0; i < $2 * 5; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.2
	done
	kill -0 "$pid" 2>/dev/null && die "$1: the guest did not power off: $(tail -c 1500 "$1.out")"
	wait "$pid"
	status=$?
	pid=
	exec 7>&-
	[ $status = 0 ] || die "$1: record: status $status: $(tail -n 5 "$1.err")"
	[ "$(json "$1" complete)" = true ] || die "$1: not complete"
	[ "$(json "$1" end)" = "guest powered off" ] || die "$1: end is $(json "$1" end)"
	# What a guest says when a device failed it.
	grep -aE 'I/O error|EXT4-fs error|Kernel panic|BUG:|Oops|soft lockup|NETDEV WATCHDOG' "$1.out" &&
		die "$1: the guest complains"
	return 0
}

# server_login_poweroff TRACE: as an operator would, on the serial console.
server_login_poweroff() {
	printf 'root\n' >&7
	server_says "$1" 'root@rv-guest:' 120
	printf 'poweroff\n' >&7
	server_ends "$1" 600
}

# server_verify TRACE [LABEL]: every digest, by a second machine; prints the line of figures.
server_verify() {
	local status
	"$RV" verify "$1" >verified 2>&1
	status=$?
	[ $status = 0 ] || die "verify of $1: status $status: $(head -n 20 verified)"
	say "${2:-$1}: icount=$(json "$1" icount) log_bytes=$(json "$1" log_bytes)" \
		"digests=$(json "$1" digests) divergences=0"
}
