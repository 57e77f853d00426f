#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds one guest: build.sh CC NAME BITS OUTPUT. BITS is 32 or 64; the result is always an ELF32 file
# with a Multiboot header, for that is what boot loaders take.
set -eu
cc=$1 name=$2 bits=$3 out=$4
dir=$(dirname "$0")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
flags="-std=gnu17 -m$bits -O2 -g0 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-pie
  -fno-stack-protector -fno-asynchronous-unwind-tables -fomit-frame-pointer -fcf-protection=none
  -fno-strict-aliasing -fwrapv -mgeneral-regs-only -I$dir"
if [ "$bits" = 64 ]; then
	flags="$flags -mno-red-zone"
	sources="$dir/lib/crt.S $dir/lib/guest.c $dir/lib/pt.c $dir/$name.c"
	emulation=elf_x86_64
else
	sources="$dir/lib/crt.S $dir/lib/guest.c $dir/$name.c"
	emulation=elf_i386
fi
n=0
objects=
for source in $sources; do
	n=$((n + 1))
	# shellcheck disable=SC2086
	"$cc" $flags -c "$source" -o "$tmp/$n.o"
	objects="$objects $tmp/$n.o"
done
# shellcheck disable=SC2086
ld -m $emulation -nostdlib -static -z noexecstack --no-warn-rwx-segments -z max-page-size=4096 \
	-T "$dir/lib/link.ld" $objects -o "$tmp/guest"
if [ "$bits" = 64 ]; then
	objcopy -I elf64-x86-64 -O elf32-i386 "$tmp/guest" "$out"
else
	cp "$tmp/guest" "$out"
fi
