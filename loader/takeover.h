/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * takeover.h - in a successor that was brought up beside the VM: what has moved on since, and the guest.
 *
 * It was made after one CPR state and gets a second one with the device state. Descriptors it has had from the start: they
 * are the same open files. The process that had the guest leaves when it hears that it runs here.
 */
#ifndef CPRSHIM_LOADER_TAKEOVER_H
#define CPRSHIM_LOADER_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "qmp.h"
#include "reasons.h"

bool takeover_is_one(void);
int takeover_wait(char error[QMP_ERROR_MAX]);
int takeover_state(char error[QMP_ERROR_MAX]);
int takeover_stream(char error[QMP_ERROR_MAX]);
int takeover_is_sure(uint64_t deadline_ns);
void takeover_done(void);
bool takeover_is_standin(void);
void takeover_give_back(json_t *result);
void takeover_settle(struct reasons *warnings);
void takeover_ended(void);

#endif
