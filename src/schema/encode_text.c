/* SPDX-License-Identifier: MIT */
/* Events as a line for people, and single values as filters take them. */
#include "schema/encode.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/digits.h"
#include "base/text.h"
#include "schema/template.h"
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

enum value_form field_encode_bytes(const struct field *field, const uint8_t *bytes,
				   const struct encoding *encoding, struct buffer *out)
{
	char *at;

	if ((field->zero_is_null && field_is_zero(field, bytes)) ||
	    (field->derivation == FIELD_ERRNO_OF && !field_error_number(field, bytes)))
		return VALUE_NULL;
	if (field->kind == FIELD_STRING) {
		buffer_append(out, bytes, strnlen((const char *)bytes, field->size));
		return VALUE_TEXT;
	}
	at = buffer_reserve(out, value_limit(field));
	if (at)
		out->length = (size_t)(put_field(at, field, bytes, encoding->symbols) - out->data);
	if (!value_is_bare(field))
		return VALUE_TEXT;
	return field->count > 1 ? VALUE_LIST : VALUE_BARE;
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

/* A value among words: no quotes, and nothing that could drive a terminal. */
static void append_value(const struct event *event, const struct field *field,
			 const struct encoding *encoding, struct buffer *out)
{
	const char *text;
	size_t length;

	if (field_is_null(event->schema, field, event->record, event->length)) {
		buffer_append_char(out, '-');
		return;
	}
	text = value_text(event->schema, field, event->record, event->length, &length);
	if (text)
		append_visible(out, text, length);
	else
		field_encode_text(event, field, encoding, out);
}

/* As the source asks; its placeholders were checked when it was read. */
static void append_line(const struct event *event, const struct encoding *encoding,
			struct buffer *out)
{
	const struct stream_schema *stream = event->schema;
	const char *text = stream->print_line;
	struct template_part part;

	while (template_next(&text, &part)) {
		if (!part.is_name) {
			buffer_append(out, part.text, part.length);
			continue;
		}
		for (size_t i = 0; i < stream->field_count; i++)
			if (template_part_is(&part, stream->fields[i].name))
				append_value(event, &stream->fields[i], encoding, out);
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

	if (stream->print_line) {
		append_line(event, encoding, out);
		return;
	}
	clock_format_rfc3339(event_real_ns(event, encoding), time);
	/* hh:mm:ss.uuuuuu out of the middle of "YYYY-MM-DDThh:mm:ss.nnnnnnnnnZ" */
	buffer_append(out, time + 11, 15);
	buffer_append_char(out, ' ');
	buffer_append_string(out, stream->name);
	/* What no process did names none. */
	if (!field_is_null(stream, pid, event->record, event->length)) {
		buffer_append_char(out, ' ');
		append_visible(out, (const char *)event->record + command->offset,
			       strnlen((const char *)event->record + command->offset,
				       command->size));
		buffer_append_char(out, '[');
		field_encode_text(event, pid, encoding, out);
		buffer_append_char(out, ']');
	}
	for (size_t i = HEADER_FIELDS; i < stream->field_count; i++) {
		const struct field *field = &stream->fields[i];

		if (!field->hidden && !is_said_elsewhere(stream, field) &&
		    !field_is_null(stream, field, event->record, event->length))
			append_field(event, field, encoding, out);
	}
}
