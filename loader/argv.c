/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * argv.c - QEMU's command line; see argv.h.
 *
 * How QEMU reads it (softmmu/vl.c:lookup_opt): options begin with "-" or "--", each takes one argument or none, and
 * what does not begin with "-" is a disk image. Only options named here need to be told from arguments, and each is
 * told by its name; an argument that looks like one of them does not occur behind an option that takes one.
 */
#include "argv.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optvalue.h"
#include "values.h"

/** argv_names_vmm() - is this the name of a QEMU system emulator? */
bool argv_names_vmm(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	return !strncmp(name, "qemu-system-", 12) || !strcmp(name, "qemu-kvm") || !strcmp(name, "kvm");
}

static bool is_option(const char *arg, const char *option)
{
	if (arg[0] != '-')
		return false;
	arg += arg[1] == '-' ? 2 : 1;
	return !strcmp(arg, option);
}

/** argv_has() - does the command line have this option, named without its dash? */
bool argv_has(char *const argv[], const char *option)
{
	for (size_t i = 1; argv[0] && argv[i]; i++)
		if (is_option(argv[i], option))
			return true;
	return false;
}

/** argv_value() - argument of the option's (nth + 1)-th occurrence, or NULL */
const char *argv_value(char *const argv[], const char *option, size_t nth)
{
	for (size_t i = 1; argv[0] && argv[i]; i++)
		if (is_option(argv[i], option) && !nth--)
			return argv[i + 1];
	return NULL;
}

/** argv_mentions() - does this text occur in any argument? */
bool argv_mentions(char *const argv[], const char *text)
{
	for (size_t i = 1; argv[0] && argv[i]; i++)
		if (strstr(argv[i], text))
			return true;
	return false;
}

static bool names_chardev(const char *arg, const char *id, size_t len)
{
	static const char *const before[] = { "chardev:", "chardev=", "\"chardev\":\"", "\"chardev\": \"", NULL };

	for (size_t i = 0; before[i]; i++)
		for (const char *at = strstr(arg, before[i]); at; at = strstr(at + 1, before[i])) {
			const char *name = at + strlen(before[i]);

			if (!strncmp(name, id, len) && (!name[len] || strchr(",\"", name[len])))
				return true;
		}
	return false;
}

/**
 * argv_frontends() - how many share a character device through a multiplexer?
 * @argv:  the user's
 * @label: the device's
 *
 * A multiplexed device is called "ID-base", and ID is the multiplexer (chardev/char.c:qemu_chr_new_from_opts). One that
 * was made by "mon:" has a monitor and one device.
 *
 * Return: 0 where @label is no such device's.
 */
unsigned int argv_frontends(char *const argv[], const char *label)
{
	size_t len = strlen(label) > 5 ? strlen(label) - 5 : 0;
	unsigned int n = 0;
	char id[128];

	if (!len || len >= sizeof(id) || strcmp(label + len, "-base") != 0)
		return 0;
	for (size_t i = 0; argv_value(argv, "chardev", i); i++)
		if (optvalue_get(argv_value(argv, "chardev", i), "id", id, sizeof(id)) && !strncmp(id, label, len) &&
		    !id[len])
			n = 1;
	if (!n)
		return 2;
	for (size_t i = 1; argv[i]; i++)
		n += names_chardev(argv[i], label, len) ||
		     (is_option(argv[i - 1], "mon") && !strncmp(argv[i], label, len) &&
		      (!argv[i][len] || argv[i][len] == ','));
	return n - 1;
}

/** argv_escape() - the escape character of multiplexers */
char argv_escape(char *const argv[])
{
	const char *value = argv_value(argv, "echr", 0);

	return value ? (char)strtol(value, NULL, 0) : 1;
}

/* Is "key=value" one of the comma-separated parts? An empty value asks for the key alone. */
static bool has_part(const char *arg, const char *part)
{
	size_t len = strlen(part);

	for (const char *at = arg; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		if (strncmp(at, part, len))
			continue;
		if (part[len - 1] == '=' || at[len] == ',' || !at[len])
			return true;
	}
	return false;
}

static bool asks_for_help(const char *arg)
{
	return !strcmp(arg, "help") || !strcmp(arg, "?") || has_part(arg, "help");
}

/**
 * argv_is_inert() - does this command line run no guest?
 *
 * Versions, help and libvirt's probe (-machine none) must find the QEMU that is there, and nothing of ours.
 */
