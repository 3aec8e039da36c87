/* SPDX-License-Identifier: MIT */
/*
 * Filters over blocks and open rows: for every predicate a bitmap of the rows that pass, put
 * together with AND and OR. A test on a dictionary column is made once for each entry; one on
 * an integer column is moved into the column's own numbers.
 */
#include <string.h>

#include "schema/filter.h"
#include "store/block.h"
#include "store/scan.h"

#define MAX_WORDS (BLOCK_MAX_ROWS / 64)

/* A run of rows, in columns or as they came; exactly one of `block` and `rows` is set. */
struct view {
	const struct block *block;
	const struct rows *rows;
	const struct stream_schema *schema;
	uint32_t from, count;
};

static size_t words_of(const struct view *view)
{
	return block_bitmap_words(view->count);
}

static void bits_and(uint64_t *bits, const uint64_t *other, size_t words)
{
	for (size_t i = 0; i < words; i++)
		bits[i] &= other[i];
}

static void bits_or(uint64_t *bits, const uint64_t *other, size_t words)
{
	for (size_t i = 0; i < words; i++)
		bits[i] |= other[i];
}

static void bits_and_not(uint64_t *bits, const uint64_t *other, size_t words)
{
	for (size_t i = 0; i < words; i++)
		bits[i] &= ~other[i];
}

static bool bits_any(const uint64_t *bits, size_t words)
{
	uint64_t any = 0;

	for (size_t i = 0; i < words; i++)
		any |= bits[i];
	return any;
}

static const uint8_t *column_data(const struct view *view, const struct column *column)
{
	return (const uint8_t *)view->block + column->data + (size_t)view->from * column->width;
}

static const uint8_t *row_at(const struct view *view, uint32_t row, const struct field *field)
{
	return view->rows->data + (size_t)(view->from + row) * view->rows->stride + field->offset;
}

static const struct column *field_column(const struct view *view, const struct field *field)
{
	return &view->block->column[block_column_of(view->schema, field)];
}

static const struct column *length_column(const struct block *block)
{
	return &block->column[block->columns - 1];
}

/* ---- one test on one column; nulls are not looked at here ---- */

/* Low and high in the column's own numbers; false when nothing can lie between. */
static bool frame_range(const struct column *column, uint64_t *low, uint64_t *high)
{
	if (*low > *high || *low > column->maximum || *high < column->base ||
	    column->base > column->maximum)
		return false;
	*low = *low > column->base ? *low - column->base : 0;
	*high = (*high < column->maximum ? *high : column->maximum) - column->base;
	return true;
}

static void frame_bits(const struct view *view, const struct column *column, uint64_t low,
		       uint64_t high, uint64_t *bits)
{
	if (!frame_range(column, &low, &high))
		scan_fill(view->count, false, bits);
	else if (!low && high == column->maximum - column->base)
		scan_fill(view->count, true, bits);
	else
		scan_range(column_data(view, column), column->width, view->count, low, high, bits);
}

static bool entry_passes(const struct test *test, const struct field *field, const uint8_t *entry)
{
	if (test->kind == TEST_NEVER)
		return false;
	if (test->kind == TEST_RANGE && field->count == 1) {
		uint64_t value = field_load_ordered(entry, field->size, field->is_signed);

		return test->range.low <= value && value <= test->range.high;
	}
	return test_match_bytes(test, field, entry);
}

static void dictionary_bits(const struct view *view, const struct column *column,
			    const struct field *field, const struct test *test, uint64_t *bits)
{
	const uint8_t *entry = (const uint8_t *)view->block + column->table;
	uint8_t picked[BLOCK_MAX_ROWS];
	uint32_t first = 0, last = 0, passing = 0;

	for (uint32_t i = 0; i < column->entries; i++, entry += column->value_size) {
		picked[i] = entry_passes(test, field, entry);
		if (!picked[i])
			continue;
		first = passing ? first : i;
		last = i;
		passing++;
	}
	if (!passing || passing == column->entries)
		scan_fill(view->count, passing, bits);
	else if (last - first + 1 == passing)
		scan_range(column_data(view, column), column->width, view->count, first, last,
			   bits);
	else
		scan_codes(column_data(view, column), column->width, view->count, picked, bits);
}

