#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every source file: a licence line, tabs, at most 800 lines (850 for tables), no trailing blanks, no
# unfinished business; every source folder: a README. usage: files.sh SOURCE-ROOT
set -u
cd "$1" || exit 1
failed=0 checked=0
complain() {
	failed=$((failed + 1))
	echo "$1: $2"
}

unfinished='\b(TO''DO|FIX''ME|X''XX|HA''CK|not imple''mented)\b'
while read -r file; do
	checked=$((checked + 1))
	head -n 4 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || complain "$file" "no SPDX line"
	lines=$(wc -l <"$file")
	[ "$lines" -le 850 ] || complain "$file" "$lines lines"
	grep -nE '[[:blank:]]+$' "$file" | head -n 1 | grep -q . && complain "$file" "trailing blanks"
	grep -qE "$unfinished" "$file" && complain "$file" "unfinished: $(grep -nE "$unfinished" "$file" | head -n 1)"
	case $file in
	*.c | *.h)
		head -n 1 "$file" | grep -q '^/\* SPDX' || complain "$file" "SPDX must be the first line"
		grep -qP '^ {4,}\S' "$file" && complain "$file" "indented with blanks"
		;;
	esac
done < <(find include vmm record replay gdbstub ft tests .ci setup.sh CMakeLists.txt \
	\( -name '*.[ch]' -o -name '*.sh' -o -name '*.S' -o -name '*.proto' -o -name 'CMakeLists.txt' \
	-o -path '.ci/run' \) -type f 2>/dev/null)

while read -r dir; do
	checked=$((checked + 1))
	[ -s "$dir/README.md" ] || complain "$dir" "no README.md"
done < <(find vmm record replay gdbstub ft -name '*.c' -printf '%h\n' 2>/dev/null | sort -u)

echo "$checked checked, $failed wrong"
[ "$failed" = 0 ]
