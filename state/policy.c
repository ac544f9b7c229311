/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* policy.c - what cprshim.conf says; see policy.h. */
#include "policy.h"

#include <string.h>

static const char blanks[] = " \t\r";

/* One line without its end. Return: false where it is not understood. */
static bool parse_line(struct policy *p, char *line)
{
	size_t len = strlen(line);

	while (len && strchr(blanks, line[len - 1]))
		line[--len] = '\0';
	line += strspn(line, blanks);
	if (!*line || *line == '#')
		return true;
	if (strncmp(line, "allow", 5) != 0 || !line[5] || !strchr(blanks, line[5]))
		return false;
	line += 5 + strspn(line + 5, blanks);
	for (len = strlen(line); len > 1 && line[len - 1] == '/';)
		line[--len] = '\0';
	/* A path that the kernel gives has none of these, so it would never match. */
	if (*line != '/' || strstr(line, "//") || strstr(line, "/./") || strstr(line, "/../") ||
	    p->count == POLICY_DIRS)
		return false;
	p->dir[p->count++] = line;
	return true;
}

/**
 * policy_parse() - read the text of cprshim.conf
 * @ret:  what it says
 * @text: all of it, which is changed and must stay
 *
 * Return: false where a line is not understood: nothing is allowed then.
 */
bool policy_parse(struct policy *ret, char *text)
{
	*ret = (struct policy){ .count = 0 };
	for (char *line = text, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (!parse_line(ret, line))
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
