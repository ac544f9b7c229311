/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_cmdline.c - libFuzzer on the rewriting of QEMU's command line for a successor; see run. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loader/argv.h"
#include "loader/cmdline.h"
#include "loader/optvalue.h"

#define ARGS 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input's strings are the arguments. What a successor gets always ends in what keeps it from booting the guest. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int taps[] = { 30, 31, -1 };
	char *more[] = { NULL }, *argv[ARGS + 1] = { (char *)"qemu-system-x86_64" }, value[64];
	const struct cmdline_successor what = { .machine = "pc-q35-7.2",
						.vmgenid = "00000000-0000-0000-0000-000000000000",
						.readconfig = "/proc/self/fd/9",
						.firmware_dir = size % 2 ? "/firmware" : "",
						.more = more,
						.helper_taps = taps };
	char *text = malloc(size + 1);
	size_t count = 1, n = 0;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *at = text; at < text + size && count < ARGS; at += strlen(at) + 1)
		argv[count++] = at;
	argv[count] = NULL;
	argv_is_inert(argv);
	argv_forbids_affinity(argv);
	for (size_t i = 1; i < count; i++) {
		optvalue_get(argv[i], "id", value, sizeof(value));
		optvalue_type(argv[i], value, sizeof(value));
	}
	char **out = cmdline_for_successor(argv, &what);
	while (out && out[n])
		n++;
	if (out && (n < 3 || strcmp(out[n - 3], "-S") != 0 || strcmp(out[n - 2], "-incoming") != 0))
		abort();
	free(out);
	free(text);
	return 0;
}
