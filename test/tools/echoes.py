#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds a TCP connection to an echo service: numbered records go out at a rate and must come back, each once, in order.

Prints "ready" when it is connected and "answered" at the first answer. On SIGTERM it waits for the last
answers, prints a JSON summary and exits 0 if every byte came back, else 1.
"""
import argparse
import json
import select
import signal
import socket
import sys
import time

RECORD = 64


def record(number):
    return b"%016d" % number + bytes((number * 7 + i) & 255 for i in range(RECORD - 16))


class Echoes:
    def __init__(self, options):
        self.options = options
        self.socket = socket.create_connection((options.host, options.port), timeout=options.connect)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.out = b""
        self.came = b""
        self.sent = self.received = 0
        self.problem = ""

    def step(self, seconds):
        readable, writable, _ = select.select([self.socket], [self.socket] if self.out else [], [], max(0, seconds))
        try:
            if writable:
                self.out = self.out[self.socket.send(self.out):]
            if readable:
                data = self.socket.recv(65536)
                self.problem = "" if data else "the connection was closed"
                self.came += data
        except OSError as error:
            self.problem = str(error)
        while len(self.came) >= RECORD and not self.problem:
            if self.came[:RECORD] != record(self.received):
                self.problem = f"record {self.received} came back as {self.came[:RECORD]!r}"
            self.came = self.came[RECORD:]
            self.received += 1
            if self.received == 1:
                print("answered", flush=True)

    def run(self):
        stop = []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
        print("ready", flush=True)
        due = time.monotonic()
        while not stop and not self.problem:
            if time.monotonic() >= due:
                self.out += record(self.sent)
                self.sent += 1
                due += 1 / self.options.rate
            self.step(due - time.monotonic())
        limit = time.monotonic() + self.options.drain
        while self.received < self.sent and not self.problem and time.monotonic() < limit:
            self.step(0.05)
        ok = not self.problem and self.received == self.sent
        print(json.dumps({"ok": ok, "sent": self.sent, "received": self.received, "problem": self.problem}), flush=True)
        return 0 if ok else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, default=200, help="records a second")
    parser.add_argument("--connect", type=float, default=10, help="seconds that the connection may take")
    parser.add_argument("--drain", type=float, default=10, help="seconds to wait for late answers at the end")
    sys.exit(Echoes(parser.parse_args()).run())


main()
