#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tapfd.py INTERFACE FD... -- COMMAND...: runs the command with the interface's queues open under these numbers."""
import fcntl
import os
import struct
import sys

TUNSETIFF = 0x400454ca
IFF_TAP, IFF_NO_PI, IFF_MULTI_QUEUE, IFF_VNET_HDR = 0x2, 0x1000, 0x100, 0x4000


def main():
    end = sys.argv.index("--")
    numbers = [int(number) for number in sys.argv[2:end]]
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if len(numbers) > 1 else 0)
    for number in numbers:
        queue = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(queue, TUNSETIFF, struct.pack("16sH22x", sys.argv[1].encode(), flags))
        os.dup2(queue, number, inheritable=True)
        os.close(queue)
    os.execvp(sys.argv[end + 1], sys.argv[end + 1:])


main()
