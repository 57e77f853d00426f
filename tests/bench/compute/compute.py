#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What computing costs: eight workloads and a boot, natively, in Retrovisor (run, record, replay) and in QEMU
(plain, record, replay), in the same run. Prints medians of processor seconds and of wall seconds, and ratios.

One round runs every system once, one after the other, so that a noisy machine is as noisy for all. In a guest the
workloads follow each other after one boot. Their lines "@begin" and "@end" arrive on the console; at these moments
the bench reads two clocks from the outside: CLOCK_MONOTONIC and the processor time of the whole virtual machine
monitor, all its threads. Ratios are of processor time.
"""

import argparse
import contextlib
import json
import math
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", "..", ".."))
SKIPPED = 77
USER = ["interp", "gzip", "chase", "memcpy", "matrix"]
WORKLOADS = USER + ["syscall", "forkexec", "pipe"]
SYSTEMS = ["native", "run", "record", "replay", "qemu", "qemu-rec", "qemu-rep"]
BOOT = "boot"


class Failed(Exception):
    pass


class Result:
    """One process: what it took from begin to end, and between the marks of each workload."""

    def __init__(self):
        self.wall = self.cpu = 0.0
        self.parts = {}  # workload: (wall, cpu)
        self.said = {}  # workload: (checksum, its own seconds, its own processor seconds)
        self.done = False


def cpu_clock(pid):
    """The clock of another process's processor time, all threads: what clock_getcpuclockid(3) returns."""
    return (~pid << 3) | 2


def clocks(pid):
    return time.monotonic(), time.clock_gettime(cpu_clock(pid))


def pin(cpu):
    # Inherited by the child: on several processors the two ends of a pipe would wait for each other's wake-ups.
    os.sched_setaffinity(0, {cpu})


def watch(argv, timeout, pinned=None, env=None):
    """Runs argv, console on its stdout, and returns its Result; Failed if it does not end well."""
    r = Result()
    begin, deadline = time.monotonic(), time.monotonic() + timeout
    begun = {}
    with tempfile.TemporaryFile() as err:
        p = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=err,
            env=env,
            preexec_fn=None if pinned is None else lambda: pin(pinned),
        )
        rest = b""
        try:
            while True:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([p.stdout], [], [], left)[0]:
                    raise Failed(f"no end after {timeout:.0f} s")
                # Before the read: the line is here, what it says has happened.
                now = clocks(p.pid)
                piece = os.read(p.stdout.fileno(), 65536)
                if not piece:
                    break
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    mark(r, begun, now, line.decode("ascii", "replace").split())
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if p.returncode is None:
                p.kill()
                p.wait()
            p.stdout.close()
        r.wall = time.monotonic() - begin
        r.cpu = usage.ru_utime + usage.ru_stime
        if p.returncode:
            err.seek(0)
            raise Failed(f"status {p.returncode}: {err.read()[-500:].decode(errors='replace').strip()}")
    return r


def mark(r, begun, now, words):
    if words[:1] == ["@begin"] and len(words) == 2:
        begun[words[1]] = now
    elif words[:1] == ["@end"] and len(words) == 5 and words[1] in begun:
        was = begun.pop(words[1])
        r.parts[words[1]] = (now[0] - was[0], now[1] - was[1])
        r.said[words[1]] = (words[2], float(words[3]), float(words[4]))
    elif words == ["@done"]:
        r.done = True


