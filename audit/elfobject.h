/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * elfobject.h - an ELF file that is looked at and not run: what it needs, imports, names, and which bytes are code.
 *
 * Files may be damaged or made to harm: each access is checked against the file's size.
 */
#ifndef CPRSHIM_AUDIT_ELFOBJECT_H
#define CPRSHIM_AUDIT_ELFOBJECT_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct elfobject - an open file, for elfobject_close()
 * @bytes:	all of it, mapped
 * @size:	how many
 * @machine:	EM_*
 * @header:	its header
 * @dynstr:	names of the dynamic part; NULL without one
 * @dynstr_len:	their length
 * @dynsym:	offset of the dynamic symbols in the file
 * @dynsym_count: how many
 * @versym:	offset of their versions, 0 without
 */
struct elfobject {
	const uint8_t *bytes;
	size_t size;
	uint16_t machine;
	Elf64_Ehdr header;
	const char *dynstr;
	size_t dynstr_len;
	uint64_t dynsym;
	size_t dynsym_count;
	uint64_t versym;
};

/**
 * struct elfobject_symbol - a name that stands for an address here, or for one elsewhere
 * @name:	the name
 * @address:	where it begins, not valid if undefined
 * @size:	bytes, may be 0
 * @defined:	it is here
 * @exported:	others can be bound to it
 * @code:	it is a function, or may be one
 * @version:	for an undefined one: the version that it is bound to, NULL without
 */
struct elfobject_symbol {
	const char *name;
	uint64_t address, size;
	bool defined, exported, code;
	const char *version;
};

/* A part of the file that is run. */
struct elfobject_code {
	uint64_t address;
	const uint8_t *bytes;
	size_t size;
};

typedef void (*elfobject_symbol_fn)(const struct elfobject_symbol *symbol, void *arg);
typedef void (*elfobject_text_fn)(const char *text, void *arg);

int elfobject_open(const char *path, struct elfobject *ret_obj, const char **ret_why);
void elfobject_close(struct elfobject *obj);
const char *elfobject_interpreter(const struct elfobject *obj);
bool elfobject_is_libc(const struct elfobject *obj);
const char *elfobject_dynamic_text(const struct elfobject *obj, int64_t tag);
void elfobject_each_needed(const struct elfobject *obj, elfobject_text_fn fn, void *arg);
void elfobject_each_symbol(const struct elfobject *obj, elfobject_symbol_fn fn, void *arg);
bool elfobject_code(const struct elfobject *obj, size_t index, struct elfobject_code *ret_code);
bool elfobject_at(const struct elfobject *obj, uint64_t address, const uint8_t **ret_bytes, size_t *ret_len);
bool elfobject_eh_frame(const struct elfobject *obj, uint64_t *ret_address);

#endif
