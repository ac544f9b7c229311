#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# fuzz.bats - a short run of every fuzzing target; test/fuzz/run without -n is the long one.

bats_require_minimum_version 1.5.0

SRCDIR=${CPRSHIM_SRCDIR:-$(cd "$BATS_TEST_DIRNAME/.." && pwd)}

# Inputs that nobody has tried before are for the long run: here the same ones are to pass each time.
@test "fuzzing finds nothing in some thousand inputs" {
	cd "$BATS_TEST_TMPDIR"
	run -0 "$SRCDIR/test/fuzz/run" -n 20000
	echo "$output"
	[ "$(grep -c 'nothing found$' <<<"$output")" = 9 ]
}

@test "fuzzing tells what it found" {
	cd "$BATS_TEST_TMPDIR"
	cp -r "$SRCDIR/state" "$SRCDIR/loader" "$SRCDIR/test" .
	# The mistake that it is to find: a file that is too short is read all the same.
	sed -i 's/len < sizeof(header) || //' state/elffile.c
	run -1 test/fuzz/run -t 20 elffile
	[[ "$output" == *"something was found"* ]]
}
