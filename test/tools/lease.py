#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lease.py LOCAL REMOTE MAC-END [ADDRESS]: a guest without a VM, on the other end of a -netdev dgram of QEMU's.

Asks the network's DHCP server for an address, or for this one again, and then pings the gateway from it, all in packets of its
own. Prints the address that it was given, and fails where the server or the gateway does not answer.
"""
import os
import socket
import struct
import sys

GATEWAY = socket.inet_aton("10.0.2.2")


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip_packet(protocol, source, target, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, source, target)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


class Guest:
    def __init__(self, local, remote, end):
        self.mac = bytes((0x52, 0x54, 0, 0x33, 0, int(end)))
        self.peer = remote
        self.local = local
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(local)
        self.socket.settimeout(0.5)

    def send(self, target, ethertype, payload):
        self.socket.sendto(target + self.mac + struct.pack("!H", ethertype) + payload, self.peer)

    def ask(self, target, ethertype, payload, wanted):
        """Sends until a packet comes for which wanted() says something."""
        for _ in range(20):
            self.send(target, ethertype, payload)
            try:
                while True:
                    packet = self.socket.recv(65536)
                    answer = wanted(packet) if packet[:6] in (self.mac, b"\xff" * 6) else None
                    if answer is not None:
                        return answer
            except TimeoutError:
                pass
        sys.exit("no answer")

    def dhcp(self, kind, address):
        options = bytes((53, 1, kind)) + (bytes((50, 4)) + address if address else b"") + b"\xff"
        message = struct.pack("!BBBBIHH4s4s4s4s16s64s128sI", 1, 1, 6, 0, 0x1234, 0, 0, bytes(4), bytes(4), bytes(4), bytes(4),
                              self.mac, b"", b"", 0x63825363) + options
        udp = struct.pack("!HHHH", 68, 67, 8 + len(message), 0) + message

        def wanted(packet):
            if packet[12:14] != b"\x08\x00" or packet[23] != 17 or packet[36:38] != b"\x00\x44":
                return None
            answer = packet[42:]
            at = answer.find(bytes((53, 1)), 236)
            if answer[28:34] != self.mac:
                return None
            return answer[at + 2], answer[16:20]

        return self.ask(b"\xff" * 6, 0x0800, ip_packet(17, bytes(4), b"\xff" * 4, udp), wanted)

    def ping(self, address):
        arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, self.mac, address, bytes(6), GATEWAY)
        gateway = self.ask(b"\xff" * 6, 0x0806, arp,
                           lambda packet: packet[22:28] if packet[12:14] == b"\x08\x06" and packet[28:32] == GATEWAY else None)
        echo = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"cprshim!"
        echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
        self.ask(gateway, 0x0800, ip_packet(1, address, GATEWAY, echo),
                 lambda packet: True if packet[12:14] == b"\x08\x00" and packet[23] == 1 and packet[34] == 0 else None)


def main():
    guest = Guest(*sys.argv[1:4])
    try:
        address = socket.inet_aton(sys.argv[4]) if len(sys.argv) > 4 else guest.dhcp(1, None)[1]
        kind, given = guest.dhcp(3, address)
        if kind != 5:
            sys.exit(f"the server's answer to a request for {socket.inet_ntoa(address)} is {kind}")
        guest.ping(given)
        print(socket.inet_ntoa(given))
    finally:
        os.unlink(guest.local)


main()
