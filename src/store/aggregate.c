/* SPDX-License-Identifier: MIT */
/*
 * Segment by segment: which rows count; codes of their keys (store/codes.h), and of keys and
 * buckets together; how often each code is there. Only then a code's group is looked up, once.
 */
#include "store/aggregate.h"

#include <errno.h>
#include <string.h>

#include "store/aggregate_private.h"
#include "store/hash.h"

/* A group that was not looked up yet. */
#define GROUP_OPEN (KEYS_NONE - 1)

_Static_assert(AGGREGATE_MAX_BY * KEY_PARTS <= KEYS_MAX_PARTS, "keys have room");

/* ---- details ---- */

static size_t detail_bytes(const struct aggregate *aggregate)
{
	return sizeof(struct detail) +
	       aggregate->options.of_count * sizeof(struct distribution) +
	       aggregate->options.buckets * sizeof(uint64_t);
}

struct detail *detail_new(const struct aggregate *aggregate, size_t *budget)
{
	const size_t bytes = detail_bytes(aggregate);
	struct detail *detail = *budget >= bytes ? calloc(1, bytes) : NULL;

	if (!detail)
		return NULL;
	*budget -= bytes;
	detail->counts = (uint64_t *)(void *)&detail->values[aggregate->options.of_count];
	return detail;
}

void detail_free(const struct aggregate *aggregate, struct detail *detail, size_t *budget)
{
	if (!detail)
		return;
	for (uint32_t i = 0; i < aggregate->options.of_count; i++)
		distribution_fini(&detail->values[i], budget);
	*budget += detail_bytes(aggregate);
	free(detail);
}

static struct detail *detail_of(const struct aggregate *aggregate, const struct group *group)
{
	return group->detail ? group->detail : aggregate->rest;
}

/* ---- the whole ---- */

static bool allocate(struct aggregate *aggregate)
{
	aggregate->buckets = calloc(BLOCK_MAX_ROWS, sizeof(*aggregate->buckets));
	aggregate->counts = calloc(CODES_MAX, sizeof(*aggregate->counts));
	aggregate->group_of = calloc(CODES_MAX, sizeof(*aggregate->group_of));
	aggregate->tallies = calloc(CODES_MAX, sizeof(*aggregate->tallies));
	aggregate->recent = calloc(RECENT_GROUPS, sizeof(*aggregate->recent));
	aggregate->targets = calloc(CODES_MAX, sizeof(struct distribution *));
	aggregate->rest = detail_new(aggregate, &aggregate->budget);
	return aggregate->buckets && aggregate->counts && aggregate->group_of &&
	       aggregate->tallies && aggregate->targets && aggregate->rest && aggregate->recent &&
	       keys_init(&aggregate->keys, aggregate->options.by_count * KEY_PARTS) == 0 &&
	       codes_scratch_init(&aggregate->scratch) == 0 &&
	       folded_init(&aggregate->group_codes) == 0 &&
	       folded_init(&aggregate->bucket_codes) == 0;
}

struct aggregate *aggregate_new(const struct aggregate_options *options)
{
	CLEANUP(aggregate) struct aggregate *aggregate = calloc(1, sizeof(*aggregate));

	if (!aggregate)
		return NULL;
	aggregate->options = *options;
	aggregate->budget = DETAIL_BYTES;
	aggregate->rounds = 1;
	return allocate(aggregate) ? TAKE(aggregate) : NULL;
}

void aggregate_free(struct aggregate *aggregate)
{
	if (!aggregate)
		return;
	for (size_t i = 0; i < aggregate->reading_count; i++)
		free(aggregate->readings[i]);
	free(aggregate->readings);
	for (uint32_t i = 0; i < aggregate->group_count; i++)
		detail_free(aggregate, aggregate->groups[i].detail, &aggregate->budget);
	free(aggregate->groups);
	detail_free(aggregate, aggregate->rest, &aggregate->budget);
	detail_free(aggregate, aggregate->other, &aggregate->budget);
	detail_free(aggregate, aggregate->total, &aggregate->budget);
	free(aggregate->shown);
	free(aggregate->spans);
	keys_fini(&aggregate->keys);
	codes_scratch_fini(&aggregate->scratch);
	for (size_t i = 0; i < ARRAY_SIZE(aggregate->codes); i++)
		codes_fini(&aggregate->codes[i]);
	folded_fini(&aggregate->group_codes);
	folded_fini(&aggregate->bucket_codes);
	free(aggregate->buckets);
	free(aggregate->counts);
	free(aggregate->group_of);
	free(aggregate->tallies);
	free(aggregate->targets);
	free(aggregate->recent);
	free(aggregate);
}

