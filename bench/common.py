# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks share: a VM with the bare-metal test guest, and how it is watched."""
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("CPRSHIM_BUILDDIR", TOP + "/build")


def module_dir(binary):
    """QEMU's built-in path leads to the machine's modules, whatever tree the binary lies in."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(binary))), "lib/x86_64-linux-gnu/qemu")


def wait_until(what, seconds, done):
    limit = time.monotonic() + seconds
    while not done():
        if time.monotonic() > limit:
            raise RuntimeError("not within %d s: %s" % (seconds, what))
        time.sleep(0.01)


class Vm:
    """One VM in a directory of its own."""

    def __init__(self, options, mib, extra=()):
        self.options = options
        self.mib = mib
        self.extra = list(extra)
        self.dir = tempfile.mkdtemp(prefix="cprshim-bench.")
        self.process = None
        self.buffer = b""

    def arguments(self, suffix=""):
        return [os.path.join(self.dir, "qemu-system-x86_64"), "-M", "q35", "-accel", self.options.accel, "-m", str(self.mib),
                "-nodefaults", "-display", "none", "-vga", "none", "-kernel", self.options.guest,
                "-serial", "unix:%s/serial%s,server=on,wait=off" % (self.dir, suffix),
                "-qmp", "unix:%s/qmp%s,server=on,wait=off" % (self.dir, suffix)] + self.extra

    def point_to(self, binary):
        os.symlink(binary, self.dir + "/next")
        os.rename(self.dir + "/next", self.dir + "/qemu-system-x86_64")

    def start(self, binary):
        self.point_to(binary)
        os.mkdir(self.dir + "/run")
        environment = dict(os.environ, LD_PRELOAD=self.options.shim, CPRSHIM_RUNDIR=self.dir + "/run",
                           CPRSHIM_LOGFILE=self.dir + "/log")
        self.process = subprocess.Popen(self.arguments(), env=environment, stdin=subprocess.DEVNULL)
        self.connect(self.dir + "/serial")

    def connect(self, path):
        """Be the client of the serial port, and wait until the guest counts."""
        wait_until("QEMU's start", 20, lambda: os.path.exists(path))
        self.serial = socket.socket(socket.AF_UNIX)
        wait_until("the serial port", 20, lambda: self.serial.connect_ex(path) == 0)
        self.serial.settimeout(60)
        self.buffer = b""
        self.line(b"T ")

    def line(self, start):
        """The next line of the guest's that begins so."""
        while True:
            while b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                if line.startswith(start):
                    return line
            data = self.serial.recv(65536)
            if not data:
                raise RuntimeError("the serial port was closed")
            self.buffer += data

    def touch(self):
        self.serial.sendall(b"t")
        return int(self.line(b"P ").split()[1])

    def check(self):
        self.serial.sendall(b"v")
        line = self.line(b"V ")
        if not line.startswith(b"V ok"):
            raise RuntimeError("the guest's RAM: " + line.decode())

    def update(self, binary, *options):
        self.point_to(binary)
        output = subprocess.run([self.options.cprctl, "update", "--json", *options, str(self.process.pid)], stdout=subprocess.PIPE,
                                env=dict(os.environ, CPRSHIM_RUNDIR=self.dir + "/run"), check=False).stdout
        result = json.loads(output)
        if not result.get("ok"):
            raise RuntimeError("the update failed: %s" % result)
        return result

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir)


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
