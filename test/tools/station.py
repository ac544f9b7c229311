#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A station on the other end of one of QEMU's network back ends over a socket (-netdev stream, dgram, socket).

station.py [OPTIONS] connect ADDRESS        stream: each packet after its length in four bytes
station.py [OPTIONS] listen ADDRESS         the same, for one connection
station.py [OPTIONS] dgram LOCAL REMOTE     a packet a datagram
station.py [OPTIONS] mcast GROUP            the same, to a multicast group
station.py [OPTIONS] fd NUMBER              stream or datagrams, over a connected socket under that number

An address is a UNIX socket's path or HOST:PORT. Stations are numbered; number 0 answers every packet, another sends numbered
packets of many lengths to it at a rate, and each must come back once and unchanged. With --dribble every packet is sent in two
parts with a pause between them, so that QEMU nearly always has read half of one. Prints "ready" when it is connected, on
SIGUSR1 how many answers it has; on SIGTERM waits for late answers, prints a JSON summary and exits 0 if all came back and nothing was wrong.
"""
import argparse
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time

ETHERTYPE = 0x88b5
# What else a QEMU or a kernel may send unasked: ARP, its announcement, IPv6.
OTHERS = (0x0806, 0x8035, 0x86dd)
PATTERN = bytes(i & 255 for i in range(2048))


def mac(number):
    return bytes((0x52, 0x54, 0, 0x22, 0, number))


def payload(number, sequence):
    start = sequence * 7 & 255
    return struct.pack("!BQ", number, sequence) + PATTERN[start:start + 32 + (sequence * 131) % 1400]


def parse(address):
    if "/" in address:
        return socket.AF_UNIX, address
    host, port = address.rsplit(":", 1)
    return socket.AF_INET, (host, int(port))


class Station:
    def __init__(self, options):
        self.options = options
        self.number = options.number
        self.stream = options.how in ("connect", "listen")
        self.target = None
        self.came = b""
        self.sent = 0
        self.answered = set()
        self.doubled = 0
        self.problem = ""
        self.random = random.Random(self.number)
        getattr(self, options.how)()

    def connect(self):
        family, address = parse(self.options.address[0])
        self.socket = socket.socket(family)
        self.socket.connect(address)

    def listen(self):
        family, address = parse(self.options.address[0])
        server = socket.socket(family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(1)
        self.socket = server.accept()[0]

    def dgram(self):
        family, address = parse(self.options.address[0])
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(address)
        self.target = parse(self.options.address[1])[1]

    def fd(self):
        self.socket = socket.socket(fileno=int(self.options.address[0]))
        self.stream = self.socket.type == socket.SOCK_STREAM

    def mcast(self):
        self.target = parse(self.options.address[0])[1]
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.target)
        group = socket.inet_aton(self.target[0])
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + socket.inet_aton("127.0.0.1"))
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))

    def send(self, packet):
        try:
            if not self.stream:
                if self.target:
                    self.socket.sendto(packet, self.target)
                else:
                    self.socket.send(packet)
                return
            packet = struct.pack("!I", len(packet)) + packet
            if self.options.dribble:
                cut = self.random.randrange(1, len(packet))
                self.socket.sendall(packet[:cut])
                time.sleep(self.options.dribble / 1000)
                packet = packet[cut:]
            self.socket.sendall(packet)
        except (ConnectionRefusedError, BlockingIOError, FileNotFoundError) as error:
            self.problem = self.problem or f"not sent: {error}"

    def take(self, packet):
        ethertype = struct.unpack("!H", packet[12:14])[0]
        if ethertype in OTHERS or packet[:6] != mac(self.number):
            return
        body = packet[14:]
        number, sequence = struct.unpack("!BQ", body[:9])
        if ethertype != ETHERTYPE or body != payload(number, sequence):
            self.problem = self.problem or f"a packet was changed: {packet[:40].hex()}"
        elif self.number == 0:
            self.send(packet[6:12] + packet[:6] + packet[12:])
        elif sequence in self.answered:
            self.doubled += not self.options.doubled
        else:
            self.answered.add(sequence)

    def receive(self, seconds):
        if not select.select([self.socket], [], [], max(0, seconds))[0]:
            return
        try:
            data = self.socket.recv(1 << 17)
        except ConnectionError as error:
            self.problem = self.problem or str(error)
            data = b""
        if not self.stream:
            self.take(data)
            return
        if not data:
            self.problem = self.problem or "the connection was closed"
            time.sleep(0.1)
        self.came += data
        while len(self.came) >= 4 and not self.problem:
            length = struct.unpack("!I", self.came[:4])[0]
            if not 14 <= length <= 69632:
                self.problem = f"no packet: {self.came[:40].hex()}"
            if len(self.came) < 4 + length:
                return
            self.take(self.came[4:4 + length])
            self.came = self.came[4 + length:]

    def run(self):
        stop = []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
        signal.signal(signal.SIGUSR1, lambda *_: print(json.dumps({"answers": len(self.answered)}), flush=True))
        print("ready", flush=True)
        while not stop and self.options.after and not os.path.exists(self.options.after):
            time.sleep(0.01)
        due = time.monotonic()
        while not stop:
            if self.number and time.monotonic() >= due:
                self.send(mac(0) + mac(self.number) + struct.pack("!H", ETHERTYPE) + payload(self.number, self.sent))
                self.sent += 1
                due += 1 / self.options.rate
            self.receive(due - time.monotonic() if self.number else 0.05)
        limit = time.monotonic() + 2
        while len(self.answered) < self.sent and time.monotonic() < limit:
            self.receive(0.05)
        lost = self.sent - len(self.answered)
        ok = not self.problem and (self.options.lossy or not lost) and not self.doubled
        print(json.dumps({"ok": ok, "sent": self.sent, "received": len(self.answered), "lost": lost,
                          "doubled": self.doubled, "problem": self.problem}), flush=True)
        # What is still in its socket when it ends is nobody's.
        os._exit(0 if ok else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1)
    parser.add_argument("--rate", type=float, default=50, help="packets a second")
    parser.add_argument("--dribble", type=float, default=0, help="milliseconds between two parts of a packet")
    parser.add_argument("--after", help="a file: nothing is sent before it is there")
    parser.add_argument("--lossy", action="store_true", help="packets may be lost")
    parser.add_argument("--doubled", action="store_true", help="answers may come twice")
    parser.add_argument("how", choices=("connect", "listen", "dgram", "mcast", "fd"))
    parser.add_argument("address", nargs="+")
    sys.exit(Station(parser.parse_args()).run())


main()
