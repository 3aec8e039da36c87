/* SPDX-License-Identifier: MIT */
/* Records to JSON and CSV, driven by the field descriptors; the hot path out. Thread-safe. */
#ifndef SCHEMA_ENCODE_H
#define SCHEMA_ENCODE_H

#include "base/json.h"
#include "schema/schema.h"

struct symbols;

/* The clock of a boot: what makes a time since that boot a wall time and a part of an id. */
struct event_boot {
	uint64_t epoch;	 /* seconds; distinct and rising from boot to boot */
	int64_t to_real; /* wall ns minus ns since boot, as last known */
};

/* One event as the store gives it. */
struct event {
	const struct stream_schema *schema;
	const uint8_t *record;
	uint32_t length;    /* bytes of the record that are there */
	uint16_t stream;    /* number of the stream in the store */
	uint64_t index;	    /* place in the stream, from 0 */
	uint64_t timestamp; /* ns since boot, same as in the record */
	/* The boot that it is of; NULL: the running one, of which struct encoding tells. */
	const struct event_boot *boot;
};

/*
 * An event's id: "BBBBBBBB-TTTTTTTTTTTTTTT-SSIIIIIIII", all lower-case hexadecimal: the boot (epoch
 * seconds), ns since boot, stream, and the low 32 bits of the place in the stream. Sorted as text
 * it sorts by time, it is unique, and it is made of the event's place, so that it costs no byte of
 * memory.
 */
#define EVENT_ID_SIZE 36 /* with the NUL */
struct event_id {
	uint64_t boot, timestamp;
	uint16_t stream;
	uint32_t index;
};
void event_id_format(const struct event_id *id, char text[EVENT_ID_SIZE]);
int event_id_parse(const char *text, struct event_id *ret_id); /* 0 or -EINVAL */
int event_id_compare(const struct event_id *a, const struct event_id *b);

struct encoding {
	int64_t boot_to_real;	 /* clock_boot_to_real_offset(), taken once for an answer */
	uint64_t boot_epoch;	 /* clock_boot_epoch_seconds() */
	struct symbols *symbols; /* NULL: addresses are shown as 0x… */
	/* 64-bit integers as JSON strings, for readers that hold doubles. */
	bool integers_as_strings;
	/* As users of the older list routes know it: `timestamp` and `wall_time` in RFC 3339,
	 * `timestamp_ns` the boot clock. */
	bool timestamp_as_text;
};

/* The wall time of an event, in ns: on the clock of its own boot. */
static inline uint64_t event_real_ns(const struct event *event, const struct encoding *encoding)
{
	return event->timestamp +
	       (uint64_t)(event->boot ? event->boot->to_real : encoding->boot_to_real);
}

static inline struct event_id event_id_of(const struct event *event,
					  const struct encoding *encoding)
{
	return (struct event_id){ event->boot ? event->boot->epoch : encoding->boot_epoch,
				  event->timestamp, event->stream, (uint32_t)event->index };
}

/* Addresses are those of the running boot's kernel: those of another one have no names here. */
static inline struct symbols *event_symbols(const struct event *event,
					    const struct encoding *encoding)
{
	return event->boot ? NULL : encoding->symbols;
}

/* One JSON object: id, type, the header's fields, time, the event's own fields. No line end. */
void event_encode_json(const struct event *event, const struct encoding *encoding,
		       struct json *json);

/* CSV (RFC 4180, CRLF as the RFC asks). Columns: id, type, time, then the union of the fields of
 * the given streams, a name once. A field that an event does not have is empty. Text that a
 * spreadsheet would take for a formula (first byte = + - @ TAB CR) gets a leading '. */
struct csv_columns;
struct csv_columns *csv_columns_new(const struct stream_schema *const *streams, size_t count);
void csv_columns_free(struct csv_columns *columns);
DEFINE_CLEANUP(csv_columns, csv_columns_free)
void csv_encode_header(const struct csv_columns *columns, struct buffer *out);
void event_encode_csv(const struct event *event, const struct encoding *encoding,
		      const struct csv_columns *columns, struct buffer *out);

/* One line for people, no line end, control characters escaped: as the stream's own line says
 * (annotation "print:", null reads "-"), else "03:45:28.123456 connection curl[1234]
 * destination=1.1.1.1:443 protocol=TCP …". */
void event_encode_text(const struct event *event, const struct encoding *encoding,
		       struct buffer *out);

/* The value of one field as text without quotes (what a filter compares with); "" for null. */
void field_encode_text(const struct event *event, const struct field *field,
		       const struct encoding *encoding, struct buffer *out);

/* What a value is in JSON. */
enum value_form {
	VALUE_NULL,
	VALUE_TEXT,
	VALUE_BARE, /* a number, true, false */
	VALUE_LIST, /* of numbers; as text "1,2" */
};
/* The same from the bytes of the value alone (size * count of them), for every field but endpoints.
 * Whether the record ends before, and the field's condition, the caller has looked at. */
enum value_form field_encode_bytes(const struct field *field, const uint8_t *bytes,
				   const struct encoding *encoding, struct buffer *out);
/* A text in a CSV row, quoted and made harmless where it must be. */
void csv_encode_text(struct buffer *out, const char *text, size_t length);

/* For /api/schema and OpenAPI: the JSON Schema of one field's value (type, format, description,
 * enum names, nullable), and of a whole event. */
void field_describe(const struct stream_schema *stream, const struct field *field,
		    struct json *json);
/* An object schema with `properties` and `required`. */
void stream_describe(const struct stream_schema *stream, struct json *json);
/* "integer", "boolean", "enum", "string", "bytes", "ip", "mac", "symbol", "hex", "list": for
 * /api/schema and the docs. */
const char *field_type_name(const struct field *field);

#endif
