/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.h - start a QEMU binary for a moment, beside the running guest, to see whether an exec of it would work.
 *
 * The very descriptor, environment and credentials that the exec will use: the dynamic loader finds its libraries, this
 * library is loaded into it, it is a QEMU, for this target, and knows the machine type. After the exec nobody could
 * find that out any more: an error of the loader ends the process before any code of ours runs. Of a command it shows
 * too that it ends in a QEMU, in the same process, and passes on what it is given: descriptors, environment, arguments.
 */
#ifndef CPRSHIM_LOADER_PROBE_H
#define CPRSHIM_LOADER_PROBE_H

#include "reasons.h"
#include "vm.h"

void probe_answer(int fd, char *const argv[]);
void probe_file(const char *path, int fd, bool command, struct reasons *reasons);
int probe_run(struct vm_binary *binary, const char *target, json_t **ret_about, struct reasons *reasons);
int probe_spawn(const struct vm_binary *binary, const char *variable, int qmp, int answer, int errors, pid_t *ret_pid);
char **probe_environment(const struct vm_binary *binary, const char *variable, int library_fd);

#endif
