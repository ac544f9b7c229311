/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* raw_none.c - CPRSHIM_RAW on processors whose code entrypatch.c does not know; see raw.h. */
#include "raw.h"

#include "log.h"
#include "settings.h"

void raw_start(const char *own_path)
{
	(void)own_path;
	if (settings.raw_unknown)
		log_warn("CPRSHIM_RAW is neither on nor off: %s", settings.raw_unknown);
	if (settings.raw)
		log_warn("CPRSHIM_RAW: %s", raw_why());
}

enum raw_state raw_state(void)
{
	return settings.raw ? RAW_UNAVAILABLE : RAW_OFF;
}

const char *raw_why(void)
{
	return "not available for this processor";
}

size_t raw_count(void)
{
	return 0;
}

struct raw_function raw_function(size_t index)
{
	(void)index;
	return (struct raw_function){ NULL, NULL };
}
