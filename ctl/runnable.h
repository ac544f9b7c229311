/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CPRSHIM_CTL_RUNNABLE_H
#define CPRSHIM_CTL_RUNNABLE_H

const char *runnable_program_problem(const char *path);
const char *runnable_replacement_problem(const char *path);
const char *runnable_library_problem(const char *path);

#endif
