/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * settings.c - the environment; the only file of the library that reads or changes it.
 *
 * QEMU's children must not be preloaded with us, and must get the user's own LD_PRELOAD byte for byte. The value is a
 * list with ':' or ' ' between its entries (ld.so(8)); ours is taken out together with one separator.
 */
#include "settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define TIMEOUT_DEFAULT_S 60
#define TIMEOUT_MAX_S	  86400
#define LIBRARY_NAME	  "libcprshim.so"
#define ACTIVE		  "CPRSHIM_ACTIVE"

struct settings settings = {
	.method = "auto",
	.timeout_s = TIMEOUT_DEFAULT_S,
	.log_level = LOG_LEVEL_WARN,
	.state_fd = -1,
	.probe_fd = -1,
};

static const char *env_find(char *const envp[], const char *name)
{
	size_t len = strlen(name);

	for (; *envp; envp++)
		if (!strncmp(*envp, name, len) && (*envp)[len] == '=')
			return *envp + len + 1;
	return NULL;
}

static long parse_number(const char *text, long min, long max, long otherwise)
{
	char *end;

	if (!text || !*text)
		return otherwise;
	errno = 0;
	long value = strtol(text, &end, 10);
	return errno || *end || value < min || value > max ? otherwise : value;
}

/* The place of a word among @names, which NULL ends. */
static int parse_choice(const char *text, const char *const names[], int otherwise)
{
	for (int i = 0; text && names[i]; i++)
		if (!strcmp(text, names[i]))
			return i;
	return otherwise;
}

/**
 * settings_read() - fill settings
 * @envp: environment that the program was started with; its strings are kept
 */
void settings_read(char *const envp[])
{
	static const char *const levels[] = { "error", "warning", "info", "debug", NULL };
	static const char *const hugepages[] = { "auto", "off", "hugetlb", NULL }; /* enum hugepages */
	static const char *const switches[] = { "off", "on", NULL };
	const char *method = env_find(envp, "CPRSHIM_METHOD");
	const char *raw = env_find(envp, "CPRSHIM_RAW");

	settings.binary = env_find(envp, "CPRSHIM_BINARY");
	if (settings.binary && !*settings.binary)
		settings.binary = NULL;
	if (method && *method)
		settings.method = method;
	settings.rundir = env_find(envp, "CPRSHIM_RUNDIR");
	settings.runtime_dir = env_find(envp, "XDG_RUNTIME_DIR");
	settings.notify_socket = env_find(envp, "NOTIFY_SOCKET");
	settings.in_unit = env_find(envp, "INVOCATION_ID") != NULL;
	settings.timeout_s =
		(unsigned int)parse_number(env_find(envp, "CPRSHIM_TIMEOUT"), 1, TIMEOUT_MAX_S, TIMEOUT_DEFAULT_S);
	settings.hugepages =
		(enum hugepages)parse_choice(env_find(envp, "CPRSHIM_HUGEPAGES"), hugepages, HUGEPAGES_AUTO);
	settings.raw = parse_choice(raw, switches, false);
	settings.raw_unknown = raw && *raw && parse_choice(raw, switches, -1) < 0 ? raw : NULL;
	settings.log_level = parse_choice(env_find(envp, "CPRSHIM_LOG"), levels, LOG_LEVEL_WARN);
	settings.log_file = env_find(envp, "CPRSHIM_LOGFILE");
	settings.fault = env_find(envp, "CPRSHIM_FAULT");
	settings.state_fd = (int)parse_number(env_find(envp, "CPRSHIM_STATE"), 0, INT_MAX, -1);
	settings.probe_fd = (int)parse_number(env_find(envp, "CPRSHIM_PROBE"), 0, INT_MAX, -1);
}

static bool is_own_entry(const char *entry, size_t len, const char *own_path)
{
	static const char name[] = LIBRARY_NAME;
	size_t name_len = sizeof(name) - 1;

	if (len == strlen(own_path) && !memcmp(entry, own_path, len))
		return true;
	if (len < name_len || memcmp(entry + len - name_len, name, name_len))
		return false;
	return len == name_len || entry[len - name_len - 1] == '/';
}

/* The user's LD_PRELOAD without our entry, allocated; NULL where nothing is left or memory ran out. */
static char *preload_without_us(const char *value, const char *own_path)
{
	char *out = value ? strdup(value) : NULL;
	char *at = out;

	while (at && *at) {
		size_t len = strcspn(at, ": ");

		if (len && is_own_entry(at, len, own_path)) {
			char *rest = at + len + (at[len] ? 1 : 0);

			if (!*rest && at > out)
				at--; /* ours was the last one: the separator before it goes */
			memmove(at, rest, strlen(rest) + 1);
			continue;
		}
		at += len + (at[len] ? 1 : 0);
	}
	if (out && !*out) {
		free(out);
		return NULL;
	}
	return out;
}

