/* SPDX-License-Identifier: MIT */
#include "store/codes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Combinations that a table is made for; it is cleared for each segment. */
#define TABLE_MAX 131072u
/* An integer column whose values span no more than this has its offsets as codes. */
#define OFFSETS_MAX 4096u
#define NO_CODE UINT16_MAX

_Static_assert(CODES_MAX < NO_CODE, "codes fit 16 bits");

int codes_scratch_init(struct codes_scratch *scratch)
{
	scratch->values = calloc(BLOCK_MAX_ROWS, sizeof(*scratch->values));
	scratch->table = calloc(TABLE_MAX, sizeof(*scratch->table));
	/* Twice the rows: it takes half as many entries, and every row may have its own. */
	if (dictionary_init(&scratch->dictionary, 2 * BLOCK_MAX_ROWS) < 0 || !scratch->values ||
	    !scratch->table) {
		codes_scratch_fini(scratch);
		return -ENOMEM;
	}
	return 0;
}

void codes_scratch_fini(struct codes_scratch *scratch)
{
	dictionary_fini(&scratch->dictionary);
	free(scratch->values);
	free(scratch->table);
	scratch->values = NULL;
	scratch->table = NULL;
}

int codes_init(struct codes *codes)
{
	codes->code = calloc(BLOCK_MAX_ROWS, sizeof(*codes->code));
	codes->row = calloc(CODES_MAX, sizeof(*codes->row));
	codes->value = calloc(CODES_MAX, sizeof(*codes->value));
	return codes->code && codes->row && codes->value ? 0 : -ENOMEM;
}

void codes_fini(struct codes *codes)
{
	free(codes->code);
	free(codes->row);
	free(codes->value);
	*codes = (struct codes){ .code = NULL };
}

int folded_init(struct folded *folded)
{
	folded->code = calloc(BLOCK_MAX_ROWS, sizeof(*folded->code));
	folded->first = calloc(BLOCK_MAX_ROWS, sizeof(*folded->first));
	return folded->code && folded->first ? 0 : -ENOMEM;
}

void folded_fini(struct folded *folded)
{
	free(folded->code);
	free(folded->first);
	*folded = (struct folded){ .code = NULL };
}

struct key_source key_source_of(const struct stream_schema *schema, const struct field *field)
{
	const struct field *stored =
		field->derivation == FIELD_STORED ? field : &schema->fields[field->source];

	return (struct key_source){
		.kind = SOURCE_FIELD,
		.field = field,
		.stored = stored,
		.column = (uint32_t)block_column_of(schema, stored),
	};
}

static const struct column *column_of(const struct key_source *source,
				      const struct segment *segment)
{
	return &segment->block->column[source->column];
}

static const uint8_t *column_data(const struct segment *segment, const struct column *column)
{
	return (const uint8_t *)segment->block + column->data;
}

static bool is_integer(const struct key_source *source)
{
	return field_is_integer_like(source->stored) && source->stored->count == 1;
}

/* ---- narrow numbers as they stand in a column ---- */

#define COPY(type)                                                                                 \
	do {                                                                                       \
		type one_;                                                                         \
		if (selection_is_all(selection)) {                                                 \
			for (uint32_t i = 0; i < count; i++) {                                     \
				memcpy(&one_, data + i * sizeof(one_), sizeof(one_));              \
				code[i] = one_;                                                    \
			}                                                                          \
		} else {                                                                           \
			for (uint32_t i = 0; i < count; i++) {                                     \
				memcpy(&one_, data + selection->row[i] * sizeof(one_),             \
				       sizeof(one_));                                              \
				code[i] = one_;                                                    \
			}                                                                          \
		}                                                                                  \
	} while (0)

/* Columns of width 1 or 2. */
static void copy_narrow(const struct column *column, const struct selection *selection,
			uint16_t *restrict code)
{
	const uint8_t *data = column_data(selection->segment, column);
	const uint32_t count = selection->count;

	if (column->width == 1)
		COPY(uint8_t);
	else
		COPY(uint16_t);
}

/* ---- numbers of any width ---- */

