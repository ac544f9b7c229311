#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Updates a VM, and runs a QMP command at a chosen moment of the update.

window.py CONTROL-SOCKET QMP-SOCKET STAGE COMMAND [ARGUMENTS]: asks for an update, and when the VM reports that it has come
to STAGE, sends the command on a monitor of its own before anything else. Prints the update's result, with the command's
answer under "answer". The monitor is connected beforehand, and stays so until the result is there.
"""
import json
import socket
import sys


class Monitor:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(path)
        self.file = self.sock.makefile("rw")
        self.file.readline()
        self.command("qmp_capabilities", {})

    def command(self, name, arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "event" not in answer:
                return answer


def main():
    control_path, qmp_path, stage, command = sys.argv[1:5]
    arguments = json.loads(sys.argv[5]) if len(sys.argv) > 5 else {}
    monitor = Monitor(qmp_path)
    control = socket.socket(socket.AF_UNIX)
    control.settimeout(60)
    control.connect(control_path)
    control.sendall(b'{"command": "update"}\n')
    answer = None
    for line in control.makefile("r"):
        message = json.loads(line)
        if message["type"] == "progress" and message["stage"] == stage and answer is None:
            answer = monitor.command(command, arguments)
        elif message["type"] == "result":
            print(json.dumps({**message, "answer": answer}))
            return 0
    print("the VM hung up", file=sys.stderr)
    return 1


sys.exit(main())
