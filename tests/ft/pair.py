# SPDX-License-Identifier: Apache-2.0
"""Two hosts, a client and a switch out of network namespaces; nodes of a hot-standby pair on the hosts, a Debian
server as their guest, and clients that never reconnect.

  client --- switch --- host A (bridge, TAP) === channel === host B (bridge, TAP) --- switch
"""
import ctypes
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RV = os.environ.get("RV", TOP + "/build/release/retrovisor")
GUEST = os.environ.get("RV_IMAGES", TOP + "/build/cache") + "/debian-12"
GUEST_IP = "10.77.0.2"
CHANNEL = {"A": "10.78.0.1", "B": "10.78.0.2"}
PORT = 7000
ARBITER_IP = "10.77.0.254"
MAC = "52:54:00:00:77:02"
LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    pass


def say(text):
    print("%s %s" % (time.strftime("%H:%M:%S"), text), flush=True)


def sh(*args):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failure("%s: %s" % (" ".join(args), done.stdout.strip()))
    return done.stdout


def skip_unless_possible(*tools):
    for path in ("/disk.img", "/vmlinuz", "/initrd.gz", "/www/1m.bin"):
        if not os.path.exists(GUEST + path):
            print("skipped: no %s%s (run ./setup.sh images)" % (GUEST, path))
            sys.exit(77)
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("skipped: needs root and /dev/net/tun")
        sys.exit(77)
    for tool in ("ip",) + tools:
        if not shutil.which(tool):
            print("skipped: no %s (run ./setup.sh deps)" % tool)
            sys.exit(77)