bool aggregate_is_number(const struct field *field)
{
	return field->kind == FIELD_INTEGER && field->count == 1 &&
	       (field->derivation == FIELD_STORED || field->derivation == FIELD_NUMBER_OF);
}

/* ---- how a schema is read ---- */

static struct key_source *read_field(const struct stream_schema *schema, const struct field *field,
				     struct key_source *parts)
{
	if (field->derivation != FIELD_ENDPOINT_OF) {
		parts[PART_VALUE] = key_source_of(schema, field);
		return parts;
	}
	parts[PART_IP] = key_source_of(schema, &schema->fields[field->source]);
	parts[PART_PORT] = key_source_of(schema, &schema->fields[field->port]);
	if (field->path != FIELD_NONE)
		parts[PART_VALUE] = key_source_of(schema, &schema->fields[field->path]);
	return parts;
}

static bool number_parts(struct aggregate *aggregate, struct reading *reading)
{
	const uint32_t parts = aggregate->options.by_count * KEY_PARTS;

	for (uint32_t i = 0; i < parts; i++) {
		struct codes *codes = &aggregate->codes[i];

		reading->parts[i].number = (uint32_t)aggregate->reading_count * parts + i + 1;
		if (reading->parts[i].kind != SOURCE_NOTHING && !codes->code &&
		    codes_init(codes) < 0)
			return false;
	}
	return true;
}

static struct reading *new_reading(struct aggregate *aggregate, const struct stream_schema *schema,
				   bool other_boot)
{
	const struct aggregate_options *options = &aggregate->options;
	FREE struct reading *reading = calloc(1, sizeof(*reading));
	struct reading **readings = reallocarray(
		aggregate->readings, aggregate->reading_count + 1, sizeof(struct reading *));

	if (readings)
		aggregate->readings = readings;
	if (!readings || !reading)
		return NULL;
	reading->schema = schema;
	reading->other_boot = other_boot;
	reading->encoding = options->encoding;
	if (other_boot)
		reading->encoding.symbols = NULL;
	for (uint32_t i = 0; i < options->by_count; i++) {
		const struct field *field = stream_schema_field(schema, options->by[i]);
		struct key_source *parts = &reading->parts[i * KEY_PARTS];

		if (field)
			read_field(schema, field, parts);
		else if (!strcmp(options->by[i], "type"))
			parts[PART_VALUE].kind = SOURCE_TYPE;
	}
	for (uint32_t i = 0; i < options->of_count; i++) {
		const struct field *field = stream_schema_field(schema, options->of[i]);

		if (field && aggregate_is_number(field))
			reading->of[i] = key_source_of(schema, field);
	}
	if (!number_parts(aggregate, reading))
		return NULL;
	return aggregate->readings[aggregate->reading_count++] = TAKE(reading);
}

static const struct reading *reading_of(struct aggregate *aggregate,
					const struct stream_schema *schema, bool other_boot)
{
	for (size_t i = 0; i < aggregate->reading_count; i++) {
		struct reading *reading = aggregate->readings[i];

		if (reading->schema == schema && reading->other_boot == other_boot)
			return reading;
	}
	return new_reading(aggregate, schema, other_boot);
}

/* ---- which rows ---- */

static void list_rows(struct selection *selection)
{
	uint32_t count = 0;

	for (uint32_t word = 0; word < block_bitmap_words(selection->rows); word++) {
		for (uint64_t left = selection->bits[word]; left; left &= left - 1)
			selection->row[count++] =
				(uint16_t)(64 * word + (uint32_t)__builtin_ctzll(left));
	}
	selection->count = count;
}

