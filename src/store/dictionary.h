/* SPDX-License-Identifier: MIT */
/*
 * Finds the distinct values of a column and gives each row the number of its value: an
 * open-addressing hash with a seed of its own (so that nobody chooses values that collide), and a
 * look at the row before first, since events come in runs. Scratch of block_build(); one thread.
 */
#ifndef STORE_DICTIONARY_H
#define STORE_DICTIONARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A value of up to 16 bytes, zero-padded. */
struct dictionary_key {
	uint64_t a, b;
};

struct dictionary {
	/* Results: `codes` one a row; `keys` (values up to 16 bytes) and `first` (the row where it
	 * was met first; byte values) one an entry. */
	uint32_t entries;
	uint16_t *codes;
	struct dictionary_key *keys;
	uint32_t *first;

	uint16_t *slots; /* hash to entry + 1 */
	uint32_t slot_count, most_entries;
	uint64_t seed;
};

/* Byte values, one a row; rows whose record is shorter than `need` have none. */
struct dictionary_source {
	const uint8_t *data; /* the value of row 0 */
	const uint16_t *lengths;
	size_t stride;
	uint32_t rows, size, need;
	bool text; /* only up to the first NUL */
};

int dictionary_init(struct dictionary *dictionary, uint32_t rows); /* 0 or -ENOMEM */
void dictionary_fini(struct dictionary *dictionary);
size_t dictionary_bytes(uint32_t rows);

/* Bytes a code takes. */
static inline uint8_t dictionary_width(uint32_t entries)
{
	return entries <= 1 ? 0 : entries <= 256 ? 1 : 2;
}

/* Looks at a sample: false when (nearly) all values differ. */
bool dictionary_promises(struct dictionary *dictionary, const uint64_t *values, uint32_t rows);
/* Both return false, with no result, when there are more than `limit` distinct values (for bytes:
 * a quarter of the rows, or half of them where a value is longer than 16 bytes). */
bool dictionary_of_integers(struct dictionary *dictionary, const uint64_t *values, uint32_t rows,
			    uint32_t limit);
bool dictionary_of_bytes(struct dictionary *dictionary, const struct dictionary_source *source);

static inline const uint8_t *dictionary_value(const struct dictionary_source *source, uint32_t row)
{
	return source->data + row * source->stride;
}

static inline uint32_t dictionary_value_length(const struct dictionary_source *source, uint32_t row)
{
	if (!source->text)
		return source->size;
	return (uint32_t)strnlen((const char *)dictionary_value(source, row), source->size);
}

#endif
