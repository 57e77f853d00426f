#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Fetches the guests that tests and demo boot, all from Debian's own archive, into build/cache:
#
#   vmlinuz-6.1-cloud  vmlinuz-6.1  vmlinuz-6.12-cloud   kernels
#   di-vmlinuz  di-initrd.gz                             the netboot installer
#   initramfs.gz                                         busybox and tests/images/init
#
# usage: fetch.sh [CACHE]     What is there already is not fetched again.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${1:-$here/../../build/cache}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

say() { echo "images: $*" >&2; }

# Downloads package $1 and unpacks it below $2.
unpack() {
	mkdir -p "$2/deb"
	(cd "$2/deb" && apt-get download "$1" >/dev/null 2>"$work/apt.log") || {
		cat "$work/apt.log" >&2
		say "cannot download $1 (run: apt-get update)"
		return 1
	}
	dpkg -x "$2"/deb/*.deb "$2/root"
}

# The package behind a meta package such as linux-image-cloud-amd64.
resolve() {
	apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

kernel() {
	local meta=$1 out=$cache/$2 package
	[ -s "$out" ] && return 0
	package=$(resolve "$meta")
	[ -n "$package" ] || { say "$meta names no kernel package"; return 1; }
	say "$2 from $package"
	unpack "$package" "$work/$2"
	cp "$work/$2"/root/boot/vmlinuz-* "$out.tmp"
	mv "$out.tmp" "$out"
	rm -rf "${work:?}/$2"
}

initramfs() {
	local out=$cache/initramfs.gz root=$work/initramfs busybox
	[ -s "$out" ] && [ "$out" -nt "$here/init" ] && return 0
	say "initramfs.gz"
	busybox=$(command -v busybox || true)
	# Debian's busybox-static, whether or not it is installed here.
	unpack busybox-static "$work/busybox" 2>/dev/null || true
	[ -x "$work/busybox/root/bin/busybox" ] && busybox=$work/busybox/root/bin/busybox
	[ -n "$busybox" ] || { say "no busybox-static"; return 1; }
	mkdir -p "$root"/{bin,dev,proc,sys,tmp}
	cp "$busybox" "$root/bin/busybox"
	cp "$here/init" "$root/init"
	chmod 755 "$root/init" "$root/bin/busybox"
	# Fixed dates and order: the same initramfs, bit for bit, from the same busybox.
	find "$root" -exec touch -h -d @0 {} +
	(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) |
		gzip -9n >"$out.tmp"
	mv "$out.tmp" "$out"
}

installer() {
	local dir
	[ -s "$cache/di-vmlinuz" ] && [ -s "$cache/di-initrd.gz" ] && return 0
	say "di-vmlinuz, di-initrd.gz from debian-installer-12-netboot-amd64"
	unpack debian-installer-12-netboot-amd64 "$work/di"
	dir=$work/di/root/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
	cp "$dir/linux" "$cache/di-vmlinuz"
	cp "$dir/initrd.gz" "$cache/di-initrd.gz"
	rm -rf "$work/di"
}

kernel linux-image-cloud-amd64 vmlinuz-6.1-cloud
kernel linux-image-amd64 vmlinuz-6.1
kernel linux-image-6.12-cloud-amd64 vmlinuz-6.12-cloud
initramfs
installer
