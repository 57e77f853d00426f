#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scenarios of a hot-standby pair under load. usage: failover.py SCENARIO [ROUNDS]

Exit status 0, 77 (not possible here), or 1 with what went wrong. RV, RV_IMAGES, RV_SEED as elsewhere; RV_KEEP=1 leaves
the nodes' logs and consoles in place."""
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

from pair import (CHANNEL, GUEST, GUEST_IP, PORT, RV, TOP, Etcd, Failure, Load, Network, Pair, Proxy, check_console,
                  pick_moment, say, seeded, sh, skip_unless_possible, wait_guest)


def other(host):
    return "B" if host == "A" else "A"


def start(pair, options=()):
    """Both halves from power-on, the guest up and under load."""
    backup = pair.backup("B", *options)
    backup.says("waiting for a primary", 20)
    primary = pair.primary("A", *options)
    primary.wait(("protected",), 60)
    backup.wait(("following",), 10)
    wait_guest(primary)
    load = Load(pair.net)
    load.goes_on()
    return primary, backup, load


def protect_again(pair, survivor, host, options=()):
    fresh = pair.backup(host, *options)
    survivor.wait(("protected",), 120)
    fresh.wait(("following",), 20)
    return fresh


def kill_round(rng, pair, primary, backup, load, report):
    """The primary dies at a random moment; the backup carries on, and gets a backup where the dead one was."""
    load.goes_on()
    time.sleep(pick_moment(rng))
    load.check()
    first = check_console(primary)[0]
    moment = time.monotonic()
    primary.kill()
    gap = load.first_after(moment)
    backup.wait(("solo", "joining", "protected"), 30)
    load.goes_on()
    took = backup.stats()["failover"]
    report.append(gap * 1e3)
    say("%s died, %s took over (term %d): first answer after %.0f ms; lost %.0f, term %.0f, live %.0f ms" % (
        primary.name, backup.name, backup.stats()["term"], gap * 1e3, took["lost_ms"], took["won_ms"], took["live_ms"]))
    dead, alive = check_console(primary), check_console(backup)
    if dead[1] is not None and alive[1] < dead[1]:
        raise Failure("the survivor's console ends before the dead one's")
    if first == 0 and alive[0] == 0:
        with open(primary.console, "rb") as a, open(backup.console, "rb") as b:
            a = a.read()
            if not b.read().startswith(a):
                raise Failure("the dead console is no prefix of the survivor's")
    return backup


def kills(rounds, options=(), etcd=False):
    rng, report = seeded(), []
    with Network() as net:
        pair = Pair(net, options)
        arbiter = None
        try:
            if etcd:
                arbiter = Etcd(net, pair.work)
                pair.arbiter = arbiter.spec
            primary, backup, load = start(pair)
            for i in range(rounds):
                primary = kill_round(rng, pair, primary, backup, load, report)
                if i + 1 < rounds:
                    backup = protect_again(pair, primary, other(primary.host))
            say("%d failovers, first answer after %.0f ms (median; %.0f to %.0f); %s" % (
                rounds, statistics.median(report), min(report), max(report), load.finish()))
        finally:
            finish(pair, arbiter)


def commit(rounds):
    """Writes reach the images. A host that died has an image like no other, and gets the survivor's; one that joins at
    first need not have the same at all. In the end both are equal."""
    rng, report = seeded(), []
    with Network() as net:
        pair = Pair(net, disk="commit=on")
        try:
            with open(pair.disk("B"), "r+b") as f:
                f.seek(100 << 20)
                f.write(os.urandom(5 << 20))
            primary, backup, load = start(pair)
            primary.says("6 MiB of disk 0 differed|5 MiB of disk 0 differed", 5)
            for _ in range(rounds):
                primary = kill_round(rng, pair, primary, backup, load, report)
                backup = protect_again(pair, primary, other(primary.host))
                say(" ".join(line for line in primary.text().splitlines() if "differed" in line)[-120:])
            text = load.finish()
            sh(RV, "ctl", primary.ctl, "stop")
            if primary.ends(30) or backup.ends(60):
                raise Failure("statuses %s and %s" % (primary.process.returncode, backup.process.returncode))
            sh("cmp", pair.disk("A"), pair.disk("B"))
            check_console(backup)
            say("both images are equal; " + text)
        finally:
            finish(pair)


