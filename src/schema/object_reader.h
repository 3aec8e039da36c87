/* SPDX-License-Identifier: MIT */
/*
 * An eBPF object file, as far as a schema needs it: its BTF with declaration tags, its symbols, the
 * bytes of .rodata. Nothing that the file says of sizes, offsets or type numbers is believed.
 * Internal to this folder. One thread.
 */
#ifndef SCHEMA_OBJECT_READER_H
#define SCHEMA_OBJECT_READER_H

#include <bpf/btf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/refuse.h"

#define WHOLE_TYPE (-1) /* as a tag's component: the struct, variable or function itself */

struct object_tag {
	uint32_t type;
	int component; /* of a struct: number of the member, or WHOLE_TYPE */
	const char *text;
};

struct object_reader {
	Elf *elf;
	struct btf *btf;
	const Elf_Data *symbols;
	size_t symbol_names; /* section index of their names */
	const Elf_Data *rodata;
	size_t rodata_section;
	struct object_tag *tags;
	size_t tag_count;
};

/* `reader` need not be initialised. 0, -ENOEXEC, -EINVAL, -ENOMEM; closed on failure. The bytes
 * must outlive the reader. */
int object_reader_open(struct object_reader *reader, const void *object, size_t size,
		       const struct refusal *refusal);
void object_reader_close(struct object_reader *reader);

/* A name in the BTF; "" when there is none. Valid as long as the reader. */
const char *object_name(const struct object_reader *reader, uint32_t name_offset);

/* The type behind typedefs and qualifiers, or NULL when there is none (void, broken). */
const struct btf_type *object_type(const struct object_reader *reader, uint32_t type,
				   uint32_t *ret_type);

/* Bytes that a type takes. 0 or -EINVAL. */
int object_type_size(const struct object_reader *reader, uint32_t type, uint32_t *ret_size);

/* The next tag of this component after `previous` (NULL: the first one); NULL when there is
 * none. */
const struct object_tag *object_next_tag(const struct object_reader *reader, uint32_t type,
					 int component, const struct object_tag *previous);
/* The text after `prefix` of the first tag that begins with it ("" when the tag is the prefix), or
 * NULL. */
const char *object_tag(const struct object_reader *reader, uint32_t type, int component,
		       const char *prefix);

/* Calls `variable` for each variable of a section; stops at the first non-zero return, and returns
 * it. */
typedef int (*object_variable_fn)(void *context, uint32_t variable, const struct btf_type *type);
int object_each_variable(const struct object_reader *reader, const char *section,
			 object_variable_fn variable, void *context);

/* The bytes that .rodata gives a variable at first, or NULL when the object does not hold them. */
const uint8_t *object_initial_value(const struct object_reader *reader, const char *variable,
				    uint32_t size, uint32_t *ret_offset);

/* The enum type of this name that has enumerators, or NULL; an enum may be declared several
 * times. */
const struct btf_type *btf_enum_by_name(const struct btf *btf, const char *name);

#define IDENTIFIER_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"
/* A C identifier that fits SCHEMA_NAME_SIZE: whatever is shown under this name needs no escape. */
bool object_name_is_valid(const char *name);

#endif
