#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fio writes a disk of its own with verification, then reads and writes at random, while recorded; the
# trace replays. With `commit` the disk is written through to its file, and what is there is checked.
# usage: fio.sh MIB SECONDS [commit] [RECORD-OPTION...]
. "$(dirname "$0")/lib.sh"
mib=${1:-64} seconds=${2:-3}
shift $(($# < 2 ? $# : 2))
commit=
[ "${1:-}" != commit ] || { commit=,commit=on; shift; }
need_server

truncate -s $((mib + 16))M second.img
before=$(sha256sum <second.img)
first=$(stat -c '%Y %s' "$guest/disk.img")
server_start t "fio:$mib:$seconds" 1 --disk="$work/second.img$commit" "$@"
server_ends t 3600
grep -a 'BW=\|bw=' t.out | sed 's/^/-- /' | cut -c 1-80
grep -qa 'rv-job: fio on /dev/vdb' t.out || die "the guest has no second disk: $(tail -c 1500 t.out)"
grep -qa 'rv-job: fio verify exit=0' t.out || die "fio verify: $(grep -a rv-job t.out)"
[ "$seconds" = 0 ] || grep -qa 'rv-job: fio mixed exit=0' t.out || die "fio: $(grep -a rv-job t.out)"
after=$(sha256sum <second.img)
if [ -n "$commit" ]; then
	[ "$before" != "$after" ] || die "commit=on: the file is as before"
else
	[ "$before" = "$after" ] || die "without commit=on the file was written"
fi
[ "$first" = "$(stat -c '%Y %s' "$guest/disk.img")" ] || die "the first disk's file was written"
server_verify t "fio $mib MiB$commit"
replays t t.out
[ "$after" = "$(sha256sum <second.img)" ] || die "a replay wrote the disk's file"
