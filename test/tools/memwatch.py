#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Watches how much memory a VM uses, through its updates: what /proc's RSS of one process cannot tell, because guest RAM is
shared memory that is mapped or not, and the old program's memory lives on for a moment in a child.

Sum, in KiB: private memory of the process and its children, and what memfds and unlinked files hold, each counted once; with
--file PATH that file too. Prints "ready", and when it is ended by SIGTERM a line of JSON: start, peak and last.
"""
import argparse
import ctypes
import json
import os
import signal
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--file", action="append", default=[])
parser.add_argument("pid", type=int)
args = parser.parse_args()

SYS_KCMP = {"x86_64": 312, "aarch64": 272}[os.uname().machine]
KCMP_VM = 1
libc = ctypes.CDLL(None)
ended = False


def end(*_):
    global ended
    ended = True


def private_kib(pid):
    """RssAnon, in any state that a process can be in; 0 for one that is gone."""
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += file.read().split()
    except OSError:
        pass
    return found


def same_memory(pid, other):
    """A child that has not done its exec may have its parent's memory (vfork)."""
    return libc.syscall(SYS_KCMP, int(pid), int(other), KCMP_VM, 0, 0) == 0


def is_memory(target):
    return target.startswith("/memfd:") or target.endswith(" (deleted)") or target in args.file


def shared_kib(pid):
    """What its memfds and unlinked files hold; during an exec they are open under two numbers each."""
    files = {}
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{fd}"
            try:
                if is_memory(os.readlink(path)):
                    st = os.stat(path)
                    files[st.st_dev, st.st_ino] = st.st_blocks // 2
            except OSError:
                pass
    except OSError:
        pass
    return sum(files.values())


def total():
    own = private_kib(args.pid)
    others = sum(private_kib(pid) for pid in children(args.pid) if not same_memory(args.pid, pid))
    # At an exec the memory goes from the process to a child, maybe between these lines.
    return shared_kib(args.pid) + min(own, private_kib(args.pid)) + others


signal.signal(signal.SIGTERM, end)
start = peak = last = total()
samples = 1
print("ready", flush=True)
while not ended:
    time.sleep(0.001)
    last = total()
    peak = max(peak, last)
    samples += 1
print(json.dumps({"ok": True, "start": start, "peak": peak, "last": last, "samples": samples}))
sys.exit(0)
