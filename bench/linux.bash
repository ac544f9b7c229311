# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What benchmarks with the Linux guest share: the tests' functions, and an end that leaves nothing. Sourced from the top of the tree.

export CPRSHIM_BUILDDIR=${CPRSHIM_BUILDDIR:-$PWD/build}
# shellcheck source=test/lib/common.bash
. test/lib/common.bash
# shellcheck source=test/lib/network.bash
. test/lib/network.bash
# shellcheck source=test/lib/linuxguest.bash
. test/lib/linuxguest.bash

finish() {
	local status=$?

	# What the logs say is for a run that failed.
	if [ "$status" = 0 ]; then
		teardown_vm_dir 2>/dev/null || status=1
	else
		teardown_vm_dir || true
	fi
	exit "$status"
}

failed() {
	echo "${0##*/}: failed in line $1, after ${done_updates:-0} updates: $BASH_COMMAND" >&2
}

trap finish EXIT
trap 'failed $LINENO' ERR
LINUX_APPEND=
setup_vm_dir
# shellcheck disable=SC2119 # the arguments are not for this
make_netns
