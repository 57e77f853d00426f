#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What recording costs a server, and what its log holds.

The Debian server boots twice, under `run` and under `record`, and a third time under QEMU's record mode where
QEMU is installed. All stay up; the loads of tests/io/load.sh and fio on a second disk go to each in turn,
forwards and backwards, so that what disturbs the host disturbs all alike. Printed: medians, medians of the ratio
within a round; the same for the vCPU thread's CPU time of a request, which other work on the host does not
disturb; and the log's bytes beside its bound: 1.1 times the received bytes + 8 bytes an event + 4 KiB a
second.

Environment: RV, RV_IMAGES, RV_BENCH_PAIRS (11), RV_BENCH_SECONDS of each load (5), RV_BENCH_QEMU=0 leaves QEMU out.
"""
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RV = os.environ.get("RV", TOP + "/build/release/retrovisor")
GUEST = os.environ.get("RV_IMAGES", TOP + "/build/cache") + "/debian-12"
PAIRS = int(os.environ.get("RV_BENCH_PAIRS", "11"))
SECONDS = int(os.environ.get("RV_BENCH_SECONDS", "5"))
QEMU = shutil.which("qemu-system-x86_64") if os.environ.get("RV_BENCH_QEMU", "1") == "1" else None
APPEND = "root=/dev/vda rw console=ttyS0 panic=-1 quiet rv.job=idle"
FIO = ("fio --name=b --filename=/dev/vdb --size=64M --rw=randrw --bs=16k --ioengine=libaio --direct=1"
       " --iodepth=8 --time_based --runtime=%d --output-format=terse --terse-version=3" % SECONDS)


def free_ports(count):
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    return [s.getsockname()[1] for s in socks]


class Guest:
    """One server under one monitor; its serial console is a pair of pipes."""

    def __init__(self, name, work):
        self.name = name
        self.trace = work + "/" + name
        self.ports = free_ports(3)
        self.text = ""
        self.began = time.monotonic()
        second = work + "/" + name + ".img"
        with open(second, "wb") as f:
            f.truncate(80 << 20)
        forward = ",".join("hostfwd=tcp:127.0.0.1:%d-:%d" % pair for pair in zip(self.ports, (80, 6379, 5432)))
        self.ctl = work + "/" + name + ".ctl"
        command = self.qemu(second, forward) if name == "qemu" else self.retrovisor(second, forward)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(work + "/" + name + ".err", "wb"))
        threading.Thread(target=self.collect, daemon=True).start()

    def retrovisor(self, second, forward):
        verb = ["run"] if self.name == "run" else ["record", "-o", self.trace]
        return [RV, *verb, "--ctl=" + self.ctl, "--kernel=" + GUEST + "/vmlinuz", "--initrd=" + GUEST + "/initrd.gz", "--memory=1G",
                "--no-reboot", "--append=" + APPEND, "--disk=" + GUEST + "/disk.img", "--disk=" + second,
                "--net=user," + forward]

    def qemu(self, second, forward):
        args = [QEMU, "-accel", "tcg", "-cpu", "Nehalem", "-m", "1024", "-display", "none", "-serial", "stdio",
                "-monitor", "none", "-no-reboot", "-kernel", GUEST + "/vmlinuz", "-initrd", GUEST + "/initrd.gz",
                "-append", APPEND, "-icount", "shift=auto,rr=record,rrfile=" + self.trace]
        for i, path in enumerate((GUEST + "/disk.img", second)):
            # snapshot=on: the file stays as it is, as without commit=on.
            args += ["-drive", "file=%s,format=raw,if=none,snapshot=on,id=raw%d" % (path, i),
                     "-drive", "driver=blkreplay,if=none,image=raw%d,id=disk%d" % (i, i),
                     "-device", "virtio-blk-pci,drive=disk%d" % i]
        return args + ["-netdev", "user,id=n," + forward, "-device", "virtio-net-pci,netdev=n",
                       "-object", "filter-replay,id=r,netdev=n"]

    def collect(self):
        while True:
            part = os.read(self.process.stdout.fileno(), 65536)
            if not part:
                return
            self.text += part.decode("utf-8", "replace")

    def expect(self, pattern, start, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.search(pattern, self.text[start:])
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        sys.exit("%s: no '%s': %s" % (self.name, pattern, self.text[-800:]))

    def type(self, line):
        start = len(self.text)
        for byte in line.encode() + b"\n":
            self.process.stdin.write(bytes([byte]))
            self.process.stdin.flush()
            if self.name == "qemu":
                time.sleep(0.02)  # its serial port loses what comes faster
        return start

    def boot(self):
        self.expect(r"multi-user\.target active", 0, 900)
        self.expect(r"login:", 0, 300)
        self.boot_seconds = time.monotonic() - self.began
        self.expect(r"root@rv-guest", self.type("root"), 300)

    def ask(self, command, seconds):
        """What the command prints, on one line. The quotes keep the echo of the typing from being taken for it."""
        start = self.type('echo "A""NSWER<$(%s)>"' % command)
        return self.expect(r"ANSWER<([^>]*)>", start, seconds).group(1)

    def cpu(self):
        """Seconds of CPU that the vCPU thread took so far; QEMU does not say."""
        if self.name == "qemu":
            return 0.0
        return json.loads(subprocess.check_output([RV, "ctl", self.ctl, "stats"]))["vcpu_cpu_seconds"]

    def load(self):
        rates, costs = {}, {}
        for service, port in zip(("http", "redis", "sql"), self.ports):
            begin = self.cpu()
            done = subprocess.run([TOP + "/tests/io/load.sh", "--%s=%d" % (service, port), "--seconds=%d" % SECONDS,
                                   "--www=" + GUEST + "/www"], stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                sys.exit("%s: %s" % (self.name, done.stdout))
            got = {k: float(v) for k, v in re.findall(r"load: (\S+) .*rate=([0-9.]+)/s", done.stdout)}
            rates.update(got)
            costs[service] = (self.cpu() - begin) / sum(got.values())
        begin = self.cpu()
        read, write = self.ask(FIO + " | cut -d ';' -f 7,48", 60 + 20 * SECONDS).split(";")
        rates["fio MB/s"] = (int(read) + int(write)) * 1024 / 1e6
        costs["fio"] = (self.cpu() - begin) / rates["fio MB/s"]
        rates["costs"] = costs
        return rates

    def received(self):
        return int(self.ask("cat /sys/class/net/en*/statistics/rx_bytes", 60))

    def end(self):
        self.type("poweroff")
        try:
            self.process.wait(300)
        except subprocess.TimeoutExpired:
            sys.exit("%s: does not power off" % self.name)
        return time.monotonic() - self.began


def log_bound(guest, received, seconds):
    info = json.loads(subprocess.check_output([RV, "info", "--json", guest.trace]))
    events = sum(info["events"].values())
    bound = 1.1 * received + 8 * events + 4096 * seconds
    print("log: %d bytes, %.0f a second; received %d bytes, %d events, %.0f s: bound %.0f, %.2f of it" % (
        info["log_bytes"], info["log_bytes"] / seconds, received, events, seconds, bound,
        info["log_bytes"] / bound))


def main():
    for path in ("/disk.img", "/vmlinuz", "/initrd.gz", "/pgbench"):
        if not os.path.exists(GUEST + path):
            print("skipped: no " + GUEST + path)
            return 77
    names = ["run", "record"] + (["qemu"] if QEMU else [])
    with tempfile.TemporaryDirectory() as work:
        guests = []
        try:
            for name in names:
                guests.append(Guest(name, work))
                guests[-1].boot()
                print("%-7s up in %.1f s" % (name, guests[-1].boot_seconds), flush=True)
            results = {name: [] for name in names}
            for i in range(PAIRS):
                for guest in guests if i % 2 == 0 else reversed(guests):
                    results[guest.name].append(guest.load())
                print("round %d: %s" % (i, "  ".join(
                    "%s %.0f" % (g.name, results[g.name][-1]["http"]) for g in guests)), flush=True)
            costs = {name: [r.pop("costs") for r in results[name]] for name in names}
            for key in results["run"][0]:
                line = "%-10s" % key
                for name in names:
                    line += "  %s %.1f" % (name, statistics.median(r[key] for r in results[name]))
                for name in names[1:]:
                    line += "  %s/run %.3f" % (name, statistics.median(
                        r[key] / b[key] for r, b in zip(results[name], results["run"])))
                print(line)
            for key in costs["run"][0]:
                print("%-10s  vCPU time a request, record/run %.3f" % (key, statistics.median(
                    b[key] / a[key] for a, b in zip(costs["run"], costs["record"]))))
            for guest in guests:
                received = guest.received()
                seconds = guest.end()
                if guest.name == "record":
                    log_bound(guest, received, seconds)
                if guest.name == "qemu":
                    size = os.path.getsize(guest.trace)
                    print("qemu's log: %d bytes, %.0f a second; received %d bytes" % (size, size / seconds, received))
        finally:
            for guest in guests:
                if guest.process.poll() is None:
                    guest.process.send_signal(signal.SIGKILL)
                    guest.process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
