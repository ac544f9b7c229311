/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guestcpu.c - what a successor must be told of the guest's processors; see guestcpu.h. */
#include "guestcpu.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../shim/real.h"
#include "argv.h"
#include "qmp.h"
#include "vm.h"

#define ASK_MS 5000

/* QEMU's include/exec/page-vary.h; the members before this one's end are the same from 7.2 to 11.1. */
struct page {
	bool decided;
	int bits;
};

typedef int bits_fn(void);

/**
 * guestcpu_page_bits() - size of the guest's pages, for the stream
 *
 * Targets that have several (Arm) send theirs, where it is not the smallest, and refuse a stream that says otherwise
 * (migration/savevm.c:vmstate_target_page_bits_needed, configuration_post_load).
 *
 * Return: as a power of two; 0 where it is not to be sent.
 */
uint32_t guestcpu_page_bits(void)
{
	const struct page *page = real_symbol("target_page");
	bits_fn *smallest = (bits_fn *)real_symbol("qemu_target_page_bits_min");

	if (!page || !page->decided || (smallest && page->bits <= smallest()))
		return 0;
	return (uint32_t)page->bits;
}

/**
 * guestcpu_check() - can it be found out?
 * @target:  as query-target says it
 * @reasons: why not
 */
void guestcpu_check(const char *target, struct reasons *reasons)
{
	if ((!strcmp(target, "aarch64") || !strcmp(target, "arm")) && !real_symbol("target_page"))
		reasons_add(reasons, BLOCKER_ARM_PAGE_SIZE,
			    "this QEMU does not export the size of the guest's pages, which an update needs on Arm");
}

/* The type of the first processor, such as "power9_v2.0-powerpc64-cpu", or "". */
static void first_type(char *ret, size_t size)
{
	char error[QMP_ERROR_MAX];
	json_t *cpus = qmp_command(&qmp_private, "query-cpus-fast", NULL, qmp_in_ms(ASK_MS), error);
	const char *path = json_string_value(json_object_get(json_array_get(cpus, 0), "qom-path"));
	json_t *type =
		path ? qmp_command(&qmp_private, "qom-get", json_pack("{s:s, s:s}", "path", path, "property", "type"),
				   qmp_in_ms(ASK_MS), error)
		     : NULL;

	snprintf(ret, size, "%s", json_is_string(type) ? json_string_value(type) : "");
	json_decref(type);
	json_decref(cpus);
}

/**
 * guestcpu_pin() - must the replacement be told which processor the guest has?
 * @default_type: what it would take; NULL where that is not known
 * @ret:	  argument for -cpu, or ""
 * @size:	  room there
 *
 * A machine type's default may differ between versions: pseries-7.2 has another one in QEMU 10.0.
 */
void guestcpu_pin(const char *default_type, char *ret, size_t size)
{
	char type[256];

	ret[0] = '\0';
	if (!default_type || argv_has(vm.argv, "cpu"))
		return;
	first_type(type, sizeof(type));
	if (!type[0] || !strcmp(type, default_type))
		return;
	/* MODEL-ARCHITECTURE-cpu, and the architecture's name has no dash. */
	for (int parts = 0; parts < 2; parts++) {
		char *dash = strrchr(type, '-');

		if (!dash)
			return;
		*dash = '\0';
	}
	snprintf(ret, size, "%s", type);
}
