#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gdb on a recording of two vCPUs: one thread each, stops say whose they are, steps go both ways across turns, and a
# breakpoint is found backwards on the vCPU that met it.
here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here/tests/rr/lib.sh"
need "$kernel" "$initrd"
command -v gdb >/dev/null || { echo "skipped: no gdb"; exit 77; }

record t off --cpus=2 </dev/null || die "record: $(cat t.err)"
# A place late in the boot, and what both vCPUs are at there.
at=$(($(json t icount) * 9 / 10))
cat >script <<END
set pagination off
seek $at
info threads
thread 2
printf "second %#lx\n", \$rip
thread 1
printf "first %#lx\n", \$rip
END
for ((i = 0; i < 40; i++)); do printf 'stepi\nprintf "at %%#lx thread %%d\\n", $rip, $_thread\n' >>script; done
for ((i = 0; i < 40; i++)); do printf 'reverse-stepi\n' >>script; done
cat >>script <<'END'
thread 1
printf "again first %#lx\n", $rip
thread 2
printf "again second %#lx\n", $rip
monitor when
END
"$RV" debug t -x script --batch >out 2>&1 || die "gdb: $(tail -n 5 out)"
[ "$(grep -c 'Thread [12]' out)" -ge 2 ] || die "not two threads: $(grep -i thread out | head -n 5)"
for who in first second; do
	[ "$(grep "^$who" out | cut -d' ' -f2)" = "$(grep "^again $who" out | cut -d' ' -f3)" ] ||
		die "$who: not back where it was: $(grep "$who" out)"
done
grep -q "icount $at " out || die "not back at $at: $(grep icount out)"

# Where the second vCPU runs: a breakpoint there is met by it, forwards and backwards.
printf 'set pagination off\nseek %s\nthread 2\nprintf "second %%#lx\\n", $rip\n' "$at" >script
"$RV" debug t -x script --batch >out 2>&1 || die "gdb: $(tail -n 5 out)"
rip=$(grep '^second' out | cut -d' ' -f2)
cat >script <<END
set pagination off
seek $((at / 2))
hbreak *$rip
continue
printf "met at %#lx by %d\n", \$rip, \$_thread
monitor when
continue
printf "met at %#lx by %d\n", \$rip, \$_thread
reverse-continue
printf "met at %#lx by %d\n", \$rip, \$_thread
monitor when
END
"$RV" debug t -x script --batch >out 2>&1 || die "gdb: $(tail -n 5 out)"
[ "$(grep -c "^met at $rip" out)" = 3 ] || die "the breakpoint at $rip: $(grep '^met' out)"
[ "$(grep '^icount' out | tail -n 2 | sort -u | wc -l)" = 1 ] || die "backwards is not where it was: $(grep '^icount' out)"
say "$(grep '^met' out | sort | uniq -c | tr '\n' ';')"
