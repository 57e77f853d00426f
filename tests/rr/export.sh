#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pack, unpack and export on a recording: the same trace comes out, hostile archives are refused, the console is
# the recorded one, and the timeline works in a real browser, whatever strings it holds.
. "$(dirname "$0")/lib.sh"
need "$kernel" "$initrd"

record t off --checkpoint-every=0.5 --ctl="$work/ctl" </dev/null &
sleep 1
"$RV" ctl ctl mark '</script><img src=x onerror=document.title="owned"> --> &amp; "x"' >/dev/null || die "ctl"
wait $! || die "record: $(cat t.err)"

# ---- pack ----
"$RV" pack t packed || die "pack"
"$RV" unpack packed u || die "unpack"
diff -r t u || die "another trace came out"
tar -tf packed --zstd | grep -qx manifest || die "tar cannot read it"
"$RV" pack t packed 2>err && die "pack replaced a file"
"$RV" unpack packed u 2>err && die "unpack replaced a trace"
refused() { # NAME STATUS
	"$RV" unpack "$1" v >out 2>err
	status=$?
	[ $status = "$2" ] || die "$1: status $status, not $2: $(cat err)"
	[ "$(wc -l <err)" = 1 ] || die "$1: $(cat err)"
	[ -z "$(ls -d v v.tmp-* 2>/dev/null)" ] || die "$1: something stayed"
}
mkdir h && cp t/manifest h/ && cd h && mkdir log
ln -s /etc/passwd kernel && tar -cf ../link.tar --zstd manifest kernel && rm kernel
ln manifest initrd && tar -cf ../hard.tar --zstd manifest initrd && rm initrd
mkfifo kernel && tar -cf ../fifo.tar --zstd manifest kernel && rm kernel
tar -cf ../up.tar --zstd -P --transform 's,manifest,../manifest,' manifest
tar -cf ../absolute.tar --zstd -P "$PWD/manifest"
tar -cf ../twice.tar manifest && tar -rf ../twice.tar manifest && zstd -q ../twice.tar -o ../twice.tar.zst
echo x >notes && tar -cf ../other.tar --zstd manifest notes
cd ..
for f in link.tar hard.tar fifo.tar up.tar absolute.tar twice.tar.zst other.tar; do refused "$f" 4; done
head -c $(($(stat -c %s packed) / 2)) packed >half && refused half 4
head -c 5000 /dev/urandom >junk && refused junk 4
refused nowhere 1
cp packed flipped && printf '\377' | dd of=flipped bs=1 seek=20000 conv=notrunc status=none
"$RV" unpack flipped v >out 2>err
status=$?
[ $status = 4 ] || die "a flipped byte: status $status: $(cat err)"
rm -rf v

# ---- export ----
"$RV" export t --console=console --pcap=packets --timeline=page.html || die "export"
cmp console t.out || die "another console"
"$RV" export t --console=- >console2 && cmp console2 t.out || die "console on stdout"
"$RV" export t --console=console 2>err && die "export replaced a file"
[ "$(head -c 4 packets | od -An -tx1 | tr -d ' ')" = 0a0d0d0a ] || die "not a pcapng file"
grep -q '</script><img' page.html && die "a guest's string as markup"
if command -v chromium >/dev/null; then
	events=$("$RV" info --json t | grep -o '"events": {[^}]*}' | grep -oE '[0-9]+' | paste -sd+ | bc)
	timeout 120 chromium --headless --no-sandbox --disable-gpu --user-data-dir="$work/profile" \
		--dump-dom "file://$work/page.html" >dom 2>browser.err || die "browser: $(tail -n 3 browser.err)"
	grep -q "data-ready=\"$events\"" dom || die "the page's script did not count $events events: $(grep -o 'data-ready="[^"]*"' dom)"
	grep -q 'owned' <(grep -o '<title>[^<]*' dom) && die "a guest's string was executed"
	grep -q 'rv: ' dom || die "the page shows no console"
	say "seen in $(chromium --version 2>/dev/null | cut -d' ' -f1-2)"
else
	say "no chromium: the page was not opened"
fi
