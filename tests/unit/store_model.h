/* SPDX-License-Identifier: MIT */
/*
 * What the store has to say, worked out the slow way: filters made at random, and matched record by
 * record without any code of the store or of the schema layer.
 */
#ifndef TESTS_STORE_MODEL_H
#define TESTS_STORE_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "schema/filter.h"
#include "schema_fixture.h"

static inline uint32_t model_field_end(const struct field *field)
{
	return (uint32_t)field->offset + (uint32_t)field->size * field->count;
}

static inline bool model_is_null(const struct stream_schema *schema, const struct field *field,
				 const uint8_t *record, uint32_t length)
{
	const struct field *decider = &schema->fields[field->condition.field];

	if (model_field_end(field) > length)
		return true;
	if (!field->has_condition)
		return false;
	if (model_field_end(decider) > length)
		return true;
	for (size_t i = 0; i < field->condition.count; i++) {
		if (field_load_ordered(record + decider->offset, decider->size,
				       decider->is_signed) == field->condition.values[i])
			return false;
	}
	return true;
}

static inline bool model_test(const struct test *test, const struct field *field,
			      const uint8_t *bytes)
{
	const char *text = (const char *)bytes;
	size_t length;

	switch (test->kind) {
	case TEST_RANGE:
		for (uint32_t i = 0; i < field->count; i++, bytes += field->size) {
			uint64_t value = field_load_ordered(bytes, field->size, field->is_signed);

			if (value >= test->range.low && value <= test->range.high)
				return true;
		}
		return false;
	case TEST_BYTES:
		return memcmp(bytes, test->bytes.low, field->size) >= 0 &&
		       memcmp(bytes, test->bytes.high, field->size) <= 0;
	case TEST_GLOB:
		return text_glob_match(test->string.text, test->string.length, text,
				       strnlen(text, field->size));
	case TEST_EXACT:
		length = strnlen(text, field->size);
		return length == test->string.length && !memcmp(text, test->string.text, length);
	default:
		return false;
	}
}

static inline bool model_match(const struct filter *filter, const struct stream_schema *schema,
			       const uint8_t *record, uint32_t length)
{
	for (size_t p = 0; p < filter->count; p++) {
		const struct predicate *predicate = &filter->predicates[p];
		bool any = false;

		for (size_t a = 0; a < predicate->count; a++) {
			const struct alternative *alternative = &predicate->alternatives[a];
			bool all = true;

			for (size_t t = 0; t < alternative->count; t++) {
				const struct test *test = &alternative->tests[t];
				const struct field *field = &schema->fields[test->field];

				all = all && !model_is_null(schema, field, record, length) &&
				      model_test(test, field, record + field->offset);
			}
			any = any || all;
		}
		if (any == predicate->negate)
			return false;
	}
	return true;
}

/* ---- filters at random, with values out of a record, so that some rows match ---- */

static inline void model_random_text(struct fixture_random *random, const char *text, size_t length,
				     struct test *test)
{
	char *copy = calloc(1, length + 2);

	if (length)
		memcpy(copy, text, length);
	test->kind = fixture_below(random, 2) ? TEST_EXACT : TEST_GLOB;
	if (test->kind == TEST_GLOB && length) {
		length = fixture_below(random, length + 1);
		copy[length++] = '*';
	}
	test->string.text = copy;
	test->string.length = length;
}

static inline void model_random_test(struct fixture_random *random,
				     const struct stream_schema *schema, const uint8_t *record,
				     struct test *test)
{
	const struct field *field;
	uint64_t value, spread;