/**
 * settings_hide() - make environ what the user's children are to see
 * @own_path: path that this library was loaded from
 * @original: environment that the VMM was first started with
 * @module_dir: where QEMU's modules are, or "" to leave that as it is
 *
 * Call before main(), when only one thread runs.
 *
 * Return: 0 or -ENOMEM.
 */
int settings_hide(const char *own_path, char *const original[], const char *module_dir)
{
	char *preload = preload_without_us(env_find(original, "LD_PRELOAD"), own_path);
	int rc = preload ? setenv("LD_PRELOAD", preload, 1) : unsetenv("LD_PRELOAD");

	free(preload);
	unsetenv("CPRSHIM_STATE");
	unsetenv("CPRSHIM_PROBE");
	settings_use_modules(module_dir);
	return rc ? -ENOMEM : 0;
}

/** settings_another_is_active() - has another copy of this library, loaded before this one, taken the program? */
bool settings_another_is_active(void)
{
	return parse_number(env_find(environ, ACTIVE), 1, INT_MAX, 0) == getpid();
}

/**
 * settings_give_way() - have a copy of this library that is loaded behind this one stand aside
 * @wanted: false: it has, and nobody needs to know any more
 */
void settings_give_way(bool wanted)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (wanted ? setenv(ACTIVE, pid, 1) : unsetenv(ACTIVE))
		log_warn("another libcprshim.so in this program may get in the way of this one: no memory");
}

/** settings_modules() - where QEMU is told to load its modules from, or what else @otherwise says */
const char *settings_modules(const char *otherwise)
{
	const char *dir = env_find(environ, "QEMU_MODULE_DIR");

	return dir && *dir ? dir : otherwise;
}

/** settings_use_modules() - have QEMU load its modules from here; "" leaves that as it is */
void settings_use_modules(const char *module_dir)
{
	if (*module_dir && setenv("QEMU_MODULE_DIR", module_dir, 1))
		log_warn("QEMU may not find its modules: no memory");
}

/**
 * settings_started_in() - the environment that this program was started in, with the user's own LD_PRELOAD
 * @original: environment that the VMM was first started with
 *
 * A command that led to this program may have changed it. Call before settings_hide().
 *
 * Return: an array that is never freed, or NULL where memory ran out.
 */
char **settings_started_in(char *const original[])
{
	const char *preload = env_find(original, "LD_PRELOAD");
	size_t count = 0, n = 0;

	while (environ[count])
		count++;
	char **out = calloc(count + 2, sizeof(*out));
	for (size_t i = 0; out && environ[i]; i++)
		if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0 && strncmp(environ[i], "CPRSHIM_STATE=", 14) != 0)
			out[n++] = environ[i];
	if (out && preload && asprintf(&out[n], "LD_PRELOAD=%s", preload) < 0) {
		free(out);
		return NULL;
	}
	return out;
}

static bool replaced(const char *entry, const char *const extra[])
{
	if (!strncmp(entry, "LD_PRELOAD=", 11))
		return true;
	for (; *extra; extra++) {
		size_t len = strcspn(*extra, "=");

		if (!strncmp(entry, *extra, len + 1))
			return true;
	}
	return false;
}

/**
 * settings_environment() - build the environment that a replacement is exec'd with
 * @original: environment that the VMM was first started with; its strings stay its own
 * @own_path: path that this library was loaded from at that time
 * @preload:  what to preload before the user's own libraries
 * @extra:    further "NAME=value" strings, ended by NULL; they replace variables of the same name, and are copied
 *
 * Return: an array ended by NULL in one piece, to be freed, or NULL where memory ran out.
 */
char **settings_environment(char *const original[], const char *own_path, const char *preload,
			    const char *const extra[])
{
	char *user = preload_without_us(env_find(original, "LD_PRELOAD"), own_path);
	size_t count = 0, n = 0, bytes = sizeof("LD_PRELOAD=:") + strlen(preload) + (user ? strlen(user) : 0);
	char **out, *at;

	while (original[count])
		count++;
	for (size_t i = 0; extra[i]; i++, count++)
		bytes += strlen(extra[i]) + 1;
	out = malloc((count + 2) * sizeof(*out) + bytes);
	if (!out) {
		free(user);
		return NULL;
	}
	at = (char *)(out + count + 2);
	out[n++] = at;
	at += snprintf(at, bytes, "LD_PRELOAD=%s%s%s", preload, user ? ":" : "", user ? user : "") + 1;
	free(user);
	for (size_t i = 0; original[i]; i++)
		if (!replaced(original[i], extra))
			out[n++] = original[i];
	for (size_t i = 0; extra[i]; i++) {
		out[n++] = at;
		at = stpcpy(at, extra[i]) + 1;
	}
	out[n] = NULL;
	return out;
}
