/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * othershim.c - the CPR state as another version of the library has it, for test/shims.bats: linked before state/'s own
 * cprstate.c, in whose place it comes. SHIM_VERSION and SHIM_COMPAT are its numbers; such a state has a record that ours
 * does not know and may do without.
 */
#include "state/cprstate.h"

#ifndef SHIM_VERSION
#define SHIM_VERSION 2u
#define SHIM_COMPAT  1u
#endif

#undef CPRSTATE_VERSION
#undef CPRSTATE_COMPAT
#define CPRSTATE_VERSION SHIM_VERSION
#define CPRSTATE_COMPAT	 SHIM_COMPAT

int plain_end(struct codec_writer *w);
#define cprstate_end plain_end
/* All of it but one function, with other numbers. */
#include "state/cprstate.c" // NOLINT(bugprone-suspicious-include)
#undef cprstate_end

#define UNKNOWN_TYPE 0x7001

int cprstate_end(struct codec_writer *w)
{
	codec_put_u16(w, UNKNOWN_TYPE);
	codec_put_u16(w, 0);
	codec_put_u32(w, 4);
	codec_put_u32(w, SHIM_VERSION);
	return plain_end(w);
}
