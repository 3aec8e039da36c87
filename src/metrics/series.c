/* SPDX-License-Identifier: MIT */
#include "metrics/series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "schema/encode.h"

/* ---- what was seen ---- */

int series_state_init(struct series_state *state, const struct metric_map *map)
{
	*state = (struct series_state){ .map = map, .other = calloc(1, map->value_size) };
	return state->other ? 0 : -ENOMEM;
}

void series_state_fini(struct series_state *state)
{
	free(state->seen);
	free(state->other);
	*state = (struct series_state){ .map = NULL };
}

static size_t seen_size(const struct metric_map *map)
{
	return map->key_size + sizeof(uint64_t);
}

static int compare_seen(const void *a, const void *b, void *context)
{
	return memcmp(a, b, seen_size(context));
}

static bool has_ended(const struct snapshot *snapshot, size_t i)
{
	const struct metric_map *map = snapshot->map;

	return map->ended != FIELD_NONE && metric_word(snapshot_value(snapshot, i), map->ended);
}

static void fill_seen(const struct snapshot *snapshot, size_t i, uint8_t *record)
{
	const struct metric_map *map = snapshot->map;

	memcpy(record, snapshot_key(snapshot, i), map->key_size);
	memcpy(record + map->key_size, snapshot_value(snapshot, i) + map->ended, sizeof(uint64_t));
}

static bool was_seen(const struct series_state *state, const uint8_t *record)
{
	size_t size = seen_size(state->map), low = 0, high = state->seen_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = memcmp(record, state->seen + middle * size, size);

		if (!order)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

int series_seen(struct series_state *state, const struct snapshot *snapshot)
{
	const struct metric_map *map = state->map;
	size_t size = seen_size(map), count = 0;
	uint8_t *seen = calloc(snapshot->count + 1, size);

	if (!seen)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->count; i++)
		if (has_ended(snapshot, i))
			fill_seen(snapshot, i, seen + count++ * size);
	qsort_r(seen, count, size, compare_seen, (void *)(uintptr_t)map);
	free(state->seen);
	state->seen = seen;
	state->seen_count = count;
	return 0;
}

/* ---- which are shown ---- */

struct candidate {
	size_t entry;
	uint64_t rank; /* larger ones are shown first */
};

static uint64_t rank_of(const struct metric_family *family, const uint8_t *value)
{
	uint64_t rank = 0;

	for (size_t slot = 0; slot < family->slots; slot++)
		rank += metric_word(value, family->offset + slot * sizeof(uint64_t));
	return family->is_signed ? rank ^ (1ULL << 63) : rank;
}

static int compare_candidates(const void *a, const void *b, void *context)
{
	const struct snapshot *snapshot = context;
	const struct candidate *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	/* The same ones each time. */
	return memcmp(snapshot_key(snapshot, x->entry), snapshot_key(snapshot, y->entry),
		      snapshot->map->key_size);
}

/* An array has all its entries from the beginning: those that have no name are shown once they
 * hold something. */
static bool is_vacant(const struct metric_map *map, const struct snapshot *snapshot, size_t i)
{
	const struct field *field = map->label_count ? map->labels[0].field : NULL;
	const uint8_t *value = snapshot_value(snapshot, i);
	uint64_t place;

	if (!map->is_array || !field)
		return false;
	for (size_t f = 0; f < map->family_count; f++)
		for (size_t slot = 0; slot < map->families[f].slots; slot++)
			if (metric_word(value, map->families[f].offset + slot * sizeof(uint64_t)))
				return false;
	if (field->kind != FIELD_ENUM || map->labels[0].in_value)
		return true;
	place = field_load_ordered(snapshot_key(snapshot, i) + field->offset, field->size,
				   field->is_signed);
	return !enumeration_name(&field->enumeration, place);
}

/* The entries to show; the caller frees them. */
static int choose(const struct series_state *state, const struct snapshot *snapshot,
		  const struct metric_family *family, size_t limit,
		  struct candidate **ret_candidates, size_t *ret_count)
{
	const struct metric_map *map = state->map;
	FREE struct candidate *candidates = calloc(snapshot->count + 1, sizeof(*candidates));
	FREE uint8_t *record = calloc(1, seen_size(map));
	size_t count = 0;

