#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints which offloads an interface has, as a JSON object: offloads.py INTERFACE. A tap has what its guest asked for."""
import array
import fcntl
import json
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
GET = {"rx-checksum": 0x14, "tx-checksum": 0x16, "scatter-gather": 0x18, "tso": 0x1e, "gso": 0x23}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    answers = {}
    for name, command in GET.items():
        value = array.array("B", struct.pack("II", command, 0))
        request = struct.pack("16sQ8x", sys.argv[1].encode(), value.buffer_info()[0])
        fcntl.ioctl(control, SIOCETHTOOL, request)
        answers[name] = bool(struct.unpack("II", value)[1])
    print(json.dumps(answers))


main()
