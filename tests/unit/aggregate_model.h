/* SPDX-License-Identifier: MIT */
/* Groups worked out event by event: keys as texts, values as lists. */
#ifndef TESTS_AGGREGATE_MODEL_H
#define TESTS_AGGREGATE_MODEL_H

#include "store/aggregate.h"
#include "store/keys.h"
#include "store_world.h"

/* One event that counts. */
struct model_row {
	char *key;
	uint32_t bucket;
	bool has[AGGREGATE_MAX_OF];
	__int128 values[AGGREGATE_MAX_OF];
};

/* Those of `rows` that have one key: from `first` on, `count` of them. */
struct model_group {
	const struct model_row *first;
	size_t count;
	bool seen;
};

struct model {
	const struct aggregate_options *options;
	struct model_row *rows; /* by key */
	size_t row_count;
	struct model_group *groups;
	size_t group_count;
};

static inline char model_form(const struct field *field)
{
	if (field->derivation == FIELD_ENDPOINT_OF || field->derivation == FIELD_ERRNO_OF)
		return 't';
	if (field->count > 1)
		return 'l';
	return field->kind == FIELD_INTEGER || field->kind == FIELD_BOOLEAN ? 'b' : 't';
}

static inline void model_key_part(struct buffer *key, char form, const char *text, size_t length)
{
	buffer_printf(key, "%c%zu:", form, length);
	buffer_append(key, text, length);
}

static inline char *model_key(const struct aggregate_options *options,
			      const struct stream_schema *schema, const uint8_t *record,
			      uint32_t length)
{
	const struct event event = { .schema = schema, .record = record, .length = length };
	struct buffer key = BUFFER_INIT;

	for (uint32_t i = 0; i < options->by_count; i++) {
		const struct field *field = stream_schema_field(schema, options->by[i]);
		BUFFER text = BUFFER_INIT;

		if (!strcmp(options->by[i], "type")) {
			model_key_part(&key, 't', schema->name, strlen(schema->name));
		} else if (!field || field_is_null(schema, field, record, length)) {
			model_key_part(&key, 'n', "", 0);
		} else {
			field_encode_text(&event, field, &options->encoding, &text);
			model_key_part(&key, model_form(field), text.data, text.length);
		}
	}
	return buffer_take_string(&key);
}

static inline bool model_value(const struct stream_schema *schema, const char *name,
			       const uint8_t *record, uint32_t length, __int128 *ret_value)
{
	const struct field *field = stream_schema_field(schema, name);
	uint64_t ordered;

	if (!field || field->kind != FIELD_INTEGER || field->count != 1 ||
	    field_is_null(schema, field, record, length))
		return false;
	ordered = field_load_ordered(record + field->offset, field->size, field->is_signed);
	*ret_value = field->is_signed ? (__int128)(int64_t)(ordered ^ 1ULL << 63)
				      : (__int128)ordered;
	return true;
}

static inline uint32_t model_bucket(const struct aggregate_options *options, uint64_t timestamp)
{
	uint32_t bucket = 0;

	while (bucket + 1 < options->buckets &&
	       timestamp >= options->start + (bucket + 1) * options->width)
		bucket++;
	return bucket;
}

static inline void model_add(struct model *model, const struct stream_schema *schema,
			     const uint8_t *record, uint32_t length, uint64_t timestamp)
{
	struct model_row *row = &model->rows[model->row_count++];

	*row = (struct model_row){
		.key = model_key(model->options, schema, record, length),
		.bucket = model_bucket(model->options, timestamp),
	};
	for (uint32_t i = 0; i < model->options->of_count; i++)
		row->has[i] =
			model_value(schema, model->options->of[i], record, length, &row->values[i]);
}

static inline int model_compare_rows(const void *a, const void *b)
{
	return strcmp(((const struct model_row *)a)->key, ((const struct model_row *)b)->key);
}

static inline int model_compare_groups(const void *a, const void *b)
{
	const size_t x = ((const struct model_group *)a)->count;
	const size_t y = ((const struct model_group *)b)->count;

	return (x < y) - (x > y);
}

/* All rows are there. */
static inline void model_settle(struct model *model)
{
	model->groups = calloc(model->row_count + 1, sizeof(*model->groups));
	qsort(model->rows, model->row_count, sizeof(*model->rows), model_compare_rows);
	for (size_t i = 0; i < model->row_count; i++) {
		if (!i || strcmp(model->rows[i].key, model->rows[i - 1].key) != 0)
			model->groups[model->group_count++].first = &model->rows[i];
		model->groups[model->group_count - 1].count++;
	}
	qsort(model->groups, model->group_count, sizeof(*model->groups), model_compare_groups);
}