static void copy_wide(const struct column *column, const struct selection *selection,
		      uint64_t *restrict values)
{
	const uint8_t *data = column_data(selection->segment, column);
	const uint64_t mask = column->width ? UINT64_MAX >> (64 - 8 * column->width) : 0;
	const uint64_t base = column->base;
	const uint32_t count = selection->count, width = column->width;
	uint64_t value;

	/* A column without width has no bytes to read. */
	for (uint32_t i = 0; !width && i < count; i++)
		values[i] = base;
	if (width && selection_is_all(selection)) {
		for (uint32_t i = 0; i < count; i++) {
			memcpy(&value, data + (size_t)i * width, sizeof(value));
			values[i] = base + (value & mask);
		}
	} else if (width) {
		for (uint32_t i = 0; i < count; i++) {
			memcpy(&value, data + (size_t)selection->row[i] * width, sizeof(value));
			values[i] = base + (value & mask);
		}
	}
}

static uint32_t entry_at(const struct column *column, const uint8_t *data, uint32_t row)
{
	uint16_t code;

	if (column->width == 1)
		return data[row];
	if (!column->width)
		return 0;
	memcpy(&code, data + row * sizeof(code), sizeof(code));
	return code;
}

static void copy_entries(const struct column *column, const struct field *field,
			 const struct selection *selection, uint64_t *values)
{
	const uint8_t *table = (const uint8_t *)selection->segment->block + column->table;
	const uint8_t *data = column_data(selection->segment, column);

	for (uint32_t i = 0; i < selection->count; i++) {
		const uint32_t entry = entry_at(column, data, selection_row(selection, i));

		values[i] = column->entries ? field_load_ordered(table + entry * column->value_size,
								 field->size, field->is_signed)
					    : 0;
	}
}

static void copy_rows(const struct field *field, const struct selection *selection,
		      uint64_t *values)
{
	const struct rows *rows = &selection->segment->rows;
	const uint8_t *data = rows->data + field->offset;

	for (uint32_t i = 0; i < selection->count; i++)
		values[i] = field_load_ordered(data + (size_t)selection_row(selection, i) *
							       rows->stride,
					       field->size, field->is_signed);
}

bool codes_integers(const struct key_source *source, struct selection *selection,
		    struct codes_scratch *scratch)
{
	const struct segment *segment = selection->segment;
	const struct column *column;

	if (!segment->block) {
		copy_rows(source->stored, selection, scratch->values);
	} else {
		column = column_of(source, segment);
		if (column->encoding == COLUMN_DICTIONARY)
			copy_entries(column, source->stored, selection, scratch->values);
		else
			copy_wide(column, selection, scratch->values);
	}
	return segment_not_null(segment, source->field, selection->rows, selection->bits);
}

/* ---- codes by hash ---- */

/* Where most values differ: each row a code of its own. */
static void number_rows(struct codes *codes, const struct selection *selection)
{
	codes->kind = CODES_ROW;
	codes->count = selection->count;
	for (uint32_t i = 0; i < selection->count; i++) {
		codes->code[i] = (uint16_t)i;
		codes->row[i] = (uint16_t)selection_row(selection, i);
	}
}

static void hash_integers(struct codes *codes, const struct selection *selection,
			  struct codes_scratch *scratch)
{
	struct dictionary *dictionary = &scratch->dictionary;

	/* Every row may have its own: there is always room. */
	dictionary_of_integers(dictionary, scratch->values, selection->count, selection->count);
	codes->kind = CODES_ROW;
	codes->count = dictionary->entries;
	memcpy(codes->code, dictionary->codes, selection->count * sizeof(*codes->code));
	for (uint32_t i = 0; i < dictionary->entries; i++)
		codes->row[i] = (uint16_t)selection_row(selection, dictionary->first[i]);
}

/* No record is shorter than nothing. */
static const uint16_t no_lengths[BLOCK_MAX_ROWS];

static struct dictionary_source bytes_source(const struct key_source *source,
					     const struct segment *segment, uint32_t rows)
{
	const struct field *field = source->stored;
	const uint32_t size = (uint32_t)field->size * field->count;
	const bool text = field->kind == FIELD_STRING;

	if (!segment->block)
		return (struct dictionary_source){
			.data = segment->rows.data + field->offset,
			.lengths = segment->rows.lengths,
			.stride = segment->rows.stride,
			.rows = rows,
			.size = size,
			.need = field->offset + size,
			.text = text,
		};
	return (struct dictionary_source){
		.data = column_data(segment, column_of(source, segment)),
		.lengths = no_lengths,
		.stride = size,
		.rows = rows,
		.size = size,
		.text = text,
	};
}

