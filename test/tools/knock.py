#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connects to a listening socket again and again, and proves that each connection is made and greeted.

knock.py ADDRESS EXPECTED [DROPS [SAY]]: after each connect the server must send EXPECTED sooner or later; then the
connection is closed and the next one made at once. So one of them always falls into an update. On SIGTERM it prints
a JSON summary and exits 0 if all were served, else 1. DROPS connections may be closed without a greeting: one that QEMU has
just accepted when it is frozen is closed with its other sessions, where those are not handed over (VNC). SAY is said first, with
escapes as Python writes them.
"""
import json
import signal
import socket
import sys
import time


def knock(address, expected, say):
    if address.startswith("/"):
        link = socket.socket(socket.AF_UNIX)
        where = address
    else:
        host, port = address.rsplit(":", 1)
        link = socket.socket(socket.AF_INET6 if "[" in address else socket.AF_INET)
        where = (host.strip("[]"), int(port))
    with link:
        link.connect(where)  # without a time limit: a full queue would be an error then
        link.settimeout(10)
        link.sendall(say)
        got = b""
        while expected not in got:
            data = link.recv(4096)
            if not data:
                return "closed before it was served (%r)" % got
            got += data
        return ""


def main():
    address, expected = sys.argv[1], sys.argv[2].encode()
    drops = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    say = sys.argv[4].encode().decode("unicode_escape").encode("latin-1") if len(sys.argv) > 4 else b""
    stop, problems, served, longest = [], [], 0, 0.0
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    print("ready", flush=True)
    while not stop:
        begun = time.monotonic()
        try:
            problem = knock(address, expected, say)
        except OSError as error:
            problem = str(error)
        longest = max(longest, time.monotonic() - begun)
        served += not problem
        if problem and len(problems) < 20:
            problems.append("connection %d: %s" % (served, problem))
        time.sleep(0.002)
    closed = sum("closed before" in problem for problem in problems)
    ok = bool(served) and closed <= drops and closed == len(problems)
    print(json.dumps({"ok": ok, "served": served, "problems": problems, "longest_ms": round(1000 * longest, 1)}), flush=True)
    sys.exit(not ok)


main()
