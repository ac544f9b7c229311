#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Watches from outside what the Linux test guest's "stream" writes each millisecond: a count on a raw disk image, a byte on a serial
port's UNIX socket. On SIGTERM it prints JSON: the longest time that neither changed, in ms, and how many bytes were lost or came twice.
"""
import argparse
import json
import os
import signal
import socket
import threading
import time


class Gap:
    """The longest time between two changes."""

    def __init__(self):
        self.longest = 0
        self.last = None

    def changed(self):
        now = time.monotonic()
        if self.last is not None:
            self.longest = max(self.longest, now - self.last)
        self.last = now


class Disk:
    def __init__(self, path):
        self.gap = Gap()
        self.fd = os.open(path, os.O_RDONLY)

    def watch(self):
        before = None
        while True:
            count = os.pread(self.fd, 8, 0)
            if count != before:
                self.gap.changed()
            before = count
            # Much shorter than what is looked for, and little of a CPU.
            time.sleep(0.0002)


class Serial:
    def __init__(self, path):
        self.gap = Gap()
        self.wrong = 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)

    def watch(self):
        before = None
        while data := self.socket.recv(4096):
            self.gap.changed()
            for byte in data:
                if before is not None and byte != (before + 1) % 256:
                    self.wrong += 1
                before = byte


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("serial")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    disk, serial = Disk(options.image), Serial(options.serial)
    for watched in (disk, serial):
        threading.Thread(target=watched.watch, daemon=True).start()
    signal.sigwait({signal.SIGTERM})
    print(json.dumps({"ok": not serial.wrong, "disk_ms": disk.gap.longest * 1000, "serial_ms": serial.gap.longest * 1000, "serial_wrong": serial.wrong}))


main()
