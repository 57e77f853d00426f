# SPDX-License-Identifier: Apache-2.0
# Inside gdb: how long motions take, as a user feels it. RV_COUNT rounds. One line a measure: name, median,
# 99th percentile, number; milliseconds.
import os
import random
import re
import time

import gdb

count = int(os.environ.get("RV_COUNT", "100"))
seed = int(os.environ.get("RV_SEED", "1"))
qemu = os.environ.get("RV_QEMU") == "1"
rng = random.Random(seed)


def run(command):
    return gdb.execute(command, to_string=True)


def timed(command):
    t = time.monotonic()
    run(command)
    return (time.monotonic() - t) * 1000


def show(name, values):
    if not values:
        return
    v = sorted(values)
    print("%-34s median %10.2f ms   p99 %10.2f ms   of %d" %
          (name, v[len(v) // 2], v[min(len(v) - 1, len(v) * 99 // 100)], len(v)), flush=True)


def when():
    return [int(n) for n in re.search(r"icount (\d+) .* of (\d+),", run("monitor when")).groups()]


def look():
    run("maintenance flush register-cache")
    run("maintenance flush dcache")


if qemu:
    show("qemu: reverse-stepi", [timed("reverse-stepi") for i in range(count)])
    run("hbreak *0x7777777777")
    show("qemu: reverse-continue to the begin", [timed("reverse-continue")])
    gdb.execute("kill")
    gdb.execute("quit 0")

end = when()[1]
seeks, first, steps, forward = [], [], [], []
run("monitor seek end")  # once along the whole history, so that checkpoints exist
for i in range(count):
    at = rng.randrange(end)
    seeks.append(timed("monitor seek %d" % at))
    look()
    first.append(timed("reverse-stepi"))
    for k in range(10):
        steps.append(timed("reverse-stepi"))
    for k in range(3):
        forward.append(timed("stepi"))
show("seek to a random icount", seeks)
show("reverse-stepi, first after a seek", first)
show("reverse-stepi", steps)
show("stepi", forward)

# How fast history is replayed, with a breakpoint that is never met.
run("monitor seek %d" % (end * 8 // 10))
look()
begin = when()[0]
run("hbreak *0x7777777777")
rate = timed("continue") / (when()[0] - begin)
run("delete")
print("replay: %.1f million steps a second" % (1 / rate / 1000))

# Back over spans of up to a tenth of history, to code that ran where they begin.
worst, over = 0, []
for i in range(5):
    a = rng.randrange(end * 9 // 10)
    b = a + end // 10
    run("monitor seek %d" % a)
    look()
    run("hbreak *$pc if $rsp == %d && $rax == %d" % (int(gdb.parse_and_eval("(long)$rsp")),
                                                     int(gdb.parse_and_eval("(long)$rax"))))
    run("monitor seek %d" % b)
    look()
    back = timed("reverse-continue")
    ahead = (b - when()[0]) * rate
    run("delete")
    over.append(back)
    worst = max(worst, back / (1.5 * ahead + 300))
    print("span of %11d steps: forward %8.1f ms, reverse-continue %8.1f ms" % (ahead / rate, ahead, back))
show("reverse-continue", over)
print("reverse-continue / (1.5 * forward + 300 ms), worst: %.2f" % worst)
gdb.execute("quit 0")
