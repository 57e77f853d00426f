# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts of this folder. Environment: RV (the program), RV_IMAGES (the guests).
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
RV=${RV:-$here/build/release/retrovisor}
RV_IMAGES=${RV_IMAGES:-$here/build/cache}
kernel=$RV_IMAGES/vmlinuz-6.1-cloud
initrd=$RV_IMAGES/initramfs.gz
work=$(mktemp -d)
cleanup_more() { :; }
cleanup() {
	cleanup_more
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1

say() { echo "-- $*"; }
die() {
	echo "FAIL: $*"
	exit 1
}
need() {
	local f
	for f in "$@"; do
		[ -s "$f" ] || { echo "skipped: no $f (run ./setup.sh images)"; exit 77; }
	done
}

# machine MODE: the options of the usual test machine, one a line.
machine() {
	printf '%s\n' --kernel="$kernel" --initrd="$initrd" --memory=256M --no-reboot \
		--append="console=ttyS0 panic=-1 quiet rv.mode=$1"
}

# record TRACE MODE [OPTION...]: console in TRACE.out, messages in TRACE.err.
record() {
	local trace=$1 mode=$2 options
	shift 2
	mapfile -t options < <(machine "$mode")
	"$RV" record -o "$trace" "${options[@]}" "$@" >"$trace.out" 2>"$trace.err"
}

# The same in the background; its process is $pid. Give it its stdin by redirection.
record_start() {
	local trace=$1 mode=$2 options
	shift 2
	mapfile -t options < <(machine "$mode")
	"$RV" record -o "$trace" "${options[@]}" "$@" <&0 >"$trace.out" 2>"$trace.err" &
	pid=$!
}

# json TRACE FIELD: the first number, string or truth of that name in `info --json`.
json() {
	"$RV" info --json "$1" | grep -oE "\"$2\": (\"[^\"]*\"|[0-9a-z]+)" | head -n 1 |
		sed 's/^[^:]*: //; s/"//g'
}

# replays TRACE CONSOLE: replay shows the same console, and every digest holds.
replays() {
	"$RV" replay "$1" >"$work/replayed" 2>"$work/replay.err" ||
		die "replay of $1: status $?: $(head -n 20 "$work/replay.err")"
	cmp "$2" "$work/replayed" || die "$1: the replayed console differs"
	"$RV" verify "$1" >"$work/verified" 2>&1 ||
		die "verify of $1: status $?: $(head -n 20 "$work/verified")"
}

# wait_for FILE TEXT SECONDS
wait_for() {
	local i
	for ((i = 0; i < $3 * 10; i++)); do
		grep -qaF -- "$2" "$1" 2>/dev/null && return 0
		sleep 0.1
	done
	return 1
}