static inline void model_fini(struct model *model)
{
	for (size_t i = 0; i < model->row_count; i++)
		free(model->rows[i].key);
	free(model->rows);
	free(model->groups);
}

/* ---- the engine's answer against it ---- */

static inline char *model_engine_key(const struct model *model, const struct aggregate *aggregate,
				     uint32_t group)
{
	static const char forms[] = {
		[VALUE_NULL] = 'n', [VALUE_TEXT] = 't', [VALUE_BARE] = 'b', [VALUE_LIST] = 'l'
	};
	struct buffer key = BUFFER_INIT;

	for (uint32_t i = 0; i < model->options->by_count; i++) {
		BUFFER text = BUFFER_INIT;
		const enum value_form form = aggregate_key(aggregate, group, i, &text);

		model_key_part(&key, forms[form], text.data, text.length);
	}
	return buffer_take_string(&key);
}

static inline int model_compare_numbers(const void *a, const void *b)
{
	const __int128 x = *(const __int128 *)a, y = *(const __int128 *)b;

	return (x > y) - (x < y);
}

static inline void model_check_percentile(const struct distribution *values, const __int128 *sorted,
					  size_t count, unsigned int percent)
{
	const size_t rank = (count * percent + 99) / 100;
	const __int128 exact = sorted[rank ? rank - 1 : 0];
	__int128 shown, off;

	assert_true(distribution_percentile(values, percent, &shown));
	off = shown > exact ? shown - exact : exact - shown;
	assert_true(off * 100 <= (exact < 0 ? -exact : exact));
}

/* The figures are those of these rows. */
static inline void model_check_figures(const struct model *model,
				       const struct aggregate_figures *figures,
				       const struct model_row *const *rows, size_t count)
{
	const struct aggregate_options *options = model->options;
	FREE uint64_t *counts = calloc(options->buckets + 1, sizeof(*counts));
	FREE __int128 *sorted = calloc(count + 1, sizeof(*sorted));

	assert_int_equal(figures->count, count);
	for (size_t i = 0; i < count; i++)
		counts[rows[i]->bucket]++;
	if (options->buckets)
		assert_memory_equal(figures->counts, counts, options->buckets * sizeof(*counts));
	for (uint32_t f = 0; f < options->of_count; f++) {
		const struct distribution *values = &figures->values[f];
		__int128 sum = 0;
		size_t there = 0;

		for (size_t i = 0; i < count; i++) {
			if (rows[i]->has[f])
				sum += sorted[there++] = rows[i]->values[f];
		}
		qsort(sorted, there, sizeof(*sorted), model_compare_numbers);
		assert_int_equal(values->count, there);
		assert_true(values->sum == sum);
		if (!there)
			continue;
		assert_true(values->minimum == sorted[0]);
		assert_true(values->maximum == sorted[there - 1]);
		for (unsigned int percent = 0; percent <= 100; percent += 10)
			model_check_percentile(values, sorted, there, percent);
		model_check_percentile(values, sorted, there, 99);
	}
}

static inline struct model_group *model_find(struct model *model, const char *key)
{
	for (size_t i = 0; i < model->group_count; i++) {
		if (!strcmp(model->groups[i].first->key, key))
			return &model->groups[i];
	}
	fail_msg("no group \"%s\"", key);
	return NULL;
}

/* Everything of an exact answer. */
static inline void model_check(struct model *model, const struct aggregate *aggregate,
			       const struct aggregate_result *result)
{
	FREE const struct model_row **rows = calloc(model->row_count + 1, sizeof(*rows));
	const size_t top = model->options->top;
	size_t count;

	assert_true(result->exact);
	assert_int_equal(result->total_groups, model->group_count);
	assert_int_equal(result->group_count, model->group_count < top ? model->group_count : top);
	assert_int_equal(result->other_groups, model->group_count - result->group_count);
	for (size_t i = 0; i < result->group_count; i++) {
		FREE char *key = model_engine_key(model, aggregate, result->groups[i].number);
		struct model_group *group = model_find(model, key);

		assert_false(group->seen);
		group->seen = true;
		/* Groups of one size may take turns, sizes not. */
		assert_int_equal(result->groups[i].figures.count, model->groups[i].count);
		for (size_t j = 0; j < group->count; j++)
			rows[j] = &group->first[j];
		model_check_figures(model, &result->groups[i].figures, rows, group->count);
	}
	count = 0;
	for (size_t i = 0; i < model->group_count; i++) {
		for (size_t j = 0; !model->groups[i].seen && j < model->groups[i].count; j++)
			rows[count++] = &model->groups[i].first[j];
	}
	model_check_figures(model, &result->other, rows, count);
	for (size_t i = 0; i < model->row_count; i++)
		rows[i] = &model->rows[i];
	model_check_figures(model, &result->total, rows, model->row_count);
}

#endif
