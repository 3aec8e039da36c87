/* SPDX-License-Identifier: MIT */
#include "schema/plan.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/digits.h"
#include "schema/encode.h"
#include "schema/value.h"

/* JSON shows who before when; records hold what the hook wrote first. */
static const enum header_field header_order[HEADER_FIELDS] = {
	HEADER_PID, HEADER_TID, HEADER_UID, HEADER_COMMAND, HEADER_TIMESTAMP, HEADER_CGROUP_ID,
};

/* Keys of time, values with quotes, in either form. */
#define TIME_ROOM (64 + DIGITS_U64_MAX + 3 * (CLOCK_RFC3339_SIZE + 2))

static enum step_kind kind_of(const struct field *field)
{
	if (field->derivation == FIELD_ENDPOINT_OF)
		return STEP_ENDPOINT;
	if (field->kind == FIELD_STRING)
		return STEP_STRING;
	if (!value_is_bare(field))
		return field->kind == FIELD_IP ? STEP_IP : STEP_QUOTED;
	return field->kind == FIELD_INTEGER && field->count == 1 ? STEP_NUMBER : STEP_BARE;
}

static bool add_step(struct arena *arena, struct encode_plan *plan, const struct field *field,
		     bool is_timestamp)
{
	struct plan_step *step = &plan->steps[plan->step_count];
	size_t length = strlen(field->name) + 4;
	size_t room = length > PLAN_KEY_SIZE ? length : PLAN_KEY_SIZE;
	char *key = arena_allocate(arena, room + 1, 1);
	size_t value = value_limit(field);

	if (!key)
		return false;
	sprintf(key, ",\"%s\":", field->name);
	*step = (struct plan_step){
		.key = key,
		.key_length = (uint16_t)length,
		.field = field,
		.kind = is_timestamp ? STEP_TIMESTAMP : kind_of(field),
		.end = (uint16_t)(field->offset + field->size * field->count),
		.always =
			!field->has_condition && !field->zero_is_null &&
			(field->derivation == FIELD_STORED || field->derivation == FIELD_NUMBER_OF),
	};
	if (step->kind == STEP_TIMESTAMP)
		value = TIME_ROOM;
	else if (value == VALUE_IS_TEXT)
		value = field->size;
	plan->room += length + (value > 4 ? value : 4) + 2; /* 4: null; 2: quotes or brackets */
	plan->step_count++;
	return true;
}

struct encode_plan *encode_plan_new(struct arena *arena, const struct stream_schema *stream)
{
	size_t type_length = strlen(stream->name) + strlen("\",\"type\":\"\"");
	char *type = arena_allocate(arena, type_length + 1, 1);
	struct encode_plan *plan = arena_allocate(
		arena, 1, sizeof(*plan) + stream->field_count * sizeof(plan->steps[0]));

	if (!plan || !type)
		return NULL;
	sprintf(type, "\",\"type\":\"%s\"", stream->name);
	plan->type = type;
	plan->type_length = type_length;
	/* `,{"id":"` and `}`, and what a key's last piece may write past its end. */
	plan->room = 16 + EVENT_ID_SIZE + type_length + PLAN_KEY_SIZE;
	for (size_t i = 0; i < stream->field_count; i++) {
		size_t place = i < HEADER_FIELDS ? header_order[i] : i;
		const struct field *field = &stream->fields[place];

		if (!field->hidden && !add_step(arena, plan, field, place == HEADER_TIMESTAMP))
			return NULL;
	}
	return plan;
}
