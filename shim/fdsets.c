/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fdsets.c - members of descriptor sets keep their numbers; see fdsets.h. */
#include "fdsets.h"

#include <stddef.h>

/* -add-fd is dealt with on the main thread, before there are others. */
static struct {
	int number;
	bool duplicated;
	bool closed;
} given[FDSETS_MAX];
static size_t count;

/** fdsets_give() - a number that -add-fd will name; before main(). Return: false where there is no room. */
bool fdsets_give(int number)
{
	if (count == FDSETS_MAX)
		return false;
	given[count++].number = number;
	return true;
}

/** fdsets_duplicate() - is this the duplicate that -add-fd makes? The number itself is to serve as it. */
bool fdsets_duplicate(int number)
{
	for (size_t i = 0; i < count; i++)
		if (given[i].number == number && !given[i].duplicated)
			return given[i].duplicated = true;
	return false;
}

/** fdsets_close() - is this the close after it? It is not to be done. */
bool fdsets_close(int number)
{
	for (size_t i = 0; i < count; i++)
		if (given[i].number == number && given[i].duplicated && !given[i].closed)
			return given[i].closed = true;
	return false;
}
