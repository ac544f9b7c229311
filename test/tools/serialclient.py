#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stays on a test guest's serial line for the whole test and proves that no byte is lost, doubled or reordered.

The guest's "T <n>" lines must rise by one and say pattern-ok. With --rate it sends bytes 0x80 to 0xff in rising order,
and each must be echoed once ("E <hex>"), in order. Lines written to its standard input are sent as they are, so a test
can give commands. With --linux the guest is that of scripts/make-linux-guest: lines "C <n> <uptime>" count, and BAD
in any line is a problem; then nothing is sent but lines of standard input, whole. After SIGUSR1 it neither reads nor
writes, and says "stalled" once what waits for it does not grow any more; the next SIGUSR1 ends that. On SIGTERM it
waits for open echoes, prints a JSON summary and exits 0 if all was well, else 1.

With --telnet the server must greet as QEMU's does, once. What is sent then has telnet's commands in between and bytes 0xff
doubled, and goes out byte by byte, so that at most times half a command is on its way.

The line is a UNIX socket's path (@NAME: an abstract one), HOST:PORT, [HOST]:PORT or a terminal (/dev/...); with --listen it is
served there instead, to one client for good. So it is with vsock:CID:PORT. udp:OURS:THEIRS are two ports on 127.0.0.1; where THEIRS is 0, it is that of
the first datagram, which is told as "peer".
"""
import argparse
import array
import fcntl
import json
import os
import re
import select
import signal
import socket
import sys
import termios
import time
import tty

KNOWN = re.compile(rb"^(G cprshim test guest|R ready|D \d+|T \d+ (pattern-ok|BAD)|E [0-9a-f]{2}"
                   rb"|M [0-9a-f]{8} [0-9a-f]{8} (ok|BAD)|F [01]|P \d+|V (ok|BAD) \d+( \d+)?|A( BAD)?( \d+)*|B busy|L \d+)$")

# chardev/char-socket.c:tcp_chr_telnet_init
TELNET_GREETING = b"\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00"
TELNET_DO_ECHO = b"\xff\xfd\x01"

SO_RCVBUFFORCE = 33  # asm-generic/socket.h

LINUX_TICK = re.compile(rb"^C \d+ [0-9.]+$")



class Client:
    def __init__(self, options):
        self.options = options
        self.line = -1
        self.server = None
        self.buffer = b""
        self.counter = None
        self.first_counter = None
        self.ticks = 0
        self.last_tick = None
        self.longest_gap_ms = 0.0
        self.gap_at = None
        self.sent = 0
        self.echoed = 0
        self.commands = []
        self.answers = []
        self.problems = []
        self.first_line = True
        self.eof = False
        self.greeting = TELNET_GREETING if options.telnet else b""
        self.outgoing = b""
        self.log = open(options.log, "wb", buffering=0) if options.log else None

    def open_line(self):
        where = self.options.socket
        if self.options.fd is not None:
            return self.options.fd
        if where.startswith("/dev/"):
            fd = os.open(where, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            tty.setraw(fd)
            return fd
        if where.startswith("udp:"):
            return self.open_datagrams(*map(int, where.split(":")[1:]))
        family = socket.AF_UNIX if where[0] in "/@" else socket.AF_INET6 if "[" in where else socket.AF_INET
        address = where.replace("@", "\0")
        if where.startswith("vsock:"):
            family = socket.AF_VSOCK
            address = tuple(map(int, where.split(":")[1:]))
        elif family != socket.AF_UNIX:
            host, port = where.rsplit(":", 1)
            address = (host.strip("[]"), int(port))
        link = socket.socket(family)
        if not self.options.listen:
            link.connect(address)
            return link.detach()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        link.bind(address)
        link.listen(8)
        print("listening", flush=True)
        self.server = link
        return link.accept()[0].detach()

    def open_datagrams(self, ours, theirs):
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # What we are too slow for is not QEMU's fault.
        link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        link.bind(("127.0.0.1", ours))
        if not theirs:
            print("ready", flush=True)
            theirs = link.recvfrom(1, socket.MSG_PEEK)[1][1]
            print(json.dumps({"peer": theirs}), flush=True)
        link.connect(("127.0.0.1", theirs))
        return link.detach()

    def connect(self):
        """Connects, waiting a while for a server that is just starting."""
        limit = time.monotonic() + 5
        while True:
            try:
                self.line = self.open_line()
                return
            except OSError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.02)

    def send(self, data):
        while data:
            data = data[os.write(self.line, data):]

    def send_due(self):
        """Sends the next byte of the sequence, or of what stands for it in telnet."""
        if not self.outgoing:
            self.outgoing = bytes([0x80 + self.sent % 128])
            self.sent += 1
            if self.options.telnet:
                self.outgoing = TELNET_DO_ECHO + self.outgoing.replace(b"\xff", b"\xff\xff")
        self.send(self.outgoing[:1])
        self.outgoing = self.outgoing[1:]

    def send_command(self, byte):
        """A byte that the test gives, after the one that is on its way."""
        self.send(self.outgoing + bytes([byte]))
        self.outgoing = b""

    def check_telnet(self, data):
        """The first that comes, and never again."""
        n = min(len(data), len(self.greeting))
        if data[:n] != self.greeting[:n]:
            self.problem("greeted by %r" % data[:n])
        self.greeting = self.greeting[n:]
        if self.options.telnet and b"\xff" in data[n:]:
            self.problem("a telnet command after the greeting: %r" % data[n:][:40])
        return data[n:]

    def problem(self, text):
        if len(self.problems) < 50:
            self.problems.append(text)

    def on_tick(self, line):
        now = time.monotonic()
        self.ticks += 1
        number = int(line.split()[1])
        if self.counter is not None and number != self.counter + 1:
            self.problem("tick %d after tick %d" % (number, self.counter))
        if self.last_tick is not None and 1000 * (now - self.last_tick) > self.longest_gap_ms:
            self.longest_gap_ms = 1000 * (now - self.last_tick)
            self.gap_at = number
        if self.first_counter is None:
            self.first_counter = number
        self.counter = number
        self.last_tick = now
        if line.endswith(b"BAD"):
            self.problem(line.decode())

    def on_echo(self, byte):
        if byte < 0x80:
            if not self.commands or self.commands.pop(0) != byte:
                self.problem("echo of command %02x that is not due" % byte)
            return
        expected = 0x80 + self.echoed % 128
        if byte != expected or self.echoed >= self.sent:
            self.problem("echo %02x instead of %02x (number %d)" % (byte, expected, self.echoed))
        self.echoed += 1

    def on_line(self, line):
        line = line.rstrip(b"\r")
        if self.log:
            self.log.write(b"%.6f %s\n" % (time.time(), line))
        # We may have come in the middle of a line.
        first, self.first_line = self.first_line, False
        if self.options.linux:
            if LINUX_TICK.match(line):
                self.on_tick(line)
            elif b"BAD" in line:
                self.problem(line.decode("utf-8", "replace"))
            elif not line.startswith((b"DISK ok", b"RAM ok")):
                self.answers.append(line.decode("utf-8", "replace"))
        elif not KNOWN.match(line):
            if not first:
                self.problem("unknown line %r" % line[:80])
        elif line.startswith(b"T "):
            if not first:
                self.on_tick(line)
        elif line.startswith(b"E "):
            self.on_echo(int(line[2:], 16))
        else:
            self.answers.append(line.decode())
            if b"BAD" in line:
                self.problem(line.decode())

    def receive(self, seconds, with_input=True):
        watched = [self.line] + ([self.server] if self.server else []) + ([0] if with_input and self.options.stdin else [])
        ready = select.select(watched, [], [], max(0, seconds))[0]
        if 0 in ready:
            data = os.read(0, 4096)
            if not data:
                self.options.stdin = False
            if self.options.linux:
                self.send(data)
                return
            for byte in data.replace(b"\n", b""):
                self.commands.append(byte)
                self.send_command(byte)
        if self.server in ready:
            self.problem("a second connection")
            self.server = None
        if self.line not in ready:
            return
        try:
            data = os.read(self.line, 65536)
        except OSError:
            data = b""
        if not data:
            self.eof = True
            return
        self.buffer += self.check_telnet(data)
        while b"\n" in self.buffer:
            line, self.buffer = self.buffer.split(b"\n", 1)
            self.on_line(line)

    def waiting(self):
        count = array.array("i", [0])
        fcntl.ioctl(self.line, termios.FIONREAD, count)
        return count[0]

    def stall(self, signals):
        """Until the next signal, reads nothing."""
        before = -1
        while not signals:
            time.sleep(0.3)
            now = self.waiting()
            if before >= 0 and now == before:
                print("stalled", flush=True)
                before = -2
            elif before != -2:
                before = now
        signals.pop()

    def run(self):
        stop = []
        signals = []
        signal.signal(signal.SIGUSR1, lambda *_: signals.append(1))
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
        signal.signal(signal.SIGINT, lambda *_: stop.append(1))
        self.connect()
        print("ready", flush=True)
        due = time.monotonic()
        interval = 1 / self.options.rate if self.options.rate else None
        while not stop and not self.eof and (not self.options.ticks or self.ticks < self.options.ticks):
            if signals:
                signals.pop()
                self.stall(signals)
                due = time.monotonic()
            if self.last_tick is None:
                due = time.monotonic()  # what a guest that still boots is sent is lost
            elif interval and time.monotonic() >= due:
                try:
                    self.send_due()
                except OSError as error:
                    self.problem("send: %s" % error)
                    break
                due += interval
            self.receive(min(0.05, max(0.0005, due - time.monotonic())) if interval else 0.05)
        self.send(self.outgoing)
        limit = time.monotonic() + self.options.drain
        while (self.echoed < self.sent or self.commands) and not self.eof and time.monotonic() < limit:
            self.receive(0.02, with_input=False)
        if self.eof:
            self.problem("the connection was closed")
        if self.echoed != self.sent:
            self.problem("%d bytes sent, %d echoed" % (self.sent, self.echoed))
        if self.counter is None:
            self.problem("no tick at all")
        print(json.dumps({
            "ok": not self.problems, "problems": self.problems, "sent": self.sent, "echoed": self.echoed,
            "first_tick": self.first_counter, "last_tick": self.counter,
            "longest_gap_ms": round(self.longest_gap_ms, 1), "longest_gap_before": self.gap_at,
            "answers": self.answers,
        }), flush=True)
        return 1 if self.problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket", nargs="?")
    parser.add_argument("--listen", action="store_true", help="serve the line instead of connecting to it")
    parser.add_argument("--fd", type=int, help="an inherited connected socket instead of a path")
    parser.add_argument("--rate", type=float, default=0, help="sequence bytes a second")
    parser.add_argument("--drain", type=float, default=5, help="seconds to wait for open echoes at the end")
    parser.add_argument("--stdin", action="store_true", help="pass on command bytes from standard input")
    parser.add_argument("--ticks", type=int, default=0, help="end by itself after so many ticks")
    parser.add_argument("--linux", action="store_true", help="the guest is the Linux one")
    parser.add_argument("--telnet", action="store_true", help="the line's server speaks telnet")
    parser.add_argument("--log", help="all lines with times go to this file")
    sys.exit(Client(parser.parse_args()).run())


main()