static void select_rows(struct selection *selection, const struct aggregate_piece *piece)
{
	const struct segment *segment = piece->segment;

	selection->segment = segment;
	selection->rows = selection->count = piece->to;
	if (!piece->from && !piece->filter->count &&
	    segment_lies_within(segment, piece->since, piece->until))
		return;
	segment_filter(segment, piece->filter, piece->to, selection->bits);
	segment_and_window(segment, piece->since, piece->until, piece->to, selection->bits);
	for (uint32_t row = 0; row < piece->from; row++)
		selection->bits[row / 64] &= ~(1ULL << row % 64);
	list_rows(selection);
}

/* ---- codes of keys and buckets ---- */

/* Codes of the selected rows' groups, or of their groups and buckets. */
struct coded {
	const uint16_t *code;
	uint32_t count;
};

static const uint16_t zeros[BLOCK_MAX_ROWS];

/* The value that a code of one part stands for. */
static uint32_t part_value(struct aggregate *aggregate, const struct reading *reading,
			   uint32_t part, uint32_t code)
{
	return codes_value(&aggregate->codes[part], code, &reading->parts[part],
			   &aggregate->selection, &reading->encoding, &aggregate->keys);
}

static struct coded code_groups(struct aggregate *aggregate, const struct reading *reading)
{
	const uint32_t parts = aggregate->keys.part_count;
	struct coded coded = { zeros, 1 };

	aggregate->varying_count = 0;
	for (uint32_t i = 0; i < parts; i++) {
		struct codes *codes = &aggregate->codes[i];

		codes_find(codes, &reading->parts[i], &aggregate->selection, &aggregate->scratch);
		if (codes->count == 1) {
			aggregate->parts[i] = part_value(aggregate, reading, i, 0);
			continue;
		}
		aggregate->parts[i] = KEYS_NONE;
		aggregate->varying[aggregate->varying_count++] = i;
		if (aggregate->varying_count == 1) {
			coded = (struct coded){ codes->code, codes->count };
			continue;
		}
		codes_fold(&aggregate->group_codes, coded.code, coded.count, codes->code,
			   codes->count, aggregate->selection.count, &aggregate->scratch);
		coded = (struct coded){ aggregate->group_codes.code, aggregate->group_codes.count };
	}
	if (!aggregate->setting ||
	    memcmp(aggregate->parts, aggregate->last_parts, parts * sizeof(*aggregate->parts)) != 0)
		aggregate->setting++;
	memcpy(aggregate->last_parts, aggregate->parts, parts * sizeof(*aggregate->parts));
	return coded;
}

/* `start`: of the first bucket, in ns since the boot that the time is of; modulo 2^64, since it may
 * be before it. */
static uint32_t bucket_of(const struct aggregate_options *options, uint64_t start,
			  uint64_t timestamp)
{
	const uint64_t since_start = timestamp - start;
	const uint64_t bucket = since_start / options->width;

	if ((int64_t)since_start < 0)
		return 0;
	return bucket < options->buckets ? (uint32_t)bucket : options->buckets - 1;
}

/* Buckets of the selected rows, from `first` on. Rows come nearly in the order of time, so most
 * are in the bucket of the one before. */
static void find_buckets(struct aggregate *aggregate, const struct reading *reading, uint64_t start,
			 uint32_t first)
{
	const struct aggregate_options *options = &aggregate->options;
	const struct key_source time =
		key_source_of(reading->schema, &reading->schema->fields[HEADER_TIMESTAMP]);
	const uint64_t *times = aggregate->scratch.values;
	uint64_t begin = 0, width = 0;
	uint32_t bucket = 0;

	codes_integers(&time, &aggregate->selection, &aggregate->scratch);
	for (uint32_t i = 0; i < aggregate->selection.count; i++) {
		if (times[i] - begin >= width) {
			bucket = bucket_of(options, start, times[i]);
			begin = start + bucket * options->width;
			width = options->width;
		}
		aggregate->buckets[i] = (uint16_t)(bucket - first);
	}
}

/* ---- groups ---- */

static struct group *group_at(struct aggregate *aggregate, uint32_t number)
{
	return number == KEYS_NONE ? &aggregate->unknown : &aggregate->groups[number];
}

