/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmdline.c - the command line that a successor gets; see cmdline.h. */
#include "cmdline.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argv.h"
#include "optvalue.h"

/* Filters of seccomp are inherited, but by a process that somebody else has started. */
enum when { ALWAYS, UNLESS_FRESH, BESIDE, IN_REHEARSAL };

static bool is_time(enum when when, const struct cmdline_successor *what)
{
	switch (when) {
	case UNLESS_FRESH:
		return !what->fresh;
	case BESIDE:
		return what->beside;
	case IN_REHEARSAL:
		return what->rehearsal;
	default:
		return true;
	}
}

/* Options that a successor must not be given: takes = it has an argument. */
static bool is_dropped(const char *arg, const struct cmdline_successor *what, bool *takes)
{
	static const struct {
		const char *name;
		bool takes;
		enum when when;
	} dropped[] = {
		{ "S", false, ALWAYS },
		/* What is in descriptor sets now is given as the descriptors that there are now. */
		{ "add-fd", true, ALWAYS },
		{ "daemonize", false, ALWAYS },
		{ "incoming", true, ALWAYS },
		{ "loadvm", true, ALWAYS },
		{ "runas", true, ALWAYS },
		{ "sandbox", true, UNLESS_FRESH },
		/* Its child waits for the death of this process, which an exec is not. */
		{ "async-teardown", false, ALWAYS },
		/* The running process has it (loader/pidfile.h). */
		{ "pidfile", true, BESIDE },
		{ "display", true, IN_REHEARSAL },
	};

	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		if (argv_is_option(arg, dropped[i].name) && is_time(dropped[i].when, what)) {
			*takes = dropped[i].takes;
			return true;
		}
	return false;
}

/* Options that newer QEMUs do not know (removed in 9.0), as properties of the machine, which all know; or NULL. */
static const char *in_todays_words(const char *arg)
{
	return argv_is_option(arg, "no-hpet") ? "hpet=off" : argv_is_option(arg, "no-acpi") ? "acpi=off" : NULL;
}

static char *join(const char *a, const char *b, const char *c)
{
	char *out = NULL;

	return asprintf(&out, "%s%s%s", a, b, c) < 0 ? NULL : out;
}

/* "q35,accel=kvm" and "accel=kvm,type=q35" with the type replaced; without a type, as it was. */
static char *with_machine_type(const char *value, const char *machine, bool *found)
{
	size_t first = strcspn(value, ",");
	const char *type = strstr(value, "type=");

	if (first && !memchr(value, '=', first)) {
		*found = true;
		return join(machine, "", value + first);
	}
	if (type && (type == value || type[-1] == ',')) {
		char *head = strndup(value, (size_t)(type - value));
		char *out = head ? join(head, "type=", machine) : NULL;
		char *all = out ? join(out, "", type + strcspn(type, ",")) : NULL;

		free(head);
		free(out);
		*found = true;
		return all;
	}
	return strdup(value);
}

static bool is_server(const char *value)
{
	return optvalue_on(value, "server");
}

static bool is_character_device(const char *option)
{
	return argv_is_option(option, "chardev") || argv_is_option(option, "serial") || argv_is_option(option, "qmp") ||
	       argv_is_option(option, "qmp-pretty") || argv_is_option(option, "monitor") ||
	       argv_is_option(option, "parallel") || argv_is_option(option, "gdb");
}

static bool is_network(const char *option)
{
	return argv_is_option(option, "netdev") || argv_is_option(option, "nic") || argv_is_option(option, "net");
}

/* Is this a tap that QEMU makes, and not one that it is given by number? */
static bool makes_tap(const char *value)
{
	char type[32];

	optvalue_type(value, type, sizeof(type));
	return !strcmp(type, "tap") && !optvalue_get(value, "fd", type, sizeof(type)) &&
	       !optvalue_get(value, "fds", type, sizeof(type));
}

/*
 * When QEMU runs a bridge helper for this option: netdevs in JSON come first, other netdevs then, "-nic" last
 * (net/net.c:net_init_clients). -1 where it runs none.
 */
static int helper_turn(const char *option, const char *value)
{
	char type[32];

	if (!argv_is_option(option, "netdev") && !argv_is_option(option, "nic"))
		return -1;
	optvalue_type(value, type, sizeof(type));
	if (strcmp(type, "bridge") != 0 &&
	    (strcmp(type, "tap") != 0 || !optvalue_get(value, "helper", type, sizeof(type))))
		return -1;
	return argv_is_option(option, "nic") ? 2 : value[0] != '{';
}

/* The descriptor of the tap that a helper made for the option at this place, or -1. */
static int helpers_tap(char *const argv[], size_t at, const int *taps)
{
	int turn = helper_turn(argv[at], argv[at + 1]), before = 0;

	for (size_t i = 1; turn >= 0 && argv[i] && argv[i + 1]; i++) {
		int other = helper_turn(argv[i], argv[i + 1]);

		before += other >= 0 && (other < turn || (other == turn && i < at));
	}
	while (turn >= 0 && before-- > 0 && *taps >= 0)
		taps++;
	return turn < 0 ? -1 : *taps;
}