static void hash_bytes_of(struct codes *codes, const struct key_source *source,
			  const struct selection *selection, struct codes_scratch *scratch)
{
	struct dictionary *dictionary = &scratch->dictionary;
	const struct dictionary_source bytes =
		bytes_source(source, selection->segment, selection->rows);

	/* The dictionary is made of all rows: of few that is not worth while. */
	if (selection->count < selection->rows / 8 || !dictionary_of_bytes(dictionary, &bytes)) {
		number_rows(codes, selection);
		return;
	}
	codes->kind = CODES_ROW;
	codes->count = dictionary->entries ? dictionary->entries : 1;
	for (uint32_t i = 0; i < selection->count; i++)
		codes->code[i] = dictionary->codes[selection_row(selection, i)];
	for (uint32_t i = 0; i < dictionary->entries; i++)
		codes->row[i] = (uint16_t)dictionary->first[i];
}

/* ---- the codes of a source ---- */

static void find_in_column(struct codes *codes, const struct key_source *source,
			   struct selection *selection, struct codes_scratch *scratch)
{
	const struct column *column = column_of(source, selection->segment);

	if (column->encoding == COLUMN_DICTIONARY) {
		codes->kind = CODES_TABLE;
		codes->count = column->entries ? column->entries : 1;
		if (column->width)
			copy_narrow(column, selection, codes->code);
	} else if (column->encoding == COLUMN_BYTES) {
		hash_bytes_of(codes, source, selection, scratch);
	} else if (column->maximum <= column->base ||
		   column->maximum - column->base < OFFSETS_MAX) {
		codes->kind = CODES_OFFSET;
		codes->count = 1;
		if (column->width) {
			codes->count = (uint32_t)(column->maximum - column->base) + 1;
			copy_narrow(column, selection, codes->code);
		}
	} else {
		copy_wide(column, selection, scratch->values);
		hash_integers(codes, selection, scratch);
	}
}

/* Rows without a value get a code of their own. */
static void set_nulls(struct codes *codes, const struct selection *selection)
{
	const uint16_t null = (uint16_t)codes->count;
	uint32_t nulls = 0;

	if (codes->count == 1)
		memset(codes->code, 0, selection->count * sizeof(*codes->code));
	for (uint32_t i = 0; i < selection->count; i++) {
		const bool there = bit_is_set(selection->bits, selection_row(selection, i));

		codes->code[i] = there ? codes->code[i] : null;
		nulls += !there;
	}
	if (!nulls)
		return;
	codes->null = null;
	codes->count = null + 1u;
	if (nulls == selection->count) {
		codes->null = 0;
		codes->count = 1;
	}
}

void codes_find(struct codes *codes, const struct key_source *source, struct selection *selection,
		struct codes_scratch *scratch)
{
	codes->null = KEYS_NONE;
	codes->count = 1;
	codes->kind = CODES_TYPE;
	if (source->kind == SOURCE_NOTHING) {
		codes->null = 0;
		return;
	}
	if (source->kind == SOURCE_FIELD) {
		if (selection->segment->block) {
			find_in_column(codes, source, selection, scratch);
		} else if (is_integer(source)) {
			copy_rows(source->stored, selection, scratch->values);
			hash_integers(codes, selection, scratch);
		} else {
			hash_bytes_of(codes, source, selection, scratch);
		}
		if (segment_not_null(selection->segment, source->field, selection->rows,
				     selection->bits))
			set_nulls(codes, selection);
	}
	for (uint32_t i = 0; i < codes->count; i++)
		codes->value[i] = KEYS_NONE;
}

/* ---- what codes stand for ---- */

/* The bytes of a value as a record would have them; `number` is room for an integer's. */
static const uint8_t *value_bytes(const struct codes *codes, uint32_t code,
				  const struct key_source *source, const struct segment *segment,
				  uint64_t *number)
{
	const struct field *field = source->stored;
	const struct column *column;
	uint64_t ordered;

	if (!segment->block)
		return segment->rows.data + (size_t)codes->row[code] * segment->rows.stride +
		       field->offset;
	column = column_of(source, segment);
	if (codes->kind == CODES_TABLE)
		return (const uint8_t *)segment->block + column->table +
		       (size_t)code * column->value_size;
	if (column->encoding == COLUMN_BYTES)
		return column_data(segment, column) + (size_t)codes->row[code] * column->value_size;
	ordered = codes->kind == CODES_OFFSET
			  ? column->base + code
			  : block_integer(segment->block, column, codes->row[code]);
	/* Little-endian machines: the low bytes come first. */
	*number = field_from_ordered(ordered, field->is_signed);
	return (const uint8_t *)number;
}

