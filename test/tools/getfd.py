#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""getfd.py MONITOR FD NAME [COMMAND...]: passes a descriptor in under a name, then gives commands on the same connection.

The monitor is a QMP socket's path, or hmp: and a human monitor's, which must say nothing.
"""
import array
import json
import socket
import sys


def rights(fds):
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []


def human(path):
    monitor = socket.socket(socket.AF_UNIX)
    monitor.connect(path)
    said = b""
    for number, line in enumerate(["", "getfd " + sys.argv[3]] + sys.argv[4:]):
        if line:
            monitor.sendmsg([line.encode() + b"\n"], rights([int(sys.argv[2])] if number == 1 else []))
        said = b""
        while not said.endswith(b"(qemu) "):
            said += monitor.recv(4096)
        answer = said.split(b"\n", 1)[1] if line else b"(qemu) "
        assert answer == b"(qemu) ", said


def main():
    if sys.argv[1].startswith("hmp:"):
        human(sys.argv[1][4:])
        return
    monitor = socket.socket(socket.AF_UNIX)
    monitor.connect(sys.argv[1])
    lines = monitor.makefile("r")
    lines.readline()

    def ask(command, fds=()):
        monitor.sendmsg([json.dumps(command).encode() + b"\n"], rights(fds))
        while True:
            answer = json.loads(lines.readline())
            if "event" not in answer:
                assert "return" in answer, answer
                return

    ask({"execute": "qmp_capabilities"})
    ask({"execute": "getfd", "arguments": {"fdname": sys.argv[3]}}, [int(sys.argv[2])])
    for command in sys.argv[4:]:
        ask(json.loads(command))


main()
