/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sites.h - every place in a file where the kernel is called without a function of libc, and what becomes of it. */
#ifndef CPRSHIM_AUDIT_SITES_H
#define CPRSHIM_AUDIT_SITES_H

#include "code.h"
#include "elfobject.h"

enum site_kind {
	SITE_SYSCALL,
	SITE_SYSENTER,
	SITE_INT80,
	SITE_VSYSCALL,
};

/* What becomes of a call. The order is that of the summary's columns. */
enum site_verdict {
	SITE_HOOKED,	/* in a function that is hooked: who calls it by name comes to the hook */
	SITE_HARMLESS,	/* touches no descriptor and no mapping */
	SITE_TRANSIENT, /* the loader's own, on files that it maps and closes again */
	SITE_PATCHABLE, /* no hook, but its instructions have room for a jump to one */
	SITE_UNKNOWN,
	SITE_VERDICTS,
};

/**
 * struct site - one such place
 * @address:		as the file counts them
 * @kind:		enum site_kind
 * @verdict:		enum site_verdict
 * @symbol:		the function that it is in, NULL where it has no name
 * @symbol_offset:	how far from its beginning
 * @hook:		the name by which it is hooked, NULL without
 * @numbers:		the system call's numbers
 * @why:		what is not known, a sentence without its end; NULL where all is
 * @patch_address:	where a jump would have room
 * @patch_size:		bytes of the instructions there, 0 for no room
 */
struct site {
	uint64_t address;
	enum site_kind kind;
	enum site_verdict verdict;
	const char *symbol;
	uint64_t symbol_offset;
	const char *hook;
	struct code_values numbers;
	const char *why;
	uint64_t patch_address;
	size_t patch_size;
};

/**
 * struct sites - those of a file, for sites_free()
 * @items:	by address; their names are the file's
 * @count:	how many
 * @room:	how many there is memory for
 * @data:	places that look like one by their bytes, but lie in another instruction, or where nothing leads to
 */
struct sites {
	struct site *items;
	size_t count, room, data;
};

int sites_find(const struct elfobject *obj, const struct disasm_api *api, bool loader, struct sites *ret);
void sites_free(struct sites *sites);
const char *sites_kind_text(enum site_kind kind);
const char *sites_verdict_text(enum site_verdict verdict);

#endif
