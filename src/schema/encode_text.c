/* SPDX-License-Identifier: MIT */
/* Events as a line for people, and single values as filters take them. */
#include "schema/encode.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/digits.h"
#include "base/text.h"
#include "schema/value.h"

void field_encode_text(const struct event *event, const struct field *field,
		       const struct encoding *encoding, struct buffer *out)
{
	const char *text;
	size_t length;
	char *at;

	if (field_is_null(event->schema, field, event->record, event->length))
		return;
	text = value_text(event->schema, field, event->record, event->length, &length);
	if (text) {
		buffer_append(out, text, length);
		return;
	}
	at = buffer_reserve(out, value_limit(field));
	if (!at)
		return;
	at = put_value(at, event->schema, field, event->record, event->length,
		       event_symbols(event, encoding));
	out->length = (size_t)(at - out->data);
}

/* What could drive a terminal or forge a line: C0, DEL, C1 (as UTF-8 too), U+2028 and U+2029. */
static bool is_control(const char *text, size_t sequence)
{
	uint8_t byte = (uint8_t)text[0];

	return byte < 0x20 || byte == 0x7f ||
	       (sequence == 2 && byte == 0xc2 && (uint8_t)text[1] < 0xa0) ||
	       (sequence == 3 && !memcmp(text, "\xe2\x80", 2) &&
		((uint8_t)text[2] == 0xa8 || (uint8_t)text[2] == 0xa9));
}

/* Text of a process, for a terminal: what is not plain is shown as \xNN, and so is the backslash,
 * so that none can be mistaken. */
static void append_visible(struct buffer *out, const char *text, size_t length)
{
	while (length) {
		size_t sequence = text_utf8_sequence(text, length);

		if (sequence && !is_control(text, sequence) && *text != '\\') {
			buffer_append(out, text, sequence);
		} else {
			sequence = sequence ? sequence : 1;
			for (size_t i = 0; i < sequence; i++)
				buffer_printf(out, "\\x%02x", (uint8_t)text[i]);
		}
		text += sequence;
		length -= sequence;
	}
}

static bool needs_quotes(const char *text, size_t length)
{
	if (!length)
		return true;
	for (size_t i = 0; i < length; i++)
		if (text[i] == ' ' || text[i] == '"' || text[i] == '=')
			return true;
	return false;
}

/* " name=value" */
static void append_field(const struct event *event, const struct field *field,
			 const struct encoding *encoding, struct buffer *out)
{
	const char *text;
	size_t length;

	buffer_append_char(out, ' ');
	buffer_append_string(out, field->name);
	buffer_append_char(out, '=');
	text = value_text(event->schema, field, event->record, event->length, &length);
	if (!text) {
		field_encode_text(event, field, encoding, out);
		return;
	}
	if (!needs_quotes(text, length)) {
		append_visible(out, text, length);
		return;
	}
	buffer_append_char(out, '"');
	for (size_t i = 0, start = 0; i <= length; i++) {
		if (i < length && text[i] != '"')
			continue;
		append_visible(out, text + start, i - start);
		if (i < length)
			buffer_append_string(out, "\\\"");
		start = i + 1;
	}
	buffer_append_char(out, '"');
}

/* An endpoint says what its address, port and path say; an enum's name says its number. */
static bool is_said_elsewhere(const struct stream_schema *stream, const struct field *field)
{
	if (field->derivation == FIELD_NUMBER_OF)
		return true;
	for (size_t i = 0; i < stream->field_count; i++) {
		const struct field *other = &stream->fields[i];

		if (other->derivation == FIELD_ENDPOINT_OF && field->derivation == FIELD_STORED &&
		    (other->source == field->index || other->port == field->index ||
		     other->path == field->index))
			return true;
	}
	return false;
}

void event_encode_text(const struct event *event, const struct encoding *encoding,
		       struct buffer *out)
{
	const struct stream_schema *stream = event->schema;
	const struct field *command = &stream->fields[HEADER_COMMAND];
	const struct field *pid = &stream->fields[HEADER_PID];
	char time[CLOCK_RFC3339_SIZE];

	clock_format_rfc3339(event_real_ns(event, encoding), time);
	/* hh:mm:ss.uuuuuu out of the middle of "YYYY-MM-DDThh:mm:ss.nnnnnnnnnZ" */
	buffer_append(out, time + 11, 15);
	buffer_append_char(out, ' ');
	buffer_append_string(out, stream->name);
	buffer_append_char(out, ' ');
	append_visible(out, (const char *)event->record + command->offset,
		       strnlen((const char *)event->record + command->offset, command->size));
	buffer_append_char(out, '[');
	field_encode_text(event, pid, encoding, out);
	buffer_append_char(out, ']');
	for (size_t i = HEADER_FIELDS; i < stream->field_count; i++) {
		const struct field *field = &stream->fields[i];

		if (!field->hidden && !is_said_elsewhere(stream, field) &&
		    !field_is_null(stream, field, event->record, event->length))
			append_field(event, field, encoding, out);
	}
}