def shared(rounds):
    """One image for both. The fence is what makes sure that a dead primary is dead: here it kills one that only hangs."""
    rng, report = seeded(), []
    with Network() as net:
        pair = Pair(net, disk="shared")
        fence = pair.work + "/fence"
        with open(fence, "w") as f:
            os.fchmod(f.fileno(), 0o700)
            f.write("#!/bin/sh\necho $RETROVISOR_TERM >>%s.log\nkill -9 $(cat %s.victim)\nexit 0\n" % (fence, fence))
        pair.options.append("--fence=" + fence)
        try:
            primary, backup, load = start(pair)
            database = sql(pair)
            for i in range(rounds):
                with open(fence + ".victim", "w") as f:
                    f.write(" ".join(str(p) for p in primary.group()))
                if i % 2:
                    time.sleep(pick_moment(rng))
                    primary.signal_all(signal.SIGSTOP)
                    backup.wait(("solo", "joining", "protected"), 30)
                    primary.ends(10)
                    load.goes_on()
                    say("%s hung, was fenced, and %s took over" % (primary.name, backup.name))
                    primary = backup
                else:
                    primary = kill_round(rng, pair, primary, backup, load, report)
                backup = protect_again(pair, primary, other(primary.host))
            with open(fence + ".log") as f:
                terms = [int(t) for t in f.read().split()]
            if terms != list(range(2, rounds + 2)):
                raise Failure("the fence was run for terms %s" % terms)
            if database.wait(300):
                raise Failure("the database: " + database.stdout.read())
            text = load.finish()
            sh(RV, "ctl", primary.ctl, "stop")
            if primary.ends(30) or backup.ends(60):
                raise Failure("statuses %s and %s" % (primary.process.returncode, backup.process.returncode))
            # As after a power cut: the journal is replayed, and nothing else is wrong.
            subprocess.run(["e2fsck", "-fy", "-E", "journal_only", pair.disk("A")], stdout=subprocess.DEVNULL, check=False)
            done = subprocess.run(["e2fsck", "-fn", pair.disk("A")], stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                raise Failure("the image: " + done.stdout[-1500:])
            say("the image is sound; " + text)
        finally:
            finish(pair)


def finish(pair, arbiter=None):
    if sys.exc_info()[0]:
        for node in pair.nodes:
            say("%s (exit status %s) had said: %s" % (node.name, node.process.poll(), node.text()[-800:]))
    if arbiter:
        arbiter.close()
    try:
        if os.environ.get("RV_KEEP"):
            say("kept: %s.kept" % pair.work)
            shutil.copytree(pair.work, pair.work + ".kept", ignore=shutil.ignore_patterns("*.img", "*.ctl"))
    finally:
        pair.close()


def cut_channel(rounds):
    """Both live on: one of them goes on, the other halts; which, the arbiter says."""
    rng = seeded()
    with Network() as net:
        pair = Pair(net)
        try:
            primary, backup, load = start(pair)
            for _ in range(rounds):
                time.sleep(pick_moment(rng, 0.2, 2))
                net.link("A", "ch0", False)
                deadline = time.monotonic() + 20
                while time.monotonic() < deadline:
                    ended, role = primary.process.poll(), backup.role()
                    if (ended is not None) != (role == "waiting"):
                        break
                    time.sleep(0.02)
                if ended is not None:
                    if ended != 5:
                        raise Failure("the loser ended with %s" % ended)
                    backup.wait(("solo",), 10)
                    winner, loser = backup, None
                else:
                    primary.wait(("solo",), 10)
                    backup.wait(("waiting",), 10)
                    winner, loser = primary, backup
                load.goes_on()
                say("the channel is cut: %s goes on alone" % winner.name)
                net.link("A", "ch0", True)
                backup = loser or pair.backup(other(winner.host))
                primary = winner
                primary.wait(("protected",), 60)
                load.goes_on()
            check_console(primary)
            say(load.finish())
        finally:
            finish(pair)


def cut_clients(_):
    """The primary's client network goes and comes back: nobody takes over; then it dies, and somebody does."""
    rng, report = seeded(), []
    with Network() as net:
        pair = Pair(net)
        try:
            primary, backup, load = start(pair)
            net.link(primary.host, "up0", False)
            time.sleep(3)
            if primary.role() != "protected" or backup.role() != "following":
                raise Failure("roles changed: %s, %s" % (primary.role(), backup.role()))
            net.link(primary.host, "up0", True)
            load.goes_on(120)
            kill_round(rng, pair, primary, backup, load, report)
            say(load.finish())
        finally:
            finish(pair)


def sql(pair):
    """A database at work, with several writes to the disk on their way at any time."""
    return subprocess.Popen(["ip", "netns", "exec", pair.net.names["client"], TOP + "/tests/io/load.sh", "--host=" + GUEST_IP,
                             "--sql=5432", "--seconds=8", "--www=" + GUEST + "/www"], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def replace_backup(rounds):
    """Backups come and go while the machine is at work, on its disk too; the last of them takes over."""
    rng, report = seeded(), []
    with Network() as net:
        pair = Pair(net)
        try:
            primary, backup, load = start(pair)
            database = sql(pair)
            for _ in range(rounds):
                if database.poll() is not None:
                    if database.returncode:
                        raise Failure("the database: " + database.stdout.read())
                    database = sql(pair)
                time.sleep(pick_moment(rng, 0.2, 3))
                backup.kill()
                primary.wait(("solo",), 10)
                load.goes_on()
                backup = protect_again(pair, primary, backup.host)
                load.goes_on()
                say("a new backup; joined in %.0f ms, paused for %.1f ms" % (
                    primary.stats()["last_join_ms"], primary.stats()["last_join_pause_ms"]))
            if database.wait(300):
                raise Failure("the database: " + database.stdout.read())
            kill_round(rng, pair, primary, backup, load, report)
            say(load.finish())
        finally:
            finish(pair)


def hang(_):
    """A primary that stops and comes back finds itself replaced: it halts, and sends nothing more."""
    with Network() as net:
        pair = Pair(net)
        try:
            primary, backup, load = start(pair)
            primary.signal_all(signal.SIGSTOP)
            backup.wait(("solo",), 20)
            load.goes_on()
            sent = "cat /sys/class/net/tap0/statistics/rx_packets"
            before = int(sh("ip", "netns", "exec", net.names["A"], *sent.split()))
            primary.signal_all(signal.SIGCONT)
            if primary.ends(20) != 5:
                raise Failure("status %s" % primary.process.returncode)
            after = int(sh("ip", "netns", "exec", net.names["A"], *sent.split()))
            if after != before:
                raise Failure("%d packets after it was replaced" % (after - before))
            load.goes_on()
            check_console(backup)
            say("the one that hung halted without a packet; " + load.finish())
        finally:
            finish(pair)


def arbiter_down(_):
    """Nobody to ask: both wait, neither is live. It comes back: one goes on."""
    with Network() as net:
        for kind in ("file", "etcd"):
            pair, etcd = Pair(net), None
            try:
                if kind == "etcd":
                    etcd = Etcd(net, pair.work)
                    pair.arbiter = etcd.spec
                primary, backup, load = start(pair)
                if etcd:
                    etcd.process.send_signal(signal.SIGSTOP)
                else:
                    os.rename(pair.work + "/shared", pair.work + "/away")
                primary.kill()
                backup.wait(("taking",), 20)
                time.sleep(4)
                if backup.role() != "taking":
                    raise Failure("live without a term: %s" % backup.role())
                if etcd:
                    etcd.process.send_signal(signal.SIGCONT)
                else:
                    os.rename(pair.work + "/away", pair.work + "/shared")
                backup.wait(("solo",), 20)
                load.goes_on()
                check_console(backup)
                say("%s: waited for the arbiter, then went on; %s" % (kind, load.finish()))
            finally:
                finish(pair, etcd)


def switch(rounds):
    with Network() as net:
        pair = Pair(net)
        try:
            primary, backup, load = start(pair)
            for _ in range(rounds):
                begin = time.monotonic()
                sh(RV, "ctl", primary.ctl, "switch")
                status = primary.ends(20)
                if status:
                    raise Failure("the one that handed over ended with %s" % status)
                backup.wait(("solo", "joining", "protected"), 20)
                load.goes_on()
                say("%s handed over to %s; next answer of all within %.0f ms" % (
                    primary.name, backup.name, (time.monotonic() - begin) * 1e3))
                primary, backup = backup, protect_again(pair, backup, primary.host)
            check_console(primary)
            say(load.finish())
        finally:
            finish(pair)


def bad_links(_):
    """A proxy in the channel: slow, late, stalled, cut in the middle of a message, damaged."""
    with Network() as net:
        pair = Pair(net)
        proxy = Proxy(net, "A", 7100, (CHANNEL["B"], PORT))
        pair.peer_address["A"] = "%s:7100" % CHANNEL["A"]
        try:
            primary, backup, load = start(pair)

            def expect(what, roles=("protected",), seconds=60):
                primary.wait(roles, seconds)
                load.goes_on(120)
                say("%s: %s" % (what, primary.stats()["role"]))

            proxy.delay = 0.02
            expect("20 ms late both ways")
            time.sleep(3)
            proxy.delay, proxy.rate = 0.0, 2e6
            expect("2 MB/s")
            time.sleep(3)
            proxy.rate = 0.0
            proxy.stalled = True
            time.sleep(0.25)
            proxy.stalled = False
            expect("stalled for 250 ms")
            for what, attribute, amount in (("cut mid-message", "cut_after", 2000), ("a byte damaged", "corrupt_after", 2000),
                                            ("cut in a join", "cut_after", 3 << 20), ("damaged in a join", "corrupt_after", 3 << 20)):
                setattr(proxy, attribute, proxy.bytes + amount)
                if "join" in what:
                    proxy.cut()
                deadline = time.monotonic() + 60
                while getattr(proxy, attribute) is not None and time.monotonic() < deadline:
                    time.sleep(0.02)
                time.sleep(1)
                # Whoever won, there is one live half, and it takes a backup again.
                if primary.process.poll() is not None:
                    primary, backup = backup, pair.backup("A")
                primary.wait(("protected",), 90)
                load.goes_on(120)
                say("%s: survived by %s" % (what, primary.name))
                if primary.host == "B":
                    sh(RV, "ctl", primary.ctl, "switch")
                    primary.ends(20)
                    primary, backup = backup, pair.backup("B")
                    primary.wait(("protected",), 90)
            check_console(primary)
            say(load.finish())
        finally:
            finish(pair)


def refusals(_):
    """Wrong key, wrong pair, another image, a key file that others can read, options that cannot be."""
    with Network() as net:
        pair = Pair(net)
        try:
            def expect(node, pattern, text):
                node.says(pattern, 20)
                say(text)
                node.kill()

            primary = pair.primary("A")
            primary.wait(("solo",), 20)
            good = pair.psk
            pair.psk = pair.work + "/other"
            with open(pair.psk, "w") as f:
                os.fchmod(f.fileno(), 0o600)
                f.write("test:" + "ab" * 32 + "\n")
            backup = pair.backup("B")
            primary.says("TLS handshake failed", 20)
            expect(backup, "TLS handshake failed", "another key: refused")
            pair.psk = good
            expect(pair.backup("B", "--pair=another"), "refused: this is half of pair 'another'", "another pair: refused")
            with open(pair.disk("B"), "r+b") as f:
                f.seek(700 << 20)
                byte = f.read(1)
                f.seek(700 << 20)
                f.write(bytes([byte[0] ^ 1]))
            expect(pair.backup("B"), "the images of disk 0 differ, first in the MiB at 734003200", "another image: refused")
            os.chmod(pair.psk, 0o644)
            backup = pair.backup("B")
            if backup.ends(10) != 1 or "chmod 600" not in backup.text():
                raise Failure("a key that all can read: %s" % backup.text())
            os.chmod(pair.psk, 0o600)
            backup = pair.backup("B", "--net=user")
            if backup.ends(10) != 2 or "tap:NAME" not in backup.text():
                raise Failure("--net=user: %s" % backup.text())
            say("a key for all to read, --net=user: refused")
            if primary.role() != "solo":
                raise Failure("the primary is %s" % primary.role())
        finally:
            finish(pair)


def one_arbiter(_):
    """Two primaries of one pair: the later start takes the term, and the earlier finds out."""
    with Network() as net:
        pair = Pair(net)
        try:
            first = pair.primary("A")
            first.wait(("solo",), 20)
            second = pair.primary("B")
            second.wait(("solo",), 20)
            if first.ends(20) != 5:
                raise Failure("the first ended with %s" % first.process.returncode)
            say("the first halted")
        finally:
            finish(pair)


SCENARIOS = {
    "kill": kills,
    "kill-etcd": lambda rounds: kills(rounds, etcd=True),
    "kill-fast": lambda rounds: kills(rounds, ("--timeout=100",)),
    "commit": commit,
    "cut-channel": cut_channel,
    "cut-clients": cut_clients,
    "replace-backup": replace_backup,
    "hang": hang,
    "arbiter-down": arbiter_down,
    "shared": shared,
    "switch": switch,
    "bad-links": bad_links,
    "refusals": refusals,
    "superseded": one_arbiter,
}


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in SCENARIOS:
        sys.exit("usage: failover.py %s [ROUNDS]" % "|".join(SCENARIOS))
    skip_unless_possible("etcd")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begin = time.monotonic()
    try:
        SCENARIOS[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    except Failure as failure:
        say("FAIL: %s" % failure)
        return 1
    say("ok: %s in %.0f s" % (sys.argv[1], time.monotonic() - begin))
    return 0


if __name__ == "__main__":
    sys.exit(main())
