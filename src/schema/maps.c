/* SPDX-License-Identifier: MIT */
#include "schema/maps.h"

#include <string.h>

/* libbpf's __uint() and __type() make each attribute a member that is a pointer. */
const struct btf_type *object_map_type(const struct object_reader *reader,
				       const struct btf_type *map, const char *name,
				       uint32_t *ret_type)
{
	for (uint32_t i = 0; i < btf_vlen(map); i++) {
		const struct btf_type *pointer;

		if (strcmp(object_name(reader, btf_members(map)[i].name_off), name))
			continue;
		pointer = object_type(reader, btf_members(map)[i].type, NULL);
		return pointer && btf_is_ptr(pointer) ? object_type(reader, pointer->type, ret_type)
						      : NULL;
	}
	return NULL;
}

uint32_t object_map_number(const struct object_reader *reader, const struct btf_type *map,
			   const char *name)
{
	const struct btf_type *array = object_map_type(reader, map, name, NULL);

	return array && btf_is_array(array) ? btf_array(array)->nelems : 0;
}

bool name_belongs_to(const char *name, const char *program)
{
	size_t length = strlen(program);

	return !strncmp(name, program, length) &&
	       (!name[length] || (name[length] == '_' && name[length + 1]));
}
