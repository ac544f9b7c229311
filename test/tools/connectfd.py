#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""connectfd.py PATH FD COMMAND...: runs the command with a connection to a UNIX socket under this number."""
import os
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
os.dup2(connection.fileno(), int(sys.argv[2]))
os.execvp(sys.argv[3], sys.argv[3:])