	if (!candidates || !record)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->count; i++) {
		if (is_vacant(map, snapshot, i))
			continue;
		if (has_ended(snapshot, i)) {
			fill_seen(snapshot, i, record);
			if (was_seen(state, record))
				continue;
		}
		candidates[count].entry = i;
		candidates[count++].rank = rank_of(family, snapshot_value(snapshot, i));
	}
	if (count > limit) {
		qsort_r(candidates, count, sizeof(*candidates), compare_candidates,
			(void *)(uintptr_t)snapshot);
		count = limit;
	}
	*ret_candidates = TAKE(candidates);
	*ret_count = count;
	return 0;
}

/* ---- other ---- */

static uint64_t sum_of_entries(const struct snapshot *snapshot, size_t offset)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < snapshot->count; i++)
		sum += metric_word(snapshot_value(snapshot, i), offset);
	return sum;
}

/*
 * One count of `other`: all that was counted, without what the shown rows hold. While the entries
 * were read the kernel went on counting; the sums of before and after are bounds of what is true,
 * and within them the value stays where it was, so that it does not fall by a moment's noise.
 */
static uint64_t other_count(const struct snapshot *snapshot, const struct metric_family *family,
			    size_t offset, uint64_t shown, uint64_t last)
{
	int64_t low, high, value = (int64_t)last;

	if (snapshot->before) {
		low = (int64_t)(metric_word(snapshot->before, offset) - shown);
		high = (int64_t)(metric_word(snapshot->after, offset) - shown);
	} else {
		low = high = (int64_t)(sum_of_entries(snapshot, offset) - shown);
	}
	if (value > high)
		value = high;
	if (value < low)
		value = low;
	return value < 0 && !family->is_signed ? 0 : (uint64_t)value;
}

static size_t count_words(const struct metric_family *family)
{
	return family->slots + (family->sum != FIELD_NONE ? 1u : 0u);
}

static size_t word_offset(const struct metric_family *family, size_t word)
{
	return word < family->slots ? family->offset + word * sizeof(uint64_t) : family->sum;
}

/* Fills the row after the shown ones; true when it is to be shown. */
static bool make_other(struct series *series, struct series_state *state,
		       const struct snapshot *snapshot, const struct metric_family *family)
{
	struct series_row *other = &series->rows[series->count];

	for (size_t word = 0; word < count_words(family); word++) {
		size_t offset = word_offset(family, word);
		uint64_t shown = 0;

		for (size_t i = 0; i < series->count; i++)
			shown += series->rows[i].counts[word];
		other->counts[word] = other_count(snapshot, family, offset, shown,
						  metric_word(state->other, offset));
		memcpy(state->other + offset, &other->counts[word], sizeof(uint64_t));
		if (other->counts[word])
			state->other_is_shown = true;
	}
	for (size_t i = 0; i < state->map->label_count; i++)
		exposition_label(&other->labels, state->map->labels[i].name, METRIC_OTHER,
				 strlen(METRIC_OTHER));
	return state->other_is_shown;
}

/* ---- rows ---- */

static void write_labels(const struct metric_map *map, const struct snapshot *snapshot, size_t i,
			 struct symbols *symbols, struct buffer *labels)
{
	struct encoding encoding = { .symbols = symbols };
	BUFFER text = BUFFER_INIT;

	for (size_t l = 0; l < map->label_count; l++) {
		const struct metric_label *label = &map->labels[l];
		struct event event = {
			.schema = label->in_value ? &map->value : &map->key,
			.record = label->in_value ? snapshot_value(snapshot, i)
						  : snapshot_key(snapshot, i),
			.length = label->in_value ? map->value_size : map->key_size,
		};

		buffer_clear(&text);
		field_encode_text(&event, label->field, &encoding, &text);
		exposition_label(labels, label->name, text.length ? text.data : "", text.length);
	}
	if (text.failed)
		buffer_fail(labels);
}

