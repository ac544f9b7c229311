/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* options.h - the command line of a subcommand. */
#ifndef CPRSHIM_CTL_OPTIONS_H
#define CPRSHIM_CTL_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "ctl.h"

/* --parallel: each update brings a second QEMU up. */
#define OPTIONS_PARALLEL_MAX 64

int options_parse(const struct command *cmd, int argc, char **argv, struct options *ret_opts);
void options_free(const struct options *opts);
void options_help(FILE *out, const struct command *cmd);
bool options_method_known(const char *method);

#endif
