#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is typed while recording comes back in the replay: through a pipe, and at a terminal with Ctrl-A x.
. "$(dirname "$0")/lib.sh"
need "$kernel" "$initrd"

mkfifo in
exec 3<>in # both ends, so that neither open waits for the other
record_start t echo <in
wait_for t.out 'rv: ready' 300 || die "the guest did not get ready: $(cat t.err)"
printf 'hello world\n' >&3
wait_for t.out 'rv: got [hello world]' 60 || die "no answer: $(tail -n 5 t.out)"
# A burst larger than the guest's FIFO, in canonical lines.
for i in $(seq 40); do printf 'line number %d of a burst\n' "$i"; done >&3
wait_for t.out 'rv: got [line number 40 of a burst]' 120 || die "the burst was lost: $(tail -n 5 t.out)"
printf 'bye\n' >&3
wait $pid || die "record: status $?: $(cat t.err)"
exec 3>&-
[ "$("$RV" dump t | grep -c ' console ')" -ge 2 ] || die "no console events in the log"
"$RV" dump t | grep -q 'console.*hello' || die "the log does not hold what was typed"
replays t t.out
say "a pipe's input came back"

# A real terminal, by script(1): Ctrl-A x ends the run; the end is part of the recording.
command -v script >/dev/null || { say "no script(1): terminal part left out"; exit 0; }
mapfile -t options < <(machine echo)
printf '%q ' "$RV" record -o tty "${options[@]}" >tty.cmd
printf '\nexit $?\n' >>tty.cmd
mkfifo keys
exec 4<>keys
script -qefc "bash $work/tty.cmd" typescript <keys >/dev/null &
pid=$!
wait_for typescript 'rv: ready' 300 || die "terminal: the guest did not get ready"
printf 'typed\r' >&4
wait_for typescript 'rv: got [typed]' 60 || die "terminal: no answer"
printf '\001x' >&4
wait $pid || die "terminal: Ctrl-A x: status $?"
exec 4>&-
[ "$(json tty end)" = stopped ] || die "terminal: end is $(json tty end)"
"$RV" verify tty >/dev/null || die "terminal: verify: status $?"
say "a terminal's input came back"
