# SPDX-License-Identifier: Apache-2.0
# Checks that run inside stock gdb (its Python), on a recording: see run.sh. Environment: RV_CHECK names
# the checks, RV_PROG the guest's ELF with DWARF, RV_SEED, RV_COUNT.
import os
import random
import re
import signal
import threading
import traceback

import gdb

PROG = os.environ.get("RV_PROG", "")
SEED = int(os.environ.get("RV_SEED") or random.SystemRandom().randrange(1 << 30))
COUNT = int(os.environ.get("RV_COUNT", "30"))
rng = random.Random(SEED)


def run(command):
    return gdb.execute(command, to_string=True)


def need(truth, what):
    if not truth:
        raise AssertionError(what)


stops = []
gdb.events.stop.connect(stops.append)


def go(command):
    """A motion; what the stop was: "break", a signal's name, or "" for none of these."""
    del stops[:]
    run(command)
    need(stops, "%s: no stop was reported" % command)
    event = stops[-1]
    if isinstance(event, gdb.BreakpointEvent):
        return "break"
    return event.stop_signal if isinstance(event, gdb.SignalEvent) else ""


def look():
    run("maintenance flush register-cache")
    run("maintenance flush dcache")


def when():
    return int(re.search(r"icount (\d+)", run("monitor when")).group(1))


def end():
    return int(re.search(r" of (\d+),", run("monitor when")).group(1))


def seek(where):
    run("monitor seek %s" % where)
    look()


def digest():
    return run("monitor digest")


def state():
    return digest() + run("info all-registers")


def pc():
    return int(gdb.parse_and_eval("(unsigned long)$pc"))


def value(expr):
    return int(gdb.parse_and_eval(expr))


def function():
    frame = gdb.selected_frame()
    return frame.name()


def check_steps():
    last = end()
    for i in range(COUNT):
        at = rng.randrange(last - 50)
        n = rng.randrange(1, 30)
        seek(at)
        need(when() == at, "seek %d came to %d" % (at, when()))
        before = state()
        for k in range(n):
            run("stepi")
        need(when() == at + n, "%d stepi from %d came to %d" % (n, at, when()))
        there = state()
        for k in range(n):
            run("reverse-stepi")
        need(when() == at, "%d reverse-stepi came to %d, not %d" % (n, when(), at))
        need(state() == before, "icount %d: another state after %d steps there and back" % (at, n))
        if i % 8 == 0:
            if i % 16 == 0:
                run("monitor delete checkpoints")
            seek(at + n)
            need(state() == there, "icount %d: another state by seek than by stepi" % (at + n))


def check_ends():
    seek("begin")
    need(go("reverse-stepi") == "" and when() == 0, "back from the begin")
    need(go("reverse-continue") == "" and when() == 0, "back from the begin")
    seek("end")
    need(when() == end(), "seek end")
    need(go("stepi") == "" and when() == end(), "on from the end")
    need(go("reverse-continue") == "" and when() == 0, "back to the begin")
    need(go("continue") == "" and when() == end(), "on to the end")


def check_breaks():
    """Both directions meet a function's calls at the same places."""
    run("delete")
    seek("begin")
    run("hbreak tidy_up")
    run("break bump_item if i == 7 && round_no == 33")
    forward = []
    for k in range(2):
        need(go("continue") == "break", "a hit forwards")
        forward.append((when(), function()))
    need([f[1] for f in forward] == ["bump_item", "tidy_up"], "forward: %s" % forward)
    need(go("continue") == "" and when() == end(), "one hit too many")
    back = []
    for k in range(2):
        need(go("reverse-continue") == "break", "a hit backwards")
        back.append((when(), function()))
    need(back == forward[::-1], "backward %s, forward %s" % (back, forward))
    need(value("i") == 7 and value("round_no") == 33, "the condition at the stop")
    need(go("reverse-continue") == "" and when() == 0, "one hit too many backwards")
    run("delete")


