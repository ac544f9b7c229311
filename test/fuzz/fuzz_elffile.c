/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_elffile.c - libFuzzer on the check of a replacement's first bytes; see run. */
#include "state/elffile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *why = NULL;

	if (elffile_check(data, size, &why) && !why)
		abort();
	return 0;
}
