#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What process 1 is to a host: init.py COMMAND... runs the command and waits for all that its children leave behind.

Daemons wait for the ends of processes that they have daemonized, and process 1 of a container may take its time with those.
Ends after SIGTERM, and the command with it; what else there is goes on.
"""
import ctypes
import os
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


def reap(until=None):
    """Waits for all that have ended; for this one until it does."""
    while True:
        try:
            pid = os.waitpid(-1, 0 if until else os.WNOHANG)[0]
        except ChildProcessError:
            return
        if pid in (0, until):
            return


def main():
    signals = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        sys.exit("no subreaper")
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, setsigmask=[])
    while signal.sigwait(signals) == signal.SIGCHLD:
        reap()
    try:
        os.kill(child, signal.SIGTERM)
        reap(until=child)
    except ProcessLookupError:
        pass


main()
