#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the debugger tests' guest: build.sh CC OUTPUT [OPTION...]. OUTPUT.elf has the DWARF, OUTPUT boots.
set -eu
cc=$1 out=$2
shift 2
dir=$(cd "$(dirname "$0")" && pwd)
guest=$(cd "$dir/../guest" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0
objects=
for source in "$guest/lib/crt.S" "$guest/lib/guest.c" "$guest/lib/pt.c" "$dir/prog.c"; do
	n=$((n + 1))
	"$cc" -std=gnu17 -m64 -O1 -g -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
		-fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fcf-protection=none \
		-fno-strict-aliasing -fwrapv -mgeneral-regs-only -mno-red-zone -I"$guest" "$@" \
		-c "$source" -o "$tmp/$n.o"
	objects="$objects $tmp/$n.o"
done
# shellcheck disable=SC2086
ld -m elf_x86_64 -nostdlib -static -z noexecstack --no-warn-rwx-segments -z max-page-size=4096 \
	-T "$guest/lib/link.ld" $objects -o "$out.elf"
objcopy --strip-debug -I elf64-x86-64 -O elf32-i386 "$out.elf" "$out"