	do {
		test->field = (uint16_t)fixture_below(random, schema->field_count);
		field = &schema->fields[test->field];
	} while (field->derivation != FIELD_STORED);
	record += field->offset;
	if (field->kind == FIELD_STRING) {
		model_random_text(random, (const char *)record,
				  strnlen((const char *)record, field->size), test);
	} else if (field_is_integer_like(field)) {
		value = field_load_ordered(record, field->size, field->is_signed);
		spread = fixture_below(random, 3)
				 ? 0
				 : fixture_next(random) >> fixture_below(random, 64);
		test->kind = TEST_RANGE;
		test->range.low = value > spread ? value - spread : 0;
		test->range.high = value + spread < value ? UINT64_MAX : value + spread;
		if (!fixture_below(random, 8))
			test->range.low = test->range.high = value + 1;
	} else {
		test->kind = TEST_BYTES;
		memcpy(test->bytes.low, record, field->size < 16 ? field->size : 16);
		memcpy(test->bytes.high, test->bytes.low, 16);
		if (fixture_below(random, 2))
			test->bytes.low[field->size < 16 ? field->size - 1 : 15] = 0;
		if (fixture_below(random, 2))
			test->bytes.high[field->size < 16 ? field->size - 1 : 15] = 0xff;
	}
	/* Longer values than 16 bytes have no bounds in a test: they are not asked for. */
	if ((field->kind == FIELD_BYTES && field->size > 16) ||
	    (field->kind != FIELD_STRING && !fixture_below(random, 50)))
		test->kind = TEST_NEVER;
}

/* `record` is one of those that the filter will be asked about, or a like one. */
static inline struct filter model_random_filter(struct fixture_random *random,
						const struct stream_schema *schema,
						const uint8_t *record)
{
	struct filter filter = { .count = fixture_below(random, 4) };

	filter.predicates = calloc(filter.count + 1, sizeof(*filter.predicates));
	for (size_t p = 0; p < filter.count; p++) {
		struct predicate *predicate = &filter.predicates[p];

		predicate->negate = !fixture_below(random, 4);
		predicate->count = 1 + fixture_below(random, 3);
		predicate->alternatives =
			calloc(predicate->count, sizeof(*predicate->alternatives));
		for (size_t a = 0; a < predicate->count; a++) {
			struct alternative *alternative = &predicate->alternatives[a];

			alternative->count = 1 + !fixture_below(random, 3);
			alternative->tests =
				calloc(alternative->count, sizeof(*alternative->tests));
			for (size_t t = 0; t < alternative->count; t++)
				model_random_test(random, schema, record, &alternative->tests[t]);
		}
	}
	return filter;
}

/* One test as a filter of its own; takes the test's text. */
static inline struct filter model_filter_of(struct test test)
{
	struct filter filter = { .predicates = calloc(1, sizeof(*filter.predicates)), .count = 1 };
	struct alternative *alternative = calloc(1, sizeof(*alternative));

	alternative->tests = calloc(1, sizeof(*alternative->tests));
	alternative->tests[0] = test;
	alternative->count = 1;
	filter.predicates[0].alternatives = alternative;
	filter.predicates[0].count = 1;
	return filter;
}

static inline struct filter model_filter_range(uint16_t field, uint64_t low, uint64_t high)
{
	return model_filter_of(
		(struct test){ .field = field, .kind = TEST_RANGE, .range = { low, high } });
}

static inline struct filter model_filter_text(uint16_t field, const char *text)
{
	return model_filter_of((struct test){
		.field = field, .kind = TEST_EXACT, .string = { strdup(text), strlen(text) } });
}

/* Both records have the same length and the same visible values. */
static inline bool model_same_record(const struct stream_schema *schema, const uint8_t *a,
				     uint32_t a_length, const uint8_t *b, uint32_t b_length)
{
	if (a_length != b_length)
		return false;
	for (size_t i = 0; i < schema->field_count; i++) {
		const struct field *field = &schema->fields[i];
		const uint8_t *left = a + field->offset, *right = b + field->offset;

		if (field->derivation != FIELD_STORED || model_field_end(field) > a_length)
			continue;
		if (field->kind == FIELD_STRING
			    ? strncmp((const char *)left, (const char *)right, field->size) != 0
			    : memcmp(left, right, (size_t)field->size * field->count) != 0)
			return false;
	}
	return true;
}

#endif
