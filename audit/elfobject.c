/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* elfobject.c - an ELF file that is looked at and not run. See elfobject.h. */
#include "elfobject.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Copies what stands at an offset: it need not be aligned. */
static bool fetch(const struct elfobject *obj, uint64_t offset, void *ret, size_t len)
{
	if (offset > obj->size || obj->size - offset < len)
		return false;
	memcpy(ret, obj->bytes + offset, len);
	return true;
}

static bool program_header(const struct elfobject *obj, size_t index, Elf64_Phdr *ret)
{
	return index < obj->header.e_phnum && obj->header.e_phentsize == sizeof(*ret) &&
	       fetch(obj, obj->header.e_phoff + index * sizeof(*ret), ret, sizeof(*ret));
}

static bool section_header(const struct elfobject *obj, size_t index, Elf64_Shdr *ret)
{
	return index < obj->header.e_shnum && obj->header.e_shentsize == sizeof(*ret) &&
	       fetch(obj, obj->header.e_shoff + index * sizeof(*ret), ret, sizeof(*ret));
}

static bool find_segment(const struct elfobject *obj, uint32_t type, Elf64_Phdr *ret)
{
	for (size_t i = 0; program_header(obj, i, ret); i++) {
		if (ret->p_type == type)
			return true;
	}
	return false;
}

/* Return: the text at an offset in a string table that ends inside it, else NULL. */
static const char *text_in(const char *table, size_t len, uint64_t offset)
{
	if (!table || offset >= len || !memchr(table + offset, '\0', len - offset))
		return NULL;
	return table + offset;
}

/**
 * elfobject_at() - the bytes that the file has for an address
 * @obj:       the file
 * @address:   as the file counts them
 * @ret_bytes: from there
 * @ret_len:   to the end of the segment
 *
 * Return: false where it has none.
 */
bool elfobject_at(const struct elfobject *obj, uint64_t address, const uint8_t **ret_bytes, size_t *ret_len)
{
	Elf64_Phdr ph;

	for (size_t i = 0; program_header(obj, i, &ph); i++) {
		if (ph.p_type != PT_LOAD || address < ph.p_vaddr || address - ph.p_vaddr >= ph.p_filesz)
			continue;
		if (ph.p_offset > obj->size || obj->size - ph.p_offset < ph.p_filesz)
			return false;
		*ret_bytes = obj->bytes + ph.p_offset + (address - ph.p_vaddr);
		*ret_len = ph.p_filesz - (address - ph.p_vaddr);
		return true;
	}
	return false;
}

/**
 * elfobject_code() - the parts that are run, one by one
 * @obj:      the file
 * @index:    which, from 0
 * @ret_code: the part
 *
 * Return: false after the last one.
 */
bool elfobject_code(const struct elfobject *obj, size_t index, struct elfobject_code *ret_code)
{
	Elf64_Phdr ph;

	for (size_t i = 0; program_header(obj, i, &ph); i++) {
		if (ph.p_type != PT_LOAD || !(ph.p_flags & PF_X) || ph.p_offset > obj->size ||
		    obj->size - ph.p_offset < ph.p_filesz || ph.p_filesz == 0)
			continue;
		if (index-- > 0)
			continue;
		*ret_code = (struct elfobject_code){ ph.p_vaddr, obj->bytes + ph.p_offset, ph.p_filesz };
		return true;
	}
	return false;
}

static bool dynamic_entry(const struct elfobject *obj, size_t index, Elf64_Dyn *ret)
{
	Elf64_Phdr ph;

	return find_segment(obj, PT_DYNAMIC, &ph) && index < ph.p_filesz / sizeof(*ret) &&
	       fetch(obj, ph.p_offset + index * sizeof(*ret), ret, sizeof(*ret)) && ret->d_tag != DT_NULL;
}

static bool dynamic_value(const struct elfobject *obj, int64_t tag, uint64_t *ret)
{
	Elf64_Dyn dyn;

	for (size_t i = 0; dynamic_entry(obj, i, &dyn); i++) {
		if (dyn.d_tag == tag) {
			*ret = dyn.d_un.d_val;
			return true;
		}
	}
	return false;
}

