#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""feeder.py RATE FILE...: writes bytes 0x80 to 0xff in rising order into each, over and over, so many a second.

On SIGTERM prints a JSON summary with the number of bytes that each got.
"""
import json
import os
import signal
import sys
import time

stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
files = [os.open(name, os.O_WRONLY) for name in sys.argv[2:]]
print("ready", flush=True)
sent = 0
while not stop:
    for file in files:
        os.write(file, bytes([0x80 + sent % 128]))
    sent += 1
    time.sleep(1 / float(sys.argv[1]))
print(json.dumps({"ok": True, "sent": sent}), flush=True)
