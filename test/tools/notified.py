#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a service manager is told (sd_notify(3)): notified.py SOCKET prints each message as a line of JSON, with the sender's process id.

"now" in it is CLOCK_MONOTONIC in microseconds when it came. Ends after SIGTERM.
"""
import json
import socket
import struct
import sys
import time

CREDENTIALS = struct.Struct("iII")  # struct ucred, unix(7)


def main():
    here = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    here.bind(sys.argv[1])
    while True:
        data, more, _, _ = here.recvmsg(4096, socket.CMSG_SPACE(CREDENTIALS.size))
        message = dict(line.split("=", 1) for line in data.decode().splitlines())
        message["sender"] = CREDENTIALS.unpack(more[0][2])[0]
        message["now"] = time.monotonic_ns() // 1000
        print(json.dumps(message), flush=True)


main()