/* Values as they are: only for rows that still matter, since each costs a call. */
static void plain_bits(const struct view *view, const struct column *column,
		       const struct field *field, const struct test *test, const uint64_t *todo,
		       uint64_t *bits)
{
	const uint8_t *base = view->block ? (const uint8_t *)view->block + column->data +
						    (size_t)view->from * column->value_size
					  : row_at(view, 0, field);
	const size_t stride = view->block ? column->value_size : view->rows->stride;

	for (size_t word = 0; word < words_of(view); word++) {
		uint64_t passing = 0;

		for (uint64_t left = todo[word]; left; left &= left - 1) {
			size_t bit = (size_t)__builtin_ctzll(left);

			if (test_match_bytes(test, field, base + (64 * word + bit) * stride))
				passing |= 1ULL << bit;
		}
		bits[word] = passing;
	}
}

static void test_bits(const struct view *view, const struct test *test, const uint64_t *todo,
		      uint64_t *bits)
{
	const struct field *field = &view->schema->fields[test->field];
	const struct column *column = view->block ? field_column(view, field) : NULL;
	const bool integer = test->kind == TEST_RANGE && field->count == 1;

	if (test->kind == TEST_NEVER)
		scan_fill(view->count, false, bits);
	else if (!view->block && integer)
		scan_strided(row_at(view, 0, field), view->rows->stride, field->size,
			     field->is_signed, view->count, test->range.low, test->range.high,
			     bits);
	else if (!view->block || column->encoding == COLUMN_BYTES)
		plain_bits(view, column, field, test, todo, bits);
	else if (column->encoding == COLUMN_DICTIONARY)
		dictionary_bits(view, column, field, test, bits);
	else
		frame_bits(view, column, test->range.low, test->range.high, bits);
}

/* ---- nulls ---- */

/* Clears the rows whose record ends before the field does. */
static void and_long_enough(const struct view *view, const struct field *field, uint64_t *bits)
{
	const uint32_t need = (uint32_t)field->offset + (uint32_t)field->size * field->count;
	uint64_t there[MAX_WORDS];

	if (need <= view->schema->minimum_size)
		return;
	if (view->block)
		frame_bits(view, length_column(view->block), need, UINT64_MAX, there);
	else
		scan_range((const uint8_t *)(view->rows->lengths + view->from), sizeof(uint16_t),
			   view->count, need, UINT16_MAX, there);
	bits_and(bits, there, words_of(view));
}

/* Clears the rows where the field has no value. */
static void and_not_null(const struct view *view, const struct field *field, uint64_t *bits)
{
	const struct field *decider;
	uint64_t some[MAX_WORDS], one[MAX_WORDS];

	and_long_enough(view, field, bits);
	if (!field->has_condition)
		return;
	decider = &view->schema->fields[field->condition.field];
	memset(some, 0, words_of(view) * sizeof(*some));
	for (size_t i = 0; i < field->condition.count; i++) {
		const uint64_t value = field->condition.values[i];
		const struct test test = { .field = field->condition.field,
					   .kind = TEST_RANGE,
					   .range = { value, value } };

		test_bits(view, &test, bits, one);
		bits_or(some, one, words_of(view));
	}
	and_long_enough(view, decider, some);
	bits_and(bits, some, words_of(view));
}

/* ---- predicates ---- */

/* Rows of `todo` for which all tests hold. */
static void alternative_bits(const struct view *view, const struct alternative *alternative,
			     const uint64_t *todo, uint64_t *bits)
{
	const size_t words = words_of(view);
	uint64_t one[MAX_WORDS];

	memcpy(bits, todo, words * sizeof(*bits));
	for (size_t i = 0; i < alternative->count && bits_any(bits, words); i++) {
		const struct test *test = &alternative->tests[i];

		test_bits(view, test, bits, one);
		bits_and(bits, one, words);
		if (bits_any(bits, words))
			and_not_null(view, &view->schema->fields[test->field], bits);
	}
}

/* Clears the rows of `bits` that do not pass. */
static void and_predicate(const struct view *view, const struct predicate *predicate,
			  uint64_t *bits)
{
	const size_t words = words_of(view);
	uint64_t todo[MAX_WORDS], passing[MAX_WORDS], one[MAX_WORDS];

	memcpy(todo, bits, words * sizeof(*todo));
	memset(passing, 0, words * sizeof(*passing));
	for (size_t i = 0; i < predicate->count; i++) {
		alternative_bits(view, &predicate->alternatives[i], todo, one);
		bits_or(passing, one, words);
		bits_and_not(todo, one, words);
	}
	if (predicate->negate)
		bits_and_not(bits, passing, words);
	else
		bits_and(bits, passing, words);
}

