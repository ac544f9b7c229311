/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* decoder.c - the disassembler, an object of its own, loaded where it is used. */
#include "decoder.h"

#include <dlfcn.h>
#include <elf.h>

/**
 * decoder_open() - load the disassembler
 * @path:    disasm.so, NULL where it was not found
 * @ret_why: on failure: a sentence that says why there is none
 *
 * Return: it, open; NULL on failure.
 */
const struct disasm_api *decoder_open(const char *path, const char **ret_why)
{
#ifdef HAVE_CAPSTONE
	const struct disasm_api *api;
	void *library;

	*ret_why = "the disassembler, cprshim/" DECODER_FILE ", is not installed";
	if (!path)
		return NULL;
	*ret_why = "the disassembler, " DECODER_FILE ", cannot be loaded";
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	api = library ? dlsym(library, DISASM_SYMBOL) : NULL;
	if (!api)
		return NULL;
	*ret_why = "the disassembler, " DECODER_FILE ", is another version's";
	if (api->version != DISASM_VERSION)
		return NULL;
	*ret_why = "the disassembler cannot be started";
	return api->open() ? NULL : api;
#else
	(void)path;
	*ret_why = "this cprctl was built without a disassembler (configure --without-capstone)";
	return NULL;
#endif
}

/**
 * decoder_knows() - can it decode this machine's instructions?
 * @machine: EM_*
 */
bool decoder_knows(uint16_t machine)
{
	return machine == EM_X86_64;
}
