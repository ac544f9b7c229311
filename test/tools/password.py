#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""password.py vnc|spice SOCKET PASSWORD: logs in to a server at a UNIX socket with a password. Exits 1 if it is not taken."""
import socket
import struct
import subprocess
import sys
import tempfile

# spice-protocol, spice/protocol.h: SpiceLinkHeader, then SpiceLinkMess without capabilities: the main channel is asked for, and the
# password is what comes next.
SPICE_LINK = struct.pack("<4sIII", b"REDQ", 2, 2, 18) + struct.pack("<IBBIII", 0, 1, 0, 0, 0, 18)
SPICE_KEY_BYTES = 162


def exactly(link, count):
    data = b""
    while len(data) < count:
        more = link.recv(count - len(data))
        if not more:
            sys.exit("the server closed the connection")
        data += more
    return data


def openssl(data, *arguments):
    return subprocess.run(["openssl", *arguments], input=data, stdout=subprocess.PIPE, check=True).stdout


def vnc(link, password):
    """What is answered to the password: zeros if it is taken. RFC 6143, 7.2.2: DES, each byte of the key with its bits turned round."""
    exactly(link, 12)
    link.sendall(b"RFB 003.008\n")
    types = exactly(link, exactly(link, 1)[0])
    if 2 not in types:
        sys.exit("no password is asked for: %r" % types)
    link.sendall(b"\2")
    key = bytes(int(format(byte, "08b")[::-1], 2) for byte in password.encode()[:8].ljust(8, b"\0"))
    link.sendall(openssl(exactly(link, 16), "enc", "-des-ede3", "-nopad", "-K", (key * 3).hex()))
    return exactly(link, 4)


def spice(link, password):
    """The same of SPICE: RSA, with the key that the server sends."""
    link.sendall(SPICE_LINK)
    magic, _, _, size = struct.unpack("<4sIII", exactly(link, 16))
    reply = exactly(link, size)
    if magic != b"REDQ" or struct.unpack("<I", reply[:4])[0]:
        sys.exit("the server does not want us: %r" % reply[:4])
    with tempfile.NamedTemporaryFile() as key:
        key.write(reply[4:4 + SPICE_KEY_BYTES])
        key.flush()
        link.sendall(openssl(password.encode() + b"\0", "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", key.name,
                             "-pkeyopt", "rsa_padding_mode:oaep"))
    return exactly(link, 4)


def main():
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(10)
    link.connect(sys.argv[2])
    answer = {"vnc": vnc, "spice": spice}[sys.argv[1]](link, sys.argv[3])
    sys.exit(answer != b"\0\0\0\0")


main()
