/* SPDX-License-Identifier: MIT */
#include "store/dictionary.h"

#include <errno.h>
#include <stdlib.h>

#include "store/hash.h"

#define SHORT_VALUE 16u

static uint32_t most_entries(uint32_t rows)
{
	return rows / 2 + 1;
}

/* A power of two that leaves half of the slots empty. */
static uint32_t slot_count(uint32_t entries)
{
	uint32_t count = 512;

	while (count < entries * 2)
		count *= 2;
	return count;
}

size_t dictionary_bytes(uint32_t rows)
{
	const uint32_t most = most_entries(rows);

	return rows * sizeof(uint16_t) + most * (sizeof(struct dictionary_key) + sizeof(uint32_t)) +
	       slot_count(most) * sizeof(uint16_t);
}

int dictionary_init(struct dictionary *dictionary, uint32_t rows)
{
	const uint32_t most = most_entries(rows);

	*dictionary = (struct dictionary){
		.codes = calloc(rows, sizeof(uint16_t)),
		.keys = calloc(most, sizeof(struct dictionary_key)),
		.first = calloc(most, sizeof(uint32_t)),
		.slots = calloc(slot_count(most), sizeof(uint16_t)),
		.most_entries = most,
	};
	dictionary->seed = hash_seed();
	if (!dictionary->codes || !dictionary->keys || !dictionary->first || !dictionary->slots) {
		dictionary_fini(dictionary);
		return -ENOMEM;
	}
	return 0;
}

void dictionary_fini(struct dictionary *dictionary)
{
	free(dictionary->codes);
	free(dictionary->keys);
	free(dictionary->first);
	free(dictionary->slots);
	*dictionary = (struct dictionary){ .codes = NULL };
}

static void start(struct dictionary *dictionary, uint32_t limit)
{
	dictionary->entries = 0;
	dictionary->slot_count = slot_count(limit);
	memset(dictionary->slots, 0, dictionary->slot_count * sizeof(*dictionary->slots));
}

#define NO_CODE UINT32_MAX

/* The code of a short value, new or old; NO_CODE past the limit. (Two words and no struct: gcc 12
 * writes that to the stack and reads it back in another width, which stalls for longer than all
 * the rest takes.) */
static inline uint32_t key_code(struct dictionary *dictionary, uint64_t a, uint64_t b, uint32_t row,
				uint32_t limit)
{
	const uint32_t mask = dictionary->slot_count - 1;
	uint32_t at = (uint32_t)hash_words(a ^ dictionary->seed, b) & mask;

	for (; dictionary->slots[at]; at = (at + 1) & mask) {
		const uint32_t code = dictionary->slots[at] - 1u;

		if (dictionary->keys[code].a == a && dictionary->keys[code].b == b)
			return code;
	}
	if (dictionary->entries == limit)
		return NO_CODE;
	dictionary->keys[dictionary->entries].a = a;
	dictionary->keys[dictionary->entries].b = b;
	dictionary->first[dictionary->entries] = row;
	dictionary->slots[at] = (uint16_t)++dictionary->entries;
	return dictionary->entries - 1;
}

#define SAMPLE 64u

bool dictionary_promises(struct dictionary *dictionary, const uint64_t *values, uint32_t rows)
{
	const uint32_t sample = rows < SAMPLE ? rows : SAMPLE;
	const uint32_t stretch = rows / sample;

	start(dictionary, SAMPLE);
	for (uint32_t i = 0; i < sample; i++) {
		/* Somewhere in each stretch: a fixed distance would miss values that take turns. */
		uint32_t row = i * stretch + (uint32_t)hash_words(i, dictionary->seed) % stretch;

		/* Fewer rows than the sample has may have no room for it. */
		if (key_code(dictionary, values[row], 0, 0, dictionary->most_entries) == NO_CODE)
			return false;
	}
	return dictionary->entries + 1 < sample;
}

