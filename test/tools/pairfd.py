#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""pairfd.py stream|dgram FD FD COMMAND...: runs the command with a pair of connected sockets under these numbers."""
import os
import socket
import sys

pair = socket.socketpair(type=socket.SOCK_STREAM if sys.argv[1] == "stream" else socket.SOCK_DGRAM)
for end, number in zip(pair, sys.argv[2:4]):
    os.dup2(end.fileno(), int(number))
os.execvp(sys.argv[4], sys.argv[4:])
