/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* decoder.h - the disassembler, an object of its own (disasm.h), loaded where it is used. */
#ifndef CPRSHIM_AUDIT_DECODER_H
#define CPRSHIM_AUDIT_DECODER_H

#include "disasm.h"

#define DECODER_FILE "disasm.so"

const struct disasm_api *decoder_open(const char *path, const char **ret_why);
void decoder_close(const struct disasm_api *api);
bool decoder_knows(uint16_t machine);

#endif