/* Groups that are new get their place, and in the first round their detail. */
static bool add_groups(struct aggregate *aggregate)
{
	struct group *groups;

	if (aggregate->keys.group_room > aggregate->group_room) {
		groups = reallocarray(aggregate->groups, aggregate->keys.group_room,
				      sizeof(*groups));
		if (!groups)
			return false;
		aggregate->groups = groups;
		aggregate->group_room = aggregate->keys.group_room;
	}
	while (aggregate->group_count < aggregate->keys.group_count) {
		struct group *group = &aggregate->groups[aggregate->group_count++];

		*group = (struct group){ .count = 0 };
		if (!has_details(aggregate) || aggregate->starved)
			continue;
		group->detail = detail_new(aggregate, &aggregate->budget);
		aggregate->starved |= !group->detail;
	}
	return true;
}

/* The group of a key whose parts are known. */
static uint32_t find_group(struct aggregate *aggregate, const uint32_t *varying)
{
	const uint32_t part_count = aggregate->keys.part_count;
	uint32_t parts[AGGREGATE_MAX_BY * KEY_PARTS], number;
	bool known = true;

	memcpy(parts, aggregate->parts, part_count * sizeof(*parts));
	for (uint32_t i = 0; i < aggregate->varying_count; i++)
		parts[aggregate->varying[i]] = varying[i];
	for (uint32_t i = 0; i < part_count; i += KEY_PARTS) {
		/* An address leaves no path; no address, no port. */
		parts[i + (parts[i + PART_IP] ? PART_VALUE : PART_PORT)] = KEYS_NULL;
	}
	for (uint32_t i = 0; i < part_count; i++)
		known &= parts[i] != KEYS_NONE;
	number = known ? keys_group(&aggregate->keys, parts) : KEYS_NONE;
	aggregate->failed |= aggregate->keys.failed || !add_groups(aggregate);
	return aggregate->failed ? KEYS_NONE : number;
}

static struct recent_group *recent_place(const struct aggregate *aggregate, uint64_t packed)
{
	return &aggregate->recent[hash_words(packed, aggregate->keys.seed) & (RECENT_GROUPS - 1)];
}

/* The group that a code stands for. */
static uint32_t look_up(struct aggregate *aggregate, const struct reading *reading, uint32_t code)
{
	uint32_t varying[AGGREGATE_MAX_BY * KEY_PARTS];
	struct recent_group *recent;
	uint64_t packed = 0;
	bool fits = aggregate->varying_count <= PACKED_PARTS;

	for (uint32_t i = 0; i < aggregate->varying_count; i++) {
		const uint32_t part = aggregate->varying[i];
		/* Where nothing was folded, the codes are those of the only part that varies. */
		const uint32_t own = aggregate->varying_count == 1
					     ? code
					     : aggregate->codes[part]
						       .code[aggregate->group_codes.first[code]];

		varying[i] = part_value(aggregate, reading, part, own);
		packed = packed << PACKED_BITS | varying[i];
		fits &= varying[i] >> PACKED_BITS == 0;
	}
	if (!fits)
		return find_group(aggregate, varying);
	recent = recent_place(aggregate, packed);
	if (recent->packed != packed || recent->setting != aggregate->setting)
		*recent = (struct recent_group){
			.packed = packed,
			.setting = aggregate->setting,
			.group = find_group(aggregate, varying),
		};
	return recent->group;
}

static struct group *group_of_code(struct aggregate *aggregate, const struct reading *reading,
				   uint32_t code)
{
	uint32_t *number = &aggregate->group_of[code];

	if (*number == GROUP_OPEN)
		*number = look_up(aggregate, reading, code);
	return group_at(aggregate, *number);
}

/* ---- counting ---- */

static void count_codes(const struct coded *coded, uint32_t rows, uint32_t *counts)
{
	const uint16_t *code = coded->code;

	memset(counts, 0, coded->count * sizeof(*counts));
	if (coded->count == 1) {
		counts[0] = rows;
		return;
	}
	for (uint32_t i = 0; i < rows; i++)
		counts[code[i]]++;
}

