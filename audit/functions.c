/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* functions.c - where the functions of a file begin and end. See functions.h. */
#include "functions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Encodings of pointers in unwinding tables (DWARF, LSB): the low half is the form, the rest what it counts from. */
#define PE_FORM	  0x0f
#define PE_PCREL  0x10
#define PE_BASE	  0x70
#define PE_OMIT	  0xff
#define PE_ABSPTR 0x00
#define PE_UDATA4 0x03
#define PE_SDATA4 0x0b
#define PE_UDATA8 0x04
#define PE_SDATA8 0x0c

static void add(struct functions *functions, uint64_t start, uint64_t size, bool lands)
{
	if (functions->error)
		return;
	if (functions->count == functions->room) {
		size_t room = functions->room ? functions->room * 2 : 1024;
		struct function *items = realloc(functions->items, room * sizeof(*items));

		if (!items) {
			functions->error = -ENOMEM;
			return;
		}
		functions->items = items;
		functions->room = room;
	}
	functions->items[functions->count++] = (struct function){ .start = start, .size = size, .lands = lands };
}

static void add_symbol(const struct elfobject_symbol *symbol, void *arg)
{
	if (symbol->defined && symbol->code && symbol->size > 0 && symbol->size < INT64_MAX)
		add(arg, symbol->address, symbol->size, false);
}

/* A place in the tables: what is read moves on. */
struct cursor {
	const uint8_t *at, *end;
	uint64_t address;
};

static bool skip(struct cursor *c, size_t len)
{
	if ((size_t)(c->end - c->at) < len)
		return false;
	c->at += len;
	c->address += len;
	return true;
}

static bool take(struct cursor *c, void *ret, size_t len)
{
	if ((size_t)(c->end - c->at) < len)
		return false;
	memcpy(ret, c->at, len);
	return skip(c, len);
}

