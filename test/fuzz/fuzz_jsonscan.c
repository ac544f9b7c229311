/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_jsonscan.c - libFuzzer on the scanner that finds the end of a QMP message; see run. */
#include "state/jsonscan.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What jansson takes for one object ends where the scanner says, and nowhere before. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jsonscan scan;
	json_error_t error;
	json_t *object =
		size && data[0] == '{' ? json_loadb((const char *)data, size, JSON_DISABLE_EOF_CHECK, &error) : NULL;
	size_t end = 0;

	memset(&scan, 0, sizeof(scan));
	for (size_t i = 0; i < size && !end; i++)
		if (jsonscan_feed(&scan, (char)data[i]) == JSONSCAN_END)
			end = i + 1;
	if (object && end != (size_t)error.position)
		abort();
	json_decref(object);
	return 0;
}