def check_many():
    """A breakpoint that is hit often: the last hit before a point is the one that comes back."""
    run("delete")
    seek("begin")
    run("break sum_items")
    hits = []
    for k in range(25):
        run("continue")
        hits.append(when())
    for k in range(24):
        run("reverse-continue")
        need(when() == hits[23 - k], "hit %d: %d, not %d" % (23 - k, when(), hits[23 - k]))
    run("delete")


def check_watch():
    run("delete")
    seek("end")
    need(value("table[5].id") == -7, "the damage is there at the end")
    run("watch -l table[5].id")
    need(go("reverse-continue") == "break", "a write")
    need(function() == "tidy_up", "the writer is tidy_up, not %s" % function())
    need(value("table[5].id") == 5, "before the write: %d" % value("table[5].id"))
    culprit = when()
    need(go("reverse-continue") == "break", "the write before")
    need(function() == "guest_main", "the write before is not by %s" % function())
    first = when()
    need(go("continue") == "break" and when() == first + 1, "forwards again")
    need(go("continue") == "break" and when() == culprit + 1, "forwards again")
    need(value("table[5].id") == -7, "after the write: %d" % value("table[5].id"))
    # One step back over the write tells of it too.
    need(go("reverse-stepi") == "break" and when() == culprit, "a step back over the write")
    run("delete")
    # Reads and all accesses, in both directions.
    seek(culprit)
    for kind in ("rwatch", "awatch"):
        run("%s -l table[3].value" % kind)
        run("continue")
        first, where = when(), function()
        need(where in ("sum_items", "bump_item"), "%s: %s" % (kind, where))
        run("continue")
        second = when()
        need(second > first, "%s moves on" % kind)
        run("reverse-continue")
        need(when() == second - 1, "%s back: %d, not %d" % (kind, when(), second - 1))
        run("reverse-continue")
        need(when() == first - 1, "%s back: %d, not %d" % (kind, when(), first - 1))
        run("delete")


def check_who_wrote():
    run("delete")
    seek("end")
    out = run("who-wrote table[5].id")
    need("tidy_up" in out, "who-wrote: %s" % out)


def both_ways(kind, where, count):
    """Hits forwards from here, and the same ones backwards: before the access, where forwards it is behind."""
    run("%s %s" % (kind, where))
    behind = 0 if kind in ("break", "hbreak") else 1
    hits = []
    for k in range(count):
        need(go("continue") == "break", "%s %s: hit %d" % (kind, where, k))
        need(not hits or when() > hits[-1], "%s moves on" % kind)
        hits.append(when())
    if not behind:
        del hits[-1:]  # one stands on it
    for at in reversed(hits):
        need(go("reverse-continue") == "break", "%s %s: back to %d" % (kind, where, at))
        need(when() == at - behind, "%s %s: back at %d, not %d" % (kind, where, when(), at - behind))
    run("delete")
    return hits


