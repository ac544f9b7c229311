#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""passer.py MONITOR INPUT: a monitor's client that stays, and passes descriptors in.

What comes is printed. Lines of the INPUT FIFO are sent, but for "pass FILE OFFSET LINE": then LINE goes out with a
descriptor of that file, which is at that offset; LINE is whatever makes the monitor take it. "part TEXT" is no whole line.
"""
import array
import os
import select
import socket
import sys


def main():
    monitor = socket.socket(socket.AF_UNIX)
    monitor.connect(sys.argv[1])
    commands = os.open(sys.argv[2], os.O_RDWR)
    text = b""
    while True:
        ready = select.select([monitor, commands], [], [])[0]
        if monitor in ready:
            data = monitor.recv(65536)
            os.write(1, data or b"eof\n")
            if not data:
                return
        if commands not in ready:
            continue
        text += os.read(commands, 4096)
        while b"\n" in text:
            line, text = text.split(b"\n", 1)
            if not line.startswith(b"pass "):
                monitor.sendall(line[5:] if line.startswith(b"part ") else line + b"\n")
                continue
            _, name, offset, line = line.split(b" ", 3)
            file = os.open(name, os.O_RDWR)
            os.lseek(file, int(offset), os.SEEK_SET)
            monitor.sendmsg([line + b"\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])
            os.close(file)


main()