/* Return: the offset in the file of what the dynamic part names by address, 0 where there is none. */
static uint64_t dynamic_offset(const struct elfobject *obj, int64_t tag)
{
	const uint8_t *bytes;
	uint64_t address;
	size_t len;

	if (!dynamic_value(obj, tag, &address) || !elfobject_at(obj, address, &bytes, &len))
		return 0;
	return (uint64_t)(bytes - obj->bytes);
}

/* A file without section headers tells the number of its dynamic symbols by its hash table only. */
static size_t count_by_hash(const struct elfobject *obj)
{
	struct {
		uint32_t buckets, first, bloom, shift;
	} gnu;
	uint64_t at = dynamic_offset(obj, DT_GNU_HASH);
	uint32_t last = 0, bucket, sysv[2], link;

	if (!at || !fetch(obj, at, &gnu, sizeof(gnu))) {
		at = dynamic_offset(obj, DT_HASH);
		return at && fetch(obj, at, sysv, sizeof(sysv)) ? sysv[1] : 0;
	}
	at += sizeof(gnu) + (uint64_t)gnu.bloom * sizeof(uint64_t);
	for (uint32_t i = 0; i < gnu.buckets && fetch(obj, at + i * 4ull, &bucket, sizeof(bucket)); i++)
		last = bucket > last ? bucket : last;
	if (last < gnu.first)
		return gnu.first;
	/* the last chain ends at the first value that is odd */
	at += gnu.buckets * 4ull;
	while (fetch(obj, at + (last - gnu.first) * 4ull, &link, sizeof(link)) && !(link & 1))
		last++;
	return last + 1u;
}

static void find_dynamic_symbols(struct elfobject *obj)
{
	uint64_t strtab = dynamic_offset(obj, DT_STRTAB), strsz = 0;
	Elf64_Shdr sh;

	if (!strtab || !dynamic_value(obj, DT_STRSZ, &strsz) || strsz > obj->size - strtab)
		return;
	obj->dynstr = (const char *)obj->bytes + strtab;
	obj->dynstr_len = strsz;
	obj->dynsym = dynamic_offset(obj, DT_SYMTAB);
	obj->versym = dynamic_offset(obj, DT_VERSYM);
	for (size_t i = 0; section_header(obj, i, &sh); i++) {
		if (sh.sh_type == SHT_DYNSYM && sh.sh_offset == obj->dynsym)
			obj->dynsym_count = sh.sh_size / sizeof(Elf64_Sym);
	}
	if (obj->dynsym && !obj->dynsym_count)
		obj->dynsym_count = count_by_hash(obj);
}

static const char *check_header(struct elfobject *obj)
{
	if (!fetch(obj, 0, &obj->header, sizeof(obj->header)) || memcmp(obj->header.e_ident, ELFMAG, SELFMAG) != 0)
		return "it is no ELF file";
	if (obj->header.e_ident[EI_CLASS] != ELFCLASS64 || obj->header.e_ident[EI_DATA] != ELFDATA2LSB)
		return "it is for a 32-bit or a big-endian processor";
	if (obj->header.e_type != ET_EXEC && obj->header.e_type != ET_DYN)
		return "it is neither a program nor a library";
	return NULL;
}

/**
 * elfobject_open() - look at a file
 * @path:    the file
 * @ret_obj: the file, for elfobject_close()
 * @ret_why: on failure: a sentence about it without its end
 *
 * Return: 0 or negative errno.
 */
int elfobject_open(const char *path, struct elfobject *ret_obj, const char **ret_why)
{
	/* O_NONBLOCK: an open of a FIFO would wait */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct elfobject obj = { 0 };
	struct stat st;
	void *bytes;
	int err;

	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		*ret_why = strerror(errno);
		if (fd >= 0)
			close(fd);
		return err;
	}
	*ret_why = "it is no ELF file";
	err = -ENOEXEC;
	bytes = S_ISREG(st.st_mode) && st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
						      : MAP_FAILED;
	close(fd);
	if (bytes == MAP_FAILED)
		return err;
	obj.bytes = bytes;
	obj.size = (size_t)st.st_size;
	*ret_why = check_header(&obj);
	if (*ret_why) {
		elfobject_close(&obj);
		return err;
	}
	obj.machine = obj.header.e_machine;
	find_dynamic_symbols(&obj);
	*ret_obj = obj;
	return 0;
}

