/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fault.h - break an update at a named stage, to show that the guest survives it.
 *
 * CPRSHIM_FAULT, read when the VM is started, is a list of STAGE:KIND with commas between them, or @FILE: that file's text is
 * the list, and is looked at anew each time. STAGE:KIND@N is for the update that has N before it; STAGE alone is STAGE:fail.
 * Without CPRSHIM_FAULT each question costs one comparison.
 *
 * Stages of the running QEMU, which know the kinds fail and wait:
 *   check probe rehearse flush bring-up	what is looked at and done while the guest runs; fail is not known there
 *   freeze	before anything is held
 *   stop	all is held, and the guest still runs
 *   save	its devices have been saved
 *   handover	before the CPR state is written
 *   exec	right before it
 *   give	(methods transfer and relay) right before the new QEMU gets the guest
 *   sure	(the same) it has got the state, and waits to hear that this one stood still; fail: it did not
 * Stages of the new QEMU:
 *   state	it has the CPR state; fail: it does not understand it, the one kind that is known here
 *   entry	it has come to our code, and cannot go back by itself yet; fail is not known here, nor in the next three
 *   adopt	it can, and nothing has been taken over
 *   start	right before main()
 *   init	QEMU is at its main loop's set-up, and has no device yet
 *   ram	before its RAM blocks are the guest's; fail: they do not match
 *   listen	before it is told to load the device state; fail: it is told nonsense
 *   load	nine tenths of that have been sent; fail: the rest never is
 *   images	before the images are taken over; fail: they cannot be
 *   switch	before devices get the real descriptors; fail: they do not
 *   cont	right before the commit mark and "cont"; fail: the command fails. What came in since the switch is lost
 *   tidy	the guest runs; wait only
 * When a stand-in gives the guest back (method relay) each stage is called "relay-STAGE", in both processes.
 * In a rehearsal each stage is called "rehearsal-STAGE"; it has two more:
 *   view	the devices' state is about to come
 *   scribble	it has been loaded; fail: the guest's memory is written over, as that QEMU sees it
 * On the way back to the old binary those from adopt on are called "back-STAGE".
 * From ram on a kind happens on the main thread, whatever thread asks.
 *
 * Kinds:
 *   fail	the step does not succeed
 *   wait	(with @FILE) the stage begins when FILE.STAGE, which is made, has been removed
 *   exit quick abort	exit(), _exit(), abort()
 *   segv bus ill fpe trap sys xfsz	a fatal signal, the first three from a real fault
 *   kill	SIGKILL
 *   hang	for ever
 *   stuck	our own thread hangs for ever
 *   fds	no descriptor is left
 *   memory	no address space is left: every mmap() fails
 */
#ifndef CPRSHIM_LOADER_FAULT_H
#define CPRSHIM_LOADER_FAULT_H

#include <stdbool.h>

/* What is said where a step fails for no other reason. */
#define FAULT_TEXT "as asked for by CPRSHIM_FAULT"

bool fault_at(const char *stage);

#endif
