/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * receive.h - what a VM says to a process that is to take its guest (docs/control-protocol.md).
 *
 * One message over a socket of AF_UNIX, SOCK_SEQPACKET: the greeting, with its final zero byte, and descriptors: a file
 * with a JSON object, and those that go under the numbers which that names.
 */
#ifndef CPRSHIM_STATE_RECEIVE_H
#define CPRSHIM_STATE_RECEIVE_H

#define RECEIVE_GREETING "cprshim transfer 1"
#define RECEIVE_FDS	 4 /* the order; library, CPR state and parcel, by number */

#endif
