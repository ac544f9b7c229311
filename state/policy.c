/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* policy.c - what cprshim.conf says; see policy.h. */
#include "policy.h"

#include <string.h>
#include <strings.h>

static const char blanks[] = " \t\r";

static bool take_directory(struct policy *p, char *dir)
{
	for (size_t len = strlen(dir); len > 1 && dir[len - 1] == '/';)
		dir[--len] = '\0';
	/* A path that the kernel gives has none of these, so it would never match. */
	if (*dir != '/' || strstr(dir, "//") || strstr(dir, "/./") || strstr(dir, "/../") || p->count == POLICY_DIRS)
		return false;
	p->dir[p->count++] = dir;
	return true;
}

static bool take_upgrade(struct policy *p, const char *word)
{
	static const char *const words[] = {
		[POLICY_UPGRADE_LIST] = "list", [POLICY_UPGRADE_NO] = "no", [POLICY_UPGRADE_YES] = "yes"
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) != 0)
			continue;
		p->upgrade = (enum policy_upgrade)i;
		return true;
	}
	return false;
}

/*
 * May this word limit what replaces a QEMU? So may each that begins as "allow" does, be it a later version's or a slip of the
 * pen: words that limit are to begin so.
 */
static bool limits(const char *word)
{
	return !strncasecmp(word, "allow", 5);
}

/* One line without its end, which is cut behind its word. Return: false where it is not understood. */
static bool parse_line(struct policy *p, char *line, const char **ret_word)
{
	size_t len = strlen(line);
	char *value;

	while (len && strchr(blanks, line[len - 1]))
		line[--len] = '\0';
	line += strspn(line, blanks);
	*ret_word = line;
	if (!*line || *line == '#')
		return true;
	value = line + strcspn(line, blanks);
	if (!*value)
		return false;
	*value++ = '\0';
	value += strspn(value, blanks);
	if (!strcmp(line, "allow"))
		return take_directory(p, value);
	return !strcmp(line, "update-on-upgrade") && take_upgrade(p, value);
}

/**
 * policy_parse() - read the text of cprshim.conf
 * @ret:  what it says
 * @text: all of it, which is changed and must stay
 *
 * A line that is not understood is passed over, and the first of them is told of: it may be for a newer library than the one
 * that a VM was started with.
 *
 * Return: false where a line that may limit what is allowed is not understood, and is the one told of: nothing is allowed then.
 */
bool policy_parse(struct policy *ret, char *text)
{
	size_t number = 1;

	*ret = (struct policy){ .count = 0 };
	for (char *line = text, *end; line; line = end, number++) {
		const char *word;

		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (parse_line(ret, line, &word) || (ret->wrong && !limits(word)))
			continue;
		ret->wrong = word;
		ret->wrong_line = number;
		if (limits(word))
			return false;
	}
	return true;
}

/**
 * policy_allows() - may a replacement come from there?
 * @p:	  the policy
 * @path: absolute, without symbolic links in it
 */
bool policy_allows(const struct policy *p, const char *path)
{
	for (size_t i = 0; i < p->count; i++) {
		size_t len = strlen(p->dir[i]);

		if (len == 1 || (!strncmp(path, p->dir[i], len) && path[len] == '/'))
			return true;
	}
	return !p->count;
}