class Bench:
    def __init__(self, args, work):
        self.args = args
        self.work = work
        self.kernel = os.path.join(args.images, "vmlinuz-6.1-cloud")
        self.boot_initrd = os.path.join(args.images, "initramfs.gz")
        self.initrd = os.path.join(work, "initramfs.gz")
        self.program = os.path.join(work, "root", "bin", "compute")
        self.timeout = 120 + 600 * max(1.0, args.scale)
        self.sums = {}  # workload: checksum, the same for all
        self.values = {}  # (system, workload or "boot"): [(wall, cpu)]
        self.logs = {}  # system: [bytes]

    def prepare(self):
        """The guest is that of the other tests, with the program and an init on top."""
        os.makedirs(os.path.dirname(self.program))
        if self.args.program:
            shutil.copy(self.args.program, self.program)
        else:
            subprocess.run(
                ["cc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-static", os.path.join(HERE, "compute.c"), "-o", self.program],
                check=True,
            )
        shutil.copy(os.path.join(HERE, "init"), os.path.join(self.work, "root", "init"))
        # The same busybox natively.
        with subprocess.Popen(["gzip", "-dc", self.boot_initrd], stdout=subprocess.PIPE) as unpacked:
            subprocess.run(
                ["cpio", "-id", "--quiet", "--no-absolute-filenames", "*bin/busybox"],
                stdin=unpacked.stdout,
                cwd=self.work,
                check=True,
            )
        top = subprocess.run(
            ["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"],
            input=b"bin\nbin/compute\ninit\n",
            stdout=subprocess.PIPE,
            cwd=os.path.join(self.work, "root"),
            check=True,
        ).stdout
        with open(self.initrd, "wb") as out, open(self.boot_initrd, "rb") as below:
            out.write(below.read())
            out.write(subprocess.run(["gzip", "-n"], input=top, stdout=subprocess.PIPE, check=True).stdout)

    # ---- commands ----

    def trace(self, name):
        return os.path.join(self.work, name)

    def guest(self, boot):
        line = "console=ttyS0 panic=-1 quiet "
        if boot:
            return self.boot_initrd, line + "rv.mode=off"
        return self.initrd, line + f"rv.bench={','.join(self.args.workloads)} rv.scale={self.args.scale}"

    def retrovisor(self, command, boot):
        options = self.args.rv_option
        if command == "replay":
            return [self.args.rv, "replay", self.trace("trace")] + ["--no-console"] * boot + options
        initrd, line = self.guest(boot)
        output = ["-o", self.trace("trace")] if command == "record" else []
        return [
            self.args.rv, command, *output, f"--kernel={self.kernel}", f"--initrd={initrd}", f"--append={line}",
            "--memory=256M", "--no-reboot", *options,
        ]  # fmt: skip

    def qemu(self, mode, boot):
        initrd, line = self.guest(boot)
        icount = []
        if mode != "plain":
            icount = ["-icount", f"shift={self.args.qemu_shift},rr={mode},rrfile={self.trace('rr.bin')}"]
        return [
            "qemu-system-x86_64", "-accel", "tcg", "-cpu", "Nehalem", "-m", "256", "-nodefaults", "-no-reboot",
            "-display", "none", "-monitor", "none", "-net", "none", "-serial", "stdio",
            "-kernel", self.kernel, "-initrd", initrd, "-append", line, *icount,
        ]  # fmt: skip

    def command(self, system, boot):
        if system.startswith("qemu"):
            return self.qemu({"qemu": "plain", "qemu-rec": "record", "qemu-rep": "replay"}[system], boot)
        return self.retrovisor(system, boot)

    # ---- measuring ----

    def forget(self, system):
        if system == "record":
            shutil.rmtree(self.trace("trace"), ignore_errors=True)
        elif system == "qemu-rec":
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.trace("rr.bin"))

    def log_bytes(self, system):
        name = {"record": "trace/log", "qemu-rec": "rr.bin"}[system]
        path = self.trace(name)
        if os.path.isfile(path):
            return os.path.getsize(path)
        return sum(e.stat().st_size for e in os.scandir(path))

    def add(self, system, what, wall, cpu):
        self.values.setdefault((system, what), []).append((wall, cpu))

    def check_sum(self, system, name, value):
        if self.sums.setdefault(name, value) != value:
            raise Failed(f"{name} computed {value}, elsewhere {self.sums[name]}: {system} is wrong")

    def native(self):
        cpu = max(os.sched_getaffinity(0))
        env = dict(os.environ, COMPUTE_BUSYBOX=self.trace("bin/busybox"))
        argv = [self.program, *self.args.workloads, f"--scale={self.args.scale}"]
        r = watch(argv, self.timeout, pinned=cpu, env=env)
        for name, (value, wall, used) in r.said.items():
            self.check_sum("native", name, value)
            self.add("native", name, wall, used)

    def guest_run(self, system):
        self.forget(system)
        r = watch(self.command(system, False), self.timeout)
        if not r.done or set(r.parts) != set(self.args.workloads):
            raise Failed(f"the guest did {', '.join(r.parts) or 'nothing'} and did not finish")
        for name, (wall, used) in r.parts.items():
            self.check_sum(system, name, r.said[name][0])
            self.add(system, name, wall, used)
        if system in ("record", "qemu-rec"):
            self.logs.setdefault(system, []).append(self.log_bytes(system))

    def boot_run(self, system):
        self.forget(system)
        r = watch(self.command(system, True), self.timeout)
        self.add(system, BOOT, r.wall, r.cpu)

    def round(self):
        """Every system once. What QEMU cannot do is left out of the table; what Retrovisor cannot is an error."""
        broken = set()
        for step in [self.guest_run] * bool(self.args.workloads) + [self.boot_run] * self.args.boot:
            for system in self.args.systems:
                if system == "native":
                    if step == self.guest_run:
                        self.native()
                    continue
                if system == "qemu-rep" and (step, "qemu-rec") in broken:
                    continue
                try:
                    step(system)
                except Failed as e:
                    what = f"{system}, {'boot' if step == self.boot_run else 'workloads'}: {e}"
                    if not system.startswith("qemu"):
                        raise Failed(what) from e
                    print(f"compute: {what}", file=sys.stderr)
                    broken.add((step, system))

    # ---- the table ----

    def median(self, system, what, clock):
        values = self.values.get((system, what))
        return statistics.median(v[clock] for v in values) if values else None

    def ratio(self, a, b, what, clock):
        x, y = self.median(a, what, clock), self.median(b, what, clock)
        return x / y if x and y else None

    def table(self, clock, title):
        ratios = [("rec/native", "record", "native"), ("qrec/native", "qemu-rec", "native"),
                  ("rec/qrec", "record", "qemu-rec"), ("rep/rec", "replay", "record")]  # fmt: skip
        rows = self.args.workloads + [BOOT] * self.args.boot
        print(f"\n{title}")
        print(f"{'':<14}" + "".join(f"{s:>10}" for s in SYSTEMS) + "".join(f"{name:>13}" for name, _, _ in ratios))
        for what in rows:
            cells = "".join(cell(self.median(s, what, clock), 10, 3) for s in SYSTEMS)
            print(f"{what:<14}{cells}" + "".join(cell(self.ratio(a, b, what, clock), 13, 2) for _, a, b in ratios))
        for label, names in (("geomean, user", USER), ("geomean, all", WORKLOADS)):
            names = [n for n in names if n in self.args.workloads]
            if not names:
                continue
            line = f"{label:<14}" + " " * 10 * len(SYSTEMS)
            for _, a, b in ratios:
                line += cell(geomean([self.ratio(a, b, n, clock) for n in names]), 13, 2)
            print(line)

    def report(self):
        n = self.args.runs
        self.table(1, f"processor seconds, median of {n}")
        self.table(0, f"wall seconds, median of {n}")
        print()
        for system, name in (("record", "Retrovisor"), ("qemu-rec", "QEMU")):
            if system in self.logs:
                print(f"log of all workloads, {name}: {statistics.median(self.logs[system]) / 1e6:.2f} MB")
        faster = geomean([self.ratio("qemu-rec", "record", w, 1) for w in self.args.workloads])
        if faster:
            print(f"recording is {faster:.2f} times as fast as QEMU's, geomean of {len(self.args.workloads)} workloads")