bool argv_is_inert(char *const argv[])
{
	static const char *const asking[] = { "version", "h", "help", NULL };
	static const char *const machine[] = { "machine", "M", NULL };

	for (size_t i = 0; asking[i]; i++)
		if (argv_has(argv, asking[i]))
			return true;
	for (size_t i = 1; argv[0] && argv[i]; i++)
		if (argv[i][0] != '-' && argv[i - 1][0] == '-' && asks_for_help(argv[i]))
			return true;
	for (size_t i = 0; machine[i]; i++)
		for (size_t n = 0; argv_value(argv, machine[i], n); n++) {
			const char *value = argv_value(argv, machine[i], n);

			if (!strncmp(value, "none", 4) && (!value[4] || value[4] == ','))
				return true;
			if (has_part(value, "type=none"))
				return true;
		}
	return false;
}

/** argv_forbids_affinity() - does a seccomp filter of QEMU's kill who sets a thread's affinity? */
bool argv_forbids_affinity(char *const argv[])
{
	for (size_t n = 0; argv_value(argv, "sandbox", n); n++)
		if (has_part(argv_value(argv, "sandbox", n), "resourcecontrol=deny"))
			return true;
	return false;
}

/** argv_with() - a copy with arguments added at its end; never freed. NULL where memory ran out. */
char **argv_with(char *const argv[], const char *const extra[])
{
	size_t n = 0, m = 0;

	while (argv[n])
		n++;
	while (extra[m])
		m++;
	char **out = calloc(n + m + 1, sizeof(*out));
	if (!out)
		return NULL;
	memcpy(out, argv, n * sizeof(*out));
	memcpy(out + n, extra, m * sizeof(*out));
	return out;
}

/* Options that a successor must not be given: takes = it has an argument, shows = only in a rehearsal. */
static bool is_dropped(const char *arg, bool rehearsal, bool *takes)
{
	static const struct {
		const char *name;
		bool takes;
		bool shows;
	} dropped[] = {
		{ "S", false, false },
		/* What is in descriptor sets now is given as the descriptors that there are now. */
		{ "add-fd", true, false },
		{ "daemonize", false, false },
		{ "incoming", true, false },
		{ "loadvm", true, false },
		{ "runas", true, false },
		{ "sandbox", true, false },
		/* Its child waits for the death of this process, which an exec is not. */
		{ "async-teardown", false, false },
		{ "pidfile", true, true },
		{ "display", true, true },
	};

	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		if (is_option(arg, dropped[i].name) && (rehearsal || !dropped[i].shows)) {
			*takes = dropped[i].takes;
			return true;
		}
	return false;
}

/* Options that newer QEMUs do not know (removed in 9.0), as properties of the machine, which all know; or NULL. */
static const char *in_todays_words(const char *arg)
{
	return is_option(arg, "no-hpet") ? "hpet=off" : is_option(arg, "no-acpi") ? "acpi=off" : NULL;
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
	return is_option(option, "chardev") || is_option(option, "serial") || is_option(option, "qmp") ||
	       is_option(option, "qmp-pretty") || is_option(option, "monitor") || is_option(option, "parallel") ||
	       is_option(option, "gdb");
}

