/* SPDX-License-Identifier: MIT */
/* Events as JSON: the hot path out. */
#include "schema/encode.h"

#include "base/clock.h"
#include "base/digits.h"
#include "schema/event_id.h"
#include "schema/plan.h"
#include "schema/value.h"

struct encoder {
	const struct event *event;
	const struct encoding *encoding;
	const struct encode_plan *plan;
	struct buffer *out;
};

#define put_literal(at, literal)                                                                   \
	((char *)memcpy(at, literal, sizeof(literal) - 1) + sizeof(literal) - 1)

/* Bytes that json_escape() would change. */
static inline bool needs_escape(uint8_t byte)
{
	return byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\' || byte == '<' ||
	       byte == '>' || byte == '&';
}

/*
 * Text that json_escape() has to look at. It makes its own room in the buffer, so what was written
 * is settled before, and room for all that may follow is made after. NULL when out of memory.
 */
static char *put_escaped(const struct encoder *encoder, char *at, const char *text, size_t length)
{
	struct buffer *out = encoder->out;

	out->length = (size_t)(at - out->data);
	json_escape(out, text, length);
	return buffer_reserve(out, encoder->plan->room);
}

/* A char array's text up to its NUL, in quotes. */
static inline char *put_string(const struct encoder *encoder, char *at, const char *text,
			       size_t size)
{
	char *start;

	*at++ = '"';
	start = at;
	for (size_t i = 0; i < size && text[i]; i++) {
		if (__builtin_expect(needs_escape((uint8_t)text[i]), 0)) {
			at = put_escaped(encoder, start, text, strnlen(text, size));
			if (!at)
				return NULL;
			break;
		}
		*at++ = text[i];
	}
	*at++ = '"';
	return at;
}

static inline char *put_number(char *at, const struct encoding *encoding, const struct field *field,
			       const uint8_t *bytes)
{
	uint64_t ordered = field_load_ordered(bytes, field->size, field->is_signed);
	bool quotes = encoding->integers_as_strings && field->size == 8;

	if (quotes)
		*at++ = '"';
	if (field->is_signed)
		at = put_signed(at, (int64_t)field_from_ordered(ordered, true));
	else
		at += digits_put_u64(at, ordered);
	if (quotes)
		*at++ = '"';
	return at;
}

/* The header's `timestamp`, whose key is written, with the wall time in quotes. */
static char *put_times(char *at, const struct event *event, const struct encoding *encoding)
{
	uint64_t real = event_real_ns(event, encoding);
	char text[CLOCK_RFC3339_SIZE];
	size_t length = clock_format_rfc3339(real, text);
	bool quotes = encoding->integers_as_strings;

	if (encoding->timestamp_as_text) {
		*at++ = '"';
		at = (char *)memcpy(at, text, length) + length;
		at = put_literal(at, "\",\"wall_time\":\"");
		at = (char *)memcpy(at, text, length) + length;
		at = put_literal(at, "\",\"timestamp_ns\":");
	}
	if (quotes)
		*at++ = '"';
	at += digits_put_u64(at, event->timestamp);
	if (quotes)
		*at++ = '"';
	at = put_literal(at, ",\"time\":\"");
	at = (char *)memcpy(at, text, length) + length;
	*at++ = '"';
	return at;
}

static char *put_list(char *at, const struct encoder *encoder, const struct field *field,
		      const uint8_t *bytes)
{
	*at++ = '[';
	for (size_t i = 0; i < field->count; i++) {
		if (i)
			*at++ = ',';
		at = put_number(at, encoder->encoding, field, bytes + i * field->size);
	}
	*at++ = ']';
	return at;
}

static char *put_quoted(char *at, const struct encoder *encoder, const struct field *field)
{
	const struct event *event = encoder->event;

	*at++ = '"';
	at = put_value(at, event->schema, field, event->record, event->length,
		       event_symbols(event, encoder->encoding));
	*at++ = '"';
	return at;
}

/* A value that is not null. NULL when out of memory. */
static inline char *put_step(char *at, const struct encoder *encoder, const struct plan_step *step)
{
	const struct event *event = encoder->event;
	const struct field *field = step->field;
	const uint8_t *bytes = event->record + field->offset;
	const char *path;
	size_t length;

	switch (step->kind) {
	case STEP_NUMBER:
		return put_number(at, encoder->encoding, field, bytes);
	case STEP_STRING:
		return put_string(encoder, at, (const char *)bytes, field->size);
	case STEP_IP:
		*at++ = '"';
		at = put_ip(at, bytes, field->size);
		*at++ = '"';
		return at;
	case STEP_ENDPOINT:
		path = value_text(event->schema, field, event->record, event->length, &length);
		return path ? put_string(encoder, at, path, length)
			    : put_quoted(at, encoder, field);
	case STEP_TIMESTAMP:
		return put_times(at, event, encoder->encoding);
	case STEP_BARE:
		if (field->count > 1)
			return put_list(at, encoder, field, bytes);
		return put_value(at, event->schema, field, event->record, event->length, NULL);
	case STEP_QUOTED:
	default:
		return put_quoted(at, encoder, field);
	}
}

static inline bool step_is_null(const struct plan_step *step, const struct event *event)
{
	if (__builtin_expect(step->always, 1))
		return step->end > event->length;
	return field_is_null(event->schema, step->field, event->record, event->length);
}

static inline char *put_key(char *at, const struct plan_step *step)
{
	memcpy(at, step->key, PLAN_KEY_SIZE);
	if (__builtin_expect(step->key_length > PLAN_KEY_SIZE, 0))
		memcpy(at + PLAN_KEY_SIZE, step->key + PLAN_KEY_SIZE,
		       (size_t)step->key_length - PLAN_KEY_SIZE);
	return at + step->key_length;
}

static void encode_by(const struct encode_plan *plan, const struct event *event,
		      const struct encoding *encoding, struct json *json)
{
	const struct encoder encoder = { event, encoding, plan, json->out };
	const struct event_id id = event_id_of(event, encoding);
	char *at = buffer_reserve(json->out, plan->room);

	if (!at)
		return;
	if (json->comma)
		*at++ = ',';
	json->comma = true;
	at = put_literal(at, "{\"id\":\"");
	at = put_event_id(at, &id);
	at = (char *)memcpy(at, plan->type, plan->type_length) + plan->type_length;
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];

		at = put_key(at, step);
		if (step_is_null(step, event))
			at = put_literal(at, "null");
		else
			at = put_step(at, &encoder, step);
		if (!at)
			return;
	}
	*at++ = '}';
	json->out->length = (size_t)(at - json->out->data);
}

void event_encode_json(const struct event *event, const struct encoding *encoding,
		       struct json *json)
{
	CLEANUP(arena) struct arena *arena = NULL;
	const struct encode_plan *plan = event->schema->plan;

	if (!plan) {
		arena = arena_new();
		plan = arena ? encode_plan_new(arena, event->schema) : NULL;
	}
	if (plan)
		encode_by(plan, event, encoding, json);
	else
		buffer_fail(json->out);
}
