#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QMP client that asks for a lot and does not read it until it is told to: each answer must come, in order.

slowqmp.py SOCKET FILE: says "sent", reads once FILE exists, and says which events came, and "all" when all was as it should be.
"""
import json
import os
import socket
import sys
import time

QUESTIONS = 40

events = []


def answer():
    while True:
        message = json.loads(stream.readline())
        if "event" not in message:
            return message
        events.append(message["event"])


link = socket.socket(socket.AF_UNIX)
link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
link.connect(sys.argv[1])
stream = link.makefile("rwb")
stream.readline()
stream.write(b'{"execute": "qmp_capabilities", "id": 0}\n')
stream.flush()
assert answer()["id"] == 0
for number in range(1, QUESTIONS + 1):
    link.sendall(b'{"execute": "query-qmp-schema", "id": %d}\n' % number)
print("sent", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
for number in range(1, QUESTIONS + 1):
    message = answer()
    assert message["id"] == number, (message["id"], number)
    assert len(message["return"]) > 100
stream.write(b'{"execute": "query-version", "id": "last"}\n')
stream.flush()
assert answer()["id"] == "last"
print(*events)
print("all", flush=True)
