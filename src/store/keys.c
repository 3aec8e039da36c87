/* SPDX-License-Identifier: MIT */
#include "store/keys.h"

#include <errno.h>

#include "store/hash.h"

#define FIRST_ROOM 64u
#define MAX_VALUES (4 * KEYS_MAX_GROUPS)

static bool slots_make(struct key_slots *slots, uint32_t entries)
{
	uint32_t count = 2 * FIRST_ROOM;

	while (count < 2 * entries)
		count *= 2;
	free(slots->items);
	slots->items = calloc(count, sizeof(*slots->items));
	slots->mask = count - 1;
	return slots->items;
}

int keys_init(struct keys *keys, uint32_t part_count)
{
	*keys = (struct keys){ .part_count = part_count, .seed = hash_seed() };
	keys->cache = calloc(KEYS_CACHE_SLOTS, sizeof(*keys->cache));
	/* Null needs no text, and is found without looking. */
	keys->values = calloc(FIRST_ROOM, sizeof(*keys->values));
	keys->value_room = FIRST_ROOM;
	keys->value_count = 1;
	buffer_reserve(&keys->text, FIRST_ROOM);
	if (!keys->cache || !keys->values || !keys->text.data ||
	    !slots_make(&keys->value_slots, FIRST_ROOM) ||
	    !slots_make(&keys->group_slots, FIRST_ROOM)) {
		keys_fini(keys);
		return -ENOMEM;
	}
	return 0;
}

void keys_fini(struct keys *keys)
{
	buffer_fini(&keys->text);
	free(keys->values);
	free(keys->parts);
	free(keys->value_slots.items);
	free(keys->group_slots.items);
	free(keys->cache);
	*keys = (struct keys){ .value_count = 0 };
}

static uint32_t *first_free(const struct key_slots *slots, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & slots->mask;

	while (slots->items[at])
		at = (at + 1) & slots->mask;
	return &slots->items[at];
}

/* ---- values ---- */

static uint64_t value_hash(const struct keys *keys, enum value_form form, const char *text,
			   size_t length)
{
	return hash_bytes(keys->seed ^ form, (const uint8_t *)text, (uint32_t)length);
}

static bool grow_values(struct keys *keys)
{
	const uint32_t room = 2 * keys->value_room;
	struct key_value *values = reallocarray(keys->values, room, sizeof(*values));

	if (!values || !slots_make(&keys->value_slots, room)) {
		keys->values = values ? values : keys->values;
		keys->failed = true;
		return false;
	}
	keys->values = values;
	keys->value_room = room;
	for (uint32_t i = 1; i < keys->value_count; i++) {
		const struct key_value *value = &values[i];

		*first_free(&keys->value_slots,
			    value_hash(keys, value->form, keys->text.data + value->offset,
				       value->length)) = i + 1;
	}
	return true;
}

static uint32_t add_value(struct keys *keys, enum value_form form, const char *text, size_t length,
			  uint64_t hash)
{
	if (keys->value_count == MAX_VALUES || keys->text.length + length > KEYS_MAX_TEXT ||
	    (keys->value_count == keys->value_room && !grow_values(keys)))
		return KEYS_NONE;
	keys->values[keys->value_count] = (struct key_value){
		.offset = (uint32_t)keys->text.length,
		.length = (uint32_t)length,
		.form = form,
	};
	buffer_append(&keys->text, text, length);
	keys->failed |= keys->text.failed;
	*first_free(&keys->value_slots, hash) = keys->value_count + 1;
	return keys->value_count++;
}

uint32_t keys_value(struct keys *keys, enum value_form form, const char *text, size_t length)
{
	const struct key_slots *slots = &keys->value_slots;
	uint64_t hash;

	if (form == VALUE_NULL)
		return KEYS_NULL;
	if (keys->failed)
		return KEYS_NONE;
	text = length ? text : "";
	hash = value_hash(keys, form, text, length);
	for (uint32_t at = (uint32_t)hash & slots->mask; slots->items[at];
	     at = (at + 1) & slots->mask) {
		const struct key_value *value = &keys->values[slots->items[at] - 1];

		if (value->form == form && value->length == length &&
		    !memcmp(keys->text.data + value->offset, text, length))
			return slots->items[at] - 1;
	}
	return add_value(keys, form, text, length, hash);
}

struct key_cached *keys_cached(const struct keys *keys, uint32_t source, uint64_t a, uint64_t b)
{
	const uint64_t hash = hash_words(a ^ keys->seed ^ (uint64_t)source << 48, b);

	return &keys->cache[hash & (KEYS_CACHE_SLOTS - 1)];
}

/* ---- groups ---- */

static uint64_t group_hash(const struct keys *keys, const uint32_t *parts)
{
	return hash_bytes(keys->seed, (const uint8_t *)parts,
			  (uint32_t)(keys->part_count * sizeof(*parts)));
}

static uint32_t *group_parts(const struct keys *keys, uint32_t group)
{
	return keys->parts + (size_t)group * keys->part_count;
}

static bool grow_groups(struct keys *keys)
{
	const uint32_t room = keys->group_room ? 2 * keys->group_room : FIRST_ROOM;
	/* A key of no parts takes no memory, but NULL means that there is none. */
	uint32_t *parts =
		reallocarray(keys->parts, (size_t)room * keys->part_count + 1, sizeof(*parts));

	if (!parts || !slots_make(&keys->group_slots, room)) {
		keys->parts = parts ? parts : keys->parts;
		keys->failed = true;
		return false;
	}
	keys->parts = parts;
	keys->group_room = room;
	for (uint32_t i = 0; i < keys->group_count; i++)
		*first_free(&keys->group_slots, group_hash(keys, group_parts(keys, i))) = i + 1;
	return true;
}

static uint32_t add_group(struct keys *keys, const uint32_t *parts, uint64_t hash)
{
	if (keys->group_count == KEYS_MAX_GROUPS ||
	    (keys->group_count == keys->group_room && !grow_groups(keys)))
		return KEYS_NONE;
	memcpy(group_parts(keys, keys->group_count), parts, keys->part_count * sizeof(*parts));
	*first_free(&keys->group_slots, hash) = keys->group_count + 1;
	return keys->group_count++;
}

uint32_t keys_group(struct keys *keys, const uint32_t *parts)
{
	const struct key_slots *slots = &keys->group_slots;
	uint64_t hash;

	if (keys->failed)
		return KEYS_NONE;
	hash = group_hash(keys, parts);
	for (uint32_t at = (uint32_t)hash & slots->mask; slots->items[at];
	     at = (at + 1) & slots->mask) {
		const uint32_t group = slots->items[at] - 1;

		if (!memcmp(group_parts(keys, group), parts, keys->part_count * sizeof(*parts)))
			return group;
	}
	return add_group(keys, parts, hash);
}