def cell(value, width, digits):
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


def geomean(values):
    if not values or any(v is None or v <= 0 for v in values):
        return None
    return math.exp(sum(math.log(v) for v in values) / len(values))


def names(allowed):
    def parse(text):
        chosen = [n for n in text.split(",") if n]
        for n in chosen:
            if n not in allowed:
                raise argparse.ArgumentTypeError(f"{n}: not one of {', '.join(allowed)}")
        return [n for n in allowed if n in chosen]

    return parse


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    p.add_argument("--rv", default=os.environ.get("RV", os.path.join(ROOT, "build/release/retrovisor")))
    p.add_argument("--images", default=os.environ.get("RV_IMAGES", os.path.join(ROOT, "build/cache")))
    p.add_argument("--program", default=os.environ.get("RV_COMPUTE"), help="the built compute.c (default: built here)")
    p.add_argument("--runs", type=int, default=3, help="rounds (default: 3)")
    p.add_argument("--scale", type=float, default=1.0, help="how much work (default: 1, 0.2 to 0.6 s natively each)")
    p.add_argument("--workloads", type=names(WORKLOADS), default=WORKLOADS, help="comma-separated; empty: none")
    p.add_argument("--systems", type=names(SYSTEMS), default=SYSTEMS, help="comma-separated")
    p.add_argument("--no-boot", dest="boot", action="store_false", help="do not measure boots")
    p.add_argument("--rv-option", action="append", default=[], help="for run, record and replay, e.g. --jit=off")
    p.add_argument("--qemu-shift", default="auto", help="QEMU's -icount shift= (default: auto)")
    p.add_argument("--json", help="write all values to this file")
    args = p.parse_args()
    if args.runs < 1 or not 0 < args.scale <= 1000:
        p.error("--runs must be at least 1, --scale above 0 and at most 1000")
    if not shutil.which("qemu-system-x86_64"):
        args.systems = [s for s in args.systems if not s.startswith("qemu")]
    for later, first in (("replay", "record"), ("qemu-rep", "qemu-rec")):
        if later in args.systems and first not in args.systems:
            p.error(f"--systems: {later} needs {first}")
    return args


def main():
    args = arguments()
    for path in (os.path.join(args.images, n) for n in ("vmlinuz-6.1-cloud", "initramfs.gz")):
        if not os.path.isfile(path):
            print(f"skipped: no {path} (run ./setup.sh images)")
            return SKIPPED
    with tempfile.TemporaryDirectory(prefix="compute-") as work:
        bench = Bench(args, work)
        try:
            bench.prepare()
            for i in range(args.runs):
                bench.round()
                print(f"round {i + 1} of {args.runs} done", file=sys.stderr)
        except Failed as e:
            print(f"FAIL: {e}")
            return 1
        bench.report()
        if args.json:
            with open(args.json, "w", encoding="ascii") as out:
                json.dump([{"system": s, "what": w, "wall_cpu": v} for (s, w), v in bench.values.items()], out, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