static void view_filter(struct view view, const struct filter *filter, uint32_t to, uint64_t *bits)
{
	/* Temporary bitmaps are as large as a block may be. */
	for (; view.from < to; view.from += view.count, bits += MAX_WORDS) {
		view.count = to - view.from < BLOCK_MAX_ROWS ? to - view.from : BLOCK_MAX_ROWS;
		scan_fill(view.count, true, bits);
		for (size_t i = 0; i < filter->count && bits_any(bits, words_of(&view)); i++)
			and_predicate(&view, &filter->predicates[i], bits);
	}
}

void block_filter(const struct block *block, const struct stream_schema *schema,
		  const struct filter *filter, uint32_t from, uint32_t to, uint64_t *bits)
{
	view_filter((struct view){ .block = block, .schema = schema, .from = from }, filter, to,
		    bits);
}

void rows_filter(const struct rows *rows, const struct stream_schema *schema,
		 const struct filter *filter, uint32_t from, uint32_t to, uint64_t *bits)
{
	view_filter((struct view){ .rows = rows, .schema = schema, .from = from }, filter, to,
		    bits);
}

void block_filter_time(const struct block *block, const struct stream_schema *schema, uint64_t low,
		       uint64_t high, uint32_t from, uint32_t to, uint64_t *bits)
{
	struct view view = { .block = block, .schema = schema, .from = from, .count = to - from };

	frame_bits(&view, field_column(&view, &schema->fields[HEADER_TIMESTAMP]), low, high, bits);
}

void rows_filter_time(const struct rows *rows, const struct stream_schema *schema, uint64_t low,
		      uint64_t high, uint32_t from, uint32_t to, uint64_t *bits)
{
	const struct field *time = &schema->fields[HEADER_TIMESTAMP];
	struct view view = { .rows = rows, .schema = schema, .from = from, .count = to - from };

	scan_strided(row_at(&view, 0, time), rows->stride, time->size, time->is_signed, view.count,
		     low, high, bits);
}

static bool view_not_null(const struct view *view, const struct field *field, uint64_t *bits)
{
	const uint32_t need = (uint32_t)field->offset + (uint32_t)field->size * field->count;
	const bool all = need <= view->schema->minimum_size ||
			 (view->block && length_column(view->block)->base >= need);

	if (all && !field->has_condition)
		return false;
	scan_fill(view->count, true, bits);
	and_not_null(view, field, bits);
	return true;
}

bool block_not_null(const struct block *block, const struct stream_schema *schema,
		    const struct field *field, uint32_t from, uint32_t to, uint64_t *bits)
{
	return view_not_null(
		&(struct view){
			.block = block, .schema = schema, .from = from, .count = to - from },
		field, bits);
}

bool rows_not_null(const struct rows *rows, const struct stream_schema *schema,
		   const struct field *field, uint32_t from, uint32_t to, uint64_t *bits)
{
	return view_not_null(
		&(struct view){ .rows = rows, .schema = schema, .from = from, .count = to - from },
		field, bits);
}

/* ---- summaries ---- */

static bool column_excludes(const struct block *block, const struct stream_schema *schema,
			    const struct test *test)
{
	const struct field *field = &schema->fields[test->field];
	const struct column *column = &block->column[block_column_of(schema, field)];
	const uint8_t *entry = (const uint8_t *)block + column->table;
	uint64_t low = test->range.low, high = test->range.high;

	if (test->kind == TEST_NEVER)
		return true;
	if (length_column(block)->maximum < (uint32_t)field->offset + field->size * field->count)
		return true;
	if (column->encoding == COLUMN_INTEGER)
		return !frame_range(column, &low, &high);
	if (column->encoding == COLUMN_BYTES)
		return false;
	for (uint32_t i = 0; i < column->entries; i++, entry += column->value_size) {
		if (entry_passes(test, field, entry))
			return false;
	}
	return true;
}