static bool is_network(const char *option)
{
	return is_option(option, "netdev") || is_option(option, "nic") || is_option(option, "net");
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

	if (!is_option(option, "netdev") && !is_option(option, "nic"))
		return -1;
	optvalue_type(value, type, sizeof(type));
	if (strcmp(type, "bridge") != 0 &&
	    (strcmp(type, "tap") != 0 || !optvalue_get(value, "helper", type, sizeof(type))))
		return -1;
	return is_option(option, "nic") ? 2 : value[0] != '{';
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

/* What options make that can be taken out while the VM runs: kinds are those of the list of entities. */
static const struct {
	const char *option;
	const char *kind;
	const char *key;
} makers[] = {
	{ "device", "device", "id" },
	{ "netdev", "network", "id" },
	{ "object", "object", "id" },
	{ "chardev", "character device", "id" },
	{ "blockdev", "block node", "node-name" },
	{ "drive", "drive", "id" },
};

#define MAKERS (sizeof(makers) / sizeof(makers[0]))

/* What the option makes; NULL where that has no name. */
static const char *made_by(const char *option, const char *value, char *ret_id, size_t size)
{
	for (size_t i = 0; value && i < MAKERS; i++)
		if (is_option(option, makers[i].option))
			return optvalue_get(value, makers[i].key, ret_id, size) ? makers[i].kind : NULL;
	return NULL;
}

/**
 * argv_makes() - does an option of the command line make this?
 * @argv: the user's
 * @kind: "device", "network", "object", "character device", "block node" or "drive"
 * @id:	  its name
 */
bool argv_makes(char *const argv[], const char *kind, const char *id)
{
	char made[256];

	for (size_t i = 1; argv[0] && argv[i] && argv[i + 1]; i++) {
		const char *known = made_by(argv[i], argv[i + 1], made, sizeof(made));

		if (known && !strcmp(known, kind) && !strcmp(made, id))
			return true;
	}
	return false;
}

static bool names_part(const json_t *options, const char *node)
{
	const char *name = json_string_value(json_object_get(options, "node-name"));
	const json_t *value;
	const char *key;

	if (name && !strcmp(name, node))
		return true;
	json_object_foreach((json_t *)options, key, value)
		if (json_is_object(value) && names_part(value, node))
			return true;
	return false;
}

/** argv_makes_part() - does a -blockdev make a node of this name inside its own? */
bool argv_makes_part(char *const argv[], const char *node)
{
	bool found = false;

	for (size_t n = 0; !found && argv_value(argv, "blockdev", n); n++) {
		json_t *options = json_loads(argv_value(argv, "blockdev", n), 0, NULL);

		found = names_part(options, node);
		json_decref(options);
	}
	return found;
}

/* Options that name another one's device, object or back end by its id. */
static const struct {
	const char *key;
	const char *kind;
} users[] = {
	{ "netdev", "network" },  { "drive", "drive" },	    { "drive", "block node" },
	{ "file", "block node" }, { "memdev", "object" },   { "chardev", "character device" },
	{ "bus", "device" },	  { "iothread", "object" }, { "backing", "block node" },
};

/**
 * argv_dangling() - what is left of the command line that needs what is left out of it?
 * @argv:	the user's
 * @is_removed: is it left out?
 * @from:	1, then what the last call returned
 * @ret_option: an option, without its dash
 * @ret_kind, @ret_id: what it names
 * @size:	of @ret_id
 *
 * Return: where to go on, or 0 where there is none.
 */
size_t argv_dangling(char *const argv[], bool (*is_removed)(const char *kind, const char *id), size_t from,
		     const char **ret_option, const char **ret_kind, char *ret_id, size_t size)
{
	char made[256];

	for (size_t i = from; argv[0] && argv[i] && argv[i + 1]; i++) {
		const char *kind = made_by(argv[i], argv[i + 1], made, sizeof(made));

		if (argv[i][0] != '-' || (kind && is_removed(kind, made)))
			continue;
		for (size_t u = 0; u < sizeof(users) / sizeof(users[0]); u++) {
			if (!optvalue_get(argv[i + 1], users[u].key, ret_id, size) ||
			    !is_removed(users[u].kind, ret_id))
				continue;
			*ret_option = argv[i] + (argv[i][1] == '-' ? 2 : 1);
			*ret_kind = users[u].kind;
			return i + 1;
		}
	}
	return 0;
}

/* The argument of the option at this place as a successor is to get it; malloc'ed. */
static char *rewritten(char *const argv[], size_t at, const struct argv_successor *what, bool *machine_found)
{
	const char *option = argv[at], *value = argv[at + 1];
	int tap = helpers_tap(argv, at, what->helper_taps);

	if (is_option(option, "machine") || is_option(option, "M"))
		return with_machine_type(value, what->machine, machine_found);
	/* A client that was connected is in the queue when QEMU listens; one that was not is not to be waited for. */
	if (is_character_device(option) && is_server(value))
		return join(value, ",wait=off", "");
	if (tap >= 0)
		return with_tap(value, tap);
	/* The interface is up already; its script ran when the VM was first started. */
	if (is_network(option) && makes_tap(value))
		return value[0] == '{' ? with_json(value, "script", "no") : join(value, ",script=no", "");
	if (is_option(option, "device") && !strncmp(value, "vmgenid", 7) && *what->vmgenid &&
	    strstr(value, "guid=auto"))
		return with_guid(value, what->vmgenid);
	return strdup(value);
}

/**
 * argv_get() - what an option says about a key
 * @argv:   the user's
 * @option: "device", "drive" ..., without its dash
 * @id:	    name of what the option makes
 * @key:    the key
 * @ret:    the value, cut to @size
 */
bool argv_get(char *const argv[], const char *option, const char *id, const char *key, char *ret, size_t size)
{
	char made[256];

	for (size_t n = 0; argv_value(argv, option, n); n++)
		if (optvalue_get(argv_value(argv, option, n), "id", made, sizeof(made)) && !strcmp(made, id))
			return optvalue_get(argv_value(argv, option, n), key, ret, size);
	return false;
}

/** argv_is_cdrom() - is this the drive that -cdrom makes: number 2 on IDE (softmmu/vl.c), two to a bus, or one on AHCI */
bool argv_is_cdrom(char *const argv[], const char *drive)
{
	return argv_has(argv, "cdrom") && (!strcmp(drive, "ide1-cd0") || !strcmp(drive, "ide2-cd0"));
}

static char *without_key(const char *value, const char *key)
{
	const char *const keys[] = { key, NULL };

	if (value[0] != '{')
		return optvalue_without(value, keys);
	json_t *object = json_loads(value, 0, NULL);
	json_object_del(object, key);
	char *out = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return out;
}

/*
 * A drive whose medium was changed begins empty: the first one may be gone. An empty one takes no options that are about
 * its medium (blockdev.c:blockdev_init).
 */
static char *without_medium(const char *option, const char *value, bool (*has_value)(const char *kind, const char *id))
{
	static const char *const about_medium[] = { "file",	    "format",	      "driver",		 "cache",
						    "cache.direct", "cache.no-flush", "cache.writeback", "aio",
						    "snapshot",	    "readonly",	      "read-only",	 "discard",
						    "locking",	    "file.locking",   "detect-zeroes",	 "copy-on-read",
						    "file.driver",  "auto-read-only", "file.filename",	 NULL };
	char made[256];

	if (is_option(option, "drive") && optvalue_get(value, "id", made, sizeof(made)) &&
	    has_value(VALUES_DRIVE_MEDIUM, made))
		return optvalue_without(value, about_medium);
	if (is_option(option, "device") && optvalue_get(value, "id", made, sizeof(made)) &&
	    has_value(VALUES_DEVICE_MEDIUM, made))
		return without_key(value, "drive");
	return (char *)value;
}

/**
 * argv_without() - a copy without what was taken out while the VM ran
 * @argv:	the user's
 * @is_removed: was this taken out? Kinds are those of argv_makes()
 * @has_value:	was this set anew? Kinds are those of values.h
 *
 * Return: to be freed, but for what it points to, or NULL.
 */
char **argv_without(char *const argv[], bool (*is_removed)(const char *kind, const char *id),
		    bool (*has_value)(const char *kind, const char *id))
{
	size_t n = 0, out_n = 0;
	char made[256];

	while (argv[n])
		n++;
	char **out = calloc(n + 1, sizeof(*out));
	for (size_t i = 0; out && i < n; i++) {
		const char *kind = i ? made_by(argv[i], argv[i + 1], made, sizeof(made)) : NULL;

		if (kind && is_removed(kind, made)) {
			i++;
		} else if (i && argv[i + 1] && is_option(argv[i], "cdrom") &&
			   (has_value(VALUES_DRIVE_MEDIUM, "ide1-cd0") || has_value(VALUES_DRIVE_MEDIUM, "ide2-cd0"))) {
			out[out_n++] = (char *)"-drive";
			out[out_n++] = (char *)"index=2,media=cdrom"; /* as -cdrom has it */
			i++;
		} else {
			out[out_n++] = argv[i];
			if (kind && argv[i + 1])
				out[out_n++] = without_medium(argv[i], argv[i + 1], has_value);
			i += kind != NULL;
		}
	}
	return out;
}

/**
 * argv_for_successor() - the command line that a successor's main() gets
 * @argv: the user's
 * @what: what it depends on
 *
 * It waits for the device state, stopped; machine type and generation id are those of the running VM; -daemonize has
 * been done and -runas too, and seccomp filters are inherited.
 *
 * Return: an array that is never freed, or NULL where memory ran out.
 */
char **argv_for_successor(char *const argv[], const struct argv_successor *what)
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
		if (i && is_dropped(argv[i], what->rehearsal, &takes)) {
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
