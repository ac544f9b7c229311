/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* decoder.c - the disassembler, an object of its own, loaded where it is used and only for that long. */
#include "decoder.h"

#include <dlfcn.h>
#include <elf.h>

#ifdef HAVE_CAPSTONE
static void *library; /* NULL while it is not loaded */

static const struct disasm_api *unload(void)
{
	if (library)
		dlclose(library);
	library = NULL;
	return NULL;
}

/**
 * decoder_open() - load the disassembler
 * @path:    disasm.so, NULL where it was not found
 * @ret_why: on failure: a sentence that says why there is none
 *
 * One caller at a time.
 *
 * Return: it, open, for decoder_close(); NULL on failure.
 */
const struct disasm_api *decoder_open(const char *path, const char **ret_why)
{
	const struct disasm_api *api;

	*ret_why = "the disassembler, cprshim/" DECODER_FILE ", is not installed";
	if (!path)
		return NULL;
	*ret_why = "the disassembler, " DECODER_FILE ", cannot be loaded";
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	api = library ? dlsym(library, DISASM_SYMBOL) : NULL;
	if (!api)
		return unload();
	*ret_why = "the disassembler, " DECODER_FILE ", is another version's";
	if (api->version != DISASM_VERSION)
		return unload();
	*ret_why = "the disassembler cannot be started";
	return api->open() ? unload() : api;
}

/** decoder_close() - unload the disassembler that decoder_open() gave */
void decoder_close(const struct disasm_api *api)
{
	api->close();
	unload();
}
#else
const struct disasm_api *decoder_open(const char *path, const char **ret_why)
{
	(void)path;
	*ret_why = "this cprshim was built without a disassembler (configure --without-capstone)";
	return NULL;
}

void decoder_close(const struct disasm_api *api)
{
	(void)api;
}
#endif

/**
 * decoder_knows() - can it decode this machine's instructions?
 * @machine: EM_*
 */
bool decoder_knows(uint16_t machine)
{
	return machine == EM_X86_64;
}
