/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* elffile.h - can a file be run, or loaded, with the shim preloaded? */
#ifndef CPRSHIM_CTL_ELFFILE_H
#define CPRSHIM_CTL_ELFFILE_H

const char *elffile_program_problem(const char *path);
const char *elffile_library_problem(const char *path);

#endif
