/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * argv.c - QEMU's command line; see argv.h.
 *
 * How QEMU reads it (softmmu/vl.c:lookup_opt): options begin with "-" or "--", each takes one argument or none, and
 * what does not begin with "-" is a disk image. Only options named here need to be told from arguments, and each is
 * told by its name; an argument that looks like one of them does not occur behind an option that takes one.
 */
#include "argv.h"

#include <stdlib.h>
#include <string.h>

#include "optvalue.h"

/** argv_names_vmm() - is this the name of a QEMU system emulator? */
bool argv_names_vmm(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	return !strncmp(name, "qemu-system-", 12) || !strcmp(name, "qemu-kvm") || !strcmp(name, "kvm");
}

/** argv_is_option() - is this argument that option, named without its dash? */
bool argv_is_option(const char *arg, const char *option)
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
		if (argv_is_option(argv[i], option))
			return true;
	return false;
}

/** argv_value() - argument of the option's (nth + 1)-th occurrence, or NULL */
const char *argv_value(char *const argv[], const char *option, size_t nth)
{
	for (size_t i = 1; argv[0] && argv[i]; i++)
		if (argv_is_option(argv[i], option) && !nth--)
			return argv[i + 1];
	return NULL;
}

/** argv_last() - argument of the option's last occurrence, or NULL: of what QEMU keeps one of, that is the one it keeps */
const char *argv_last(char *const argv[], const char *option)
{
	const char *last = NULL, *value;

	for (size_t n = 0; (value = argv_value(argv, option, n)); n++)
		last = value;
	return last;
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
		     (argv_is_option(argv[i - 1], "mon") && !strncmp(argv[i], label, len) &&
		      (!argv[i][len] || argv[i][len] == ','));
	return n - 1;
}

/** argv_escape() - the escape character of multiplexers */
char argv_escape(char *const argv[])
{
	const char *value = argv_last(argv, "echr");

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
