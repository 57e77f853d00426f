# SPDX-License-Identifier: Apache-2.0
# Inside gdb: how long motions take. RV_COUNT rounds. Latencies are wall time, as a user feels it, in
# milliseconds: median, 99th percentile, number. Ratios are of the server's processor time, which another load
# on the machine hardly changes. RV_PART: motions, many, beside (see reverse.sh), qemu. What is compared with
# QEMU goes to the file RV_RESULTS, a name and a value a line.
import os
import random
import re
import time

import gdb

count = int(os.environ.get("RV_COUNT", "100"))
seed = int(os.environ.get("RV_SEED", "1"))
part = os.environ.get("RV_PART", "motions")
rng = random.Random(seed)
NEVER = "hbreak *0x7777777777"


def run(command):
    return gdb.execute(command, to_string=True)


def wall(command):
    t = time.monotonic()
    run(command)
    return (time.monotonic() - t) * 1000


def server():
    """The process that serves the recording: another child of gdb's parent."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = open("/proc/%s/stat" % pid).read().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
        if parent == str(os.getppid()) and pid != str(os.getpid()):
            return pid
    raise gdb.GdbError("no server process")


def cpu(command):
    before = int(open("/proc/%s/schedstat" % pid).read().split()[0])
    run(command)
    return (int(open("/proc/%s/schedstat" % pid).read().split()[0]) - before) / 1e6


def median(values):
    return sorted(values)[len(values) // 2]


def show(name, values):
    v = sorted(values)
    print("%-38s median %9.2f ms   p99 %9.2f ms   of %d" %
          (name, v[len(v) // 2], v[min(len(v) - 1, len(v) * 99 // 100)], len(v)), flush=True)


def result(name, value):
    with open(os.environ["RV_RESULTS"], "a") as out:
        out.write("%s %.3f\n" % (name, value))


def when():
    return [int(n) for n in re.search(r"icount (\d+) .* of (\d+),", run("monitor when")).groups()]


def look():
    run("maintenance flush register-cache")
    run("maintenance flush dcache")


def seek(to):
    run("monitor seek %d" % to)
    look()


def register(name):
    return int(gdb.parse_and_eval("(unsigned long)$" + name))


def forward(a, b):
    """Processor time of plain replay from a to b."""
    seek(a)
    return cpu("monitor run %d" % b)


def hits():
    return int(re.search(r"\d+", run("monitor hits")).group())


def motions():
    end = when()[1]
    seeks, first, steps, ahead = [], [], [], []
    run("monitor run %d" % end)  # once along the whole history, so that checkpoints exist
    for i in range(count):
        at = rng.randrange(end)
        seeks.append(wall("monitor seek %d" % at))
        look()
        first.append(wall("reverse-stepi"))
        for k in range(10):
            steps.append(wall("reverse-stepi"))
        for k in range(3):
            ahead.append(wall("stepi"))
    show("seek to a random icount", seeks)
    show("reverse-stepi, first after a seek", first)
    show("reverse-stepi", steps)
    show("stepi", ahead)
    # Back to the begin of history, past a breakpoint that nothing meets.
    ratios = []
    for i in range(5):
        b = end * (i + 1) // 5
        seek(b)
        run(NEVER)
        back = cpu("reverse-continue")
        run("delete")
        plain = forward(0, b)
        ratios.append(back / plain)
        print("span of %11d steps: replay %8.1f ms, reverse-continue %8.1f ms, ratio %.2f" %
              (b, plain, back, back / plain), flush=True)
    print("reverse-continue / replay of the span, median %.2f, worst %.2f" % (median(ratios), max(ratios)))


def many():
    """The same with a breakpoint whose condition is false more than 100,000 times on the way."""
    end = when()[1]
    span = end // 10
    worst, done, tries = 0, 0, 0
    while done < 5 and tries < 60:
        tries += 1
        seek(rng.randrange(span))
        pc = register("pc")
        run("hbreak *%d if $rsp == 1 && $rax == 77" % pc)
        seek(span)
        back = cpu("reverse-continue")
        met = hits()
        run("delete")
        if met <= 100000:
            continue
        plain = forward(0, span)
        print("%8d hits at %#x in %10d steps: replay %8.1f ms, reverse-continue %8.1f ms, ratio %.2f" %
              (met, pc, span, plain, back, back / plain), flush=True)
        worst = max(worst, back / plain)
        done += 1
    print("reverse-continue past more than 100,000 hits / replay of the span, worst of %d: %.2f" % (done, worst))


def beside():
    """What QEMU did below, from as many steps into the boot."""
    at = int(os.environ["RV_AT"])
    seek(at)
    steps = [wall("reverse-stepi") for i in range(count)]
    show("reverse-stepi", steps)
    seek(at)
    run(NEVER)
    back = wall("reverse-continue")
    show("reverse-continue to the begin", [back])
    result("rv_step", median(steps))
    result("rv_continue", back)


def qemu():
    at = int(re.search(r"instruction count = (\d+)", run("monitor info replay")).group(1))
    steps = [wall("reverse-stepi") for i in range(count)]
    show("qemu: reverse-stepi", steps)
    run(NEVER)
    back = wall("reverse-continue")
    show("qemu: reverse-continue to the begin", [back])
    result("at", at)
    result("qemu_step", median(steps))
    result("qemu_continue", back)
    gdb.execute("kill")


if part != "qemu":
    pid = server()
{"motions": motions, "many": many, "beside": beside, "qemu": qemu}[part]()
gdb.execute("quit 0")