static void count_groups(struct aggregate *aggregate, const struct reading *reading,
			 const struct aggregate_piece *piece, const struct coded *groups)
{
	const struct aggregate_options *options = &aggregate->options;
	const struct segment *segment = piece->segment;
	const uint64_t start = options->start - (uint64_t)piece->to_real;
	const uint32_t rows = aggregate->selection.count;
	const uint32_t first = options->buckets ? bucket_of(options, start, segment->oldest) : 0;
	const uint32_t last = options->buckets ? bucket_of(options, start, segment->newest) : 0;
	struct coded coded = *groups;

	if (last > first) {
		find_buckets(aggregate, reading, start, first);
		codes_fold(&aggregate->bucket_codes, groups->code, groups->count,
			   aggregate->buckets, last - first + 1, rows, &aggregate->scratch);
		coded = (struct coded){ aggregate->bucket_codes.code,
					aggregate->bucket_codes.count };
	}
	count_codes(&coded, rows, aggregate->counts);
	for (uint32_t i = 0; i < coded.count; i++) {
		const uint32_t row = last > first ? aggregate->bucket_codes.first[i] : 0;
		const uint32_t code = last > first ? groups->code[row] : i;
		struct group *group;

		if (!aggregate->counts[i])
			continue;
		group = group_of_code(aggregate, reading, code);
		group->count += aggregate->counts[i];
		if (options->buckets)
			detail_of(aggregate, group)
				->counts[first + (last > first ? aggregate->buckets[row] : 0)] +=
				aggregate->counts[i];
	}
}

/* ---- values ---- */

static void add_values(struct aggregate *aggregate, const struct coded *groups, uint32_t which,
		       const struct key_source *source)
{
	const struct field *field = source->field;
	const bool nulls = codes_integers(source, &aggregate->selection, &aggregate->scratch);
	const uint64_t *values = aggregate->scratch.values;
	struct tally *tallies = aggregate->tallies;

	for (uint32_t i = 0; i < groups->count; i++) {
		const uint32_t number = aggregate->group_of[i];

		tallies[i] = (struct tally)TALLY_INIT;
		if (number != GROUP_OPEN)
			aggregate->targets[i] =
				&detail_of(aggregate, group_at(aggregate, number))->values[which];
	}
	for (uint32_t i = 0; i < aggregate->selection.count; i++) {
		const uint64_t value = values[i];
		struct tally *tally = &tallies[groups->code[i]];

		if ((nulls && !bit_is_set(aggregate->selection.bits,
					  selection_row(&aggregate->selection, i))) ||
		    (field->zero_is_null && !value))
			continue;
		tally->count++;
		tally->sum += value;
		tally->minimum = value < tally->minimum ? value : tally->minimum;
		tally->maximum = value > tally->maximum ? value : tally->maximum;
		distribution_place(aggregate->targets[groups->code[i]], value, field->is_signed,
				   &aggregate->budget);
	}
	for (uint32_t i = 0; i < groups->count; i++) {
		if (!tallies[i].count)
			continue;
		distribution_add(aggregate->targets[i], &tallies[i], field->is_signed);
		aggregate->starved |= aggregate->targets[i]->rough;
	}
}

/* ---- one piece ---- */

static bool is_looked_at(const struct aggregate_piece *piece)
{
	const struct segment *segment = piece->segment;

	return piece->from < piece->to && segment->oldest <= piece->until &&
	       segment->newest >= piece->since &&
	       !(segment->block &&
		 block_excludes(segment->block, segment->schema, piece->filter));
}

void aggregate_add(struct aggregate *aggregate, const struct aggregate_piece *piece)
{
	const struct reading *reading =
		reading_of(aggregate, piece->segment->schema, piece->other_boot);
	struct coded groups;

	aggregate->failed |= !reading;
	if (aggregate->failed || !is_looked_at(piece))
		return;
	aggregate->rows_scanned += piece->to - piece->from;
	select_rows(&aggregate->selection, piece);
	if (!aggregate->selection.count)
		return;
	groups = code_groups(aggregate, reading);
	for (uint32_t i = 0; i < groups.count; i++)
		aggregate->group_of[i] = GROUP_OPEN;
	count_groups(aggregate, reading, piece, &groups);
	for (uint32_t i = 0; i < aggregate->options.of_count && !aggregate->failed; i++) {
		if (reading->of[i].kind == SOURCE_FIELD)
			add_values(aggregate, &groups, i, &reading->of[i]);
	}
}
