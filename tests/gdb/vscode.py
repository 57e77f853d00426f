# SPDX-License-Identifier: Apache-2.0
# A session as Visual Studio Code's C/C++ extension has it, over GDB/MI, with what contrib/vscode/launch.json
# says. Runs in gdb's Python (which has the standard library, and is there where gdb is). Environment:
# RV_LAUNCH the file, RV_FOLDER the workspace, RV_SCRIPTS where retrovisor.gdb is.
import json
import os
import re
import subprocess

import gdb

FOLDER = os.environ["RV_FOLDER"]


def load(path):
    """JSON with whole-line comments; the editor's variables filled in; the script from here."""
    text = "".join(line for line in open(path) if not line.lstrip().startswith("//"))
    text = text.replace("${workspaceFolder}", FOLDER)
    text = text.replace("/usr/local/share/retrovisor/", os.environ["RV_SCRIPTS"] + "/")
    left = re.search(r"\$\{[^}]*\}", text)
    if left:
        raise AssertionError("launch.json: %s is not filled in" % left.group(0))
    return json.loads(text)["configurations"]


class Session:
    def __init__(self, path):
        self.gdb = subprocess.Popen([path, "-nx", "--interpreter=mi"], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.token = 0

    def until(self, pattern):
        lines = []
        for line in self.gdb.stdout:
            lines.append(line)
            if re.match(pattern, line):
                return "".join(lines)
        raise AssertionError("gdb has gone: %s" % "".join(lines[-5:]))

    def ask(self, command):
        self.token += 1
        self.gdb.stdin.write("%d%s\n" % (self.token, command))
        self.gdb.stdin.flush()
        out = self.until(r"%d\^" % self.token)
        if "%d^error" % self.token in out:
            raise AssertionError("%s: %s" % (command, out))
        return out

    def console(self, command):
        return self.ask('-interpreter-exec console "%s"' % command.replace('"', '\\"'))

    def icount(self):
        return re.search(r"icount (\d+)", self.console("when")).group(1)

    def motion(self, command):
        out = self.ask(command)
        return out if "*stopped" in out.split("^running")[-1] else out + self.until(r"\*stopped")


def need(truth, what):
    if not truth:
        raise AssertionError(what)


def run(conf):
    need(conf["type"] == "cppdbg" and conf["MIMode"] == "gdb", "the C/C++ extension with gdb")
    s = Session(conf["miDebuggerPath"])
    s.until(r"\(gdb\)")
    s.ask("-environment-cd %s" % conf["cwd"])
    for c in conf["setupCommands"]:
        s.console(c["text"])
    s.ask("-file-exec-and-symbols %s" % conf["program"])
    need(not conf["useExtendedRemote"] and conf["stopAtConnect"], "a recording is there already")
    out = s.ask("-target-select remote %s" % conf["miDebuggerServerAddress"])
    if "*stopped" not in out:
        s.until(r"\*stopped")
    for c in conf["postRemoteConnectCommands"]:
        s.console(c["text"])
    # What the editor's buttons send, and its debug console behind -exec.
    s.ask("-break-insert tidy_up")
    out = s.motion("-exec-continue")
    need('func="tidy_up"' in out, "a breakpoint: %s" % out)
    out = s.ask("-stack-list-variables --simple-values")
    need(re.search(r'name="n"[^}]*value="1"', out), "variables: %s" % out)
    need('func="one_round"' in s.ask("-stack-list-frames"), "the stack")
    there = s.icount()
    s.motion("-exec-next")
    s.motion("-exec-next")
    need('value="-7"' in s.ask("-data-evaluate-expression table[5].id"), "after the step")
    s.motion("-exec-continue --reverse")
    need(s.icount() == there, "back at the breakpoint")
    out = s.motion('-interpreter-exec console "reverse-stepi"')
    need('func="one_round"' in out, "reverse-stepi: %s" % out)
    s.console("seek end")
    out = s.console("who-wrote table[5].id")  # ^running comes first
    if 'icount' not in out:
        out += s.until(r'@"icount')
    need("tidy_up" in out, "who-wrote: %s" % out)
    s.ask("-target-detach")
    s.gdb.stdin.write("-gdb-exit\n")
    s.gdb.stdin.flush()
    need(s.gdb.wait(timeout=30) == 0, "gdb's status")


status = 1
try:
    confs = load(os.environ["RV_LAUNCH"])
    need(confs, "launch.json has no configuration")
    for c in confs:
        run(c)
        print("ok %s" % c["name"])
    status = 0
except AssertionError as e:
    print("FAIL %s" % e)
gdb.execute("quit %d" % status)
