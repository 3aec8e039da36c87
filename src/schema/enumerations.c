/* SPDX-License-Identifier: MIT */
#include "schema/enumerations.h"

#include <errno.h>
#include <strings.h>

#include "schema/object_reader.h"

bool enum_is_signed(const struct btf_type *type)
{
	if (btf_kflag(type))
		return true;
	/* Compilers before clang 16 do not say it; their values are 32 bits, read as signed
	 * ones. */
	if (btf_is_enum(type))
		for (uint32_t i = 0; i < btf_vlen(type); i++)
			if (btf_enum(type)[i].val < 0)
				return true;
	return false;
}

static const char *enumerator_name(const struct btf *btf, const struct btf_type *type, uint32_t i)
{
	const char *name = btf__str_by_offset(
		btf, btf_is_enum(type) ? btf_enum(type)[i].name_off : btf_enum64(type)[i].name_off);

	return name ? name : "";
}

/* The value in `size` bytes; false when it does not fit. */
static bool enumerator_bits(const struct btf_type *type, uint32_t i, uint16_t size,
			    uint64_t *ret_bits)
{
	unsigned int width = size * 8u;
	int64_t value;

	if (btf_is_enum(type)) {
		value = btf_enum(type)[i].val;
		if (size == 8 && !enum_is_signed(type))
			value &= UINT32_MAX;
		else if (size == 4)
			width = 64; /* all fit */
	} else {
		value = (int64_t)btf_enum64_value(btf_enum64(type) + i);
	}
	if (width < 64 && (value < -(1LL << (width - 1)) || value >= 1LL << width))
		return false;
	*ret_bits = (uint64_t)value;
	return true;
}

/* How many bytes of prefix all names share, up to and with a '_', leaving something of each. */
static size_t shared_prefix(const struct btf *btf, const struct btf_type *type)
{
	const char *first = enumerator_name(btf, type, 0);
	size_t shared = strlen(first);

	if (!shared)
		return 0;
	shared--;
	for (uint32_t i = 1; i < btf_vlen(type); i++) {
		const char *name = enumerator_name(btf, type, i);
		size_t length = 0;

		while (length < shared && name[length] == first[length])
			length++;
		if (length && !name[length])
			length--;
		shared = length;
	}
	while (shared && first[shared - 1] != '_')
		shared--;
	return shared;
}

static int compare_values(const void *a, const void *b)
{
	const struct enumerator *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	/* Of several names for a value the one that was declared first is shown; all are copied
	 * into one piece of memory, in that order. */
	return x->name < y->name ? -1 : x->name > y->name;
}

int enumeration_read(struct arena *arena, const struct btf *btf, const struct btf_type *type,
		     const char *prefix, uint16_t size, bool is_signed,
		     struct enumeration *ret_enumeration)
{
	struct enumerator *entries = arena_allocate(arena, btf_vlen(type), sizeof(*entries));
	size_t cut = prefix ? strlen(prefix) : shared_prefix(btf, type);
	size_t count = 0, bytes = 0;
	char *names;

	if (!prefix)
		prefix = btf_vlen(type) ? enumerator_name(btf, type, 0) : "";
	prefix = arena_copy(arena, prefix, cut);
	for (uint32_t i = 0; i < btf_vlen(type); i++)
		bytes += strlen(enumerator_name(btf, type, i)) + 1;
	/* One piece for all names, in the order of declaration. */
	names = arena_allocate(arena, bytes, 1);
	if (!entries || !prefix || !names)
		return -ENOMEM;
	for (uint32_t i = 0; i < btf_vlen(type); i++) {
		const char *name = enumerator_name(btf, type, i);
		uint64_t bits;

		if (!strncmp(name, prefix, cut) && name[cut])
			name += cut;
		if (!*name || name[strspn(name, IDENTIFIER_CHARACTERS)] ||
		    strlen(name) >= SCHEMA_NAME_SIZE || !enumerator_bits(type, i, size, &bits))
			continue;
		entries[count].name = names;
		entries[count++].value = field_load_ordered((uint8_t *)&bits, size, is_signed);
		names = stpcpy(names, name) + 1;
	}
	qsort(entries, count, sizeof(*entries), compare_values);
	*ret_enumeration = (struct enumeration){ entries, count, prefix };
	return 0;
}

const char *enumeration_name(const struct enumeration *enumeration, uint64_t value)
{
	const struct enumerator *entries = enumeration->entries;
	size_t low = 0, high = enumeration->count;

	if (!high)
		return NULL;
	/* Most enums count up by one from the first, and then a value is its place. */
	if (value - entries[0].value < high) {
		size_t place = (size_t)(value - entries[0].value);

		if (entries[place].value == value && (!place || entries[place - 1].value != value))
			return entries[place].name;
	}
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entries[middle].value < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low < enumeration->count && entries[low].value == value ? entries[low].name : NULL;
}

bool enumeration_value(const struct enumeration *enumeration, const char *name, uint64_t *ret_value)
{
	const char *prefix = enumeration->prefix ? enumeration->prefix : "";
	size_t length = strlen(prefix);
	bool has_prefix = length && !strncasecmp(name, prefix, length) && name[length];

	for (size_t i = 0; i < enumeration->count; i++) {
		const char *entry = enumeration->entries[i].name;

		if (!strcasecmp(entry, name) || (has_prefix && !strcasecmp(entry, name + length))) {
			*ret_value = enumeration->entries[i].value;
			return true;
		}
	}
	return false;
}
