/* SPDX-License-Identifier: MIT */
/* Enum types in BTF to sorted tables of names. Internal to this folder. */
#ifndef SCHEMA_ENUMERATIONS_H
#define SCHEMA_ENUMERATIONS_H

#include <bpf/btf.h>

#include "schema/arena.h"
#include "schema/schema.h"

/*
 * Names of the values that an integer of `size` bytes can hold; enumerators that do not fit, or are
 * no C identifiers (names are written into JSON and CSV as they are), are left out. `prefix` is cut
 * off where a name begins with it; NULL: the prefix that all share, up to a '_'. Everything is
 * copied into the arena. 0 or -ENOMEM.
 */
int enumeration_read(struct arena *arena, const struct btf *btf, const struct btf_type *type,
		     const char *prefix, uint16_t size, bool is_signed,
		     struct enumeration *ret_enumeration);

/* Whether a C enum has values below 0. */
bool enum_is_signed(const struct btf_type *type);

/* The value of a name, with or without the prefix, any case; false when there is none. */
bool enumeration_value(const struct enumeration *enumeration, const char *name,
		       uint64_t *ret_value);

#endif
