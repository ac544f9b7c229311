#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks on the host what the Linux guest (test/guest/worker.c) wrote to its disk: checkdisk.py RAW-IMAGE [LAST].

Every 4 KiB place that was written must hold a record with its right number and checksum, and the records must be the newest ones without a
hole: with LAST, the guest's own count, up to that number at least. Prints a JSON summary; exits 0 if all is well, else 1.
"""
import hashlib
import json
import os
import struct
import sys

RECORD_SIZE = 4096
RECORD_WORDS = RECORD_SIZE // 8
RECORDS_MAX = 4096
MASK = (1 << 64) - 1


def mix(value):
    value = ((value ^ value >> 30) * 0xbf58476d1ce4e5b9) & MASK
    value = ((value ^ value >> 27) * 0x94d049bb133111eb) & MASK
    return value ^ value >> 31


def checksum(words):
    total = 0
    for word in words:
        total = ((total << 1 & MASK) | total >> 63) ^ word
    return total


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    at_least = int(sys.argv[2]) if len(sys.argv) == 3 else 1
    problems = []
    numbers = []
    digest = hashlib.sha256()
    with open(sys.argv[1], "rb") as image:
        places = min(RECORDS_MAX, os.fstat(image.fileno()).st_size // RECORD_SIZE)
        for place in range(places):
            record = image.read(RECORD_SIZE)
            digest.update(record)
            words = struct.unpack("<%dQ" % RECORD_WORDS, record)
            number = words[0]
            if not any(record):
                continue
            if number % places != place:
                problems.append("place %d holds record %d" % (place, number))
            elif words[1] != checksum(words[2:]) or words[2] != mix(number * RECORD_WORDS + 2):
                problems.append("record %d does not match its checksum" % number)
            else:
                numbers.append(number)
    numbers.sort()
    if not numbers:
        problems.append("no record at all")
    else:
        if numbers[-1] < at_least:
            problems.append("the newest record is %d, not %d or later" % (numbers[-1], at_least))
        oldest = max(1, numbers[-1] - places + 1)
        if numbers != list(range(oldest, numbers[-1] + 1)):
            problems.append("records are missing between %d and %d" % (oldest, numbers[-1]))
    print(json.dumps({"ok": not problems, "problems": problems[:20], "records": len(numbers),
                      "last": numbers[-1] if numbers else 0, "sha256": digest.hexdigest()}))
    return 1 if problems else 0


sys.exit(main())
