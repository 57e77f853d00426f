#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the Debian 12 server that tests record, out of Debian's own packages, in build/cache/debian-12:
#
#   disk.img     root file system, raw ext4 without a partition table, for /dev/vda
#   vmlinuz      Debian's cloud kernel
#   initrd.gz    busybox, the modules that reach the disk, debian/init
#   www/         the files its nginx serves, to compare with
#   pgbench      the client that loads its SQL server; the host's package would bring a server along
#   key          a hash of this script and of debian/: other contents, other image
#
# usage: debian.sh [CACHE]     What is there already, under the same key, is not built again.
#
# Needs root (chroot, owners of files), but mounts no image. RV_DEBIAN_MIRROR names another mirror.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${1:-$here/../../build/cache}
mirror=${RV_DEBIAN_MIRROR:-http://deb.debian.org/debian}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
out=$cache/debian-12
root_mib=1536

say() { echo "images: $*" >&2; }

key=$(cd "$here" && find debian.sh debian -type f | LC_ALL=C sort | xargs sha256sum | sha256sum |
	cut -c 1-32)
[ "$(cat "$out/key" 2>/dev/null)" = "$key" ] && exit 0
[ "$(id -u)" = 0 ] || { say "debian.sh needs root"; exit 1; }
for tool in mmdebstrap mke2fs openssl cpio; do
	command -v $tool >/dev/null || { say "no $tool (run: ./setup.sh deps)"; exit 1; }
done

work=$(mktemp -d "$cache/debian.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir "$work/out"

packages=(
	systemd systemd-sysv udev dbus kmod login passwd procps iproute2
	nginx-light redis-server postgresql-15
	fio iperf3
)

# What a server for tests has no use for, and a boot under an emulator would feel.
masked=(
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
	logrotate.timer man-db.timer systemd-tmpfiles-clean.timer
	e2scrub_reap.service getty@tty1.service systemd-binfmt.service systemd-networkd-wait-online.service
	systemd-pstore.service systemd-update-utmp.service systemd-update-utmp-runlevel.service
	modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service modprobe@efi_pstore.service
	modprobe@fuse.service modprobe@loop.service
	dev-hugepages.mount proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount
	sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount
)

# Documents and translations are left out: nobody reads them here.
packages_install() {
	local list
	list=$(IFS=,; echo "${packages[*]}")
	say "debian-12: installing packages"
	mmdebstrap --quiet --mode=root --variant=minbase --include="$list" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
		bookworm "$root" "$mirror" >"$work/mmdebstrap.log" 2>&1 || {
		tail -n 30 "$work/mmdebstrap.log" >&2
		return 1
	}
}

# The kernel and its modules come without the package's own initramfs machinery.
kernel_install() {
	local package
	package=$(apt-cache depends linux-image-cloud-amd64 |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
	[ -n "$package" ] || { say "linux-image-cloud-amd64 names no package (run: apt-get update)"; return 1; }
	say "debian-12: kernel from $package"
	mkdir "$work/deb"
	chmod 755 "$work"
	(cd "$work/deb" && apt-get download "$package" >/dev/null 2>"$work/apt.log") || {
		cat "$work/apt.log" >&2
		return 1
	}
	dpkg -x "$work"/deb/*.deb "$work/kernel"
	release=${package#linux-image-}
	cp "$work/kernel/boot/vmlinuz-$release" "$work/out/vmlinuz"
	mkdir -p "$root/usr/lib/modules"
	cp -r "$work/kernel/lib/modules/$release" "$root/usr/lib/modules/"
	chroot "$root" depmod "$release"
}

# The files of module $1 and of all it needs, dependencies first.
module_order() {
	local line
	line=$(grep -E "/$1\.ko:" "$root/usr/lib/modules/$release/modules.dep")
	for file in ${line#*:}; do echo "$file"; done | tac
	echo "${line%%:*}"
}

initrd_build() {
	local dir=$work/initrd file
	say "debian-12: initrd.gz"
	mkdir -p "$dir"/{bin,dev,proc,sys,root,modules}
	(cd "$work/deb" && rm -f ./*.deb && apt-get download busybox-static >/dev/null 2>&1)
	dpkg -x "$work"/deb/busybox-static*.deb "$work/busybox"
	cp "$work/busybox/bin/busybox" "$dir/bin/busybox"
	install -m 755 "$here/debian/init" "$dir/init"
	for module in virtio_pci virtio_blk; do module_order $module; done | awk '!seen[$0]++' >"$work/order"
	[ -s "$work/order" ] || { say "no virtio modules in $release"; return 1; }
	while read -r file; do
		cp "$root/usr/lib/modules/$release/$file" "$dir/modules/"
		basename "$file"
	done <"$work/order" >"$dir/modules/order"
	find "$dir" -exec touch -h -d @0 {} +
	(cd "$dir" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) |
		gzip -9n >"$work/out/initrd.gz"
}

# noise BYTES NUMBER: bytes that do not compress, the same every time.
noise() {
	head -c "$1" /dev/zero |
		openssl enc -aes-128-ctr -K "$(printf %032d "$2")" -iv 00000000000000000000000000000000
}

configure() {
	local unit
	say "debian-12: configuring"
	cp -r --no-preserve=ownership "$here/debian/root/." "$root/"
	chroot "$root" passwd -q -d root
	printf '%s\n' 'bind 0.0.0.0' 'protected-mode no' >>"$root/etc/redis/redis.conf"
	# Not the first boot of anything: no presets, no new identity.
	echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
	rm -f "$root/var/lib/dbus/machine-id"
	ln -sf /usr/share/zoneinfo/UTC "$root/etc/localtime"
	for unit in "${masked[@]}"; do
		ln -sf /dev/null "$root/etc/systemd/system/$unit"
	done
	chroot "$root" systemctl --quiet set-default multi-user.target
	chroot "$root" systemctl --quiet enable systemd-networkd.service rv-job.service rv-sink.socket
	mkdir "$work/out/www"
	noise 1024 1 >"$work/out/www/1k.bin"
	noise 1048576 2 >"$work/out/www/1m.bin"
	noise 33554432 3 >"$work/out/www/32m.bin"
	cp "$work"/out/www/* "$root/var/www/html/"
	chown -R 0:0 "$root/var/www/html"
	cp "$root/usr/lib/postgresql/15/bin/pgbench" "$work/out/pgbench"
}

# The tables of pgbench, so that a guest does not spend its time on making them.
sql_tables() {
	local bin=/usr/lib/postgresql/15/bin run options status=0
	options="-c config_file=/etc/postgresql/15/main/postgresql.conf -c listen_addresses="
	options="$options -c fsync=off -c unix_socket_directories=/tmp -c dynamic_shared_memory_type=mmap"
	say "debian-12: tables for pgbench"
	run=(chroot "$root" setpriv --reuid=postgres --regid=postgres --init-groups)
	"${run[@]}" $bin/pg_ctl -s -w -D /var/lib/postgresql/15/main -l /tmp/pg.log \
		-o "$options" start || {
		cat "$root/tmp/pg.log" >&2
		return 1
	}
	"${run[@]}" $bin/pgbench -h /tmp -q -i -s 1 postgres >"$work/pgbench.log" 2>&1 || status=$?
	"${run[@]}" $bin/pg_ctl -s -w -m fast -D /var/lib/postgresql/15/main stop
	[ $status = 0 ] || cat "$work/pgbench.log" >&2
	rm -f "$root/tmp/pg.log"
	return $status
}

image_build() {
	say "debian-12: disk.img"
	rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/run/* "$root"/tmp/* \
		"$root"/var/cache/ldconfig/* "$root"/etc/resolv.conf
	find "$root/var/log" -type f -delete
	# Says that /etc and /var are as new as /usr: no hwdb, catalog and ldconfig runs at boot.
	touch "$root/usr"
	touch "$root/etc/.updated" "$root/var/.updated"
	# No lazy initialisation: the guest's kernel would write in the background for minutes.
	mke2fs -q -t ext4 -d "$root" -L rv-root -m 1 -U 5245564f-0000-4000-8000-000000000001 \
		-E lazy_itable_init=0,lazy_journal_init=0,hash_seed=5245564f-0000-4000-8000-000000000002 \
		"$work/out/disk.img" ${root_mib}M >/dev/null
}

packages_install
kernel_install
initrd_build
configure
sql_tables
image_build
echo "$key" >"$work/out/key"
rm -rf "$out"
mv "$work/out" "$out"
say "debian-12: $(du -h "$out/disk.img" | cut -f 1) of $(du -h --apparent-size "$out/disk.img" | cut -f 1)"
