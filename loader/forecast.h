/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * forecast.h - how long will the guest stand still?
 *
 * Nothing is assumed: what a rehearsal has just measured, or what the VM's last update took. Where there is neither,
 * there is no forecast.
 */
#ifndef CPRSHIM_LOADER_FORECAST_H
#define CPRSHIM_LOADER_FORECAST_H

#include <jansson.h>
#include <stdbool.h>

/**
 * struct measured - what rehearsals of this very request took, in milliseconds; negative: not measured
 * @startup:    from the start of the new QEMU to its monitor's answer, while the guest ran
 * @standstill: from "stop" to the guest's next instruction, with save and load between
 * @stop, @save, @load: parts of @standstill
 */
struct measured {
	double startup;
	double standstill;
	double stop, save, load;
};

#define MEASURED_NOTHING                                                             \
	{                                                                            \
		.startup = -1, .standstill = -1, .stop = -1, .save = -1, .load = -1, \
	}

void forecast_note(const struct measured *m);
double forecast_standstill(const char **ret_from);
double forecast_update(const struct measured *m, bool beside, const char **ret_from);

#endif
