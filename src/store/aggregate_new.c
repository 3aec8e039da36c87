/* SPDX-License-Identifier: MIT */
/* What an aggregate is made of, and how it reads each schema. */
#include <string.h>

#include "store/aggregate_private.h"

_Static_assert(AGGREGATE_MAX_BY *KEY_PARTS <= KEYS_MAX_PARTS, "keys have room");

/* ---- details ---- */

static size_t detail_bytes(const struct aggregate *aggregate)
{
	return sizeof(struct detail) + aggregate->options.of_count * sizeof(struct distribution) +
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
	struct reading **readings = reallocarray(aggregate->readings, aggregate->reading_count + 1,
						 sizeof(struct reading *));

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

const struct reading *reading_of(struct aggregate *aggregate, const struct stream_schema *schema,
				 bool other_boot)
{
	for (size_t i = 0; i < aggregate->reading_count; i++) {
		struct reading *reading = aggregate->readings[i];

		if (reading->schema == schema && reading->other_boot == other_boot)
			return reading;
	}
	return new_reading(aggregate, schema, other_boot);
}
