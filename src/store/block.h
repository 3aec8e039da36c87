/* SPDX-License-Identifier: MIT */
/*
 * Blocks. An open block holds rows; sealing turns them into columns:
 *
 *   integers     base + w bytes a row, w from 0 (all the same) to 8, little-endian: frame of
 *                reference. The base and the largest value are the column's summary.
 *   dictionary   w-byte codes (0, 1, 2) into a table of distinct values, for text, addresses and
 *                wide integers; the table is the column's exact summary.
 *   bytes        the values themselves, where most differ.
 *
 * The length of each record is a column like any other (mostly w = 0), so shortened records keep
 * their nulls. Text is kept up to its first NUL, what follows is zero; bytes of the record that
 * belong to no visible field are not kept and read as zero.
 *
 * A sealed block is one allocation, page-rounded, immutable, position-independent (offsets, no
 * pointers), so that it can be written to disk as it is.
 */
#ifndef STORE_BLOCK_H
#define STORE_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "schema/schema.h"

struct filter;

#define BLOCK_MAX_ROWS 8192u

enum column_encoding { COLUMN_INTEGER, COLUMN_DICTIONARY, COLUMN_BYTES };

struct column {
	uint8_t encoding;
	uint8_t width;	     /* bytes a row: integer offset (0-6, 8), or code */
	uint16_t value_size; /* dictionary, bytes: of one value */
	uint32_t entries;    /* dictionary; 0 when every row is null */
	/* Offset from the block's start: rows * width (or value_size) bytes, padded so that 8 bytes
	 * can be read at any row. */
	uint32_t data;
	uint32_t table; /* offset of the dictionary: entries * value_size bytes */
	/* Integer: smallest and largest, ordered form (schema.h); base > maximum when every row is
	 * null. */
	uint64_t base, maximum;
};

_Static_assert(sizeof(struct column) == 32, "written to disk as it is: no holes");

#define BLOCK_MAGIC 0x314b4c42u /* "BLK1" */

struct block {
	uint32_t magic;
	uint32_t bytes; /* of the whole block, header included, before page rounding */
	uint32_t rows;
	uint16_t columns; /* stored, visible fields in order, then the record length */
	uint16_t reserved;
	uint64_t first_index;	 /* place of row 0 in its stream */
	uint64_t oldest, newest; /* timestamps */
	uint64_t disorder;	 /* ns: no row is older than one before it by more */
	struct column column[];
};
_Static_assert(sizeof(struct block) == 48, "written to disk as it is: no holes");

/* Rows of a fixed stride, as the kernel wrote them. */
struct rows {
	uint8_t *data;
	uint16_t *lengths;
	uint32_t stride, count, capacity;
};

/* Keeps scratch memory between builds, of any stream; one thread at a time. `capacity`: rows of
 * the largest block it will build, at most BLOCK_MAX_ROWS. NULL when out of memory. */
struct block_builder;
struct block_builder *block_builder_new(uint32_t capacity);
void block_builder_free(struct block_builder *builder);
DEFINE_CLEANUP(block_builder, block_builder_free)
/* Bytes of scratch that a builder of this capacity takes. */
size_t block_builder_bytes(uint32_t capacity);

/* The most bytes, page-rounded, that a block of `rows` rows can take, also while it is built. */
size_t block_bound(const struct stream_schema *schema, uint32_t rows);

/* Where the rows stand in their stream; a builder cannot know. */
struct block_place {
	uint64_t first_index;
	uint64_t oldest, newest, disorder; /* as in struct block */
};

/* Builds a sealed block out of 1 to `capacity` rows. Returns the block (mmap'd, *ret_mapped
 * bytes), or NULL when out of memory. */
struct block *block_build(struct block_builder *builder, const struct stream_schema *schema,
			  const struct rows *rows, const struct block_place *place,
			  size_t *ret_mapped);
void block_free(struct block *block, size_t mapped);

/* Which column holds a field, or -1 (derived fields have none). */
int block_column_of(const struct stream_schema *schema, const struct field *field);

/* The value of a row in an integer column, ordered form. */
static inline uint64_t block_integer(const struct block *block, const struct column *column,
				     uint32_t row)
{
	uint64_t value;

	if (!column->width)
		return column->base;
	memcpy(&value, (const uint8_t *)block + column->data + (size_t)row * column->width,
	       sizeof(value));
	return column->base + (value & (UINT64_MAX >> (64 - 8 * column->width)));
}

/* Writes row `row` as a record again (record_size bytes, what was not there is zero); returns its
 * length. */
uint32_t block_row(const struct block *block, const struct stream_schema *schema, uint32_t row,
		   uint8_t *record);

/* Evaluates a filter over rows [from, to) of a sealed block or of open rows: sets bit i - from of
 * `bits` for each row that passes and clears the others, the last word's rest too. */
void block_filter(const struct block *block, const struct stream_schema *schema,
		  const struct filter *filter, uint32_t from, uint32_t to, uint64_t *bits);
void rows_filter(const struct rows *rows, const struct stream_schema *schema,
		 const struct filter *filter, uint32_t from, uint32_t to, uint64_t *bits);
/* The same for one question: low <= timestamp <= high, both inclusive. */
void block_filter_time(const struct block *block, const struct stream_schema *schema, uint64_t low,
		       uint64_t high, uint32_t from, uint32_t to, uint64_t *bits);
void rows_filter_time(const struct rows *rows, const struct stream_schema *schema, uint64_t low,
		      uint64_t high, uint32_t from, uint32_t to, uint64_t *bits);
/* The rows where a stored field, or one that shows a single one in another way, has a value as far
 * as the record's length and the field's condition tell (what zero_is_null says is for the caller):
 * sets their bits and clears the others. Returns false, with no bits written, when all rows have
 * one. */
bool block_not_null(const struct block *block, const struct stream_schema *schema,
		    const struct field *field, uint32_t from, uint32_t to, uint64_t *bits);
bool rows_not_null(const struct rows *rows, const struct stream_schema *schema,
		   const struct field *field, uint32_t from, uint32_t to, uint64_t *bits);
/* By summary alone: no row can pass. False says nothing. */
bool block_excludes(const struct block *block, const struct stream_schema *schema,
		    const struct filter *filter);

/* Of the fields that every event has, those with few values in this block can be counted beside it:
 * how many values column `column` (below HEADER_FIELDS) has, 0 when they are not counted. Values of
 * a dictionary are in its order, those of integers of one byte are base, base + 1, … */
static inline size_t block_count_entries(const struct block *block, size_t column)
{
	const struct column *c = &block->column[column];

	if (column == HEADER_TIMESTAMP)
		return 0;
	if (c->encoding == COLUMN_DICTIONARY)
		return c->entries;
	return c->encoding == COLUMN_INTEGER && c->width == 1 ? (size_t)(c->maximum - c->base) + 1
							      : 0;
}

/* How many rows pass, by summary and counts (of these columns, one after another) alone. False:
 * that takes the rows. */
bool block_count(const struct block *head, const uint16_t *counts,
		 const struct stream_schema *schema, const struct filter *filter,
		 uint64_t *ret_rows);

static inline size_t block_bitmap_words(uint32_t rows)
{
	return (rows + 63) / 64;
}

#endif
