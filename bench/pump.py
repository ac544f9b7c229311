#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sends so many MiB to a TCP echo service, and prints how long it took until all of it was back, in ms."""
import argparse
import socket
import threading
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("mib", type=int)
    options = parser.parse_args()
    connection = socket.create_connection((options.address, options.port), 60)
    left = options.mib << 20
    began = time.monotonic()
    threading.Thread(target=lambda: [connection.sendall(bytes(1 << 20)) for _ in range(options.mib)], daemon=True).start()
    while left:
        data = connection.recv(1 << 20)
        if not data:
            raise RuntimeError("the connection was closed")
        left -= len(data)
    print((time.monotonic() - began) * 1000)


main()