/**
 * elfobject_close() - done with a file
 * @obj: the file
 */
void elfobject_close(struct elfobject *obj)
{
	if (obj->bytes)
		munmap((void *)obj->bytes, obj->size);
	obj->bytes = NULL;
}

/**
 * elfobject_interpreter() - the loader that a program asks for
 * @obj: the file
 *
 * Return: its path, NULL for a library and for a program that is statically linked.
 */
const char *elfobject_interpreter(const struct elfobject *obj)
{
	Elf64_Phdr ph;

	if (!find_segment(obj, PT_INTERP, &ph) || ph.p_offset > obj->size || obj->size - ph.p_offset < ph.p_filesz ||
	    ph.p_filesz > PATH_MAX)
		return NULL;
	return text_in((const char *)obj->bytes + ph.p_offset, ph.p_filesz, 0);
}

/**
 * elfobject_dynamic_text() - a text of the dynamic part
 * @obj: the file
 * @tag: DT_SONAME, DT_RUNPATH or DT_RPATH
 *
 * Return: the text, NULL without.
 */
const char *elfobject_dynamic_text(const struct elfobject *obj, int64_t tag)
{
	uint64_t offset;

	return dynamic_value(obj, tag, &offset) ? text_in(obj->dynstr, obj->dynstr_len, offset) : NULL;
}

/**
 * elfobject_each_needed() - the libraries that a file asks for
 * @obj: the file
 * @fn:  called with each name
 * @arg: for @fn
 */
void elfobject_each_needed(const struct elfobject *obj, elfobject_text_fn fn, void *arg)
{
	Elf64_Dyn dyn;

	for (size_t i = 0; dynamic_entry(obj, i, &dyn); i++) {
		const char *name =
			dyn.d_tag == DT_NEEDED ? text_in(obj->dynstr, obj->dynstr_len, dyn.d_un.d_val) : NULL;

		if (name)
			fn(name, arg);
	}
}

/**
 * elfobject_is_libc() - is it a part of glibc?
 * @obj: the file
 */
bool elfobject_is_libc(const struct elfobject *obj)
{
	uint64_t at = dynamic_offset(obj, DT_VERDEF), count = 0;
	Elf64_Verdaux aux;
	Elf64_Verdef def;

	if (!at || !dynamic_value(obj, DT_VERDEFNUM, &count))
		return false;
	for (; count > 0 && fetch(obj, at, &def, sizeof(def)); count--) {
		const char *name = fetch(obj, at + def.vd_aux, &aux, sizeof(aux))
					   ? text_in(obj->dynstr, obj->dynstr_len, aux.vda_name)
					   : NULL;

		if (name && !strncmp(name, "GLIBC_", 6))
			return true;
		if (!def.vd_next)
			break;
		at += def.vd_next;
	}
	return false;
}

/* Return: the name of a version that is needed from another file, NULL where there is none of that number. */
static const char *needed_version(const struct elfobject *obj, uint16_t number)
{
	uint64_t at = dynamic_offset(obj, DT_VERNEED), count = 0;
	Elf64_Vernaux aux;
	Elf64_Verneed need;

	if (!at || !dynamic_value(obj, DT_VERNEEDNUM, &count))
		return NULL;
	for (; count > 0 && fetch(obj, at, &need, sizeof(need)); count--, at += need.vn_next) {
		uint64_t aux_at = at + need.vn_aux;

		for (uint16_t i = 0; i < need.vn_cnt && fetch(obj, aux_at, &aux, sizeof(aux)); i++) {
			if ((aux.vna_other & 0x7fff) == number)
				return text_in(obj->dynstr, obj->dynstr_len, aux.vna_name);
			aux_at += aux.vna_next;
		}
		if (!need.vn_next)
			break;
	}
	return NULL;
}

