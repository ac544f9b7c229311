#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connects to every abstract UNIX socket that a kernel-chosen name stands for, as any local user could.

stranger.py FILE: until it is ended, looks for such names in /proc/net/unix and connects; what any of them says goes to FILE,
the names that it found go to stdout, one a line.
"""
import re
import socket
import sys
import time


def listening_names():
    with open("/proc/net/unix", encoding="ascii", errors="replace") as table:
        for line in table:
            found = re.match(r".* 00010000 \S+ \S+ +\d+ (@[0-9a-f]{5})$", line)
            if found:
                yield found.group(1)


def main():
    seen = {}
    with open(sys.argv[1], "wb", buffering=0) as answers:
        while True:
            for name in listening_names():
                if name in seen:
                    continue
                sock = socket.socket(socket.AF_UNIX)
                sock.setblocking(False)
                try:
                    sock.connect("\0" + name[1:])
                except OSError:
                    continue
                seen[name] = sock
                print(name, flush=True)
            for name, sock in list(seen.items()):
                try:
                    data = sock.recv(4096)
                    answers.write(data)
                except BlockingIOError:
                    pass
                except OSError:
                    data = b""
                else:
                    if not data:
                        sock.close()
                        del seen[name]
            time.sleep(0.0005)


main()
