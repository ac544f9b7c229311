/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forecast.c - how long will the guest stand still? See forecast.h. */
#include "forecast.h"

#include <string.h>

#include "vm.h"

/* Of the last full rehearsal in this program. */
static double last_standstill = -1;

/** forecast_note() - a full rehearsal has measured this */
void forecast_note(const struct measured *m)
{
	last_standstill = m->standstill;
}

/* The last update that worked, or NULL. */
static const json_t *last_update(void)
{
	for (size_t i = json_array_size(vm.history); i > 0; i--) {
		const json_t *one = json_array_get(vm.history, i - 1);

		if (json_is_true(json_object_get(one, "ok")) && json_object_get(one, "phases"))
			return one;
	}
	return NULL;
}

static double phase(const json_t *update, const char *name)
{
	return json_number_value(json_object_get(json_object_get(update, "phases"), name));
}

/* Without what an update by exec has besides: a new QEMU's start. Of a relay the longer one. */
static double standstill(const json_t *update)
{
	return json_number_value(json_object_get(update, "blackout_ms")) - phase(update, "prepare") -
	       phase(update, "exec") - phase(update, "startup");
}

/**
 * forecast_standstill() - how long will a full rehearsal hold the guest?
 * @ret_from: what that is taken from
 *
 * Return: milliseconds, or a negative number where it is not known.
 */
double forecast_standstill(const char **ret_from)
{
	const json_t *update = last_update();

	*ret_from = last_standstill >= 0 ? "last-rehearsal" : "last-update";
	if (last_standstill >= 0)
		return last_standstill;
	return update ? standstill(update) : -1;
}

/**
 * forecast_update() - how long will the blackout of an update be?
 * @m:	      what rehearsals of it took
 * @beside:   the new QEMU is brought up beside the guest
 * @ret_from: what it is taken from: "rehearsal", "last-update" or both, "rehearsal+last-update"; "startup" is that of the
 *	      new QEMU alone, which is most of it: it will be a little longer
 *
 * Return: milliseconds, or a negative number where it is not known.
 */
double forecast_update(const struct measured *m, bool beside, const char **ret_from)
{
	const json_t *update = last_update();

	if (beside)
		return forecast_standstill(ret_from);
	*ret_from = m->standstill >= 0 ? "rehearsal" : m->startup >= 0 ? "rehearsal+last-update" : "last-update";
	if (m->standstill >= 0 && m->startup >= 0)
		return m->startup + m->standstill;
	if (!update) {
		*ret_from = "startup";
		return m->startup;
	}
	double whole = json_number_value(json_object_get(update, "blackout_ms"));
	return m->startup >= 0 ? whole - phase(update, "exec") - phase(update, "startup") + m->startup : whole;
}
