#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a hot standby costs, and how long it takes to step in. Figures only; nothing is asserted.

  failover    from SIGKILL of the primary to the first frame with the guest's address from the survivor's port, at the
              default timeout and at --timeout=100; parts of it as the survivor says them
  latency     of a ping and of a redis SET, unprotected and protected, interleaved
  throughput  of redis at a fixed offered load, for which the unprotected vCPU is busy 40 to 50 % of the time, and
              saturated; and the log's rate
  join        how long the guest stands still when a backup joins (1 GiB)

Environment: RV, RV_IMAGES, RV_BENCH_ROUNDS (11), RV_BENCH_SECONDS (5)."""
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ft"))
from pair import (GUEST_IP, MAC, RV, Network, Pair, Redis, say, sh, skip_unless_possible, wait_guest)  # noqa: E402

ROUNDS = int(os.environ.get("RV_BENCH_ROUNDS", "11"))
SECONDS = float(os.environ.get("RV_BENCH_SECONDS", "5"))


class Sniffer(threading.Thread):
    """Times of frames with the guest's address that leave a host."""

    def __init__(self, net, host):
        super().__init__(daemon=True)
        self.net, self.host, self.times = net, host, []
        self.start()

    def run(self):
        self.net.enter(self.host)
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.bind(("tap0", 0))
        mac = bytes(int(x, 16) for x in MAC.split(":"))
        while True:
            frame, address = s.recvfrom(64)
            if frame[6:12] == mac and address[2] != socket.PACKET_OUTGOING:
                self.times.append(time.monotonic())

    def first_after(self, moment, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            later = [t for t in self.times if t > moment]
            if later:
                return later[0] - moment
            time.sleep(0.005)
        raise RuntimeError("the survivor sends nothing")


def up(pair, protected=True, options=()):
    backup = None
    if protected:
        backup = pair.backup("B", *options)
        backup.says("waiting for a primary", 20)
    primary = pair.primary("A", *options)
    if protected:
        primary.wait(("protected",), 60)
    wait_guest(primary)
    return primary, backup


def failover(net, options, what):
    pair = Pair(net, options)
    sniff = {host: Sniffer(net, host) for host in ("A", "B")}
    first, parts = [], []
    try:
        primary, backup = up(pair)
        load = Redis(net)
        for i in range(ROUNDS):
            time.sleep(2 + i % 3 * 0.37)
            moment = time.monotonic()
            primary.kill()
            first.append(1e3 * sniff[backup.host].first_after(moment))
            backup.wait(("solo", "joining", "protected"), 20)
            parts.append(backup.stats()["failover"])
            host, primary = primary.host, backup
            backup = pair.backup(host)
            primary.wait(("protected",), 120)
        load.finish()
        print("failover, %s: first frame after %.0f ms (median of %d; %.0f to %.0f); lost after %.0f, term after %.0f, "
              "live after %.0f ms of silence" % (
                  what, statistics.median(first), ROUNDS, min(first), max(first),
                  *(statistics.median(p[k] for p in parts) for k in ("lost_ms", "won_ms", "live_ms"))), flush=True)
    finally:
        pair.close()


def ping(net, count):
    out = subprocess.run(["ip", "netns", "exec", net.names["client"], "ping", "-n", "-i", "0.02", "-c", str(count), GUEST_IP],
                         stdout=subprocess.PIPE, text=True, check=False).stdout
    return [float(x) for x in re.findall(r"time=([0-9.]+) ms", out)]


def redis_latency(net, seconds):
    client = Redis(net, pause=0.005)
    time.sleep(seconds)
    client.stop = True
    client.join(60)
    sh("ip", "netns", "exec", net.names["client"], "redis-cli", "-h", GUEST_IP, "flushall")
    return [1e3 * x for x in client.latency]


def cpu(node):
    done = subprocess.check_output([RV, "ctl", node.ctl, "stats"], text=True)
    stats = json.loads(done)
    return stats["vcpu_cpu_seconds"], stats["seconds"], stats["ft"]["log_bytes"]


class Plain(Redis):
    """SET alone: its counts are not checked, since several run at once."""

    def work(self):
        s = self.connect(6379)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        f = s.makefile("rb")
        n = 0
        begin = time.monotonic()
        while not self.stop:
            n += 1
            s.sendall(self.command(b"SET", b"k", b"v" * 64))
            if f.readline() != b"+OK\r\n":
                raise RuntimeError("SET failed")
            now = time.monotonic()
            self.replies.append(now)
            # Offered at a fixed rate: a late answer is not waited out.
            if self.pause:
                time.sleep(max(0.0, begin + n * self.pause - now))


def costs(net):
    pair = Pair(net)
    try:
        primary, backup = up(pair)
        joins = [primary.stats()["last_join_pause_ms"]]
        pings, sets = {False: [], True: []}, {False: [], True: []}
        rates = {("fixed", False): [], ("fixed", True): [], ("full", False): [], ("full", True): []}
        busy, logs = [], []
        # Calibration: the pause for which an unprotected vCPU is busy 40 to 50 %.
        backup.kill()
        primary.wait(("solo",), 20)
        pause = 0.004
        for _ in range(8):
            _, share, _ = throughput(net, primary, 4, pause, 2)
            if 0.40 <= share <= 0.50:
                break
            pause *= min(3.0, max(0.33, share / 0.45))
        say("offered load: 4 clients, one SET each %.2f ms" % (1e3 * pause))
        for i in range(max(3, ROUNDS // 2)):
            for protected in (False, True):
                if protected:
                    backup = pair.backup("B")
                    primary.wait(("protected",), 120)
                    joins.append(primary.stats()["last_join_pause_ms"])
                    time.sleep(0.5)
                pings[protected] += ping(net, 100)
                sets[protected] += redis_latency(net, SECONDS / 2)
                rate, share, log = throughput(net, primary, 4, pause, SECONDS)
                rates["fixed", protected].append(rate)
                if not protected:
                    busy.append(share)
                else:
                    logs.append((log, share))
                rate, _, log = throughput(net, primary, 4, 0, SECONDS / 2)
                rates["full", protected].append(rate)
                if protected:
                    logs.append((log, 1))
                    backup.kill()
                    primary.wait(("solo",), 20)
        for what, got in (("ping", pings), ("redis SET+INCR, appendfsync always", sets)):
            a, b = statistics.median(got[False]), statistics.median(got[True])
            print("latency of %s: %.3f ms unprotected, %.3f ms protected: %.3f ms more" % (what, a, b, b - a))
        for what in ("fixed", "full"):
            a, b = (statistics.median(rates[what, p]) for p in (False, True))
            ratio = statistics.median(y / x for x, y in zip(rates[what, False], rates[what, True]))
            print("throughput, %s load: %.0f/s unprotected, %.0f/s protected: ratio %.3f" % (what, a, b, ratio))
        print("unprotected vCPU at the fixed load: %.0f %% busy" % (100 * statistics.median(busy)))
        print("log: %.2f Mbit/s at the fixed load, %.2f saturated" % tuple(
            8e-6 * statistics.median(l for l, _ in part) for part in (logs[0::2], logs[1::2])))
        print("join of a backup: guest stood still for %.1f ms (median of %d; at most %.1f), 1 GiB" % (
            statistics.median(joins), len(joins), max(joins)))
    finally:
        pair.close()


def throughput(net, node, clients, pause, seconds):
    sh("ip", "netns", "exec", net.names["client"], "redis-cli", "-h", GUEST_IP, "config", "set", "appendfsync", "everysec")
    fleet = [Plain(net, pause) for _ in range(clients)]
    time.sleep(0.5)
    begin, start, before = cpu(node), time.monotonic(), sum(len(c.replies) for c in fleet)
    time.sleep(seconds)
    end, took, after = cpu(node), time.monotonic() - start, sum(len(c.replies) for c in fleet)
    for c in fleet:
        c.stop = True
    for c in fleet:
        c.join(60)
        if c.error:
            raise RuntimeError(c.error)
    sh("ip", "netns", "exec", net.names["client"], "redis-cli", "-h", GUEST_IP, "config", "set", "appendfsync", "always")
    wall = end[1] - begin[1]
    return (after - before) / took, (end[0] - begin[0]) / wall, (end[2] - begin[2]) / wall


def main():
    skip_unless_possible("ping", "redis-cli")
    which = sys.argv[1:] or ["failover", "failover-100", "costs"]
    with Network() as net:
        if "failover" in which:
            failover(net, (), "default timeout (500 ms)")
        if "failover-100" in which:
            failover(net, ("--timeout=100",), "--timeout=100")
        if "costs" in which:
            costs(net)
    return 0


if __name__ == "__main__":
    sys.exit(main())
