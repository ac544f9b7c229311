/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_elffile.c - libFuzzer on the check of a replacement's first bytes; see run. */
#include "state/elffile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *why = NULL;
	const uint8_t *id;
	size_t len;

	if (elffile_check(data, size, &why) && !why)
		abort();
	if (!elffile_build_id(data, size, &id, &len) && (!len || id < data || len > (size_t)(data + size - id)))
		abort();
	return 0;
}
