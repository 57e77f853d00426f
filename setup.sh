#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# From a bare Debian 12 to a running program:
#
#   ./setup.sh deps     install what the build and the tests need (apt)
#   ./setup.sh build    build/release/retrovisor
#   ./setup.sh images   fetch the guests (Debian kernels, busybox, a server) into build/cache
#   ./setup.sh demo     record a Debian kernel's boot, replay it, verify it
#   ./setup.sh test     build twice (release; with sanitizers), run all tests but the long ones
set -euo pipefail
cd "$(dirname "$0")"

# name: why
packages=(
	build-essential     # the compiler and make's friends
	gcc binutils        # nm and ld, by name
	cmake ninja-build pkg-config
	libzydis-dev        # x86 decoder tables
	liblz4-dev          # compression of the event log
	libprotobuf-c-dev protobuf-c-compiler protobuf-compiler # bodies of manifest and chunks
	libxxhash-dev       # XXH3 state digests
	libseccomp-dev      # the system call filter
	libcmocka-dev       # unit tests
	clang-14 libclang-rt-14-dev # second compiler, libFuzzer
	libslirp-dev        # user-mode networking
	libarchive-dev      # packed traces
	libssl-dev          # TLS between the halves of a hot-standby pair
	libcurl4-openssl-dev # the etcd arbiter
	libglib2.0-dev      # what libslirp's pkg-config file asks for
	busybox-static cpio gzip xz-utils zstd # the test guests' userland and its initramfs
	bsdutils            # script(1): a terminal for tests
	stress-ng bc         # a busy host, and sums, for tests
	chromium            # the timeline page, seen in a browser
	mmdebstrap e2fsprogs openssl # the Debian server that tests record
	apache2-utils redis-tools postgresql-client-15 curl iperf3 python3 # and its clients
	etcd-server iproute2 iputils-ping # hot-standby pairs under test: an arbiter, networks
	gdb
	ca-certificates
)

say() { echo "setup: $*" >&2; }

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		say "needs root for: $* (no sudo here)"
		return 1
	fi
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

deps() {
	local p missing=()
	for p in "${packages[@]}"; do
		installed "$p" || missing+=("$p")
	done
	if [ ${#missing[@]} = 0 ]; then
		say "all packages are installed"
		return 0
	fi
	say "installing ${missing[*]}"
	as_root apt-get -qq update
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
		"${missing[@]}" >/dev/null
}

# cmake keeps what is built already; a tree that moved is configured anew.
configure_and_build() {
	cmake --preset "$1" >/dev/null
	cmake --build --preset "$1" -- --quiet
}

build() {
	deps
	say "building build/release"
	configure_and_build release
}

images() {
	deps
	if [ ! -s build/cache/di-initrd.gz ]; then
		# apt-get download needs an index.
		apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1 || as_root apt-get -qq update
	fi
	tests/images/fetch.sh build/cache || {
		say "once more, with a fresh package index"
		as_root apt-get -qq update
		tests/images/fetch.sh build/cache
	}
	as_root tests/images/debian.sh build/cache ||
		say "no Debian server image: the io tests will be skipped"
}

demo() {
	local rv=build/release/retrovisor trace
	build
	images
	trace=$(mktemp -d)/demo
	# shellcheck disable=SC2064
	trap "rm -rf '$(dirname "$trace")'" EXIT
	say "1. recording: a Debian kernel boots, works, powers off"
	$rv record -o "$trace" --kernel=build/cache/vmlinuz-6.1-cloud --initrd=build/cache/initramfs.gz \
		--append="console=ttyS0 panic=-1 rv.mode=work" --memory=256M --no-reboot --stats </dev/null |
		tee "$trace.recorded"
	say "2. replaying it, console and all"
	$rv replay "$trace" --stats >"$trace.replayed"
	tail -n 6 "$trace.replayed"
	cmp "$trace.recorded" "$trace.replayed"
	say "the replayed console is equal, byte for byte"
	say "3. verifying every digest of it"
	$rv verify "$trace"
	say "4. what the recording holds"
	$rv info "$trace"
	$rv dump "$trace" | tail -n 5 | cut -c 1-160
	say "demo done: recorded, replayed exactly, verified"
}

# Adds the counts of a JUnit file to passed, failed, skipped.
count() {
	local line tests failures disabled skips
	line=$(grep -m1 -A8 '<testsuite' "$1" | tr '\n' ' ')
	tests=$(sed -n 's/.*[[:space:]]tests="\([0-9]*\)".*/\1/p' <<<"$line")
	failures=$(sed -n 's/.*failures="\([0-9]*\)".*/\1/p' <<<"$line")
	disabled=$(sed -n 's/.*disabled="\([0-9]*\)".*/\1/p' <<<"$line")
	skips=$(sed -n 's/.*skipped="\([0-9]*\)".*/\1/p' <<<"$line")
	passed=$((passed + tests - failures - disabled - skips))
	failed=$((failed + failures))
	skipped=$((skipped + disabled + skips))
}

# run_tests BUILD EXCLUDED-LABELS: a failing test does not end the script, its count does.
run_tests() {
	local junit=$PWD/build/$1/junit.xml
	rm -f "$junit"
	say "testing build/$1"
	ctest --test-dir "build/$1" --no-tests=error --output-on-failure -LE "$2" \
		--output-junit "$junit" -j "${RV_TEST_JOBS:-2}" || true
	if [ -s "$junit" ]; then
		count "$junit"
	else
		say "build/$1: ctest gave no result"
		failed=$((failed + 1))
	fi
}

run_all_tests() {
	passed=0 failed=0 skipped=0
	build
	say "building build/sanitize"
	configure_and_build sanitize
	images || say "no guest images: tests that boot a kernel will be skipped"
	# Whole boots and timing belong to the release build; the sanitizers' share is everything small.
	run_tests release '^(long|bench)$'
	run_tests sanitize '^(long|bench|lint|rr|io|ft)$'
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
}

case ${1:-} in
deps) deps ;;
build) build ;;
images) images ;;
demo) demo ;;
test) run_all_tests ;;
*)
	sed -n '4,11s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
