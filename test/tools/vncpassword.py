#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Logs in to a VNC server at a UNIX socket with a password: vncpassword.py SOCKET PASSWORD. Exits 1 if it is not taken."""
import socket
import subprocess
import sys


def exactly(link, count):
    data = b""
    while len(data) < count:
        more = link.recv(count - len(data))
        if not more:
            sys.exit("the server closed the connection")
        data += more
    return data


def encrypt(password, challenge):
    """DES, each byte of the key with its bits the other way round (RFC 6143, 7.2.2)."""
    key = bytes(int(format(byte, "08b")[::-1], 2) for byte in password.encode()[:8].ljust(8, b"\0"))
    done = subprocess.run(["openssl", "enc", "-des-ede3", "-nopad", "-K", (key * 3).hex()], input=challenge,
                          stdout=subprocess.PIPE, check=True)
    return done.stdout


def main():
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(10)
    link.connect(sys.argv[1])
    exactly(link, 12)
    link.sendall(b"RFB 003.008\n")
    types = exactly(link, exactly(link, 1)[0])
    if 2 not in types:
        sys.exit("no password is asked for: %r" % types)
    link.sendall(b"\2")
    link.sendall(encrypt(sys.argv[2], exactly(link, 16)))
    sys.exit(exactly(link, 4) != b"\0\0\0\0")


main()
