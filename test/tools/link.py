#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds one connection for the whole test: what comes goes into --log, what the test writes to the --input FIFO goes out.

link.py ADDRESS           connects to a UNIX socket's path, HOST:PORT or [HOST]:PORT, or opens a terminal (/dev/...)
link.py -- COMMAND...     runs the command on a pseudo terminal of its own, as a shell does on a user's

Prints a line of JSON for each that happens: ready (with the terminal's name), eof, exit (with the command's status).
Ends after SIGTERM; a command's terminal stays open until then, so that a test can look at its settings.
"""
import argparse
import fcntl
import json
import os
import pty
import select
import signal
import socket
import sys
import termios


def tell(**what):
    print(json.dumps(what), flush=True)


def connect(address):
    if address.startswith("/dev/"):
        terminal = os.open(address, os.O_RDWR | os.O_NOCTTY)
        tell(ready=address)
        return terminal, None
    if address.startswith("/"):
        link = socket.socket(socket.AF_UNIX)
        link.connect(address)
    else:
        host, port = address.rsplit(":", 1)
        link = socket.create_connection((host.strip("[]"), int(port)))
    tell(ready=address)
    return link.detach(), None


def spawn(command):
    master, slave = pty.openpty()
    child = os.fork()
    if not child:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in 0, 1, 2:
            os.dup2(slave, fd)
        os.closerange(3, 1024)
        os.execvp(command[0], command)
    tell(ready=os.ttyname(slave), pid=child)
    return master, child


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", nargs="+")
    parser.add_argument("--log", required=True)
    parser.add_argument("--input", required=True)
    options = parser.parse_args()
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    fifo = os.open(options.input, os.O_RDWR)
    if len(options.address) > 1:
        link, child = spawn(options.address)
    else:
        link, child = connect(options.address[0])
    eof = False
    while not stop:
        ready = select.select([fifo] if eof else [link, fifo], [], [], 0.05)[0]
        if link in ready:
            try:
                data = os.read(link, 65536)
            except OSError:
                data = b""
            if data:
                os.write(log, data)
            else:
                eof = True
                tell(eof=True)
        if fifo in ready:
            os.write(link, os.read(fifo, 4096))
        ended, status = os.waitpid(child, os.WNOHANG) if child else (0, 0)
        if ended:
            child = None
            tell(exit=os.waitstatus_to_exitcode(status))
    if child:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)


main()
