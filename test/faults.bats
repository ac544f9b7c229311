#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# faults.bats - an update is broken at every stage in every way (loader/fault.h): the guest goes on, and with it the network, the
# disk, the serial line and monitors; who asked is told why; and the next update works.
#
# One VM goes through all rows of a table: a Linux guest that is pinged and connected to over a tap, writes its disk, and
# checks its RAM. test/recover.bats has programs that break by themselves.

bats_require_minimum_version 1.5.0

load lib/common
load lib/network
load lib/linuxguest
load lib/faults

# The method that rehearses, and has a way back. Others have tests of their own (relay.bats, transfer.bats).
export CPRSHIM_METHOD=exec

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

UPDATE_ARGS=(--no-rehearse)

KILLED='was killed, or ended before it could go back'
# Whatever meets it first.
NO_MEMORY='called abort|signal|could not take over|no room to run|Cannot allocate memory|did not answer'

@test "while the old QEMU has the guest: freeze, stop, save, hand over, exec" {
	begin
	row freeze:fail 'inputs could not be held' refused
	row stop:fail 'could not be stopped: as asked for'
	row save:fail 'could not be saved: as asked for'
	row handover:fail 'state could not be written'
	row exec:fail 'could not be started: Bad file descriptor'
	finish
}

@test "from the new program's first code to main()" {
	begin
	row state:fail "$KILLED" failed moves
	grep -q 'CPR state .* is not understood, and the new program ends' "$VM_LOG"
	local kind
	for kind in exit quick abort segv kill; do
		row entry:$kind "$KILLED" failed moves
	done
	row entry:hang "did not come to the shim's code in time" failed moves
	row adopt:exit 'called exit\(3\)'
	row adopt:segv 'signal 11'
	row adopt:kill "$KILLED" failed moves
	row adopt:fds 'could not take over: Too many open files'
	row adopt:memory 'could not take over: Cannot allocate memory'
	row start:exit 'called exit\(3\)'
	row start:quick 'called _exit\(6\)'
	row start:abort 'called abort'
	row start:segv 'signal 11'
	row start:bus 'signal 07'
	row start:ill 'signal 04'
	row start:fpe 'signal 08'
	row start:trap 'signal 05'
	row start:sys 'signal 31'
	row start:xfsz 'signal 25'
	row start:kill "$KILLED" failed moves
	row start:hang 'did not come up in time'
	row start:fds 'Too many open files'
	row start:memory "$NO_MEMORY"
	finish
}

@test "in QEMU's initialisation, and before the guest's memory is its own" {
	begin
	row init:exit 'called exit\(3\)'
	row init:quick 'called _exit\(6\)'
	row init:abort 'called abort'
	row init:segv 'signal 11'
	# QEMU blocks this one on its main thread.
	row init:bus "$KILLED" failed moves
	row init:ill 'signal 04'
	row init:fpe 'signal 08'
	row init:trap 'signal 05'
	row init:sys 'signal 31'
	row init:xfsz 'signal 25'
	row init:kill "$KILLED" failed moves
	row init:hang 'did not come up in time'
	row init:fds 'Too many open files'
	row init:memory "$NO_MEMORY"
	row ram:fail 'has no RAM block'
	row ram:exit 'called exit\(3\)'
	row ram:abort 'called abort'
	row ram:segv 'signal 11'
	row ram:kill "$KILLED" failed moves
	row ram:hang 'did not answer'
	row ram:fds 'Too many open files'
	row ram:memory "$NO_MEMORY"
	finish
}

@test "while the device state is loaded, and up to the guest's first instruction" {
	begin
	row listen:fail 'has not been found|migrate-incoming'
	row listen:exit 'called exit\(3\)'
	row listen:abort 'called abort'
	row listen:segv 'signal 11'
	row listen:kill "$KILLED" failed moves
	row listen:hang 'did not answer'
	# Our own thread, which keeps the deadline: the guardian gives it ten seconds more.
	row listen:stuck 'did not go back in time' failed moves
	row listen:memory "$NO_MEMORY"
	row load:fail 'called exit\(1\)|was not loaded'
	row load:exit 'called exit\(3\)'
	row load:abort 'called abort'
	row load:segv 'signal 11'
	row load:kill "$KILLED" failed moves
	row load:hang 'was not loaded|did not answer'
	row load:memory "$NO_MEMORY"
	row images:fail 'images could not be taken over'
	row images:exit 'called exit\(3\)'
	row images:segv 'signal 11'
	row images:kill "$KILLED" failed moves
	row images:hang 'images could not be taken over'
	row switch:fail 'could not be switched'
	row switch:exit 'called exit\(3\)'
	row switch:segv 'signal 11'
	row switch:kill "$KILLED" failed moves
	row switch:hang 'was not ready to run the guest in time'
	row cont:fail '"cont" failed, as asked for'
	row cont:exit 'called exit\(3\)'
	row cont:abort 'called abort'
	row cont:segv 'signal 11'
	row cont:kill "$KILLED" failed moves
	row cont:hang 'was not ready to run the guest in time'
	row cont:fds 'no room to run the guest: Too many open files'
	row cont:memory 'no room to run the guest: Cannot allocate memory'
	# One packet each may have been read by the QEMU that was given up.
	finish 6
}