class Network:
    def __init__(self):
        self.prefix = "rvft%d" % os.getpid()
        self.names = {k: "%s-%s" % (self.prefix, k) for k in ("A", "B", "client", "switch")}
        self.made = []

    def ip(self, ns, *args):
        return sh("ip", "-n", self.names[ns], *args)

    def __enter__(self):
        try:
            for name in self.names.values():
                sh("ip", "netns", "add", name)
                self.made.append(name)
                sh("ip", "-n", name, "link", "set", "lo", "up")
                subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"],
                               check=False, stderr=subprocess.DEVNULL)
            self.bridge("switch", ())
            for host in ("A", "B"):
                self.wire(host, "up0", "switch", "port" + host)
                self.ip(host, "tuntap", "add", "tap0", "mode", "tap")
                self.bridge(host, ("up0", "tap0"))
                self.ip("switch", "link", "set", "port" + host, "master", "br0")
            self.wire("client", "eth0", "switch", "portC")
            self.ip("switch", "link", "set", "portC", "master", "br0")
            self.ip("client", "addr", "add", "10.77.0.1/24", "dev", "eth0")
            self.wire("A", "ch0", "B", "ch0")
            for host, number in (("A", 11), ("B", 12)):
                self.ip(host, "addr", "add", CHANNEL[host] + "/24", "dev", "ch0")
                self.ip(host, "addr", "add", "10.77.0.%d/24" % number, "dev", "br0")
            self.ip("switch", "addr", "add", ARBITER_IP + "/24", "dev", "br0")
        except BaseException:
            self.__exit__()
            raise
        return self

    def bridge(self, ns, ports):
        self.ip(ns, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0")
        self.ip(ns, "link", "set", "br0", "up")
        for port in ports:
            self.ip(ns, "link", "set", port, "master", "br0")
            self.ip(ns, "link", "set", port, "up")

    def wire(self, a, a_name, b, b_name):
        sh("ip", "link", "add", a_name, "netns", self.names[a], "type", "veth", "peer", "name", b_name, "netns",
           self.names[b])
        self.ip(a, "link", "set", a_name, "up")
        self.ip(b, "link", "set", b_name, "up")

    def link(self, ns, name, up):
        self.ip(ns, "link", "set", name, "up" if up else "down")

    def enter(self, ns):
        """The calling thread's sockets are of this namespace from here on."""
        with open("/run/netns/" + self.names[ns], "rb") as f:
            if LIBC.setns(f.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def __exit__(self, *_):
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


class Node:
    """One half at work on a host."""
    count = 0

    def __init__(self, pair, host, primary, extra=()):
        Node.count += 1
        self.pair, self.host = pair, host
        self.name = "%s%d" % (host, Node.count)
        base = pair.work + "/" + self.name
        self.console, self.log, self.ctl = base + ".out", base + ".log", base + ".ctl"
        other = "B" if host == "A" else "A"
        peer = pair.peer_address.get(host, "%s:%d" % (CHANNEL[other], PORT))
        args = ["--psk=" + pair.psk, "--arbiter=" + pair.arbiter, "--serial=file:" + self.console,
                "--ctl=" + self.ctl, "--disk=" + pair.disk(host) + pair.disk_options, "--backup=" + peer, *pair.options, *extra]
        if primary:
            args = ["primary", *args, "--net=tap:tap0,mac=" + MAC, *pair.machine()]
        else:
            args = ["backup", *args, "--net=tap:tap0", "--listen=%s:%d" % (CHANNEL[host], PORT)]
        self.process = subprocess.Popen(["ip", "netns", "exec", pair.net.names[host], RV, *args],
                                        stdin=subprocess.DEVNULL, stdout=open(self.log, "wb"),
                                        stderr=subprocess.STDOUT)
        pair.nodes.append(self)

    def stats(self):
        done = subprocess.run([RV, "ctl", self.ctl, "stats"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=False, timeout=60)
        try:
            return json.loads(done.stdout)["ft"]
        except (ValueError, KeyError):
            return {"role": "none", "term": 0}

    def role(self):
        return self.stats()["role"]

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait(self, roles, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.role() in roles:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise Failure("%s: not %s within %d s, but %s: %s" % (self.name, "/".join(roles), seconds, self.role(),
                                                           self.text()[-1500:]))

    def says(self, pattern, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if re.search(pattern, self.text()):
                return
            time.sleep(0.05)
        raise Failure("%s: does not say '%s': %s" % (self.name, pattern, self.text()[-1500:]))

    def signal(self, sig):
        self.process.send_signal(sig)

    def group(self):
        """The process and, of a backup, the child that does its work."""
        pids = [self.process.pid]
        for pid in list(pids):
            try:
                with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
                    pids += [int(p) for p in f.read().split()]
            except OSError:
                pass
        return pids

    def signal_all(self, sig):
        for pid in self.group():
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ends(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure("%s does not end: %s" % (self.name, self.text()[-1500:])) from None


class Pair:
    def __init__(self, net, options=(), arbiter=None, memory="1G", disk=""):
        self.net, self.options, self.memory = net, list(options), memory
        self.work = tempfile.mkdtemp(prefix="rvft.")
        self.nodes, self.peer_address = [], {}
        self.disk_options = "," + disk if disk else ""
        self.psk = self.work + "/psk"
        with open(self.psk, "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write("test:" + os.urandom(32).hex() + "\n")
        os.mkdir(self.work + "/shared")
        self.arbiter = arbiter or "file:" + self.work + "/shared/term"

    def disk(self, host):
        path = "%s/%s.img" % (self.work, "one" if "shared" in self.disk_options else host)
        if not os.path.exists(path):
            sh("cp", "--sparse=always", "--reflink=auto", GUEST + "/disk.img", path)
        return path

    def machine(self):
        return ["--kernel=" + GUEST + "/vmlinuz", "--initrd=" + GUEST + "/initrd.gz", "--memory=" + self.memory,
                "--no-reboot", "--append=root=/dev/vda rw console=ttyS0 panic=-1 quiet rv.job=ft:%s/24" % GUEST_IP]

    def primary(self, host, *extra):
        return Node(self, host, True, extra)

    def backup(self, host, *extra):
        return Node(self, host, False, extra)

    def close(self):
        for node in self.nodes:
            if node.process.poll() is None:
                node.signal_all(signal.SIGCONT)
                node.kill()
        shutil.rmtree(self.work, ignore_errors=True)


def wait_guest(node, seconds=300):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.path.exists(node.console):
            with open(node.console, "rb") as f:
                if b"tick 5\r" in f.read():
                    return
        if node.process.poll() is not None:
            break
        time.sleep(0.2)
    raise Failure("the guest is not up: %s" % node.text()[-1500:])


# ---- clients ----

class Client(threading.Thread):
    """A connection that is never made anew."""

    def __init__(self, net):
        super().__init__(daemon=True)
        self.net, self.error, self.stop, self.done = net, None, False, 0
        self.replies = []  # (time) of each
        self.start()

    def run(self):
        try:
            self.net.enter("client")
            self.work()
        except Exception as e:  # whatever it is, the test fails with it
            if not self.stop:
                self.error = "%s: %r after %d" % (type(self).__name__, e, self.done)

    def connect(self, port):
        s = socket.create_connection((GUEST_IP, port), 60)
        s.settimeout(120)
        return s

    def finish(self):
        self.stop = True
        self.join(150)
        if self.is_alive():
            raise Failure("%s hangs after %d" % (type(self).__name__, self.done))
        if self.error:
            raise Failure(self.error)


class Download(Client):
    """One HTTP connection, file after file, a little at a time; each has the right checksum."""

    def __init__(self, net, name, rate):
        self.name_, self.rate = name, rate
        with open(GUEST + "/www/" + name, "rb") as f:
            data = f.read()
        self.size, self.sum = len(data), hashlib.sha256(data).digest()
        super().__init__(net)

    def work(self):
        s = self.connect(80)
        f = s.makefile("rb")
        while not self.stop:
            s.sendall(b"GET /%s HTTP/1.1\r\nHost: t\r\n\r\n" % self.name_.encode())
            status = f.readline()
            if b" 200 " not in status:
                raise Failure("status %r" % status)
            while f.readline() not in (b"\r\n", b""):
                pass
            digest, left = hashlib.sha256(), self.size
            while left:
                part = f.read(min(left, 16384))
                if not part:
                    raise Failure("closed, %d bytes before the end" % left)
                digest.update(part)
                left -= len(part)
                self.replies.append(time.monotonic())
                time.sleep(len(part) / self.rate)
            if digest.digest() != self.sum:
                raise Failure("wrong checksum")
            self.done += 1


class Redis(Client):
    """Numbered writes over one connection; each that was acknowledged must be there in the end."""

    def __init__(self, net, pause=0.002):
        self.pause, self.acked, self.latency = pause, 0, []
        super().__init__(net)

    @staticmethod
    def command(*words):
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)

    def work(self):
        s = self.connect(6379)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        f = s.makefile("rb")
        while not self.stop:
            n = self.acked + 1
            begin = time.monotonic()
            s.sendall(self.command(b"SET", b"k:%d" % n, b"v%d" % n) + self.command(b"INCR", b"count"))
            if f.readline() != b"+OK\r\n":
                raise Failure("SET was not acknowledged")
            count = f.readline()
            if count != b":%d\r\n" % n:
                raise Failure("INCR: %r instead of %d: a write was lost, or done twice" % (count, n))
            self.acked = n
            self.done = n
            now = time.monotonic()
            self.replies.append(now)
            self.latency.append(now - begin)
            time.sleep(self.pause)
        for n in range(1, self.acked + 1):
            s.sendall(self.command(b"GET", b"k:%d" % n))
            f.readline()
            if f.readline() != b"v%d\r\n" % n:
                raise Failure("write %d was acknowledged, and is gone" % n)


class Load:
    def __init__(self, net):
        self.clients = [Redis(net), Download(net, "1m.bin", 2e6), Download(net, "32m.bin", 3e6)]

    def check(self):
        for c in self.clients:
            if c.error:
                raise Failure(c.error)

    def goes_on(self, seconds=60):
        """Every client gets something new within so many seconds."""
        before = [len(c.replies) for c in self.clients]
        deadline = time.monotonic() + seconds
        while any(len(c.replies) == n for c, n in zip(self.clients, before)):
            self.check()
            if time.monotonic() > deadline:
                raise Failure("no answer within %d s: %s" % (seconds, [
                    (type(c).__name__, len(c.replies) - n) for c, n in zip(self.clients, before)]))
            time.sleep(0.02)

    def first_after(self, moment, seconds=30):
        """Seconds from a moment to the first byte that any client got after it, with a pause before."""
        redis = self.clients[0]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            later = [t for t in redis.replies[-4000:] if t > moment]
            # What was on its way when the host died does not count.
            gaps = [b for a, b in zip([moment] + later, later) if b - a > 0.04]
            if gaps:
                return gaps[0] - moment
            time.sleep(0.01)
        raise Failure("nothing came from the survivor")

    def finish(self):
        for c in self.clients:
            c.stop = True
        for c in self.clients:
            c.finish()
        return "%d redis writes, %d and %d downloads" % tuple(c.done for c in self.clients)


def check_console(node, first=None):
    """Ticks without a gap or a repetition. Returns the first and the last."""
    with open(node.console, "rb") as f:
        text = f.read().replace(b"\r", b"")
    ticks = [int(n) for n in re.findall(rb"tick (\d+)\n", text)]
    if first is not None and (not ticks or ticks[0] != first):
        raise Failure("%s: the console begins with tick %s" % (node.name, ticks[:1]))
    for a, b in zip(ticks, ticks[1:]):
        if b != a + 1:
            raise Failure("%s: tick %d follows tick %d on the console" % (node.name, b, a))
    for word in (b"I/O error", b"EXT4-fs error", b"Kernel panic", b"BUG:", b"Oops", b"soft lockup"):
        if word in text:
            raise Failure("%s: the guest complains: %s" % (node.name, word.decode()))
    return (ticks[0], ticks[-1]) if ticks else (None, None)


class Proxy(threading.Thread):
    """In the channel: what the test wants it to be."""

    def __init__(self, net, host, port, to):
        super().__init__(daemon=True)
        self.net, self.host, self.to = net, host, to
        self.delay = self.rate = 0.0
        self.stalled, self.cut_after, self.corrupt_after = False, None, None
        self.live, self.bytes, self.ready = [], 0, threading.Event()
        self.port = port
        self.start()
        self.ready.wait(10)

    def run(self):
        self.net.enter(self.host)
        server = socket.create_server((CHANNEL[self.host], self.port))
        self.ready.set()
        while True:
            a, _ = server.accept()
            try:
                b = socket.create_connection(self.to, 5)
            except OSError:
                a.close()
                continue
            self.live.append((a, b))
            for src, dst in ((a, b), (b, a)):
                src.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                dst.settimeout(None)
                threading.Thread(target=self.pump, args=(src, dst), daemon=True).start()

    def pump(self, src, dst):
        queue, lock = [], threading.Condition()

        def send():
            while True:
                with lock:
                    while not queue:
                        lock.wait()
                    when, data = queue.pop(0)
                if data is None:
                    break
                time.sleep(max(0, when - time.monotonic()))
                while self.stalled:
                    time.sleep(0.005)
                if self.rate:
                    time.sleep(len(data) / self.rate)
                try:
                    dst.sendall(data)
                except OSError:
                    break
            dst.close()

        threading.Thread(target=send, daemon=True).start()
        while True:
            try:
                data = src.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            self.bytes += len(data)
            if self.corrupt_after is not None and self.bytes > self.corrupt_after:
                data = data[:-1] + bytes([data[-1] ^ 1])
                self.corrupt_after = None
            if self.cut_after is not None and self.bytes > self.cut_after:
                self.cut_after = None
                self.cut(len(data) // 2, data, dst)
                break
            with lock:
                queue.append((time.monotonic() + self.delay, data))
                lock.notify()
        with lock:
            queue.append((0, None))
            lock.notify()

    def cut(self, n=0, data=b"", dst=None):
        """In the middle of a message, both ways."""
        if dst:
            try:
                dst.sendall(data[:n])
            except OSError:
                pass
        for a, b in self.live:
            for s in (a, b):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.live = []


class Etcd:
    """The real one, where both hosts reach it by way of the client network."""

    def __init__(self, net, work):
        self.url = "http://%s:2379" % ARBITER_IP
        peer = "http://%s:2380" % ARBITER_IP
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", net.names["switch"], "etcd", "--data-dir", work + "/etcd", "--listen-client-urls",
             self.url, "--advertise-client-urls", self.url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls",
             peer, "--initial-cluster", "default=" + peer, "--logger", "zap"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.spec = "etcd:" + self.url

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


def pick_moment(rng, low=0.5, high=5.0):
    return low + (high - low) * rng.random()


def seeded():
    seed = int(os.environ.get("RV_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    say("seed %d (RV_SEED=%d repeats the moments)" % (seed, seed))
    return random.Random(seed)