static int compare_rows(const void *a, const void *b)
{
	const struct series_row *x = a, *y = b;
	size_t shorter = x->labels.length < y->labels.length ? x->labels.length : y->labels.length;
	int order = shorter ? memcmp(x->labels.data, y->labels.data, shorter) : 0;

	if (order)
		return order;
	return x->labels.length < y->labels.length ? -1 : x->labels.length > y->labels.length;
}

/* Bytes that differ may read the same, or as `other` does. Two such series would be refused as a
 * double; they are one. */
static void merge_equal(struct series *series, size_t words)
{
	size_t kept = 0;

	for (size_t i = 1; i < series->count; i++) {
		struct series_row *row = &series->rows[i], *last = &series->rows[kept];

		if (compare_rows(last, row)) {
			kept++;
			if (kept != i) {
				series->rows[kept] = *row;
				row->labels = (struct buffer)BUFFER_INIT;
			}
			continue;
		}
		for (size_t word = 0; word < words; word++)
			last->counts[word] += row->counts[word];
		buffer_fini(&row->labels);
	}
	if (series->count)
		series->count = kept + 1;
}

static int allocate_rows(struct series *series, size_t rows, size_t words)
{
	series->rows = calloc(rows, sizeof(*series->rows));
	series->counts = calloc(rows * words, sizeof(*series->counts));
	if (!series->rows || !series->counts)
		return -ENOMEM;
	for (size_t i = 0; i < rows; i++)
		series->rows[i].counts = series->counts + i * words;
	return 0;
}

static bool all_written(const struct series *series, size_t rows)
{
	for (size_t i = 0; i < rows; i++)
		if (series->rows[i].labels.failed)
			return false;
	return true;
}

int series_make(struct series *series, struct series_state *state, const struct snapshot *snapshot,
		const struct metric_family *family, size_t limit, struct symbols *symbols)
{
	const struct metric_map *map = state->map;
	const size_t words = count_words(family);
	FREE struct candidate *chosen = NULL;
	size_t count;
	int r = choose(state, snapshot, family, limit, &chosen, &count);

	*series = (struct series){ .rows = NULL };
	if (!r)
		r = allocate_rows(series, count + 1, words);
	if (r)
		return r;
	for (series->count = 0; series->count < count; series->count++) {
		struct series_row *row = &series->rows[series->count];
		size_t entry = chosen[series->count].entry;

		for (size_t word = 0; word < words; word++)
			row->counts[word] = metric_word(snapshot_value(snapshot, entry),
							word_offset(family, word));
		write_labels(map, snapshot, entry, symbols, &row->labels);
	}
	/* Without labels there is one entry, and it is everything. */
	if (map->label_count && make_other(series, state, snapshot, family))
		series->count++;
	if (!all_written(series, count + 1)) {
		series->count = count + 1;
		return -ENOMEM;
	}
	if (series->count < count + 1)
		buffer_fini(&series->rows[count].labels);
	qsort(series->rows, series->count, sizeof(*series->rows), compare_rows);
	merge_equal(series, words);
	return 0;
}

void series_fini(struct series *series)
{
	for (size_t i = 0; i < series->count; i++)
		buffer_fini(&series->rows[i].labels);
	free(series->rows);
	free(series->counts);
	*series = (struct series){ .rows = NULL };
}

void series_write(const struct series *series, const struct metric_family *family,
		  struct exposition *exposition)
{
	exposition_family(exposition, family->name, family->type, family->unit, family->help);
	for (size_t i = 0; i < series->count; i++) {
		const struct series_row *row = &series->rows[i];

		if (family->type == METRIC_HISTOGRAM)
			exposition_histogram(exposition, &row->labels, row->counts, family->slots,
					     family->decimals,
					     family->sum != FIELD_NONE ? &row->counts[family->slots]
								       : NULL);
		else
			exposition_sample(exposition, &row->labels,
					  (struct exposition_value){ row->counts[0],
								     family->decimals,
								     family->is_signed });
	}
}
