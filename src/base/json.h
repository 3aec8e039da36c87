/* SPDX-License-Identifier: MIT */
/*
 * Append-only JSON writer (RFC 8259) over a buffer: no tree, no allocation but the buffer's.
 * Commas are placed by the writer. Text that is not UTF-8 is written with U+FFFD for each bad
 * byte; '<', '>', '&', U+2028 and U+2029 are escaped too, so that an answer can stand inside a
 * page. Not thread-safe.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buffer.h"

struct json {
	struct buffer *out;
	bool comma; /* the next value of the open object or array needs a comma before it */
};

void json_init(struct json *json, struct buffer *out);

void json_object_begin(struct json *json);
void json_object_end(struct json *json);
void json_array_begin(struct json *json);
void json_array_end(struct json *json);

/* The name of the member whose value is written next. */
void json_key(struct json *json, const char *name);

void json_string_n(struct json *json, const char *text, size_t length);
void json_printf(struct json *json, const char *format, ...) /* a string value */
	__attribute__((format(printf, 2, 3)));
void json_u64(struct json *json, uint64_t value);
void json_i64(struct json *json, int64_t value);
void json_double(struct json *json, double value); /* not finite: null */
void json_bool(struct json *json, bool value);
/* `text` is JSON already. */
void json_raw(struct json *json, const char *text, size_t length);

/*
 * Inline, because jansson, which reads the JSON that comes in, exports functions of these names:
 * ours in the executable would take the place of its own, also where it calls itself. A file that
 * includes jansson.h cannot include this header.
 */
static inline void json_string(struct json *json, const char *text)
{
	json_string_n(json, text, strlen(text));
}

static inline void json_null(struct json *json)
{
	json_raw(json, "null", 4);
}

/* Member shorthands: key and value. */
void json_member_string(struct json *json, const char *name, const char *text); /* NULL: null */
void json_member_u64(struct json *json, const char *name, uint64_t value);
void json_member_i64(struct json *json, const char *name, int64_t value);
void json_member_bool(struct json *json, const char *name, bool value);

/* Writes text with JSON's escapes, without the quotes. */
void json_escape(struct buffer *out, const char *text, size_t length);

#endif
