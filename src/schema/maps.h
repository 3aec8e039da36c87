/* SPDX-License-Identifier: MIT */
/* Definitions of maps in an object's BTF. Internal to this folder. */
#ifndef SCHEMA_MAPS_H
#define SCHEMA_MAPS_H

#include "schema/object_reader.h"

/* What __type(name, …) or __uint(name, …) of a map's definition stands for, or NULL. */
const struct btf_type *object_map_type(const struct object_reader *reader,
				       const struct btf_type *map, const char *name,
				       uint32_t *ret_type);
/* The number of an __uint(), 0 when there is none. */
uint32_t object_map_number(const struct object_reader *reader, const struct btf_type *map,
			   const char *name);
/* PROGRAM or PROGRAM_SOMETHING: the name says which program it is of. */
bool name_belongs_to(const char *name, const char *program);

#endif
