# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks share: their options, a VM with the bare-metal test guest, how it is watched, and how figures are kept."""
import datetime
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("CPRSHIM_BUILDDIR", TOP + "/build")

TRACE = ["-trace", "vm_state_notify", "-msg", "timestamp=on"]
# As QEMU up to 10 writes it, and as 11 does.
NOTIFIED = re.compile(r"^(?:\d+@(\d+\.\d+):|(\S+Z) )vm_state_notify running ([01]) ", re.MULTILINE)

QEMUS = {
    "q7": ("QEMU 7.2", "/usr/bin/qemu-system-x86_64"),
    "q10": ("QEMU 10.0", os.environ.get("CPRSHIM_QEMU10", BUILD + "/qemu-10.0/usr/bin/qemu-system-x86_64")),
    "q11": ("QEMU 11.1", os.environ.get("CPRSHIM_QEMU11", BUILD + "/qemu-11.1/qemu-system-x86_64")),
}


def add_options(parser, runs, qemus):
    """What all benchmarks understand; @qemus are keys of QEMUS."""
    parser.add_argument("-n", "--runs", type=int, default=runs, help="rounds (%(default)s)")
    for name in qemus:
        parser.add_argument("--" + name, default=QEMUS[name][1], metavar="BINARY", help=QEMUS[name][0])
    parser.add_argument("--accel", default="tcg")
    parser.add_argument("--shim", default=BUILD + "/.libs/libcprshim.so")
    parser.add_argument("--cprctl", default=BUILD + "/cprctl")
    parser.add_argument("--guest", default=BUILD + "/test/guest/guest.elf")
    parser.add_argument("--only", default="", metavar="PATTERN", help="those whose name this regular expression is found in")
    parser.add_argument("--json", action="store_true", help="print all runs as one JSON object instead")
    parser.add_argument("--save", metavar="NAME", help="keep them as NAME.json, with the machine, and a plot as NAME.png (gnuplot)")
    parser.set_defaults(paths=list(qemus) + ["shim", "cprctl", "guest"])


def parse(parser):
    options = parser.parse_args()
    for name in options.paths:
        path = getattr(options, name)
        if not os.path.exists(path):
            sys.exit("%s is missing" % path)
    return options


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

    def __init__(self, options, mib, extra=(), environment=()):
        self.options = options
        self.environment = dict(environment)
        self.mib = mib
        self.extra = list(extra)
        self.dir = tempfile.mkdtemp(prefix="cprshim-bench.")
        self.process = None
        self.moved_to = None
        self.buffer = b""

    def arguments(self, suffix=""):
        return [os.path.join(self.dir, "qemu-system-x86_64"), "-M", "q35", "-accel", self.options.accel, "-m", str(self.mib),
                "-nodefaults", "-display", "none", "-vga", "none", "-kernel", self.options.guest, "-append", "masters",
                "-serial", "unix:%s/serial%s,server=on,wait=off" % (self.dir, suffix),
                "-qmp", "unix:%s/qmp%s,server=on,wait=off" % (self.dir, suffix)] + self.extra

    def point_to(self, binary):
        os.symlink(binary, self.dir + "/next")
        os.rename(self.dir + "/next", self.dir + "/qemu-system-x86_64")

    def start(self, binary, shim=True):
        self.point_to(binary)
        os.mkdir(self.dir + "/run")
        environment = dict(os.environ, **self.environment)
        if shim:
            environment.update(LD_PRELOAD=self.options.shim, CPRSHIM_RUNDIR=self.dir + "/run", CPRSHIM_LOGFILE=self.dir + "/log")
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
        self.moved_to = result.get("pid")
        return result

    def end(self):
        if self.moved_to:
            os.kill(self.moved_to, signal.SIGKILL)
            wait_until("the end of %d" % self.moved_to, 20, lambda: not os.path.exists("/proc/%d/maps" % self.moved_to))
        if self.process:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir)


def machine():
    """What this runs on, in words."""
    with open("/proc/cpuinfo", encoding="ascii") as file:
        model = re.search(r"^model name\s*: (.*)$", file.read(), re.MULTILINE)
    return "%s, %d CPUs, Linux %s" % (model.group(1) if model else os.uname().machine, os.cpu_count(), os.uname().release)


