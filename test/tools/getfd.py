#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""getfd.py MONITOR FD NAME [COMMAND...]: passes a descriptor in under a name, then gives commands on the same connection."""
import array
import json
import socket
import sys


def main():
    monitor = socket.socket(socket.AF_UNIX)
    monitor.connect(sys.argv[1])
    lines = monitor.makefile("r")
    lines.readline()

    def ask(command, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        monitor.sendmsg([json.dumps(command).encode() + b"\n"], rights)
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
