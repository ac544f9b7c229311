/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * table.h - the live descriptor table of this process.
 *
 * The functions that note and forget are called by hooks, between guard_enter() and guard_leave(). They take a short
 * lock that a signal handler of the same thread finds taken: the change is then not recorded but noted as missed, and
 * the reconciliation before an update (shim/inspect.h) asks the kernel. They keep errno.
 */
#ifndef CPRSHIM_SHIM_TABLE_H
#define CPRSHIM_SHIM_TABLE_H

#include <stdbool.h>
#include <sys/socket.h>

#include "../state/fdtable.h"
#include "real.h"

/* Recorded as the name of a tap that a bridge helper made; no interface can be called so. */
#define TABLE_BRIDGE_HELPER "bridge helper"

int table_setup(unsigned int generation);
int table_shared_fd(void);
void table_arm(void);
void table_note(int fd, enum fdkind kind, enum hook_id origin);
void table_note_file(int fd, enum hook_id origin, const char *path, unsigned int open_flags);
void table_note_socket(int fd, enum fdkind kind, enum hook_id origin, int domain, int type);
void table_note_address(int fd, enum fdkind kind, const struct sockaddr *addr, socklen_t len);
void table_note_client(int fd, int listener, enum hook_id origin);
void table_note_duplicate(int from, int to, enum hook_id origin);
void table_note_text(int fd, enum fdkind kind, enum hook_id origin, const char *text);
void table_note_received(int fd, int from);
void table_note_inherited(int fd);
void table_note_before(int fd);
void table_note_parent(int fd, int parent);
void table_refresh(int fd);
void table_set_flag(int fd, unsigned int flag);
void table_forget(int fd);
void table_incomplete(const char *reason);
const char *table_why_incomplete(void);
bool table_lookup(int fd, struct fdrec *ret);
uint64_t table_next_seq(void);
enum fdkind table_kind(int fd);

#endif