bool dictionary_of_integers(struct dictionary *dictionary, const uint64_t *values, uint32_t rows,
			    uint32_t limit)
{
	uint32_t code = NO_CODE;

	limit = limit < dictionary->most_entries ? limit : dictionary->most_entries;
	start(dictionary, limit);
	for (uint32_t i = 0; i < rows; i++) {
		if (!i || values[i] != values[i - 1])
			code = key_code(dictionary, values[i], 0, i, limit);
		if (code == NO_CODE)
			return false;
		dictionary->codes[i] = (uint16_t)code;
	}
	return true;
}

/* Keeps the bytes before the first zero byte of a little-endian word; true when there is one. */
static bool cut_text(uint64_t *word)
{
	const uint64_t ones = 0x0101010101010101ULL, tops = 0x8080808080808080ULL;
	uint64_t zero = (*word - ones) & ~*word & tops;

	if (!zero)
		return false;
	/* The lowest marked byte is the first zero byte; marks above it may be wrong. */
	*word &= ((zero & -zero) >> 7) - 1;
	return true;
}

static struct dictionary_key load_key(const uint8_t *value, uint32_t size, bool text)
{
	struct dictionary_key key = { 0, 0 };

	if (size == SHORT_VALUE)
		memcpy(&key, value, SHORT_VALUE);
	else
		memcpy(&key, value, size);
	if (text && (cut_text(&key.a) || !key.b))
		key.b = 0;
	else if (text)
		cut_text(&key.b);
	return key;
}

static bool of_short_bytes(struct dictionary *dictionary, const struct dictionary_source *source,
			   uint32_t limit)
{
	struct dictionary_key key, last = { 0, 0 };
	uint32_t code = NO_CODE;

	for (uint32_t i = 0; i < source->rows; i++) {
		if (source->lengths[i] < source->need) {
			dictionary->codes[i] = 0;
			continue;
		}
		key = load_key(dictionary_value(source, i), source->size, source->text);
		if (code == NO_CODE || key.a != last.a || key.b != last.b) {
			code = key_code(dictionary, key.a, key.b, i, limit);
			if (code == NO_CODE)
				return false;
			last = key;
		}
		dictionary->codes[i] = (uint16_t)code;
	}
	return true;
}

/* Row `row` has the value of `length` bytes at `value`. */
static bool same_bytes(const struct dictionary_source *source, uint32_t row, const uint8_t *value,
		       uint32_t length)
{
	const uint8_t *other = dictionary_value(source, row);

	return !memcmp(other, value, length) && (length == source->size || !other[length]);
}

static uint32_t bytes_code(struct dictionary *dictionary, const struct dictionary_source *source,
			   uint32_t row, uint32_t limit)
{
	const uint8_t *value = dictionary_value(source, row);
	const uint32_t length = dictionary_value_length(source, row);
	const uint32_t mask = dictionary->slot_count - 1;
	uint32_t at = (uint32_t)hash_bytes(dictionary->seed, value, length) & mask;

	for (; dictionary->slots[at]; at = (at + 1) & mask) {
		const uint32_t code = dictionary->slots[at] - 1u;

		if (same_bytes(source, dictionary->first[code], value, length))
			return code;
	}
	if (dictionary->entries == limit)
		return NO_CODE;
	dictionary->first[dictionary->entries] = row;
	dictionary->slots[at] = (uint16_t)++dictionary->entries;
	return dictionary->entries - 1;
}

static bool of_long_bytes(struct dictionary *dictionary, const struct dictionary_source *source,
			  uint32_t limit)
{
	for (uint32_t i = 0; i < source->rows; i++) {
		uint32_t code = 0;

		if (source->lengths[i] >= source->need)
			code = bytes_code(dictionary, source, i, limit);
		if (code == NO_CODE)
			return false;
		dictionary->codes[i] = (uint16_t)code;
	}
	return true;
}

bool dictionary_of_bytes(struct dictionary *dictionary, const struct dictionary_source *source)
{
	uint32_t limit = source->size > SHORT_VALUE ? source->rows / 2 : source->rows / 4;

	/* A handful of rows may still all be the same. */
	limit = limit ? limit : 1;
	start(dictionary, limit);
	return source->size > SHORT_VALUE ? of_long_bytes(dictionary, source, limit)
					  : of_short_bytes(dictionary, source, limit);
}