static const char *version_of(const struct elfobject *obj, size_t index)
{
	uint16_t number;

	if (!obj->versym || !fetch(obj, obj->versym + index * sizeof(number), &number, sizeof(number)))
		return NULL;
	number &= 0x7fff;
	return number > VER_NDX_GLOBAL ? needed_version(obj, number) : NULL;
}

static bool give_symbol(const Elf64_Sym *sym, const char *name, bool dynamic, struct elfobject_symbol *ret)
{
	unsigned char type = ELF64_ST_TYPE(sym->st_info), bind = ELF64_ST_BIND(sym->st_info);

	if (!name || !*name || type == STT_SECTION || type == STT_FILE || type == STT_TLS)
		return false;
	*ret = (struct elfobject_symbol){
		.name = name,
		.address = sym->st_value,
		.size = sym->st_size,
		.defined = sym->st_shndx != SHN_UNDEF && sym->st_shndx != SHN_ABS,
		.exported = dynamic && (bind == STB_GLOBAL || bind == STB_WEAK || bind == STB_GNU_UNIQUE),
		.code = type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE,
	};
	return true;
}

static void each_local_symbol(const struct elfobject *obj, elfobject_symbol_fn fn, void *arg)
{
	struct elfobject_symbol symbol;
	Elf64_Shdr sh, str;
	Elf64_Sym sym;

	for (size_t i = 0; section_header(obj, i, &sh); i++) {
		if (sh.sh_type != SHT_SYMTAB || !section_header(obj, sh.sh_link, &str) || str.sh_offset > obj->size ||
		    obj->size - str.sh_offset < str.sh_size)
			continue;
		for (uint64_t n = 0; n < sh.sh_size / sizeof(sym); n++) {
			if (!fetch(obj, sh.sh_offset + n * sizeof(sym), &sym, sizeof(sym)))
				break;
			if (sym.st_shndx != SHN_UNDEF &&
			    give_symbol(&sym,
					text_in((const char *)obj->bytes + str.sh_offset, str.sh_size, sym.st_name),
					false, &symbol))
				fn(&symbol, arg);
		}
	}
}

/**
 * elfobject_each_symbol() - the dynamic symbols, then those that stripping takes away
 * @obj: the file
 * @fn:  called with each
 * @arg: for @fn
 */
void elfobject_each_symbol(const struct elfobject *obj, elfobject_symbol_fn fn, void *arg)
{
	struct elfobject_symbol symbol;
	Elf64_Sym sym;

	for (size_t i = 0; i < obj->dynsym_count; i++) {
		if (!fetch(obj, obj->dynsym + i * sizeof(sym), &sym, sizeof(sym)))
			break;
		if (!give_symbol(&sym, text_in(obj->dynstr, obj->dynstr_len, sym.st_name), true, &symbol))
			continue;
		if (sym.st_shndx == SHN_UNDEF)
			symbol.version = version_of(obj, i);
		fn(&symbol, arg);
	}
	each_local_symbol(obj, fn, arg);
}

/**
 * elfobject_eh_frame() - where the unwinding tables begin, which know each function's bounds
 * @obj:         the file
 * @ret_address: their address
 *
 * Return: false without such tables.
 */
bool elfobject_eh_frame(const struct elfobject *obj, uint64_t *ret_address)
{
	/* version, encodings of: pointer to .eh_frame, count, table */
	uint8_t head[8];
	Elf64_Phdr ph;
	int32_t offset;

	if (!find_segment(obj, PT_GNU_EH_FRAME, &ph) || !fetch(obj, ph.p_offset, head, sizeof(head)))
		return false;
	/* what every linker writes: relative to its own place, four bytes with a sign */
	if (head[0] != 1 || head[1] != 0x1b)
		return false;
	memcpy(&offset, head + 4, sizeof(offset));
	*ret_address = ph.p_vaddr + 4 + (uint64_t)(int64_t)offset;
	return true;
}
