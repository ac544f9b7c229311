#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds one QMP session for the whole test and proves that it neither breaks nor repeats or loses an answer.

Sends a query every few milliseconds with rising ids; each must be answered once, no second greeting may come. On
SIGTERM it waits for what is still open, prints a JSON summary and exits 0 if all was well, else 1. SIGUSR1
sends only the first half of a command and holds back everything else; the next SIGUSR1 sends the rest.
With --silent it connects, and negotiates and begins to send at the first SIGUSR1. --command may be given more than once:
the commands then take turns.
"""
import argparse
import json
import select
import signal
import socket
import sys
import time


class Client:
    def __init__(self, options):
        self.options = options
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(options.socket)
        self.buffer = b""
        self.next_id = 0
        self.open = {}
        self.half = None
        self.answered = 0
        self.events = []
        self.problems = []
        self.longest_ms = 0.0
        self.greetings = 0
        self.eof = False
        self.log = open(options.log, "w", buffering=1) if options.log else None

    def problem(self, text):
        if len(self.problems) < 50:
            self.problems.append(text)

    def send(self, text):
        self.socket.sendall(text)
        if self.log:
            self.log.write("%.6f > %s\n" % (time.time(), text.decode()))

    def query(self):
        self.next_id += 1
        verb = "exec-oob" if self.options.oob else "execute"
        self.open[self.next_id] = time.monotonic()
        name = self.options.command[self.next_id % len(self.options.command)]
        return json.dumps({verb: name, "id": self.next_id}).encode() + b"\n"

    def on_object(self, line):
        if self.log:
            self.log.write("%.6f < %s\n" % (time.time(), line.decode("utf-8", "replace")))
        try:
            message = json.loads(line)
        except ValueError:
            self.problem("not JSON: %r" % line[:80])
            return
        if "QMP" in message:
            self.greetings += 1
            if self.greetings > 1:
                self.problem("a second greeting")
        elif "event" in message:
            self.events.append(message["event"])
        elif "return" in message or "error" in message:
            number = message.get("id")
            sent = self.open.pop(number, None)
            if sent is None:
                self.problem("an answer nobody waits for: %r" % line[:80])
                return
            self.longest_ms = max(self.longest_ms, 1000 * (time.monotonic() - sent))
            self.answered += 1 if number else 0
            if "error" in message and not self.options.errors_allowed:
                self.problem("error: %s" % message["error"].get("desc"))
        else:
            self.problem("unknown message: %r" % line[:80])

    def receive(self, seconds):
        """Reads what comes within the time; returns False at the end of the session."""
        try:
            ready = select.select([self.socket], [], [], max(0, seconds))[0]
        except InterruptedError:
            return True
        if not ready:
            return True
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.eof = True
            return False
        self.buffer += data
        while b"\n" in self.buffer:
            line, self.buffer = self.buffer.split(b"\n", 1)
            if line.strip():
                self.on_object(line)
        return True

    def wait_open(self, seconds):
        limit = time.monotonic() + seconds
        while self.open and time.monotonic() < limit and self.receive(0.05):
            pass

    def negotiate(self):
        limit = time.monotonic() + 5
        while self.greetings == 0 and time.monotonic() < limit and self.receive(0.05):
            pass
        enable = {"enable": ["oob"]} if self.options.oob else {}
        self.open[0] = time.monotonic()
        self.send(json.dumps({"execute": "qmp_capabilities", "arguments": enable, "id": 0}).encode() + b"\n")
        self.wait_open(5)

    def toggle_half(self, *_):
        if self.half is None:
            text = self.query()
            middle = len(text) // 2
            self.send(text[:middle])
            self.half = text[middle:]
        else:
            self.send(self.half)
            self.half = None

    def run(self):
        stop = []
        toggles = []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
        signal.signal(signal.SIGINT, lambda *_: stop.append(1))
        signal.signal(signal.SIGUSR1, lambda *_: toggles.append(1))
        if self.options.silent:
            print("ready", flush=True)
            while not stop and not toggles and self.receive(0.05):
                pass
            toggles.clear()
        if not stop:
            self.negotiate()
        print("ready", flush=True)
        due = time.monotonic()
        while not stop and not self.eof:
            if toggles:
                toggles.pop()
                self.toggle_half()
            if time.monotonic() >= due and self.half is None and len(self.open) < self.options.in_flight:
                try:
                    self.send(self.query())
                except OSError as error:
                    self.problem("send: %s" % error)
                    break
                due = max(due + self.options.interval / 1000, time.monotonic() - 1)
            self.receive(min(0.05, max(0.0005, due - time.monotonic())))
        if self.half is not None and not self.eof:
            self.toggle_half()
        self.wait_open(5)
        if self.eof:
            self.problem("the session was closed")
        if self.open:
            self.problem("%d commands without an answer" % len(self.open))
        if self.greetings != 1:
            self.problem("%d greetings" % self.greetings)
        print(json.dumps({
            "ok": not self.problems, "problems": self.problems, "sent": self.next_id, "answered": self.answered,
            "longest_answer_ms": round(self.longest_ms, 1), "greetings": self.greetings, "events": self.events,
        }), flush=True)
        return 1 if self.problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket")
    parser.add_argument("--interval", type=float, default=5, help="milliseconds between queries")
    parser.add_argument("--in-flight", type=int, default=4, help="commands sent before an answer must have come")
    parser.add_argument("--command", action="append")
    parser.add_argument("--silent", action="store_true", help="negotiate at the first SIGUSR1, not before")
    parser.add_argument("--oob", action="store_true", help="negotiate oob and send out of band")
    parser.add_argument("--errors-allowed", action="store_true")
    parser.add_argument("--log", help="all lines with times go to this file")
    options = parser.parse_args()
    if not options.command:
        # Only a few commands may run out of band; this one changes nothing and always fails or succeeds the same.
        options.command = ["migrate-recover" if options.oob else "query-status"]
        options.errors_allowed = options.errors_allowed or options.oob
    sys.exit(Client(options).run())


main()
