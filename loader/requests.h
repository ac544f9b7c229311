/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * requests.h - what monitors are asked, and which answer is whose.
 *
 * shim/session.h shows both, message by message; a command that changes the VM and went well is passed on to changes.h.
 */
#ifndef CPRSHIM_LOADER_REQUESTS_H
#define CPRSHIM_LOADER_REQUESTS_H

void requests_watch(void);

#endif
