#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Logs in to a SPICE server at a UNIX socket with a password: spicepassword.py SOCKET PASSWORD. Exits 1 if it is not taken."""
import socket
import struct
import subprocess
import sys
import tempfile

# spice-protocol, spice/protocol.h: SpiceLinkHeader, then SpiceLinkMess without capabilities: the main channel is asked for, and the
# password is what comes next.
LINK = struct.pack("<4sIII", b"REDQ", 2, 2, 18) + struct.pack("<IBBIII", 0, 1, 0, 0, 0, 18)
KEY_BYTES = 162


def exactly(link, count):
    data = b""
    while len(data) < count:
        more = link.recv(count - len(data))
        if not more:
            sys.exit("the server closed the connection")
        data += more
    return data


def encrypt(password, key):
    with tempfile.NamedTemporaryFile() as file:
        file.write(key)
        file.flush()
        return subprocess.run(["openssl", "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", file.name, "-pkeyopt",
                               "rsa_padding_mode:oaep"], input=password.encode() + b"\0", stdout=subprocess.PIPE, check=True).stdout


def main():
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(10)
    link.connect(sys.argv[1])
    link.sendall(LINK)
    magic, _, _, size = struct.unpack("<4sIII", exactly(link, 16))
    reply = exactly(link, size)
    if magic != b"REDQ" or struct.unpack("<I", reply[:4])[0]:
        sys.exit("the server does not want us: %r" % reply[:4])
    link.sendall(encrypt(sys.argv[2], reply[4:4 + KEY_BYTES]))
    sys.exit(exactly(link, 4) != b"\0\0\0\0")


main()
