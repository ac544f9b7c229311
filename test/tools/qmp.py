#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sends commands over a QMP socket in a session of its own and prints each answer's return value, one a line.

qmp.py SOCKET COMMAND...: a command is a JSON object or just a command's name. Exits 1 at the first error.
"""
import json
import socket
import sys


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(sys.argv[1])
    stream = connection.makefile("rwb")

    def execute(command):
        stream.write(json.dumps(command).encode() + b"\n")
        stream.flush()
        for line in stream:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                sys.exit("%s: %s" % (command["execute"], answer["error"]["desc"]))
        sys.exit("the session was closed")

    execute({"execute": "qmp_capabilities"})
    for text in sys.argv[2:]:
        print(json.dumps(execute(json.loads(text) if text.startswith("{") else {"execute": text})))


main()
