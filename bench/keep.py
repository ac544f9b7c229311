#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shows and keeps what a benchmark in shell has measured: lines of a name, a tab and a figure on standard input."""
import argparse
import sys

import common


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--what", required=True)
    parser.add_argument("--unit", default="ms")
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--accel", default="tcg")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", metavar="NAME")
    options = parser.parse_args()
    runs = {}
    for line in sys.stdin:
        name, value = line.rstrip("\n").split("\t")
        runs.setdefault(name, []).append(float(value))
    if options.save:
        common.save(options, runs, options.what)
    common.show(options, runs, options.what, options.unit)


main()