static bool take_leb(struct cursor *c, uint64_t *ret)
{
	uint64_t value = 0;
	uint8_t byte;

	for (unsigned int shift = 0; shift < 64 && take(c, &byte, 1); shift += 7) {
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

static size_t form_size(uint8_t form)
{
	switch (form & PE_FORM) {
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		return 8;
	case PE_UDATA4:
	case PE_SDATA4:
		return 4;
	default:
		return 0;
	}
}

/* Return: false for an encoding that no linker uses here. */
static bool take_encoded(struct cursor *c, uint8_t encoding, uint64_t *ret)
{
	uint64_t place = c->address, wide;
	size_t size = form_size(encoding);
	uint32_t narrow;

	if (size == 8 && take(c, &wide, sizeof(wide)))
		*ret = wide;
	else if (size == 4 && take(c, &narrow, sizeof(narrow)))
		*ret = (encoding & PE_FORM) == PE_SDATA4 ? (uint64_t)(int64_t)(int32_t)narrow : narrow;
	else
		return false;
	if ((encoding & PE_BASE) == PE_PCREL)
		*ret += place;
	return (encoding & PE_BASE) == PE_PCREL || (encoding & PE_BASE) == 0;
}

/* What the entries of a compilation unit have in common. */
struct cie {
	uint8_t pointers, landing;
	bool augmented, signal;
};

/* Reads the letters that say what else there is; one that is not known ends it, since its length is not known either. */
static bool read_augmentation(struct cursor *c, const char *letters, struct cie *ret)
{
	uint64_t unused;
	uint8_t encoding;

	if (*letters != 'z')
		return !*letters;
	ret->augmented = true;
	if (!take_leb(c, &unused))
		return false;
	while (*++letters) {
		switch (*letters) {
		case 'R':
			if (!take(c, &ret->pointers, 1))
				return false;
			break;
		case 'L':
			if (!take(c, &ret->landing, 1))
				return false;
			break;
		case 'P':
			if (!take(c, &encoding, 1) || !skip(c, form_size(encoding)))
				return false;
			break;
		case 'S':
			ret->signal = true;
			break;
		case 'B':
			break;
		default:
			return false;
		}
	}
	return true;
}

static bool read_cie(struct cursor c, struct cie *ret)
{
	uint64_t unused;
	const char *letters;
	uint8_t version;
	size_t len;

	*ret = (struct cie){ .pointers = PE_ABSPTR, .landing = PE_OMIT };
	if (!take(&c, &version, 1) || (version != 1 && version != 3))
		return false;
	letters = (const char *)c.at;
	len = strnlen(letters, (size_t)(c.end - c.at));
	/* code and data alignment, the register of the return address: a number of its own length since version 3 */
	return skip(&c, len + 1) && take_leb(&c, &unused) && take_leb(&c, &unused) &&
	       (version == 1 ? skip(&c, 1) : take_leb(&c, &unused)) && read_augmentation(&c, letters, ret);
}

static void read_fde(struct functions *functions, struct cursor c, const struct cie *cie)
{
	uint64_t start, size, len, landing = 0;

	if (!take_encoded(&c, cie->pointers, &start) || !take_encoded(&c, cie->pointers & PE_FORM, &size) || !size ||
	    size > INT64_MAX)
		return;
	/* no landing pads where the table of them is nowhere */
	if (cie->augmented && cie->landing != PE_OMIT && take_leb(&c, &len) &&
	    !take_encoded(&c, cie->landing & PE_FORM, &landing))
		landing = 1;
	/* where a signal's handler returns to: the tables begin a byte before it, since an unwinder looks for callers */
	if (cie->signal && size > 1) {
		start++;
		size--;
	}
	add(functions, start, size, landing != 0);
}

/* Return: false at the end of the tables. */
static bool next_entry(struct cursor *c, struct cursor *ret_entry)
{
	uint32_t len;

	if (!take(c, &len, sizeof(len)) || len == 0 || len == 0xffffffff || (size_t)(c->end - c->at) < len)
		return false;
	*ret_entry = *c;
	ret_entry->end = c->at + len;
	return skip(c, len);
}

static void read_unwinding(const struct elfobject *obj, struct functions *functions)
{
	const uint8_t *begin;
	struct cursor c, entry;
	size_t len;

	if (!elfobject_eh_frame(obj, &c.address) || !elfobject_at(obj, c.address, &begin, &len))
		return;
	c.at = begin;
	c.end = begin + len;
	while (next_entry(&c, &entry)) {
		const uint8_t *here = entry.at;
		struct cursor rest, common;
		struct cie cie;
		uint32_t back;

		/* 0 for what is common to entries, else how far back that is */
		if (!take(&entry, &back, sizeof(back)) || back == 0 || back > (size_t)(here - begin))
			continue;
		rest = (struct cursor){ here - back, c.end, 0 };
		if (next_entry(&rest, &common) && skip(&common, sizeof(back)) && read_cie(common, &cie))
			read_fde(functions, entry, &cie);
	}
}

static int compare(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	/* of those that begin together the one that more is known about comes last, which is found first */
	return x->start != y->start ? (x->start < y->start ? -1 : 1) : x->lands - y->lands;
}

/**
 * functions_read() - all functions of a file
 * @obj: the file
 * @ret: the functions, for functions_free()
 *
 * Return: 0 or -ENOMEM.
 */
int functions_read(const struct elfobject *obj, struct functions *ret)
{
	struct functions functions = { 0 };

	read_unwinding(obj, &functions);
	elfobject_each_symbol(obj, add_symbol, &functions);
	if (functions.error) {
		functions_free(&functions);
		return functions.error;
	}
	if (functions.count)
		qsort(functions.items, functions.count, sizeof(functions.items[0]), compare);
	for (size_t i = 0; i < functions.count; i++) {
		struct function *function = &functions.items[i];

		function->reach = function->start + function->size;
		if (i > 0 && functions.items[i - 1].reach > function->reach)
			function->reach = functions.items[i - 1].reach;
	}
	*ret = functions;
	return 0;
}

/* Return: how many begin at or before an address. */
static size_t begun(const struct functions *functions, uint64_t address)
{
	size_t low = 0, high = functions->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (functions->items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/**
 * functions_around() - the function that an address is in
 * @functions: all of them
 * @address:   the address
 * @ret:       the one that begins last before it
 *
 * Return: false where it is in none.
 */
bool functions_around(const struct functions *functions, uint64_t address, struct function *ret)
{
	for (size_t i = begun(functions, address); i > 0 && functions->items[i - 1].reach > address; i--) {
		if (address - functions->items[i - 1].start < functions->items[i - 1].size) {
			*ret = functions->items[i - 1];
			return true;
		}
	}
	return false;
}

/**
 * functions_gap() - what is between functions, together with the one before
 * @functions: all of them
 * @address:   an address that is in none
 * @ret:       to the beginning of what comes next
 *
 * glibc ends the tables of clone() in the middle, where the child's stack would not match them.
 */
void functions_gap(const struct functions *functions, uint64_t address, struct function *ret)
{
	size_t next = begun(functions, address), previous = next;
	uint64_t end = next < functions->count ? functions->items[next].start : UINT64_MAX;

	while (previous > 1 && functions->items[previous - 2].reach == functions->items[next - 1].reach)
		previous--;
	*ret = (struct function){ .start = previous > 0 ? functions->items[previous - 1].start : 0,
				  .lands = true,
				  .gap = true };
	ret->size = end - ret->start;
}

/**
 * functions_free() - give their memory back
 * @functions: the functions
 */
void functions_free(struct functions *functions)
{
	free(functions->items);
	functions->items = NULL;
}