static bool predicate_excludes(const struct block *block, const struct stream_schema *schema,
			       const struct predicate *predicate)
{
	if (predicate->negate)
		return false;
	for (size_t i = 0; i < predicate->count; i++) {
		const struct alternative *alternative = &predicate->alternatives[i];
		bool possible = true;

		for (size_t j = 0; j < alternative->count && possible; j++)
			possible = !column_excludes(block, schema, &alternative->tests[j]);
		if (possible)
			return false;
	}
	return true;
}

/* ---- counting by summaries ---- */

/* The one field of the header that all tests of a predicate are on; NULL when there is none. */
static const struct field *only_field(const struct stream_schema *schema,
				      const struct predicate *predicate)
{
	const struct field *field = NULL;

	for (size_t i = 0; i < predicate->count; i++) {
		const struct alternative *alternative = &predicate->alternatives[i];

		if (alternative->count != 1 ||
		    (field && field->index != alternative->tests[0].field))
			return NULL;
		field = &schema->fields[alternative->tests[0].field];
	}
	/* Counted are the fields that every event has; one that is null at times takes the rows. */
	return field && field->index < HEADER_FIELDS && !field->has_condition ? field : NULL;
}

static bool predicate_passes(const struct predicate *predicate, const struct field *field,
			     const uint8_t *entry)
{
	for (size_t i = 0; i < predicate->count; i++) {
		if (entry_passes(&predicate->alternatives[i].tests[0], field, entry))
			return true;
	}
	return false;
}

static uint64_t count_entries(const struct block *head, const struct column *column,
			      const uint16_t *counts, const struct field *field,
			      const struct predicate *predicate)
{
	const uint8_t *entry = (const uint8_t *)head + column->table;
	uint64_t rows = 0;

	for (uint32_t i = 0; i < column->entries; i++, entry += column->value_size) {
		if (predicate_passes(predicate, field, entry))
			rows += counts[i];
	}
	return rows;
}

static uint64_t count_values(const struct column *column, const uint16_t *counts,
			     const struct predicate *predicate)
{
	const size_t values = (size_t)(column->maximum - column->base) + 1;
	uint64_t rows = 0;

	for (size_t i = 0; i < values; i++) {
		const uint64_t value = column->base + i;
		bool passes = false;

		for (size_t t = 0; t < predicate->count && !passes; t++) {
			const struct test *test = &predicate->alternatives[t].tests[0];

			passes = test->kind == TEST_RANGE && test->range.low <= value &&
				 value <= test->range.high;
		}
		rows += passes ? counts[i] : 0;
	}
	return rows;
}

/* All rows of an integer column are on one side of every test; false where they are not. */
static bool count_frame(const struct column *column, const struct predicate *predicate,
			uint32_t rows, uint64_t *ret_rows)
{
	bool passes = false;

	for (size_t i = 0; i < predicate->count; i++) {
		const struct test *test = &predicate->alternatives[i].tests[0];
		uint64_t low = test->range.low, high = test->range.high;

		if (test->kind == TEST_NEVER || !frame_range(column, &low, &high))
			continue;
		if (low || high != column->maximum - column->base)
			return false;
		passes = true;
	}
	*ret_rows = passes ? rows : 0;
	return true;
}

bool block_count(const struct block *head, const uint16_t *counts,
		 const struct stream_schema *schema, const struct filter *filter,
		 uint64_t *ret_rows)
{
	const struct predicate *predicate = filter->predicates;
	const struct column *column;
	const struct field *field;
	uint64_t rows;

	if (filter->count != 1)
		return false;
	field = only_field(schema, predicate);
	if (!field)
		return false;
	column = &head->column[field->index];
	for (size_t i = 0; i < field->index; i++)
		counts += block_count_entries(head, i);
	if (column->encoding == COLUMN_DICTIONARY)
		rows = count_entries(head, column, counts, field, predicate);
	else if (block_count_entries(head, field->index))
		rows = count_values(column, counts, predicate);
	else if (column->encoding != COLUMN_INTEGER ||
		 !count_frame(column, predicate, head->rows, &rows))
		return false;
	*ret_rows = predicate->negate ? head->rows - rows : rows;
	return true;
}

bool block_excludes(const struct block *block, const struct stream_schema *schema,
		    const struct filter *filter)
{
	for (size_t i = 0; i < filter->count; i++) {
		if (predicate_excludes(block, schema, &filter->predicates[i]))
			return true;
	}
	return false;
}
