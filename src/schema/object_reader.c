/* SPDX-License-Identifier: MIT */
#include "schema/object_reader.h"

#include <gelf.h>
#include <string.h>

#include "base/memory.h"
#include "schema/schema.h"

/* Typedefs, qualifiers and arrays that may stand before a type; a loop of them ends here. */
#define MAX_INDIRECTIONS 32
#define MAX_TYPES (1u << 20)

#ifndef EM_BPF
#define EM_BPF 247
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_ELF_DATA ELFDATA2LSB
#else
#define HOST_ELF_DATA ELFDATA2MSB
#endif

static int open_elf(struct object_reader *reader, const void *object, size_t size,
		    const struct refusal *refusal)
{
	GElf_Ehdr header;

	if (elf_version(EV_CURRENT) == EV_NONE) {
		refuse(refusal, "libelf is older than its header");
		return -ENOEXEC;
	}
	/* libelf only reads an image that is opened so, though its parameter is not const. */
	reader->elf = elf_memory((char *)(uintptr_t)object, size);
	if (!reader->elf || elf_kind(reader->elf) != ELF_K_ELF ||
	    !gelf_getehdr(reader->elf, &header) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_machine != EM_BPF) {
		refuse(refusal, "this is no eBPF object file; make one with clang -target bpf");
		return -ENOEXEC;
	}
	if (header.e_ident[EI_DATA] != HOST_ELF_DATA) {
		refuse(refusal, "the object is for machines of the other byte order");
		return -ENOEXEC;
	}
	return 0;
}

/* A section's bytes as they are in the file, or NULL. */
static const Elf_Data *section_data(Elf_Scn *section, const GElf_Shdr *header)
{
	const Elf_Data *data;

	if (header->sh_type == SHT_NOBITS)
		return NULL;
	data = elf_rawdata(section, NULL);
	return data && data->d_buf && data->d_size ? data : NULL;
}

static int find_sections(struct object_reader *reader, const Elf_Data **ret_btf,
			 const struct refusal *refusal)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(reader->elf, &names)) {
		refuse(refusal, "the object's section table is damaged");
		return -ENOEXEC;
	}
	while ((section = elf_nextscn(reader->elf, section))) {
		GElf_Shdr header;
		const char *name;

		if (!gelf_getshdr(section, &header))
			continue;
		name = elf_strptr(reader->elf, names, header.sh_name);
		if (!name)
			continue;
		if (header.sh_type == SHT_SYMTAB && !reader->symbols) {
			reader->symbols = elf_getdata(section, NULL);
			reader->symbol_names = header.sh_link;
		} else if (!strcmp(name, ".BTF") && !*ret_btf) {
			*ret_btf = section_data(section, &header);
		} else if (!strcmp(name, ".rodata") && !reader->rodata) {
			reader->rodata = section_data(section, &header);
			reader->rodata_section = elf_ndxscn(section);
		}
	}
	return 0;
}

static int read_btf(struct object_reader *reader, const Elf_Data *data,
		    const struct refusal *refusal)
{
	if (!data)
		return refuse(refusal, "the object has no BTF; compile it with clang -g");
	if (data->d_size > UINT32_MAX)
		return refuse(refusal, "the object's BTF is too large");
	reader->btf = btf__new(data->d_buf, (uint32_t)data->d_size);
	if (!reader->btf) {
		if (errno == ENOMEM)
			return -ENOMEM;
		return refuse(refusal, "the object's BTF is damaged");
	}
	if (btf__type_cnt(reader->btf) > MAX_TYPES)
		return refuse(refusal, "the object's BTF has too many types");
	return 0;
}

/* Found once, in the order of the file: each lookup would have to pass over all types otherwise. */
static int collect_tags(struct object_reader *reader)
{
	uint32_t count = btf__type_cnt(reader->btf);
	size_t tags = 0;

	for (uint32_t id = 1; id < count; id++)
		tags += btf_is_decl_tag(btf__type_by_id(reader->btf, id));
	if (!tags)
		return 0;
	reader->tags = calloc(tags, sizeof(*reader->tags));
	if (!reader->tags)
		return -ENOMEM;
	for (uint32_t id = 1; id < count; id++) {
		const struct btf_type *type = btf__type_by_id(reader->btf, id);

		if (btf_is_decl_tag(type))
			reader->tags[reader->tag_count++] = (struct object_tag){
				.type = type->type,
				.component = btf_decl_tag(type)->component_idx,
				.text = object_name(reader, type->name_off),
			};
	}
	return 0;
}

int object_reader_open(struct object_reader *reader, const void *object, size_t size,
		       const struct refusal *refusal)
{
	const Elf_Data *btf = NULL;
	int r;

	*reader = (struct object_reader){ 0 };
	r = open_elf(reader, object, size, refusal);
	if (!r)
		r = find_sections(reader, &btf, refusal);
	if (!r)
		r = read_btf(reader, btf, refusal);
	if (!r)
		r = collect_tags(reader);
	if (r)
		object_reader_close(reader);
	return r;
}

