/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

/* What a byte of text needs before it may stand in a JSON string. */
enum byte_class {
	PLAIN = 0,
	SHORT,	 /* two-character escape, from byte_escape */
	UNICODE, /* \u00XX */
	LEAD,	 /* begins a UTF-8 sequence, which has to be looked at */
	INVALID, /* can begin none */
};

/* Later rows override earlier ones; that is the clearest way to write this table. */
#pragma GCC diagnostic push
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif
static const uint8_t byte_class[256] = {
	[0x00 ... 0x1f] = UNICODE,
	['\b'] = SHORT,
	['\t'] = SHORT,
	['\n'] = SHORT,
	['\f'] = SHORT,
	['\r'] = SHORT,
	['"'] = SHORT,
	['\\'] = SHORT,
	['<'] = UNICODE,
	['>'] = UNICODE,
	['&'] = UNICODE,
	[0x80 ... 0xc1] = INVALID,
	[0xc2 ... 0xf4] = LEAD,
	[0xf5 ... 0xff] = INVALID,
};
#pragma GCC diagnostic pop

static const char byte_escape[128] = {
	['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n',  ['\f'] = 'f',
	['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\',
};

#define LONGEST_ESCAPE 6  /* \u0000, for one byte */
#define ESCAPE_PIECE 1024 /* longer text is escaped piece by piece, to bound what is reserved */

static const char hex_digits[] = "0123456789abcdef";
static const char replacement_character[] = "\xef\xbf\xbd";

static char *put_unicode_escape(char *out, unsigned int code)
{
	memcpy(out, "\\u", 2);
	out[2] = hex_digits[code >> 12 & 15];
	out[3] = hex_digits[code >> 8 & 15];
	out[4] = hex_digits[code >> 4 & 15];
	out[5] = hex_digits[code & 15];
	return out + 6;
}

/* One byte that is not plain, or the sequence it begins. Moves *text on; returns the new end. */
static char *put_special(char *out, const char **text, const char *end)
{
	uint8_t byte = (uint8_t) * *text;
	size_t length;

	switch ((enum byte_class)byte_class[byte]) {
	case SHORT:
		out[0] = '\\';
		out[1] = byte_escape[byte];
		*text += 1;
		return out + 2;
	case UNICODE:
		*text += 1;
		return put_unicode_escape(out, byte);
	case LEAD:
		length = text_utf8_sequence(*text, (size_t)(end - *text));
		if (!length)
			break;
		/* U+2028 and U+2029 end a line in older JavaScript. */
		if (length == 3 && !memcmp(*text, "\xe2\x80", 2) &&
		    ((*text)[2] == '\xa8' || (*text)[2] == '\xa9'))
			out = put_unicode_escape(out, (*text)[2] == '\xa8' ? 0x2028 : 0x2029);
		else
			out = (char *)memcpy(out, *text, length) + length;
		*text += length;
		return out;
	default:
		break;
	}
	*text += 1;
	return (char *)memcpy(out, replacement_character, 3) + 3;
}

/* Needs room for LONGEST_ESCAPE bytes for each byte of text. Returns the new end. */
static char *put_escaped(char *out, const char *text, size_t length)
{
	const char *end = text + length;
	const uint8_t *at;

	for (;;) {
		while (end - text >= 8) {
			at = (const uint8_t *)text;
			if (byte_class[at[0]] | byte_class[at[1]] | byte_class[at[2]] |
			    byte_class[at[3]] | byte_class[at[4]] | byte_class[at[5]] |
			    byte_class[at[6]] | byte_class[at[7]])
				break;
			memcpy(out, text, 8);
			out += 8;
			text += 8;
		}
		while (text < end && byte_class[(uint8_t)*text] == PLAIN)
			*out++ = *text++;
		if (text == end)
			return out;
		out = put_special(out, &text, end);
	}
}

/* Where to cut text so that no UTF-8 sequence is divided: at `length`, or up to 3 bytes before. */
static size_t piece_length(const char *text, size_t length)
{
	for (size_t back = 0; back <= 3; back++)
		if (((uint8_t)text[length - back] & 0xc0) != 0x80)
			return length - back;
	return length; /* four continuation bytes in a row: none belongs to a sequence across */
}

void json_escape(struct buffer *out, const char *text, size_t length)
{
	while (length) {
		size_t piece = length > ESCAPE_PIECE ? piece_length(text, ESCAPE_PIECE) : length;
		char *at = buffer_reserve(out, piece * LONGEST_ESCAPE);

		if (!at)
			return;
		out->length += (size_t)(put_escaped(at, text, piece) - at);
		text += piece;
		length -= piece;
	}
}

void json_init(struct json *json, struct buffer *out)
{
	*json = (struct json){ .out = out };
}

/* Every value begins with this: the comma that the value before left open. */
static inline void value_begin(struct json *json)
{
	if (json->comma)
		buffer_append_char(json->out, ',');
	json->comma = true;
}

static void open_with(struct json *json, char bracket)
{
	value_begin(json);
	buffer_append_char(json->out, bracket);
	json->comma = false;
}

static void close_with(struct json *json, char bracket)
{
	buffer_append_char(json->out, bracket);
	json->comma = true;
}

void json_object_begin(struct json *json)
{
	open_with(json, '{');
}

void json_object_end(struct json *json)
{
	close_with(json, '}');
}

void json_array_begin(struct json *json)
{
	open_with(json, '[');
}

void json_array_end(struct json *json)
{
	close_with(json, ']');
}

/* Comma, quotes and text in one reservation where the text is short, as nearly all is. */
static inline void put_string(struct json *json, const char *text, size_t length, bool is_key)
{
	struct buffer *out = json->out;
	char *start, *at;

	if (length > ESCAPE_PIECE) {
		value_begin(json);
		buffer_append_char(out, '"');
		json_escape(out, text, length);
		buffer_append(out, "\":", is_key ? 2 : 1);
	} else {
		start = at = buffer_reserve(out, length * LONGEST_ESCAPE + 4);
		if (!start)
			return;
		if (json->comma)
			*at++ = ',';
		*at++ = '"';
		at = put_escaped(at, text, length);
		*at++ = '"';
		if (is_key)
			*at++ = ':';
		out->length += (size_t)(at - start);
	}
	json->comma = !is_key;
}

void json_key(struct json *json, const char *name)
{
	put_string(json, name, strlen(name), true);
}

void json_string_n(struct json *json, const char *text, size_t length)
{
	put_string(json, text, length, false);
}

void json_printf(struct json *json, const char *format, ...)
{
	BUFFER text = BUFFER_INIT;
	va_list arguments;

	va_start(arguments, format);
	buffer_vprintf(&text, format, arguments);
	va_end(arguments);
	if (text.failed) {
		buffer_fail(json->out); /* a text with a hole would be worse than none */
		return;
	}
	put_string(json, text.data, text.length, false);
}

void json_u64(struct json *json, uint64_t value)
{
	value_begin(json);
	buffer_append_u64(json->out, value);
}

void json_i64(struct json *json, int64_t value)
{
	value_begin(json);
	buffer_append_i64(json->out, value);
}

void json_double(struct json *json, double value)
{
	char text[32];

	if (!isfinite(value)) {
		json_null(json);
		return;
	}
	/* The shortest of these that reads back as the same number; 17 digits always do. */
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (digits == 17 || !(strtod(text, NULL) < value || strtod(text, NULL) > value))
			break;
	}
	json_raw(json, text, strlen(text));
}

void json_bool(struct json *json, bool value)
{
	json_raw(json, value ? "true" : "false", value ? 4 : 5);
}

void json_raw(struct json *json, const char *text, size_t length)
{
	value_begin(json);
	buffer_append(json->out, text, length);
}

void json_member_string(struct json *json, const char *name, const char *text)
{
	json_key(json, name);
	if (text)
		json_string(json, text);
	else
		json_null(json);
}

void json_member_u64(struct json *json, const char *name, uint64_t value)
{
	json_key(json, name);
	json_u64(json, value);
}

void json_member_i64(struct json *json, const char *name, int64_t value)
{
	json_key(json, name);
	json_i64(json, value);
}

void json_member_bool(struct json *json, const char *name, bool value)
{
	json_key(json, name);
	json_bool(json, value);
}
