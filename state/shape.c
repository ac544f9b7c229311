/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shape.c - do two CPR states tell of the same VM? See shape.h. */
#include "shape.h"

#include <stdbool.h>
#include <string.h>

static bool same_bytes(struct cpr_bytes a, struct cpr_bytes b)
{
	return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

static bool same_arg(const struct cpr_arg *a, const struct cpr_arg *b)
{
	return !strcmp(a->text, b->text);
}

/* How much of a block that can grow is in use is in the stream. */
static bool same_ram(const struct cpr_ram *a, const struct cpr_ram *b)
{
	return !strcmp(a->name, b->name) && a->offset == b->offset && a->max == b->max;
}

/* What a connection has half said moves on; what it is does not. */
static bool same_fd(const struct cpr_fd *a, const struct cpr_fd *b)
{
	return a->kind == b->kind && a->number == b->number && a->parent == b->parent &&
	       a->open_flags == b->open_flags && a->inherited == b->inherited && !strcmp(a->name, b->name) &&
	       same_bytes(a->addr, b->addr) && a->protocol == b->protocol && a->negotiated == b->negotiated &&
	       a->oob == b->oob;
}

static bool same_fdset(const struct cpr_fdset *a, const struct cpr_fdset *b)
{
	return a->set == b->set && a->number == b->number && !strcmp(a->opaque, b->opaque);
}

static bool same_fdname(const struct cpr_fdname *a, const struct cpr_fdname *b)
{
	return a->monitor == b->monitor && a->hmp == b->hmp && !strcmp(a->name, b->name);
}

static bool same_change(const struct cpr_change *a, const struct cpr_change *b)
{
	return a->what == b->what && !strcmp(a->kind, b->kind) && !strcmp(a->id, b->id) &&
	       !strcmp(a->command, b->command);
}

static bool same_pin(const struct cpr_pin *a, const struct cpr_pin *b)
{
	return a->kind == b->kind && !strcmp(a->path, b->path);
}

static bool same_thread(const struct cpr_thread *a, const struct cpr_thread *b)
{
	return a->role == b->role && a->index == b->index && !strcmp(a->name, b->name) &&
	       same_bytes(a->affinity, b->affinity) && a->policy == b->policy && a->priority == b->priority &&
	       a->nice == b->nice && !strcmp(a->cgroup, b->cgroup);
}

#define COMPARE(name, what)                                 \
	if (a->name##_count != b->name##_count)             \
		return what;                                \
	for (uint32_t i = 0; i < a->name##_count; i++)      \
		if (!same_##name(&a->name[i], &b->name[i])) \
			return what;

/**
 * shape_differs() - is the VM another than it was?
 * @a, @b: two CPR states of it
 *
 * Descriptors are compared by what is told of them: whether their numbers still lead to the same open files is the
 * caller's to find out.
 *
 * Return: NULL where it is the same, else what is not, in words, constant.
 */
const char *shape_differs(const struct cprstate *a, const struct cprstate *b)
{
	COMPARE(arg, "its arguments")
	COMPARE(ram, "its memory")
	COMPARE(fd, "its connections")
	COMPARE(fdset, "its descriptor sets")
	COMPARE(fdname, "what was passed in to its monitors")
	COMPARE(change, "its devices or settings")
	COMPARE(pin, "its files")
	COMPARE(thread, "its threads")
	return NULL;
}
