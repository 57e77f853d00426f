#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# First process of the transcript's guest: two copies of one program, and one of them fails.
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
exec </dev/console >/dev/console 2>&1
/station 20000 8 &
/station 100 9 &
wait
$b grep -m1 ' _text$' /proc/kallsyms
$b dmesg | $b grep -o 'station.*segfault.*'
$b poweroff -f
