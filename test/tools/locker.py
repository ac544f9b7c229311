#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Locks a disk image as another QEMU would, at the first moment when it is free: locker.py IMAGE SECONDS.

QEMU's locks are on bytes 100 to 300 (block/file-posix.c: RAW_LOCK_PERM_BASE, RAW_LOCK_SHARED_BASE). Prints "ready", then "locked" once it has them, and
"released" after that many seconds.
"""
import fcntl
import struct
import sys
import time


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], "r+b") as image:
        # l_type, l_whence, l_start, l_len, l_pid
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 100, 200, 0)
        print("ready", flush=True)
        while True:
            try:
                fcntl.fcntl(image, fcntl.F_OFD_SETLK, lock)
                break
            except BlockingIOError:
                time.sleep(0.0001)
        print("locked", flush=True)
        time.sleep(float(sys.argv[2]))
    print("released", flush=True)


main()
