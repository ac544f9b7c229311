#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# autogen.sh - makes configure and Makefile.in in a fresh checkout.
set -eu
cd "$(dirname "$0")"
mkdir -p m4
exec autoreconf -fi
