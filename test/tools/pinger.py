#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pings an address at a steady rate, or sends datagrams to a UDP echo service of its, and counts what was lost or doubled, and the
longest gaps.

To be run in the test's network namespace. On SIGTERM it waits for late answers, prints a JSON summary and exits 0 if
nothing was lost or doubled, else 1. A packet that could not be sent (ENOBUFS and the like) counts as lost.
Pings need CAP_NET_RAW. A Linux guest loses some by itself when more than about 170 are to be answered at once: so many replies fit
into its kernel's own socket (net/ipv4/icmp.c:icmp_sk_init). While it stands still fewer should come.
"""
import argparse
import json
import os
import select
import signal
import socket
import struct
import sys
import time


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def echo_request(identifier, number):
    payload = struct.pack("!Q", number) + bytes(48)
    header = struct.pack("!BBHHH", 8, 0, 0, identifier, number & 0xffff)
    return struct.pack("!BBHHH", 8, 0, checksum(header + payload), identifier, number & 0xffff) + payload


def answered_number(identifier, packet):
    header = (packet[0] & 15) * 4
    kind, _, _, whose, _ = struct.unpack("!BBHHH", packet[header:header + 8])
    if kind != 0 or whose != identifier or len(packet) < header + 16:
        return None
    return struct.unpack("!Q", packet[header + 8:header + 16])[0]


class Icmp:
    def __init__(self, address):
        self.identifier = os.getpid() & 0xffff
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.socket.connect((address, 0))

    def request(self, number):
        return echo_request(self.identifier, number)

    def number(self, packet):
        return answered_number(self.identifier, packet)


class Udp:
    def __init__(self, address, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((address, port))

    def request(self, number):
        return struct.pack("!Q", number) + bytes(56)

    def number(self, packet):
        return struct.unpack("!Q", packet[:8])[0] if len(packet) == 64 else None


class Pinger:
    def __init__(self, options):
        self.options = options
        self.kind = Udp(options.address, options.udp) if options.udp else Icmp(options.address)
        self.socket = self.kind.socket
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.setblocking(False)
        self.sent_at = {}
        self.answered = set()
        self.sent = 0
        self.doubled = 0
        self.send_errors = 0
        self.last_answer = None
        self.longest_gap = 0.0
        self.longest_trip = 0.0

    def receive(self, seconds):
        if not select.select([self.socket], [], [], max(0, seconds))[0]:
            return
        while True:
            try:
                number = self.kind.number(self.socket.recv(2048))
            except (BlockingIOError, ConnectionRefusedError):
                return
            if number is None:
                continue
            now = time.monotonic()
            if number in self.answered:
                self.doubled += 1
                continue
            self.answered.add(number)
            self.longest_trip = max(self.longest_trip, now - self.sent_at.get(number, now))
            if self.last_answer is not None:
                self.longest_gap = max(self.longest_gap, now - self.last_answer)
            self.last_answer = now

    def run(self):
        stop = []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
        signal.signal(signal.SIGINT, lambda *_: stop.append(1))
        print("ready", flush=True)
        due = time.monotonic()
        while not stop and (not self.options.count or self.sent < self.options.count):
            now = time.monotonic()
            if now >= due:
                self.sent_at[self.sent] = now
                try:
                    self.socket.send(self.kind.request(self.sent))
                except OSError:
                    self.send_errors += 1
                self.sent += 1
                due += 1 / self.options.rate
            self.receive(due - time.monotonic())
        limit = time.monotonic() + self.options.drain
        while len(self.answered) < self.sent and time.monotonic() < limit:
            self.receive(0.05)
        lost = sorted(set(range(self.sent)) - self.answered)
        ok = not lost and not self.doubled
        print(json.dumps({
            "ok": ok, "sent": self.sent, "received": len(self.answered), "lost": len(lost), "doubled": self.doubled,
            "send_errors": self.send_errors, "first_lost": lost[:20],
            "longest_gap_ms": round(1000 * self.longest_gap, 1), "longest_trip_ms": round(1000 * self.longest_trip, 1),
        }), flush=True)
        return 0 if ok else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--udp", type=int, default=0, metavar="PORT", help="datagrams to this port instead of pings")
    parser.add_argument("--rate", type=float, default=100, help="packets a second")
    parser.add_argument("--count", type=int, default=0, help="end by itself after so many")
    parser.add_argument("--drain", type=float, default=10, help="seconds to wait for late answers at the end")
    sys.exit(Pinger(parser.parse_args()).run())


main()
