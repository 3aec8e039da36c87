/* SPDX-License-Identifier: MIT */
/*
 * The keys that events are grouped by: distinct values, numbered; and distinct combinations of
 * values, which are the groups. Values are the same when they are the same in an event's JSON:
 * texts byte by byte (also where they are no UTF-8), numbers as they are written; so streams that
 * hold one thing in different ways meet in one group.
 *
 * Both tables are bounded, and their hash has a seed of its own. What comes when a table is full
 * is not taken in; what was taken in before is always found. One thread.
 */
#ifndef STORE_KEYS_H
#define STORE_KEYS_H

#include "base/buffer.h"
#include "base/memory.h"
#include "schema/encode.h"

/* Values that make up a key: an endpoint counts for three. */
#define KEYS_MAX_PARTS 24u
#define KEYS_MAX_GROUPS 65536u
#define KEYS_MAX_TEXT ((size_t)16 << 20) /* bytes of all values */

#define KEYS_NULL 0u	     /* the number of the value null */
#define KEYS_NONE UINT32_MAX /* no number: not there, and there was no room */
#define KEYS_SHORT_VALUE 16u /* bytes */
#define KEYS_CACHE_SLOTS 32768u

struct key_value {
	uint32_t offset, length; /* in `text` */
	enum value_form form;
};

/* A value as it lies in memory, whose number was found before. */
struct key_cached {
	uint64_t a, b;
	uint32_t source; /* who holds it, plus 1; 0: free */
	uint32_t value;
};

/* Open addressing, never more than half full: slots hold a number plus 1. */
struct key_slots {
	uint32_t *items;
	uint32_t mask;
};

struct keys {
	struct buffer text;
	struct key_value *values;
	uint32_t value_count, value_room;
	uint32_t *parts; /* of the groups, `part_count` a group */
	uint32_t group_count, group_room;
	uint32_t part_count;
	struct key_slots value_slots, group_slots;
	struct key_cached *cache; /* a value that hashes to the same place takes it over */
	uint64_t seed;
	bool failed; /* memory ran out: what was found is not to be used */
};

/* `part_count`: values that a key has. 0 or -ENOMEM. */
int keys_init(struct keys *keys, uint32_t part_count);
void keys_fini(struct keys *keys);

/* The number of a value, or KEYS_NONE. */
uint32_t keys_value(struct keys *keys, enum value_form form, const char *text, size_t length);
/* The number of a group, by the numbers of its values; or KEYS_NONE. Groups are numbered from 0
 * in the order they come. */
uint32_t keys_group(struct keys *keys, const uint32_t *parts);

/* The place in the cache of a value of up to 16 bytes that `source` holds. */
struct key_cached *keys_cached(const struct keys *keys, uint32_t source, uint64_t a, uint64_t b);

#endif
