/* SPDX-License-Identifier: MIT */
/*
 * Segment by segment: which rows count; codes of their keys (store/codes.h), and of keys and
 * buckets together; how often each code is there. Only then a code's group is looked up, once.
 */
#include <string.h>

#include "store/aggregate_private.h"
#include "store/hash.h"

/* A group that was not looked up yet. */
#define GROUP_OPEN (KEYS_NONE - 1)

_Static_assert(AGGREGATE_MAX_BY *KEY_PARTS <= KEYS_MAX_PARTS, "keys have room");

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

/* `start`: of the first bucket, in ns since the boot that the time is of; may be before it. */
static uint32_t bucket_of(const struct aggregate_options *options, int64_t start,
			  uint64_t timestamp)
{
	uint64_t since_start, bucket;

	if (__builtin_sub_overflow(timestamp, start, &since_start))
		return start > 0 ? 0 : options->buckets - 1;
	bucket = since_start / options->width;
	return bucket < options->buckets ? (uint32_t)bucket : options->buckets - 1;
}

/* Buckets of the selected rows, from `first` on. Rows come nearly in the order of time, so most
 * are in the bucket of the one before. */
static void find_buckets(struct aggregate *aggregate, const struct reading *reading, int64_t start,
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
			begin = (uint64_t)start + bucket * options->width;
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
		const uint32_t own =
			aggregate->varying_count == 1
				? code
				: aggregate->codes[part].code[aggregate->group_codes.first[code]];

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
	const int64_t start = (int64_t)(options->start - (uint64_t)piece->to_real);
	const uint32_t rows = aggregate->selection.count;
	const uint32_t first = options->buckets ? bucket_of(options, start, segment->oldest) : 0;
	const uint32_t last = options->buckets ? bucket_of(options, start, segment->newest) : 0;
	const bool split = last > first;
	struct coded coded = *groups;

	if (split) {
		find_buckets(aggregate, reading, start, first);
		codes_fold(&aggregate->bucket_codes, groups->code, groups->count,
			   aggregate->buckets, last - first + 1, rows, &aggregate->scratch);
		coded = (struct coded){ aggregate->bucket_codes.code,
					aggregate->bucket_codes.count };
	}
	count_codes(&coded, rows, aggregate->counts);
	for (uint32_t i = 0; i < coded.count; i++) {
		const uint32_t count = aggregate->counts[i];
		const uint32_t row = split ? aggregate->bucket_codes.first[i] : 0;
		const uint32_t bucket = first + (split ? aggregate->buckets[row] : 0);
		struct group *group;

		if (!count)
			continue;
		group = group_of_code(aggregate, reading, split ? groups->code[row] : i);
		group->count += count;
		if (options->buckets)
			detail_of(aggregate, group)->counts[bucket] += count;
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
	       !(segment->block && block_excludes(segment->block, segment->schema, piece->filter));
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