def seconds_of(since_1970, iso):
    return float(since_1970) if since_1970 else datetime.datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()


def changes(*logs):
    """(time, running) of each start and stop of the guest, in ms."""
    text = "".join(open(log, encoding="ascii").read() for log in logs if os.path.exists(log))
    return [(seconds_of(old, new) * 1000, running == "1") for old, new, running in NOTIFIED.findall(text)]


def blackouts(before, after, expected):
    """From each stop of the guest until it ran again, of what was traced after @before."""
    found, stopped = [], None
    for when, running in after[len(before):]:
        if not running and stopped is None:
            stopped = when
        elif running and stopped is not None:
            found.append(when - stopped)
            stopped = None
    if len(found) != expected or stopped is not None:
        raise RuntimeError("the trace does not show %d blackouts: %s" % (expected, after))
    return found


def update_blackouts(options, method, old, new, mib, extra=(), environment=(), ready=None, then=None):
    """
    The blackouts of one update by the shim, by QEMU's own trace: by relay two. Every page of the guest's memory was written before.
    @ready is called with the VM right before the update, @then right after it.
    """
    vm = Vm(options, mib, TRACE, environment)
    try:
        log = vm.dir + "/trace"
        vm.extra += ["-D", log, *extra]
        vm.start(old)
        vm.touch()
        vm.check()
        if ready:
            ready(vm)
        before = changes(log)
        vm.update(new, "--method", method)
        if then:
            then(vm)
        vm.line(b"T ")
        vm.check()
        return blackouts(before, changes(log), 2 if method == "relay" else 1)
    finally:
        vm.end()


def add_run(runs, name, found):
    """Notes one run's blackouts: of a relay each of them, and both together."""
    if len(found) == 1:
        runs.setdefault(name, []).append(found[0])
        return
    for part, value in zip(("there", "back", "sum"), found + [sum(found)]):
        runs.setdefault("%s, %s" % (name, part), []).append(value)


PLOT = """
set terminal pngcairo size 1200,800
set output "%s"
set title "%s"
set style fill solid 0.3
set style data boxplot
set boxwidth 0.6
%s
set xrange [0:%d]
set grid ytics
set xtics rotate by -40 (%s)
unset key
plot %s
"""


def save(options, runs, what, setting=(), emphasized="^$"):
    """Keeps all runs, and a box for each name; @setting is what else is to be known of them."""
    with open(options.save + ".json", "w", encoding="ascii") as file:
        json.dump(dict({"what": what, "machine": machine(), "accelerator": options.accel}, **dict(setting), runs=runs), file, indent=1)
        file.write("\n")
    title = "%s; %s; %s, %d runs" % (what, machine(), options.accel, options.runs)
    tics = ", ".join('"%s" %d' % (name, i + 1) for i, name in enumerate(runs))
    columns = ", ".join("'-' using (%d):1 linecolor %d" % (i + 1, 2 if re.search(emphasized, name) else 1)
                        for i, name in enumerate(runs))
    data = "".join("".join("%f\n" % value for value in values) + "e\n" for values in runs.values())
    values = [value for values in runs.values() for value in values]
    scale = "set logscale y" if min(values) > 0 and max(values) > 10 * min(values) else "set yrange [0:*]"
    subprocess.run(["gnuplot"], input=PLOT % (options.save + ".png", title, scale, len(runs) + 1, tics, columns) + data, text=True, check=True)


def show(options, runs, what, unit="ms"):
    """Prints all, as is asked for."""
    if options.json:
        print(json.dumps(runs))
        return
    width = max(len(name) for name in runs)
    print("%-*s  %8s %8s %8s  (%s, %d runs, %s)" % (width + 2, what, "median", "min", "max", unit, options.runs, options.accel))
    for name, values in runs.items():
        s = summary(values)
        print("  %-*s  %8.2f %8.2f %8.2f" % (width, name, s["median"], s["min"], s["max"]))


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
