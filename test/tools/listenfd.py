#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a command with a listening UNIX socket on a descriptor, as socket activation does.

listenfd.py PATH FD COMMAND...
"""
import os
import socket
import sys

server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(8)
os.dup2(server.fileno(), int(sys.argv[2]))
os.execvp(sys.argv[3], sys.argv[3:])