static char *with_json(const char *value, const char *key, const char *text)
{
	json_t *object = json_loads(value, 0, NULL);
	char *out = object && !json_object_set_new(object, key, json_string(text)) ? json_dumps(object, 0) : NULL;

	json_decref(object);
	return out;
}

/* A network back end whose tap a bridge helper has made: without the helper, by number. */
static char *with_tap(const char *value, int fd)
{
	static const char *const dropped[] = { "", "type", "br", "helper", NULL };
	char number[16], *rest, *out = NULL;

	snprintf(number, sizeof(number), "%d", fd);
	if (value[0] != '{') {
		rest = optvalue_without(value, dropped);
		if (rest && asprintf(&out, "tap,fd=%s%s%s", number, *rest ? "," : "", rest) < 0)
			out = NULL;
		free(rest);
		return out;
	}
	json_t *object = json_loads(value, 0, NULL);
	for (size_t i = 1; dropped[i]; i++)
		json_object_del(object, dropped[i]);
	if (object && !json_object_set_new(object, "type", json_string("tap")) &&
	    !json_object_set_new(object, "fd", json_string(number)))
		out = json_dumps(object, 0);
	json_decref(object);
	return out;
}

static char *with_guid(const char *value, const char *guid)
{
	const char *at = strstr(value, "guid=auto");
	char *head = at ? strndup(value, (size_t)(at - value)) : NULL;
	char *middle = head ? join(head, "guid=", guid) : NULL;
	char *out = middle ? join(middle, "", at + 9) : NULL;

	free(head);
	free(middle);
	return out;
}

/* The argument of the option at this place as a successor is to get it; malloc'ed. */
static char *rewritten(char *const argv[], size_t at, const struct cmdline_successor *what, bool *machine_found)
{
	const char *option = argv[at], *value = argv[at + 1];
	int tap = helpers_tap(argv, at, what->helper_taps);

	if (argv_is_option(option, "machine") || argv_is_option(option, "M"))
		return with_machine_type(value, what->machine, machine_found);
	/* A client that was connected is in the queue when QEMU listens; one that was not is not to be waited for. */
	if (is_character_device(option) && is_server(value))
		return join(value, ",wait=off", "");
	if (tap >= 0)
		return with_tap(value, tap);
	/* The interface is up already; its script ran when the VM was first started. */
	if (is_network(option) && makes_tap(value))
		return value[0] == '{' ? with_json(value, "script", "no") : join(value, ",script=no", "");
	if (argv_is_option(option, "device") && !strncmp(value, "vmgenid", 7) && *what->vmgenid &&
	    strstr(value, "guid=auto"))
		return with_guid(value, what->vmgenid);
	return strdup(value);
}

/**
 * cmdline_for_successor() - the command line that a successor's main() gets
 * @argv: the user's
 * @what: what it depends on
 *
 * It waits for the device state, stopped; machine type and generation id are those of the running VM; -daemonize has
 * been done and -runas too, and seccomp filters are inherited.
 *
 * Return: an array that is never freed, or NULL where memory ran out.
 */
char **cmdline_for_successor(char *const argv[], const struct cmdline_successor *what)
{
	size_t n = 0, more = 0, out_n = 0;
	bool machine_found = false, failed = false, takes;

	while (argv[n])
		n++;
	while (what->more[more])
		more++;
	char **out = calloc(2 * n + more + 14, sizeof(*out));
	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (i == 1 && *what->firmware_dir) {
			out[out_n++] = (char *)"-L";
			out[out_n++] = (char *)what->firmware_dir;
		}
		if (i && is_dropped(argv[i], what, &takes)) {
			i += takes ? 1 : 0;
			continue;
		}
		if (i && in_todays_words(argv[i])) {
			out[out_n++] = (char *)"-machine";
			out[out_n++] = (char *)in_todays_words(argv[i]);
			continue;
		}
		out[out_n++] = argv[i];
		if (i && argv[i][0] == '-' && argv[i + 1] && argv[i + 1][0] != '-') {
			char *value = rewritten(argv, i, what, &machine_found);

			failed |= !value;
			out[out_n++] = value;
			i++;
		}
	}
	if (!machine_found) {
		out[out_n++] = (char *)"-machine";
		out[out_n++] = join("type=", what->machine, "");
		failed |= !out[out_n - 1];
	}
	/* No window opens for it; -nographic says where serial ports and monitors are, too. */
	if (what->rehearsal && !argv_has(argv, "nographic")) {
		out[out_n++] = (char *)"-display";
		out[out_n++] = (char *)"none";
	}
	memcpy(out + out_n, what->more, more * sizeof(*out));
	out_n += more;
	out[out_n++] = (char *)"-readconfig";
	out[out_n++] = (char *)what->readconfig;
	out[out_n++] = (char *)"-S";
	out[out_n++] = (char *)"-incoming";
	out[out_n++] = (char *)"defer";
	if (failed) {
		free(out);
		return NULL;
	}
	return out;
}
