/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stream.h - QEMU's migration stream: what must be put around saved device state so that it loads like a migration.
 *
 * xen-save-devices-state writes the header and the devices' sections only. A loading QEMU also wants the machine type
 * ("configuration section"), checks and resizes RAM blocks by the list that the "ram" section starts with, and warns
 * where no description of the state follows. The layout is the same in QEMU 7.2 to 11.1: migration/savevm.c
 * (qemu_savevm_state_header, qemu_save_device_state), migration/ram.c (ram_save_setup, parse_ramblocks).
 */
#ifndef CPRSHIM_STATE_STREAM_H
#define CPRSHIM_STATE_STREAM_H

#include <stddef.h>
#include <stdint.h>

#define STREAM_HEADER 8u /* magic and version, which the saved state starts with */
#define STREAM_SUFFIX 5u

/**
 * struct stream_block - a RAM block as the "ram" section lists it
 * @name: at most 255 bytes
 * @used: its used length, in bytes, a multiple of the page size and not 0
 */
struct stream_block {
	const char *name;
	uint64_t used;
};

int stream_check_saved(const uint8_t *saved, size_t len);
size_t stream_renumber(uint8_t *saved, size_t len, const char *name);
int stream_prefix(uint8_t *buf, size_t size, const char *machine, uint32_t page_bits, const struct stream_block *blocks,
		  size_t count, size_t *ret_len);
void stream_suffix(uint8_t buf[STREAM_SUFFIX]);

#endif
