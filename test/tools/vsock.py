#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's side of test/nested/vsockecho.c.

call CID: a new connection to the guest's echo service; 256 KiB must come back. Prints the service's count of connections.
hold CID: a connection on which a record goes to and fro ten times a second; prints how many have come back, at each, and
at the end why it ended.
listen: prints a line for each connection of the guest's that says hello.
"""
import socket
import sys
import time

PORT = 7
PATIENCE = 60  # seconds; the kernel has two for a connection, which a slow guest may need for its answer
GREETING = 10


def connect(cid):
    """After an update the guest is told that its connections are gone. One that comes just before it has heard of that goes with
    them, and nobody tells its other end (Linux, net/vmw_vsock/virtio_transport.c:virtio_vsock_event_handle)."""
    limit = time.monotonic() + PATIENCE
    while True:
        link = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        link.settimeout(GREETING)
        count = b""
        try:
            link.connect((cid, PORT))
            while not count.endswith(b"\n"):
                count += receive(link, 1)
            link.settimeout(PATIENCE)
            return link, int(count)
        except TimeoutError:
            link.close()
            if time.monotonic() > limit:
                raise


def receive(link, size):
    data = b""
    while len(data) < size:
        more = link.recv(size - len(data))
        if not more:
            raise ConnectionError("closed")
        data += more
    return data


def call(cid):
    link, count = connect(cid)
    for number in range(64):
        data = bytes((number * 7 + i) & 255 for i in range(4096))
        link.sendall(data)
        if receive(link, len(data)) != data:
            raise ValueError(f"block {number} came back otherwise")
    print(count)


def hold(cid):
    link, _ = connect(cid)
    number = 0
    try:
        while True:
            number += 1
            record = b"%08d" % number
            link.sendall(record)
            if receive(link, len(record)) != record:
                raise ValueError("came back otherwise")
            print(number, flush=True)
            time.sleep(0.1)
    except OSError as error:
        print("ended:", error, flush=True)


def listen():
    server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    server.bind((socket.VMADDR_CID_ANY, PORT))
    server.listen()
    print("ready", flush=True)
    while True:
        link, (cid, _) = server.accept()
        link.settimeout(PATIENCE)
        try:
            print(cid, receive(link, 6).decode().strip(), flush=True)
        except OSError as error:
            print(cid, error, flush=True)
        link.close()


def main():
    if sys.argv[1] == "listen":
        listen()
    else:
        {"call": call, "hold": hold}[sys.argv[1]](int(sys.argv[2]))


main()