def check_kernel_watch():
    """The three kinds of watchpoint, in a kernel without symbols."""
    run("delete")
    while True:
        seek(rng.randrange(end() // 2, end() * 9 // 10))
        if value("$cs & 3") == 0 and value("(long)$rsp") < 0:
            break
    start = when()
    slot = "*(unsigned long *)%#x" % (value("(unsigned long)$rsp") - 8)
    both_ways("watch", slot, 3)
    seek(start)
    both_ways("awatch", slot, 5)
    # GDB hides the hit of an rwatch if the value has changed meanwhile: a load that comes next.
    seek(start)
    for k in range(1000):
        load = re.search(r"\bmov\w* +(-?0x[0-9a-f]+)?\(%(r\w\w?)\),%", run("x/i $pc"))
        if load and load.group(2) != "rip":
            break
        run("stepi")
    need(load, "a load in 1000 instructions")
    at = when()
    place = "*(char *)%#x" % (value("(unsigned long)$%s + %s" % (load.group(2), load.group(1) or 0)))
    hits = both_ways("rwatch", place, 1)
    need(hits == [at + 1], "rwatch: %s, not %d" % (hits, at + 1))
    run("rwatch %s" % place)
    need(go("reverse-continue") in ("break", "") and when() < at, "the load before, or none")
    run("delete")


def check_kernel_conditions():
    """System calls with one number, both ways."""
    run("delete")
    entry = "*%#x" % value("(unsigned long)$lstar")
    seek("end")
    for kind in ("hbreak", "break"):
        run("%s %s if $rax == 59" % (kind, entry))
        back = []
        for k in range(2):
            need(go("reverse-continue") == "break" and value("$rax") == 59, "execve backwards")
            back.append(when())
        need(go("continue") == "break" and when() == back[0], "forwards: %d, not %s" % (when(), back))
        run("delete")
        run("break %s" % entry)
        need(go("reverse-continue") == "break" and when() > back[1], "all calls are more")
        run("delete")
        seek(back[0] + 1)


def interrupt_soon():
    # gdb hands SIGINT on to the stub as 0x03.
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()


def check_interrupt():
    """Ctrl-C in both directions, on a recording that takes longer than the moment until then."""
    run("delete")
    run("hbreak *0x7777777777")
    seek("end")
    run("monitor delete checkpoints")
    at = when()
    interrupt_soon()
    need(go("reverse-continue") == "SIGINT", "interrupted backwards")
    need(when() == at, "interrupted backwards: back at %d, not %d" % (when(), at))
    seek(end() // 4)
    interrupt_soon()
    need(go("continue") == "SIGINT" and when() < end(), "interrupted forwards")
    run("delete")


def check_detach():
    seek(end() // 2)
    before = state()
    socket = gdb.selected_inferior().connection.details
    run("detach")
    run("target remote %s" % socket)
    need(state() == before, "another state after detach and attach")


def check_divert():
    """Writes act on a copy that the next motion drops; a call works."""
    run("delete")
    seek("begin")
    run("break report")
    run("continue")
    at, before = when(), digest()
    need(value("sum_items()") == 400 * 16, "a call: %d" % value("sum_items()"))
    run("set var table[0].value = 77")
    need(value("table[0].value") == 77, "the copy was written")
    need("diversion" in run("monitor when"), "when says so")
    run("delete")
    run("stepi")
    run("reverse-stepi")
    need(when() == at and value("table[0].value") == 400, "the copy was dropped")
    seek(at)
    seek(at - 1)
    seek(at)
    need(value("table[0].value") == 400, "the copy was dropped")


def check_motions():
    seek("begin")
    for command in ("monitor next-event", "monitor prev-event", "monitor checkpoint", "monitor info trace",
                    "monitor info checkpoints", "monitor help", "monitor ps", "monitor process here",
                    "monitor process off", "monitor seek vns:1000000"):
        out = run(command)
        need(out and "nknown" not in out and "usage" not in out, "%s: %s" % (command, out))
    look()
    need("nknown" in run("monitor nonsense"), "an unknown command is said to be so")
    seek("begin")
    seek("+1000")
    need(when() == 1000, "relative seek")
    seek("-10")
    need(when() == 990, "relative seek")


def check_process():
    """rv-ps and rv-process; hits and steps in one address space."""
    run("delete")
    run("monitor process off")
    out = run("rv-ps")
    need("first" in out and "second" in out, "rv-ps: %s" % out)
    seek("begin")
    run("break sum_items")
    need(go("continue") == "break", "sum_items in the first space")
    first, space = when(), value("(unsigned long)$cr3")
    need(go("continue") == "break", "sum_items in the second space")
    second, other = when(), value("(unsigned long)$cr3")
    need(space != other, "two address spaces")
    seek("begin")
    out = run("rv-process 2")
    need("%#x" % other in out, "rv-process: %s" % out)
    need(go("continue") == "break" and when() == second, "only in the second space")
    need(go("continue") == "break" and value("(unsigned long)$cr3") == other, "only in the second space")
    need(go("reverse-continue") == "break" and when() == second, "backwards too")
    need(go("reverse-continue") == "" and when() == 0, "no more there")
    seek(first)
    run("delete")
    run("break visit_second")
    run("monitor process %#x" % space)
    run("continue")
    way = []
    for k in range(40):
        way.append((when(), pc()))
        run("stepi")
        need(value("(unsigned long)$cr3") == space, "a step came to another space")
    need(way[-1][0] - way[0][0] > 60, "the other space was stepped over: %s" % way)
    for at in reversed(way):
        run("reverse-stepi")
        need((when(), pc()) == at, "back: %d, not %s" % (when(), at))
    run("monitor process off")
    run("delete")


def check_tasks():
    """monitor ps, process PID and linux; a task list that the guest has spoilt."""
    run("delete")
    run("monitor linux off")
    need("missing" in run("monitor ps") and "missing" in run("monitor process 2"), "what is missing is said")
    seek("end")
    run("rv-linux")
    told = run("monitor linux")
    for wrong in ("init_task=1", "tasks=1", "%s pid=1" % told.strip(), told.strip().replace("pid=", "pid=-"),
                  told.strip().replace("comm=", "comm=999"), told.strip().replace("mm=", "mmm=")):
        need("usage" in run("monitor linux %s" % wrong), "refused: %s" % wrong)
    need(run("monitor linux") == told, "what is refused changes nothing")
    lines = run("monitor ps").splitlines()
    need(len(lines) == 3 and lines[1].startswith("*") and lines[1].endswith("first") and
         lines[2].endswith("second"), "ps: %s" % lines)
    second = "%#x" % value("(unsigned long)second_pml4")
    need(second in lines[2] and second in run("monitor process 2"), "the second's CR3")
    need("no process 4096" in run("monitor process 4096"), "a PID in decimal")
    need("no CR3" in run("monitor process 0x1001") and "no CR3" in run("monitor process 0x5"), "no CR3")
    need("all address spaces" in run("monitor process off"), "off")
    # Changes are dropped by the next motion, so each begins with the good list.
    for change, answer in (
            ("second_task.tasks.next = &second_task.tasks", "damaged"),
            ("second_task.tasks.next = 0x7fff000000000000", "cannot be read"),
            ("second_task.tasks.next = 0", "cannot be read|damaged"),
            ("second_task.mm = 0xffffffffffffffff", "cannot be read"),
            ("second_task.comm[0] = 27", r"\?econd"),
            ("second_task.mm = 0", " 0  second")):
        run("set var %s" % change)
        need(re.search(answer, run("monitor ps")), "%s: %s" % (change, run("monitor ps")))
        if "mm = 0" in change and "fff" not in change:
            need("kernel thread" in run("monitor process 2"), "a kernel thread")
        seek("end")
    run("set var {char[16]}&second_task.comm = {65,65,65,65,65,65,65,65,65,65,65,65,65,65,65,65}")
    need(run("monitor ps").endswith("  AAAAAAAAAAAAAAAA\n"), "a name without an end")
    seek("end")
    need(run("monitor ps").splitlines() == lines, "the list as it was")


def check_kaslr():
    """Symbols follow the kernel: a stand-in for vmlinux, linked elsewhere."""
    run("delete")
    seek("begin")
    out = run("rv-symbols %s" % os.environ["RV_VMLINUX"])
    need("not set up" in out, "no LSTAR at the begin: %s" % out)
    seek("end")
    out = run("rv-symbols %s" % os.environ["RV_VMLINUX"])
    need(value("(unsigned long)&entry_SYSCALL_64") == value("(unsigned long)$lstar"), "the slide: %s" % out)
    run("rv-symbols %s" % os.environ["RV_VMLINUX"])
    need(value("(unsigned long)&entry_SYSCALL_64") == value("(unsigned long)$lstar"), "again")
    run("hbreak entry_SYSCALL_64")
    need(go("reverse-continue") == "break" and pc() == value("(unsigned long)$lstar"), "the last system call")
    run("delete")


failed = 0
print("seed %d" % SEED)
if PROG:
    run("symbol-file %s" % PROG)
for name in os.environ["RV_CHECK"].split():
    try:
        globals()["check_" + name]()
        print("ok %s" % name)
    except (AssertionError, gdb.error, gdb.MemoryError) as e:
        failed += 1
        traceback.print_exc()
        print("FAIL %s: %s" % (name, e))
gdb.execute("quit %d" % (1 if failed else 0))