void object_reader_close(struct object_reader *reader)
{
	free(reader->tags);
	btf__free(reader->btf);
	elf_end(reader->elf);
	*reader = (struct object_reader){ 0 };
}

const char *object_name(const struct object_reader *reader, uint32_t name_offset)
{
	const char *name = btf__str_by_offset(reader->btf, name_offset);

	return name ? name : "";
}

static bool is_transparent(const struct btf_type *type)
{
	return btf_is_typedef(type) || btf_is_mod(type) || btf_is_type_tag(type);
}

const struct btf_type *object_type(const struct object_reader *reader, uint32_t id,
				   uint32_t *ret_type)
{
	for (int i = 0; i < MAX_INDIRECTIONS && id; i++) {
		const struct btf_type *type = btf__type_by_id(reader->btf, id);

		if (!type)
			return NULL;
		if (!is_transparent(type)) {
			if (ret_type)
				*ret_type = id;
			return type;
		}
		id = type->type;
	}
	return NULL;
}

int object_type_size(const struct object_reader *reader, uint32_t id, uint32_t *ret_size)
{
	uint32_t elements = 1, size;

	for (int i = 0; i < MAX_INDIRECTIONS; i++) {
		const struct btf_type *type = object_type(reader, id, NULL);

		if (!type)
			return -EINVAL;
		switch (btf_kind(type)) {
		case BTF_KIND_INT:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_FLOAT:
			if (__builtin_mul_overflow(type->size, elements, &size))
				return -EINVAL;
			*ret_size = size;
			return 0;
		case BTF_KIND_ARRAY:
			if (__builtin_mul_overflow(btf_array(type)->nelems, elements, &elements))
				return -EINVAL;
			id = btf_array(type)->type;
			break;
		default:
			return -EINVAL;
		}
	}
	return -EINVAL;
}

const struct object_tag *object_next_tag(const struct object_reader *reader, uint32_t type,
					 int component, const struct object_tag *previous)
{
	size_t i = previous ? (size_t)(previous - reader->tags) + 1 : 0;

	for (; i < reader->tag_count; i++)
		if (reader->tags[i].type == type && reader->tags[i].component == component)
			return &reader->tags[i];
	return NULL;
}

const char *object_tag(const struct object_reader *reader, uint32_t type, int component,
		       const char *prefix)
{
	const struct object_tag *tag = NULL;
	size_t length = strlen(prefix);

	while ((tag = object_next_tag(reader, type, component, tag)))
		if (!strncmp(tag->text, prefix, length))
			return tag->text + length;
	return NULL;
}

int object_each_variable(const struct object_reader *reader, const char *section,
			 object_variable_fn variable, void *context)
{
	int32_t id = btf__find_by_name_kind(reader->btf, section, BTF_KIND_DATASEC);
	const struct btf_type *type = id > 0 ? btf__type_by_id(reader->btf, (uint32_t)id) : NULL;

	if (!type)
		return 0;
	for (uint32_t i = 0; i < btf_vlen(type); i++) {
		uint32_t member = btf_var_secinfos(type)[i].type;
		const struct btf_type *var = btf__type_by_id(reader->btf, member);
		int r;

		if (!var || !btf_is_var(var))
			continue;
		r = variable(context, member, var);
		if (r)
			return r;
	}
	return 0;
}

/*
 * Where a variable stands in .rodata is in the symbol table: clang leaves the offsets of BTF's own
 * DATASEC to relocations.
 */
const uint8_t *object_initial_value(const struct object_reader *reader, const char *variable,
				    uint32_t size, uint32_t *ret_offset)
{
	size_t count = reader->symbols ? reader->symbols->d_size / sizeof(Elf64_Sym) : 0;

	if (!reader->rodata || count > INT32_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		GElf_Sym symbol;
		const char *name;

		/* libelf takes the data as non-const, and only reads it here. */
		if (!gelf_getsym((Elf_Data *)(uintptr_t)reader->symbols, (int)i, &symbol) ||
		    symbol.st_shndx != reader->rodata_section)
			continue;
		name = elf_strptr(reader->elf, reader->symbol_names, symbol.st_name);
		if (!name || strcmp(name, variable))
			continue;
		if (size > reader->rodata->d_size ||
		    symbol.st_value > reader->rodata->d_size - size || symbol.st_value > UINT32_MAX)
			return NULL;
		*ret_offset = (uint32_t)symbol.st_value;
		return (const uint8_t *)reader->rodata->d_buf + symbol.st_value;
	}
	return NULL;
}

const struct btf_type *btf_enum_by_name(const struct btf *btf, const char *name)
{
	uint32_t count = btf ? btf__type_cnt(btf) : 0;

	for (uint32_t id = 1; id < count; id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		const char *found;

		if (!btf_is_any_enum(type) || !btf_vlen(type))
			continue;
		found = btf__str_by_offset(btf, type->name_off);
		if (found && !strcmp(found, name))
			return type;
	}
	return NULL;
}

bool object_name_is_valid(const char *name)
{
	size_t length = strspn(name, IDENTIFIER_CHARACTERS);

	return length && length < SCHEMA_NAME_SIZE && !name[length] &&
	       !(name[0] >= '0' && name[0] <= '9');
}
