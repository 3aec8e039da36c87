/* SPDX-License-Identifier: MIT */
/* Events as CSV: RFC 4180, with CRLF as it asks. */
#include "schema/encode.h"

#include "base/clock.h"
#include "base/text.h"
#include "schema/value.h"

/* Of every event, before the fields. */
static const char *const first_columns[] = { "id", "type", "time" };

struct csv_stream {
	const struct stream_schema *schema;
	const struct field **fields; /* one for each column; NULL where the stream has none */
};

struct csv_columns {
	const char **names;
	size_t count;
	struct csv_stream *streams;
	size_t stream_count;
};

static size_t column_of(const struct csv_columns *columns, const char *name)
{
	size_t i = 0;

	while (i < columns->count && strcmp(columns->names[i], name))
		i++;
	return i;
}

/* The union of the streams' names, in the order in which they first come. */
static int collect_names(struct csv_columns *columns, const struct stream_schema *const *streams,
			 size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += streams[i]->field_count;
	columns->names = calloc(total + 1, sizeof(*columns->names));
	if (!columns->names)
		return -1;
	for (size_t i = 0; i < count; i++) {
		for (size_t f = 0; f < streams[i]->field_count; f++) {
			const struct field *field = &streams[i]->fields[f];
			size_t column = column_of(columns, field->name);

			if (!field->hidden && column == columns->count)
				columns->names[columns->count++] = field->name;
		}
	}
	return 0;
}

struct csv_columns *csv_columns_new(const struct stream_schema *const *streams, size_t count)
{
	CLEANUP(csv_columns) struct csv_columns *columns = calloc(1, sizeof(*columns));

	if (!columns || collect_names(columns, streams, count))
		return NULL;
	columns->streams = calloc(count + 1, sizeof(*columns->streams));
	if (!columns->streams)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct csv_stream *stream = &columns->streams[i];

		stream->schema = streams[i];
		stream->fields = calloc(columns->count + 1, sizeof(*stream->fields));
		columns->stream_count++;
		if (!stream->fields)
			return NULL;
		for (size_t column = 0; column < columns->count; column++)
			stream->fields[column] =
				stream_schema_field(streams[i], columns->names[column]);
	}
	return TAKE(columns);
}

void csv_columns_free(struct csv_columns *columns)
{
	if (!columns)
		return;
	for (size_t i = 0; i < columns->stream_count; i++)
		free(columns->streams[i].fields);
	free(columns->streams);
	free(columns->names);
	free(columns);
}

void csv_encode_header(const struct csv_columns *columns, struct buffer *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(first_columns); i++) {
		if (i)
			buffer_append_char(out, ',');
		buffer_append_string(out, first_columns[i]);
	}
	for (size_t i = 0; i < columns->count; i++) {
		buffer_append_char(out, ',');
		buffer_append_string(out, columns->names[i]);
	}
	buffer_append(out, "\r\n", 2);
}

/*
 * Text that a process chose. A spreadsheet would run what begins with one of these as a formula,
 * also inside quotes; bytes that are no UTF-8 would spoil the whole file for most readers.
 */
static void append_text(struct buffer *out, const char *text, size_t length)
{
	buffer_append_char(out, '"');
	if (length && strchr("=+-@\t\r", text[0]))
		buffer_append_char(out, '\'');
	while (length) {
		size_t sequence = text_utf8_sequence(text, length);

		if (!sequence) {
			buffer_append(out, "\xef\xbf\xbd", 3);
			sequence = 1;
		} else if (*text == '"') {
			buffer_append(out, "\"\"", 2);
		} else {
			buffer_append(out, text, sequence);
		}
		text += sequence;
		length -= sequence;
	}
	buffer_append_char(out, '"');
}

static bool is_plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		uint8_t byte = (uint8_t)text[i];

		if (byte < 0x20 || byte > 0x7e || byte == '"' || byte == ',' || byte == ' ')
			return false;
	}
	return !length || !strchr("=+-@", text[0]);
}

void csv_encode_text(struct buffer *out, const char *text, size_t length)
{
	if (is_plain(text, length))
		buffer_append(out, text, length);
	else
		append_text(out, text, length);
}

static void append_value(const struct event *event, const struct field *field,
			 const struct encoding *encoding, struct buffer *out)
{
	const char *text;
	size_t length;

	if (field_is_null(event->schema, field, event->record, event->length))
		return;
	text = value_text(event->schema, field, event->record, event->length, &length);
	if (text) {
		csv_encode_text(out, text, length);
	} else if (field->count > 1) {
		buffer_append_char(out, '"');
		field_encode_text(event, field, encoding, out);
		buffer_append_char(out, '"');
	} else {
		field_encode_text(event, field, encoding, out);
	}
}

static const struct csv_stream *stream_of(const struct csv_columns *columns,
					  const struct stream_schema *schema)
{
	for (size_t i = 0; i < columns->stream_count; i++)
		if (columns->streams[i].schema == schema)
			return &columns->streams[i];
	return NULL;
}

void event_encode_csv(const struct event *event, const struct encoding *encoding,
		      const struct csv_columns *columns, struct buffer *out)
{
	const struct csv_stream *stream = stream_of(columns, event->schema);
	const struct event_id id = event_id_of(event, encoding);
	char text[EVENT_ID_SIZE], time[CLOCK_RFC3339_SIZE];

	event_id_format(&id, text);
	clock_format_rfc3339(event_real_ns(event, encoding), time);
	buffer_append_string(out, text);
	buffer_append_char(out, ',');
	buffer_append_string(out, event->schema->name);
	buffer_append_char(out, ',');
	buffer_append_string(out, time);
	for (size_t i = 0; i < columns->count; i++) {
		buffer_append_char(out, ',');
		if (stream && stream->fields[i])
			append_value(event, stream->fields[i], encoding, out);
	}
	buffer_append(out, "\r\n", 2);
}