static uint32_t shown_value(const struct field *field, const uint8_t *bytes,
			    const struct encoding *encoding, struct keys *keys)
{
	BUFFER text = BUFFER_INIT;
	const enum value_form form = field_encode_bytes(field, bytes, encoding, &text);

	keys->failed |= text.failed;
	return keys_value(keys, form, text.data, text.length);
}

/* Showing a value costs more than knowing it again. */
static uint32_t short_value(const struct key_source *source, const uint8_t *bytes,
			    const struct encoding *encoding, struct keys *keys)
{
	const struct field *field = source->field;
	uint64_t words[2] = { 0, 0 };
	struct key_cached *cached;

	memcpy(words, bytes, (size_t)field->size * field->count);
	cached = keys_cached(keys, source->number, words[0], words[1]);
	if (cached->source != source->number || cached->a != words[0] || cached->b != words[1])
		*cached = (struct key_cached){
			.a = words[0],
			.b = words[1],
			.source = source->number,
			.value = shown_value(field, bytes, encoding, keys),
		};
	return cached->value;
}

uint32_t codes_value(struct codes *codes, uint32_t code, const struct key_source *source,
		     const struct selection *selection, const struct encoding *encoding,
		     struct keys *keys)
{
	const struct field *field = source->field;
	const uint8_t *bytes;
	uint64_t number;
	uint32_t value;

	if (code == codes->null)
		return KEYS_NULL;
	if (codes->value[code] != KEYS_NONE)
		return codes->value[code];
	if (codes->kind == CODES_TYPE) {
		const char *name = selection->segment->schema->name;

		return codes->value[code] = keys_value(keys, VALUE_TEXT, name, strlen(name));
	}
	bytes = value_bytes(codes, code, source, selection->segment, &number);
	if (field->kind == FIELD_STRING && !field->zero_is_null)
		value = keys_value(keys, VALUE_TEXT, (const char *)bytes,
				   strnlen((const char *)bytes, field->size));
	else if ((uint32_t)field->size * field->count <= KEYS_SHORT_VALUE)
		value = short_value(source, bytes, encoding, keys);
	else
		value = shown_value(field, bytes, encoding, keys);
	return codes->value[code] = value;
}

/* ---- combinations ---- */

static void fold_by_table(struct folded *folded, const uint16_t *a, uint32_t a_count,
			  const uint16_t *b, uint32_t b_count, uint32_t rows, uint16_t *table)
{
	uint32_t count = 0;

	memset(table, 0xff, (size_t)a_count * b_count * sizeof(*table));
	for (uint32_t i = 0; i < rows; i++) {
		uint16_t *entry = &table[a[i] * b_count + b[i]];

		if (__builtin_expect(*entry == NO_CODE, 0)) {
			*entry = (uint16_t)count;
			folded->first[count++] = (uint16_t)i;
		}
		folded->code[i] = *entry;
	}
	folded->count = count;
}

void codes_fold(struct folded *folded, const uint16_t *a, uint32_t a_count, const uint16_t *b,
		uint32_t b_count, uint32_t rows, struct codes_scratch *scratch)
{
	struct dictionary *dictionary = &scratch->dictionary;

	if ((uint64_t)a_count * b_count <= TABLE_MAX) {
		fold_by_table(folded, a, a_count, b, b_count, rows, scratch->table);
		return;
	}
	for (uint32_t i = 0; i < rows; i++)
		scratch->values[i] = (uint64_t)a[i] * b_count + b[i];
	dictionary_of_integers(dictionary, scratch->values, rows, rows);
	folded->count = dictionary->entries;
	memcpy(folded->code, dictionary->codes, rows * sizeof(*folded->code));
	for (uint32_t i = 0; i < dictionary->entries; i++)
		folded->first[i] = (uint16_t)dictionary->first[i];
}
