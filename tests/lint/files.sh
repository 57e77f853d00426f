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

# One process for all files: starting one for each check takes longer than the rest of the tests.
mapfile -t files < <(find include vmm record replay gdbstub ft tests .ci setup.sh CMakeLists.txt \
	\( -name '*.[ch]' -o -name '*.sh' -o -name '*.S' -o -name '*.proto' -o -name 'CMakeLists.txt' \
	-o -path '.ci/run' -o -name setup.sh \) -type f 2>/dev/null)
checked=${#files[@]}
while IFS=: read -r file problem; do
	complain "$file" "$problem"
done < <(awk '
	function finish() {
		if (name == "")
			return
		if (!spdx)
			print name ":no SPDX line"
		if (lines > 850)
			print name ":" lines " lines"
		if (trailing)
			print name ":trailing blanks in line " trailing
		if (blanks)
			print name ":indented with blanks in line " blanks
		if (open)
			print name ":unfinished, line " open
	}
	FNR == 1 {
		finish()
		name = FILENAME
		c = name ~ /\.[ch]$/
		spdx = trailing = blanks = open = 0
		if (c && $0 !~ /^\/\* SPDX-License-Identifier: Apache-2.0/)
			print name ":SPDX must be the first line"
	}
	FNR <= 4 && /SPDX-License-Identifier: Apache-2.0/ { spdx = 1 }
	/[ \t]$/ && !trailing { trailing = FNR }
	c && /^    +[^ *]/ && !blanks { blanks = FNR }
	/(^|[^A-Za-z_])(TO[D]O|FIX[M]E|X[X]X|HA[C]K|not imple[m]ented)([^A-Za-z_]|$)/ && !open { open = FNR }
	{ lines = FNR }
	END { finish() }
' "${files[@]}")

while read -r dir; do
	checked=$((checked + 1))
	[ -s "$dir/README.md" ] || complain "$dir" "no README.md"
done < <(find vmm record replay gdbstub ft -name '*.c' -printf '%h\n' 2>/dev/null | sort -u)

echo "$checked checked, $failed wrong"
[ "$failed" = 0 ]
