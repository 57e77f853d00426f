#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The direction of includes is the direction of the layers (README "Layers"): a folder includes its own
# headers by bare name, and public headers only of the modules listed for it here.
# usage: includes.sh SOURCE-ROOT
set -u
cd "$1" || exit 1
failed=0 checked=0

# folder: the modules (folders of include/) it may use
declare -A may=(
	[vmm/base]="base"
	[vmm/mem]="mem base"
	[vmm/clock]="clock base"
	[vmm/cpu]="cpu base"
	[vmm/bus]="bus cpu base"
	[vmm/port]="port base"
	[vmm/dev]="dev bus cpu mem clock port base"
	[vmm/backend]="backend port base"
	[vmm/engine/exact]="engine cpu mem bus clock base"
	[vmm/engine/kvm]="engine cpu mem bus clock base"
	[vmm/boot]="boot dev bus clock port cpu mem base"
	[vmm/machine]="machine engine boot dev port bus clock cpu mem base"
	[record]="record machine engine port bus clock cpu mem base"
	[replay]="replay record gdbstub machine engine port bus clock cpu mem base"
	[gdbstub]="gdbstub cpu base"
	[ft]="ft replay record machine engine port bus clock cpu mem base"
	[vmm/cli]="ft gdbstub replay record machine engine backend boot port clock cpu mem base"
)
# public headers: their own module and those below
declare -A header_may=(
	[base]="base" [mem]="mem base" [clock]="clock base" [cpu]="cpu base" [bus]="bus cpu base"
	[port]="port base" [dev]="dev bus mem clock port cpu base" [backend]="backend port base"
	[engine]="engine cpu mem bus clock base" [boot]="boot cpu mem base"
	[machine]="machine engine port cpu mem bus clock base"
	[record]="record machine engine port cpu mem bus clock base"
	[replay]="replay record gdbstub machine engine port cpu mem bus clock base"
	[gdbstub]="gdbstub cpu base" [ft]="ft replay record machine engine port cpu mem bus clock base"
)
# headers that belong in one folder, or a few: a library behind its module, and the interface that replay/
# offers to the debugger's side
declare -A only_in=(
	[Zydis/Zydis.h]="vmm/engine/exact" [Zydis.h]="vmm/engine/exact" [linux/kvm.h]="vmm/engine/kvm"
	[gdbstub/debug_target.h]="gdbstub replay include/replay include/gdbstub vmm/cli"
	[seccomp.h]="vmm/cli" [termios.h]="vmm/backend vmm/cli" [lz4.h]="record ft" [openssl/ssl.h]="ft" [curl/curl.h]="ft" [xxhash.h]="vmm/base"
)

complain() {
	failed=$((failed + 1))
	echo "$1: includes $2, which $3"
}

# check_file FILE FOLDER ALLOWED
check_file() {
	local file=$1 folder=$2 allowed=" $3 " inc module
	while read -r inc; do
		checked=$((checked + 1))
		if [ -n "${only_in[$inc]:-}" ]; then
			case " ${only_in[$inc]} " in
			*" $folder "*) ;;
			*) complain "$file" "$inc" "belongs in ${only_in[$inc]}" ;;
			esac
			continue
		fi
		case $inc in
		*/*) module=${inc%%/*} ;;
		*) continue ;; # the folder's own, or the C library's
		esac
		[ -d "include/$module" ] || continue # sys/mman.h and the like
		case $allowed in
		*" $module "*) ;;
		*) complain "$file" "$inc" "is above or beside its layer (may: $3)" ;;
		esac
	done < <(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]\([^">]*\)[">].*/\1/p' "$file")
}

for folder in "${!may[@]}"; do
	for file in "$folder"/*.c "$folder"/*.h "$folder"/*.inc; do
		[ -e "$file" ] && check_file "$file" "$folder" "${may[$folder]}"
	done
done
for module in "${!header_may[@]}"; do
	for file in include/"$module"/*.h; do
		[ -e "$file" ] && check_file "$file" "include/$module" "${header_may[$module]}"
	done
done
for dir in include/*/ ; do
	module=$(basename "$dir")
	[ -n "${header_may[$module]:-}" ] || { failed=$((failed + 1)); echo "include/$module: not in the table"; }
done
while read -r dir; do
	[ -n "${may[$dir]:-}" ] || { failed=$((failed + 1)); echo "$dir: not in the table"; }
done < <(find vmm record replay gdbstub ft -name '*.c' -printf '%h\n' 2>/dev/null | sort -u)

echo "$checked includes checked, $failed wrong"
[ "$failed" = 0 ]
