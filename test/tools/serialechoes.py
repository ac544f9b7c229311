#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks a bare-metal guest's echoes ("E <hex>") in what its serial line said.

serialechoes.py FILE [SENT]: the echoes must be those of bytes 0x80 to 0xff in rising order, over and over, and the guest's ticks must
rise by one. With SENT, that many bytes were sent and all must have been echoed, but for the first few, which a guest that still
boots may miss.
"""
import re
import sys

BOOT = 64


def main():
    with open(sys.argv[1], "rb") as file:
        lines = file.read().replace(b"\r", b"").split(b"\n")
    echoes = [int(line[2:], 16) for line in lines if re.fullmatch(rb"E [89a-f][0-9a-f]", line)]
    ticks = [int(line.split()[1]) for line in lines if re.fullmatch(rb"T \d+ pattern-ok", line)]
    if len(echoes) < 2 or len(ticks) < 2:
        sys.exit("%d echoes, %d ticks" % (len(echoes), len(ticks)))
    for i in range(1, len(echoes)):
        if echoes[i] != 0x80 + (echoes[i - 1] + 1) % 0x80:
            sys.exit("echo %d: %02x after %02x" % (i, echoes[i], echoes[i - 1]))
    for i in range(1, len(ticks)):
        if ticks[i] != ticks[i - 1] + 1:
            sys.exit("tick %d after %d" % (ticks[i], ticks[i - 1]))
    missed = echoes[0] - 0x80
    if len(sys.argv) > 2 and (missed > BOOT or len(echoes) + missed != int(sys.argv[2])):
        sys.exit("%d echoes from %02x on for %s bytes" % (len(echoes), echoes[0], sys.argv[2]))


main()
